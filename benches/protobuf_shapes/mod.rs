//! Data as producers send them, and such as cost most: shared by the benchmark and a test.

/// A schema and a datum of its first message.
#[derive(Debug)]
pub(crate) struct Sample {
    /// What the datum stands for.
    pub(crate) name: &'static str,
    /// The schema document.
    pub(crate) schema: String,
    /// The datum.
    pub(crate) datum: Vec<u8>,
}

/// All six.
#[must_use]
pub(crate) fn all() -> Vec<Sample> {
    vec![event(), flat(), texts(), doubles(), list(), required()]
}

fn sample(name: &'static str, schema: &str, datum: Vec<u8>) -> Sample {
    Sample { name, schema: format!("syntax = \"proto3\"; {schema}"), datum }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

fn sized(number: u64, value: &[u8], out: &mut Vec<u8>) {
    varint(number << 3 | 2, out);
    varint(u64::try_from(value.len()).unwrap_or(0), out);
    out.extend(value);
}

fn number(number: u64, value: u64, out: &mut Vec<u8>) {
    varint(number << 3, out);
    varint(value, out);
}

/// About 100 bytes: texts, a list, a map, optional fields.
fn event() -> Sample {
    let mut datum = Vec::new();
    sized(1, b"user-0001", &mut datum);
    number(2, 1_700_000_000_000, &mut datum);
    sized(3, b"purchase", &mut datum);
    number(4, 42, &mut datum);
    for tag in ["alpha", "beta", "gamma"] {
        sized(5, tag.as_bytes(), &mut datum);
    }
    for (key, value) in [("region", "eu-west"), ("tier", "gold")] {
        let mut entry = Vec::new();
        sized(1, key.as_bytes(), &mut entry);
        sized(2, value.as_bytes(), &mut entry);
        sized(6, &entry, &mut datum);
    }
    datum.push(7 << 3 | 1);
    datum.extend(9.5_f64.to_le_bytes());
    number(8, 1, &mut datum);
    sized(10, &[1, 2, 3], &mut datum);
    let schema =
        "message Event { string id = 1; int64 at = 2; string kind = 3; optional int32 age = 4;
        repeated string tags = 5; map<string, string> attributes = 6; optional double price = 7;
        bool active = 8; optional string mail = 9; repeated int32 counts = 10; }";
    sample("event", schema, datum)
}

/// Twenty numbers.
fn flat() -> Sample {
    let fields = (1..=20).map(|n| format!("int64 f{n} = {n};"));
    let schema = format!("message Flat {{ {} }}", fields.collect::<String>());
    let mut datum = Vec::new();
    (1..=20).for_each(|n| number(n, n * 1_234_567_890_123, &mut datum));
    sample("flat", &schema, datum)
}

/// Four texts of 1 KiB.
fn texts() -> Sample {
    let mut datum = Vec::new();
    let text = "the quick brown fox jumps over the lazy dög ".repeat(24);
    (0..4).for_each(|_| sized(1, text.as_bytes(), &mut datum));
    sample("texts", "message Texts { repeated string texts = 1; }", datum)
}

/// A thousand doubles, packed.
fn doubles() -> Sample {
    let doubles: Vec<u8> = (0..1_000_u32).flat_map(|n| f64::from(n).to_le_bytes()).collect();
    let mut datum = Vec::new();
    sized(1, &doubles, &mut datum);
    sample("doubles", "message Doubles { repeated double doubles = 1; }", datum)
}

/// A list of ninety messages, each inside of the one before.
fn list() -> Sample {
    let datum = (0..90).fold(Vec::new(), |next, n| {
        let mut datum = Vec::new();
        number(1, n, &mut datum);
        sized(2, &next, &mut datum);
        datum
    });
    sample("list", "message List { int64 value = 1; List next = 2; }", datum)
}

/// More required fields than one word has bits, in every message.
fn required() -> Sample {
    let fields = (1..=100).map(|n| format!("required bool f{n} = {n};"));
    let schema =
        format!("message Wide {{ {} repeated Wide wide = 200; }}", fields.collect::<String>());
    let mut one = Vec::new();
    (1..=100).for_each(|n| number(n, 1, &mut one));
    let mut datum = one.clone();
    (0..3).for_each(|_| sized(200, &one, &mut datum));
    Sample { name: "required", schema, datum }
}
