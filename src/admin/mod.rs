//! What operators and probes ask: `/metrics`, `/livez`, `/readyz`, `/status`, a page that a person can read, and
//! `POST /reload`.

mod access;
mod facts;
mod page;
mod routes;
mod server;
mod settings;
mod status;
mod token;

pub use access::{Access, ReloadRequest};
pub use facts::{
    BrokerFact, BudgetFact, ErrorFact, HistoryFact, RecordsFact, RegistryFact, RejectionFact,
    SchemaFact, SchemasFact, TopicFact, TopicsFact, TotalsFact,
};
pub use server::{Admin, AdminError};
pub use settings::AdminSettings;
pub use status::{ReloadFact, StatusFacts, StatusSource};
pub use token::check_token_file;
