//! What became of the latest requests to each registry, for people who look: when it answered last, and what went wrong last.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use url::Url;

use super::{
    RegistryApi, SourceError, circuit::CircuitState, origin::origin_text, registries::Registries,
};
use crate::text::shown;

/// A registry, or another origin that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Base URL of the registry, or the origin; fit to be shown.
    pub url: String,
    /// What it understands, as the configuration calls it; `None` for an origin that is no registry.
    pub api: Option<&'static str>,
    /// Whether its origin is asked.
    pub circuit: CircuitState,
    /// When it last answered, whatever it said.
    pub last_success: Option<SystemTime>,
    /// When it last did not, and what went wrong; fit to be shown.
    pub last_error: Option<(SystemTime, String)>,
}

/// What is remembered of one of them.
#[derive(Debug, Clone, Default)]
struct Latest {
    success: Option<SystemTime>,
    error: Option<(SystemTime, String)>,
}

/// What is remembered of all of them. Taken note of once for each request to a registry, never on the way of a record.
#[derive(Debug)]
pub(super) struct Standings {
    registries: Registries,
    /// By base URL or origin.
    latest: Mutex<BTreeMap<String, Latest>>,
}

impl Standings {
    pub(super) fn new(registries: Registries) -> Self {
        Self { registries, latest: Mutex::default() }
    }

    /// Who is at `url` has answered.
    pub(super) fn answered(&self, url: &Url) {
        self.change(url, |latest| latest.success = Some(SystemTime::now()));
    }

    /// A request to `url` has ended like this. That there is no such schema is an answer like any other.
    pub(super) fn failed(&self, url: &Url, error: &SourceError) {
        match error {
            SourceError::Unavailable { .. } | SourceError::NotAllowed { .. } => {
                let error = Some((SystemTime::now(), shown(error.to_string().as_bytes())));
                self.change(url, |latest| latest.error = error);
            }
            SourceError::Invalid { .. }
            | SourceError::NotFound { .. }
            | SourceError::OtherSubject { .. } => self.answered(url),
        }
    }

    /// Every registry of the configuration in its order, then the other origins that were asked.
    pub(super) fn all(&self, circuit: impl Fn(&str) -> CircuitState) -> Vec<Standing> {
        let latest = self.lock().clone();
        let of = |url: &str, origin: &str, api| {
            let Latest { success, error } = latest.get(url).cloned().unwrap_or_default();
            let circuit = circuit(origin);
            Standing {
                url: shown(url.as_bytes()),
                api,
                circuit,
                last_success: success,
                last_error: error,
            }
        };
        let configured = self.registries.all().iter().map(|registry| {
            let origin = origin_text(&registry.directory);
            of(&registry.base, &origin, Some(label(&registry.access.api)))
        });
        let mut all: Vec<_> = configured.collect();
        let known = |url: &str| self.registries.all().iter().any(|it| *it.base == *url);
        all.extend(latest.keys().filter(|url| !known(url)).map(|origin| of(origin, origin, None)));
        all
    }

    fn change(&self, url: &Url, change: impl FnOnce(&mut Latest)) {
        let owner = self.registries.owner(url);
        let name =
            owner.map_or_else(|| origin_text(url), |(_, registry)| registry.base.to_string());
        let mut latest = self.lock();
        if owner.is_some() || latest.len() < MAX_STANDINGS || latest.contains_key(&name) {
            change(latest.entry(name).or_default());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Latest>> {
        // Whole between any two statements.
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    /// For how long its origin is still left in peace.
    #[must_use]
    pub const fn left_in_peace(&self) -> Option<Duration> {
        match self.circuit {
            CircuitState::Closed { .. } => None,
            CircuitState::Open { left } => Some(left),
        }
    }
}

const fn label(api: &RegistryApi) -> &'static str {
    match api {
        RegistryApi::Apicurio => "apicurio",
        RegistryApi::Confluent => "confluent",
        RegistryApi::Directory { .. } => "directory",
        RegistryApi::Documents { .. } => "documents",
    }
}

/// Origins that are remembered beyond the registries: a wildcard can stand for any number.
const MAX_STANDINGS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::RegistrySettings;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn standings() -> Standings {
        let settings = RegistrySettings {
            url: Some(url("http://me:secret@registry:8081/a/?token")),
            ..RegistrySettings::default()
        };
        Standings::new(Registries::new(&settings))
    }

    fn all(standings: &Standings) -> Vec<Standing> {
        standings.all(|_| CircuitState::Closed { failures: 0 })
    }

    #[test]
    fn a_registry_is_there_before_it_was_asked_and_without_what_is_secret() {
        let found = all(&standings());
        assert_eq!(found.len(), 1);
        let Standing { url, api, last_success, last_error, .. } = &found[0];
        assert_eq!((url.as_str(), *api), ("http://registry:8081/a", Some("confluent")));
        assert!(last_success.is_none() && last_error.is_none());
    }

    #[test]
    fn what_says_nothing_about_the_schema_is_an_error_and_all_else_an_answer() {
        let table = [
            (SourceError::unavailable("down"), Some("down")),
            (SourceError::NotAllowed { origin: "x".into() }, Some("origin x is not allowed")),
            (SourceError::invalid("no schema"), None),
            (SourceError::NotFound { detail: "none".into() }, None),
            (SourceError::other_subject("another"), None),
        ];
        for (error, expected) in table {
            let standings = standings();
            standings.failed(&url("http://registry:8081/a/schemas/ids/1"), &error);
            let found = all(&standings).remove(0);
            assert_eq!(found.last_error.map(|(_, what)| what).as_deref(), expected, "{error}");
            assert_eq!(found.last_success.is_some(), expected.is_none(), "{error}");
        }
    }

    #[test]
    fn other_origins_are_remembered_up_to_the_bound() {
        let standings = standings();
        for number in 0..2 * MAX_STANDINGS {
            standings.answered(&url(&format!("https://host{number}.example/x?y")));
        }
        standings.answered(&url("http://registry:8081/a/b"));
        let found = all(&standings);
        assert_eq!(found.len(), MAX_STANDINGS + 1);
        assert!(found[0].last_success.is_some(), "the registry always has a place");
        assert_eq!((found[1].url.as_str(), found[1].api), ("https://host0.example", None));
    }
}
