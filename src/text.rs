//! Text from the wire, made fit to be shown: cut, escaped, without secrets.

use std::time::SystemTime;

use crate::limits::MAX_SHOWN_BYTES;

/// Bytes from the wire as text for a message, a log line or a page: at most 256 bytes of them, control characters,
/// those that change the direction of text, invalid UTF-8 and quotes escaped.
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
    let plain = !character.is_control() && !turns(character) && !matches!(character, '"' | '\\');
    let escaped = (!plain).then(|| character.escape_default());
    plain.then_some(character).into_iter().chain(escaped.into_iter().flatten())
}

/// Whether a character changes the direction or the line of what stands around it, and shows nothing itself: with those,
/// text can be made to look like another one.
const fn turns(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// A point in time in UTC, to the millisecond, as RFC 3339 has it: `2026-01-31T23:59:59.000Z`.
#[must_use]
pub fn timestamp(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month and day of a day since 1970. Counted in years that begin in March, leap days are at their end.
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
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
        let hebrew = "\u{5e9}\u{5dc}";
        assert_eq!(shown(hebrew.as_bytes()), hebrew, "what is read from the right is text");
        assert_eq!(
            shown("a\u{202e}b\u{2066}c\u{2028}d".as_bytes()),
            "a\\u{202e}b\\u{2066}c\\u{2028}d"
        );
        let long = shown(&[b'x'; 300]);
        assert_eq!(long.chars().filter(|c| *c == 'x').count(), 256);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn a_point_in_time_is_written_in_utc() {
        let table = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_251_199_001, "2024-02-29T23:59:59.001Z"),
            (1_767_225_599_500, "2025-12-31T23:59:59.500Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (millis, expected) in table {
            let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(millis);
            assert_eq!(timestamp(at), expected);
        }
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
