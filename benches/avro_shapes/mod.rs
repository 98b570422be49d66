//! Six shapes of data that producers send, each as schema and datum: shared by the benchmark and the allocation test.

/// A kind of event: what it is called, its schema, one datum in both encodings.
#[derive(Debug)]
pub(crate) struct Sample {
    /// What the datum stands for.
    pub(crate) name: &'static str,
    /// The schema document.
    pub(crate) schema: String,
    /// The binary encoding.
    pub(crate) binary: Vec<u8>,
    /// The JSON encoding.
    pub(crate) json: String,
}

/// All six.
#[must_use]
pub(crate) fn all() -> Vec<Sample> {
    vec![event(), flat(), nested(), texts(), doubles(), list()]
}

fn record(name: &str, fields: &[(&str, &str)]) -> String {
    let field = |(name, kind): &(&str, &str)| format!(r#"{{"name":"{name}","type":{kind}}}"#);
    let fields = fields.iter().map(field).collect::<Vec<_>>().join(",");
    format!(r#"{{"type":"record","name":"{name}","namespace":"bench","fields":[{fields}]}}"#)
}

fn long(value: i64, out: &mut Vec<u8>) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw > 0x7f {
        out.push(u8::try_from(raw & 0x7f).unwrap_or(0) | 0x80);
        raw >>= 7;
    }
    out.push(u8::try_from(raw).unwrap_or(0));
}

fn text(value: &str, out: &mut Vec<u8>) {
    long(i64::try_from(value.len()).unwrap_or(0), out);
    out.extend(value.as_bytes());
}

/// About 100 bytes: strings, an array, a map, optional fields.
fn event() -> Sample {
    let schema = record(
        "Event",
        &[
            ("id", r#""string""#),
            ("name", r#""string""#),
            ("at", r#"{"type":"long","logicalType":"timestamp-millis"}"#),
            ("kind", r#"{"type":"enum","name":"Kind","symbols":["A","B","C"]}"#),
            ("age", r#"["null","int"]"#),
            ("mail", r#"["null","string"]"#),
            ("tags", r#"{"type":"array","items":"string"}"#),
            ("attributes", r#"{"type":"map","values":"string"}"#),
            ("active", r#""boolean""#),
        ],
    );
    let mut out = Vec::new();
    text("7d1c2f6e-1d0a-4a7e", &mut out);
    text("Ada Lovelace", &mut out);
    long(1_700_000_000_000, &mut out);
    out.extend([2, 2]);
    long(36, &mut out);
    out.push(2);
    text("ada@example.org", &mut out);
    long(3, &mut out);
    ["new", "eu", "beta"].iter().for_each(|tag| text(tag, &mut out));
    out.push(0);
    long(2, &mut out);
    ["source", "web", "locale", "de"].iter().for_each(|part| text(part, &mut out));
    out.extend([0, 1]);
    let json = r#"{"id": "7d1c2f6e-1d0a-4a7e", "name": "Ada Lovelace", "at": 1700000000000, "kind": "B",
        "age": {"int": 36}, "mail": {"string": "ada@example.org"}, "tags": ["new", "eu", "beta"],
        "attributes": {"source": "web", "locale": "de"}, "active": true}"#;
    Sample { name: "event", schema, binary: out, json: json.to_owned() }
}

/// Twenty primitive fields of all kinds, about 190 bytes.
fn flat() -> Sample {
    let kinds = ["long", "string", "int", "double", "boolean", "bytes", "float"];
    let field = |index: usize| (format!("f{index}"), format!("\"{}\"", kinds[index % kinds.len()]));
    let owned: Vec<_> = (0..20).map(field).collect();
    let fields: Vec<_> = owned.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
    let (mut out, mut members) = (Vec::new(), Vec::new());
    for (name, kind) in &fields {
        let value = match kind.trim_matches('"') {
            "long" => {
                long(1_700_000_000_000, &mut out);
                "1700000000000"
            }
            "string" => {
                text("customer-4711", &mut out);
                r#""customer-4711""#
            }
            "int" => {
                long(70_000, &mut out);
                "70000"
            }
            "double" => {
                out.extend(1.5_f64.to_le_bytes());
                "1.5"
            }
            "boolean" => {
                out.push(1);
                "true"
            }
            "bytes" => {
                text("0123456789abcdef", &mut out);
                r#""0123456789abcdef""#
            }
            _ => {
                out.extend(0.25_f32.to_le_bytes());
                "0.25"
            }
        };
        members.push(format!("\"{name}\":{value}"));
    }
    let json = format!("{{{}}}", members.join(","));
    Sample { name: "flat", schema: record("Flat", &fields), binary: out, json }
}

/// About 970 bytes: an order with items, addresses, labels, prices and a hash.
fn nested() -> Sample {
    let address = record("Address", &[("street", r#""string""#), ("zip", r#"["null","string"]"#)]);
    let item = record(
        "Item",
        &[
            ("sku", r#""string""#),
            ("count", r#""int""#),
            ("state", r#"{"type":"enum","name":"State","symbols":["NEW","SENT","BACK"]}"#),
            ("price", r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#),
            ("discount", r#"["null","int","double"]"#),
            ("to", &address),
        ],
    );
    let items = format!(r#"{{"type":"array","items":{item}}}"#);
    let schema = record(
        "Order",
        &[
            ("id", r#""long""#),
            ("hash", r#"{"type":"fixed","name":"Hash","size":16}"#),
            ("items", &items),
            ("labels", r#"{"type":"map","values":"string"}"#),
            ("bill", r#""Address""#),
        ],
    );
    let (mut out, mut json) = (Vec::new(), Vec::new());
    let write_address = |out: &mut Vec<u8>| {
        text("Hauptstrasse 17", out);
        out.push(2);
        text("10115", out);
    };
    let address = r#"{"street":"Hauptstrasse 17","zip":{"string":"10115"}}"#;
    long(99, &mut out);
    out.extend(b"0123456789abcdef");
    long(19, &mut out);
    for index in 0..19 {
        text("SKU-0012-3456", &mut out);
        // Two of them, sent, for 9.50.
        out.extend([4, 2, 4, 3, 0xb6]);
        let discount = if index % 3 == 0 { [2, 10].as_slice() } else { &[0] };
        out.extend(discount);
        write_address(&mut out);
        let discount = if index % 3 == 0 { r#"{"int":5}"# } else { "null" };
        json.push(format!(
            r#"{{"sku":"SKU-0012-3456","count":2,"state":"SENT","price":"\u0003¶","discount":{discount},"to":{address}}}"#
        ));
    }
    out.push(0);
    long(3, &mut out);
    ["source", "web", "locale", "de", "campaign", "spring"]
        .iter()
        .for_each(|part| text(part, &mut out));
    out.push(0);
    write_address(&mut out);
    let labels = r#"{"source":"web","locale":"de","campaign":"spring"}"#;
    let items = json.join(",");
    let json = format!(
        r#"{{"id":99,"hash":"0123456789abcdef","items":[{items}],"labels":{labels},"bill":{address}}}"#
    );
    Sample { name: "nested", schema, binary: out, json }
}

/// 4 KB in four long strings, of which two are in other letters than those of ASCII.
fn texts() -> Sample {
    let fields = ["a", "b", "c", "d"].map(|name| (name, r#""string""#));
    let mut out = Vec::new();
    long_texts().iter().for_each(|it| text(it, &mut out));
    let members = fields.iter().zip(long_texts());
    let json = members.map(|((name, _), it)| format!(r#""{name}":"{it}""#));
    let json = format!("{{{}}}", json.collect::<Vec<_>>().join(","));
    Sample { name: "texts", schema: record("Texts", &fields), binary: out, json }
}

/// The strings of `texts`.
pub(crate) fn long_texts() -> [String; 4] {
    let said = [
        "The quick brown fox. ",
        "Η γρήγορη αλεπού. ",
        "A lazy dog sleeps on. ",
        "素早い茶色の狐。",
    ];
    said.map(|part| part.repeat(1024 / part.len()))
}

/// A thousand doubles.
fn doubles() -> Sample {
    let mut out = Vec::new();
    long(1000, &mut out);
    (0..1000).for_each(|_| out.extend(0.5_f64.to_le_bytes()));
    out.push(0);
    let json = format!(r#"{{"v":[{}]}}"#, vec!["0.5"; 1000].join(","));
    let schema = record("Doubles", &[("v", r#"{"type":"array","items":"double"}"#)]);
    Sample { name: "doubles", schema, binary: out, json }
}

/// A linked list, about 500 bytes.
fn list() -> Sample {
    let schema = record("List", &[("v", r#""long""#), ("next", r#"["null","List"]"#)]);
    let mut out = Vec::new();
    let mut json = "null".to_owned();
    for index in 0..120 {
        long(20_000, &mut out);
        out.push(if index < 119 { 2 } else { 0 });
        let element = format!(r#"{{"v":20000,"next":{json}}}"#);
        json = if index < 119 { format!(r#"{{"bench.List":{element}}}"#) } else { element };
    }
    Sample { name: "list", schema, binary: out, json }
}
