//! What a schema may be, what it may import, and how its messages are named.

use super::UnknownFields::Reject;
use super::rules::said;
use super::schemas::{parse, parse_with};

const NESTED: &str = r#"
    syntax = "proto3"; package a.b;
    message A { map<string, string> m = 1; message B { message C {} } }
    message D { message E {} message F { int32 n = 1; } }
"#;

/// The bytes of one with what follows it, the message that it means, and how many bytes follow.
type IndexList = (&'static [u8], Option<(&'static str, usize)>);

#[test]
fn index_lists_lead_to_messages() {
    let schema = parse(NESTED).unwrap();
    let rows: [IndexList; 22] = [
        (&[0], Some(("a.b.A", 0))),
        (&[0, 9], Some(("a.b.A", 1))),
        (&[2, 0], Some(("a.b.A", 0))),
        (&[2, 2], Some(("a.b.D", 0))),
        (&[4, 2, 0], Some(("a.b.D.E", 0))),
        (&[4, 2, 2, 7, 7], Some(("a.b.D.F", 2))),
        // The entry of the map has place 0.
        (&[4, 0, 0], None),
        (&[4, 0, 2], Some(("a.b.A.B", 0))),
        (&[6, 0, 2, 0], Some(("a.b.A.B.C", 0))),
        (&[8, 0, 2, 0, 0], None),
        (&[2, 4], None),
        (&[4, 2, 4], None),
        (&[], None),
        (&[2], None),
        (&[4, 2], None),
        (&[1], None),
        (&[2, 1], None),
        (&[0x80, 0], None),
        (&[2, 0x82, 0], None),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01], None),
        (&[0xfe, 0xff, 0xff, 0xff, 0x0f, 2], None),
        (&[0xff, 0xff, 0xff, 0xff, 0x0f, 2], None),
    ];
    for (bytes, expected) in rows {
        let found = schema.read_message_indexes(bytes);
        let found = found.map(|(id, rest)| (schema.name(id), rest.len()));
        assert_eq!(found, expected, "{bytes:?}");
    }
    let by = |indexes: &[u32]| schema.message_by_indexes(indexes).map(|id| schema.name(id));
    assert_eq!(by(&[0]), Some("a.b.A"));
    assert_eq!(by(&[1, 1]), Some("a.b.D.F"));
    assert_eq!((by(&[]), by(&[2]), by(&[0, 0]), by(&[u32::MAX])), (None, None, None, None));
    let named = |name: &str| schema.message_by_name(name).map(|id| schema.name(id));
    assert_eq!(named("a.b.D.F"), Some("a.b.D.F"));
    assert_eq!((named(".a.b.D.F"), named("D"), named("a.b.A.MEntry")), (None, None, None));
    assert_eq!(schema.name(schema.root()), "a.b.A");
    let inner = schema.message_by_name("a.b.D.F").unwrap();
    assert_eq!(said(&schema, inner, Reject, &[0x08, 1]), "ok");
    assert_eq!(
        said(&schema, inner, Reject, &[0x09]),
        "n at byte 0: wire type 1 (64 bits), must be 0 (varint) for int32"
    );
}

#[test]
fn imports_come_from_the_references_and_the_well_known() {
    let main = r#"syntax = "proto3"; import "a/one.proto"; import "google/protobuf/any.proto";
        import "confluent/meta.proto"; import "confluent/type/decimal.proto"; import "google/type/date.proto";
        import "google/type/timeofday.proto";
        message M { one.One one = 1; three.Three three = 2; google.protobuf.Any any = 3 [(confluent.field_meta).doc = "x"];
          confluent.type.Decimal price = 4; google.type.Date day = 5; google.type.TimeOfDay time = 6; }"#;
    let one = r#"syntax = "proto3"; package one; import public "two.proto"; message One { int32 n = 1; }"#;
    let two = r#"syntax = "proto3"; import public "three.proto";"#;
    let three = r#"syntax = "proto3"; package three; message Three { int32 n = 1; }"#;
    // A chain of public imports is followed to its end.
    let references =
        [("a/one.proto", one), ("two.proto", two), ("three.proto", three), ("unused", "{{{")];
    let schema = parse_with(main, &references).unwrap();
    assert_eq!(schema.name(schema.root()), "M");
    assert_eq!(said(&schema, schema.root(), Reject, &[0x12, 2, 0x08, 1]), "ok");
    assert!(schema.message_by_name("three.Three").is_some());
    let missing = parse_with(main, &references[..2]).unwrap_err();
    assert_eq!(missing, "import \"three.proto\" is not among the references");
    let not_public = three.replace("Three {", "Four {");
    let references = [("a/one.proto", one), ("two.proto", two), ("three.proto", &*not_public)];
    let fault = parse_with(main, &references).unwrap_err();
    assert_eq!(
        fault,
        "no Protobuf schema: 'three.Three' resolves to 'three.Three', which is not defined"
    );
    let itself = [("a.proto", "import \"b.proto\";"), ("b.proto", "import \"a.proto\";")];
    let fault = parse_with("import \"a.proto\"; message M {}", &itself).unwrap_err();
    assert_eq!(fault, "\"a.proto\" imports itself");
    let twice = [("a", ""), ("a", ";")];
    assert_eq!(parse_with("message M {}", &twice).unwrap_err(), "two references are called \"a\"");
    let nothing = parse_with("import \"schema.proto\";", &[("schema.proto", "message M {}")]);
    assert_eq!(nothing.unwrap_err(), "the document declares no message");
}

#[test]
fn what_is_no_schema_is_refused_in_words() {
    let map = |key: &str| format!("message M {{ map<{key}, string> m = 1; }}");
    let (float, bytes) = (map("float"), map("bytes"));
    let enums = "enum E { A = 0; } message M { map<E, string> m = 1; }";
    let rows: [(&str, &str); 10] = [
        ("", "the document declares no message"),
        ("syntax = \"proto3\";", "the document declares no message"),
        (
            "edition = \"2023\"; message M {}",
            "editions of Protocol Buffers are not supported, only proto2 and proto3",
        ),
        (
            "{\"type\":\"record\"}",
            "no Protobuf source: 1:1: expected 'enum', 'extend', 'import', 'message', 'option', 'service', 'package' or ';', but found '{'",
        ),
        (
            "message M { int32 a = 1; }",
            "no Protobuf source: 1:13: fields must have a label with proto2 syntax (expected one of 'optional', 'repeated' or 'required')",
        ),
        (
            &float,
            "no Protobuf source: 1:17: a map field key type must be an integer, boolean or string",
        ),
        (
            &bytes,
            "no Protobuf source: 1:17: a map field key type must be an integer, boolean or string",
        ),
        (
            enums,
            "no Protobuf source: 1:35: a map field key type must be an integer, boolean or string",
        ),
        (
            "message M { repeated map<string, string> m = 1; }",
            "no Protobuf source: 1:13: map fields cannot have labels",
        ),
        (
            "syntax = \"proto3\"; message M { required int32 a = 1; }",
            "no Protobuf source: 1:32: required fields are not allowed in proto3 syntax",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(parse(text).map(|_| ()).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn what_compiles_to_no_schema_is_refused_in_words() {
    let rows = [
        (
            "message M { optional int32 a = 1; optional int32 b = 1; }",
            "no Protobuf schema: field number '1' is already used",
        ),
        (
            "message M { optional int32 a = 19000; }",
            "no Protobuf schema: invalid field number '19000'",
        ),
        (
            "message M { optional int32 a = 0; }",
            "no Protobuf source: 1:32: message numbers must be between 1 and 536870911",
        ),
        (
            "message M { optional int32 a = 536870912; }",
            "no Protobuf source: 1:32: message numbers must be between 1 and 536870911",
        ),
        (
            "message M { reserved 1; optional int32 a = 1; }",
            "no Protobuf schema: field number '1' conflicts with reserved range '1 to 1'",
        ),
        ("message M { optional N n = 1; }", "no Protobuf schema: name 'N' is not defined"),
        (
            "syntax = \"proto3\"; enum E { A = 1; } message M {}",
            "no Protobuf schema: the first value for proto3 enums must be 0",
        ),
        (
            "enum E { A = 1; B = 1; } message M {}",
            "no Protobuf schema: enum number '1' has already been used",
        ),
        (
            "message M { option message_set_wire_format = true; extensions 4 to max; }",
            "M: message sets are not supported",
        ),
        ("CgA", "the document declares no message"),
    ];
    for (text, expected) in rows {
        assert_eq!(parse(text).map(|_| ()).unwrap_err(), expected, "{text}");
    }
    assert!(parse("enum E { option allow_alias = true; A = 1; B = 1; } message M {}").is_ok());
    // Two names that JSON takes for one.
    assert!(parse("message M { optional int32 a_b = 1; optional int32 aB = 2; }").is_ok());
}
