//! One schema document with those that it refers to: bounded, cleaned, compiled, and then of use.

use schemaward::avro::AvroSchema;
use schemaward::limits::{MIB, SchemaLimits};

use super::{Outcome, assert_presentable, avro_datum::check, within};

/// Documents with a zero byte between them; the first refers to the others.
pub fn run(data: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(data) else { return Outcome::Refused };
    let mut documents = text.split('\0');
    let document = documents.next().unwrap_or_default();
    let references: Vec<_> = documents.collect();
    let limits = SchemaLimits::default();
    // Most of it is for the objects of the parser's tree.
    let memory = 4 * MIB + 256 * data.len();
    match within(memory, || AvroSchema::parse(document, &references, &limits)) {
        Ok(schema) => {
            for datum in [&[][..], &[0; 40], &[2; 40], &[1, 2, 0, 0], data] {
                let _ = schema.check_binary(datum).map_err(|error| check(&error, datum.len()));
            }
            for value in [&b"{}"[..], b"[]", b"null", b"\"\"", b"0", data] {
                let _ = schema.check_json(value).map_err(|error| check(&error, value.len()));
            }
            Outcome::Taken
        }
        Err(fault) => {
            assert_presentable(&fault.to_string());
            Outcome::Refused
        }
    }
}
