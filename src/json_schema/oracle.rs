//! The same verdict as the `jsonschema` crate over serde_json's tree, on schemas and values that are made up.

use jsonschema::PatternOptions;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::JsonSchema;
use crate::limits::SchemaLimits;

fn leaf() -> impl Strategy<Value = Value> {
    let numbers = select(vec![
        json!(0),
        json!(1),
        json!(1.5),
        json!(-3),
        json!(1.0),
        json!(1e20),
        json!(u64::MAX),
        json!(-0.0),
    ]);
    let strings = select(vec!["", "a", "b", "ab", "ü", "a\"\\\n", "1", "1.2.3.4"]);
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        numbers,
        strings.prop_map(Value::from)
    ]
}

fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 40, 6, |inner| {
        let keys = select(vec!["a", "b", "c", "é", "a/b"]);
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((keys, inner.clone()), 0..5).prop_map(|members| {
                members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }),
            // Enough for keys to be sorted.
            vec(inner, 17..20).prop_map(|values| {
                let member = |(index, value)| (format!("a{index}"), value);
                values.into_iter().enumerate().map(member).collect()
            }),
        ]
    })
}

fn simple_keyword() -> impl Strategy<Value = (String, Value)> {
    let types = select(vec!["null", "boolean", "integer", "number", "string", "array", "object"]);
    let small = 0_u64..4;
    let named = |name: &str| {
        let name = name.to_owned();
        move |value: Value| (name.clone(), value)
    };
    let sizes = select(vec![
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
    ]);
    let bounds = select(vec!["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]);
    let numbers = select(vec![json!(0), json!(1.5), json!(-3), json!(u64::MAX), json!(1e20)]);
    prop_oneof![
        types.clone().prop_map(Value::from).prop_map(named("type")),
        vec(types, 1..3)
            .prop_map(|mut types| {
                types.sort_unstable();
                types.dedup();
                Value::from(types)
            })
            .prop_map(named("type")),
        (sizes, small).prop_map(|(name, size)| (name.to_owned(), size.into())),
        (bounds, numbers).prop_map(|(name, bound)| (name.to_owned(), bound)),
        select(vec![json!(1), json!(0.5), json!(3)]).prop_map(named("multipleOf")),
        leaf().prop_map(named("const")),
        value().prop_map(named("const")),
        vec(value(), 1..4).prop_map(Value::from).prop_map(named("enum")),
        select(vec!["a", "^a", "^a$", "b+|1"]).prop_map(Value::from).prop_map(named("pattern")),
        Just(json!(true)).prop_map(named("uniqueItems")),
        select(vec![json!(["a"]), json!(["a", "b"])]).prop_map(named("required")),
        Just(json!({"a": ["b"]})).prop_map(named("dependentRequired")),
        select(vec!["ipv4", "uri", "regex"]).prop_map(Value::from).prop_map(named("format")),
        select(vec!["#", "#/$defs/x", "#/$defs/y"]).prop_map(Value::from).prop_map(named("$ref")),
    ]
}

fn schema() -> impl Strategy<Value = Value> {
    let object = |keywords: Vec<(String, Value)>| Value::from_iter(keywords);
    let simple = prop_oneof![
        any::<bool>().prop_map(Value::from),
        vec(simple_keyword(), 0..3).prop_map(object)
    ];
    let schema = simple.prop_recursive(3, 24, 4, move |inner| {
        let single = select(vec![
            "not",
            "items",
            "contains",
            "additionalProperties",
            "propertyNames",
            "if",
            "then",
            "else",
            "unevaluatedProperties",
            "unevaluatedItems",
            "additionalItems",
        ]);
        let list = select(vec!["allOf", "anyOf", "oneOf", "prefixItems"]);
        let map = select(vec!["properties", "patternProperties", "dependentSchemas"]);
        let keyword = prop_oneof![
            simple_keyword(),
            (single, inner.clone()).prop_map(|(name, schema)| (name.to_owned(), schema)),
            (list, vec(inner.clone(), 1..4))
                .prop_map(|(name, schemas)| (name.to_owned(), schemas.into())),
            (map, vec((select(vec!["a", "b", "é"]), inner), 0..3)).prop_map(|(name, schemas)| {
                let schemas = schemas.into_iter().map(|(key, schema)| (key.to_owned(), schema));
                (name.to_owned(), schemas.collect())
            }),
        ];
        vec(keyword, 1..4).prop_map(object)
    });
    let drafts = select(vec![
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ]);
    (drafts, schema.clone(), schema.clone(), schema).prop_map(|(draft, root, x, y)| {
        let mut root = match root {
            Value::Object(root) => root,
            other => json!({"allOf": [other]}).as_object().cloned().unwrap(),
        };
        root.insert("$schema".into(), draft.into());
        root.insert("$defs".into(), json!({"x": x, "y": y}));
        Value::Object(root)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    #[test]
    fn every_verdict_is_the_crates(schema in schema(), values in vec(value(), 1..6)) {
        let theirs = jsonschema::options().with_pattern_options(PatternOptions::regex()).build(&schema);
        let ours = JsonSchema::parse(&schema.to_string(), &[], &SchemaLimits::default());
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?}", ours.err());
        let (Ok(ours), Ok(theirs)) = (ours, theirs) else { return Ok(()) };
        for value in values {
            let text = value.to_string();
            prop_assert_eq!(ours.fault(text.as_bytes()).is_none(), theirs.is_valid(&value), "{} {}", schema, text);
            let spaced = serde_json::to_string_pretty(&value).unwrap();
            let said = ours.check(spaced.as_bytes());
            prop_assert_eq!(said.is_ok(), theirs.is_valid(&value), "{:?}", said);
            if let Err(error) = said {
                prop_assert!(!error.detail.contains("too much") && !error.detail.starts_with("does not match the schema"), "{} {} {}", error, schema, text);
            }
        }
    }
}
