//! Cuts and builds size-prefixed frames.

use bytes::Bytes;

use super::WireError;

/// One Kafka frame: its 4-byte big-endian size, then that many bytes. Cloning shares the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// Takes `bytes`, a size and exactly that many bytes.
    ///
    /// # Errors
    /// [`WireError::FrameSize`] if the size says something else.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, WireError> {
        let size = bytes.first_chunk::<4>().map_or(-1, |size| i32::from_be_bytes(*size));
        if usize::try_from(size).ok().and_then(|size| size.checked_add(4)) == Some(bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(WireError::FrameSize { size })
        }
    }

    /// The frame as it travels, size included.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The frame without its size.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.0.get(4..).unwrap_or_default()
    }
}

/// Building.
impl Frame {
    /// Makes a frame of `bytes`, whose first four are free: the size is written there.
    pub(in crate::wire) fn seal(mut bytes: Vec<u8>) -> Result<Self, WireError> {
        let size = bytes.len().saturating_sub(4);
        let limit = usize::try_from(i32::MAX).unwrap_or(usize::MAX);
        let announced =
            i32::try_from(size).map_err(|_| WireError::FrameTooLarge { size, limit })?;
        if let Some(head) = bytes.first_chunk_mut() {
            *head = announced.to_be_bytes();
        }
        Self::from_bytes(Bytes::from(bytes))
    }

    /// Makes a frame around a payload whose length is known when this is compiled.
    pub(in crate::wire) fn around<const N: usize>(payload: [u8; N]) -> Self {
        const { assert!(N <= 0xffff, "a frame this large is not built from an array") }
        let size = u32::try_from(N).unwrap_or_default().to_be_bytes();
        Self(Bytes::from([&size[..], &payload[..]].concat()))
    }
}
