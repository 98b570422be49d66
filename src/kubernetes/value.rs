//! A JSON value that keeps the order of its keys: what manifests and admission reviews are read into and written from.
//!
//! Manifests are edited and handed back, so nothing may move that was not meant; `serde_json`'s own value sorts keys.

use std::{cell::Cell, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::Number;

/// A value of a manifest.
#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A mapping, its keys in the order in which they were written, each once.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A mapping with these keys, in this order.
    pub fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(entries.map(|(key, value)| (key.to_owned(), value)).into())
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items; none where it is no list.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The entries; none where it is no mapping.
    #[must_use]
    pub fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// What stands under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// What stands under these keys, one below the other.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The text under `key`.
    #[must_use]
    pub fn text_at(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Self::as_text)
    }

    /// What stands under `key`, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter_mut().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// What stands under these keys, one below the other, to be changed.
    pub fn at_mut(&mut self, path: &[&str]) -> Option<&mut Self> {
        path.iter().try_fold(self, |value, key| value.get_mut(key))
    }

    /// The items, to be changed; `None` where it is no list.
    pub fn items_mut(&mut self) -> Option<&mut Vec<Self>> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// Puts `value` under `key`, where the key stands already, or at the end. Of anything but a mapping it makes one.
    pub fn set(&mut self, key: &str, value: Self) {
        match self.get_mut(key) {
            Some(old) => *old = value,
            None => self.map_mut().push((key.to_owned(), value)),
        }
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Self> {
        let Self::Map(entries) = self else { return None };
        let at = entries.iter().position(|(own, _)| own == key)?;
        Some(entries.remove(at).1)
    }

    /// What stands under `key`, an empty `or` where there is nothing or null: put before the key `before`, or at the end.
    pub fn or_insert(&mut self, key: &str, or: Self, before: Option<&str>) -> &mut Self {
        let entries = self.map_mut();
        let at = match entries.iter().position(|(own, _)| own == key) {
            Some(at) => at,
            None => {
                let place = entries.iter().position(|(own, _)| Some(own.as_str()) == before);
                let place = place.unwrap_or(entries.len());
                entries.insert(place, (key.to_owned(), Self::Null));
                place
            }
        };
        let value = &mut entries[at].1;
        if matches!(value, Self::Null) {
            *value = or;
        }
        value
    }

    fn map_mut(&mut self) -> &mut Vec<(String, Self)> {
        if !matches!(self, Self::Map(_)) {
            *self = Self::Map(Vec::new());
        }
        match self {
            Self::Map(entries) => entries,
            _ => unreachable!("it was made one"),
        }
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

/// Two mappings are equal that have the same keys with the same values, in any order.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Number(left), Self::Number(right)) => left == right,
            (Self::Text(left), Self::Text(right)) => left == right,
            (Self::List(left), Self::List(right)) => left == right,
            (Self::Map(left), Self::Map(right)) => {
                left.len() == right.len()
                    && left.iter().enumerate().all(|(at, (key, value))| {
                        near(right, key, at).is_some_and(|other| other == value)
                    })
            }
            _ => false,
        }
    }
}

/// What stands under `key`, which is probably at `at` or beside it: mappings that are compared have most keys in the same
/// places, and must not cost the square of their length.
pub(super) fn near<'v>(entries: &'v [(String, Value)], key: &str, at: usize) -> Option<&'v Value> {
    let around = entries.get(at.saturating_sub(1)..).unwrap_or_default().iter().take(3);
    around.chain(entries).find(|(own, _)| own == key).map(|(_, value)| value)
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                entries.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Budget::new(usize::MAX).deserialize(deserializer)
    }
}

/// Reads a [`Value`] of a bounded number of values: a few bytes of JSON make many times as many bytes of tree.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Budget {
    pub(super) const fn new(values: usize) -> Self {
        Self(Cell::new(values))
    }

    fn take<E: serde::de::Error>(&self) -> Result<(), E> {
        let left = self.0.get().checked_sub(1).ok_or_else(|| E::custom("too many values"))?;
        self.0.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &Budget {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.take()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Budget {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number that is none"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            map.push((key, entries.next_value_seed(self)?));
        }
        let mut keys: Vec<&str> = map.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(A::Error::custom("a key stands twice in one mapping"));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, budget: usize) -> Result<Value, serde_json::Error> {
        Budget::new(budget).deserialize(&mut serde_json::Deserializer::from_str(text))
    }

    #[test]
    fn keys_keep_their_order_and_values_their_type() {
        let text = r#"{"z":1,"a":[true,null,"1",1.5,-3],"m":{"y":"","x":{}}}"#;
        assert_eq!(serde_json::to_string(&read(text, 100).unwrap()).unwrap(), text);
    }

    #[test]
    fn as_many_values_are_read_as_may_be() {
        assert!(read("[1,2,3]", 4).is_ok());
        assert!(read("[1,2,3]", 3).is_err());
    }

    #[test]
    fn a_key_that_stands_twice_is_an_error() {
        assert!(read(r#"{"a":1,"b":2,"a":1}"#, 100).is_err());
    }

    #[test]
    fn mappings_are_equal_in_any_order() {
        let [left, right, other] =
            [r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, r#"{"b":2,"c":1}"#].map(|it| read(it, 9));
        assert_eq!(left.as_ref().unwrap(), right.as_ref().unwrap());
        assert_ne!(left.unwrap(), other.unwrap());
    }

    #[test]
    fn large_mappings_are_compared_in_a_moment() {
        let entries: Vec<_> =
            (0..200_000_u32).map(|at| (at.to_string(), Value::from(at))).collect();
        let mut other = Value::Map(entries.clone());
        other.or_insert("new", Value::Null, Some("0"));
        let differences = super::super::difference(&Value::Map(entries), &other);
        assert_eq!(differences.len(), 1);
    }

    #[test]
    fn a_key_is_put_where_it_is_wanted() {
        let mut value = read(r#"{"a":1,"c":3,"n":null}"#, 9).unwrap();
        value.or_insert("b", Value::List(Vec::new()), Some("c"));
        value.or_insert("n", Value::text("x"), None);
        value.or_insert("a", Value::text("x"), None);
        value.set("c", Value::Bool(true));
        value.set("d", Value::Null);
        assert_eq!(
            serde_json::to_string(&value).unwrap(),
            r#"{"a":1,"b":[],"c":true,"n":"x","d":null}"#
        );
    }
}
