//! Recovering the signers of many signatures at once.
//!
//! ```text
//! requests ─▶ r, s in range? ─▶ eight (or sixteen) lanes in lock-step ─▶ signers
//!                                 └ a lane that would add equal points ─▶ the C library
//! ```
//! Where the processor multiplies 52-bit integers eight at a time (AVX-512 IFMA, detected at run time),
//! recovery takes a fraction of the C library's time; elsewhere, and for very few signatures, the C
//! library does it. The answer is the same in every case: the lanes know when they cannot tell and hand
//! that signature over. Everything here is public, so nothing takes constant time.
//!
//! Whether a high `s` is acceptable is the caller's to decide, as with the C library.

#[cfg(target_arch = "x86_64")]
mod affine;
#[cfg(target_arch = "x86_64")]
mod batch;
#[cfg(target_arch = "x86_64")]
mod field;
#[cfg(target_arch = "x86_64")]
mod inverse;
#[cfg(target_arch = "x86_64")]
mod jacobian;
#[cfg(target_arch = "x86_64")]
mod keccak;
mod key;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod layout;
#[cfg(target_arch = "x86_64")]
mod scalar;
#[cfg(target_arch = "x86_64")]
mod table;

pub use key::{KEY_BYTES, SenderKey};

use alloy_consensus::crypto::secp256k1::recover_signer_unchecked;
use alloy_primitives::{Address, B256, Signature, U256};
use std::num::NonZeroU64;

/// Fewer signatures than this take the C library less time than the lanes.
const LANES_MIN: usize = 2;

/// A signature and what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The hash that was signed.
    pub hash: B256,
    /// The x of the signature's point.
    pub r: U256,
    /// The other half of the signature.
    pub s: U256,
    /// Whether the y of the signature's point is odd.
    pub is_odd: bool,
}

/// No public key belongs to a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no signer can be recovered")]
pub struct RecoverError;

/// The lanes and the C library disagree: this node's own fault, nothing they recover can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("recoveries differ: request={request:?} lanes={lanes:?} library={library:?}")]
pub struct RecoverFault {
    /// The signature.
    pub request: Box<Request>,
    /// What the lanes recovered.
    pub lanes: Signer,
    /// What the C library recovered.
    pub library: Signer,
}

/// Who signed.
pub type Signer = Result<Address, RecoverError>;

impl Request {
    /// Recovers one signer with the C library.
    ///
    /// # Errors
    /// [`RecoverError`].
    pub fn recover(&self) -> Signer {
        let signature = Signature::new(self.r, self.s, self.is_odd);
        recover_signer_unchecked(&signature, self.hash).map_err(|_| RecoverError)
    }
}

/// Recovers the signer of each request.
#[must_use]
pub fn recover_many(requests: &[Request]) -> Vec<Signer> {
    let by_lanes = if requests.len() < LANES_MIN {
        None
    } else {
        recover_in_lanes(requests)
    };
    by_lanes.unwrap_or_else(|| requests.iter().map(Request::recover).collect())
}

/// Recovers the signer of each request, and about one in `every` a second time with the C library.
///
/// # Errors
/// [`RecoverFault`] when the two ways disagree.
pub fn recover_checked(
    requests: &[Request],
    every: NonZeroU64,
) -> Result<Vec<Signer>, RecoverFault> {
    let recovered = recover_many(requests);
    for (request, lanes) in requests.iter().zip(&recovered) {
        let (sample, _) = request
            .hash
            .split_first_chunk()
            .expect("a hash has 32 bytes");
        if u64::from_le_bytes(*sample) % every == 0 {
            compare(request, *lanes)?;
        }
    }
    Ok(recovered)
}

fn compare(request: &Request, lanes: Signer) -> Result<(), RecoverFault> {
    let library = request.recover();
    if library == lanes {
        return Ok(());
    }
    Err(RecoverFault {
        request: Box::new(*request),
        lanes,
        library,
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn recover_in_lanes(_: &[Request]) -> Option<Vec<Signer>> {
    None
}

/// Recovers in lanes; none where the processor has none.
#[cfg(target_arch = "x86_64")]
fn recover_in_lanes(requests: &[Request]) -> Option<Vec<Signer>> {
    let lanes = lanes::enter(batch::recover, (requests, table::fixed_table()?))?;
    let signers = requests
        .iter()
        .zip(lanes)
        .map(|(request, lane)| match lane {
            batch::Lane::Recovered(signer) => Ok(signer),
            batch::Lane::Invalid => Err(RecoverError),
            batch::Lane::Exceptional => request.recover(),
        });
    Some(signers.collect())
}

#[cfg(test)]
mod tests;
