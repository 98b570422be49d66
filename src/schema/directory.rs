//! A folder of schema files that stands for a URL. Files may change at any time, as those of a mounted ConfigMap do, all at
//! once by a symbolic link: each is read again some seconds after it was last read, when somebody asks for it.
//!
//! What is written in a file while it is being read cannot be told from a broken schema. So a file that was a schema and is
//! none any more changes nothing; one that is gone is gone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::Semaphore};
use url::Url;

use super::{
    Compile, DocumentUrl, Documents, Fetched, Lifetime, RegistryApi, RegistryKey, SchemaFormat,
    SchemaRef, SourceError, Validators,
    confluent::below,
    fetch::invalid,
    files::{Files, segments},
    fingerprint::Fingerprints,
    gather::{Found, Library, gather},
    language,
    outline::Outline,
    registries::Registries,
};
use crate::{limits::SchemaLimits, text::shown};

/// Every folder that stands for a URL.
#[derive(Debug)]
pub(super) struct Folders {
    registries: Registries,
    /// In the order of the registries; those that are no folders have none.
    folders: Vec<Option<Arc<Folder>>>,
}

impl Folders {
    /// Those among the registries. A schema may cost as much as `limits` say.
    pub(super) fn new(registries: Registries, limits: SchemaLimits) -> Self {
        let folder = |api: &RegistryApi, base: &Url| match api {
            RegistryApi::Directory { path } => Some(Arc::new(Folder {
                base: base.clone(),
                files: Files::new(path.clone(), limits.max_schema_bytes),
                limits,
                fingerprints: Fingerprints::default(),
                broken: Mutex::default(),
                room: Semaphore::new(MAX_READERS),
            })),
            _ => None,
        };
        let all = registries.all().iter();
        let folders = all.map(|it| folder(&it.access.api, &it.directory)).collect();
        Self { registries, folders }
    }

    /// The folder that stands for `url`.
    pub(super) fn of(&self, url: &Url) -> Option<&Arc<Folder>> {
        let (at, _) = self.registries.folder(url)?;
        self.folders.get(at)?.as_ref()
    }
}

/// A folder that stands for a URL.
#[derive(Debug)]
pub(super) struct Folder {
    /// The URL, with a slash at the end.
    base: Url,
    files: Files,
    limits: SchemaLimits,
    fingerprints: Fingerprints,
    /// Schemas whose files are none any more, with what they hold instead: each is told once.
    broken: Mutex<HashMap<Arc<str>, Digest>>,
    /// One for each look-up under way.
    room: Semaphore,
}

/// SHA-256 of everything that a schema is made of.
type Digest = [u8; 32];

impl Folder {
    /// The schema of `reference`, or the same as before where its files have not changed.
    pub(super) async fn look_up(
        self: &Arc<Self>,
        reference: &SchemaRef,
        previous: Option<&Fetched>,
        compile: &Compile,
    ) -> Result<Arc<Fetched>, SourceError> {
        let closed = |_| SourceError::unavailable("shutting down");
        let _room = self.room.acquire().await.map_err(closed)?;
        let (folder, reference) = (Arc::clone(self), reference.clone());
        let (previous, compile) = (previous.cloned(), Arc::clone(compile));
        let runtime = Handle::current();
        let read = tokio::task::spawn_blocking(move || {
            folder.read(&reference, previous.as_ref(), &compile, &runtime)
        });
        match read.await {
            Ok(read) => read.map(Arc::new),
            Err(error) if error.is_panic() => Err(SourceError::invalid("it cannot be compiled")),
            Err(_) => Err(SourceError::unavailable("shutting down")),
        }
    }

    /// The paths of all files that are called like schemas, in order. Reads folders: not for a thread that serves sockets.
    pub(super) fn schema_files(&self) -> Vec<String> {
        let endings = ENDINGS.iter().filter(|ending| !ending.is_empty());
        let all = endings.flat_map(|ending| self.files.list(ending));
        let all: std::collections::BTreeSet<_> = all.map(|listed| listed.path).collect();
        all.into_iter().collect()
    }

    /// The URL that stands for the file at `path`.
    pub(super) fn url(&self, path: &str) -> Result<Url, SourceError> {
        below(self.base.as_str(), &path.split('/').collect::<Vec<_>>())
    }

    fn read(
        &self,
        reference: &SchemaRef,
        previous: Option<&Fetched>,
        compile: &Compile,
        runtime: &Handle,
    ) -> Result<Fetched, SourceError> {
        let name: Arc<str> = reference.text().into();
        let documents = runtime.block_on(self.documents(reference));
        let digest = match &documents {
            Ok(documents) => digest(documents),
            Err(error) => digest_of([error.to_string().as_bytes()]),
        };
        let unchanged = |previous: &Fetched| Fetched { lifetime: FRESH, ..previous.clone() };
        let known = |it: &Fetched| it.validators.as_ref().and_then(|it| it.etag.clone());
        if let Some(previous) = previous.filter(|it| known(it).as_deref() == Some(&digest[..])) {
            self.lock_broken().remove(&name);
            return Ok(unchanged(previous));
        }
        let compiled = documents.and_then(|documents| {
            let invalid =
                |what: &str| SourceError::invalid(format!("{}: {what}", reference.shown()));
            // A compiler that panics has found a schema that cannot be used.
            let compiled = std::panic::AssertUnwindSafe(|| compile(&documents));
            let compiled = std::panic::catch_unwind(compiled);
            compiled
                .map_err(|_| invalid("it cannot be compiled"))?
                .map_err(|fault| invalid(&fault.detail))
        });
        match (compiled, previous) {
            (Ok(schema), _) => {
                self.lock_broken().remove(&name);
                let etag = Some(digest.to_vec());
                let validators = Some(Validators { url: name, etag, last_modified: None });
                let fetched = Fetched::immutable(Arc::new(schema));
                Ok(Fetched { lifetime: FRESH, validators, ..fetched })
            }
            (Err(error @ SourceError::Invalid { .. }), Some(previous)) => {
                self.warn_once(&name, digest, &error);
                Ok(unchanged(previous))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Says that a file is no schema any more, unless that was said of what it holds now.
    fn warn_once(&self, name: &Arc<str>, digest: Digest, error: &SourceError) {
        let mut broken = self.lock_broken();
        if broken.len() >= MAX_BROKEN && !broken.contains_key(name) {
            broken.clear();
        }
        if broken.insert(Arc::clone(name), digest) != Some(digest) {
            tracing::warn!(%error, "a schema file is none any more; the last good one still serves");
        }
    }

    fn lock_broken(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Digest>> {
        // Held for one insertion or removal: whole even where a thread panicked with it.
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn documents(&self, reference: &SchemaRef) -> Result<Documents, SourceError> {
        let path = match reference {
            SchemaRef::Document(DocumentUrl(url)) => self.path_of(url)?,
            SchemaRef::Registered { key: RegistryKey::Fingerprint(wanted), .. } => {
                match self.of_key(&RegistryKey::Fingerprint(*wanted)) {
                    Err(SourceError::NotFound { .. }) => {
                        let found = self.fingerprints.find(*wanted, &self.files);
                        found.ok_or_else(|| not_found(&reference.shown()))?
                    }
                    path => path?,
                }
            }
            SchemaRef::Registered { key, .. } => self.of_key(key)?,
            SchemaRef::Under { .. } => {
                return Err(SourceError::other_subject("files have no subjects"));
            }
        };
        let root = self.open_as(&path, &path)?;
        let format = root.format.unwrap_or(SchemaFormat::Avro);
        let library = Near { folder: self, root: path };
        gather(root, format, &self.limits, &library).await
    }

    /// The path in the folder of a document's URL.
    fn path_of(&self, url: &str) -> Result<String, SourceError> {
        let parsed = Url::parse(url).map_err(|_| not_found(&shown(url.as_bytes())))?;
        let below = parsed.path().strip_prefix(self.base.path());
        let path = below.filter(|_| parsed.query().is_none()).and_then(segments);
        path.ok_or_else(|| not_found(&crate::text::shown_reference(url.as_bytes())))
    }

    /// The file that has the name of `key`, whatever it ends in.
    fn of_key(&self, key: &RegistryKey) -> Result<String, SourceError> {
        let name = key.to_string();
        let stem = segments(&name).ok_or_else(|| not_found(&name))?;
        let mut names = ENDINGS.iter().map(|ending| format!("{stem}{ending}"));
        names.find(|name| self.files.has(name)).ok_or_else(|| not_found(&name))
    }

    /// The file at `path` and what it refers to, by the names that it has beside `root`.
    fn open_as(&self, path: &str, root: &str) -> Result<Found<String>, SourceError> {
        let unusable = || not_found(&shown(path.as_bytes()));
        let mut url = self.base.clone();
        url.path_segments_mut().map_err(|()| unusable())?.pop_if_empty().extend(path.split('/'));
        let text = self.files.read(path)?;
        let format = language::of_document(path, None, &text);
        let references = match format {
            SchemaFormat::Avro => Vec::new(),
            SchemaFormat::Protobuf => imports(&text),
            SchemaFormat::Json => self.refs(&text, &url, root)?,
        };
        Ok(Found { url, format: Some(format), text, references })
    }

    /// The files that the `$ref`s of a JSON Schema at `url` lead to.
    fn refs(
        &self,
        text: &str,
        url: &Url,
        root: &str,
    ) -> Result<Vec<(String, String)>, SourceError> {
        let schema: serde_json::Value =
            serde_json::from_str(text).map_err(|_| invalid(url, "it is no JSON"))?;
        let mut root_url = self.base.clone();
        if let Ok(mut segments) = root_url.path_segments_mut() {
            segments.pop_if_empty().extend(root.split('/'));
        }
        let mut found = Vec::new();
        for reference in references(&schema) {
            let Ok(mut target) = url.join(reference) else { continue };
            target.set_fragment(None);
            // What leads elsewhere is for the compiler to refuse, for it knows the drafts' own schemas.
            let below = target.path().strip_prefix(self.base.path());
            let here = below.filter(|_| target.origin() == self.base.origin() && target != *url);
            let Some(path) = here.and_then(segments) else { continue };
            let name = root_url.make_relative(&target).unwrap_or_else(|| path.clone());
            if !found.iter().any(|(known, _)| *known == name) {
                found.push((name, path));
            }
        }
        Ok(found)
    }
}

/// What a file refers to, found from where a schema begins.
struct Near<'a> {
    folder: &'a Folder,
    root: String,
}

impl Library for Near<'_> {
    type Key = String;

    async fn open(&self, path: &String) -> Result<Found<String>, SourceError> {
        self.folder.open_as(path, &self.root)
    }
}

/// The files that one of Protocol Buffers imports, from the top of the folder. Those that come with the language are no files.
fn imports(text: &str) -> Vec<(String, String)> {
    let imports = Outline::of(text).imports.into_iter();
    let own = imports.filter(|path| !path.starts_with("google/protobuf/"));
    own.map(|path| (path.clone(), path)).collect()
}

/// Every `$ref` of a schema that leads out of it.
fn references(schema: &serde_json::Value) -> Vec<&str> {
    let mut found = Vec::new();
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::Array(items) => open.extend(items),
            serde_json::Value::Object(members) => {
                let leads_out = |it: &&str| !it.is_empty() && !it.starts_with('#');
                let reference = members.get("$ref").and_then(serde_json::Value::as_str);
                found.extend(reference.filter(leads_out));
                open.extend(members.values());
            }
            _ => {}
        }
    }
    found
}

/// Everything that a schema is made of, each part with its length, so that no two are one.
fn digest(documents: &Documents) -> Digest {
    let references = documents.references.iter();
    let references = references.flat_map(|it| [it.name.as_bytes(), it.text.as_bytes()]);
    let own = [documents.format.label().as_bytes(), documents.text.as_bytes()];
    digest_of(own.into_iter().chain(references))
}

fn digest_of<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Digest {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut digest = Digest::default();
    digest.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    digest
}

/// That there is no such file.
fn not_found(name: &str) -> SourceError {
    SourceError::NotFound { detail: format!("{name}: there is no such file").into() }
}

/// How long a file is not read again.
const FRESH: Lifetime = Lifetime::For(Duration::from_secs(2));
/// What the name of a file may have behind that of a key, in this order.
const ENDINGS: [&str; 6] = ["", ".avsc", ".schema.json", ".jsonschema", ".json", ".proto"];
/// Look-ups under way in one folder.
const MAX_READERS: usize = 4;
/// Broken schemas that are remembered as told.
const MAX_BROKEN: usize = 1_000;

#[cfg(test)]
mod tests;
