//! What is asked of a schema document before any parser recurses into it: bytes, nesting, count of references.
//!
//! A flat scan: nothing here recurses, and nothing is kept.

use crate::datum::SchemaFault;
use crate::limits::SchemaLimits;

/// Refuses documents that are too many, too large together, or nested too deeply.
pub(super) fn check(
    text: &str,
    references: &[&str],
    limits: &SchemaLimits,
) -> Result<(), SchemaFault> {
    if references.len() > limits.max_references {
        let (found, most) = (references.len(), limits.max_references);
        return Err(SchemaFault::new(format!("{found} references, at most {most} are taken")));
    }
    let bytes = references.iter().fold(text.len(), |sum, each| sum.saturating_add(each.len()));
    if bytes > limits.max_schema_bytes {
        let most = limits.max_schema_bytes;
        return Err(SchemaFault::new(format!(
            "{bytes} bytes of schema with its references, at most {most} are taken"
        )));
    }
    let depth = references.iter().copied().chain([text]).map(nesting).max().unwrap_or(0);
    if depth > limits.max_depth {
        let most = limits.max_depth;
        return Err(SchemaFault::new(format!(
            "schema document nests {depth} levels, at most {most} are taken"
        )));
    }
    Ok(())
}

/// How deeply arrays and objects nest. Right for JSON, and never too low for anything that a JSON parser would walk
/// into before it notices that it is none.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_inside_strings_do_not_nest() {
        let table = [
            ("", 0),
            ("1", 0),
            ("[[],[]]", 2),
            (r#"{"a":[{"b":1}]}"#, 3),
            (r#"["[[[", "\"[[", "\\"]"#, 1),
            ("[[[", 3),
            ("]]][", 1),
        ];
        for (text, depth) in table {
            assert_eq!(nesting(text), depth, "{text}");
        }
    }

    #[test]
    fn each_bound_holds_at_its_limit_and_not_beyond() {
        let limits = SchemaLimits {
            max_schema_bytes: 10,
            max_depth: 2,
            max_references: 1,
            ..SchemaLimits::default()
        };
        assert!(check("[[]]", &["[[]]"], &limits).is_ok());
        assert!(check("1234567890", &[], &limits).is_ok());
        let fault =
            |text, references: &[&str]| check(text, references, &limits).unwrap_err().detail;
        assert_eq!(fault("[[[]]]", &[]), "schema document nests 3 levels, at most 2 are taken");
        assert_eq!(fault("1", &["[[["]), "schema document nests 3 levels, at most 2 are taken");
        assert_eq!(fault("1", &["1", "1"]), "2 references, at most 1 are taken");
        assert_eq!(
            fault("123456", &["12345"]),
            "11 bytes of schema with its references, at most 10 are taken"
        );
    }
}
