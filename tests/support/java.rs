//! Java clients: the jars of Apache Kafka, fetched once, and the programs in `tests/java`, compiled once.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::case::{self, Case, Consumed, Outcome};
use super::preload::Dialled;
use super::process::{self, Finished};
use super::running::{RunningMember, RunningProducer};
use super::traffic::{Plan, Traffic};
use super::{once, require};

/// The version of Apache Kafka that tests run unless they say otherwise.
pub const CURRENT: &str = "4.4.0";

/// The folder with the jars of this version of Apache Kafka, clients and brokers, and what they need.
pub fn kafka_jars(version: &str) -> Option<PathBuf> {
    static JARS: Mutex<BTreeMap<String, Result<PathBuf, String>>> = Mutex::new(BTreeMap::new());
    let mut all = JARS.lock().unwrap_or_else(PoisonError::into_inner);
    let fetched = all.entry(version.to_owned());
    let fetched = fetched.or_insert_with(|| require::java().and_then(|()| fetch_jars(version)));
    require::or_skip(fetched).cloned()
}

fn fetch_jars(version: &str) -> Result<PathBuf, String> {
    let pom = once::package().join("tests/java/pom.xml");
    let inputs = fs::read_to_string(&pom).expect("tests/java/pom.xml is checked in");
    let folder = once::made_once(&format!("kafka-{version}"), &inputs, |folder| {
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "dependency:copy-dependencies", "-f"]).arg(&pom);
        maven.arg(format!("-Dkafka.version={version}"));
        maven.arg(format!("-DoutputDirectory={}", folder.join("lib").display()));
        process::run(&mut maven, "", Duration::from_secs(600)).ok().map(drop)
    })?;
    Ok(folder.join("lib"))
}

/// The classes of `tests/java`, compiled against the current Kafka.
pub fn classes() -> Option<&'static PathBuf> {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    let jars = kafka_jars(CURRENT)?;
    Some(CLASSES.get_or_init(|| {
        compile(&jars).unwrap_or_else(|e| panic!("tests/java does not compile: {e}"))
    }))
}

/// The Java clients of the tests.
#[derive(Debug, Clone)]
pub struct Java {
    class_path: String,
    environment: Vec<(&'static str, PathBuf)>,
    properties: Vec<String>,
}

impl Java {
    /// Fetches and compiles what is not there yet.
    pub fn get() -> Option<Self> {
        Self::of(CURRENT)
    }

    /// The same programs with the clients of another version of Kafka.
    pub fn of(version: &str) -> Option<Self> {
        let (classes, jars) = (classes()?, kafka_jars(version)?);
        let class_path = format!("{}:{}/*", classes.display(), jars.display());
        Some(Self { class_path, environment: Vec::new(), properties: Vec::new() })
    }

    /// With a property of the virtual machine, `name=value`.
    #[must_use]
    pub fn property(mut self, property: &str) -> Self {
        self.properties.push(format!("-D{property}"));
        self
    }

    /// Lets `dialled` see where its programs connect to.
    #[must_use]
    pub fn watched(mut self, dialled: &Dialled) -> Self {
        self.environment = dialled.environment();
        self
    }

    /// Runs one of the programs in `tests/java` to its end.
    pub fn run(&self, class: &str, args: &[&str], stdin: &str) -> Finished {
        process::run(self.command().arg(class).args(args), stdin, DEADLINE)
    }

    /// `java` with the class path; what is missing is the class and its arguments.
    pub fn command(&self) -> Command {
        let mut java = Command::new("java");
        java.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        java.args(&self.properties);
        java.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", &self.class_path]);
        java.envs(self.environment.iter().cloned());
        java
    }

    /// Sends `cases` with the producer of kafka-clients and returns what it saw, in order. `settings` are the
    /// producer's (`linger.ms=1000`), its defaults otherwise: idempotent, acks=all.
    ///
    /// All records are handed over before the producer is flushed: with a long `linger.ms`, those of a partition share
    /// a batch.
    pub fn produce(&self, bootstrap: &str, settings: &[&str], cases: &[Case]) -> Vec<Outcome> {
        let args = [&[bootstrap], settings].concat();
        let finished = self.run("ProduceCases", &args, &case::to_lines(cases));
        finished.json_lines().iter().map(Outcome::from_json).collect()
    }

    /// Starts the same producer, to be told what to send while it runs.
    pub fn producer(&self, bootstrap: &str, settings: &[&str]) -> RunningProducer {
        let mut java = self.command();
        java.arg("ProduceCases").arg(bootstrap).args(settings);
        RunningProducer::start(java)
    }

    /// Starts the same producer, to send as `plan` says while a test breaks things.
    pub fn traffic(&self, bootstrap: &str, settings: &[&str], plan: Plan) -> Traffic {
        let mut java = self.command();
        // Small batches: one bad record has its whole batch refused. What it complains of is part of the test.
        java.args(["ProduceCases", bootstrap, "stream=true", "batch.size=600"])
            .args(settings)
            .stderr(Stdio::null());
        Traffic::of_program(java, plan)
    }

    /// Joins `group`, and stays until it is told to leave.
    pub fn member(
        &self,
        bootstrap: &str,
        topic: &str,
        group: &str,
        settings: &[&str],
    ) -> RunningMember {
        let mut java = self.command();
        java.args(["GroupMember", bootstrap, topic, group]).args(settings);
        RunningMember::start(java)
    }

    /// Reads `count` records of `topic` as a member of `group`; fewer if no more come for a while.
    pub fn consume(
        &self,
        bootstrap: &str,
        topic: &str,
        group: &str,
        count: usize,
    ) -> Vec<Consumed> {
        self.consume_with(bootstrap, topic, group, count, &[])
    }

    /// The same with settings of the consumer (`isolation.level=read_committed`).
    pub fn consume_with(
        &self,
        bootstrap: &str,
        topic: &str,
        group: &str,
        count: usize,
        settings: &[&str],
    ) -> Vec<Consumed> {
        self.consume_all(&["group", bootstrap, topic, group, &count.to_string()], settings)
    }

    /// The same as a member of a share group (KIP-932).
    pub fn share(&self, bootstrap: &str, topic: &str, group: &str, count: usize) -> Vec<Consumed> {
        self.consume_all(&["share", bootstrap, topic, group, &count.to_string()], &[])
    }

    fn consume_all(&self, args: &[&str], settings: &[&str]) -> Vec<Consumed> {
        let finished = self.run("ConsumeAll", &[args, settings].concat(), "");
        finished.json_lines().iter().map(Consumed::from_json).collect()
    }

    /// Creates `topic` and asks for everything that an administrator asks for; see [`Tour`].
    pub fn admin_tour(&self, bootstrap: &str, topic: &str) -> Tour {
        let lines = self.run("AdminTour", &[bootstrap, topic], "").json_lines();
        Tour { lines }
    }
}

/// What an administrator's client was told.
#[derive(Debug)]
pub struct Tour {
    /// One object for each question, with its name as `step`.
    pub lines: Vec<serde_json::Value>,
}

impl Tour {
    /// Every address that the client was told, as `host:port`, sorted, once each.
    pub fn addresses(&self) -> Vec<String> {
        let told = self.lines.iter().filter_map(|line| line["addresses"].as_array()).flatten();
        let mut all: Vec<_> = told.map(|at| at.as_str().expect("a text").to_owned()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// The answer of one step.
    pub fn step(&self, name: &str) -> &serde_json::Value {
        self.lines.iter().find(|line| line["step"] == name).expect("a step of AdminTour.java")
    }
}

fn compile(jars: &std::path::Path) -> Result<PathBuf, String> {
    let mut sources: Vec<PathBuf> = fs::read_dir(once::package().join("tests/java"))
        .expect("tests/java is checked in")
        .map(|entry| entry.expect("tests/java can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "java"))
        .collect();
    sources.sort();
    let texts: Result<Vec<_>, _> = sources.iter().map(fs::read_to_string).collect();
    once::made_once("java-classes", &texts.expect("sources can be read").concat(), |folder| {
        let mut javac = Command::new("javac");
        javac.arg("-cp").arg(format!("{}/*", jars.display()));
        javac.args(["-Xlint:all", "-proc:none", "-d"]).arg(folder).args(&sources);
        process::run(&mut javac, "", DEADLINE).ok().map(drop)
    })
}

const DEADLINE: Duration = Duration::from_secs(180);
