//! Which origins may be asked for schemas. Every URL passes here before anything is sent to it: those that records name,
//! those that redirects lead to, and those that a registry's references are made into.

use url::{Origin, Url};

use super::RegistrySettings;

/// The origins (scheme, host, port) that may be asked.
///
/// Comparison is on parsed URLs, so that upper case, default ports, and other spellings of an IP address are one origin
/// and `host.` (with the dot) is another one than `host`.
#[derive(Debug, Clone)]
pub struct Origins {
    allowed: Vec<Origin>,
}

impl Origins {
    /// The registry's own origin and those that the configuration adds. What is neither http nor https is left out.
    #[must_use]
    pub fn new(settings: &RegistrySettings) -> Self {
        let mut allowed: Vec<Origin> = Vec::new();
        for url in settings.url.iter().chain(&settings.allow).filter(|url| is_http(url)) {
            let origin = url.origin();
            if !allowed.contains(&origin) {
                allowed.push(origin);
            }
        }
        Self { allowed }
    }

    /// How many origins there are.
    pub(super) fn count(&self) -> usize {
        self.allowed.len()
    }

    /// The place of the origin of `url` among these.
    pub(super) fn position(&self, url: &Url) -> Option<usize> {
        let origin = url.origin();
        self.allowed.iter().position(|allowed| *allowed == origin)
    }

    /// Whether `url` may be asked: its origin is one of these, and it carries no user information.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        let anonymous = url.username().is_empty() && url.password().is_none();
        anonymous && is_http(url) && self.position(url).is_some()
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
    fn only_http_origins_can_be_added() {
        let origins = origins(&["ftp://host/", "file:///x", "data:text/plain,x"]);
        assert!(origins.allowed.is_empty());
        assert_eq!(origin_text(&url("https://u:p@host/x?y")), "https://host");
        assert_eq!(origin_text(&url("file:///etc/passwd")), "file:");
    }
}
