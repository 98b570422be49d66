//! Strings and numbers where they stand in a JSON text, already checked.

use std::{borrow::Cow, cmp::Ordering, ops::Range, str::Chars};

/// A range of a text or a row, from numbers as they are kept.
pub(super) fn range(start: u32, end: u32) -> Range<usize> {
    let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
    number(start)..number(end)
}

/// What stands between the quotes of a string.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quoted<'t> {
    raw: &'t str,
    escaped: bool,
}

impl<'t> Quoted<'t> {
    pub(super) const fn new(raw: &'t str, escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// Its bytes in the text.
    pub(super) const fn len(&self) -> usize {
        self.raw.len()
    }

    /// What it says.
    pub(super) fn resolved(&self) -> Cow<'t, str> {
        if self.escaped { Cow::Owned(self.chars().collect()) } else { Cow::Borrowed(self.raw) }
    }

    /// Its characters, escapes resolved.
    pub(super) fn chars(&self) -> Unescaped<'t> {
        Unescaped { rest: self.raw.chars() }
    }

    /// The string itself, if it has no escapes.
    pub(super) const fn plain(&self) -> Option<&'t str> {
        if self.escaped { None } else { Some(self.raw) }
    }

    /// Whether it says `name`.
    #[inline]
    pub(super) fn is(&self, name: &str) -> bool {
        if self.escaped { self.chars().eq(name.chars()) } else { self.raw == name }
    }

    /// How it compares to `name`.
    pub(super) fn order_to(&self, name: &str) -> Ordering {
        if self.escaped { self.chars().cmp(name.chars()) } else { self.raw.cmp(name) }
    }

    /// How what it says compares to what `other` says.
    #[inline]
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match other.plain() {
            Some(plain) => self.order_to(plain),
            None => self.chars().cmp(other.chars()),
        }
    }

    /// Whether it says the same as `other`.
    #[inline]
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self.escaped, other.escaped) {
            (false, false) => self.raw == other.raw,
            _ => self.chars().eq(other.chars()),
        }
    }
}

/// The characters of a checked string.
#[derive(Debug, Clone)]
pub(super) struct Unescaped<'t> {
    rest: Chars<'t>,
}

impl Iterator for Unescaped<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self.rest.next()? {
            '\\' => unescape(&mut self.rest),
            plain => Some(plain),
        }
    }
}

/// What follows a backslash, as the character that it stands for.
pub(super) fn unescape(rest: &mut Chars<'_>) -> Option<char> {
    Some(match rest.next()? {
        same @ ('"' | '\\' | '/') => same,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let unit = hex4(rest)?;
            if !(0xd800..0xdc00).contains(&unit) {
                return char::from_u32(unit);
            }
            if rest.next() != Some('\\') || rest.next() != Some('u') {
                return None;
            }
            let low = hex4(rest).filter(|low| (0xdc00..0xe000).contains(low))?;
            char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00))?
        }
        _ => return None,
    })
}

fn hex4(rest: &mut Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit << 4 | rest.next()?.to_digit(16)?))
}

/// A number as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'t> {
    lexeme: &'t str,
}

impl<'t> Number<'t> {
    pub(super) const fn new(lexeme: &'t str) -> Self {
        Self { lexeme }
    }

    pub(super) const fn lexeme(&self) -> &'t str {
        self.lexeme
    }

    /// Neither fraction nor exponent.
    pub(super) fn is_written_as_integer(&self) -> bool {
        !self.lexeme.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
    }

    /// Its value as a double, rounded as usual.
    pub(super) fn double(&self) -> f64 {
        self.lexeme.parse().unwrap_or(f64::NAN)
    }

    /// Its value, if it is whole and fits; `1.0` and `1e2` are whole.
    #[inline]
    pub(super) fn integer(&self) -> Option<i128> {
        let digits = self.lexeme.as_bytes();
        let (negative, digits) = match digits {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        if digits.len() > 18 {
            return self.decimal().integer();
        }
        let mut value = 0_u64;
        for (at, byte) in digits.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                // Most that are not whole have a fraction without zeros behind it, and no exponent.
                let fraction = digits.get(at + 1..).unwrap_or_default();
                let may_be_whole = *byte != b'.'
                    || fraction.last() == Some(&b'0')
                    || !fraction.iter().all(u8::is_ascii_digit);
                return if may_be_whole { self.decimal().integer() } else { None };
            }
            value = value * 10 + u64::from(digit);
        }
        let value = i128::from(value);
        Some(if negative { -value } else { value })
    }

    /// Its exact value.
    pub(super) fn decimal(&self) -> Decimal<'t> {
        Decimal::of(self.lexeme)
    }
}

/// The exact value of a number: its digits without zeros at either end, and a power of ten.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal<'t> {
    negative: bool,
    /// From the first to the last digit that is none of these zeros; maybe with the point.
    digits: &'t [u8],
    /// Of the last of these digits.
    exponent: i64,
}

impl<'t> Decimal<'t> {
    fn of(lexeme: &'t str) -> Self {
        let bytes = lexeme.as_bytes();
        let (negative, bytes) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let split = bytes.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, power) = match split.and_then(|split| bytes.split_at_checked(split)) {
            Some((mantissa, [_, power @ ..])) => (mantissa, power_of(power)),
            _ => (bytes, 0),
        };
        let whole = mantissa.iter().position(|byte| *byte == b'.');
        let blank = |byte: &&u8| matches!(byte, b'0' | b'.');
        let before = mantissa.iter().take_while(blank).count();
        let Some((_, rest)) =
            mantissa.split_at_checked(before).filter(|(_, rest)| !rest.is_empty())
        else {
            return Self { negative: false, digits: &[], exponent: 0 };
        };
        let behind = rest.iter().rev().take_while(blank).count();
        let digits = rest.get(..rest.len().saturating_sub(behind)).unwrap_or_default();
        let last = mantissa.len().saturating_sub(behind);
        // How many places the last digit stands before the point, or behind it.
        let place = match whole {
            Some(point) if last > point => -to_i64(last - 1 - point),
            Some(point) => to_i64(point.saturating_sub(last)),
            None => to_i64(behind),
        };
        Self { negative, digits, exponent: place.saturating_add(power) }
    }

    fn digits(&self) -> impl Iterator<Item = u8> + use<'t> {
        self.digits.iter().copied().filter(u8::is_ascii_digit)
    }

    /// Whether it has no fraction.
    pub(super) const fn is_whole(&self) -> bool {
        self.exponent >= 0
    }

    /// Its value, if it is whole and fits.
    pub(super) fn integer(&self) -> Option<i128> {
        if !self.is_whole() || self.exponent > 38 || self.digits.len() > 40 {
            return None;
        }
        let mut value = 0_i128;
        for digit in self.digits() {
            value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        for _ in 0..self.exponent {
            value = value.checked_mul(10)?;
        }
        Some(if self.negative { -value } else { value })
    }

    /// Its parts, equal for equal values.
    pub(super) fn parts(&self) -> (bool, i64, impl Iterator<Item = u8> + use<'t>) {
        (self.negative, self.exponent, self.digits())
    }

    pub(super) fn same(&self, other: &Decimal<'_>) -> bool {
        (self.negative, self.exponent) == (other.negative, other.exponent)
            && self.digits().eq(other.digits())
    }
}

/// The power that an exponent says, no further than matters.
fn power_of(digits: &[u8]) -> i64 {
    let (negative, digits) = match digits {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let power = digits.iter().fold(0_i64, |power, digit| {
        power.saturating_mul(10).saturating_add(i64::from(digit.saturating_sub(b'0')))
    });
    let power = power.min(i64::MAX / 4);
    if negative { -power } else { power }
}

fn to_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_is_written() {
        let table = [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("-0.0e7", Some(0)),
            ("12", Some(12)),
            ("-120", Some(-120)),
            ("1.0", Some(1)),
            ("1.5", None),
            ("1.50e1", Some(15)),
            ("150e-1", Some(15)),
            ("150e-2", None),
            ("0.0015e4", Some(15)),
            ("1.00000000000000000001", None),
            ("9007199254740993.0", Some(9_007_199_254_740_993)),
            ("18446744073709551616", Some(18_446_744_073_709_551_616)),
            ("1e30", Some(10_i128.pow(30))),
            ("1e300", None),
            ("1e-99999999999999999999", None),
            ("0e99999999999999999999", Some(0)),
        ];
        for (lexeme, value) in table {
            assert_eq!(Number::new(lexeme).integer(), value, "{lexeme}");
        }
    }

    #[test]
    fn numbers_are_equal_when_their_values_are() {
        let same = [
            ("1", "1.0"),
            ("100", "1e2"),
            ("0.1", "1e-1"),
            ("-0", "0.00"),
            ("1234.5600", "12345.6e-1"),
            ("1e400", "10e399"),
        ];
        let other = [("1", "-1"), ("1", "10"), ("0.1", "0.10000000000000000001"), ("12", "21")];
        for (a, b) in same {
            assert!(Number::new(a).decimal().same(&Number::new(b).decimal()), "{a} {b}");
        }
        for (a, b) in other {
            assert!(!Number::new(a).decimal().same(&Number::new(b).decimal()), "{a} {b}");
        }
    }

    #[test]
    fn strings_are_what_they_say() {
        let (plain, escaped) = (Quoted::new("aä", false), Quoted::new(r"\u0061\u00e4", true));
        assert!(plain.same(&escaped) && escaped.same(&plain) && escaped.is("aä"));
        assert_eq!(escaped.resolved(), "aä");
        assert_eq!(plain.order(&Quoted::new(r"\u0061\ud83d\ude00", true)), Ordering::Less);
        assert_eq!(escaped.order_to("aa"), Ordering::Greater);
    }
}
