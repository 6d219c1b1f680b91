//! A section whose signatures have been checked: the only kind that the ledger takes.
//!
//! ```text
//! section ─▶ whose key, which digest, of the group? ─▶ all signatures in one batch ─▶ CheckedSection
//! ```
//! What costs nothing is asked first, so that a leader can't make validators check signatures for nothing: at most
//! one for each vote, two for each equivocation and one for each member of a backing group.

use super::{BackedFault, CountFault, EvidenceFault, Ledger, SectionFault, draft::check_evidence};
use alloy_primitives::B256;
use primitives::{
    crypto::PublicKey,
    shard::{BackedEnvelope, Equivocation, ShardNamespace, ShardSection, ShardVote, Signed},
};
use rand_core::CryptoRng;

/// Whose signatures count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The relay chain's.
    pub namespace: ShardNamespace,
    /// Its validators, in the order of their indices.
    pub validators: Vec<PublicKey>,
}

/// A section that says what its signers said, about what one ledger names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedSection {
    section: ShardSection,
    /// Digest of that ledger.
    ledger: B256,
}

impl CheckedSection {
    /// Checks every signature of a section that follows this ledger.
    ///
    /// # Errors
    /// The first signature that is wrong, or the first item that no signature could help.
    pub fn check(
        section: ShardSection,
        ledger: &Ledger,
        authority: &Authority,
        random: &mut impl CryptoRng,
    ) -> Result<Self, SectionFault> {
        let mut signed = Vec::new();
        // For each signature, what the section is told if it is wrong.
        let mut faults = Vec::new();
        for (index, evidence) in section.equivocations.iter().enumerate() {
            let of = |fault| SectionFault::Equivocation { index, fault };
            let some = authority.evidence(evidence, ledger).map_err(of)?;
            signed.extend(some);
            faults.resize(signed.len(), of(EvidenceFault::Signature));
        }
        for (index, vote) in section.votes.iter().enumerate() {
            let of = |fault| SectionFault::Vote { index, fault };
            let one = authority.vote(vote, ledger).map_err(of)?;
            signed.push(one);
            faults.resize(signed.len(), of(CountFault::Signature));
        }
        for (index, backed) in section.backed.iter().enumerate() {
            let of = |fault| SectionFault::Backed { index, fault };
            let some = authority.backed(backed, ledger).map_err(of)?;
            signed.extend(some);
            faults.resize(signed.len(), of(BackedFault::Signature));
        }
        let wrong =
            Signed::first_wrong(&signed, random).and_then(|wrong| faults.into_iter().nth(wrong));
        match wrong {
            Some(fault) => Err(fault),
            None => Ok(Self {
                section,
                ledger: ledger.digest(),
            }),
        }
    }

    /// Takes a section as it is, for tests of the rules that come after the signatures.
    #[cfg(test)]
    pub(crate) const fn unchecked(section: ShardSection, ledger: &Ledger) -> Self {
        Self {
            section,
            ledger: ledger.digest(),
        }
    }

    /// The section.
    #[must_use]
    pub const fn section(&self) -> &ShardSection {
        &self.section
    }

    pub(super) const fn ledger_digest(&self) -> B256 {
        self.ledger
    }
}

impl Authority {
    /// The key of a validator.
    #[must_use]
    pub fn key(&self, validator: u16) -> Option<&PublicKey> {
        self.validators.get(usize::from(validator))
    }

    /// Checks the signatures of those who back an envelope, for the relay block after this ledger.
    ///
    /// # Errors
    /// When one of them is wrong, or of nobody in the group.
    pub fn check_backed(
        &self,
        backed: &BackedEnvelope,
        ledger: &Ledger,
    ) -> Result<(), BackedFault> {
        let signed = self.backed(backed, ledger)?;
        if signed.iter().all(Signed::is_right) {
            Ok(())
        } else {
            Err(BackedFault::Signature)
        }
    }

    /// Checks the signature of a vote about what this ledger, or an earlier one, names.
    ///
    /// # Errors
    /// When it is wrong, or the ledger it names is not remembered.
    pub fn check_vote(&self, vote: &ShardVote, ledger: &Ledger) -> Result<(), CountFault> {
        if self.vote(vote, ledger)?.is_right() {
            Ok(())
        } else {
            Err(CountFault::Signature)
        }
    }

    /// Checks both signatures of evidence, for the relay block after this ledger.
    ///
    /// # Errors
    /// When one of them is wrong, or the statements prove nothing.
    pub fn check_evidence(
        &self,
        evidence: &Equivocation,
        ledger: &Ledger,
    ) -> Result<(), EvidenceFault> {
        let signed = self.evidence(evidence, ledger)?;
        if signed.iter().all(Signed::is_right) {
            Ok(())
        } else {
            Err(EvidenceFault::Signature)
        }
    }

    fn backed<'a>(
        &'a self,
        backed: &'a BackedEnvelope,
        ledger: &Ledger,
    ) -> Result<Vec<Signed<'a>>, BackedFault> {
        let schedule = &backed.envelope.schedule;
        let group = ledger.group(schedule.core, schedule.height);
        let strangers = backed.backers.without(&group).count();
        if strangers > 0 {
            return Err(BackedFault::Backers {
                backers: backed.backers.count(),
                min: group.count().div_ceil(2),
                strangers,
            });
        }
        if backed.backers.count() != backed.signatures.len() {
            return Err(BackedFault::Signature);
        }
        let statement = backed.envelope.statement();
        let signers = backed.backers.iter().zip(&backed.signatures);
        signers
            .map(|(index, signature)| {
                let key = self.validators.get(index).ok_or(BackedFault::Signature)?;
                Ok(statement.signed(&self.namespace, key, signature))
            })
            .collect()
    }

    fn vote<'a>(&'a self, vote: &'a ShardVote, ledger: &Ledger) -> Result<Signed<'a>, CountFault> {
        let key = self.key(vote.validator);
        let key = key.ok_or(CountFault::Validator(vote.validator))?;
        let height = vote.votes.height;
        let Some(digest) = ledger.digest_at(height) else {
            let to = ledger.height();
            let next = to.saturating_add(1);
            let from = next.saturating_sub(ledger.rules().vote_window);
            return Err(CountFault::Height { height, from, to });
        };
        Ok(vote.signed(&digest, &self.namespace, key))
    }

    fn evidence<'a>(
        &'a self,
        evidence: &'a Equivocation,
        ledger: &Ledger,
    ) -> Result<Vec<Signed<'a>>, EvidenceFault> {
        check_evidence(evidence, ledger, ledger.height().saturating_add(1))?;
        [&evidence.first, &evidence.second]
            .into_iter()
            .map(|one| {
                let key = self.key(one.validator).ok_or(EvidenceFault::Signature)?;
                let statement = one.envelope.statement();
                Ok(statement.signed(&self.namespace, key, &one.signature))
            })
            .collect()
    }
}
