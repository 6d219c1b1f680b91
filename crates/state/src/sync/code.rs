//! Code, by its hash and several at a time.
//!
//! ```text
//!   question  up to 64 hashes        answer  length 4 │ code …      in the order of the question
//! ```
//!
//! An answer may end early, after one code at least: whoever asks can't know how long codes are. What is
//! missing is asked for again.

use super::chunk::ServeError;
use super::leaf::{Malformed, Reader};
use super::{CODE_BYTES_MAX, CODES_BYTES, CODES_MAX, LeafScan};
use alloy_primitives::{B256, Bytes, keccak256};

/// Bytes that are not the codes that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Not a sequence of codes, or of more than were asked for.
    #[error("malformed codes at byte={0}")]
    Malformed(usize),
    /// No code at all.
    #[error("an answer without code")]
    Empty,
    /// A code that is longer than any.
    #[error("code too long: bytes={0} bytes_max={CODE_BYTES_MAX}")]
    TooLong(usize),
    /// Code with another hash.
    #[error("code of hash={found}, not of hash={asked}")]
    Hash {
        /// The hash that was asked for.
        asked: B256,
        /// The hash of the code.
        found: B256,
    },
}

impl From<Malformed> for CodeError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0)
    }
}

/// The answer to a question for code: as many of the first as fit.
///
/// # Errors
///
/// When the first is not in the state.
pub fn serve_codes(leaves: &impl LeafScan, hashes: &[B256]) -> Result<Bytes, ServeError> {
    let mut out = Vec::new();
    for hash in hashes.iter().take(CODES_MAX) {
        let Some(code) = leaves.code(hash)? else {
            break;
        };
        if out.len() >= CODES_BYTES {
            break;
        }
        put_code(&mut out, &code);
    }
    match (out.is_empty(), hashes.first()) {
        (true, Some(hash)) => Err(ServeError::NoCode(*hash)),
        _ => Ok(out.into()),
    }
}

/// Appends a code.
pub(super) fn put_code(out: &mut Vec<u8>, code: &[u8]) {
    let length = u32::try_from(code.len()).expect("code is below 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(code);
}

/// The codes of an answer, which have the first of these hashes, one at least.
///
/// # Errors
///
/// Any of them says that the peer lied.
pub fn check_codes(hashes: &[B256], bytes: &[u8]) -> Result<Vec<Bytes>, CodeError> {
    let mut reader = Reader::new(bytes);
    let mut codes = Vec::new();
    let mut hashes = hashes.iter();
    while reader.left() > 0 {
        let asked = hashes.next().ok_or(Malformed(reader.at()))?;
        let length = reader.count()?;
        if length > CODE_BYTES_MAX {
            return Err(CodeError::TooLong(length));
        }
        let code = reader.take(length)?;
        let found = keccak256(code);
        if found != *asked {
            let asked = *asked;
            return Err(CodeError::Hash { asked, found });
        }
        codes.push(Bytes::copy_from_slice(code));
    }
    match codes.is_empty() {
        true => Err(CodeError::Empty),
        false => Ok(codes),
    }
}
