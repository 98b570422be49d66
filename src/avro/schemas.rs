//! Which schema documents are taken, and what their names mean.

use super::AvroSchema;
use super::rules::schema;
use crate::limits::SchemaLimits;

fn fault(text: &str, references: &[&str]) -> String {
    match AvroSchema::parse(text, references, &SchemaLimits::default()) {
        Ok(_) => "ok".to_owned(),
        Err(fault) => fault.to_string(),
    }
}

/// A record `O` in namespace `a.b` with fields of the given types.
fn outer(types: &[&str]) -> String {
    let field = |(i, kind): (usize, &&str)| format!(r#"{{"name":"f{i}","type":{kind}}}"#);
    let fields = types.iter().enumerate().map(field).collect::<Vec<_>>().join(",");
    format!(r#"{{"type":"record","name":"O","namespace":"a.b","fields":[{fields}]}}"#)
}

const ONE: &str = r#"{"type":"fixed","name":"X","size":1}"#;
const TWO: &str = r#"{"type":"fixed","name":"other.X","size":2}"#;

#[test]
fn names_resolve_in_the_enclosing_namespace() {
    let table: [(&[&str], usize); 5] = [
        (&[ONE, TWO, r#""X""#, r#""a.b.X""#, r#""other.X""#], 1 + 2 + 1 + 1 + 2),
        (&[ONE, r#"{"type":"X"}"#, r#"{"type":{"type":"X"}}"#], 3),
        // A record brings its own namespace for what it contains, and only for that.
        (
            &[
                ONE,
                r#"{"type":"record","name":"c.I","fields":[
                    {"name":"x","type":{"type":"fixed","name":"X","size":4}},
                    {"name":"y","type":"X"}]}"#,
                r#""X""#,
                r#""c.X""#,
            ],
            1 + 4 + 4 + 1 + 4,
        ),
        // An empty namespace is none.
        (&[r#"{"type":"fixed","name":"X","namespace":"","size":3}"#, ONE, r#""X""#], 3 + 1 + 1),
        // What the enclosing namespace does not have may be in none.
        (&[r#"{"type":"fixed","name":"X","namespace":"","size":3}"#, r#""X""#], 3 + 3),
    ];
    for (types, width) in table {
        let schema = schema(&outer(types));
        assert!(schema.check_binary(&vec![7; width]).is_ok(), "{types:?}");
        assert!(schema.check_binary(&vec![7; width + 1]).is_err(), "{types:?}");
        assert!(schema.check_binary(&vec![7; width - 1]).is_err(), "{types:?}");
    }
}

#[test]
fn logical_types_are_their_base_types_even_where_they_do_not_fit() {
    let twelve = r#"{"type":"fixed","name":"F","size":12,"logicalType":"duration"}"#;
    let table: [(&str, &[u8]); 19] = [
        (r#"{"type":"int","logicalType":"date"}"#, &[1]),
        (r#"{"type":"int","logicalType":"time-millis"}"#, &[1]),
        (r#"{"type":"long","logicalType":"time-micros"}"#, &[1]),
        (r#"{"type":"long","logicalType":"timestamp-nanos"}"#, &[1]),
        (r#"{"type":"long","logicalType":"local-timestamp-millis"}"#, &[1]),
        (r#"{"type":"string","logicalType":"timestamp-millis"}"#, &[2, b'x']),
        (r#"{"type":"bytes","logicalType":"decimal","precision":-1,"scale":2}"#, &[0]),
        (r#"{"type":"bytes","logicalType":"decimal","precision":2,"scale":3}"#, &[4, 1, 2]),
        (r#"{"type":"bytes","logicalType":"decimal"}"#, &[0]),
        (r#"{"type":"bytes","logicalType":"big-decimal"}"#, &[2, 0xff]),
        (r#"{"type":"fixed","name":"F","size":1,"logicalType":"decimal","precision":99}"#, &[0]),
        (r#"{"type":"fixed","name":"F","size":2,"logicalType":"uuid"}"#, &[0, 0]),
        (r#"{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}"#, &[0xff; 16]),
        (r#"{"type":"string","logicalType":"uuid"}"#, &[2, b'x']),
        (r#"{"type":"string","logicalType":"nobody-knows"}"#, &[2, b'x']),
        (twelve, &[0; 12]),
        (r#"{"type":"double","logicalType":"dataclasses-avroschema-timedelta"}"#, &[0; 8]),
        (r#"{"type":"int","logicalType":17}"#, &[1]),
        (r#"{"type":["null",{"type":"int","logicalType":"date"}]}"#, &[2, 1]),
    ];
    for (text, bytes) in table {
        assert!(schema(text).check_binary(bytes).is_ok(), "{text}");
    }
}

#[test]
fn references_bring_their_names() {
    let references = [
        r#"{"type":"enum","name":"shared.Color","symbols":["RED"]}"#,
        r#"[{"type":"fixed","name":"shared.Id","size":2},
            {"type":"record","name":"shared.Car","fields":[{"name":"c","type":"Color"}]}]"#,
        r#"{"type":"enum","name":"shared.Color","symbols":["RED"]}"#,
    ];
    let text = outer(&[r#""shared.Id""#, r#""shared.Car""#, r#"["null","shared.Color"]"#]);
    let schema = AvroSchema::parse(&text, &references, &SchemaLimits::default()).unwrap();
    assert!(schema.check_binary(&[9, 9, 0, 2, 0]).is_ok());
    assert!(
        schema.check_json(br#"{"f0":"ab","f1":{"c":"RED"},"f2":{"shared.Color":"RED"}}"#).is_ok()
    );
    assert_eq!(fault(&text, &[]), r#"a.b.O.f0: unknown type "shared.Id""#);
    assert_eq!(
        fault(&text, &references[1..2]),
        r#"reference 0: shared.Car.c: unknown type "Color""#
    );
    let other = r#"{"type":"fixed","name":"shared.Color","size":1}"#;
    assert_eq!(
        fault(&text, &[references[0], other]),
        r#"reference 1: type "shared.Color" is defined twice"#
    );
}

#[test]
fn documents_that_are_no_schema_are_refused_with_the_place() {
    let table = [
        (r#""strin""#, r#"unknown type "strin""#),
        (r#"17"#, "a schema is a name, an object or an array"),
        (r#"{"name":"X"}"#, r#"schema object without "type""#),
        (r#"{"type":"array"}"#, r#"schema object without "items""#),
        (
            r#"{"type":"map","values":[["int"]]}"#,
            "no Avro schema: Unions may not directly contain a union",
        ),
        (r#"["int",{"type":["null"]}]"#, "no Avro schema: Unions may not directly contain a union"),
        (
            r#"["int",{"type":"int","logicalType":"date"}]"#,
            "no Avro schema: Unions cannot contain duplicate types, found at least two Int",
        ),
        (
            r#"[{"type":"array","items":"int"},{"type":"array","items":"long"}]"#,
            "no Avro schema: Unions cannot contain duplicate types, found at least two Array",
        ),
        (r#"{"type":"record","name":"R"}"#, r#"R: record without "fields""#),
        (r#"{"type":"record","fields":[]}"#, r#""" is no type name"#),
        (r#"{"type":"record","name":"a.int","fields":[]}"#, r#""a.int" is no type name"#),
        (r#"{"type":"record","name":"R-S","fields":[]}"#, r#""R-S" is no type name"#),
        (r#"{"type":"record","name":"R","fields":[{"name":"a"}]}"#, r#"R: field without "type""#),
        (r#"{"type":"record","name":"R","fields":[7]}"#, r#"R: "" is no field name"#),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#,
            "no Avro schema: Duplicate field name a",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"map","values":"S"}}]}"#,
            r#"R.a: unknown type "S""#,
        ),
        (r#"{"type":"enum","name":"E"}"#, r#"E: enum without "symbols""#),
        (
            r#"{"type":"enum","name":"E","symbols":["A","A"]}"#,
            "no Avro schema: Duplicate enum symbol A",
        ),
        (r#"{"type":"enum","name":"E","symbols":["a b"]}"#, r#"E: "a b" is no symbol name"#),
        (
            r#"{"type":"fixed","name":"F","size":-1}"#,
            r#"F: "size" is no number from 0 to 2147483647"#,
        ),
        (
            r#"["null",{"type":"fixed","name":"F","size":1},{"type":"fixed","name":"F","size":1}]"#,
            r#"type "F" is defined twice"#,
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"r","type":{"type":"record","name":"R","fields":[]}}]}"#,
            r#"R.r: type "R" is defined twice"#,
        ),
        ("{", "schema document is no JSON: EOF while parsing an object at line 1 column 1"),
        ("", "schema document is no JSON: EOF while parsing a value at line 1 column 0"),
        (r#""int" 1"#, "schema document is no JSON: trailing characters at line 1 column 7"),
    ];
    for (text, expected) in table {
        assert_eq!(fault(text, &[]), expected, "{text}");
    }
}

#[test]
fn what_the_specification_and_writers_allow_is_taken() {
    let table = [
        // Defaults are for readers; a wrong one makes no datum wrong.
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":["int","null"],"default":null}]}"#,
        r#"{"type":"error","name":"R","fields":[]}"#,
        r#"{"type":"enum","name":"E","symbols":[]}"#,
        r#"{"type":"record","name":"my-company.R","fields":[]}"#,
        r#"{"type":"record","name":"Größe","fields":[{"name":"été","type":"int"}]}"#,
        r#"{"type":"array","items":"string","name":"arr"}"#,
        r#"{"type":"record","name":"R","aliases":["R","x.y","not a name"],"fields":[]}"#,
        r#"["null"]"#,
        r#"[{"type":"fixed","name":"a.X","size":1},{"type":"fixed","name":"b.X","size":1}]"#,
    ];
    for text in table {
        assert_eq!(fault(text, &[]), "ok", "{text}");
    }
}
