//! Runs a foreign program to its end, with bytes on its standard input and a deadline.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// The standard output, one JSON value a line. Panics with everything that was said if the program failed.
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        assert!(self.status.success(), "{}: {}\n{}", self.status, self.stderr, self.stdout);
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// Ok with the standard output, or everything that was said.
    ///
    /// # Errors
    /// The exit status and the output of a program that failed.
    pub fn ok(self) -> Result<String, String> {
        if self.status.success() {
            Ok(self.stdout)
        } else {
            Err(format!("{}\n{}{}", self.status, self.stderr, self.stdout))
        }
    }
}

/// Runs `command` with `stdin`; kills it and panics with its output when it takes longer than `deadline`.
pub fn run(command: &mut Command, stdin: &str, deadline: Duration) -> Finished {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let input = stdin.to_owned();
    let mut pipe = child.stdin.take().expect("stdin is piped");
    // On its own thread: a program that prints before it has read everything must not block both sides.
    let writer = thread::spawn(move || pipe.write_all(input.as_bytes()).ok());
    let stdout = read_in_background(child.stdout.take().expect("stdout is piped"));
    let stderr = read_in_background(child.stderr.take().expect("stderr is piped"));
    let status = wait(&mut child, deadline);
    writer.join().ok();
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let Some(status) = status else {
        panic!("{command:?} did not end within {deadline:?}\n{stderr}\n{stdout}");
    };
    Finished { status, stdout, stderr }
}

/// Waits for the end of `child`, `None` if it had to be killed at the deadline.
fn wait(child: &mut Child, deadline: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + deadline;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().ok();
    child.wait().ok();
    None
}

fn read_in_background(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).ok();
        String::from_utf8_lossy(&all).into_owned()
    })
}
