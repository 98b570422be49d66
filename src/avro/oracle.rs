//! The checks against slow, obvious readers written straight from the specification, and against apache-avro.

use super::sample::{Dice, Shape, Writer, shapes, zigzag};
use super::{AvroSchema, DatumFault};
use crate::limits::{MAX_DATUM_DEPTH, MAX_ZERO_BYTE_ITEMS, SchemaLimits};
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;

/// The specification, read aloud. `None` for anything that is no datum.
struct Oracle<'a> {
    root: &'a [Shape],
    bytes: &'a [u8],
    free: u64,
}

impl<'a> Oracle<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(count)?;
        self.bytes = tail;
        Some(head)
    }

    fn long(&mut self) -> Option<i64> {
        let before = self.bytes;
        let mut raw = 0_u128;
        for index in 0..10 {
            let byte = self.take(1)?[0];
            raw |= u128::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                let raw = u64::try_from(raw).ok()?;
                let value = (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed();
                let mut shortest = Vec::new();
                zigzag(value, &mut shortest);
                return before.starts_with(&shortest).then_some(value);
            }
        }
        None
    }

    fn string(&mut self) -> Option<()> {
        let length = usize::try_from(self.long()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok().map(|_| ())
    }

    fn record(&mut self, shapes: &[Shape], depth: usize) -> Option<()> {
        let fixed = shapes.iter().all(|shape| shape.width().is_some());
        let depth = depth + usize::from(!fixed);
        (depth <= MAX_DATUM_DEPTH).then_some(())?;
        shapes.iter().try_for_each(|shape| self.value(shape, depth))
    }

    fn blocks(&mut self, item: &mut dyn FnMut(&mut Self) -> Option<()>) -> Option<()> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Some(());
            }
            let size = if count < 0 { Some(usize::try_from(self.long()?).ok()?) } else { None };
            let before = self.bytes.len();
            for _ in 0..i64::try_from(count.unsigned_abs()).ok()? {
                item(self)?;
            }
            if size.is_some_and(|size| before - self.bytes.len() != size) {
                return None;
            }
        }
    }

    fn value(&mut self, shape: &Shape, depth: usize) -> Option<()> {
        let deeper = (depth < MAX_DATUM_DEPTH).then_some(depth + 1);
        match shape {
            Shape::Array(items) => {
                let depth = deeper?;
                self.blocks(&mut |oracle| {
                    let before = oracle.bytes.len();
                    oracle.value(items, depth)?;
                    oracle.free += u64::from(before == oracle.bytes.len());
                    (oracle.free <= MAX_ZERO_BYTE_ITEMS).then_some(())
                })
            }
            Shape::Boolean => (self.take(1)?[0] < 2).then_some(()),
            Shape::Bytes => {
                let length = usize::try_from(self.long()?).ok()?;
                self.take(length).map(|_| ())
            }
            Shape::Double => self.take(8).map(|_| ()),
            Shape::Enum(size) => (usize::try_from(self.long()?).ok()? < *size).then_some(()),
            Shape::Fixed(size) => self.take(*size).map(|_| ()),
            Shape::Float => self.take(4).map(|_| ()),
            Shape::Int => i32::try_from(self.long()?).ok().map(|_| ()),
            Shape::Long => self.long().map(|_| ()),
            Shape::Map(values) => {
                let depth = deeper?;
                self.blocks(&mut |oracle| {
                    oracle.string()?;
                    oracle.value(values, depth)
                })
            }
            Shape::Null => Some(()),
            Shape::Record(shapes) => self.record(shapes, depth),
            Shape::String => self.string(),
            Shape::Tail => match (self.long()?, deeper?) {
                (0, _) => Some(()),
                (1, depth) => self.record(self.root, depth),
                _ => None,
            },
            Shape::Union(branches) => {
                let branch = usize::try_from(self.long()?).ok()?;
                self.value(branches.get(branch)?, deeper?)
            }
        }
    }
}

/// What is left after one datum, by the oracle.
fn left(root: &[Shape], bytes: &[u8]) -> Option<usize> {
    let mut oracle = Oracle { root, bytes, free: 0 };
    oracle.record(root, 0)?;
    Some(oracle.bytes.len())
}

/// Our verdict equals the oracle's; returns whether it is acceptance.
fn agree(schema: &AvroSchema, root: &[Shape], bytes: &[u8]) -> Result<bool, TestCaseError> {
    let ours = schema.check_binary(bytes);
    let fault = ours.as_ref().err().map(|error| error.fault);
    match left(root, bytes) {
        Some(0) => prop_assert!(ours.is_ok(), "{ours:?} for {bytes:02x?}"),
        Some(_) => prop_assert_eq!(fault, Some(DatumFault::TrailingBytes)),
        None => {
            prop_assert_eq!(fault, Some(DatumFault::Invalid), "{:02x?}", bytes);
            // The explanation has found the fault, too.
            let error = ours.as_ref().unwrap_err();
            prop_assert!(error.detail != "no datum of the schema", "{error} for {bytes:02x?}");
            prop_assert!(error.offset <= bytes.len());
        }
    }
    Ok(ours.is_ok())
}

fn compiled(shapes: &[Shape]) -> AvroSchema {
    AvroSchema::parse(&Shape::document(shapes), &[], &SchemaLimits::default()).unwrap()
}

/// Truncates, extends or flips, in turn.
fn mutated(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match dice.roll(4) {
        0 => bytes.truncate(dice.roll(bytes.len() + 1)),
        1 => bytes.extend((0..1 + dice.roll(3)).map(|_| u8::try_from(dice.roll(256)).unwrap())),
        _ if bytes.is_empty() => {}
        2 => {
            let at = dice.roll(bytes.len());
            bytes[at] ^= 1 << dice.roll(8);
        }
        _ => {
            let at = dice.roll(bytes.len());
            bytes[at] = u8::try_from(dice.roll(256)).unwrap();
        }
    }
    bytes
}

fn read(schema: &apache_avro::Schema, bytes: &[u8]) -> apache_avro::AvroResult<Value> {
    GenericDatumReader::builder(schema).build()?.read_value(&mut &bytes[..])
}

fn write(schema: &apache_avro::Schema, value: Value) -> Vec<u8> {
    let writer = GenericDatumWriter::builder(schema).build().unwrap();
    writer.write_value_to_vec(value).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn accepts_what_apache_avro_and_the_specification_write(root in shapes(), seed in 1_u64..) {
        let schema = compiled(&root);
        let theirs = apache_avro::Schema::parse_str(&Shape::document(&root)).unwrap();
        let mut writer = Writer { root: &root, dice: Dice(seed), levels: 0, flawed: false };
        let value = writer.record(&root);
        let encoded = writer.encoded(&value);
        prop_assert!(agree(&schema, &root, &encoded)?);
        prop_assert_eq!(&value, &read(&theirs, &encoded).unwrap());
        let datum = write(&theirs, value);
        prop_assert!(agree(&schema, &root, &datum)?);
    }

    #[test]
    fn judges_damaged_data_as_the_specification_does(root in shapes(), seed in 1_u64..) {
        let schema = compiled(&root);
        let theirs = apache_avro::Schema::parse_str(&Shape::document(&root)).unwrap();
        let mut writer = Writer { root: &root, dice: Dice(seed), levels: 0, flawed: false };
        let value = writer.record(&root);
        let encoded = writer.encoded(&value);
        for _ in 0..8 {
            writer.flawed = writer.dice.roll(2) == 0;
            let flawed = writer.encoded(&value);
            let bytes = if writer.flawed { flawed } else { mutated(&encoded, &mut writer.dice) };
            // What we refuse is not shown to it: it counts to any number of items without bytes.
            if agree(&schema, &root, &bytes)? {
                let read = read(&theirs, &bytes);
                prop_assert!(read.is_ok(), "apache-avro is stricter: {:?} for {bytes:02x?}", read);
            }
        }
    }

    #[test]
    fn judges_arbitrary_bytes_as_the_specification_does(
        root in shapes(),
        bytes in prop::collection::vec(prop_oneof![0_u8..6, any::<u8>()], 0..60),
    ) {
        let schema = compiled(&root);
        agree(&schema, &root, &bytes)?;
        let _ = schema.check_json(&bytes);
    }
}
