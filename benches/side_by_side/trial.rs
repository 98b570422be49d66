//! Finds out whether a target judges: one good order has to pass everywhere, one that is broken only where nobody looks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use rdkafka::ClientContext;
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext,
};
use serde_json::{Value, json};

use super::order::Format;
use super::{Failure, client};

#[derive(Debug, Args)]
pub(crate) struct Trial {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    topic: String,
    #[arg(long, value_enum)]
    format: Format,
    #[arg(long)]
    schema_id: String,
    #[arg(long, default_value_t = 200)]
    size: usize,
}

impl Trial {
    pub(crate) fn run(self) -> Result<Value, Failure> {
        let good = self.format.values(self.size, 1).remove(0);
        let broken = self.format.broken(self.size);
        Ok(json!({"good": self.fate_of(&good)?, "broken": self.fate_of(&broken)?}))
    }

    /// `stored`, or why not.
    fn fate_of(&self, value: &[u8]) -> Result<String, Failure> {
        let fate = Fate::default();
        let producer: BaseProducer<Fate> = client(&self.bootstrap)
            .set("acks", "all")
            .set("message.timeout.ms", "20000")
            .set("retries", "0")
            .create_with_context(fate.clone())?;
        let headers = self.format.headers(&self.schema_id);
        let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(&self.topic).payload(value);
        producer.send(record.headers(headers)).map_err(|(error, _)| error)?;
        producer.flush(Duration::from_secs(30))?;
        let said = fate.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        said.ok_or_else(|| "no answer".into())
    }
}

/// What became of a record.
#[derive(Debug, Clone, Default)]
struct Fate(Arc<Mutex<Option<String>>>);

impl ClientContext for Fate {}

impl ProducerContext<NoCustomPartitioner> for Fate {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let said = match result {
            Ok(_) => "stored".to_owned(),
            Err((error, _)) => error.to_string(),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
    }
}
