//! Protocol Buffers: `.proto` documents, bounded and parsed, compiled once into tables that check bytes on the wire without
//! building values.
//!
//! | Step | File |
//! |---|---|
//! | document → bounds → descriptor, with what it imports | `bounds.rs`, `documents.rs`, parsed by protox |
//! | descriptor → clean descriptor | `clean.rs` |
//! | clean descriptors → linked ones | prost-reflect |
//! | linked descriptors → tables | `compile.rs` → `program.rs` |
//! | datum → yes or no, then why | `walk.rs` over `wire.rs`, then `explain.rs` |
//! | broken promise → path and message | `fault.rs`, `datum.rs` |
//!
//! What the specification leaves to parsers, and what is made of it here. "Encoding" and "Language Guide" are pages of
//! <https://protobuf.dev/programming-guides/>.
//!
//! | Question | Decision | Place |
//! |---|---|---|
//! | field number that the message does not have | [`UnknownFields`]: by default no datum of the schema, because who writes with a newer schema names that one | Language Guide, "Unknown Fields" |
//! | the same, in a range that the message declares for extensions | accepted: the schema itself leaves it to others | Language Guide (proto2), "Extensions" |
//! | number of a closed (proto2) enum that it does not list | like an unknown field, and no value for a required one | "Enum Behavior", "Definitions of Open and Closed Enums" |
//! | number of an open (proto3) enum that it does not list | accepted, within 32 bits | "Enum Behavior" |
//! | known field with another wire type than its own | no datum, whatever `UnknownFields` says: the writer had another schema | Encoding, "Message Structure" |
//! | repeated scalars, packed or one by one | both, whatever the schema says | Encoding, "Packed Repeated Fields" |
//! | singular field that comes more than once | accepted: the last one counts | Encoding, "Last One Wins" |
//! | several fields of one oneof | accepted: the last one counts | Language Guide, "Oneof Features" |
//! | required fields of a submessage that comes in parts | each part must have all of them; no encoder splits them | Encoding, "Last One Wins" |
//! | map entry without key or value | accepted as their defaults, unless the default lacks a required field | Encoding, "Maps" |
//! | varint with more bytes than its value needs | accepted, up to 10 bytes and 64 bits; tags and lengths up to 5 bytes and 32 bits: encoders reserve room for them | Encoding, "Base 128 Varints" |
//! | int32, uint32, sint32, enum with more than 32 bits | no datum: a parser would cut a value that nobody wrote. A negative int32 has ten bytes | Encoding, "Signed Integers" |
//! | bool other than 0 and 1 | no datum | Encoding, "More Integer Types" |
//! | string that is not UTF-8 | no datum, in proto2 as in proto3 | Language Guide, "Scalar Value Types" |
//! | field number 0, wire types 6 and 7, groups that do not match | no datum | Encoding, "Message Structure", "Groups" |
//! | nesting | 100 levels below the message itself (submessages, groups, map entries), as in Google's own parsers | API reference, `CodedInputStream` |
//! | no bytes at all | a datum, unless a field is required | Encoding, "Optional and Repeated Elements" |
//! | bytes of an `Any` | not looked into: what is in them is named by the datum | `google/protobuf/any.proto` |
//!
//! Schemas: proto2 and proto3, with groups and extensions; not editions and not message sets. Options are not read, but for
//! `allow_alias`: they say nothing about bytes. Imports are found among the given documents and those that every
//! compiler knows (`google/protobuf/*.proto`, and those of `google/type` and `confluent` that Confluent's serializers assume). Nothing is opened or fetched.

mod bounds;
mod clean;
mod compile;
mod documents;
mod explain;
mod fault;
mod program;
mod walk;
mod well_known;
mod wire;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod schema_rules;
#[cfg(test)]
mod schemas;

use crate::{
    datum::{DatumError, DatumFault, SchemaFault},
    limits::SchemaLimits,
    text::shown,
};
use fault::Fault;
use program::{Names, Program, position};
use prost_reflect::DescriptorPool;

/// What to make of fields that the message does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownFields {
    /// Their bytes are passed over.
    Allow,
    /// They make it no datum of the schema.
    #[default]
    Reject,
}

/// A message of one [`ProtobufSchema`]. With another one it means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId(u32);

/// A schema of Protocol Buffers, compiled.
#[derive(Debug)]
pub struct ProtobufSchema {
    program: Program,
    names: Names,
    /// Top-level messages of the document itself, in its order; never empty.
    top: Vec<MessageId>,
}

impl ProtobufSchema {
    /// Parses and compiles the document `text`: `.proto` source, or a descriptor of it in base64, as registries give it for
    /// `?format=serialized`. `references` are the documents that it imports, by the path that it imports them by.
    ///
    /// # Errors
    /// [`SchemaFault`] when a document is past a bound, cannot be read, or declares no message.
    pub fn parse(
        text: &str,
        references: &[(&str, &str)],
        limits: &SchemaLimits,
    ) -> Result<Self, SchemaFault> {
        let loaded = documents::load(text, references, limits)?;
        let mut pool = DescriptorPool::new();
        pool.add_file_descriptor_protos(loaded.files).map_err(|error| {
            let detail = shown(error.to_string().as_bytes());
            SchemaFault::new(format!("no Protobuf schema: {detail}"))
        })?;
        let (program, names) = compile::compile(&pool)?;
        let top: Vec<MessageId> = match pool.get_file_by_name(&loaded.main) {
            Some(file) => file.messages().filter_map(|it| names.find(it.full_name())).collect(),
            None => Vec::new(),
        };
        if top.is_empty() {
            return Err(SchemaFault::new("the document declares no message".to_owned()));
        }
        Ok(Self { program, names, top })
    }

    /// The first message of the document: what index list `[0]` means.
    #[must_use]
    pub fn root(&self) -> MessageId {
        self.top.first().copied().unwrap_or(MessageId(0))
    }

    /// The message with this full name, of the document or of one that it imports.
    #[must_use]
    pub fn message_by_name(&self, name: &str) -> Option<MessageId> {
        self.sendable(self.names.find(name)?)
    }

    /// The full name of a message.
    #[must_use]
    pub fn name(&self, message: MessageId) -> &str {
        self.names.message(message.0)
    }

    /// The message that Confluent's framing means by `indexes`: a position among the top-level messages of the document,
    /// then among the messages nested in that one, and so on, as the descriptor counts them.
    #[must_use]
    pub fn message_by_indexes(&self, indexes: &[u32]) -> Option<MessageId> {
        let (first, inner) = indexes.split_first()?;
        let mut found = *self.top.get(position(*first))?;
        for index in inner {
            found = self.nested(found, u64::from(*index))?;
        }
        self.sendable(found)
    }

    /// Reads the index list that Confluent's serializers put between schema id and datum: the message that it means and the
    /// bytes behind it. `None` if the list is broken, or means no message.
    ///
    /// A zigzag varint with the number of indexes, then each of them as one; `[0]` is written as a single zero byte.
    #[must_use]
    pub fn read_message_indexes<'a>(&self, bytes: &'a [u8]) -> Option<(MessageId, &'a [u8])> {
        let (count, mut rest) = wire::index(bytes)?;
        if count == 0 {
            return Some((self.root(), rest));
        }
        let mut found = None;
        // An index that leads nowhere ends it: no more are read than messages nest.
        for _ in 0..count {
            let (index, tail) = wire::index(rest)?;
            rest = tail;
            found = Some(match found {
                None => *self.top.get(usize::try_from(index).ok()?)?,
                Some(outer) => self.nested(outer, index)?,
            });
        }
        Some((self.sendable(found?)?, rest))
    }

    fn nested(&self, outer: MessageId, index: u64) -> Option<MessageId> {
        self.program.nested(outer.0).get(usize::try_from(index).ok()?).copied()
    }

    /// Entries of maps have a place in the list, but are no messages that anybody sends.
    fn sendable(&self, found: MessageId) -> Option<MessageId> {
        (!self.program.is_map_entry(found.0)).then_some(found)
    }

    /// Checks that `datum` is exactly one datum of `message`.
    ///
    /// # Errors
    /// [`DatumError`] that names path, byte offset, what was expected and what was found.
    pub fn check(
        &self,
        message: MessageId,
        unknown: UnknownFields,
        datum: &[u8],
    ) -> Result<(), Box<DatumError>> {
        match walk::walk(&self.program, message.0, unknown, datum) {
            Some(()) => Ok(()),
            None => Err(self.why_not(message, unknown, datum)),
        }
    }

    /// Which promise `datum` breaks as a datum of `message`. Like [`ProtobufSchema::check`] without the words: these are only
    /// for what somebody will read.
    #[must_use]
    pub fn fault(
        &self,
        message: MessageId,
        unknown: UnknownFields,
        datum: &[u8],
    ) -> Option<DatumFault> {
        let accepted = walk::walk(&self.program, message.0, unknown, datum).is_some();
        (!accepted).then_some(DatumFault::Invalid)
    }

    #[cold]
    fn why_not(&self, message: MessageId, unknown: UnknownFields, datum: &[u8]) -> Box<DatumError> {
        let explained = explain::explain(&self.program, message.0, unknown, datum);
        let fault = match explained {
            Err(fault) => fault,
            // The walks disagree. The strict one counts.
            Ok(()) => Fault::new(datum.len(), "no datum of the schema".to_owned()),
        };
        fault.into_error(&self.names, message.0)
    }
}
