//! What a record claims about the schema of its value or key: read from its headers, or from the bytes before the datum.
//!
//! | Convention | Reference | Encoding | Datum |
//! |---|---|---|---|
//! | headers | URL, path or id as text | content type | all bytes |
//! | Confluent's header or prefix | `00` and an id (int32), `01` and a GUID | the schema's | all bytes, or those behind the prefix |
//! | Apicurio's headers | global id or content id (int64), hash, or group, artifact and version | `BINARY`, `JSON` or the schema's | all bytes |
//! | Apicurio's prefixes | `00` and a content id (int32) or a global id (int64) | the schema's | those behind it |
//! | Azure | the id behind `avro/binary+`, or in `schemaId` | Avro, or the content type | all bytes |
//! | `CloudEvents` | URL, path or id as text | content type | all bytes |
//! | Glue's prefix | `03`, compression, UUID | the schema's | those behind it, decompressed |
//! | single object | `C3 01` and a fingerprint (uint64, little endian) | Avro | those behind it |

use super::{
    convention::{Convention, Conventions},
    metadata::{Encoding, Fact, Facts, NameTable, Side, What},
    verdict::Rejection,
};
use crate::{
    reason::Reason,
    schema::{ArtifactVersion, Guid, ReferenceError, References, RegistryKey, SchemaId, SchemaRef},
    text::shown,
};

/// How the bytes that name a schema are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Notation {
    /// Three texts: group, artifact and version.
    Artifact,
    /// 32 hexadecimal digits.
    Azure,
    /// `00` and an int32, or `01` and 16 bytes.
    Confluent,
    /// A hash, as text.
    ContentHash,
    /// An int64.
    ContentId,
    /// An int32.
    ShortContentId,
    /// A uint64, little endian.
    Fingerprint,
    /// An int64.
    GlobalId,
    /// 16 bytes.
    Uuid,
    /// URL, path or id. A fragment of it names a message and is no part of it.
    #[default]
    Text,
}

/// The bytes that name a schema. Whoever writes the same means the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written<'r> {
    /// How they are to be read.
    pub notation: Notation,
    /// One, or with [`Notation::Artifact`] three; the others are empty.
    pub parts: [&'r [u8]; 3],
}

/// Which message of a schema in Protocol Buffers a datum is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageName<'r> {
    /// The first of the file.
    First,
    /// The one of this full name.
    Full(&'r [u8]),
    /// Confluent's list of indexes stands before the datum.
    IndexesBefore,
    /// This is Confluent's list of indexes; empty, it is that of the first message.
    Indexes(&'r [u8]),
    /// The convention says it in a way that is not read.
    Unread,
}

/// What a record claims about the schema of its value or key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'r> {
    /// Which schema.
    pub written: Written<'r>,
    /// How the datum is encoded.
    pub encoding: Encoding,
    /// Which message of the schema it is.
    pub message: MessageName<'r>,
}

/// How the bytes of a datum are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form<'r> {
    /// How it is encoded.
    pub encoding: Encoding,
    /// Which message of the schema it is.
    pub message: MessageName<'r>,
}

/// The bytes that are to be one datum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datum<'r> {
    /// As they are.
    Plain(&'r [u8]),
    /// When decompressed.
    Zlib(&'r [u8]),
}

impl<'r> Written<'r> {
    const fn one(notation: Notation, bytes: &'r [u8]) -> Self {
        Self { notation, parts: [bytes, &[], &[]] }
    }

    /// The schema that they name.
    ///
    /// # Errors
    /// [`ReferenceError`] when they name none, or one that may not be asked for.
    pub fn reference(&self, references: &References) -> Result<SchemaRef, ReferenceError> {
        let [bytes, artifact, version] = self.parts;
        let key = match self.notation {
            Notation::Text => return references.parse(bytes),
            Notation::Azure => text(bytes).and_then(Guid::parse).map(RegistryKey::Guid),
            Notation::Confluent => match bytes {
                [0, id @ ..] => short(id).and_then(SchemaId::new).map(RegistryKey::Id),
                [1, guid @ ..] => guid.try_into().ok().map(|it| RegistryKey::Guid(Guid(it))),
                _ => None,
            },
            Notation::ContentId => long(bytes).map(RegistryKey::ContentId),
            Notation::ShortContentId => short(bytes).map(|it| RegistryKey::ContentId(it.into())),
            Notation::GlobalId => long(bytes).map(RegistryKey::GlobalId),
            Notation::Fingerprint => {
                bytes.try_into().ok().map(u64::from_le_bytes).map(RegistryKey::Fingerprint)
            }
            Notation::Uuid => bytes.try_into().ok().map(|it| RegistryKey::Guid(Guid(it))),
            Notation::ContentHash => name(bytes).map(RegistryKey::ContentHash),
            Notation::Artifact => artifact_version(bytes, artifact, version),
        };
        references.registered(key.ok_or_else(|| self.malformed())?)
    }

    #[cold]
    fn malformed(&self) -> ReferenceError {
        let [bytes, ..] = self.parts;
        let text = match self.notation {
            Notation::Artifact => self.parts.join(&b'/'),
            _ => hexadecimal(bytes),
        };
        let detail = format!("schema id \"{}\" cannot be read", shown(&text));
        ReferenceError::Malformed { detail }
    }
}

/// An id is a Java `int` or `long` that is not negative.
fn short(bytes: &[u8]) -> Option<i32> {
    bytes.try_into().ok().map(i32::from_be_bytes).filter(|id| *id >= 0)
}

fn long(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_be_bytes).filter(|id| *id >= 0)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A text that can be a segment of a path.
fn name(bytes: &[u8]) -> Option<std::sync::Arc<str>> {
    let text = text(bytes).filter(|text| !matches!(*text, "" | "." | ".."))?;
    let sound = text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control);
    sound.then(|| text.into())
}

fn artifact_version(group: &[u8], artifact: &[u8], version: &[u8]) -> Option<RegistryKey> {
    let group = if group.is_empty() { "default".into() } else { name(group)? };
    let (artifact, version) = (name(artifact)?, name(version)?);
    Some(RegistryKey::Artifact(ArtifactVersion { group, artifact, version }))
}

/// Bytes as text where they are some, and else in digits.
fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic) {
        return bytes.to_vec();
    }
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

/// Bytes of one name of a group, artifact, version or hash.
const MAX_NAME_BYTES: usize = 512;

/// Where claims are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// What the topic accepts.
    pub conventions: &'a Conventions,
    /// Under which names.
    pub names: &'a NameTable,
    /// In which part of the record.
    pub side: Side,
}

impl Reader<'_> {
    /// The claim of the product's own convention, which has to be there.
    ///
    /// # Errors
    /// A [`Rejection`] where it is missing, contradicts itself or is not understood.
    #[inline]
    pub fn own<'r>(&self, facts: Facts<'_, 'r>) -> Result<Claim<'r>, Rejection> {
        let encoding = self.content_type(facts)?;
        let header = match facts.get(self.side, What::SchemaId) {
            Fact::Value(header) => header,
            Fact::Missing | Fact::Null => return Err(self.missing_reference(What::SchemaId)),
            Fact::Conflict => return Err(conflict("the schema reference")),
        };
        Ok(Claim::of_text(header, encoding))
    }

    /// What the headers claim, in the order of the conventions: nothing where they say nothing by any of them.
    ///
    /// # Errors
    /// A [`Rejection`] where they contradict themselves or are not understood.
    pub fn in_headers<'r>(&self, facts: Facts<'_, 'r>) -> Result<Claims<'r>, Rejection> {
        let mut claims = Claims::default();
        for convention in &self.conventions.headers {
            let claim = match convention {
                Convention::ApicurioHeaders => {
                    self.apicurio(facts, &mut claims)?;
                    None
                }
                Convention::Azure => self.azure(facts)?,
                Convention::CloudEvents => self.text(What::DataSchema, facts)?,
                Convention::ConfluentHeaders => self.confluent(facts)?,
                Convention::Headers => self.text(What::SchemaId, facts)?,
                _ => None,
            };
            claim.into_iter().for_each(|claim| claims.add(claim));
        }
        Ok(claims)
    }

    /// What is missing where neither headers nor prefix say anything.
    #[cold]
    pub fn nothing(&self, facts: Facts<'_, '_>) -> Rejection {
        match self.conventions.headers.first() {
            Some(Convention::Headers) => {
                let missing = || self.missing_reference(What::SchemaId);
                self.content_type(facts).map_or_else(|rejection| rejection, |_| missing())
            }
            Some(Convention::ApicurioHeaders) => self.missing_reference(What::GlobalId),
            Some(Convention::Azure) => self.missing_reference(What::AzureId),
            Some(Convention::CloudEvents) => self.missing_reference(What::DataSchema),
            Some(Convention::ConfluentHeaders) => self.missing_reference(What::ConfluentId),
            _ => Rejection::new(Reason::MissingSchemaId, "no schema reference"),
        }
    }

    fn text<'r>(&self, what: What, facts: Facts<'_, 'r>) -> Result<Option<Claim<'r>>, Rejection> {
        let Some(header) = self.value(facts, what, "the schema reference")? else {
            return Ok(None);
        };
        Ok(Some(Claim::of_text(header, self.content_type(facts)?)))
    }

    fn confluent<'r>(&self, facts: Facts<'_, 'r>) -> Result<Option<Claim<'r>>, Rejection> {
        let header = self.value(facts, What::ConfluentId, "the schema reference")?;
        let Some(header) = header else { return Ok(None) };
        let (id, indexes) = confluent_id(header).unwrap_or((header, &[]));
        let message = MessageName::Indexes(indexes);
        let written = Written::one(Notation::Confluent, id);
        Ok(Some(Claim { written, encoding: Encoding::OfSchema, message }))
    }

    /// All that name a schema: they have to agree. Group, artifact and version count where they are all there, or alone.
    fn apicurio<'r>(&self, facts: Facts<'_, 'r>, claims: &mut Claims<'r>) -> Result<(), Rejection> {
        let part = |what| self.value(facts, what, "the schema reference");
        let encoding = self.apicurio_encoding(facts)?;
        let message = MessageName::Unread;
        let mut add = |written| claims.add(Claim { written, encoding, message });
        let single = [
            (What::GlobalId, Notation::GlobalId),
            (What::ContentId, Notation::ContentId),
            (What::ContentHash, Notation::ContentHash),
        ];
        let mut named = false;
        for (what, notation) in single {
            if let Some(bytes) = part(what)? {
                add(Written::one(notation, bytes));
                named = true;
            }
        }
        let [group, artifact, version] =
            [part(What::GroupId)?, part(What::ArtifactId)?, part(What::Version)?];
        if let Some(artifact) = artifact.filter(|_| !named || version.is_some()) {
            let parts = [group.unwrap_or_default(), artifact, version.unwrap_or_default()];
            add(Written { notation: Notation::Artifact, parts });
        }
        Ok(())
    }

    fn apicurio_encoding(&self, facts: Facts<'_, '_>) -> Result<Encoding, Rejection> {
        match self.value(facts, What::ApicurioEncoding, "the content type")? {
            None => Ok(Encoding::OfSchema),
            Some(b"BINARY") => Ok(Encoding::Avro),
            Some(b"JSON") => Ok(Encoding::AvroJson),
            Some(other) => {
                let detail = format!("encoding \"{}\" is not understood", shown(other));
                Err(Rejection::new(Reason::UnsupportedContentType, detail))
            }
        }
    }

    fn azure<'r>(&self, facts: Facts<'_, 'r>) -> Result<Option<Claim<'r>>, Rejection> {
        let content_type = self.value(facts, What::ContentType, "the content type")?;
        if let Some(id) = content_type.and_then(behind_avro_binary) {
            let written = Written::one(Notation::Azure, id);
            let (encoding, message) = (Encoding::Avro, MessageName::First);
            return Ok(Some(Claim { written, encoding, message }));
        }
        let id = self.value(facts, What::AzureId, "the schema reference")?;
        let Some(id) = id else { return Ok(None) };
        let encoding = match content_type {
            Some(_) => self.content_type(facts)?,
            None => Encoding::OfSchema,
        };
        let written = Written::one(Notation::Azure, id);
        Ok(Some(Claim { written, encoding, message: MessageName::First }))
    }

    fn value<'r>(
        &self,
        facts: Facts<'_, 'r>,
        what: What,
        called: &str,
    ) -> Result<Option<&'r [u8]>, Rejection> {
        match facts.get(self.side, what) {
            Fact::Value(value) => Ok(Some(value)),
            Fact::Missing | Fact::Null => Ok(None),
            Fact::Conflict => Err(conflict(called)),
        }
    }

    #[inline]
    fn content_type(&self, facts: Facts<'_, '_>) -> Result<Encoding, Rejection> {
        match facts.get(self.side, What::ContentType) {
            Fact::Value(value) => Encoding::parse(value).ok_or_else(|| {
                let detail = format!("content type \"{}\" is not understood", shown(value));
                Rejection::new(Reason::UnsupportedContentType, detail)
            }),
            Fact::Missing | Fact::Null => {
                Err(self.missing(What::ContentType, Reason::MissingContentType))
            }
            Fact::Conflict => Err(conflict("the content type")),
        }
    }

    fn missing_reference(&self, what: What) -> Rejection {
        self.missing(what, Reason::MissingSchemaId)
    }

    #[cold]
    fn missing(&self, what: What, reason: Reason) -> Rejection {
        Rejection::new(reason, format!("no {} header", self.names.shown(self.side, what)))
    }
}

impl<'r> Claim<'r> {
    /// What it says beside the schema.
    #[inline]
    #[must_use]
    pub const fn form(&self) -> Form<'r> {
        Form { encoding: self.encoding, message: self.message }
    }

    #[inline]
    fn of_text(header: &'r [u8], encoding: Encoding) -> Self {
        let message = match encoding {
            Encoding::Protobuf => fragment(header).map_or(MessageName::First, MessageName::Full),
            _ => MessageName::First,
        };
        Self { written: Written::one(Notation::Text, header), encoding, message }
    }
}

/// What stands behind `#`.
fn fragment(header: &[u8]) -> Option<&[u8]> {
    let at = header.iter().position(|byte| *byte == b'#')?;
    header.get(at + 1..).filter(|name| !name.is_empty())
}

/// What the headers of one record claim about one side of it: seldom more than one thing.
#[derive(Debug, Default)]
pub struct Claims<'r> {
    /// One for each convention in headers, and three more of Apicurio's.
    claims: [Option<Claim<'r>>; 8],
}

impl<'r> Claims<'r> {
    fn add(&mut self, claim: Claim<'r>) {
        if let Some(free) = self.claims.iter_mut().find(|it| it.is_none()) {
            *free = Some(claim);
        }
    }

    /// The first, which is the one to judge by.
    #[must_use]
    pub const fn first(&self) -> Option<Claim<'r>> {
        let [first, ..] = self.claims;
        first
    }

    /// Those beside the first that name a schema in other words.
    pub fn others(&self) -> impl Iterator<Item = Claim<'r>> + '_ {
        let first = self.first();
        let others = self.claims.iter().skip(1).flatten().copied();
        others.filter(move |it| Some(it.written) != first.map(|first| first.written))
    }

    /// The only one, if there is one and no other.
    #[must_use]
    pub const fn only(&self) -> Option<Claim<'r>> {
        match self.claims {
            [claim, None, ..] => claim,
            _ => None,
        }
    }

    /// How the datum is encoded: what any of them says.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        let said = self.claims.iter().flatten().map(|claim| claim.encoding);
        said.into_iter().find(|it| *it != Encoding::OfSchema).unwrap_or(Encoding::OfSchema)
    }

    /// Whether they agree about the encoding.
    #[must_use]
    pub fn encodings_agree(&self) -> bool {
        let mut said = None;
        self.claims
            .iter()
            .flatten()
            .filter(|it| it.encoding != Encoding::OfSchema)
            .all(|claim| *said.get_or_insert(claim.encoding) == claim.encoding)
    }
}

/// Takes the prefix of `convention` off a value or key.
///
/// # Errors
/// `missing_schema_id` where it does not begin like that, `malformed_schema_id` where the prefix is not whole.
pub fn unframe(convention: Convention, bytes: &[u8]) -> Result<(Claim<'_>, Datum<'_>), Rejection> {
    let framed = match convention {
        Convention::ApicurioPrefix => numbered(bytes, Notation::ShortContentId, 4),
        Convention::ApicurioPrefix64 => numbered(bytes, Notation::GlobalId, 8),
        Convention::ApicurioPrefixAny => match bytes {
            // What would be a small content id is the upper half of a global id.
            [0, 0, 0, 0, 0, _, _, _, _, ..] => numbered(bytes, Notation::GlobalId, 8),
            _ => numbered(bytes, Notation::ShortContentId, 4),
        },
        Convention::ConfluentPrefix => confluent_id(bytes).map(|(id, datum)| {
            let written = Written::one(Notation::Confluent, id);
            (written, MessageName::IndexesBefore, Datum::Plain(datum))
        }),
        Convention::GluePrefix => glue(bytes),
        _ => match bytes {
            [0xc3, 1, rest @ ..] => rest.split_at_checked(8).map(|(fingerprint, datum)| {
                let written = Written::one(Notation::Fingerprint, fingerprint);
                (written, MessageName::First, Datum::Plain(datum))
            }),
            _ => None,
        },
    };
    let encoding = match convention {
        Convention::SingleObject => Encoding::Avro,
        _ => Encoding::OfSchema,
    };
    match framed {
        Some((written, message, datum)) => Ok((Claim { written, encoding, message }, datum)),
        None => Err(no_prefix(convention, bytes)),
    }
}

type Framed<'r> = (Written<'r>, MessageName<'r>, Datum<'r>);

fn numbered(bytes: &[u8], notation: Notation, width: usize) -> Option<Framed<'_>> {
    let [0, rest @ ..] = bytes else { return None };
    let (id, datum) = rest.split_at_checked(width)?;
    Some((Written::one(notation, id), MessageName::Unread, Datum::Plain(datum)))
}

fn glue(bytes: &[u8]) -> Option<Framed<'_>> {
    let [3, compression, rest @ ..] = bytes else { return None };
    let (uuid, rest) = rest.split_at_checked(16)?;
    let datum = match compression {
        0 => Datum::Plain(rest),
        5 => Datum::Zlib(rest),
        _ => return None,
    };
    Some((Written::one(Notation::Uuid, uuid), MessageName::Unread, datum))
}

/// `00` and an int32, or `01` and a GUID; and what follows.
fn confluent_id(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        [0, ..] => bytes.split_at_checked(5),
        [1, ..] => bytes.split_at_checked(17),
        _ => None,
    }
}

#[cold]
fn no_prefix(convention: Convention, bytes: &[u8]) -> Rejection {
    let (called, begins): (_, &[&[u8]]) = match convention {
        Convention::ConfluentPrefix => ("Confluent's prefix", &[&[0], &[1]]),
        Convention::GluePrefix => ("the prefix of AWS Glue", &[&[3, 0], &[3, 5]]),
        Convention::SingleObject => ("the prefix of a single object", &[&[0xc3, 1]]),
        _ => ("Apicurio's prefix", &[&[0]]),
    };
    if begins.iter().any(|begin| bytes.starts_with(begin)) {
        let detail = format!("{called} is not whole: {} bytes in all", bytes.len());
        return Rejection::new(Reason::MalformedSchemaId, detail);
    }
    Rejection::new(Reason::MissingSchemaId, format!("it does not begin with {called}"))
}

/// What stands behind `avro/binary+`.
fn behind_avro_binary(content_type: &[u8]) -> Option<&[u8]> {
    const BEGIN: &[u8] = b"avro/binary+";
    let (begin, id) = content_type.split_at_checked(BEGIN.len())?;
    begin.eq_ignore_ascii_case(BEGIN).then_some(id.trim_ascii())
}

/// Two things that ought to say the same do not.
pub fn conflict(what: &str) -> Rejection {
    let detail = format!("{what} is given twice with different values");
    Rejection::new(Reason::ConflictingMetadata, detail)
}

#[cfg(test)]
mod tests;
