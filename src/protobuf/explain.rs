//! The slow walk that finds out what is wrong with bytes that the fast one has refused: path, offset, words.
//!
//! It obeys the same rules, field by field. It never accepts anything: that is the fast walk's to say.

use super::UnknownFields;
use super::fault::{Fault, Segment};
use super::program::{
    END_GROUP, FIXED32, FIXED64, Field, Kind, LENGTH_DELIMITED, Message, Program, START_GROUP,
    VARINT, position,
};
use super::walk::DEEPEST;
use super::wire::int32;
use crate::datum::{bytes, number as shown_number};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Reads one datum of `root`: what is wrong with it.
pub(super) fn explain(
    program: &Program,
    root: u32,
    unknown: UnknownFields,
    datum: &[u8],
) -> Walked {
    Reader { program, unknown, datum, at: 0, end: datum.len() }.message(root, 0, None)
}

type Walked<T = ()> = Result<T, Box<Fault>>;

struct Reader<'a> {
    program: &'a Program,
    unknown: UnknownFields,
    datum: &'a [u8],
    at: usize,
    /// Where the innermost thing with a length ends.
    end: usize,
}

impl Reader<'_> {
    fn message(&mut self, id: u32, depth: u32, group: Option<u32>) -> Walked {
        let Some(message) = self.program.message(id).copied() else { return Ok(()) };
        let mut seen = BTreeSet::new();
        // Only of fields that were there: no more than there are bytes.
        let mut counts = BTreeMap::new();
        while self.at < self.end {
            let start = self.at;
            let (number, wire) = self.tag()?;
            if wire == END_GROUP {
                if group == Some(number) {
                    return self.complete(&message, &seen, start);
                }
                return Err(wrong_end(start, number, group));
            }
            let field = self.program.place(&message, number);
            let field = field.zip(self.program.field(&message, number).copied());
            match field.filter(|(_, field)| field.kind != Kind::Hole) {
                Some((place, field)) => {
                    let count = counts.entry(number).or_insert(0_u64);
                    self.field(place, &field, (start, wire), depth, count, &mut seen)?;
                }
                None => self.unknown_field(&message, (start, number, wire), depth)?,
            }
        }
        match group {
            Some(_) => Err(self.cut_off(self.at, "group")),
            None => self.complete(&message, &seen, self.at),
        }
    }

    fn complete(&self, message: &Message, seen: &BTreeSet<u16>, at: usize) -> Walked {
        let missing = |field: &Field| field.slot < message.required && !seen.contains(&field.slot);
        match self.program.fields(message).find(|(_, field)| missing(field)) {
            Some((place, _)) => {
                let fault = Fault::new(at, "required field is missing".to_owned());
                Err(fault.within(Segment::Field(place)))
            }
            None => Ok(()),
        }
    }

    fn field(
        &mut self,
        place: usize,
        field: &Field,
        (start, wire): (usize, u8),
        depth: u32,
        count: &mut u64,
        seen: &mut BTreeSet<u16>,
    ) -> Walked {
        let within = |fault: Box<Fault>, index| {
            let entry = field.kind == Kind::Message && self.program.is_map_entry(field.target);
            let fault = match (field.repeated, entry) {
                (true, true) => fault.within(Segment::Entry(index)),
                (true, false) => fault.within(Segment::Item(index)),
                (false, _) => fault,
            };
            fault.within(Segment::Field(place))
        };
        if field.kind.wire() == wire {
            let index = *count;
            *count += 1;
            if self.value(field, depth).map_err(|fault| within(fault, index))? {
                seen.insert(field.slot);
            }
            return Ok(());
        }
        if wire == LENGTH_DELIMITED && field.repeated && field.kind.is_packable() {
            let what = format!("packed {}", field.kind.word());
            let packed = self.sized(&what).map_err(|fault| within(fault, *count))?;
            self.at = packed.start;
            let outer = std::mem::replace(&mut self.end, packed.end);
            while self.at < self.end {
                self.value(field, depth).map_err(|fault| within(fault, *count))?;
                *count += 1;
            }
            self.end = outer;
            return Ok(());
        }
        let (expected, word) = (field.kind.wire(), field.kind.word());
        let detail = format!(
            "wire type {wire} ({}), must be {expected} ({}) for {word}",
            wire_word(wire),
            wire_word(expected)
        );
        Err(Fault::new(start, detail).within(Segment::Field(place)))
    }

    /// One value; whether it counts as one.
    fn value(&mut self, field: &Field, depth: u32) -> Walked<bool> {
        let at = self.at;
        let word = field.kind.word();
        match field.kind {
            Kind::Bool => match self.varint(word)? {
                0 | 1 => {}
                _ => return Err(Fault::new(at, "bool is neither 0 nor 1".to_owned())),
            },
            Kind::Bytes => {
                self.sized(word)?;
            }
            Kind::ClosedEnum => return self.closed_enum(field),
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => self.fixed(word, 8)?,
            Kind::Fixed32 | Kind::Float | Kind::Sfixed32 => self.fixed(word, 4)?,
            Kind::Group => {
                self.message(field.target, self.deeper(depth)?, Some(field.number))?;
            }
            Kind::Hole => {}
            Kind::Int32 | Kind::OpenEnum => {
                self.int32(word)?;
            }
            Kind::Int64 | Kind::Sint64 | Kind::Uint64 => {
                self.varint(word)?;
            }
            Kind::Message => {
                let inner = self.sized(word)?;
                let outer = std::mem::replace(&mut self.end, inner.end);
                self.at = inner.start;
                self.message(field.target, self.deeper(depth)?, None)?;
                self.end = outer;
            }
            Kind::Sint32 | Kind::Uint32 => {
                if self.varint(word)? > u64::from(u32::MAX) {
                    return Err(Fault::new(at, format!("{word} does not fit 32 bits")));
                }
            }
            Kind::String => self.string()?,
        }
        Ok(true)
    }

    fn closed_enum(&mut self, field: &Field) -> Walked<bool> {
        let at = self.at;
        let number = self.int32("enum")?;
        let listed = self.program.enum_has(field.target, number);
        if listed || self.unknown == UnknownFields::Allow {
            return Ok(listed);
        }
        Err(Fault::new(at, "number that the enum does not list".to_owned()))
    }

    fn int32(&mut self, word: &str) -> Walked<i32> {
        let at = self.at;
        let value = self.varint(word)?;
        int32(value).ok_or_else(|| Fault::new(at, format!("{word} does not fit 32 bits")))
    }

    fn unknown_field(
        &mut self,
        message: &Message,
        (start, number, wire): (usize, u32, u8),
        depth: u32,
    ) -> Walked {
        let welcome = self.unknown == UnknownFields::Allow;
        if welcome || self.program.leaves_open(message, number) {
            return self.skip(start, number, wire, depth);
        }
        let number = shown_number(number.into());
        let detail = format!("field number {number}, which the message does not have");
        Err(Fault::new(start, detail))
    }

    fn skip(&mut self, start: usize, number: u32, wire: u8, depth: u32) -> Walked {
        let what = "unknown field";
        match wire {
            VARINT => self.varint(what).map(drop),
            FIXED64 => self.fixed(what, 8),
            LENGTH_DELIMITED => self.sized(what).map(drop),
            START_GROUP => self.skip_group(number, self.deeper(depth)?),
            FIXED32 => self.fixed(what, 4),
            _ => Err(wrong_end(start, number, None)),
        }
    }

    fn skip_group(&mut self, group: u32, depth: u32) -> Walked {
        while self.at < self.end {
            let start = self.at;
            let (number, wire) = self.tag()?;
            if wire == END_GROUP {
                let wrong = wrong_end(start, number, Some(group));
                return if number == group { Ok(()) } else { Err(wrong) };
            }
            self.skip(start, number, wire, depth)?;
        }
        Err(self.cut_off(self.at, "group"))
    }

    fn deeper(&self, depth: u32) -> Walked<u32> {
        if depth < DEEPEST {
            return Ok(depth + 1);
        }
        Err(Fault::new(self.at, format!("nested deeper than {DEEPEST} levels")))
    }

    fn left(&self) -> u64 {
        u64::try_from(self.end.saturating_sub(self.at)).unwrap_or(u64::MAX)
    }

    fn fixed(&mut self, what: &str, size: usize) -> Walked {
        let left = self.left();
        let needed = u64::try_from(size).unwrap_or(u64::MAX);
        if needed > left {
            let detail = format!("{what} takes {}, {left} left", bytes(needed));
            return Err(Fault::new(self.at, detail));
        }
        self.at = self.at.saturating_add(size);
        Ok(())
    }

    fn string(&mut self) -> Walked {
        let range = self.sized("string")?;
        let start = range.start;
        match simdutf8::compat::from_utf8(self.datum.get(range).unwrap_or_default()) {
            Ok(_) => Ok(()),
            Err(error) => {
                let at = start.saturating_add(error.valid_up_to());
                Err(Fault::new(at, "string is not valid UTF-8".to_owned()))
            }
        }
    }

    /// A length and as many bytes: where these are. They are passed over, but for messages and packed values, whose
    /// callers go back.
    fn sized(&mut self, what: &str) -> Walked<Range<usize>> {
        let at = self.at;
        let length = self.short(&format!("{what} length"))?;
        let left = self.left();
        if u64::from(length) > left {
            let length = shown_number(length.into());
            let detail = format!("{what} length {length}, {} left", bytes(left));
            return Err(Fault::new(at, detail));
        }
        let start = self.at;
        self.at = start.saturating_add(position(length));
        Ok(start..self.at)
    }

    fn tag(&mut self) -> Walked<(u32, u8)> {
        let start = self.at;
        let tag = self.short("tag")?;
        let (number, wire) = (tag >> 3, u8::try_from(tag & 7).unwrap_or(u8::MAX));
        if number == 0 {
            return Err(Fault::new(start, "field number 0".to_owned()));
        }
        if wire > FIXED32 {
            return Err(Fault::new(start, format!("wire type {wire}, which there is not")));
        }
        Ok((number, wire))
    }

    fn varint(&mut self, what: &str) -> Walked<u64> {
        self.number(what, 64)
    }

    fn short(&mut self, what: &str) -> Walked<u32> {
        let value = self.number(what, 32)?;
        Ok(u32::try_from(value).unwrap_or(u32::MAX))
    }

    /// A varint of at most so many bits, and the bytes that these take.
    fn number(&mut self, what: &str, bits: u32) -> Walked<u64> {
        let start = self.at;
        let (mut value, mut shift) = (0_u64, 0_u32);
        loop {
            let Some(byte) = self.datum.get(self.at).filter(|_| self.at < self.end).copied() else {
                return Err(self.cut_off(start, what));
            };
            self.at += 1;
            if shift + 7 > bits && u64::from(byte) >> (bits - shift) != 0 {
                return Err(Fault::new(start, format!("{what} does not fit {bits} bits")));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    fn cut_off(&self, at: usize, what: &str) -> Box<Fault> {
        let end = if self.end == self.datum.len() { "bytes" } else { "message around it" };
        Fault::new(at, format!("{what} is cut off by the end of the {end}"))
    }
}

fn wrong_end(at: usize, number: u32, open: Option<u32>) -> Box<Fault> {
    let number = shown_number(number.into());
    let detail = match open {
        Some(open) => format!("end of group {number}, but group {open} is open"),
        None => format!("end of group {number}, but no group is open"),
    };
    Fault::new(at, detail)
}

const fn wire_word(wire: u8) -> &'static str {
    match wire {
        VARINT => "varint",
        FIXED64 => "64 bits",
        LENGTH_DELIMITED => "length-delimited",
        START_GROUP => "group",
        FIXED32 => "32 bits",
        _ => "none",
    }
}
