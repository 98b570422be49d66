//! JSON as RFC 8259 has it, in one pass: strict, each key once, bounded in depth and number of values.

use super::{
    fault::{Fault, Segment},
    text::{self, Number},
    tree::{ESCAPED, FEW_KEYS, MAX_SLOTS, ROOT, Slot, Tree, UNSORTED},
};

/// Reads the value that `text` begins with; also says where it ends.
pub(super) fn parse(text: &str, max_depth: usize) -> Read<'_, (Tree<'_>, usize)> {
    if text.len() >= MAX_BYTES {
        return Err(Fault::new(0, format!("longer than {MAX_BYTES} bytes")));
    }
    let slots = Vec::with_capacity((text.len() / 8 + 2).min(MAX_SLOTS));
    let tree = Tree { text, slots, sorted: Vec::new() };
    let mut parser =
        Parser { tree, text, bytes: text.as_bytes(), at: 0, depth: max_depth, max_depth };
    parser.value()?;
    let end = parser.at;
    Ok((parser.tree, end))
}

/// Where what follows the value, which ends at `end`, begins.
pub(super) fn left_over(text: &str, end: usize) -> Option<usize> {
    let rest = text.as_bytes().get(end..)?;
    let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    (blank < rest.len()).then_some(end + blank)
}

/// Longest text: offsets take 31 bits.
const MAX_BYTES: usize = 1 << 31;

type Read<'t, T = ()> = Result<T, Box<Fault<'t>>>;

struct Parser<'t> {
    tree: Tree<'t>,
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// Levels that may still open.
    depth: usize,
    max_depth: usize,
}

impl<'t> Parser<'t> {
    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The first byte of the next token.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    fn value(&mut self) -> Read<'t> {
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn object(&mut self) -> Read<'t> {
        let opened = self.open()?;
        let mut keys = [ROOT; FEW_KEYS];
        let mut count = 0_u32;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return self.close(opened, 0, UNSORTED);
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key"));
            }
            let key = self.next_slot();
            self.string()?;
            self.remember(&mut keys, count, key)?;
            if self.peek() != Some(b':') {
                return Err(self.unexpected("`:`"));
            }
            self.at += 1;
            self.value().map_err(|fault| self.within_member(fault, count, key))?;
            count += 1;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.unexpected("`,` or `}`")),
            }
        }
        self.at += 1;
        if count as usize <= FEW_KEYS {
            return self.close(opened, count, UNSORTED);
        }
        let sorted = u32::try_from(self.tree.sorted.len()).unwrap_or(UNSORTED);
        self.close(opened, count, sorted)?;
        self.sort(opened, sorted)
    }

    /// Refuses a key that stands among the first ones already.
    #[inline]
    fn remember(&self, keys: &mut [u32; FEW_KEYS], count: u32, key: u32) -> Read<'t> {
        let Some((known, [place, ..])) = keys.split_at_mut_checked(count as usize) else {
            return Ok(());
        };
        *place = key;
        let quoted = self.tree.quoted(key);
        if known.iter().any(|known| self.tree.quoted(*known).same(&quoted)) {
            return Err(self.twice(key));
        }
        Ok(())
    }

    /// Sorts the keys of a large object, and refuses one that stands twice.
    fn sort(&mut self, object: u32, start: u32) -> Read<'t> {
        let keys = self.tree.members(object).map(|(key, _)| key);
        let mut keys: Vec<u32> = keys.collect();
        let tree = &self.tree;
        keys.sort_unstable_by(|a, b| {
            tree.quoted(*a).order(&tree.quoted(*b)).then_with(|| a.cmp(b))
        });
        let same = |pair: &&[u32]| match pair {
            [a, b] => tree.quoted(*a).same(&tree.quoted(*b)),
            _ => false,
        };
        let twice = keys.windows(2).filter(same).filter_map(|pair| pair.get(1)).min();
        if let Some(key) = twice {
            return Err(self.twice(*key));
        }
        debug_assert_eq!(text::range(start, start).start, self.tree.sorted.len());
        self.tree.sorted.extend(keys);
        Ok(())
    }

    #[cold]
    fn twice(&self, key: u32) -> Box<Fault<'t>> {
        Fault::new(self.tree.offset(key), "key stands twice".to_owned())
    }

    #[cold]
    fn within_member(&self, fault: Box<Fault<'t>>, index: u32, key: u32) -> Box<Fault<'t>> {
        fault.within(Segment::Member(index, self.tree.quoted(key)))
    }

    fn array(&mut self) -> Read<'t> {
        let opened = self.open()?;
        let mut count = 0_u32;
        if self.peek() == Some(b']') {
            self.at += 1;
            return self.close(opened, 0, UNSORTED);
        }
        loop {
            self.value().map_err(|fault| fault.within(Segment::Item(count)))?;
            count += 1;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.unexpected("`,` or `]`")),
            }
        }
        self.at += 1;
        self.close(opened, count, UNSORTED)
    }

    /// Takes the two slots of a container that starts here.
    fn open(&mut self) -> Read<'t, u32> {
        let Some(depth) = self.depth.checked_sub(1) else {
            let detail = format!("nested deeper than {} levels", self.max_depth);
            return Err(Fault::new(self.at, detail));
        };
        self.depth = depth;
        let opened = self.next_slot();
        self.push(self.at, 0)?;
        self.push(self.at, 0)?;
        self.at += 1;
        Ok(opened)
    }

    fn close(&mut self, opened: u32, count: u32, sorted: u32) -> Read<'t> {
        self.depth += 1;
        let after = self.next_slot();
        let opened = opened as usize;
        if let Some([first, second]) = self.tree.slots.get_mut(opened..opened + 2) {
            first.end = after;
            *second = Slot { start: count, end: sorted };
        }
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation, reason = "there are at most MAX_SLOTS")]
    fn next_slot(&self) -> u32 {
        self.tree.slots.len() as u32
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the text has less than MAX_BYTES")]
    fn push(&mut self, start: usize, end: usize) -> Read<'t> {
        self.push_marked(start, end as u32)
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the text has less than MAX_BYTES")]
    fn push_marked(&mut self, start: usize, end: u32) -> Read<'t> {
        if self.tree.slots.len() >= MAX_SLOTS {
            return Err(Fault::new(self.at, format!("more than {MAX_SLOTS} values and keys")));
        }
        self.tree.slots.push(Slot { start: start as u32, end });
        Ok(())
    }

    /// The string whose opening quote is next.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the text has less than MAX_BYTES")]
    fn string(&mut self) -> Read<'t> {
        let start = self.at;
        let mut escaped = 0;
        self.at += 1;
        loop {
            self.skip_plain();
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = ESCAPED;
                    self.escape()?;
                }
                Some(0..=0x1f) => {
                    return Err(Fault::new(self.at, "control character in a string".to_owned()));
                }
                Some(_) => self.at += 1,
                None => return Err(Fault::new(start, "string without an end".to_owned())),
            }
        }
        let end = self.at as u32 | escaped;
        self.at += 1;
        self.push_marked(start, end)
    }

    /// Passes over eight bytes at a time, up to the first that means something in a string.
    #[inline]
    fn skip_plain(&mut self) {
        const ONES: u64 = u64::from_ne_bytes([1; 8]);
        const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
        const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
        const SLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
        const BLANKS: u64 = u64::from_ne_bytes([0x20; 8]);
        while let Some((word, _)) =
            self.bytes.get(self.at..).and_then(|rest| rest.split_first_chunk::<8>())
        {
            let word = u64::from_le_bytes(*word);
            let (quote, slash) = (word ^ QUOTES, word ^ SLASHES);
            let control = word.wrapping_sub(BLANKS) & !word;
            let quote = quote.wrapping_sub(ONES) & !quote;
            let slash = slash.wrapping_sub(ONES) & !slash;
            // Of the marks only the first is certain: a subtraction may borrow from the next byte.
            let marks = (control | quote | slash) & TOPS;
            if marks != 0 {
                self.at += (marks.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
    }

    /// An escape sequence; the halves of a surrogate pair belong together.
    fn escape(&mut self) -> Read<'t> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut characters = rest.chars();
        characters.next();
        if text::unescape(&mut characters).is_none() {
            return Err(Fault::new(self.at, "no valid escape sequence".to_owned()));
        }
        self.at += rest.len().saturating_sub(characters.as_str().len());
        Ok(())
    }

    fn number(&mut self) -> Read<'t> {
        let start = self.at;
        let malformed = || Fault::new(start, "number that JSON does not know".to_owned());
        self.at += usize::from(self.byte() == Some(b'-'));
        let leading_zero = self.byte() == Some(b'0');
        let digits = self.digits();
        if digits == 0 || (leading_zero && digits > 1) {
            return Err(malformed());
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            (self.digits() > 0).then_some(()).ok_or_else(malformed)?;
        }
        let mut large = digits > MAX_FINITE_DIGITS;
        if let Some(b'e' | b'E') = self.byte() {
            large = true;
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            (self.digits() > 0).then_some(()).ok_or_else(malformed)?;
        }
        if large {
            let lexeme = self.text.get(start..self.at).unwrap_or_default();
            if !Number::new(lexeme).double().is_finite() {
                return Err(Fault::new(start, "number beyond the range of a double".to_owned()));
            }
        }
        self.push(start, self.at)
    }

    #[inline]
    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    #[inline]
    fn word(&mut self, word: &str) -> Read<'t> {
        let start = self.at;
        let found = self.bytes.get(start..start + word.len()) == Some(word.as_bytes());
        let end = start + word.len();
        let follows = self.bytes.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !found || follows {
            return Err(self.unexpected("a value"));
        }
        self.at = end;
        self.push(start, end)
    }

    /// Refuses what is next where `wanted` should be. Says only of what kind it is.
    #[cold]
    fn unexpected(&mut self, wanted: &str) -> Box<Fault<'t>> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let found = match rest.first() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'-' | b'0'..=b'9') => "a number",
            Some(b',' | b':' | b']' | b'}') => "punctuation",
            Some(_) if wanted != "a value" && rest.starts_with(b"null") => "null",
            Some(_) if rest.starts_with(b"\xef\xbb\xbf") => "a byte order mark",
            Some(_) => "no JSON",
            None => "the end of the bytes",
        };
        Fault::new(self.at, format!("expected {wanted}, found {found}"))
    }
}

/// Digits that are a finite double whatever they are.
const MAX_FINITE_DIGITS: usize = 308;
