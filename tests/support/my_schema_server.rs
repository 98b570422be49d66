//! `https://my-schema-server`, as the documentation of dataclasses-avroschema has it: a server with a certificate of that
//! name, and the proxy as a program of its own that finds it there. Only name and port are led here; TLS is what it is.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::java::Java;
use super::kafka::Kafka;
use super::proxy;
use super::sidecar::{http_get, wait_until};
use super::{preload, process, require};

/// The server, and the program `schemaward` that asks it; both are killed on drop.
#[derive(Debug)]
pub struct Documented {
    proxy: Child,
    server: Child,
    host: String,
    _folder: TempDir,
}

impl Documented {
    /// Serves `documents`, pairs of path and text, and starts the program in front of `kafka`.
    pub fn start(kafka: &Kafka, java: &Java, documents: &[(&str, String)]) -> Option<Self> {
        let preloaded = require::or_skip(&preload::library("my_schema_server"))?.clone();
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in documents {
            let file = folder.path().join("served").join(path);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, text).expect("a file");
        }
        make_keys(folder.path());
        let (server, port) = serve(java, folder.path());
        let host = proxy::loopback();
        let config = folder.path().join("schemaward.yaml");
        fs::write(&config, configuration(kafka, &host)).expect("a file");
        let mut schemaward = Command::new(env!("CARGO_BIN_EXE_schemaward"));
        schemaward.args(["run", "--config"]).arg(config);
        schemaward.env("LD_PRELOAD", preloaded).env("MY_SCHEMA_SERVER_PORT", port);
        schemaward.env("SSL_CERT_FILE", folder.path().join("server.pem"));
        schemaward.stdout(Stdio::inherit()).stderr(Stdio::inherit());
        let proxy = schemaward.spawn().expect("the program runs");
        let documented = Self { proxy, server, host, _folder: folder };
        wait_until("the program is ready", || {
            documented.readyz().is_some_and(|it| it == "ready\n")
        });
        Some(documented)
    }

    /// What a client puts into `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("{}:{}", self.host, proxy::BOOTSTRAP_PORT)
    }

    fn readyz(&self) -> Option<String> {
        http_get(&format!("{}:9464", self.host), "/readyz").ok()
    }
}

impl Drop for Documented {
    fn drop(&mut self) {
        for process in [&mut self.proxy, &mut self.server] {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

fn configuration(kafka: &Kafka, host: &str) -> String {
    format!(
        "listen: {{bootstrap: \"{host}:{}\", broker_ports: 9100-9109}}\n\
         upstream: {{bootstrap: [\"{}\"]}}\n\
         registry: {{url: \"http://registry.invalid\", allow: [\"https://my-schema-server\"]}}\n\
         admin: {{listen: \"{host}:9464\"}}\n",
        proxy::BOOTSTRAP_PORT,
        kafka.address(1),
    )
}

/// A key and a certificate of its own, which the program is told to trust.
fn make_keys(folder: &Path) {
    let store = folder.join("server.p12");
    let keytool = |args: &[&str]| {
        let mut keytool = Command::new("keytool");
        keytool.args(args).args(["-alias", "server", "-storepass", PASSWORD, "-keystore"]);
        process::run(keytool.arg(&store), "", DEADLINE).ok().unwrap_or_else(|e| panic!("{e}"))
    };
    let name = ["-dname", "CN=my-schema-server", "-ext", "SAN=dns:my-schema-server"];
    let kind = ["-genkeypair", "-keyalg", "EC", "-storetype", "PKCS12"];
    keytool(&[&kind[..], &name].concat());
    let certificate = keytool(&["-exportcert", "-rfc"]);
    fs::write(folder.join("server.pem"), certificate).expect("a file");
}

fn serve(java: &Java, folder: &Path) -> (Child, String) {
    let mut server = java.command();
    server.arg("SchemaServer").arg(folder.join("server.p12")).arg(PASSWORD);
    server.arg(folder.join("served")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut server = server.spawn().expect("java can be run");
    let mut port = String::new();
    let stdout = server.stdout.take().expect("stdout is piped");
    BufReader::new(stdout).read_line(&mut port).expect("the server says its port");
    (server, port.trim().to_owned())
}

const PASSWORD: &str = "changeit";
const DEADLINE: Duration = Duration::from_secs(60);
