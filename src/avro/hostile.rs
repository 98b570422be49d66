//! Documents and data made to cost much: all of them end soon, in an error or not.

use super::AvroSchema;
use super::rules::{record, schema};
use crate::limits::{MIB, SchemaLimits};
use proptest::prelude::*;

fn parse(text: &str) -> Result<AvroSchema, String> {
    AvroSchema::parse(text, &[], &SchemaLimits::default()).map_err(|fault| fault.detail)
}

#[test]
fn bounds_on_documents_hold() {
    let nested =
        |depth: usize| format!("{}\"int\"{}", r#"{"type":"#.repeat(depth), "}".repeat(depth));
    assert!(parse(&nested(64)).is_ok());
    assert_eq!(
        parse(&nested(65)).unwrap_err(),
        "schema document nests 65 levels, at most 64 are taken"
    );
    assert!(parse(&"[".repeat(MIB)).is_err());
    assert!(parse(&"{\"type\":".repeat(100_000)).is_err());
    assert!(parse(&" ".repeat(MIB + 1)).is_err());

    let fixed = |count: usize| {
        let each = |i| format!(r#"{{"type":"fixed","name":"F{i}","size":1}}"#);
        format!("[{}]", (0..count).map(each).collect::<Vec<_>>().join(","))
    };
    assert!(parse(&fixed(10_000)).is_ok());
    assert_eq!(parse(&fixed(10_001)).unwrap_err(), "more than 10000 named types");
    assert!(parse(&fixed(100_000)).is_err());

    let limits = SchemaLimits { max_nodes: 100, ..SchemaLimits::default() };
    let symbols: Vec<_> = (0..100).map(|i| format!("\"S{i}\"")).collect();
    let text = format!(r#"{{"type":"enum","name":"E","symbols":[{}]}}"#, symbols.join(","));
    assert_eq!(
        AvroSchema::parse(&text, &[], &limits).unwrap_err().detail,
        "E: more than 100 types, fields, branches and symbols"
    );
    let references = vec!["\"int\""; 257];
    let fault = AvroSchema::parse("\"int\"", &references, &SchemaLimits::default()).unwrap_err();
    assert_eq!(fault.detail, "257 references, at most 256 are taken");
}

/// A record with fields of the given types and further attributes.
fn fields(name: &str, fields: &[(&str, &str)]) -> String {
    let field = |(i, (kind, more)): (usize, &(&str, &str))| {
        format!(r#"{{"name":"f{i}","type":{kind}{more}}}"#)
    };
    let fields: Vec<_> = fields.iter().enumerate().map(field).collect();
    format!(r#"{{"type":"record","name":"{name}","fields":[{}]}}"#, fields.join(","))
}

#[test]
fn documents_that_hurt_the_parser_do_not_reach_it() {
    let own_default = (r#""R""#, r#","default":{}"#);
    // Without default and alias, the first two are records that consist of themselves.
    assert!(parse(&fields("R", &[own_default])).is_ok());
    let aliases: Vec<_> = (0..20_000).map(|i| format!("\"a{i}\"")).collect();
    let aliases = format!(r#","default":{{}},"aliases":[{}]"#, aliases.join(","));
    assert!(parse(&fields("R", &[(r#"["null","R"]"#, &aliases)])).is_ok());
    // A type that is defined again, while it is open and after, also by way of an object.
    let inner = fields("R", &[own_default]);
    let wrapped = format!(r#"{{"name":"R","type":{inner}}}"#);
    for again in [&inner, &wrapped] {
        let twice = r#"type "R" is defined twice"#;
        let outer = fields("R", &[(again, r#","default":{}"#)]);
        assert_eq!(parse(&outer).unwrap_err(), format!("R.f0: {twice}"));
        let outer = fields("O", &[(&inner, ""), (again, r#","default":{}"#)]);
        assert_eq!(parse(&outer).unwrap_err(), format!("O.f1: {twice}"));
        assert_eq!(parse(&format!("[{inner},{again}]")).unwrap_err(), twice);
    }
    // References that are no plain definitions of the name that they carry.
    let text = fields("O", &[(r#""R""#, ""), (r#""R""#, r#","default":{}"#)]);
    let limits = SchemaLimits::default();
    for reference in [&wrapped, &format!("[{wrapped}]"), &format!(r#"{{"type":{wrapped}}}"#)] {
        assert!(AvroSchema::parse(&text, &[reference], &limits).is_ok(), "{reference}");
    }
    let other = wrapped.replacen("R", "X", 1);
    assert!(AvroSchema::parse(&text, &[&other], &limits).is_ok());
    assert!(AvroSchema::parse(&text, &["\"int\"", "[]", "[[]]"], &limits).is_err());
    // Defaults that double with every level.
    let doubled = doubling("\"int\"").replace(r#""}"#, r#"","default":{}}"#);
    assert!(doubled.contains(r#"{"name":"b","type":"D59","default":{}}"#));
    assert!(parse(&doubled).is_ok());
    // What the clean document says of itself is nobody's to say.
    assert_eq!(parse(r#""__xdocuments""#).unwrap_err(), r#"unknown type "__xdocuments""#);
    assert!(parse(&fields("__xdocuments", &[(r#""__xdocuments""#, "")])).is_ok());
}

#[test]
fn every_kind_of_nesting_is_parsed_on_a_small_stack() {
    let nested = |open: &str, close: &str, levels: usize| {
        let open: Vec<_> = (0..levels).map(|i| open.replace('#', &i.to_string())).collect();
        format!("{}\"int\"{}", open.concat(), close.repeat(levels))
    };
    let record = r#"{"type":"record","name":"R#","fields":[{"name":"f","type":"#;
    let table = [
        (r#"{"type":"array","items":"#, "}", 1),
        (r#"{"type":"map","values":"#, "}", 1),
        (r#"{"type":["null",{"type":"array","items":"#, "}]}", 3),
        (record, "}]}", 3),
        (r#"{"logicalType":"decimal","type":"#, "}", 1),
    ];
    let all = move || {
        for (open, close, levels) in table {
            assert!(parse(&nested(open, close, 64 / levels)).is_ok(), "{open}");
            let error = parse(&nested(open, close, 64 / levels + 1)).unwrap_err();
            assert!(error.starts_with("schema document nests 6"), "{open}: {error}");
        }
    };
    let small = std::thread::Builder::new().stack_size(MIB).spawn(all);
    small.unwrap().join().unwrap();
}

#[test]
fn long_names_do_not_make_long_messages() {
    let name = "x".repeat(100_000);
    let error = parse(&format!("\"{name}\"")).unwrap_err();
    assert!(error.len() < 400, "{}", error.len());
    let schema = record(&[(&name, "\"int\"")]);
    let error = schema.check_binary(&[]).unwrap_err();
    assert!(error.to_string().len() < 400);
    let fixed = schema_named(&name);
    assert!(fixed.check_binary(&[]).unwrap_err().to_string().len() < 600);
    assert!(fixed.check_json(b"\"\"").unwrap_err().to_string().len() < 600);
}

fn schema_named(name: &str) -> AvroSchema {
    schema(&format!(r#"{{"type":"fixed","name":"{name}","size":1}}"#))
}

#[test]
fn a_record_of_ten_thousand_fields_compiles() {
    let fields: Vec<_> =
        (0..10_000).map(|i| format!(r#"{{"name":"f{i}","type":"boolean"}}"#)).collect();
    let text = format!(r#"{{"type":"record","name":"R","fields":[{}]}}"#, fields.join(","));
    let schema = schema(&text);
    let mut datum = vec![1; 10_000];
    assert!(schema.check_binary(&datum).is_ok());
    datum[9_999] = 2;
    assert_eq!(schema.check_binary(&datum).unwrap_err().path, "f9999");
    // In reverse order, all keys escaped, and then without the last of them.
    let members: Vec<_> = (0..10_000).rev().map(|i| format!("\"\\u0066{i}\":true")).collect();
    assert!(schema.check_json(format!("{{{}}}", members.join(",")).as_bytes()).is_ok());
    let error = schema.check_json(format!("{{{}}}", members[..9_999].join(",")).as_bytes());
    let error = error.unwrap_err();
    assert_eq!((error.path.as_str(), error.detail.as_str()), ("f0", "field is missing"));
}

#[test]
fn types_that_no_finite_datum_has_end() {
    let table = [
        r#"{"type":"record","name":"A","fields":[{"name":"a","type":"A"}]}"#,
        r#"{"type":"record","name":"A","fields":[{"name":"a","type":"A"},{"name":"b","type":"A"}]}"#,
        r#"{"type":"record","name":"A","fields":[{"name":"b","type":{"type":"record","name":"B",
            "fields":[{"name":"a","type":"A"}]}}]}"#,
        r#"{"type":"record","name":"A","fields":[{"name":"n","type":"null"},
            {"name":"b","type":{"type":"record","name":"B","fields":[
            {"name":"b","type":"B"},{"name":"a","type":"A"}]}}]}"#,
        r#"{"type":"array","items":{"type":"record","name":"A","fields":[{"name":"a","type":"A"}]}}"#,
        r#"{"type":"record","name":"A","fields":[{"name":"i","type":"int"},{"name":"a","type":"A"}]}"#,
    ];
    for text in table {
        let schema = schema(text);
        let error = schema.check_binary(&[2; 1000]).unwrap_err();
        assert_eq!(error.detail, "nested deeper than 256 levels", "{text}");
        let json = r#"[{"i":1,"n":null,"a":"#.repeat(1000);
        assert!(schema.check_json(json.as_bytes()).is_err());
        assert!(schema.check_json(json[1..].replace('[', "").as_bytes()).is_err());
    }
}

/// Records that hold the one before twice: 2^60 leaves.
fn doubling(leaf: &str) -> String {
    let level = |i: usize| {
        let last = i - 1;
        format!(
            r#"{{"type":"record","name":"D{i}","fields":[{{"name":"a","type":"D{last}"}},
            {{"name":"b","type":"D{last}"}}]}}"#
        )
    };
    let levels: Vec<_> = (1..=60).map(level).collect();
    let first =
        format!(r#"{{"type":"record","name":"D0","fields":[{{"name":"v","type":{leaf}}}]}}"#);
    format!("[{first},{}]", levels.join(","))
}

#[test]
fn records_that_double_cost_no_more_than_their_bytes() {
    let last = [120]; // branch 60
    assert!(schema(&doubling(r#""null""#)).check_binary(&last).is_ok());
    let fixed = schema(&doubling(r#"{"type":"fixed","name":"F","size":2147483647}"#));
    assert!(fixed.check_binary(&[120, 0, 0]).is_err());
    let mut datum = vec![120];
    datum.extend([1; 10_000]);
    let error = schema(&doubling(r#""boolean""#)).check_binary(&datum).unwrap_err();
    assert_eq!((error.offset, error.detail.as_str()), (10_001, "boolean takes 1 byte, 0 left"));
}

#[test]
fn records_in_records_cost_no_more_than_their_bytes() {
    let wrap = |i: usize| {
        let last = i - 1;
        format!(
            r#"{{"type":"record","name":"W{i}","fields":[{{"name":"n","type":"null"}},
            {{"name":"w","type":"W{last}"}}]}}"#
        )
    };
    let wraps: Vec<_> = (1..=250).map(wrap).collect();
    let first = r#"{"type":"record","name":"W0","fields":[{"name":"v","type":"boolean"}]}"#;
    let text = format!(r#"[{first},{},{{"type":"array","items":"W250"}}]"#, wraps.join(","));
    let schema = schema(&text);
    let mut datum = Vec::new();
    super::sample::zigzag(251, &mut datum);
    super::sample::zigzag(4_000_000, &mut datum);
    datum.extend(vec![1; 4_000_000]);
    datum.push(0);
    assert!(schema.check_binary(&datum).is_ok());
    datum.pop();
    // A billion steps would be needed to say where.
    let error = schema.check_binary(&datum).unwrap_err();
    assert_eq!(error.detail, "no datum of the schema; too long to say why");
}

#[test]
fn deep_data_does_not_overflow_a_small_stack() {
    let small = std::thread::Builder::new().stack_size(2 * MIB).spawn(|| {
        let tree = schema(
            r#"{"type":"record","name":"T","fields":[{"name":"v","type":"int"},
            {"name":"c","type":{"type":"map","values":{"type":"array","items":["null","T"]}}}]}"#,
        );
        let mut datum = [2, 2, 2, b'k', 2, 2].repeat(100_000);
        assert!(tree.check_binary(&datum).unwrap_err().detail.contains("nested deeper"));
        // 63 times four levels, and then three more.
        datum.truncate(63 * 6);
        datum.extend([2, 0]);
        datum.extend([0, 0].repeat(63));
        assert_eq!(tree.check_binary(&datum), Ok(()));
        let json = r#"{"v":1,"c":{"k":[{"T":"#.repeat(100_000);
        let error = tree.check_json(json.as_bytes()).unwrap_err();
        assert_eq!(error.detail, "nested deeper than 256 levels");
    });
    small.unwrap().join().unwrap();
}

#[test]
fn maps_of_many_keys_are_checked_in_time() {
    let map = schema(r#"{"type":"map","values":"int"}"#);
    let entry = |i: usize| format!("\"{}{i}\":1", "k".repeat(20));
    let mut entries: Vec<_> = (0..50_000).map(entry).collect();
    assert!(map.check_json(format!("{{{}}}", entries.join(",")).as_bytes()).is_ok());
    entries.push(entry(777).replace("k7", "\\u006b7"));
    let text = format!("{{{}}}", entries.join(","));
    let error = map.check_json(text.as_bytes()).unwrap_err();
    assert_eq!(error.detail, "key stands twice");
    assert_eq!(error.offset, text.rfind("\"kk").unwrap());
}

proptest! {
    #[test]
    fn arbitrary_documents_do_not_panic(text in "[\\[\\]{}:,\" a-z0-9.]{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn almost_schemas_do_not_panic(
        at in 0_usize..400,
        byte in "[\\[\\]{}:,\"nA0. ]",
        bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut text = doubling(r#"["null",{"type":"array","items":"D0"},{"type":"map","values":"int"}]"#);
        text.replace_range(at..=at, &byte);
        if let Ok(schema) = parse(&text) {
            let _ = schema.check_binary(&bytes);
            let _ = schema.check_json(&bytes);
        }
    }
}
