//! Logins: those of clients, which pass through and are read, and schemaward's own.

pub mod client_login;
pub mod credentials;
mod keys;
pub mod own_login;
pub mod relogin;
mod scram;

/// A text that must not be shown: it has no `Display`, and its `Debug` holds none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for what is sent to a broker.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
