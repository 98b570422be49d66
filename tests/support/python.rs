//! Python clients: an environment with pinned packages, made once, and the scripts in `tests/python`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use super::case::{self, Case, Outcome};
use super::process::{self, Finished};
use super::traffic::{Plan, Traffic};
use super::{once, require};

/// The interpreter of the environment.
#[derive(Debug, Clone)]
pub struct Python {
    interpreter: PathBuf,
    schema_server: Option<String>,
}

impl Python {
    /// Makes the environment if it is not there yet.
    pub fn get() -> Option<Self> {
        static ENVIRONMENT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let made = ENVIRONMENT.get_or_init(|| require::python().and_then(|()| make_environment()));
        let interpreter = require::or_skip(made)?.join("bin/python");
        Some(Self { interpreter, schema_server: None })
    }

    /// Lets the event models name schemas at this base URL; `https://my-schema-server` otherwise.
    #[must_use]
    pub fn schemas_at(mut self, url: &str) -> Self {
        self.schema_server = Some(url.to_owned());
        self
    }

    /// Runs one of the scripts in `tests/python` to its end.
    pub fn run(&self, script: &str, args: &[&str], stdin: &str) -> Finished {
        process::run(self.command(script).args(args), stdin, DEADLINE)
    }

    fn command(&self, script: &str) -> Command {
        let mut python = Command::new(&self.interpreter);
        // The scripts' folder is part of the package: nothing shall be written there.
        python.env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(url) = &self.schema_server {
            python.env("SCHEMA_SERVER", url);
        }
        python.arg(once::package().join("tests/python").join(script));
        python
    }

    /// Starts a producer of librdkafka, idempotent, to send as `plan` says while a test breaks things.
    pub fn traffic(&self, bootstrap: &str, settings: &[&str], plan: Plan) -> Traffic {
        let mut python = self.command("produce_confluent.py");
        python.args([bootstrap, "stream=true", "enable.idempotence=true"]);
        // Small batches: one bad record has its whole batch refused.
        python.arg("batch.num.messages=5").args(settings);
        // What it complains of is part of the test.
        python.stderr(Stdio::null());
        Traffic::of_program(python, plan)
    }

    /// Sends `cases` with confluent-kafka (librdkafka) and returns what its delivery reports say, in order. `settings`
    /// are librdkafka's (`enable.idempotence=true`).
    pub fn produce_confluent(
        &self,
        bootstrap: &str,
        settings: &[&str],
        cases: &[Case],
    ) -> Vec<Outcome> {
        let args = [&[bootstrap], settings].concat();
        let finished = self.run("produce_confluent.py", &args, &case::to_lines(cases));
        finished.json_lines().iter().map(Outcome::from_json).collect()
    }

    /// Sends the events of [`EVENT_CASES`] that are named, each by itself, with aiokafka and dataclasses-avroschema.
    /// `settings` are aiokafka's (`enable_idempotence=true`).
    pub fn produce_events(
        &self,
        bootstrap: &str,
        topic: &str,
        settings: &[&str],
        names: &[&str],
    ) -> Vec<Outcome> {
        let args = [&[bootstrap, topic], settings].concat();
        let finished = self.run("produce_events.py", &args, &names.join("\n"));
        finished.json_lines().iter().map(Outcome::from_json).collect()
    }

    /// Reads the first `count` events of `topic` with aiokafka and deserialises them with dataclasses-avroschema.
    pub fn consume_events(&self, bootstrap: &str, topic: &str, count: usize) -> Vec<Value> {
        let count = count.to_string();
        self.run("consume_events.py", &[bootstrap, topic, &count], "").json_lines()
    }

    /// The schema that a model of `tests/python/events.py` writes with: what a registry must serve.
    pub fn schema_of(&self, model: &str) -> String {
        self.run("events.py", &[model], "").ok().unwrap_or_else(|e| panic!("{e}"))
    }
}

/// The events that `produce_events.py` knows, by name.
pub const EVENT_CASES: [&str; 8] = [
    "valid_avro",
    "valid_avro_json",
    "valid_serialization_type",
    "without_schema_id",
    "without_metadata",
    "truncated",
    "wrong_schema",
    "wrong_type_in_avro_json",
];

fn make_environment() -> Result<PathBuf, String> {
    let requirements = once::package().join("tests/python/requirements.txt");
    let inputs = fs::read_to_string(&requirements).expect("requirements.txt is checked in");
    once::made_once("python-venv", &inputs, |folder| {
        let mut venv = Command::new("python3");
        process::run(venv.args(["-m", "venv"]).arg(folder), "", DEADLINE).ok()?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r"]);
        process::run(pip.arg(&requirements), "", Duration::from_secs(600)).ok().map(drop)
    })
}

const DEADLINE: Duration = Duration::from_secs(180);
