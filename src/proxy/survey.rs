//! Tries a broker as the proxy would reach it, and tells what it says of its cluster.

use std::sync::Arc;

use kafka_protocol::messages::ApiKey;

use super::{
    address_map::AddressMap,
    budget::MemoryBudget,
    cluster_view::ClusterView,
    inquiry::{InquiryError, inquire},
    settings::{BrokerAddress, ClientLogins, ListenSettings},
    topic_ids::TopicIds,
    upstream::{Dial, DialError, Upstream},
};
use crate::wire::{NodeId, WireError, rewrite};

/// The oldest version that names the cluster.
const METADATA: i16 = 2;

/// What a broker says of its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterFacts {
    /// What it calls itself.
    pub id: Option<String>,
    /// The nodes that clients are led to.
    pub nodes: Vec<NodeId>,
    /// The nodes that no local port stands for, and what to add for the first of them.
    pub outside: Vec<NodeId>,
    /// What `listen.broker_ports` needs for the first of these.
    pub to_add: Option<String>,
}

/// Why a broker cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// It cannot be reached, or does not accept schemaward's login.
    #[error("{}: {}", .0.what(), .0.source)]
    Dial(DialError),
    /// It does not answer.
    #[error("{}", .0.explained())]
    Inquiry(#[from] InquiryError),
    /// What it answers is no Metadata.
    #[error("the broker's answer cannot be read: {0}")]
    Wire(#[from] WireError),
}

/// Tries brokers.
#[derive(Debug)]
pub struct Survey<D> {
    /// How they are reached.
    pub upstream: Upstream<D>,
    /// Which local ports there are.
    pub listen: ListenSettings,
    /// What becomes of clients' logins.
    pub logins: ClientLogins,
    /// What answers may hold.
    pub budget: Arc<MemoryBudget>,
    /// How large an answer may be.
    pub max_answer_bytes: usize,
}

impl<D: Dial> Survey<D> {
    /// What the broker at `address` says. `None`: it answers, but wants a login before it says anything of its cluster,
    /// and schemaward has none.
    ///
    /// # Errors
    /// [`SurveyError`]: it cannot be used.
    pub async fn ask(&self, address: &BrokerAddress) -> Result<Option<ClusterFacts>, SurveyError> {
        let connected = self.upstream.connect(address).await.map_err(SurveyError::Dial)?;
        let own_login = connected.session.is_some();
        let answer = inquire(connected.io, &self.budget, self.max_answer_bytes, METADATA).await?;
        let frame = match answer {
            Ok(frame) => frame,
            Err(InquiryError::Read(_)) if !own_login => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let addresses = Arc::new(AddressMap::new(&self.listen));
        let cluster = ClusterView {
            addresses: Arc::clone(&addresses),
            topics: Arc::new(TopicIds::default()),
            logins: self.logins,
        };
        rewrite::rewrite_response(ApiKey::Metadata as i16, METADATA, &frame, &cluster)?;
        let outside = addresses.outside();
        Ok(Some(ClusterFacts {
            id: rewrite::cluster_id(METADATA, &frame)?,
            nodes: addresses.known().into_iter().map(|known| known.node).collect(),
            to_add: outside.first().map(|node| addresses.entry_to_add(*node).to_string()),
            outside,
        }))
    }
}
