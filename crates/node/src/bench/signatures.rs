//! Signatures: what recovering or checking one costs, for batches of several sizes, on one core.
//!
//! ```text
//!   sign everything ─▶ round after round: every way, every batch size ─▶ medians
//! ```
//! Every round measures all of them, one after the other, so that what disturbs the machine disturbs all. What
//! a way answers is looked at: a wrong answer is an error, not a figure.

mod report;

pub use report::{SignatureReport, SignatureRow, WayCosts};

use crate::{
    bench::state::{OnProgress, Progress},
    replay::Clock,
};
use alloy_primitives::{B256, U256, keccak256};
use alloy_signer::SignerSync as _;
use alloy_signer_local::PrivateKeySigner;
use commonware_cryptography::{BatchEntry, BatchVerifier as _, Signer as _};
use commonware_parallel::Sequential;
use primitives::{
    crypto::{PrivateKey, PublicKey},
    signature::{
        Hinted, Recovery, Request, SenderKey, has_lanes, recover_by_hints, recover_in_library,
        recover_many,
    },
};
use rand::{SeedableRng as _, rngs::StdRng};
use report::Samples;
use std::hint::black_box;

/// The batch sizes.
pub const BATCHES: [usize; 7] = [1, 16, 64, 256, 1_024, 4_096, 16_384];
/// Signatures of one sender, where senders have several.
pub const EACH: usize = 10;
/// So many signatures are timed at least, in as many batches as that takes.
const TIMED_MIN: usize = 64;
/// What keeps these signatures apart from others.
const NAMESPACE: &[u8] = b"headway bench";

/// The ways that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// secp256k1 recovery by the C library, one by one.
    Library,
    /// secp256k1 recovery in the processor's lanes.
    Lanes,
    /// Checking sender hints, every sender another.
    Hinted,
    /// Checking sender hints, [`EACH`] signatures of a sender.
    HintedEach,
    /// Ed25519 batch verification, every signer another.
    Ed25519,
}

/// All ways, in the order of the columns.
pub const WAYS: [Way; 5] = [
    Way::Library,
    Way::Lanes,
    Way::Hinted,
    Way::HintedEach,
    Way::Ed25519,
];

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct SignatureBench {
    /// Timed rounds, of which the median counts.
    pub rounds: usize,
    /// Larger batches than this are left out.
    pub batch_max: usize,
}

/// A way answered wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signatures were recovered wrongly: way={way:?} batch={batch}")]
pub struct SignatureFault {
    /// The way.
    pub way: Way,
    /// The batch size.
    pub batch: usize,
}

impl SignatureBench {
    /// Measures.
    ///
    /// # Errors
    /// When a way answers wrongly.
    pub fn run(
        &self,
        clock: &Clock,
        progress: OnProgress<'_>,
    ) -> Result<SignatureReport, SignatureFault> {
        let batches = BATCHES.into_iter().filter(|batch| *batch <= self.batch_max);
        let batches: Vec<_> = batches.collect();
        let count = batches.iter().copied().max().unwrap_or(1).max(TIMED_MIN);
        let mut subject = Subject::sign(count, progress);
        let mut samples = Samples::new(batches.len());
        for round in 0..self.rounds {
            for (place, batch) in batches.iter().copied().enumerate() {
                let done = round.saturating_mul(batches.len()).saturating_add(place);
                let total = self.rounds.saturating_mul(batches.len());
                progress(at("measure", done, total));
                subject.time_all(&mut samples, place, batch, clock)?;
            }
        }
        Ok(samples.report(&batches, self.rounds))
    }
}

/// Signed by everybody, in all the ways.
struct Subject {
    requests: Vec<Request>,
    keys: Vec<SenderKey>,
    each_requests: Vec<Request>,
    each_keys: Vec<SenderKey>,
    ed25519: Vec<Signed>,
    random: StdRng,
}

struct Signed {
    message: B256,
    key: PublicKey,
    signature: <PrivateKey as commonware_cryptography::Signer>::Signature,
}

impl Subject {
    fn sign(count: usize, progress: OnProgress<'_>) -> Self {
        let mut out = Self {
            requests: Vec::with_capacity(count),
            keys: Vec::with_capacity(count),
            each_requests: Vec::with_capacity(count),
            each_keys: Vec::with_capacity(count),
            ed25519: Vec::with_capacity(count),
            random: StdRng::seed_from_u64(0),
        };
        for index in 0..count {
            if index % TIMED_MIN == 0 {
                progress(at("sign", index, count));
            }
            let signer = secp256k1(index);
            out.requests.push(sign(&signer, index));
            out.keys.push(SenderKey::new(signer.public_key().0));
            let signer = secp256k1(index / EACH);
            out.each_requests.push(sign(&signer, index));
            out.each_keys.push(SenderKey::new(signer.public_key().0));
            let message = hash(index);
            let signer = PrivateKey::from_seed(index as u64);
            out.ed25519.push(Signed {
                message,
                key: signer.public_key(),
                signature: signer.sign(NAMESPACE, message.as_slice()),
            });
        }
        out
    }

    fn time_all(
        &mut self,
        samples: &mut Samples,
        place: usize,
        batch: usize,
        clock: &Clock,
    ) -> Result<(), SignatureFault> {
        for way in WAYS {
            samples.push(place, way, self.time(way, batch, clock)?);
        }
        Ok(())
    }

    /// Microseconds a signature; none for a way that this processor has not.
    fn time(
        &mut self,
        way: Way,
        batch: usize,
        clock: &Clock,
    ) -> Result<Option<f64>, SignatureFault> {
        if way == Way::Lanes && !has_lanes() {
            return Ok(None);
        }
        let timed = batch.max(TIMED_MIN);
        let (keys, requests) = match way {
            Way::HintedEach => (&self.each_keys, &self.each_requests),
            Way::Library | Way::Lanes | Way::Hinted | Way::Ed25519 => (&self.keys, &self.requests),
        };
        let hinted: Vec<_> = requests.iter().zip(keys).map(hint).take(timed).collect();
        let random = &mut self.random;
        let started = clock();
        let is_right = match way {
            Way::Library => requests[..timed]
                .chunks(batch)
                .all(|batch| all(&recover_in_library(batch))),
            Way::Lanes => requests[..timed]
                .chunks(batch)
                .all(|batch| black_box(recover_many(batch)).iter().all(Result::is_ok)),
            Way::Hinted | Way::HintedEach => hinted.chunks(batch).all(|batch| {
                let recovery = recover_by_hints(batch, random);
                all(&recovery.recovered) && recovery.false_hints.is_empty()
            }),
            Way::Ed25519 => self.ed25519[..timed]
                .chunks(batch)
                .all(|batch| PublicKey::verify_batch(random, batch, entry, &Sequential)),
        };
        let elapsed = clock().saturating_sub(started);
        match is_right {
            true => Ok(Some(elapsed.as_secs_f64() * 1e6 / timed as f64)),
            false => Err(SignatureFault { way, batch }),
        }
    }
}

fn all(recovered: &[Recovery]) -> bool {
    black_box(recovered).iter().all(Result::is_ok)
}

const fn hint<'a>((request, key): (&Request, &'a SenderKey)) -> Hinted<'a> {
    Hinted {
        request: *request,
        key: Some(key),
    }
}

fn entry(_: usize, signed: &Signed) -> BatchEntry<'_, PublicKey> {
    BatchEntry {
        namespace: NAMESPACE,
        message: signed.message.as_slice(),
        public_key: &signed.key,
        signature: &signed.signature,
    }
}

fn secp256k1(number: usize) -> PrivateKeySigner {
    let secret = U256::from(number).saturating_add(U256::ONE);
    PrivateKeySigner::from_bytes(&B256::from(secret)).expect("a small number is a key")
}

fn sign(signer: &PrivateKeySigner, index: usize) -> Request {
    let hash = hash(index);
    let signature = signer
        .sign_hash_sync(&hash)
        .expect("a local key signs everything");
    Request {
        hash,
        r: signature.r(),
        s: signature.s(),
        is_odd: signature.v(),
    }
}

fn hash(index: usize) -> B256 {
    keccak256(index.to_be_bytes())
}

const fn at(step: &'static str, done: usize, total: usize) -> Progress {
    Progress {
        step,
        done: done as u64,
        total: total as u64,
    }
}

#[cfg(test)]
mod tests;
