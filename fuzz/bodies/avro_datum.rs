//! One Avro datum: the fast walk and the slow one agree, and apache-avro reads what is accepted.

use apache_avro::reader::datum::GenericDatumReader;
use schemaward::datum::{DatumError, DatumFault};
use schemaward::limits::KIB;

use super::schemas::{ALL, FREE_ITEMS, Schema};
use super::{Outcome, assert_presentable, split, within};

/// First byte: which schema. Then the datum.
pub fn run(data: &[u8]) -> Outcome {
    let (choice, datum) = split(data);
    let choice = choice % ALL.len();
    let schema = &ALL[choice];
    match within(256 * KIB, || schema.ours.check_binary(datum)) {
        Ok(()) => {
            assert_eq!(within(0, || schema.ours.fault_in_binary(datum)), None);
            if !FREE_ITEMS.contains(&choice) {
                read_by_peer(schema, datum);
            }
            Outcome::Taken
        }
        Err(error) => {
            check(&error, datum.len());
            let fault = within(0, || schema.ours.fault_in_binary(datum));
            assert_eq!(fault, Some(error.fault));
            if error.fault == DatumFault::TrailingBytes {
                let whole = schema.ours.check_binary(&datum[..error.offset]);
                assert_eq!(whole, Ok(()), "all but what follows it is a datum");
            }
            Outcome::Refused
        }
    }
}

fn read_by_peer(schema: &Schema, datum: &[u8]) {
    let mut rest = datum;
    let reader = GenericDatumReader::builder(&schema.theirs).build().expect("a reader");
    let read = reader.read_value(&mut rest);
    assert!(read.is_ok(), "apache-avro is stricter: {read:?}");
    assert!(rest.is_empty(), "apache-avro leaves {} bytes", rest.len());
}

/// What is said about a datum that was refused makes sense.
pub fn check(error: &DatumError, length: usize) {
    assert_ne!(error.detail, "no datum of the schema", "the two walks disagree: {error}");
    assert!(error.offset <= length, "{error}");
    assert!(!error.path.is_empty(), "{error}");
    assert_presentable(&error.to_string());
}
