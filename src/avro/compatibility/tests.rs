//! The rules of schema resolution, each with schemas that keep it and schemas that break it. Java's
//! `SchemaCompatibility` gives the same verdicts for this table.

use super::*;

fn found(reader: &str, writer: &str) -> Vec<String> {
    let text = |text| SchemaText { text, references: &[] };
    let found = incompatibilities(text(reader), text(writer)).unwrap();
    found.iter().map(|each| format!("{} {}", each.kind.label(), each.path)).collect()
}

/// Reader, writer, what is wrong.
const TABLE: &[(&str, &str, &[&str])] = &[
    // Primitive types and their promotions.
    (r#""long""#, r#""int""#, &[]),
    (r#""float""#, r#""int""#, &[]),
    (r#""float""#, r#""long""#, &[]),
    (r#""double""#, r#""int""#, &[]),
    (r#""double""#, r#""long""#, &[]),
    (r#""double""#, r#""float""#, &[]),
    (r#""string""#, r#""bytes""#, &[]),
    (r#""bytes""#, r#""string""#, &[]),
    (r#""null""#, r#""null""#, &[]),
    (r#""int""#, r#""long""#, &["TYPE_MISMATCH int"]),
    (r#""long""#, r#""float""#, &["TYPE_MISMATCH long"]),
    (r#""float""#, r#""double""#, &["TYPE_MISMATCH float"]),
    (r#""int""#, r#""null""#, &["TYPE_MISMATCH int"]),
    (r#""boolean""#, r#""int""#, &["TYPE_MISMATCH boolean"]),
    (r#""string""#, r#""int""#, &["TYPE_MISMATCH string"]),
    // Logical types are their base types.
    (r#"{"type":"long","logicalType":"timestamp-millis"}"#, r#""int""#, &[]),
    (r#"{"type":"bytes","logicalType":"decimal","precision":4}"#, r#""bytes""#, &[]),
    // Arrays and maps.
    (r#"{"type":"array","items":"long"}"#, r#"{"type":"array","items":"int"}"#, &[]),
    (
        r#"{"type":"array","items":"int"}"#,
        r#"{"type":"array","items":"long"}"#,
        &["TYPE_MISMATCH array[]"],
    ),
    (r#"{"type":"map","values":"long"}"#, r#"{"type":"map","values":"int"}"#, &[]),
    (
        r#"{"type":"map","values":"int"}"#,
        r#"{"type":"map","values":"string"}"#,
        &["TYPE_MISMATCH map{}"],
    ),
    (
        r#"{"type":"map","values":"int"}"#,
        r#"{"type":"array","items":"int"}"#,
        &["TYPE_MISMATCH map"],
    ),
    // Fixed: names without namespaces, and sizes.
    (r#"{"type":"fixed","name":"a.F","size":4}"#, r#"{"type":"fixed","name":"b.F","size":4}"#, &[]),
    (
        r#"{"type":"fixed","name":"F","size":4}"#,
        r#"{"type":"fixed","name":"F","size":8}"#,
        &["FIXED_SIZE_MISMATCH F"],
    ),
    (
        r#"{"type":"fixed","name":"F","size":4}"#,
        r#"{"type":"fixed","name":"G","size":4}"#,
        &["NAME_MISMATCH F"],
    ),
    (
        r#"{"type":"fixed","name":"F","aliases":["G"],"size":4}"#,
        r#"{"type":"fixed","name":"G","size":4}"#,
        &[],
    ),
    (r#""bytes""#, r#"{"type":"fixed","name":"F","size":4}"#, &["TYPE_MISMATCH bytes"]),
    // Enums.
    (
        r#"{"type":"enum","name":"E","symbols":["A","B","C"]}"#,
        r#"{"type":"enum","name":"E","symbols":["C","A"]}"#,
        &[],
    ),
    (
        r#"{"type":"enum","name":"E","symbols":["A"]}"#,
        r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
        &["MISSING_ENUM_SYMBOLS E"],
    ),
    (
        r#"{"type":"enum","name":"E","symbols":["A"],"default":"A"}"#,
        r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
        &[],
    ),
    (
        r#"{"type":"enum","name":"D","symbols":["A"]}"#,
        r#"{"type":"enum","name":"E","symbols":["A"]}"#,
        &["NAME_MISMATCH D"],
    ),
    (
        r#"{"type":"enum","name":"n.D","aliases":["E"],"symbols":["A"]}"#,
        r#"{"type":"enum","name":"n.E","symbols":["A"]}"#,
        &[],
    ),
    (
        r#"{"type":"enum","name":"n.D","aliases":["E"],"symbols":["A"]}"#,
        r#"{"type":"enum","name":"E","symbols":["A"]}"#,
        &["NAME_MISMATCH n.D"],
    ),
    // Records.
    (
        r#"{"type":"record","name":"R","fields":[]}"#,
        r#"{"type":"record","name":"n.R","fields":[{"name":"a","type":"int"}]}"#,
        &[],
    ),
    (
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#,
        r#"{"type":"record","name":"R","fields":[]}"#,
        &["READER_FIELD_MISSING_DEFAULT_VALUE R.a"],
    ),
    (
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":0}]}"#,
        r#"{"type":"record","name":"R","fields":[]}"#,
        &[],
    ),
    (
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null","int"]}]}"#,
        r#"{"type":"record","name":"R","fields":[]}"#,
        &["READER_FIELD_MISSING_DEFAULT_VALUE R.a"],
    ),
    (
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null","int"],"default":null}]}"#,
        r#"{"type":"record","name":"R","fields":[]}"#,
        &[],
    ),
    (
        r#"{"type":"record","name":"R","fields":[{"name":"a","aliases":["b"],"type":"long"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"b","type":"int"}]}"#,
        &[],
    ),
    (
        r#"{"type":"record","name":"R","fields":[{"name":"a","aliases":["b"],"type":"int"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"b","type":"string"}]}"#,
        &["TYPE_MISMATCH R.a"],
    ),
    (
        r#"{"type":"record","name":"S","fields":[]}"#,
        r#"{"type":"record","name":"R","fields":[]}"#,
        &["NAME_MISMATCH S"],
    ),
    (
        r#"{"type":"record","name":"S","aliases":["R"],"fields":[]}"#,
        r#"{"type":"record","name":"R","fields":[]}"#,
        &[],
    ),
    (
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"int"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}"#,
        &["READER_FIELD_MISSING_DEFAULT_VALUE R.b", "TYPE_MISMATCH R.a"],
    ),
    // Unions on either side, and on both.
    (r#"["null","string"]"#, r#""string""#, &[]),
    (r#"["null","long"]"#, r#""int""#, &[]),
    (r#"["null","string"]"#, r#""int""#, &["MISSING_UNION_BRANCH union"]),
    (r#""string""#, r#"["string"]"#, &[]),
    (r#""long""#, r#"["int","long"]"#, &[]),
    (r#""string""#, r#"["null","string"]"#, &["TYPE_MISMATCH string"]),
    (r#"["null","string","int"]"#, r#"["string","null"]"#, &[]),
    (r#"["null","string"]"#, r#"["null","string","int"]"#, &["MISSING_UNION_BRANCH union"]),
    (r#"["string"]"#, r#"[]"#, &[]),
    (
        r#"["null",{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}]"#,
        r#"["null",{"type":"record","name":"R","fields":[]}]"#,
        &["MISSING_UNION_BRANCH union"],
    ),
    // Recursion.
    (
        r#"{"type":"record","name":"L","fields":[{"name":"v","type":"long"},{"name":"next","type":["null","L"]}]}"#,
        r#"{"type":"record","name":"L","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","L"]}]}"#,
        &[],
    ),
    (
        r#"{"type":"record","name":"L","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","L"]}]}"#,
        r#"{"type":"record","name":"L","fields":[{"name":"v","type":"long"},{"name":"next","type":["null","L"]}]}"#,
        &["TYPE_MISMATCH L.v", "MISSING_UNION_BRANCH L.next"],
    ),
];

#[test]
fn the_rules_of_schema_resolution_hold() {
    for (reader, writer, expected) in TABLE {
        assert_eq!(found(reader, writer), *expected, "{reader}\n{writer}");
    }
}

#[test]
fn types_are_found_in_documents_that_are_referred_to() {
    let address =
        r#"{"type":"record","name":"n.Address","fields":[{"name":"street","type":"string"}]}"#;
    let wider = r#"{"type":"record","name":"n.Address","fields":[{"name":"street","type":"string"},{"name":"zip","type":"string"}]}"#;
    let user = r#"{"type":"record","name":"n.User","fields":[{"name":"home","type":"Address"}]}"#;
    let compare = |ours: &[&str], theirs: &[&str]| {
        let reader = SchemaText { text: user, references: ours };
        incompatibilities(reader, SchemaText { text: user, references: theirs }).unwrap()
    };
    assert_eq!(compare(&[address], &[wider]), []);
    let reasons = compare(&[wider], &[address]);
    let rule = "READER_FIELD_MISSING_DEFAULT_VALUE at n.User.home.zip: the writer has no such field, \
                and the reader no default for it";
    assert_eq!(reasons[0].to_string(), rule);
    assert_eq!(reasons.len(), 1);
}

#[test]
fn hostile_schemas_end_soon() {
    // A chain of ten thousand records, each in the next: nothing may recurse over it.
    let mut chain = r#"{"name":"f0","type":{"type":"record","name":"R0","fields":[]}}"#.to_owned();
    for level in 1..10_000 {
        let below = level - 1;
        chain.push_str(&format!(
            r#",{{"name":"f{level}","type":{{"type":"record","name":"R{level}","fields":[{{"name":"x","type":"R{below}"}}]}}}}"#
        ));
    }
    let chain = format!(r#"{{"type":"record","name":"Root","fields":[{chain}]}}"#);
    assert_eq!(found(&chain, &chain), Vec::<String>::new());
    // Unions of thousands on either side: millions of comparisons.
    let union = |letter: char| {
        let branches: Vec<_> = (0..3_000)
            .map(|at| format!(r#"{{"type":"record","name":"{letter}{at}","fields":[]}}"#))
            .collect();
        format!("[{}]", branches.join(","))
    };
    let (reader, writer) = (union('A'), union('B'));
    let text = |text| SchemaText { text, references: &[] };
    let fault = incompatibilities(text(&reader), text(&writer)).unwrap_err();
    assert_eq!(fault.detail, "the schemas are too large to be compared");
}
