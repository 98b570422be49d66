//! Files by their fingerprint: CRC-64-AVRO of the parsing canonical form of a schema, as the specification of Avro defines
//! both.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Map, Value};

use super::files::{Files, Stamp};

/// The fingerprint of a schema. `None`: it is none.
pub(super) fn fingerprint(text: &str) -> Option<u64> {
    let mut form = String::new();
    canonical(&serde_json::from_str(text).ok()?, "", &mut form)?;
    Some(form.bytes().fold(EMPTY, |state, byte| {
        (0..8).fold(state ^ u64::from(byte), |state, _| {
            if state & 1 == 1 { state >> 1 ^ EMPTY } else { state >> 1 }
        })
    }))
}

/// Appends the parsing canonical form of a type inside of `namespace`. It nests no deeper than the parser of JSON allows.
fn canonical(schema: &Value, namespace: &str, form: &mut String) -> Option<()> {
    match schema {
        Value::String(name) if is_primitive(name) => push_text(name, form),
        Value::String(name) => push_text(&full_name(name, namespace), form),
        Value::Array(branches) => list(branches, form, |it, form| canonical(it, namespace, form)),
        Value::Object(schema) => match schema.get("type")? {
            Value::String(kind) => named_kind(kind, schema, namespace, form),
            inner => canonical(inner, namespace, form),
        },
        _ => None,
    }
}

fn named_kind(
    kind: &str,
    schema: &Map<String, Value>,
    namespace: &str,
    form: &mut String,
) -> Option<()> {
    let within = match kind {
        "array" => Some("items"),
        "map" => Some("values"),
        _ => None,
    };
    if let Some(within) = within {
        form.push_str(&format!("{{\"type\":\"{kind}\",\"{within}\":"));
        canonical(schema.get(within)?, namespace, form)?;
    } else if !matches!(kind, "record" | "error" | "enum" | "fixed") {
        return canonical(&Value::String(kind.to_owned()), namespace, form);
    } else {
        let own = schema.get("namespace").and_then(Value::as_str);
        let name = full_name(schema.get("name")?.as_str()?, own.unwrap_or(namespace));
        let namespace = name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
        form.push_str("{\"name\":");
        push_text(&name, form)?;
        let kind = if kind == "error" { "record" } else { kind };
        form.push_str(&format!(",\"type\":\"{kind}\","));
        body(kind, schema, namespace, form)?;
    }
    form.push('}');
    Some(())
}

/// Appends what a named type has behind its name and kind.
fn body(kind: &str, schema: &Map<String, Value>, namespace: &str, form: &mut String) -> Option<()> {
    match kind {
        "enum" => {
            form.push_str("\"symbols\":");
            list(schema.get("symbols")?.as_array()?, form, |it, form| push_text(it.as_str()?, form))
        }
        "fixed" => {
            form.push_str(&format!("\"size\":{}", schema.get("size")?.as_u64()?));
            Some(())
        }
        _ => {
            form.push_str("\"fields\":");
            list(schema.get("fields")?.as_array()?, form, |field, form| {
                form.push_str("{\"name\":");
                push_text(field.get("name")?.as_str()?, form)?;
                form.push_str(",\"type\":");
                canonical(field.get("type")?, namespace, form)?;
                form.push('}');
                Some(())
            })
        }
    }
}

fn list(
    items: &[Value],
    form: &mut String,
    each: impl Fn(&Value, &mut String) -> Option<()>,
) -> Option<()> {
    form.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            form.push(',');
        }
        each(item, form)?;
    }
    form.push(']');
    Some(())
}

fn push_text(text: &str, form: &mut String) -> Option<()> {
    form.push_str(&serde_json::to_string(text).ok()?);
    Some(())
}

fn full_name(name: &str, namespace: &str) -> String {
    if namespace.is_empty() || name.contains('.') {
        return name.to_owned();
    }
    format!("{namespace}.{name}")
}

fn is_primitive(name: &str) -> bool {
    matches!(name, "null" | "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string")
}

/// The fingerprints of a folder's files, as of when they were last looked at.
#[derive(Debug, Default)]
pub(super) struct Fingerprints {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    at: Option<Instant>,
    /// By where a file really is.
    files: HashMap<PathBuf, (Stamp, Option<u64>)>,
    /// The first file of each, by path.
    paths: HashMap<u64, String>,
}

impl Fingerprints {
    /// The path of the file with this fingerprint. Every file is looked at, unless that was done a moment ago: whoever makes
    /// up fingerprints makes no work. Blocks.
    pub(super) fn find(&self, wanted: u64, files: &Files) -> Option<String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.at.is_none_or(|at| at.elapsed() >= PAUSE) {
            known.look(files);
            known.at = Some(Instant::now());
        }
        known.paths.get(&wanted).cloned()
    }
}

impl Known {
    /// Files that have not changed are not read.
    fn look(&mut self, files: &Files) {
        let mut listed = files.list(".avsc");
        listed.sort_by(|one, other| one.path.cmp(&other.path));
        let mut before = std::mem::take(&mut self.files);
        self.paths.clear();
        for file in listed {
            let known = before.remove(&file.stamp.0).filter(|(stamp, _)| *stamp == file.stamp);
            let (stamp, found) = known.unwrap_or_else(|| {
                let found = files.read(&file.path).ok().and_then(|text| fingerprint(&text));
                (file.stamp, found)
            });
            if let Some(found) = found {
                self.paths.entry(found).or_insert(file.path);
            }
            self.files.insert(stamp.0.clone(), (stamp, found));
        }
    }
}

/// The fingerprint of nothing, which is the polynomial too.
const EMPTY: u64 = 0xc15d_213a_a4d7_a795;
/// How long a folder is not looked at again.
const PAUSE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_the_specification() {
        // From the test data that Avro's own implementations share.
        let table: &[(&str, i64)] = &[
            (r#""null""#, 7_195_948_357_588_979_594),
            (r#"{"type": "null"}"#, 7_195_948_357_588_979_594),
            (r#""boolean""#, -6_970_731_678_124_411_036),
            (r#""int""#, 8_247_732_601_305_521_295),
            (r#""string""#, -8_142_146_995_180_207_161),
            (r#"{"type": "string", "avro.java.string": "String"}"#, -8_142_146_995_180_207_161),
            (r#"{"type": "int", "logicalType": "date"}"#, 8_247_732_601_305_521_295),
            (r#"[ ]"#, -1_241_056_759_729_112_623),
            (
                r#"{"fields": [{"type": {"type": "boolean"}, "name": "f1", "doc": "x", "default": true}], "aliases": ["b"], "name": "foo", "type": "record"}"#,
                7_843_277_075_252_814_651,
            ),
        ];
        for (text, expected) in table {
            assert_eq!(fingerprint(text).map(u64::cast_signed), Some(*expected), "{text}");
        }
        for text in ["", "x", "1", "{}", r#"{"type": "record", "name": "R"}"#] {
            assert_eq!(fingerprint(text), None, "{text}");
        }
    }

    #[test]
    fn what_does_not_change_how_data_is_read_does_not_change_the_fingerprint() {
        let plain = r#"{"name":"a.b.R","type":"record","fields":[{"name":"d","type":"bytes"},{"name":"f","type":{"name":"a.b.F","type":"fixed","size":16}},{"name":"g","type":"a.b.F"},{"name":"u","type":"string"}]}"#;
        let adorned = r#"{"type":"record","namespace":"a.b","name":"R","doc":"x","fields":[
            {"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2},"order":"ignore"},
            {"name":"f","type":{"type":"fixed","name":"F","size":16,"aliases":["Z"]}},
            {"name":"g","type":"F"},{"name":"u","type":{"type":"string","logicalType":"uuid"},"default":"\u0061"}]}"#;
        // What an implementation without logical types makes of it.
        let schema = apache_avro::Schema::parse_str(plain).unwrap();
        assert_eq!(schema.canonical_form(), plain, "it is its own canonical form");
        let bytes = schema.fingerprint::<apache_avro::rabin::Rabin>().bytes;
        let crc = u64::from_le_bytes(bytes.try_into().unwrap());
        assert_eq!(fingerprint(plain), Some(crc));
        assert_eq!(fingerprint(adorned), Some(crc));
    }
}
