//! `schemaward check`: is this configuration sound, what does it amount to, and is there what it names?

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tokio::runtime;

use super::{Exit, complain};
use crate::{
    config::{self, Config, ConfigError, Loaded, Source, process_environment},
    connect::{self, Finding},
};

/// Read the configuration, say what is wrong with it, or what is in force.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The configuration file; SCHEMAWARD_ variables are laid over it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How to show what is in force; in json with mistakes, origins and what was tried
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Yaml)]
    format: Format,
    /// Try every broker and registry, folders of schemas and TLS files; ends with 5 if one cannot be used
    #[arg(long)]
    connect: bool,
    /// How long that may take in all, such as 300ms, 5s or 2m
    #[arg(long, value_name = "TIME", default_value = "10s", requires = "connect", value_parser = duration)]
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = config::parse_duration(text).filter(|it| !it.is_zero());
    duration.ok_or_else(|| "must be a duration, such as 300ms, 5s or 2m".to_owned())
}

impl Check {
    pub(super) fn execute(self) -> Exit {
        let loaded = match Config::load_with_origins(&self.config, process_environment()) {
            Ok(loaded) if loaded.unusable.is_empty() => loaded,
            Ok(loaded) => return self.refuse(&loaded.unusable.iter().collect::<Vec<_>>()),
            Err(errors) => return self.refuse(&errors.iter().collect::<Vec<_>>()),
        };
        let found = match self.connect.then(|| try_all(&loaded.config, self.timeout)).transpose() {
            Ok(found) => found,
            Err(error) => {
                complain(&error);
                return Exit::Failure;
            }
        };
        let warnings = loaded.config.warnings();
        let shown = match self.format {
            Format::Yaml => {
                warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
                yaml(&loaded, found.as_deref())
            }
            Format::Json => pretty(&report(&loaded, &warnings, found.as_deref())),
        };
        let unreachable = found.iter().flatten().any(|finding| finding.outcome.is_err());
        match io::stdout().write_all(shown.as_bytes()) {
            Ok(()) if unreachable => Exit::CannotConnect,
            Ok(()) => Exit::Clean,
            Err(_) => Exit::Failure,
        }
    }

    /// Says what is wrong.
    fn refuse(&self, errors: &[&ConfigError]) -> Exit {
        match self.format {
            Format::Yaml => errors.iter().for_each(|error| eprintln!("{error}")),
            Format::Json => {
                let errors: Vec<_> = errors.iter().map(|error| mistake(error)).collect();
                // Nobody reads it: the exit code says the rest.
                let _ = io::stdout().write_all(pretty(&json!({ "errors": errors })).as_bytes());
            }
        }
        Exit::Usage
    }
}

fn try_all(config: &Config, within: Duration) -> io::Result<Vec<Finding>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(connect::try_all(config, within));
    // What still looks names up does not keep the process waiting.
    runtime.shutdown_background();
    Ok(found)
}

/// A configuration file: everything that is not configuration stands in comments.
fn yaml(loaded: &Loaded, found: Option<&[Finding]>) -> String {
    let settings = loaded.config.effective().to_yaml_with(&loaded.origins);
    let found = found.iter().copied().flatten().map(|finding| format!("# {finding}\n"));
    format!("# ok\n{settings}{}", found.collect::<String>())
}

fn report(loaded: &Loaded, warnings: &[String], found: Option<&[Finding]>) -> Value {
    let settings = loaded.config.effective();
    let origins = settings.sources(&loaded.origins).into_iter();
    let origins: serde_json::Map<_, _> =
        origins.map(|(path, source)| (path, origin(&source))).collect();
    let mut report = json!({
        "configuration": settings.to_json(),
        "origins": origins,
        "warnings": warnings,
        "errors": [],
    });
    if let (Some(found), Some(report)) = (found, report.as_object_mut()) {
        let found = found.iter().map(|Finding { subject, outcome }| {
            let (ok, detail) = match outcome {
                Ok(detail) => (true, detail),
                Err(detail) => (false, detail),
            };
            json!({ "subject": subject, "ok": ok, "detail": detail })
        });
        report.insert("connections".to_owned(), found.collect());
    }
    report
}

fn origin(source: &Source) -> Value {
    match source {
        Source::Default => json!({ "origin": "default" }),
        Source::Environment { variable } => {
            json!({ "origin": "environment", "variable": variable })
        }
        Source::File { file, line } => json!({ "origin": "file", "file": file, "line": line }),
    }
}

fn mistake(error: &ConfigError) -> Value {
    let (file, line) = error.file().unzip();
    json!({
        "file": file,
        "line": line.flatten(),
        "variable": error.variable(),
        "key": error.key(),
        "message": error.message(),
    })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
