//! Records out of files, one after the other: only one is held at a time.

use std::io::{self, BufRead, Read};

use base64::{Engine, prelude::BASE64_STANDARD};
use clap::ValueEnum;

/// How records stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Input {
    /// The whole file is one record
    Raw,
    /// Before each record its length: four bytes, big endian
    LengthPrefixed,
    /// One JSON value on each line
    JsonLines,
    /// One record in base64 on each line
    Base64Lines,
    /// One record in hexadecimal digits on each line
    HexLines,
}

/// Why records cannot be read on. Scope: the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    /// A record is too large.
    #[error("record {record} has more than {most} bytes")]
    TooLarge { record: u64, most: usize },
    /// The file ends in a record.
    #[error("record {record}: the file ends after {had} of {wanted} bytes")]
    CutShort { record: u64, had: u64, wanted: u64 },
    /// A line is not what it should be.
    #[error("record {record}: the line is no {what}")]
    NoText { record: u64, what: &'static str },
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads records of at most so many bytes.
pub(super) struct Records<R> {
    input: Input,
    from: R,
    most: usize,
    record: u64,
    ended: bool,
}

impl<R: BufRead> Records<R> {
    pub(super) const fn new(input: Input, from: R, most: usize) -> Self {
        Self { input, from, most, record: 0, ended: false }
    }

    /// The next record; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, InputError> {
        if self.ended {
            return Ok(None);
        }
        let next = match self.input {
            Input::Raw => {
                self.ended = true;
                self.all().map(Some)
            }
            Input::LengthPrefixed => self.prefixed(),
            Input::JsonLines | Input::Base64Lines | Input::HexLines => self.line(),
        };
        self.ended |= !matches!(next, Ok(Some(_)));
        self.record += 1;
        next
    }

    fn all(&mut self) -> Result<Vec<u8>, InputError> {
        let mut bytes = Vec::new();
        self.limited(self.most).read_to_end(&mut bytes)?;
        self.sized(bytes, self.most)
    }

    /// One byte more than may be read, so that what is too large is seen.
    fn limited(&mut self, most: usize) -> io::Take<&mut R> {
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        self.from.by_ref().take(most.saturating_add(1))
    }

    fn sized(&self, bytes: Vec<u8>, most: usize) -> Result<Vec<u8>, InputError> {
        if bytes.len() > most {
            return Err(InputError::TooLarge { record: self.record, most: self.most });
        }
        Ok(bytes)
    }

    fn prefixed(&mut self) -> Result<Option<Vec<u8>>, InputError> {
        let mut length = Vec::new();
        self.from.by_ref().take(4).read_to_end(&mut length)?;
        let length = match <[u8; 4]>::try_from(&*length) {
            Ok(length) => u64::from(u32::from_be_bytes(length)),
            Err(_) if length.is_empty() => return Ok(None),
            Err(_) => return Err(self.cut_short(length.len(), 4)),
        };
        if length > u64::try_from(self.most).unwrap_or(u64::MAX) {
            return Err(InputError::TooLarge { record: self.record, most: self.most });
        }
        let mut bytes = Vec::new();
        self.from.by_ref().take(length).read_to_end(&mut bytes)?;
        match u64::try_from(bytes.len()) {
            Ok(had) if had == length => Ok(Some(bytes)),
            _ => Err(self.cut_short(bytes.len(), length)),
        }
    }

    fn cut_short(&self, had: usize, wanted: u64) -> InputError {
        let had = u64::try_from(had).unwrap_or(u64::MAX);
        InputError::CutShort { record: self.record, had, wanted }
    }

    /// The record of the next line that is not blank.
    fn line(&mut self) -> Result<Option<Vec<u8>>, InputError> {
        // In digits a record takes twice its bytes.
        let most = self.most.saturating_mul(2).saturating_add(2);
        loop {
            let mut line = Vec::new();
            self.limited(most).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                return Ok(None);
            }
            let line = self.sized(line, most)?;
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            let bytes = match self.input {
                Input::Base64Lines => BASE64_STANDARD.decode(text).ok(),
                Input::HexLines => unhex(text),
                _ => Some(line.strip_suffix(b"\n").unwrap_or(&line).to_vec()),
            };
            let what = if self.input == Input::HexLines { "hexadecimal text" } else { "base64" };
            let bytes = bytes.ok_or(InputError::NoText { record: self.record, what })?;
            return self.sized(bytes, self.most).map(Some);
        }
    }
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: Input, bytes: &[u8]) -> (Vec<Vec<u8>>, String) {
        let mut records = Records::new(input, bytes, 8);
        let mut found = Vec::new();
        loop {
            match records.next() {
                Ok(Some(record)) => found.push(record),
                Ok(None) => return (found, String::new()),
                Err(error) => return (found, error.to_string()),
            }
        }
    }

    #[test]
    fn records_are_read_as_they_stand_in_the_file() {
        type Row = (Input, &'static [u8], &'static [&'static [u8]], &'static str);
        let table: &[Row] = &[
            (Input::Raw, b"", &[b""], ""),
            (Input::Raw, b"12345678", &[b"12345678"], ""),
            (Input::Raw, b"123456789", &[], "record 0 has more than 8 bytes"),
            (Input::LengthPrefixed, b"", &[], ""),
            (Input::LengthPrefixed, b"\0\0\0\x01a\0\0\0\0\0\0\0\x02bc", &[b"a", b"", b"bc"], ""),
            (
                Input::LengthPrefixed,
                b"\0\0\0\x01a\0\0",
                &[b"a"],
                "record 1: the file ends after 2 of 4 bytes",
            ),
            (
                Input::LengthPrefixed,
                b"\0\0\0\x02a",
                &[],
                "record 0: the file ends after 1 of 2 bytes",
            ),
            (Input::LengthPrefixed, b"\xff\xff\xff\xffa", &[], "record 0 has more than 8 bytes"),
            (Input::JsonLines, b"{}\n\n [1]\r\n3", &[b"{}", b" [1]\r", b"3"], ""),
            (Input::JsonLines, b"123456789\n", &[], "record 0 has more than 8 bytes"),
            (Input::Base64Lines, b"AAE=\n/w==", &[&[0, 1], &[255]], ""),
            (Input::Base64Lines, b"AAE=\n!\n", &[&[0, 1]], "record 1: the line is no base64"),
            (Input::HexLines, b"0001\r\nFf\n", &[&[0, 1], &[255]], ""),
            (Input::HexLines, b"000", &[], "record 0: the line is no hexadecimal text"),
            (Input::HexLines, b"+1", &[], "record 0: the line is no hexadecimal text"),
            (Input::HexLines, b"00000000000000000000", &[], "record 0 has more than 8 bytes"),
        ];
        for (input, bytes, records, error) in table {
            let (found, message) = read(*input, bytes);
            assert_eq!(
                (&found[..], &*message),
                (&records.iter().map(|it| it.to_vec()).collect::<Vec<_>>()[..], *error),
                "{input:?} {bytes:?}"
            );
        }
    }
}
