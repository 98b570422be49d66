//! What is said about the records, one by one, and at the end.

use std::io::{self, StdoutLock, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::validate::verdict::{RejectedRecord, Rejection};

/// How it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// A line for each rejected record
    Text,
    /// A JSON object on a line for every record, and one for all of them at the end
    Json,
}

/// Says it while the records are judged.
pub(super) struct Report {
    format: ReportFormat,
    out: StdoutLock<'static>,
    records: u64,
    rejected: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    record: i32,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

#[derive(Serialize)]
struct Sum {
    records: u64,
    rejected: u64,
}

impl Report {
    pub(super) fn new(format: ReportFormat) -> Self {
        Self { format, out: io::stdout().lock(), records: 0, rejected: 0 }
    }

    /// Takes the verdict on the record at this place in its file.
    pub(super) fn add(
        &mut self,
        file: &str,
        record: i32,
        rejection: Option<Rejection>,
    ) -> io::Result<()> {
        self.records += 1;
        self.rejected += u64::from(rejection.is_some());
        let reason = rejection.as_ref().map(|rejection| rejection.reason.label());
        let rejected = rejection.map(|rejection| RejectedRecord {
            batch_index: record,
            rejection,
            schema: None,
        });
        let message = rejected.as_ref().map(RejectedRecord::message);
        match (self.format, message) {
            (ReportFormat::Text, None) => Ok(()),
            (ReportFormat::Text, Some(message)) => writeln!(self.out, "{file}: {message}"),
            (ReportFormat::Json, message) => {
                let verdict = if message.is_some() { "rejected" } else { "accepted" };
                self.json(&Line { file, record, verdict, reason, message })
            }
        }
    }

    /// Says how many there were; gives how many of them are rejected.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        let (records, rejected) = (self.records, self.rejected);
        match self.format {
            ReportFormat::Text => eprintln!("records: {records}, rejected: {rejected}"),
            ReportFormat::Json => self.json(&Sum { records, rejected })?,
        }
        self.out.flush()?;
        Ok(rejected)
    }

    fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")
    }
}
