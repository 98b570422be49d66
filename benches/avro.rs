//! The Avro check beside apache-avro's reader, which builds values, serde_avro_fast, which passes over them without a look
//! at texts, and a plain pass over the bytes: `cargo bench --bench avro`.

#[path = "avro_shapes/mod.rs"]
mod shapes;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use divan::{Bencher, black_box, counter::BytesCount};
use schemaward::avro::AvroSchema;
use schemaward::limits::SchemaLimits;
use serde::{Deserialize, de::IgnoredAny};
use serde_avro_fast::de::{DeserializerConfig, DeserializerState, read::SliceRead};

const NAMES: [&str; 6] = ["event", "flat", "nested", "texts", "doubles", "list"];

fn main() {
    divan::main();
}

fn sample(name: &str) -> shapes::Sample {
    shapes::all().into_iter().find(|sample| sample.name == name).unwrap_or_else(|| unreachable!())
}

fn compiled(sample: &shapes::Sample) -> AvroSchema {
    let schema = AvroSchema::parse(&sample.schema, &[], &SchemaLimits::default());
    schema.unwrap_or_else(|fault| unreachable!("{fault}"))
}

#[divan::bench(args = NAMES)]
fn check_binary(bencher: Bencher<'_, '_>, name: &str) {
    let sample = sample(name);
    let schema = compiled(&sample);
    assert_eq!(schema.check_binary(&sample.binary), Ok(()));
    bencher
        .counter(BytesCount::of_slice(&sample.binary))
        .bench(|| schema.check_binary(black_box(&sample.binary)).is_ok());
}

#[divan::bench(args = NAMES)]
fn check_json(bencher: Bencher<'_, '_>, name: &str) {
    let sample = sample(name);
    let schema = compiled(&sample);
    assert_eq!(schema.check_json(sample.json.as_bytes()), Ok(()));
    bencher
        .counter(BytesCount::of_str(&sample.json))
        .bench(|| schema.check_json(black_box(sample.json.as_bytes())).is_ok());
}

#[divan::bench(args = NAMES)]
fn apache_avro_read(bencher: Bencher<'_, '_>, name: &str) {
    let sample = sample(name);
    let schema = Schema::parse_str(&sample.schema).unwrap_or_else(|error| unreachable!("{error}"));
    let reader = GenericDatumReader::builder(&schema).build();
    let reader = reader.unwrap_or_else(|error| unreachable!("{error}"));
    bencher
        .counter(BytesCount::of_slice(&sample.binary))
        .bench(|| reader.read_value(&mut black_box(&sample.binary[..])).is_ok());
}

#[divan::bench(args = NAMES)]
fn serde_avro_fast_pass_over(bencher: Bencher<'_, '_>, name: &str) {
    let sample = sample(name);
    let schema: serde_avro_fast::Schema =
        sample.schema.parse().unwrap_or_else(|error| unreachable!("{error}"));
    let mut config = DeserializerConfig::new(&schema);
    // The list is deeper than it allows unasked.
    config.allowed_depth = 1_000;
    let read = |datum| {
        let mut state = DeserializerState::with_config(SliceRead::new(datum), config.clone());
        IgnoredAny::deserialize(state.deserializer()).is_ok()
    };
    assert!(read(&sample.binary));
    bencher.counter(BytesCount::of_slice(&sample.binary)).bench(|| read(black_box(&sample.binary)));
}

/// What no check of all bytes can be faster than.
#[divan::bench(args = NAMES)]
fn sum_of_the_bytes(bencher: Bencher<'_, '_>, name: &str) {
    let sample = sample(name);
    bencher
        .counter(BytesCount::of_slice(&sample.binary))
        .bench(|| black_box(&sample.binary).iter().map(|byte| u64::from(*byte)).sum::<u64>());
}

/// The same for texts.
#[divan::bench]
fn one_pass_of_simdutf8_over_texts(bencher: Bencher<'_, '_>) {
    let sample = sample("texts");
    let letters: Vec<u8> = sample.binary.iter().copied().filter(u8::is_ascii).collect();
    bencher
        .counter(BytesCount::of_slice(&letters))
        .bench(|| simdutf8::basic::from_utf8(black_box(&letters)).is_ok());
}

#[divan::bench(args = NAMES)]
fn compile(bencher: Bencher<'_, '_>, name: &str) {
    let sample = sample(name);
    bencher.bench(|| AvroSchema::parse(black_box(&sample.schema), &[], &SchemaLimits::default()));
}
