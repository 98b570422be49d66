//! A broker inside this process: librdkafka's mock cluster. It stores record batches as they were sent; it checks neither
//! their checksums nor their sequences, so it is good for showing, not for proving.

use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// One broker on a free local port. Dropping it ends it.
pub struct EmbeddedBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl EmbeddedBroker {
    /// Starts it.
    ///
    /// # Errors
    /// librdkafka could not bind a port or start its thread.
    pub fn start() -> KafkaResult<Self> {
        MockCluster::new(1).map(|cluster| Self { cluster })
    }

    /// Where it listens.
    #[must_use]
    pub fn bootstrap_address(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Creates a topic with one partition.
    ///
    /// # Errors
    /// There is such a topic already.
    pub fn create_topic(&self, name: &str) -> KafkaResult<()> {
        self.cluster.create_topic(name, 1, 1)
    }
}
