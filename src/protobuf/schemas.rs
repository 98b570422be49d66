//! Schemas of the tests.

use super::ProtobufSchema;
use crate::limits::SchemaLimits;
use prost_reflect::DescriptorPool;

pub(super) fn parse(text: &str) -> Result<ProtobufSchema, String> {
    parse_with(text, &[])
}

pub(super) fn parse_with(
    text: &str,
    references: &[(&str, &str)],
) -> Result<ProtobufSchema, String> {
    let parsed = ProtobufSchema::parse(text, references, &SchemaLimits::default());
    parsed.map_err(|fault| fault.detail)
}

/// The same documents, for prost-reflect.
pub(super) fn pool(text: &str) -> DescriptorPool {
    let loaded = super::documents::load(text, &[], &SchemaLimits::default()).unwrap();
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_protos(loaded.files).unwrap();
    pool
}

/// Every type in every position, in proto3.
pub(super) const EVENT: &str = r#"
    syntax = "proto3";
    package shop.events;
    import "google/protobuf/timestamp.proto";
    message Event {
      string id = 1; int64 at = 2; int32 count = 3; Kind kind = 4; optional uint32 age = 5;
      repeated string tags = 6; map<string, string> attributes = 7; bool active = 8; bytes raw = 9;
      float f = 10; double d = 11; fixed32 f32 = 12; fixed64 f64 = 13; sfixed32 s32 = 14;
      sfixed64 s64 = 15; sint32 z32 = 16; sint64 z64 = 17; uint64 u64 = 18;
      oneof choice { string name = 19; Event event = 20; Address address = 21; }
      repeated int32 numbers = 30; repeated double doubles = 31 [packed = false];
      repeated Kind kinds = 32; map<int32, Address> addresses = 33; repeated Address more = 2000;
      google.protobuf.Timestamp created = 40; map<bool, Kind> flags = 41;
      enum Kind { NONE = 0; A = 1; B = -1; }
      message Address { string street = 1; repeated Event events = 2; }
    }
    message Other { Event event = 1; }
"#;

/// What only proto2 has.
pub(super) const OLD: &str = r#"
    syntax = "proto2";
    package old;
    message Order {
      required string id = 1; optional int32 count = 2; required Kind kind = 3;
      repeated Kind kinds = 4; repeated Kind packed = 5 [packed = true];
      optional group Result = 6 { required bool good = 1; repeated group Part = 2 { optional sint64 n = 1; } }
      map<string, Line> lines = 7; optional Line line = 8; optional Order order = 9;
      enum Kind { FIRST = 1; SECOND = 2; THIRD = 3; FAR = 70000; BELOW = -2; }
      message Line { required int32 n = 1; }
      extensions 100 to 199;
      reserved 10 to 20, 25; reserved "gone";
    }
    extend Order { optional Order.Line extra = 100; repeated Order.Kind extras = 101; }
"#;
