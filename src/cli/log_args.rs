//! The arguments about the log of those commands that have no configuration file.

use clap::{Args, ValueEnum};

use crate::logging::{LogFormat, LogLevel, LogSettings};

/// What is logged, and how.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// The least severe lines that are logged
    #[arg(long, value_enum, default_value_t = Level::Info)]
    log_level: Level,
    /// How lines are logged
    #[arg(long, value_enum, default_value_t = Format::Text)]
    log_format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Json,
    Text,
}

impl LogArgs {
    pub(super) fn settings(&self) -> LogSettings {
        LogSettings {
            level: match self.log_level {
                Level::Error => LogLevel::Error,
                Level::Warn => LogLevel::Warn,
                Level::Info => LogLevel::Info,
                Level::Debug => LogLevel::Debug,
                Level::Trace => LogLevel::Trace,
            },
            format: match self.log_format {
                Format::Json => LogFormat::Json,
                Format::Text => LogFormat::Text,
            },
        }
    }
}
