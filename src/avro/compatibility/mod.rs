//! Whether data of one schema can be read with another one: the specification's rules of schema resolution.
//!
//! Schemas are hostile, and they recurse: pairs of a reader's and a writer's type are found one after the other, each
//! once, and then those are struck out that cannot be read, until no more fall. What is left can be read. Nothing here
//! recurses, and the number of comparisons is bounded.

mod model;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
};

use self::model::{Field, Model, Place, Type};
use crate::{datum::SchemaFault, text::shown};

/// One reason why a reader's schema cannot read what a writer's schema wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatibility {
    /// Which rule is broken.
    pub kind: Rule,
    /// Where in the reader's schema: field names, or the name of its type.
    pub path: String,
    /// What was found on either side.
    pub detail: String,
}

/// The rules that can be broken, by the names that Java's library gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Fixed types differ in size.
    FixedSizeMismatch,
    /// The reader's enum has neither a symbol of the writer nor a default.
    MissingEnumSymbols,
    /// The reader's union has no branch for what the writer writes.
    MissingUnionBranch,
    /// Named types are called differently, and no alias says that they are the same.
    NameMismatch,
    /// The reader has a field that the writer lacks, and no default for it.
    ReaderFieldMissingDefaultValue,
    /// The types are different, and the one is not promoted to the other.
    TypeMismatch,
}

impl Rule {
    /// The name of the rule.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::FixedSizeMismatch => "FIXED_SIZE_MISMATCH",
            Self::MissingEnumSymbols => "MISSING_ENUM_SYMBOLS",
            Self::MissingUnionBranch => "MISSING_UNION_BRANCH",
            Self::NameMismatch => "NAME_MISMATCH",
            Self::ReaderFieldMissingDefaultValue => "READER_FIELD_MISSING_DEFAULT_VALUE",
            Self::TypeMismatch => "TYPE_MISMATCH",
        }
    }
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.kind.label(), self.path, self.detail)
    }
}

/// A schema document with those that it refers to, each after those that it needs itself.
#[derive(Debug, Clone, Copy)]
pub struct SchemaText<'a> {
    /// The document.
    pub text: &'a str,
    /// What it refers to.
    pub references: &'a [&'a str],
}

/// Why `reader` cannot read all that `writer` can write; empty where it can. At most sixteen reasons are named. Both must
/// have been parsed before: what is no schema, or past a bound, is not looked for here.
///
/// # Errors
/// [`SchemaFault`] when comparing them would take too long.
pub fn incompatibilities(
    reader: SchemaText<'_>,
    writer: SchemaText<'_>,
) -> Result<Vec<Incompatibility>, SchemaFault> {
    let (reader, reader_root) = Model::read(reader.text, reader.references)?;
    let (writer, writer_root) = Model::read(writer.text, writer.references)?;
    let mut pairs = Pairs::new(&reader, &writer);
    pairs.find(reader_root, writer_root)?;
    pairs.strike_out();
    Ok(pairs.reasons())
}

/// A reader's type and the writer's type that it must read.
type Pair = (Place, Place);

/// What one pair asks for.
#[derive(Debug, Default)]
struct Demand {
    /// What is wrong with the pair itself: where below it, and how.
    faults: Vec<(String, Rule, String)>,
    /// Pairs that it needs, each with the step that leads there.
    needs: Vec<(usize, String)>,
    /// Whether one of them is enough.
    any: bool,
    failed: bool,
}

struct Pairs<'a> {
    reader: &'a Model,
    writer: &'a Model,
    numbers: HashMap<Pair, usize>,
    pairs: Vec<Pair>,
    demands: Vec<Demand>,
    comparisons: usize,
}

impl<'a> Pairs<'a> {
    fn new(reader: &'a Model, writer: &'a Model) -> Self {
        let (numbers, pairs, demands) = (HashMap::new(), Vec::new(), Vec::new());
        Self { reader, writer, numbers, pairs, demands, comparisons: 0 }
    }

    /// Finds all pairs that the first one leads to, and what each asks for.
    fn find(&mut self, reader: Place, writer: Place) -> Result<(), SchemaFault> {
        self.number((reader, writer));
        while let Some(pair) = self.pairs.get(self.demands.len()).copied() {
            let demand = self.demand(pair);
            self.comparisons += 1 + demand.needs.len() + demand.faults.len();
            self.demands.push(demand);
            if self.comparisons > MAX_COMPARISONS {
                let what = "the schemas are too large to be compared";
                return Err(SchemaFault::new(what.to_owned()));
            }
        }
        Ok(())
    }

    fn number(&mut self, pair: Pair) -> usize {
        let next = self.pairs.len();
        let number = *self.numbers.entry(pair).or_insert(next);
        if number == next {
            self.pairs.push(pair);
        }
        number
    }

    fn need(&mut self, demand: &mut Demand, reader: Place, writer: Place, step: String) {
        demand.needs.push((self.number((reader, writer)), step));
    }

    fn demand(&mut self, (reader_place, writer_place): Pair) -> Demand {
        let mut demand = Demand::default();
        let (reader, writer) = (self.reader, self.writer);
        let (Some(ours), Some(theirs)) = (reader.get(reader_place), writer.get(writer_place))
        else {
            return demand;
        };
        match (ours, theirs) {
            // Each branch that was written must be read, whatever reads it.
            (_, Type::Union(branches)) => {
                for branch in branches {
                    self.need(&mut demand, reader_place, *branch, String::new());
                }
            }
            (Type::Union(branches), _) => {
                demand.any = true;
                for branch in branches {
                    self.need(&mut demand, *branch, writer_place, String::new());
                }
                let detail = format!("the reader's union has no branch for {}", quoted(theirs));
                demand.faults.push((String::new(), Rule::MissingUnionBranch, detail));
            }
            (Type::Array(ours), Type::Array(theirs)) => {
                self.need(&mut demand, *ours, *theirs, "[]".into());
            }
            (Type::Map(ours), Type::Map(theirs)) => {
                self.need(&mut demand, *ours, *theirs, "{}".into());
            }
            (Type::Primitive(ours), Type::Primitive(theirs)) if ours.reads(*theirs) => {}
            (Type::Fixed { .. }, Type::Fixed { .. }) => fixed(&mut demand, ours, theirs),
            (Type::Enum { .. }, Type::Enum { .. }) => {
                self.comparisons += symbols(&mut demand, ours, theirs);
            }
            (Type::Record { .. }, Type::Record { .. }) => self.record(&mut demand, ours, theirs),
            _ => demand.faults.push((String::new(), Rule::TypeMismatch, differ(ours, theirs))),
        }
        demand
    }

    fn record(&mut self, demand: &mut Demand, ours: &'a Type, theirs: &'a Type) {
        let Type::Record { fields, name, .. } = ours else { return };
        let Type::Record { fields: written, name: theirs, by_name } = theirs else { return };
        if !name.reads(theirs) {
            demand.faults.push((
                String::new(),
                Rule::NameMismatch,
                named(&name.full, &theirs.full),
            ));
        }
        for field in fields {
            self.comparisons += 1 + field.aliases.len();
            let names = std::iter::once(&field.name).chain(&field.aliases);
            let found: HashSet<usize> =
                names.filter_map(|name| by_name.get(name)).copied().collect();
            let step = format!(".{}", shown(field.name.as_bytes()));
            match (found.len(), found.iter().next().and_then(|at| written.get(*at))) {
                (1, Some(theirs)) => self.need(demand, field.place, theirs.place, step),
                (0, _) if field.has_default => {}
                (found, _) => demand.faults.push(missing(field, found, step)),
            }
        }
    }

    /// Strikes out pairs that cannot be read, and those that need them, until no more fall.
    fn strike_out(&mut self) {
        let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); self.demands.len()];
        let mut open: Vec<usize> = Vec::with_capacity(self.demands.len());
        let mut fallen = VecDeque::new();
        for (number, demand) in self.demands.iter_mut().enumerate() {
            for (need, _) in &demand.needs {
                if let Some(list) = needed_by.get_mut(*need) {
                    list.push(number);
                }
            }
            // How many of its needs may fall before it falls itself.
            open.push(if demand.any { demand.needs.len() } else { 1 });
            let falls =
                if demand.any { demand.needs.is_empty() } else { !demand.faults.is_empty() };
            if falls {
                demand.failed = true;
                fallen.push_back(number);
            }
        }
        while let Some(number) = fallen.pop_front() {
            for above in needed_by.get(number).into_iter().flatten() {
                let (Some(left), Some(demand)) =
                    (open.get_mut(*above), self.demands.get_mut(*above))
                else {
                    continue;
                };
                *left = left.saturating_sub(1);
                if *left == 0 && !demand.failed {
                    demand.failed = true;
                    fallen.push_back(*above);
                }
            }
        }
    }

    /// What is wrong, from the outside in, each pair once.
    fn reasons(&self) -> Vec<Incompatibility> {
        let mut reasons = Vec::new();
        let (mut seen, mut next) = (HashSet::from([0]), VecDeque::new());
        next.push_back((0, String::new()));
        while let Some((number, path)) = next.pop_front() {
            let Some(demand) = self.demands.get(number).filter(|demand| demand.failed) else {
                continue;
            };
            for (step, kind, detail) in &demand.faults {
                let path = self.path(number, &format!("{path}{step}"));
                reasons.push(Incompatibility { kind: *kind, path, detail: detail.clone() });
                if reasons.len() >= MAX_REASONS {
                    return reasons;
                }
            }
            if demand.any {
                continue;
            }
            for (need, step) in &demand.needs {
                if seen.insert(*need) {
                    next.push_back((*need, cut(format!("{path}{step}"))));
                }
            }
        }
        reasons
    }

    fn path(&self, number: usize, steps: &str) -> String {
        let root = self.pairs.first().and_then(|(reader, _)| self.reader.get(*reader));
        let here = self.pairs.get(number).and_then(|(reader, _)| self.reader.get(*reader));
        let from = if steps.is_empty() { here } else { root };
        format!("{}{steps}", from.map(|from| shown(from.name().as_bytes())).unwrap_or_default())
    }
}

fn fixed(demand: &mut Demand, ours: &Type, theirs: &Type) {
    let Type::Fixed { name, size } = ours else { return };
    let Type::Fixed { name: their_name, size: their_size } = theirs else { return };
    if !name.reads(their_name) {
        let detail = named(&name.full, &their_name.full);
        demand.faults.push((String::new(), Rule::NameMismatch, detail));
    }
    if size != their_size {
        let detail = format!("the reader has {size} bytes, the writer {their_size}");
        demand.faults.push((String::new(), Rule::FixedSizeMismatch, detail));
    }
}

/// How many symbols were compared.
fn symbols(demand: &mut Demand, ours: &Type, theirs: &Type) -> usize {
    let Type::Enum { name, symbols, default } = ours else { return 0 };
    let Type::Enum { name: their_name, symbols: written, .. } = theirs else { return 0 };
    if !name.reads(their_name) {
        let detail = named(&name.full, &their_name.full);
        demand.faults.push((String::new(), Rule::NameMismatch, detail));
    }
    let missing = written.iter().filter(|symbol| !symbols.contains(*symbol)).min();
    if let Some(missing) = missing.filter(|_| !default) {
        let missing = shown(missing.as_bytes());
        let detail = format!("the reader has neither the symbol \"{missing}\" nor a default");
        demand.faults.push((String::new(), Rule::MissingEnumSymbols, detail));
    }
    written.len()
}

fn missing(field: &Field, found: usize, step: String) -> (String, Rule, String) {
    let detail = if found > 1 {
        "several fields of the writer have names or aliases of the reader's field"
    } else if field.aliases.is_empty() {
        "the writer has no such field, and the reader no default for it"
    } else {
        "the writer has no field of its name or aliases, and the reader no default for it"
    };
    (step, Rule::ReaderFieldMissingDefaultValue, detail.to_owned())
}

fn differ(ours: &Type, theirs: &Type) -> String {
    format!("the reader has {}, the writer {}", quoted(ours), quoted(theirs))
}

fn named(ours: &str, theirs: &str) -> String {
    let (ours, theirs) = (shown(ours.as_bytes()), shown(theirs.as_bytes()));
    format!("the reader calls it \"{ours}\", the writer \"{theirs}\"")
}

fn quoted(named: &Type) -> String {
    let (kind, name) = (named.label(), named.name());
    if kind == name { kind.to_owned() } else { format!("{kind} \"{}\"", shown(name.as_bytes())) }
}

/// A path in words: its end says more than its beginning.
fn cut(path: String) -> String {
    if path.len() <= MAX_PATH_BYTES {
        return path;
    }
    let from = (path.len() - MAX_PATH_BYTES..path.len()).find(|at| path.is_char_boundary(*at));
    format!("…{}", from.and_then(|from| path.get(from..)).unwrap_or_default())
}

/// Pairs, fields, branches and symbols that are looked at: some seconds.
const MAX_COMPARISONS: usize = 2_000_000;
/// Reasons that are named.
const MAX_REASONS: usize = 16;
/// Bytes of a path.
const MAX_PATH_BYTES: usize = 512;
