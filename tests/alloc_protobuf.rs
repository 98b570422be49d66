//! Accepting a Protobuf datum allocates nothing, whatever the schema.

#[path = "../benches/protobuf_shapes/mod.rs"]
mod shapes;

use schemaward::limits::SchemaLimits;
use schemaward::protobuf::{ProtobufSchema, UnknownFields};

#[test]
fn accepting_a_datum_allocates_nothing() {
    for sample in shapes::all() {
        let schema = ProtobufSchema::parse(&sample.schema, &[], &SchemaLimits::default()).unwrap();
        for unknown in [UnknownFields::Allow, UnknownFields::Reject] {
            let mut accepted = false;
            let framed = [&[0], &*sample.datum].concat();
            let memory = allocation_counter::measure(|| {
                let (message, datum) = schema.read_message_indexes(&framed).unwrap();
                accepted = schema.check(message, unknown, datum).is_ok();
            });
            let root = schema.root();
            assert!(accepted, "{}: {:?}", sample.name, schema.check(root, unknown, &sample.datum));
            assert_eq!(memory.count_total, 0, "{}", sample.name);
        }
    }
}
