//! Java clients: the jars of Apache Kafka, fetched once, and the programs in `tests/java`, compiled once.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::case::{self, Case, Consumed, Outcome};
use super::process::{self, Finished};
use super::traffic::{Plan, Traffic};
use super::{once, require};

/// The folder with the jars of Apache Kafka 4.4.0 and what they need.
pub fn kafka_jars() -> Option<&'static PathBuf> {
    static JARS: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    require::or_skip(JARS.get_or_init(|| require::java().and_then(|()| fetch_jars())))
}

fn fetch_jars() -> Result<PathBuf, String> {
    let pom = once::package().join("tests/java/pom.xml");
    let inputs = fs::read_to_string(&pom).expect("tests/java/pom.xml is checked in");
    let folder = once::made_once("kafka-4.4.0", &inputs, |folder| {
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "dependency:copy-dependencies", "-f"]).arg(&pom);
        maven.arg(format!("-DoutputDirectory={}", folder.join("lib").display()));
        process::run(&mut maven, "", Duration::from_secs(600)).ok().map(drop)
    })?;
    Ok(folder.join("lib"))
}

/// The Java clients of the tests.
#[derive(Debug, Clone)]
pub struct Java {
    class_path: String,
}

impl Java {
    /// Fetches and compiles what is not there yet.
    pub fn get() -> Option<Self> {
        static CLASSES: OnceLock<PathBuf> = OnceLock::new();
        let jars = kafka_jars()?;
        let classes = CLASSES.get_or_init(|| {
            compile(jars).unwrap_or_else(|e| panic!("tests/java does not compile: {e}"))
        });
        let class_path = format!("{}:{}/*", classes.display(), jars.display());
        Some(Self { class_path })
    }

    /// Runs one of the programs in `tests/java` to its end.
    pub fn run(&self, class: &str, args: &[&str], stdin: &str) -> Finished {
        process::run(self.command().arg(class).args(args), stdin, DEADLINE)
    }

    /// `java` with the class path; what is missing is the class and its arguments.
    pub fn command(&self) -> Command {
        let mut java = Command::new("java");
        java.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        java.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", &self.class_path]);
        java
    }

    /// Sends `cases` with the producer of kafka-clients 4.4 and returns what it saw, in order. `settings` are the
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

/// A producer that waits for what to send; it is killed on drop.
#[derive(Debug)]
pub struct RunningProducer {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl RunningProducer {
    fn start(mut java: Command) -> Self {
        // What it complains about is seen where the test fails.
        java.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = java.spawn().unwrap_or_else(|e| panic!("{java:?}: {e}"));
        let stdin = process.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        Self { process, stdin, stdout }
    }

    /// Hands over `cases` and flushes: with a long `linger.ms`, those of a partition share a batch. Does not wait.
    pub fn begin(&mut self, cases: &[Case]) {
        let lines = format!("{}{{\"flush\": true}}\n", case::to_lines(cases));
        self.stdin.write_all(lines.as_bytes()).expect("the producer runs");
        self.stdin.flush().expect("the producer runs");
    }

    /// What became of the next `count` records that were handed over.
    pub fn outcomes(&mut self, count: usize) -> Vec<Outcome> {
        let outcome = |line: String| {
            let json = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
            Outcome::from_json(&json)
        };
        let mut line = || {
            let mut line = String::new();
            self.stdout.read_line(&mut line).expect("the producer speaks UTF-8");
            line
        };
        (0..count).map(|_| outcome(line())).collect()
    }

    /// Sends `cases`, flushed at the end, and waits for what becomes of them.
    pub fn send(&mut self, cases: &[Case]) -> Vec<Outcome> {
        self.begin(cases);
        self.outcomes(cases.len())
    }
}

impl Drop for RunningProducer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
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
