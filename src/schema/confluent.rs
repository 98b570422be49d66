//! The Confluent REST API: schemas by id, and the versions of subjects that they refer to.

use std::collections::HashMap;

use serde::{Deserialize, de::IgnoredAny};
use url::Url;

use super::{
    Documents, Referenced, RegistryKey, SchemaFormat, SourceError,
    fetch::{Answer, Fetcher, failed, invalid},
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
        let registered = self.ask(&url).await?;
        registered.documents(&url, self.limits, Some(self)).await
    }

    async fn ask(&self, url: &Url) -> Result<Registered, SourceError> {
        let Answer::Page(page) = self.fetcher.get(url, None).await? else {
            return Err(failed(url, "answered that nothing was modified"));
        };
        serde_json::from_slice(&page.body)
            .map_err(|error| failed(url, &format!("no answer of a registry: {}", kind(&error))))
    }

    /// Appends percent-encoded segments to the base.
    fn url(&self, segments: &[&str]) -> Result<Url, SourceError> {
        let unusable = || SourceError::unavailable("the URL of the registry cannot be used");
        let mut url = Url::parse(self.base).map_err(|_| unusable())?;
        url.path_segments_mut().map_err(|()| unusable())?.pop_if_empty().extend(segments);
        Ok(url)
    }

    async fn version(&self, reference: &Reference) -> Result<(Url, Registered), SourceError> {
        let Reference { subject, version } = reference;
        let plain = !matches!(subject.as_str(), "" | "." | "..") && *version > 0;
        if !plain || subject.chars().any(char::is_control) {
            let subject = shown(subject.as_bytes());
            let what = format!("reference to subject \"{subject}\", version {version}");
            return Err(SourceError::invalid(what));
        }
        let url = self.url(&["subjects", subject, "versions", &version.to_string()])?;
        let registered = self.ask(&url).await?;
        Ok((url, registered))
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
struct Reference {
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
        let mut gathering = Gathering::new(limits, format);
        gathering.check(url, &self)?;
        let references = match (self.references, registry) {
            (Some(references), Some(registry)) if !references.is_empty() => {
                gathering.gather(url, references, registry).await?
            }
            (Some(references), None) if !references.is_empty() => {
                return Err(invalid(url, "its references need the URL of a registry's id"));
            }
            _ => Vec::new(),
        };
        Ok(Documents { format, text: self.schema, references })
    }

    fn format(&self, url: &Url) -> Result<SchemaFormat, SourceError> {
        let Some(kind) = self.schema_type.as_deref() else { return Ok(SchemaFormat::Avro) };
        SchemaFormat::from_registry(kind).ok_or_else(|| {
            invalid(url, &format!("schema type {} is not supported", shown(kind.as_bytes())))
        })
    }
}

/// The walk through everything that one schema refers to: depth first, so that each document comes after those that it
/// needs itself, each once.
struct Gathering<'a> {
    limits: &'a SchemaLimits,
    bytes: usize,
    format: SchemaFormat,
    states: HashMap<Reference, State>,
    gathered: Vec<Referenced>,
}

/// How far the walk is with a document.
#[derive(Clone, Copy)]
enum State {
    /// What it refers to is being gathered.
    Open,
    /// It is gathered.
    Done,
}

/// A document whose references are being gathered.
struct Opened {
    itself: NamedReference,
    text: String,
    pending: std::vec::IntoIter<NamedReference>,
}

impl<'a> Gathering<'a> {
    fn new(limits: &'a SchemaLimits, format: SchemaFormat) -> Self {
        Self { limits, bytes: 0, format, states: HashMap::new(), gathered: Vec::new() }
    }

    /// Refuses what cannot be compiled before more is asked for because of it.
    fn check(&mut self, url: &Url, registered: &Registered) -> Result<(), SourceError> {
        if registered.format(url)? != self.format {
            return Err(invalid(url, "it refers to a schema of another type"));
        }
        let most = self.limits.max_schema_bytes;
        if registered.schema.len() > most {
            return Err(invalid(url, &format!("the schema has more than {most} bytes")));
        }
        self.bytes = self.bytes.saturating_add(registered.schema.len());
        let most = most.saturating_mul(MAX_DOCUMENTS_FACTOR);
        if self.bytes > most {
            let what = format!("the schema has more than {most} bytes with what it refers to");
            return Err(invalid(url, &what));
        }
        Ok(())
    }

    async fn gather(
        mut self,
        root: &Url,
        references: Vec<NamedReference>,
        registry: &Registry<'_>,
    ) -> Result<Vec<Referenced>, SourceError> {
        let mut pending = references.into_iter();
        let mut opened: Vec<Opened> = Vec::new();
        loop {
            let list = opened.last_mut().map_or(&mut pending, |opened| &mut opened.pending);
            if let Some(reference) = list.next() {
                if self.is_new(root, &reference.version)? {
                    opened.push(self.open(reference, registry).await?);
                }
            } else if let Some(done) = opened.pop() {
                let NamedReference { name, version } = done.itself;
                self.states.insert(version, State::Done);
                self.gathered.push(Referenced { name, text: done.text });
            } else {
                return Ok(self.gathered);
            }
        }
    }

    /// Whether a document must still be asked for.
    fn is_new(&self, root: &Url, reference: &Reference) -> Result<bool, SourceError> {
        match self.states.get(reference) {
            Some(State::Done) => Ok(false),
            Some(State::Open) => Err(invalid(root, "its references lead back to themselves")),
            None if self.states.len() >= self.limits.max_references => {
                let most = self.limits.max_references;
                Err(invalid(root, &format!("it refers to more than {most} schemas")))
            }
            None => Ok(true),
        }
    }

    async fn open(
        &mut self,
        reference: NamedReference,
        registry: &Registry<'_>,
    ) -> Result<Opened, SourceError> {
        let (url, registered) = registry.version(&reference.version).await?;
        self.check(&url, &registered)?;
        self.states.insert(reference.version.clone(), State::Open);
        let pending = registered.references.unwrap_or_default().into_iter();
        Ok(Opened { itself: reference, text: registered.schema, pending })
    }
}

/// What is wrong with JSON, without its text.
fn kind(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Data => "it has no text as schema",
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Io | serde_json::error::Category::Syntax => "it is no JSON",
    }
}

/// How many times larger than one document a document may be together with everything that it refers to.
const MAX_DOCUMENTS_FACTOR: usize = 4;

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
