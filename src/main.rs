//! Arguments, process-wide set-up, exit code.

use std::{panic, process::ExitCode, thread};

use clap::Parser;
use schemaward::cli::Cli;

fn main() -> ExitCode {
    panic::set_hook(Box::new(report_panic));
    // Fails only if there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Cli::parse().execute().into()
}

/// Says where a thread panicked, and nothing else: the message may quote what it was working on, which may be a record.
fn report_panic(panicked: &panic::PanicHookInfo<'_>) {
    let place = panicked.location().map_or_else(String::new, ToString::to_string);
    let thread = thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    tracing::error!(
        place,
        thread,
        "a task panicked: this is a mistake in schemaward, please report it"
    );
    if !tracing::event_enabled!(tracing::Level::ERROR) {
        eprintln!("schemaward: thread {thread} panicked at {place}");
    }
}
