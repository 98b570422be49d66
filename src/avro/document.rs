//! A schema document becomes a [`Graph`]: names, namespaces, references, recursion.
//!
//! This is our own reader because documents are hostile: apache-avro's, the obvious choice, aborts the process (a type
//! defined twice whose default is `{}`), panics (a wrapped reference), or takes exponential time and hundreds of
//! megabytes for a few kilobytes (nested defaults, aliases). What it reads beside names and types (defaults, aliases,
//! logical types) says nothing about whether a datum of the writer's schema is whole. It is the oracle of the tests.

use super::bounds;
use super::error::SchemaFault;
use super::graph::{Graph, NodeId, Type};
use super::names::{NameTable, full_name, is_name, namespace_of};
use crate::limits::SchemaLimits;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// Reads `text` and what it refers to; the result's second part is the type that `text` itself describes.
pub(super) fn read(
    text: &str,
    references: &[&str],
    limits: &SchemaLimits,
) -> Result<(Graph, NodeId), SchemaFault> {
    bounds::check(text, references, limits)?;
    let mut reader = Reader::new(*limits)?;
    let mut seen = HashSet::new();
    for (index, reference) in references.iter().enumerate() {
        // A type that two references need is often listed twice.
        if seen.insert(*reference) {
            reader
                .document(reference)
                .map_err(|fault| fault.within(&format!("reference {index}")))?;
        }
    }
    let root = reader.document(text)?;
    Ok((reader.graph, root))
}

const PRIMITIVES: [(&str, Type); 8] = [
    ("boolean", Type::Boolean),
    ("bytes", Type::Bytes),
    ("double", Type::Double),
    ("float", Type::Float),
    ("int", Type::Int),
    ("long", Type::Long),
    ("null", Type::Null),
    ("string", Type::String),
];

struct Reader {
    graph: Graph,
    /// Full names of all types so far, those that are still open included, and the primitive types.
    names: HashMap<String, NodeId>,
    limits: SchemaLimits,
    /// What counts towards `max_nodes`: types, fields, branches and symbols.
    nodes: usize,
    named_types: usize,
}

impl Reader {
    fn new(limits: SchemaLimits) -> Result<Self, SchemaFault> {
        let mut reader = Self {
            graph: Graph::default(),
            names: HashMap::new(),
            limits,
            nodes: 0,
            named_types: 0,
        };
        for (name, primitive) in PRIMITIVES {
            let id = reader.add(primitive)?;
            reader.names.insert(name.to_owned(), id);
        }
        reader.nodes = 0;
        Ok(reader)
    }

    fn document(&mut self, text: &str) -> Result<NodeId, SchemaFault> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| SchemaFault::new(format!("schema document is no JSON: {error}")))?;
        self.schema(&value, "")
    }

    /// Reads one schema; recursion is bounded by the nesting that `bounds` has checked.
    fn schema(&mut self, value: &Value, namespace: &str) -> Result<NodeId, SchemaFault> {
        match value {
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(object) => self.object(object, namespace),
            Value::String(name) => self.reference(name, namespace),
            _ => Err(SchemaFault::new("a schema is a name, an object or an array".to_owned())),
        }
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
    ) -> Result<NodeId, SchemaFault> {
        let Some(kind) = object.get("type") else {
            return Err(SchemaFault::new("schema object without \"type\"".to_owned()));
        };
        match kind.as_str() {
            Some("array") => self.items(object, "items", namespace, Type::Array),
            Some("enum") => self.enumeration(object, namespace),
            Some("fixed") => self.fixed(object, namespace),
            Some("map") => self.items(object, "values", namespace, Type::Map),
            // `error` is what a protocol calls the records that it throws.
            Some("record" | "error") => self.record(object, namespace),
            // `{"type": "long", "logicalType": …}`, `{"type": ["null", "long"]}` and the like.
            _ => self.schema(kind, namespace),
        }
    }

    /// A primitive type or a type defined before. Java looks in the enclosing namespace, then in none; so do we.
    fn reference(&self, name: &str, namespace: &str) -> Result<NodeId, SchemaFault> {
        let unknown = || SchemaFault::new(format!("unknown type {}", quoted(name)));
        if is_primitive(name) {
            return self.names.get(name).copied().ok_or_else(unknown);
        }
        let full = full_name(name, None, namespace).ok_or_else(|| bad_name("type", name))?;
        self.names.get(&full).or_else(|| self.names.get(name)).copied().ok_or_else(unknown)
    }

    fn union(&mut self, values: &[Value], namespace: &str) -> Result<NodeId, SchemaFault> {
        self.count(values.len())?;
        let mut branches = Vec::with_capacity(values.len());
        for value in values {
            let branch = self.schema(value, namespace)?;
            if matches!(self.graph.get(branch), Type::Union { .. }) {
                return Err(SchemaFault::new("a union directly inside a union".to_owned()));
            }
            branches.push(branch);
        }
        let names = branches.iter().map(|id| self.graph.name(*id).into()).collect();
        let tags = NameTable::new(names)
            .map_err(|twice| SchemaFault::new(format!("union with {} twice", quoted(&twice))))?;
        self.add(Type::Union { branches, tags })
    }

    fn items(
        &mut self,
        object: &Map<String, Value>,
        key: &str,
        namespace: &str,
        collection: fn(NodeId) -> Type,
    ) -> Result<NodeId, SchemaFault> {
        let Some(value) = object.get(key) else {
            return Err(SchemaFault::new(format!("schema object without \"{key}\"")));
        };
        let items = self.schema(value, namespace)?;
        self.add(collection(items))
    }

    fn enumeration(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
    ) -> Result<NodeId, SchemaFault> {
        let name = self.name(object, namespace)?;
        let symbols = self.symbols(object).map_err(|fault| fault.within(&shown(&name)))?;
        let id = self.add(Type::Enum { name: name.as_str().into(), symbols })?;
        self.names.insert(name, id);
        Ok(id)
    }

    fn symbols(&mut self, object: &Map<String, Value>) -> Result<NameTable, SchemaFault> {
        let Some(Value::Array(values)) = object.get("symbols") else {
            return Err(SchemaFault::new("enum without \"symbols\"".to_owned()));
        };
        self.count(values.len())?;
        let mut symbols = Vec::with_capacity(values.len());
        for value in values {
            let symbol = value.as_str().unwrap_or_default();
            if !is_name(symbol) {
                return Err(bad_name("symbol", symbol));
            }
            symbols.push(symbol.into());
        }
        NameTable::new(symbols)
            .map_err(|twice| SchemaFault::new(format!("symbol {} twice", quoted(&twice))))
    }

    fn fixed(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
    ) -> Result<NodeId, SchemaFault> {
        let name = self.name(object, namespace)?;
        let size = object.get("size").and_then(Value::as_u64);
        let size = size.filter(|size| *size <= MAX_FIXED_SIZE).ok_or_else(|| {
            let detail = format!("\"size\" is no number from 0 to {MAX_FIXED_SIZE}");
            SchemaFault::new(detail).within(&shown(&name))
        })?;
        let id = self.add(Type::Fixed { name: name.as_str().into(), size })?;
        self.names.insert(name, id);
        Ok(id)
    }

    fn record(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
    ) -> Result<NodeId, SchemaFault> {
        let name = self.name(object, namespace)?;
        self.count(1)?;
        let id = self.graph.open_record(&name).ok_or_else(too_many)?;
        self.names.insert(name.clone(), id);
        let (fields, types) = self.fields(object, &name)?;
        self.graph.complete_record(id, fields, types);
        Ok(id)
    }

    fn fields(
        &mut self,
        object: &Map<String, Value>,
        record: &str,
    ) -> Result<(NameTable, Vec<NodeId>), SchemaFault> {
        let fault = |detail: &str| SchemaFault::new(detail.to_owned()).within(&shown(record));
        let Some(Value::Array(values)) = object.get("fields") else {
            return Err(fault("record without \"fields\""));
        };
        self.count(values.len())?;
        let (mut names, mut types) = (Vec::with_capacity(values.len()), Vec::new());
        for value in values {
            let name = value.get("name").and_then(Value::as_str).unwrap_or_default();
            if !is_name(name) {
                return Err(bad_name("field", name).within(&shown(record)));
            }
            let place = || format!("{}.{}", shown(record), shown(name));
            let content = value.get("type").ok_or_else(|| fault("field without \"type\""))?;
            let node = self.schema(content, namespace_of(record));
            types.push(node.map_err(|fault| fault.within(&place()))?);
            names.push(name.into());
        }
        let names = NameTable::new(names)
            .map_err(|twice| fault(&format!("field {} twice", quoted(&twice))))?;
        Ok((names, types))
    }

    /// The full name of a type that is being defined. A name has one definition.
    fn name(
        &mut self,
        object: &Map<String, Value>,
        enclosing: &str,
    ) -> Result<String, SchemaFault> {
        let simple = object.get("name").and_then(Value::as_str).unwrap_or_default();
        let namespace = object.get("namespace").and_then(Value::as_str);
        let name = full_name(simple, namespace, enclosing)
            .filter(|full| !full.rsplit('.').next().is_some_and(is_primitive))
            .ok_or_else(|| bad_name("type", simple))?;
        if self.names.contains_key(&name) {
            return Err(SchemaFault::new(format!("type {} is defined twice", quoted(&name))));
        }
        self.named_types += 1;
        if self.named_types > self.limits.max_named_types {
            let most = self.limits.max_named_types;
            return Err(SchemaFault::new(format!("more than {most} named types")));
        }
        Ok(name)
    }

    fn add(&mut self, content: Type) -> Result<NodeId, SchemaFault> {
        self.count(1)?;
        self.graph.add(content).ok_or_else(too_many)
    }

    fn count(&mut self, more: usize) -> Result<(), SchemaFault> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > self.limits.max_nodes {
            let most = self.limits.max_nodes;
            let parts = "types, fields, branches and symbols";
            return Err(SchemaFault::new(format!("more than {most} {parts}")));
        }
        Ok(())
    }
}

/// Java's bound: an `int`.
const MAX_FIXED_SIZE: u64 = 0x7fff_ffff;

fn is_primitive(name: &str) -> bool {
    PRIMITIVES.iter().any(|(primitive, _)| *primitive == name)
}

fn too_many() -> SchemaFault {
    SchemaFault::new("too many types".to_owned())
}

fn bad_name(what: &str, name: &str) -> SchemaFault {
    SchemaFault::new(format!("{} is no {what} name", quoted(name)))
}

fn shown(name: &str) -> String {
    crate::text::shown(name.as_bytes())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", shown(name))
}
