//! What a shard block's headers say of each other: no state needed.
//!
//! ```text
//!   descriptor.parent ──▶ Ethereum header ──extraData──▶ ordering header ──▶ fee, time, digests of the child
//!                              └─ parentHash ──▶ ancestor ─ parentHash ──▶ …      hashes for BLOCKHASH
//! ```
//! The parent itself is not judged: it is another candidate. Genesis names no ordering header, so its own is
//! made from its Ethereum header and the rules, as every node makes it.

use super::{Hashes, Invalid, ShardRules};
use crate::{Collation, Parent};
use alloy_primitives::{Address, B256};
use commonware_consensus::types::{Epoch, View};
use primitives::{
    ExecutedRef, Header,
    base_fee::next_base_fee,
    crypto::genesis_context,
    shard::{Descriptor, NO_SHARDS},
};

/// Checks that parent and ancestors are those that the descriptor names; the hashes that they prove.
pub(super) fn check_parents(
    descriptor: &Descriptor,
    collation: &Collation,
    rules: &ShardRules<'_>,
) -> Result<Hashes, Invalid> {
    let parent = &collation.parent;
    let hash = parent.header.hash_slow();
    if hash != descriptor.parent {
        return Err(Invalid::Parent(hash));
    }
    check_ordering(parent, hash, rules)?;
    let mut hashes = Hashes::from([(parent.header.number, hash)]);
    let mut above = &parent.header;
    if let Some(height) = above.number.checked_sub(1) {
        hashes.insert(height, above.parent_hash);
    }
    for (index, ancestor) in collation.ancestors.iter().enumerate() {
        let is_next = above.number.checked_sub(1) == Some(ancestor.number)
            && ancestor.hash_slow() == above.parent_hash;
        if !is_next {
            return Err(Invalid::Ancestor(index));
        }
        if let Some(height) = ancestor.number.checked_sub(1) {
            hashes.insert(height, ancestor.parent_hash);
        }
        above = ancestor;
    }
    Ok(hashes)
}

/// Checks that the parent's ordering header is the one that its Ethereum header stands for.
fn check_ordering(parent: &Parent, hash: B256, rules: &ShardRules<'_>) -> Result<(), Invalid> {
    let ordering = &parent.ordering;
    let is_its_own = match parent.header.number {
        0 => *ordering == genesis_ordering(parent, hash, rules),
        number => {
            ordering.height == number && *parent.header.extra_data == *ordering.digest().as_ref()
        }
    };
    match is_its_own {
        true => Ok(()),
        false => Err(Invalid::ParentOrdering),
    }
}

/// The ordering header at height 0.
fn genesis_ordering(parent: &Parent, hash: B256, rules: &ShardRules<'_>) -> Header {
    Header {
        context: genesis_context(),
        height: 0,
        timestamp_ms: parent.header.timestamp.saturating_mul(1_000),
        proposer: Address::ZERO,
        base_fee: parent.header.base_fee_per_gas.unwrap_or_default(),
        gas_budget: parent.header.gas_limit,
        gas_limits_sum: 0,
        body_digest: B256::ZERO,
        shard_section_digest: NO_SHARDS,
        ledger_digest: rules.genesis,
        executed: ExecutedRef::genesis(hash),
    }
}

/// Checks the block's ordering header against its parent's, and what the descriptor says of it.
pub(super) fn check_header(
    descriptor: &Descriptor,
    collation: &Collation,
    rules: &ShardRules<'_>,
) -> Result<(), Invalid> {
    let (header, parent) = (collation.block.header(), &collation.parent.ordering);
    check_place(descriptor, header, parent)?;
    if header.timestamp_ms <= parent.timestamp_ms {
        let (got, parent) = (header.timestamp_ms, parent.timestamp_ms);
        return Err(Invalid::Timestamp { got, parent });
    }
    if header.timestamp_ms != descriptor.timestamp_ms {
        return Err(Invalid::DescribedTimestamp(header.timestamp_ms));
    }
    let (expected, dev) = (next_base_fee(parent, rules.chain), rules.chain.protocol.dev);
    // As on any chain of ours, who runs a development chain may set it.
    if header.base_fee != expected && !dev {
        let got = header.base_fee;
        return Err(Invalid::BaseFee { got, expected });
    }
    // Executed before it is offered: nothing is in flight.
    if header.gas_budget != rules.chain.gas_limit {
        return Err(Invalid::GasBudget(header.gas_budget));
    }
    if header.gas_limits_sum > header.gas_budget {
        return Err(Invalid::OverBudget(header.gas_limits_sum));
    }
    if header.shard_section_digest != parent.shard_section_digest {
        return Err(Invalid::Digest("shard_section_digest"));
    }
    if header.ledger_digest != parent.ledger_digest {
        return Err(Invalid::Digest("ledger_digest"));
    }
    check_executed(descriptor, header, parent)?;
    if !dev && !collation.block.directives().is_empty() {
        return Err(Invalid::Directives);
    }
    Ok(())
}

/// Checks where the block says it stands, and who made it.
fn check_place(descriptor: &Descriptor, header: &Header, parent: &Header) -> Result<(), Invalid> {
    let expected = parent.height.checked_add(1);
    if Some(descriptor.number) != expected {
        return Err(Invalid::DescribedNumber(descriptor.number));
    }
    if header.height != descriptor.number {
        return Err(Invalid::Number(header.height));
    }
    let context = &header.context;
    if context.leader != descriptor.collator {
        return Err(Invalid::Collator);
    }
    let view = View::new(header.height);
    if context.round.epoch() != Epoch::zero() || context.round.view() != view {
        return Err(Invalid::Round);
    }
    if context.parent != (View::new(parent.height), parent.digest()) {
        return Err(Invalid::ParentDigest);
    }
    Ok(())
}

/// Checks the block that the collator calls final: a block of this chain as far as this collation shows it.
fn check_executed(
    descriptor: &Descriptor,
    header: &Header,
    parent: &Header,
) -> Result<(), Invalid> {
    let (reference, before) = (&header.executed, &parent.executed);
    let height = reference.height;
    if reference.certificate.is_some() {
        return Err(Invalid::Certificate(height));
    }
    let is_wrong_block = (height == before.height && reference.block_hash != before.block_hash)
        || (height == parent.height && reference.block_hash != descriptor.parent);
    if height < before.height || height > parent.height || is_wrong_block {
        return Err(Invalid::ExecutedRef(height));
    }
    Ok(())
}
