//! Reads of a PromQL query what it selects and groups by: no more than our own rules and panels use.

use std::collections::BTreeSet;

/// What a query asks for.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pub(crate) selectors: Vec<Selector>,
    pub(crate) grouped_by: BTreeSet<String>,
}

/// One metric with its matchers: label and value, whatever the operator.
#[derive(Debug)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    pub(crate) matchers: Vec<(String, String)>,
}

/// Words that are followed by labels in parentheses.
const GROUPING: [&str; 4] = ["by", "on", "ignoring", "without"];
/// Words that stand between operands, or before a grouping.
const WORDS: [&str; 8] = ["and", "or", "unless", "sum", "min", "max", "count", "avg"];

/// Reads `text`.
pub(crate) fn read(text: &str) -> Query {
    let mut query = Query::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '[' {
            rest = rest.split_once(']').unwrap().1;
        } else if first.is_ascii_alphabetic() {
            let (word, after) = split_word(rest);
            rest = take(word, after.trim_start(), &mut query);
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.');
            rest = &rest[end.unwrap_or(rest.len())..];
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    query
}

fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    text.split_at(end.unwrap_or(text.len()))
}

/// Takes one word with what belongs to it, and says what follows.
fn take<'t>(word: &str, after: &'t str, query: &mut Query) -> &'t str {
    if GROUPING.contains(&word) {
        let (labels, rest) = after.strip_prefix('(').unwrap().split_once(')').unwrap();
        query.grouped_by.extend(labels.split(',').map(|label| label.trim().to_owned()));
        return rest;
    }
    if WORDS.contains(&word) || after.starts_with('(') {
        return after;
    }
    let (matchers, rest) = match after.strip_prefix('{') {
        Some(inner) => matchers(inner),
        None => (Vec::new(), after),
    };
    query.selectors.push(Selector { metric: word.to_owned(), matchers });
    rest
}

fn matchers(mut text: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    loop {
        let (label, rest) = split_word(text.trim_start());
        let (_, rest) = rest.split_once('"').unwrap();
        let (value, rest) = rest.split_once('"').unwrap();
        found.push((label.to_owned(), value.to_owned()));
        if let Some(rest) = rest.strip_prefix('}') {
            return (found, rest);
        }
        text = rest.strip_prefix(',').unwrap();
    }
}
