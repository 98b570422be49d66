//! The metadata headers of a record: how its value or key is encoded and which schema it claims.

use super::convention::{Convention, Conventions};
use crate::text::shown;

/// Under which names the metadata is found, matched exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderNames {
    /// Names of the header that says how the value is encoded (`metadata.content_type`).
    pub content_type: Vec<String>,
    /// Name of the header that names the schema (`metadata.schema_id`).
    pub schema_id: String,
    /// The same of keys (`metadata.key_content_type`).
    pub key_content_type: Vec<String>,
    /// The same of keys (`metadata.key_schema_id`).
    pub key_schema_id: String,
    /// Confluent's header (`metadata.confluent_schema_id`).
    pub confluent_schema_id: String,
    /// The same of keys (`metadata.confluent_key_schema_id`).
    pub confluent_key_schema_id: String,
    /// Apicurio's headers (`metadata.apicurio`).
    pub apicurio: ApicurioNames,
    /// The same of keys (`metadata.apicurio_key`).
    pub apicurio_key: ApicurioNames,
    /// Azure's header beside JSON (`metadata.azure_schema_id`).
    pub azure_schema_id: String,
    /// The attribute of `CloudEvents` that names the schema (`metadata.cloudevents_dataschema`).
    pub cloudevents_dataschema: String,
}

/// The names of Apicurio's headers, which its serializers can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApicurioNames {
    /// `…globalId`, int64.
    pub global_id: String,
    /// `…contentId`, int64.
    pub content_id: String,
    /// `…contentHash`, text.
    pub content_hash: String,
    /// `…groupId`, text.
    pub group_id: String,
    /// `…artifactId`, text.
    pub artifact_id: String,
    /// `…version`, text.
    pub version: String,
    /// `…encoding`: `BINARY` or `JSON`.
    pub encoding: String,
}

impl ApicurioNames {
    /// The names that begin with `prefix`.
    #[must_use]
    pub fn of(prefix: &str) -> Self {
        let name = |last: &str| format!("{prefix}.{last}");
        Self {
            global_id: name("globalId"),
            content_id: name("contentId"),
            content_hash: name("contentHash"),
            group_id: name("groupId"),
            artifact_id: name("artifactId"),
            version: name("version"),
            encoding: name("encoding"),
        }
    }
}

impl Default for HeaderNames {
    fn default() -> Self {
        Self {
            content_type: vec!["content-type".into(), "serialization-type".into()],
            schema_id: "schema-id".into(),
            key_content_type: vec!["key-content-type".into()],
            key_schema_id: "key-schema-id".into(),
            confluent_schema_id: "__value_schema_id".into(),
            confluent_key_schema_id: "__key_schema_id".into(),
            apicurio: ApicurioNames::of("apicurio.value"),
            apicurio_key: ApicurioNames::of("apicurio.key"),
            azure_schema_id: "schemaId".into(),
            cloudevents_dataschema: "ce_dataschema".into(),
        }
    }
}

impl HeaderNames {
    /// A name that stands for something about the value and for something about the key.
    #[must_use]
    pub fn of_value_and_key(&self) -> Option<&str> {
        let of_values = Convention::WORDS.into_iter();
        let mut of_values = of_values.flat_map(|(_, it)| looked_for(self, Side::Value, it));
        let of_keys = |name: &str| {
            let named = Convention::WORDS.into_iter().filter(|(_, it)| it.names_keys());
            named.flat_map(|(_, it)| looked_for(self, Side::Key, it)).any(|(_, it)| it == name)
        };
        of_values.find_map(|(_, name)| of_keys(name).then_some(name))
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
    /// Nothing says how: as is usual for the schema's format.
    OfSchema,
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
    fn add(&mut self, value: Option<&'r [u8]>, is_content_type: bool) {
        match (&*self, value) {
            (Self::Missing, Some(value)) => *self = Self::Value(value),
            (Self::Missing, None) => *self = Self::Null,
            _ => self.add_again(value, is_content_type),
        }
    }

    #[cold]
    #[inline(never)]
    fn add_again(&mut self, value: Option<&'r [u8]>, is_content_type: bool) {
        match (*self, value) {
            (Self::Null, None) => {}
            (Self::Value(earlier), Some(value))
                if earlier == value || (is_content_type && agree(earlier, value)) => {}
            _ => *self = Self::Conflict,
        }
    }
}

/// What a metadata header is about. The facts of keys stand behind those of values, in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// How it is encoded.
    ContentType,
    /// Which schema, as text.
    SchemaId,
    /// Confluent's id or GUID.
    ConfluentId,
    /// Apicurio's global id.
    GlobalId,
    /// Apicurio's content id.
    ContentId,
    /// Apicurio's hash of the content.
    ContentHash,
    /// Apicurio's group.
    GroupId,
    /// Apicurio's artifact.
    ArtifactId,
    /// Apicurio's version of the artifact.
    Version,
    /// Apicurio's encoding.
    ApicurioEncoding,
    /// Azure's id beside JSON.
    AzureId,
    /// The schema of a `CloudEvent`.
    DataSchema,
}

impl What {
    const fn index(self) -> usize {
        match self {
            Self::ContentType => 0,
            Self::SchemaId => 1,
            Self::ConfluentId => 2,
            Self::GlobalId => 3,
            Self::ContentId => 4,
            Self::ContentHash => 5,
            Self::GroupId => 6,
            Self::ArtifactId => 7,
            Self::Version => 8,
            Self::ApicurioEncoding => 9,
            Self::AzureId => 10,
            Self::DataSchema => 11,
        }
    }
}

/// Facts of one side of a record that has every convention.
const ALL: usize = 12;
/// Facts of values in the product's own convention.
pub const OWN: usize = 2;
/// Facts of values and keys in every convention.
pub const EVERY: usize = 2 * ALL;

/// Value or key: what metadata and schema are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The record's key.
    Key,
    /// The record's value.
    Value,
}

impl Side {
    const fn index(self) -> usize {
        match self {
            Self::Key => ALL,
            Self::Value => 0,
        }
    }
}

/// The metadata of one record, collected while its headers are walked: the first `N` facts, [`OWN`] or [`EVERY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata<'r, const N: usize> {
    facts: [Fact<'r>; N],
}

impl<const N: usize> Default for Metadata<'_, N> {
    #[inline(always)]
    fn default() -> Self {
        Self { facts: [const { Fact::Missing }; N] }
    }
}

impl<'r, const N: usize> Metadata<'r, N> {
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
            self.tell(name, value);
        }
    }

    #[inline(never)]
    fn add_unusual(&mut self, names: &NameTable, key: &[u8], value: Option<&'r [u8]>) {
        if let Some(name) = names.names.iter().find(|name| *name.text == *key) {
            self.tell(name, value);
        }
    }

    #[inline]
    fn tell(&mut self, name: &Name, value: Option<&'r [u8]>) {
        if let Some(fact) = self.facts.get_mut(name.at) {
            fact.add(value, name.is_content_type);
        }
    }

    /// What was found.
    #[inline(always)]
    #[must_use]
    pub fn facts(&self) -> Facts<'_, 'r> {
        Facts { all: &self.facts }
    }
}

/// What the metadata headers of one record say.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'m, 'r> {
    all: &'m [Fact<'r>],
}

impl<'r> Facts<'_, 'r> {
    /// What they say of `what`, on one side.
    #[inline(always)]
    #[must_use]
    pub fn get(&self, side: Side, what: What) -> Fact<'r> {
        self.all.get(side.index() + what.index()).copied().unwrap_or_default()
    }
}

/// [`HeaderNames`] made ready for comparing many keys: most of them are told apart by their length.
#[derive(Debug, Clone)]
pub struct NameTable {
    names: Vec<Name>,
    /// One bit for each length of a name, modulo 64.
    lengths: u64,
}

impl NameTable {
    /// Those of the names that the conventions of values and keys look for.
    #[must_use]
    pub fn new(names: &HeaderNames, value: &Conventions, key: Option<&Conventions>) -> Self {
        let mut table: Vec<Name> = Vec::new();
        let sides = [(Side::Value, Some(value)), (Side::Key, key)];
        for (side, conventions) in sides {
            for convention in conventions.iter().flat_map(|it| it.iter()) {
                for (what, text) in looked_for(names, side, convention) {
                    let name = Name::new(text, side, what);
                    if table.iter().all(|it| (it.at, &it.text) != (name.at, &name.text)) {
                        table.push(name);
                    }
                }
            }
        }
        let lengths = table.iter().fold(0, |bits, name| bits | bit(name.text.len()));
        Self { names: table, lengths }
    }

    /// The first name under which `what` is looked for, fit to be shown.
    #[must_use]
    pub fn shown(&self, side: Side, what: What) -> String {
        let at = side.index() + what.index();
        let name = self.names.iter().find(|name| name.at == at);
        name.map(|name| shown(&name.text)).unwrap_or_default()
    }
}

/// The headers that a convention reads.
fn looked_for(names: &HeaderNames, side: Side, convention: Convention) -> Vec<(What, &str)> {
    let content_types = || {
        let list = pick(side, &names.content_type, &names.key_content_type);
        list.iter().map(|name| (What::ContentType, &**name))
    };
    let with_content_types = |what: What, name| {
        let name: &str = name;
        std::iter::once((what, name)).chain(content_types()).collect()
    };
    match convention {
        Convention::ApicurioHeaders => {
            let names = pick(side, &names.apicurio, &names.apicurio_key);
            vec![
                (What::GlobalId, &*names.global_id),
                (What::ContentId, &*names.content_id),
                (What::ContentHash, &*names.content_hash),
                (What::GroupId, &*names.group_id),
                (What::ArtifactId, &*names.artifact_id),
                (What::Version, &*names.version),
                (What::ApicurioEncoding, &*names.encoding),
            ]
        }
        Convention::Azure => with_content_types(What::AzureId, &names.azure_schema_id),
        Convention::CloudEvents => {
            with_content_types(What::DataSchema, &names.cloudevents_dataschema)
        }
        Convention::ConfluentHeaders => {
            let name = pick(side, &names.confluent_schema_id, &names.confluent_key_schema_id);
            vec![(What::ConfluentId, &**name)]
        }
        Convention::Headers => {
            with_content_types(What::SchemaId, pick(side, &names.schema_id, &names.key_schema_id))
        }
        Convention::ApicurioPrefix
        | Convention::ApicurioPrefix64
        | Convention::ApicurioPrefixAny
        | Convention::ConfluentPrefix
        | Convention::GluePrefix
        | Convention::SingleObject => Vec::new(),
    }
}

fn pick<T>(side: Side, value: T, key: T) -> T {
    match side {
        Side::Key => key,
        Side::Value => value,
    }
}

const fn bit(length: usize) -> u64 {
    1 << (length % 64)
}

#[derive(Debug, Clone)]
struct Name {
    /// The place of the fact.
    at: usize,
    is_content_type: bool,
    text: Box<[u8]>,
    /// What [`ends`] says, or anything if it says nothing.
    ends: (u64, u64),
}

impl Name {
    fn new(text: &str, side: Side, what: What) -> Self {
        let ends = ends(text.as_bytes()).unwrap_or_default();
        let at = side.index() + what.index();
        let is_content_type = what == What::ContentType;
        Self { at, is_content_type, text: text.as_bytes().into(), ends }
    }
}

/// Whether two different content types say the same: `avro` and `application/avro` under the two names are not at odds.
fn agree(one: &[u8], other: &[u8]) -> bool {
    Encoding::parse(one).is_some_and(|one| Encoding::parse(other) == Some(one))
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

    fn metadata<'r>(headers: &[(&str, Option<&'r str>)]) -> Metadata<'r, OWN> {
        let names = NameTable::new(&HeaderNames::default(), &Conventions::default(), None);
        let mut metadata = Metadata::default();
        for (key, value) in headers {
            metadata.visit(&names, key.as_bytes(), value.map(str::as_bytes));
        }
        metadata
    }

    fn schema_id<'r>(metadata: &Metadata<'r, OWN>) -> Fact<'r> {
        metadata.facts().get(Side::Value, What::SchemaId)
    }

    fn content_type<'r>(metadata: &Metadata<'r, OWN>) -> Fact<'r> {
        metadata.facts().get(Side::Value, What::ContentType)
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
        assert_eq!(schema_id(&twice), Fact::Value(b"1"));
        let differing = metadata(&[("schema-id", Some("1")), ("schema-id", Some("2"))]);
        assert_eq!(schema_id(&differing), Fact::Conflict);
        let third = metadata(&[
            ("schema-id", Some("1")),
            ("schema-id", Some("2")),
            ("schema-id", Some("1")),
        ]);
        assert_eq!(schema_id(&third), Fact::Conflict);
    }

    #[test]
    fn the_two_names_of_the_content_type_may_not_be_at_odds() {
        let agreed =
            [("content-type", Some("application/avro")), ("serialization-type", Some("avro"))];
        assert_eq!(content_type(&metadata(&agreed)), Fact::Value(b"application/avro"));
        for other in ["avro-json", "text/plain", ""] {
            let odds = [("content-type", Some(other)), ("serialization-type", Some("avro"))];
            assert_eq!(content_type(&metadata(&odds)), Fact::Conflict, "{other}");
        }
    }

    #[test]
    fn names_of_any_length_are_matched_to_their_last_byte() {
        let text: String = ('a'..='z').cycle().take(80).collect();
        for length in 1..=80 {
            let name = &text[..length];
            let names = HeaderNames { schema_id: name.to_owned(), ..HeaderNames::default() };
            let table = NameTable::new(&names, &Conventions::default(), None);
            let finds = |key: &[u8]| {
                let mut metadata = Metadata::<OWN>::default();
                metadata.visit(&table, key, Some(b"1"));
                schema_id(&metadata) == Fact::Value(b"1")
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
            assert_eq!(schema_id(&metadata(headers)), expected, "{headers:?}");
        }
    }
}
