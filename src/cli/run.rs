//! `schemaward run`: the proxy.

use std::{io, path::PathBuf};

use clap::Args;
use tokio::runtime::{Builder, Runtime};

use super::{Exit, allocator, complain};
use crate::{
    app::{self, AppError, ConfigFile},
    config::{Config, process_environment},
    logging,
};

/// While a schema is compiled on one, the other still answers probes.
const THREADS: usize = 2;

/// Run the proxy until it is told to stop.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The configuration file; SCHEMAWARD_ variables are laid over it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Run {
    pub(super) fn execute(self) -> Exit {
        allocator::give_large_buffers_back();
        let file = ConfigFile::new(self.config, process_environment());
        let config = match file.load() {
            Ok(config) => config,
            Err(errors) => {
                eprintln!("{errors}");
                return Exit::Usage;
            }
        };
        if let Err(error) = logging::init(&config.log) {
            complain(&error);
        }
        match runtime() {
            Ok(runtime) => proxy(&runtime, file, config),
            Err(error) => {
                complain(&error);
                Exit::Failure
            }
        }
    }
}

fn proxy(runtime: &Runtime, file: ConfigFile, config: Config) -> Exit {
    match runtime.block_on(app::run(file, config)) {
        Ok(()) => Exit::Clean,
        Err(error) => {
            complain(&error);
            match error {
                AppError::DrainGraceExceeded { .. } => Exit::DrainGraceExceeded,
                _ => Exit::Failure,
            }
        }
    }
}

/// Runs all but the connections, for which there are lanes: accepting, admin, look-ups and what is compiled for them.
fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()
}
