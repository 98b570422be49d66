//! The metadata headers of a record: how its value is encoded and which schema it claims.

/// Under which names the metadata is found, matched exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderNames {
    /// Names of the header that says how the value is encoded (`metadata.content_type`).
    pub content_type: Vec<String>,
    /// Name of the header that names the schema (`metadata.schema_id`).
    pub schema_id: String,
}

impl Default for HeaderNames {
    fn default() -> Self {
        Self {
            content_type: vec!["content-type".into(), "serialization-type".into()],
            schema_id: "schema-id".into(),
        }
    }
}

/// How a value is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Avro's binary encoding.
    Avro,
    /// Avro's JSON encoding.
    AvroJson,
    /// Plain JSON; beside an Avro schema it means [`Encoding::AvroJson`].
    Json,
    /// Protocol Buffers.
    Protobuf,
}

impl Encoding {
    /// Reads the value of a content type header: a token or a media type in any case, parameters after `;` dropped.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        const NAMES: [(&[u8], Encoding); 8] = [
            (b"avro", Encoding::Avro),
            (b"avro-json", Encoding::AvroJson),
            (b"application/avro", Encoding::Avro),
            (b"avro/binary", Encoding::Avro),
            (b"application/json", Encoding::Json),
            (b"json", Encoding::Json),
            (b"protobuf", Encoding::Protobuf),
            (b"application/x-protobuf", Encoding::Protobuf),
        ];
        match value {
            // What nearly every record says: spelled like this, it needs no more than a comparison.
            b"avro" => return Some(Self::Avro),
            b"avro-json" => return Some(Self::AvroJson),
            _ => {}
        }
        let essence = value.split(|byte| *byte == b';').next().unwrap_or(value).trim_ascii();
        NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(essence)).map(|(_, it)| *it)
    }
}

/// What one metadata header says, over all its occurrences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fact<'r> {
    /// It is not there.
    #[default]
    Missing,
    /// It is there and null: it says nothing, and contradicts whatever says something.
    Null,
    /// It is there, once or with equal values.
    Value(&'r [u8]),
    /// It is there with different values: readers disagree about which of them counts.
    Conflict,
}

impl<'r> Fact<'r> {
    fn add(&mut self, value: &'r [u8], same: impl Fn(&[u8], &[u8]) -> bool) {
        *self = match *self {
            Self::Missing => Self::Value(value),
            Self::Value(earlier) if earlier == value || same(earlier, value) => {
                Self::Value(earlier)
            }
            Self::Value(_) | Self::Null | Self::Conflict => Self::Conflict,
        };
    }

    const fn add_null(&mut self) {
        *self = match *self {
            Self::Missing | Self::Null => Self::Null,
            Self::Value(_) | Self::Conflict => Self::Conflict,
        };
    }
}

/// The metadata of one record, collected while its headers are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metadata<'r> {
    /// How the value is encoded.
    pub content_type: Fact<'r>,
    /// Which schema it claims.
    pub schema_id: Fact<'r>,
}

impl<'r> Metadata<'r> {
    /// Takes one header of the record.
    #[inline]
    pub fn visit(&mut self, names: &HeaderNames, key: &[u8], value: Option<&'r [u8]>) {
        if key == names.schema_id.as_bytes() {
            match value {
                Some(value) => self.schema_id.add(value, |_, _| false),
                None => self.schema_id.add_null(),
            }
        } else if names.content_type.iter().any(|name| key == name.as_bytes()) {
            match value {
                Some(value) => self.content_type.add(value, same_encoding),
                None => self.content_type.add_null(),
            }
        }
    }
}

/// `avro` and `application/avro` under the two names are not at odds.
fn same_encoding(one: &[u8], other: &[u8]) -> bool {
    Encoding::parse(one).is_some_and(|one| Encoding::parse(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata<'r>(headers: &[(&str, Option<&'r str>)]) -> Metadata<'r> {
        let names = HeaderNames::default();
        let mut metadata = Metadata::default();
        for (key, value) in headers {
            metadata.visit(&names, key.as_bytes(), value.map(str::as_bytes));
        }
        metadata
    }

    #[test]
    fn content_types_are_tokens_or_media_types_in_any_case() {
        let table = [
            ("avro", Some(Encoding::Avro)),
            ("Application/Avro; charset=utf-8", Some(Encoding::Avro)),
            ("avro/binary", Some(Encoding::Avro)),
            ("avro-json", Some(Encoding::AvroJson)),
            ("json", Some(Encoding::Json)),
            ("application/json;q=1", Some(Encoding::Json)),
            ("protobuf", Some(Encoding::Protobuf)),
            ("application/x-protobuf", Some(Encoding::Protobuf)),
            ("avro/binary+deadbeef", None),
            ("text/plain", None),
            ("", None),
        ];
        for (given, expected) in table {
            assert_eq!(Encoding::parse(given.as_bytes()), expected, "{given}");
        }
    }

    #[test]
    fn a_header_that_stands_twice_counts_once_only_with_equal_values() {
        let twice = metadata(&[("schema-id", Some("1")), ("schema-id", Some("1"))]);
        assert_eq!(twice.schema_id, Fact::Value(b"1"));
        let differing = metadata(&[("schema-id", Some("1")), ("schema-id", Some("2"))]);
        assert_eq!(differing.schema_id, Fact::Conflict);
        let third = metadata(&[
            ("schema-id", Some("1")),
            ("schema-id", Some("2")),
            ("schema-id", Some("1")),
        ]);
        assert_eq!(third.schema_id, Fact::Conflict);
    }

    #[test]
    fn the_two_names_of_the_content_type_may_not_be_at_odds() {
        let agreed =
            [("content-type", Some("application/avro")), ("serialization-type", Some("avro"))];
        assert_eq!(metadata(&agreed).content_type, Fact::Value(b"application/avro"));
        for other in ["avro-json", "text/plain", ""] {
            let odds = [("content-type", Some(other)), ("serialization-type", Some("avro"))];
            assert_eq!(metadata(&odds).content_type, Fact::Conflict, "{other}");
        }
    }

    #[test]
    fn names_are_matched_exactly() {
        let none = [("Content-Type", Some("avro")), ("schema-id ", Some("1"))];
        assert_eq!(metadata(&none), Metadata::default());
    }

    #[test]
    fn null_says_nothing_and_contradicts_what_says_something() {
        let (null, one) = (("schema-id", None), ("schema-id", Some("1")));
        let table: [(&[_], _); 6] = [
            (&[null], Fact::Null),
            (&[null, null], Fact::Null),
            (&[one, null], Fact::Conflict),
            (&[null, one], Fact::Conflict),
            (&[null, one, one], Fact::Conflict),
            (&[one, null, null], Fact::Conflict),
        ];
        for (headers, expected) in table {
            assert_eq!(metadata(headers).schema_id, expected, "{headers:?}");
        }
    }
}
