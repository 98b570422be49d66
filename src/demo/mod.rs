//! `schemaward demo`: a broker, a schema server and a producer in this process, and a table that shows what became of
//! five events on their way through a proxy.
//!
//! The proxy itself is handed in as a function, so that nothing here depends on how it is built.

pub mod answer;
pub mod embedded_broker;
pub mod events;
pub mod producer;
pub mod read_back;
pub mod schema_server;
pub mod table;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;

use rdkafka::error::KafkaError;

use embedded_broker::EmbeddedBroker;
use events::Event;
use producer::{Producer, Seen};
use read_back::Stored;
use schema_server::SchemaServer;

/// The topic of the demo.
pub const TOPIC: &str = "users";

/// What stands around the proxy: what its configuration has to name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// `upstream.bootstrap`: the embedded broker.
    pub broker_bootstrap: String,
    /// `registry.url`: the schema server.
    pub registry_url: String,
}

/// A proxy that runs. Dropping it may stop it.
pub trait Proxy {
    /// What a producer puts into `bootstrap.servers`.
    fn bootstrap_address(&self) -> String;
}

/// No proxy at all: everything goes straight to the broker, for comparison.
#[derive(Debug, Clone)]
pub struct NoProxy(pub Surroundings);

impl Proxy for NoProxy {
    fn bootstrap_address(&self) -> String {
        self.0.broker_bootstrap.clone()
    }
}

/// Why the demo could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The embedded broker did not start.
    #[error("the embedded broker does not start")]
    Broker(#[source] KafkaError),
    /// The producer could not be made.
    #[error("the producer does not start")]
    Producer(#[source] KafkaError),
    /// The proxy did not start.
    #[error("the proxy does not start")]
    Proxy(#[source] Box<dyn Error + Send + Sync>),
    /// What the broker stored could not be read.
    #[error("what the broker stored cannot be read")]
    ReadBack(#[source] KafkaError),
    /// The schema server did not start.
    #[error("the schema server does not start")]
    SchemaServer(#[source] io::Error),
}

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// What was sent.
    pub event: Event,
    /// What its producer was told.
    pub seen: Seen,
    /// What the broker has of it, read past the proxy.
    pub stored: Option<Stored>,
}

impl Fate {
    /// Whether the broker stored exactly what was sent, value and headers.
    #[must_use]
    pub fn is_stored_as_sent(&self) -> bool {
        let sent = (&self.event.value, &self.event.headers);
        self.stored.as_ref().is_some_and(|stored| (&stored.value, &stored.headers) == sent)
    }

    /// Whether its producer was told that it is refused, and the broker has nothing of it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.seen, Seen::Refused(_)) && self.stored.is_none()
    }
}

/// What became of all events. Its text is the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One for each event, in the order of sending.
    pub fates: Vec<Fate>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&table::render(&self.fates))
    }
}

/// The surroundings while they run. Dropping it ends them.
pub struct Stage {
    broker: EmbeddedBroker,
    schema_server: SchemaServer,
}

impl Stage {
    /// Starts the embedded broker and the schema server.
    ///
    /// # Errors
    /// [`DemoError::Broker`], [`DemoError::SchemaServer`].
    pub async fn set() -> Result<Self, DemoError> {
        let broker = EmbeddedBroker::start().map_err(DemoError::Broker)?;
        broker.create_topic(TOPIC).map_err(DemoError::Broker)?;
        let schema_server =
            SchemaServer::start(events::documents()).await.map_err(DemoError::SchemaServer)?;
        Ok(Self { broker, schema_server })
    }

    /// What the proxy's configuration has to name.
    #[must_use]
    pub fn surroundings(&self) -> Surroundings {
        Surroundings {
            broker_bootstrap: self.broker.bootstrap_address(),
            registry_url: self.schema_server.url(),
        }
    }

    /// Sends the five events through `proxy`, and looks at what the broker has stored.
    ///
    /// # Errors
    /// [`DemoError::Producer`], [`DemoError::ReadBack`].
    pub async fn play(&self, proxy: &impl Proxy) -> Result<Report, DemoError> {
        let bootstrap = proxy.bootstrap_address();
        let producer = Producer::new(&bootstrap).map_err(DemoError::Producer)?;
        let mut told = Vec::new();
        for event in events::five(&self.schema_server.url()) {
            let seen = producer.send(TOPIC, &event).await;
            told.push((event, answer::with_message(seen, &bootstrap, TOPIC).await));
        }
        let stored = read_back::stored(&self.broker.bootstrap_address(), TOPIC).await;
        let stored = stored.map_err(DemoError::ReadBack)?;
        let fate = |(event, seen): (Event, Seen)| {
            let stored = stored.iter().find(|stored| stored.key == event.key.as_bytes()).cloned();
            Fate { event, seen, stored }
        };
        Ok(Report { fates: told.into_iter().map(fate).collect() })
    }
}

/// Plays the whole demo: sets the stage, lets `start_proxy` start a proxy between, sends the events. The proxy comes back
/// with the report, still running, while its surroundings are gone.
///
/// # Errors
/// A [`DemoError`] that names the part which did not start or answer.
pub async fn run<P, E, F>(
    start_proxy: impl FnOnce(Surroundings) -> F,
) -> Result<(P, Report), DemoError>
where
    P: Proxy,
    E: Into<Box<dyn Error + Send + Sync>>,
    F: Future<Output = Result<P, E>>,
{
    let stage = Stage::set().await?;
    let proxy = start_proxy(stage.surroundings()).await.map_err(|e| DemoError::Proxy(e.into()))?;
    let report = stage.play(&proxy).await?;
    Ok((proxy, report))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn without_a_proxy_the_broker_stores_all_five_events_as_they_were_sent() {
        let no_proxy = |around| async { Ok::<_, Infallible>(NoProxy(around)) };
        let (_, report) = run(no_proxy).await.unwrap();
        assert_eq!(report.fates.len(), 5);
        for (fate, offset) in report.fates.iter().zip(0..) {
            assert_eq!(fate.seen, Seen::Acknowledged { offset }, "{}", fate.event.name);
            assert!(fate.is_stored_as_sent(), "{fate:?}");
        }
    }

    #[tokio::test]
    async fn the_demo_says_which_part_did_not_start() {
        let broken = |_| async { Err::<NoProxy, _>(io::Error::other("port in use")) };
        let error = run(broken).await.unwrap_err();
        assert_eq!(error.to_string(), "the proxy does not start");
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("port in use"));
    }
}
