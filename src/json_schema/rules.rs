//! Each rule with its exact message, and the keywords of each draft.

use super::JsonSchema;
use crate::{datum::DatumFault, limits::SchemaLimits};

pub(super) fn parse(text: &str) -> Result<JsonSchema, String> {
    JsonSchema::parse(text, &[], &SchemaLimits::default()).map_err(|fault| fault.detail)
}

pub(super) fn schema(text: &str) -> JsonSchema {
    parse(text).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

/// What is said of `value`, or nothing.
fn said(schema: &JsonSchema, value: &[u8]) -> String {
    let error = schema.check(value).err();
    assert_eq!(schema.fault(value), error.as_ref().map(|error| error.fault));
    let said = error.map(|error| error.to_string()).unwrap_or_default();
    assert!(!said.contains("SEC"), "the value's secret: {said}");
    said
}

const EVENT: &str = r##"{
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["id", "at"],
    "additionalProperties": false,
    "properties": {
        "id": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]+$"},
        "at": {"type": "integer", "minimum": 0, "exclusiveMaximum": 100, "multipleOf": 5},
        "kind": {"enum": ["A", "B", 3]},
        "one": {"const": {"a": 1}},
        "when": {"type": ["string", "null"], "format": "date-time"},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3,
            "uniqueItems": true, "contains": {"const": "x"}},
        "pair": {"items": [{"type": "null"}], "additionalItems": false},
        "any": {"anyOf": [{"type": "null"}, {"$ref": "#/definitions/inner"}]},
        "choice": {"oneOf": [{"type": "number"}, {"minimum": 5}]},
        "never": false,
        "no": {"not": {"type": "null"}},
        "map": {"type": "object", "propertyNames": {"maxLength": 3}, "minProperties": 1,
            "maxProperties": 2, "additionalProperties": {"$ref": "#/definitions/inner"}}
    },
    "definitions": {"inner": {"type": "object", "properties": {"deep": {"type": "boolean"}}}}
}"##;

/// Values of [`EVENT`], without the properties that all have.
const SAID: &[(&str, &str)] = &[
    (r#""kind":"A","one":{"a":1.0},"tags":["x"],"any":null,"no":1"#, ""),
    (r#""id":7"#, "id at byte 6: expected a string, found a number"),
    (r#""id":"a""#, "id at byte 6: shorter than 2 characters (minLength)"),
    (r#""id":"aaaaa""#, "id at byte 6: longer than 4 characters (maxLength)"),
    (r#""id":"SECR""#, "id at byte 6: does not match \"^[a-z]+$\" (pattern)"),
    (r#""at":1.5"#, "at at byte 6: expected an integer, found a number"),
    (r#""at":-5"#, "at at byte 6: below 0 (minimum)"),
    (r#""at":100"#, "at at byte 6: not below 100 (exclusiveMaximum)"),
    (r#""at":7"#, "at at byte 6: no multiple of 5 (multipleOf)"),
    (r#""kind":"SECRET""#, "kind at byte 27: expected one of \"A\", \"B\", 3 (enum)"),
    (r#""one":{"a":2}"#, "one at byte 26: expected an object (const)"),
    (r#""when":"SECRET""#, "when at byte 27: is no date-time (format)"),
    (r#""when":1"#, "when at byte 27: expected null or a string, found a number"),
    (r#""tags":["x",[]]"#, "tags[1] at byte 32: expected a string, found an array"),
    (r#""tags":[]"#, "tags at byte 27: fewer than 1 items (minItems)"),
    (r#""tags":["x","x"]"#, "tags at byte 27: two items are equal (uniqueItems)"),
    (r#""tags":["y"]"#, "tags at byte 27: no item, too few or too many items match contains"),
    (r#""tags":["x","a","b","c"]"#, "tags at byte 27: more than 3 items (maxItems)"),
    (r#""pair":[null,1]"#, "pair at byte 27: more than 1 items (additionalItems)"),
    (r#""any":1"#, "any at byte 26: matches none of the 2 schemas of anyOf"),
    (
        r#""any":{"deep":1}"#,
        "any.deep at byte 34: expected a boolean, found a number (the branch of anyOf that comes closest)",
    ),
    (r#""choice":7"#, "choice at byte 29: matches more than one schema of oneOf"),
    (r#""never":1"#, "never at byte 28: the schema allows nothing here"),
    (r#""no":null"#, "no at byte 25: matches the schema of not"),
    (r#""map":{}"#, "map at byte 26: fewer than 1 properties (minProperties)"),
    (
        r#""map":{"a":{},"SECRET":{}}"#,
        "map at byte 26: name of a property: longer than 3 characters (maxLength) (propertyNames)",
    ),
    (
        r#""map":{"a":{},"SEC":{"deep":"SECRET"}}"#,
        "map{entry 1}.deep at byte 48: expected a boolean, found a string",
    ),
    (
        r#""SECRET":1"#,
        "{entry 2} at byte 29: property that the schema does not know (additionalProperties)",
    ),
];

#[test]
fn each_broken_promise_has_its_message() {
    let schema = schema(EVENT);
    for (members, expected) in SAID {
        let rest = ["\"id\":\"abc\"", "\"at\":10"];
        let rest = rest.into_iter().filter(|rest| !members.starts_with(&rest[..4]));
        let mut all: Vec<_> = rest.collect();
        let at = if all.len() == 2 { 2 } else { 0 };
        all.insert(at, members);
        assert_eq!(
            said(&schema, format!("{{{}}}", all.join(",")).as_bytes()),
            *expected,
            "{members}"
        );
    }
    let missing = said(&schema, br#" {"id":"abc"}"#);
    assert_eq!(missing, "value at byte 1: required property \"at\" is missing");
}

#[test]
fn a_value_is_exactly_one_json_text() {
    let any = schema("true");
    let deep = "[".repeat(257);
    let table: &[(&[u8], &str)] = &[
        (b" \t\r\n{\"a\":[1,-0.5e+3,true,false,null,\"\\ud83d\\ude00\\n\"]} \n", ""),
        (b"", "value at byte 0: expected a value, found the end of the bytes"),
        (b"\xef\xbb\xbf1", "value at byte 0: expected a value, found a byte order mark"),
        (b"[1,\xff]", "value at byte 3: bytes that are no UTF-8"),
        (b"[1 2]", "value at byte 3: expected `,` or `]`, found a number"),
        (b"[1,]", "[1] at byte 3: expected a value, found punctuation"),
        (b"{\"k\":}", "{entry 0} at byte 5: expected a value, found punctuation"),
        (b"{\"k\" 1}", "value at byte 5: expected `:`, found a number"),
        (b"{1:2}", "value at byte 1: expected a key, found a number"),
        (b"{\"a\":1,}", "value at byte 7: expected a key, found punctuation"),
        (b"{\"a\":{\"k\":1,\"\\u006b\":2}}", "{entry 0} at byte 12: key stands twice"),
        (b"01", "value at byte 0: number that JSON does not know"),
        (b"-", "value at byte 0: number that JSON does not know"),
        (b"1.", "value at byte 0: number that JSON does not know"),
        (b"[1e400]", "[0] at byte 1: number beyond the range of a double"),
        (b"NaN", "value at byte 0: expected a value, found no JSON"),
        (b"nulla", "value at byte 0: expected a value, found no JSON"),
        (b"\"a\nb\"", "value at byte 2: control character in a string"),
        (b"\"12345678\tb\"", "value at byte 9: control character in a string"),
        (b"\"abc", "value at byte 0: string without an end"),
        (b"\"\\x\"", "value at byte 1: no valid escape sequence"),
        (b"\"\\ud83d\"", "value at byte 1: no valid escape sequence"),
        (b"1 2", "value at byte 2: 1 byte left over"),
        (b"{}  \0\0", "value at byte 4: 2 bytes left over"),
    ];
    for (value, expected) in table {
        let begins = said(&any, value);
        assert_eq!(begins, *expected, "{}", value.escape_ascii());
    }
    assert!(said(&any, deep.as_bytes()).ends_with("at byte 256: nested deeper than 256 levels"));
    let least = format!("{}{}", &deep[1..], "]".repeat(256));
    assert_eq!(said(&any, least.as_bytes()), "");
    // What follows a value counts only if it matches.
    let number = schema(r#"{"type":"number"}"#);
    assert_eq!(number.fault(b"1 1"), Some(DatumFault::TrailingBytes));
    assert_eq!(number.fault(b"\"\" 1"), Some(DatumFault::Invalid));
}

#[test]
fn a_key_stands_once_however_many_there_are() {
    let any = schema("true");
    for count in [1, 2, 15, 16, 17, 18, 40, 500] {
        let mut members: Vec<_> = (0..count).map(|i| format!("\"k{i}\":{{\"k{i}\":0}}")).collect();
        let text = format!("{{{}}}", members.join(","));
        assert_eq!(said(&any, text.as_bytes()), "", "{count}");
        for twice in [0, count / 2, count - 1] {
            members.push(format!("\"\\u006b{twice}\":0"));
            let text = format!("{{{}}}", members.join(","));
            let at = text.rfind("\"\\u").unwrap();
            let expected = format!("value at byte {at}: key stands twice");
            assert_eq!(said(&any, text.as_bytes()), expected, "{count} {twice}");
            members.pop();
        }
        let last = count - 1;
        let nested =
            format!(r#"{{"properties":{{"k{last}":{{"required":["k{last}"]}},"z":false}}}}"#);
        assert_eq!(said(&schema(&nested), text.as_bytes()), "", "{count}");
    }
}

#[test]
fn numbers_are_judged_by_their_value() {
    let table = [
        (
            r#"{"type":"integer"}"#,
            "1.0 1e2 12345678901234567890123 -0.0",
            "1.5 1e-1 1.00000000000000000001",
        ),
        (
            r#"{"$schema":"http://json-schema.org/draft-04/schema#","type":"integer"}"#,
            "1 -7 12345678901234567890123",
            "1.0 1e2 1.5",
        ),
        (
            r#"{"maximum":9007199254740992}"#,
            "9007199254740992 9007199254740992.0",
            "9007199254740993 9007199254740993.0",
        ),
        (r#"{"minimum":-9223372036854775808}"#, "-9223372036854775808", "-9223372036854777856"),
        (
            r#"{"maximum":18446744073709551615}"#,
            "18446744073709551615",
            "18446744073709551616 1e300",
        ),
        (
            r#"{"const":9007199254740993}"#,
            "9007199254740993 9007199254740993.0",
            "9007199254740992 9007199254740994",
        ),
        (r#"{"const":0.1}"#, "0.1 0.10 1e-1", "0.2 0.11 \"0.1\""),
        (r#"{"enum":[1,"1",null]}"#, "1 1.0 \"1\" null", "2 true [1]"),
        (
            r#"{"const":{"a":[1,{"b":2}]}}"#,
            r#"{"a":[1.0,{"b":2e0}]}"#,
            r#"{"a":[1,{"b":3}]} {"a":[1]} {}"#,
        ),
        (r#"{"multipleOf":0.01}"#, "4.02 0.07 19.99 0", "4.025 0.001"),
        (
            r#"{"multipleOf":3}"#,
            "9007199254740993 300000000000000000000000000000000 3.0",
            "9007199254740994 3.5",
        ),
        (r#"{"multipleOf":1e308}"#, "0 1e308", "1 1e307"),
        (
            r#"{"uniqueItems":true}"#,
            r#"[1,true,"1",[1],{"a":1},0.1] [9007199254740992,9007199254740993]"#,
            r#"[1,1.0] [0,-0] [{"a":1,"b":[2]},{"b":[2.0],"a":10e-1}] [null,null] ["a","\u0061"]"#,
        ),
    ];
    for (text, good, bad) in table {
        let schema = schema(text);
        for value in good.split(' ') {
            assert_eq!(said(&schema, value.as_bytes()), "", "{text} {value}");
        }
        for value in bad.split(' ') {
            assert_ne!(said(&schema, value.as_bytes()), "", "{text} {value}");
        }
    }
}

/// A draft, a schema, values that match it, and values that do not.
const DRAFTS: &[(&str, &str, &str, &str)] = &[
    ("draft-04/schema#", r#""maximum":5,"exclusiveMaximum":true"#, "4", "5"),
    ("draft-04/schema#", r#""id":"http://a/b","const":1,"contains":false"#, "2 [1]", ""),
    ("draft-04/schema#", r#""format":"ipv4""#, "\"1.2.3.4\" 1", "\"1.2.3\""),
    (
        "draft-06/schema#",
        r#""exclusiveMaximum":5,"propertyNames":{"maxLength":1}"#,
        r#"4 {"a":1}"#,
        r#"5 {"ab":1}"#,
    ),
    ("draft-06/schema#", r#""contains":{"const":1}"#, "[2,1]", "[2] []"),
    (
        "draft-07/schema#",
        r#""if":{"type":"string"},"then":{"minLength":2},"else":{"minimum":2}"#,
        r#""ab" 2 null"#,
        r#""a" 1"#,
    ),
    (
        "draft-07/schema#",
        r##""definitions":{"a":{"type":"null"}},"$ref":"#/definitions/a","minimum":5"##,
        "null",
        "5",
    ),
    (
        "draft-07/schema#",
        r#""dependencies":{"a":["b"],"c":{"required":["d"]}}"#,
        r#"{"a":1,"b":1} {"c":1,"d":1}"#,
        r#"{"a":1} {"c":1}"#,
    ),
    (
        "draft-07/schema#",
        r#""contentEncoding":"base64","contentMediaType":"application/json""#,
        "\"{\"",
        "",
    ),
    ("draft-07/schema#", r#""format":"uuid2","prefixItems":[false]"#, r#""x" [1]"#, ""),
    (
        "draft/2019-09/schema",
        r##""$defs":{"a":{"type":"null"}},"$ref":"#/$defs/a","minimum":5"##,
        "null",
        "5 4",
    ),
    ("draft/2019-09/schema", r#""format":"ipv4""#, "\"1.2.3\"", ""),
    (
        "draft/2019-09/schema",
        r#""dependentRequired":{"a":["b"]},"dependentSchemas":{"c":false}"#,
        r#"{"a":1,"b":1}"#,
        r#"{"a":1} {"c":1}"#,
    ),
    (
        "draft/2019-09/schema",
        r#""properties":{"a":true},"allOf":[{"properties":{"b":true}}],"unevaluatedProperties":false"#,
        r#"{"a":1,"b":1}"#,
        r#"{"c":1}"#,
    ),
    (
        "draft/2020-12/schema",
        r##""$defs":{"a":{"properties":{"x":true},"allOf":[{"$ref":"#/$defs/b"}]},"b":{"properties":{"y":true},"if":{"$ref":"#/$defs/c"}},"c":{"properties":{"w":{"unevaluatedProperties":{"$ref":"#"}}}}},"$ref":"#/$defs/a","unevaluatedProperties":{"type":"null"}"##,
        r#"{"x":1,"y":1,"z":null}"#,
        r#"{"z":1}"#,
    ),
    (
        "draft/2019-09/schema",
        r#""contains":{"const":1},"minContains":2,"maxContains":3"#,
        "[1,1] [1,1,1]",
        "[1] [1,1,1,1]",
    ),
    (
        "draft/2019-09/schema",
        r##""$recursiveAnchor":true,"type":"object","additionalProperties":{"$recursiveRef":"#"}"##,
        r#"{"a":{"b":{}}}"#,
        r#"{"a":{"b":1}}"#,
    ),
    (
        "draft/2020-12/schema",
        r#""prefixItems":[{"type":"null"}],"items":{"type":"number"}"#,
        "[null,1] [] [null]",
        "[1] [null,null]",
    ),
    ("draft/2020-12/schema", r#""prefixItems":[true],"unevaluatedItems":false"#, "[1]", "[1,2]"),
    (
        "draft/2020-12/schema",
        r##""$dynamicAnchor":"n","type":"object","properties":{"c":{"$dynamicRef":"#n"}}"##,
        r#"{"c":{"c":{}}}"#,
        r#"{"c":{"c":1}}"#,
    ),
    (
        "draft/2020-12/schema",
        r##""$anchor":"top","properties":{"c":{"$ref":"#top"}},"type":"object""##,
        r#"{"c":{}}"#,
        r#"{"c":1}"#,
    ),
    (
        "draft/2020-12/schema",
        r#""patternProperties":{"^a":{"type":"null"}},"additionalProperties":false"#,
        r#"{"ab":null}"#,
        r#"{"ab":1} {"b":null}"#,
    ),
    (
        "draft/2020-12/schema",
        r#""$id":"https://e/x","$defs":{"in":{"$id":"in","$defs":{"y":{"type":"null"}}}},"$ref":"in#/$defs/y""#,
        "null",
        "1",
    ),
    (
        "draft/2020-12/schema",
        r##""properties":{"a~/b%":{"type":"null"}},"$ref":"#/properties/a~0~1b%25""##,
        "null",
        "1",
    ),
];

#[test]
fn each_draft_has_its_keywords() {
    for (draft, keywords, good, bad) in DRAFTS {
        let host = if draft.contains("20") { "https" } else { "http" };
        let schema =
            schema(&format!(r#"{{"$schema":"{host}://json-schema.org/{draft}",{keywords}}}"#));
        let values = |values: &'static str| values.split(' ').filter(|value| !value.is_empty());
        for value in values(good) {
            assert_eq!(said(&schema, value.as_bytes()), "", "{draft} {keywords} {value}");
        }
        for value in values(bad) {
            assert_ne!(said(&schema, value.as_bytes()), "", "{draft} {keywords} {value}");
        }
    }
    // Without a word about it: 2020-12.
    let newest = schema(r#"{"prefixItems":[{"type":"null"}],"format":"ipv4"}"#);
    assert_eq!(
        (said(&newest, b"\"x\""), newest.fault(b"[1]")),
        (String::new(), Some(DatumFault::Invalid))
    );
}

#[test]
fn what_is_no_schema_is_refused_with_its_reason() {
    let table = [
        ("", "schema document at byte 0: expected a value, found the end of the bytes"),
        ("[]", "a JSON Schema is an object or a boolean"),
        ("{} {}", "schema document at byte 3: expected no more"),
        (r#"{"type":"null","type":"null"}"#, "schema document at byte 15: key stands twice"),
        (
            r#"{"type":"nul"}"#,
            r#"no JSON Schema: at /type: \"nul\" is not valid under any of the schemas listed in the 'anyOf' keyword"#,
        ),
        (r#"{"$schema":7}"#, "\"$schema\" is no string"),
        (
            r#"{"$schema":"http://json-schema.org/draft-03/schema#"}"#,
            "\"$schema\" is \"http://json-schema.org/draft-03/schema#\": neither draft 4, 6 or 7 nor 2019-09 or 2020-12",
        ),
        (
            r#"{"properties":{"a":{"$id":"x","$schema":"urn:mine"}}}"#,
            "\"$schema\" is \"urn:mine\": neither draft 4, 6 or 7 nor 2019-09 or 2020-12",
        ),
        (r##"{"const":{},"$ref":"#/const"}"##, "\"$ref\" \"#/const\" leads to no schema"),
        (
            r##"{"$ref":"#/$defs/a"}"##,
            "no JSON Schema: a reference leads nowhere: Pointer '/$defs/a' does not exist",
        ),
        (
            r##"{"$ref":"#a"}"##,
            "no JSON Schema: a reference leads nowhere: Anchor 'a' does not exist",
        ),
        (
            r#"{"pattern":"(?=a)b(?!c)"}"#,
            "no JSON Schema: at /pattern: \\\"(?=a)b(?!c)\\\" is not a \\\"regex\\\"",
        ),
        (r#"{"pattern":"("}"#, "no JSON Schema: at /pattern: \\\"(\\\" is not a \\\"regex\\\""),
        (r#"{"maximum":1e400}"#, "schema document at byte 11: number beyond the range of a double"),
    ];
    for (text, expected) in table {
        assert_eq!(parse(text).unwrap_err(), expected, "{text}");
    }
    for text in [
        r#"{"$ref":"http://example.com/a.json"}"#,
        r#"{"$ref":"file:///etc/hostname"}"#,
        r#"{"$ref":"a.json"}"#,
        r#"{"$id":"https://example.com/x/","properties":{"a":{"$ref":"../y#/a"}}}"#,
    ] {
        let fault = parse(text).unwrap_err();
        assert!(fault.contains("which no document given is called"), "{fault}");
    }
}

#[test]
fn references_are_found_by_name_and_by_id() {
    let limits = SchemaLimits::default();
    let null = r#"{"type":"null"}"#;
    let named = r#"{"$id":"https://e/ids/null.json","type":"null"}"#;
    let table: &[(&str, &[(&str, &str)])] = &[
        (r#"{"$ref":"null.json"}"#, &[("null.json", null)]),
        (r#"{"$ref":"./null.json"}"#, &[("null.json", null)]),
        (r#"{"$ref":"null.json#"}"#, &[("null.json", null)]),
        (r#"{"$id":"https://e/x/root.json","$ref":"null.json"}"#, &[("null.json", null)]),
        (r#"{"$id":"https://e/x/root.json","$ref":"../null.json"}"#, &[("null.json", null)]),
        (r#"{"$ref":"https://e/x/null.json"}"#, &[("https://e/x/null.json", null)]),
        (r#"{"$ref":"https://e/x/null.json"}"#, &[("null.json", null)]),
        (r#"{"$ref":"urn:example:null"}"#, &[("urn:example:null", null)]),
        (r#"{"$ref":"https://e/ids/null.json"}"#, &[("some-subject", named)]),
        (r#"{"$ref":"some-subject"}"#, &[("some-subject", named)]),
        (r#"{"$ref":"a/my%20null.json"}"#, &[("my null.json", null)]),
        (r#"{"$ref":"one.json"}"#, &[("null.json", null), ("one.json", r#"{"$ref":"null.json"}"#)]),
        (
            r##"{"$ref":"one.json#/$defs/a"}"##,
            &[
                (
                    "one.json",
                    r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"dir/two.json"}}}"##,
                ),
                ("dir/two.json", null),
            ],
        ),
        (
            r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"old.json"}"#,
            &[(
                "old.json",
                r##"{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"n":{"type":"null"}},"$ref":"#/definitions/n","type":"number"}"##,
            )],
        ),
    ];
    for (text, references) in table {
        let schema = JsonSchema::parse(text, references, &limits);
        let schema = schema.unwrap_or_else(|fault| panic!("{fault}: {text}"));
        assert_eq!(
            (schema.fault(b"null"), schema.fault(b"1")),
            (None, Some(DatumFault::Invalid)),
            "{text}"
        );
    }
    let fault = JsonSchema::parse("{}", &[("a\"\n", "{\"a\":}")], &limits).unwrap_err();
    assert_eq!(
        fault.detail,
        "reference \"a\\\"\\n\": schema document at byte 5: expected a value, found punctuation"
    );
}

#[test]
fn patterns_are_those_of_ecmascript_in_linear_time() {
    let table = [
        (r"^\\d{3}-\\w+$", r#""123-ab_""#, r#""12a-b""#),
        (r"^[\\p{L}]+$", r#""grün""#, r#""a1""#),
        ("a+", r#""xay""#, r#""x""#),
        (r"^(a|b)*$", r#""abab""#, r#""abc""#),
        (r"^\\u0061\\/$", r#""a/""#, r#""a""#),
    ];
    for (pattern, good, bad) in table {
        let schema = schema(&format!(r#"{{"pattern":"{pattern}"}}"#));
        assert_eq!(said(&schema, good.as_bytes()), "", "{pattern}");
        assert_ne!(said(&schema, bad.as_bytes()), "", "{pattern}");
    }
}

#[test]
fn each_bound_on_documents_holds_at_its_limit_and_not_beyond() {
    let limits = SchemaLimits {
        max_schema_bytes: 40,
        max_depth: 3,
        max_references: 1,
        max_nodes: 9,
        ..SchemaLimits::default()
    };
    let fault = |text, references: &[(&str, &str)]| {
        JsonSchema::parse(text, references, &limits).err().map(|fault| fault.detail)
    };
    assert_eq!(fault(r#"{"not":{"not":{}}}"#, &[]), None);
    assert_eq!(
        fault(r#"{"not":{"not":{"not":{}}}}"#, &[]).unwrap(),
        "schema document at byte 21: nested deeper than 3 levels"
    );
    assert_eq!(fault("{}", &[("a", "{}")]), None);
    assert_eq!(
        fault("{}", &[("a", "{}"), ("b", "{}")]).unwrap(),
        "2 references, at most 1 are taken"
    );
    assert_eq!(
        fault("{                  }", &[("a", "{                  }")]).unwrap(),
        "41 bytes of schema with its references, at most 40 are taken"
    );
    assert_eq!(fault(r#"{"enum":[1,2,3,4]}"#, &[]), None);
    assert_eq!(
        fault(r#"{"enum":[1,2,3,4,5]}"#, &[]).unwrap(),
        "more than 9 values and keys in the schema documents"
    );
}
