//! What the validator sees of a value: the tree over its text, as it is. Every look is charged (`effort.rs`).

use std::{borrow::Cow, sync::OnceLock};

use jsonschema::{
    JsonType,
    json::{Array, Json, JsonNumber, Node, NodeIdentity, Object},
};
use serde_json::Value;

use super::{
    effort::{charge, charge_bytes},
    equality,
    text::{Number, Quoted},
    tree::{At, Items, Kind, Members, Tree},
};

/// Values in our own tree.
pub(super) struct Texts;

/// A value of a tree, or a key that is looked at as if it were one.
#[derive(Debug, Clone, Copy)]
pub(super) enum View<'a> {
    Key(&'a str),
    Value(&'a Tree<'a>, At),
}

/// An array or object of a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Container<'a> {
    pub(super) tree: &'a Tree<'a>,
    pub(super) at: At,
}

/// What each of the validator's notes on a value costs: it keeps a result for each that it comes to by a recursive
/// reference.
const IDENTITY_EFFORT: u64 = 8;
/// What an error costs, which is several allocations.
const ERROR_EFFORT: u64 = 2_048;

impl Json for Texts {
    type Node<'a> = View<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = ();

    /// A key is found by going through the first few, or by a binary search.
    const KEYS_PER_LOOKUP: usize = 2;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(View<'_>) -> T) -> T {
        f(View::Key(string))
    }
}

impl<'a> View<'a> {
    #[inline]
    fn kind(&self) -> Kind {
        charge(1);
        match self {
            Self::Key(_) => Kind::String,
            Self::Value(tree, at) => tree.kind(*at),
        }
    }

    fn of_kind(&self, kind: Kind) -> Option<Container<'a>> {
        match self {
            Self::Value(tree, at) if self.kind() == kind => Some(Container { tree, at: *at }),
            _ => None,
        }
    }

    fn quoted(&self) -> Option<Quoted<'a>> {
        let quoted = match self {
            Self::Key(key) => Quoted::new(key, false),
            Self::Value(tree, at) if tree.kind(*at) == Kind::String => tree.quoted(*at),
            Self::Value(..) => {
                charge(1);
                return None;
            }
        };
        charge_bytes(quoted.len());
        Some(quoted)
    }

    /// Its bytes, where it is a string: what going through it costs.
    pub(super) fn string_bytes(&self) -> usize {
        match self {
            Self::Key(key) => key.len(),
            Self::Value(tree, at) if tree.kind(*at) == Kind::String => tree.quoted(*at).len(),
            Self::Value(..) => 0,
        }
    }
}

impl<'a> Node<'a, Texts> for View<'a> {
    type Object = Container<'a>;
    type Array = Container<'a>;
    type Number = Seen<'a>;

    #[inline]
    fn as_object(&self) -> Option<Container<'a>> {
        self.of_kind(Kind::Object)
    }

    #[inline]
    fn as_array(&self) -> Option<Container<'a>> {
        self.of_kind(Kind::Array)
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        self.quoted().map(|quoted| quoted.resolved())
    }

    #[inline]
    fn as_number(&self) -> Option<Seen<'a>> {
        match self {
            Self::Value(tree, at) if self.kind() == Kind::Number => Some(Seen(tree.number(*at))),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Value(tree, at) if self.kind() == Kind::Boolean => Some(tree.boolean(*at)),
            _ => None,
        }
    }

    #[inline]
    fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    #[inline]
    fn is_number(&self) -> bool {
        self.kind() == Kind::Number
    }

    #[inline]
    fn json_type(&self) -> JsonType {
        match self.kind() {
            Kind::Array => JsonType::Array,
            Kind::Boolean => JsonType::Boolean,
            Kind::Null => JsonType::Null,
            Kind::Number => JsonType::Number,
            Kind::Object => JsonType::Object,
            Kind::String => JsonType::String,
        }
    }

    fn string_length(&self) -> Option<u64> {
        let quoted = self.quoted()?;
        let characters = match quoted.plain() {
            Some(plain) => plain.chars().count(),
            None => quoted.chars().count(),
        };
        u64::try_from(characters).ok()
    }

    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        let quoted = self.quoted()?;
        let bytes = u64::try_from(quoted.len()).unwrap_or(u64::MAX);
        // A character is one to four bytes, and up to six for each of two where it is escaped.
        let fewest = if quoted.plain().is_some() { bytes.div_ceil(4) } else { bytes / 12 };
        if bytes < min || fewest > max {
            return Some(false);
        }
        if min <= fewest && bytes <= max {
            return Some(true);
        }
        self.string_length().map(|length| (min..=max).contains(&length))
    }

    fn equals_value(&self, expected: &Value) -> bool {
        charge(1);
        match self {
            Self::Key(key) => expected.as_str() == Some(key),
            Self::Value(tree, at) => equality::equals(tree, *at, expected),
        }
    }

    /// The validator keeps a copy of what it complains about; nobody reads it.
    fn to_value(&self) -> Cow<'a, Value> {
        charge(ERROR_EFFORT);
        Cow::Owned(Value::Null)
    }

    #[inline]
    fn identity(&self) -> Option<NodeIdentity> {
        charge(IDENTITY_EFFORT);
        Some(match self {
            // Only one key is looked at at a time.
            Self::Key(_) => NodeIdentity::tagged(0, u32::MAX),
            Self::Value(_, at) => NodeIdentity::tagged(0, *at),
        })
    }
}

impl<'a> Object<'a, Texts> for Container<'a> {
    type Node = View<'a>;
    type MemberName = Cow<'a, str>;
    type MembersIter = MemberViews<'a>;

    #[inline]
    fn len(&self) -> usize {
        self.tree.count(self.at) as usize
    }

    #[inline]
    fn get(&self, key: &Box<str>) -> Option<View<'a>> {
        charge(1);
        self.tree.member(self.at, key).map(|at| View::Value(self.tree, at))
    }

    fn members(&self) -> MemberViews<'a> {
        MemberViews { tree: self.tree, members: self.tree.members(self.at) }
    }
}

/// The members of an object.
pub(super) struct MemberViews<'a> {
    tree: &'a Tree<'a>,
    members: Members<'a>,
}

impl<'a> Iterator for MemberViews<'a> {
    type Item = (Cow<'a, str>, View<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.members.next()?;
        let key = self.tree.quoted(key);
        charge_bytes(key.len());
        Some((key.resolved(), View::Value(self.tree, value)))
    }
}

impl<'a> Array<'a, Texts> for Container<'a> {
    type Node = View<'a>;
    type ElementsIter = ItemViews<'a>;

    #[inline]
    fn len(&self) -> usize {
        self.tree.count(self.at) as usize
    }

    fn elements(&self) -> ItemViews<'a> {
        ItemViews { tree: self.tree, items: self.tree.items(self.at) }
    }

    fn is_unique(&self) -> bool {
        equality::is_unique(self.tree, self.at)
    }
}

/// The items of an array.
pub(super) struct ItemViews<'a> {
    tree: &'a Tree<'a>,
    items: Items<'a>,
}

impl<'a> Iterator for ItemViews<'a> {
    type Item = View<'a>;

    #[inline]
    fn next(&mut self) -> Option<View<'a>> {
        charge(1);
        self.items.next().map(|at| View::Value(self.tree, at))
    }
}

/// A number as the validator sees it. Whole ones of 64 bits are exact, however they are written; others are doubles,
/// but for whether they are whole.
pub(super) struct Seen<'a>(pub(super) Number<'a>);

impl JsonNumber for Seen<'_> {
    #[inline]
    fn as_u64(&self) -> Option<u64> {
        self.0.integer().and_then(|integer| integer.try_into().ok())
    }

    #[inline]
    fn as_i64(&self) -> Option<i64> {
        self.0.integer().and_then(|integer| integer.try_into().ok())
    }

    fn as_f64(&self) -> Option<f64> {
        Some(self.0.double())
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0.lexeme())
    }

    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        Cow::Owned(number(&self.0))
    }

    #[inline]
    fn is_integer(&self) -> bool {
        self.0.is_written_as_integer() || self.0.decimal().is_whole()
    }

    fn is_written_as_integer(&self) -> bool {
        self.0.is_written_as_integer()
    }
}

/// A number as serde_json has it.
pub(super) fn number(number: &Number<'_>) -> serde_json::Number {
    static ZERO: OnceLock<serde_json::Number> = OnceLock::new();
    let written = number.is_written_as_integer();
    let integer = number.integer().filter(|_| written);
    if let Some(integer) = integer.and_then(|integer| u64::try_from(integer).ok()) {
        return integer.into();
    }
    if let Some(integer) = integer.and_then(|integer| i64::try_from(integer).ok()) {
        return integer.into();
    }
    let double = serde_json::Number::from_f64(number.double());
    // Every number that was read is finite.
    double.unwrap_or_else(|| ZERO.get_or_init(|| 0.into()).clone())
}
