//! A real client: librdkafka's producer with its defaults, told only where the proxy listens.

use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::events::Event;

/// What a producer was told of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is stored.
    Acknowledged {
        /// Where.
        offset: i64,
    },
    /// Nobody answered, or the client itself gave up.
    Failed(String),
    /// It was refused.
    Refused(Refusal),
}

/// A record that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Kafka's error code.
    pub code: i16,
    /// What the client calls that code.
    pub name: String,
    /// The message that came with the code.
    pub message: Option<String>,
    /// The record.
    pub event: Event,
}

/// The producer.
pub struct Producer(FutureProducer);

impl Producer {
    /// Makes a producer; it connects when the first record is sent.
    ///
    /// # Errors
    /// librdkafka does not take the settings.
    pub fn new(bootstrap: &str) -> KafkaResult<Self> {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", bootstrap).set("message.timeout.ms", "20000");
        // What went wrong stands in the table.
        settings.set_log_level(RDKafkaLogLevel::Critical);
        settings.create().map(Self)
    }

    /// Sends one event and waits for what becomes of it.
    pub async fn send(&self, topic: &str, event: &Event) -> Seen {
        let headers = event.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let record = FutureRecord::to(topic).key(event.key).payload(&event.value).headers(headers);
        match self.0.send(record, QUEUE_TIMEOUT).await {
            Ok(delivery) => Seen::Acknowledged { offset: delivery.offset },
            Err((error, _)) => refusal(&error, event),
        }
    }
}

/// Codes below zero are librdkafka's own: no broker sent them.
fn refusal(error: &KafkaError, event: &Event) -> Seen {
    let code = error.rdkafka_error_code();
    match code.map(|code| (i16::try_from(code as i32), code)) {
        Some((Ok(number @ 1..), code)) => Seen::Refused(Refusal {
            code: number,
            name: format!("{code:?}"),
            message: None,
            event: event.clone(),
        }),
        _ => Seen::Failed(error.to_string()),
    }
}

const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use rdkafka::types::RDKafkaErrorCode;

    use super::*;

    #[test]
    fn tells_a_refusal_of_the_broker_from_a_failure_of_the_client() {
        let [event, ..] = super::super::events::five("");
        let seen = |code| refusal(&KafkaError::MessageProduction(code), &event);
        let Seen::Refused(refused) = seen(RDKafkaErrorCode::InvalidRecord) else { panic!() };
        assert_eq!((refused.code, refused.name.as_str()), (87, "InvalidRecord"));
        assert!(matches!(seen(RDKafkaErrorCode::MessageTimedOut), Seen::Failed(_)));
        assert!(matches!(refusal(&KafkaError::Canceled, &event), Seen::Failed(_)));
    }
}
