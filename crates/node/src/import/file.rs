//! Blocks out of a file: concatenated RLP, as `geth export` writes them.
//!
//! ```text
//! │ list of header, transactions, uncles, withdrawals │ list … │ list … │ end
//! ▲ offset
//! ```
//! One block is in memory at a time. Limit: [`BLOCK_BYTES_MAX`].

use super::error::FileProblem;
use alloy_consensus::{Block, Header};
use alloy_rlp::Decodable as _;
use primitives::transaction::Envelope;
use std::io::{ErrorKind, Read};

/// Longest encoded block, in bytes; Ethereum's own is 10 MiB since Osaka.
pub const BLOCK_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// What a file begins with that gzip packed.
const GZIP: u8 = 0x1f;

/// A block as it stands in the file.
pub(super) type FileBlock = Block<Envelope, Header>;

/// Reads one block after the other.
#[derive(Debug)]
pub(super) struct Blocks<R> {
    reader: R,
    /// Bytes read so far.
    offset: u64,
}

impl<R: Read> Blocks<R> {
    pub(super) const fn new(reader: R) -> Self {
        Self { reader, offset: 0 }
    }

    /// Where the next block begins.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The next block; none at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<FileBlock>, FileProblem> {
        let mut first = [0];
        if self.fill(&mut first)? < 1 {
            return Ok(None);
        }
        let [first] = first;
        let mut bytes = vec![first];
        let length = match first {
            0xc0..=0xf7 => u64::from(first - 0xc0),
            0xf8..=0xff => {
                let mut length = [0; 8];
                let width = usize::from(first - 0xf7);
                let wide = &mut length[8 - width..];
                self.fill_whole(wide)?;
                bytes.extend_from_slice(wide);
                u64::from_be_bytes(length)
            }
            GZIP => return Err(FileProblem::Packed),
            byte => return Err(FileProblem::NotBlock { byte }),
        };
        if length > BLOCK_BYTES_MAX {
            return Err(FileProblem::TooLarge {
                bytes: length,
                bytes_max: BLOCK_BYTES_MAX,
            });
        }
        let begun = bytes.len();
        bytes.resize(begun + usize::try_from(length).unwrap_or(usize::MAX), 0);
        self.fill_whole(&mut bytes[begun..])?;
        let mut rest = bytes.as_slice();
        let block = FileBlock::decode(&mut rest).map_err(FileProblem::Rlp)?;
        Ok(Some(block))
    }

    fn fill_whole(&mut self, buffer: &mut [u8]) -> Result<(), FileProblem> {
        let read = self.fill(buffer)?;
        let missing = u64::try_from(buffer.len() - read).unwrap_or(u64::MAX);
        match missing {
            0 => Ok(()),
            missing => Err(FileProblem::Truncated { missing }),
        }
    }

    /// Reads until the buffer is full or the file ends.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, FileProblem> {
        let mut done = 0;
        while done < buffer.len() {
            match self.reader.read(&mut buffer[done..]) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.offset += u64::try_from(done).unwrap_or_default();
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<FileBlock>, FileProblem> {
        Blocks::new(bytes).next()
    }

    #[test]
    fn what_is_no_block_is_said_to_be_none() {
        assert!(read(&[]).unwrap().is_none());
        assert!(matches!(read(&[0x1f, 0x8b]), Err(FileProblem::Packed)));
        assert!(matches!(
            read(&[0x7b]),
            Err(FileProblem::NotBlock { byte: 0x7b })
        ));
        assert!(matches!(
            read(&[0xc1]),
            Err(FileProblem::Truncated { missing: 1 })
        ));
        assert!(matches!(
            read(&[0xf9, 1]),
            Err(FileProblem::Truncated { missing: 1 })
        ));
        assert!(matches!(read(&[0xc1, 0x80]), Err(FileProblem::Rlp(_))));
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(read(&huge), Err(FileProblem::TooLarge { .. })));
    }
}
