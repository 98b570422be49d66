//! The check of one datum against the schema that it claims.

use std::io::Read;

use super::{
    claim::{Datum, Form, MessageName},
    metadata::Encoding,
    verdict::Rejection,
};
use crate::{
    avro::AvroSchema,
    datum::DatumFault,
    json_schema::JsonSchema,
    protobuf::{MessageId, ProtobufSchema, UnknownFields},
    reason::Reason,
    schema::{Compiled, Schema},
    text::shown,
};

/// Whether somebody will read what is wrong with a datum: finding the words takes far longer than finding the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// Nobody will: a fault has no words.
    Spared,
    /// Somebody will.
    Wanted,
}

/// How a datum is to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Whether somebody will read what is wrong.
    pub words: Words,
    /// What becomes of fields that a message in Protocol Buffers has and its schema has not.
    pub unknown_fields: UnknownFields,
    /// Bytes that it may have when decompressed.
    pub max_inflated_bytes: usize,
}

/// Checks that `datum` is exactly one datum of `schema`, encoded as `form` says.
///
/// # Errors
/// A [`Rejection`] that says what is wrong and where, counted from where the datum begins.
#[inline]
pub fn check(
    schema: &Schema,
    form: Form<'_>,
    datum: Datum<'_>,
    terms: Terms,
) -> Result<(), Rejection> {
    match datum {
        Datum::Plain(bytes) => check_plain(schema, form, bytes, terms),
        Datum::Zlib(stream) => check_zlib(schema, form, stream, terms),
    }
}

/// What had to be decompressed is held only while it is checked: there are never more of them than threads.
#[inline(never)]
fn check_zlib(
    schema: &Schema,
    form: Form<'_>,
    stream: &[u8],
    terms: Terms,
) -> Result<(), Rejection> {
    let datum = inflate(stream, terms.max_inflated_bytes).map_err(|detail| {
        Rejection::new(Reason::PayloadInvalid, format!("the zlib stream {detail}"))
    })?;
    check_plain(schema, form, &datum, terms)
}

/// All that one zlib stream (RFC 1950) holds, which has to be used to its last byte.
fn inflate(stream: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let mut datum = Vec::new();
    let mut decoder = flate2::bufread::ZlibDecoder::new(stream);
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = (&mut decoder).take(limit).read_to_end(&mut datum);
    match read {
        Ok(_) if datum.len() > most => Err(format!("holds more than {most} bytes")),
        Ok(_) if decoder.total_in() != u64::try_from(stream.len()).unwrap_or(u64::MAX) => {
            Err("has bytes behind its end".to_owned())
        }
        Ok(_) => Ok(datum),
        Err(_) => Err("is damaged".to_owned()),
    }
}

#[inline]
fn check_plain(
    schema: &Schema,
    form: Form<'_>,
    datum: &[u8],
    terms: Terms,
) -> Result<(), Rejection> {
    match schema.compiled() {
        Compiled::Avro(avro) => check_avro(avro, form.encoding, datum, terms.words),
        Compiled::Json(json) => check_json(json, form.encoding, datum, terms.words),
        Compiled::Protobuf(protobuf) => check_protobuf(protobuf, form, datum, terms),
    }
}

fn check_avro(
    avro: &AvroSchema,
    encoding: Encoding,
    value: &[u8],
    words: Words,
) -> Result<(), Rejection> {
    let checked = match (encoding, words) {
        (Encoding::Avro | Encoding::OfSchema, Words::Wanted) => avro.check_binary(value),
        (Encoding::Avro | Encoding::OfSchema, Words::Spared) => {
            let rejection = |fault| Err(Rejection::new(datum_reason(fault), String::new()));
            return avro.fault_in_binary(value).map_or(Ok(()), rejection);
        }
        (Encoding::AvroJson | Encoding::Json, _) => avro.check_json(value),
        (Encoding::Protobuf, _) => {
            let detail = "the content type is protobuf but the schema is an Avro one";
            return Err(Rejection::new(Reason::ConflictingMetadata, detail));
        }
    };
    checked.map_err(|error| Rejection::new(datum_reason(error.fault), error.to_string()))
}

fn check_json(
    json: &JsonSchema,
    encoding: Encoding,
    value: &[u8],
    words: Words,
) -> Result<(), Rejection> {
    if !matches!(encoding, Encoding::Json | Encoding::OfSchema) {
        let detail = "the schema is a JSON Schema but the content type is not json";
        return Err(Rejection::new(Reason::ConflictingMetadata, detail));
    }
    if words == Words::Spared {
        let rejection = |fault| Err(Rejection::new(datum_reason(fault), String::new()));
        return json.fault(value).map_or(Ok(()), rejection);
    }
    let checked = json.check(value);
    checked.map_err(|error| Rejection::new(datum_reason(error.fault), error.to_string()))
}

#[inline(never)]
fn check_protobuf(
    protobuf: &ProtobufSchema,
    form: Form<'_>,
    datum: &[u8],
    terms: Terms,
) -> Result<(), Rejection> {
    if !matches!(form.encoding, Encoding::Protobuf | Encoding::OfSchema) {
        let detail = "the content type is not protobuf but the schema is a Protobuf one";
        return Err(Rejection::new(Reason::ConflictingMetadata, detail));
    }
    let (message, datum) = message(protobuf, form.message, datum)?;
    let unknown = terms.unknown_fields;
    if terms.words == Words::Spared {
        let rejection = |fault| Err(Rejection::new(datum_reason(fault), String::new()));
        return protobuf.fault(message, unknown, datum).map_or(Ok(()), rejection);
    }
    let checked = protobuf.check(message, unknown, datum);
    checked.map_err(|error| Rejection::new(datum_reason(error.fault), error.to_string()))
}

/// Which message a datum is, and where it begins.
fn message<'d>(
    protobuf: &ProtobufSchema,
    name: MessageName<'_>,
    datum: &'d [u8],
) -> Result<(MessageId, &'d [u8]), Rejection> {
    let malformed = |detail: String| Rejection::new(Reason::MalformedSchemaId, detail);
    let no_list = || malformed("the message indexes cannot be read, or lead nowhere".to_owned());
    match name {
        MessageName::First | MessageName::Indexes([]) => Ok((protobuf.root(), datum)),
        MessageName::Full(name) => {
            let found = std::str::from_utf8(name).ok().and_then(|it| protobuf.message_by_name(it));
            let absent = || malformed(format!("the schema has no message \"{}\"", shown(name)));
            Ok((found.ok_or_else(absent)?, datum))
        }
        MessageName::IndexesBefore => protobuf.read_message_indexes(datum).ok_or_else(no_list),
        MessageName::Indexes(list) => match protobuf.read_message_indexes(list) {
            Some((message, [])) => Ok((message, datum)),
            _ => Err(no_list()),
        },
        MessageName::Unread => {
            let detail = "which message it is cannot be read by this convention";
            Err(Rejection::new(Reason::UnsupportedContentType, detail))
        }
    }
}

const fn datum_reason(fault: DatumFault) -> Reason {
    match fault {
        DatumFault::Invalid => Reason::PayloadInvalid,
        DatumFault::TrailingBytes => Reason::PayloadTrailingBytes,
    }
}
