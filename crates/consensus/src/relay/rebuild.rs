//! One peer's compact block on its way to be a block. Pure.
//!
//! ```text
//! names ─ placed transactions ─ pool ─ answers ─▶ found, by index ─ all ─▶ join: the digest is the header's?
//! ```

use super::{
    message::{Compact, Placed},
    source::BodySource,
};
use mempool::{Found, ShortId};
use primitives::{
    Block, BlockLimits, BodyError, RecoveredTransaction, Transaction, crypto::BlockDigest,
};
use std::time::SystemTime;

/// A transaction that a peer sent is not the one that it named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the transaction that was named: index={index}")]
pub(super) struct OtherTransaction {
    index: u16,
}

/// What the peer was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing: somebody else is asked about this block.
    Standby,
    /// Transactions, until then.
    Missing(SystemTime),
    /// The block, until then.
    Whole(SystemTime),
    /// Either, for too long: somebody else is asked.
    Late,
}

/// One rebuild.
#[derive(Debug)]
pub(super) struct Rebuild {
    compact: Compact,
    digest: BlockDigest,
    found: Vec<Option<Transaction>>,
    /// Those of them that were in the pool.
    took: Vec<RecoveredTransaction>,
    /// The names lead to another body.
    is_mismatch: bool,
    pub(super) stage: Stage,
    /// When it came, in the order of all.
    pub(super) number: u64,
}

impl Rebuild {
    /// # Errors
    /// When the compact block contradicts itself.
    pub(super) fn new(compact: Compact, number: u64) -> Result<Self, OtherTransaction> {
        let digest = compact.header.digest();
        let mut rebuild = Self {
            digest,
            found: vec![None; compact.names.len()],
            took: Vec::new(),
            compact,
            is_mismatch: false,
            stage: Stage::Standby,
            number,
        };
        let placed = std::mem::take(&mut rebuild.compact.placed);
        rebuild.place(placed)?;
        Ok(rebuild)
    }

    pub(super) const fn digest(&self) -> BlockDigest {
        self.digest
    }

    pub(super) const fn compact(&self) -> &Compact {
        &self.compact
    }

    /// Whether its peer is asked.
    pub(super) const fn is_asked(&self) -> bool {
        matches!(self.stage, Stage::Missing(_) | Stage::Whole(_))
    }

    /// Whether its peer can be asked.
    pub(super) const fn is_standby(&self) -> bool {
        matches!(self.stage, Stage::Standby)
    }

    /// Whether its peer was asked and did not answer in time.
    pub(super) const fn is_late(&self) -> bool {
        matches!(self.stage, Stage::Late)
    }

    /// When its peer has had long enough.
    pub(super) const fn deadline(&self) -> Option<SystemTime> {
        match self.stage {
            Stage::Standby | Stage::Late => None,
            Stage::Missing(until) | Stage::Whole(until) => Some(until),
        }
    }

    /// Whether both name the same body, under the same header.
    pub(super) fn agrees(&self, other: &Compact) -> bool {
        self.compact.names == other.names
            && self.compact.directives == other.directives
            && self.compact.section == other.section
    }

    /// Fills in what the peer sent.
    ///
    /// # Errors
    /// When one is not what the peer named; those before it are filled in.
    pub(super) fn place(&mut self, placed: Vec<Placed>) -> Result<(), OtherTransaction> {
        for Placed { index, transaction } in placed {
            let name = self.compact.names.get(usize::from(index));
            let is_named = name.is_some_and(|name| name.names(&transaction.hash(), &self.digest));
            if !is_named {
                return Err(OtherTransaction { index });
            }
            // None after a mismatch, when it comes too late.
            if let Some(place) = self.found.get_mut(usize::from(index)) {
                *place = Some(transaction);
            }
        }
        Ok(())
    }

    /// Looks up what is missing. A transaction under the right short id that is another one stays missing.
    pub(super) fn look_up(&mut self, source: &impl BodySource) {
        let missing: Vec<_> = self.missing().collect();
        let named = missing.iter().filter_map(|index| {
            let name = self.compact.names.get(usize::from(*index))?;
            Some(name.short())
        });
        let ids: Vec<ShortId> = named.collect();
        for (index, found) in missing.into_iter().zip(source.find(&ids)) {
            let Found::One(recovered) = found else {
                continue;
            };
            let transaction = recovered.transaction().clone();
            if self.place(vec![Placed { index, transaction }]).is_ok() {
                self.took.push(recovered);
            }
        }
    }

    /// Indices of the transactions that are not here, rising.
    pub(super) fn missing(&self) -> impl Iterator<Item = u16> {
        let missing = self.found.iter().zip(0_u16..=u16::MAX);
        missing.filter_map(|(found, index)| found.is_none().then_some(index))
    }

    pub(super) fn is_complete(&self) -> bool {
        !self.is_mismatch && self.found.iter().all(Option::is_some)
    }

    /// Whether asking for what is missing would not help, or would bring most of the block.
    pub(super) fn needs_whole(&self) -> bool {
        self.is_mismatch || self.missing().count() * 8 > self.found.len() * 7
    }

    /// Bytes of the transactions that are here.
    pub(super) fn body_bytes(&self) -> usize {
        let found = self.found.iter().flatten();
        found.map(|transaction| transaction.raw().len()).sum()
    }

    /// The block; none if what was named is not its body. Then only the whole block helps, and the source hears
    /// of nothing: anybody can name transactions.
    pub(super) fn join(
        &mut self,
        limits: &BlockLimits,
        source: &impl BodySource,
    ) -> Result<Block, BodyError> {
        // Taken: nothing of it helps after a mismatch, and the pool may have dropped it.
        let transactions = std::mem::take(&mut self.found);
        let transactions = transactions.into_iter().flatten().collect();
        let header = self.compact.header.clone();
        let directives = self.compact.directives.clone();
        let section = self.compact.section.clone();
        let joined = Block::join(header, transactions, directives, section, limits);
        self.is_mismatch = joined.is_err();
        let took = std::mem::take(&mut self.took);
        if joined.is_ok() {
            source.took(&took);
        }
        joined
    }
}
