//! What a value may be: how it is read, and the same as data, of which the JSON Schema and the reference are made.

use std::time::Duration;

use super::node::Value;

/// A way to read a value, and what it takes.
#[derive(Debug, Clone)]
pub(super) struct Kind<F> {
    shape: Shape,
    read: F,
}

impl<F> Kind<F> {
    /// Values of `shape`, as `read` reads them.
    pub(super) fn new<T>(shape: Shape, read: F) -> Self
    where
        F: Fn(&Value) -> Result<T, String>,
    {
        Self { shape, read }
    }

    /// What it takes.
    pub(super) fn shape(&self) -> Shape {
        self.shape.clone()
    }

    /// What `value` is, or what is wrong with it.
    pub(super) fn read<T>(&self, value: &Value) -> Result<T, String>
    where
        F: Fn(&Value) -> Result<T, String>,
    {
        (self.read)(value)
    }
}

/// What a key takes. Null is taken everywhere but in lists, and means that the key is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// true or false.
    Bool,
    /// Text of a form.
    Text(Form),
    /// A whole number.
    Integer { least: i128, most: i128 },
    /// Bytes: a number, or text with a unit.
    Size { least: usize, most: usize },
    /// Text with a unit, or 0.
    Duration { least: Duration, most: Duration },
    /// A number, or two with a hyphen between them.
    Range { what: &'static str, most: i128 },
    /// One of these.
    Words(Vec<&'static str>),
    /// A mapping whose keys are asked for one by one.
    Mapping,
    /// A list.
    List(Box<Shape>),
    /// One or the other.
    Either(Box<Shape>, Box<Shape>),
}

/// A form that text has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    /// In words.
    pub(super) what: &'static str,
    /// As a regular expression of ECMA-262. It takes whatever is taken when it is read; not all that it takes is.
    pub(super) pattern: &'static str,
}

impl Shape {
    /// A list of these.
    pub(super) fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }
}
