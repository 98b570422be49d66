//! Under which subject a schema has to be registered to be used on a topic.

use std::sync::Arc;

use wildmatch::WildMatch;

/// How the subject is made of the topic and the record (`rules[].subjects`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SubjectStrategy {
    /// It does not matter.
    #[default]
    Any,
    /// The full name of the record.
    RecordName,
    /// The topic, and `-key` or `-value`.
    TopicName,
    /// The topic, a hyphen and the full name of the record.
    TopicRecordName,
}

/// The subjects under which a schema may be registered to be used on one side of the records of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WantedSubject {
    name: Name,
    /// Globs of further subjects.
    allowed: Arc<[String]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Exactly(String),
    OfRecord,
    OfTopicAndRecord(String),
    /// None but the further ones.
    Listed,
}

impl WantedSubject {
    /// What `strategy` makes of `topic` and of the side that `suffix` (`-key`, `-value`) stands for, and the globs `allowed`.
    /// `None`: every subject will do.
    #[must_use]
    pub fn new(
        strategy: SubjectStrategy,
        topic: &str,
        suffix: &str,
        allowed: &Arc<[String]>,
    ) -> Option<Self> {
        let name = match strategy {
            SubjectStrategy::Any if allowed.is_empty() => return None,
            SubjectStrategy::Any => Name::Listed,
            SubjectStrategy::RecordName => Name::OfRecord,
            SubjectStrategy::TopicName => Name::Exactly(format!("{topic}{suffix}")),
            SubjectStrategy::TopicRecordName => Name::OfTopicAndRecord(topic.to_owned()),
        };
        Some(Self { name, allowed: Arc::clone(allowed) })
    }

    /// Whether a schema whose records are called `records` will do where it is registered under `subjects`.
    #[must_use]
    pub fn is_met(&self, subjects: &[String], records: &[String]) -> bool {
        let names = self.names(records);
        subjects.iter().any(|subject| {
            names.contains(subject)
                || self.allowed.iter().any(|glob| WildMatch::new(glob).matches(subject))
        })
    }

    /// What is wanted, in words.
    #[must_use]
    pub fn expected(&self, records: &[String]) -> String {
        let mut names: Vec<_> = self.names(records);
        match self.name {
            // The other names are Apicurio's for the same.
            Name::OfRecord | Name::OfTopicAndRecord(_) if records.is_empty() => {
                names = vec!["the name of its record, which has none".to_owned()];
            }
            Name::OfRecord | Name::OfTopicAndRecord(_) => names.truncate(records.len()),
            Name::Exactly(_) | Name::Listed => {}
        }
        names.extend(self.allowed.iter().cloned());
        names.join(" or ")
    }

    /// The names that `records` give. Apicurio's clients make the namespace of a record its group, and the rest its artifact.
    fn names(&self, records: &[String]) -> Vec<String> {
        let prefix = match &self.name {
            Name::Exactly(name) => return vec![name.clone()],
            Name::Listed => return Vec::new(),
            Name::OfRecord => String::new(),
            Name::OfTopicAndRecord(topic) => format!("{topic}-"),
        };
        let whole = records.iter().map(|record| format!("{prefix}{record}"));
        let parted = records.iter().filter_map(|record| {
            let (namespace, name) = record.rsplit_once('.')?;
            Some(format!("{namespace}:{prefix}{name}"))
        });
        whole.chain(parted).collect()
    }

    /// What tells it from others: part of the spelling of a reference.
    pub(super) fn spelling(&self) -> String {
        let name = match &self.name {
            Name::Exactly(name) => format!("subject={name}"),
            Name::OfRecord => "record".to_owned(),
            Name::OfTopicAndRecord(topic) => format!("record&topic={topic}"),
            Name::Listed => "listed".to_owned(),
        };
        format!("{name}&allowed={}", self.allowed.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{
        ArtifactVersion, Fetched, Guid, RegistryAccess, RegistryApi, RegistryKey, RequestOutcome,
        SchemaId, SchemaRef, SchemaSource, SourceError,
        testing::{Reply, Server, settings, source, target},
    };

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_strategy_wants_its_subject() {
        use SubjectStrategy::{Any, RecordName, TopicName, TopicRecordName};
        let table: &[(SubjectStrategy, &[&str], &[&str], &str)] = &[
            (TopicName, &[], &["t-value"], "t-value"),
            (TopicName, &["shared-*"], &["t-value", "shared-x"], "t-value or shared-*"),
            (Any, &["a", "b?"], &["a", "b1"], "a or b?"),
            (RecordName, &[], &["a.b.R", "a.b:R"], "a.b.R"),
            (TopicRecordName, &[], &["t-a.b.R", "a.b:t-R"], "t-a.b.R"),
        ];
        let every = [
            "t-value",
            "t-key",
            "t",
            "shared-x",
            "a",
            "b1",
            "b",
            "a.b.R",
            "a.b:R",
            "R",
            "t-a.b.R",
            "a.b:t-R",
            "t-R",
            "",
            "u-value",
            "g:t-value",
        ];
        for (strategy, allowed, fitting, expected) in table {
            let allowed = texts(allowed).into();
            let wanted = WantedSubject::new(*strategy, "t", "-value", &allowed).unwrap();
            let records = texts(&["a.b.R"]);
            for subject in every {
                let met = wanted.is_met(&texts(&["other", subject]), &records);
                assert_eq!(met, fitting.contains(&subject), "{strategy:?} {subject}");
            }
            assert!(!wanted.is_met(&[], &records), "{strategy:?}");
            assert_eq!(wanted.expected(&records), *expected);
        }
        assert_eq!(WantedSubject::new(Any, "t", "-value", &texts(&[]).into()), None);
    }

    #[test]
    fn a_record_without_a_name_has_no_subject() {
        let none: Arc<[String]> = texts(&[]).into();
        for strategy in [SubjectStrategy::RecordName, SubjectStrategy::TopicRecordName] {
            let wanted = WantedSubject::new(strategy, "t", "-key", &none).unwrap();
            assert!(!wanted.is_met(&texts(&["t-", "", "t"]), &[]), "{strategy:?}");
            assert!(wanted.expected(&[]).contains("which has none"));
        }
    }

    /// What a source says to whoever wants `key` under `wanted`, and what it asked for that.
    async fn look_up(
        api: RegistryApi,
        key: RegistryKey,
        wanted: WantedSubject,
    ) -> (Result<Arc<Fetched>, SourceError>, Vec<String>) {
        let server = Server::start(|head| match target(head) {
            "/schemas/ids/1/subjects" | "/apis/ccompat/v7/schemas/ids/1/subjects" => {
                Reply::ok(r#"["t-value", "u-value"]"#)
            }
            "/schemas/ids/2/subjects" => Reply::ok("[]"),
            "/schemas/ids/3/subjects" => Reply::new(503, "", ""),
            "/schemas/guids/07070707-0707-0707-0707-070707070707/ids" => {
                Reply::ok(r#"[{"context": ":.other:", "id": 2}, {"context": ".", "id": 1}]"#)
            }
            path if path.contains("/search/versions?contentId=7&limit=") => Reply::ok(
                r#"{"versions": [
                    {"artifactId": "t-value", "version": "1", "artifactType": "AVRO", "contentId": 7},
                    {"groupId": "a.b", "artifactId": "R", "version": "1", "artifactType": "AVRO", "contentId": 7},
                    {"artifactId": "x-value", "version": "1", "artifactType": "AVRO", "contentId": 8}]}"#,
            ),
            path if path.ends_with("/subjects") => Reply::new(404, "", ""),
            path if path.ends_with("/references") => Reply::ok("[]"),
            path if path.contains("/registry/v3/groups/") && !path.ends_with("/content") => {
                Reply::ok(r#"{"artifactId": "t-value", "version": "1", "artifactType": "AVRO"}"#)
            }
            path if path.contains("/registry/v3/") => Reply::ok(RECORD),
            path if path.contains("/schemas/") => {
                Reply::ok(serde_json::json!({"schema": RECORD}).to_string())
            }
            _ => Reply::new(404, "", ""),
        })
        .await;
        let mut settings = settings(&server.url);
        settings.access = RegistryAccess { api, ..RegistryAccess::default() };
        let registered = SchemaRef::Registered { registry: server.url.as_str().into(), key };
        let reference = registered.under(&Arc::new(wanted)).unwrap();
        let found = source(&settings).0.find(&reference, None).await;
        (found, server.targets())
    }

    const RECORD: &str = r#"{"type": "record", "name": "R", "namespace": "a.b", "fields": []}"#;

    #[tokio::test]
    async fn a_schema_is_found_under_the_subjects_that_its_registry_says() {
        use SubjectStrategy::{RecordName, TopicName};
        let artifact = |group: &str, artifact: &str| {
            let [group, artifact, version] = [group, artifact, "1"].map(Into::into);
            RegistryKey::Artifact(ArtifactVersion { group, artifact, version })
        };
        let id = |id| RegistryKey::Id(SchemaId(id));
        let (confluent, apicurio) = (RegistryApi::Confluent, RegistryApi::Apicurio);
        let table = [
            (&confluent, id(1), TopicName, "t", "found"),
            (&confluent, id(1), TopicName, "u", "found"),
            (&confluent, id(1), TopicName, "x", "not_allowed"),
            (&confluent, id(2), TopicName, "t", "not_allowed"),
            (&confluent, id(3), TopicName, "t", "unavailable"),
            (&confluent, id(4), TopicName, "t", "not_found"),
            (&confluent, RegistryKey::Guid(Guid([7; 16])), TopicName, "t", "found"),
            (&confluent, RegistryKey::Guid(Guid([7; 16])), TopicName, "x", "not_allowed"),
            (&apicurio, RegistryKey::ContentId(7), TopicName, "t", "found"),
            (&apicurio, RegistryKey::ContentId(7), TopicName, "x", "not_allowed"),
            (&apicurio, RegistryKey::ContentId(7), RecordName, "x", "found"),
            (&apicurio, RegistryKey::ContentHash("ab".into()), TopicName, "t", "not_allowed"),
            (&apicurio, artifact("default", "t-value"), TopicName, "t", "found"),
            (&apicurio, artifact("mine", "t-value"), TopicName, "t", "not_allowed"),
            (&apicurio, id(1), TopicName, "t", "found"),
        ];
        let none: Arc<[String]> = texts(&[]).into();
        for (api, key, strategy, topic, expected) in table {
            let wanted = WantedSubject::new(strategy, topic, "-value", &none).unwrap();
            let (found, targets) = look_up(api.clone(), key.clone(), wanted).await;
            let outcome = RequestOutcome::of(&found, None).label();
            assert_eq!(outcome, expected, "{key} on {topic}: {found:?} {targets:?}");
        }
    }

    #[tokio::test]
    async fn a_refusal_says_where_the_schema_is_and_where_it_was_expected() {
        let allowed = texts(&["shared-*"]).into();
        let wanted = WantedSubject::new(SubjectStrategy::TopicName, "x", "-value", &allowed);
        let key = RegistryKey::Id(SchemaId(1));
        let (found, _) = look_up(RegistryApi::Confluent, key, wanted.unwrap()).await;
        assert_eq!(
            found.unwrap_err().to_string(),
            "registered under subject t-value, u-value, not under x-value or shared-*"
        );
    }
}
