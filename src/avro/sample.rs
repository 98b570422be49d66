//! Random schemas, and random data of theirs in the binary encoding.

#![allow(clippy::cast_possible_truncation, clippy::as_conversions, reason = "dice")]

use apache_avro::types::Value;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// A schema, as simple as can be.
#[derive(Debug, Clone)]
pub(super) enum Shape {
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
    pub(super) fn document(root: &[Self]) -> String {
        let mut count = 0;
        let fields = Self::fields(root, &mut count);
        json!({"type": "record", "name": "n.Root", "fields": fields}).to_string()
    }

    fn fields(shapes: &[Self], count: &mut usize) -> Json {
        let field = |(i, shape): (usize, &Self)| json!({"name": format!("f{i}"), "type": shape.schema(count)});
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
    pub(super) fn width(&self) -> Option<usize> {
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

pub(super) fn shapes() -> impl Strategy<Value = Vec<Shape>> {
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
    let optional = (leaf.clone(), any::<bool>()).prop_map(|(other, first)| match other {
        Shape::Null | Shape::Tail => other,
        other if first => Shape::Union(vec![Shape::Null, other]),
        other => Shape::Union(vec![other, Shape::Null]),
    });
    let leaf = prop_oneof![3 => leaf, 1 => optional];
    let shape = leaf.prop_recursive(4, 24, 4, |inner| {
        // Unions hold each unnamed type at most once; a record around each branch keeps them apart.
        let record = prop::collection::vec(inner.clone(), 0..4).prop_map(Shape::Record);
        prop_oneof![
            inner.clone().prop_map(|items| Shape::Array(Box::new(items))),
            inner.prop_map(|values| Shape::Map(Box::new(values))),
            record.clone(),
            (prop::collection::vec(record, 0..3), any::<[bool; 3]>()).prop_map(
                |(mut all, with)| {
                    let plain = [Shape::Null, Shape::String, Shape::Array(Box::new(Shape::Int))];
                    let chosen = plain.into_iter().zip(with).filter(|(_, with)| *with);
                    all.extend(chosen.map(|(shape, _)| shape));
                    if all.is_empty() { Shape::Null } else { Shape::Union(all) }
                }
            ),
        ]
    });
    prop::collection::vec(shape, 0..6)
}

/// Reproducible choices.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
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
        (0..self.roll(20))
            .map(|_| ['a', '"', '\\', 'é', '\n', '✓', '😀', 'z'][self.roll(8)])
            .collect()
    }
}

pub(super) struct Writer<'s> {
    pub(super) root: &'s [Shape],
    pub(super) dice: Dice,
    pub(super) levels: usize,
    /// Whether some numbers and texts of the encoding are to be wrong.
    pub(super) flawed: bool,
}

impl Writer<'_> {
    pub(super) fn record(&mut self, shapes: &[Shape]) -> Value {
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
            Shape::Bytes => Value::Bytes((0..dice.roll(9)).map(|_| dice.roll(256) as u8).collect()),
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
            Value::Boolean(flag) => out.push(u8::from(*flag) + 2 * u8::from(self.flaw())),
            Value::Bytes(bytes) => self.sized(bytes, out),
            Value::Double(double) => out.extend(double.to_le_bytes()),
            Value::Enum(index, _) => self.number(i64::from(*index), out),
            Value::Fixed(_, bytes) => out.extend(bytes),
            Value::Float(float) => out.extend(float.to_le_bytes()),
            Value::Int(int) => self.number(i64::from(*int), out),
            Value::Long(long) => self.number(*long, out),
            Value::Map(entries) => {
                let entry = |(key, value): (&String, &Value)| {
                    let mut out = Vec::new();
                    self.sized(key.as_bytes(), &mut out);
                    out.extend(self.encoded(value));
                    out
                };
                let entries = entries.iter().map(entry).collect();
                self.blocks(entries, out);
            }
            Value::Null => {}
            Value::Record(fields) => fields.iter().for_each(|(_, value)| self.encode(value, out)),
            Value::String(text) => self.sized(text.as_bytes(), out),
            Value::Union(branch, value) => {
                self.number(i64::from(*branch), out);
                self.encode(value, out);
            }
            other => unreachable!("{other:?}"),
        }
    }

    pub(super) fn encoded(&mut self, value: &Value) -> Vec<u8> {
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
                self.number(count, out);
                out.extend(bytes);
            } else {
                self.number(-count, out);
                self.sized(&bytes, out);
            }
            rest = tail;
        }
        out.push(0);
    }

    fn sized(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.number(i64::try_from(bytes.len()).unwrap(), out);
        let start = out.len();
        out.extend(bytes);
        if self.flaw() && !bytes.is_empty() {
            out[start + self.dice.roll(bytes.len())] ^= 0x80;
        }
    }

    fn flaw(&mut self) -> bool {
        self.flawed && self.dice.roll(12) == 0
    }

    fn number(&mut self, value: i64, out: &mut Vec<u8>) {
        if !self.flaw() {
            return zigzag(value, out);
        }
        match self.dice.roll(6) {
            0 => zigzag(value.wrapping_add(1), out),
            1 => zigzag(value.wrapping_sub(1), out),
            2 => zigzag(value.wrapping_neg(), out),
            3 => zigzag(i64::MIN, out),
            4 => zigzag(value.wrapping_add(1 << (15 + self.dice.roll(40))), out),
            _ => {
                zigzag(value, out);
                let last = out.len() - 1;
                out[last] |= 0x80;
                out.extend(vec![0x80; self.dice.roll(10)]);
                out.push(0);
            }
        }
    }
}

pub(super) fn zigzag(value: i64, out: &mut Vec<u8>) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw > 0x7f {
        out.push((raw & 0x7f) as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}
