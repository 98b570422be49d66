//! Accepting a datum allocates nothing, in either encoding.

#[path = "../benches/avro_shapes/mod.rs"]
mod shapes;

use schemaward::avro::AvroSchema;
use schemaward::limits::SchemaLimits;

#[test]
fn accepting_a_datum_allocates_nothing() {
    for sample in shapes::all() {
        let schema = AvroSchema::parse(&sample.schema, &[], &SchemaLimits::default()).unwrap();
        let mut accepted = false;
        let binary = allocation_counter::measure(|| {
            accepted = schema.check_binary(&sample.binary).is_ok();
        });
        assert!(accepted, "{}: {:?}", sample.name, schema.check_binary(&sample.binary));
        assert_eq!(binary.count_total, 0, "{} binary", sample.name);
        let json = allocation_counter::measure(|| {
            accepted = schema.check_json(sample.json.as_bytes()).is_ok();
        });
        assert!(accepted, "{}: {:?}", sample.name, schema.check_json(sample.json.as_bytes()));
        assert_eq!(json.count_total, 0, "{} JSON", sample.name);
    }
}
