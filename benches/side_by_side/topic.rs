//! Creates a topic.

use clap::Args;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::{Value, json};

use super::{Failure, client};

#[derive(Debug, Args)]
pub(crate) struct Topic {
    #[arg(long)]
    bootstrap: String,
    name: String,
    #[arg(long)]
    partitions: i32,
    /// Bytes of each partition after which the broker throws old records away; -1: never.
    #[arg(long, default_value = "-1", allow_hyphen_values = true)]
    retention_bytes: String,
}

impl Topic {
    pub(crate) fn create(self) -> Result<Value, Failure> {
        let admin: AdminClient<DefaultClientContext> = client(&self.bootstrap).create()?;
        let topic = NewTopic::new(&self.name, self.partitions, TopicReplication::Fixed(1))
            .set("retention.bytes", &self.retention_bytes);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let created = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new()))?;
        for one in created {
            one.map_err(|(name, code)| format!("{name}: {code}"))?;
        }
        Ok(json!({"created": self.name}))
    }
}
