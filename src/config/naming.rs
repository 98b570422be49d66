//! How records name their schemas: the section `metadata` and the conventions of rules.

use super::{
    section::{Given, Located, Section},
    sections::plain,
    values::{text, word},
};
use crate::validate::{
    convention::{Convention, Conventions},
    metadata::{ApicurioNames, HeaderNames},
};

/// The section `metadata`.
pub(super) fn metadata(mut section: Section<'_>) -> HeaderNames {
    let default = HeaderNames::default();
    let content_type = content_types(&mut section, "content_type", default.content_type);
    let key_content_type =
        content_types(&mut section, "key_content_type", default.key_content_type);
    let mut name = |key, default| section.or(key, default, text());
    let names = HeaderNames {
        content_type,
        schema_id: name("schema_id", default.schema_id),
        key_content_type,
        key_schema_id: name("key_schema_id", default.key_schema_id),
        confluent_schema_id: name("confluent_schema_id", default.confluent_schema_id),
        confluent_key_schema_id: name("confluent_key_schema_id", default.confluent_key_schema_id),
        azure_schema_id: name("azure_schema_id", default.azure_schema_id),
        cloudevents_dataschema: name("cloudevents_dataschema", default.cloudevents_dataschema),
        apicurio: apicurio(section.section("apicurio"), default.apicurio),
        apicurio_key: apicurio(section.section("apicurio_key"), default.apicurio_key),
    };
    if let Some(both) = names.of_value_and_key() {
        let message = format!("{both} cannot be about the value and about the key");
        section.fail(&section.origin().clone(), "key_schema_id", message);
    }
    section.finish();
    names
}

fn content_types(
    section: &mut Section<'_>,
    key: &'static str,
    default: Vec<String>,
) -> Vec<String> {
    match section.list(key, text()) {
        Given::Value(names) if names.value.is_empty() => {
            section.fail(&names.origin, key, "must name at least one header");
            default
        }
        given => given.value().map_or(default, plain),
    }
}

fn apicurio(mut section: Section<'_>, default: ApicurioNames) -> ApicurioNames {
    let mut name = |key, default| section.or(key, default, text());
    let names = ApicurioNames {
        global_id: name("global_id", default.global_id),
        content_id: name("content_id", default.content_id),
        content_hash: name("content_hash", default.content_hash),
        group_id: name("group_id", default.group_id),
        artifact_id: name("artifact_id", default.artifact_id),
        version: name("version", default.version),
        encoding: name("encoding", default.encoding),
    };
    section.finish();
    names
}

/// `conventions` of a rule.
pub(super) fn conventions(section: &mut Section<'_>) -> Conventions {
    let key = "conventions";
    match section.list(key, word(&Convention::WORDS)) {
        Given::Value(list) if list.value.is_empty() => {
            section.fail(&list.origin, key, "must name at least one convention");
            Conventions::default()
        }
        Given::Value(list) => checked(section, key, list.value),
        Given::Absent | Given::Faulty => Conventions::default(),
    }
}

/// `key_conventions` of a rule; empty, keys are not looked at.
pub(super) fn key_conventions(section: &mut Section<'_>) -> Option<Conventions> {
    let key = "key_conventions";
    let list = section.list(key, word(&Convention::WORDS)).value()?;
    for located in list.iter().filter(|located| !located.value.names_keys()) {
        section.fail(&located.origin, key, "azure and cloudevents say nothing about keys");
    }
    (!list.is_empty()).then(|| checked(section, key, list))
}

fn checked(
    section: &Section<'_>,
    key: &'static str,
    list: Vec<Located<Convention>>,
) -> Conventions {
    let prefixes = list.iter().filter(|located| located.value.is_prefix());
    if let Some(second) = prefixes.skip(1).find(|it| Some(it.value) != first_prefix(&list)) {
        let message = "at most one convention can stand before the value: nothing says which it is";
        section.fail(&second.origin, key, message);
    }
    Conventions::new(&plain(list))
}

fn first_prefix(list: &[Located<Convention>]) -> Option<Convention> {
    list.iter().map(|located| located.value).find(|it| it.is_prefix())
}
