//! Equality as JSON Schema has it: numbers by value, objects without order. For `const`, `enum` and `uniqueItems`.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use serde_json::Value;

use super::{
    effort::{charge, charge_bytes},
    text::Number,
    tree::{At, Kind, Tree},
};

/// Whether the value at `at` equals one of the schema's. A number there that is no 64-bit integer is a double.
pub(super) fn equals(tree: &Tree<'_>, at: At, expected: &Value) -> bool {
    charge(1);
    match (tree.kind(at), expected) {
        (Kind::Null, Value::Null) => true,
        (Kind::Boolean, Value::Bool(expected)) => tree.boolean(at) == *expected,
        (Kind::Number, Value::Number(expected)) => equals_number(&tree.number(at), expected),
        (Kind::String, Value::String(expected)) => {
            charge_bytes(expected.len());
            tree.quoted(at).is(expected)
        }
        (Kind::Array, Value::Array(expected)) => {
            tree.count(at) as usize == expected.len()
                && tree.items(at).zip(expected).all(|(item, expected)| equals(tree, item, expected))
        }
        (Kind::Object, Value::Object(expected)) => {
            tree.count(at) as usize == expected.len()
                && expected.iter().all(|(key, expected)| {
                    tree.member(at, key).is_some_and(|value| equals(tree, value, expected))
                })
        }
        _ => false,
    }
}

#[allow(clippy::float_cmp, reason = "both were rounded from text in the same way")]
fn equals_number(number: &Number<'_>, expected: &serde_json::Number) -> bool {
    let integer = expected.as_u64().map(i128::from).or_else(|| expected.as_i64().map(i128::from));
    match integer {
        Some(integer) => number.integer() == Some(integer),
        None => expected.as_f64() == Some(number.double()),
    }
}

/// Whether no two items of the array at `at` are equal.
pub(super) fn is_unique(tree: &Tree<'_>, at: At) -> bool {
    let state = RandomState::new();
    let hashed = tree.items(at).map(|item| (hash(tree, item, &state), item));
    let mut hashed: Vec<(u64, At)> = hashed.collect();
    hashed.sort_unstable();
    // Who does not know the state finds no two items of equal hash that are not equal.
    let equal = |pair: &[(u64, At)]| match pair {
        [(a, first), (b, second)] => a == b && same(tree, *first, *second),
        _ => false,
    };
    !hashed.windows(2).any(equal)
}

fn hash(tree: &Tree<'_>, at: At, state: &RandomState) -> u64 {
    charge(2);
    let mut hasher = state.build_hasher();
    let kind = tree.kind(at);
    (kind as u8).hash(&mut hasher);
    match kind {
        Kind::Null => {}
        Kind::Boolean => tree.boolean(at).hash(&mut hasher),
        Kind::Number => {
            let decimal = tree.number(at).decimal();
            let (negative, exponent, digits) = decimal.parts();
            (negative, exponent).hash(&mut hasher);
            digits.for_each(|digit| hasher.write_u8(digit));
        }
        Kind::String => {
            let string = tree.quoted(at);
            charge_bytes(string.len());
            string.resolved().hash(&mut hasher);
        }
        Kind::Array => tree.items(at).for_each(|item| hash(tree, item, state).hash(&mut hasher)),
        Kind::Object => {
            let members = tree.members(at).map(|(key, value)| {
                charge_bytes(tree.quoted(key).len());
                state.hash_one((tree.quoted(key).resolved(), hash(tree, value, state)))
            });
            // In whatever order.
            members.fold(0_u64, u64::wrapping_add).hash(&mut hasher);
        }
    }
    hasher.finish()
}

fn same(tree: &Tree<'_>, a: At, b: At) -> bool {
    charge(1);
    let kind = tree.kind(a);
    if kind != tree.kind(b) {
        return false;
    }
    match kind {
        Kind::Null => true,
        Kind::Boolean => tree.boolean(a) == tree.boolean(b),
        Kind::Number => tree.number(a).decimal().same(&tree.number(b).decimal()),
        Kind::String => {
            charge_bytes(tree.quoted(a).len());
            tree.quoted(a).same(&tree.quoted(b))
        }
        Kind::Array => {
            tree.count(a) == tree.count(b)
                && tree.items(a).zip(tree.items(b)).all(|(a, b)| same(tree, a, b))
        }
        Kind::Object => {
            tree.count(a) == tree.count(b)
                && tree.members(a).all(|(key, value)| {
                    let key = tree.quoted(key).resolved();
                    tree.member(b, &key).is_some_and(|other| same(tree, value, other))
                })
        }
    }
}
