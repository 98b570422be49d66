//! How a record names its schema. The header is written by whoever produces: what leaves this file names an allowed
//! origin, in one spelling, without user information.

use std::{borrow::Cow, sync::Arc};

use url::Url;

use super::{
    Origins, RegistryKey, RegistrySettings, SchemaId,
    origin::origin_text,
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
}

impl SchemaRef {
    /// The one spelling of the reference: `https://host/users/schema.avsc`, `https://host/schemas/ids/42`. A document's
    /// query is part of it, so it is not fit to be shown.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Document(url) => Cow::Borrowed(&url.0),
            Self::Registered { registry, key } => Cow::Owned(format!("{registry}/{key}")),
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
            Self::Registered { registry, .. } => shown_reference(registry.as_bytes()),
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
    registry: Option<Registry>,
}

/// The registry against which ids and paths are resolved.
#[derive(Debug, Clone)]
struct Registry {
    /// Its base URL with a slash at the end: what relative paths are joined to.
    directory: Url,
    /// The same without that slash: what ids are asked under.
    base: Arc<str>,
}

impl References {
    /// Takes the registry and the allowed origins from the configuration. User information, query and fragment of the
    /// registry's URL do not become part of references.
    ///
    /// Where neither a registry nor an origin is configured, no schema can be asked for, and rules can only want metadata
    /// that is well-formed. Then every origin will do, and ids and paths belong to a registry that is nowhere.
    #[must_use]
    pub fn new(settings: &RegistrySettings) -> Self {
        if settings.url.is_none() && settings.allow.is_empty() {
            let registry = Url::parse(NOWHERE).ok().as_ref().and_then(Registry::new);
            return Self { origins: None, registry };
        }
        let registry = settings.url.as_ref().and_then(Registry::new);
        Self { origins: Some(Origins::new(settings)), registry }
    }

    /// Reads the value of a `schema-id` header: an absolute URL, a bare decimal id, or a path. A relative path is resolved
    /// below the registry's URL, one with a slash in front at the root of its origin. A URL or path that ends in
    /// `/schemas/ids/{int}` or `/schemas/ids/{int}/schema`, without a query, is an id.
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

    /// The schema that the configured registry calls `key`.
    ///
    /// # Errors
    /// [`ReferenceError::Malformed`] where no registry is configured.
    pub fn registered(&self, key: RegistryKey) -> Result<SchemaRef, ReferenceError> {
        let registry = self.registry.as_ref().map(|registry| Arc::clone(&registry.base));
        let missing = || ReferenceError::Malformed { detail: "an id needs registry.url".into() };
        Ok(SchemaRef::Registered { registry: registry.ok_or_else(missing)?, key })
    }

    /// How the configured registry's own users call what [`SchemaRef::text`] calls `text`: the bare id, or the path below
    /// the registry's URL. `None` for what is elsewhere.
    #[must_use]
    pub fn local<'t>(&self, text: &'t str) -> Option<&'t str> {
        let path = text.strip_prefix(self.registry.as_ref()?.directory.as_str())?;
        Some(path.strip_prefix("schemas/ids/").unwrap_or(path))
    }

    fn read(&self, header: &[u8]) -> Result<SchemaRef, Fault> {
        let text = plain_text(header)?;
        let text = text.split_once('#').map_or(text, |(text, _)| text);
        if is_decimal(text) {
            let id = SchemaId::parse(text).ok_or(ID_TOO_LARGE)?;
            let registry = Arc::clone(&self.registry()?.base);
            return Ok(SchemaRef::Registered { registry, key: RegistryKey::Id(id) });
        }
        let url = match scheme(text) {
            Some((scheme, rest)) => absolute(text, scheme, rest)?,
            None => self.registry()?.resolve(text)?,
        };
        self.reference(url)
    }

    fn registry(&self) -> Result<&Registry, Fault> {
        Ok(self.registry.as_ref().ok_or("an id or path needs registry.url")?)
    }

    fn reference(&self, mut url: Url) -> Result<SchemaRef, Fault> {
        if self.origins.as_ref().is_some_and(|origins| !origins.allows(&url)) {
            return Err(Fault::NotAllowed(shown(origin_text(&url).as_bytes())));
        }
        url.set_fragment(None);
        if url.query().is_none_or(str::is_empty) {
            url.set_query(None);
            if let Some((base, digits)) = confluent_parts(&url) {
                let id = SchemaId::parse(digits).ok_or(ID_TOO_LARGE)?;
                let registry = self.shared(base);
                return Ok(SchemaRef::Registered { registry, key: RegistryKey::Id(id) });
            }
        }
        Ok(SchemaRef::Document(DocumentUrl(String::from(url).into())))
    }

    /// `base` as a shared text, without a copy where it is the registry's own.
    fn shared(&self, base: String) -> Arc<str> {
        match &self.registry {
            Some(registry) if *registry.base == *base => Arc::clone(&registry.base),
            _ => base.into(),
        }
    }
}

impl Registry {
    fn new(url: &Url) -> Option<Self> {
        let path = url.path().trim_end_matches('/');
        let base = format!("{}{path}", url.origin().ascii_serialization());
        let directory = Url::parse(&format!("{base}/")).ok()?;
        Some(Self { directory, base: base.into() })
    }

    /// Resolves a path, which has no scheme. `//host` would name another origin.
    fn resolve(&self, path: &str) -> Result<Url, Fault> {
        if path.starts_with("//") {
            return Err("it names a host without a scheme".into());
        }
        if path.is_empty() || path.starts_with('?') {
            return Err("it has no path".into());
        }
        refuse_dot_segments(path)?;
        self.directory.join(path).map_err(not_a_url)
    }
}

/// The base URL of a registry (no slash at the end) and the digits of the id, where `url` has the form of the
/// Confluent API. The query is not looked at.
pub(super) fn confluent_parts(url: &Url) -> Option<(String, &str)> {
    let path = url.path();
    let path = path.strip_suffix("/schema").unwrap_or(path);
    let (head, digits) = path.rsplit_once('/')?;
    let prefix = head.strip_suffix("/schemas/ids")?;
    let names_id = is_decimal(digits) && !prefix.ends_with('/');
    names_id.then(|| (format!("{}{prefix}", origin_text(url)), digits))
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
    use crate::schema::spelling::MAX_REFERENCE_BYTES;

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
