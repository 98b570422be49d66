//! The walk through everything that one schema refers to, within the same bounds wherever it comes from.

use std::{collections::HashMap, hash::Hash};

use url::Url;

use super::{Documents, Referenced, SchemaFormat, SourceError, fetch::invalid};
use crate::limits::SchemaLimits;

/// Where documents that others refer to are found.
pub(super) trait Library: Sync {
    /// What one of them is found by. The same key is the same document.
    type Key: Clone + Eq + Hash + Send + Sync;

    /// The document of a key.
    fn open(
        &self,
        key: &Self::Key,
    ) -> impl Future<Output = Result<Found<Self::Key>, SourceError>> + Send;
}

/// A document as a library hands it out.
#[derive(Debug)]
pub(super) struct Found<K> {
    /// Where it was.
    pub(super) url: Url,
    /// Its language. `None`: the library does not say, so it is that of the document that refers to it.
    pub(super) format: Option<SchemaFormat>,
    /// The document itself.
    pub(super) text: String,
    /// What it refers to, each by the name that it uses.
    pub(super) references: Vec<(String, K)>,
}

/// `root`, which is in `format`, with everything that it refers to.
pub(super) async fn gather<L: Library>(
    root: Found<L::Key>,
    format: SchemaFormat,
    limits: &SchemaLimits,
    library: &L,
) -> Result<Documents, SourceError> {
    let mut gathering =
        Gathering { limits, bytes: 0, format, states: HashMap::new(), gathered: Vec::new() };
    gathering.check(&root)?;
    let Found { url, text, references, .. } = root;
    let references = gathering.walk(&url, references, library).await?;
    Ok(Documents { format, text, references })
}

/// Depth first, so that each document comes after those that it needs itself, each once.
struct Gathering<'a, K> {
    limits: &'a SchemaLimits,
    bytes: usize,
    format: SchemaFormat,
    states: HashMap<K, State>,
    gathered: Vec<Referenced>,
}

/// How far the walk is with a document.
#[derive(Clone, Copy)]
enum State {
    /// What it refers to is being gathered.
    Open,
    /// It is gathered.
    Done,
}

/// A document whose references are being gathered.
struct Opened<K> {
    name: String,
    key: K,
    text: String,
    pending: std::vec::IntoIter<(String, K)>,
}

impl<K: Clone + Eq + Hash + Send + Sync> Gathering<'_, K> {
    /// Refuses what cannot be compiled before more is asked for because of it.
    fn check(&mut self, found: &Found<K>) -> Result<(), SourceError> {
        if found.format.is_some_and(|format| format != self.format) {
            return Err(invalid(&found.url, "it refers to a schema of another type"));
        }
        let most = self.limits.max_schema_bytes;
        if found.text.len() > most {
            return Err(invalid(&found.url, &format!("the schema has more than {most} bytes")));
        }
        self.bytes = self.bytes.saturating_add(found.text.len());
        let most = most.saturating_mul(MAX_DOCUMENTS_FACTOR);
        if self.bytes > most {
            let what = format!("the schema has more than {most} bytes with what it refers to");
            return Err(invalid(&found.url, &what));
        }
        Ok(())
    }

    async fn walk(
        mut self,
        root: &Url,
        references: Vec<(String, K)>,
        library: &impl Library<Key = K>,
    ) -> Result<Vec<Referenced>, SourceError> {
        let mut pending = references.into_iter();
        let mut opened: Vec<Opened<K>> = Vec::new();
        loop {
            let list = opened.last_mut().map_or(&mut pending, |opened| &mut opened.pending);
            if let Some((name, key)) = list.next() {
                if self.is_new(root, &key)? {
                    let found = library.open(&key).await?;
                    self.check(&found)?;
                    self.states.insert(key.clone(), State::Open);
                    let pending = found.references.into_iter();
                    opened.push(Opened { name, key, text: found.text, pending });
                }
            } else if let Some(Opened { name, key, text, .. }) = opened.pop() {
                self.states.insert(key, State::Done);
                self.gathered.push(Referenced { name, text });
            } else {
                return Ok(self.gathered);
            }
        }
    }

    /// Whether a document must still be asked for.
    fn is_new(&self, root: &Url, key: &K) -> Result<bool, SourceError> {
        match self.states.get(key) {
            Some(State::Done) => Ok(false),
            Some(State::Open) => Err(invalid(root, "its references lead back to themselves")),
            None if self.states.len() >= self.limits.max_references => {
                let most = self.limits.max_references;
                Err(invalid(root, &format!("it refers to more than {most} schemas")))
            }
            None => Ok(true),
        }
    }
}

/// How many times larger than one document a schema may be with everything that it refers to.
const MAX_DOCUMENTS_FACTOR: usize = 4;
