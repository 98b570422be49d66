//! What of a schema document reaches the validator's compiler. Documents are hostile, and that compiler trusts them.
//!
//! * Bytes, number of documents, nesting, and number of values are bounded before anything recurses or is built, and a key
//!   that stands twice is refused.
//! * Every `$schema` is one of the drafts that are known: 4, 6, 7, 2019-09, 2020-12. Without one it is the draft of the
//!   document that refers to it, and 2020-12 for the first.
//! * A reference that leads into data (`#/const`) or to a collection of schemas (`#/properties`) is refused.
//! * Every schema that holds or refers to others gets a keyword of ours, [`STEP`]. The compiler asks us about each that it
//!   comes to, and the validator on each visit, so that both can be stopped (`effort.rs`). Where it would go on without asking, the work is counted
//!   before (`ways.rs`).

use jsonschema::Draft;
use serde_json::{Map, Value};

use super::{
    compile::STEP,
    fault::Names,
    keywords::{Place, REFERENCES, leads_to_schema, place},
    parse,
    tree::{At, Kind, ROOT, Tree},
    view, ways,
};
use crate::{
    datum::SchemaFault,
    limits::{MIB, SchemaLimits},
    text::shown,
};

/// Documents, checked.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) draft: Draft,
    pub(super) root: Value,
    pub(super) references: Vec<(String, Value)>,
    /// What the documents say of properties.
    pub(super) names: Names,
    /// Regular expressions in them.
    pub(super) patterns: usize,
    /// Whether some schema asks for what others left over.
    pub(super) unevaluated: bool,
}

type Result<T = ()> = std::result::Result<T, SchemaFault>;

/// Reads the document `text` and those that it refers to.
pub(super) fn read(
    text: &str,
    references: &[(&str, &str)],
    limits: &SchemaLimits,
) -> Result<Checked> {
    if references.len() > limits.max_references {
        let (found, most) = (references.len(), limits.max_references);
        return refuse(format!("{found} references, at most {most} are taken"));
    }
    let each = references.iter().map(|(name, text)| name.len().saturating_add(text.len()));
    let bytes = each.fold(text.len(), usize::saturating_add);
    if bytes > limits.max_schema_bytes {
        let most = limits.max_schema_bytes;
        return refuse(format!(
            "{bytes} bytes of schema with its references, at most {most} are taken"
        ));
    }
    let mut reader =
        Reader { limits, names: Names::new(), patterns: 0, unevaluated: false, nodes: 0, paths: 0 };
    let (root, draft) = reader.document(text)?;
    let mut read = Vec::new();
    for (name, text) in references {
        let within =
            |fault: SchemaFault| fault.within(&format!("reference \"{}\"", shown(name.as_bytes())));
        read.push(((*name).to_owned(), reader.document(text).map_err(within)?.0));
    }
    let Reader { names, patterns, unevaluated, .. } = reader;
    let draft = draft.unwrap_or(Draft::Draft202012);
    if unevaluated {
        let documents = read.iter().map(|(name, document)| (&**name, document));
        ways::check(documents.chain([("", &root)]))?;
    }
    Ok(Checked { draft, root, references: read, names, patterns, unevaluated })
}

struct Reader<'l> {
    limits: &'l SchemaLimits,
    names: Names,
    patterns: usize,
    unevaluated: bool,
    nodes: usize,
    /// Bytes of the paths to all keywords: the compiler keeps each.
    paths: usize,
}

/// Bytes of such paths that all documents may have together.
const MAX_PATH_BYTES: usize = 32 * MIB;

impl Reader<'_> {
    fn document(&mut self, text: &str) -> Result<(Value, Option<Draft>)> {
        let read = parse::parse(text, self.limits.max_depth);
        let (tree, end) = read.map_err(|fault| {
            let detail = format!("schema document at byte {}: {}", fault.offset, fault.detail);
            SchemaFault::new(detail)
        })?;
        if let Some(at) = parse::left_over(text, end) {
            return refuse(format!("schema document at byte {at}: expected no more"));
        }
        self.nodes = self.nodes.saturating_add(tree.slots.len());
        let most = self.limits.max_nodes;
        if self.nodes > most {
            return refuse(format!("more than {most} values and keys in the schema documents"));
        }
        if !matches!(tree.kind(ROOT), Kind::Object | Kind::Boolean) {
            return refuse("a JSON Schema is an object or a boolean");
        }
        let said = tree.kind(ROOT) == Kind::Object;
        let said = tree.member(ROOT, "$schema").filter(|_| said);
        let draft = said.map(|at| draft(&tree, at)).transpose()?;
        Ok((self.value(&tree, ROOT, Place::Schema, 0)?, draft))
    }

    /// The value at `at` for the compiler. Recursion is bounded by the nesting that was read.
    fn value(&mut self, tree: &Tree<'_>, at: At, place: Place, path: usize) -> Result<Value> {
        Ok(match tree.kind(at) {
            Kind::Null => Value::Null,
            Kind::Boolean => tree.boolean(at).into(),
            Kind::Number => view::number(&tree.number(at)).into(),
            Kind::String => tree.quoted(at).resolved().into(),
            Kind::Array => {
                let place = match place {
                    Place::List | Place::SchemaOrList => Place::Schema,
                    Place::Unknown => Place::Unknown,
                    _ => Place::Data,
                };
                let items = tree.items(at).map(|item| self.value(tree, item, place, path + 8));
                Value::Array(items.collect::<Result<_>>()?)
            }
            Kind::Object => Value::Object(match place {
                Place::Schema | Place::SchemaOrList | Place::Unknown => {
                    self.schema(tree, at, place, path)?
                }
                Place::Data | Place::List => self.members(tree, at, Place::Data, path)?,
                Place::Map => self.members(tree, at, Place::Schema, path)?,
                Place::Properties => {
                    let names = tree.members(at).map(|(key, _)| tree.quoted(key).resolved().into());
                    self.names.extend(names);
                    self.members(tree, at, Place::Schema, path)?
                }
                Place::Patterns => {
                    self.patterns += tree.count(at) as usize;
                    self.members(tree, at, Place::Schema, path)?
                }
            }),
        })
    }

    fn members(
        &mut self,
        tree: &Tree<'_>,
        at: At,
        place: Place,
        path: usize,
    ) -> Result<Map<String, Value>> {
        let member = |(key, value)| {
            let key = tree.quoted(key).resolved().into_owned();
            let path = path + 1 + key.len();
            Ok((key, self.value(tree, value, place, path)?))
        };
        tree.members(at).map(member).collect()
    }

    fn schema(
        &mut self,
        tree: &Tree<'_>,
        at: At,
        around: Place,
        path: usize,
    ) -> Result<Map<String, Value>> {
        let (mut schema, mut holds) = (Map::new(), false);
        for (key, value) in tree.members(at) {
            let keyword = tree.quoted(key).resolved();
            let place = place(&keyword);
            if REFERENCES.contains(&&*keyword) {
                holds = true;
                reference(tree, value, &keyword)?;
            }
            match &*keyword {
                "$schema" if around != Place::Unknown => drop(draft(tree, value)?),
                "pattern" => self.patterns += 1,
                "required" => self.required(tree, value),
                "unevaluatedItems" | "unevaluatedProperties" => self.unevaluated = true,
                _ => {}
            }
            holds |= !matches!(place, Place::Data | Place::Unknown);
            let path = path + 1 + keyword.len();
            self.paths = self.paths.saturating_add(path);
            let value = self.value(tree, value, place, path)?;
            schema.insert(keyword.into_owned(), value);
        }
        if self.paths > MAX_PATH_BYTES {
            return refuse(format!(
                "more than {MAX_PATH_BYTES} bytes of paths to the keywords in the schema documents"
            ));
        }
        schema.remove(STEP);
        if holds {
            schema.insert(STEP.to_owned(), true.into());
        }
        Ok(schema)
    }

    /// Names that a schema asks for are the schema's.
    fn required(&mut self, tree: &Tree<'_>, at: At) {
        if tree.kind(at) == Kind::Array {
            let names = tree.items(at).filter(|name| tree.kind(*name) == Kind::String);
            self.names.extend(names.map(|name| tree.quoted(name).resolved().into()));
        }
    }
}

/// The draft that a `$schema` names.
fn draft(tree: &Tree<'_>, at: At) -> Result<Draft> {
    let said = (tree.kind(at) == Kind::String).then(|| tree.quoted(at).resolved());
    let Some(said) = said else { return refuse("\"$schema\" is no string") };
    match Draft::from_schema_uri(&said) {
        Draft::Unknown => refuse(format!(
            "\"$schema\" is \"{}\": neither draft 4, 6 or 7 nor 2019-09 or 2020-12",
            shown(said.as_bytes())
        )),
        draft => Ok(draft),
    }
}

/// Refuses a reference that leads to no schema, as far as it says itself where it leads.
fn reference(tree: &Tree<'_>, at: At, keyword: &str) -> Result {
    if tree.kind(at) != Kind::String {
        return Ok(());
    }
    let said = tree.quoted(at).resolved();
    match said.split_once('#') {
        Some((_, pointer)) if pointer.starts_with(['/', '%']) && !leads_to_schema(pointer) => {
            refuse(format!("\"{keyword}\" \"{}\" leads to no schema", shown(said.as_bytes())))
        }
        _ => Ok(()),
    }
}

fn refuse<T>(detail: impl Into<String>) -> Result<T> {
    Err(SchemaFault::new(detail.into()))
}
