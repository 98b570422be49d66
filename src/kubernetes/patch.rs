//! What has changed between two values, as a JSON Patch (RFC 6902).

use serde::Serialize;

use super::value::{Value, near};

/// One step of a patch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    /// Puts a value where there was none; in a list, those behind it move on.
    Add {
        /// Where, as a JSON Pointer (RFC 6901).
        path: String,
        /// What.
        value: Value,
    },
    /// Takes a value out.
    Remove {
        /// Where.
        path: String,
    },
    /// Puts a value in the place of another.
    Replace {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
}

/// The steps that make `new` of `old`, to be taken in their order.
#[must_use]
pub fn difference(old: &Value, new: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    compare(&Pointer::default(), old, new, &mut operations);
    operations
}

fn compare(at: &Pointer, old: &Value, new: &Value, out: &mut Vec<Operation>) {
    match (old, new) {
        (Value::Map(old), Value::Map(new)) => maps(at, old, new, out),
        (Value::List(old), Value::List(new)) => lists(at, old, new, out),
        _ if old == new => {}
        _ => out.push(Operation::Replace { path: at.0.clone(), value: new.clone() }),
    }
}

fn maps(at: &Pointer, old: &[(String, Value)], new: &[(String, Value)], out: &mut Vec<Operation>) {
    for (place, (key, _)) in old.iter().enumerate() {
        if near(new, key, place).is_none() {
            out.push(Operation::Remove { path: at.key(key).0 });
        }
    }
    // How many keys of `new` so far are not in `old`: the others stand that much further on.
    let mut inserted = 0;
    for (place, (key, value)) in new.iter().enumerate() {
        match near(old, key, place.saturating_sub(inserted)) {
            Some(before) => compare(&at.key(key), before, value, out),
            None => {
                inserted += 1;
                out.push(Operation::Add { path: at.key(key).0, value: value.clone() });
            }
        }
    }
}

/// What both begin and end with stays; what is between is compared one by one, the rest added or removed.
fn lists(at: &Pointer, old: &[Value], new: &[Value], out: &mut Vec<Operation>) {
    let equal = |(left, right): &(&Value, &Value)| left == right;
    let head = old.iter().zip(new).take_while(equal).count();
    let (old, new) = (tail(old, head), tail(new, head));
    let foot = old.iter().rev().zip(new.iter().rev()).take_while(equal).count();
    let old = old.get(..old.len().saturating_sub(foot)).unwrap_or_default();
    let mut new = new.get(..new.len().saturating_sub(foot)).unwrap_or_default();
    let mut place = head;
    let more = new.len().saturating_sub(old.len());
    if more > 0 && old.first().is_some_and(|first| is_named_as(first, new.get(more))) {
        // What is new stands before what was there.
        for value in new.iter().take(more) {
            out.push(Operation::Add { path: at.item(place).0, value: value.clone() });
            place += 1;
        }
        new = tail(new, more);
    }
    for (before, after) in old.iter().zip(new) {
        compare(&at.item(place), before, after, out);
        place += 1;
    }
    for last in (new.len()..old.len()).rev() {
        out.push(Operation::Remove { path: at.item(head + last).0 });
    }
    for value in tail(new, old.len()) {
        out.push(Operation::Add { path: at.item(place).0, value: value.clone() });
        place += 1;
    }
}

fn tail(values: &[Value], from: usize) -> &[Value] {
    values.get(from..).unwrap_or_default()
}

fn is_named_as(value: &Value, other: Option<&Value>) -> bool {
    let name = value.text_at("name");
    name.is_some() && name == other.and_then(|other| other.text_at("name"))
}

/// A JSON Pointer.
#[derive(Debug, Default)]
struct Pointer(String);

impl Pointer {
    fn key(&self, key: &str) -> Self {
        Self(format!("{}/{}", self.0, key.replace('~', "~0").replace('/', "~1")))
    }

    fn item(&self, at: usize) -> Self {
        Self(format!("{}/{at}", self.0))
    }
}

#[cfg(test)]
#[path = "../../tests/support/json_patch.rs"]
mod json_patch;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Has somebody else apply the patch.
    fn applied(old: &Value, operations: &[Operation]) -> serde_json::Value {
        let patch = serde_json::to_value(operations).unwrap();
        json_patch::apply(&serde_json::to_value(old).unwrap(), &patch)
    }

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_patch_says_what_has_changed_and_no_more() {
        let table = [
            (r#"{"a":1}"#, r#"{"a":1}"#, r#"[]"#),
            (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, r#"[]"#),
            (r#"{"a":1}"#, r#"{"a":2}"#, r#"[{"op":"replace","path":"/a","value":2}]"#),
            (r#"{"a":1}"#, r#"{"a/~b":1,"a":1}"#, r#"[{"op":"add","path":"/a~1~0b","value":1}]"#),
            (r#"{"a":1}"#, r#"{}"#, r#"[{"op":"remove","path":"/a"}]"#),
            (r#"[1,2,3]"#, r#"[1,3]"#, r#"[{"op":"remove","path":"/1"}]"#),
            (r#"[1,3]"#, r#"[1,2,3]"#, r#"[{"op":"add","path":"/1","value":2}]"#),
            (
                r#"[{"name":"a","v":1}]"#,
                r#"[{"name":"s"},{"name":"a","v":2}]"#,
                r#"[{"op":"add","path":"/0","value":{"name":"s"}},{"op":"replace","path":"/1/v","value":2}]"#,
            ),
        ];
        for (old, new, expected) in table {
            let operations = difference(&value(old), &value(new));
            assert_eq!(serde_json::to_string(&operations).unwrap(), expected, "{old} → {new}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (0_u32..4).prop_map(Value::from),
            "[a-c~/]{0,2}".prop_map(Value::Text),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            let entries = prop::collection::btree_map("[a-d~/]{0,2}|name", inner.clone(), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(Value::List),
                entries.prop_map(|entries| Value::Map(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn who_applies_a_patch_gets_the_new_value(old in any_value(), new in any_value()) {
            let [old, new] = [old, new].map(|value| Value::map([("v", value)]));
            let operations = difference(&old, &new);
            prop_assert_eq!(applied(&old, &operations), serde_json::to_value(&new).unwrap());
            prop_assert_eq!(operations.is_empty(), old == new);
        }
    }
}
