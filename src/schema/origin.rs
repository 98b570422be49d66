//! Which origins may be asked for schemas. Every URL passes here before anything is sent to it: those that records name,
//! those that redirects lead to, and those that a registry's references are made into.

use url::{Origin, Url};

use super::{RegistryApi, RegistrySettings};

/// The origins (scheme, host, port) that may be asked.
///
/// Comparison is on parsed URLs, so that upper case, default ports, and other spellings of an IP address are one origin
/// and `host.` (with the dot) is another one than `host`.
#[derive(Debug, Clone)]
pub struct Origins {
    allowed: Vec<Allowed>,
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    /// Every host whose name ends like this, dot included, by this scheme at this port.
    Below {
        scheme: String,
        ending: String,
        port: Option<u16>,
    },
    Exactly(Origin),
}

/// How an origin came to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Named {
    /// By a `*.` that stands for many hosts.
    ByWildcard,
    /// By itself.
    Exactly,
}

impl Origins {
    /// The registries' own origins and those that the configuration adds. What is neither http nor https is left out, and
    /// folders, for nobody is asked there.
    #[must_use]
    pub fn new(settings: &RegistrySettings) -> Self {
        let folder = |api: &RegistryApi| matches!(api, RegistryApi::Directory { .. });
        let own = settings.registries().filter(|(_, access)| !folder(&access.api));
        let own =
            own.filter(|(url, _)| is_http(url)).map(|(url, _)| Allowed::Exactly(url.origin()));
        let mut allowed: Vec<Allowed> = Vec::new();
        let added = settings.allow.iter().filter(|url| is_http(url)).map(Allowed::new);
        for entry in own.chain(added) {
            if !allowed.contains(&entry) {
                allowed.push(entry);
            }
        }
        Self { allowed }
    }

    /// How many origins there are; those that one wildcard stands for count once.
    pub(super) fn count(&self) -> usize {
        self.allowed.len()
    }

    /// The place of the origin of `url` among these.
    pub(super) fn position(&self, url: &Url) -> Option<usize> {
        let origin = url.origin();
        let exactly =
            |allowed: &Allowed| matches!(allowed, Allowed::Exactly(own) if *own == origin);
        let exact = self.allowed.iter().position(exactly);
        exact.or_else(|| self.allowed.iter().position(|allowed| allowed.is_above(url)))
    }

    /// Whether `url` may be asked: its origin is one of these, and it carries no user information.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        self.named(url).is_some()
    }

    /// By which kind of entry `url` may be asked, if it may.
    pub(super) fn named(&self, url: &Url) -> Option<Named> {
        let anonymous = url.username().is_empty() && url.password().is_none();
        if !anonymous || !is_http(url) {
            return None;
        }
        Some(match self.allowed.get(self.position(url)?)? {
            Allowed::Below { .. } => Named::ByWildcard,
            Allowed::Exactly(_) => Named::Exactly,
        })
    }
}

impl Allowed {
    fn new(url: &Url) -> Self {
        match url.domain().and_then(|host| host.strip_prefix('*')) {
            Some(ending) => Self::Below {
                scheme: url.scheme().to_owned(),
                ending: ending.to_owned(),
                port: url.port_or_known_default(),
            },
            None => Self::Exactly(url.origin()),
        }
    }

    fn is_above(&self, url: &Url) -> bool {
        let Self::Below { scheme, ending, port } = self else { return false };
        let name = url.domain().and_then(|host| host.strip_suffix(ending.as_str()));
        url.scheme() == scheme
            && url.port_or_known_default() == *port
            && name.is_some_and(|name| !name.is_empty() && !name.ends_with('.'))
    }
}

/// Whether `url` is http or https.
fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// The origin of `url` as text: without user information, path and query.
pub(super) fn origin_text(url: &Url) -> String {
    if is_http(url) { url.origin().ascii_serialization() } else { format!("{}:", url.scheme()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn origins(urls: &[&str]) -> Origins {
        Origins::new(&RegistrySettings {
            url: urls.first().map(|text| url(text)),
            allow: urls.iter().skip(1).map(|text| url(text)).collect(),
            ..RegistrySettings::default()
        })
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_however_spelt() {
        let origins = origins(&[
            "http://registry:8081/prefix",
            "https://host",
            "http://127.0.0.1",
            "http://[::1]:90",
        ]);
        let table = [
            ("http://registry:8081/any/path?query", true),
            ("HTTP://REGISTRY:8081/", true),
            ("https://host:443/", true),
            ("http://2130706433/", true),
            ("http://0x7f.1/", true),
            ("http://[0:0:0:0:0:0:0:1]:90/", true),
            ("http://registry/", false),
            ("https://registry:8081/", false),
            ("http://registry.:8081/", false),
            ("http://host/", false),
            ("https://host:444/", false),
            ("https://host.evil/", false),
            ("https://evil/host", false),
            ("http://[::ffff:127.0.0.1]/", false),
            ("http://localhost/", false),
            ("http://user@registry:8081/", false),
            ("http://:pw@registry:8081/", false),
            ("ftp://host/", false),
            ("file:///etc/passwd", false),
            ("blob:https://host/x", false),
        ];
        for (given, allowed) in table {
            assert_eq!(origins.allows(&url(given)), allowed, "{given}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_every_host_below_by_the_same_scheme_and_port() {
        let origins =
            origins(&["http://a.example.com:81", "https://*.example.com", "http://*.b.org:81"]);
        let table = [
            ("https://a.example.com/x", Some(Named::ByWildcard)),
            ("https://a.b.EXAMPLE.com:443/x", Some(Named::ByWildcard)),
            ("http://a.example.com:81/", Some(Named::Exactly)),
            ("http://c.b.org:81/", Some(Named::ByWildcard)),
            ("http://c.b.org/", None),
            ("http://a.example.com/", None),
            ("https://a.example.com:444/", None),
            ("https://example.com/", None),
            ("https://.example.com/", None),
            ("https://a..example.com/", None),
            ("https://a.example.com./", None),
            ("https://badexample.com/", None),
            ("https://a.example.com.evil/", None),
            ("https://me@a.example.com/", None),
        ];
        for (given, named) in table {
            assert_eq!(origins.named(&url(given)), named, "{given}");
        }
    }

    #[test]
    fn only_http_origins_can_be_added() {
        let origins = origins(&["ftp://host/", "file:///x", "data:text/plain,x"]);
        assert!(origins.allowed.is_empty());
        assert_eq!(origin_text(&url("https://u:p@host/x?y")), "https://host");
        assert_eq!(origin_text(&url("file:///etc/passwd")), "file:");
    }
}
