//! A schema as it was written: named types and fields, linked by index, so that recursion is a cycle of numbers.
//!
//! The binary check runs on the program that is compiled from this; the JSON check and the explanation of a failure
//! need the names and walk the graph itself.

use super::names::{NameTable, unspelt};
use apache_avro::Schema;
use apache_avro::schema::{Name, RecordSchema};
use std::collections::HashMap;

/// A type of one [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(u32);

impl NodeId {
    /// The node's place; ids are handed out in sequence from 0.
    pub(super) fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// What a type demands of its data. Logical types are checked as the types that they annotate.
#[derive(Debug)]
pub(super) enum Type {
    Array(NodeId),
    Boolean,
    Bytes,
    Double,
    Enum {
        name: Box<str>,
        symbols: NameTable,
    },
    Fixed {
        name: Box<str>,
        size: u64,
    },
    Float,
    Int,
    Long,
    Map(NodeId),
    Null,
    Record {
        name: Box<str>,
        fields: NameTable,
        types: Vec<NodeId>,
    },
    String,
    /// `tags` are the names that the JSON encoding gives the branches.
    Union {
        branches: Vec<NodeId>,
        tags: NameTable,
    },
}

/// All types of one schema. Ids come from this graph only, so each of them leads to a node.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Type>,
    /// What a datum of each node takes, where that is always the same and any bytes will do.
    widths: Vec<Option<u64>>,
    /// Nodes in the order in which they were completed: each after all that it needs, its own ancestors apart.
    completed: Vec<NodeId>,
}

/// What an id of another graph would lead to: no datum fits.
static NOTHING: Type = Type::Union { branches: Vec::new(), tags: NameTable::EMPTY };

impl Graph {
    /// Links the types of a clean document; the second part is the type of its last field. `None` for types that clean
    /// documents do not have, and after four billion.
    pub(super) fn link(documents: &Schema) -> Option<(Self, NodeId)> {
        let Schema::Record(documents) = documents else { return None };
        let (named, plain) = (HashMap::new(), HashMap::new());
        let mut linker = Linker { graph: Self::default(), named, plain };
        let mut nodes = documents.fields.iter().map(|field| linker.node(&field.schema));
        let root = nodes.try_fold(None, |_, node| Some(Some(node?)))??;
        Some((linker.graph, root))
    }

    fn push(&mut self, content: Type) -> Option<NodeId> {
        let id = NodeId(u32::try_from(self.nodes.len()).ok()?);
        self.nodes.push(content);
        self.widths.push(None);
        Some(id)
    }

    /// Widths are found here and not by a walk later, which could recurse as deeply as references go. A record that is
    /// still open has none, so neither has one that contains itself.
    fn finish(&mut self, id: NodeId) {
        let width = match self.get(id) {
            Type::Double => Some(8),
            Type::Fixed { size, .. } => Some(*size),
            Type::Float => Some(4),
            Type::Null => Some(0),
            Type::Record { types, .. } => {
                types.iter().try_fold(0_u64, |sum, id| Some(sum.saturating_add(self.width(*id)?)))
            }
            _ => None,
        };
        if let Some(slot) = self.widths.get_mut(id.index()) {
            *slot = width;
        }
        self.completed.push(id);
    }

    /// The bytes that every datum of this type takes, if it is always as many and any bytes will do. Such a type is
    /// passed over in one step, however many records it nests; it counts no level of depth.
    pub(super) fn width(&self, id: NodeId) -> Option<u64> {
        self.widths.get(id.index()).copied().flatten()
    }

    pub(super) fn get(&self, id: NodeId) -> &Type {
        self.nodes.get(id.index()).unwrap_or(&NOTHING)
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Nodes, each after all that it needs, its own ancestors apart.
    pub(super) fn completed(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.completed.iter().copied()
    }

    /// The name of a type in messages: its full name, or what kind it is.
    pub(super) fn name(&self, id: NodeId) -> &str {
        match self.get(id) {
            Type::Enum { name, .. } | Type::Fixed { name, .. } | Type::Record { name, .. } => name,
            other => other.kind(),
        }
    }
}

/// Turns the tree that a parser made into a graph; recursion is bounded as the document's nesting is.
struct Linker<'s> {
    graph: Graph,
    /// Records, enums and fixed types so far, records that are still open included.
    named: HashMap<&'s Name, NodeId>,
    /// One node for all uses of a primitive type.
    plain: HashMap<&'static str, NodeId>,
}

impl<'s> Linker<'s> {
    fn node(&mut self, schema: &'s Schema) -> Option<NodeId> {
        match schema {
            Schema::Array(array) => {
                let items = self.node(&array.items)?;
                self.add(Type::Array(items))
            }
            Schema::Boolean => self.primitive(Type::Boolean),
            Schema::Bytes => self.primitive(Type::Bytes),
            Schema::Double => self.primitive(Type::Double),
            Schema::Enum(each) => {
                let symbols = table(each.symbols.iter())?;
                let id = self.add(Type::Enum { name: name(&each.name)?, symbols })?;
                self.define(&each.name, id)
            }
            Schema::Fixed(fixed) => {
                let size = u64::try_from(fixed.size).ok()?;
                let id = self.add(Type::Fixed { name: name(&fixed.name)?, size })?;
                self.define(&fixed.name, id)
            }
            Schema::Float => self.primitive(Type::Float),
            Schema::Int => self.primitive(Type::Int),
            Schema::Long => self.primitive(Type::Long),
            Schema::Map(map) => {
                let values = self.node(&map.types)?;
                self.add(Type::Map(values))
            }
            Schema::Null => self.primitive(Type::Null),
            Schema::Record(record) => self.record(record),
            Schema::Ref { name } => self.named.get(name).copied(),
            Schema::String => self.primitive(Type::String),
            Schema::Union(union) => self.union(union.variants()),
            // Logical types do not get into a clean document.
            _ => None,
        }
    }

    /// Adds a record before its fields, because they may refer to it.
    fn record(&mut self, record: &'s RecordSchema) -> Option<NodeId> {
        let name = name(&record.name)?;
        let id =
            self.graph.push(Type::Record { name, fields: NameTable::EMPTY, types: Vec::new() });
        let id = self.define(&record.name, id?)?;
        let nodes: Option<_> = record.fields.iter().map(|field| self.node(&field.schema)).collect();
        if let Some(Type::Record { fields, types, .. }) = self.graph.nodes.get_mut(id.index()) {
            *fields = table(record.fields.iter().map(|field| &field.name))?;
            *types = nodes?;
        }
        self.graph.finish(id);
        Some(id)
    }

    fn union(&mut self, variants: &'s [Schema]) -> Option<NodeId> {
        let branches: Option<Vec<_>> = variants.iter().map(|branch| self.node(branch)).collect();
        let branches = branches?;
        let tags = branches.iter().map(|id| self.graph.name(*id).into()).collect();
        self.add(Type::Union { branches, tags: NameTable::new(tags)? })
    }

    fn primitive(&mut self, content: Type) -> Option<NodeId> {
        let kind = content.kind();
        if let Some(id) = self.plain.get(kind) {
            return Some(*id);
        }
        let id = self.add(content)?;
        self.plain.insert(kind, id);
        Some(id)
    }

    /// Adds a type whose parts are all there.
    fn add(&mut self, content: Type) -> Option<NodeId> {
        let id = self.graph.push(content)?;
        self.graph.finish(id);
        Some(id)
    }

    fn define(&mut self, name: &'s Name, id: NodeId) -> Option<NodeId> {
        self.named.insert(name, id);
        Some(id)
    }
}

fn name(name: &Name) -> Option<Box<str>> {
    unspelt(name.as_ref()).map(Into::into)
}

fn table<'n>(names: impl Iterator<Item = &'n String>) -> Option<NameTable> {
    let names: Option<_> = names.map(|name| unspelt(name).map(Into::into)).collect();
    NameTable::new(names?)
}

impl Type {
    /// The Avro word for what it is.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Array(_) => "array",
            Self::Boolean => "boolean",
            Self::Bytes => "bytes",
            Self::Double => "double",
            Self::Enum { .. } => "enum",
            Self::Fixed { .. } => "fixed",
            Self::Float => "float",
            Self::Int => "int",
            Self::Long => "long",
            Self::Map(_) => "map",
            Self::Null => "null",
            Self::Record { .. } => "record",
            Self::String => "string",
            Self::Union { .. } => "union",
        }
    }
}
