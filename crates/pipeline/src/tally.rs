//! Collects signed results until 2f+1 agree.
//!
//! Pure: signatures were checked by the caller. Bounded: heights at or below the newest
//! certificate are dropped, at most [`HEIGHTS_MAX`] heights above it are kept. A validator that
//! signs two different results for one height above the newest certificate leaves evidence, at most
//! one piece for each validator, in memory.

use commonware_cryptography::certificate::{Attestation, Scheme as _, Verifier};
use commonware_parallel::Sequential;
use commonware_utils::{Faults as _, Participant, iter::NonEmpty};
use primitives::{ExecutionCertificate, ExecutionResult, SignedResult, certificate::ResultScheme};
use std::collections::BTreeMap;

/// Heights above the newest certificate for which signatures are kept.
pub const HEIGHTS_MAX: usize = 1_024;

/// What a signed result led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TallyOutcome {
    /// Counted; no quorum yet.
    Counted,
    /// Nothing new: seen before, or covered by a certificate.
    Ignored,
    /// 2f+1 agree.
    Certified(ExecutionCertificate),
    /// The signer signed something else before; both are kept as evidence.
    Conflict,
}

type Signers = BTreeMap<Participant, SignedResult>;

/// Signed results above the newest certificate.
#[derive(Debug)]
pub struct Tally {
    scheme: ResultScheme,
    certified: ExecutionResult,
    heights: BTreeMap<u64, Signers>,
    evidence: BTreeMap<Participant, [SignedResult; 2]>,
}

impl Tally {
    /// An empty tally above a certified result.
    #[must_use]
    pub const fn new(scheme: ResultScheme, certified: ExecutionResult) -> Self {
        Self {
            scheme,
            certified,
            heights: BTreeMap::new(),
            evidence: BTreeMap::new(),
        }
    }

    /// Whether this very signed result is counted already.
    #[must_use]
    pub fn counts(&self, signed: &SignedResult) -> bool {
        self.heights
            .get(&signed.result.height)
            .and_then(|signers| signers.get(&signed.attestation.signer))
            .is_some_and(|known| known == signed)
    }

    /// Counts a signed result whose signature has been checked.
    pub fn count(&mut self, signed: SignedResult) -> TallyOutcome {
        let height = signed.result.height;
        if height <= self.certified.height {
            return TallyOutcome::Ignored;
        }
        let signer = signed.attestation.signer;
        let signers = self.heights.entry(height).or_default();
        match signers.get(&signer) {
            Some(known) if known.result == signed.result => return TallyOutcome::Ignored,
            Some(known) => {
                self.evidence
                    .entry(signer)
                    .or_insert_with(|| [known.clone(), signed]);
                return TallyOutcome::Conflict;
            }
            None => signers.insert(signer, signed.clone()),
        };
        let outcome = self.certificate(signed.result);
        while self.heights.len() > HEIGHTS_MAX {
            self.heights.pop_last();
        }
        outcome
    }

    /// A certificate formed elsewhere makes everything at or below it irrelevant.
    pub fn advance(&mut self, certified: ExecutionResult) {
        if certified.height > self.certified.height {
            self.certified = certified;
            self.heights = self.heights.split_off(&certified.height.saturating_add(1));
        }
    }

    /// Pairs of contradicting signed results, one pair for each faulty validator.
    #[must_use]
    pub const fn evidence(&self) -> &BTreeMap<Participant, [SignedResult; 2]> {
        &self.evidence
    }

    fn certificate(&mut self, result: ExecutionResult) -> TallyOutcome {
        let Some(signers) = self.heights.get(&result.height) else {
            return TallyOutcome::Counted;
        };
        let agreeing: Vec<Attestation<ResultScheme>> = signers
            .values()
            .filter(|signed| signed.result == result)
            .map(|signed| signed.attestation.clone())
            .collect();
        let quorum = <ResultScheme as Verifier>::Faults::quorum(self.scheme.participants().len());
        if agreeing.len() < usize::try_from(quorum).unwrap_or(usize::MAX) {
            return TallyOutcome::Counted;
        }
        let Some(agreeing) = NonEmpty::try_new(agreeing.into_iter()) else {
            return TallyOutcome::Counted;
        };
        match self.scheme.assemble(agreeing, &Sequential) {
            Ok(signatures) => {
                self.advance(result);
                TallyOutcome::Certified(ExecutionCertificate { result, signatures })
            }
            Err(_) => TallyOutcome::Counted,
        }
    }
}

#[cfg(test)]
mod tests;
