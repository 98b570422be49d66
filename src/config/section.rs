//! Reads a mapping key by key. Mistakes are noted and reading goes on, so that all of them come at once.

use super::{
    error::Origin,
    kind::{Form, Kind, Shape},
    nearest::nearest,
    node::{Entry, Node, Value},
    notes::Notes,
    redact::redacted,
};

/// A value with the place where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Located<T> {
    pub(super) origin: Origin,
    pub(super) value: T,
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given<T> {
    /// Nothing, or null.
    Absent,
    /// Something that does not parse; noted already.
    Faulty,
    /// A value.
    Value(Located<T>),
}

impl<T> Given<T> {
    pub(super) fn located(self) -> Option<Located<T>> {
        match self {
            Self::Value(located) => Some(located),
            Self::Absent | Self::Faulty => None,
        }
    }

    pub(super) fn value(self) -> Option<T> {
        self.located().map(|located| located.value)
    }
}

/// A value, or a list of mappings in its place.
#[derive(Debug)]
pub(super) enum ValueOrSections<'n, T> {
    Value(T),
    Sections(Vec<Section<'n>>),
}

/// A mapping that is being read. [`Section::finish`] must be called: it finds the keys that nobody asked for.
#[derive(Debug)]
pub(super) struct Section<'n> {
    notes: &'n Notes,
    path: String,
    origin: Origin,
    entries: Vec<Entry>,
    asked: Vec<&'static str>,
}

impl<'n> Section<'n> {
    /// The mapping `node` at `path`; anything else than a mapping or nothing is a mistake.
    pub(super) fn new(node: Node, path: String, notes: &'n Notes) -> Self {
        let entries = match node.value {
            Value::Map(entries) => entries,
            Value::Null => Vec::new(),
            other => {
                notes.fail(&node.origin, &path, wanted("a mapping", &other));
                Vec::new()
            }
        };
        Self { notes, path, origin: node.origin, entries, asked: Vec::new() }
    }

    /// Whether the files that are named shall be read.
    pub(super) fn reads_files(&self) -> bool {
        self.notes.reads_files()
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The full path of `key`.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a mistake about this mapping as a whole.
    pub(super) fn fail_here(&self, message: &str) {
        self.notes.fail(&self.origin, &self.path, message);
    }

    /// Whether a mistake about `key`, or below it, is noted already.
    pub(super) fn is_faulty(&self, key: &str) -> bool {
        self.notes.is_faulty(&self.key(key))
    }

    /// Notes a mistake about `key`.
    pub(super) fn fail(&self, origin: &Origin, key: &str, message: impl Into<String>) {
        self.notes.fail(origin, &self.key(key), message);
    }

    /// Notes what is wrong with a file that `key` names and that is read again while the proxy runs.
    pub(super) fn fail_later(&self, origin: &Origin, key: &str, message: impl Into<String>) {
        self.notes.fail_later(origin, &self.key(key), message);
    }

    /// Says that what this mapping describes cannot do without `key`, which was asked for.
    pub(super) fn needs(&self, key: &str) {
        self.notes.needs(&self.key(key));
    }

    /// Takes the node of `key`, of which `shape` is expected; `None` where there is none or null.
    fn take(&mut self, key: &'static str, shape: Shape) -> Option<Node> {
        self.asked.push(key);
        let path = self.key(key);
        self.notes.ask(&path, shape);
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        let Entry { origin, node, .. } = self.entries.remove(at);
        let null = node.value == Value::Null;
        // What the environment has put in place of a value stands where the key is not.
        let origin =
            if matches!(node.origin, Origin::Variable(_)) { &node.origin } else { &origin };
        self.notes.given(path, origin.clone(), null);
        (!null).then_some(node)
    }

    /// The mapping under `key`, empty where there is none.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'n> {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        let origin = entry.map_or_else(|| self.file(), |entry| entry.origin.clone());
        let node = self.take(key, Shape::Mapping);
        let value = node.map_or(Value::Null, |node| node.value);
        Section::new(Node { origin, value }, self.key(key), self.notes)
    }

    /// The mapping under `key`, if it is there. `Err`: it is something else, which is noted.
    pub(super) fn mapping(&mut self, key: &'static str) -> Result<Option<Section<'n>>, ()> {
        let node = self.take(key, Shape::Mapping).or_else(|| self.surveyed());
        let Some(node) = node else { return Ok(None) };
        let is_mapping = matches!(node.value, Value::Map(_));
        let child = Section::new(node, self.key(key), self.notes);
        if is_mapping { Ok(Some(child)) } else { Err(()) }
    }

    /// An empty mapping, where keys are to be found out.
    fn surveyed(&self) -> Option<Node> {
        let node = Node { origin: self.origin.clone(), value: Value::Map(Vec::new()) };
        self.notes.surveys().then_some(node)
    }

    /// The mappings of the list under `key`.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'n>> {
        let Some(node) = self.take(key, Shape::list(Shape::Mapping)) else {
            return self.items(key, self.surveyed().into_iter().collect());
        };
        let Value::List(items) = node.value else {
            self.fail(&node.origin, key, wanted("a list", &node.value));
            return Vec::new();
        };
        self.items(key, items)
    }

    fn items(&self, key: &str, items: Vec<Node>) -> Vec<Section<'n>> {
        let path = self.key(key);
        let section = |(at, item)| Section::new(item, format!("{path}[{at}]"), self.notes);
        items.into_iter().enumerate().map(section).collect()
    }

    /// What `key` holds: mappings in a list that is not empty, or else a value of `kind`.
    pub(super) fn value_or_sections<T>(
        &mut self,
        key: &'static str,
        kind: Kind<impl Fn(&Value) -> Result<T, String>>,
    ) -> Given<ValueOrSections<'n, T>> {
        let list = Shape::list(Shape::Mapping);
        let shape = Shape::Either(Box::new(kind.shape()), Box::new(list));
        match self.take(key, shape) {
            None => match self.surveyed() {
                None => Given::Absent,
                Some(item) => {
                    let value = ValueOrSections::Sections(self.items(key, vec![item]));
                    Given::Value(Located { origin: self.origin.clone(), value })
                }
            },
            Some(Node { origin, value: Value::List(items) }) if !items.is_empty() => {
                let value = ValueOrSections::Sections(self.items(key, items));
                Given::Value(Located { origin, value })
            }
            Some(node) => match self.read(key, node, kind) {
                Given::Value(Located { origin, value }) => {
                    Given::Value(Located { origin, value: ValueOrSections::Value(value) })
                }
                Given::Absent => Given::Absent,
                Given::Faulty => Given::Faulty,
            },
        }
    }

    /// What `key` holds, of `kind`.
    pub(super) fn given<T>(
        &mut self,
        key: &'static str,
        kind: Kind<impl Fn(&Value) -> Result<T, String>>,
    ) -> Given<T> {
        match self.take(key, kind.shape()) {
            Some(node) => self.read(key, node, kind),
            None => Given::Absent,
        }
    }

    fn read<T>(
        &self,
        key: &str,
        Node { origin, value }: Node,
        kind: Kind<impl Fn(&Value) -> Result<T, String>>,
    ) -> Given<T> {
        match kind.read(&value) {
            Ok(value) => Given::Value(Located { origin, value }),
            Err(message) => {
                self.fail(&origin, key, message);
                Given::Faulty
            }
        }
    }

    /// What `key` holds, or `default`.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        kind: Kind<impl Fn(&Value) -> Result<T, String>>,
    ) -> T {
        self.given(key, kind).value().unwrap_or(default)
    }

    /// What each item of the list under `key` holds; those that do not parse are left out, and noted.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        kind: Kind<impl Fn(&Value) -> Result<T, String>>,
    ) -> Given<Vec<Located<T>>> {
        let Some(node) = self.take(key, Shape::list(kind.shape())) else { return Given::Absent };
        self.items_of(key, node, kind)
    }

    /// The same, or one text with commas between the items, as clients of Kafka have it; it is of the form `commas`.
    pub(super) fn list_or_commas<T>(
        &mut self,
        key: &'static str,
        kind: Kind<impl Fn(&Value) -> Result<T, String>>,
        commas: Form,
    ) -> Given<Vec<Located<T>>> {
        let list = Shape::list(kind.shape());
        let shape = Shape::Either(Box::new(list), Box::new(Shape::Text(commas)));
        let Some(mut node) = self.take(key, shape) else { return Given::Absent };
        if let Value::Text(text) = &node.value {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            let item = |part: &str| {
                let value = Value::Text(part.to_owned());
                Node { origin: node.origin.clone(), value }
            };
            let items: Vec<_> = parts.map(item).collect();
            if items.is_empty() {
                self.fail(&node.origin, key, wanted(commas.what, &node.value));
                return Given::Faulty;
            }
            node.value = Value::List(items);
        }
        self.items_of(key, node, kind)
    }

    fn items_of<T>(
        &self,
        key: &str,
        node: Node,
        kind: Kind<impl Fn(&Value) -> Result<T, String>>,
    ) -> Given<Vec<Located<T>>> {
        let Value::List(items) = node.value else {
            self.fail(&node.origin, key, wanted("a list", &node.value));
            return Given::Faulty;
        };
        let wanted = items.len();
        let parsed: Vec<_> = items
            .into_iter()
            .enumerate()
            .filter_map(|(at, item)| match kind.read(&item.value) {
                Ok(value) => Some(Located { origin: item.origin, value }),
                Err(message) => {
                    self.fail(&item.origin, &format!("{key}[{at}]"), message);
                    None
                }
            })
            .collect();
        if parsed.len() < wanted {
            return Given::Faulty;
        }
        Given::Value(Located { origin: node.origin, value: parsed })
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self) {
        for entry in &self.entries {
            let hint = match nearest(&entry.key, &self.asked) {
                Some(known) => format!(", did you mean {known}"),
                None if self.asked.is_empty() => String::new(),
                None => format!(", known here: {}", self.asked.join(", ")),
            };
            let key = crate::text::shown(entry.key.as_bytes());
            self.fail(&entry.origin, &key, format!("unknown key{hint}"));
        }
    }

    fn file(&self) -> Origin {
        match &self.origin {
            Origin::Line(path, _) => Origin::File(path.clone()),
            other => other.clone(),
        }
    }
}

/// "must be …, found …".
pub(super) fn wanted(what: &str, found: &Value) -> String {
    let found = match found {
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => format!("\"{}\"", crate::text::shown(redacted(text).as_bytes())),
        other => other.kind().to_owned(),
    };
    format!("must be {what}, found {found}")
}
