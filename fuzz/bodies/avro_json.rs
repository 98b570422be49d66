//! One value in Avro's JSON encoding: what is accepted is one JSON value to everyone.

use schemaward::datum::DatumFault;
use schemaward::limits::KIB;

use super::schemas::ALL;
use super::{Outcome, avro_datum::check, split, within};

/// First byte: which schema. Then the text.
pub fn run(data: &[u8]) -> Outcome {
    let (choice, text) = split(data);
    let schema = &ALL[choice % ALL.len()];
    match within(256 * KIB, || schema.ours.check_json(text)) {
        Ok(()) => {
            read_by_peer(text);
            Outcome::Taken
        }
        Err(error) => {
            check(&error, text.len());
            if error.fault == DatumFault::TrailingBytes {
                let whole = schema.ours.check_json(&text[..error.offset]);
                assert_eq!(whole, Ok(()), "all but what follows it is a datum");
            }
            Outcome::Refused
        }
    }
}

fn read_by_peer(text: &[u8]) {
    if let Err(error) = serde_json::from_slice::<serde_json::Value>(&finite(text)) {
        // It takes 128 levels, and no number beyond a double's.
        let said = error.to_string();
        let known = ["recursion limit exceeded", "number out of range"];
        assert!(
            known.iter().any(|known| said.starts_with(known)),
            "serde_json is stricter: {said}"
        );
    }
}

/// The text with a number in place of each `NaN` and `Infinity`, which Python writes without quotes.
fn finite(text: &[u8]) -> Vec<u8> {
    let (mut out, mut rest, mut quoted) = (Vec::with_capacity(text.len()), text, false);
    while let Some((first, tail)) = rest.split_first() {
        let word = [&b"NaN"[..], b"Infinity"].into_iter().find(|word| rest.starts_with(word));
        let taken = match (quoted, first, word) {
            (false, _, Some(word)) => {
                out.push(b'0');
                rest = &rest[word.len()..];
                continue;
            }
            (true, b'\\', _) => 2.min(rest.len()),
            _ => 1,
        };
        quoted ^= *first == b'"';
        out.extend(&rest[..taken]);
        rest = if taken == 2 { &tail[1..] } else { tail };
    }
    out
}
