//! One GET, bounded in every direction: origins, redirects, time, bytes. Knows HTTP and nothing of schemas.

use std::{error::Error, time::Duration};

use reqwest::{
    Client, Response, StatusCode,
    header::{
        ACCEPT, AGE, CACHE_CONTROL, CONTENT_ENCODING, ETAG, HeaderMap, HeaderName, HeaderValue,
        IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
    },
    redirect::Policy,
};
use url::Url;

use super::{Lifetime, Origins, RegistrySettings, SourceError, Validators, origin::origin_text};
use crate::text::{shown, shown_reference};

/// Asks HTTP servers, and only those that are allowed.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    origins: Origins,
    request_timeout: Duration,
    max_body_bytes: usize,
}

/// What a server said.
#[derive(Debug)]
pub(super) enum Answer {
    /// The document is still the one that the validators came with.
    NotModified(Lifetime),
    /// The document.
    Page(Page),
}

/// A document and what its server said about it.
#[derive(Debug)]
pub(super) struct Page {
    /// The bytes, at most as many as the bound.
    pub(super) body: Vec<u8>,
    /// How long it may be used.
    pub(super) lifetime: Lifetime,
    /// What to send along when asking again.
    pub(super) validators: Option<Validators>,
}

impl Fetcher {
    /// A client without redirects of its own, proxies from the environment, cookies and referers: nothing is sent that is not
    /// written in this file.
    pub(super) fn new(
        settings: &RegistrySettings,
        max_body_bytes: usize,
    ) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(concat!("schemaward/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(settings.request_timeout)
            .pool_max_idle_per_host(settings.max_concurrent_requests)
            .build()?;
        let origins = Origins::new(settings);
        Ok(Self { client, origins, request_timeout: settings.request_timeout, max_body_bytes })
    }

    /// Asks for `url`, following redirects within the allowed origins. With `validators`, "not modified" is an answer.
    pub(super) async fn get(
        &self,
        url: &Url,
        validators: Option<&Validators>,
    ) -> Result<Answer, SourceError> {
        let mut target = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let exchange = self.exchange(&target, validators);
            let step = tokio::time::timeout(self.request_timeout, exchange).await;
            match step.map_err(|_| no_answer(&target, self.request_timeout))?? {
                Step::Done(answer) => return Ok(answer),
                Step::Redirect(next) => target = next,
            }
        }
        Err(failed(url, &format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// One request. Every one passes here, so this is where origins are checked.
    async fn exchange(&self, url: &Url, known: Option<&Validators>) -> Result<Step, SourceError> {
        if !self.origins.allows(url) {
            return Err(not_allowed(url));
        }
        let known = known.filter(|validators| *validators.url == *url.as_str());
        let request = self.client.get(url.clone()).headers(request_headers(known));
        let response = request.send().await.map_err(|error| broken(url, error))?;
        let status = response.status();
        if is_redirect(status) {
            return redirect_target(url, response.headers()).map(Step::Redirect);
        }
        match status {
            StatusCode::OK => {
                self.page(url, response).await.map(|page| Step::Done(Answer::Page(page)))
            }
            StatusCode::NOT_MODIFIED if known.is_some() => {
                Ok(Step::Done(Answer::NotModified(lifetime(response.headers()))))
            }
            _ => Err(refused(url, status)),
        }
    }

    async fn page(&self, url: &Url, response: Response) -> Result<Page, SourceError> {
        let headers = response.headers();
        if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(failed(url, "the answer is encoded, which was not asked for"));
        }
        let lifetime = lifetime(headers);
        let validators = validators(url, headers);
        let body = self.body(url, response).await?;
        Ok(Page { body, lifetime, validators })
    }

    /// Reads the body as it comes. Memory grows with what arrived, not with what was announced.
    async fn body(&self, url: &Url, mut response: Response) -> Result<Vec<u8>, SourceError> {
        let too_large =
            || invalid(url, &format!("the answer has more than {} bytes", self.max_body_bytes));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(url, error))? {
            if chunk.len() > self.max_body_bytes.saturating_sub(body.len()) {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// What one request led to.
enum Step {
    Done(Answer),
    Redirect(Url),
}

fn request_headers(known: Option<&Validators>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
    let etag = known.and_then(|known| known.etag.as_deref());
    let last_modified = known.and_then(|known| known.last_modified.as_deref());
    for (name, value) in [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, last_modified)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value).ok()) {
            headers.insert(name, value);
        }
    }
    headers
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn redirect_target(url: &Url, headers: &HeaderMap) -> Result<Url, SourceError> {
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let target = location.and_then(|location| url.join(location).ok());
    let mut target = target.ok_or_else(|| failed(url, "a redirect that leads nowhere"))?;
    target.set_fragment(None);
    Ok(target)
}

/// `Cache-Control` and `Age` (RFC 9111) as far as they concern a cache of one user.
fn lifetime(headers: &HeaderMap) -> Lifetime {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut lifetime = Lifetime::Configured;
    for directive in values.flat_map(|value| value.split(',')) {
        let directive = directive.trim().to_ascii_lowercase();
        if matches!(directive.as_str(), "no-cache" | "no-store") {
            return Lifetime::For(Duration::ZERO);
        }
        if let Some(seconds) = directive.strip_prefix("max-age=").and_then(seconds) {
            lifetime = Lifetime::For(seconds.saturating_sub(age(headers)));
        }
    }
    lifetime
}

fn age(headers: &HeaderMap) -> Duration {
    let age = headers.get(AGE).and_then(|age| age.to_str().ok());
    age.and_then(seconds).unwrap_or_default()
}

fn seconds(text: &str) -> Option<Duration> {
    text.trim().trim_matches('"').parse().ok().map(Duration::from_secs)
}

fn validators(url: &Url, headers: &HeaderMap) -> Option<Validators> {
    let value = |name: HeaderName| {
        let value = headers.get(name).map(HeaderValue::as_bytes);
        value.filter(|value| value.len() <= MAX_VALIDATOR_BYTES).map(<[u8]>::to_vec)
    };
    let (etag, last_modified) = (value(ETAG), value(LAST_MODIFIED));
    let some = etag.is_some() || last_modified.is_some();
    some.then(|| Validators { url: url.as_str().into(), etag, last_modified })
}

/// What a status other than success says about the schema.
fn refused(url: &Url, status: StatusCode) -> SourceError {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            SourceError::NotFound { detail: at(url, &format!("there is none ({status})")).into() }
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            failed(url, &format!("schemaward is not permitted to read it ({status})"))
        }
        _ => failed(url, &format!("answered {status}")),
    }
}

fn no_answer(url: &Url, timeout: Duration) -> SourceError {
    failed(url, &format!("no whole answer within {timeout:?}"))
}

/// A request that broke: the innermost error says why, without the URL, whose query may be secret.
fn broken(url: &Url, error: reqwest::Error) -> SourceError {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    failed(url, &format!("cannot be read: {}", shown(cause.to_string().as_bytes())))
}

/// The origin of `url` is not one of the allowed ones, or it has user information.
pub(super) fn not_allowed(url: &Url) -> SourceError {
    SourceError::NotAllowed { origin: shown(origin_text(url).as_bytes()).into() }
}

/// Something that says nothing about the schema.
pub(super) fn failed(url: &Url, what: &str) -> SourceError {
    SourceError::unavailable(at(url, what))
}

/// A document that is no schema, or past a bound.
pub(super) fn invalid(url: &Url, what: &str) -> SourceError {
    SourceError::invalid(at(url, what))
}

fn at(url: &Url, what: &str) -> String {
    format!("{}: {what}", shown_reference(url.as_str().as_bytes()))
}

/// Redirects that are followed for one document.
const MAX_REDIRECTS: usize = 5;
/// Longest `ETag` that is kept.
const MAX_VALIDATOR_BYTES: usize = crate::limits::KIB;
const ACCEPTED: &str = "application/vnd.schemaregistry.v1+json, application/json;q=0.9, */*;q=0.5";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_control_says_how_long_a_document_lives() {
        let whole = |seconds| Lifetime::For(Duration::from_secs(seconds));
        let table: &[(&[(&str, &str)], Lifetime)] = &[
            (&[], Lifetime::Configured),
            (&[("cache-control", "public")], Lifetime::Configured),
            (&[("cache-control", "public, Max-Age=60")], whole(60)),
            (&[("cache-control", "max-age=\"60\"")], whole(60)),
            (&[("cache-control", "max-age=60"), ("age", "20")], whole(40)),
            (&[("cache-control", "max-age=60"), ("age", "70")], whole(0)),
            (&[("cache-control", "max-age=60"), ("cache-control", "no-cache")], whole(0)),
            (&[("cache-control", "no-store,max-age=60")], whole(0)),
            (&[("cache-control", "max-age=-1")], Lifetime::Configured),
            (&[("cache-control", "max-age=99999999999999999999999")], Lifetime::Configured),
            (&[("cache-control", "max-age")], Lifetime::Configured),
            (&[("cache-control", "s-maxage=9")], Lifetime::Configured),
        ];
        for (given, expected) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in *given {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            assert_eq!(lifetime(&headers), *expected, "{given:?}");
        }
    }

    #[test]
    fn a_status_says_whether_the_schema_exists() {
        let url = Url::parse("http://host/a?secret").unwrap();
        for status in [404_u16, 410] {
            let error = refused(&url, StatusCode::from_u16(status).unwrap());
            assert!(matches!(error, SourceError::NotFound { .. }), "{status}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        for status in [201_u16, 204, 206, 300, 304, 400, 401, 403, 405, 422, 429, 500, 502, 503] {
            let error = refused(&url, StatusCode::from_u16(status).unwrap());
            assert!(matches!(error, SourceError::Unavailable { .. }), "{status}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
