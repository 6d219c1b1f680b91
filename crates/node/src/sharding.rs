//! What a node does for the shards of its chain: the wiring of the agent, the ledger, and the chains it collates.
//!
//! ```text
//!  genesis ─▶ ledger at height 0 ─▶ consensus ──finalized ledgers──▶ feed ─┬─▶ agent ◀─ checker
//!                                       ▲                                  │     │ build, follow
//!                                       └───────── inclusion ◀─────────────│─────┤
//!                                                                          │     ▼
//!                                              JSON-RPC /shard/<id> ◀── shard chain: mempool, pipeline, store
//! ```
//! A validator checks candidates from their witnesses and keeps no state of a shard. A collator keeps the shard's
//! chain as a node keeps any chain: the same pipeline, whose blocks the collator makes itself or takes from others.

mod agent;
mod builder;
mod chain;
mod checker;

pub use agent::{Collated, Shards};
pub(crate) use agent::{ShardsParts, failed, start};
pub use chain::ShardChain;

use alloy_primitives::B256;
use consensus::ShardParts;
use primitives::{
    Genesis,
    genesis::{Backing, GenesisShard},
    shard::{SectionLimits, ShardNamespace},
};
use shards::{
    feed::{LedgerFeed, RelayUpdate},
    inclusion::Inclusion,
    ledger::{Authority, Ledger, LedgerRules, RulesError, ShardTerms, section_limits},
};
use std::sync::Arc;

/// The ledger's rules on a chain with this genesis.
#[must_use]
pub fn ledger_rules(genesis: &Genesis) -> LedgerRules {
    let validators = u16::try_from(genesis.validators.len()).unwrap_or(u16::MAX);
    let rules = match genesis.backing {
        Backing::Asynchronous => LedgerRules::asynchronous(validators),
        Backing::Synchronous => LedgerRules::synchronous(validators),
    };
    LedgerRules {
        cores: genesis.cores,
        ..rules
    }
}

/// Bounds of what relay blocks say about shards.
#[must_use]
pub fn limits(genesis: &Genesis) -> SectionLimits {
    if genesis.shards.is_empty() {
        return SectionLimits::NONE;
    }
    let own = genesis.shards.iter().map(|shard| usize::from(shard.cores));
    let cores = genesis.cores.map_or_else(|| own.sum(), usize::from);
    section_limits(&ledger_rules(genesis), cores)
}

/// What a shard agrees to at its creation.
fn terms(shard: &GenesisShard) -> ShardTerms {
    let (state, block) = pipeline::genesis(&shard.genesis);
    let record = pipeline::genesis_record(&state, &block);
    ShardTerms {
        genesis_hash: record.hash,
        genesis_root: record.header.state_root,
        genesis_ms: block.header().timestamp_ms,
        rules: shard.genesis.rules_digest(),
        gas_limit: shard.genesis.chain.gas_limit,
        collators: shard.collators.clone(),
        cores_max: shard.cores_max,
    }
}

/// The ledger at height 0; none on a chain without shards.
///
/// # Errors
/// When there can't be such a ledger.
pub fn genesis_ledger(genesis: &Genesis) -> Result<Option<Ledger>, RulesError> {
    if genesis.shards.is_empty() {
        return Ok(None);
    }
    let shards = genesis
        .shards
        .iter()
        .map(|shard| (shard.shard, terms(shard), shard.cores));
    let genesis_ms = genesis.timestamp().saturating_mul(1_000);
    Ledger::genesis(ledger_rules(genesis), genesis_ms, shards).map(Some)
}

/// What consensus needs of shards.
///
/// # Errors
/// When there can't be such a ledger.
pub fn shard_parts(
    genesis: &Genesis,
    genesis_digest: &B256,
    block_digest: B256,
) -> Result<Option<ShardParts>, RulesError> {
    let Some(ledger) = genesis_ledger(genesis)? else {
        return Ok(None);
    };
    let ledger = Arc::new(ledger);
    let authority = Authority {
        namespace: ShardNamespace::new(genesis_digest),
        validators: genesis.validators.iter().cloned().collect(),
    };
    Ok(Some(ShardParts {
        genesis: Arc::clone(&ledger),
        authority: Arc::new(authority),
        inclusion: Inclusion::default(),
        feed: LedgerFeed::new(RelayUpdate {
            height: 0,
            digest: block_digest,
            ledger,
            events: Vec::new(),
        }),
    }))
}
