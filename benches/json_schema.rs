//! The JSON Schema check beside a tree of serde_json and the crate's `is_valid`: `cargo bench --bench json_schema`.

#[path = "json_schema_shapes/mod.rs"]
mod shapes;

use divan::{Bencher, black_box, counter::BytesCount};
use jsonschema::PatternOptions;
use schemaward::json_schema::JsonSchema;
use schemaward::limits::SchemaLimits;
use shapes::sample;

fn main() {
    divan::main();
}

#[divan::bench(args = ["event", "hundred_events"])]
fn check(bencher: Bencher<'_, '_>, name: &str) {
    let (schema, value) = sample(name);
    let schema = JsonSchema::parse(&schema, &[], &SchemaLimits::default());
    let schema = schema.unwrap_or_else(|fault| unreachable!("{fault}"));
    assert_eq!(schema.check(value.as_bytes()), Ok(()));
    bencher
        .counter(BytesCount::of_str(&value))
        .bench(|| schema.check(black_box(value.as_bytes())).is_ok());
}

#[divan::bench(args = ["event", "hundred_events"])]
fn serde_json_tree_and_is_valid(bencher: Bencher<'_, '_>, name: &str) {
    let (schema, value) = sample(name);
    let schema = serde_json::from_str(&schema).unwrap_or_else(|error| unreachable!("{error}"));
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    let validator = options.build(&schema).unwrap_or_else(|error| unreachable!("{error}"));
    bencher.counter(BytesCount::of_str(&value)).bench(|| {
        let tree = serde_json::from_slice(black_box(value.as_bytes()));
        tree.is_ok_and(|tree| validator.is_valid(&tree))
    });
}

#[divan::bench(args = ["event"])]
fn compile(bencher: Bencher<'_, '_>, name: &str) {
    let (schema, _) = sample(name);
    bencher.bench(|| JsonSchema::parse(black_box(&schema), &[], &SchemaLimits::default()).is_ok());
}
