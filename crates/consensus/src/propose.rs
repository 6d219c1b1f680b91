//! Builds a block: what a leader puts under its header. Pure: everything it needs is handed in.

use crate::verify::{commitments, gas_budget};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, map::AddressMap};
use commonware_codec::EncodeSize;
use mempool::{Best, TransactionSource};
use primitives::{
    Block, ChainConfig, Directive, ExecutedRef, Header, RecoveredBlock, RecoveredTransaction,
    affordability::InFlight,
    base_fee::next_base_fee,
    crypto::ProposalContext,
    limits,
    shard::{CarriedOrders, ShardSection},
    static_check::check_static,
};
use shards::{
    inclusion::{Inclusion, RelayPlace},
    ledger::Ledger,
};
use state::{ReadFault, StateReader, account_view};
use std::sync::Arc;

/// Bytes that a transaction's length prefix takes in an encoded body.
const LENGTH_PREFIX_BYTES: usize = 4;
/// Bytes that the two counters of a body take.
const COUNTERS_BYTES: usize = 8;

/// What a block is built on.
#[derive(Debug)]
pub struct Foundation<'a> {
    /// The rules.
    pub chain: &'a ChainConfig,
    /// Round, leader and parent.
    pub context: ProposalContext,
    /// The parent's header.
    pub parent: &'a Header,
    /// Blocks above the referenced height, the parent last; none on a shard, whose collator has executed them.
    pub in_flight: &'a [RecoveredBlock],
    /// The newest result that is agreed on.
    pub executed: ExecutedRef,
    /// Who receives the fees.
    pub proposer: Address,
    /// The time, in milliseconds since the Unix epoch; at least the parent's and one is taken.
    pub timestamp_ms: u64,
    /// What a development chain was told instead of what follows from the parent.
    pub base_fee: Option<u64>,
    /// What there is to say about shards.
    pub shards: Option<ShardNews<'a>>,
}

/// Whether a block takes a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It does.
    Take,
    /// It does not, nor any of its sender that follows.
    Skip,
    /// Nor any other.
    Stop,
}

/// What a leader can say about shards.
#[derive(Clone, Copy, Debug)]
pub struct ShardNews<'a> {
    /// The ledger after the parent.
    pub ledger: &'a Ledger,
    /// Candidates and votes.
    pub inclusion: &'a Inclusion,
    /// The registry's orders that are due.
    pub orders: &'a CarriedOrders,
}

impl Foundation<'_> {
    /// A block without transactions: always legal, needs no state.
    pub(crate) fn empty(&self) -> Block {
        self.seal(Vec::new(), Vec::new())
    }

    /// A block with the best transactions that keep every rule.
    ///
    /// # Errors
    /// When the state can't be read.
    pub(crate) fn fill(
        &self,
        source: &impl TransactionSource,
        directives: Vec<Directive>,
        state: &impl StateReader,
    ) -> Result<Block, ReadFault> {
        self.fill_with(&mut |_| Choice::Take, source, directives, state)
    }

    /// The same, of transactions that somebody else chooses among those that have their turn.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn fill_with(
        &self,
        choose: &mut dyn FnMut(&RecoveredTransaction) -> Choice,
        source: &impl TransactionSource,
        directives: Vec<Directive>,
        state: &impl StateReader,
    ) -> Result<Block, ReadFault> {
        let base_fee = self.base_fee();
        let mut commitments = commitments(self.in_flight, self.chain, state)?;
        let mut best = best(source, base_fee, self.in_flight);
        let mut room = Room {
            gas: gas_budget(self.in_flight, self.chain),
            bytes: usize::try_from(self.chain.protocol.block_bytes_max)
                .unwrap_or(usize::MAX)
                .saturating_sub(COUNTERS_BYTES)
                .saturating_sub(directives.iter().map(EncodeSize::encode_size).sum()),
        };
        let mut transactions = Vec::new();
        while let Some(transaction) = best.next() {
            if room.is_exhausted() || transactions.len() >= limits::BLOCK_TRANSACTIONS_MAX {
                break;
            }
            let is_possible =
                room.fits(&transaction) && check_static(&transaction, self.chain, base_fee).is_ok();
            let choice = if is_possible {
                choose(&transaction)
            } else {
                Choice::Skip
            };
            if choice == Choice::Stop {
                break;
            }
            let takes =
                choice == Choice::Take && admit(&mut commitments, &transaction, base_fee, state)?;
            if takes {
                room.take(&transaction);
                transactions.push(transaction.transaction().clone());
            } else {
                best.skip_sender(&transaction.sender());
            }
        }
        Ok(self.seal(transactions, directives))
    }

    fn base_fee(&self) -> u64 {
        self.base_fee
            .unwrap_or_else(|| next_base_fee(self.parent, self.chain))
    }

    pub(crate) fn seal(
        &self,
        transactions: Vec<primitives::Transaction>,
        directives: Vec<Directive>,
    ) -> Block {
        let height = self.parent.height.saturating_add(1);
        let timestamp_ms = self
            .timestamp_ms
            .max(self.parent.timestamp_ms.saturating_add(1));
        let place = RelayPlace {
            height,
            parent_digest: B256::from_slice(self.context.parent.1.as_ref()),
            timestamp_ms,
            executed_height: self.executed.height,
        };
        let assembled = self
            .shards
            .and_then(|news| news.inclusion.assemble(news.ledger, place, news.orders));
        let (section, ledger_digest) = match assembled {
            Some(assembled) => (assembled.section, assembled.ledger.digest()),
            None => (ShardSection::default(), self.parent.ledger_digest),
        };
        let header = Header {
            context: self.context.clone(),
            height,
            timestamp_ms,
            proposer: self.proposer,
            base_fee: self.base_fee(),
            gas_budget: gas_budget(self.in_flight, self.chain),
            gas_limits_sum: 0,
            body_digest: B256::ZERO,
            // Filled in with the section.
            shard_section_digest: B256::ZERO,
            ledger_digest,
            executed: self.executed.clone(),
        };
        Block::with_section(header, transactions, directives, section)
    }
}

/// The pool's best transactions on top of what is in flight.
pub(crate) fn best(
    source: &impl TransactionSource,
    base_fee: u64,
    in_flight: &[RecoveredBlock],
) -> Best {
    let count = in_flight.iter().map(|block| block.transactions().len());
    let mut next_nonces: AddressMap<u64> = AddressMap::default();
    next_nonces.reserve(count.sum());
    for transaction in in_flight.iter().flat_map(RecoveredBlock::transactions) {
        next_nonces.insert(transaction.sender(), transaction.nonce().saturating_add(1));
    }
    source.best(base_fee, Arc::new(next_nonces))
}

fn admit(
    commitments: &mut InFlight,
    transaction: &RecoveredTransaction,
    base_fee: u64,
    state: &impl StateReader,
) -> Result<bool, ReadFault> {
    let admitted = commitments.admit(transaction, base_fee, |address| {
        account_view(state, address)
    })?;
    Ok(admitted.is_ok())
}

/// What is left of a block.
#[derive(Debug)]
struct Room {
    gas: u64,
    bytes: usize,
}

impl Room {
    const fn is_exhausted(&self) -> bool {
        self.gas < limits::TRANSACTION_GAS_MIN
    }

    fn fits(&self, transaction: &RecoveredTransaction) -> bool {
        transaction.gas_limit() <= self.gas
            && transaction.raw().len().saturating_add(LENGTH_PREFIX_BYTES) <= self.bytes
    }

    fn take(&mut self, transaction: &RecoveredTransaction) {
        self.gas = self.gas.saturating_sub(transaction.gas_limit());
        let bytes = transaction.raw().len().saturating_add(LENGTH_PREFIX_BYTES);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
