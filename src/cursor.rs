//! The one bounded reader of integers, varints and slices. Everything that walks bytes from a socket goes through it.
//!
//! It never panics and never reads past its end: each read either yields a value or a [`CursorError`] that says where.

/// Why bytes could not be read. `at` counts from the start of the cursor's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// The input ends before the value does.
    #[error("{needed} bytes are needed at byte {at} but {left} are left")]
    Truncated {
        /// Where the value begins.
        at: usize,
        /// Bytes that the value needs, at least.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A varint has more bytes than its type can use, or more than its value needs.
    #[error("over-long or overflowing varint at byte {at}")]
    Varint {
        /// Where the varint begins.
        at: usize,
    },
    /// A length or count is negative where it must not be.
    #[error("negative length {length} at byte {at}")]
    NegativeLength {
        /// Where the length begins.
        at: usize,
        /// The length.
        length: i64,
    },
}

/// Reads a byte slice from front to back.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the front of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, len: bytes.len() }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.len.saturating_sub(self.rest.len())
    }

    /// Bytes not read yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The bytes not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    // By value, like all that is not inlined: a cursor whose address is taken cannot live in registers.
    #[cold]
    const fn truncated(self, needed: usize) -> CursorError {
        CursorError::Truncated { at: self.position(), needed, left: self.rest.len() }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`CursorError::Truncated`] if fewer are left.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], CursorError> {
        match self.rest.split_at_checked(count) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(self.truncated(count)),
        }
    }

    /// Passes over `count` bytes.
    ///
    /// # Errors
    /// [`CursorError::Truncated`] if fewer are left.
    #[inline]
    pub fn skip(&mut self, count: usize) -> Result<(), CursorError> {
        self.take(count).map(|_| ())
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`CursorError::Truncated`] if fewer are left.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CursorError> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(*head)
            }
            None => Err(self.truncated(N)),
        }
    }

    /// One byte.
    ///
    /// # Errors
    /// [`CursorError::Truncated`] at the end of the input.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, CursorError> {
        match self.rest.split_first() {
            Some((byte, tail)) => {
                self.rest = tail;
                Ok(*byte)
            }
            None => Err(self.truncated(1)),
        }
    }

    /// A signed byte.
    ///
    /// # Errors
    /// [`CursorError::Truncated`] at the end of the input.
    #[inline]
    pub fn i8(&mut self) -> Result<i8, CursorError> {
        self.array().map(i8::from_be_bytes)
    }

    /// A big-endian 16-bit integer.
    ///
    /// # Errors
    /// [`CursorError::Truncated`] if fewer than two bytes are left.
    #[inline]
    pub fn i16(&mut self) -> Result<i16, CursorError> {
        self.array().map(i16::from_be_bytes)
    }

    /// A big-endian 32-bit integer.
    ///
    /// # Errors
    /// [`CursorError::Truncated`] if fewer than four bytes are left.
    #[inline]
    pub fn i32(&mut self) -> Result<i32, CursorError> {
        self.array().map(i32::from_be_bytes)
    }

    /// A big-endian unsigned 32-bit integer.
    ///
    /// # Errors
    /// [`CursorError::Truncated`] if fewer than four bytes are left.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, CursorError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A big-endian 64-bit integer.
    ///
    /// # Errors
    /// [`CursorError::Truncated`] if fewer than eight bytes are left.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, CursorError> {
        self.array().map(i64::from_be_bytes)
    }

    /// An unsigned LEB128 varint of at most `MAX` bytes, its last byte not zero unless it is the only one when `STRICT`,
    /// and the cursor behind it.
    #[inline]
    fn leb128<const MAX: usize, const STRICT: bool>(self) -> Result<(u64, Self), CursorError> {
        let mut value = 0_u64;
        let mut shift = 0_u32;
        for (index, &byte) in self.rest.iter().take(MAX).enumerate() {
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if STRICT && byte == 0 && index > 0 {
                    break;
                }
                if shift == 63 && byte > 1 {
                    break;
                }
                let rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok((value, Self { rest, ..self }));
            }
            shift += 7;
        }
        if self.rest.len() < MAX && self.rest.iter().all(|byte| byte & 0x80 != 0) {
            return Err(self.truncated(self.rest.len() + 1));
        }
        Err(CursorError::Varint { at: self.position() })
    }

    /// An unsigned varint of the protocol's flexible versions (KIP-482): at most 5 bytes, at most 32 bits. Brokers and
    /// clients take over-long ones here, so does this.
    ///
    /// # Errors
    /// [`CursorError::Truncated`] or [`CursorError::Varint`].
    #[inline]
    pub fn unsigned_varint(&mut self) -> Result<u32, CursorError> {
        if let [byte @ 0..=0x7f, ref tail @ ..] = *self.rest {
            self.rest = tail;
            return Ok(u32::from(byte));
        }
        self.long_unsigned_varint()
    }

    #[inline(never)]
    fn long_unsigned_varint(&mut self) -> Result<u32, CursorError> {
        let (value, behind) = self.leb128::<5, false>()?;
        let value =
            u32::try_from(value).map_err(|_| CursorError::Varint { at: self.position() })?;
        *self = behind;
        Ok(value)
    }

    /// A zigzag varint of a record (KIP-98): 32 bits, no longer than its value needs.
    ///
    /// # Errors
    /// [`CursorError::Truncated`] or [`CursorError::Varint`].
    #[inline]
    pub fn varint(&mut self) -> Result<i32, CursorError> {
        match *self.rest {
            [byte @ 0..=0x7f, ref tail @ ..] => {
                self.rest = tail;
                Ok(unzigzag(u32::from(byte)))
            }
            [low, high @ 1..=0x7f, ref tail @ ..] => {
                self.rest = tail;
                Ok(unzigzag(two_bytes(low, high)))
            }
            _ => {
                let (value, behind) = self.long_varint()?;
                *self = behind;
                Ok(value)
            }
        }
    }

    /// A zigzag varint of 64 bits, no longer than its value needs.
    ///
    /// # Errors
    /// [`CursorError::Truncated`] or [`CursorError::Varint`].
    #[inline]
    pub fn varlong(&mut self) -> Result<i64, CursorError> {
        match *self.rest {
            [byte @ 0..=0x7f, ref tail @ ..] => {
                self.rest = tail;
                Ok(i64::from(unzigzag(u32::from(byte))))
            }
            [low, high @ 1..=0x7f, ref tail @ ..] => {
                self.rest = tail;
                Ok(i64::from(unzigzag(two_bytes(low, high))))
            }
            _ => {
                let (value, behind) = self.long_varlong()?;
                *self = behind;
                Ok(value)
            }
        }
    }

    /// What one and two bytes cannot hold, out of line so that the callers stay small.
    #[inline(never)]
    fn long_varint(self) -> Result<(i32, Self), CursorError> {
        let (raw, behind) = self.leb128::<5, true>()?;
        let raw = u32::try_from(raw).map_err(|_| CursorError::Varint { at: self.position() })?;
        Ok((unzigzag(raw), behind))
    }

    #[inline(never)]
    fn long_varlong(self) -> Result<(i64, Self), CursorError> {
        let (raw, behind) = self.leb128::<10, true>()?;
        Ok(((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()), behind))
    }
}

#[inline]
const fn unzigzag(raw: u32) -> i32 {
    (raw >> 1).cast_signed() ^ -((raw & 1).cast_signed())
}

/// The raw value of a varint of exactly two bytes, of which `low` has the continuation bit.
#[inline]
fn two_bytes(low: u8, high: u8) -> u32 {
    u32::from(low & 0x7f) | u32::from(high) << 7
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zigzag(value: i64) -> Vec<u8> {
        let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
        let mut out = Vec::new();
        while raw > 0x7f {
            out.push(u8::try_from(raw & 0x7f).unwrap() | 0x80);
            raw >>= 7;
        }
        out.push(u8::try_from(raw).unwrap());
        out
    }

    proptest! {
        #[test]
        fn varlong_reads_what_an_encoder_wrote(value: i64, tail: Vec<u8>) {
            let mut bytes = zigzag(value);
            let len = bytes.len();
            bytes.extend(&tail);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.varlong(), Ok(value));
            prop_assert_eq!(cursor.position(), len);
            prop_assert_eq!(cursor.rest(), &tail[..]);
        }

        #[test]
        fn varint_reads_what_an_encoder_wrote_and_nothing_wider(value: i64) {
            let bytes = zigzag(value);
            let read = Cursor::new(&bytes).varint();
            match i32::try_from(value) {
                Ok(value) => prop_assert_eq!(read, Ok(value)),
                Err(_) => prop_assert_eq!(read, Err(CursorError::Varint { at: 0 })),
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, count: usize) {
            let mut cursor = Cursor::new(&bytes);
            let _ = cursor.varint();
            let _ = cursor.varlong();
            let _ = cursor.unsigned_varint();
            let _ = cursor.take(count);
            let _ = cursor.i64();
            prop_assert!(cursor.position() + cursor.remaining() == bytes.len());
        }
    }

    #[test]
    fn over_long_varints_are_errors_in_records_only() {
        for bytes in [&[0x80, 0x00][..], &[0x82, 0x80, 0x00], &[0xff, 0x80, 0x00]] {
            assert_eq!(Cursor::new(bytes).varint(), Err(CursorError::Varint { at: 0 }));
            assert_eq!(Cursor::new(bytes).varlong(), Err(CursorError::Varint { at: 0 }));
            assert!(Cursor::new(bytes).unsigned_varint().is_ok());
        }
    }

    #[test]
    fn varints_wider_than_their_type_are_errors() {
        assert_eq!(
            Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).unsigned_varint(),
            Err(CursorError::Varint { at: 0 })
        );
        let eleven = [0xff; 11];
        assert_eq!(Cursor::new(&eleven).varlong(), Err(CursorError::Varint { at: 0 }));
        let mut ten = [0xff; 10];
        ten[9] = 2;
        assert_eq!(Cursor::new(&ten).varlong(), Err(CursorError::Varint { at: 0 }));
        ten[9] = 1;
        assert_eq!(Cursor::new(&ten).varlong(), Ok(i64::MIN));
    }

    #[test]
    fn a_varint_cut_short_is_truncated() {
        assert_eq!(
            Cursor::new(&[0x80]).varlong(),
            Err(CursorError::Truncated { at: 0, needed: 2, left: 1 })
        );
        assert_eq!(
            Cursor::new(&[]).varint(),
            Err(CursorError::Truncated { at: 0, needed: 1, left: 0 })
        );
    }
}
