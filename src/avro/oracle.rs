//! The checks against slow, obvious readers written straight from the specification, and against apache-avro.

use super::{AvroSchema, DatumFault};
use crate::limits::{MAX_DATUM_DEPTH, MAX_ZERO_BYTE_ITEMS, SchemaLimits};
use apache_avro::types::Value;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// A schema, as simple as can be.
#[derive(Debug, Clone)]
enum Shape {
    Array(Box<Shape>),
    Boolean,
    Bytes,
    Double,
    Enum(usize),
    Fixed(usize),
    Float,
    Int,
    Long,
    Map(Box<Shape>),
    Null,
    Record(Vec<Shape>),
    String,
    /// Null, or the outermost record once more.
    Tail,
    Union(Vec<Shape>),
}

impl Shape {
    /// The schema document, for the outermost record `n.Root`, and its types numbered.
    fn document(root: &[Self]) -> String {
        let mut count = 0;
        let fields = Self::fields(root, &mut count);
        json!({"type": "record", "name": "n.Root", "fields": fields}).to_string()
    }

    fn fields(shapes: &[Self], count: &mut usize) -> Json {
        let field = |(i, shape): (usize, &Self)| {
            json!({"name": format!("f{i}"), "type": shape.schema(count)})
        };
        shapes.iter().enumerate().map(field).collect()
    }

    fn schema(&self, count: &mut usize) -> Json {
        *count += 1;
        let name = format!("T{count}");
        match self {
            Self::Array(items) => json!({"type": "array", "items": items.schema(count)}),
            Self::Boolean => json!("boolean"),
            Self::Bytes => json!("bytes"),
            Self::Double => json!("double"),
            Self::Enum(size) => {
                let symbols: Vec<_> = (0..*size).map(|i| format!("S{i}")).collect();
                json!({"type": "enum", "name": name, "symbols": symbols})
            }
            Self::Fixed(size) => json!({"type": "fixed", "name": name, "size": size}),
            Self::Float => json!("float"),
            Self::Int => json!({"type": "int", "logicalType": "none of ours"}),
            Self::Long => json!("long"),
            Self::Map(values) => json!({"type": "map", "values": values.schema(count)}),
            Self::Null => json!("null"),
            Self::Record(shapes) => {
                let fields = Self::fields(shapes, count);
                json!({"type": "record", "name": name, "fields": fields})
            }
            Self::String => json!("string"),
            Self::Tail => json!(["null", "Root"]),
            Self::Union(branches) => branches.iter().map(|each| each.schema(count)).collect(),
        }
    }

    /// The bytes of any datum, where any bytes will do.
    fn width(&self) -> Option<usize> {
        match self {
            Self::Double => Some(8),
            Self::Fixed(size) => Some(*size),
            Self::Float => Some(4),
            Self::Null => Some(0),
            Self::Record(fields) => fields.iter().map(Self::width).sum(),
            _ => None,
        }
    }
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let leaf = prop_oneof![
        Just(Shape::Boolean),
        Just(Shape::Bytes),
        Just(Shape::Double),
        (1_usize..100).prop_map(Shape::Enum),
        (0_usize..20).prop_map(Shape::Fixed),
        Just(Shape::Float),
        Just(Shape::Int),
        Just(Shape::Long),
        Just(Shape::Null),
        Just(Shape::String),
        Just(Shape::Tail),
    ];
    let shape = leaf.prop_recursive(4, 24, 4, |inner| {
        // Unions hold each unnamed type at most once; a record around each branch keeps them apart.
        let record = prop::collection::vec(inner.clone(), 0..4).prop_map(Shape::Record);
        prop_oneof![
            inner.clone().prop_map(|items| Shape::Array(Box::new(items))),
            inner.prop_map(|values| Shape::Map(Box::new(values))),
            record.clone(),
            (prop::collection::vec(record, 0..3), any::<[bool; 3]>()).prop_map(|(mut all, with)| {
                let plain = [Shape::Null, Shape::String, Shape::Array(Box::new(Shape::Int))];
                let chosen = plain.into_iter().zip(with).filter(|(_, with)| *with);
                all.extend(chosen.map(|(shape, _)| shape));
                if all.is_empty() { Shape::Null } else { Shape::Union(all) }
            }),
        ]
    });
    prop::collection::vec(shape, 0..6)
}

/// Reproducible choices.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides
    }

    fn long(&mut self) -> i64 {
        let bits = self.roll(64);
        let value = i64::try_from(self.roll(1 << 50)).unwrap().wrapping_mul(0x9e37_79b9);
        value >> bits
    }

    fn text(&mut self) -> String {
        (0..self.roll(20)).map(|_| ['a', '"', '\\', 'é', '\n', '✓', '😀', 'z'][self.roll(8)]).collect()
    }
}

struct Writer<'s> {
    root: &'s [Shape],
    dice: Dice,
    levels: usize,
}

impl Writer<'_> {
    fn record(&mut self, shapes: &[Shape]) -> Value {
        let field = |(i, shape): (usize, &Shape)| (format!("f{i}"), self.value(shape));
        Value::Record(shapes.iter().enumerate().map(field).collect())
    }

    fn value(&mut self, shape: &Shape) -> Value {
        let dice = &mut self.dice;
        match shape {
            Shape::Array(items) => {
                Value::Array((0..dice.roll(4)).map(|_| self.value(items)).collect())
            }
            Shape::Boolean => Value::Boolean(dice.roll(2) == 1),
            Shape::Bytes => {
                Value::Bytes((0..dice.roll(9)).map(|_| dice.roll(256) as u8).collect())
            }
            Shape::Double => Value::Double(dice.roll(1000) as f64 / 8.0),
            Shape::Enum(size) => {
                let index = dice.roll(*size);
                Value::Enum(u32::try_from(index).unwrap(), format!("S{index}"))
            }
            Shape::Fixed(size) => {
                Value::Fixed(*size, (0..*size).map(|_| dice.roll(256) as u8).collect())
            }
            Shape::Float => Value::Float(dice.roll(1000) as f32 / 8.0),
            Shape::Int => Value::Int(dice.long() as i32),
            Shape::Long => Value::Long(dice.long()),
            Shape::Map(values) => {
                let count = dice.roll(4);
                let entry = |i| (format!("k{i}{}", self.dice.text()), self.value(values));
                Value::Map((0..count).map(entry).collect())
            }
            Shape::Null => Value::Null,
            Shape::Record(shapes) => self.record(shapes),
            Shape::String => Value::String(dice.text()),
            Shape::Tail => {
                self.levels += 1;
                if self.levels > 20 || self.dice.roll(2) == 0 {
                    return Value::Union(0, Box::new(Value::Null));
                }
                let root = self.root;
                Value::Union(1, Box::new(self.record(root)))
            }
            Shape::Union(branches) => {
                let branch = dice.roll(branches.len());
                let index = u32::try_from(branch).unwrap();
                Value::Union(index, Box::new(self.value(&branches[branch])))
            }
        }
    }

    /// The binary encoding, arrays and maps cut into blocks of both forms.
    fn encode(&mut self, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Array(items) => {
                let items = items.iter().map(|item| self.encoded(item)).collect();
                self.blocks(items, out);
            }
            Value::Boolean(flag) => out.push(u8::from(*flag)),
            Value::Bytes(bytes) => sized(bytes, out),
            Value::Double(double) => out.extend(double.to_le_bytes()),
            Value::Enum(index, _) => zigzag(i64::from(*index), out),
            Value::Fixed(_, bytes) => out.extend(bytes),
            Value::Float(float) => out.extend(float.to_le_bytes()),
            Value::Int(int) => zigzag(i64::from(*int), out),
            Value::Long(long) => zigzag(*long, out),
            Value::Map(entries) => {
                let entry = |(key, value): (&String, &Value)| {
                    let mut out = Vec::new();
                    sized(key.as_bytes(), &mut out);
                    out.extend(self.encoded(value));
                    out
                };
                let entries = entries.iter().map(entry).collect();
                self.blocks(entries, out);
            }
            Value::Null => {}
            Value::Record(fields) => fields.iter().for_each(|(_, value)| self.encode(value, out)),
            Value::String(text) => sized(text.as_bytes(), out),
            Value::Union(branch, value) => {
                zigzag(i64::from(*branch), out);
                self.encode(value, out);
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn encoded(&mut self, value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(value, &mut out);
        out
    }

    fn blocks(&mut self, items: Vec<Vec<u8>>, out: &mut Vec<u8>) {
        let mut rest = &items[..];
        while !rest.is_empty() {
            let (block, tail) = rest.split_at(1 + self.dice.roll(rest.len()));
            let (count, bytes) = (i64::try_from(block.len()).unwrap(), block.concat());
            if self.dice.roll(2) == 0 {
                zigzag(count, out);
                out.extend(bytes);
            } else {
                zigzag(-count, out);
                sized(&bytes, out);
            }
            rest = tail;
        }
        out.push(0);
    }
}

fn sized(bytes: &[u8], out: &mut Vec<u8>) {
    zigzag(i64::try_from(bytes.len()).unwrap(), out);
    out.extend(bytes);
}

pub(super) fn zigzag(value: i64, out: &mut Vec<u8>) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw > 0x7f {
        out.push((raw & 0x7f) as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

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

    fn blocks(
        &mut self,
        item: &mut dyn FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
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
        1 => bytes.extend((0..1 + dice.roll(3)).map(|_| dice.roll(256) as u8)),
        _ if bytes.is_empty() => {}
        2 => {
            let at = dice.roll(bytes.len());
            bytes[at] ^= 1 << dice.roll(8);
        }
        _ => {
            let at = dice.roll(bytes.len());
            bytes[at] = dice.roll(256) as u8;
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn accepts_what_apache_avro_and_the_specification_write(root in shapes(), seed in 1_u64..) {
        let schema = compiled(&root);
        let theirs = apache_avro::Schema::parse_str(&Shape::document(&root)).unwrap();
        let mut writer = Writer { root: &root, dice: Dice(seed), levels: 0 };
        let value = writer.record(&root);
        let encoded = writer.encoded(&value);
        prop_assert!(agree(&schema, &root, &encoded)?);
        prop_assert_eq!(&value, &apache_avro::from_avro_datum(&theirs, &mut &encoded[..], None).unwrap());
        let datum = apache_avro::to_avro_datum(&theirs, value).unwrap();
        prop_assert!(agree(&schema, &root, &datum)?);
    }

    #[test]
    fn judges_damaged_data_as_the_specification_does(root in shapes(), seed in 1_u64..) {
        let schema = compiled(&root);
        let theirs = apache_avro::Schema::parse_str(&Shape::document(&root)).unwrap();
        let mut writer = Writer { root: &root, dice: Dice(seed), levels: 0 };
        let value = writer.record(&root);
        let encoded = writer.encoded(&value);
        for _ in 0..8 {
            let bytes = mutated(&encoded, &mut writer.dice);
            // Blocks of items without bytes make the other readers count to any number.
            if agree(&schema, &root, &bytes)? {
                let read = apache_avro::from_avro_datum(&theirs, &mut &bytes[..], None);
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
