//! `schemaward check`: is this configuration sound, and what does it amount to?

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;

use super::Exit;
use crate::config::{Config, process_environment};

/// Read the configuration, say what is wrong with it, or what is in force.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The configuration file; SCHEMAWARD_ variables are laid over it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Check {
    pub(super) fn execute(self) -> Exit {
        match Config::load(&self.config, process_environment()) {
            Ok(config) => {
                for warning in config.warnings() {
                    eprintln!("warning: {warning}");
                }
                if let Some(unreadable) = config.unreadable() {
                    eprintln!("{unreadable}");
                    return Exit::Usage;
                }
                // The first line is a comment, so that the whole output is a configuration file.
                let shown = format!("# ok\n{}", config.effective().to_yaml());
                match io::stdout().write_all(shown.as_bytes()) {
                    Ok(()) => Exit::Clean,
                    Err(_) => Exit::Failure,
                }
            }
            Err(errors) => {
                eprintln!("{errors}");
                Exit::Usage
            }
        }
    }
}
