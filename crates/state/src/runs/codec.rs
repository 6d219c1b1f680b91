//! Reading what files say, never beyond their end, and the numbers in them.
//!
//! Numbers are little-endian. A length is checked against what is there before anything is made
//! of it.

/// The bytes of a file that are not read yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unread<'a>(pub(super) &'a [u8]);

impl<'a> Unread<'a> {
    /// The next `len` bytes; `None` if there are fewer.
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Some bytes after their length.
    pub(super) fn key(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.take(usize::from(len))
    }
}

/// Writes a key of at most 255 bytes after its length.
pub(super) fn put_key(bytes: &mut Vec<u8>, key: &[u8]) {
    bytes.push(u8::try_from(key.len()).expect("rows have short keys"));
    bytes.extend_from_slice(key);
}

/// A length as the files have it.
pub(super) fn wide(len: usize) -> u64 {
    u64::try_from(len).expect("a length has 64 bits")
}

/// A length or position in memory, of something that is in memory or is about to be.
pub(super) fn narrow(len: u64) -> usize {
    usize::try_from(len).expect("the address space has 64 bits")
}

/// A count that a limit keeps below 2³².
pub(super) fn short(count: usize) -> u32 {
    u32::try_from(count).expect("a limit keeps it below 2^32")
}
