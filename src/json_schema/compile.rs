//! From checked documents to a validator: the `jsonschema` crate, with nothing to fetch from and everything bounded.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jsonschema::{
    Keyword, PatternOptions, ReferencingError, Retrieve, Uri, ValidationError, Validator,
    error::ValidationErrorKind, paths::Location,
};
use serde_json::{Map, Value};

use super::{
    document::Checked,
    effort::{charge, within},
    keywords::percent_decoded,
    tree::Kind,
    view::{Texts, View},
};
use crate::{datum::SchemaFault, limits::MIB, text::shown};

/// The keyword that `document.rs` puts into schemas.
pub(super) const STEP: &str = "x-schemaward-step";

/// What compiling one schema with its references may cost: more than a schema at every bound does, unless it is compiled
/// anew for each way that leads to it (`$dynamicRef` between many documents).
const COMPILE_EFFORT: u64 = 4_000_000;
/// What one schema that holds others costs there.
const SCHEMA_EFFORT: u64 = 16;
/// What it costs to take a document that is given, under one of the places that references lead to it by, and each letter
/// of that place.
const RETRIEVAL_EFFORT: u64 = 1_000;
const LETTER_EFFORT: u64 = 16;
/// How often a schema may be compiled anew. The compiler searches those that it has of one from end to end.
const MAX_TIMES: u32 = 512;
/// How many times as much where some schema asks for what others left over: the compiler then goes through these again.
const UNEVALUATED: u64 = 20;

/// Bytes that all regular expressions of a schema may be compiled to.
const MAX_PATTERN_BYTES: usize = 32 * MIB;
/// Bytes for one of them, if they are few.
const MAX_ONE_PATTERN_BYTES: usize = 2 * MIB;
/// Regular expressions of a schema. Each of so many has 16 KiB.
const MAX_PATTERNS: usize = 2_048;

pub(super) type Compiled = Validator<Texts>;

/// Compiles `checked`.
pub(super) fn compile(checked: Checked) -> Result<Compiled, SchemaFault> {
    let Checked { draft, root, references, patterns, unevaluated, .. } = checked;
    if patterns > MAX_PATTERNS {
        let detail = format!("{patterns} regular expressions, at most {MAX_PATTERNS} are taken");
        return Err(SchemaFault::new(detail));
    }
    let each = (MAX_PATTERN_BYTES / patterns.max(1)).min(MAX_ONE_PATTERN_BYTES);
    let toll = Toll { unevaluated, times: Mutex::default() };
    let options = jsonschema::options_for::<Texts>()
        .with_draft(draft)
        .with_retriever(Given::new(references))
        .with_pattern_options(PatternOptions::regex().size_limit(each).dfa_size_limit(each))
        // Annotations, as the later drafts say: text inside of text would be parsed without a bound.
        .without_content_media_type_support("application/json")
        .without_content_encoding_support("base64")
        .with_keyword(STEP, move |schema, _, path| {
            toll.take(schema, &path);
            Ok(Box::new(Step::new(schema)))
        });
    let built = within(COMPILE_EFFORT, || options.build(&root).map_err(|error| fault(&error)));
    built.unwrap_or_else(|_| {
        let detail = "too much work to compile: the references multiply its parts, or its \
                      author's parser fails";
        Err(SchemaFault::new(detail.to_owned()))
    })
}

fn fault(error: &ValidationError<'_>) -> SchemaFault {
    let said = match error.kind() {
        ValidationErrorKind::Referencing(ReferencingError::Unretrievable { uri, .. }) => {
            format!("a reference leads to {uri}, which no document given is called")
        }
        ValidationErrorKind::Referencing(error) => format!("a reference leads nowhere: {error}"),
        _ => error.to_string(),
    };
    let said = shown(said.as_bytes());
    let at = shown(error.instance_path().as_str().as_bytes());
    SchemaFault::new(match &*at {
        "" => format!("no JSON Schema: {said}"),
        at => format!("no JSON Schema: at {at}: {said}"),
    })
}

/// The documents that are given: all that references can lead to, apart from the schemas of the drafts themselves.
struct Given {
    documents: Vec<(Vec<String>, Value)>,
}

impl Given {
    fn new(references: Vec<(String, Value)>) -> Self {
        let named = references.into_iter().map(|(name, document)| {
            let own = ["$id", "id"].iter().filter_map(|key| document.get(key)?.as_str());
            let mut names = vec![name];
            names.extend(own.map(|name| name.trim_end_matches('#').to_owned()));
            (names, document)
        });
        Self { documents: named.collect() }
    }

    /// The document of that URI, or of a relative name that ends it: the longest one.
    fn find(&self, uri: &str) -> Option<&Value> {
        let uri = percent_decoded(uri.trim_end_matches('#'));
        let ends = |name: &str| {
            let name = name.trim_start_matches("./").trim_start_matches('/');
            let before = uri.strip_suffix(name).filter(|_| !name.is_empty());
            before.is_some_and(|before| before.ends_with('/')).then_some(name.len())
        };
        let fit = |name: &String| if *name == uri { Some(usize::MAX) } else { ends(name) };
        let fits = self.documents.iter().filter_map(|(names, document)| {
            names.iter().filter_map(fit).max().map(|fit| (fit, document))
        });
        // The first of several that fit equally.
        let best = fits.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map(|(_, document)| document)
    }
}

impl Retrieve for Given {
    fn retrieve(
        &self,
        uri: &Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        // A relative `$id` gives what is below it another place each time that it is come by.
        charge(RETRIEVAL_EFFORT + count(uri.as_str().len()).saturating_mul(LETTER_EFFORT));
        let found = self.find(uri.as_str()).cloned();
        found.ok_or_else(|| "no document of that name is given".into())
    }
}

/// What a visit to a schema costs that holds others: a keyword that is true of every value.
struct Step {
    effort: u64,
    patterns: u64,
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// What is taken for compiling a schema that holds others.
struct Toll {
    unevaluated: bool,
    /// How often each was compiled, by its address: all of them stay where they are meanwhile.
    times: Mutex<HashMap<usize, u32>>,
}

impl Toll {
    fn take(&self, schema: &Map<String, Value>, path: &Location) {
        // Its keywords, each with its path.
        let effort = SCHEMA_EFFORT + (1 + count(path.as_str().len() / 16)) * count(schema.len());
        charge(effort.saturating_mul(if self.unevaluated { UNEVALUATED } else { 1 }));
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let times = times.entry(std::ptr::from_ref(schema).addr()).or_default();
        *times += 1;
        if *times > MAX_TIMES {
            charge(u64::MAX);
        }
    }
}

impl Step {
    fn new(parent: &Map<String, Value>) -> Self {
        let branches = parent.values().filter_map(Value::as_array).map(|it| count(it.len()));
        let patterns = parent.get("patternProperties").and_then(Value::as_object);
        let patterns = patterns.map_or(0, |patterns| count(patterns.len()));
        Self { effort: 1 + branches.sum::<u64>(), patterns }
    }

    fn take(&self, view: &View<'_>) {
        let bytes = u64::try_from(view.string_bytes() / 64).unwrap_or(u64::MAX);
        charge(self.effort.saturating_mul(1 + bytes));
        if let View::Value(tree, at) = view
            && self.patterns > 0
            && tree.kind(*at) == Kind::Object
        {
            let keys = tree.members(*at).map(|(key, _)| 2 + tree.quoted(key).len() / 16);
            let keys = u64::try_from(keys.sum::<usize>()).unwrap_or(u64::MAX);
            charge(self.patterns.saturating_mul(keys));
        }
    }
}

impl<'i> Keyword<'i, Texts> for Step {
    fn validate(&self, instance: View<'i>) -> Result<(), ValidationError<'i>> {
        self.take(&instance);
        Ok(())
    }

    fn is_valid(&self, instance: View<'i>) -> bool {
        self.take(&instance);
        true
    }
}
