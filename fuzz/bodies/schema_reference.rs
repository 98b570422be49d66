//! One `schema-id` header: whoever writes it, only allowed origins are asked, and each schema has one spelling.

use std::sync::LazyLock;

use schemaward::limits::KIB;
use schemaward::schema::{ReferenceError, References, RegistrySettings};
use url::Url;

use super::{Outcome, assert_presentable, within};

const REGISTRY: &str = "http://registry:8081/api";
const ALLOWED: [&str; 3] =
    ["http://registry:8081", "https://my-schema-server", "http://[::1]:9000"];

static BOUND: LazyLock<References> = LazyLock::new(|| {
    let url = |text: &str| Url::parse(text).expect("a URL");
    let (url, allow) = (Some(url(REGISTRY)), ALLOWED[1..].iter().map(|it| url(it)).collect());
    References::new(&RegistrySettings { url, allow, ..RegistrySettings::default() })
});
/// Where nothing is ever asked: any origin will do.
static FREE: LazyLock<References> = LazyLock::new(|| References::new(&RegistrySettings::default()));

/// The data is the value of the header.
pub fn run(data: &[u8]) -> Outcome {
    // The names of hosts are the dearest: 47 bytes were held for one byte of punycode.
    let memory = 64 * KIB + 64 * data.len();
    let free = within(memory, || FREE.parse(data));
    assert!(!matches!(free, Err(ReferenceError::NotAllowed { .. })), "every origin will do");
    let reference = match within(memory, || BOUND.parse(data)) {
        Ok(reference) => reference,
        Err(error) => {
            assert_presentable(&error.to_string());
            // What stands behind an origin that may not be asked is not looked at any further.
            let elsewhere = matches!(error, ReferenceError::NotAllowed { .. });
            assert!(elsewhere || free.is_err(), "well-formed or not, wherever it leads");
            return Outcome::Refused;
        }
    };
    assert!(free.is_ok(), "{free:?}");
    let text = reference.text();
    // What is escaped takes more room than it had, and may be too long to be read again.
    if text.len() <= 2 * KIB {
        assert_eq!(BOUND.parse(text.as_bytes()), Ok(reference.clone()), "one spelling");
    }
    let url = Url::parse(&text).expect("a reference is a URL");
    assert!(ALLOWED.contains(&url.origin().ascii_serialization().as_str()), "{url} is not allowed");
    assert!(url.username().is_empty() && url.password().is_none(), "{url}");
    assert_eq!(url.fragment(), None);
    assert_eq!(url.as_str(), text, "others would read it differently");
    for shown in [reference.shown(), reference.source()] {
        assert_presentable(&shown);
        assert!(!shown.contains(['?', '#']), "{shown}");
    }
    assert!(!reference.allowed_by(|_| false) && reference.allowed_by(|_| true));
    assert!(BOUND.local(&text).is_none_or(|local| text.ends_with(local)));
    Outcome::Taken
}
