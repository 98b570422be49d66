//! Lets no broker outlive the tests: a small shell that waits on a pipe and, when the pipe closes, kills what it was
//! told of and removes the folder.
//!
//! The pipe closes on drop, when the test process ends, and when it is killed; no handler has to run for it. Statics
//! are never dropped, so shared brokers depend on it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The shell and the pipe that keeps it waiting.
#[derive(Debug)]
pub struct Guardian {
    shell: Child,
    orders: Mutex<Option<ChildStdin>>,
}

impl Guardian {
    /// Starts the shell; it removes `folder` at the end.
    pub fn of(folder: &Path) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "guardian"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A Ctrl-C in the terminal ends the tests, and must not end the guardian first.
            .process_group(0)
            .spawn()
            .expect("sh can be run");
        let orders = Mutex::new(shell.stdin.take());
        Self { shell, orders }
    }

    /// From now on `process` is killed at the end.
    pub fn watch(&self, process: u32) {
        self.order(&format!("watch {process}\n"));
    }

    /// From now on `process` is killed at the end with all of its group.
    pub fn watch_group(&self, process: u32) {
        self.order(&format!("watch -{process}\n"));
    }

    /// `process` has ended, or is about to be waited for: its number may soon mean another process.
    pub fn forget(&self, process: u32) {
        self.order(&format!("forget {process}\n"));
    }

    fn order(&self, line: &str) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = orders.as_mut().expect("the pipe is open until drop");
        pipe.write_all(line.as_bytes()).expect("the guardian is alive");
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.orders.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.shell.wait().ok();
    }
}

const SCRIPT: &str = r#"
trap '' INT TERM HUP
watched=''
while read -r verb process; do
    if [ "$verb" = watch ]; then
        watched="$watched $process"
    else
        kept=''
        for other in $watched; do [ "$other" = "$process" ] || kept="$kept $other"; done
        watched=$kept
    fi
done
for process in $watched; do kill -9 "$process"; done
rm -rf "$1"
# A broker that was killed a moment ago may still have been writing.
[ -e "$1" ] && { sleep 1; rm -rf "$1"; }
"#;
