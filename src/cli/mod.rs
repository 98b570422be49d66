//! The commands, one thin file each, and the exit codes.

mod allocator;
mod check;
mod config_schema;
#[cfg(feature = "demo")]
mod demo;
mod inject;
mod log_args;
mod manual;
mod probe;
mod run;
mod serve_schemas;
mod serving;
mod validate;
mod webhook;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A schema-aware Kafka proxy: records that do not match the schema they name never reach the broker.
#[derive(Debug, Parser)]
#[command(name = "schemaward", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read the configuration, say what is wrong with it, or what is in force
    Check(check::Check),
    /// Print what a shell completes the command line by
    Completions(manual::Completions),
    /// Print a JSON Schema of the configuration file, for editors
    ConfigSchema(config_schema::ConfigSchema),
    /// Show in seconds what the proxy does: broker, schema server, proxy and producer in this process
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    /// Add the sidecar to Kubernetes manifests, from standard input or files to standard output
    Inject(inject::Inject),
    /// Print the manual page, or write one for each command
    Man(manual::Manual),
    /// Ask a running schemaward whether it lives or is ready
    Probe(probe::Probe),
    /// Run the proxy until it is told to stop (SIGTERM, SIGINT)
    Run(run::Run),
    /// Check records in files against their schema, as the proxy would
    Validate(validate::Validate),
    /// Serve schemas, by path and as a Confluent registry does, until it is told to stop
    ServeSchemas(serve_schemas::ServeSchemas),
    /// Serve the Kubernetes admission webhook that adds the sidecar to pods, until it is told to stop
    Webhook(webhook::Webhook),
}

impl Cli {
    /// Does what was asked for.
    #[must_use]
    pub fn execute(self) -> Exit {
        match self.command {
            Command::Check(check) => check.execute(),
            Command::Completions(completions) => completions.execute(),
            Command::ConfigSchema(schema) => schema.execute(),
            #[cfg(feature = "demo")]
            Command::Demo(demo) => demo.execute(),
            Command::Inject(inject) => inject.execute(),
            Command::Man(manual) => manual.execute(),
            Command::Probe(probe) => probe.execute(),
            Command::Run(run) => run.execute(),
            Command::Validate(validate) => validate.execute(),
            Command::ServeSchemas(serve) => serve.execute(),
            Command::Webhook(webhook) => webhook.execute(),
        }
    }
}

/// How the process ends; scripts and orchestrators tell the cause by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or stopped as told.
    Clean,
    /// Could not start, or failed while running.
    Failure,
    /// The command line or the configuration is wrong; trying again does not help.
    Usage,
    /// Stopped as told, with connections still busy when the grace period ended.
    DrainGraceExceeded,
    /// Records were checked, and some of them are not what their schema says.
    RecordsRejected,
    /// The configuration is sound, and something that it names cannot be reached or used.
    CannotConnect,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Clean => Self::from(0),
            Exit::Failure => Self::from(1),
            Exit::Usage => Self::from(2),
            Exit::DrainGraceExceeded => Self::from(3),
            Exit::RecordsRejected => Self::from(4),
            Exit::CannotConnect => Self::from(5),
        }
    }
}

/// Writes `error` and what caused it to standard error, as one line.
fn complain(error: &dyn std::error::Error) {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    eprintln!("schemaward: {line}");
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or stopped as told
  1  could not start, or failed while running
  2  wrong command line or configuration
  3  stopped as told, with connections still busy when drain.grace ended
  4  records were rejected (validate)
  5  the configuration is sound, but something that it names cannot be used (check --connect)";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_tells_the_exit_codes() {
        let help = Cli::command().render_long_help().to_string();
        for line in EXIT_CODES.lines() {
            assert!(help.contains(line), "{help}");
        }
    }
}
