//! A real browser, headless, driven through `WebDriver` (chromedriver), with what it logged and asked the network for.

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{guardian::Guardian, proxy::install_crypto, require, wait::patiently};

/// A browser with one page. It ends on drop.
#[derive(Debug)]
pub struct Browser {
    http: reqwest::Client,
    /// URL of the session.
    session: String,
    driver: Child,
    _guardian: Guardian,
    _profile: TempDir,
}

impl Browser {
    /// Starts one, if Chromium is there.
    pub async fn start() -> Option<Self> {
        let found = require::chromium();
        require::or_skip_unless(&["SCHEMAWARD_REQUIRE_CHROMIUM"], &found)?;
        install_crypto();
        let profile = tempfile::tempdir().unwrap();
        let guardian = Guardian::of(profile.path());
        let (driver, port) = start_driver(&guardian);
        let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
        let mut browser = Self {
            http,
            session: format!("http://127.0.0.1:{port}/session"),
            driver,
            _guardian: guardian,
            _profile: profile,
        };
        let opened = browser.post("", browser.capabilities()).await;
        browser.session = format!("{}/{}", browser.session, opened["sessionId"].as_str().unwrap());
        Some(browser)
    }

    fn capabilities(&self) -> Value {
        let profile = format!("--user-data-dir={}", self._profile.path().join("profile").display());
        let mut arguments = ARGUMENTS.to_vec();
        arguments.push(&profile);
        let binary = in_path("chromium").unwrap().display().to_string();
        json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": binary, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}})
    }

    /// Goes to a page.
    pub async fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    /// What a script's body returns; its arguments are `arguments[0]` and so on.
    pub async fn run(&self, script: &str, arguments: Value) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// What an expression is.
    pub async fn value(&self, expression: &str) -> Value {
        self.run(&format!("return ({expression});"), json!([])).await
    }

    /// The text of what a selector finds first, as it is in the document.
    pub async fn text(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.textContent ?? '';";
        self.run(script, json!([selector])).await.as_str().unwrap().to_owned()
    }

    /// Waits until an expression is true.
    pub async fn until(&self, what: &str, expression: &str) {
        patiently(what, async {
            while self.value(expression).await != Value::Bool(true) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }

    /// Presses keys as somebody at a keyboard does, one after the other.
    pub async fn press(&self, keys: &[&str]) {
        let presses = keys
            .iter()
            .flat_map(|key| ["keyDown", "keyUp"].map(|what| json!({ "type": what, "value": key })));
        let keyboard =
            json!({ "type": "key", "id": "keyboard", "actions": presses.collect::<Vec<_>>() });
        self.post("/actions", json!({ "actions": [keyboard] })).await;
    }

    /// Types a text, key by key.
    pub async fn type_text(&self, text: &str) {
        let keys: Vec<_> = text.chars().map(String::from).collect();
        self.press(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }

    /// A command of the developer tools' protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("/goog/cdp/execute", body).await
    }

    /// Makes it look as by these media features and at this size.
    pub async fn look(&self, features: &[(&str, &str)], width: u32, height: u32) {
        let features = features.iter().map(|(name, value)| json!({ "name": name, "value": value }));
        let features = json!({ "features": features.collect::<Vec<_>>() });
        self.devtools("Emulation.setEmulatedMedia", features).await;
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// What is seen, as PNG.
    pub async fn screenshot(&self) -> Vec<u8> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let shot = self.devtools("Page.captureScreenshot", json!({ "format": "png" })).await;
        STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// Opens another tab in front, and returns with what this one can be brought back.
    pub async fn cover(&self) -> String {
        let own = self.get("/window").await.as_str().unwrap().to_owned();
        let other = self.post("/window/new", json!({ "type": "tab" })).await;
        self.post("/window", json!({ "handle": other["handle"] })).await;
        own
    }

    /// Closes the tab in front and goes back to this one.
    pub async fn uncover(&self, own: &str) {
        let answer = self.http.delete(format!("{}/window", self.session)).send().await.unwrap();
        assert!(answer.status().is_success());
        self.post("/window", json!({ "handle": own })).await;
        self.devtools("Page.bringToFront", json!({})).await;
    }

    /// Lines of the console since this was asked last.
    pub async fn console(&self) -> Vec<Value> {
        self.log("browser").await
    }

    /// URLs that were asked for since this was asked last, but for the browser's own pages, which it begins with.
    pub async fn requests(&self) -> Vec<String> {
        let told = self.log("performance").await;
        let events = told.iter().map(|entry| {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            event["message"].clone()
        });
        let sent = events.filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned())
            .filter(|url| !url.starts_with("chrome://"))
            .collect()
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let lines = self.post("/se/log", json!({ "type": kind })).await;
        lines.as_array().unwrap().clone()
    }

    async fn get(&self, path: &str) -> Value {
        answer(self.http.get(format!("{}{path}", self.session)), path).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.session));
        answer(request.header("content-type", "application/json").body(body.to_string()), path)
            .await
    }
}

async fn answer(request: reqwest::RequestBuilder, path: &str) -> Value {
    let answer = request.send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
    let (status, body) = (answer.status(), answer.text().await.unwrap());
    let mut body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}"));
    assert!(status.is_success(), "{path}: {body:#}");
    body["value"].take()
}

impl Drop for Browser {
    fn drop(&mut self) {
        // In order first: the browser goes with its session.
        let at = self.session.strip_prefix("http://").unwrap_or_default();
        if let Some((address, path)) = at.split_once('/')
            && let Ok(mut stream) = TcpStream::connect(address)
        {
            use std::io::{Read, Write};
            stream.set_read_timeout(Some(Duration::from_secs(10))).ok();
            let close =
                format!("DELETE /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
            stream.write_all(close.as_bytes()).ok();
            stream.read_exact(&mut [0; 12]).ok();
        }
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}

/// Starts the driver, which says on which port it listens.
fn start_driver(guardian: &Guardian) -> (Child, u16) {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("chromedriver is there");
    guardian.watch_group(driver.id());
    let lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port = lines.into_iter().find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    (driver, port.expect("the driver says where it listens"))
}

fn in_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// It talks to nobody but the page, and leaves nothing behind.
const ARGUMENTS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--lang=en",
    "--window-size=1440,1200",
];
/// For one command, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);
