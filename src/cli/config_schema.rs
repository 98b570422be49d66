//! `schemaward config-schema`: what editors complete a configuration file by.

use std::io::{self, Write};

use clap::Args;

use super::Exit;
use crate::config::json_schema;

/// Print a JSON Schema of the configuration file, for editors.
#[derive(Debug, Args)]
pub(super) struct ConfigSchema {}

impl ConfigSchema {
    pub(super) fn execute(self) -> Exit {
        match io::stdout().write_all(format!("{:#}\n", json_schema()).as_bytes()) {
            Ok(()) => Exit::Clean,
            Err(_) => Exit::Failure,
        }
    }
}
