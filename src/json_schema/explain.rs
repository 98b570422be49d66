//! Why a value does not match its schema, in words: of the schema and of positions, never of the value.

use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind},
};
use serde_json::Value;

use super::{
    fault::{self, Names, Segment},
    tree::{At, Kind, ROOT, Tree},
};
use crate::{
    datum::{DatumError, cut},
    text::shown,
};

/// The error for the caller.
pub(super) fn explain(
    tree: &Tree<'_>,
    names: &Names,
    found: &ValidationError<'_>,
) -> Box<DatumError> {
    let (found, branch) = innermost(found);
    let (mut at, mut path) = follow(tree, found.instance_path().as_str());
    let unexpected = match found.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected.first(),
        _ => None,
    };
    if let Some((value, segment)) = unexpected.and_then(|name| member(tree, at, name)) {
        at = value;
        path.push(segment);
    }
    let detail = describe(found.kind(), tree.kind(at));
    let detail = branch.map_or_else(|| detail.clone(), |of| format!("{detail} ({of})"));
    fault::error(tree, at, &path, names, detail)
}

/// Where several schemas are offered, the reader wants to know what is wrong with the one that was meant. That is clear
/// when all others are of another type.
fn innermost<'e>(
    mut error: &'e ValidationError<'e>,
) -> (&'e ValidationError<'e>, Option<&'static str>) {
    let mut branch = None;
    loop {
        let (context, name) = match error.kind() {
            ValidationErrorKind::AnyOf { context } => {
                (context, "the branch of anyOf that comes closest")
            }
            ValidationErrorKind::OneOfNotValid { context } => {
                (context, "the branch of oneOf that comes closest")
            }
            _ => return (error, branch),
        };
        let here = error.instance_path();
        let first = context.iter().filter_map(|errors| errors.first());
        let mut meant = first.filter(|first| {
            let other = matches!(first.kind(), ValidationErrorKind::Type { .. });
            !(other && first.instance_path() == here)
        });
        match (meant.next(), meant.next()) {
            (Some(inner), None) if context.len() > 1 => {
                error = inner;
                branch = Some(name);
            }
            _ => return (error, branch),
        }
    }
}

/// The value that a JSON pointer leads to, and the path there.
fn follow<'t>(tree: &Tree<'t>, pointer: &str) -> (At, Vec<Segment<'t>>) {
    let (mut at, mut path) = (ROOT, Vec::new());
    for segment in pointer.split('/').skip(1) {
        let next = if tree.kind(at) == Kind::Array {
            let index = segment.parse().ok();
            let item = index.and_then(|index: u32| tree.items(at).nth(index as usize));
            item.zip(index).map(|(item, index)| (item, Segment::Item(index)))
        } else {
            member(tree, at, &segment.replace("~1", "/").replace("~0", "~"))
        };
        let Some((next, segment)) = next else { break };
        at = next;
        path.push(segment);
    }
    (at, path)
}

/// The member `name` of an object, and its part of a path.
fn member<'t>(tree: &Tree<'t>, at: At, name: &str) -> Option<(At, Segment<'t>)> {
    if tree.kind(at) != Kind::Object {
        return None;
    }
    let found = (0_u32..).zip(tree.members(at)).find(|(_, (key, _))| tree.quoted(*key).is(name));
    found.map(|(index, (key, value))| (value, Segment::Member(index, tree.quoted(key))))
}

/// What is wrong. `found` is what stands there.
fn describe(kind: &ValidationErrorKind, found: Kind) -> String {
    use ValidationErrorKind as Is;
    match kind {
        Is::Type { kind } => format!("expected {}, found {}", expected(kind), named(found)),
        Is::Required { property } => format!("required property {} is missing", value(property)),
        Is::AdditionalProperties { unexpected } => {
            unexpected_properties("additionalProperties", unexpected.len())
        }
        Is::UnevaluatedProperties { unexpected } => {
            unexpected_properties("unevaluatedProperties", unexpected.len())
        }
        Is::FalseSchema => "the schema allows nothing here".to_owned(),
        Is::Enum { options } => one_of(options),
        Is::Constant { expected_value } => format!("expected {} (const)", value(expected_value)),
        Is::Format { format } => format!("is no {} (format)", name(format)),
        Is::Pattern { pattern } => format!("does not match {} (pattern)", quoted(pattern)),
        Is::AnyOf { context } => format!("matches none of the {} schemas of anyOf", context.len()),
        Is::OneOfNotValid { context } => {
            format!("matches none of the {} schemas of oneOf", context.len())
        }
        Is::OneOfMultipleValid { .. } => "matches more than one schema of oneOf".to_owned(),
        Is::Not { .. } => "matches the schema of not".to_owned(),
        Is::PropertyNames { error } => {
            format!("name of a property: {} (propertyNames)", describe(error.kind(), Kind::String))
        }
        Is::Contains => "no item, too few or too many items match contains".to_owned(),
        Is::UniqueItems => "two items are equal (uniqueItems)".to_owned(),
        Is::UnevaluatedItems { .. } => {
            "has items that the schema does not know (unevaluatedItems)".to_owned()
        }
        Is::AdditionalItems { limit } => format!("more than {limit} items (additionalItems)"),
        _ => bound(kind),
    }
}

/// What is wrong with a number or a size.
fn bound(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as Is;
    match kind {
        Is::Minimum { limit } => format!("below {} (minimum)", value(limit)),
        Is::Maximum { limit } => format!("above {} (maximum)", value(limit)),
        Is::ExclusiveMinimum { limit } => format!("not above {} (exclusiveMinimum)", value(limit)),
        Is::ExclusiveMaximum { limit } => format!("not below {} (exclusiveMaximum)", value(limit)),
        Is::MultipleOf { multiple_of } => format!("no multiple of {multiple_of} (multipleOf)"),
        Is::MinLength { limit } => format!("shorter than {limit} characters (minLength)"),
        Is::MaxLength { limit } => format!("longer than {limit} characters (maxLength)"),
        Is::MinItems { limit } => format!("fewer than {limit} items (minItems)"),
        Is::MaxItems { limit } => format!("more than {limit} items (maxItems)"),
        Is::MinProperties { limit } => format!("fewer than {limit} properties (minProperties)"),
        Is::MaxProperties { limit } => format!("more than {limit} properties (maxProperties)"),
        other => format!("does not match {}", quoted(other.keyword())),
    }
}

fn unexpected_properties(keyword: &str, count: usize) -> String {
    match count {
        0 | 1 => format!("property that the schema does not know ({keyword})"),
        _ => format!("first of {count} properties that the schema does not know ({keyword})"),
    }
}

fn expected(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(kind) => with_article(kind.as_str()),
        TypeKind::Multiple(kinds) => {
            let kinds: Vec<_> = kinds.iter().map(|kind| with_article(kind.as_str())).collect();
            kinds.join(" or ")
        }
    }
}

fn with_article(kind: &str) -> String {
    match kind {
        "null" => kind.to_owned(),
        "array" | "integer" | "object" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

const fn named(kind: Kind) -> &'static str {
    match kind {
        Kind::Array => "an array",
        Kind::Boolean => "a boolean",
        Kind::Null => "null",
        Kind::Number => "a number",
        Kind::Object => "an object",
        Kind::String => "a string",
    }
}

/// Options that are named.
const SHOWN_OPTIONS: usize = 8;

fn one_of(options: &Value) -> String {
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let shown: Vec<_> = options.iter().take(SHOWN_OPTIONS).map(value).collect();
    let more = options.len().saturating_sub(SHOWN_OPTIONS);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("expected one of {}{more} (enum)", shown.join(", "))
}

/// A value of the schema.
fn value(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
        simple => simple.to_string(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", name(text))
}

fn name(text: &str) -> String {
    shown(cut(text).as_bytes())
}
