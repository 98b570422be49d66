//! The check of one datum against the schema that it claims.

use std::io::Read;

use super::{
    claim::{Claim, Datum},
    metadata::Encoding,
    verdict::Rejection,
};
use crate::{avro::AvroSchema, datum::DatumFault, reason::Reason, schema::Schema};

/// Whether somebody will read what is wrong with a datum: finding the words takes far longer than finding the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// Nobody will: a fault has no words.
    Spared,
    /// Somebody will.
    Wanted,
}

/// Checks that `datum` is exactly one datum of `schema`, encoded as `claim` says. Decompressed, it may have `most` bytes.
///
/// # Errors
/// A [`Rejection`] that says what is wrong and where, counted from where the datum begins.
#[inline]
pub fn check(
    schema: &Schema,
    claim: &Claim<'_>,
    datum: Datum<'_>,
    words: Words,
    most: usize,
) -> Result<(), Rejection> {
    match datum {
        Datum::Plain(bytes) => check_plain(schema, claim, bytes, words),
        Datum::Zlib(stream) => check_zlib(schema, claim, stream, words, most),
    }
}

/// What had to be decompressed is held only while it is checked: there are never more of them than threads.
#[inline(never)]
fn check_zlib(
    schema: &Schema,
    claim: &Claim<'_>,
    stream: &[u8],
    words: Words,
    most: usize,
) -> Result<(), Rejection> {
    let datum = inflate(stream, most).map_err(|detail| {
        Rejection::new(Reason::PayloadInvalid, format!("the zlib stream {detail}"))
    })?;
    check_plain(schema, claim, &datum, words)
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

fn check_plain(
    schema: &Schema,
    claim: &Claim<'_>,
    datum: &[u8],
    words: Words,
) -> Result<(), Rejection> {
    match schema {
        Schema::Avro(avro) => check_avro(avro, claim.encoding, datum, words),
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

const fn datum_reason(fault: DatumFault) -> Reason {
    match fault {
        DatumFault::Invalid => Reason::PayloadInvalid,
        DatumFault::TrailingBytes => Reason::PayloadTrailingBytes,
    }
}
