//! How many ways lead from a schema that asks for what others left over (`unevaluatedProperties`, `unevaluatedItems`) to
//! those others, which look at the same place of a value. The compiler goes all of them, by itself and without asking us.
//!
//! So they are counted before, by going them, up to a bound. Where a reference leads is not worked out: it may lead to
//! every schema that has its pointer, anchor or name in any of the documents, so that there are never fewer ways for the
//! compiler.

use std::collections::HashMap;

use serde_json::Value;

use super::keywords::{Place, REFERENCES, percent_decoded, place};
use crate::datum::SchemaFault;

/// Steps that all of these ways may have.
const MAX_STEPS: usize = 100_000;
/// Steps of one way: the compiler goes it recursively.
const MAX_LENGTH: usize = 128;
/// Schemas with an `$id` in one another: each is a root for the pointers to all that is in it.
const MAX_RESOURCES: usize = 8;

/// Refuses documents with too many or too long ways.
pub(super) fn check<'v>(
    documents: impl Iterator<Item = (&'v str, &'v Value)>,
) -> Result<(), SchemaFault> {
    let mut map = Map::default();
    for (name, document) in documents {
        map.name(name, map.schemas.len());
        map.add(document, &[String::new()]);
    }
    if map.too_nested {
        let detail = format!("schemas with an $id nest more than {MAX_RESOURCES} levels");
        return Err(SchemaFault::new(detail));
    }
    let mut left = MAX_STEPS;
    let asking: Vec<_> = (0..).zip(&map.schemas).filter(|(_, it)| it.asks).collect();
    asking.into_iter().try_for_each(|(index, _)| map.go_all_ways(index, &mut left))
}

/// All schemas of the documents.
#[derive(Default)]
struct Map<'v> {
    schemas: Vec<Schema<'v>>,
    /// Which have a pointer, `#anchor` or name.
    known: HashMap<String, Vec<usize>>,
    too_nested: bool,
}

#[derive(Default)]
struct Schema<'v> {
    /// Whether it asks for what others left over.
    asks: bool,
    /// Schemas in it that look at the same place.
    inner: Vec<usize>,
    references: Vec<&'v str>,
}

impl<'v> Map<'v> {
    /// A schema under the last part of a name, which is what all ways to spell it share.
    fn name(&mut self, name: &str, index: usize) {
        self.known.entry(last_part(name)).or_default().push(index);
    }

    /// Adds a schema with all that are in it. `pointers` lead to it, from the roots of all that it is in.
    fn add(&mut self, value: &'v Value, pointers: &[String]) -> usize {
        let index = self.schemas.len();
        self.schemas.push(Schema::default());
        for pointer in pointers {
            self.known.entry(pointer.clone()).or_default().push(index);
        }
        let Value::Object(members) = value else { return index };
        let mut pointers = pointers.to_vec();
        let text = |key: &str| members.get(key).and_then(Value::as_str);
        for id in ["$id", "id"].iter().filter_map(|key| text(key)) {
            self.name(id, index);
            if pointers.len() > MAX_RESOURCES {
                self.too_nested = true;
            } else {
                pointers.push(String::new());
            }
            // Where it is an anchor, in older drafts.
            if let Some((_, anchor)) = id.split_once('#') {
                self.known.entry(format!("#{anchor}")).or_default().push(index);
            }
        }
        for anchor in ["$anchor", "$dynamicAnchor"].iter().filter_map(|key| text(key)) {
            self.known.entry(format!("#{anchor}")).or_default().push(index);
        }
        let mut schema = Schema::default();
        for (keyword, value) in members {
            schema.asks |= is_asking(keyword);
            if REFERENCES.contains(&&**keyword) {
                schema.references.extend(value.as_str());
            }
            let pointers = below(&pointers, keyword);
            let inner = self.add_all(value, place(keyword), &pointers);
            if is_of_same_place(keyword) {
                schema.inner.extend(inner);
            }
        }
        if let Some(added) = self.schemas.get_mut(index) {
            *added = schema;
        }
        index
    }

    /// Adds the schemas at a place; says which these are, without those in them.
    fn add_all(&mut self, value: &'v Value, place: Place, pointers: &[String]) -> Vec<usize> {
        let inner = match (place, value) {
            (Place::Data, _) => return Vec::new(),
            (Place::List | Place::SchemaOrList | Place::Unknown, Value::Array(items)) => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| (index.to_string(), item)).collect::<Vec<_>>()
            }
            (Place::Map | Place::Properties | Place::Patterns, Value::Object(members)) => {
                members.iter().map(|(key, value)| (key.clone(), value)).collect()
            }
            (_, Value::Object(_) | Value::Bool(_)) => return vec![self.add(value, pointers)],
            _ => return Vec::new(),
        };
        let add = |(key, value): (String, &'v Value)| self.add(value, &below(pointers, &key));
        inner.into_iter().map(add).collect()
    }

    /// Where a schema leads to, at the same place of a value.
    fn next(&self, index: usize) -> impl Iterator<Item = usize> {
        let schema = self.schemas.get(index);
        let inner = schema.into_iter().flat_map(|it| it.inner.iter().copied());
        let references = schema.into_iter().flat_map(|it| &it.references);
        inner.chain(references.flat_map(|reference| self.found(reference)))
    }

    /// Where a reference may lead to.
    fn found(&self, reference: &str) -> impl Iterator<Item = usize> {
        let (name, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let fragment = percent_decoded(fragment);
        let key = match fragment.chars().next() {
            Some('/') => fragment,
            Some(_) => format!("#{fragment}"),
            None if name.is_empty() => String::new(),
            None => last_part(name),
        };
        self.known.get(&key).into_iter().flatten().copied()
    }

    fn go_all_ways(&self, from: usize, left: &mut usize) -> Result<(), SchemaFault> {
        let mut way = vec![(from, self.next(from))];
        while let Some((_, next)) = way.last_mut() {
            let Some(next) = next.next() else {
                way.pop();
                continue;
            };
            *left = left.saturating_sub(1);
            if *left == 0 || way.len() > MAX_LENGTH {
                let detail = "too many or too long ways from unevaluatedProperties or \
                              unevaluatedItems to what they depend on";
                return Err(SchemaFault::new(detail.to_owned()));
            }
            if way.iter().all(|(before, _)| *before != next) {
                way.push((next, self.next(next)));
            }
        }
        Ok(())
    }
}

/// The last part of a URI or path, without escapes.
fn last_part(name: &str) -> String {
    let name = name.split('#').next().unwrap_or_default().trim_end_matches('/');
    format!("={}", percent_decoded(name.rsplit(['/', ':']).next().unwrap_or_default()))
}

fn below(pointers: &[String], key: &str) -> Vec<String> {
    let key = key.replace('~', "~0").replace('/', "~1");
    pointers.iter().map(|pointer| format!("{pointer}/{key}")).collect()
}

fn is_asking(keyword: &str) -> bool {
    matches!(keyword, "unevaluatedItems" | "unevaluatedProperties")
}

/// Whether the schemas of a keyword look at the value that the schema around them looks at. What is asked for what is
/// left over is gone through with them.
fn is_of_same_place(keyword: &str) -> bool {
    is_asking(keyword)
        || matches!(
            keyword,
            "allOf"
                | "anyOf"
                | "oneOf"
                | "not"
                | "if"
                | "then"
                | "else"
                | "dependentSchemas"
                | "dependencies"
        )
}
