//! Schemas over HTTP: by id from a registry, by URL from any server. Bounds what all look-ups together may hold, and
//! compiles off the threads that serve sockets.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::{
    Clock, Compile, DocumentUrl, Documents, Fetched, HttpSourceError, Lifetime, Listing, Lookup,
    Origins, RegistryApi, RegistryKey, RegistrySettings, Schema, SchemaRef, SchemaSource,
    SourceError, SourceObserver, Standing, WantedSubject,
    apicurio::Apicurio,
    confluent::Registry,
    directory::Folders,
    document::{self, Answered},
    fetch::{Fetcher, Surroundings, not_allowed},
    freshness::Freshness,
    language, listing, resolver,
};
use crate::{limits::SchemaLimits, metrics::Metrics, text::shown};

/// Asks registries and other HTTP servers, those of the allowed origins only.
pub struct HttpSource {
    pub(super) fetcher: Fetcher,
    pub(super) limits: SchemaLimits,
    pub(super) compile: Compile,
    slots: Slots,
    lookup_timeout: Duration,
    pub(super) folders: Folders,
}

/// The right to be under way, held until compiling has ended, also where nobody waits for it any more.
type Slot = Arc<[OwnedSemaphorePermit; 2]>;

/// One slot for each look-up under way, whose requests come one after the other. One origin gets at most half of them,
/// so that a server that hangs does not hold up the look-ups at the others. Some are kept for schemas that are known and
/// asked for again, so that those who ask for unknown ones are not in their way.
struct Slots {
    origins: Origins,
    unknown: Share,
    known: Share,
}

/// Slots that are given out together.
struct Share {
    all: Arc<Semaphore>,
    by_origin: Vec<Arc<Semaphore>>,
}

impl Slots {
    fn new(settings: &RegistrySettings) -> Self {
        let origins = Origins::new(settings);
        let all = settings.max_concurrent_requests.clamp(1, Semaphore::MAX_PERMITS);
        // A single one cannot be shared out: then there is one more.
        let known = all.div_ceil(4);
        let unknown = all.saturating_sub(known).max(1);
        let count = origins.count();
        Self { origins, unknown: Share::new(unknown, count), known: Share::new(known, count) }
    }

    /// Waits for a slot for a look-up that starts at `url`.
    async fn take(&self, url: &Url, known: bool) -> Result<Slot, SourceError> {
        let share = if known { &self.known } else { &self.unknown };
        let of_origin = self.origins.position(url).and_then(|at| share.by_origin.get(at));
        let of_origin = of_origin.ok_or_else(|| not_allowed(url))?;
        let closed = |_| SourceError::unavailable("shutting down");
        let of_origin = Arc::clone(of_origin).acquire_owned().await.map_err(closed)?;
        let of_all = Arc::clone(&share.all).acquire_owned().await.map_err(closed)?;
        Ok(Arc::new([of_origin, of_all]))
    }
}

impl Share {
    fn new(all: usize, origins: usize) -> Self {
        let share = if origins > 1 { all.div_ceil(2) } else { all };
        let by_origin = (0..origins).map(|_| Arc::new(Semaphore::new(share))).collect();
        Self { all: Arc::new(Semaphore::new(all)), by_origin }
    }
}

impl HttpSource {
    /// Takes registries, origins, time and number of requests from the configuration. The process must have installed its
    /// rustls provider before.
    ///
    /// # Errors
    /// [`HttpSourceError`] when certificates cannot be read.
    pub fn new(
        settings: &RegistrySettings,
        limits: SchemaLimits,
        observer: Arc<dyn SourceObserver>,
    ) -> Result<Self, HttpSourceError> {
        let compile = move |documents: &Documents| Schema::compile(documents, &limits);
        let clock: Clock = Arc::new(Instant::now);
        let around = Surroundings { names: resolver::system(), clock, observer };
        Self::within(settings, limits, Arc::new(compile), around)
    }

    /// The same with another way to make a schema of documents, and within other surroundings.
    pub(super) fn within(
        settings: &RegistrySettings,
        limits: SchemaLimits,
        compile: Compile,
        around: Surroundings,
    ) -> Result<Self, HttpSourceError> {
        let body =
            limits.max_schema_bytes.saturating_mul(MAX_ESCAPING).saturating_add(MAX_WRAPPING);
        Ok(Self {
            fetcher: Fetcher::new(settings, body, around)?,
            limits,
            compile,
            slots: Slots::new(settings),
            lookup_timeout: settings.request_timeout.saturating_mul(MAX_LOOKUP_TIMEOUTS),
            folders: Folders::new(super::registries::Registries::new(settings), limits),
        })
    }

    /// Takes up TLS files that change, for ever: tasks to be run.
    pub fn keep_up(&self, metrics: &Arc<Metrics>) -> Vec<Pin<Box<dyn Future<Output = ()> + Send>>> {
        self.fetcher.clients.keep_up(metrics)
    }

    async fn look_up(
        &self,
        reference: &SchemaRef,
        previous: Option<&Fetched>,
    ) -> Result<Arc<Fetched>, SourceError> {
        let (SchemaRef::Document(DocumentUrl(base))
        | SchemaRef::Registered { registry: base, .. }
        | SchemaRef::Under { registry: base, .. }) = reference;
        let url = Url::parse(base).map_err(|_| SourceError::invalid("the reference is no URL"))?;
        if let Some(folder) = self.folders.of(&url) {
            let found = folder.look_up(reference, previous, &self.compile).await;
            match &found {
                Ok(_) => self.fetcher.standings.answered(&url),
                Err(error) => self.fetcher.standings.failed(&url, error),
            }
            return found;
        }
        let slot = self.slots.take(&url, previous.is_some()).await?;
        let documents = match reference {
            SchemaRef::Registered { key, .. } => self.registered(base, &url, key).await?,
            SchemaRef::Under { key, subject, .. } => {
                let subjects = self.subjects(base, &url, key).await?;
                let documents = self.registered(base, &url, key).await?;
                meets(subject, &subjects, &documents)?;
                documents
            }
            SchemaRef::Document(_) => {
                return self.document(reference, &url, previous, slot).await;
            }
        };
        let schema = self.compile(reference, documents, slot).await?;
        Ok(Arc::new(Fetched::immutable(schema)))
    }

    /// Asks the registry at `base`, which is `url`, in the way that it understands. One that is not configured is one with
    /// Confluent's API.
    async fn registered(
        &self,
        base: &str,
        url: &Url,
        key: &RegistryKey,
    ) -> Result<Documents, SourceError> {
        match self.api(base, url) {
            RegistryApi::Confluent => {
                Registry::new(&self.fetcher, &self.limits, base).schema(key).await
            }
            RegistryApi::Documents { template } => {
                let path = template.as_ref().and_then(|template| template.fill(key));
                let url = path.and_then(|path| Url::parse(&format!("{base}{path}")).ok());
                let url = url.ok_or_else(|| {
                    SourceError::invalid(format!("a schema has no {} there", key.kind()))
                })?;
                match document::ask(&self.fetcher, &self.limits, &url, None).await? {
                    Answered::Documents(documents, ..) => Ok(documents),
                    Answered::NotModified(_) => Err(not_asked()),
                }
            }
            RegistryApi::Apicurio => {
                Apicurio::new(&self.fetcher, &self.limits, base).schema(key).await
            }
            // Not asked: that was seen to before.
            RegistryApi::Directory { .. } => Err(not_asked()),
        }
    }

    fn api(&self, base: &str, url: &Url) -> &RegistryApi {
        let configured =
            self.fetcher.registries.owner(url).filter(|(_, registry)| *registry.base == *base);
        configured.map_or(&RegistryApi::Confluent, |(_, registry)| &registry.access.api)
    }

    /// The subjects that have the schema `key`.
    async fn subjects(
        &self,
        base: &str,
        url: &Url,
        key: &RegistryKey,
    ) -> Result<Vec<String>, SourceError> {
        match self.api(base, url) {
            RegistryApi::Apicurio => {
                Apicurio::new(&self.fetcher, &self.limits, base).subjects(key).await
            }
            RegistryApi::Confluent => {
                Registry::new(&self.fetcher, &self.limits, base).subjects(key).await
            }
            RegistryApi::Directory { .. } | RegistryApi::Documents { .. } => Ok(Vec::new()),
        }
    }

    async fn document(
        &self,
        reference: &SchemaRef,
        url: &Url,
        previous: Option<&Fetched>,
        slot: Slot,
    ) -> Result<Arc<Fetched>, SourceError> {
        let known = previous.and_then(|previous| previous.validators.as_ref());
        match (document::ask(&self.fetcher, &self.limits, url, known).await?, previous) {
            (Answered::Documents(documents, freshness, validators), _) => {
                let schema = self.compile(reference, documents, slot).await?;
                let Freshness { lifetime, stale_if_error } = freshness;
                Ok(Arc::new(Fetched { schema, lifetime, stale_if_error, validators }))
            }
            (Answered::NotModified(freshness), Some(previous)) => {
                Ok(Arc::new(still_valid(previous, freshness)))
            }
            (Answered::NotModified(_), None) => Err(not_asked()),
        }
    }

    /// Compiles on a thread that may block. A compiler that panics has found a schema that cannot be used.
    async fn compile(
        &self,
        reference: &SchemaRef,
        documents: Documents,
        slot: Slot,
    ) -> Result<Arc<Schema>, SourceError> {
        let compile = Arc::clone(&self.compile);
        let compiled = tokio::task::spawn_blocking(move || {
            let _held = slot;
            compile(&documents)
        });
        let what = match compiled.await {
            Ok(Ok(schema)) => return Ok(Arc::new(schema)),
            Ok(Err(fault)) => fault.detail,
            Err(error) if error.is_panic() => "it cannot be compiled".to_owned(),
            Err(_) => return Err(SourceError::unavailable("shutting down")),
        };
        Err(SourceError::invalid(format!("{}: {what}", reference.shown())))
    }
}

impl SchemaSource for HttpSource {
    fn standings(&self) -> Vec<Standing> {
        self.fetcher.standings()
    }

    fn latest<'a>(&'a self, globs: &'a [String]) -> Listing<'a> {
        Box::pin(listing::latest(&self.fetcher, &self.limits, &self.fetcher.registries, globs))
    }

    fn find<'a>(&'a self, reference: &'a SchemaRef, previous: Option<&'a Fetched>) -> Lookup<'a> {
        Box::pin(async move {
            let lookup = self.look_up(reference, previous);
            tokio::time::timeout(self.lookup_timeout, lookup).await.unwrap_or_else(|_| {
                let (shown, within) = (reference.shown(), self.lookup_timeout);
                Err(SourceError::unavailable(format!("{shown}: not looked up within {within:?}")))
            })
        })
    }
}

/// Refuses a schema that is not registered under the subject that is wanted.
fn meets(
    wanted: &WantedSubject,
    subjects: &[String],
    documents: &Documents,
) -> Result<(), SourceError> {
    let records = language::record_names(documents);
    if wanted.is_met(subjects, &records) {
        return Ok(());
    }
    let expected = shown(wanted.expected(&records).as_bytes());
    let found = match subjects {
        [] => "no subject".to_owned(),
        some => format!("subject {}", shown(some.join(", ").as_bytes())),
    };
    Err(SourceError::other_subject(format!("registered under {found}, not under {expected}")))
}

/// Who was not told what is known cannot say that it has not changed.
fn not_asked() -> SourceError {
    SourceError::unavailable("answered that nothing was modified")
}

/// What was known stays, for as long as the server now says. A server that says nothing this time stands by what it said.
fn still_valid(previous: &Fetched, freshness: Freshness) -> Fetched {
    let lifetime = match freshness.lifetime {
        Lifetime::Configured => previous.lifetime,
        said => said,
    };
    let stale_if_error = freshness.stale_if_error.or(previous.stale_if_error);
    Fetched { lifetime, stale_if_error, ..previous.clone() }
}

/// How many times longer a document may be inside JSON.
const MAX_ESCAPING: usize = 3;
/// What a registry may add around a document, its list of references included.
const MAX_WRAPPING: usize = 64 * crate::limits::KIB;
/// How many times longer than one request a whole look-up may take: queueing, redirects, references, compiling.
const MAX_LOOKUP_TIMEOUTS: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{
        RequestOutcome, SchemaId,
        testing::{Reply, Server, reference, settings, source, target},
    };

    type Answer = fn(&str) -> Reply;

    fn outcome(answer: &Result<Arc<Fetched>, SourceError>) -> &'static str {
        RequestOutcome::of(answer, None).label()
    }

    async fn ask(url: &str, header: &str) -> Result<Arc<Fetched>, SourceError> {
        let settings = settings(url);
        source(&settings).0.find(&reference(&settings, header), None).await
    }

    #[tokio::test]
    async fn every_answer_has_its_outcome() {
        for (row, (header, answer, expected)) in ANSWERS.iter().enumerate() {
            let server = Server::start(answer).await;
            let answer = ask(&server.url, header).await;
            assert_eq!(outcome(&answer), *expected, "row {row}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_unavailable() {
        let table: &[Answer] = &[
            |_| Reply::Hang(Vec::new()),
            |_| Reply::Hang(b"HTTP/1.1 200 OK\r\n".to_vec()),
            |_| Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nx".to_vec()),
        ];
        for answer in table {
            let server = Server::start(answer).await;
            let mut settings = settings(&server.url);
            settings.request_timeout = Duration::from_millis(100);
            let found = source(&settings).0.find(&reference(&settings, "a"), None).await;
            assert_eq!(outcome(&found), "unavailable", "{found:?}");
        }
    }

    #[tokio::test]
    async fn a_port_without_a_server_is_unavailable() {
        let url = Server::start(|_| Reply::ok("")).await.url.clone();
        tokio::task::yield_now().await;
        let answer = ask(&url, "a?token=hidden").await;
        assert_eq!(outcome(&answer), "unavailable");
        assert!(!answer.unwrap_err().to_string().contains("hidden"));
    }

    #[tokio::test]
    async fn redirects_are_followed_within_the_allowed_origins_only() {
        let other = Server::start(|_| Reply::ok("other")).await;
        let (allowed, port) = (other.url.clone(), other.url.rsplit(':').next().unwrap().to_owned());
        let home = Server::start(move |head| match target(head) {
            "/evil" => Reply::redirect(&allowed),
            "/user" => Reply::redirect(&allowed.replace("//", "//me:pw@")),
            "/scheme" => Reply::redirect("//localhost/x"),
            "/file" => Reply::redirect("file:///etc/passwd"),
            "/decimal" => Reply::redirect(&format!("http://2130706433:{port}/")),
            "/loop" => Reply::redirect("/loop"),
            "/five" => Reply::redirect("/four"),
            "/four" => Reply::redirect("three"),
            "/three" => Reply::redirect("?two"),
            "/three?two" => Reply::redirect("/one#x"),
            "/one" => Reply::redirect("/schema"),
            _ => Reply::ok("x"),
        })
        .await;
        for (path, expected) in [
            ("/five", "found"),
            ("/loop", "unavailable"),
            ("/evil", "not_allowed"),
            ("/user", "not_allowed"),
            ("/scheme", "not_allowed"),
            ("/file", "not_allowed"),
            ("/decimal", "not_allowed"),
        ] {
            let answer = ask(&home.url, path).await;
            assert_eq!(outcome(&answer), expected, "{path}: {answer:?}");
        }
        assert!(other.heads().is_empty());
        assert_eq!(home.targets().iter().filter(|target| *target == "/loop").count(), 6);

        let mut settings = settings(&home.url);
        settings.allow.push(Url::parse(&other.url).unwrap());
        let (source, _) = source(&settings);
        for (path, expected) in
            [("/evil", "found"), ("/decimal", "found"), ("/user", "not_allowed")]
        {
            let answer = source.find(&reference(&settings, path), None).await;
            assert_eq!(outcome(&answer), expected, "{path}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn a_reference_made_elsewhere_is_checked_too() {
        let other = Server::start(|_| Reply::ok("{}")).await;
        let (source, _) = source(&settings("http://registry"));
        let id = SchemaRef::Registered {
            registry: other.url.as_str().into(),
            key: RegistryKey::Id(SchemaId(1)),
        };
        let document = SchemaRef::Document(DocumentUrl(other.url.as_str().into()));
        for reference in [id, document] {
            assert_eq!(outcome(&source.find(&reference, None).await), "not_allowed");
        }
        assert!(other.heads().is_empty());
    }

    #[tokio::test]
    async fn nothing_secret_and_nothing_unexpected_is_sent() {
        let server = Server::start(|_| Reply::ok("x")).await;
        let url = server.url.replace("//", "//user:secret@");
        assert!(ask(&url, "a?b=c").await.is_ok());
        let head = server.heads().concat().to_lowercase();
        let mut lines: Vec<&str> = head.lines().filter_map(|line| line.split(':').next()).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["", "accept", "get /a?b=c http/1.1", "host", "user-agent"], "{head}");
    }

    #[tokio::test]
    async fn a_document_is_asked_for_again_with_what_its_server_gave() {
        let server = Server::start(|head| {
            let known = head.contains("if-none-match: \"v1\"\r\n")
                && head.contains("if-modified-since: then\r\n");
            match (target(head), known) {
                ("/moved", _) => Reply::redirect("/a"),
                (_, true) => Reply::new(304, "cache-control: max-age=9\r\n", ""),
                (_, false) => {
                    let headers =
                        "etag: \"v1\"\r\nlast-modified: then\r\ncache-control: max-age=7\r\n";
                    Reply::new(200, headers, "x")
                }
            }
        })
        .await;
        let settings = settings(&server.url);
        let (source, compiled) = source(&settings);
        for path in ["/a", "/moved"] {
            let reference = reference(&settings, path);
            let first = source.find(&reference, None).await.unwrap();
            assert_eq!(first.lifetime, Lifetime::For(Duration::from_secs(7)));
            let second = source.find(&reference, Some(&first)).await.unwrap();
            assert!(Arc::ptr_eq(&first.schema, &second.schema));
            assert_eq!(second.lifetime, Lifetime::For(Duration::from_secs(9)));
            assert_eq!(second.validators, first.validators);
        }
        assert_eq!(compiled.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn look_ups_under_way_are_bounded_and_one_origin_gets_half() {
        let mut settings = settings("http://registry");
        settings.max_concurrent_requests = 4;
        let only = Slots::new(&settings);
        assert_eq!(only.unknown.by_origin[0].available_permits(), 3);
        settings.max_concurrent_requests = 8;
        settings.allow.push(Url::parse("http://other").unwrap());
        let slots = Slots::new(&settings);
        let registry = Url::parse("http://registry/a").unwrap();
        let (mut held, mut waiting) = (Vec::new(), None);
        for _ in 0..3 {
            held.push(slots.take(&registry, false).await.unwrap());
        }
        let fourth = waiting.insert(Box::pin(slots.take(&registry, false)));
        assert!(tokio::time::timeout(Duration::ZERO, &mut *fourth).await.is_err());
        assert!(slots.take(&registry, true).await.is_ok(), "what is known does not wait for that");
        assert!(slots.take(&Url::parse("http://other/a").unwrap(), false).await.is_ok());
        drop(held);
        assert!(fourth.await.is_ok());
    }

    /// Header, answer of the server, outcome.
    const ANSWERS: &[(&str, Answer, &str)] = &[
        ("a", |_| Reply::ok("\"string\""), "found"),
        ("a", |_| Reply::ok("\u{feff}\"string\""), "found"),
        ("a", |_| Reply::ok(r#"{"schema": "\"string\""}"#), "found"),
        ("a", |_| Reply::ok(r#"["null", "string"]"#), "found"),
        ("a", |_| Reply::new(200, "content-type: text/html\r\n", "\"int\""), "found"),
        ("a", |_| Reply::ok("fault"), "invalid"),
        ("a", |_| Reply::ok("panic"), "invalid"),
        ("a", |_| Reply::ok([0xff]), "invalid"),
        ("a", |_| Reply::ok(" ".repeat(1_000)), "found"),
        ("a", |_| Reply::ok(" ".repeat(1_001)), "invalid"),
        ("a", |_| Reply::ok(" ".repeat(1_000_000)), "invalid"),
        ("a", |_| Reply::ok(r#"{"schema": "x", "schemaType": "THRIFT"}"#), "invalid"),
        (
            "a",
            |_| Reply::ok(r#"{"schema":"x","references":[{"subject":"a","version":1}]}"#),
            "invalid",
        ),
        ("a", |_| Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), "invalid"),
        ("a", |_| Reply::new(404, "", ""), "not_found"),
        ("a", |_| Reply::new(410, "", ""), "not_found"),
        ("a", |_| Reply::new(304, "", ""), "unavailable"),
        ("a", |_| Reply::new(401, "", ""), "unavailable"),
        ("a", |_| Reply::new(403, "", ""), "unavailable"),
        ("a", |_| Reply::new(429, "", ""), "unavailable"),
        ("a", |_| Reply::new(500, "", "\"string\""), "unavailable"),
        ("a", |_| Reply::new(204, "", ""), "unavailable"),
        ("a", |_| Reply::new(200, "content-encoding: gzip\r\n", "x"), "unavailable"),
        ("a", |_| Reply::new(302, "", ""), "unavailable"),
        ("a", |_| Reply::new(302, "location: http://[\r\n", ""), "unavailable"),
        (
            "a",
            |_| Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_vec()),
            "unavailable",
        ),
        ("a", |_| Reply::Bytes(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()), "unavailable"),
        ("a", |_| Reply::Bytes(Vec::new()), "unavailable"),
        ("1", |_| Reply::ok(r#"{"schema": "\"string\"", "id": 7, "more": [1]}"#), "found"),
        (
            "1",
            |_| Reply::ok(r#"{"schema": "x", "schemaType": "AVRO", "references": null}"#),
            "found",
        ),
        ("1", |_| Reply::ok(r#"{"schema": "x", "schemaType": "THRIFT"}"#), "invalid"),
        ("1", |_| Reply::ok(r#"{"schema": "fault"}"#), "invalid"),
        ("1", |_| Reply::ok(format!(r#"{{"schema": "{}"}}"#, "x".repeat(1_000))), "found"),
        ("1", |_| Reply::ok(format!(r#"{{"schema": "{}"}}"#, "x".repeat(1_001))), "invalid"),
        ("1", |_| Reply::new(404, "", r#"{"error_code": 40403}"#), "not_found"),
        ("1", |_| Reply::new(503, "", ""), "unavailable"),
        ("1", |_| Reply::ok("\"string\""), "unavailable"),
        ("1", |_| Reply::ok("<html>"), "unavailable"),
        ("1", |_| Reply::ok(r#"{"schema": "#), "unavailable"),
        ("1", |_| Reply::ok(r#"{"schema": {}}"#), "unavailable"),
        ("1", |_| Reply::ok("[".repeat(100_000)), "invalid"),
        ("1", |_| Reply::ok("[".repeat(10_000)), "unavailable"),
    ];
}
