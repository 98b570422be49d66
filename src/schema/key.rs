//! What a registry calls a schema: by which kind of number or name it can be asked for.

use std::{fmt, sync::Arc};

use super::spelling::percent_decoded;

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
                let (group, artifact) = (Segment(group), Segment(artifact));
                write!(f, "groups/{group}/artifacts/{artifact}/versions/{}", Segment(version))
            }
            Self::ContentHash(hash) => write!(f, "ids/contentHashes/{}", Segment(hash)),
            Self::ContentId(id) => write!(f, "ids/contentIds/{id}"),
            Self::Fingerprint(fingerprint) => write!(f, "fingerprints/{fingerprint:016x}"),
            Self::GlobalId(id) => write!(f, "ids/globalIds/{id}"),
            Self::Guid(guid) => write!(f, "schemas/guids/{guid}"),
            Self::Id(id) => write!(f, "schemas/ids/{}", id.0),
        }
    }
}

impl RegistryKey {
    /// Reads what [`RegistryKey`] is displayed as, where that is the one spelling of it.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        let mut segments = path.split('/');
        let mut next = || segments.next();
        let key = match (next()?, next()?, next()) {
            ("fingerprints", digits, None) => {
                u64::from_str_radix(digits, 16).ok().map(Self::Fingerprint)
            }
            ("groups", group, Some("artifacts")) => {
                let (artifact, "versions", version) = (next()?, next()?, next()?) else {
                    return None;
                };
                Some(Self::Artifact(ArtifactVersion {
                    group: decoded(group)?,
                    artifact: decoded(artifact)?,
                    version: decoded(version)?,
                }))
            }
            ("ids", "contentHashes", Some(hash)) => decoded(hash).map(Self::ContentHash),
            ("ids", "contentIds", Some(digits)) => digits.parse().ok().map(Self::ContentId),
            ("ids", "globalIds", Some(digits)) => digits.parse().ok().map(Self::GlobalId),
            ("schemas", "guids", Some(guid)) => Guid::parse(guid).map(Self::Guid),
            ("schemas", "ids", Some(digits)) => SchemaId::parse(digits).map(Self::Id),
            _ => None,
        };
        key.filter(|key| key.to_string() == path)
    }

    /// What this kind of number or name is called.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Artifact(_) => "artifact",
            Self::ContentHash(_) => "content hash",
            Self::ContentId(_) => "content id",
            Self::Fingerprint(_) => "fingerprint",
            Self::GlobalId(_) => "global id",
            Self::Guid(_) => "GUID",
            Self::Id(_) => "id",
        }
    }
}

/// Text as one segment of a path.
struct Segment<'a>(&'a str);

impl fmt::Display for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// What a segment stands for.
fn decoded(segment: &str) -> Option<Arc<str>> {
    String::from_utf8(percent_decoded(segment.as_bytes())).ok().map(Arc::from)
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

    #[test]
    fn every_key_has_one_path() {
        let artifact = |group: &str, artifact: &str, version: &str| {
            RegistryKey::Artifact(ArtifactVersion {
                group: group.into(),
                artifact: artifact.into(),
                version: version.into(),
            })
        };
        let table = [
            (artifact("default", "users", "1"), "groups/default/artifacts/users/versions/1"),
            (artifact("a/b", "ü?", "1 0"), "groups/a%2Fb/artifacts/%C3%BC%3F/versions/1%200"),
            (RegistryKey::ContentHash("ab12".into()), "ids/contentHashes/ab12"),
            (RegistryKey::ContentId(7), "ids/contentIds/7"),
            (RegistryKey::Fingerprint(10), "fingerprints/000000000000000a"),
            (RegistryKey::GlobalId(i64::MAX), "ids/globalIds/9223372036854775807"),
            (
                RegistryKey::Guid(Guid([1; 16])),
                "schemas/guids/01010101-0101-0101-0101-010101010101",
            ),
            (RegistryKey::Id(SchemaId(42)), "schemas/ids/42"),
        ];
        for (key, path) in table {
            assert_eq!(key.to_string(), path);
            assert_eq!(RegistryKey::of_path(path), Some(key), "{path}");
        }
        for path in [
            "",
            "42",
            "schemas/ids/042",
            "schemas/ids/42/",
            "schemas/ids/2147483648",
            "ids/globalIds/+7",
            "ids/globalIds/x",
            "fingerprints/a",
            "groups/a/artifacts/b",
            "groups/a/artifacts/b/versions/%61",
        ] {
            assert_eq!(RegistryKey::of_path(path), None, "{path}");
        }
    }
}
