//! Each rule of the JSON check with its exact message, and what writers in use put out.

use super::DatumFault;
use super::rules::{record, schema};

fn verdict(text: &str, json: &str) -> String {
    match schema(text).check_json(json.as_bytes()) {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

const FIXED: &str = r#"{"type":"fixed","name":"n.F","size":2}"#;
const ENUM: &str = r#"{"type":"enum","name":"n.E","symbols":["A","B"]}"#;
const INTS: &str = r#"{"type":"array","items":"int"}"#;
const MAP: &str = r#"{"type":"map","values":"int"}"#;

/// Schema, JSON, verdict.
const DATA: &[(&str, &str, &str)] = &[
    (r#""null""#, " null\n", "ok"),
    (r#""null""#, "nul", "null at byte 0: expected null, found no JSON"),
    (r#""null""#, "nulls", "null at byte 0: expected null, found no JSON"),
    (r#""null""#, "", "null at byte 0: expected null, found the end of the bytes"),
    (r#""null""#, "null null", "null at byte 5: 4 bytes left over"),
    (r#""null""#, "\u{feff}null", "null at byte 0: expected null, found no JSON"),
    (r#""boolean""#, "true", "ok"),
    (r#""boolean""#, "1", "boolean at byte 0: expected boolean, found a number"),
    (r#""int""#, "-2147483648", "ok"),
    (r#""int""#, "-0", "ok"),
    (r#""int""#, "2147483648", "int at byte 0: number is no whole number of 32 bits"),
    (r#""int""#, "1.0", "int at byte 0: number is no whole number of 32 bits"),
    (r#""int""#, "1e2", "int at byte 0: number is no whole number of 32 bits"),
    (r#""int""#, "01", "int at byte 0: number that JSON does not know"),
    (r#""int""#, "+1", "int at byte 0: expected int, found no JSON"),
    (r#""int""#, "-", "int at byte 0: number that JSON does not know"),
    (r#""int""#, "true", "int at byte 0: expected int, found a boolean"),
    (r#""int""#, "1x", "int at byte 1: 1 byte left over"),
    (r#""long""#, "9223372036854775807", "ok"),
    (r#""long""#, "9223372036854775808", "long at byte 0: number is no whole number of 64 bits"),
    (r#""long""#, r#""50""#, "long at byte 0: expected long, found a string"),
    (r#""double""#, "1", "ok"),
    (r#""double""#, "-1.5E+300", "ok"),
    (r#""double""#, "1.", "double at byte 0: number that JSON does not know"),
    (r#""double""#, "1e", "double at byte 0: number that JSON does not know"),
    (r#""double""#, ".5", "double at byte 0: expected double, found no JSON"),
    (r#""double""#, "NaN", "ok"),
    (r#""double""#, "-Infinity", "ok"),
    (r#""double""#, r#""Infinity""#, "ok"),
    (r#""float""#, r#""NaN""#, "ok"),
    (r#""float""#, r#""nan""#, "float at byte 0: expected float, found a string"),
    (r#""float""#, "Nan", "float at byte 0: expected float, found no JSON"),
    (r#""float""#, "NaNs", "float at byte 0: expected float, found no JSON"),
    (r#""int""#, "NaN", "int at byte 0: expected int, found no JSON"),
    (r#""string""#, r#""é\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t""#, "ok"),
    (r#""string""#, r#""ab\ud800""#, "string at byte 3: no valid escape sequence"),
    (r#""string""#, r#""\ud800\u0041""#, "string at byte 1: no valid escape sequence"),
    (r#""string""#, r#""\udc00""#, "string at byte 1: no valid escape sequence"),
    (r#""string""#, r#""\x""#, "string at byte 1: no valid escape sequence"),
    (r#""string""#, r#""\u+123""#, "string at byte 1: no valid escape sequence"),
    (r#""string""#, "\"a\n\"", "string at byte 2: control character in a string"),
    (r#""string""#, "\"abc", "string at byte 0: string without an end"),
    (r#""string""#, "'a'", "string at byte 0: expected string, found no JSON"),
    (r#""bytes""#, "\"\\u0000\\u00ffÿ\"", "ok"),
    (r#""bytes""#, "\"Ā\"", "bytes at byte 0: bytes with a character above U+00FF"),
    (FIXED, r#""\u00ffÿ""#, "ok"),
    (FIXED, r#""abc""#, "n.F at byte 0: n.F takes 2 bytes, found 3"),
    (ENUM, r#""\u0041""#, "ok"),
    (ENUM, r#""C""#, "n.E at byte 0: string is no symbol of n.E"),
    (ENUM, "0", "n.E at byte 0: expected enum, found a number"),
    (r#"["null","int"]"#, "null", "ok"),
    (r#"["null","int"]"#, r#"{"int":1}"#, "ok"),
    (
        r#"["null","int"]"#,
        r#"{"int":1,"int":1}"#,
        "union at byte 8: expected `}`, found punctuation",
    ),
    (r#"["null","int"]"#, r#"{"long":1}"#, "union at byte 1: no tag of a branch of the union"),
    (r#"["null","int"]"#, r#"{"null":null}"#, "union at byte 1: no tag of a branch of the union"),
    (r#"["null","int"]"#, "{}", "union at byte 1: expected the branch's type, found punctuation"),
    (
        r#"["null","int"]"#,
        "1",
        "union at byte 0: expected null or an object with the branch's type, found a number",
    ),
    (
        r#"["int"]"#,
        "null",
        "union at byte 0: expected an object with the branch's type, found null",
    ),
    (INTS, "[ ]", "ok"),
    (INTS, "[1 , 2]", "ok"),
    (INTS, "[1,]", "[1] at byte 3: expected int, found punctuation"),
    (INTS, "[1 2]", "array at byte 3: expected `,` or `]`, found a number"),
    (INTS, "[1,true]", "[1] at byte 3: expected int, found a boolean"),
    (INTS, "{}", "array at byte 0: expected array, found an object"),
    (MAP, "{}", "ok"),
    (MAP, r#"{"a":1,"b":2}"#, "ok"),
    (MAP, r#"{"a":1,"\u0061":2}"#, "{entry 1} at byte 7: key stands twice"),
    (MAP, r#"{"a":1,"b":"2"}"#, "{entry 1} at byte 11: expected int, found a string"),
    (MAP, "{\"a\" 1}", "{entry 0} at byte 5: expected `:`, found a number"),
    (MAP, "{a:1}", "{entry 0} at byte 1: expected map key, found no JSON"),
];

#[test]
fn each_type_takes_its_json_and_nothing_else() {
    for &(text, json, expected) in DATA {
        assert_eq!(verdict(text, json), expected, "{text} {json}");
    }
}

#[test]
fn records_have_each_field_once_in_any_order() {
    let schema = record(&[
        ("a", r#""int""#),
        ("b", r#"["null",{"type":"record","name":"In","fields":[]}]"#),
        ("c", r#"{"type":"array","items":"In"}"#),
    ]);
    let table = [
        (r#"{"a":1,"b":null,"c":[]}"#, "ok"),
        (r#"{"c":[{},{ }],"b":{"n.In":{}},"\u0061":1}"#, "ok"),
        (r#"{"a":1,"b":{"In":{}},"c":[]}"#, "b at byte 12: no tag of a branch of the union"),
        (r#"{"a":1,"c":[]}"#, "b at byte 13: field is missing"),
        (r#"{}"#, "a at byte 1: field is missing"),
        (r#"{"a":1,"a":1,"b":null,"c":[]}"#, "a at byte 10: field stands twice"),
        (r#"{"a":1,"b":null,"c":[],"secret":1}"#, "n.R at byte 23: no field of the schema"),
        (r#"{"a":1,"b":null,"c":[{},{"x":1}]}"#, "c[1] at byte 25: no field of the schema"),
        (
            r#"{"a":1,"b":null,"c":[]"#,
            "n.R at byte 22: expected `,` or `}`, found the end of the bytes",
        ),
        (r#"{"a":1,"b":null,"c":[],}"#, "n.R at byte 23: expected field name, found punctuation"),
        ("[]", "n.R at byte 0: expected record, found an array"),
        ("{\"a\":1}{}", "b at byte 6: field is missing"),
    ];
    for (json, expected) in table {
        let found = schema.check_json(json.as_bytes());
        let found = found.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
        assert_eq!(found, expected, "{json}");
    }
    let two = schema.check_json(br#"{"a":1,"b":null,"c":[]} {}"#).unwrap_err();
    assert_eq!((two.fault, two.offset), (DatumFault::TrailingBytes, 24));
    let invalid = schema.check_json(b"{\"a\":1,\"\xff").unwrap_err();
    assert_eq!(invalid.to_string(), "n.R at byte 8: JSON is not valid UTF-8");
}

#[test]
fn nothing_of_a_value_is_in_an_error() {
    let schema = record(&[
        ("text", r#""string""#),
        ("map", r#"{"type":"map","values":["null",{"type":"enum","name":"E","symbols":["A"]}]}"#),
        ("number", r#""int""#),
    ]);
    let json = r#"{"text":"kanarie","map":{"kanarie":{"n.E":"A"}},"number":4711}"#;
    schema.check_json(json.as_bytes()).unwrap();
    for at in 0..json.len() {
        for damage in ["", "\u{1}", "\"", "}", "1", "9999999999", "[", "x", "\\"] {
            let text = format!("{}{damage}{}", &json[..at], &json[at + 1..]);
            if let Err(error) = schema.check_json(text.as_bytes()) {
                let error = error.to_string();
                assert!(!error.contains("kan") && !error.contains("rie"), "{error}");
                assert!(!error.contains("4711") && !error.contains("999"), "{error}");
            }
        }
    }
}

/// Written by dataclasses-avroschema 0.71.1 over fastavro 1.13.1, from a dataclass with most of the types that it knows.
#[test]
fn what_dataclasses_avroschema_writes_is_taken() {
    let schema = schema(EVENT_SCHEMA);
    for json in [EVENT_FULL, EVENT_SPARSE] {
        assert_eq!(schema.check_json(json.as_bytes()), Ok(()));
    }
    for hex in [EVENT_FULL_BINARY, EVENT_SPARSE_BINARY] {
        let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair[1]).unwrap();
        let datum: Vec<_> = digits.chunks(2).map(byte).collect();
        assert_eq!(schema.check_binary(&datum), Ok(()));
    }
    // It does not check what it is given: these it writes, too.
    for (right, wrong) in [("\"i\": 3", "\"i\": \"3\""), ("\"bo\": true", "\"bo\": 1")] {
        assert!(schema.check_json(EVENT_FULL.replace(right, wrong).as_bytes()).is_err());
    }
}

const EVENT_SCHEMA: &str = r#"{"type": "record", "name": "Ev", "fields": [{"name": "a", "type": "string"}, {"name": "addr",
"type": {"type": "record", "name": "Address", "fields": [{"name": "street", "type": "string"},
{"name": "zip", "type": ["null", "long"], "default": null}], "namespace": "geo.addr"}},
{"name": "opt_addr", "type": ["geo.addr.Address", "null"]}, {"name": "e",
"type": {"type": "record", "name": "Empty", "fields": []}}, {"name": "c",
"type": {"type": "enum", "name": "Color", "symbols": ["RED", "BLUE"]}}, {"name": "oc",
"type": ["Color", "null"]}, {"name": "d", "type": {"type": "int", "logicalType": "date"}},
{"name": "dt", "type": {"type": "long", "logicalType": "timestamp-millis"}}, {"name": "dtm",
"type": {"type": "long", "logicalType": "timestamp-micros"}}, {"name": "t",
"type": {"type": "int", "logicalType": "time-millis"}}, {"name": "tm", "type": {"type": "long",
"logicalType": "time-micros"}}, {"name": "u", "type": {"type": "string",
"logicalType": "uuid"}}, {"name": "dec", "type": {"type": "bytes", "logicalType": "decimal",
"precision": 10, "scale": 2}}, {"name": "b", "type": "bytes"}, {"name": "fx",
"type": {"type": "fixed", "name": "fx", "size": 4}}, {"name": "f", "type": "double"},
{"name": "f32", "type": "float"}, {"name": "i", "type": "int"}, {"name": "l", "type": "long"},
{"name": "bo", "type": "boolean"}, {"name": "arr", "type": {"type": "array", "items": "string",
"name": "arr"}}, {"name": "arrd", "type": {"type": "array", "items": ["long", "null"],
"name": "arrd"}}, {"name": "m", "type": {"type": "map", "values": "long", "name": "m"}},
{"name": "ma", "type": {"type": "map", "values": "geo.addr.Address", "name": "ma"}},
{"name": "od", "type": [{"type": "long", "logicalType": "timestamp-millis"}, "null"]},
{"name": "ou", "type": [{"type": "string", "logicalType": "uuid"}, "null"]}, {"name": "ob",
"type": ["bytes", "null"]}, {"name": "odec", "type": [{"type": "bytes",
"logicalType": "decimal", "precision": 10, "scale": 2}, "null"]}, {"name": "un",
"type": ["string", "long", "geo.addr.Address"]}, {"name": "opt", "type": ["null", "string"],
"default": null}, {"name": "dft", "type": "string", "default": "x"}, {"name": "td",
"type": {"type": "double", "logicalType": "dataclasses-avroschema-timedelta"},
"default": 3.0}], "namespace": "my.ns"}"#;

const EVENT_FULL: &str = r#"{"a": "h\u00e9\u2028\"\n\u0001\ud83d\ude00", "addr": {"street": "s", "zip": {"long": 5}},
"opt_addr": {"geo.addr.Address": {"street": "s", "zip": null}}, "e": {}, "c": "RED",
"oc": {"my.ns.Color": "BLUE"}, "d": 18263, "dt": 1577934245678, "dtm": 1577934245678901,
"t": 3723000, "tm": 3723000004, "u": "00000000-0000-0000-0000-000000000008",
"dec": "\u0004\u00d2", "b": "\u0000\u00ff\u0080ab", "fx": "abcd", "f": 1.5, "f32": 1.0, "i": 3,
"l": 1099511627776, "bo": true, "arr": ["a"], "arrd": [null, {"long": 1}], "m": {"k": 1},
"ma": {"k": {"street": "q", "zip": null}}, "od": {"long": 1577923200000},
"ou": {"string": "00000000-0000-0000-0000-000000000007"}, "ob": {"bytes": "\u00ff"},
"odec": {"bytes": "\u009c"}, "un": {"geo.addr.Address": {"street": "zz", "zip": null}},
"opt": null, "dft": "x", "td": 3.0}"#;

const EVENT_SPARSE: &str = r#"{"a": "h\u00e9\u2028\"\n\u0001\ud83d\ude00", "addr": {"street": "s", "zip": {"long": 5}},
"opt_addr": null, "e": {}, "c": "RED", "oc": null, "d": 18263, "dt": 1577934245678,
"dtm": 1577934245678901, "t": 3723000, "tm": 3723000004,
"u": "00000000-0000-0000-0000-000000000008", "dec": "\u0004\u00d2",
"b": "\u0000\u00ff\u0080ab", "fx": "abcd", "f": NaN, "f32": -Infinity, "i": 3,
"l": 1099511627776, "bo": true, "arr": ["a"], "arrd": [], "m": {}, "ma": {"k": {"street": "q",
"zip": null}}, "od": null, "ou": {"string": "00000000-0000-0000-0000-000000000007"},
"ob": {"bytes": "\u00ff"}, "odec": {"bytes": "\u009c"}, "un": {"string": "s"},
"opt": {"string": "o"}, "dft": "x", "td": 3.0}"#;

const EVENT_FULL_BINARY: &str = "
    1a68c3a9e280a8220a01f09f98800273020a00027300000002ae9d02dcbcaec3ec5beabc8aa3eec7cd05f0bbc60388e3c3de
    1b4830303030303030302d303030302d303030302d303030302d3030303030303030303030380404d20a00ff806162616263
    64000000000000f83f0000803f068080808080400102026100040200020002026b020002026b02710000008090eab8ec5b00
    4830303030303030302d303030302d303030302d303030302d3030303030303030303030370002ff00029c04047a7a000002
    780000000000000840";

const EVENT_SPARSE_BINARY: &str = "
    1a68c3a9e280a8220a01f09f98800273020a020002ae9d02dcbcaec3ec5beabc8aa3eec7cd05f0bbc60388e3c3de1b483030
    3030303030302d303030302d303030302d303030302d3030303030303030303030380404d20a00ff80616261626364000000
    000000f87f000080ff068080808080400102026100000002026b0271000002004830303030303030302d303030302d303030
    302d303030302d3030303030303030303030370002ff00029c00027302026f02780000000000000840";
