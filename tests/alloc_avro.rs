//! Accepting a datum allocates nothing, in either encoding; and what parsing a schema may allocate is bounded.

#[path = "../benches/avro_shapes/mod.rs"]
mod shapes;

use schemaward::avro::AvroSchema;
use schemaward::limits::{MIB, SchemaLimits};

#[test]
fn accepting_a_datum_allocates_nothing() {
    for sample in shapes::all() {
        let schema = AvroSchema::parse(&sample.schema, &[], &SchemaLimits::default()).unwrap();
        let mut accepted = false;
        let binary = allocation_counter::measure(|| {
            accepted = schema.check_binary(&sample.binary).is_ok();
        });
        assert!(accepted, "{}: {:?}", sample.name, schema.check_binary(&sample.binary));
        assert_eq!(binary.count_total, 0, "{} binary", sample.name);
        let json = allocation_counter::measure(|| {
            accepted = schema.check_json(sample.json.as_bytes()).is_ok();
        });
        assert!(accepted, "{}: {:?}", sample.name, schema.check_json(sample.json.as_bytes()));
        assert_eq!(json.count_total, 0, "{} JSON", sample.name);
    }
}

/// `part` with its number for `@`, over and over, up to so many bytes.
fn filled(bytes: usize, before: &str, part: &str, after: &str) -> String {
    let mut text = before.to_owned();
    for number in 0.. {
        let part = part.replace('@', &format!("{number:x}"));
        if text.len() + part.len() + after.len() > bytes {
            break;
        }
        text.push_str(&part);
    }
    text.trim_end_matches(',').to_owned() + after
}

/// `content` inside of so many records.
fn wrapped(content: &str, records: usize) -> String {
    let open = |i| format!(r#"{{"type":"record","name":"W{i}","fields":[{{"name":"f","type":"#);
    let open: Vec<_> = (0..records).map(open).collect();
    format!("{}{content}{}", open.concat(), "}]}".repeat(records))
}

#[test]
fn parsing_the_worst_of_documents_takes_bounded_memory() {
    let record = r#"{"type":"record","name":"R","fields":["#;
    let fields = |bytes| filled(bytes, record, r#"{"name":"f@","type":"int"},"#, "]}");
    let union = r#"{"name":"f@","type":["null",{"type":"map","values":["null","int"]}]},"#;
    let unions = |bytes| filled(bytes, record, union, "]}");
    let symbols =
        |bytes| filled(bytes, r#"{"type":"enum","name":"E","symbols":["#, r#""s@","#, "]}");
    let aliases = filled(MIB / 2, r#"],"aliases":["#, r#""a@","#, "]}");
    let long = "n".repeat(MIB / 2);
    let long = format!(r#"{{"type":"record","name":"R","namespace":"{long}","fields":["#);
    let table = [
        ("fields", fields(MIB), true),
        ("fields with unions", unions(MIB), false),
        ("symbols", symbols(MIB), true),
        ("fixed types", filled(MIB, "[", r#"{"type":"fixed","name":"F@","size":1},"#, "]"), false),
        ("fields and aliases", fields(MIB / 2).replace("]}", &aliases), true),
        ("unknown objects", filled(MIB, r#"{"type":"int","x":["#, r#"{"":0},"#, "]}"), true),
        ("unknown arrays", filled(MIB, r#"{"type":"int","x":["#, "[[]],", "]}"), true),
        ("long names", filled(MIB, &long, r#"{"name":"f@","type":"R"},"#, "]}"), false),
        // The parser keeps a copy of what is in a record for each record around it.
        ("many fields in records", wrapped(&fields(MIB / 2), 20), false),
        ("fields in records", wrapped(&fields(MIB / 9), 20), true),
        ("fields with unions in records", wrapped(&unions(MIB / 12), 18), true),
        ("many symbols in records", wrapped(&symbols(MIB / 2), 20), false),
        ("symbols in records", wrapped(&symbols(MIB / 16), 20), true),
    ];
    for (what, text, taken) in table {
        let mut parsed = None;
        let memory = allocation_counter::measure(|| {
            parsed = Some(AvroSchema::parse(&text, &[], &SchemaLimits::default()));
        });
        let fault = parsed.and_then(Result::err);
        assert_eq!(fault.is_none(), taken, "{what}: {fault:?}");
        // Most of it is for the objects of the JSON tree.
        assert!(memory.bytes_max < 128 * 1_048_576, "{what}: {} bytes", memory.bytes_max);
        assert!(memory.count_total < 2_000_000, "{what}: {} times", memory.count_total);
    }
}
