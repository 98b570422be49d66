//! `schemaward demo`: one command, no Kafka, no registry.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
};

use clap::Args;
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
};

use super::{Exit, complain};
use crate::{
    app::{App, AppError},
    config::{Config, ConfigErrors, process_environment},
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
    #[error("the system refuses something")]
    System(#[from] io::Error),
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
            say(OPENING)?;
            let stage = Stage::set().await?;
            let around = stage.surroundings();
            let app = start(&around).await?;
            let report = stage.play(&app).await?;
            say(&format!("{report}{}\n", summary(&report)))?;
            if self.keep {
                let mut signals = Signals::hook()?;
                say(&invitation(&app, &around))?;
                signals.come().await;
            } else {
                say(CLOSING)?;
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
    for bootstrap in port_blocks() {
        let file = configuration(around, bootstrap);
        let config = Config::parse(&file, "demo", process_environment())?;
        // An error means that an earlier round has done it.
        let _ = logging::init(&config.log);
        match App::start(config).await {
            // Somebody was quicker.
            Err(AppError::Admin { .. } | AppError::Bind { .. }) => {}
            started => return Ok(started?),
        }
    }
    Err(Failure::NoPorts)
}

/// Refusals are in the table: a line of the log for each would only hide it. `SCHEMAWARD_LOG__LEVEL` brings them back.
fn configuration(around: &Surroundings, bootstrap: u16) -> String {
    let Surroundings { broker_bootstrap, registry_url } = around;
    let first = bootstrap.saturating_add(1);
    let last = bootstrap.saturating_add(BROKER_PORTS);
    let admin = last.saturating_add(1);
    format!(
        "listen:\n  bootstrap: 127.0.0.1:{bootstrap}\n  broker_ports: {first}-{last}\n  \
         advertised_host: 127.0.0.1\nupstream:\n  bootstrap: [\"{broker_bootstrap}\"]\n\
         registry:\n  url: {registry_url}\nadmin:\n  listen: 127.0.0.1:{admin}\n\
         log:\n  level: error\n"
    )
}

/// First ports of blocks on which nobody listens: bootstrap, brokers, admin.
fn port_blocks() -> impl Iterator<Item = u16> {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let firsts = (FIRST_PORT..u16::MAX - PORT_STEP).step_by(usize::from(PORT_STEP));
    firsts.filter(move |first| (*first..=first + BROKER_PORTS + 1).all(free))
}

/// What ends the demo when it stays up.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From here on a signal no longer kills the process.
    fn hook() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Writes to standard output; unlike `println!` it does not panic where nobody reads on.
fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

const OPENING: &str = "\
A producer sends five events to a broker, with schemaward between them.
Broker, schema server, proxy and producer run in this process: no Kafka is needed.
";

fn summary(report: &demo::Report) -> String {
    let stored = report.fates.iter().filter(|fate| fate.is_stored_as_sent()).count();
    let refused = report.fates.iter().filter(|fate| fate.is_refused()).count();
    format!("{stored} events are stored as they were sent, {refused} never reached the broker.")
}

const CLOSING: &str = "To try with a client of your own: schemaward demo --keep";

fn invitation(app: &App, around: &Surroundings) -> String {
    let bootstrap = app.bootstrap_address();
    let admin = app.admin_address().map(|address| address.to_string()).unwrap_or_default();
    let Surroundings { broker_bootstrap: broker, registry_url: registry } = around;
    let topic = demo::TOPIC;
    format!(
        r#"It stays up until Ctrl-C or SIGTERM.

  proxy, for bootstrap.servers    {bootstrap}
  topic                           {topic}
  schema of users, id 1           {registry}/users/schema.avsc
  schema of orders, id 2          {registry}/orders/schema.avsc
  state and metrics of the proxy  http://{admin}/
  the broker, past the proxy      {broker}

An event of your own, with kcat; with "seven" in place of 7 it is refused:

echo '{{"name": "eve", "age": 7, "accounts": {{}}}}' |
  kcat -P -b {bootstrap} -t {topic} -H content-type=avro-json -H schema-id=1

The same with Python and confluent-kafka:

python3 -c 'from confluent_kafka import Producer
producer = Producer({{"bootstrap.servers": "{bootstrap}"}})
producer.produce("{topic}", b"""{{"name": "eve", "age": 7, "accounts": {{}}}}""",
  headers={{"content-type": "avro-json", "schema-id": "1"}},
  on_delivery=lambda error, event: print(error or event.offset()))
producer.flush()'

What the broker stored:

kcat -C -b {broker} -t {topic} -e -f '%o %h %s\n'
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::producer::Seen;

    /// What the producer saw: `stored`, or the reason of the refusal.
    fn seen(fate: &demo::Fate) -> &str {
        match &fate.seen {
            Seen::Acknowledged { .. } => "stored",
            Seen::Refused(refusal) => {
                assert_eq!(refusal.code, 87, "{fate:?}");
                let message = refusal.message.as_deref().unwrap_or_default();
                message.split_once(':').map_or(message, |(reason, _)| reason)
            }
            Seen::Failed(why) => panic!("{}: {why}", fate.event.name),
        }
    }

    #[tokio::test]
    async fn of_the_five_events_two_are_stored_and_three_are_refused() {
        // An error means that another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let stage = Stage::set().await.unwrap();
        let app = start(&stage.surroundings()).await.unwrap();
        let report = stage.play(&app).await.unwrap();
        let told: Vec<_> = report.fates.iter().map(seen).collect();
        let expected =
            ["stored", "stored", "missing_content_type", "payload_invalid", "payload_invalid"];
        assert_eq!(told, expected);
        let stored: Vec<_> = report.fates.iter().map(demo::Fate::is_stored_as_sent).collect();
        assert_eq!(stored, [true, true, false, false, false]);
        assert!(report.fates[2..].iter().all(|fate| fate.stored.is_none()), "{report}");
        assert!(report.to_string().lines().all(|line| line.chars().count() <= 100), "{report}");
        let invitation = invitation(&app, &stage.surroundings());
        assert!(invitation.lines().all(|line| line.chars().count() <= 100), "{invitation}");
        app.drain().await.unwrap();
    }
}
