//! The check of the JSON encoding against a slow, obvious one on a JSON tree.

use super::sample::{Dice, Shape, Writer, shapes};
use super::{AvroSchema, DatumFault};
use crate::limits::SchemaLimits;
use apache_avro::types::Value;
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

/// Numbers types as `Shape::document` does, because tags of unions are their names.
struct Names<'s> {
    root: &'s [Shape],
}

impl Names<'_> {
    /// The number that the type after `shape` has, if `shape` has `number`.
    fn after(shape: &Shape, number: usize) -> usize {
        let parts: &[Shape] = match shape {
            Shape::Array(inner) | Shape::Map(inner) => std::slice::from_ref(inner),
            Shape::Record(parts) | Shape::Union(parts) => parts,
            _ => &[],
        };
        parts.iter().fold(number + 1, |number, part| Self::after(part, number))
    }

    fn tag(shape: &Shape, number: usize) -> String {
        let kind = match shape {
            Shape::Array(_) => "array",
            Shape::Boolean => "boolean",
            Shape::Bytes => "bytes",
            Shape::Double => "double",
            Shape::Float => "float",
            Shape::Int => "int",
            Shape::Long => "long",
            Shape::Null => "null",
            Shape::String => "string",
            Shape::Enum(_) | Shape::Fixed(_) | Shape::Record(_) => return format!("n.T{number}"),
            other => unreachable!("{other:?} is no branch"),
        };
        kind.to_owned()
    }

    fn write_record(&self, shapes: &[Shape], first: usize, fields: &[(String, Value)]) -> Json {
        let mut number = first;
        let mut object = Map::new();
        for (shape, (name, value)) in shapes.iter().zip(fields) {
            object.insert(name.clone(), self.write(shape, number, value));
            number = Self::after(shape, number);
        }
        Json::Object(object)
    }

    fn write(&self, shape: &Shape, number: usize, value: &Value) -> Json {
        let octets = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
        match (shape, value) {
            (Shape::Array(items), Value::Array(values)) => {
                values.iter().map(|value| self.write(items, number + 1, value)).collect()
            }
            (Shape::Map(values), Value::Map(entries)) => {
                let entry = |(key, value): (&String, &Value)| {
                    (key.clone(), self.write(values, number + 1, value))
                };
                Json::Object(entries.iter().map(entry).collect())
            }
            (Shape::Record(shapes), Value::Record(fields)) => {
                self.write_record(shapes, number + 1, fields)
            }
            (_, Value::Union(_, value)) if **value == Value::Null => Json::Null,
            (Shape::Tail, Value::Union(_, value)) => match &**value {
                Value::Record(fields) => json!({"n.Root": self.write_record(self.root, 1, fields)}),
                other => unreachable!("{other:?}"),
            },
            (Shape::Union(branches), Value::Union(index, value)) => {
                let index = usize::try_from(*index).unwrap();
                let number = branches[..index].iter().fold(number + 1, |n, s| Self::after(s, n));
                let branch = &branches[index];
                json!({Self::tag(branch, number): self.write(branch, number, value)})
            }
            (_, Value::Boolean(flag)) => json!(flag),
            (_, Value::Bytes(bytes) | Value::Fixed(_, bytes)) => json!(octets(bytes)),
            (_, Value::Double(double)) => json!(double),
            (_, Value::Enum(_, symbol)) => json!(symbol),
            (_, Value::Float(float)) => json!(float),
            (_, Value::Int(int)) => json!(int),
            (_, Value::Long(long)) => json!(long),
            (_, Value::Null) => Json::Null,
            (_, Value::String(text)) => json!(text),
            other => unreachable!("{other:?}"),
        }
    }

    fn fits_record(&self, shapes: &[Shape], first: usize, value: &Json) -> bool {
        let Json::Object(object) = value else { return false };
        let mut number = first;
        object.len() == shapes.len()
            && shapes.iter().enumerate().all(|(index, shape)| {
                let own = number;
                number = Self::after(shape, number);
                object.get(&format!("f{index}")).is_some_and(|value| self.fits(shape, own, value))
            })
    }

    fn fits(&self, shape: &Shape, number: usize, value: &Json) -> bool {
        let whole = value
            .as_i64()
            .or_else(|| value.as_f64().filter(|v| *v == 0.0 && v.is_sign_negative()).map(|_| 0));
        let octets = value.as_str().filter(|text| text.chars().all(|c| u32::from(c) < 256));
        match shape {
            Shape::Array(items) => value
                .as_array()
                .is_some_and(|all| all.iter().all(|each| self.fits(items, number + 1, each))),
            Shape::Boolean => value.is_boolean(),
            Shape::Bytes => octets.is_some(),
            Shape::Double | Shape::Float => value.is_number(),
            Shape::Enum(size) => (0..*size).any(|index| *value == format!("S{index}")),
            Shape::Fixed(size) => octets.is_some_and(|text| text.chars().count() == *size),
            Shape::Int => whole.is_some_and(|value| i32::try_from(value).is_ok()),
            Shape::Long => whole.is_some(),
            Shape::Map(values) => value
                .as_object()
                .is_some_and(|all| all.values().all(|each| self.fits(values, number + 1, each))),
            Shape::Null => value.is_null(),
            Shape::Record(shapes) => self.fits_record(shapes, number + 1, value),
            Shape::String => value.is_string(),
            Shape::Tail => {
                let tagged = value.as_object().filter(|object| object.len() == 1);
                let inner = tagged.and_then(|object| object.get("n.Root"));
                value.is_null() || inner.is_some_and(|value| self.fits_record(self.root, 1, value))
            }
            Shape::Union(branches) => {
                let mut next = number + 1;
                branches.iter().any(|branch| {
                    let own = next;
                    next = Self::after(branch, next);
                    let tagged = value.as_object().filter(|object| object.len() == 1);
                    let inner = tagged.and_then(|object| object.get(&Self::tag(branch, own)));
                    match branch {
                        Shape::Null => value.is_null(),
                        _ => inner.is_some_and(|value| self.fits(branch, own, value)),
                    }
                })
            }
        }
    }
}

/// Our verdict equals the oracle's, where JSON trees can tell: they forget keys that stand twice and how zero was
/// written, and cannot hold huge numbers.
fn agree(schema: &AvroSchema, root: &[Shape], text: &[u8]) -> Result<bool, TestCaseError> {
    let ours = schema.check_json(text);
    let theirs = serde_json::from_slice::<Json>(text);
    let oracle = Names { root };
    match (&ours, &theirs) {
        (Ok(()), Ok(value)) => prop_assert!(oracle.fits_record(root, 1, value), "{value}"),
        (Ok(()), Err(error)) => prop_assert!(error.to_string().contains("number out of range")),
        (Err(error), Ok(value)) => {
            prop_assert_eq!(error.fault, DatumFault::Invalid);
            let minus_zero = value.to_string().contains("-0.0");
            let known = minus_zero || error.detail.contains("twice");
            prop_assert!(known || !oracle.fits_record(root, 1, value), "{error} in {value}");
        }
        (Err(error), Err(_)) => prop_assert!(error.offset <= text.len()),
    }
    Ok(ours.is_ok())
}

fn damaged(text: &[u8], dice: &mut Dice) -> Vec<u8> {
    const CHARACTERS: &[u8] = b"{}[],:\"\\0123456789-+.eEnulltrfasud \n\x00\xc3\xa9\xffNfS_";
    let mut text = text.to_vec();
    let at = dice.roll(text.len());
    match dice.roll(4) {
        0 => text.truncate(at),
        1 => text.insert(at, CHARACTERS[dice.roll(CHARACTERS.len())]),
        2 => {
            text.remove(at);
        }
        _ => text[at] = CHARACTERS[dice.roll(CHARACTERS.len())],
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn judges_json_as_the_specification_does(root in shapes(), seed in 1_u64..) {
        let document = Shape::document(&root);
        let schema = AvroSchema::parse(&document, &[], &SchemaLimits::default()).unwrap();
        let mut writer = Writer { root: &root, dice: Dice(seed), levels: 0, flawed: false };
        let Value::Record(fields) = writer.record(&root) else { unreachable!() };
        let value = Names { root: &root }.write_record(&root, 1, &fields);
        let text = value.to_string().into_bytes();
        prop_assert!(agree(&schema, &root, &text)?, "{:?}", schema.check_json(&text));
        prop_assert!(agree(&schema, &root, &serde_json::to_vec_pretty(&value).unwrap())?);
        for _ in 0..16 {
            agree(&schema, &root, &damaged(&text, &mut writer.dice))?;
        }
    }
}
