//! Schemas and values that mean harm: they end soon, in bounded memory, and on a small stack.

use proptest::prelude::*;

use super::{
    JsonSchema,
    rules::{parse, schema},
};
use crate::{
    datum::DatumFault,
    limits::{MIB, SchemaLimits},
};

fn numbered(count: usize, each: impl Fn(usize) -> String) -> String {
    (0..count).map(each).collect::<Vec<_>>().join(",")
}

/// The schema `root` with `count` definitions.
fn with_definitions(root: &str, count: usize, each: impl Fn(usize) -> String) -> String {
    let definitions = numbered(count, |i| format!("\"d{i}\":{}", each(i)));
    format!(r#"{{{root},"$defs":{{{definitions}}}}}"#)
}

/// Does `work` on a stack as threads of the runtime have it.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let small = std::thread::Builder::new().stack_size(2 * MIB).spawn(work);
    small.unwrap().join().unwrap();
}

#[test]
fn references_in_circles_end() {
    on_a_small_stack(|| {
        let table = [
            r##"{"$ref":"#"}"##,
            r##"{"$dynamicRef":"#"}"##,
            r##"{"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveRef":"#"}"##,
            r##"{"$schema":"http://json-schema.org/draft-07/schema#","$ref":"#"}"##,
            r##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}"##,
            r##"{"allOf":[{"$ref":"#"},{"$ref":"#"}]}"##,
            r##"{"anyOf":[{"$ref":"#"},{"not":{"$ref":"#"}},{"oneOf":[{"$ref":"#"},{"$ref":"#"}]}]}"##,
            r##"{"$dynamicAnchor":"a","allOf":[{"$dynamicRef":"#a"},{"not":{"$dynamicRef":"#a"}}]}"##,
            r##"{"unevaluatedProperties":{"$ref":"#"},"allOf":[{"$ref":"#"}]}"##,
            r##"{"unevaluatedItems":{"$ref":"#"},"anyOf":[{"$ref":"#"},{"items":{"$ref":"#"}}]}"##,
            r##"{"propertyNames":{"$ref":"#"},"additionalProperties":{"$ref":"#"},"contains":{"$ref":"#"}}"##,
            r##"{"if":{"$ref":"#"},"then":{"$ref":"#"},"else":{"$ref":"#"}}"##,
        ];
        let deep = format!("{}1{}", "[{\"a\":".repeat(120), "}]".repeat(120));
        for text in table {
            let Ok(schema) = parse(text) else { continue };
            for value in ["1", "\"x\"", "{}", "[]", r#"{"a":[1,{"b":2}]}"#, &deep] {
                let _ = (schema.fault(value.as_bytes()), schema.check(value.as_bytes()));
            }
        }
    });
}

#[test]
fn long_chains_of_references_end() {
    on_a_small_stack(|| {
        let last = 20_000;
        for keyword in ["$ref", "$dynamicRef"] {
            let text = with_definitions(r##""$ref":"#/$defs/d0""##, last + 1, |i| {
                if i == last {
                    "{\"type\":\"null\"}".to_owned()
                } else {
                    format!(r##"{{"{keyword}":"#/$defs/d{}"}}"##, i + 1)
                }
            });
            if let Ok(schema) = parse(&text) {
                let _ = (schema.fault(b"null"), schema.check(b"null"), schema.check(b"1"));
            }
        }
        let text = with_definitions(r##""$ref":"#/$defs/d0""##, last, |i| {
            format!(
                r##"{{"allOf":[{{"properties":{{"a":{{"$ref":"#/$defs/d{}"}}}}}}]}}"##,
                (i + 1) % last
            )
        });
        if let Ok(schema) = parse(&text) {
            let deep = format!("{}1{}", "{\"a\":".repeat(250), "}".repeat(250));
            let _ = (schema.fault(deep.as_bytes()), schema.check(deep.as_bytes()));
        }
    });
}

/// Each level refers to the next one twice: 2^60 ways to the last.
fn doubling(keywords: impl Fn(&str) -> String) -> String {
    with_definitions(r##""$ref":"#/$defs/d0""##, 60, |i| {
        if i == 59 {
            "{\"maximum\":5}".to_owned()
        } else {
            keywords(&format!(r##"{{"$ref":"#/$defs/d{}"}}"##, i + 1))
        }
    })
}

#[test]
fn references_that_double_are_given_up() {
    let deep = format!("{}1{}", "{\"a\":".repeat(70), "}".repeat(70));
    let table: [fn(&str) -> String; 7] = [
        |next| format!(r#"{{"allOf":[{next},{next}]}}"#),
        |next| format!(r#"{{"anyOf":[{{"not":{next}}},{next}]}}"#),
        |next| format!(r#"{{"oneOf":[{{"not":{next}}},{next}]}}"#),
        |next| format!(r#"{{"not":{next},"if":{next}}}"#),
        |next| format!(r#"{{"if":{next},"then":{next},"else":{next}}}"#),
        |next| {
            format!(
                r#"{{"allOf":[{{"properties":{{"a":{next}}}}},{{"additionalProperties":{next}}}]}}"#
            )
        },
        |next| format!(r#"{{"propertyNames":{{"allOf":[{next},{next}]}}}}"#),
    ];
    for keywords in table {
        let text = doubling(keywords);
        let Ok(schema) = parse(&text) else { continue };
        for value in ["1", "9", "{\"a\":1}", &deep] {
            let error = schema.check(value.as_bytes()).err();
            assert_eq!(schema.fault(value.as_bytes()), error.map(|error| error.fault), "{text}");
        }
    }
    let text = doubling(|next| format!(r#"{{"allOf":[{next},{next}]}}"#));
    let error = schema(&text).check(b"1").unwrap_err();
    assert_eq!(error.to_string(), "value at byte 0: too much work to judge with this schema");
}

#[test]
fn recursion_over_both_schema_and_value_ends() {
    let text = r##"{"type":"object","anyOf":[
        {"properties":{"a":{"$ref":"#"}},"required":["x"]},
        {"properties":{"a":{"$ref":"#"}},"required":["y"]},
        {"properties":{"a":{"$ref":"#"}},"type":"object"}]}"##;
    let tree = schema(text);
    let deep = |inner| format!("{}{inner}{}", "{\"a\":".repeat(250), "}".repeat(250));
    assert_eq!(tree.fault(deep("{}").as_bytes()), None);
    assert_eq!(tree.fault(deep("1").as_bytes()), Some(DatumFault::Invalid));
    assert!(tree.check(deep("1").as_bytes()).is_err());
    let text = text.replace("\"$ref\":\"#\"", "\"$dynamicRef\":\"#n\"");
    let text = text.replacen('{', "{\"$dynamicAnchor\":\"n\",\"unevaluatedProperties\":false,", 1);
    assert!(schema(&text).check(deep("1").as_bytes()).is_err());
}

#[test]
fn schemas_whose_parts_multiply_are_refused() {
    // A schema means something else for each way that leads to it through documents: 2^30 ways.
    let anchor = r##""$dynamicAnchor":"n""##;
    let text = with_definitions(&format!(r##"{anchor},"allOf":[{{"$ref":"r0"}}]"##), 60, |i| {
        let (level, side) = (i / 2, if i % 2 == 0 { "r" } else { "s" });
        let next = level + 1;
        let branches = format!(r#""allOf":[{{"$ref":"r{next}"}},{{"$ref":"s{next}"}}]"#);
        let branches = if next == 30 { r#""type":"null""# } else { &branches };
        format!(r##"{{"$id":"{side}{level}",{anchor},{branches},"items":{{"$dynamicRef":"#n"}}}}"##)
    });
    let fault = parse(&text).unwrap_err();
    assert!(fault.starts_with("too much work to compile"), "{fault}");
    // What is left over is known only when all ways are gone.
    for keyword in ["unevaluatedProperties", "unevaluatedItems"] {
        let table: [fn(&str, &str) -> String; 5] = [
            |keyword, next| format!(r#"{{"anyOf":[{next},{next}],"{keyword}":{next}}}"#),
            |keyword, next| format!(r#"{{"allOf":[{next},{next}],"{keyword}":false}}"#),
            |_, next| format!(r#"{{"allOf":[{next},{next}]}}"#),
            |_, next| format!(r#"{{"if":{next},"then":{next},"else":{next}}}"#),
            |_, next| format!(r#"{{"dependentSchemas":{{"a":{next},"b":{next}}}}}"#),
        ];
        for keywords in table {
            let text = doubling(|next| keywords(keyword, next));
            let text = text.replacen('{', &format!("{{\"{keyword}\":false,"), 1);
            let fault = parse(&text).unwrap_err();
            assert!(fault.starts_with("too many or too long ways from"), "{fault}");
        }
    }
}

#[test]
fn many_documents_that_share_one_are_well() {
    let all = numbered(250, |i| format!(r#"{{"$ref":"doc{i}"}}"#));
    let documents: Vec<_> = (0..250)
        .map(|i| {
            (
                format!("doc{i}"),
                format!(r#"{{"$id":"https://e/doc{i}","items":{{"$ref":"common"}}}}"#),
            )
        })
        .collect();
    let mut references: Vec<_> = documents.iter().map(|(name, text)| (&**name, &**text)).collect();
    references.push(("common", r#"{"$id":"https://e/common","properties":{"a":{"type":"null"}}}"#));
    let shared = JsonSchema::parse(
        &format!(r#"{{"allOf":[{all}]}}"#),
        &references,
        &SchemaLimits::default(),
    );
    let shared = shared.unwrap();
    assert_eq!(shared.fault(br#"[{"a":1}]"#), Some(DatumFault::Invalid));
}

#[test]
fn deeply_nested_schemas_do_not_overflow_a_small_stack() {
    on_a_small_stack(|| {
        for (open, close) in [
            ("{\"not\":", "}"),
            ("{\"items\":", "}"),
            ("{\"properties\":{\"a\":", "}}"),
            ("{\"if\":", "}"),
        ] {
            let levels = 63 / open.matches('{').count();
            let text = format!("{}{{}}{}", open.repeat(levels), close.repeat(levels));
            let schema = schema(&text);
            let _ = (schema.check(b"1"), schema.check(b"[[{}]]"));
            let text = format!("{}{{}}{}", open.repeat(30_000), close.repeat(30_000));
            assert!(parse(&text).unwrap_err().contains("nested deeper than 64 levels"));
        }
        // Nested schemas that refer to nested schemas.
        let text = with_definitions(r##""$ref":"#/$defs/d0""##, 40, |i| {
            format!(
                r##"{}{{"$ref":"#/$defs/d{}"}}{}"##,
                "{\"not\":".repeat(60),
                (i + 1) % 40,
                "}".repeat(60)
            )
        });
        if let Ok(schema) = parse(&text) {
            let _ = (schema.fault(b"1"), schema.check(b"1"));
        }
    });
}

#[test]
fn values_of_many_items_are_judged_in_time() {
    let numbers = format!("[{}]", numbered(500_000, |i| i.to_string()));
    let unique = schema(r#"{"uniqueItems":true}"#);
    assert_eq!(unique.fault(numbers.as_bytes()), None);
    assert!(unique.check(numbers.replace("[0,", "[499999,").as_bytes()).is_err());
    let contains =
        schema(r#"{"contains":{"const":-1},"minContains":0,"items":{"type":"integer"}}"#);
    assert_eq!(contains.fault(numbers.as_bytes()), None);
    let options = numbered(50_000, |i| format!("[{i}]"));
    let enumerated = schema(&format!(r#"{{"items":{{"enum":[{options}]}}}}"#));
    let lists = format!("[{}]", numbered(50_000, |_| "[49999]".to_owned()));
    let error = enumerated.check(lists.as_bytes()).unwrap_err();
    assert!(error.detail.starts_with("too much work"), "{error}");
    let patterns = numbered(2_000, |i| format!("\"a{i}.*b$\":{{\"type\":\"null\"}}"));
    let patterned = schema(&format!(r#"{{"patternProperties":{{{patterns}}}}}"#));
    let keys = format!("{{{}}}", numbered(20_000, |i| format!("\"c{i}\":1")));
    let error = patterned.check(keys.as_bytes()).unwrap_err();
    assert!(error.detail.starts_with("too much work"), "{error}");
}

#[test]
fn regular_expressions_are_bounded() {
    let table = [
        "(a{1000}){1000}",
        "(((a{100}){100}){100}){100}",
        r"(\\p{L}{100}){100}",
        "[\\\\w\\\\p{L}]{10000}",
    ];
    for pattern in table {
        let fault = parse(&format!(r#"{{"pattern":"{pattern}"}}"#));
        assert!(fault.is_err(), "{pattern}");
    }
    for (open, close) in [("(", ")"), ("(?:", ")"), ("[", "]")] {
        let pattern = format!("{}a{}", open.repeat(100_000), close.repeat(100_000));
        let _ = parse(&format!(r#"{{"pattern":"{pattern}"}}"#));
    }
    let many = numbered(3_000, |i| format!("\"a{i}\":true"));
    let fault = parse(&format!(r#"{{"patternProperties":{{{many}}}}}"#)).unwrap_err();
    assert_eq!(fault, "3000 regular expressions, at most 2048 are taken");
    // What backtracks for ever elsewhere.
    let schema = schema(r#"{"pattern":"^(a+)+$"}"#);
    let value = format!("\"{}b\"", "a".repeat(1_000_000));
    assert!(schema.check(value.as_bytes()).is_err());
    let pattern = schema_of_format("regex");
    let value = format!("\"{}\"", "(".repeat(1_000_000));
    assert!(pattern.check(value.as_bytes()).is_err());
}

fn schema_of_format(format: &str) -> JsonSchema {
    let draft = "http://json-schema.org/draft-07/schema#";
    schema(&format!(r#"{{"$schema":"{draft}","format":"{format}"}}"#))
}

#[test]
fn formats_are_checked_in_time() {
    let formats = [
        "date",
        "date-time",
        "time",
        "duration",
        "email",
        "idn-email",
        "hostname",
        "idn-hostname",
        "ipv4",
        "ipv6",
        "uri",
        "uri-reference",
        "iri",
        "iri-reference",
        "uri-template",
        "uuid",
        "json-pointer",
        "relative-json-pointer",
        "regex",
    ];
    for format in formats {
        let schema = schema_of_format(format);
        for part in [
            "a", "1", "-", ".", "/", "{", "(", "[", "a@", "a.", "%61", ":", "1:", "xn--a.", "ß",
            "\\\\", "P1D", "\\\"", "{a}", "(?<a>b)|", "(?<a",
        ] {
            let value = format!("\"{}\"", part.repeat(300_000 / part.len()));
            let _ = (schema.fault(value.as_bytes()), schema.check(value.as_bytes()));
        }
    }
}

#[test]
fn memory_is_bounded() {
    // What is held at most, and by whom.
    let peak = |text: &str, value: &str| {
        let mut held = [0, 0];
        let mut parsed = None;
        held[0] = allocation_counter::measure(|| parsed = parse(text).ok()).bytes_max;
        if let Some(schema) = &parsed {
            held[1] =
                allocation_counter::measure(|| drop(schema.check(value.as_bytes()))).bytes_max;
        }
        held
    };
    let properties = numbered(40_000, |i| format!("\"p{i}\":{{\"not\":{{}}}}"));
    let patterns = numbered(2_000, |i| format!("\"{i}[a-z]{{50}}\":true"));
    let refs = numbered(12_000, |i| format!("{{\"not\":{{\"$ref\":\"#/$defs/d{i}\"}}}}"));
    let long = "k".repeat(200_000);
    let table = [
        (
            r#"{"items":{"type":"number"}}"#.to_owned(),
            format!("[{}]", "1,".repeat(2_000_000) + "1"),
        ),
        (
            r#"{"items":{"type":"number"}}"#.to_owned(),
            format!("[{}]", "1,".repeat(8_000_000) + "1"),
        ),
        (
            r##"{"items":{"anyOf":[{"items":{"$ref":"#"}},{"$ref":"#"}]}}"##.to_owned(),
            format!("[{}]", "[1],".repeat(400_000) + "[]"),
        ),
        (
            r#"{"anyOf":[{"items":{"type":"null"}},{"additionalProperties":false}]}"#.to_owned(),
            format!("[{}]", "1,".repeat(1_000_000) + "1"),
        ),
        (
            r#"{"anyOf":[{"additionalProperties":false},{"propertyNames":false}]}"#.to_owned(),
            format!("{{{}}}", numbered(300_000, |i| format!("\"k{i}\":1"))),
        ),
        (format!(r#"{{"properties":{{{properties}}}}}"#), "{}".to_owned()),
        (format!(r#"{{"patternProperties":{{{patterns}}}}}"#), "{\"1a\":1}".to_owned()),
        (
            with_definitions(&format!("\"allOf\":[{refs}]"), 12_000, |_| "{\"not\":{}}".to_owned()),
            "1".to_owned(),
        ),
        (
            format!(
                r#"{{"properties":{{"{long}":{{"allOf":[{}]}}}}}}"#,
                numbered(1_000, |_| "{\"type\":\"null\"}".to_owned())
            ),
            "1".to_owned(),
        ),
    ];
    for (text, value) in table {
        let [schema, judged] = peak(&text, &value);
        assert!(schema < 128 * MIB as u64, "{schema} bytes: {}", &text[..text.len().min(100)]);
        assert!(judged < 96 * MIB as u64, "{judged} bytes: {}", &text[..text.len().min(100)]);
    }
}

proptest! {
    #[test]
    fn almost_schemas_do_not_panic(
        at in 0_usize..600,
        byte in "[\\[\\]{}:,\"nA0.#/ ]",
        value in "[\\[\\]{}:,\" a-z0-9.]{0,40}",
    ) {
        let mut text = doubling(|next| format!(r#"{{"anyOf":[{next},{{"items":{next}}}]}}"#));
        text.replace_range(at..=at, &byte);
        if let Ok(schema) = JsonSchema::parse(&text, &[("a", &text)], &SchemaLimits::default()) {
            let _ = schema.check(value.as_bytes());
        }
    }
}
