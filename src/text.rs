//! Text from the wire, made fit to be shown: cut, escaped, without secrets.

use crate::limits::MAX_SHOWN_BYTES;

/// Bytes from the wire as text for a message, a log line or a page: at most 256 bytes of them, control characters,
/// invalid UTF-8 and quotes escaped.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    let cut = bytes.len() > MAX_SHOWN_BYTES;
    let head = bytes.get(..MAX_SHOWN_BYTES).unwrap_or(bytes);
    let mut out = String::with_capacity(head.len() + 4);
    for chunk in head.utf8_chunks() {
        out.extend(chunk.valid().chars().flat_map(escaped));
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if cut {
        out.push('…');
    }
    out
}

fn escaped(character: char) -> impl Iterator<Item = char> {
    let plain = !character.is_control() && character != '"' && character != '\\';
    let escaped = (!plain).then(|| character.escape_default());
    plain.then_some(character).into_iter().chain(escaped.into_iter().flatten())
}

/// A schema reference as it may be shown: without user information, query and fragment, cut and escaped.
#[must_use]
pub fn shown_reference(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(bytes.len());
    let bytes = bytes.get(..end).unwrap_or(bytes);
    let Some(scheme) = bytes.windows(3).position(|window| window == b"://") else {
        return shown(bytes);
    };
    let (head, rest) = bytes.split_at_checked(scheme + 3).unwrap_or((bytes, &[]));
    let authority = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    let userinfo = rest.iter().take(authority).rposition_at();
    let kept = userinfo.and_then(|at| rest.get(at + 1..)).unwrap_or(rest);
    shown(&[head, kept].concat())
}

trait RpositionAt {
    fn rposition_at(self) -> Option<usize>;
}

impl<'a, I: Iterator<Item = &'a u8>> RpositionAt for I {
    fn rposition_at(self) -> Option<usize> {
        self.enumerate().filter(|(_, byte)| **byte == b'@').last().map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_the_wire_is_escaped_and_cut() {
        assert_eq!(shown(b"plain"), "plain");
        assert_eq!(shown("gr\u{fc}n".as_bytes()), "gr\u{fc}n");
        assert_eq!(shown(b"a\"b\n\xff"), "a\\\"b\\n\\xff");
        let long = shown(&[b'x'; 300]);
        assert_eq!(long.chars().filter(|c| *c == 'x').count(), 256);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn references_lose_what_may_be_secret() {
        let table: [(&[u8], &str); 4] = [
            (b"https://user:pw@host/a.avsc?token=1#f", "https://host/a.avsc"),
            (b"users/schema.avsc?x", "users/schema.avsc"),
            (b"https://host", "https://host"),
            (b"https://a@b@host/x@y", "https://host/x@y"),
        ];
        for (given, expected) in table {
            assert_eq!(shown_reference(given), expected);
        }
    }
}
