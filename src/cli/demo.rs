//! `schemaward demo`: one command, no Kafka, no registry.

use std::net::{Ipv4Addr, TcpListener};

use clap::Args;
use tokio::{runtime::Builder, signal};

use super::{Exit, complain};
use crate::{
    app::{App, AppError},
    config::{Config, ConfigErrors},
    demo::{self, DemoError, Stage, Surroundings},
    logging,
};

/// First bootstrap port that is tried; the next ones are this many ports further on.
const FIRST_PORT: u16 = 19_092;
const PORT_STEP: u16 = 100;
/// Brokers that the demo's proxy has ports for: the embedded cluster has one.
const BROKER_PORTS: u16 = 4;

/// Options of the demo.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Stay up after the table, so that clients of your own can try
    #[arg(long)]
    keep: bool,
}

/// Why the demo did not come to its end.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the demo failed")]
    Demo(#[from] DemoError),
    #[error("the demo's configuration is wrong")]
    Config(#[from] ConfigErrors),
    #[error("the proxy does not start")]
    App(#[from] AppError),
    #[error("no block of free ports was found from {FIRST_PORT} on")]
    NoPorts,
    #[error("the runtime cannot be started")]
    Runtime(#[from] std::io::Error),
}

impl Demo {
    pub(super) fn execute(&self) -> Exit {
        match self.play() {
            Ok(()) => Exit::Clean,
            Err(error) => {
                complain(&error);
                Exit::Failure
            }
        }
    }

    fn play(&self) -> Result<(), Failure> {
        Builder::new_multi_thread().enable_all().build()?.block_on(async {
            let stage = Stage::set().await?;
            let around = stage.surroundings();
            let app = start(&around).await?;
            let report = stage.play(&app).await?;
            println!("{report}");
            if self.keep {
                println!("{}", invitation(&app, &around));
                signal::ctrl_c().await?;
            }
            Ok(app.drain().await?)
        })
    }
}

impl demo::Proxy for App {
    fn bootstrap_address(&self) -> String {
        Self::bootstrap_address(self).to_string()
    }
}

/// Starts the proxy as `schemaward run` would, between a producer and the embedded broker.
async fn start(around: &Surroundings) -> Result<App, Failure> {
    let bootstrap = free_ports().ok_or(Failure::NoPorts)?;
    let file = configuration(around, bootstrap);
    let config = Config::parse(&file, "demo", crate::config::process_environment())?;
    if let Err(error) = logging::init(&config.log) {
        complain(&error);
    }
    Ok(App::start(config).await?)
}

fn configuration(around: &Surroundings, bootstrap: u16) -> String {
    let Surroundings { broker_bootstrap, registry_url } = around;
    let first = bootstrap.saturating_add(1);
    let last = bootstrap.saturating_add(BROKER_PORTS);
    let admin = last.saturating_add(1);
    format!(
        "listen:\n  bootstrap: 127.0.0.1:{bootstrap}\n  broker_ports: {first}-{last}\n  \
         advertised_host: 127.0.0.1\nupstream:\n  bootstrap: [\"{broker_bootstrap}\"]\n\
         registry:\n  url: {registry_url}\nadmin:\n  listen: 127.0.0.1:{admin}\n"
    )
}

/// The first port of a block that nobody listens on: bootstrap, brokers, admin.
fn free_ports() -> Option<u16> {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let mut firsts = (FIRST_PORT..u16::MAX - PORT_STEP).step_by(usize::from(PORT_STEP));
    firsts.find(|first| (*first..=first + BROKER_PORTS + 1).all(free))
}

fn invitation(app: &App, around: &Surroundings) -> String {
    let bootstrap = app.bootstrap_address();
    let admin = app.admin_address().map(|address| address.to_string()).unwrap_or_default();
    format!(
        "Still up, until Ctrl-C:\n  bootstrap.servers  {bootstrap}   (topic {topic})\n  \
         schemas            {registry}\n  metrics, status    http://{admin}/\n  \
         the broker itself  {broker}   (past the proxy)",
        topic = demo::TOPIC,
        registry = around.registry_url,
        broker = around.broker_bootstrap,
    )
}
