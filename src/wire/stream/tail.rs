//! The tail of an answer that streams: addresses of nodes, rewritten to exactly the bytes that they had.
//!
//! As many addresses as fit are told, from the front on, and what is then missing is filled with a tagged field that no
//! version defines; clients pass over those (KIP-482). A field cannot fill every gap, its length being a varint, so a
//! second one may help.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::{
    cursor::CursorError,
    wire::{
        Cluster, WireError,
        rewrite::{
            encode::{compact, put_unsigned_varint, varint_len},
            endpoints::{Advertised, Endpoints, read_node_endpoints},
            walk::{Layout, Walk},
        },
    },
};

/// Where the tail has its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// In a plain field before the last section of tagged fields (ShareFetch).
    PlainEndpoints,
    /// In tagged field 0 (Fetch).
    TaggedEndpoints,
}

impl Tail {
    /// The tail with what clients are told. `None` if it names no nodes.
    pub(super) fn rewrite(
        self,
        layout: Layout,
        tail: &[u8],
        cluster: &dyn Cluster,
    ) -> Result<Option<Vec<u8>>, WireError> {
        let mut walk = Walk::new(layout, tail);
        let mut read = Read { endpoints: Endpoints::default(), others: Others::default() };
        if self == Self::PlainEndpoints {
            read.endpoints = read_node_endpoints(&mut walk, cluster)?;
        }
        for _ in 0..walk.unsigned_varint()? {
            let from = walk.position();
            let (tag, field) = walk.tagged_field()?;
            if tag == 0 && self == Self::TaggedEndpoints {
                let mut field = Walk::new(layout, field);
                read.endpoints.append(read_node_endpoints(&mut field, cluster)?);
                field.end()?;
            } else {
                read.others.push(tag, walk.since(from));
            }
        }
        walk.end()?;
        if read.endpoints.named == 0 {
            return Ok(None);
        }
        read.fit(self, tail.len()).map(Some).ok_or(WireError::Field {
            what: layout.what,
            version: layout.version,
            error: CursorError::Varint { at: 0 },
        })
    }
}

/// What a tail consists of.
struct Read<'a> {
    endpoints: Endpoints<'a>,
    others: Others,
}

/// Tagged fields that stay as they are.
#[derive(Default)]
struct Others {
    count: u32,
    highest_tag: u32,
    bytes: Vec<u8>,
}

impl Others {
    fn push(&mut self, tag: u32, bytes: &[u8]) {
        self.count = self.count.saturating_add(1);
        self.highest_tag = self.highest_tag.max(tag);
        self.bytes.extend(bytes);
    }
}

impl Read<'_> {
    /// The tail with as many addresses as fit into `len` bytes, filled up. `None` only if there is no tag above all
    /// those that are taken.
    fn fit(&self, kind: Tail, len: usize) -> Option<Vec<u8>> {
        let filler_tag = self.others.highest_tag.max(LOWEST_FILLER_TAG).checked_add(1)?;
        let budget = len.saturating_sub(self.others.bytes.len());
        let elements = Elements::encode(&self.endpoints.advertised, budget);
        (0..=elements.ends.len()).rev().find_map(|told| {
            let (array, fields) = elements.first(told, kind);
            (0..=2).find_map(|fillers| {
                let count = self.others.count.checked_add(fields)?.checked_add(fillers)?;
                let used = [array.len(), varint_len(count), self.others.bytes.len()];
                let gap = len.checked_sub(used.iter().sum())?;
                let filler = fill(fillers, gap, filler_tag)?;
                Some(assemble(kind, count, &array, [&self.others.bytes, &filler]))
            })
        })
    }
}

/// Fillers have tags above this one, far from any that a version defines.
const LOWEST_FILLER_TAG: u32 = 99;

/// Elements of an array, one behind the other.
struct Elements {
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Elements {
    /// Encodes elements from the front on, as long as they have at most `budget` bytes.
    fn encode(advertised: &[Advertised<'_>], budget: usize) -> Self {
        let mut elements = Self { bytes: Vec::new(), ends: Vec::new() };
        for node in advertised {
            node.put(&mut elements.bytes, true);
            if elements.bytes.len() > budget {
                break;
            }
            elements.ends.push(elements.bytes.len());
        }
        elements
    }

    /// The field with the first `count` elements, and how many tagged fields that is.
    fn first(&self, count: usize, kind: Tail) -> (Vec<u8>, u32) {
        let end = count.checked_sub(1).and_then(|last| self.ends.get(last).copied());
        let mut array = Vec::new();
        put_unsigned_varint(&mut array, compact(count));
        array.extend(self.bytes.get(..end.unwrap_or_default()).unwrap_or_default());
        match (kind, count) {
            (Tail::PlainEndpoints, _) => (array, 0),
            (Tail::TaggedEndpoints, 0) => (Vec::new(), 0),
            (Tail::TaggedEndpoints, _) => (tagged(0, &array), 1),
        }
    }
}

/// Where the array stands depends on the kind of tail: before the count of tagged fields, or as the first of them.
fn assemble(kind: Tail, count: u32, array: &[u8], others: [&[u8]; 2]) -> Vec<u8> {
    let mut number = Vec::new();
    put_unsigned_varint(&mut number, count);
    let [others, filler] = others;
    match kind {
        Tail::PlainEndpoints => [array, &number, others, filler].concat(),
        Tail::TaggedEndpoints => [&number, array, others, filler].concat(),
    }
}

/// `fillers` tagged fields, from `tag` on, of exactly `gap` bytes, if there are such.
fn fill(fillers: u32, gap: usize, tag: u32) -> Option<Vec<u8>> {
    match fillers {
        0 => (gap == 0).then(Vec::new),
        1 => filler(gap, tag),
        _ => {
            let mut first = tagged(tag, &[]);
            first.extend(filler(gap.checked_sub(first.len())?, tag.checked_add(1)?)?);
            Some(first)
        }
    }
}

/// One tagged field of exactly `gap` bytes. There is none where its length would take one byte more than is left.
fn filler(gap: usize, tag: u32) -> Option<Vec<u8>> {
    let room = gap.checked_sub(varint_len(tag))?;
    (1..=3).find_map(|width| {
        let data = room.checked_sub(width)?;
        let fits = varint_len(u32::try_from(data).ok()?) == width;
        fits.then(|| tagged(tag, &vec![0; data]))
    })
}

/// One tagged field.
fn tagged(tag: u32, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len().saturating_add(10));
    put_unsigned_varint(&mut out, tag);
    put_unsigned_varint(&mut out, u32::try_from(data.len()).unwrap_or(u32::MAX));
    out.extend(data);
    out
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::*;
    use crate::cursor::Cursor;

    /// The gaps up to `limit` that `fillers` fields cannot fill.
    fn unfillable(fillers: u32, tag: u32, limit: usize) -> Vec<usize> {
        (0..limit).filter(|gap| fill(fillers, *gap, tag).is_none()).collect()
    }

    #[test]
    fn a_filler_is_exactly_as_long_as_asked_for() {
        for (fillers, tag) in [(1, 100), (1, 127), (1, 128), (2, 100), (2, 127), (2, u32::MAX - 2)]
        {
            for gap in 0..40_000 {
                let Some(filler) = fill(fillers, gap, tag) else { continue };
                assert_eq!(filler.len(), gap);
                let mut cursor = Cursor::new(&filler);
                for expected in tag..=tag + (fillers - 1) {
                    assert_eq!(cursor.unsigned_varint(), Ok(expected));
                    let size = cursor.unsigned_varint().unwrap();
                    cursor.skip(usize::try_from(size).unwrap()).unwrap();
                }
                assert!(cursor.is_empty());
            }
        }
    }

    #[test]
    fn gaps_that_one_field_cannot_fill_take_two() {
        assert_eq!(unfillable(1, 100, 40_000), [0, 1, 130, 16_387]);
        assert_eq!(unfillable(1, 128, 40_000), [0, 1, 2, 131, 16_388]);
        assert_eq!(unfillable(2, 100, 40_000), [0, 1, 2, 3, 132, 16_389]);
    }
}
