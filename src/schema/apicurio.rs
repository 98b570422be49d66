//! Apicurio's REST API, version 3: contents by their ids and hash, versions of artifacts, and what they refer to. Numbers as
//! Confluent's clients know them are asked of its Confluent API, for only that knows what they number; it does not say to which
//! group a reference leads, so those out of the default one cannot be followed there.

use serde::Deserialize;
use url::Url;

use super::{
    ArtifactVersion, Documents, RegistryKey, SchemaFormat, SourceError,
    confluent::{self, below},
    fetch::{Answer, Fetcher, failed, invalid},
    gather::{Found, Library, gather},
    language,
};
use crate::{limits::SchemaLimits, text::shown};

/// A registry, asked through `fetcher`.
#[derive(Debug)]
pub(super) struct Apicurio<'a> {
    fetcher: &'a Fetcher,
    limits: &'a SchemaLimits,
    /// Where its own API is.
    api: String,
    /// Where its Confluent API is.
    confluent: String,
}

impl<'a> Apicurio<'a> {
    /// The registry at `base` (no slash at the end): the root of the server, or of one of its APIs
    /// (`…/apis/registry/v3`, `…/apis/ccompat/v7`).
    pub(super) fn new(fetcher: &'a Fetcher, limits: &'a SchemaLimits, base: &str) -> Self {
        let ends = ["/apis", "/apis/registry", "/apis/registry/v3", CONFLUENT_V7, CONFLUENT_V8];
        let stripped = ends.iter().find_map(|end| base.strip_suffix(end));
        let root = stripped.unwrap_or(base);
        // Version 8 is not there in every release; where the configuration names it, it is.
        let compatible = if base.ends_with(CONFLUENT_V8) { CONFLUENT_V8 } else { CONFLUENT_V7 };
        Self {
            fetcher,
            limits,
            api: format!("{root}/apis/registry/v3"),
            confluent: format!("{root}{compatible}"),
        }
    }

    /// Where the first schema is that a registry has ever had.
    pub(super) fn first(&self) -> Result<Url, SourceError> {
        self.url(&["ids", "globalIds", "1"])
    }

    /// The schema `key` with everything that it refers to.
    pub(super) async fn schema(&self, key: &RegistryKey) -> Result<Documents, SourceError> {
        let url = match key {
            RegistryKey::Id(_) => return self.as_confluent().schema(key).await,
            RegistryKey::ContentId(id) => self.url(&["ids", "contentIds", &id.to_string()])?,
            RegistryKey::GlobalId(id) => self.url(&["ids", "globalIds", &id.to_string()])?,
            RegistryKey::ContentHash(hash) => self.url(&["ids", "contentHashes", hash])?,
            RegistryKey::Artifact(version) => self.version_url(version)?,
            RegistryKey::Fingerprint(_) | RegistryKey::Guid(_) => {
                let what = format!("a schema has no {} there", key.kind());
                return Err(SourceError::invalid(what));
            }
        };
        let found = match key {
            RegistryKey::Artifact(_) => self.found(&url, &appended(&url, "content")?).await?,
            _ => self.found(&url, &url).await?,
        };
        let format = self.format(key, &url).await?;
        // A content by its hash is told by its text: there is nothing to ask for its kind.
        let format = format.unwrap_or_else(|| language::of_text(&found.text));
        gather(found, format, self.limits, self).await
    }

    /// The subjects that have the schema `key`: the names of its artifacts, behind the name of their group and a colon where
    /// that is not the default one. A content cannot be traced by its hash.
    pub(super) async fn subjects(&self, key: &RegistryKey) -> Result<Vec<String>, SourceError> {
        match key {
            RegistryKey::Id(_) => self.as_confluent().subjects(key).await,
            RegistryKey::Artifact(version) => {
                Ok(vec![subject(Some(&version.group), &version.artifact)])
            }
            RegistryKey::ContentId(_) | RegistryKey::GlobalId(_) => {
                let versions = self.versions(key, MAX_VERSIONS).await?;
                let mut subjects: Vec<_> = versions
                    .iter()
                    .map(|it| subject(it.group_id.as_deref(), &it.artifact_id))
                    .collect();
                subjects.sort();
                subjects.dedup();
                Ok(subjects)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The base URL of its Confluent API (no slash at the end).
    pub(super) fn confluent_base(&self) -> &str {
        &self.confluent
    }

    fn as_confluent(&self) -> confluent::Registry<'_> {
        confluent::Registry::new(self.fetcher, self.limits, &self.confluent)
    }

    fn url(&self, segments: &[&str]) -> Result<Url, SourceError> {
        below(&self.api, segments)
    }

    fn version_url(&self, version: &ArtifactVersion) -> Result<Url, SourceError> {
        let ArtifactVersion { group, artifact, version } = version;
        let plain = |text: &str| {
            !matches!(text, "" | "." | "..") && !text.chars().any(|c| c.is_control() || c == '\\')
        };
        // `branch=latest` is not one version but whichever comes last: what it means would change.
        if !plain(group) || !plain(artifact) || !plain(version) || version.contains('=') {
            let name = [&**group, artifact, version].join("/");
            let what = format!("artifact \"{}\" is no version", shown(name.as_bytes()));
            return Err(SourceError::invalid(what));
        }
        self.url(&["groups", group, "artifacts", artifact, "versions", version])
    }

    /// The document at `content`, and what is referred to as said below `url`.
    async fn found(&self, url: &Url, content: &Url) -> Result<Found<ArtifactVersion>, SourceError> {
        let Answer::Page(page) = self.fetcher.get(content, None).await? else {
            return Err(failed(content, "answered that nothing was modified"));
        };
        let text = String::from_utf8(page.body)
            .map_err(|_| invalid(content, "the document is not UTF-8"))?;
        let asked = appended(url, "references")?;
        let references: Vec<NamedReference> = confluent::answer(self.fetcher, &asked).await?;
        let references = references.into_iter().map(|it| {
            let group = it.group_id.unwrap_or_else(|| DEFAULT_GROUP.to_owned()).into();
            let (artifact, version) = (it.artifact_id.into(), it.version.into());
            (it.name, ArtifactVersion { group, artifact, version })
        });
        Ok(Found { url: url.clone(), format: None, text, references: references.collect() })
    }

    /// The language of the schema `key`, if the registry can be asked for it.
    async fn format(
        &self,
        key: &RegistryKey,
        url: &Url,
    ) -> Result<Option<SchemaFormat>, SourceError> {
        let kind = match key {
            RegistryKey::Artifact(_) => {
                Some(confluent::answer::<Version>(self.fetcher, url).await?.artifact_type)
            }
            RegistryKey::ContentId(_) | RegistryKey::GlobalId(_) => {
                self.versions(key, 1).await?.into_iter().next().map(|it| it.artifact_type)
            }
            _ => None,
        };
        let Some(kind) = kind else { return Ok(None) };
        let format = SchemaFormat::from_registry(&kind);
        let unknown =
            || invalid(url, &format!("schema type {} is not supported", shown(kind.as_bytes())));
        format.ok_or_else(unknown).map(Some)
    }

    /// The versions that `key` is the number of, at most `most`: none where none is left, though its content is.
    async fn versions(&self, key: &RegistryKey, most: usize) -> Result<Vec<Version>, SourceError> {
        let (name, number) = match key {
            RegistryKey::ContentId(id) => ("contentId", *id),
            RegistryKey::GlobalId(id) => ("globalId", *id),
            _ => return Ok(Vec::new()),
        };
        let mut url = self.url(&["search", "versions"])?;
        url.query_pairs_mut()
            .append_pair(name, &number.to_string())
            .append_pair("limit", &most.to_string());
        let mut found: Versions = confluent::answer(self.fetcher, &url).await?;
        // A release that does not know the parameter would answer with any version.
        found.versions.retain(|it| match key {
            RegistryKey::ContentId(id) => it.content_id == *id,
            _ => it.global_id == number,
        });
        Ok(found.versions)
    }
}

impl Library for Apicurio<'_> {
    type Key = ArtifactVersion;

    async fn open(&self, key: &ArtifactVersion) -> Result<Found<ArtifactVersion>, SourceError> {
        let url = self.version_url(key)?;
        self.found(&url, &appended(&url, "content")?).await
    }
}

/// What the registry says about a version.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    group_id: Option<String>,
    artifact_id: String,
    artifact_type: String,
    #[serde(default)]
    content_id: i64,
    #[serde(default)]
    global_id: i64,
}

#[derive(Debug, Deserialize)]
struct Versions {
    versions: Vec<Version>,
}

/// A version that a document refers to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NamedReference {
    #[serde(default)]
    name: String,
    group_id: Option<String>,
    artifact_id: String,
    version: String,
}

/// What an artifact is called as a subject.
fn subject(group: Option<&str>, artifact: &str) -> String {
    match group {
        None | Some("" | DEFAULT_GROUP) => artifact.to_owned(),
        Some(group) => format!("{group}:{artifact}"),
    }
}

fn appended(url: &Url, segment: &str) -> Result<Url, SourceError> {
    below(url.as_str(), &[segment])
}

/// The group of artifacts for which none is named.
const DEFAULT_GROUP: &str = "default";
const CONFLUENT_V7: &str = "/apis/ccompat/v7";
const CONFLUENT_V8: &str = "/apis/ccompat/v8";
/// Versions of one content that are asked for: as many as the registry gives at once.
const MAX_VERSIONS: usize = 500;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::schema::{
        Fetched, RegistryAccess, RegistryApi, SchemaRef, SchemaSource,
        testing::{Reply, Server, settings, source, target},
    };

    /// Looks `key` up at a server that has an Apicurio registry below `path`, and gives what was compiled and asked.
    async fn look_up(
        path: &str,
        key: RegistryKey,
        answers: fn(&str) -> Reply,
    ) -> (Result<Arc<Fetched>, SourceError>, Vec<Documents>, Vec<String>) {
        let server = Server::start(move |head| answers(target(head))).await;
        let mut settings = settings(&format!("{}{path}", server.url));
        settings.access = RegistryAccess { api: RegistryApi::Apicurio, ..Default::default() };
        let (source, compiled) = source(&settings);
        let registry = format!("{}{path}", server.url).into();
        let result = source.find(&SchemaRef::Registered { registry, key }, None).await;
        let compiled = compiled.lock().unwrap().clone();
        (result, compiled, server.targets())
    }

    fn artifact(group: &str, artifact: &str, version: &str) -> ArtifactVersion {
        ArtifactVersion { group: group.into(), artifact: artifact.into(), version: version.into() }
    }

    fn registry(target: &str) -> Reply {
        const VERSION: &str = r#"{"artifactId": "a", "version": "1", "artifactType": "PROTOBUF", "contentId": 7, "globalId": 9}"#;
        let api = target.split_once("/apis/registry/v3/").map_or("", |(_, path)| path);
        match api {
            "ids/contentIds/7" | "ids/globalIds/9" => Reply::ok("root"),
            "ids/contentHashes/ab" => Reply::ok("syntax = \"proto3\";"),
            "groups/g%2F1/artifacts/a/versions/1.0/content" => Reply::ok("root"),
            "groups/g%2F1/artifacts/a/versions/1.0" => Reply::ok(VERSION),
            "groups/default/artifacts/b/versions/2/content" => Reply::ok("b"),
            "groups/h/artifacts/c/versions/3/content" => Reply::ok("c"),
            "groups/default/artifacts/b/versions/2/references" => Reply::ok(
                r#"[{"groupId": "h", "artifactId": "c", "version": "3", "name": "c.proto"}]"#,
            ),
            "search/versions?contentId=7&limit=1" | "search/versions?globalId=9&limit=1" => {
                Reply::ok(format!(r#"{{"count": 1, "versions": [{VERSION}]}}"#))
            }
            "groups/h/artifacts/c/versions/3/references" => Reply::ok("[]"),
            path if path.ends_with("/references") => Reply::ok(
                r#"[{"artifactId": "b", "version": "2", "name": "b.proto"},
                    {"groupId": "h", "artifactId": "c", "version": "3", "name": "c.proto"}]"#,
            ),
            _ if target.ends_with("/apis/ccompat/v7/schemas/ids/5") => {
                Reply::ok(r#"{"schema": "five", "schemaType": "JSON"}"#)
            }
            _ => Reply::new(404, "", ""),
        }
    }

    #[tokio::test]
    async fn every_kind_of_key_leads_to_its_documents_in_order() {
        let keys = [
            RegistryKey::ContentId(7),
            RegistryKey::GlobalId(9),
            RegistryKey::ContentHash("ab".into()),
            RegistryKey::Artifact(artifact("g/1", "a", "1.0")),
        ];
        for key in keys {
            let (result, compiled, targets) = look_up("/x", key.clone(), registry).await;
            assert!(result.is_ok(), "{key}: {result:?} {targets:?}");
            assert_eq!(compiled[0].format, SchemaFormat::Protobuf, "{key}");
            let names = compiled[0].references.iter().map(|it| (&*it.name, &*it.text));
            assert_eq!(names.collect::<Vec<_>>(), [("c.proto", "c"), ("b.proto", "b")], "{key}");
            assert!(targets.len() <= 7, "{targets:?}");
        }
        let id = RegistryKey::Id(crate::schema::SchemaId(5));
        let (result, compiled, _) = look_up("", id, registry).await;
        assert!(result.is_ok(), "{result:?}");
        assert_eq!((&*compiled[0].text, compiled[0].format), ("five", SchemaFormat::Json));
    }

    #[tokio::test]
    async fn the_url_may_be_that_of_the_server_or_of_one_of_its_apis() {
        let roots = ["", "/apis", "/apis/registry", "/apis/registry/v3", "/apis/ccompat/v7"];
        for root in roots {
            for before in ["", "/before"] {
                let path = format!("{before}{root}");
                let (result, _, targets) =
                    look_up(&path, RegistryKey::ContentId(7), registry).await;
                assert!(result.is_ok(), "{path}: {targets:?}");
                assert_eq!(targets[0], format!("{before}/apis/registry/v3/ids/contentIds/7"));
            }
        }
    }

    #[tokio::test]
    async fn every_answer_has_its_outcome() {
        fn versions(kind: &str) -> Reply {
            Reply::ok(format!(
                r#"{{"versions": [{{"artifactId": "a", "version": "1", "artifactType": "{kind}", "contentId": 7}}]}}"#
            ))
        }
        type Row = (fn(&str) -> Reply, &'static str);
        let table: &[Row] = &[
            (|_| Reply::new(404, "", ""), "not_found"),
            (|_| Reply::new(503, "", ""), "unavailable"),
            (|_| Reply::new(403, "", ""), "unavailable"),
            (|_| Reply::ok("[]"), "unavailable"),
            (|_| Reply::ok([0xff]), "invalid"),
            (
                |target| match target.rsplit('/').next() {
                    Some("references") => Reply::ok("[]"),
                    Some("7") => Reply::ok("x"),
                    _ => versions("OPENAPI"),
                },
                "invalid",
            ),
            (
                |target| match target.rsplit('/').next() {
                    Some("references") => Reply::ok("[]"),
                    Some("7") => Reply::ok("x"),
                    _ => versions("JSON"),
                },
                "found",
            ),
            // Leads back to itself.
            (
                |target| match target.rsplit('/').next() {
                    Some("references") => Reply::ok(r#"[{"artifactId": "b", "version": "1"}]"#),
                    Some("7" | "content") => Reply::ok("x"),
                    _ => versions("AVRO"),
                },
                "invalid",
            ),
            (
                |target| match target.rsplit('/').next() {
                    Some("references") => {
                        Reply::ok(r#"[{"artifactId": "..", "version": "branch=latest"}]"#)
                    }
                    Some("7") => Reply::ok("x"),
                    _ => versions("AVRO"),
                },
                "invalid",
            ),
        ];
        for (row, (answers, expected)) in table.iter().enumerate() {
            let (result, ..) = look_up("", RegistryKey::ContentId(7), *answers).await;
            let outcome = crate::schema::RequestOutcome::of(&result, None).label();
            assert_eq!(outcome, *expected, "row {row}: {result:?}");
        }
    }

    #[tokio::test]
    async fn what_names_no_single_version_is_refused_unasked() {
        for version in [artifact("g", "a", "branch=latest"), artifact("..", "a", "1")] {
            let (result, _, targets) =
                look_up("", RegistryKey::Artifact(version), |_| Reply::ok("x")).await;
            assert!(matches!(result, Err(SourceError::Invalid { .. })), "{result:?}");
            assert!(targets.is_empty(), "{targets:?}");
        }
    }
}
