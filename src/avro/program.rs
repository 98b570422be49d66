//! Compiles a [`Graph`] into flat steps for the binary check: no names, adjacent fixed-width fields fused into one step.

use super::graph::{Graph, NodeId, Type};

/// The steps of a schema. `Target`s and unions refer to ranges of the two lists.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step<Target>>,
    pub(super) branches: Vec<Target>,
    pub(super) root: Target,
}

/// One step of the check; `AndSkip` is the same with so many bytes behind it, whatever they are. `T` says where to go on: a [`Goal`] while compiling, then a [`Target`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<T> {
    Array(T),
    /// An array whose items all take so many bytes, whatever they are.
    ArrayOfFixed(u64),
    Boolean,
    BooleanAndSkip(u64),
    Bytes,
    BytesAndSkip(u64),
    Call(T),
    /// An index below the number of symbols.
    Enum(u32),
    Int,
    IntAndSkip(u64),
    Long,
    LongAndSkip(u64),
    Map(T),
    /// A record that consists of nothing but itself: no datum of it is finite.
    Never,
    /// The branch of a union of null, which this byte means, and a type whose one step follows and is for that branch.
    Optional(u8),
    /// A union of null, which this byte means, and a record.
    OptionalCall(u8, T),
    /// So many bytes, whatever they are.
    Skip(u64),
    String,
    StringAndSkip(u64),
    /// A branch index below `count`; the branches stand from `first` on.
    Union {
        first: u32,
        count: u32,
    },
}

/// Steps to run, and the levels of depth that this adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) levels: u16,
    /// Whether there are some, and none of them leads to other steps.
    pub(super) flat: bool,
}

/// A type whose steps may not exist yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Goal {
    node: NodeId,
    levels: u32,
}

impl Program {
    /// Compiles the part of `graph` that `root` is. `None` when there are more steps than can be numbered.
    pub(super) fn compile(graph: &Graph, root: NodeId) -> Option<Self> {
        let mut compiler = Compiler {
            graph,
            steps: Vec::new(),
            branches: Vec::new(),
            blocks: vec![(0, 0); graph.len()],
            detours: vec![None; graph.len()],
        };
        for node in graph.completed() {
            compiler.node(node)?;
        }
        let root = compiler.goal(root);
        Some(compiler.link(root))
    }
}

struct Compiler<'g> {
    graph: &'g Graph,
    steps: Vec<Step<Goal>>,
    branches: Vec<Goal>,
    /// Range of steps of each node.
    blocks: Vec<(u32, u32)>,
    /// Where a record that consists of one other record leads to. Without these, a datum could cost hundreds of calls a
    /// byte.
    detours: Vec<Option<Goal>>,
}

impl Compiler<'_> {
    /// Appends the steps of one node, all of whose parts are compiled, its own ancestors apart.
    fn node(&mut self, node: NodeId) -> Option<()> {
        let start = self.steps.len();
        match self.graph.get(node) {
            Type::Record { types, .. } => {
                types.iter().for_each(|field| self.part(start, *field));
                self.shorten(node, start);
            }
            other if self.optional(other) => {}
            other => {
                let step = self.step(node, other)?;
                self.push(start, step);
            }
        }
        let range = (u32::try_from(start).ok()?, u32::try_from(self.steps.len()).ok()?);
        if let Some(block) = self.blocks.get_mut(node.index()) {
            *block = range;
        }
        Some(())
    }

    /// The one step of a type that is no record.
    fn step(&mut self, node: NodeId, content: &Type) -> Option<Step<Goal>> {
        if let Some(width) = self.graph.width(node) {
            return Some(Step::Skip(width));
        }
        Some(match content {
            Type::Array(items) => match self.graph.width(*items) {
                Some(width) => Step::ArrayOfFixed(width),
                None => Step::Array(self.goal(*items)),
            },
            Type::Boolean => Step::Boolean,
            Type::Bytes => Step::Bytes,
            Type::Enum { symbols, .. } => Step::Enum(u32::try_from(symbols.len()).ok()?),
            Type::Int => Step::Int,
            Type::Long => Step::Long,
            Type::Map(values) => Step::Map(self.goal(*values)),
            Type::String => Step::String,
            Type::Union { branches, .. } => {
                let first = u32::try_from(self.branches.len()).ok()?;
                let goals = branches.iter().map(|branch| self.goal(*branch));
                let goals: Vec<Goal> = goals.collect();
                self.branches.extend(goals);
                Step::Union { first, count: u32::try_from(branches.len()).ok()? }
            }
            // These have a width.
            Type::Double | Type::Fixed { .. } | Type::Float | Type::Null | Type::Record { .. } => {
                Step::Never
            }
        })
    }

    /// Appends the steps of a union of null and another type that has one step. False if it is none.
    fn optional(&mut self, content: &Type) -> bool {
        let Type::Union { branches, .. } = content else { return false };
        let is_null = |node: &NodeId| matches!(self.graph.get(*node), Type::Null);
        // Indices are zigzag: branch 1 is byte 2.
        let (null, other) = match branches[..] {
            [first, second] if is_null(&first) => (0, second),
            [first, second] if is_null(&second) => (2, first),
            _ => return false,
        };
        if self.graph.width(other).is_none()
            && let Type::Record { .. } = self.graph.get(other)
        {
            let goal = self.goal(other);
            // The union is a level, too.
            let goal = Goal { levels: goal.levels.saturating_add(1), ..goal };
            self.steps.push(Step::OptionalCall(null, goal));
            return true;
        }
        match *self.block(other) {
            [step] if step.is_leaf() => self.steps.extend([Step::Optional(null), step]),
            _ => return false,
        }
        true
    }

    /// The steps of a node that is compiled.
    fn block(&self, node: NodeId) -> &[Step<Goal>] {
        let (start, end) = self.blocks.get(node.index()).copied().unwrap_or_default();
        self.steps.get(position(start)..position(end)).unwrap_or_default()
    }

    /// Appends what a field adds to the record that starts at `start`.
    fn part(&mut self, start: usize, field: NodeId) {
        if let Some(width) = self.graph.width(field) {
            self.push(start, Step::Skip(width));
        } else if matches!(self.graph.get(field), Type::Record { .. }) {
            self.push(start, Step::Call(self.goal(field)));
        } else {
            match *self.block(field) {
                [step] => self.push(start, step),
                [optional, step] => self.steps.extend([optional, step]),
                _ => self.steps.push(Step::Never),
            }
        }
    }

    /// Appends a step to the block that starts at `start`; what takes no bytes needs none.
    fn push(&mut self, start: usize, step: Step<Goal>) {
        if step == Step::Skip(0) {
            return;
        }
        let before = self.steps.get_mut(start..).unwrap_or_default();
        match (step, before) {
            // The last one is for a branch only.
            (Step::Skip(_), [.., Step::Optional(_), _]) => self.steps.push(step),
            (Step::Skip(width), [.., last]) => match last.and_skip(width) {
                Some(both) => *last = both,
                None => self.steps.push(step),
            },
            _ => self.steps.push(step),
        }
    }

    /// A record of nothing but another record leads straight to that one; of nothing but itself, to nowhere.
    fn shorten(&mut self, node: NodeId, start: usize) {
        let Some([Step::Call(goal)]) = self.steps.get(start..) else { return };
        let goal = *goal;
        if goal.node == node {
            self.steps.truncate(start);
            self.steps.push(Step::Never);
        } else if let Some(detour) = self.detours.get_mut(node.index()) {
            *detour = Some(Goal { levels: goal.levels.saturating_add(1), ..goal });
        }
    }

    fn goal(&self, node: NodeId) -> Goal {
        if let Some(Some(detour)) = self.detours.get(node.index()) {
            return *detour;
        }
        let record = matches!(self.graph.get(node), Type::Record { .. });
        let counts = record && self.graph.width(node).is_none();
        Goal { node, levels: u32::from(counts) }
    }

    fn link(self, root: Goal) -> Program {
        // Once for each node: a wide record may be referred to from everywhere.
        let is_flat = |&(start, end): &(u32, u32)| {
            let steps = self.steps.get(position(start)..position(end)).unwrap_or_default();
            !steps.is_empty() && steps.iter().all(Step::is_flat)
        };
        let flat: Vec<bool> = self.blocks.iter().map(is_flat).collect();
        let target = |goal: Goal| {
            let (start, end) = self.blocks.get(goal.node.index()).copied().unwrap_or_default();
            // More levels than a datum may have are no different from one more than it may have.
            let levels = u16::try_from(goal.levels).unwrap_or(u16::MAX);
            let flat = flat.get(goal.node.index()).copied().unwrap_or_default();
            Target { start, end, levels, flat }
        };
        Program {
            steps: self.steps.iter().map(|step| step.map(target)).collect(),
            branches: self.branches.iter().copied().map(target).collect(),
            root: target(root),
        }
    }
}

impl<T: Copy> Step<T> {
    /// Whether it leads to no other steps.
    const fn is_leaf(&self) -> bool {
        matches!(
            self,
            Self::Boolean
                | Self::Bytes
                | Self::Enum(_)
                | Self::Int
                | Self::Long
                | Self::Skip(_)
                | Self::String
        )
    }

    /// Whether it leads to no others than the one that follows it.
    const fn is_flat(&self) -> bool {
        !matches!(
            self,
            Self::Array(_)
                | Self::ArrayOfFixed(_)
                | Self::Call(_)
                | Self::Map(_)
                | Self::OptionalCall(..)
                | Self::Union { .. }
        )
    }

    /// The same with so many bytes behind it; `None` where that takes a step of its own.
    const fn and_skip(self, more: u64) -> Option<Self> {
        Some(match self {
            Self::Boolean => Self::BooleanAndSkip(more),
            Self::BooleanAndSkip(width) => Self::BooleanAndSkip(width.saturating_add(more)),
            Self::Bytes => Self::BytesAndSkip(more),
            Self::BytesAndSkip(width) => Self::BytesAndSkip(width.saturating_add(more)),
            Self::Int => Self::IntAndSkip(more),
            Self::IntAndSkip(width) => Self::IntAndSkip(width.saturating_add(more)),
            Self::Long => Self::LongAndSkip(more),
            Self::LongAndSkip(width) => Self::LongAndSkip(width.saturating_add(more)),
            Self::Skip(width) => Self::Skip(width.saturating_add(more)),
            Self::String => Self::StringAndSkip(more),
            Self::StringAndSkip(width) => Self::StringAndSkip(width.saturating_add(more)),
            _ => return None,
        })
    }

    fn map<U>(self, target: impl Fn(T) -> U) -> Step<U> {
        match self {
            Self::Array(items) => Step::Array(target(items)),
            Self::ArrayOfFixed(width) => Step::ArrayOfFixed(width),
            Self::Boolean => Step::Boolean,
            Self::BooleanAndSkip(width) => Step::BooleanAndSkip(width),
            Self::Bytes => Step::Bytes,
            Self::BytesAndSkip(width) => Step::BytesAndSkip(width),
            Self::Call(record) => Step::Call(target(record)),
            Self::Enum(count) => Step::Enum(count),
            Self::Int => Step::Int,
            Self::IntAndSkip(width) => Step::IntAndSkip(width),
            Self::Long => Step::Long,
            Self::LongAndSkip(width) => Step::LongAndSkip(width),
            Self::Map(values) => Step::Map(target(values)),
            Self::Never => Step::Never,
            Self::Optional(null) => Step::Optional(null),
            Self::OptionalCall(null, record) => Step::OptionalCall(null, target(record)),
            Self::Skip(width) => Step::Skip(width),
            Self::String => Step::String,
            Self::StringAndSkip(width) => Step::StringAndSkip(width),
            Self::Union { first, count } => Step::Union { first, count },
        }
    }
}

pub(super) fn position(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
