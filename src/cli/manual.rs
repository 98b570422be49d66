//! `schemaward completions` and `schemaward man`: what shells complete the command line by, and its manual.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Cli, Exit, complain};

/// Print what a shell completes the command line by.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn execute(self) -> Exit {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "schemaward", &mut script);
        match io::stdout().write_all(&script) {
            Ok(()) => Exit::Clean,
            Err(_) => Exit::Failure,
        }
    }
}

/// Print the manual page, or write one for each command.
#[derive(Debug, Args)]
pub(super) struct Manual {
    /// The folder to write schemaward.1, schemaward-run.1 and so on into; it is made where it is missing
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Manual {
    pub(super) fn execute(self) -> Exit {
        let written = match self.out {
            Some(folder) => fs::create_dir_all(&folder)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), &folder)),
            None => {
                let mut page = Vec::new();
                // There is no page for it.
                Man::new(Cli::command().disable_help_subcommand(true))
                    .render(&mut page)
                    .and_then(|()| io::stdout().write_all(&page))
            }
        };
        match written {
            Ok(()) => Exit::Clean,
            Err(error) => {
                complain(&error);
                Exit::Failure
            }
        }
    }
}
