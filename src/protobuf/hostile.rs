//! Documents and data made to cost much: all of them end soon, in an error or not.

use super::UnknownFields::{Allow, Reject};
use super::sample::Bytes;
use super::schemas::{parse, parse_with};
use super::{MessageId, ProtobufSchema};
use crate::limits::{MIB, SchemaLimits};
use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use prost_reflect::{
    prost::Message,
    prost_types::{
        DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
        MessageOptions,
        field_descriptor_proto::{Label, Type},
    },
};

/// On a stack no larger than those of the threads that compile schemas.
fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(MIB).spawn(work).unwrap();
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn filled(bytes: usize, before: &str, part: &str, after: &str) -> String {
    let mut text = before.to_owned();
    for number in 1.. {
        let part = part.replace('@', &format!("{number}"));
        if text.len() + part.len() + after.len() > bytes {
            break;
        }
        text.push_str(&part);
    }
    text + after
}

/// What is said about a document that only costs time: `None` if it is taken.
fn said(text: String) -> Option<String> {
    on_a_small_stack(move || parse(&text).err())
}

#[test]
fn documents_that_nest_deeply_do_not_reach_the_parser() {
    let nested =
        |open: &str, levels: usize, close: &str| open.repeat(levels) + &close.repeat(levels);
    let too_deep =
        |levels| Some(format!("schema document nests {levels} levels, at most 64 are taken"));
    assert_eq!(said(nested("message M{", 65, "}")), too_deep(65));
    assert_eq!(said(nested("message M{", 90_000, "}")), too_deep(90_000));
    assert_eq!(said(format!("option (x) = {{{}", "a{".repeat(500_000))), too_deep(500_001));
    assert_eq!(said("option (x) = {a: [".to_owned() + &"[".repeat(500_000)), too_deep(500_002));
    assert_eq!(said("(".repeat(MIB)), too_deep(MIB));
    let refused = said(nested("message M{", 64, "}")).unwrap();
    assert!(refused.starts_with("no Protobuf source: "), "{refused}");
    assert_eq!(said(nested("message M{", 31, "}")), None);
    // Brackets that do not count, because they are text.
    assert_eq!(said(format!("message M {{}} // {}", "{".repeat(100_000))), None);
    let groups = (1..31).map(|n| format!("optional group G{n} = {n} {{"));
    let groups = format!("message M {{ {} {}", groups.collect::<String>(), "}".repeat(31));
    assert_eq!(said(groups), None);
    // Aggregates of options are not read at all.
    let option =
        format!("option (x) = {{ {} {} }}; message M {{}}", "a <".repeat(9_000), ">".repeat(9_000));
    assert_eq!(said(option), None);
}

#[test]
fn documents_of_the_largest_size_end_soon() {
    let fields = |part: &str| filled(MIB, "message M {", part, "}");
    let table = [
        ("fields", fields("optional int32 f@ = @;"), Some("no Protobuf schema: ")),
        ("few fields", filled(MIB / 3, "message M {", "optional int32 f@ = @;", "}"), None),
        (
            "messages",
            filled(MIB, "", "message M@{}", ""),
            Some("more than 10000 messages and enums"),
        ),
        ("numbers", filled(MIB, "message M {} enum E {", "N@=@;", "}"), Some("E: ")),
        ("options", filled(MIB, "message M {", "option (a.b).c = @;", "}"), None),
        (
            "options of fields",
            filled(MIB, "message M {optional int32 f = 1 [x=1", ",(y@)=@", "];}"),
            None,
        ),
        ("reserved", filled(MIB, "message M {reserved 1", ",@0", ";}"), None),
        ("reserved names", filled(MIB, "message M {reserved \"a\"", ",\"b@\"", ";}"), None),
        (
            "types of long names",
            filled(MIB, &format!("package {};", ["a"; 64].join(".")), "message M@{}", ""),
            Some("more than 10000"),
        ),
        (
            "package",
            filled(MIB, "package a", ".b@", "; message M {}"),
            Some("package of more than 64 names"),
        ),
        (
            "type of many names",
            filled(MIB, "message M { optional a", ".b@", " f = 1; }"),
            Some("M: f: type of too many names"),
        ),
        (
            "imports",
            filled(MIB, "", "import \"@\";", "message M {}"),
            Some("import \"1\" is not among the references"),
        ),
        ("services", filled(MIB, "message M {}", "service S@ { rpc R(M) returns (M); }", ""), None),
        ("garbage", "!".repeat(MIB), Some("no Protobuf source: ")),
        ("keywords", "message;".repeat(MIB / 8), Some("no Protobuf source: ")),
        ("hashes", "#\n".repeat(MIB / 2), Some("no Protobuf source: ")),
        ("quotes", "'\n".repeat(MIB / 2), Some("quotes are open")),
        (
            "fields without type",
            STANDARD.encode(b"\x22\x07\x0a\x01M\x12\x02\x18\x01".repeat(MIB / 13)),
            Some("M: \"\" is no name"),
        ),
        ("comments", "/*/".repeat(MIB / 3), Some("no Protobuf source: ")),
        (
            "unresolved",
            filled(MIB / 2, "message M {", "optional X@ f@ = @;", "}"),
            Some("no Protobuf schema: "),
        ),
        (
            "same number",
            filled(MIB / 2, "message M {", "optional int32 f@ = 1;", "}"),
            Some("no Protobuf schema: "),
        ),
        ("base64", "A".repeat(MIB), Some("base64, but no descriptor")),
        (
            "base64 of names",
            STANDARD.encode(b"\x1a\x00".repeat(MIB / 3)),
            Some("base64, but no descriptor of a Protobuf document: too many empty parts"),
        ),
        (
            "base64 of messages",
            STANDARD.encode(b"\x22\x00".repeat(MIB / 3)),
            Some("base64, but no descriptor of a Protobuf document: too many empty parts"),
        ),
        (
            "base64 of small messages",
            STANDARD.encode(b"\x22\x02\x78\x01".repeat(MIB / 6)),
            Some("\"\" is no name"),
        ),
    ];
    for (what, text, expected) in table {
        let mut found = None;
        let memory = allocation_counter::measure(|| {
            found = parse(&text).map(|_| ()).err();
        });
        match (&found, expected) {
            (Some(found), Some(expected)) => {
                assert!(found.starts_with(expected), "{what}: {found}")
            }
            _ => assert_eq!(found.as_deref(), expected, "{what}"),
        }
        assert!(memory.bytes_max < 128 * 1_048_576, "{what}: {} bytes", memory.bytes_max);
        assert!(memory.count_total < 8_000_000, "{what}: {} times", memory.count_total);
    }
}

#[test]
fn long_names_count_for_all_that_is_inside_of_them() {
    let long = "n".repeat(MIB / 2);
    let inside = filled(MIB, &format!("message {long} {{"), "optional int32 f@=@;", "}");
    let fault = said(inside).unwrap();
    assert!(fault.ends_with("more than 200000 types, fields, ranges and numbers"), "{fault}");
    let package = format!("package {};", "n".repeat(MIB / 2));
    let fault = said(filled(MIB, &package, "message M@ {}", "")).unwrap();
    assert!(fault.ends_with("more than 200000 types, fields, ranges and numbers"), "{fault}");
    let ranges = filled(MIB / 2, "message M { reserved 1", ",@0001", ";");
    let fault = said(filled(MIB, &ranges, "optional int32 f@=@;", "}")).unwrap();
    assert!(fault.ends_with("are too many together"), "{fault}");
}

#[test]
fn imports_that_cross_end_soon() {
    let path = |n: usize| format!("f{n}.proto");
    let texts: Vec<(String, String)> = (0..256)
        .map(|n| {
            let imports = (0..n).map(|to| format!("import public \"{}\";", path(to)));
            (path(n), imports.collect::<String>() + &format!("message M{n} {{}}"))
        })
        .collect();
    let limits = SchemaLimits { max_schema_bytes: 4 * MIB, ..SchemaLimits::default() };
    let main = format!("import \"{}\"; message M {{ optional M0 m = 1; }}", path(255));
    let parsed = on_a_small_stack(move || {
        let references = texts.iter().map(|(path, text)| (&**path, &**text));
        let references: Vec<(&str, &str)> = references.collect();
        ProtobufSchema::parse(&main, &references, &limits).map(|_| ())
    });
    assert_eq!(parsed, Ok(()));
    let references = vec![("a", ""); 257];
    let fault = parse_with("message M {}", &references).unwrap_err();
    assert_eq!(fault, "257 references, at most 256 are taken");
}

fn encoded(file: &FileDescriptorProto) -> String {
    STANDARD.encode(file.encode_to_vec())
}

fn message(name: &str, fields: Vec<FieldDescriptorProto>) -> DescriptorProto {
    DescriptorProto { name: Some(name.to_owned()), field: fields, ..DescriptorProto::default() }
}

fn field(name: &str, number: i32, kind: Type, label: Label) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(label.into()),
        r#type: Some(kind.into()),
        ..FieldDescriptorProto::default()
    }
}

#[test]
fn descriptors_that_no_compiler_writes_are_refused() {
    let file =
        |messages| FileDescriptorProto { message_type: messages, ..FileDescriptorProto::default() };
    let n = || field("n", 1, Type::Int32, Label::Optional);
    assert_eq!(said(encoded(&file(vec![message("M", vec![n()])]))), None);
    let entry = |fields| {
        let mut entry = message("E", fields);
        entry.options = Some(MessageOptions { map_entry: Some(true), ..MessageOptions::default() });
        file(vec![entry])
    };
    let map = "E: a map has a key of integers, bools or strings, and a value that is no map";
    let value = || field("value", 2, Type::Int32, Label::Optional);
    for fields in [
        vec![],
        vec![n()],
        vec![field("n", 1, Type::Double, Label::Optional), value()],
        vec![field("n", 1, Type::Int32, Label::Repeated), value()],
        vec![n(), value(), field("more", 3, Type::Int32, Label::Optional)],
        vec![n(), field("more", 3, Type::Int32, Label::Optional)],
    ] {
        assert_eq!(said(encoded(&entry(fields))).unwrap(), map);
    }
    let nested = |levels| {
        let wrap = |inner, _| DescriptorProto { nested_type: vec![inner], ..message("M", vec![]) };
        encoded(&file(vec![(1..levels).fold(message("M", vec![]), wrap)]))
    };
    assert_eq!(said(nested(64)), None);
    let fault = said(nested(65)).unwrap();
    assert!(fault.ends_with("messages nest more than 64 levels"), "{fault}");
    let fault = said(nested(300)).unwrap();
    assert!(fault.starts_with("base64, but no descriptor of a Protobuf document: "), "{fault}");
}

#[test]
fn descriptors_with_odd_parts_are_refused() {
    let file =
        |messages| FileDescriptorProto { message_type: messages, ..FileDescriptorProto::default() };
    let n = || field("n", 1, Type::Int32, Label::Optional);
    let odd = [
        (FileDescriptorProto { package: Some("a..b".into()), ..file(vec![]) }, "\"\" is no name"),
        (file(vec![message("a.b", vec![])]), "\"a.b\" is no name"),
        (
            file(vec![message("M", vec![field("", 1, Type::Int32, Label::Optional)])]),
            "M: \"\" is no name",
        ),
        (
            FileDescriptorProto { syntax: Some("editions".into()), ..file(vec![]) },
            "editions of Protocol Buffers are not supported, only proto2 and proto3",
        ),
        (
            FileDescriptorProto { syntax: Some("proto9".into()), ..file(vec![]) },
            "unknown syntax \"proto9\"",
        ),
        (
            file(vec![message("M", vec![FieldDescriptorProto { oneof_index: Some(-1), ..n() }])]),
            "no Protobuf schema: invalid oneof index",
        ),
        (
            file(vec![message("M", vec![FieldDescriptorProto { number: Some(-1), ..n() }])]),
            "no Protobuf schema: invalid field number",
        ),
        (
            file(vec![message("M", vec![FieldDescriptorProto { r#type: Some(99), ..n() }])]),
            "M: n: no type that there is",
        ),
        (
            FileDescriptorProto {
                enum_type: vec![EnumDescriptorProto {
                    name: Some("E".into()),
                    ..EnumDescriptorProto::default()
                }],
                ..file(vec![])
            },
            "no Protobuf schema: ",
        ),
        (
            FileDescriptorProto {
                public_dependency: vec![-1, 7],
                weak_dependency: vec![9],
                ..file(vec![])
            },
            "the document declares no message",
        ),
    ];
    for (file, expected) in odd {
        let fault = said(encoded(&file)).unwrap_or_default();
        assert!(fault.starts_with(expected), "{fault}");
    }
}

#[test]
fn a_wide_message_is_taken_and_checked() {
    let fields = (1..=10_000).map(|n| format!("repeated sint64 f{n} = {};", n * 13 + 20_000));
    let text = format!("message M {{ {} }}", fields.collect::<String>());
    let schema = parse(&text).unwrap();
    let all = (1..=10_000)
        .fold(Bytes::default(), |all, n| all.tag(n * 13 + 20_000, 0).varint(u64::from(n)));
    assert_eq!(schema.check(schema.root(), Reject, &all.0), Ok(()));
}

#[test]
fn data_that_nest_or_repeat_without_end_end_soon() {
    let text = "message M { repeated M m = 1; repeated group G = 2 { optional M m = 1; repeated group H = 2 {} }
        repeated int32 n = 3; map<int32, M> e = 4; }";
    let schema = parse(text).unwrap();
    let deep = (0..50_000_u32).fold(Bytes::default(), |inner, _| {
        if inner.0.len() > MIB { inner } else { Bytes::default().tag(1, 2).sized(&inner.0) }
    });
    let table = [
        ("messages", deep.0),
        ("groups", [0x13].repeat(MIB)),
        ("groups that end", [0x13, 0x14].repeat(MIB)),
        ("groups in groups", [0x13, 0x13, 0x14, 0x14].repeat(MIB)),
        ("unknown groups", [0x7b].repeat(MIB)),
        ("unknown groups that end", [0x7b, 0x7c].repeat(MIB)),
        ("empty messages", [0x0a, 0].repeat(MIB)),
        ("empty entries", [0x22, 0].repeat(MIB)),
        ("empty packed", [0x1a, 0].repeat(MIB)),
        ("varints", [0x18, 0].repeat(MIB)),
        ("padding", [0xff].repeat(MIB)),
        ("ends", [0x14].repeat(MIB)),
    ];
    for (what, datum) in table {
        for unknown in [Allow, Reject] {
            let id: MessageId = schema.root();
            let schema = &schema;
            let datum = &datum;
            let accepted = std::thread::scope(|scope| {
                let walk = || {
                    let mut accepted = false;
                    let memory = allocation_counter::measure(|| {
                        accepted = schema.fault(id, unknown, datum).is_none();
                    });
                    assert_eq!(memory.count_total, 0, "{what}");
                    let checked = schema.check(id, unknown, datum);
                    assert_eq!(checked.is_ok(), accepted);
                    accepted
                };
                let small = std::thread::Builder::new().stack_size(MIB / 2);
                small.spawn_scoped(scope, walk).unwrap().join().unwrap()
            });
            let unknown_groups = what == "unknown groups that end" && unknown == Allow;
            let fine = [
                "groups that end",
                "groups in groups",
                "empty messages",
                "empty entries",
                "empty packed",
                "varints",
            ];
            assert_eq!(accepted, fine.contains(&what) || unknown_groups, "{what}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    #[test]
    fn no_document_breaks_the_compiler(words in proptest::collection::vec(word(), 0..40)) {
        let _ = parse(&words.join(" "));
    }

    #[test]
    fn no_descriptor_breaks_the_compiler(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = parse(&STANDARD.encode(bytes));
    }
}

fn word() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(WORDS.split('|').collect::<Vec<_>>())
}

/// With a bar between them.
const WORDS: &str = concat!(
    "message|M|N|{|}|optional|repeated|required|int32|string|=|1|2|;|enum|E|A|0|map|<|>|,|group|G|",
    "oneof|o|extend|extensions|to|max|reserved|syntax|\"proto3\"|package|a.b|import|",
    "\"google/protobuf/descriptor.proto\"|option|(|)|[|]|packed|true|-1|//|/*|*/|'|\n|service|rpc|",
    "returns|stream|json_name|default|message M {|optional int32 x = 1;|extend M {|",
    "map<int32, M> m = 3;|}|}|optional group H = 4 {|oneof p { int32 q = 5; }|1.5e10|",
    "0x7fffffffffffffffff|é",
);
