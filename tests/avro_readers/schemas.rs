//! The Avro schemas that readers are compared on: every type, every way to nest, every logical type.

pub(crate) const SCHEMAS: [&str; 21] = [
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
    // Recursion: through a union, an array, a map, and two records in turn.
    r#"{"type":"record","name":"List","fields":[{"name":"v","type":"long"},{"name":"next","type":["null","List"]}]}"#,
    r#"{"type":"record","name":"Tree","fields":[
        {"name":"children","type":{"type":"array","items":"Tree"}},{"name":"v","type":"string"}]}"#,
    r#"{"type":"record","name":"Forest","fields":[
        {"name":"by_name","type":{"type":"map","values":["null","boolean","Forest"]}}]}"#,
    r#"{"type":"record","name":"Flags","fields":[
        {"name":"a","type":"boolean"},{"name":"b","type":["null","boolean"]},
        {"name":"c","type":{"type":"array","items":"boolean"}},
        {"name":"d","type":{"type":"record","name":"Inner","fields":[
            {"name":"e","type":["null","Flags","Inner"]},{"name":"n","type":"null"}]}}]}"#,
    // Unions of anything.
    r#"["null","boolean","int","long","float","double","bytes","string",{"type":"array","items":"int"},
        {"type":"map","values":"bytes"},{"type":"enum","name":"E","symbols":["X"]},{"type":"fixed","name":"F","size":2},
        {"type":"record","name":"R","fields":[{"name":"x","type":"int"}]}]"#,
    r#"{"type":"array","items":["null",{"type":"array","items":["null","string"]}]}"#,
    r#"[{"type":"record","name":"a.X","fields":[{"name":"v","type":"string"}]},
        {"type":"record","name":"b.X","fields":[{"name":"v","type":"long"}]},"boolean"]"#,
    // The same short name in two namespaces, and namespaces that are inherited.
    r#"{"type":"record","name":"Order","namespace":"shop","aliases":["Purchase","old.Order"],"fields":[
        {"name":"from","type":{"type":"record","name":"Place","aliases":["Spot"],"fields":[{"name":"city","type":"string"}]}},
        {"name":"to","type":{"type":"record","name":"geo.Place","fields":[{"name":"lat","type":"double"},
            {"name":"unit","type":{"type":"enum","name":"Unit","symbols":["M","KM"]}}]}},
        {"name":"via","aliases":["stops"],"type":{"type":"array","items":["Place","geo.Place"]}},
        {"name":"unit","type":["null","geo.Unit"]}]}"#,
    // Blocks of what has a fixed size, and of what has not.
    r#"{"type":"array","items":{"type":"record","name":"Point","fields":[{"name":"x","type":"double"},
        {"name":"y","type":"float"},{"name":"tag","type":{"type":"fixed","name":"Tag","size":3}}]}}"#,
    r#"{"type":"map","values":{"type":"array","items":{"type":"map","values":"int"}}}"#,
    r#"{"type":"array","items":"long"}"#,
    r#"{"type":"record","name":"Enums","fields":[
        {"name":"e","type":{"type":"enum","name":"Colour","symbols":["RED","GREEN","BLUE"]}},
        {"name":"more","type":{"type":"array","items":"Colour"}},{"name":"one","type":["Colour","int"]}]}"#,
    // Primitives by themselves.
    r#""string""#,
    r#""int""#,
    r#""long""#,
    r#""bytes""#,
    // Logical types.
    r#"{"type":"record","name":"Times","fields":[
        {"name":"day","type":{"type":"int","logicalType":"date"}},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"finer","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"here","type":{"type":"long","logicalType":"local-timestamp-millis"}},
        {"name":"finer_here","type":{"type":"long","logicalType":"local-timestamp-micros"}},
        {"name":"time","type":["null",{"type":"long","logicalType":"time-micros"}]},
        {"name":"coarse","type":{"type":"int","logicalType":"time-millis"}}]}"#,
    r#"{"type":"record","name":"Decimals","fields":[
        {"name":"b","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
        {"name":"f","type":{"type":"fixed","name":"Money","size":12,"logicalType":"decimal","precision":20,"scale":4}},
        {"name":"o","type":["null",{"type":"bytes","logicalType":"decimal","precision":9}]}]}"#,
    r#"{"type":"record","name":"Ids","fields":[
        {"name":"text","type":{"type":"string","logicalType":"uuid"}},
        {"name":"octets","type":{"type":"fixed","name":"Id","size":16,"logicalType":"uuid"}}]}"#,
    // Logical types that are none: the types below them count. (fastavro takes no schema with a decimal that cannot be.)
    r#"{"type":"record","name":"Ignored","fields":[
        {"name":"none","type":{"type":"string","logicalType":"nobody-knows"}},
        {"name":"wide","type":{"type":"long","logicalType":"date-of-ours"}},
        {"name":"items","type":{"type":"array","items":{"type":"int","logicalType":"decimal"}}},
        {"name":"octets","type":{"type":"fixed","name":"Odd","size":3,"logicalType":"decimals"}}]}"#,
];
