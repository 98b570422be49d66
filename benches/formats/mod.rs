//! The check of each format and what does the least of the same with the usual library, a number of rounds at a time:
//! what `scripts/instructions formats` compares.

#[path = "../json_schema_shapes/mod.rs"]
mod json_schema;
#[path = "../protobuf_shapes/mod.rs"]
mod protobuf;

use std::hint::black_box;

use apache_avro::reader::datum::GenericDatumReader;
use jsonschema::PatternOptions;
use prost_reflect::{DescriptorPool, DynamicMessage};
use schemaward::avro::AvroSchema;
use schemaward::json_schema::JsonSchema;
use schemaward::limits::SchemaLimits;
use schemaward::protobuf::{ProtobufSchema, UnknownFields};
use serde::{Deserialize, de::IgnoredAny};
use serde_avro_fast::de::{DeserializerConfig, DeserializerState, read::SliceRead};
use serde_json::Value;

use crate::workloads::shapes;

/// Does `work` so many times; each time it must succeed.
fn repeat(rounds: usize, work: impl Fn() -> bool) {
    for _ in 0..rounds {
        assert!(work());
    }
}

fn avro(name: &str) -> shapes::Sample {
    shapes::all().into_iter().find(|sample| sample.name == name).unwrap()
}

fn compiled(sample: &shapes::Sample) -> AvroSchema {
    AvroSchema::parse(&sample.schema, &[], &SchemaLimits::default()).unwrap()
}

/// Our check of the binary encoding.
pub(crate) fn avro_check(name: &str, rounds: usize) {
    let sample = avro(name);
    let schema = compiled(&sample);
    repeat(rounds, || schema.check_binary(black_box(&sample.binary)).is_ok());
}

/// apache-avro's reader, which builds values.
pub(crate) fn avro_by_apache_avro(name: &str, rounds: usize) {
    let sample = avro(name);
    let schema = apache_avro::Schema::parse_str(&sample.schema).unwrap();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    repeat(rounds, || reader.read_value(&mut black_box(&sample.binary[..])).is_ok());
}

/// serde_avro_fast, which passes over values and does not look at texts.
pub(crate) fn avro_by_serde_avro_fast(name: &str, rounds: usize) {
    let sample = avro(name);
    let schema: serde_avro_fast::Schema = sample.schema.parse().unwrap();
    let mut config = DeserializerConfig::new(&schema);
    // The list is deeper than it allows unasked.
    config.allowed_depth = 1_000;
    repeat(rounds, || {
        let reader = SliceRead::new(black_box(&sample.binary[..]));
        let mut state = DeserializerState::with_config(reader, config.clone());
        IgnoredAny::deserialize(state.deserializer()).is_ok()
    });
}

/// One pass of simdutf8 over the texts, one after the other.
pub(crate) fn one_pass_over_texts(rounds: usize) {
    let letters = shapes::long_texts().concat();
    repeat(rounds, || simdutf8::basic::from_utf8(black_box(letters.as_bytes())).is_ok());
}

/// Our check of the JSON encoding.
pub(crate) fn avro_json_check(name: &str, rounds: usize) {
    let sample = avro(name);
    let schema = compiled(&sample);
    repeat(rounds, || schema.check_json(black_box(sample.json.as_bytes())).is_ok());
}

/// A tree of serde_json, turned into apache-avro's value and resolved against the schema. Not for the list: resolving takes
/// twice as long with every level.
pub(crate) fn avro_json_by_tree(name: &str, rounds: usize) {
    let sample = avro(name);
    let schema = apache_avro::Schema::parse_str(&sample.schema).unwrap();
    // It does not know the tags of unions, and resolves values by what they look like.
    let json = sample.json.replace("{\"int\": 36}", "36");
    let json = json.replace("{\"string\": \"ada@example.org\"}", "\"ada@example.org\"");
    let resolved = || {
        let tree: Value = serde_json::from_slice(black_box(json.as_bytes())).unwrap();
        apache_avro::types::Value::try_from(tree).and_then(|value| value.resolve(&schema))
    };
    resolved().unwrap();
    repeat(rounds, || resolved().is_ok());
}

fn protobuf_event() -> protobuf::Sample {
    protobuf::all().into_iter().find(|sample| sample.name == "event").unwrap()
}

/// Our check of a Protobuf message.
pub(crate) fn protobuf_check(rounds: usize) {
    let sample = protobuf_event();
    let schema = ProtobufSchema::parse(&sample.schema, &[], &SchemaLimits::default()).unwrap();
    let (root, unknown) = (schema.root(), UnknownFields::Reject);
    repeat(rounds, || schema.check(root, unknown, black_box(&sample.datum)).is_ok());
}

/// prost-reflect's decoder, which builds values.
pub(crate) fn protobuf_by_prost_reflect(rounds: usize) {
    let sample = protobuf_event();
    let file = protox::file::File::from_source("schema.proto", &sample.schema).unwrap();
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_proto(file.into()).unwrap();
    let message = pool.all_messages().next().unwrap();
    repeat(rounds, || DynamicMessage::decode(message.clone(), black_box(&*sample.datum)).is_ok());
}

/// Our check of a JSON value against a JSON Schema.
pub(crate) fn json_schema_check(rounds: usize) {
    let (schema, value) = json_schema::sample("event");
    let schema = JsonSchema::parse(&schema, &[], &SchemaLimits::default()).unwrap();
    repeat(rounds, || schema.check(black_box(value.as_bytes())).is_ok());
}

/// A tree of serde_json and the library's `is_valid`.
pub(crate) fn json_schema_by_tree(rounds: usize) {
    let (schema, value) = json_schema::sample("event");
    let schema = serde_json::from_str(&schema).unwrap();
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    let validator = options.build(&schema).unwrap();
    repeat(rounds, || {
        let tree: Value = serde_json::from_slice(black_box(value.as_bytes())).unwrap();
        validator.is_valid(&tree)
    });
}
