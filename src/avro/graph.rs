//! A schema as it was written: named types and fields, linked by index, so that recursion is a cycle of numbers.
//!
//! The binary check runs on the program that is compiled from this; the JSON check and the explanation of a failure
//! need the names and walk the graph itself.

use super::names::NameTable;

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
    /// Adds a type whose parts are all there. `None` after four billion.
    pub(super) fn add(&mut self, content: Type) -> Option<NodeId> {
        let id = self.push(content)?;
        self.finish(id);
        Some(id)
    }

    /// Adds a record before its fields are read, because they may refer to it.
    pub(super) fn open_record(&mut self, name: &str) -> Option<NodeId> {
        let name = name.into();
        self.push(Type::Record { name, fields: NameTable::EMPTY, types: Vec::new() })
    }

    /// Gives an opened record its fields.
    pub(super) fn complete_record(&mut self, id: NodeId, names: NameTable, nodes: Vec<NodeId>) {
        if let Some(Type::Record { fields, types, .. }) = self.nodes.get_mut(id.index()) {
            *fields = names;
            *types = nodes;
            self.finish(id);
        }
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
