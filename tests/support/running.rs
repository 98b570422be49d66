//! Foreign clients that run while a test tells them what to do: producers, and members of groups.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use super::case::{self, Case, Outcome};

/// A producer that waits for what to send; it is killed on drop.
#[derive(Debug)]
pub struct RunningProducer {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl RunningProducer {
    pub(super) fn start(mut program: Command) -> Self {
        let (process, stdin, stdout) = spawn(&mut program);
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

/// A member of a consumer group; it is killed on drop.
#[derive(Debug)]
pub struct RunningMember {
    process: Child,
    stdin: Option<ChildStdin>,
    seen: Arc<Mutex<Seen>>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    assigned: BTreeSet<i64>,
    values: Vec<Vec<u8>>,
}

impl RunningMember {
    pub(super) fn start(mut program: Command) -> Self {
        let (process, stdin, stdout) = spawn(&mut program);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        let reader = thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
                shared.lock().unwrap_or_else(PoisonError::into_inner).take(&line);
            }
        });
        Self { process, stdin: Some(stdin), seen, reader: Some(reader) }
    }

    /// The partitions that it has at this moment.
    pub fn assigned(&self) -> BTreeSet<i64> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).assigned.clone()
    }

    /// The values that it has read so far, in the order in which they came.
    pub fn values(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).values.clone()
    }

    /// Leaves the group as a client does that is closed, and returns the values that it has read.
    pub fn leave(mut self) -> Vec<Vec<u8>> {
        drop(self.stdin.take());
        let status = self.process.wait().expect("a child can be waited for");
        assert!(status.success(), "the member ended with {status}");
        let reader = self.reader.take().expect("it is joined once");
        reader.join().expect("it prints nothing but JSON");
        self.values()
    }
}

impl Seen {
    fn take(&mut self, line: &Value) {
        if let Some(assigned) = line["assigned"].as_array() {
            self.assigned = assigned.iter().filter_map(Value::as_i64).collect();
        } else {
            self.values.push(case::from_hex(line["value"].as_str().expect("hex")));
        }
    }
}

impl Drop for RunningMember {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn spawn(program: &mut Command) -> (Child, ChildStdin, BufReader<ChildStdout>) {
    // What it complains about is seen where the test fails.
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut process = program.spawn().unwrap_or_else(|e| panic!("{program:?}: {e}"));
    let stdin = process.stdin.take().expect("stdin is piped");
    let stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
    (process, stdin, stdout)
}
