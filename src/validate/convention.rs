//! How records name their schema: the conventions that a rule can accept. None is ever guessed.

/// One way of naming the schema of a value or key, and what it is encoded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Convention {
    /// Apicurio's headers: an id, the hash of the content, or group, artifact and version.
    ApicurioHeaders,
    /// Apicurio 3 before the value: `00` and a content id (int32).
    ApicurioPrefix,
    /// Apicurio 2 before the value: `00` and a global id (int64).
    ApicurioPrefix64,
    /// What Apicurio's optimistic reader takes for the one or the other of its prefixes.
    ApicurioPrefixAny,
    /// Azure: `content-type: avro/binary+ID`, or JSON with the header `schemaId`.
    Azure,
    /// `CloudEvents` in binary mode: `content-type` and `ce_dataschema`.
    CloudEvents,
    /// Confluent's header: `00` and an id, or `01` and a GUID.
    ConfluentHeaders,
    /// The same bytes before the value.
    ConfluentPrefix,
    /// AWS Glue before the value: `03`, compression, and the UUID of a schema version.
    GluePrefix,
    /// Content type and schema id in headers of their own.
    Headers,
    /// Avro's single-object encoding: `C3 01` and a fingerprint before the value.
    SingleObject,
}

impl Convention {
    /// All of them, by the word that stands for each in the configuration.
    pub const WORDS: [(&'static str, Self); 11] = [
        ("headers", Self::Headers),
        ("confluent_headers", Self::ConfluentHeaders),
        ("confluent_prefix", Self::ConfluentPrefix),
        ("apicurio_headers", Self::ApicurioHeaders),
        ("apicurio_prefix", Self::ApicurioPrefix),
        ("apicurio_prefix_64", Self::ApicurioPrefix64),
        ("apicurio_prefix_any", Self::ApicurioPrefixAny),
        ("azure", Self::Azure),
        ("cloudevents", Self::CloudEvents),
        ("glue_prefix", Self::GluePrefix),
        ("single_object", Self::SingleObject),
    ];

    /// Whether it stands before the value, in the same bytes. A topic can accept one such convention at most: a value does
    /// not say by itself what its first bytes are.
    #[must_use]
    pub const fn is_prefix(self) -> bool {
        match self {
            Self::ApicurioPrefix
            | Self::ApicurioPrefix64
            | Self::ApicurioPrefixAny
            | Self::ConfluentPrefix
            | Self::GluePrefix
            | Self::SingleObject => true,
            Self::ApicurioHeaders
            | Self::Azure
            | Self::CloudEvents
            | Self::ConfluentHeaders
            | Self::Headers => false,
        }
    }

    /// Whether keys can be named so: neither Azure nor `CloudEvents` says anything of keys.
    #[must_use]
    pub const fn names_keys(self) -> bool {
        !matches!(self, Self::Azure | Self::CloudEvents)
    }
}

/// What a rule accepts: any number of conventions in headers, and at most one before the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conventions {
    /// Those in headers, in the order in which they are looked for.
    pub headers: Vec<Convention>,
    /// The one before the value. It counts only where no header names a schema.
    pub prefix: Option<Convention>,
}

impl Default for Conventions {
    fn default() -> Self {
        Self { headers: vec![Convention::Headers], prefix: None }
    }
}

impl Conventions {
    /// Those of a list. Of several that stand before the value, the last counts.
    #[must_use]
    pub fn new(list: &[Convention]) -> Self {
        let headers = list.iter().copied().filter(|it| !it.is_prefix()).collect();
        Self { headers, prefix: list.iter().rev().copied().find(|it| it.is_prefix()) }
    }

    /// All of them, those in headers first.
    pub fn iter(&self) -> impl Iterator<Item = Convention> + '_ {
        self.headers.iter().copied().chain(self.prefix)
    }

    /// Whether it is the product's own convention and no other.
    #[must_use]
    pub fn is_headers_only(&self) -> bool {
        self.prefix.is_none() && matches!(self.headers[..], [Convention::Headers])
    }
}
