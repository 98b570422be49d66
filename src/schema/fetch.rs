//! One GET, bounded in every direction: origins, addresses, redirects, attempts, time, bytes. Knows HTTP and nothing of
//! schemas.

use std::{
    error::Error,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{
    Client, Response, StatusCode,
    header::{
        ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue,
        IF_MODIFIED_SINCE, IF_NONE_MATCH, LOCATION,
    },
};
use url::{Host, Url};

use super::{
    CircuitSettings, Clock, Origins, RegistrySettings, SourceError, SourceObserver, Validators,
    address,
    circuit::{Circuits, Pass},
    clients::{Clients, HttpSourceError},
    freshness::{Freshness, freshness, retry_after, validators},
    origin::{Named, origin_text},
    registries::Registries,
    resolver::{AddressRefused, Names},
    standing::{Standing, Standings},
};
use crate::text::{shown, shown_reference};

/// Asks HTTP servers, and only those that are allowed.
#[derive(Debug)]
pub(super) struct Fetcher {
    pub(super) clients: Clients,
    pub(super) registries: Registries,
    origins: Origins,
    circuits: Circuits,
    pub(super) standings: Standings,
    around: Surroundings,
    pub(super) request_timeout: Duration,
    max_body_bytes: usize,
    /// What was said last about credentials that cannot be used, so that it is said once.
    complaint: Mutex<Option<String>>,
}

/// What tests replace.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) names: Names,
    pub(super) clock: Clock,
    pub(super) observer: Arc<dyn SourceObserver>,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

/// What a server said.
#[derive(Debug)]
pub(super) enum Answer {
    /// The document is still the one that the validators came with.
    NotModified(Freshness),
    /// The document.
    Page(Page),
}

/// A document and what its server said about it.
#[derive(Debug)]
pub(super) struct Page {
    /// The bytes, at most as many as the bound.
    pub(super) body: Vec<u8>,
    /// `Content-Type`.
    pub(super) content_type: Option<String>,
    /// How long it may be used.
    pub(super) freshness: Freshness,
    /// What to send along when asking again.
    pub(super) validators: Option<Validators>,
}

/// What one request led to.
enum Step {
    Done(Answer),
    Redirect(Url),
}

/// Why a request led nowhere.
pub(super) enum Trouble {
    /// The server has answered; asking again would bring the same.
    Answer(SourceError),
    /// Nobody was asked.
    NotAsked(SourceError),
    /// The server cannot answer just now: it says so, or an intermediary, and perhaps for how long.
    Overloaded { error: SourceError, after: Option<Duration>, down: bool },
    /// No answer in time.
    Silent(SourceError),
    /// No connection, or one that broke.
    Unreachable(SourceError),
}

impl Trouble {
    /// What it says about the schema.
    pub(super) fn into_error(self) -> SourceError {
        match self {
            Self::Answer(error)
            | Self::NotAsked(error)
            | Self::Overloaded { error, .. }
            | Self::Silent(error)
            | Self::Unreachable(error) => error,
        }
    }
}

impl Fetcher {
    pub(super) fn new(
        settings: &RegistrySettings,
        max_body_bytes: usize,
        around: Surroundings,
    ) -> Result<Self, HttpSourceError> {
        let registries = Registries::new(settings);
        let clients = Clients::new(settings, &registries, Arc::clone(&around.names))?;
        let circuit: CircuitSettings = settings.circuit;
        let (clock, observer) = (Arc::clone(&around.clock), Arc::clone(&around.observer));
        Ok(Self {
            clients,
            standings: Standings::new(registries.clone()),
            registries,
            origins: Origins::new(settings),
            circuits: Circuits::new(circuit, clock, observer),
            around,
            request_timeout: settings.request_timeout,
            max_body_bytes,
            complaint: Mutex::default(),
        })
    }

    /// Asks for `url`, following redirects within the allowed origins. With `validators`, "not modified" is an answer.
    ///
    /// Where a redirect has led away from the registry that was asked, nobody is told who we are any more, also not a
    /// registry whose credentials we have: it would be asked in our name for what another server has chosen.
    pub(super) async fn get(
        &self,
        url: &Url,
        validators: Option<&Validators>,
    ) -> Result<Answer, SourceError> {
        let (mut target, mut at_home) = (url.clone(), true);
        for _ in 0..=MAX_REDIRECTS {
            match self.ask(&target, at_home, validators).await? {
                Step::Done(answer) => return Ok(answer),
                Step::Redirect(next) => {
                    at_home &= self.same_place(url, &next);
                    target = next;
                }
            }
        }
        Err(failed(url, &format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// How every registry stands, and every other origin that was asked.
    pub(super) fn standings(&self) -> Vec<Standing> {
        self.standings.all(|origin| self.circuits.state(origin))
    }

    /// Whether two URLs are of one origin and one registry.
    pub(super) fn same_place(&self, one: &Url, other: &Url) -> bool {
        let owner = |url: &Url| self.registries.owner(url).map(|(at, _)| at);
        one.origin() == other.origin() && owner(one) == owner(other)
    }

    /// One request, and again where that may help: a few times, after pauses that grow and differ.
    async fn ask(
        &self,
        url: &Url,
        at_home: bool,
        known: Option<&Validators>,
    ) -> Result<Step, SourceError> {
        let origin = origin_text(url);
        let mut before = None;
        for attempt in 0..=MAX_RETRIES {
            let pass = match self.circuits.enter(&origin) {
                Ok(pass) => pass,
                Err(left) => return Err(before.unwrap_or_else(|| self.in_peace(url, left))),
            };
            if attempt > 0 {
                self.around.observer.retried();
            }
            let exchange = self.exchange(url, at_home, known);
            let tried = tokio::time::timeout(self.request_timeout, exchange).await;
            let trouble = match tried.unwrap_or_else(|_| Err(self.no_answer(url))) {
                Ok(step) => {
                    pass.answered();
                    self.standings.answered(url);
                    return Ok(step);
                }
                Err(trouble) => trouble,
            };
            let (error, pause) = self.blame(pass, trouble, attempt);
            self.standings.failed(url, &error);
            let Some(pause) = pause else { return Err(error) };
            before = Some(error);
            tokio::time::sleep(pause).await;
        }
        Err(before.unwrap_or_else(|| failed(url, "cannot be asked")))
    }

    /// What trouble says about the origin, and after which pause another attempt may help, if one may.
    fn blame(
        &self,
        pass: Pass<'_>,
        trouble: Trouble,
        attempt: u32,
    ) -> (SourceError, Option<Duration>) {
        let backoff = jittered(FIRST_PAUSE.saturating_mul(1 << attempt.min(8)));
        let last = attempt >= MAX_RETRIES;
        let (error, pause) = match trouble {
            Trouble::NotAsked(error) => (error, None),
            Trouble::Answer(error) => {
                pass.answered();
                (error, None)
            }
            Trouble::Silent(error) => {
                pass.failed();
                (error, None)
            }
            Trouble::Overloaded { error, after: Some(wait), .. }
                if wait > self.request_timeout || (last && !wait.is_zero()) =>
            {
                pass.told_to_wait(wait);
                (error, None)
            }
            Trouble::Overloaded { error, after, down } => {
                if down {
                    pass.failed()
                } else {
                    pass.answered()
                }
                (error, Some(after.unwrap_or(backoff)))
            }
            Trouble::Unreachable(error) => {
                pass.failed();
                (error, Some(backoff))
            }
        };
        (error, pause.filter(|_| !last))
    }

    fn in_peace(&self, url: &Url, left: Duration) -> SourceError {
        self.around.observer.left_in_peace();
        failed(url, &format!("did not answer lately and is left in peace for {left:.0?}"))
    }

    /// One request, and what its answer says about the schema.
    async fn exchange(
        &self,
        url: &Url,
        at_home: bool,
        known: Option<&Validators>,
    ) -> Result<Step, Trouble> {
        let known = known.filter(|validators| *validators.url == *url.as_str());
        let response = self.send(url, at_home, known).await?;
        let status = response.status();
        if is_redirect(status) {
            return redirect_target(url, response.headers()).map(Step::Redirect);
        }
        match status {
            StatusCode::OK => {
                self.page(url, response).await.map(|page| Step::Done(Answer::Page(page)))
            }
            StatusCode::NOT_MODIFIED if known.is_some() => {
                Ok(Step::Done(Answer::NotModified(freshness(response.headers()))))
            }
            _ => Err(refused(url, status, retry_after(response.headers()))),
        }
    }

    /// One request. Every one passes here, so this is where origins and addresses are checked.
    pub(super) async fn send(
        &self,
        url: &Url,
        at_home: bool,
        known: Option<&Validators>,
    ) -> Result<Response, Trouble> {
        let named = self.origins.named(url).ok_or_else(|| Trouble::NotAsked(not_allowed(url)))?;
        literal_address(url, named)?;
        let mut headers = request_headers(known);
        let client = self.identified(url, at_home, named, &mut headers).await?;
        let request = client.get(url.clone()).headers(headers);
        request.send().await.map_err(|error| broken(url, error))
    }

    /// The client for `url`, with the credentials of the registry that it belongs to.
    async fn identified(
        &self,
        url: &Url,
        at_home: bool,
        named: Named,
        headers: &mut HeaderMap,
    ) -> Result<Client, Trouble> {
        let owner = self.registries.owner(url).filter(|_| at_home && named == Named::Exactly);
        let Some((at, registry)) = owner else { return Ok(self.clients.of(None, named)) };
        let files = registry.access.credentials.clone();
        let read = tokio::task::spawn_blocking(move || files.header()).await;
        let unusable =
            || Trouble::NotAsked(failed(url, "schemaward's credentials for it cannot be read"));
        match read.map_err(|_| unusable())? {
            Ok(None) => {}
            Ok(Some(header)) => {
                self.complain(None);
                headers.insert(AUTHORIZATION, header);
            }
            Err(fault) => {
                self.complain(Some(format!("{}: {fault}", registry.base)));
                return Err(unusable());
            }
        }
        Ok(self.clients.of(Some(at), named))
    }

    /// Writes into the log what is wrong with credentials, once.
    fn complain(&self, what: Option<String>) {
        let mut said = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(what) = what.as_ref().filter(|_| *said != what) {
            tracing::error!("credentials of a schema registry cannot be used: {what}");
        }
        *said = what;
    }

    async fn page(&self, url: &Url, response: Response) -> Result<Page, Trouble> {
        let headers = response.headers();
        // No decoder is built in, so that no answer can swell.
        if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            let what = "the answer is encoded, which was not asked for";
            return Err(Trouble::Answer(failed(url, what)));
        }
        let freshness = freshness(headers);
        let content_type = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let content_type = content_type.map(str::to_owned);
        let validators = validators(url, headers);
        let body = self.body(url, response).await?;
        Ok(Page { body, content_type, freshness, validators })
    }

    /// Reads the body as it comes. Memory grows with what arrived, not with what was announced.
    pub(super) async fn body(&self, url: &Url, mut response: Response) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(url, error))? {
            if chunk.len() > self.max_body_bytes.saturating_sub(body.len()) {
                let what = format!("the answer has more than {} bytes", self.max_body_bytes);
                return Err(Trouble::Answer(invalid(url, &what)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    pub(super) fn no_answer(&self, url: &Url) -> Trouble {
        let what = format!("no whole answer within {:?}", self.request_timeout);
        Trouble::Silent(failed(url, &what))
    }
}

/// Judges an address that stands in a URL, for which no resolver is asked.
fn literal_address(url: &Url, named: Named) -> Result<(), Trouble> {
    let judged = match url.host() {
        Some(Host::Ipv4(ip)) => address::judge(ip.into(), named),
        Some(Host::Ipv6(ip)) => address::judge(ip.into(), named),
        Some(Host::Domain(_)) | None => Ok(()),
    };
    judged.map_err(|kind| Trouble::NotAsked(not_allowed_for(url, &format!("it is {kind}"))))
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

pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

pub(super) fn redirect_target(url: &Url, headers: &HeaderMap) -> Result<Url, Trouble> {
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let target = location.and_then(|location| url.join(location).ok());
    let nowhere = || Trouble::Answer(failed(url, "a redirect that leads nowhere"));
    let mut target = target.ok_or_else(nowhere)?;
    target.set_fragment(None);
    Ok(target)
}

/// What a status other than success says about the schema, and about the server. A plain 500 says more about what was asked
/// than about who was: otherwise one bad path could open the circuit for all others.
fn refused(url: &Url, status: StatusCode, after: Option<Duration>) -> Trouble {
    let error = match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            SourceError::NotFound { detail: at(url, &format!("there is none ({status})")).into() }
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            failed(url, &format!("schemaward is not permitted to read it ({status})"))
        }
        _ => failed(url, &format!("answered {status}")),
    };
    match status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Trouble::Overloaded { error, after, down: true }
        }
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Trouble::Overloaded { error, after, down: false }
        }
        _ => Trouble::Answer(error),
    }
}

/// A request that broke: the innermost error says why, without the URL, whose query may be secret.
fn broken(url: &Url, error: reqwest::Error) -> Trouble {
    let timeout = error.is_timeout();
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    loop {
        if let Some(AddressRefused { kind }) = cause.downcast_ref() {
            return Trouble::NotAsked(not_allowed_for(url, &format!("it resolves to {kind}")));
        }
        let Some(source) = cause.source() else { break };
        cause = source;
    }
    let error = failed(url, &format!("cannot be read: {}", shown(cause.to_string().as_bytes())));
    if timeout { Trouble::Silent(error) } else { Trouble::Unreachable(error) }
}

/// A pause of about `most`, so that those who failed together do not come back together.
fn jittered(most: Duration) -> Duration {
    // The keys of a `RandomState` differ each time.
    let random = RandomState::new().hash_one(()) % 1_000;
    most / 2 + most.mul_f64(f64::from(u16::try_from(random).unwrap_or_default()) / 2_000.0)
}

/// The origin of `url` is not one of the allowed ones, or it has user information.
pub(super) fn not_allowed(url: &Url) -> SourceError {
    SourceError::NotAllowed { origin: shown(origin_text(url).as_bytes()).into() }
}

/// The same for the address behind an origin that is allowed.
fn not_allowed_for(url: &Url, why: &str) -> SourceError {
    let origin = origin_text(url);
    SourceError::NotAllowed { origin: format!("{} ({why})", shown(origin.as_bytes())).into() }
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
pub(super) const MAX_REDIRECTS: usize = 5;
/// How often a request is made again.
const MAX_RETRIES: u32 = 2;
/// About how long the first pause is; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const ACCEPTED: &str = "application/vnd.schemaregistry.v1+json, application/json;q=0.9, */*;q=0.5";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_the_schema_exists_and_whether_the_server_is_down() {
        let url = Url::parse("http://host/a?secret").unwrap();
        let told = |status: u16| refused(&url, StatusCode::from_u16(status).unwrap(), None);
        for status in [404, 410] {
            let Trouble::Answer(error @ SourceError::NotFound { .. }) = told(status) else {
                panic!("{status}")
            };
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        for status in [201, 204, 206, 300, 304, 400, 401, 403, 405, 422] {
            let Trouble::Answer(error @ SourceError::Unavailable { .. }) = told(status) else {
                panic!("{status}")
            };
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        for (status, down_then) in
            [(429, false), (500, false), (501, false), (502, true), (503, true), (504, true)]
        {
            let Trouble::Overloaded { down, .. } = told(status) else { panic!("{status}") };
            assert_eq!(down, down_then, "{status}");
        }
    }

    #[test]
    fn pauses_differ_within_bounds() {
        let most = Duration::from_millis(100);
        let pauses: std::collections::HashSet<_> = (0..100).map(|_| jittered(most)).collect();
        assert!(pauses.len() > 10);
        assert!(pauses.iter().all(|pause| *pause >= most / 2 && *pause <= most));
    }
}
