//! Avro names: which are allowed, how a full name comes about, and finding one among many.

use std::borrow::Cow;
use std::cmp::Ordering;

/// The full name of a type that is called `name`, with its own `namespace` if it has one, inside `enclosing`.
/// `None` if it is no name.
pub(super) fn full_name(name: &str, namespace: Option<&str>, enclosing: &str) -> Option<String> {
    if let Some((space, simple)) = name.rsplit_once('.') {
        return join(space, simple);
    }
    join(namespace.unwrap_or(enclosing), name)
}

/// The namespace of a full name, which its fields' types inherit.
pub(super) fn namespace_of(full_name: &str) -> &str {
    full_name.rsplit_once('.').map_or("", |(space, _)| space)
}

fn join(space: &str, simple: &str) -> Option<String> {
    if !is_name(simple) || !is_namespace(space) {
        return None;
    }
    Some(if space.is_empty() { simple.to_owned() } else { format!("{space}.{simple}") })
}

/// Whether fields, symbols and types may be called so. The specification says ASCII; Java takes any letter, so such
/// schemas exist.
pub(super) fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first == '_' || first.is_alphabetic())
        && characters.all(|each| each == '_' || each.is_alphanumeric())
}

/// Whether types may live in this namespace. No library checks it: `my-company.events` is in use.
fn is_namespace(text: &str) -> bool {
    text.is_empty()
        || text.split('.').all(|part| {
            !part.is_empty()
                && part.chars().all(|each| each == '_' || each == '-' || each.is_alphanumeric())
        })
}

/// A name, full or not, in the letters that the specification has: what else a part of it consists of, Java's letters or
/// a hyphen, stands as the hexadecimal digits of its bytes.
pub(super) fn spelt(name: &str) -> String {
    let parts: Vec<_> = name.split('.').map(spelt_part).collect();
    parts.join(".")
}

fn spelt_part(part: &str) -> Cow<'_, str> {
    let plain = is_name(part) && part.is_ascii() && !part.starts_with(SPELT);
    if plain {
        return part.into();
    }
    part.bytes()
        .fold(SPELT.to_owned(), |mut spelt, byte| {
            spelt.push_str(&format!("{byte:02x}"));
            spelt
        })
        .into()
}

/// The name of which `spelt` is the spelling.
pub(super) fn unspelt(spelt: &str) -> Option<String> {
    let parts: Option<Vec<_>> = spelt.split('.').map(unspelt_part).collect();
    Some(parts?.join("."))
}

fn unspelt_part(part: &str) -> Option<Cow<'_, str>> {
    let Some(digits) = part.strip_prefix(SPELT) else { return Some(part.into()) };
    let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<_>> = (0..digits.len()).step_by(2).map(byte).collect();
    String::from_utf8(bytes?).ok().map(Cow::from)
}

/// How a part starts that is spelt in digits.
const SPELT: &str = "__x";

/// Distinct names in the order of the schema, found in logarithmic time whatever a datum asks for.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    names: Vec<Box<str>>,
    sorted: Vec<u32>,
}

impl NameTable {
    pub(super) const EMPTY: Self = Self { names: Vec::new(), sorted: Vec::new() };

    /// Makes the table. `None` if a name stands twice.
    pub(super) fn new(names: Vec<Box<str>>) -> Option<Self> {
        let mut sorted: Vec<u32> = (0_u32..).take(names.len()).collect();
        let name = |index: &u32| names.get(position(*index)).map(AsRef::as_ref);
        sorted.sort_by(|a, b| name(a).cmp(&name(b)));
        let distinct = sorted.is_sorted_by(|a, b| name(a) < name(b));
        distinct.then_some(Self { names, sorted })
    }

    /// The name at `index`.
    pub(super) fn get(&self, index: usize) -> Option<&str> {
        self.names.get(index).map(AsRef::as_ref)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The index of the name that `compare` calls equal. `compare` says how a name stands to the wanted one.
    pub(super) fn find(&self, mut compare: impl FnMut(&str) -> Ordering) -> Option<usize> {
        let at = self.sorted.binary_search_by(|index| {
            self.names.get(position(*index)).map_or(Ordering::Greater, |name| compare(name))
        });
        at.ok().and_then(|at| self.sorted.get(at)).map(|index| position(*index))
    }
}

fn position(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_follow_the_specification() {
        let table = [
            ("X", None, "", Some("X")),
            ("X", None, "a.b", Some("a.b.X")),
            ("X", Some("c"), "a.b", Some("c.X")),
            ("X", Some(""), "a.b", Some("X")),
            ("d.X", Some("c"), "a.b", Some("d.X")),
            ("d.e.X", None, "", Some("d.e.X")),
            ("my-co.X", None, "", Some("my-co.X")),
            (".X", None, "a", Some("X")),
            ("", None, "a", None),
            ("a.", None, "", None),
            ("a..X", None, "", None),
            ("1X", None, "", None),
            ("X-Y", None, "", None),
            ("X", Some("a b"), "", None),
            ("X\n", None, "", None),
        ];
        for (name, namespace, enclosing, expected) in table {
            assert_eq!(full_name(name, namespace, enclosing).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn names_are_found_by_comparison() {
        let names = ["b", "a", "é", "B"].map(Box::from).to_vec();
        let table = NameTable::new(names).unwrap();
        for (index, name) in ["b", "a", "é", "B"].into_iter().enumerate() {
            assert_eq!(table.find(|each| each.cmp(name)), Some(index));
            assert_eq!(table.get(index), Some(name));
        }
        assert_eq!(table.find(|each| each.cmp("c")), None);
    }

    #[test]
    fn a_name_that_stands_twice_makes_no_table() {
        assert!(NameTable::new(["b", "a", "b"].map(Box::from).to_vec()).is_none());
    }

    #[test]
    fn any_name_can_be_spelt_in_ascii() {
        let names = ["a.b.C", "_", "Größe", "my-company.1.R", "__x", "__xc3a9", "é.é", ".R", ""];
        for name in names {
            let plain = spelt(name);
            let parts = plain.split('.');
            let mut bytes = parts.flat_map(str::bytes);
            assert!(bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()), "{plain}");
            assert_eq!(unspelt(&plain).as_deref(), Some(name), "{plain}");
        }
        assert_eq!(spelt("a.b.C_1"), "a.b.C_1");
        assert_eq!(spelt("été"), "__xc3a974c3a9");
        for other in ["__xc", "__xff", "__xgg", "__x€0"] {
            assert_eq!(unspelt(other), None, "{other}");
        }
    }
}
