//! What of schema documents matters when one schema reads what another one wrote: unlike data, that needs defaults and
//! aliases. Built from documents that were parsed and bounded before (`document.rs`).

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::{
    avro::names::{full_name, namespace_of},
    datum::SchemaFault,
};

/// A type of one [`Model`]: its place.
pub(super) type Place = usize;

/// All types of a schema and of what it refers to.
#[derive(Debug, Default)]
pub(super) struct Model {
    types: Vec<Type>,
    named: HashMap<String, Place>,
}

/// What a type is.
#[derive(Debug)]
pub(super) enum Type {
    Array(Place),
    Enum { name: Name, symbols: HashSet<String>, default: bool },
    Fixed { name: Name, size: u64 },
    Map(Place),
    Primitive(Primitive),
    Record { name: Name, fields: Vec<Field>, by_name: HashMap<String, usize> },
    Union(Vec<Place>),
}

/// Types without parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Primitive {
    Boolean,
    Bytes,
    Double,
    Float,
    Int,
    Long,
    Null,
    String,
}

/// What a type is called.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) full: String,
    /// Full names.
    aliases: Vec<String>,
}

/// A field of a record.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) has_default: bool,
    pub(super) place: Place,
}

impl Name {
    /// Whether a reader's type of this name reads a writer's type called `writer`: their names without namespaces are the
    /// same, or the reader has the writer's as an alias.
    pub(super) fn reads(&self, writer: &Self) -> bool {
        simple(&self.full) == simple(&writer.full) || self.aliases.contains(&writer.full)
    }
}

fn simple(full: &str) -> &str {
    full.rsplit('.').next().unwrap_or(full)
}

impl Model {
    /// Reads `text` and the documents that it refers to; gives the type that `text` describes, too.
    pub(super) fn read(text: &str, references: &[&str]) -> Result<(Self, Place), SchemaFault> {
        let mut model = Self::default();
        let mut read = None;
        let mut seen: Vec<&str> = Vec::new();
        for document in references.iter().copied().chain([text]) {
            if seen.contains(&document) {
                continue;
            }
            seen.push(document);
            let value: Value = serde_json::from_str(document).map_err(|error| {
                SchemaFault::new(format!("schema document is no JSON: {error}"))
            })?;
            read = Some(model.schema(&value, "").ok_or_else(unreadable)?);
        }
        let root = read.ok_or_else(unreadable)?;
        Ok((model, root))
    }

    pub(super) fn get(&self, place: Place) -> Option<&Type> {
        self.types.get(place)
    }

    /// Recursion is bounded by the nesting of documents, which was checked when they were parsed.
    fn schema(&mut self, value: &Value, namespace: &str) -> Option<Place> {
        match value {
            Value::Array(branches) => {
                let branches: Option<Vec<_>> =
                    branches.iter().map(|branch| self.schema(branch, namespace)).collect();
                Some(self.add(Type::Union(branches?)))
            }
            Value::Object(object) => self.object(object, namespace),
            Value::String(name) => match Primitive::from_name(name) {
                Some(primitive) => Some(self.primitive(name, primitive)),
                None => self.reference(name, namespace),
            },
            _ => None,
        }
    }

    /// One type for all uses: no named type is called like it.
    fn primitive(&mut self, name: &str, primitive: Primitive) -> Place {
        if let Some(place) = self.named.get(name) {
            return *place;
        }
        let place = self.add(Type::Primitive(primitive));
        self.named.insert(name.to_owned(), place);
        place
    }

    fn reference(&self, name: &str, namespace: &str) -> Option<Place> {
        let full = full_name(name, None, namespace)?;
        self.named.get(&full).or_else(|| self.named.get(name)).copied()
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str) -> Option<Place> {
        let kind = object.get("type")?;
        match kind.as_str() {
            Some("array") => {
                let items = self.schema(object.get("items")?, namespace)?;
                Some(self.add(Type::Array(items)))
            }
            Some("map") => {
                let values = self.schema(object.get("values")?, namespace)?;
                Some(self.add(Type::Map(values)))
            }
            Some("enum") => {
                let name = named(object, namespace)?;
                let symbols: HashSet<_> = texts(object.get("symbols")).into_iter().collect();
                let default = object.get("default").and_then(Value::as_str);
                let default = default.is_some_and(|default| symbols.contains(default));
                Some(self.define(Type::Enum { name, symbols, default }))
            }
            Some("fixed") => {
                let name = named(object, namespace)?;
                let size = object.get("size")?.as_u64()?;
                Some(self.define(Type::Fixed { name, size }))
            }
            Some("record" | "error") => self.record(object, namespace),
            _ => self.schema(kind, namespace),
        }
    }

    /// Adds a record before its fields, because they may refer to it.
    fn record(&mut self, object: &Map<String, Value>, namespace: &str) -> Option<Place> {
        let name = named(object, namespace)?;
        let inner = namespace_of(&name.full).to_owned();
        let place = self.define(Type::Record { name, fields: Vec::new(), by_name: HashMap::new() });
        let mut all = Vec::new();
        for field in object.get("fields")?.as_array()? {
            let place = self.schema(field.get("type")?, &inner)?;
            all.push(Field {
                name: field.get("name")?.as_str()?.to_owned(),
                aliases: texts(field.get("aliases")),
                has_default: field.get("default").is_some(),
                place,
            });
        }
        let names = all.iter().enumerate().map(|(index, field)| (field.name.clone(), index));
        let names = names.collect();
        if let Some(Type::Record { fields, by_name, .. }) = self.types.get_mut(place) {
            (*fields, *by_name) = (all, names);
        }
        Some(place)
    }

    fn define(&mut self, defined: Type) -> Place {
        let name = match &defined {
            Type::Enum { name, .. } | Type::Fixed { name, .. } | Type::Record { name, .. } => {
                name.full.clone()
            }
            _ => String::new(),
        };
        let place = self.add(defined);
        self.named.insert(name, place);
        place
    }

    fn add(&mut self, added: Type) -> Place {
        self.types.push(added);
        self.types.len() - 1
    }
}

fn named(object: &Map<String, Value>, enclosing: &str) -> Option<Name> {
    let text = |key| object.get(key).and_then(Value::as_str);
    let full = full_name(text("name")?, text("namespace"), enclosing)?;
    let space = namespace_of(&full);
    let aliases = texts(object.get("aliases")).into_iter();
    let aliases = aliases.filter_map(|alias| full_name(&alias, None, space)).collect();
    Some(Name { full, aliases })
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let values = value.and_then(Value::as_array).into_iter().flatten();
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Primitive {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "boolean" => Self::Boolean,
            "bytes" => Self::Bytes,
            "double" => Self::Double,
            "float" => Self::Float,
            "int" => Self::Int,
            "long" => Self::Long,
            "null" => Self::Null,
            "string" => Self::String,
            _ => return None,
        })
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Bytes => "bytes",
            Self::Double => "double",
            Self::Float => "float",
            Self::Int => "int",
            Self::Long => "long",
            Self::Null => "null",
            Self::String => "string",
        }
    }

    /// Whether a reader's value of this type can be had from a writer's (specification, "Schema Resolution").
    pub(super) fn reads(self, writer: Self) -> bool {
        self == writer
            || matches!(
                (self, writer),
                (Self::Long, Self::Int)
                    | (Self::Float, Self::Int | Self::Long)
                    | (Self::Double, Self::Int | Self::Long | Self::Float)
                    | (Self::String, Self::Bytes)
                    | (Self::Bytes, Self::String)
            )
    }
}

impl Type {
    /// What it is, in Avro's word.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Array(_) => "array",
            Self::Enum { .. } => "enum",
            Self::Fixed { .. } => "fixed",
            Self::Map(_) => "map",
            Self::Primitive(primitive) => primitive.label(),
            Self::Record { .. } => "record",
            Self::Union(_) => "union",
        }
    }

    /// Its name, or what it is.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Enum { name, .. } | Self::Fixed { name, .. } | Self::Record { name, .. } => {
                &name.full
            }
            other => other.label(),
        }
    }
}

fn unreadable() -> SchemaFault {
    SchemaFault::new("no Avro schema".to_owned())
}
