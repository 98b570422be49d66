//! The program itself, as an operator runs it: configuration file, environment, signals, exit code, what it says.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{http, proxy};

/// How long a program may take to end that should end by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program. It is killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    host: String,
    file: String,
    said: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    path: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub said: String,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// `schemaward run` between `upstream` and `registry` on a loopback address of its own, with the YAML in `more`.
    pub fn run(upstream: &str, registry: &str, more: &str) -> Self {
        let host = proxy::loopback();
        let file = format!(
            "listen:\n  bootstrap: {host}:9092\n  broker_ports: 9100-9109\nupstream:\n  \
             bootstrap: [\"{upstream}\"]\nregistry:\n  url: {registry}\nadmin:\n  \
             listen: {host}:9464\n{more}"
        );
        Self::run_file(&host, &file, &[])
    }

    /// `schemaward run` with this text as its file and these variables.
    pub fn run_file(host: &str, file: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("schemaward.yaml");
        std::fs::write(&path, file).unwrap();
        let mut program = Self::run_at(host, &path, environment);
        program._folder = Some(folder);
        program
    }

    /// `schemaward run` with the file at this path, which stays the caller's, and these variables.
    pub fn run_at(host: &str, path: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_schemaward"))
            .args(["run", "--config", path.to_str().unwrap()])
            .env_clear()
            .env("RUST_BACKTRACE", "1")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::<Mutex<String>>::default();
        let (mut stderr, heard) = (child.stderr.take().unwrap(), Arc::clone(&said));
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut bytes) {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        let (host, path) = (host.to_owned(), path.to_owned());
        let (file, reader) = (std::fs::read_to_string(&path).unwrap(), Some(reader));
        Self { child, host, file, said, reader, path, _folder: None }
    }

    /// Writes another text into its file.
    pub fn rewrite(&self, file: &str) {
        std::fs::write(&self.path, file).unwrap();
    }

    /// Its process, for `/proc`.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a crash does, and starts it again on the same ports, with the same file.
    pub fn crash_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.start_again()
    }

    /// Starts another one with the same file, on the same ports: this one must have ended.
    pub fn start_again(&self) -> Self {
        Self::run_file(&self.host, &self.file, &[])
    }

    /// The local address that stands for a node.
    pub fn node(&self, node: i32) -> String {
        format!("{}:{}", self.host, 9100 + node)
    }

    /// What a client puts into `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("{}:9092", self.host)
    }

    /// Where operators look.
    pub fn admin(&self) -> String {
        format!("{}:9464", self.host)
    }

    /// Standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until a path of the admin listener gives an answer that `wanted` takes.
    pub async fn until(
        &mut self,
        path: &str,
        wanted: impl Fn(&http::Reply) -> bool,
    ) -> http::Reply {
        loop {
            let reply = http::try_get(&self.admin(), path).await;
            if let Some(reply) = reply.filter(|reply| wanted(reply)) {
                return reply;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it has ended: {status}\n{}", self.said());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until it is ready.
    pub async fn ready(mut self) -> Self {
        self.until("/readyz", |reply| reply.status == 200).await;
        self
    }

    /// Sends a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for its end. Whatever happened, it has not panicked.
    pub async fn ended(mut self) -> Ended {
        self.end().await
    }

    /// The same for one that is to be started again.
    pub async fn end(&mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        self.reader.take().unwrap().join().unwrap();
        let said = self.said();
        for word in ["panicked", "backtrace", "RUST_BACKTRACE", "src/"] {
            assert!(!said.contains(word), "{said}");
        }
        Ended { code: status.code(), said }
    }
}
