//! What of a schema document reaches apache-avro's parser: a clean document, built anew from the parts that say what
//! data look like.
//!
//! Documents are hostile, and that parser trusts them: a type that is defined twice and has the default `{}` overflows
//! its stack, nested defaults take exponential time, aliases times fields hundreds of megabytes, a reference spelt as an
//! object panics. A bounded pass looks at every part once and builds the document that the parser sees:
//!
//! * Names are full, and each has been defined before or around its use, once. A name is looked for in the enclosing
//!   namespace, then in none, as Java does. Names beyond the specification's ASCII, which Java takes, are spelt so that
//!   the parser takes them, too (`names.rs`).
//! * Defaults, aliases, documentation and unknown attributes are left out: they say nothing about a writer's data.
//! * So are logical types: data are checked as the types that these annotate. (The parser writes those that do not fit
//!   to the log, with all that they annotate.)
//! * A type that is spelt as an object stands as its name, `{"type": {"type": "int"}}` as `"int"`, an `error` as the
//!   record that it is.
//! * The documents that are referred to stand before the one that refers to them, as fields of one record.
//!
//! What is left to the parser is whether the schema is one: symbols and fields that stand twice, the rules of unions,
//! recursion.

use super::bounds;
use super::names::{full_name, is_name, namespace_of, spelt};
use crate::datum::SchemaFault;
use crate::limits::SchemaLimits;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// The clean form of `text` and of what it refers to: a record whose last field is of the type that `text` describes.
pub(super) fn clean(
    text: &str,
    references: &[&str],
    limits: &SchemaLimits,
) -> Result<Value, SchemaFault> {
    bounds::check(text, references, limits)?;
    let mut cleaner = Cleaner { names: HashSet::new(), limits, parts: 0, around: 1 };
    let (mut seen, mut fields) = (HashSet::new(), Vec::new());
    for (index, reference) in references.iter().enumerate() {
        // A type that two references need is often listed twice.
        if seen.insert(*reference) {
            let content = cleaner.document(reference);
            let content = content.map_err(|fault| fault.within(&format!("reference {index}")))?;
            fields.push(json!({"name": format!("reference{index}"), "type": content}));
        }
    }
    fields.push(json!({"name": "text", "type": cleaner.document(text)?}));
    // No name of a document is spelt so.
    Ok(json!({"type": "record", "name": "__xdocuments", "fields": fields}))
}

const PRIMITIVES: [&str; 8] =
    ["boolean", "bytes", "double", "float", "int", "long", "null", "string"];

struct Cleaner<'a> {
    /// Full names of all types so far, those that are still open included.
    names: HashSet<String>,
    limits: &'a SchemaLimits,
    /// What counts towards `max_nodes`.
    parts: usize,
    /// How many records are around the place that is read. The parser keeps a copy of all that is in a record, so a part
    /// counts once for each.
    around: usize,
}

type Cleaned<T = Value> = Result<T, SchemaFault>;

impl Cleaner<'_> {
    fn document(&mut self, text: &str) -> Cleaned {
        let value = serde_json::from_str(text)
            .map_err(|error| SchemaFault::new(format!("schema document is no JSON: {error}")))?;
        self.schema(value, "")
    }

    /// Cleans one schema; recursion is bounded by the nesting that `bounds` has checked.
    fn schema(&mut self, value: Value, namespace: &str) -> Cleaned {
        self.count(1)?;
        match value {
            Value::Array(branches) => {
                branches.into_iter().map(|branch| self.schema(branch, namespace)).collect()
            }
            Value::Object(object) => self.object(object, namespace),
            Value::String(name) => self.reference(&name, namespace),
            _ => refuse("a schema is a name, an object or an array"),
        }
    }

    fn object(&mut self, mut object: Map<String, Value>, namespace: &str) -> Cleaned {
        let kind = take(&mut object, "type")?;
        match kind.as_str() {
            Some("array") => {
                let items = self.schema(take(&mut object, "items")?, namespace)?;
                Ok(json!({"type": "array", "items": items}))
            }
            Some("map") => {
                let values = self.schema(take(&mut object, "values")?, namespace)?;
                Ok(json!({"type": "map", "values": values}))
            }
            Some("enum") => {
                let name = self.define(&object, namespace)?;
                self.enumeration(&object, &name).map_err(|fault| fault.within(&shown(&name)))
            }
            Some("fixed") => {
                let name = self.define(&object, namespace)?;
                self.fixed(&object, &name).map_err(|fault| fault.within(&shown(&name)))
            }
            // `error` is what a protocol calls the records that it throws.
            Some("record" | "error") => {
                let name = self.define(&object, namespace)?;
                self.around += 1;
                let record = self.record(object, &name)?;
                self.around -= 1;
                Ok(record)
            }
            // `{"type": "long", "logicalType": …}`, `{"type": ["null", "long"]}` and the like.
            _ => self.schema(kind, namespace),
        }
    }

    fn enumeration(&mut self, object: &Map<String, Value>, name: &str) -> Cleaned {
        let Some(Value::Array(symbols)) = object.get("symbols") else {
            return refuse("enum without \"symbols\"");
        };
        let symbols = symbols.iter().map(|symbol| self.simple(Some(symbol), "symbol"));
        let symbols: Value = symbols.collect::<Cleaned>()?;
        Ok(json!({"type": "enum", "name": self.full(name)?, "symbols": symbols}))
    }

    fn fixed(&mut self, object: &Map<String, Value>, name: &str) -> Cleaned {
        let size = object.get("size").and_then(Value::as_u64);
        let Some(size) = size.filter(|size| *size <= MAX_FIXED_SIZE) else {
            return refuse(format!("\"size\" is no number from 0 to {MAX_FIXED_SIZE}"));
        };
        Ok(json!({"type": "fixed", "name": self.full(name)?, "size": size}))
    }

    fn record(&mut self, mut object: Map<String, Value>, name: &str) -> Cleaned {
        let Some(Value::Array(fields)) = object.remove("fields") else {
            return refuse("record without \"fields\"").map_err(|fault| fault.within(&shown(name)));
        };
        let fields: Value =
            fields.into_iter().map(|field| self.field(field, name)).collect::<Cleaned>()?;
        Ok(json!({"type": "record", "name": self.full(name)?, "fields": fields}))
    }

    fn field(&mut self, mut field: Value, record: &str) -> Cleaned {
        let within_record = |fault: SchemaFault| fault.within(&shown(record));
        let name = self.simple(field.get("name"), "field").map_err(within_record)?;
        let Some(content) = field.get_mut("type").map(Value::take) else {
            return refuse("field without \"type\"").map_err(within_record);
        };
        let content = self.schema(content, namespace_of(record)).map_err(|fault| {
            let name = field.get("name").and_then(Value::as_str).unwrap_or_default();
            fault.within(&format!("{}.{}", shown(record), shown(name)))
        })?;
        Ok(json!({"name": name, "type": content}))
    }

    /// The full name of a type that is being defined.
    fn define(&mut self, object: &Map<String, Value>, enclosing: &str) -> Cleaned<String> {
        let text = |key| object.get(key).and_then(Value::as_str);
        let simple = text("name").unwrap_or_default();
        let name = full_name(simple, text("namespace"), enclosing)
            .filter(|full| !full.rsplit('.').next().is_some_and(|last| PRIMITIVES.contains(&last)))
            .ok_or_else(|| no_name("type", simple))?;
        if !self.names.insert(name.clone()) {
            return refuse(format!("type {} is defined twice", quoted(&name)));
        }
        let most = self.limits.max_named_types;
        if self.names.len() > most {
            return refuse(format!("more than {most} named types"));
        }
        Ok(name)
    }

    /// A primitive type, or one that has been defined.
    fn reference(&mut self, name: &str, namespace: &str) -> Cleaned {
        if PRIMITIVES.contains(&name) {
            return Ok(name.into());
        }
        let full = full_name(name, None, namespace).ok_or_else(|| no_name("type", name))?;
        if self.names.contains(&full) {
            return self.full(&full);
        }
        if self.names.contains(name) {
            return self.full(name);
        }
        refuse(format!("unknown type {}", quoted(name)))
    }

    /// A full name for the parser. The dot in front of one without namespace keeps the parser from adding its own.
    fn full(&mut self, name: &str) -> Cleaned {
        self.count(name.len() / NAME_BYTES)?;
        Ok(format!("{}{}", if name.contains('.') { "" } else { "." }, spelt(name)).into())
    }

    /// The name of a field or symbol for the parser.
    fn simple(&mut self, name: Option<&Value>, what: &str) -> Cleaned {
        let name = name.and_then(Value::as_str).unwrap_or_default();
        if !is_name(name) {
            return Err(no_name(what, name));
        }
        self.count(1 + name.len() / NAME_BYTES)?;
        Ok(spelt(name).into())
    }

    fn count(&mut self, more: usize) -> Cleaned<()> {
        self.parts = self.parts.saturating_add(more.saturating_mul(self.around));
        let most = self.limits.max_nodes;
        if self.parts > most {
            return refuse(format!("more than {most} types, fields, branches and symbols"));
        }
        Ok(())
    }
}

/// Java's bound: an `int`.
const MAX_FIXED_SIZE: u64 = 0x7fff_ffff;

/// A name counts as one more part for every so many of its bytes: a document can repeat a long one very often.
const NAME_BYTES: usize = 32;

fn take(object: &mut Map<String, Value>, key: &str) -> Cleaned {
    object.remove(key).map_or_else(|| refuse(format!("schema object without \"{key}\"")), Ok)
}

fn refuse<T>(detail: impl Into<String>) -> Cleaned<T> {
    Err(SchemaFault::new(detail.into()))
}

fn no_name(what: &str, name: &str) -> SchemaFault {
    SchemaFault::new(format!("{} is no {what} name", quoted(name)))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", shown(name))
}

fn shown(name: &str) -> String {
    crate::text::shown(name.as_bytes())
}
