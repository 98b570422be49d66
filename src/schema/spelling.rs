//! What a reference may look like before a parser of URLs sees it.
//!
//! Refused, because such parsers repair or reinterpret it and two readers could then differ: control characters, white
//! space, backslashes, user information, schemes other than http and https, a scheme without exactly two slashes,
//! `//host` without a scheme, and `.` and `..` segments, however encoded.

use std::borrow::Cow;

use url::Url;

/// What is wrong with a header, before its text is added.
pub(super) enum Fault {
    /// It is neither URL, id nor path.
    Malformed(Cow<'static, str>),
    /// Its origin, which this is, is not allowed.
    NotAllowed(String),
}

impl From<&'static str> for Fault {
    fn from(why: &'static str) -> Self {
        Self::Malformed(why.into())
    }
}

/// The header as text without anything that a parser of URLs would repair or drop.
pub(super) fn plain_text(header: &[u8]) -> Result<&str, Fault> {
    if header.len() > MAX_REFERENCE_BYTES {
        let why = format!("it has {} bytes, at most {MAX_REFERENCE_BYTES} are read", header.len());
        return Err(Fault::Malformed(why.into()));
    }
    let text = std::str::from_utf8(header).map_err(|_| "it is not UTF-8")?;
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err("it has white space, a control character or a backslash".into());
    }
    Ok(text)
}

/// The scheme of an absolute URL (RFC 3986, section 3.1) and what follows the colon.
pub(super) fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    named.then_some((scheme, rest))
}

/// An http or https URL that says what it means. `scheme` and `rest` are its parts around the first colon.
pub(super) fn absolute(text: &str, scheme: &str, rest: &str) -> Result<Url, Fault> {
    if !["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http)) {
        return Err("its scheme is neither http nor https".into());
    }
    let rest = rest.strip_prefix("//").ok_or("its scheme is not followed by two slashes")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if authority.is_empty() {
        return Err("it has no host".into());
    }
    if authority.contains('@') {
        return Err("it has user information".into());
    }
    refuse_dot_segments(path)?;
    Url::parse(text).map_err(not_a_url)
}

/// What the parser of URLs says.
pub(super) fn not_a_url(error: url::ParseError) -> Fault {
    Fault::Malformed(format!("it is no URL: {error}").into())
}

/// Refuses paths that one reader of URLs takes for another path: `.` and `..` segments and control characters, also
/// where percent-encoding hides them, once or several times.
pub(super) fn refuse_dot_segments(text: &str) -> Result<(), Fault> {
    let path = text.split_once('?').map_or(text, |(path, _)| path);
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..MAX_ENCODINGS {
        let mut segments = bytes.split(|byte| matches!(byte, b'/' | b'\\'));
        if segments.any(|segment| matches!(segment, b"." | b"..")) {
            return Err("it has a segment of dots".into());
        }
        if bytes.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\') {
            return Err("it has an encoded control character or backslash".into());
        }
        let decoded = percent_decoded(&bytes);
        if decoded == bytes {
            return Ok(());
        }
        bytes = decoded;
    }
    Err("it is percent-encoded several times".into())
}

/// Every `%` with two hexadecimal digits as the byte that it stands for.
pub(super) fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, after @ ..]) => match hex_pair(*high, *low) {
                Some(byte) => (byte, after),
                None => (first, tail),
            },
            _ => (first, tail),
        };
        out.push(byte);
        rest = tail;
    }
    out
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4) | digit(low)?)
}

/// Whether it is ASCII digits and nothing else.
pub(super) fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Longest header that is read.
pub(super) const MAX_REFERENCE_BYTES: usize = 2 * crate::limits::KIB;
/// How often a path may be percent-encoded over and over.
const MAX_ENCODINGS: usize = 4;
