//! What operators and probes ask: `/metrics`, `/livez`, `/readyz`, `/status`, a page that a person can read, and
//! `POST /reload`.

mod access;
mod page;
mod routes;
mod server;
mod settings;
mod status;
mod token;

pub use access::{Access, ReloadRequest};
pub use server::{Admin, AdminError};
pub use settings::AdminSettings;
pub use status::{BrokerFact, BudgetFact, ReloadFact, StatusFacts, StatusSource};
pub use token::check_token_file;
