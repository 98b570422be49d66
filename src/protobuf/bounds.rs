//! What is asked of documents before any parser reads them: bytes, nesting, count of references; and which kind they are.
//!
//! A flat scan: nothing here recurses, and nothing is kept.

use crate::datum::SchemaFault;
use crate::limits::SchemaLimits;

/// Refuses documents that are too many or too large together.
pub(super) fn check(
    text: &str,
    references: &[(&str, &str)],
    limits: &SchemaLimits,
) -> Result<(), SchemaFault> {
    if references.len() > limits.max_references {
        let (found, most) = (references.len(), limits.max_references);
        return Err(SchemaFault::new(format!("{found} references, at most {most} are taken")));
    }
    let sizes = references.iter().map(|(path, text)| path.len().saturating_add(text.len()));
    let bytes = sizes.fold(text.len(), usize::saturating_add);
    if bytes > limits.max_schema_bytes {
        let most = limits.max_schema_bytes;
        return Err(SchemaFault::new(format!(
            "{bytes} bytes of schema with its references, at most {most} are taken"
        )));
    }
    Ok(())
}

/// Refuses source that nests too deeply, or is written in a language that the parser does not know.
pub(super) fn check_source(text: &str, limits: &SchemaLimits) -> Result<(), SchemaFault> {
    let scan = Scan::of(text);
    if scan.deepest > limits.max_depth {
        let (found, most) = (scan.deepest, limits.max_depth);
        return Err(SchemaFault::new(format!(
            "schema document nests {found} levels, at most {most} are taken"
        )));
    }
    if scan.open_texts > MAX_OPEN_TEXTS {
        return Err(SchemaFault::new("quotes are open at the ends of lines".to_owned()));
    }
    if scan.first_word == "edition" {
        return Err(no_editions());
    }
    Ok(())
}

pub(super) fn no_editions() -> SchemaFault {
    let detail = "editions of Protocol Buffers are not supported, only proto2 and proto3";
    SchemaFault::new(detail.to_owned())
}

/// Whether a document is base64 rather than source: no source does without punctuation that base64 does not have.
pub(super) fn is_base64(text: &str) -> bool {
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut bytes = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).peekable();
    bytes.peek().is_some() && bytes.all(alphabet)
}

/// Texts that may lack their end: each is a mistake that the parser keeps. Only in a comment of an option's value, which
/// begins with `#`, are there quotes that mean nothing.
const MAX_OPEN_TEXTS: usize = 1_000;

/// What a pass over source finds.
#[derive(Debug, PartialEq, Eq)]
struct Scan<'t> {
    /// How deeply brackets of all kinds nest: right for source that can be parsed, and never too low for anything that a
    /// parser walks into before it notices that it is none.
    deepest: usize,
    /// Texts in quotes that a line ends.
    open_texts: usize,
    first_word: &'t str,
}

impl<'t> Scan<'t> {
    fn of(text: &'t str) -> Self {
        let (mut depth, mut deepest, mut open_texts, mut first_word) = (0_usize, 0_usize, 0, "");
        let mut rest = text;
        while let Some(byte) = rest.bytes().next() {
            let taken = match byte {
                b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
                b'/' if rest.starts_with("/*") => {
                    let inner = rest.get(2..).unwrap_or_default();
                    inner.find("*/").map_or(rest.len(), |end| end.saturating_add(4))
                }
                b'"' | b'\'' => {
                    let (taken, closed) = string(rest.as_bytes(), byte);
                    open_texts += usize::from(!closed);
                    taken
                }
                b'{' | b'[' | b'(' => {
                    depth += 1;
                    deepest = deepest.max(depth);
                    1
                }
                b'}' | b']' | b')' => {
                    depth = depth.saturating_sub(1);
                    1
                }
                _ => {
                    let other = |c: char| !c.is_ascii_alphanumeric() && c != '_';
                    rest.find(other).filter(|end| *end > 0).unwrap_or_else(|| first_char(rest))
                }
            };
            let (word, tail) = rest.split_at_checked(taken).unwrap_or((rest, ""));
            if first_word.is_empty() && word.starts_with(|c: char| c.is_ascii_alphabetic()) {
                first_word = word;
            }
            rest = tail;
        }
        Self { deepest, open_texts, first_word }
    }
}

/// Bytes up to the next place to look at: a word that ends the text, or one character.
fn first_char(rest: &str) -> usize {
    match rest.chars().next() {
        Some(c) if c.is_ascii_alphanumeric() || c == '_' => rest.len(),
        Some(c) => c.len_utf8(),
        None => 0,
    }
}

/// Bytes of a text in quotes, and whether they end it. A line's end ends it too: the parser goes on behind that.
fn string(bytes: &[u8], quote: u8) -> (usize, bool) {
    let mut escaped = false;
    for (index, byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            b'\n' => return (index, false),
            byte if *byte == quote && !escaped => return (index.saturating_add(1), true),
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    (bytes.len(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_comments_and_texts_do_not_nest() {
        let table = [
            ("", 0, ""),
            ("syntax = \"proto3\"; message A { message B {} }", 2, "syntax"),
            ("// {{{\n/* {{{ */ message A {}", 1, "message"),
            ("option x = '{{{\\'{{'; option y = \"'{\";", 0, "option"),
            ("option x = '{\n{{", 2, "option"),
            ("/* é {", 0, ""),
            ("é{([", 3, ""),
            ("}}}{", 1, ""),
            ("/**/edition", 0, "edition"),
            ("/*/{", 0, ""),
        ];
        for (text, deepest, first_word) in table {
            let scan = Scan::of(text);
            assert_eq!((scan.deepest, scan.first_word), (deepest, first_word), "{text}");
        }
    }

    #[test]
    fn base64_is_told_from_source() {
        for text in ["CgA=", " Cg\nA ", "message"] {
            assert!(is_base64(text), "{text}");
        }
        for text in ["", " ", "message A {}", "import \"a\";", ";"] {
            assert!(!is_base64(text), "{text}");
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
        assert!(check("12345", &[("1", "2345")], &limits).is_ok());
        let fault = |text, references: &[_]| check(text, references, &limits).unwrap_err().detail;
        assert_eq!(fault("", &[("", ""), ("", "")]), "2 references, at most 1 are taken");
        let words = "11 bytes of schema with its references, at most 10 are taken";
        assert_eq!(fault("12345", &[("12", "3456")]), words);
        assert!(check_source("{(", &limits).is_ok());
        let words = "schema document nests 3 levels, at most 2 are taken";
        assert_eq!(check_source("{({", &limits).unwrap_err().detail, words);
    }
}
