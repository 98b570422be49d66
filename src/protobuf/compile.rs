//! Compiles linked descriptors into the tables of [`Program`].

use super::MessageId;
use super::program::{
    Field, Kind, Message, NARROW, NO_WIRE_TYPE, Names, Program, Span, WIDE, position,
};
use crate::datum::{SchemaFault, cut};
use prost_reflect::{Cardinality, DescriptorPool, EnumDescriptor, MessageDescriptor, Syntax};
use std::collections::HashMap;

/// Compiles all messages of `pool`.
pub(super) fn compile(pool: &DescriptorPool) -> Result<(Program, Names), SchemaFault> {
    let mut compiler = Compiler::new(pool);
    for message in pool.all_messages() {
        compiler.message(&message)?;
    }
    let Compiler { mut program, names, required_values, .. } = compiler;
    // Known only now: an entry without a value has an empty one.
    for (entry, place) in required_values {
        let target = program.fields.get(place).map_or(0, |field| field.target);
        if program.message(target).is_some_and(|value| value.required > 0)
            && let Some(entry) = program.messages.get_mut(entry)
            && let Some(value) = program.fields.get_mut(place)
        {
            (entry.required, value.slot) = (1, 0);
        }
    }
    Ok((program, names))
}

const HOLE: Field =
    Field { number: 0, target: 0, slot: 0, kind: Kind::Hole, wire: NO_WIRE_TYPE, repeated: false };

struct Compiler {
    program: Program,
    names: Names,
    /// Closed enums that have a place already.
    enums: HashMap<Box<str>, u32>,
    /// Map entries, and the places of their values, if these are messages.
    required_values: Vec<(usize, usize)>,
}

impl Compiler {
    fn new(pool: &DescriptorPool) -> Self {
        let mut names = Names::default();
        for (index, message) in (0..).zip(pool.all_messages()) {
            names.messages.push(message.full_name().into());
            names.ids.insert(message.full_name().into(), MessageId(index));
        }
        let program = Program::default();
        Self { program, names, enums: HashMap::new(), required_values: Vec::new() }
    }

    fn message(&mut self, message: &MessageDescriptor) -> Result<(), SchemaFault> {
        let fields =
            self.fields(message).map_err(|fault| fault.within(&cut(message.full_name())))?;
        let mut required = 0_u16;
        let count = fields.iter().filter(|(_, _, required)| *required).count();
        // The last slot is taken.
        let slots = if count < usize::from(NARROW) { NARROW } else { WIDE };
        if count >= usize::from(slots) {
            let detail = format!("{count} required fields, at most {} are taken", WIDE - 1);
            return Err(SchemaFault::new(detail).within(&cut(message.full_name())));
        }
        let (dense, dense_count) = (self.program.fields.len(), dense_count(&fields));
        self.program.fields.resize(dense.saturating_add(dense_count), HOLE);
        self.names.fields.resize(dense.saturating_add(dense_count), Box::default());
        let sparse = self.program.fields.len();
        for (mut field, name, is_required) in fields {
            field.slot = slots - 1;
            if is_required {
                (field.slot, required) = (required, required + 1);
            }
            let index = position(field.number).wrapping_sub(1);
            if index < dense_count {
                let place = dense.saturating_add(index);
                if let Some(hole) = self.program.fields.get_mut(place) {
                    *hole = field;
                }
                if let Some(hole) = self.names.fields.get_mut(place) {
                    *hole = name;
                }
            } else {
                self.program.fields.push(field);
                self.names.fields.push(name);
            }
        }
        let (open, nested) = (self.open(message)?, self.nested(message)?);
        let map_entry = message.is_map_entry();
        if map_entry {
            self.map_entry(message, dense)?;
        }
        self.program.messages.push(Message {
            dense: place(dense)?,
            dense_count: place(dense_count)?,
            sparse: since(sparse, &self.program.fields)?,
            required,
            open,
            nested,
            map_entry,
        });
        Ok(())
    }

    /// Fields and extensions of a message, with their names and whether they are required, sorted by number.
    fn fields(
        &mut self,
        message: &MessageDescriptor,
    ) -> Result<Vec<(Field, Box<str>, bool)>, SchemaFault> {
        let mut fields = Vec::with_capacity(message.fields().len());
        for field in message.fields() {
            let required = field.cardinality() == Cardinality::Required;
            let field_names = field.name().into();
            let repeated = field.cardinality() == Cardinality::Repeated;
            let compiled = self.field(field.number(), &field.kind(), field.is_group(), repeated)?;
            fields.push((compiled, field_names, required));
        }
        for extension in message.extensions() {
            let repeated = extension.cardinality() == Cardinality::Repeated;
            let (number, kind) = (extension.number(), extension.kind());
            let compiled = self.field(number, &kind, extension.is_group(), repeated)?;
            fields.push((compiled, format!("[{}]", extension.full_name()).into(), false));
        }
        fields.sort_by_key(|(field, _, _)| field.number);
        let mut pairs = fields.iter().zip(fields.iter().skip(1));
        if let Some(((field, ..), _)) = pairs.find(|(one, two)| one.0.number == two.0.number) {
            return Err(SchemaFault::new(format!("field number {} is given twice", field.number)));
        }
        Ok(fields)
    }

    fn field(
        &mut self,
        number: u32,
        kind: &prost_reflect::Kind,
        group: bool,
        repeated: bool,
    ) -> Result<Field, SchemaFault> {
        use prost_reflect::Kind as Theirs;
        let mut target = 0;
        let kind = match kind {
            Theirs::Bool => Kind::Bool,
            Theirs::Bytes => Kind::Bytes,
            Theirs::Double => Kind::Double,
            Theirs::Enum(numbers) if is_closed(numbers) => {
                target = self.closed_enum(numbers)?;
                Kind::ClosedEnum
            }
            Theirs::Enum(_) => Kind::OpenEnum,
            Theirs::Fixed32 => Kind::Fixed32,
            Theirs::Fixed64 => Kind::Fixed64,
            Theirs::Float => Kind::Float,
            Theirs::Int32 => Kind::Int32,
            Theirs::Int64 => Kind::Int64,
            Theirs::Message(message) => {
                let found = self.names.find(message.full_name());
                target = found.map(|id| id.0).ok_or_else(too_large)?;
                if group { Kind::Group } else { Kind::Message }
            }
            Theirs::Sfixed32 => Kind::Sfixed32,
            Theirs::Sfixed64 => Kind::Sfixed64,
            Theirs::Sint32 => Kind::Sint32,
            Theirs::Sint64 => Kind::Sint64,
            Theirs::String => Kind::String,
            Theirs::Uint32 => Kind::Uint32,
            Theirs::Uint64 => Kind::Uint64,
        };
        let wire = if kind == Kind::ClosedEnum { NO_WIRE_TYPE } else { kind.wire() };
        Ok(Field { number, target, slot: 0, kind, wire, repeated })
    }

    fn closed_enum(&mut self, descriptor: &EnumDescriptor) -> Result<u32, SchemaFault> {
        if let Some(known) = self.enums.get(descriptor.full_name()) {
            return Ok(*known);
        }
        let mut numbers: Vec<i32> = descriptor.values().map(|value| value.number()).collect();
        numbers.sort_unstable();
        let start = self.program.numbers.len();
        for number in numbers {
            match self.program.numbers.get_mut(start..).unwrap_or_default() {
                [.., (_, last)] if number == *last || Some(number) == last.checked_add(1) => {
                    *last = number;
                }
                _ => self.program.numbers.push((number, number)),
            }
        }
        let target = place(self.program.enums.len())?;
        self.program.enums.push(since(start, &self.program.numbers)?);
        self.enums.insert(descriptor.full_name().into(), target);
        Ok(target)
    }

    fn open(&mut self, message: &MessageDescriptor) -> Result<Span, SchemaFault> {
        let start = self.program.open.len();
        let ranges = message.extension_ranges().filter(|range| range.start < range.end);
        let ranges = ranges.map(|range| (range.start, range.end.saturating_sub(1)));
        let mut ranges: Vec<_> = ranges.collect();
        ranges.sort_unstable();
        self.program.open.extend(ranges);
        since(start, &self.program.open)
    }

    fn nested(&mut self, message: &MessageDescriptor) -> Result<Span, SchemaFault> {
        let start = self.program.nested.len();
        for inner in message.child_messages() {
            let id = self.names.find(inner.full_name()).ok_or_else(too_large)?;
            self.program.nested.push(id);
        }
        since(start, &self.program.nested)
    }

    /// Map entries are written by compilers; one that a hostile descriptor has may be anything.
    fn map_entry(&mut self, message: &MessageDescriptor, dense: usize) -> Result<(), SchemaFault> {
        let fields = self.program.fields.get(dense..).unwrap_or_default();
        let [key, value] = fields else {
            return Err(no_map_entry(message));
        };
        let plain = |field: &Field| field.kind != Kind::Hole && !field.repeated;
        if !plain(key) || !plain(value) || !key.kind.is_map_key() || value.kind == Kind::Group {
            return Err(no_map_entry(message));
        }
        if value.kind == Kind::Message {
            self.required_values.push((self.program.messages.len(), dense.saturating_add(1)));
        }
        Ok(())
    }
}

fn no_map_entry(message: &MessageDescriptor) -> SchemaFault {
    let detail = "a map has a key of integers, bools or strings, and a value that is no map";
    SchemaFault::new(detail.to_owned()).within(&cut(message.full_name()))
}

/// How many numbers from 1 on get a place each: as long as at least a quarter of the places is taken.
fn dense_count(fields: &[(Field, Box<str>, bool)]) -> usize {
    let mut dense = 0;
    for (taken, (field, ..)) in (1_usize..).zip(fields) {
        let number = position(field.number);
        if number <= taken.saturating_mul(4).max(16) {
            dense = number;
        }
    }
    dense
}

fn is_closed(descriptor: &EnumDescriptor) -> bool {
    descriptor.parent_file().syntax() == Syntax::Proto2
}

fn too_large() -> SchemaFault {
    SchemaFault::new("schema is too large to compile".to_owned())
}

fn place(index: usize) -> Result<u32, SchemaFault> {
    u32::try_from(index).map_err(|_| too_large())
}

/// What a list has got since it was `start` long.
fn since<T>(start: usize, list: &[T]) -> Result<Span, SchemaFault> {
    Ok(Span { start: place(start)?, end: place(list.len())? })
}
