//! Reads and writes the binary pieces that keys and records are made of.
//!
//! Called by the other files of this module that lay out bytes. It never allocates more than the record at hand holds.

/// What is on disk is not what this version writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    #[error("it is too short")]
    Short,
    #[error("it is too long")]
    Long,
    #[error("its version is {0}")]
    Version(u8),
    #[error("it has an unknown kind {0}")]
    Kind(u8),
    #[error("its text is not UTF-8")]
    Text,
}

/// Takes pieces off the front of a record.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], BadRecord> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(BadRecord::Short)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, BadRecord> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32, BadRecord> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, BadRecord> {
        self.array().map(u64::from_be_bytes)
    }

    /// A text written by [`put_text`].
    pub(super) fn text(&mut self) -> Result<&'a str, BadRecord> {
        std::str::from_utf8(self.bytes()?).map_err(|_| BadRecord::Text)
    }

    /// What [`put_bytes`] wrote.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], BadRecord> {
        let length = usize::try_from(self.u32()?).map_err(|_| BadRecord::Short)?;
        let (head, rest) = self.0.split_at_checked(length).ok_or(BadRecord::Short)?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn end(self) -> Result<(), BadRecord> {
        if self.0.is_empty() { Ok(()) } else { Err(BadRecord::Long) }
    }
}

/// The length in four bytes, then the text.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_bytes(bytes, text.as_bytes());
}

/// The length in four bytes, then the bytes.
pub(super) fn put_bytes(bytes: &mut Vec<u8>, piece: &[u8]) {
    let length = u32::try_from(piece.len()).expect("no frame or body that reaches us holds 4 GiB");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(piece);
}
