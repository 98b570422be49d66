//! The Confluent REST API: schemas by id, and the versions of subjects that they refer to.

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use url::Url;

use super::{
    Documents, RegistryKey, SchemaFormat, SourceError,
    fetch::{Answer, Fetcher, failed, invalid},
    gather::{Found, Library, gather},
};
use crate::{limits::SchemaLimits, text::shown};

/// A registry, asked through `fetcher`.
#[derive(Debug)]
pub(super) struct Registry<'a> {
    fetcher: &'a Fetcher,
    limits: &'a SchemaLimits,
    base: &'a str,
}

impl<'a> Registry<'a> {
    /// The registry whose API lives under `base` (no slash at the end).
    pub(super) fn new(fetcher: &'a Fetcher, limits: &'a SchemaLimits, base: &'a str) -> Self {
        Self { fetcher, limits, base }
    }

    /// The schema `key` with everything that it refers to.
    pub(super) async fn schema(&self, key: &RegistryKey) -> Result<Documents, SourceError> {
        let url = match key {
            RegistryKey::Id(id) => self.url(&["schemas", "ids", &id.0.to_string()])?,
            RegistryKey::Guid(guid) => self.url(&["schemas", "guids", &guid.to_string()])?,
            _ => return Err(SourceError::invalid("a Confluent registry knows ids and GUIDs only")),
        };
        let registered: Registered = self.ask(&url).await?;
        registered.documents(&url, self.limits, Some(self)).await
    }

    async fn ask<T: DeserializeOwned>(&self, url: &Url) -> Result<T, SourceError> {
        answer(self.fetcher, url).await
    }

    /// The subjects that have the schema `key`, deleted ones left out. A GUID has none of its own: those of its id in the
    /// default context count.
    pub(super) async fn subjects(&self, key: &RegistryKey) -> Result<Vec<String>, SourceError> {
        let id = match key {
            RegistryKey::Id(id) => i64::from(id.0),
            RegistryKey::Guid(guid) => {
                let url = self.url(&["schemas", "guids", &guid.to_string(), "ids"])?;
                let ids: Vec<IdInContext> = self.ask(&url).await?;
                match ids.iter().find(|it| matches!(it.context.as_deref(), None | Some("." | ""))) {
                    Some(IdInContext { id, .. }) => *id,
                    None => return Ok(Vec::new()),
                }
            }
            _ => return Ok(Vec::new()),
        };
        self.ask(&self.url(&["schemas", "ids", &id.to_string(), "subjects"])?).await
    }

    fn url(&self, segments: &[&str]) -> Result<Url, SourceError> {
        below(self.base, segments)
    }
}

/// Appends percent-encoded segments to a base URL.
pub(super) fn below(base: &str, segments: &[&str]) -> Result<Url, SourceError> {
    let unusable = || SourceError::unavailable("the URL of the registry cannot be used");
    let mut url = Url::parse(base).map_err(|_| unusable())?;
    url.path_segments_mut().map_err(|()| unusable())?.pop_if_empty().extend(segments);
    Ok(url)
}

/// The id that a schema has in one context of a registry.
#[derive(Debug, Deserialize)]
struct IdInContext {
    context: Option<String>,
    id: i64,
}

impl Library for Registry<'_> {
    type Key = Reference;

    async fn open(&self, reference: &Reference) -> Result<Found<Reference>, SourceError> {
        let Reference { subject, version } = reference;
        let plain = !matches!(subject.as_str(), "" | "." | "..") && *version > 0;
        if !plain || subject.chars().any(char::is_control) {
            let subject = shown(subject.as_bytes());
            let what = format!("reference to subject \"{subject}\", version {version}");
            return Err(SourceError::invalid(what));
        }
        let url = self.url(&["subjects", subject, "versions", &version.to_string()])?;
        self.ask::<Registered>(&url).await?.found(url)
    }
}

/// Where nothing is found, for there is no registry.
struct Nowhere;

impl Library for Nowhere {
    type Key = Reference;

    async fn open(&self, _: &Reference) -> Result<Found<Reference>, SourceError> {
        Err(SourceError::invalid("there is no registry to ask"))
    }
}

/// A schema as a registry hands it out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Registered {
    schema: String,
    schema_type: Option<String>,
    references: Option<Vec<NamedReference>>,
    /// What a registry's answer does not have, and an Avro schema of a record does.
    #[serde(rename = "type")]
    kind: Option<IgnoredAny>,
}

/// The version of a subject that a schema refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub(super) struct Reference {
    subject: String,
    version: i64,
}

/// The same with the name by which the schema calls it.
#[derive(Debug, Deserialize)]
struct NamedReference {
    #[serde(default)]
    name: String,
    #[serde(flatten)]
    version: Reference,
}

impl Registered {
    /// Reads a document that is a registry's answer: an object with a text as `schema`, and no `type`. `None` for any
    /// other document, Avro schemas among them.
    pub(super) fn unwrap(text: &str) -> Option<Self> {
        // Not every JSON value: a list, which is a union, would be taken for the fields in their order.
        if !text.trim_start().starts_with('{') {
            return None;
        }
        let registered: Self = serde_json::from_str(text).ok()?;
        registered.kind.is_none().then_some(registered)
    }

    /// The schema with everything that it refers to, which needs a registry where it refers to something.
    pub(super) async fn documents(
        self,
        url: &Url,
        limits: &SchemaLimits,
        registry: Option<&Registry<'_>>,
    ) -> Result<Documents, SourceError> {
        let format = self.format(url)?;
        let found = self.found(url.clone())?;
        match registry {
            Some(registry) => gather(found, format, limits, registry).await,
            None if found.references.is_empty() => gather(found, format, limits, &Nowhere).await,
            None => Err(invalid(url, "its references need the URL of a registry's id")),
        }
    }

    fn found(self, url: Url) -> Result<Found<Reference>, SourceError> {
        let format = Some(self.format(&url)?);
        let references = self.references.unwrap_or_default().into_iter();
        let references = references.map(|NamedReference { name, version }| (name, version));
        Ok(Found { url, format, text: self.schema, references: references.collect() })
    }

    fn format(&self, url: &Url) -> Result<SchemaFormat, SourceError> {
        let Some(kind) = self.schema_type.as_deref() else { return Ok(SchemaFormat::Avro) };
        SchemaFormat::from_registry(kind).ok_or_else(|| {
            invalid(url, &format!("schema type {} is not supported", shown(kind.as_bytes())))
        })
    }
}

/// What a registry answers at `url`.
pub(super) async fn answer<T: DeserializeOwned>(
    fetcher: &Fetcher,
    url: &Url,
) -> Result<T, SourceError> {
    let Answer::Page(page) = fetcher.get(url, None).await? else {
        return Err(failed(url, "answered that nothing was modified"));
    };
    serde_json::from_slice(&page.body)
        .map_err(|error| failed(url, &format!("no answer of a registry: {}", kind(&error))))
}

/// What is wrong with JSON, without its text.
fn kind(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Data => "it has not what it should have",
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Io | serde_json::error::Category::Syntax => "it is no JSON",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::schema::{
        Fetched, SchemaSource,
        testing::{Reply, Server, reference, settings, source, target},
    };

    fn answer(schema: &str, references: &[(&str, i64)]) -> Reply {
        let references: Vec<_> = references
            .iter()
            .map(|(subject, version)| serde_json::json!({"name": subject, "subject": subject, "version": version}))
            .collect();
        Reply::ok(serde_json::json!({"schema": schema, "references": references}).to_string())
    }

    /// Looks up what `header` names at a server under `/base` and gives the documents that were compiled.
    async fn look_up(
        header: &str,
        answers: fn(&str) -> Reply,
    ) -> (Result<Arc<Fetched>, SourceError>, Vec<Documents>, Vec<String>) {
        let server = Server::start(move |head| answers(target(head))).await;
        let settings = settings(&format!("{}/base/", server.url));
        let (source, compiled) = source(&settings);
        let result = source.find(&reference(&settings, header), None).await;
        let compiled = compiled.lock().unwrap().clone();
        (result, compiled, server.targets())
    }

    #[tokio::test]
    async fn references_come_before_those_that_need_them_each_once() {
        fn answers(target: &str) -> Reply {
            match target {
                "/base/schemas/ids/1" | "/base/schemas/ids/1?x" => {
                    answer("root", &[("a", 1), ("b", 2), ("a", 1)])
                }
                "/base/subjects/a/versions/1" => answer("a", &[("c", 3)]),
                "/base/subjects/b/versions/2" => answer("b", &[("c", 3), ("a", 1)]),
                "/base/subjects/c/versions/3" => answer("c", &[]),
                _ => Reply::new(404, "", ""),
            }
        }
        for header in ["1", "schemas/ids/1/schema", "schemas/ids/1?x"] {
            let (result, compiled, targets) = look_up(header, answers).await;
            assert!(result.is_ok(), "{result:?}");
            assert_eq!(compiled[0].text, "root");
            let texts = compiled[0].references.iter().map(|it| (&*it.name, &*it.text));
            assert_eq!(texts.collect::<Vec<_>>(), [("c", "c"), ("a", "a"), ("b", "b")]);
            assert_eq!(targets.len(), 4, "{targets:?}");
        }
    }

    #[tokio::test]
    async fn subjects_are_one_segment_of_the_path() {
        let subject = "a/b\\c?d#e%2f ü:x.y";
        let (result, _, targets) = look_up("1", |target| match target {
            "/base/schemas/ids/1" => answer("x", &[("a/b\\c?d#e%2f ü:x.y", 1)]),
            _ => answer("y", &[]),
        })
        .await;
        assert!(result.is_ok(), "{result:?}");
        let sent = targets[1].strip_prefix("/base/subjects/").unwrap();
        let sent = sent.strip_suffix("/versions/1").unwrap();
        assert!(!sent.contains(['/', '?', '#', ' ', '\\']), "{sent}");
        assert_eq!(
            sent.replace("%2F", "/")
                .replace("%5C", "\\")
                .replace("%3F", "?")
                .replace("%23", "#")
                .replace("%20", " ")
                .replace("%C3%BC", "ü")
                .replace("%25", "%"),
            subject
        );
    }

    #[tokio::test]
    async fn references_that_cannot_be_followed_make_the_schema_invalid() {
        let table: &[fn(&str) -> Reply] = &[
            |_| answer("x", &[("a", 1)]),
            |target| match target {
                "/base/subjects/a/versions/1" => answer("x", &[("b", 1)]),
                _ => answer("x", &[("a", 1)]),
            },
            |target| match target
                .rsplit_once("/subjects/")
                .and_then(|(_, rest)| rest.split_once('/'))
            {
                Some((subject, _)) => answer("x", &[(&format!("{subject}x"), 1)]),
                None => answer("x", &[("a", 1)]),
            },
            |_| answer("x", &[("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1)]),
            |_| answer("x", &[("..", 1)]),
            |_| answer("x", &[("", 1)]),
            |_| answer("x", &[("a\nb", 1)]),
            |_| answer("x", &[("a", -1)]),
            |_| answer("x", &[("a", 0)]),
            |target| match target {
                "/base/schemas/ids/1" => answer("x", &[("a", 1), ("b", 1), ("c", 1), ("d", 1)]),
                _ => answer(&"y".repeat(1_000), &[]),
            },
        ];
        for (row, answers) in table.iter().enumerate() {
            let (result, compiled, targets) = look_up("1", *answers).await;
            assert!(matches!(result, Err(SourceError::Invalid { .. })), "row {row}: {result:?}");
            assert!(compiled.is_empty() && targets.len() <= 5, "row {row}: {targets:?}");
        }
    }

    #[tokio::test]
    async fn a_reference_that_is_missing_or_down_says_so() {
        let (result, ..) = look_up("1", |target| match target {
            "/base/schemas/ids/1" => answer("x", &[("a", 1)]),
            _ => Reply::new(404, "", ""),
        })
        .await;
        assert!(
            matches!(&result, Err(SourceError::NotFound { detail }) if detail.contains("subjects/a"))
        );
        let (result, ..) = look_up("1", |target| match target {
            "/base/schemas/ids/1" => answer("x", &[("a", 1)]),
            _ => Reply::new(500, "", ""),
        })
        .await;
        assert!(matches!(result, Err(SourceError::Unavailable { .. })));
    }

    #[test]
    fn only_a_registrys_answer_is_unwrapped() {
        assert_eq!(Registered::unwrap(r#" {"schema": "x"}"#).unwrap().schema, "x");
        assert_eq!(Registered::unwrap(r#"{"schema": "x", "type": null}"#).unwrap().schema, "x");
        for other in [
            r#"{"type": "record", "name": "R", "fields": [], "schema": "documentation"}"#,
            r#"{"schema": {"type": "string"}}"#,
            r#"["null", "string", []]"#,
            r#"{"schema": "x"} y"#,
            r#"{"schema": "x", "schema": "y"}"#,
            r#""schema""#,
            "{}",
            "",
        ] {
            assert!(Registered::unwrap(other).is_none(), "{other}");
        }
    }
}
