//! Environment variables laid over the file: `SCHEMAWARD_LISTEN__BOOTSTRAP` is `listen.bootstrap`.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    error::{ConfigError, Origin},
    node::{Entry, Node, Value},
    notes::Asked,
};

/// What every variable of ours begins with.
pub(super) const PREFIX: &str = "SCHEMAWARD_";
/// Stands between the levels of a key.
const SEPARATOR: &str = "__";

/// The variables that mean configuration, and those that only look alike.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// Name, key path, value; in the order of the names, so that a section comes before its keys.
    overrides: BTreeSet<(String, Vec<String>, String)>,
    /// Names that begin like ours but are no key path. Kubernetes sets such ones for a Service called schemaward
    /// (`SCHEMAWARD_SERVICE_HOST`, `SCHEMAWARD_PORT_9092_TCP`), so they cannot be mistakes as such.
    others: BTreeSet<String>,
}

impl Environment {
    /// Sorts `variables`; `top_level` are the keys that may stand alone, such as `SCHEMAWARD_RULES`.
    pub(super) fn new(
        variables: impl Iterator<Item = (String, String)>,
        top_level: &[&str],
    ) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            let key = rest.to_ascii_lowercase();
            if key.contains(SEPARATOR) || top_level.contains(&key.as_str()) {
                let path = key.split(SEPARATOR).map(str::to_owned).collect();
                environment.overrides.insert((name, path, value));
            } else {
                environment.others.insert(name);
            }
        }
        environment
    }

    /// Writes the variables over `root`.
    pub(super) fn apply(&self, root: &mut Node, errors: &mut Vec<ConfigError>) {
        for (name, path, value) in &self.overrides {
            let key = path.join(".");
            match Node::of_variable(value, name, &key) {
                Ok(node) => set(root, path, node).unwrap_or_else(|error| errors.push(error)),
                Err(error) => errors.push(error),
            }
        }
    }

    /// Mistakes among the variables that are no key path: those that would be one with `__` between the levels.
    pub(super) fn near_misses(&self, known: &BTreeMap<String, Asked>) -> Vec<ConfigError> {
        let miss = |name: &String| {
            let flat = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
            let key = known.keys().find(|key| key.replace('.', "_") == flat)?;
            let meant = format!("{PREFIX}{}", key.replace('.', SEPARATOR).to_ascii_uppercase());
            let message = format!("unknown variable, did you mean {meant}");
            Some(ConfigError::new(Origin::Variable(name.as_str().into()), "", message))
        };
        self.others.iter().filter_map(miss).collect()
    }
}

/// Puts `node` at `path` below `root`, making the levels in between.
fn set(root: &mut Node, path: &[String], node: Node) -> Result<(), ConfigError> {
    let mut at = root;
    for (depth, key) in path.iter().enumerate() {
        if at.value == Value::Null {
            at.value = Value::Map(Vec::new());
        }
        let kind = at.value.kind();
        let Value::Map(entries) = &mut at.value else {
            let above = path.get(..depth).unwrap_or_default().join(".");
            let message = format!("is {kind}: give the whole of it as YAML text");
            return Err(ConfigError::new(node.origin, &above, message));
        };
        at = child(entries, key, &node.origin);
    }
    *at = node;
    Ok(())
}

fn child<'a>(entries: &'a mut Vec<Entry>, key: &str, origin: &Origin) -> &'a mut Node {
    let found = entries.iter().position(|entry| entry.key == key);
    let at = found.unwrap_or_else(|| {
        let node = Node { origin: origin.clone(), value: Value::Null };
        entries.push(Entry { key: key.to_owned(), origin: origin.clone(), node });
        entries.len() - 1
    });
    &mut entries[at].node
}

/// The variables of this process; those that are not UTF-8 with the faulty bytes replaced.
pub fn process_environment() -> impl Iterator<Item = (String, String)> {
    let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}
