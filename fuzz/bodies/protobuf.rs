//! A schema of Protocol Buffers and a datum of it: bounded and compiled, then the fast walk and the slow one agree, and
//! prost-reflect reads what is accepted.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use schemaward::datum::DatumFault;
use schemaward::limits::{KIB, MIB, SchemaLimits};
use schemaward::protobuf::{
    ProtobufSchema,
    UnknownFields::{Allow, Reject},
};

use super::{Outcome, assert_presentable, avro_datum, split, within};

/// First byte: which of [`SCHEMAS`] the datum behind it is of, or, beyond these, that a schema follows: documents with a zero
/// byte between them, of which the first imports the others as `1`, `2`, and so on.
pub fn run(data: &[u8]) -> Outcome {
    let (choice, rest) = split(data);
    match FIXED.get(choice) {
        Some(fixed) => datum(fixed, rest),
        None => documents(rest),
    }
}

/// A schema, compiled by us and by prost-reflect.
struct Fixed {
    ours: ProtobufSchema,
    theirs: MessageDescriptor,
}

static FIXED: LazyLock<Vec<Fixed>> = LazyLock::new(|| {
    let compile = |text: &&str| {
        let ours = ProtobufSchema::parse(text, &[], &SchemaLimits::default()).expect("a schema");
        let file = protox::file::File::from_source("schema.proto", text).expect("a document");
        let mut pool = DescriptorPool::new();
        pool.add_file_descriptor_proto(file.into()).expect("a schema");
        let theirs = pool.get_message_by_name(ours.name(ours.root())).expect("the message");
        Fixed { ours, theirs }
    };
    SCHEMAS.iter().map(compile).collect()
});

/// Every type, every way to nest, and what only proto2 has.
pub const SCHEMAS: [&str; 3] = [
    r#"syntax = "proto3"; package a.b;
    message Event {
      string id = 1; int64 at = 2; int32 n = 3; Kind kind = 4; optional uint32 age = 5; repeated string tags = 6;
      map<string, string> attributes = 7; bool active = 8; bytes raw = 9; float f = 10; double d = 11; fixed32 g = 12;
      fixed64 h = 13; sfixed32 i = 14; sfixed64 j = 15; sint32 k = 16; sint64 l = 17; uint64 m = 18;
      oneof choice { string name = 19; Event event = 20; } repeated int32 numbers = 30; repeated double doubles = 31;
      map<int32, Event> events = 32; repeated Kind kinds = 33; message Nested { message Deep {} }
      enum Kind { NONE = 0; A = 1; B = -1; } }"#,
    r#"syntax = "proto2"; package old;
    message Order {
      required string id = 1; required Kind kind = 2; repeated Kind kinds = 3 [packed = true];
      repeated group Part = 4 { required bool good = 1; optional Order order = 2; }
      map<string, Line> lines = 5; optional Line line = 6; optional Order order = 7; extensions 100 to 110;
      enum Kind { FIRST = 1; SECOND = 2; FAR = 70000; } message Line { required int32 n = 1; } }
    extend Order { optional Order.Line extra = 100; }"#,
    r#"syntax = "proto2";
    message List { optional List next = 1; repeated List many = 2; optional group G = 3 { optional List list = 1; } }"#,
];

fn datum(fixed: &Fixed, data: &[u8]) -> Outcome {
    let Fixed { ours, theirs } = fixed;
    if let Some((_, rest)) = within(0, || ours.read_message_indexes(data)) {
        assert!(data.ends_with(rest));
    }
    let check = |unknown| {
        let checked =
            within(256 * KIB + 16 * data.len(), || ours.check(ours.root(), unknown, data));
        let fault = within(0, || ours.fault(ours.root(), unknown, data));
        assert_eq!(fault, checked.as_ref().err().map(|_| DatumFault::Invalid));
        let _ = checked.as_ref().map_err(|error| avro_datum::check(error, data.len()));
        checked.is_ok()
    };
    let (lenient, strict) = (check(Allow), check(Reject));
    assert!(lenient || !strict, "what is known is refused only when unknown fields are allowed");
    if lenient {
        let read = DynamicMessage::decode(theirs.clone(), data);
        let deep = |error: &prost_reflect::prost::DecodeError| {
            // It counts a level for each unknown field, too.
            error.to_string().contains("recursion limit")
        };
        assert!(
            strict || read.as_ref().err().is_none_or(deep),
            "prost-reflect is stricter: {read:?}"
        );
        assert!(!strict || read.is_ok(), "prost-reflect is stricter: {read:?}");
    }
    Outcome::of(strict)
}

fn documents(data: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(data) else { return Outcome::Refused };
    let mut documents = text.split('\0');
    let document = documents.next().unwrap_or_default();
    let references: Vec<_> =
        (1..).zip(documents).map(|(number, text): (u32, _)| (number.to_string(), text)).collect();
    let references: Vec<_> = references.iter().map(|(path, text)| (&**path, *text)).collect();
    // A byte of source can make a node of the parser's tree; the descriptors of the well-known documents are large.
    let memory = 8 * MIB + 512 * data.len();
    let limits = SchemaLimits::default();
    match within(memory, || ProtobufSchema::parse(document, &references, &limits)) {
        Ok(schema) => {
            for datum in [&[][..], &[0; 40], &[8; 40], &[0x0a, 0, 0x10, 1], data] {
                let (root, unknown) = (schema.root(), Reject);
                let checked = schema.check(root, unknown, datum);
                let _ = checked.map_err(|error| avro_datum::check(&error, datum.len()));
                assert_eq!(schema.read_message_indexes(&[0]), Some((root, &[][..])));
            }
            Outcome::Taken
        }
        Err(fault) => {
            assert_presentable(&fault.to_string());
            Outcome::Refused
        }
    }
}
