//! A section whose signatures have been checked: the only kind that the ledger takes.

use super::{BackedFault, CountFault, EvidenceFault, Ledger, SectionFault};
use primitives::{
    crypto::PublicKey,
    shard::{BackedEnvelope, Equivocation, ShardNamespace, ShardSection, ShardVote},
};

/// Whose signatures count.
#[derive(Clone, Debug)]
pub struct Authority {
    /// The relay chain's.
    pub namespace: ShardNamespace,
    /// Its validators, in the order of their indices.
    pub validators: Vec<PublicKey>,
}

/// A section that says what its signers said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedSection(ShardSection);

impl CheckedSection {
    /// Checks every signature of a section that follows this ledger.
    ///
    /// # Errors
    /// The first signature that is wrong.
    pub fn check(
        section: ShardSection,
        ledger: &Ledger,
        authority: &Authority,
    ) -> Result<Self, SectionFault> {
        for (index, equivocation) in section.equivocations.iter().enumerate() {
            authority
                .check_equivocation(equivocation)
                .map_err(|fault| SectionFault::Equivocation { index, fault })?;
        }
        for (index, vote) in section.votes.iter().enumerate() {
            authority
                .check_vote(vote, ledger)
                .map_err(|fault| SectionFault::Vote { index, fault })?;
        }
        for (index, backed) in section.backed.iter().enumerate() {
            authority
                .check_backed(backed)
                .map_err(|fault| SectionFault::Backed { index, fault })?;
        }
        Ok(Self(section))
    }

    /// Takes a section as it is, for tests of the rules that come after the signatures.
    #[cfg(test)]
    pub(crate) const fn unchecked(section: ShardSection) -> Self {
        Self(section)
    }

    /// The section.
    #[must_use]
    pub const fn section(&self) -> &ShardSection {
        &self.0
    }
}

impl Authority {
    /// The key of a validator.
    #[must_use]
    pub fn key(&self, validator: u16) -> Option<&PublicKey> {
        self.validators.get(usize::from(validator))
    }

    /// Checks the signatures of those who back an envelope.
    ///
    /// # Errors
    /// When one of them is wrong.
    pub fn check_backed(&self, backed: &BackedEnvelope) -> Result<(), BackedFault> {
        if backed.is_signed(&self.namespace, |index| self.validators.get(index)) {
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
        let key = self.key(vote.validator);
        let key = key.ok_or(CountFault::Validator(vote.validator))?;
        let height = vote.votes.height;
        let Some(digest) = ledger.digest_at(height) else {
            let to = ledger.height();
            let from = to.saturating_sub(ledger.rules().vote_window);
            return Err(CountFault::Height { height, from, to });
        };
        if vote.is_signed(&digest, &self.namespace, key) {
            Ok(())
        } else {
            Err(CountFault::Signature)
        }
    }

    fn check_equivocation(&self, evidence: &Equivocation) -> Result<(), EvidenceFault> {
        let right = [&evidence.first, &evidence.second].into_iter().all(|one| {
            self.key(one.validator).is_some_and(|key| {
                let statement = one.envelope.statement();
                statement.is_signed(&self.namespace, key, &one.signature)
            })
        });
        if right {
            Ok(())
        } else {
            Err(EvidenceFault::Signature)
        }
    }
}
