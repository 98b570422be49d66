//! The check on the wire itself: follows a [`Program`] over the bytes. It builds nothing and allocates nothing, and it only
//! says yes or no; why it is no is for `explain` to find out.

use super::UnknownFields;
use super::program::{
    END_GROUP, FIXED32, FIXED64, Field, Kind, LENGTH_DELIMITED, Message, NARROW, Program,
    START_GROUP, VARINT, WIDE,
};
use super::wire::{any_varint, int32, short, sized, string, varint};

/// Levels below a message that submessages, groups and map entries may nest.
pub(super) const DEEPEST: u32 = 100;

/// Whether `bytes` are a datum of the message `root`.
///
/// Time is linear in the bytes: each of them is passed over once, or twice where packed values are bytes of a length.
pub(super) fn walk(
    program: &Program,
    root: u32,
    unknown: UnknownFields,
    bytes: &[u8],
) -> Option<()> {
    Walker { program, unknown }.message(root, bytes, 0, None).map(|_| ())
}

struct Walker<'p> {
    program: &'p Program,
    unknown: UnknownFields,
}

/// Which required fields a message has had so far, by slots.
trait Seen {
    fn none() -> Self;
    fn mark(&mut self, slot: u16);
    /// Whether the first `required` slots are marked.
    fn has_all(&self, required: u16) -> bool;
}

/// For slots below [`NARROW`].
struct Word(u64);

impl Seen for Word {
    #[inline]
    fn none() -> Self {
        Self(0)
    }

    #[inline]
    fn mark(&mut self, slot: u16) {
        self.0 |= 1 << (slot % NARROW);
    }

    #[inline]
    fn has_all(&self, required: u16) -> bool {
        let needed = (1 << (required % NARROW)) - 1;
        self.0 & needed == needed
    }
}

/// For slots below [`WIDE`].
struct Words([Word; WORDS]);

const WORDS: usize = 64;
const _: () = assert!(WIDE == NARROW * 64);

impl Seen for Words {
    fn none() -> Self {
        Self([const { Word(0) }; WORDS])
    }

    fn mark(&mut self, slot: u16) {
        if let Some(word) = self.0.get_mut(usize::from(slot / NARROW)) {
            word.mark(slot);
        }
    }

    fn has_all(&self, required: u16) -> bool {
        let full =
            self.0.iter().take(usize::from(required / NARROW)).all(|word| word.0 == u64::MAX);
        let last = self.0.get(usize::from(required / NARROW));
        full && last.is_none_or(|word| word.has_all(required))
    }
}

impl Walker<'_> {
    /// Passes over one message. It ends with the bytes, or, as the group of that number, with its end tag: the rest is
    /// behind that.
    #[inline]
    fn message<'a>(
        &self,
        id: u32,
        bytes: &'a [u8],
        depth: u32,
        group: Option<u32>,
    ) -> Option<&'a [u8]> {
        let message = self.program.message(id)?;
        if message.required < NARROW {
            self.fields::<Word>(message, bytes, depth, group)
        } else {
            self.wide(message, bytes, depth, group)
        }
    }

    #[inline(never)]
    fn wide<'a>(
        &self,
        message: &Message,
        bytes: &'a [u8],
        depth: u32,
        group: Option<u32>,
    ) -> Option<&'a [u8]> {
        // A field takes two bytes: what cannot have them all need not be looked at.
        if bytes.len() / 2 < usize::from(message.required) {
            return None;
        }
        self.fields::<Words>(message, bytes, depth, group)
    }

    /// Recursion is bounded by [`DEEPEST`].
    fn fields<'a, S: Seen>(
        &self,
        message: &Message,
        bytes: &'a [u8],
        depth: u32,
        group: Option<u32>,
    ) -> Option<&'a [u8]> {
        let mut seen = S::none();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (tag, tail) = short(rest)?;
            let number = tag >> 3;
            match self.program.field(message, number) {
                Some(field) if u32::from(field.wire) == tag & 7 => {
                    rest = self.value(field, tail, depth)?;
                    seen.mark(field.slot);
                }
                _ if tag & 7 == u32::from(END_GROUP) => {
                    return (group == Some(number) && seen.has_all(message.required))
                        .then_some(tail);
                }
                field => {
                    let slot;
                    (rest, slot) = self.detour(message, field, tag, tail, depth)?;
                    if let Some(slot) = slot {
                        seen.mark(slot);
                    }
                }
            }
        }
        (group.is_none() && seen.has_all(message.required)).then_some(rest)
    }

    /// One value of the field's own wire type.
    #[inline]
    fn value<'a>(&self, field: &Field, bytes: &'a [u8], depth: u32) -> Option<&'a [u8]> {
        match field.kind {
            Kind::String => string(bytes),
            Kind::Message => {
                let (inner, rest) = sized(bytes)?;
                self.message(field.target, inner, deeper(depth)?, None)?;
                Some(rest)
            }
            Kind::Group => self.message(field.target, bytes, deeper(depth)?, Some(field.number)),
            kind => scalar(kind, bytes),
        }
    }

    /// What is not simply a field with its own wire type: packed values, closed enums, and what the message does not have.
    /// Returns the slot that it fills, if any.
    #[inline(never)]
    fn detour<'a>(
        &self,
        message: &Message,
        field: Option<&Field>,
        tag: u32,
        bytes: &'a [u8],
        depth: u32,
    ) -> Option<(&'a [u8], Option<u16>)> {
        let (number, wire) = (tag >> 3, tag & 7);
        let Some(field) = field.filter(|field| field.kind != Kind::Hole) else {
            let welcome = self.unknown == UnknownFields::Allow;
            if number == 0 || !(welcome || self.program.leaves_open(message, number)) {
                return None;
            }
            return Some((skip(number, wire, bytes, depth)?, None));
        };
        if wire == u32::from(LENGTH_DELIMITED) && field.repeated && field.kind.is_packable() {
            let (mut values, rest) = sized(bytes)?;
            while !values.is_empty() {
                values = match field.kind {
                    Kind::ClosedEnum => self.closed_enum(field, values)?.0,
                    kind => scalar(kind, values)?,
                };
            }
            return Some((rest, None));
        }
        if wire == u32::from(VARINT) && field.kind == Kind::ClosedEnum {
            let (rest, listed) = self.closed_enum(field, bytes)?;
            return Some((rest, listed.then_some(field.slot)));
        }
        None
    }

    /// A number of a closed enum, and whether it is one that the enum lists.
    fn closed_enum<'a>(&self, field: &Field, bytes: &'a [u8]) -> Option<(&'a [u8], bool)> {
        let (raw, rest) = varint(bytes)?;
        let listed = self.program.enum_has(field.target, int32(raw)?);
        (listed || self.unknown == UnknownFields::Allow).then_some((rest, listed))
    }
}

/// A value that holds no others.
#[inline]
fn scalar(kind: Kind, bytes: &[u8]) -> Option<&[u8]> {
    match kind {
        Kind::Bool => match varint(bytes)? {
            (0 | 1, rest) => Some(rest),
            _ => None,
        },
        Kind::Bytes => sized(bytes).map(|(_, rest)| rest),
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => bytes.get(8..),
        Kind::Fixed32 | Kind::Float | Kind::Sfixed32 => bytes.get(4..),
        Kind::Int32 | Kind::OpenEnum => {
            let (raw, rest) = varint(bytes)?;
            int32(raw).map(|_| rest)
        }
        Kind::Int64 | Kind::Sint64 | Kind::Uint64 => any_varint(bytes),
        Kind::Sint32 | Kind::Uint32 => {
            let (raw, rest) = varint(bytes)?;
            (raw <= u64::from(u32::MAX)).then_some(rest)
        }
        Kind::ClosedEnum | Kind::Group | Kind::Hole | Kind::Message | Kind::String => None,
    }
}

/// Passes over a field that the message does not have. Nothing is known about its bytes but where they end.
fn skip(number: u32, wire: u32, bytes: &[u8], depth: u32) -> Option<&[u8]> {
    match u8::try_from(wire).ok()? {
        VARINT => any_varint(bytes),
        FIXED64 => bytes.get(8..),
        LENGTH_DELIMITED => sized(bytes).map(|(_, rest)| rest),
        START_GROUP => skip_group(number, bytes, deeper(depth)?),
        FIXED32 => bytes.get(4..),
        _ => None,
    }
}

/// Recursion is bounded by [`DEEPEST`].
fn skip_group(group: u32, bytes: &[u8], depth: u32) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        let (tag, tail) = short(rest)?;
        let (number, wire) = (tag >> 3, tag & 7);
        if wire == u32::from(END_GROUP) {
            return (number == group).then_some(tail);
        }
        if number == 0 {
            return None;
        }
        rest = skip(number, wire, tail, depth)?;
    }
}

#[inline]
const fn deeper(depth: u32) -> Option<u32> {
    if depth < DEEPEST { Some(depth + 1) } else { None }
}
