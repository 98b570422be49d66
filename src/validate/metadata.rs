//! The metadata headers of a record: how its value is encoded and which schema it claims.

use crate::text::shown;

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
    #[inline]
    fn add(&mut self, value: Option<&'r [u8]>, what: What) {
        match (&*self, value) {
            (Self::Missing, Some(value)) => *self = Self::Value(value),
            (Self::Missing, None) => *self = Self::Null,
            _ => self.add_again(value, what),
        }
    }

    #[cold]
    #[inline(never)]
    fn add_again(&mut self, value: Option<&'r [u8]>, what: What) {
        match (*self, value) {
            (Self::Null, None) => {}
            (Self::Value(earlier), Some(value))
                if earlier == value || what.agree(earlier, value) => {}
            _ => *self = Self::Conflict,
        }
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
    #[inline(always)]
    pub fn visit(&mut self, names: &NameTable, key: &[u8], value: Option<&'r [u8]>) {
        if names.lengths & bit(key.len()) != 0 {
            self.add(names, key, value);
        }
    }

    /// Out of line, so that the walk over the headers keeps its registers; nor does it call anything that needs some.
    #[inline(never)]
    fn add(&mut self, names: &NameTable, key: &[u8], value: Option<&'r [u8]>) {
        let Some(ends) = ends(key) else { return self.add_unusual(names, key, value) };
        let is_name = |name: &&Name| name.text.len() == key.len() && name.ends == ends;
        if let Some(name) = names.names.iter().find(is_name) {
            self.tell(name.what, value);
        }
    }

    #[inline(never)]
    fn add_unusual(&mut self, names: &NameTable, key: &[u8], value: Option<&'r [u8]>) {
        if let Some(name) = names.names.iter().find(|name| *name.text == *key) {
            self.tell(name.what, value);
        }
    }

    #[inline]
    fn tell(&mut self, what: What, value: Option<&'r [u8]>) {
        match what {
            What::ContentType => self.content_type.add(value, what),
            What::SchemaId => self.schema_id.add(value, what),
        }
    }
}

/// [`HeaderNames`] made ready for comparing many keys: most of them are told apart by their length.
#[derive(Debug)]
pub struct NameTable {
    names: Vec<Name>,
    /// One bit for each length of a name, modulo 64.
    lengths: u64,
}

impl NameTable {
    /// The same names.
    #[must_use]
    pub fn new(names: &HeaderNames) -> Self {
        let schema_id = Name::new(&names.schema_id, What::SchemaId);
        let content_type = names.content_type.iter().map(|name| Name::new(name, What::ContentType));
        let names: Vec<_> = std::iter::once(schema_id).chain(content_type).collect();
        let lengths = names.iter().fold(0, |bits, name| bits | bit(name.text.len()));
        Self { names, lengths }
    }

    /// The name under which the schema reference is looked for.
    #[must_use]
    pub fn schema_id(&self) -> String {
        self.first(What::SchemaId)
    }

    /// The first name under which the content type is looked for.
    #[must_use]
    pub fn content_type(&self) -> String {
        self.first(What::ContentType)
    }

    fn first(&self, what: What) -> String {
        let name = self.names.iter().find(|name| name.what == what);
        name.map(|name| shown(&name.text)).unwrap_or_default()
    }
}

const fn bit(length: usize) -> u64 {
    1 << (length % 64)
}

#[derive(Debug)]
struct Name {
    what: What,
    text: Box<[u8]>,
    /// What [`ends`] says, or anything if it says nothing.
    ends: (u64, u64),
}

/// What a metadata header is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    ContentType,
    SchemaId,
}

impl Name {
    fn new(text: &str, what: What) -> Self {
        Self { what, text: text.as_bytes().into(), ends: ends(text.as_bytes()).unwrap_or_default() }
    }
}

impl What {
    /// Whether two different values say the same: `avro` and `application/avro` under the two names are not at odds.
    fn agree(self, one: &[u8], other: &[u8]) -> bool {
        self == Self::ContentType
            && Encoding::parse(one).is_some_and(|one| Encoding::parse(other) == Some(one))
    }
}

/// The first and the last eight bytes of a text of eight to sixteen: with its length, they are all of it.
#[inline]
fn ends(text: &[u8]) -> Option<(u64, u64)> {
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) if text.len() <= 16 => {
            Some((u64::from_ne_bytes(*first), u64::from_ne_bytes(*last)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata<'r>(headers: &[(&str, Option<&'r str>)]) -> Metadata<'r> {
        let names = NameTable::new(&HeaderNames::default());
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
    fn names_of_any_length_are_matched_to_their_last_byte() {
        let text: String = ('a'..='z').cycle().take(80).collect();
        for length in 1..=80 {
            let name = &text[..length];
            let names = HeaderNames { schema_id: name.to_owned(), ..HeaderNames::default() };
            let table = NameTable::new(&names);
            let finds = |key: &[u8]| {
                let mut metadata = Metadata::default();
                metadata.visit(&table, key, Some(b"1"));
                metadata.schema_id == Fact::Value(b"1")
            };
            assert!(finds(name.as_bytes()), "{name}");
            for at in 0..length {
                let mut other = name.as_bytes().to_vec();
                other[at] = b'!';
                assert!(!finds(&other), "{name} with another byte {at}");
            }
            assert!(
                !finds(&text.as_bytes()[..length - 1]) && !finds(format!("{name}!").as_bytes())
            );
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
