//! The Avro schemas that data are checked against: every type, every way to nest, and what only a hostile author writes.

use std::sync::LazyLock;

use schemaward::avro::AvroSchema;
use schemaward::limits::SchemaLimits;

/// A schema, compiled by us and by apache-avro.
#[derive(Debug)]
pub struct Schema {
    pub ours: AvroSchema,
    pub theirs: apache_avro::Schema,
}

/// All of [`DOCUMENTS`].
pub static ALL: LazyLock<Vec<Schema>> = LazyLock::new(|| {
    let compile = |text: &&str| Schema {
        ours: AvroSchema::parse(text, &[], &SchemaLimits::default()).expect("a schema"),
        theirs: apache_avro::Schema::parse_str(text).expect("a schema"),
    };
    DOCUMENTS.iter().map(compile).collect()
});

pub const DOCUMENTS: [&str; 14] = [
    r#"{"type":"record","name":"Event","namespace":"a.b","fields":[
        {"name":"id","type":"string"},{"name":"at","type":"long"},{"name":"n","type":"int"},
        {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["A","B","C"]}},
        {"name":"age","type":["null","int"]},{"name":"mail","type":["string","null"]},
        {"name":"tags","type":{"type":"array","items":"string"}},
        {"name":"attributes","type":{"type":"map","values":"string"}},
        {"name":"active","type":"boolean"},{"name":"raw","type":"bytes"},
        {"name":"f","type":"float"},{"name":"d","type":"double"},
        {"name":"hash","type":{"type":"fixed","name":"Hash","size":4}},
        {"name":"again","type":["null","Kind","Hash"]}]}"#,
    r#"{"type":"record","name":"List","fields":[
        {"name":"v","type":"long"},{"name":"next","type":["null","List"]}]}"#,
    r#"{"type":"record","name":"Tree","fields":[
        {"name":"children","type":{"type":"array","items":"Tree"}},{"name":"v","type":"string"}]}"#,
    r#"{"type":"record","name":"Forest","fields":[
        {"name":"by_name","type":{"type":"map","values":["null","boolean","Forest"]}}]}"#,
    r#"{"type":"array","items":"null"}"#,
    r#"{"type":"array","items":{"type":"array","items":{"type":"record","name":"Empty","fields":[]}}}"#,
    r#"{"type":"map","values":{"type":"map","values":"null"}}"#,
    r#"["null","boolean","int","long","float","double","bytes","string",
        {"type":"array","items":"int"},{"type":"map","values":"bytes"},
        {"type":"enum","name":"E","symbols":["X"]},{"type":"fixed","name":"F","size":2},
        {"type":"record","name":"R","fields":[{"name":"x","type":"int"}]}]"#,
    r#"{"type":"array","items":{"type":"record","name":"Point","fields":[
        {"name":"x","type":"double"},{"name":"y","type":"float"},
        {"name":"tag","type":{"type":"fixed","name":"Tag","size":3}}]}}"#,
    r#"{"type":"record","name":"Flags","fields":[
        {"name":"a","type":"boolean"},{"name":"b","type":["null","boolean"]},
        {"name":"c","type":{"type":"array","items":"boolean"}},
        {"name":"d","type":{"type":"record","name":"Inner","fields":[
            {"name":"e","type":["null","Flags","Inner"]},{"name":"n","type":"null"}]}}]}"#,
    r#"{"type":"array","items":["null",{"type":"array","items":["null","string"]}]}"#,
    r#""string""#,
    r#""double""#,
    r#"{"type":"record","name":"Logical","fields":[
        {"name":"day","type":{"type":"int","logicalType":"date"}},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"time","type":["null",{"type":"long","logicalType":"time-micros"}]}]}"#,
];

/// Of these an array costs no bytes for each item: who builds values of them fills the memory.
pub const FREE_ITEMS: [usize; 2] = [4, 5];
