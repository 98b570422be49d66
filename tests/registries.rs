//! Look-ups at a real Apicurio Registry, through its own API and through Confluent's, and the proxy in front of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should fail")]

mod support;

use schemaward::{
    app,
    config::Config,
    metrics::Metrics,
    schema::{
        ArtifactVersion, References, RegistryKey, Resolution, SchemaFormat, SchemaId, SchemaRef,
        SourceError,
    },
};
use serde_json::json;
use support::{
    apicurio::{self, Apicurio},
    batch_builder::{TestBatch, TestRecord},
    broker::FakeBroker,
    client::{Client, Produce, only},
    proxy::{self, Proxy},
};

const ADDRESS: &str = r#"{"type":"record","name":"Address","namespace":"example","fields":[{"name":"street","type":"string"}]}"#;
/// `{"name": "Ada", "address": {"street": "Elm"}}` in binary, for [`user`].
const ADA: &[u8] = b"\x06Ada\x06Elm";

/// A schema that refers to [`ADDRESS`]; `doc` tells it from those of other tests.
fn user(doc: &str) -> String {
    json!({"type": "record", "name": "User", "namespace": "example", "doc": doc, "fields": [
        {"name": "name", "type": "string"}, {"name": "address", "type": "example.Address"}
    ]})
    .to_string()
}

/// What a proxy with this registry finds.
async fn resolve(registry: &str, reference: impl Fn(&References) -> SchemaRef) -> Resolution {
    proxy::install_crypto();
    let file = format!("upstream: {{bootstrap: [k:1]}}\nregistry: {registry}\n");
    let config = Config::parse(&file, "test.yaml", std::iter::empty()).unwrap();
    let (_drain, draining) = tokio::sync::watch::channel(false);
    let metrics = Metrics::new(10);
    let source = app::schema_source(&config, &metrics).unwrap();
    let gateway = app::gateway(source, &config, metrics, draining);
    let reference = reference(&References::new(&config.registry));
    let judging = gateway.judging.load_full();
    judging.judge.schemas().resolve(&reference).await
}

async fn by_key(apicurio: &Apicurio, key: RegistryKey) -> Resolution {
    let registry = format!("{{url: '{}', api: apicurio}}", apicurio.url());
    resolve(&registry, |references| references.registered(key.clone()).unwrap()).await
}

/// Asserts that the right documents came, whether or not schemas in that language are supported.
fn assert_found(found: &Resolution, format: SchemaFormat, what: &str) {
    let schema = found.as_ref().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(schema.format(), format, "{what}");
}

#[tokio::test]
#[ignore = "needs Apicurio; scripts/full runs it"]
async fn every_kind_of_id_leads_to_what_was_registered_through_its_own_api() {
    let Some(apicurio) = apicurio::shared() else { return };
    let none = json!([]);
    apicurio.register("people", "own-address", "AVRO", ADDRESS, &none);
    let to_address = json!([{"groupId": "people", "artifactId": "own-address", "version": "1", "name": "example.Address"}]);
    let json_schema = r#"{"$schema": "http://json-schema.org/draft-07/schema#", "title": "Own"}"#;
    let imported = "syntax = \"proto3\"; package own; message Part {}";
    apicurio.register("default", "own-part", "PROTOBUF", imported, &none);
    let to_part = json!([{"artifactId": "own-part", "version": "1", "name": "part.proto"}]);
    let proto =
        "syntax = \"proto3\"; package own; import \"part.proto\"; message Whole { Part part = 1; }";
    let table = [
        ("people", "own-user", "AVRO", user("own"), &to_address, SchemaFormat::Avro),
        ("default", "own-json", "JSON", json_schema.to_owned(), &none, SchemaFormat::Json),
        ("default", "own-proto", "PROTOBUF", proto.to_owned(), &to_part, SchemaFormat::Protobuf),
        ("a%20b", "own%2Fstring", "AVRO", "\"string\"".to_owned(), &none, SchemaFormat::Avro),
    ];
    for (group, artifact, kind, content, references, format) in table {
        let name = artifact.replace("%2F", "/");
        let version = apicurio.register(group, &name, kind, &content, references);
        let number = |name: &str| version[name].as_i64().unwrap();
        let artifact = ArtifactVersion {
            group: group.replace("%20", " ").into(),
            artifact: name.as_str().into(),
            version: "1".into(),
        };
        let content_id = u32::try_from(number("contentId")).unwrap();
        let mut keys = vec![
            RegistryKey::GlobalId(number("globalId")),
            RegistryKey::ContentId(number("contentId")),
            RegistryKey::Artifact(artifact),
        ];
        // Its Confluent API does not say which group a reference is to.
        if *references != to_address {
            keys.push(RegistryKey::Id(SchemaId(content_id)));
        }
        // With references the hash is one of more than the content.
        if *references == none {
            let hash = ring::digest::digest(&ring::digest::SHA256, content.as_bytes());
            let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            keys.push(RegistryKey::ContentHash(hash.into()));
        }
        for key in keys {
            assert_found(&by_key(apicurio, key.clone()).await, format, &key.to_string());
        }
    }
    for key in [
        RegistryKey::GlobalId(999_999),
        RegistryKey::ContentId(999_999),
        RegistryKey::ContentHash("ab".into()),
        RegistryKey::Id(SchemaId(999_999)),
    ] {
        let found = by_key(apicurio, key.clone()).await;
        assert!(matches!(found, Err(SourceError::NotFound { .. })), "{key}: {found:?}");
    }
}

#[tokio::test]
#[ignore = "needs Apicurio; scripts/full runs it"]
async fn ids_of_the_confluent_api_lead_to_the_same_schemas_by_either_api() {
    let Some(apicurio) = apicurio::shared() else { return };
    apicurio.register_subject("compat-address", &json!({"schema": ADDRESS}));
    let references =
        json!([{"name": "example.Address", "subject": "compat-address", "version": 1}]);
    let table = [
        (json!({"schema": user("compat"), "references": references}), SchemaFormat::Avro),
        (
            json!({"schemaType": "JSON", "schema": r#"{"$schema": "http://json-schema.org/draft-07/schema#", "title": "C"}"#}),
            SchemaFormat::Json,
        ),
        (
            json!({"schemaType": "PROTOBUF", "schema": "syntax = \"proto3\"; package compat; message M {}"}),
            SchemaFormat::Protobuf,
        ),
    ];
    for (at, (schema, format)) in table.iter().enumerate() {
        let id = apicurio.register_subject(&format!("compat-{at}"), schema);
        for registry in [
            format!("{{url: '{}', api: apicurio}}", apicurio.url()),
            format!("{{url: '{}/apis/registry/v3', api: apicurio}}", apicurio.url()),
            format!("{{url: '{}/apis/ccompat/v7'}}", apicurio.url()),
            format!("{{url: '{}/apis/ccompat/v8'}}", apicurio.url()),
        ] {
            let found = resolve(&registry, |references| {
                references.registered(RegistryKey::Id(SchemaId(id))).unwrap()
            });
            assert_found(&found.await, *format, &registry);
        }
    }
}

/// A proxy between a broker that says yes and the registry.
struct World {
    broker: FakeBroker,
    client: Client,
    _proxy: Proxy,
}

impl World {
    async fn new(registry: &str, rule: &str) -> Self {
        let broker = FakeBroker::start().await;
        let more = format!("default_rule: {rule}\n");
        let proxy = Proxy::start(&[broker.address()], registry, &more).await;
        let client = Client::connect(&proxy.node(1)).await;
        Self { broker, client, _proxy: proxy }
    }

    /// Sends one record and gives what is wrong with it, if it was refused: then the broker has not seen it, and else it has.
    async fn produce(&mut self, topic: &str, record: TestRecord) -> Option<String> {
        let before = self.broker.received().len();
        let batch = TestBatch::of([record]).encode();
        let response = self.client.produce(9, &Produce::to(topic, 0, batch.clone())).await;
        let partition = only(&response);
        let received = self.broker.received();
        if partition.error_code == 0 {
            assert_eq!(received.len(), before + 1);
            assert_eq!(received.last().unwrap().record_set.as_deref(), Some(&batch[..]));
            return None;
        }
        assert_eq!((partition.error_code, received.len()), (87, before));
        Some(partition.error_message.as_ref().map(ToString::to_string).unwrap_or_default())
    }
}

fn framed(id: u32, datum: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), datum].concat()
}

/// Registers a user for the subject, which is [`user`]'s, and gives its id.
fn registered(apicurio: &Apicurio, subject: &str) -> u32 {
    apicurio.register_subject(&format!("{subject}-address"), &json!({"schema": ADDRESS}));
    let references =
        json!([{"name": "example.Address", "subject": format!("{subject}-address"), "version": 1}]);
    apicurio.register_subject(subject, &json!({"schema": user(subject), "references": references}))
}

#[tokio::test]
#[ignore = "needs Apicurio; scripts/full runs it"]
async fn records_that_name_schemas_in_apicurios_headers_are_judged() {
    let Some(apicurio) = apicurio::shared() else { return };
    let address = apicurio.register("default", "headers-address", "AVRO", ADDRESS, &json!([]));
    let registry = format!("{}\n  api: apicurio", apicurio.url());
    let mut world = World::new(&registry, "{conventions: [apicurio_headers]}").await;
    for name in ["globalId", "contentId"] {
        let header = format!("apicurio.value.{name}");
        let id = address[name].as_i64().unwrap();
        let record =
            |id: i64, datum: &[u8]| TestRecord::bare(datum).header(&header, id.to_be_bytes());
        assert_eq!(world.produce("headers", record(id, b"\x06Elm")).await, None, "{name}");
        let refused = world.produce("headers", record(id, b"\x06El")).await.unwrap();
        assert!(refused.starts_with("payload_invalid"), "{refused}");
        let refused = world.produce("headers", record(999_999, b"\x06Elm")).await.unwrap();
        assert!(refused.starts_with("schema_not_found"), "{refused}");
    }
}

#[tokio::test]
#[ignore = "needs Apicurio; scripts/full runs it"]
async fn records_with_confluents_prefix_are_judged_against_its_confluent_api() {
    let Some(apicurio) = apicurio::shared() else { return };
    let id = registered(apicurio, "prefix-value");
    let registry = format!("{}/apis/ccompat/v7", apicurio.url());
    let mut world = World::new(&registry, "{conventions: [confluent_prefix]}").await;
    assert_eq!(world.produce("prefix", TestRecord::bare(framed(id, ADA))).await, None);
    let refused = world.produce("prefix", TestRecord::bare(framed(id, b"\x06Ada"))).await.unwrap();
    assert!(refused.starts_with("payload_invalid"), "{refused}");
    let refused = world.produce("prefix", TestRecord::bare(framed(999_999, ADA))).await.unwrap();
    assert!(refused.starts_with("schema_not_found"), "{refused}");
}

#[tokio::test]
#[ignore = "needs Apicurio; scripts/full runs it"]
async fn a_schema_serves_the_topics_of_its_subjects_only() {
    let Some(apicurio) = apicurio::shared() else { return };
    let id = registered(apicurio, "orders-value");
    for registry in [
        format!("{}/apis/ccompat/v7", apicurio.url()),
        format!("{}\n  api: apicurio", apicurio.url()),
    ] {
        let rule = |more: &str| format!("{{conventions: [confluent_prefix], {more}}}");
        let good = || TestRecord::bare(framed(id, ADA));
        let mut world = World::new(&registry, &rule("subjects: topic_name")).await;
        assert_eq!(world.produce("orders", good()).await, None);
        let refused = world.produce("payments", good()).await.unwrap();
        assert!(refused.starts_with("schema_not_allowed"), "{refused}");
        assert!(
            refused.contains("under subject orders-value, not under payments-value"),
            "{refused}"
        );
        // The same bytes as a key want another subject.
        let keys = "subjects: topic_name, key_conventions: [confluent_prefix]";
        let mut world = World::new(&registry, &rule(keys)).await;
        let refused = world.produce("orders", good().key(framed(id, ADA))).await.unwrap();
        assert!(refused.contains("key: ") && refused.contains("not under orders-key"), "{refused}");

        let mut world = World::new(&registry, &rule("allow_subjects: ['ord*-value']")).await;
        assert_eq!(world.produce("payments", good()).await, None);
        let mut world = World::new(&registry, &rule("subjects: record_name")).await;
        let refused = world.produce("orders", good()).await.unwrap();
        assert!(refused.contains("not under example.User"), "{refused}");
    }
}

#[tokio::test]
#[ignore = "needs Apicurio; scripts/full runs it"]
async fn a_subject_that_is_added_later_counts_once_its_absence_is_no_longer_believed() {
    let Some(apicurio) = apicurio::shared() else { return };
    let schema = json!({"schema": r#"{"type":"record","name":"later.Added","fields":[]}"#});
    let id = apicurio.register_subject("before", &schema);
    let registry = format!("{}/apis/ccompat/v7\n  cache: {{negative_ttl: 0s}}", apicurio.url());
    let rule = "{conventions: [confluent_prefix], subjects: topic_record_name}";
    let mut world = World::new(&registry, rule).await;
    let record = || TestRecord::bare(framed(id, b""));
    let refused = world.produce("after", record()).await.unwrap();
    assert!(refused.contains("not under after-later.Added"), "{refused}");
    assert_eq!(apicurio.register_subject("after-later.Added", &schema), id);
    assert_eq!(world.produce("after", record()).await, None);
}

#[tokio::test]
#[ignore = "needs Apicurio; scripts/full runs it"]
async fn what_is_to_be_warmed_up_is_known_before_a_record_needs_it() {
    let Some(apicurio) = apicurio::shared() else { return };
    let id = registered(apicurio, "warm-value");
    let other = apicurio.register_subject("cold-value", &json!({"schema": "\"long\""}));
    let registry = format!("{}\n  api: apicurio\n  warm_up: ['warm-*', '{other}']", apicurio.url());
    let rule = "{conventions: [confluent_prefix], subjects: topic_name}";
    let broker = FakeBroker::start().await;
    let proxy =
        Proxy::start(&[broker.address()], &registry, &format!("default_rule: {rule}\n")).await;
    // Two subjects by two kinds of id each, and one id.
    while proxy.metric("schemaward_registry_requests_total{outcome=\"found\"}") < 5.0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let misses = || proxy.metric("schemaward_schema_cache_misses_total");
    let before = misses();
    let mut client = Client::connect(&proxy.node(1)).await;
    let batch = TestBatch::of([TestRecord::bare(framed(id, ADA))]).encode();
    let response = client.produce(9, &Produce::to("warm", 0, batch)).await;
    assert_eq!(only(&response).error_code, 0);
    assert!((misses() - before).abs() < 0.5, "it was known");
}
