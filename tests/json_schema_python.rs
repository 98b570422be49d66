//! Promise: JSON Schemas mean to us what they mean to Python's `jsonschema`, apart from what is said here.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use schemaward::{json_schema::JsonSchema, limits::SchemaLimits};
use serde_json::{Value, json};
use support::python::Python;

mod support;

const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

/// Keywords that are judged in every draft in which they are a schema, known there or not.
const KEYWORDS: &[&str] = &[
    r#""type":"integer""#,
    r#""type":["string","null","number"]"#,
    r#""enum":[1,"a",null,{"a":1},[1]]"#,
    r#""const":{"a":[1,true]}"#,
    r#""minimum":1,"maximum":3.5"#,
    r#""multipleOf":0.01"#,
    r#""multipleOf":2"#,
    r#""minLength":1,"maxLength":2"#,
    r#""pattern":"^a|b$""#,
    r#""minItems":1,"maxItems":2"#,
    r#""uniqueItems":true"#,
    r#""items":{"type":"integer"}"#,
    r#""contains":{"type":"integer"}"#,
    r#""contains":{"type":"integer"},"minContains":2,"maxContains":2"#,
    r#""prefixItems":[{"type":"integer"},{"type":"boolean"}],"items":false"#,
    r#""additionalItems":false"#,
    r#""required":["a"]"#,
    r#""minProperties":1,"maxProperties":1"#,
    r#""properties":{"a":{"type":"integer"}},"additionalProperties":false"#,
    r#""patternProperties":{"^a":{"type":"integer"}},"additionalProperties":{"type":"string"}"#,
    r#""propertyNames":{"maxLength":1}"#,
    r#""dependencies":{"a":{"required":["b"]}}"#,
    r#""dependentRequired":{"a":["b"]}"#,
    r#""dependentSchemas":{"a":{"minProperties":2}}"#,
    r#""allOf":[{"type":"object"},{"minProperties":1}]"#,
    r#""anyOf":[{"type":"object"},{"type":"integer","minimum":2}]"#,
    r#""oneOf":[{"type":"number"},{"minimum":2},{"type":"null"}]"#,
    r#""not":{"type":["object","array"]}"#,
    r#""if":{"type":"object"},"then":{"required":["b"]},"else":{"type":"string"}"#,
    r##""definitions":{"a":{"type":"object","additionalProperties":{"$ref":"#/definitions/a"}}},"$ref":"#/definitions/a""##,
    r##""$ref":"#/$defs/a","$defs":{"a":{"type":"integer"}},"minimum":2"##,
    r#""allOf":[{"properties":{"a":true}}],"unevaluatedProperties":false"#,
    r#""if":{"prefixItems":[{"const":1}]},"unevaluatedItems":{"type":"boolean"}"#,
    r##""$anchor":"top","additionalProperties":{"$ref":"#top"},"type":"object""##,
    r##""$dynamicAnchor":"top","additionalProperties":{"$dynamicRef":"#top"},"type":"object""##,
    r##""$recursiveAnchor":true,"additionalProperties":{"$recursiveRef":"#"},"type":"object""##,
    r#""format":"ipv4""#,
    r#""format":"date""#,
];

const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "1",
    "2",
    "3",
    "3.5",
    "1.0",
    "-1",
    "0.07",
    "19.99",
    "1e2",
    "1e300",
    "18446744073709551616",
    r#""""#,
    r#""a""#,
    r#""ab""#,
    r#""ä\ud83d\ude00""#,
    r#""cab""#,
    r#""1.2.3.4""#,
    r#""1.2.3.400""#,
    r#""2024-02-29""#,
    r#""2023-02-29""#,
    "[]",
    "[1]",
    "[1,1]",
    "[1,1.0,true]",
    "[1,true]",
    "[true,1]",
    "[1,true,2]",
    r#"[{"a":1},{"a":1.0}]"#,
    r#"["1",1]"#,
    "{}",
    r#"{"a":1}"#,
    r#"{"a":"x"}"#,
    r#"{"b":"x"}"#,
    r#"{"a":1,"b":2}"#,
    r#"{"ab":1}"#,
    r#"{"a":{}}"#,
    r#"{"a":{"b":{}}}"#,
    r#"{"a":[1,true]}"#,
    r#"{"a":[1.0,true]}"#,
    r#"{"a":[1,1]}"#,
];

/// Where Python differs: keywords, drafts, and why.
const EXPLAINED: [(&str, &[usize], &str); 3] = [
    (
        "\"multipleOf\":0.01",
        &[0, 1, 2, 3, 4],
        "Python divides doubles; 0.07 is a multiple of 0.01 as it is written",
    ),
    (
        "\"format\":\"date\"",
        &[0, 1],
        "Python checks dates from draft 7 on, where they were added; other names are free to use",
    ),
    (
        "\"dependencies\":",
        &[3, 4],
        "Python forgets the keyword; these drafts let it live on for older schemas",
    ),
];

fn explanation(schema: &str) -> Option<usize> {
    let is = |(keywords, drafts, _): &(&str, &[usize], &str)| {
        schema.contains(keywords) && drafts.iter().any(|draft| schema.contains(DRAFTS[*draft]))
    };
    EXPLAINED.iter().position(is)
}

#[test]
fn schemas_mean_what_they_mean_to_python() {
    let Some(python) = Python::get() else { return };
    let mut cases = Vec::new();
    for draft in DRAFTS {
        for keywords in KEYWORDS {
            let schema = format!(r#"{{"$schema":"{draft}",{keywords}}}"#);
            // What the draft does not take as a schema is no case.
            if let Ok(ours) = JsonSchema::parse(&schema, &[], &SchemaLimits::default()) {
                cases.push((schema, ours));
            }
        }
    }
    assert!(cases.len() > 180, "{} schemas", cases.len());
    let line = |(schema, _): &(String, JsonSchema)| {
        let schema: Value = serde_json::from_str(schema).unwrap();
        json!({"schema": schema, "values": VALUES}).to_string()
    };
    let lines: Vec<_> = cases.iter().map(line).collect();
    let verdicts = python.run("judge_json.py", &[], &lines.join("\n")).json_lines();
    assert_eq!(verdicts.len(), cases.len());
    let (mut differences, mut explained) = (Vec::new(), [0; EXPLAINED.len()]);
    for ((schema, ours), theirs) in cases.iter().zip(verdicts) {
        for (index, value) in VALUES.iter().enumerate() {
            let ours = ours.fault(value.as_bytes()).is_none();
            match explanation(schema) {
                _ if theirs[index] == ours => {}
                Some(index) => explained[index] += 1,
                None => differences.push(format!("{schema} {value}: ours {ours}")),
            }
        }
    }
    assert_eq!(differences, Vec::<String>::new());
    assert!(explained.iter().all(|count| *count > 0), "what is explained has to be there");
}
