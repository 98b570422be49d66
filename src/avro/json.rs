//! The check of Avro's JSON encoding, while the JSON is being read.
//!
//! What the specification leaves open is decided by what writers do:
//! * Every field must be there: all writers write fields that have a default, too. Their order is free.
//! * A branch of a union is tagged with its type's full name.
//! * `int` and `long` are JSON numbers without fraction and exponent; `1.0` for a long is a writer's type error.
//! * `float` and `double` may be NaN or infinite: Python writes `NaN`, `Infinity` and `-Infinity` without quotes, Java
//!   with them. Both are taken, in these two types only. Numbers beyond the type's range are rounded by readers and taken.

use super::fault::{Fault, Segment};
use super::graph::{Graph, NodeId, Type};
use super::json_text::{Quoted, Text, Unescaped};
use super::names::NameTable;
use crate::datum::{bytes as in_bytes, cut};
use crate::limits::MAX_DATUM_DEPTH;

/// Reads exactly one JSON value of the type `root`.
pub(super) fn check(graph: &Graph, root: NodeId, bytes: &[u8]) -> Checked {
    let text = utf8(bytes)?;
    let mut checker = Checker { graph, source: text, text: Text::new(text) };
    checker.value(root, 0)?;
    if checker.text.peek().is_none() {
        return Ok(());
    }
    Err(Fault::trailing(checker.text.offset(), bytes.len()))
}

fn utf8(bytes: &[u8]) -> Result<&str, Box<Fault>> {
    if let Ok(text) = simdutf8::basic::from_utf8(bytes) {
        return Ok(text);
    }
    let at = simdutf8::compat::from_utf8(bytes).err().map_or(0, |error| error.valid_up_to());
    Err(Fault::new(at, "JSON is not valid UTF-8".to_owned()))
}

type Checked<T = ()> = Result<T, Box<Fault>>;

struct Checker<'a> {
    graph: &'a Graph,
    source: &'a str,
    text: Text<'a>,
}

impl Checker<'_> {
    /// Recursion is bounded by `MAX_DATUM_DEPTH`.
    fn value(&mut self, id: NodeId, depth: usize) -> Checked {
        let graph = self.graph;
        match graph.get(id) {
            Type::Array(items) => self.array(*items, self.deeper(depth)?),
            Type::Boolean => self.word(&["true", "false"], "boolean"),
            Type::Bytes => self.octets("bytes").map(|_| ()),
            Type::Double => self.real("double"),
            Type::Enum { name, symbols } => self.symbol(name, symbols),
            Type::Fixed { name, size } => self.fixed(name, *size),
            Type::Float => self.real("float"),
            Type::Int => self.integer("int", i64::from(i32::MIN)..=i64::from(i32::MAX)),
            Type::Long => self.integer("long", i64::MIN..=i64::MAX),
            Type::Map(values) => self.map(*values, self.deeper(depth)?),
            Type::Null => self.word(&["null"], "null"),
            Type::Record { fields, types, .. } => {
                self.record(id, fields, types, self.deeper(depth)?)
            }
            Type::String => self.text.string("string").map(|_| ()),
            Type::Union { branches, tags } => self.union(branches, tags, self.deeper(depth)?),
        }
    }

    fn deeper(&self, depth: usize) -> Checked<usize> {
        if depth < MAX_DATUM_DEPTH {
            return Ok(depth + 1);
        }
        let detail = format!("nested deeper than {MAX_DATUM_DEPTH} levels");
        Err(Fault::new(self.text.offset(), detail))
    }

    fn word(&mut self, words: &[&str], what: &str) -> Checked {
        if words.iter().any(|word| self.text.eat_word(word)) {
            return Ok(());
        }
        Err(self.text.unexpected(what))
    }

    fn integer(&mut self, what: &str, range: std::ops::RangeInclusive<i64>) -> Checked {
        let number = self.text.number(what)?;
        if number.integer().is_some_and(|value| range.contains(&value)) {
            return Ok(());
        }
        let bits = if what == "int" { 32 } else { 64 };
        Err(Fault::new(number.offset, format!("number is no whole number of {bits} bits")))
    }

    fn real(&mut self, what: &str) -> Checked {
        match self.text.peek() {
            Some(b'"') => {
                let text = self.text.string(what)?;
                let known = NOT_FINITE.iter().any(|word| text.is(word));
                let detail = || format!("expected {what}, found a string");
                known.then_some(()).ok_or_else(|| Fault::new(text.offset, detail()))
            }
            Some(b'-' | b'N' | b'I') if NOT_FINITE.iter().any(|word| self.text.eat_word(word)) => {
                Ok(())
            }
            _ => self.text.number(what).map(|_| ()),
        }
    }

    /// Bytes as the characters up to U+00FF: where they stand, and how many they are.
    fn octets(&mut self, what: &str) -> Checked<(usize, u64)> {
        let text = self.text.string(what)?;
        let mut count = 0;
        for character in text.chars() {
            if u32::from(character) > 0xff {
                let detail = format!("{what} with a character above U+00FF");
                return Err(Fault::new(text.offset, detail));
            }
            count += 1;
        }
        Ok((text.offset, count))
    }

    fn fixed(&mut self, name: &str, size: u64) -> Checked {
        let (offset, count) = self.octets("fixed")?;
        if count == size {
            return Ok(());
        }
        Err(Fault::new(offset, format!("{} takes {}, found {count}", cut(name), in_bytes(size))))
    }

    fn symbol(&mut self, name: &str, symbols: &NameTable) -> Checked {
        let text = self.text.string("enum")?;
        if symbols.find(|symbol| text.order_of(symbol)).is_some() {
            return Ok(());
        }
        Err(Fault::new(text.offset, format!("string is no symbol of {}", cut(name))))
    }

    fn union(&mut self, branches: &[NodeId], tags: &NameTable, depth: usize) -> Checked {
        if self.text.peek() != Some(b'{') {
            let null = tags.find(|tag| tag.cmp("null"));
            if null.is_some() && self.text.eat_word("null") {
                return Ok(());
            }
            let or_null = if null.is_some() { "null or " } else { "" };
            return Err(self
                .text
                .unexpected(&format!("{or_null}an object with the branch's type")));
        }
        self.text.expect(b'{')?;
        let tag = self.text.string("the branch's type")?;
        let index = tags.find(|each| tag.order_of(each));
        let branch = index.and_then(|index| branches.get(index)).copied();
        // In the JSON encoding, null is never tagged.
        let Some(branch) = branch.filter(|id| !matches!(self.graph.get(*id), Type::Null)) else {
            return Err(Fault::new(tag.offset, "no tag of a branch of the union".to_owned()));
        };
        self.text.expect(b':')?;
        self.value(branch, depth)?;
        self.text.expect(b'}')
    }

    fn array(&mut self, items: NodeId, depth: usize) -> Checked {
        if !self.text.eat(b'[') {
            return Err(self.text.unexpected("array"));
        }
        if self.text.eat(b']') {
            return Ok(());
        }
        let mut index = 0;
        loop {
            let item = self.value(items, depth);
            item.map_err(|fault| fault.within(Segment::Item(index)))?;
            index += 1;
            if !self.text.further(b']')? {
                return Ok(());
            }
        }
    }

    fn map(&mut self, values: NodeId, depth: usize) -> Checked {
        if !self.text.eat(b'{') {
            return Err(self.text.unexpected("map"));
        }
        if self.text.eat(b'}') {
            return Ok(());
        }
        let (mut keys, mut index) = (Keys::new(self.source), 0);
        loop {
            let entry = self.entry(&mut keys, values, depth);
            entry.map_err(|fault| fault.within(Segment::Entry(index)))?;
            index += 1;
            if !self.text.further(b'}')? {
                return keys.distinct();
            }
        }
    }

    fn entry(&mut self, keys: &mut Keys<'_>, values: NodeId, depth: usize) -> Checked {
        let key = self.text.string("map key")?;
        keys.add(&key)?;
        self.text.expect(b':')?;
        self.value(values, depth)
    }

    fn record(
        &mut self,
        id: NodeId,
        fields: &NameTable,
        types: &[NodeId],
        depth: usize,
    ) -> Checked {
        if !self.text.eat(b'{') {
            return Err(self.text.unexpected("record"));
        }
        let (mut seen, mut next) = (Seen::new(types.len()), 0);
        let mut open = !self.text.eat(b'}');
        while open {
            let index = self.field(fields, next)?;
            self.member(&mut seen, index, types, depth)
                .map_err(|fault| fault.within(Segment::Field(id, index)))?;
            next = index + 1;
            open = self.text.further(b'}')?;
        }
        match seen.missing(types.len()) {
            None => Ok(()),
            Some(index) => {
                let end = self.text.offset().saturating_sub(1);
                let fault = Fault::new(end, "field is missing".to_owned());
                Err(fault.within(Segment::Field(id, index)))
            }
        }
    }

    /// The field that the next key names; most writers keep the order of the schema, so `next` is tried first.
    fn field(&mut self, fields: &NameTable, next: usize) -> Checked<usize> {
        let key = self.text.string("field name")?;
        if fields.get(next).is_some_and(|name| key.is(name)) {
            return Ok(next);
        }
        fields
            .find(|name| key.order_of(name))
            .ok_or_else(|| Fault::new(key.offset, "no field of the schema".to_owned()))
    }

    fn member(&mut self, seen: &mut Seen, index: usize, types: &[NodeId], depth: usize) -> Checked {
        if !seen.insert(index) {
            return Err(Fault::new(self.text.offset(), "field stands twice".to_owned()));
        }
        self.text.expect(b':')?;
        match types.get(index) {
            Some(field) => self.value(*field, depth),
            None => Ok(()),
        }
    }
}

const NOT_FINITE: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// Which fields of a record have come.
struct Seen {
    first: [u64; 4],
    /// For records with more than 256 fields.
    rest: Vec<u64>,
}

impl Seen {
    fn new(fields: usize) -> Self {
        Self { first: [0; 4], rest: vec![0; fields.div_ceil(64).saturating_sub(4)] }
    }

    /// Marks a field; false if it was marked before.
    fn insert(&mut self, index: usize) -> bool {
        let word = index / 64;
        let slot = match self.first.get_mut(word) {
            Some(slot) => Some(slot),
            None => self.rest.get_mut(word.saturating_sub(4)),
        };
        let Some(slot) = slot else { return false };
        let bit = 1_u64 << (index % 64);
        let fresh = *slot & bit == 0;
        *slot |= bit;
        fresh
    }

    /// The first of so many fields that has not come.
    fn missing(&self, fields: usize) -> Option<usize> {
        let mut words = self.first.iter().chain(&self.rest).enumerate();
        let missing = words.find_map(|(word, bits)| {
            let bit = usize::try_from(bits.trailing_ones()).unwrap_or(64);
            (bit < 64).then_some(word * 64 + bit)
        });
        missing.filter(|index| *index < fields)
    }
}

/// The keys of a map so far, by where they stand.
struct Keys<'a> {
    source: &'a str,
    first: [usize; 16],
    count: usize,
    /// All of them, once there are too many to be compared with each other.
    all: Vec<usize>,
}

impl<'a> Keys<'a> {
    const fn new(source: &'a str) -> Self {
        Self { source, first: [0; 16], count: 0, all: Vec::new() }
    }

    fn add(&mut self, key: &Quoted<'_>) -> Checked {
        if let Some(slot) = self.first.get_mut(self.count) {
            *slot = key.offset;
            let before = self.first.iter().take(self.count);
            let twice = before.copied().any(|at| Unescaped::at(self.source, at).eq(key.chars()));
            if twice {
                return Err(twice_at(key.offset));
            }
        } else {
            if self.all.is_empty() {
                self.all.extend(self.first);
            }
            self.all.push(key.offset);
        }
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Whether all keys differ, as far as `add` has not seen to it.
    fn distinct(mut self) -> Checked {
        let source = self.source;
        let key = |at: usize| Unescaped::at(source, at);
        self.all.sort_by(|a, b| key(*a).cmp(key(*b)));
        let twice = self.all.windows(2).find_map(|pair| match *pair {
            [a, b] if key(a).eq(key(b)) => Some(a.max(b)),
            _ => None,
        });
        twice.map_or(Ok(()), |at| Err(twice_at(at)))
    }
}

fn twice_at(offset: usize) -> Box<Fault> {
    Fault::new(offset, "key stands twice".to_owned())
}
