//! Each convention, byte by byte: what is accepted, what is refused and why.

use std::sync::Arc;

use super::*;
use crate::{
    limits::{RecordLimits, SchemaLimits},
    protobuf::UnknownFields,
    record::{
        Unlimited,
        builder::{Flavour, OwnedRecord, batch},
    },
    schema::{
        CacheSettings, Documents, Fetched, Lookup, RegistryAccess, RegistryApi, RegistrySettings,
        Schema, SchemaCache, SchemaFormat, SchemaSource, SourceError,
    },
    validate::{
        judge::{Judge, Resolved, Workspace},
        metadata::HeaderNames,
        policy::{RuleSettings, TopicPolicy},
    },
};

const GUID: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

/// Is never asked: these tests hand in what was looked up.
struct Nobody;

impl SchemaSource for Nobody {
    fn find<'a>(&'a self, _: &'a SchemaRef, _: Option<&'a Fetched>) -> Lookup<'a> {
        Box::pin(async { Err(SourceError::NotFound { detail: "there is none".into() }) })
    }
}

struct Bench {
    judge: Judge,
    resolved: Resolved,
}

impl Bench {
    /// A registry at `http://registry` in which every schema that the tests name is a record of one `boolean`, but for id
    /// 7, a `string`.
    fn new() -> Self {
        let url = Some("http://registry".parse().unwrap());
        // Of all kinds of registries, a folder knows every kind of reference.
        let api = RegistryApi::Directory { path: "schemas".into() };
        let access = RegistryAccess { api, ..RegistryAccess::default() };
        let settings = RegistrySettings { url, access, ..RegistrySettings::default() };
        let references = References::new(&settings);
        let cache = SchemaCache::new(Arc::new(Nobody), CacheSettings::default(), Arc::new(()));
        let compiled = |text: &str| {
            let text = text.to_owned();
            let documents = Documents { format: SchemaFormat::Avro, text, references: Vec::new() };
            Arc::new(Schema::compile(&documents, &SchemaLimits::default()).unwrap())
        };
        let (boolean, string) = (compiled("\"boolean\""), compiled("\"string\""));
        let id = |id| RegistryKey::Id(SchemaId(id));
        let artifact = |group: &str| {
            let (group, artifact, version) = (group.into(), "users".into(), "3".into());
            RegistryKey::Artifact(ArtifactVersion { group, artifact, version })
        };
        let keys = [
            id(42),
            id(0),
            RegistryKey::Guid(Guid(GUID)),
            RegistryKey::GlobalId(42),
            RegistryKey::ContentId(42),
            RegistryKey::ContentHash("abc".into()),
            RegistryKey::Fingerprint(0x0807_0605_0403_0201),
            artifact("default"),
            artifact("shop"),
        ];
        let reference = |key| references.registered(key).unwrap();
        let mut resolved: Resolved =
            keys.into_iter().map(|key| (reference(key), Ok(Arc::clone(&boolean)))).collect();
        let document = references.parse(b"http://registry/users.avsc").unwrap();
        resolved.insert(document, Ok(Arc::clone(&boolean)));
        resolved.insert(reference(id(7)), Ok(string));
        Self { judge: Judge::new(references, cache, RecordLimits::default()), resolved }
    }

    /// `ok`, `?`, or the message of the one record.
    fn judged(&self, rule: &RuleSettings, record: &OwnedRecord) -> String {
        let policy = TopicPolicy::new(rule, &HeaderNames::default());
        let bytes = batch(Flavour::Plain, std::slice::from_ref(record));
        let mut workspace = Workspace::default();
        let again = batch(Flavour::Plain, &[record.clone(), record.clone()]);
        let mut walk = |bytes: &[u8]| {
            let judge = &self.judge;
            judge.walk(bytes, &policy, &self.resolved, &mut workspace, &mut Unlimited).unwrap()
        };
        let (verdict, twice) = (walk(&bytes), walk(&again));
        assert_eq!(verdict.rejected_records() * 2, twice.rejected_records(), "the memo lies");
        match (verdict.rejected(), verdict.unknown_records()) {
            ([rejected], _) => rejected.message().replacen("record 0: ", "", 1),
            (_, 0) => "ok".into(),
            _ => "?".into(),
        }
    }
}

fn accepts(list: &[Convention]) -> RuleSettings {
    RuleSettings { conventions: Conventions::new(list), ..RuleSettings::default() }
}

/// Headers, value, verdict.
type Row = (&'static [(&'static str, &'static [u8])], &'static [u8], &'static str);

fn assert_rows(conventions: &[Convention], rows: &[Row]) {
    let bench = Bench::new();
    let judged = rows.iter().map(|(headers, value, _)| {
        let with = |record: OwnedRecord, (key, value): &(&str, &[u8])| record.with(key, *value);
        let record = headers.iter().fold(OwnedRecord::of(*value), with);
        bench.judged(&accepts(conventions), &record)
    });
    let expected = rows.iter().map(|(.., expected)| *expected);
    assert_eq!(judged.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{conventions:?}");
}

#[test]
fn confluents_prefix_is_an_id_or_a_guid() {
    let rows: &[Row] = &[
        (&[], b"\0\0\0\0\x2a\x01", "ok"),
        (&[], b"\x01\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x01", "ok"),
        (&[], b"\0\0\0\0\0\x01", "ok"),
        (&[], b"\0\0\0\0\x2a", "payload_invalid: boolean at byte 0: boolean takes 1 byte, 0 left"),
        (
            &[],
            b"\0\0\0\0\x2a\x01\x01",
            "payload_trailing_bytes: boolean at byte 1: 1 byte left over",
        ),
        (&[], b"\0\0\0\0", "malformed_schema_id: Confluent's prefix is not whole: 4 bytes in all"),
        (
            &[],
            b"\x01\x01\x02",
            "malformed_schema_id: Confluent's prefix is not whole: 3 bytes in all",
        ),
        (&[], b"\0\x80\0\0\0\x01", "malformed_schema_id: schema id \"0080000000\" cannot be read"),
        (
            &[],
            b"\x02\0\0\0\x2a\x01",
            "missing_schema_id: it does not begin with Confluent's prefix",
        ),
        (&[], b"", "missing_schema_id: it does not begin with Confluent's prefix"),
        (&[], b"\0\0\0\0\x2b\x01", "?"),
        // What the topic does not accept is not looked at.
        (&[("content-type", b"text/plain"), ("schema-id", b"7")], b"\0\0\0\0\x2a\x01", "ok"),
    ];
    assert_rows(&[Convention::ConfluentPrefix], rows);
}

#[test]
fn where_a_header_names_a_schema_nothing_is_taken_off_the_value() {
    let both = [Convention::Headers, Convention::ConfluentPrefix];
    let own: &[(&str, &[u8])] = &[("content-type", b"avro"), ("schema-id", b"42")];
    let rows: &[Row] = &[
        (own, b"\x01", "ok"),
        (own, b"\0\0\0\0\x2a\x01", "payload_trailing_bytes: boolean at byte 1: 5 bytes left over"),
        (&[], b"\0\0\0\0\x2a\x01", "ok"),
        (&[("content-type", b"application/octet-stream")], b"\0\0\0\0\x2a\x01", "ok"),
        (&[("schema-id", b"42")], b"\x01", "missing_content_type: no content-type header"),
    ];
    assert_rows(&both, rows);
}

#[test]
fn confluents_header_is_an_id_or_a_guid() {
    const GUID_HEADER: &[u8] =
        b"\x01\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10";
    let rows: &[Row] = &[
        (&[("__value_schema_id", GUID_HEADER)], b"\x01", "ok"),
        (&[("__value_schema_id", b"\0\0\0\0\x2a")], b"\x01", "ok"),
        (
            &[("__value_schema_id", b"\0\0\0\0\x2a")],
            b"\x02",
            "payload_invalid: boolean at byte 0: boolean byte 2, must be 0 or 1",
        ),
        (
            &[("__value_schema_id", b"\0\0\0\x2a")],
            b"\x01",
            "malformed_schema_id: schema id \"0000002a\" cannot be read",
        ),
        (
            &[("__value_schema_id", b"42")],
            b"\x01",
            "malformed_schema_id: schema id \"42\" cannot be read",
        ),
        (
            &[("__value_schema_id", b"")],
            b"\x01",
            "malformed_schema_id: schema id \"\" cannot be read",
        ),
        (
            &[("__key_schema_id", GUID_HEADER)],
            b"\x01",
            "missing_schema_id: no __value_schema_id header",
        ),
    ];
    assert_rows(&[Convention::ConfluentHeaders], rows);
}

#[test]
fn apicurios_headers_are_ids_a_hash_or_an_artifact() {
    const ID: &[u8] = b"\0\0\0\0\0\0\0\x2a";
    const GLOBAL: (&str, &[u8]) = ("apicurio.value.globalId", ID);
    const CONTENT: (&str, &[u8]) = ("apicurio.value.contentId", ID);
    const GROUP: (&str, &[u8]) = ("apicurio.value.groupId", b"shop");
    const ARTIFACT: (&str, &[u8]) = ("apicurio.value.artifactId", b"users");
    const VERSION: (&str, &[u8]) = ("apicurio.value.version", b"3");
    let rows: &[Row] = &[
        (&[GLOBAL], b"\x01", "ok"),
        (&[CONTENT], b"\x01", "ok"),
        (&[GLOBAL, CONTENT], b"\x01", "ok"),
        (&[("apicurio.value.contentHash", b"abc")], b"\x01", "ok"),
        (&[ARTIFACT, VERSION], b"\x01", "ok"),
        (&[GROUP, ARTIFACT, VERSION], b"\x01", "ok"),
        (&[GLOBAL, GROUP, ARTIFACT], b"\x01", "ok"),
        (
            &[GROUP, ARTIFACT],
            b"\x01",
            "malformed_schema_id: schema id \"shop/users/\" cannot be read",
        ),
        (
            &[("apicurio.value.globalId", b"\0\0\0\x2a")],
            b"\x01",
            "malformed_schema_id: schema id \"0000002a\" cannot be read",
        ),
        (&[GLOBAL, ("apicurio.value.encoding", b"JSON")], b"true", "ok"),
        (&[GLOBAL, ("apicurio.value.encoding", b"BINARY")], b"\x01", "ok"),
        (
            &[GLOBAL, ("apicurio.value.encoding", b"XML")],
            b"\x01",
            "unsupported_content_type: encoding \"XML\" is not understood",
        ),
        (&[], b"\x01", "missing_schema_id: no apicurio.value.globalId header"),
    ];
    assert_rows(&[Convention::ApicurioHeaders], rows);
}

#[test]
fn apicurios_prefixes_have_the_width_that_the_topic_says() {
    let short: &[Row] = &[
        (&[], b"\0\0\0\0\x2a\x01", "ok"),
        (&[], b"\0\0\0\0\0\0\0\0\x2a\x01", "?"),
        (&[], b"\0\0\0", "malformed_schema_id: Apicurio's prefix is not whole: 3 bytes in all"),
        (&[], b"\x01\0\0\0\x2a\x01", "missing_schema_id: it does not begin with Apicurio's prefix"),
    ];
    assert_rows(&[Convention::ApicurioPrefix], short);
    let long: &[Row] = &[
        (&[], b"\0\0\0\0\0\0\0\0\x2a\x01", "ok"),
        (
            &[],
            b"\0\0\0\0\x2a\x01",
            "malformed_schema_id: Apicurio's prefix is not whole: 6 bytes in all",
        ),
    ];
    assert_rows(&[Convention::ApicurioPrefix64], long);
    let any: &[Row] = &[
        (&[], b"\0\0\0\0\0\0\0\0\x2a\x01", "ok"),
        (&[], b"\0\0\0\0\x2a\x01", "ok"),
        (
            &[],
            b"\0\0\0\0\x2a\x01\0\0\0\0\0",
            "payload_trailing_bytes: boolean at byte 1: 5 bytes left over",
        ),
    ];
    assert_rows(&[Convention::ApicurioPrefixAny], any);
}

#[test]
fn azure_names_the_schema_in_the_content_type_or_beside_json() {
    let rows: &[Row] = &[
        (&[("content-type", b"avro/binary+0102030405060708090A0B0C0D0E0F10")], b"\x01", "ok"),
        (&[("content-type", b"Avro/Binary+01020304-0506-0708-090a-0b0c0d0e0f10")], b"\x01", "ok"),
        (
            &[("content-type", b"avro/binary+deadbeef")],
            b"\x01",
            "malformed_schema_id: schema id \"deadbeef\" cannot be read",
        ),
        (&[("content-type", b"avro/binary")], b"\x01", "missing_schema_id: no schemaId header"),
        (
            &[
                ("content-type", b"application/json"),
                ("schemaId", b"0102030405060708090a0b0c0d0e0f10"),
            ],
            b"true",
            "ok",
        ),
        (&[("schemaId", b"0102030405060708090a0b0c0d0e0f10")], b"\x01", "ok"),
    ];
    assert_rows(&[Convention::Azure], rows);
    let default: &[Row] = &[(
        &[("content-type", b"avro/binary+0102030405060708090A0B0C0D0E0F10"), ("schema-id", b"42")],
        b"\x01",
        "unsupported_content_type: content type \"avro/binary+0102030405060708090A0B0C0D0E0F10\" is not understood",
    )];
    assert_rows(&[Convention::Headers], default);
}

#[test]
fn cloudevents_name_the_schema_in_an_attribute() {
    let rows: &[Row] = &[
        (
            &[
                ("content-type", b"application/avro"),
                ("ce_specversion", b"1.0"),
                ("ce_dataschema", b"http://registry/users.avsc"),
            ],
            b"\x01",
            "ok",
        ),
        (
            &[("content-type", b"application/json"), ("ce_dataschema", b"/users.avsc")],
            b"true",
            "ok",
        ),
        (
            &[("content-type", b"application/cloudevents+json"), ("ce_dataschema", b"/users.avsc")],
            b"true",
            "unsupported_content_type: content type \"application/cloudevents+json\" is not understood",
        ),
        (
            &[("ce_dataschema", b"/users.avsc")],
            b"\x01",
            "missing_content_type: no content-type header",
        ),
        (
            &[
                ("content-type", b"application/avro"),
                ("ce_dataschema", b"https://elsewhere/users.avsc"),
            ],
            b"\x01",
            "schema_not_allowed: origin https://elsewhere is not allowed",
        ),
        (
            &[("content-type", b"application/avro")],
            b"\x01",
            "missing_schema_id: no ce_dataschema header",
        ),
    ];
    assert_rows(&[Convention::CloudEvents], rows);
}

#[test]
fn glues_prefix_says_whether_the_rest_is_compressed() {
    fn framed(compression: u8, rest: &[u8]) -> Vec<u8> {
        [&[3, compression], &GUID[..], rest].concat()
    }
    fn zlib(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }
    let most = RecordLimits::default().max_record_bytes;
    let damaged = "payload_invalid: the zlib stream is damaged";
    let rows = [
        (framed(0, &[1]), "ok"),
        (framed(5, &zlib(&[1])), "ok"),
        (framed(5, &zlib(&[1, 1])), "payload_trailing_bytes: boolean at byte 1: 1 byte left over"),
        (
            framed(5, &[&zlib(&[1])[..], &[0]].concat()),
            "payload_invalid: the zlib stream has bytes behind its end",
        ),
        (framed(5, &zlib(&[1])[..7]), damaged),
        (framed(5, &[]), damaged),
        (framed(5, b"garbage"), damaged),
        (
            framed(5, &zlib(&vec![0; most + 1])),
            "payload_invalid: the zlib stream holds more than 16777216 bytes",
        ),
        (framed(1, &[1]), "missing_schema_id: it does not begin with the prefix of AWS Glue"),
        (
            framed(0, &[])[..17].to_vec(),
            "malformed_schema_id: the prefix of AWS Glue is not whole: 17 bytes in all",
        ),
    ];
    let bench = Bench::new();
    for (row, (value, expected)) in rows.into_iter().enumerate() {
        let verdict = bench.judged(&accepts(&[Convention::GluePrefix]), &OwnedRecord::of(value));
        assert_eq!(verdict, expected, "row {row}");
    }
}

#[test]
fn a_single_object_has_the_fingerprint_of_its_schema() {
    let rows: &[Row] = &[
        (&[], b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08\x01", "ok"),
        (&[], b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x09\x01", "?"),
        (
            &[],
            b"\xc3\x01\x01\x02",
            "malformed_schema_id: the prefix of a single object is not whole: 4 bytes in all",
        ),
        (
            &[],
            b"\xc3\x02\x01\x02\x03\x04\x05\x06\x07\x08\x01",
            "missing_schema_id: it does not begin with the prefix of a single object",
        ),
    ];
    assert_rows(&[Convention::SingleObject], rows);
}

#[test]
fn references_by_several_conventions_must_name_one_schema() {
    type Header = (&'static str, &'static [u8]);
    const AVRO: Header = ("content-type", b"avro");
    const JSON: Header = ("content-type", b"avro-json");
    const OWN: Header = ("schema-id", b"42");
    const OWN_7: Header = ("schema-id", b"7");
    const URL: Header = ("schema-id", b"http://registry/users.avsc");
    const CONFLUENT: Header = ("__value_schema_id", b"\0\0\0\0\x2a");
    const CONFLUENT_7: Header = ("__value_schema_id", b"\0\0\0\0\x07");
    const CONFLUENT_43: Header = ("__value_schema_id", b"\0\0\0\0\x2b");
    const APICURIO: Header = ("apicurio.value.globalId", b"\0\0\0\0\0\0\0\x2a");
    const BINARY: Header = ("apicurio.value.encoding", b"BINARY");
    const APART: &str =
        "conflicting_metadata: the schema reference is given twice with different values";
    const ODDS: &str =
        "conflicting_metadata: the content type is given twice with different values";
    let rows: &[Row] = &[
        (&[AVRO, OWN, CONFLUENT], b"\x01", "ok"),
        (&[AVRO, URL, CONFLUENT], b"\x01", "ok"),
        (&[AVRO, OWN, CONFLUENT_7], b"\x01", APART),
        (&[AVRO, OWN_7, CONFLUENT], b"\x01", APART),
        (&[AVRO, OWN, CONFLUENT_43], b"\x01", "?"),
        (&[JSON, OWN, CONFLUENT], b"true", "ok"),
        (&[JSON, OWN, APICURIO, BINARY], b"true", ODDS),
        (&[CONFLUENT, CONFLUENT_7], b"\x01", APART),
    ];
    let all = [Convention::Headers, Convention::ConfluentHeaders, Convention::ApicurioHeaders];
    assert_rows(&all, rows);
}

#[test]
fn keys_are_judged_by_their_own_conventions_where_a_rule_asks_for_it() {
    let rule = RuleSettings {
        key_conventions: Some(Conventions::new(&[
            Convention::Headers,
            Convention::ConfluentPrefix,
        ])),
        ..RuleSettings::default()
    };
    let value = || OwnedRecord::of([1]).with("content-type", "avro").with("schema-id", "42");
    let keyed = |key: &[u8]| OwnedRecord { key: Some(key.to_vec()), ..value() };
    let named = |key: &[u8]| keyed(key).with("key-content-type", "avro").with("key-schema-id", "7");
    let tombstone = |key: &[u8]| OwnedRecord { value: None, ..keyed(key) };
    let rows = [
        (value(), "ok"),
        (keyed(b"\0\0\0\0\x2a\x01"), "ok"),
        (
            keyed(b"\0\0\0\0\x2a\x02"),
            "payload_invalid: key: boolean at byte 0: boolean byte 2, must be 0 or 1",
        ),
        (keyed(b"users-1"), "missing_schema_id: key: it does not begin with Confluent's prefix"),
        (keyed(b"\0\0\0\0\x2b\x01"), "?"),
        (named(b"\x02a"), "ok"),
        (named(b"\x02"), "payload_invalid: key: string at byte 0: string length 1, 0 bytes left"),
        (tombstone(b"\0\0\0\0\x2a\x01"), "ok"),
        (tombstone(b"x"), "missing_schema_id: key: it does not begin with Confluent's prefix"),
    ];
    let bench = Bench::new();
    for (row, (record, expected)) in rows.into_iter().enumerate() {
        assert_eq!(bench.judged(&rule, &record), expected, "row {row}");
    }
    // What is certainly wrong with the value counts before what cannot be said of the key.
    let bad = OwnedRecord { value: Some(vec![9]), ..keyed(b"\0\0\0\0\x2b\x01") };
    assert!(bench.judged(&rule, &bad).starts_with("payload_invalid: boolean"));
}

#[test]
fn a_message_of_protocol_buffers_is_named_by_indexes_a_fragment_or_its_place() {
    const PROTO: &str = "syntax = \"proto3\"; package shop;
        message User { string name = 1; message Address { int32 zip = 1; } }
        message Order { bool paid = 2; }";
    let mut bench = Bench::new();
    let documents = Documents {
        format: SchemaFormat::Protobuf,
        text: PROTO.to_owned(),
        references: Vec::new(),
    };
    let schema = Arc::new(Schema::compile(&documents, &SchemaLimits::default()).unwrap());
    bench.resolved.values_mut().for_each(|known| *known = Ok(Arc::clone(&schema)));
    let framed = |rest: &[u8]| OwnedRecord::of([&[0, 0, 0, 0, 42], rest].concat());
    let header = |indexes: &[u8], datum: &[u8]| {
        OwnedRecord::of(datum).with("__value_schema_id", [&[0, 0, 0, 0, 42], indexes].concat())
    };
    let own = |content_type: &str, reference: &str, datum: &[u8]| {
        OwnedRecord::of(datum).with("content-type", content_type).with("schema-id", reference)
    };
    let no_list = "malformed_schema_id: the message indexes cannot be read, or lead nowhere";
    let order = b"\x10\x01";
    let unknown = "payload_invalid: shop.User at byte 0: ";
    let table = [
        (Convention::ConfluentPrefix, framed(b"\x00\x0a\x01a"), "ok"),
        (Convention::ConfluentPrefix, framed(b"\x02\x02\x10\x01"), "ok"),
        (Convention::ConfluentPrefix, framed(b"\x04\x00\x00\x08\x05"), "ok"),
        (Convention::ConfluentPrefix, framed(b"\x00\x10\x01"), unknown),
        (Convention::ConfluentPrefix, framed(b"\x02\x04\x10\x01"), no_list),
        (Convention::ConfluentPrefix, framed(b""), no_list),
        (Convention::ConfluentHeaders, header(b"", b"\x0a\x01a"), "ok"),
        (Convention::ConfluentHeaders, header(b"\x00", b"\x0a\x01a"), "ok"),
        (Convention::ConfluentHeaders, header(b"\x02\x02", order), "ok"),
        (Convention::ConfluentHeaders, header(b"\x02\x02\x00", order), no_list),
        (Convention::Headers, own("protobuf", "42", b"\x0a\x01a"), "ok"),
        (Convention::Headers, own("protobuf", "42#shop.Order", order), "ok"),
        (Convention::Headers, own("protobuf", "42#shop.User.Address", b"\x08\x05"), "ok"),
        (Convention::Headers, own("protobuf", "42", order), unknown),
        (
            Convention::Headers,
            own("protobuf", "42#Order", order),
            "malformed_schema_id: the schema has no message \"Order\"",
        ),
        (Convention::Headers, own("avro", "42", order), "conflicting_metadata: "),
        (
            Convention::ApicurioPrefix,
            framed(order),
            "unsupported_content_type: which message it is cannot be read by this convention",
        ),
    ];
    for (row, (convention, record, expected)) in table.into_iter().enumerate() {
        let judged = bench.judged(&accepts(&[convention]), &record);
        assert!(judged.starts_with(expected), "row {row}: {judged}");
    }
    let lenient =
        RuleSettings { unknown_fields: UnknownFields::Allow, ..accepts(&[Convention::Headers]) };
    assert_eq!(bench.judged(&lenient, &own("protobuf", "42", order)), "ok");
}

#[test]
fn a_json_schema_judges_json_and_nothing_else() {
    let mut bench = Bench::new();
    let documents = Documents {
        format: SchemaFormat::Json,
        text: r#"{"maximum": 5}"#.to_owned(),
        references: Vec::new(),
    };
    let schema = Arc::new(Schema::compile(&documents, &SchemaLimits::default()).unwrap());
    bench.resolved.values_mut().for_each(|known| *known = Ok(Arc::clone(&schema)));
    let conflict =
        "conflicting_metadata: the schema is a JSON Schema but the content type is not json";
    let table = [
        ("json", "5", "ok"),
        ("application/json", " \"6\"", "ok"),
        ("json", "6", "payload_invalid: value at byte 0: above 5 (maximum)"),
        ("json", "5 5", "payload_trailing_bytes: value at byte 2: 1 byte left over"),
        ("avro", "5", conflict),
        ("avro-json", "5", conflict),
        ("protobuf", "5", conflict),
    ];
    for (content_type, value, expected) in table {
        let record = OwnedRecord::of(value).with("content-type", content_type);
        let record = record.with("schema-id", "42");
        let judged = bench.judged(&accepts(&[Convention::Headers]), &record);
        assert_eq!(judged, expected, "{content_type} {value}");
    }
    let framed = OwnedRecord::of([&[0, 0, 0, 0, 42], &b"6"[..]].concat());
    let judged = bench.judged(&accepts(&[Convention::ConfluentPrefix]), &framed);
    assert_eq!(judged, "payload_invalid: value at byte 0: above 5 (maximum)");
}

#[test]
fn the_schema_that_a_rejected_record_names_is_told_of_the_side_that_is_wrong() {
    let both = Some(Conventions::new(&[Convention::Headers, Convention::ConfluentPrefix]));
    let keyed = RuleSettings {
        conventions: both.clone().unwrap(),
        key_conventions: both,
        ..RuleSettings::default()
    };
    let plain = RuleSettings::default();
    let of = |value: &[u8]| OwnedRecord::of(value.to_vec()).with("content-type", "avro");
    let with_key = |record, key: &[u8]| OwnedRecord { key: Some(key.to_vec()), ..record };
    let (bad, good) = (of(&[9]).with("schema-id", "42"), of(&[1]).with("schema-id", "42"));
    let id = |id| Some(format!("http://registry/schemas/ids/{id}"));
    let rows = [
        (&plain, bad.clone(), id(42)),
        (&plain, of(&[9]), None),
        (&plain, of(&[9]).with("schema-id", "ftp://x"), None),
        (&keyed, bad, id(42)),
        (&keyed, OwnedRecord::of([0, 0, 0, 0, 42, 9]), id(42)),
        (&keyed, OwnedRecord::of([9]), None),
        (&keyed, with_key(good.clone(), b"\0\0\0\0\x07\x02"), id(7)),
        (&keyed, with_key(good, b"x"), None),
    ];
    let bench = Bench::new();
    for (row, (rule, record, expected)) in rows.into_iter().enumerate() {
        let policy = TopicPolicy::new(rule, &HeaderNames::default());
        let bytes = batch(Flavour::Plain, &[record]);
        let mut workspace = Workspace::default();
        let verdict =
            bench.judge.walk(&bytes, &policy, &bench.resolved, &mut workspace, &mut Unlimited);
        let verdict = verdict.unwrap();
        assert_eq!(verdict.rejected_records(), 1, "row {row}");
        assert_eq!(
            verdict.rejected().first().and_then(|it| it.schema.as_deref()).map(str::to_owned),
            expected,
            "row {row}"
        );
    }
}
