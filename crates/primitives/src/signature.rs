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
mod hinted;
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
mod scalar;
#[cfg(target_arch = "x86_64")]
mod table;

pub use hinted::{Hinted, HintedRecovery, recover_by_hints};
pub use key::{KEY_BYTES, SenderKey};

use alloy_consensus::crypto::secp256k1::recover_signer_unchecked;
use alloy_primitives::{Address, B256, Signature, U256};
use rand_core::CryptoRng;
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
    pub request: Request,
    /// What the lanes recovered.
    pub lanes: Recovery,
    /// What the C library recovered.
    pub library: Recovery,
}

/// Who signed.
pub type Signer = Result<Address, RecoverError>;

/// A signer with the key that was recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The public key.
    pub key: SenderKey,
    /// The address of its account.
    pub address: Address,
}

impl Request {
    /// Recovers one signer with the C library.
    ///
    /// # Errors
    /// [`RecoverError`].
    pub fn recover(&self) -> Signer {
        let signature = Signature::new(self.r, self.s, self.is_odd);
        recover_signer_unchecked(&signature, self.hash).map_err(|_| RecoverError)
    }

    /// Recovers one signer with its key, with the C library.
    ///
    /// # Errors
    /// [`RecoverError`].
    pub fn recover_with_key(&self) -> Recovery {
        let signature = Signature::new(self.r, self.s, self.is_odd);
        let key = signature
            .recover_from_prehash_secp256k1(&self.hash)
            .map_err(|_| RecoverError)?;
        let [_, key @ ..] = key.serialize_uncompressed();
        let key = SenderKey::new(key);
        let address = key.address();
        Ok(Recovered { key, address })
    }
}

/// A signer with its key, or that there is none.
pub type Recovery = Result<Recovered, RecoverError>;

/// Recovers the signer of each request.
#[must_use]
pub fn recover_many(requests: &[Request]) -> Vec<Signer> {
    let address = |recovered: Recovery| recovered.map(|recovered| recovered.address);
    let recovered = recover_with_keys(requests).into_iter();
    recovered.map(address).collect()
}

/// Whether this processor has lanes.
#[must_use]
pub fn has_lanes() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = lanes::is_available();
    #[cfg(not(target_arch = "x86_64"))]
    let has = false;
    has
}

/// Recovers the signer of each request with its key.
#[must_use]
pub fn recover_with_keys(requests: &[Request]) -> Vec<Recovery> {
    let by_lanes = if requests.len() < LANES_MIN {
        None
    } else {
        recover_in_lanes(requests)
    };
    by_lanes.unwrap_or_else(|| recover_in_library(requests))
}

/// Recovers the signer of each request with its key, one by one with the C library.
#[must_use]
pub fn recover_in_library(requests: &[Request]) -> Vec<Recovery> {
    requests.iter().map(Request::recover_with_key).collect()
}

/// Recovers the signer of each request by what is said of their keys: in lanes where the processor has them,
/// which is faster than any hint makes it, and by the hints elsewhere.
///
/// The answer is the same, and has the signers of [`recover_many`], whatever the hints and `rng` are. `rng`
/// must be unpredictable for whoever made the signatures.
#[must_use]
pub fn recover_hinted(hinted: &[Hinted<'_>], rng: &mut impl CryptoRng) -> HintedRecovery {
    let requests: Vec<_> = hinted.iter().map(|hinted| hinted.request).collect();
    match recover_in_lanes(&requests) {
        Some(recovered) => HintedRecovery::judge(hinted, recovered),
        None => recover_by_hints(hinted, rng),
    }
}

/// Recovers about one in `every` of the requests a second time with the C library; how many these were.
///
/// Which ones depends on what was signed.
///
/// # Errors
/// [`RecoverFault`] when the two ways disagree.
pub fn check(
    requests: &[Request],
    recovered: &[Recovery],
    every: NonZeroU64,
) -> Result<u64, Box<RecoverFault>> {
    let mut checked = 0_u64;
    for (request, lanes) in requests.iter().zip(recovered) {
        let (sample, _) = request
            .hash
            .split_first_chunk()
            .expect("a hash has 32 bytes");
        if u64::from_le_bytes(*sample) % every == 0 {
            compare(request, *lanes)?;
            checked = checked.saturating_add(1);
        }
    }
    Ok(checked)
}

fn compare(request: &Request, lanes: Recovery) -> Result<(), Box<RecoverFault>> {
    let library = request.recover_with_key();
    if library == lanes {
        return Ok(());
    }
    Err(Box::new(RecoverFault {
        request: *request,
        lanes,
        library,
    }))
}

#[cfg(not(target_arch = "x86_64"))]
fn recover_in_lanes(_: &[Request]) -> Option<Vec<Recovery>> {
    None
}

/// Recovers in lanes; none where the processor has none.
#[cfg(target_arch = "x86_64")]
fn recover_in_lanes(requests: &[Request]) -> Option<Vec<Recovery>> {
    let lanes = lanes::enter(batch::recover, (requests, table::fixed_table()?))?;
    let signers = requests
        .iter()
        .zip(lanes)
        .map(|(request, lane)| match lane {
            batch::Lane::Recovered(signer) => Ok(signer),
            batch::Lane::Invalid => Err(RecoverError),
            batch::Lane::Exceptional => request.recover_with_key(),
        });
    Some(signers.collect())
}

#[cfg(test)]
mod tests;
