//! The Protobuf check beside prost-reflect's decoder, which builds values: `cargo bench --bench protobuf`.

#[path = "protobuf_shapes/mod.rs"]
mod shapes;

use divan::{Bencher, black_box, counter::BytesCount};
use prost_reflect::{DescriptorPool, DynamicMessage};
use schemaward::limits::SchemaLimits;
use schemaward::protobuf::{ProtobufSchema, UnknownFields};

const NAMES: [&str; 6] = ["event", "flat", "texts", "doubles", "list", "required"];

fn main() {
    divan::main();
}

fn sample(name: &str) -> shapes::Sample {
    shapes::all().into_iter().find(|sample| sample.name == name).unwrap_or_else(|| unreachable!())
}

fn compiled(sample: &shapes::Sample) -> ProtobufSchema {
    let schema = ProtobufSchema::parse(&sample.schema, &[], &SchemaLimits::default());
    schema.unwrap_or_else(|fault| unreachable!("{fault}"))
}

#[divan::bench(args = NAMES)]
fn check(bencher: Bencher<'_, '_>, name: &str) {
    let sample = sample(name);
    let schema = compiled(&sample);
    let (root, unknown) = (schema.root(), UnknownFields::Reject);
    assert_eq!(schema.check(root, unknown, &sample.datum), Ok(()));
    bencher
        .counter(BytesCount::of_slice(&sample.datum))
        .bench(|| schema.check(root, unknown, black_box(&sample.datum)).is_ok());
}

#[divan::bench(args = NAMES)]
fn prost_reflect_decode(bencher: Bencher<'_, '_>, name: &str) {
    let sample = sample(name);
    let file = protox::file::File::from_source("schema.proto", &sample.schema);
    let file = file.unwrap_or_else(|error| unreachable!("{error}"));
    let mut pool = DescriptorPool::new();
    let added = pool.add_file_descriptor_proto(file.into());
    added.unwrap_or_else(|error| unreachable!("{error}"));
    let message = pool.all_messages().next().unwrap_or_else(|| unreachable!());
    bencher
        .counter(BytesCount::of_slice(&sample.datum))
        .bench(|| DynamicMessage::decode(message.clone(), black_box(&*sample.datum)).is_ok());
}

#[divan::bench(args = NAMES)]
fn compile(bencher: Bencher<'_, '_>, name: &str) {
    let sample = sample(name);
    let limits = SchemaLimits::default();
    bencher.bench(|| ProtobufSchema::parse(black_box(&sample.schema), &[], &limits));
}
