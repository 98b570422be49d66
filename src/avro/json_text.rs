//! JSON as RFC 8259 has it, token by token: nothing is built, nothing is kept.

use super::fault::Fault;
use std::str::Chars;

/// A text that is read from front to back.
#[derive(Debug)]
pub(super) struct Text<'a> {
    text: &'a str,
    at: usize,
}

/// A string of the text, checked, its escapes not yet resolved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quoted<'a> {
    /// Where its opening quote stands.
    pub(super) offset: usize,
    raw: &'a str,
    escaped: bool,
}

/// A number of the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    pub(super) offset: usize,
    lexeme: &'a str,
    /// Neither fraction nor exponent.
    whole: bool,
}

type Read<T = ()> = Result<T, Box<Fault>>;

impl<'a> Text<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes read so far.
    pub(super) const fn offset(&self) -> usize {
        self.at
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The first byte of the next token.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// Passes over the token `byte` if it is next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Passes over `word` if it is next and nothing of a word follows.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        self.peek();
        let rest = self.text.get(self.at..).and_then(|rest| rest.strip_prefix(word));
        let found = rest.is_some_and(|rest| {
            !rest.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// Refuses what is next where `wanted` should be. Says only of what kind it is.
    pub(super) fn unexpected(&mut self, wanted: &str) -> Box<Fault> {
        let first = self.peek();
        let at = self.at;
        let found = match first {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'-' | b'0'..=b'9') => "a number",
            Some(b't' | b'f') if self.eat_word("true") || self.eat_word("false") => "a boolean",
            Some(b'n') if self.eat_word("null") => "null",
            Some(b',' | b':' | b']' | b'}') => "punctuation",
            Some(_) => "no JSON",
            None => "the end of the bytes",
        };
        Fault::new(at, format!("expected {wanted}, found {found}"))
    }

    /// Passes over `byte`, which must be next.
    pub(super) fn expect(&mut self, byte: u8) -> Read {
        if self.eat(byte) {
            return Ok(());
        }
        Err(self.unexpected(&format!("`{}`", char::from(byte))))
    }

    /// After a member or an item: whether there is a further one, or `close`.
    pub(super) fn further(&mut self, close: u8) -> Read<bool> {
        if self.eat(b',') {
            return Ok(true);
        }
        if self.eat(close) {
            return Ok(false);
        }
        Err(self.unexpected(&format!("`,` or `{}`", char::from(close))))
    }

    /// The string that must be next; `what` names it in the error.
    pub(super) fn string(&mut self, what: &str) -> Read<Quoted<'a>> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected(what));
        }
        let offset = self.at;
        self.at += 1;
        let (start, mut escaped) = (self.at, false);
        loop {
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0..=0x1f) => {
                    return Err(Fault::new(self.at, "control character in a string".to_owned()));
                }
                Some(_) => self.at += 1,
                None => return Err(Fault::new(offset, "string without an end".to_owned())),
            }
        }
        let raw = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(Quoted { offset, raw, escaped })
    }

    /// An escape sequence; the halves of a surrogate pair belong together.
    fn escape(&mut self) -> Read {
        let offset = self.at;
        let rest = self.text.get(offset..).unwrap_or_default();
        let mut characters = rest.chars();
        characters.next();
        if unescape(&mut characters).is_none() {
            return Err(Fault::new(offset, "no valid escape sequence".to_owned()));
        }
        self.at = offset.saturating_add(rest.len().saturating_sub(characters.as_str().len()));
        Ok(())
    }

    /// The number that must be next; `what` names it in the error.
    pub(super) fn number(&mut self, what: &str) -> Read<Number<'a>> {
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.unexpected(what));
        }
        let offset = self.at;
        let malformed = || Fault::new(offset, "number that JSON does not know".to_owned());
        self.at += usize::from(self.byte() == Some(b'-'));
        let leading_zero = self.byte() == Some(b'0');
        let digits = self.digits();
        if digits == 0 || (leading_zero && digits > 1) {
            return Err(malformed());
        }
        let mut whole = true;
        if self.byte() == Some(b'.') {
            whole = false;
            self.at += 1;
            (self.digits() > 0).then_some(()).ok_or_else(malformed)?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            whole = false;
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            (self.digits() > 0).then_some(()).ok_or_else(malformed)?;
        }
        let lexeme = self.text.get(offset..self.at).unwrap_or_default();
        Ok(Number { offset, lexeme, whole })
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at.saturating_sub(start)
    }
}

impl<'a> Quoted<'a> {
    /// Its characters, escapes resolved.
    pub(super) fn chars(&self) -> Unescaped<'a> {
        Unescaped { rest: self.raw.chars() }
    }

    /// How it compares to a name of the schema: that of `name` to it.
    pub(super) fn order_of(&self, name: &str) -> std::cmp::Ordering {
        if self.escaped { name.chars().cmp(self.chars()) } else { name.cmp(self.raw) }
    }

    /// Whether it says `name`.
    pub(super) fn is(&self, name: &str) -> bool {
        self.order_of(name).is_eq()
    }
}

/// The characters of a checked string.
#[derive(Debug, Clone)]
pub(super) struct Unescaped<'a> {
    rest: Chars<'a>,
}

impl<'a> Unescaped<'a> {
    /// The characters of the string of `text` whose opening quote stands at `offset`.
    pub(super) fn at(text: &'a str, offset: usize) -> Self {
        let rest = text.get(offset..).and_then(|rest| rest.strip_prefix('"'));
        Self { rest: rest.unwrap_or_default().chars() }
    }
}

impl Iterator for Unescaped<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self.rest.next()? {
            // Only strings found by their offset still have their end.
            '"' => {
                self.rest = "".chars();
                None
            }
            '\\' => unescape(&mut self.rest),
            plain => Some(plain),
        }
    }
}

/// What follows a backslash, as the character that it stands for.
fn unescape(rest: &mut Chars<'_>) -> Option<char> {
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

impl Number<'_> {
    /// Its value, if it is whole and fits.
    pub(super) fn integer(&self) -> Option<i64> {
        if self.whole { self.lexeme.parse().ok() } else { None }
    }
}
