//! Who is asked, as whom, at which address, how often: the registry client against servers that do as told.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use url::Url;

use super::{
    CircuitSettings, Clock, CredentialFiles, Fetched, Guid, OtherRegistry, References,
    RegistryAccess, RegistryApi, RegistryKey, RegistrySettings, RequestOutcome, SchemaSource,
    SourceError, SourceObserver, Template,
    fetch::Surroundings,
    testing::{Reply, Server, reference, settings, source, source_within, surroundings, target},
};
use crate::{
    metrics::Metrics,
    tls::{ClientTlsSettings, IdentityFiles, ServerTlsSettings, TlsServer},
};

type Found = Result<Arc<Fetched>, SourceError>;

fn outcome(answer: &Found) -> &'static str {
    RequestOutcome::of(answer, None).label()
}

async fn ask(settings: &RegistrySettings, header: &str) -> Found {
    source(settings).0.find(&reference(settings, header), None).await
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn other(at: &str, credentials: CredentialFiles) -> OtherRegistry {
    let access = RegistryAccess { credentials, ..RegistryAccess::default() };
    OtherRegistry { url: url(at), access }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn bearer(&self, token: &str) -> CredentialFiles {
        CredentialFiles::Bearer { token: self.write(token, token) }
    }

    fn basic(&self, user: &str, password: &str) -> CredentialFiles {
        let (username, password) = (self.write(user, user), self.write(password, password));
        CredentialFiles::Basic { username, password }
    }
}

/// What each request said about who asks: target and credentials.
fn identities(server: &Server) -> Vec<(String, Option<String>)> {
    let identity = |head: &String| {
        let line = head.lines().find_map(|line| line.strip_prefix("authorization: "));
        (target(head).to_owned(), line.map(str::to_owned))
    };
    server.heads().iter().map(identity).collect()
}

/// Requests as a table has them.
fn said(expected: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
    expected.iter().map(|(at, who)| ((*at).to_owned(), who.map(str::to_owned))).collect()
}

#[tokio::test]
async fn credentials_go_to_the_registry_that_they_are_for_and_nowhere_else() {
    let (one, two, third) = (
        Server::start(|_| Reply::ok("x")).await,
        Server::start(|_| Reply::ok("x")).await,
        Server::start(|_| Reply::ok("x")).await,
    );
    let folder = Folder::new();
    let mut settings = settings(&format!("{}/main", one.url));
    settings.access.credentials = folder.basic("me", "pw");
    settings.others = vec![
        other(&two.url, folder.bearer("token-two")),
        other(&format!("{}/other", one.url), folder.bearer("token-other")),
    ];
    settings.allow.push(url(&third.url));
    for at in [
        format!("{}/main/a", one.url),
        format!("{}/other/a", one.url),
        format!("{}/elsewhere", one.url),
        format!("{}/a", two.url),
        format!("{}/a", third.url),
    ] {
        assert_eq!(outcome(&ask(&settings, &at).await), "found", "{at}");
    }
    let me = Some("Basic bWU6cHc=");
    let expected = [("/main/a", me), ("/other/a", Some("Bearer token-other")), ("/elsewhere", me)];
    assert_eq!(identities(&one), said(&expected));
    assert_eq!(identities(&two), said(&[("/a", Some("Bearer token-two"))]));
    assert_eq!(identities(&third), said(&[("/a", None)]));
}

#[tokio::test]
async fn credentials_that_are_replaced_count_at_once() {
    let server = Server::start(|_| Reply::ok("x")).await;
    let folder = Folder::new();
    let mut settings = settings(&server.url);
    settings.access.credentials = CredentialFiles::Bearer { token: folder.write("token", "one") };
    let (source, _) = source(&settings);
    assert!(source.find(&reference(&settings, "a"), None).await.is_ok());
    folder.write("token", "two\n");
    assert!(source.find(&reference(&settings, "b"), None).await.is_ok());
    fs::remove_file(folder.0.path().join("token")).unwrap();
    let answer = source.find(&reference(&settings, "c"), None).await;
    assert_eq!(outcome(&answer), "unavailable", "nobody is asked as somebody else");
    let shown = answer.unwrap_err().to_string();
    assert!(!shown.contains("token") && !shown.contains("two"), "{shown}");
    let expected = [("/a", Some("Bearer one")), ("/b", Some("Bearer two"))];
    assert_eq!(identities(&server), said(&expected));
}

#[tokio::test]
async fn a_redirect_to_another_origin_takes_no_credentials_along_also_not_those_for_there() {
    let back = Arc::new(Mutex::new(String::new()));
    let home_again = Arc::clone(&back);
    let there = Server::start(move |head| match target(head) {
        "/away" => Reply::redirect(&home_again.lock().unwrap()),
        _ => Reply::ok("x"),
    })
    .await;
    let next = there.url.clone();
    let home = Server::start(move |head| match target(head) {
        "/near" => Reply::redirect("/x"),
        "/far" => Reply::redirect(&format!("{next}/far")),
        "/round" => Reply::redirect(&format!("{next}/away")),
        _ => Reply::ok("x"),
    })
    .await;
    *back.lock().unwrap() = format!("{}/back", home.url);
    let folder = Folder::new();
    let mut settings = settings(&home.url);
    settings.access.credentials = folder.bearer("home");
    settings.others = vec![other(&there.url, folder.bearer("there"))];
    for path in ["/near", "/far", "/round"] {
        assert_eq!(outcome(&ask(&settings, path).await), "found", "{path}");
    }
    let me = Some("Bearer home");
    let expected = [("/near", me), ("/x", me), ("/far", me), ("/round", me), ("/back", None)];
    assert_eq!(identities(&home), said(&expected));
    assert_eq!(identities(&there), said(&[("/far", None), ("/away", None)]));
}

#[tokio::test]
async fn nothing_of_credentials_is_in_an_error() {
    for answer in [
        (|_: &str| Reply::new(401, "", "who are you, token-secret?")) as fn(&str) -> Reply,
        |_| Reply::new(500, "", ""),
        |_| Reply::Bytes(b"authorization: Bearer token-secret\r\n\r\n".to_vec()),
        |_| Reply::ok("fault"),
    ] {
        let server = Server::start(answer).await;
        let folder = Folder::new();
        let mut settings = settings(&server.url);
        settings.access.credentials = folder.bearer("token-secret");
        let (source, _) = source(&settings);
        let error = source.find(&reference(&settings, "a"), None).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}

/// An authority, and files that it has signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self, folder: &Folder, name: &str) -> PathBuf {
        folder.write(name, &self.0.pem())
    }

    fn identity(&self, folder: &Folder, name: &str) -> IdentityFiles {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        IdentityFiles {
            certificate: folder.write(&format!("{name}.crt"), &certificate.pem()),
            key: folder.write(&format!("{name}.key"), &key.serialize_pem()),
        }
    }
}

/// A server under TLS that wants a certificate of `clients`, if that is given.
async fn tls_server(identity: IdentityFiles, clients: Option<&Path>) -> Server {
    let client_ca = clients.map(Path::to_owned);
    let tls = TlsServer::new(ServerTlsSettings { identity, client_ca }).unwrap();
    Server::start_with(Some(tls.config()), |_| Reply::ok("x")).await
}

#[tokio::test]
async fn a_private_authority_and_a_certificate_of_our_own_are_for_their_registry() {
    let (folder, authority, stranger) = (Folder::new(), Authority::new(), Authority::new());
    let ca = authority.pem(&folder, "ca.pem");
    let server = tls_server(authority.identity(&folder, "server"), Some(&ca)).await;
    let ours = authority.identity(&folder, "ours");
    let foreign = stranger.identity(&folder, "foreign");
    let strangers_ca = stranger.pem(&folder, "stranger.pem");
    let tls = |ca: &PathBuf, identity: Option<&IdentityFiles>| ClientTlsSettings {
        ca: Some(ca.clone()),
        server_name: None,
        identity: identity.cloned(),
    };
    let table = [
        (Some(tls(&ca, Some(&ours))), "found"),
        (Some(tls(&ca, None)), "unavailable"),
        (Some(tls(&ca, Some(&foreign))), "unavailable"),
        (Some(tls(&strangers_ca, Some(&ours))), "unavailable"),
        (None, "unavailable"),
    ];
    for (row, (tls, expected)) in table.into_iter().enumerate() {
        let mut settings = settings(&server.url);
        settings.access.tls = tls;
        let answer = ask(&settings, "a").await;
        assert_eq!(outcome(&answer), expected, "row {row}: {answer:?}");
    }
    assert_eq!(server.targets(), ["/a"]);
    // What another registry has to show is not shown here.
    let mut settings = settings("http://main");
    let access = RegistryAccess { tls: Some(tls(&ca, Some(&ours))), ..RegistryAccess::default() };
    settings.others = vec![OtherRegistry { url: url("https://elsewhere"), access }];
    settings.allow = vec![url(&server.url)];
    assert_eq!(outcome(&ask(&settings, &format!("{}/a", server.url)).await), "unavailable");
    assert_eq!(server.targets(), ["/a"]);
}

#[tokio::test]
async fn tls_files_of_a_registry_that_are_replaced_are_taken_up() {
    let (folder, authority, stranger) = (Folder::new(), Authority::new(), Authority::new());
    let server = tls_server(authority.identity(&folder, "server"), None).await;
    let ca = stranger.pem(&folder, "ca.pem");
    let mut settings = settings(&server.url);
    settings.circuit.failures = 0;
    settings.access.tls = Some(ClientTlsSettings { ca: Some(ca), ..ClientTlsSettings::default() });
    let (source, _) = source(&settings);
    let mut tasks = tokio::task::JoinSet::new();
    for task in source.keep_up(&Metrics::new(1)) {
        tasks.spawn(task);
    }
    assert_eq!(tasks.len(), 1);
    let reference = reference(&settings, "a");
    assert_eq!(outcome(&source.find(&reference, None).await), "unavailable");
    authority.pem(&folder, "ca.pem");
    let taken_up = async { while source.find(&reference, None).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(60), taken_up).await.unwrap();
}

/// Surroundings in which names resolve as `names` says.
fn resolving(
    names: impl Fn(&str) -> Vec<&'static str> + Send + Sync + 'static,
) -> (Surroundings, Arc<AtomicUsize>) {
    let calls: Arc<AtomicUsize> = Arc::default();
    let count = Arc::clone(&calls);
    let names = Arc::new(move |name: String| {
        count.fetch_add(1, Ordering::SeqCst);
        let found = names(&name).into_iter();
        let found: Vec<_> = found.map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        Box::pin(async move { Ok(found) }) as _
    });
    (Surroundings { names, ..surroundings() }, calls)
}

fn port(server: &Server) -> &str {
    server.url.rsplit(':').next().unwrap()
}

#[tokio::test]
async fn what_a_name_resolves_to_is_checked_where_it_is_dialled() {
    let server = Server::start(|_| Reply::ok("x")).await;
    let port = port(&server);
    let turn = AtomicUsize::new(0);
    let (around, calls) = resolving(move |name| match name {
        "registry.test" => vec!["127.0.0.1"],
        // The first answer is harmless, the next one is not.
        "rebinding.test" if turn.fetch_add(1, Ordering::SeqCst) == 0 => vec!["127.0.0.1"],
        "rebinding.test" => vec!["169.254.169.254"],
        "metadata.test" => vec!["169.254.169.254", "fd00:ec2::254"],
        "mixed.test" => vec!["169.254.169.254", "127.0.0.1"],
        "a.below.test" => vec!["127.0.0.1"],
        "b.below.test" => vec!["10.0.0.1", "fd12::1"],
        _ => vec![],
    });
    let mut settings = settings(&format!("http://registry.test:{port}"));
    for host in ["rebinding.test", "metadata.test", "mixed.test", "*.below.test", "a.below.test:1"]
    {
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") };
        settings.allow.push(url(&format!("http://{host}")));
    }
    let (source, _) = source_within(&settings, around);
    let table = [
        ("registry.test", "found"),
        ("rebinding.test", "found"),
        ("rebinding.test", "not_allowed"),
        ("metadata.test", "not_allowed"),
        ("mixed.test", "found"),
        ("a.below.test", "not_allowed"),
        ("b.below.test", "not_allowed"),
    ];
    for (row, (host, expected)) in table.into_iter().enumerate() {
        let header = format!("http://{host}:{port}/{row}");
        let answer = source.find(&reference(&settings, &header), None).await;
        assert_eq!(outcome(&answer), expected, "{header}: {answer:?}");
        if let Err(error) = answer {
            let shown = error.to_string();
            assert!(shown.contains("resolves to a"), "{shown}");
            assert!(!shown.contains("169.254") && !shown.contains("10.0"), "{shown}");
        }
    }
    assert_eq!(server.targets(), ["/0", "/1", "/4"]);
    assert_eq!(calls.load(Ordering::SeqCst), table.len(), "each name is resolved once per dial");
}

#[tokio::test]
async fn addresses_in_urls_and_redirects_are_checked_too() {
    let home = Server::start(|head| match target(head) {
        "/mapped" => Reply::redirect("http://[::ffff:a9fe:a9fe]/x"),
        "/metadata" => Reply::redirect("http://169.254.169.254/latest/meta-data"),
        "/decimal" => Reply::redirect("http://2852039166/"),
        _ => Reply::redirect("http://metadata.test/"),
    })
    .await;
    let (around, _) = resolving(|_| vec!["169.254.169.254"]);
    let mut settings = settings(&home.url);
    settings.allow =
        ["http://169.254.169.254", "http://[::ffff:a9fe:a9fe]", "http://metadata.test"]
            .map(url)
            .to_vec();
    settings.allow.push(url("http://0.0.0.0:1"));
    let (source, _) = source_within(&settings, around);
    for header in [
        "http://169.254.169.254/a",
        "http://0.0.0.0:1/a",
        "http://[::ffff:169.254.169.254]/a",
        "/mapped",
        "/metadata",
        "/decimal",
        "/name",
    ] {
        let answer = source.find(&reference(&settings, header), None).await;
        assert_eq!(outcome(&answer), "not_allowed", "{header}: {answer:?}");
    }
}

#[derive(Default)]
struct Counts {
    retried: AtomicUsize,
    open: AtomicUsize,
    avoided: AtomicUsize,
}

impl SourceObserver for Counts {
    fn circuits_open(&self, count: usize) {
        self.open.store(count, Ordering::SeqCst);
    }
    fn left_in_peace(&self) {
        self.avoided.fetch_add(1, Ordering::SeqCst);
    }
    fn retried(&self) {
        self.retried.fetch_add(1, Ordering::SeqCst);
    }
}

/// A clock that stands still until it is told.
fn clock() -> (Clock, Arc<Mutex<Instant>>) {
    let now = Arc::new(Mutex::new(Instant::now()));
    let shown = Arc::clone(&now);
    (Arc::new(move || *shown.lock().unwrap()), now)
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_is_said_is_not() {
    type Answer = fn(usize) -> Reply;
    let table: &[(Answer, usize, &str)] = &[
        (|turn| if turn < 2 { Reply::new(503, "", "") } else { Reply::ok("x") }, 3, "found"),
        (|turn| if turn < 1 { Reply::new(500, "", "") } else { Reply::ok("x") }, 2, "found"),
        (|turn| if turn < 1 { Reply::Bytes(Vec::new()) } else { Reply::ok("x") }, 2, "found"),
        (
            |turn| match turn {
                0 => Reply::new(429, "retry-after: 0\r\n", ""),
                _ => Reply::ok("x"),
            },
            2,
            "found",
        ),
        (|_| Reply::new(503, "retry-after: 0\r\n", ""), 3, "unavailable"),
        (|_| Reply::new(502, "", ""), 3, "unavailable"),
        (|_| Reply::new(429, "retry-after: 1000\r\n", ""), 1, "unavailable"),
        (|_| Reply::new(404, "", ""), 1, "not_found"),
        (|_| Reply::new(403, "", ""), 1, "unavailable"),
        (|_| Reply::ok("fault"), 1, "invalid"),
        (|_| Reply::redirect("http://evil/"), 1, "not_allowed"),
    ];
    for (row, (answer, requests, expected)) in table.iter().enumerate() {
        let (turn, answer) = (AtomicUsize::new(0), *answer);
        let server = Server::start(move |_| answer(turn.fetch_add(1, Ordering::SeqCst))).await;
        let counts = Arc::new(Counts::default());
        let settings = settings(&server.url);
        let around = Surroundings { observer: Arc::clone(&counts) as _, ..surroundings() };
        let found = source_within(&settings, around).0.find(&reference(&settings, "a"), None).await;
        assert_eq!(outcome(&found), *expected, "row {row}: {found:?}");
        assert_eq!(server.targets().len(), *requests, "row {row}");
        assert_eq!(counts.retried.load(Ordering::SeqCst), requests - 1, "row {row}");
    }
}

#[tokio::test]
async fn an_origin_that_fails_is_left_in_peace_then_asked_once_and_then_by_all() {
    let well = Arc::new(Mutex::new(false));
    let says = Arc::clone(&well);
    let server = Server::start(move |_| match *says.lock().unwrap() {
        true => Reply::ok("x"),
        false => Reply::new(503, "", ""),
    })
    .await;
    let (clock, now) = clock();
    let counts = Arc::new(Counts::default());
    let mut settings = settings(&server.url);
    settings.circuit = CircuitSettings { failures: 3, pause: Duration::from_secs(10) };
    let around = Surroundings { clock, observer: Arc::clone(&counts) as _, ..surroundings() };
    let (source, _) = source_within(&settings, around);
    let ask = async |header: &str| {
        let answer = source.find(&reference(&settings, header), None).await;
        let open = counts.open.load(Ordering::SeqCst);
        (outcome(&answer), server.targets().len(), open)
    };
    assert_eq!(ask("a").await, ("unavailable", 3, 1));
    assert_eq!(ask("b").await, ("unavailable", 3, 1), "not asked");
    assert_eq!(counts.avoided.load(Ordering::SeqCst), 1);
    *now.lock().unwrap() += Duration::from_secs(10);
    assert_eq!(ask("c").await, ("unavailable", 4, 1), "one tries, in vain");
    *now.lock().unwrap() += Duration::from_secs(10);
    *well.lock().unwrap() = true;
    assert_eq!(ask("d").await, ("found", 5, 0));
    assert_eq!(ask("e").await, ("found", 6, 0));
}

#[tokio::test]
async fn an_origin_that_asks_to_wait_is_not_asked_meanwhile() {
    let server = Server::start(|_| Reply::new(429, "retry-after: 30\r\n", "")).await;
    let (clock, now) = clock();
    let settings = settings(&server.url);
    let (source, _) = source_within(&settings, Surroundings { clock, ..surroundings() });
    for (seconds, requests) in [(0, 1), (29, 1), (1, 2), (0, 2)] {
        *now.lock().unwrap() += Duration::from_secs(seconds);
        let answer = source.find(&reference(&settings, "a"), None).await;
        assert_eq!(outcome(&answer), "unavailable");
        assert_eq!(server.targets().len(), requests, "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_that_drips_or_never_ends_is_cut_off() {
    type Answer = fn(&str) -> Reply;
    let table: &[(Answer, &str)] = &[
        (
            |_| Reply::Drip(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".to_vec()),
            "unavailable",
        ),
        (|_| Reply::Drip(b"HTTP/1.1 200 OK\r\nx: ".to_vec()), "unavailable"),
        (|_| Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), "invalid"),
        (|_| Reply::Endless(b"HTTP/1.1 200 OK\r\nx: ".to_vec()), "unavailable"),
        // No decoder is built in (the `gzip` feature of reqwest is off): what swells is not even begun.
        (
            |_| {
                Reply::Endless(
                    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n\x1f\x8b".to_vec(),
                )
            },
            "unavailable",
        ),
    ];
    for (row, (answer, expected)) in table.iter().enumerate() {
        let server = Server::start(answer).await;
        let mut settings = settings(&server.url);
        settings.request_timeout = Duration::from_millis(300);
        let found = ask(&settings, "a").await;
        assert_eq!(outcome(&found), *expected, "row {row}: {found:?}");
    }
}

#[tokio::test]
async fn a_registered_schema_of_a_document_server_is_where_the_template_says() {
    let server = Server::start(|_| Reply::ok("x")).await;
    let mut settings = settings(&format!("{}/base/", server.url));
    let template =
        Template::parse("/$schemaGroups/getSchemaById/{guid_hex}?api-version=2023-07-01");
    settings.access.api = RegistryApi::Documents { template };
    let guid = RegistryKey::Guid(Guid([0xab; 16]));
    let reference = References::new(&settings).registered(guid).unwrap();
    let found = source(&settings).0.find(&reference, None).await.unwrap();
    assert_eq!(found.lifetime, super::Lifetime::Forever);
    let digits = "ab".repeat(16);
    let path = format!("/base/$schemaGroups/getSchemaById/{digits}?api-version=2023-07-01");
    assert_eq!(server.targets(), [path]);
}
