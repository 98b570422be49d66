//! What a registry calls a schema: by which kind of number or name it can be asked for.

use std::{fmt, sync::Arc};

/// Number that one registry with the Confluent API gave to a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId(pub u32);

impl SchemaId {
    /// Largest number that a registry gives: it is a Java `int`.
    pub const MAX: Self = Self(i32::MAX.unsigned_abs());

    /// The id that a registry wrote as a Java `int`; `None` if it is negative.
    #[must_use]
    pub fn new(id: i32) -> Option<Self> {
        u32::try_from(id).ok().map(Self)
    }

    /// Reads decimal digits and nothing else; `None` also past [`SchemaId::MAX`].
    pub(super) fn parse(digits: &str) -> Option<Self> {
        let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !decimal {
            return None;
        }
        digits.parse().ok().map(Self).filter(|id| *id <= Self::MAX)
    }
}

/// A 128-bit number (RFC 9562) that stands for a schema wherever it is registered. Most significant byte first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(pub [u8; 16]);

impl fmt::Display for Guid {
    /// In lower case with hyphens: `8-4-4-4-12` hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let hyphen = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{hyphen}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Guid {
    /// Reads 32 hexadecimal digits, with the four hyphens or without any.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut digits = [0_u8; 32];
        let bytes = text.as_bytes();
        let hyphenated = bytes.len() == 36;
        let mut kept = bytes.iter().enumerate().filter_map(|(at, byte)| {
            (!(hyphenated && matches!(at, 8 | 13 | 18 | 23) && *byte == b'-')).then_some(*byte)
        });
        for digit in &mut digits {
            *digit = u8::try_from(char::from(kept.next()?).to_digit(16)?).ok()?;
        }
        if kept.next().is_some() {
            return None;
        }
        let mut guid = [0; 16];
        for (byte, pair) in guid.iter_mut().zip(digits.as_chunks::<2>().0) {
            *byte = pair[0] << 4 | pair[1];
        }
        Some(Self(guid))
    }
}

/// A version of an artifact of an Apicurio registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactVersion {
    /// Its group; `default` where none is named.
    pub group: Arc<str>,
    /// Its name in the group.
    pub artifact: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
}

/// What a registry calls a schema. Which of these a registry knows depends on its API.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RegistryKey {
    /// Apicurio: a version of an artifact.
    Artifact(ArtifactVersion),
    /// Apicurio: SHA-256 of the content, hexadecimal.
    ContentHash(Arc<str>),
    /// Apicurio: the number of a content, which several artifacts can share.
    ContentId(i64),
    /// Avro's single-object encoding: CRC-64-AVRO of the schema's parsing canonical form.
    Fingerprint(u64),
    /// Apicurio: the number of a version of an artifact.
    GlobalId(i64),
    /// Confluent since 8.0: the same in every registry. Also a schema version of AWS Glue, and a schema of Azure.
    Guid(Guid),
    /// Confluent.
    Id(SchemaId),
}

impl fmt::Display for RegistryKey {
    /// The path below a registry's base URL that stands for the schema, whatever its own API calls it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Artifact(ArtifactVersion { group, artifact, version }) => {
                write!(f, "groups/{group}/artifacts/{artifact}/versions/{version}")
            }
            Self::ContentHash(hash) => write!(f, "ids/contentHashes/{hash}"),
            Self::ContentId(id) => write!(f, "ids/contentIds/{id}"),
            Self::Fingerprint(fingerprint) => write!(f, "fingerprints/{fingerprint:016x}"),
            Self::GlobalId(id) => write!(f, "ids/globalIds/{id}"),
            Self::Guid(guid) => write!(f, "schemas/guids/{guid}"),
            Self::Id(id) => write!(f, "schemas/ids/{}", id.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_are_read_with_hyphens_or_without_and_written_with_them() {
        let text = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
        let guid = Guid::parse(text).unwrap();
        assert_eq!(guid.to_string(), text);
        assert_eq!(Guid::parse(&text.to_uppercase().replace('-', "")), Some(guid));
        let broken = [
            "",
            "0f1e2d3c4b5a69788796a5b4c3d2e1f",
            "0f1e2d3c4b5a69788796a5b4c3d2e1f00",
            "0f1e2d3c4b5a-6978-8796-a5b4c3d2e1f0",
            "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1fg",
            "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0-",
            "0f1e2d3c04b5a0697808796-a5b4c3d2e1f0",
            "+f1e2d3c4b5a69788796a5b4c3d2e1f0",
            "ﬀ1e2d3c4b5a69788796a5b4c3d2e1f",
        ];
        for text in broken {
            assert_eq!(Guid::parse(text), None, "{text}");
        }
    }
}
