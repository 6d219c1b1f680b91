//! Whether a collation is what its descriptor says, found out without a store.
//!
//! ```text
//!   bytes ─ length, hash ─▶ Collation ─ parent, ancestors ─▶ header rules ─▶ senders ─▶ static rules
//!                                                                                         │
//!   Checked ◀─ gas, root, head = descriptor's ◀─ root after ◀─ execute ◀─ Witness ◀───────┘
//! ```
//! A pure function of its arguments, and so the same verdict on every honest validator: that is why it executes
//! in order. Whoever runs ahead may read what the block does not, and a witness need not show that.
//!
//! What is not judged here is the ledger's: whether the parent may be built on, and whether the anchor is recent.
//! Nobody judges whether the block that the header's `executed` calls final is, or is one of this chain where this
//! collation does not show it: that is the collator's claim, and nothing follows from it.
//!
//! Limits: what is decoded is bounded ([`COLLATION_BYTES_MAX`](crate::COLLATION_BYTES_MAX), the chain's body
//! size and the witness's own bound on memory), what is executed by the gas limit. `cancelled` stops it between
//! steps and between transactions.

mod rules;
#[cfg(test)]
mod tests;
mod verdict;

pub use verdict::{Invalid, Verdict};

use crate::{Collation, collation::hash_of, seal};
use alloy_consensus::Header as EthereumHeader;
use alloy_primitives::{B256, Bytes};
use executor::{
    BlockEnvironment, ExecutedBlock, ExecutionFault, ExecutionInput, execute_sequential,
};
use primitives::{
    ChainConfig, RecoveredBlock,
    recovery::SenderCache,
    shard::{Descriptor, ShardId},
    static_check::check_static,
    transaction::Impersonation,
};
use state::{
    ReadFault,
    sparse::witness::{Witness, WitnessGap},
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// The rules that a shard's blocks keep.
#[derive(Clone, Copy, Debug)]
pub struct ShardRules<'a> {
    /// The shard.
    pub shard: ShardId,
    /// Its parameters.
    pub chain: &'a ChainConfig,
    /// The digest that stands for them.
    pub digest: B256,
    /// The digest that the shard's block at number 0 names.
    pub genesis: B256,
}

/// A candidate whose collation is right: the only way to get one is [`check()`].
#[derive(Clone, Debug)]
pub struct Checked {
    /// The block's Ethereum header.
    pub header: EthereumHeader,
    /// Its hash, as the descriptor names it.
    pub hash: B256,
    /// The block, with its senders.
    pub block: RecoveredBlock,
    /// Transactions that failed.
    pub failed: usize,
    /// Logs of all transactions.
    pub logs: usize,
}

/// Checks a collation against what is said of it.
///
/// # Errors
/// [`Verdict::Invalid`] with the first thing that is wrong, the same for everybody; the others say nothing of
/// the candidate.
pub fn check(
    descriptor: &Descriptor,
    encoded: &Bytes,
    rules: &ShardRules<'_>,
    cancelled: &AtomicBool,
) -> Result<Checked, Verdict> {
    check_bytes(descriptor, encoded, rules)?;
    let collation = Collation::decode(encoded, rules.chain).map_err(Invalid::Collation)?;
    let hashes = rules::check_parents(descriptor, &collation, rules)?;
    rules::check_header(descriptor, &collation, rules)?;
    go_on(cancelled)?;
    let block = recover(&collation, rules)?;
    go_on(cancelled)?;
    let root = collation.parent.header.state_root;
    let witness = Witness::decode(&collation.witness, root, hashes).map_err(Invalid::Witness)?;
    go_on(cancelled)?;
    let header = block.header();
    let environment = BlockEnvironment::of(header, descriptor.parent, rules.chain);
    let input = ExecutionInput {
        cancelled: Some(cancelled),
        ..ExecutionInput::new(
            rules.chain,
            environment,
            block.transactions(),
            block.block().directives(),
        )
    };
    let executed = execute_sequential(&input, &witness).map_err(judge_fault)?;
    conclude(descriptor, &input.environment, executed, (block, witness))
}

/// What can be said of the bytes before they are read.
fn check_bytes(
    descriptor: &Descriptor,
    encoded: &[u8],
    rules: &ShardRules<'_>,
) -> Result<(), Invalid> {
    if descriptor.shard != rules.shard {
        return Err(Invalid::Shard(descriptor.shard));
    }
    if descriptor.rules != rules.digest {
        return Err(Invalid::Rules(descriptor.rules));
    }
    let bytes = encoded.len();
    if u32::try_from(bytes).ok() != Some(descriptor.collation_bytes) {
        let described = descriptor.collation_bytes;
        return Err(Invalid::Length { bytes, described });
    }
    let hash = hash_of(encoded);
    if hash != descriptor.collation_hash {
        return Err(Invalid::Hash(hash));
    }
    Ok(())
}

fn go_on(cancelled: &AtomicBool) -> Result<(), Verdict> {
    match cancelled.load(Relaxed) {
        true => Err(Verdict::Cancelled),
        false => Ok(()),
    }
}

/// The block's senders, if every transaction may stand in a block of this shard.
fn recover(collation: &Collation, rules: &ShardRules<'_>) -> Result<RecoveredBlock, Invalid> {
    let impersonation = Impersonation::from(rules.chain.protocol.dev);
    let block = collation
        .block
        .recover(&SenderCache::default(), impersonation)
        .map_err(|_| Invalid::Signature)?;
    let base_fee = block.header().base_fee;
    for (index, transaction) in block.transactions().iter().enumerate() {
        check_static(transaction, rules.chain, base_fee)
            .map_err(|error| Invalid::Static { index, error })?;
    }
    Ok(block)
}

/// What stopped execution: the witness's fault, nobody's, or this node's.
fn judge_fault(fault: ExecutionFault) -> Verdict {
    match fault {
        ExecutionFault::Read(ReadFault::Gap(gap)) => Invalid::Gap(gap).into(),
        ExecutionFault::CodeMissing(hash) => Invalid::Gap(WitnessGap::Code(hash)).into(),
        ExecutionFault::Cancelled => Verdict::Cancelled,
        fault @ (ExecutionFault::Read(ReadFault::Store(_)) | ExecutionFault::Machine(_)) => {
            Verdict::Fault(fault.to_string())
        }
    }
}

/// Compares the result with what the descriptor says of it.
fn conclude(
    descriptor: &Descriptor,
    environment: &BlockEnvironment,
    executed: ExecutedBlock,
    (block, mut witness): (RecoveredBlock, Witness),
) -> Result<Checked, Verdict> {
    if let Some(fault) = executed.inclusion_faults.first() {
        return Err(Invalid::InclusionFault(fault.clone()).into());
    }
    if executed.gas_used != descriptor.gas_used {
        return Err(Invalid::GasUsed(executed.gas_used).into());
    }
    let root = witness.apply(&executed.diff, None).map_err(Invalid::Gap)?;
    if *root != descriptor.state_root {
        return Err(Invalid::StateRoot(*root).into());
    }
    let header = seal(environment, &executed, *root, &block);
    let hash = header.hash_slow();
    if hash != descriptor.head {
        return Err(Invalid::Head(hash).into());
    }
    let receipts = executed.receipts.iter();
    let logs = receipts
        .clone()
        .map(|receipt| receipt.envelope.logs().len());
    Ok(Checked {
        header,
        hash,
        block,
        failed: receipts.filter(|receipt| !receipt.is_success()).count(),
        logs: logs.fold(0, usize::saturating_add),
    })
}

/// Hashes of earlier blocks, by height.
type Hashes = BTreeMap<u64, B256>;
