//! The slow walk that finds out what is wrong with bytes that the fast one has refused: path, offset, words.
//!
//! It obeys the same rules on the graph, value by value. It never accepts anything: that is the fast walk's to say.

use super::fault::{Fault, Segment};
use super::graph::{Graph, NodeId, Type};
use crate::datum::{bytes, cut, number};
use crate::limits::{MAX_DATUM_DEPTH, MAX_ZERO_BYTE_ITEMS};
use std::ops::Range;

/// Reads one datum of `root`; what is wrong with it, or where it ends.
pub(super) fn explain(graph: &Graph, root: NodeId, bytes: &[u8]) -> Result<usize, Box<Fault>> {
    let budget = STEPS.saturating_add(STEPS_PER_BYTE.saturating_mul(bytes.len()));
    let mut reader = Reader { graph, bytes, at: 0, free_items: 0, budget };
    reader.value(root, 0)?;
    Ok(reader.at)
}

/// Steps that an explanation may take. Only schemas made for it need more: records that wrap records by the hundred.
const STEPS: usize = 1 << 20;
const STEPS_PER_BYTE: usize = 8;

type Walked<T = ()> = Result<T, Box<Fault>>;

struct Reader<'a> {
    graph: &'a Graph,
    bytes: &'a [u8],
    at: usize,
    free_items: u64,
    budget: usize,
}

impl Reader<'_> {
    fn value(&mut self, id: NodeId, depth: usize) -> Walked {
        self.step()?;
        let graph = self.graph;
        if graph.width(id).is_some_and(|width| self.skip(width)) {
            return Ok(());
        }
        match graph.get(id) {
            Type::Array(items) => self.array(*items, self.deeper(depth)?),
            Type::Boolean => self.boolean(),
            Type::Bytes => self.sized("bytes").map(|_| ()),
            Type::Double => self.fixed("double", 8),
            Type::Enum { symbols, .. } => self.symbol(symbols.len()),
            Type::Fixed { name, size } => self.fixed(&cut(name), *size),
            Type::Float => self.fixed("float", 4),
            Type::Int => self.int(),
            Type::Long => self.varint("long").map(|_| ()),
            Type::Map(values) => self.map(*values, self.deeper(depth)?),
            Type::Null => Ok(()),
            Type::Record { types, .. } => self.record(id, types, depth),
            Type::String => self.string("string"),
            Type::Union { branches, .. } => self.union(branches, depth),
        }
    }

    fn step(&mut self) -> Walked {
        let at = self.at;
        let too_many = || Fault::new(at, "no datum of the schema; too long to say why".to_owned());
        self.budget = self.budget.checked_sub(1).ok_or_else(too_many)?;
        Ok(())
    }

    fn deeper(&self, depth: usize) -> Walked<usize> {
        if depth < MAX_DATUM_DEPTH {
            return Ok(depth + 1);
        }
        Err(Fault::new(self.at, format!("nested deeper than {MAX_DATUM_DEPTH} levels")))
    }

    fn left(&self) -> u64 {
        u64::try_from(self.bytes.len().saturating_sub(self.at)).unwrap_or(u64::MAX)
    }

    /// Passes over `width` bytes if they are there.
    fn skip(&mut self, width: u64) -> bool {
        let width = usize::try_from(width).ok().filter(|_| width <= self.left());
        self.at = self.at.saturating_add(width.unwrap_or(0));
        width.is_some()
    }

    fn record(&mut self, id: NodeId, types: &[NodeId], depth: usize) -> Walked {
        // What has a width counts no level; it is here only because its bytes are not.
        let counts = self.graph.width(id).is_none();
        let depth = if counts { self.deeper(depth)? } else { depth };
        for (index, field) in types.iter().enumerate() {
            self.value(*field, depth).map_err(|fault| fault.within(Segment::Field(id, index)))?;
        }
        Ok(())
    }

    fn union(&mut self, branches: &[NodeId], depth: usize) -> Walked {
        let at = self.at;
        let branch = self.varint("union branch")?;
        let count = branches.len();
        match usize::try_from(branch).ok().and_then(|branch| branches.get(branch)) {
            Some(id) => {
                let depth = self.deeper(depth)?;
                self.value(*id, depth)
            }
            None => {
                Err(Fault::new(at, format!("union branch {}, schema has {count}", number(branch))))
            }
        }
    }

    fn array(&mut self, items: NodeId, depth: usize) -> Walked {
        let free = self.graph.width(items) == Some(0);
        let mut index = 0_u64;
        while let Some(block) = self.block("array", !free)? {
            if free {
                self.count_free(block.items)?;
            }
            // Items without bytes cannot be wrong.
            for _ in 0..if free { 0 } else { block.items } {
                self.value(items, depth).map_err(|fault| fault.within(Segment::Item(index)))?;
                index += 1;
            }
            self.end(&block)?;
        }
        Ok(())
    }

    fn map(&mut self, values: NodeId, depth: usize) -> Walked {
        let mut index = 0_u64;
        while let Some(block) = self.block("map", true)? {
            for _ in 0..block.items {
                let entry = self.string("map key").and_then(|()| self.value(values, depth));
                entry.map_err(|fault| fault.within(Segment::Entry(index)))?;
                index += 1;
            }
            self.end(&block)?;
        }
        Ok(())
    }

    /// The head of the next block, `None` at the end of the array or map.
    fn block(&mut self, what: &str, takes_bytes: bool) -> Walked<Option<Block>> {
        let at = self.at;
        let count = self.varint(&format!("{what} block count"))?;
        if count == 0 {
            return Ok(None);
        }
        let size = if count < 0 { Some(self.length(&format!("{what} block"))?) } else { None };
        let items = count.unsigned_abs();
        let no_count = i64::try_from(items).is_err();
        let left = self.left();
        if no_count || (takes_bytes && items > left) {
            let items = number(i64::try_from(items).unwrap_or(i64::MAX));
            let detail = format!("{what} block of {items} items, {} left", bytes(left));
            return Err(Fault::new(at, detail));
        }
        Ok(Some(Block { at, items, start: self.at, size }))
    }

    fn end(&self, block: &Block) -> Walked {
        let taken = self.at.saturating_sub(block.start);
        match block.size {
            Some(size) if size != taken => {
                let taken = bytes(u64::try_from(taken).unwrap_or(u64::MAX));
                let detail = format!("block size {size}, its items take {taken}");
                Err(Fault::new(block.at, detail))
            }
            _ => Ok(()),
        }
    }

    fn count_free(&mut self, items: u64) -> Walked {
        self.free_items = self.free_items.saturating_add(items);
        if self.free_items <= MAX_ZERO_BYTE_ITEMS {
            return Ok(());
        }
        let detail = format!("more than {MAX_ZERO_BYTE_ITEMS} items that take no bytes");
        Err(Fault::new(self.at, detail))
    }

    fn boolean(&mut self) -> Walked {
        match self.bytes.get(self.at) {
            Some(0 | 1) => {
                self.at += 1;
                Ok(())
            }
            Some(byte) => Err(Fault::new(self.at, format!("boolean byte {byte}, must be 0 or 1"))),
            None => Err(self.truncated("boolean", 1)),
        }
    }

    fn fixed(&mut self, what: &str, size: u64) -> Walked {
        if self.skip(size) { Ok(()) } else { Err(self.truncated(what, size)) }
    }

    fn truncated(&self, what: &str, needed: u64) -> Box<Fault> {
        let left = self.left();
        Fault::new(self.at, format!("{what} takes {}, {left} left", bytes(needed)))
    }

    fn symbol(&mut self, count: usize) -> Walked {
        let at = self.at;
        let index = self.varint("enum index")?;
        if usize::try_from(index).is_ok_and(|index| index < count) {
            return Ok(());
        }
        Err(Fault::new(at, format!("enum index {}, schema has {count} symbols", number(index))))
    }

    fn int(&mut self) -> Walked {
        let at = self.at;
        let value = self.varint("int")?;
        if i32::try_from(value).is_ok() {
            return Ok(());
        }
        Err(Fault::new(at, "int does not fit 32 bits".to_owned()))
    }

    fn string(&mut self, what: &str) -> Walked {
        let range = self.sized(what)?;
        let start = range.start;
        let text = self.bytes.get(range).unwrap_or_default();
        match simdutf8::compat::from_utf8(text) {
            Ok(_) => Ok(()),
            Err(error) => {
                let at = start.saturating_add(error.valid_up_to());
                Err(Fault::new(at, format!("{what} is not valid UTF-8")))
            }
        }
    }

    /// A length and as many bytes: where these are.
    fn sized(&mut self, what: &str) -> Walked<Range<usize>> {
        let length = self.length(what)?;
        let start = self.at;
        self.at = start.saturating_add(length);
        Ok(start..self.at)
    }

    /// A length that the rest of the input has room for.
    fn length(&mut self, what: &str) -> Walked<usize> {
        let at = self.at;
        let length = self.varint(&format!("{what} length"))?;
        let left = self.left();
        let Ok(unsigned) = u64::try_from(length) else {
            return Err(Fault::new(at, format!("{what} length {} is negative", number(length))));
        };
        let fits = usize::try_from(length).ok().filter(|_| unsigned <= left);
        fits.ok_or_else(|| {
            let detail = format!("{what} length {}, {} left", number(length), bytes(left));
            Fault::new(at, detail)
        })
    }

    fn varint(&mut self, what: &str) -> Walked<i64> {
        let start = self.at;
        let (mut raw, mut shift) = (0_u64, 0_u32);
        loop {
            let Some(byte) = self.bytes.get(self.at).copied() else {
                return Err(Fault::new(
                    start,
                    format!("{what} is cut off by the end of the bytes"),
                ));
            };
            self.at += 1;
            if shift == 63 && byte > 1 {
                return Err(Fault::new(start, format!("{what} does not fit 64 bits")));
            }
            raw |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    let detail = format!("{what} takes more bytes than its value needs");
                    return Err(Fault::new(start, detail));
                }
                return Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()));
            }
            shift += 7;
        }
    }
}

/// The head of a block of items.
struct Block {
    at: usize,
    items: u64,
    /// Where its first item starts.
    start: usize,
    /// Bytes that it says its items take.
    size: Option<usize>,
}
