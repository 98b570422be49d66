//! How a record names its schema. The header is written by whoever produces: what leaves this file names an allowed
//! origin, in one spelling, without user information.

use std::{borrow::Cow, path::PathBuf, sync::Arc};

use url::Url;

use super::{
    Guid, Origins, RegistryAccess, RegistryApi, RegistryKey, RegistrySettings, SchemaId,
    WantedSubject,
    origin::origin_text,
    registries::{Registries, Registry},
    spelling::{Fault, absolute, is_decimal, not_a_url, plain_text, refuse_dot_segments, scheme},
};
use crate::text::{shown, shown_reference};

/// URL of a schema document, normalised.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DocumentUrl(pub Arc<str>);

/// How a record names its schema: its `schema-id` header, parsed and allowed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SchemaRef {
    /// A schema document at an absolute URL.
    Document(DocumentUrl),
    /// A schema of the registry whose API lives under `registry`.
    Registered {
        /// Base URL of the registry (no slash at the end).
        registry: Arc<str>,
        /// What the registry calls it.
        key: RegistryKey,
    },
    /// The same where it is registered under a subject that is wanted.
    Under {
        /// Base URL of the registry (no slash at the end).
        registry: Arc<str>,
        /// What the registry calls it.
        key: RegistryKey,
        /// The subject.
        subject: Arc<WantedSubject>,
    },
}

impl SchemaRef {
    /// The one spelling of the reference: `https://host/users/schema.avsc`, `https://host/schemas/ids/42`. A document's
    /// query is part of it, so it is not fit to be shown.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Document(url) => Cow::Borrowed(&url.0),
            Self::Registered { registry, key } => Cow::Owned(format!("{registry}/{key}")),
            Self::Under { registry, key, subject } => {
                Cow::Owned(format!("{registry}/{key}?{}", subject.spelling()))
            }
        }
    }

    /// The same schema where it is registered under `subject`. `None` for a document, which has none.
    #[must_use]
    pub fn under(&self, subject: &Arc<WantedSubject>) -> Option<Self> {
        match self {
            Self::Document(_) => None,
            Self::Registered { registry, key } | Self::Under { registry, key, .. } => {
                let (registry, key) = (Arc::clone(registry), key.clone());
                Some(Self::Under { registry, key, subject: Arc::clone(subject) })
            }
        }
    }

    /// The reference as logs and pages may show it: without the query.
    #[must_use]
    pub fn shown(&self) -> String {
        shown_reference(self.text().as_bytes())
    }

    /// Who is asked for it, fit to be shown: an origin, or the base URL of a registry.
    #[must_use]
    pub fn source(&self) -> String {
        match self {
            Self::Document(url) => {
                Url::parse(&url.0).map(|url| origin_text(&url)).unwrap_or_default()
            }
            Self::Registered { registry, .. } | Self::Under { registry, .. } => {
                shown_reference(registry.as_bytes())
            }
        }
    }

    /// Whether a rule's pattern allows the reference: it must match with the query and without it. Otherwise a producer
    /// could make any document match `*/users.avsc` by adding `?/users.avsc` to its URL.
    pub fn allowed_by(&self, matches: impl Fn(&str) -> bool) -> bool {
        let text = self.text();
        let document = text.split_once('?').map_or(&*text, |(document, _)| document);
        matches(document) && (document.len() == text.len() || matches(&text))
    }
}

/// Why a `schema-id` header names no schema that may be asked for. Scope: one record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It is neither URL, id nor path.
    #[error("{detail}")]
    Malformed {
        /// What is wrong, fit to be shown.
        detail: String,
    },
    /// Its origin is not on the allow-list.
    #[error("origin {origin} is not allowed")]
    NotAllowed {
        /// The origin, fit to be shown.
        origin: String,
    },
}

/// Reads `schema-id` headers.
#[derive(Debug, Clone)]
pub struct References {
    /// `None`: every one, for nothing is ever asked.
    origins: Option<Origins>,
    registries: Registries,
    /// Whether the first of them is the one that paths are resolved against.
    has_main: bool,
}

impl References {
    /// Takes the registries and the allowed origins from the configuration. User information, query and fragment of a
    /// registry's URL do not become part of references.
    ///
    /// Where neither a registry nor an origin is configured, no schema can be asked for, and rules can only want metadata
    /// that is well-formed. Then every origin will do, and ids and paths belong to a registry that is nowhere.
    #[must_use]
    pub fn new(settings: &RegistrySettings) -> Self {
        if settings.is_nowhere() {
            // A folder knows every kind of key.
            let api = RegistryApi::Directory { path: PathBuf::new() };
            let access = RegistryAccess { api, ..RegistryAccess::default() };
            let nowhere = Url::parse(NOWHERE).ok().and_then(|url| Registry::new(&url, access));
            let has_main = nowhere.is_some();
            let registries = Registries::of(nowhere.into_iter().collect());
            return Self { origins: None, registries, has_main };
        }
        let origins = Some(Origins::new(settings));
        let registries = Registries::new(settings);
        let has_main = settings.url.is_some() && !registries.all().is_empty();
        Self { origins, registries, has_main }
    }

    /// Reads the value of a `schema-id` header: an absolute URL, a bare decimal id, or a path. A relative path is resolved
    /// below the main registry's URL, one with a slash in front at the root of its origin. A URL or path that ends in
    /// `/schemas/ids/{int}` or `/schemas/guids/{guid}`, or in these and `/schema`, without a query, is an id or a GUID.
    ///
    /// # Errors
    /// [`ReferenceError::Malformed`] for anything else, other schemes included, and [`ReferenceError::NotAllowed`] for
    /// a well-formed URL of an origin that may not be asked.
    pub fn parse(&self, header: &[u8]) -> Result<SchemaRef, ReferenceError> {
        self.read(header).map_err(|fault| match fault {
            Fault::Malformed(why) => {
                ReferenceError::Malformed { detail: malformed_detail(&why, header) }
            }
            Fault::NotAllowed(origin) => ReferenceError::NotAllowed { origin },
        })
    }

    /// The schema that a registry calls `key`: the main registry where that knows such keys, else the first of the others
    /// that does.
    ///
    /// # Errors
    /// [`ReferenceError::Malformed`] where none does.
    pub fn registered(&self, key: RegistryKey) -> Result<SchemaRef, ReferenceError> {
        let knowing = self.registries.all().iter().find(|registry| registry.access.api.knows(&key));
        match knowing {
            Some(registry) => {
                Ok(SchemaRef::Registered { registry: Arc::clone(&registry.base), key })
            }
            None => Err(ReferenceError::Malformed {
                detail: format!("no registry is configured that has schemas by {}", key.kind()),
            }),
        }
    }

    /// How the main registry's own users call what [`SchemaRef::text`] calls `text`: the bare id or GUID, or the path below
    /// the registry's URL. `None` for what is elsewhere.
    #[must_use]
    pub fn local<'t>(&self, text: &'t str) -> Option<&'t str> {
        let path = text.strip_prefix(self.main()?.directory.as_str())?;
        let bare = |prefix| path.strip_prefix(prefix);
        Some(bare("schemas/ids/").or_else(|| bare("schemas/guids/")).unwrap_or(path))
    }

    fn read(&self, header: &[u8]) -> Result<SchemaRef, Fault> {
        let text = plain_text(header)?;
        let text = text.split_once('#').map_or(text, |(text, _)| text);
        if is_decimal(text) {
            let id = SchemaId::parse(text).ok_or(ID_TOO_LARGE)?;
            let no_registry = |_| Fault::from("an id needs a registry that has ids");
            return self.registered(RegistryKey::Id(id)).map_err(no_registry);
        }
        let url = match scheme(text) {
            Some((scheme, rest)) => absolute(text, scheme, rest)?,
            None => resolve(self.main().ok_or("a path needs registry.url")?, text)?,
        };
        self.reference(url)
    }

    fn main(&self) -> Option<&Registry> {
        self.registries.all().first().filter(|_| self.has_main)
    }

    fn reference(&self, mut url: Url) -> Result<SchemaRef, Fault> {
        let anonymous = url.username().is_empty() && url.password().is_none();
        let owner = self.registries.owner(&url).map(|(_, registry)| registry);
        let in_folder = anonymous && owner.is_some_and(Registry::is_folder);
        if !in_folder && self.origins.as_ref().is_some_and(|origins| !origins.allows(&url)) {
            return Err(Fault::NotAllowed(shown(origin_text(&url).as_bytes())));
        }
        url.set_fragment(None);
        if url.query().is_none_or(str::is_empty) {
            url.set_query(None);
            if let Some(registered) = by_path(&url, owner)? {
                return Ok(registered);
            }
        }
        Ok(SchemaRef::Document(DocumentUrl(String::from(url).into())))
    }
}

/// The registered schema that `url`, without a query, stands for, where `owner` is the registry that it belongs to.
fn by_path(url: &Url, owner: Option<&Registry>) -> Result<Option<SchemaRef>, Fault> {
    // What Confluent's API has is told by the end of the path alone, wherever that registry may be.
    if let Some((base, name)) = confluent_parts(url) {
        let key = match name {
            ConfluentName::Guid(guid) => RegistryKey::Guid(guid),
            ConfluentName::Id(digits) => {
                RegistryKey::Id(SchemaId::parse(digits).ok_or(ID_TOO_LARGE)?)
            }
        };
        // At a configured registry the configuration counts. Below it, or elsewhere, there may be another one.
        let registry = match owner {
            Some(owner) if *owner.base == *base => {
                owner.access.api.knows(&key).then(|| Arc::clone(&owner.base))
            }
            Some(owner) if !owner.may_have_others_below() => None,
            _ => Some(base.into()),
        };
        return Ok(registry.map(|registry| SchemaRef::Registered { registry, key }));
    }
    let Some(owner) = owner else { return Ok(None) };
    let key = owner.path_below(url).and_then(RegistryKey::of_path);
    let key = key.filter(|key| owner.access.api.knows(key));
    Ok(key.map(|key| SchemaRef::Registered { registry: Arc::clone(&owner.base), key }))
}

/// Resolves a path, which has no scheme. `//host` would name another origin.
fn resolve(registry: &Registry, path: &str) -> Result<Url, Fault> {
    if path.starts_with("//") {
        return Err("it names a host without a scheme".into());
    }
    if path.is_empty() || path.starts_with('?') {
        return Err("it has no path".into());
    }
    refuse_dot_segments(path)?;
    registry.directory.join(path).map_err(not_a_url)
}

/// What a registry with Confluent's API calls a schema.
pub(super) enum ConfluentName<'u> {
    Guid(Guid),
    /// Decimal digits, perhaps too many.
    Id(&'u str),
}

/// The base URL of a registry (no slash at the end) and the name of the schema, where `url` has the form of the
/// Confluent API. The query is not looked at.
pub(super) fn confluent_parts(url: &Url) -> Option<(String, ConfluentName<'_>)> {
    let path = url.path();
    let path = path.strip_suffix("/schema").unwrap_or(path);
    let (head, name) = path.rsplit_once('/')?;
    let (prefix, name) = match head.strip_suffix("/schemas/ids") {
        Some(prefix) => (prefix, is_decimal(name).then_some(ConfluentName::Id(name))?),
        None => (head.strip_suffix("/schemas/guids")?, ConfluentName::Guid(Guid::parse(name)?)),
    };
    (!prefix.ends_with('/')).then(|| (format!("{}{prefix}", origin_text(url)), name))
}

/// The text of a malformed reference is left out where it may hold a password at a place that is hard to tell.
fn malformed_detail(why: &str, header: &[u8]) -> String {
    if header.is_empty() || header.contains(&b'@') {
        return format!("schema reference cannot be read: {why}");
    }
    format!("schema reference \"{}\" cannot be read: {why}", shown_reference(header))
}

/// A registry that cannot exist (RFC 2606).
const NOWHERE: &str = "http://registry.invalid/";
const ID_TOO_LARGE: &str = "its id is larger than 2147483647";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema::{ArtifactVersion, OtherRegistry, Template, spelling::MAX_REFERENCE_BYTES};

    fn references() -> References {
        References::new(&settings("http://user:secret@Registry:8081/prefix/?x#y"))
    }

    fn settings(url: &str) -> RegistrySettings {
        RegistrySettings {
            url: Some(Url::parse(url).unwrap()),
            allow: vec![
                Url::parse("https://my-schema-server").unwrap(),
                Url::parse("http://127.0.0.1:9000").unwrap(),
                Url::parse("http://[::1]/").unwrap(),
            ],
            ..RegistrySettings::default()
        }
    }

    fn id(registry: &str, id: u32) -> SchemaRef {
        SchemaRef::Registered { registry: registry.into(), key: RegistryKey::Id(SchemaId(id)) }
    }

    fn document(url: &str) -> SchemaRef {
        SchemaRef::Document(DocumentUrl(url.into()))
    }

    #[test]
    fn the_registrys_own_schemas_have_a_short_name() {
        let url = Some(Url::parse("http://registry:8081/api").unwrap());
        let references = References::new(&RegistrySettings { url, ..RegistrySettings::default() });
        let table = [
            ("http://registry:8081/api/schemas/ids/42", Some("42")),
            ("http://registry:8081/api/users/v1.avsc", Some("users/v1.avsc")),
            ("http://registry:8081/other/v1.avsc", None),
            ("http://elsewhere/api/v1.avsc", None),
        ];
        for (text, local) in table {
            assert_eq!(references.local(text), local, "{text}");
        }
    }

    #[test]
    fn every_form_has_one_meaning() {
        let table = [
            (
                "https://my-schema-server/users/schema.avsc",
                document("https://my-schema-server/users/schema.avsc"),
            ),
            ("HTTPS://My-Schema-Server:443/a?b=c#d", document("https://my-schema-server/a?b=c")),
            ("https://my-schema-server/a?#", document("https://my-schema-server/a")),
            ("https://my-schema-server", document("https://my-schema-server/")),
            ("https://my-schema-server/schemas/ids/42", id("https://my-schema-server", 42)),
            (
                "https://my-schema-server/v7/schemas/ids/042/schema#x",
                id("https://my-schema-server/v7", 42),
            ),
            ("https://my-schema-server/schemas/ids/42?", id("https://my-schema-server", 42)),
            (
                "https://my-schema-server/schemas/ids/42?subject=x",
                document("https://my-schema-server/schemas/ids/42?subject=x"),
            ),
            (
                "https://my-schema-server/schemas/ids/42/",
                document("https://my-schema-server/schemas/ids/42/"),
            ),
            (
                "https://my-schema-server//schemas/ids/42",
                document("https://my-schema-server//schemas/ids/42"),
            ),
            (
                "https://my-schema-server/schemas/ids/x",
                document("https://my-schema-server/schemas/ids/x"),
            ),
            (
                "https://my-schema-server/myschemas/ids/4",
                document("https://my-schema-server/myschemas/ids/4"),
            ),
            ("0", id("http://registry:8081/prefix", 0)),
            ("42", id("http://registry:8081/prefix", 42)),
            ("42#x", id("http://registry:8081/prefix", 42)),
            ("2147483647", id("http://registry:8081/prefix", 2_147_483_647)),
            ("http://registry:8081/prefix/schemas/ids/7", id("http://registry:8081/prefix", 7)),
            ("schemas/ids/7", id("http://registry:8081/prefix", 7)),
            ("/schemas/ids/7", id("http://registry:8081", 7)),
            ("users/schema.avsc", document("http://registry:8081/prefix/users/schema.avsc")),
            ("/users/schema.avsc", document("http://registry:8081/users/schema.avsc")),
            ("users/a:b@c.avsc", document("http://registry:8081/prefix/users/a:b@c.avsc")),
            ("grün.avsc", document("http://registry:8081/prefix/gr%C3%BCn.avsc")),
            ("..a/b..", document("http://registry:8081/prefix/..a/b..")),
            ("100%.avsc", document("http://registry:8081/prefix/100%.avsc")),
            ("a?b=../c", document("http://registry:8081/prefix/a?b=../c")),
            ("http://2130706433:9000/a", document("http://127.0.0.1:9000/a")),
            ("http://[0::1]/a", document("http://[::1]/a")),
        ];
        for (given, expected) in table {
            assert_eq!(references().parse(given.as_bytes()), Ok(expected), "{given}");
        }
    }

    /// A main registry at `http://main/a`, and one of each other kind.
    fn several(main: RegistryApi) -> References {
        let other = |url: &str, api| OtherRegistry {
            url: Url::parse(url).unwrap(),
            access: RegistryAccess { api, ..RegistryAccess::default() },
        };
        let documents = |text| RegistryApi::Documents { template: Template::parse(text) };
        let settings = RegistrySettings {
            url: Url::parse("http://main/a").ok(),
            access: RegistryAccess { api: main, ..RegistryAccess::default() },
            others: vec![
                other("https://documents/x", documents("/{fingerprint}")),
                other("https://apicurio/apis", RegistryApi::Apicurio),
                other("https://confluent", RegistryApi::Confluent),
                other("http://folder", RegistryApi::Directory { path: "/x".into() }),
            ],
            ..RegistrySettings::default()
        };
        References::new(&settings)
    }

    fn keys() -> [(RegistryKey, &'static str); 7] {
        let artifact =
            ArtifactVersion { group: "g".into(), artifact: "a/b".into(), version: "1".into() };
        [
            (RegistryKey::Artifact(artifact), "groups/g/artifacts/a%2Fb/versions/1"),
            (RegistryKey::ContentHash("ab".into()), "ids/contentHashes/ab"),
            (RegistryKey::ContentId(5), "ids/contentIds/5"),
            (RegistryKey::Fingerprint(1), "fingerprints/0000000000000001"),
            (RegistryKey::GlobalId(6), "ids/globalIds/6"),
            (
                RegistryKey::Guid(Guid([7; 16])),
                "schemas/guids/07070707-0707-0707-0707-070707070707",
            ),
            (RegistryKey::Id(SchemaId(8)), "schemas/ids/8"),
        ]
    }

    #[test]
    fn a_key_belongs_to_the_first_registry_that_knows_its_kind() {
        let (confluent, apicurio, documents) =
            ("https://confluent", "https://apicurio/apis", "https://documents/x");
        let main = "http://main/a";
        let ids = || RegistryApi::Documents { template: Template::parse("/{id}") };
        let table = [
            (
                RegistryApi::Confluent,
                [apicurio, apicurio, apicurio, documents, apicurio, main, main],
            ),
            (RegistryApi::Apicurio, [main, main, main, documents, main, confluent, main]),
            (ids(), [apicurio, apicurio, apicurio, documents, apicurio, confluent, main]),
            (RegistryApi::Directory { path: "/y".into() }, [main; 7]),
        ];
        for (api, expected) in table {
            let references = several(api.clone());
            for ((key, path), base) in keys().into_iter().zip(expected) {
                let reference = references.registered(key).unwrap();
                let text = reference.text().into_owned();
                assert_eq!(text, format!("{base}/{path}"), "{api:?}");
                assert_eq!(references.parse(text.as_bytes()), Ok(reference), "parses to itself");
            }
        }
    }

    #[test]
    fn a_key_that_no_registry_knows_is_malformed() {
        let references = references();
        for (key, path) in keys() {
            let known = matches!(key, RegistryKey::Guid(_) | RegistryKey::Id(_));
            let registered = references.registered(key);
            assert_eq!(registered.is_ok(), known, "{registered:?}");
            let reference = references.parse(path.as_bytes()).unwrap();
            assert_eq!(matches!(reference, SchemaRef::Registered { .. }), known, "{reference:?}");
        }
        let allow = vec![Url::parse("https://my-schema-server").unwrap()];
        let references = References::new(&RegistrySettings { allow, ..Default::default() });
        let error = references.registered(RegistryKey::Id(SchemaId(1))).unwrap_err();
        assert_eq!(error.to_string(), "no registry is configured that has schemas by id");
    }

    #[test]
    fn what_lies_below_a_registry_is_read_as_that_registry_has_it() {
        let references = several(RegistryApi::Confluent);
        let table = [
            ("https://documents/x/schemas/ids/4", None),
            ("https://documents/x/y/schemas/ids/4", None),
            ("https://documents/schemas/ids/4", None),
            ("https://confluent/v7/schemas/ids/4", Some("https://confluent/v7/schemas/ids/4")),
            ("https://confluent/ids/globalIds/4", None),
            (
                "https://apicurio/apis/ids/globalIds/4",
                Some("https://apicurio/apis/ids/globalIds/4"),
            ),
            ("https://apicurio/apis/ids/globalIds/4?x", None),
            ("https://apicurio/apis/ids/globalIds/04", None),
            (
                "https://apicurio/ccompat/v7/schemas/ids/4",
                Some("https://apicurio/ccompat/v7/schemas/ids/4"),
            ),
            (
                "https://confluent/schemas/guids/07070707070707070707070707070707/schema",
                Some("https://confluent/schemas/guids/07070707-0707-0707-0707-070707070707"),
            ),
            ("https://confluent/schemas/guids/07", None),
            ("http://folder/schemas/ids/4", Some("http://folder/schemas/ids/4")),
            ("http://folder/a/schemas/ids/4", None),
            ("http://folder/users.avsc", None),
        ];
        for (given, registered) in table {
            let reference = references.parse(given.as_bytes()).unwrap();
            let found = match &reference {
                SchemaRef::Document(_) => None,
                SchemaRef::Registered { .. } | SchemaRef::Under { .. } => Some(reference.text()),
            };
            assert_eq!(found.as_deref(), registered, "{given}");
        }
        for outside in ["http://folder:81/a", "http://me@folder/a", "https://folder/a"] {
            assert!(references.parse(outside.as_bytes()).is_err(), "{outside}");
        }
    }

    #[test]
    fn other_origins_are_not_allowed() {
        let table = [
            ("http://my-schema-server/a", "http://my-schema-server"),
            ("https://my-schema-server:444/a", "https://my-schema-server:444"),
            ("https://my-schema-server./a", "https://my-schema-server."),
            ("https://my-schema-server.evil/a", "https://my-schema-server.evil"),
            ("https://evil/my-schema-server", "https://evil"),
            ("https://evil?https://my-schema-server/", "https://evil"),
            ("https://evil#https://my-schema-server/", "https://evil"),
            ("http://registry/42", "http://registry"),
            ("http://127.0.0.1/a", "http://127.0.0.1"),
            ("http://169.254.169.254/latest/meta-data", "http://169.254.169.254"),
            ("http://2852039166/", "http://169.254.169.254"),
            ("http://0xA9FEA9FE/", "http://169.254.169.254"),
            ("http://[::ffff:127.0.0.1]:9000/", "http://[::ffff:7f00:1]:9000"),
            ("http://localhost:9000/", "http://localhost:9000"),
            ("https://evil/schemas/ids/42", "https://evil"),
        ];
        for (given, origin) in table {
            let expected = ReferenceError::NotAllowed { origin: origin.into() };
            assert_eq!(references().parse(given.as_bytes()), Err(expected), "{given}");
        }
    }

    #[test]
    fn what_readers_could_read_differently_is_malformed() {
        let long = format!("https://my-schema-server/{}", "x".repeat(MAX_REFERENCE_BYTES));
        for given in MALFORMED.iter().copied().chain([long.as_bytes()]) {
            let parsed = references().parse(given);
            let malformed = matches!(parsed, Err(ReferenceError::Malformed { .. }));
            assert!(malformed, "{} gives {parsed:?}", given.escape_ascii());
        }
    }

    #[test]
    fn without_a_registry_only_absolute_urls_can_be_read() {
        let allow = vec![Url::parse("https://my-schema-server").unwrap()];
        let references = References::new(&RegistrySettings { allow, ..Default::default() });
        for given in ["42", "users.avsc", "/users.avsc"] {
            let parsed = references.parse(given.as_bytes());
            assert!(matches!(parsed, Err(ReferenceError::Malformed { .. })), "{given}");
        }
        assert!(references.parse(b"https://my-schema-server/schemas/ids/1").is_ok());
        assert!(References::new(&settings("file:///etc/")).parse(b"passwd").is_err());
    }

    #[test]
    fn where_nothing_can_be_asked_every_origin_will_do() {
        let references = References::new(&RegistrySettings::default());
        for given in ["42", "users.avsc", "/users.avsc", "https://any/where.avsc"] {
            let reference = references.parse(given.as_bytes());
            assert!(reference.is_ok(), "{given}: {reference:?}");
        }
        let text = references.parse(b"42").unwrap().text().into_owned();
        assert_eq!(references.local(&text), Some("42"));
        for given in MALFORMED {
            assert!(references.parse(given).is_err(), "{}", given.escape_ascii());
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        for given in [
            "https://user:hidden@my-schema-server/a",
            "https:/user:hidden@my-schema-server/a",
            "ftp://user:hidden@x/?token=hidden",
            "ftp://x/?token=hidden",
        ] {
            let shown = references().parse(given.as_bytes()).unwrap_err().to_string();
            assert!(!shown.contains("hidden"), "{shown}");
        }
        let reference = references().parse(b"https://my-schema-server/a?token=hidden").unwrap();
        assert_eq!(reference.shown(), "https://my-schema-server/a");
        assert_eq!(
            references().parse(b"42").unwrap().shown(),
            "http://registry:8081/prefix/schemas/ids/42"
        );
    }

    #[test]
    fn a_query_cannot_make_a_pattern_match() {
        let ends = |text: &str| text.ends_with("/users.avsc");
        let starts = |text: &str| text.starts_with("https://h/users");
        assert!(document("https://h/v1/users.avsc").allowed_by(ends));
        assert!(!document("https://h/orders.avsc?/users.avsc").allowed_by(ends));
        assert!(document("https://h/users.avsc?version=1").allowed_by(starts));
        assert!(!document("https://h/orders.avsc").allowed_by(starts));
        assert!(!document("https://h/a?b").allowed_by(|text| text == "https://h/a"));
        assert!(id("https://h", 4).allowed_by(|text| text == "https://h/schemas/ids/4"));
    }

    #[track_caller]
    fn assert_contained(references: &References, header: &[u8]) {
        let Ok(reference) = references.parse(header) else { return };
        let text = reference.text().into_owned();
        let url = Url::parse(&text).unwrap();
        assert!(references.origins.as_ref().unwrap().allows(&url), "{text}");
        assert_eq!(url.as_str(), text, "normalised");
        assert!(
            !text.contains(['@', '#', '\\']) || url.path().contains('@') || url.query().is_some()
        );
        assert_eq!(references.parse(text.as_bytes()), Ok(reference), "parses to itself");
    }

    proptest! {
        #[test]
        fn parse_takes_any_bytes(header in proptest::collection::vec(any::<u8>(), 0..80)) {
            assert_contained(&references(), &header);
        }

        #[test]
        fn what_is_accepted_stays_at_allowed_origins(
            pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..10)
        ) {
            assert_contained(&references(), pieces.concat().as_bytes());
        }
    }

    const MALFORMED: &[&[u8]] = &[
        b"",
        b"#",
        b"?x",
        b"\xff",
        b" 42",
        b"42 ",
        b"4\n2",
        b"42\0",
        b"2147483648",
        b"99999999999999999999",
        b"https://my-schema-server/schemas/ids/2147483648",
        b"ftp://my-schema-server/a",
        b"file:///etc/passwd",
        b"file:users.avsc",
        b"data:text/plain,x",
        b"javascript:x",
        b"localhost:8081/a",
        b"C:\\x",
        b"//evil/a",
        b"//my-schema-server/a",
        b"/\\evil/a",
        b"\\\\evil\\a",
        b"/\t/evil/a",
        b"ht\ntps://my-schema-server/a",
        b"https:/my-schema-server/a",
        b"https:my-schema-server/a",
        b"https:///my-schema-server/a",
        b"https:\\\\my-schema-server/a",
        b"https://",
        b"https://?x",
        b"https://my-schema-server:x/a",
        b"https://my-schema-server:99999/a",
        b"https://[::1/a",
        b"https://user@my-schema-server/a",
        b"https://user:pw@my-schema-server/a",
        b"https://@my-schema-server/a",
        b"https://:@my-schema-server/a",
        b"http://my-schema-server@evil/",
        b"http://my-schema-server:80@evil/",
        b"http://evil\\@my-schema-server/",
        b"https://my-schema-server\xc2\xa0/a",
        b"..",
        b"../a",
        b"a/../../b",
        b"./a",
        b"/a/./b",
        b"a/..?x",
        b"a/%2e%2E/b",
        b"a/..%2fb",
        b"a/%2e%2e%5cb",
        b"a/%252e%252e/b",
        b"a/%2525252525252e/b",
        b"a%00b",
        b"a%250ab",
        b"a%5Cb",
        b"https://my-schema-server/a/../b",
    ];

    const PIECES: &[&str] = &[
        "http",
        "https",
        "HTTPS",
        "ftp",
        ":",
        "/",
        "//",
        "\\",
        "@",
        "?",
        "#",
        ".",
        "..",
        "%2e",
        "%2f",
        "%5c",
        "%25",
        "%00",
        "[::1]",
        "127.0.0.1",
        "2130706433",
        ":9000",
        ":443",
        "registry",
        ":8081",
        "my-schema-server",
        "evil",
        "prefix",
        "schemas/ids/",
        "42",
        "9999999999",
        "/schema",
        " ",
        "\t",
        "\n",
        "ü",
        "。",
        "．",
        "\u{200b}",
        "\u{ad}",
        "https://my-schema-server",
        "http://registry:8081/",
        "a",
        "-",
    ];
}
