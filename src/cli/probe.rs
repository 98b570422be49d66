//! `schemaward probe`: asks a running schemaward whether it lives, for images without a shell. Plain HTTP, one request,
//! and an end after `--timeout` whatever happens.

use std::{
    fs,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use clap::Args;
use url::Url;

use super::{Exit, complain};
use crate::{
    config::{Config, process_environment},
    text::shown,
};

/// Ask a running schemaward whether it lives, or with --ready whether it is ready.
#[derive(Debug, Args)]
pub(super) struct Probe {
    /// What to ask, in plain HTTP; only an answer 200 will do
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9465/livez", conflicts_with_all = ["config", "ready"])]
    url: String,
    /// Ask where this configuration file has the probes: admin.probes_listen, else admin.listen
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask /readyz in place of /livez
    #[arg(long)]
    ready: bool,
    /// Seconds after which no answer is no
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=60))]
    timeout: u16,
}

/// Why the answer is no.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("{0}")]
    Config(String),
    #[error("{0} cannot be asked: it takes a URL such as http://127.0.0.1:9465/livez")]
    Url(String),
    #[error("the admin token cannot be read")]
    Token(#[source] io::Error),
    #[error("{url} cannot be asked")]
    Io { url: Url, source: io::Error },
    #[error("{url} did not answer within {seconds} s")]
    Deadline { url: Url, seconds: u16 },
    #[error("{url} answered \"{answer}\"")]
    Answer { url: Url, answer: String },
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Question {
    url: Url,
    token: Option<String>,
}

impl Probe {
    pub(super) fn execute(self) -> Exit {
        match self.ask() {
            Ok(()) => Exit::Clean,
            Err(error) => {
                complain(&error);
                Exit::Failure
            }
        }
    }

    fn ask(&self) -> Result<(), ProbeError> {
        let question = self.question()?;
        let (url, seconds) = (question.url.clone(), self.timeout);
        let (answer, answered) = mpsc::sync_channel(1);
        // Looking up a name cannot be given a deadline. The thread ends with the process, if not before.
        let asked = thread::Builder::new().spawn(move || answer.send(question.ask()));
        asked.map_err(|source| ProbeError::Io { url: url.clone(), source })?;
        match answered.recv_timeout(Duration::from_secs(seconds.into())) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(ProbeError::Deadline { url, seconds })
            }
        }
    }

    fn question(&self) -> Result<Question, ProbeError> {
        let path = if self.ready { "/readyz" } else { "/livez" };
        match &self.config {
            Some(file) => configured(file, path),
            None if self.ready => Question::at(DEFAULT, path, None),
            None => Question::new(&self.url, None),
        }
    }
}

/// Where a configuration has its probes. With the token, where only the listener is there that asks for one.
fn configured(file: &Path, path: &str) -> Result<Question, ProbeError> {
    let config = Config::load(file, process_environment())
        .map_err(|errors| ProbeError::Config(errors.to_string()))?;
    let admin = config.admin;
    if let Some(address) = admin.probes_listen {
        return Question::at(address, path, None);
    }
    let Some(address) = admin.listen else {
        let file = file.display();
        return Err(ProbeError::Config(format!(
            "{file} has neither admin.probes_listen nor admin.listen: there is nothing to ask"
        )));
    };
    let token = admin.token_file.map(|token| bounded(&token)).transpose();
    Question::at(address, path, token.map_err(ProbeError::Token)?)
}

fn bounded(file: &Path) -> io::Result<String> {
    let mut token = String::new();
    fs::File::open(file)?.take(MAX_BYTES).read_to_string(&mut token)?;
    let token = token.trim();
    let printable = token.bytes().all(|byte| byte.is_ascii_graphic());
    printable.then(|| token.to_owned()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

impl Question {
    fn new(url: &str, token: Option<String>) -> Result<Self, ProbeError> {
        let refused = || ProbeError::Url(shown(url.as_bytes()));
        let parsed = Url::parse(url).map_err(|_| refused())?;
        let plain = parsed.scheme() == "http" && parsed.has_host() && parsed.username().is_empty();
        if plain { Ok(Self { url: parsed, token }) } else { Err(refused()) }
    }

    fn at(listening: SocketAddr, path: &str, token: Option<String>) -> Result<Self, ProbeError> {
        Self::new(&format!("http://{}{path}", from_inside(listening)), token)
    }

    fn ask(&self) -> Result<(), ProbeError> {
        let answer = self.exchange();
        let answer = answer.map_err(|source| ProbeError::Io { url: self.url.clone(), source })?;
        if is_200(&answer) {
            return Ok(());
        }
        Err(ProbeError::Answer { url: self.url.clone(), answer: told(&answer) })
    }

    /// The first bytes of the answer.
    fn exchange(&self) -> io::Result<Vec<u8>> {
        let addresses = self.url.socket_addrs(|| None)?;
        let mut stream = TcpStream::connect(&addresses[..])?;
        stream.write_all(self.request().as_bytes())?;
        let mut answer = Vec::new();
        stream.take(MAX_BYTES).read_to_end(&mut answer)?;
        Ok(answer)
    }

    fn request(&self) -> String {
        let target = &self.url[url::Position::BeforePath..url::Position::AfterQuery];
        let host = &self.url[url::Position::BeforeHost..url::Position::AfterPort];
        let token = self.token.as_ref();
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let token = token.unwrap_or_default();
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{token}Connection: close\r\n\r\n")
    }
}

/// How a listener is reached from the same machine.
fn from_inside(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

fn is_200(answer: &[u8]) -> bool {
    let status = answer.split(|byte| *byte == b' ').nth(1);
    answer.starts_with(b"HTTP/1.") && status == Some(b"200")
}

/// The status and the first line behind the headers, which says why.
fn told(answer: &[u8]) -> String {
    let line = |bytes: &[u8]| {
        let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        shown(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default())
    };
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let body = body.and_then(|at| answer.get(at + 4..)).filter(|body| !body.is_empty());
    let body = body.map(|body| format!(", {}", line(body))).unwrap_or_default();
    format!("{}{body}", line(answer))
}

/// Where the probes are in every example.
const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9465);
/// Of an answer, and of a token.
const MAX_BYTES: u64 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_is_asked() {
        for url in ["", "livez", "https://127.0.0.1/livez", "file:///livez", "http://user@host/"] {
            assert!(Question::new(url, None).is_err(), "{url}");
        }
        let question = Question::new("http://127.0.0.1:1/a?b=c#d", None).unwrap();
        let asked = "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: close\r\n\r\n";
        assert_eq!(question.request(), asked);
    }

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        let table = [
            ("0.0.0.0:9465", "http://127.0.0.1:9465/livez"),
            ("[::]:9465", "http://[::1]:9465/livez"),
            ("10.0.0.1:80", "http://10.0.0.1/livez"),
        ];
        for (listening, url) in table {
            let question = Question::at(listening.parse().unwrap(), "/livez", None).unwrap();
            assert_eq!(question.url.as_str(), url);
        }
    }

    #[test]
    fn only_status_200_will_do_and_the_reason_is_told() {
        assert!(is_200(b"HTTP/1.1 200 OK\r\n\r\nok\n"));
        for answer in [&b""[..], b"200", b"HTTP/1.1 2000", b"HTTP/1.1 204 x", b"SSH-2.0 200 "] {
            assert!(!is_200(answer), "{}", shown(answer));
        }
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nx: y\r\n\r\nnot ready: draining\n";
        assert_eq!(told(answer), "HTTP/1.1 503 Service Unavailable, not ready: draining");
        assert_eq!(told(b"\x15\x03\x01"), "\\u{15}\\u{3}\\u{1}");
    }
}
