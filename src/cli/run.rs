//! `schemaward run`: the proxy.

use std::{io, num::NonZero, path::PathBuf, thread};

use clap::Args;
use tokio::runtime::{Builder, Runtime};

use super::{Exit, allocator, complain};
use crate::{
    app::{self, AppError, ConfigFile},
    config::{Config, process_environment},
    logging,
};

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

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(workers()).enable_all().build()
}

/// As many threads as the process may use cores, a quota of its control group considered. With one thread a single long
/// computation would stop all connections; with very many, they would only wait for each other.
fn workers() -> usize {
    thread::available_parallelism().map_or(2, NonZero::get).clamp(2, 16)
}
