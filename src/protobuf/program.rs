//! The tables that the check on the wire follows: flat, without names, fields found by number.

use super::MessageId;
use std::collections::HashMap;
use std::ops::Range;

/// The tables of a schema. Ranges refer to places in its lists.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) messages: Vec<Message>,
    pub(super) fields: Vec<Field>,
    /// Numbers of closed enums, as sorted ranges with both ends included.
    pub(super) numbers: Vec<(i32, i32)>,
    pub(super) enums: Vec<Span>,
    /// Numbers that messages leave to extensions, as ranges with both ends included.
    pub(super) open: Vec<(u32, u32)>,
    pub(super) nested: Vec<MessageId>,
}

/// Part of a list.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    /// Place of the field with number 1, and how many numbers from there on have a place each, with holes.
    pub(super) dense: u32,
    pub(super) dense_count: u32,
    /// The other fields, sorted by number.
    pub(super) sparse: Span,
    /// Fields that every datum must have.
    pub(super) required: u16,
    pub(super) open: Span,
    pub(super) nested: Span,
    pub(super) map_entry: bool,
}

/// One field of a message, or a hole among them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) number: u32,
    /// The message or enum that it is of.
    pub(super) target: u32,
    /// What it counts as: its place among the required fields, or the last place, which stands for all others.
    pub(super) slot: u16,
    pub(super) kind: Kind,
    /// The wire type on which the walk takes no detour; none for closed enums.
    pub(super) wire: u8,
    pub(super) repeated: bool,
}

/// Types of fields, in the schema's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Bytes,
    ClosedEnum,
    Double,
    Fixed32,
    Fixed64,
    Float,
    Group,
    /// No field at all.
    Hole,
    Int32,
    Int64,
    Message,
    OpenEnum,
    Sfixed32,
    Sfixed64,
    Sint32,
    Sint64,
    String,
    Uint32,
    Uint64,
}

pub(super) const VARINT: u8 = 0;
pub(super) const FIXED64: u8 = 1;
pub(super) const LENGTH_DELIMITED: u8 = 2;
pub(super) const START_GROUP: u8 = 3;
pub(super) const END_GROUP: u8 = 4;
pub(super) const FIXED32: u8 = 5;
/// A wire type that no tag has.
pub(super) const NO_WIRE_TYPE: u8 = 0xff;

/// Slots that a walk keeps in one word; the last of them is that of fields that are not required.
pub(super) const NARROW: u16 = 64;
/// Slots that it keeps otherwise.
pub(super) const WIDE: u16 = 4_096;

impl Kind {
    /// The wire type of one value.
    pub(super) const fn wire(self) -> u8 {
        match self {
            Self::Bool
            | Self::ClosedEnum
            | Self::Int32
            | Self::Int64
            | Self::OpenEnum
            | Self::Sint32
            | Self::Sint64
            | Self::Uint32
            | Self::Uint64 => VARINT,
            Self::Double | Self::Fixed64 | Self::Sfixed64 => FIXED64,
            Self::Bytes | Self::Message | Self::String => LENGTH_DELIMITED,
            Self::Group => START_GROUP,
            Self::Fixed32 | Self::Float | Self::Sfixed32 => FIXED32,
            Self::Hole => NO_WIRE_TYPE,
        }
    }

    /// Whether repeated values may stand together behind one tag.
    pub(super) const fn is_packable(self) -> bool {
        matches!(self.wire(), VARINT | FIXED64 | FIXED32)
    }

    /// The word of the language for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Bytes => "bytes",
            Self::ClosedEnum | Self::OpenEnum => "enum",
            Self::Double => "double",
            Self::Fixed32 => "fixed32",
            Self::Fixed64 => "fixed64",
            Self::Float => "float",
            Self::Group => "group",
            Self::Hole => "nothing",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Message => "message",
            Self::Sfixed32 => "sfixed32",
            Self::Sfixed64 => "sfixed64",
            Self::Sint32 => "sint32",
            Self::Sint64 => "sint64",
            Self::String => "string",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
        }
    }

    pub(super) const fn is_map_key(self) -> bool {
        !matches!(
            self,
            Self::Bytes
                | Self::ClosedEnum
                | Self::Double
                | Self::Float
                | Self::Group
                | Self::Message
                | Self::OpenEnum
        )
    }
}

impl Program {
    #[inline]
    pub(super) fn message(&self, id: u32) -> Option<&Message> {
        self.messages.get(position(id))
    }

    /// The field of `message` with this number.
    #[inline]
    pub(super) fn field(&self, message: &Message, number: u32) -> Option<&Field> {
        let index = number.wrapping_sub(1);
        if index < message.dense_count {
            return self.fields.get(position(message.dense.wrapping_add(index)));
        }
        self.sparse_field(message, number)
    }

    #[inline(never)]
    fn sparse_field(&self, message: &Message, number: u32) -> Option<&Field> {
        let fields = self.fields.get(message.sparse.range())?;
        let found = fields.binary_search_by_key(&number, |field| field.number).ok()?;
        fields.get(found)
    }

    /// The place of the same field, for its name.
    pub(super) fn place(&self, message: &Message, number: u32) -> Option<usize> {
        let index = number.wrapping_sub(1);
        if index < message.dense_count {
            return Some(position(message.dense.wrapping_add(index)));
        }
        let fields = self.fields.get(message.sparse.range())?;
        let found = fields.binary_search_by_key(&number, |field| field.number).ok()?;
        Some(message.sparse.range().start.saturating_add(found))
    }

    /// All fields of `message` with their places.
    pub(super) fn fields(&self, message: &Message) -> impl Iterator<Item = (usize, &Field)> {
        let dense = position(message.dense);
        let dense = dense..dense.saturating_add(position(message.dense_count));
        let places = dense.chain(message.sparse.range());
        let fields = places.filter_map(|place| Some((place, self.fields.get(place)?)));
        fields.filter(|(_, field)| field.kind != Kind::Hole)
    }

    /// Whether a closed enum has this number.
    pub(super) fn enum_has(&self, target: u32, number: i32) -> bool {
        let span = self.enums.get(position(target)).copied().unwrap_or_default();
        let ranges = self.numbers.get(span.range()).unwrap_or_default();
        let after = ranges.partition_point(|(first, _)| *first <= number);
        let range = after.checked_sub(1).and_then(|at| ranges.get(at));
        range.is_some_and(|(_, last)| number <= *last)
    }

    /// Whether `message` leaves this number to extensions.
    pub(super) fn leaves_open(&self, message: &Message, number: u32) -> bool {
        let ranges = self.open.get(message.open.range()).unwrap_or_default();
        let after = ranges.partition_point(|(first, _)| *first <= number);
        let range = after.checked_sub(1).and_then(|at| ranges.get(at));
        range.is_some_and(|(_, last)| number <= *last)
    }

    /// The messages that are declared in a message, in its order.
    pub(super) fn nested(&self, id: u32) -> &[MessageId] {
        let nested = self.message(id).and_then(|message| self.nested.get(message.nested.range()));
        nested.unwrap_or_default()
    }

    pub(super) fn is_map_entry(&self, id: u32) -> bool {
        self.message(id).is_some_and(|message| message.map_entry)
    }
}

impl Span {
    fn range(self) -> Range<usize> {
        position(self.start)..position(self.end)
    }
}

/// What things are called, for messages: parallel to the tables.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) messages: Vec<Box<str>>,
    pub(super) fields: Vec<Box<str>>,
    pub(super) ids: HashMap<Box<str>, MessageId>,
}

impl Names {
    pub(super) fn message(&self, id: u32) -> &str {
        self.messages.get(position(id)).map_or("", |name| name)
    }

    pub(super) fn field(&self, place: usize) -> &str {
        self.fields.get(place).map_or("", |name| name)
    }

    pub(super) fn find(&self, name: &str) -> Option<MessageId> {
        self.ids.get(name).copied()
    }
}

#[inline]
pub(super) fn position(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
