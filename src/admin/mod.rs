//! What operators and probes ask: `/metrics`, `/livez`, `/readyz`, `/status`, and a page that a person can read.

mod page;
mod routes;
mod server;
mod settings;
mod status;
mod token;

pub use server::{Admin, AdminError};
pub use settings::AdminSettings;
pub use status::{BrokerFact, BudgetFact, StatusFacts, StatusSource};
pub use token::check_token_file;
