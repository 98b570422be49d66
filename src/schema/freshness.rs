//! What an answer's headers say about its future: how long it may be used, what to send when asking again, when to.
//!
//! Of `Cache-Control` (RFC 9111, RFC 5861) counts what concerns a cache of one user:
//!
//! * `max-age`, less `Age`: how long a document is not asked for again.
//! * `no-cache`, `no-store`: it is asked for again at once, which is after a second, for traffic must not become requests.
//! * `stale-if-error`: how long it serves while its server is down, where that is shorter than configured. 0 forbids it.
//! * `stale-while-revalidate`, `must-revalidate`: nothing. An old document always serves while it is asked for again, and
//!   while its server is down: frameworks add `must-revalidate` to every answer, and an outage must not stop producers.

use std::time::Duration;

use reqwest::header::{
    AGE, CACHE_CONTROL, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, RETRY_AFTER,
};
use url::Url;

use super::{Lifetime, Validators};

/// What an answer's headers say about its future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Freshness {
    /// How long it may be used without asking again.
    pub(super) lifetime: Lifetime,
    /// How long after that it may serve while its server is down, if it says so.
    pub(super) stale_if_error: Option<Duration>,
}

pub(super) fn freshness(headers: &HeaderMap) -> Freshness {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let (mut lifetime, mut stale_if_error, mut at_once) = (Lifetime::Configured, None, false);
    for directive in values.flat_map(|value| value.split(',')) {
        let directive = directive.trim().to_ascii_lowercase();
        if let Some(age) = directive.strip_prefix("max-age=").and_then(seconds) {
            lifetime = Lifetime::For(age.saturating_sub(age_so_far(headers)));
        } else if let Some(stale) = directive.strip_prefix("stale-if-error=").and_then(seconds) {
            stale_if_error = Some(stale);
        }
        at_once |= matches!(directive.as_str(), "no-cache" | "no-store");
    }
    if at_once {
        lifetime = Lifetime::For(Duration::ZERO);
    }
    Freshness { lifetime, stale_if_error }
}

fn age_so_far(headers: &HeaderMap) -> Duration {
    let age = headers.get(AGE).and_then(|age| age.to_str().ok());
    age.and_then(seconds).unwrap_or_default()
}

fn seconds(text: &str) -> Option<Duration> {
    text.trim().trim_matches('"').parse().ok().map(Duration::from_secs)
}

/// How long the server wants to be left in peace. Its other form, a date, is not read: clocks differ.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok()).and_then(seconds)
}

pub(super) fn validators(url: &Url, headers: &HeaderMap) -> Option<Validators> {
    let value = |name: HeaderName| {
        let value = headers.get(name).map(HeaderValue::as_bytes);
        value.filter(|value| value.len() <= MAX_VALIDATOR_BYTES).map(<[u8]>::to_vec)
    };
    let (etag, last_modified) = (value(ETAG), value(LAST_MODIFIED));
    let some = etag.is_some() || last_modified.is_some();
    some.then(|| Validators { url: url.as_str().into(), etag, last_modified })
}

/// Longest `ETag` that is kept.
const MAX_VALIDATOR_BYTES: usize = crate::limits::KIB;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_control_says_how_long_a_document_lives() {
        let whole = |seconds| Lifetime::For(Duration::from_secs(seconds));
        type Headers = &'static [(&'static str, &'static str)];
        let table: &[(Headers, Lifetime, Option<u64>)] = &[
            (&[], Lifetime::Configured, None),
            (&[("cache-control", "public")], Lifetime::Configured, None),
            (&[("cache-control", "public, Max-Age=60")], whole(60), None),
            (&[("cache-control", "max-age=\"60\"")], whole(60), None),
            (&[("cache-control", "max-age=60"), ("age", "20")], whole(40), None),
            (&[("cache-control", "max-age=60"), ("age", "70")], whole(0), None),
            (&[("cache-control", "max-age=60"), ("cache-control", "no-cache")], whole(0), None),
            (&[("cache-control", "no-store,max-age=60")], whole(0), None),
            (&[("cache-control", "max-age=-1")], Lifetime::Configured, None),
            (&[("cache-control", "max-age=99999999999999999999999")], Lifetime::Configured, None),
            (&[("cache-control", "max-age")], Lifetime::Configured, None),
            (&[("cache-control", "s-maxage=9")], Lifetime::Configured, None),
            (&[("cache-control", "max-age=5, stale-if-error=30")], whole(5), Some(30)),
            (&[("cache-control", "stale-if-error=0, no-cache")], whole(0), Some(0)),
            (&[("cache-control", "must-revalidate, max-age=5")], whole(5), None),
            (&[("cache-control", "stale-while-revalidate=9")], Lifetime::Configured, None),
        ];
        for (given, lifetime, stale) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in *given {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            let stale_if_error = stale.map(Duration::from_secs);
            let expected = Freshness { lifetime: *lifetime, stale_if_error };
            assert_eq!(freshness(&headers), expected, "{given:?}");
        }
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        let table = [
            ("0", Some(0)),
            ("120", Some(120)),
            ("-1", None),
            ("Fri, 31 Dec 1999 23:59:59 GMT", None),
            ("", None),
        ];
        for (text, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{text}");
        }
    }
}
