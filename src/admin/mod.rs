//! What operators and probes ask: `/metrics`, `/livez`, `/readyz`, `/status`, and a page that a person can read.

mod facts;
mod page;
mod routes;
mod server;
mod settings;
mod status;
mod token;

pub use facts::{
    BrokerFact, BudgetFact, ErrorFact, HistoryFact, RecordsFact, RegistryFact, RejectionFact,
    SchemaFact, SchemasFact, TopicFact, TopicsFact, TotalsFact,
};
pub use server::{Admin, AdminError};
pub use settings::AdminSettings;
pub use status::{StatusFacts, StatusSource};
