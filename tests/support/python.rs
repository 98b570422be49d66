//! Python clients: an environment with pinned packages, made once, and the scripts in `tests/python`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use super::case::{self, Case, Outcome};
use super::java::Tour;
use super::preload::Dialled;
use super::process::{self, Finished};
use super::running::{RunningMember, RunningProducer};
use super::traffic::{Plan, Traffic};
use super::{once, require};

/// The interpreter of the environment.
#[derive(Debug, Clone)]
pub struct Python {
    interpreter: PathBuf,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Python {
    /// Makes the environment if it is not there yet.
    pub fn get() -> Option<Self> {
        static ENVIRONMENT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let made = ENVIRONMENT.get_or_init(|| {
            require::python()
                .and_then(|()| make_environment("python-venv", "requirements.txt", &[]))
        });
        let interpreter = require::or_skip(made)?.join("bin/python");
        Some(Self { interpreter, environment: Vec::new() })
    }

    /// The same with the clients of schema registries, in an environment of their own.
    pub fn with_registry_clients() -> Option<Self> {
        static ENVIRONMENT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let made = ENVIRONMENT.get_or_init(|| {
            let complete = ["--no-deps"];
            let (name, list) = ("python-registry-venv", "requirements-registry.txt");
            require::python().and_then(|()| make_environment(name, list, &complete))
        });
        let interpreter = require::or_skip(made)?.join("bin/python");
        Some(Self { interpreter, environment: Vec::new() })
    }

    /// The same with the JSON schemas of Kubernetes, in an environment of their own.
    pub fn with_kubernetes_schemas() -> Option<Self> {
        static ENVIRONMENT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let made = ENVIRONMENT.get_or_init(|| {
            let (name, list) = ("python-kubernetes-venv", "requirements-kubernetes.txt");
            require::python().and_then(|()| make_environment(name, list, &["--no-deps"]))
        });
        let interpreter = require::or_skip(made)?.join("bin/python");
        Some(Self { interpreter, environment: Vec::new() })
    }

    /// Lets the event models name schemas at this base URL; `https://my-schema-server` otherwise.
    #[must_use]
    pub fn schemas_at(mut self, url: &str) -> Self {
        self.environment.push(("SCHEMA_SERVER", url.into()));
        self
    }

    /// Lets `dialled` see where its programs connect to.
    #[must_use]
    pub fn watched(mut self, dialled: &Dialled) -> Self {
        self.environment.extend(dialled.environment());
        self
    }

    /// Runs one of the scripts in `tests/python` to its end.
    pub fn run(&self, script: &str, args: &[&str], stdin: &str) -> Finished {
        process::run(&mut self.command(script, args), stdin, DEADLINE)
    }

    fn command(&self, script: &str, args: &[&str]) -> Command {
        let mut python = Command::new(&self.interpreter);
        // The scripts' folder is part of the package: nothing shall be written there.
        python.env("PYTHONDONTWRITEBYTECODE", "1").envs(self.environment.iter().cloned());
        python.arg(once::package().join("tests/python").join(script)).args(args);
        python
    }

    /// Starts a producer of librdkafka, idempotent, to send as `plan` says while a test breaks things.
    pub fn traffic(&self, bootstrap: &str, settings: &[&str], plan: Plan) -> Traffic {
        // Small batches: one bad record has its whole batch refused.
        let own = [bootstrap, "stream=true", "enable.idempotence=true", "batch.num.messages=5"];
        let mut python = self.command("produce_confluent.py", &[&own[..], settings].concat());
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

    /// Starts the same producer, to be told what to send while it runs. With `commit=true` and a `transactional.id`, what
    /// it is told at once is one transaction.
    pub fn confluent_producer(&self, bootstrap: &str, settings: &[&str]) -> RunningProducer {
        let args = [&[bootstrap], settings].concat();
        RunningProducer::start(self.command("produce_confluent.py", &args))
    }

    /// Sends `cases`, each by itself, with aiokafka.
    pub fn produce_aiokafka(
        &self,
        bootstrap: &str,
        settings: &[&str],
        cases: &[Case],
    ) -> Vec<Outcome> {
        let args = [&[bootstrap], settings].concat();
        let finished = self.run("produce_aiokafka.py", &args, &case::to_lines(cases));
        finished.json_lines().iter().map(Outcome::from_json).collect()
    }

    /// Joins `group` with `library`, `aiokafka` or `confluent`, and stays until it is told to leave.
    pub fn member(
        &self,
        library: &str,
        bootstrap: &str,
        topic: &str,
        group: &str,
        settings: &[&str],
    ) -> RunningMember {
        let args = [&[library, bootstrap, topic, group], settings].concat();
        RunningMember::start(self.command("group_member.py", &args))
    }

    /// Creates `topic` and asks with `library` for everything that an administrator asks for.
    pub fn admin_tour(&self, library: &str, bootstrap: &str, topic: &str) -> Tour {
        Tour { lines: self.run("admin_tour.py", &[library, bootstrap, topic], "").json_lines() }
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

fn make_environment(name: &str, list: &str, more: &[&str]) -> Result<PathBuf, String> {
    let requirements = once::package().join("tests/python").join(list);
    let inputs = fs::read_to_string(&requirements).expect("the list is checked in");
    once::made_once(name, &inputs, |folder| {
        let mut venv = Command::new("python3");
        process::run(venv.args(["-m", "venv"]).arg(folder), "", DEADLINE).ok()?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "-q", "--disable-pip-version-check"]);
        process::run(pip.args(more).arg("-r").arg(&requirements), "", Duration::from_secs(600))
            .ok()
            .map(drop)
    })
}

const DEADLINE: Duration = Duration::from_secs(180);
