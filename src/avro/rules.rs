//! Each rule of the binary check with its exact message.

use super::sample::zigzag;
use super::{AvroSchema, DatumFault};
use crate::limits::SchemaLimits;

pub(super) fn schema(text: &str) -> AvroSchema {
    AvroSchema::parse(text, &[], &SchemaLimits::default()).unwrap()
}

/// The schema of a record `R` with the given fields.
pub(super) fn record(fields: &[(&str, &str)]) -> AvroSchema {
    let field = |(name, kind): &(&str, &str)| format!(r#"{{"name":"{name}","type":{kind}}}"#);
    let fields = fields.iter().map(field).collect::<Vec<_>>().join(",");
    schema(&format!(r#"{{"type":"record","name":"n.R","fields":[{fields}]}}"#))
}

fn verdict(schema: &AvroSchema, bytes: &[u8]) -> String {
    schema.check_binary(bytes).map_or_else(|error| error.to_string(), |()| "ok".to_owned())
}

/// 2^31 in zigzag.
const INT_AND_MORE: &[u8] = &[0x80, 0x80, 0x80, 0x80, 0x10];
/// Schema, bytes, verdict.
const DATA: &[(&str, &[u8], &str)] = &[
    (r#""null""#, &[], "ok"),
    (r#""null""#, &[0], "null at byte 0: 1 byte left over"),
    (r#""boolean""#, &[0], "ok"),
    (r#""boolean""#, &[1], "ok"),
    (r#""boolean""#, &[2], "boolean at byte 0: boolean byte 2, must be 0 or 1"),
    (r#""boolean""#, &[], "boolean at byte 0: boolean takes 1 byte, 0 left"),
    (r#""boolean""#, &[1, 0, 0], "boolean at byte 1: 2 bytes left over"),
    (r#""int""#, &[0], "ok"),
    (r#""int""#, &[0xff, 0xff, 0xff, 0xff, 0x0f], "ok"),
    (r#""int""#, INT_AND_MORE, "int at byte 0: int does not fit 32 bits"),
    (r#""int""#, &[0x80, 0], "int at byte 0: int takes more bytes than its value needs"),
    (r#""int""#, &[0x80], "int at byte 0: int is cut off by the end of the bytes"),
    (r#""int""#, &[], "int at byte 0: int is cut off by the end of the bytes"),
    (r#"{"type":"int","logicalType":"date"}"#, &[7], "ok"),
    (r#""long""#, INT_AND_MORE, "ok"),
    (r#""long""#, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1], "ok"),
    (
        r#""long""#,
        &[255, 255, 255, 255, 255, 255, 255, 255, 255, 2],
        "long at byte 0: long does not fit 64 bits",
    ),
    (
        r#""long""#,
        &[255, 255, 255, 255, 255, 255, 255, 255, 255, 0x81],
        "long at byte 0: long does not fit 64 bits",
    ),
    (
        r#""long""#,
        &[255, 255, 255, 255, 255, 255, 255, 255, 255, 0],
        "long at byte 0: long takes more bytes than its value needs",
    ),
    (r#""float""#, &[1, 2, 3, 4], "ok"),
    (r#""float""#, &[1, 2, 3], "float at byte 0: float takes 4 bytes, 3 left"),
    (r#""double""#, &[255; 8], "ok"),
    (r#""double""#, &[255; 7], "double at byte 0: double takes 8 bytes, 7 left"),
    (r#""bytes""#, &[4, 0xff, 0xfe], "ok"),
    (r#""bytes""#, &[6, 1], "bytes at byte 0: bytes length 3, 1 byte left"),
    (r#""bytes""#, &[5], "bytes at byte 0: bytes length -3 is negative"),
    (r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#, &[0], "ok"),
    (r#""string""#, &[0], "ok"),
    (r#""string""#, &[4, 0xc3, 0xa9], "ok"),
    (r#""string""#, &[6, b'a', 0xc3, 0x28], "string at byte 2: string is not valid UTF-8"),
    (r#""string""#, &[2, 0xff], "string at byte 1: string is not valid UTF-8"),
    (r#""string""#, &[6, 0xed, 0xa0, 0x80], "string at byte 1: string is not valid UTF-8"),
    (r#""string""#, &[1], "string at byte 0: string length -1 is negative"),
    (r#""string""#, &[2], "string at byte 0: string length 1, 0 bytes left"),
    (r#""string""#, &[], "string at byte 0: string length is cut off by the end of the bytes"),
    (r#"{"type":"string","logicalType":"uuid"}"#, &[2, b'x'], "ok"),
    (r#"{"type":"fixed","name":"n.F","size":2}"#, &[1, 2], "ok"),
    (r#"{"type":"fixed","name":"n.F","size":2}"#, &[1], "n.F at byte 0: n.F takes 2 bytes, 1 left"),
    (r#"{"type":"fixed","name":"n.F","size":0}"#, &[], "ok"),
    (r#"{"type":"enum","name":"n.E","symbols":["A","B"]}"#, &[2], "ok"),
    (
        r#"{"type":"enum","name":"n.E","symbols":["A","B"]}"#,
        &[4],
        "n.E at byte 0: enum index 2, schema has 2 symbols",
    ),
    (
        r#"{"type":"enum","name":"n.E","symbols":["A","B"]}"#,
        &[1],
        "n.E at byte 0: enum index -1, schema has 2 symbols",
    ),
    (r#"["null","int"]"#, &[0], "ok"),
    (r#"["null","int"]"#, &[2, 8], "ok"),
    (r#"["null","int"]"#, &[], "union at byte 0: union branch is cut off by the end of the bytes"),
    (r#"["null","int"]"#, &[14], "union at byte 0: union branch 7, schema has 2"),
    (r#"["null","int"]"#, &[1], "union at byte 0: union branch -1, schema has 2"),
    (r#"["null","int"]"#, &[3, 8], "union at byte 0: union branch -2, schema has 2"),
    (r#"["null","int"]"#, &[4, 8], "union at byte 0: union branch 2, schema has 2"),
    (
        r#"["null","int"]"#,
        &[0x82, 0, 8],
        "union at byte 0: union branch takes more bytes than its value needs",
    ),
    (r#"["int","null"]"#, &[2], "ok"),
    (r#"["int","null"]"#, &[0, 8], "ok"),
    (r#"["null","double"]"#, &[2, 1, 2, 3, 4, 5, 6, 7, 8], "ok"),
    (r#"["null",{"type":"fixed","name":"n.F","size":0}]"#, &[2], "ok"),
    (r#"["null",{"type":"fixed","name":"n.F","size":0}]"#, &[0], "ok"),
    (r#"["null"]"#, &[0], "ok"),
    (r#"[]"#, &[0], "union at byte 0: union branch 0, schema has 0"),
    (r#"{"type":"array","items":"int"}"#, &[0], "ok"),
    (r#"{"type":"array","items":"int"}"#, &[4, 1, 2, 2, 3, 0], "ok"),
    (r#"{"type":"array","items":"int"}"#, &[3, 4, 1, 2, 0], "ok"),
    (
        r#"{"type":"array","items":"int"}"#,
        &[3, 6, 1, 2, 0],
        "array at byte 0: block size 3, its items take 2 bytes",
    ),
    (
        r#"{"type":"array","items":"int"}"#,
        &[3, 2, 1, 2, 0],
        "array at byte 0: block size 1, its items take 2 bytes",
    ),
    (
        r#"{"type":"array","items":"int"}"#,
        &[3, 1, 1, 2, 0],
        "array at byte 1: array block length -1 is negative",
    ),
    (
        r#"{"type":"array","items":"int"}"#,
        &[3, 200, 1, 1, 0],
        "array at byte 1: array block length 100, 2 bytes left",
    ),
    (
        r#"{"type":"array","items":"int"}"#,
        &[20, 1, 2],
        "array at byte 0: array block of 10 items, 2 bytes left",
    ),
    (
        r#"{"type":"array","items":"int"}"#,
        &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0],
        "array at byte 0: array block of above 65535 items, 0 bytes left",
    ),
    (
        r#"{"type":"array","items":"null"}"#,
        &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0],
        "array at byte 0: array block of above 65535 items, 1 byte left",
    ),
    (
        r#"{"type":"array","items":"int"}"#,
        &[2, 1],
        "array at byte 2: array block count is cut off by the end of the bytes",
    ),
    (r#"{"type":"array","items":"double"}"#, &[2, 1, 2, 3, 4, 5, 6, 7, 8, 0], "ok"),
    (
        r#"{"type":"array","items":"double"}"#,
        &[2, 1, 2, 3, 4, 5, 6, 7],
        "[0] at byte 1: double takes 8 bytes, 7 left",
    ),
    (
        r#"{"type":"map","values":"int"}"#,
        &[4, 2, b'a', 1, 2, 0xff, 1, 0],
        "{entry 1} at byte 5: map key is not valid UTF-8",
    ),
];

#[test]
fn each_type_takes_its_data_and_nothing_else() {
    for &(text, bytes, expected) in DATA {
        assert_eq!(verdict(&schema(text), bytes), expected, "{text} {bytes:02x?}");
    }
}

#[test]
fn paths_are_made_of_fields_and_positions() {
    let account = r#"{"type":"record","name":"A","fields":[
        {"name":"id","type":"long"},{"name":"balance","type":["null","double"]}]}"#;
    let accounts = format!(r#"{{"type":"map","values":{account}}}"#);
    let users = format!(
        r#"{{"type":"record","name":"U","fields":[{{"name":"accounts","type":{accounts}}},
        {{"name":"log","type":["null",{{"type":"array","items":{{"type":"array","items":"A"}}}}]}}]}}"#
    );
    let schema = record(&[("pad", r#""double""#), ("users", &users)]);
    let mut bytes = vec![0; 8];
    bytes.extend([6, 2, b'x', 2, 0, 2, b'y', 4, 0, 2, b'z', 6]);
    let mut bad_branch = bytes.clone();
    bad_branch.push(14);
    assert_eq!(
        verdict(&schema, &bad_branch),
        "users.accounts{entry 2}.balance at byte 20: union branch 7, schema has 2"
    );
    bytes.extend([0, 0, 2, 2, 2, 9, 4]);
    assert_eq!(
        verdict(&schema, &bytes),
        "users.log[0][0].balance at byte 26: union branch 2, schema has 2"
    );
}

#[test]
fn fields_after_each_other_are_each_found() {
    let schema = record(&[
        ("a", r#""float""#),
        ("none", r#""null""#),
        ("f", r#"{"type":"fixed","name":"F","size":3}"#),
        ("point", r#"{"type":"record","name":"P","fields":[{"name":"x","type":"double"}]}"#),
        ("end", r#""boolean""#),
    ]);
    assert_eq!(verdict(&schema, &[1; 16]), "ok");
    assert_eq!(verdict(&schema, &[0; 3]), "a at byte 0: float takes 4 bytes, 3 left");
    assert_eq!(verdict(&schema, &[0; 5]), "f at byte 4: n.F takes 3 bytes, 1 left");
    assert_eq!(verdict(&schema, &[0; 7]), "point.x at byte 7: double takes 8 bytes, 0 left");
    assert_eq!(verdict(&schema, &[9; 16]), "end at byte 15: boolean byte 9, must be 0 or 1");
    let error = schema.check_binary(&[0; 17]).unwrap_err();
    assert_eq!(error.to_string(), "n.R at byte 16: 1 byte left over");
    assert_eq!(error.fault, DatumFault::TrailingBytes);
}

#[test]
fn depth_is_bounded_at_256_levels() {
    // A record and a union for each element of the list.
    let list = schema(
        r#"{"type":"record","name":"L","fields":[{"name":"v","type":"int"},
        {"name":"next","type":["null","L"]}]}"#,
    );
    let nested = |elements: usize| {
        let mut bytes = [2, 2].repeat(elements - 1);
        bytes.extend([2, 0]);
        bytes
    };
    assert_eq!(verdict(&list, &nested(128)), "ok");
    let error = list.check_binary(&nested(129)).unwrap_err();
    assert_eq!(error.detail, "nested deeper than 256 levels");
    assert_eq!(error.offset, 256);
    assert!(error.path.starts_with("next.next.next."), "{}", error.path);
    assert!(error.path.ends_with(".next.next.next"), "{}", error.path);
    assert!(error.path.len() < 300 && error.path.contains('…'), "{}", error.path);
    assert!(list.check_binary(&nested(100_000)).is_err());
    // The union around a value is a level, and so is the one around nothing.
    let tree = schema(
        r#"{"type":"record","name":"T","fields":[{"name":"next",
        "type":["T","null"]},{"name":"v","type":["int","null"]}]}"#,
    );
    for value in [&[0, 8][..], &[2]] {
        let nested = |elements: usize| {
            let mut bytes = vec![0; elements - 1];
            bytes.push(2);
            bytes.extend(value.repeat(elements));
            bytes
        };
        assert_eq!(verdict(&tree, &nested(128)), "ok");
        assert!(verdict(&tree, &nested(129)).ends_with("nested deeper than 256 levels"));
    }
    let arrays = format!("{}{}", r#"{"type":"array","items":"#.repeat(63), r#"["null","int"]"#);
    let arrays = format!("{arrays}{}", "}".repeat(63));
    let value = [[2; 63].as_slice(), &[2, 8], &[0; 63]].concat();
    assert_eq!(verdict(&schema(&arrays), &value), "ok");
}

#[test]
fn items_without_bytes_are_counted_over_the_whole_value() {
    let nulls = r#"{"type":"array","items":"null"}"#;
    let empty = r#"{"type":"array","items":{"type":"record","name":"E","fields":[
        {"name":"f","type":{"type":"fixed","name":"F","size":0}},{"name":"n","type":"null"}]}}"#;
    let schema = record(&[
        ("nulls", nulls),
        ("empty", empty),
        ("nested", &format!(r#"{{"type":"array","items":{nulls}}}"#)),
    ]);
    let datum = |counts: [i64; 4]| {
        let mut bytes = Vec::new();
        zigzag(counts[0], &mut bytes);
        bytes.push(0);
        zigzag(-counts[1], &mut bytes);
        bytes.extend([0, 0, 4]);
        for count in &counts[2..] {
            zigzag(*count, &mut bytes);
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    };
    assert_eq!(verdict(&schema, &datum([250_000; 4])), "ok");
    assert_eq!(
        verdict(&schema, &datum([250_000, 250_000, 250_000, 250_001])),
        "nested[1] at byte 17: more than 1000000 items that take no bytes"
    );
    assert_eq!(
        verdict(&schema, &datum([i64::MAX, 1, 1, 1])),
        "nulls at byte 10: more than 1000000 items that take no bytes"
    );
}
