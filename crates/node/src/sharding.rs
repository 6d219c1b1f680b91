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
mod archive;
mod bias;
mod builder;
mod chain;
mod checker;
mod observer;
mod room;
mod versions;
mod weigh;

pub use agent::{Collated, Shards};
pub(crate) use agent::{ShardsParts, failed, open_archive, start};
pub use bias::Bias;
pub use chain::ShardChain;

use alloy_primitives::B256;
use consensus::ShardParts;
use primitives::{
    Genesis,
    crypto::PublicKey,
    genesis::{Approval, Backing},
    limits::CORES_MAX,
    shard::{Charter, SectionLimits, ShardNamespace, charter},
};
use shards::{
    feed::{LedgerFeed, RelayUpdate},
    inclusion::Inclusion,
    ledger::{
        Authority, Ledger, LedgerRules, RulesError, ShardTerms, rules::CORES_UNLIMITED,
        section_limits,
    },
    sampling::enough_checkers,
};
use std::sync::Arc;

/// The ledger's rules on a chain with this genesis.
#[must_use]
pub fn ledger_rules(genesis: &Genesis) -> LedgerRules {
    let validators = u16::try_from(genesis.validators.len()).unwrap_or(u16::MAX);
    let rules = match (genesis.backing, genesis.approval) {
        (Backing::Asynchronous, Approval::All) => LedgerRules::asynchronous(validators),
        (Backing::Asynchronous, Approval::Sampled { checkers }) => {
            LedgerRules::sampled(validators, checkers)
        }
        (Backing::Synchronous, _) => LedgerRules::synchronous(validators),
    };
    LedgerRules {
        cores: genesis.cores,
        ..rules
    }
}

/// Bounds of what relay blocks say about shards.
#[must_use]
pub fn limits(genesis: &Genesis) -> SectionLimits {
    if !genesis.has_ledger {
        return SectionLimits::NONE;
    }
    // Shards that are created later get cores too.
    section_limits(&ledger_rules(genesis), CORES_MAX)
}

/// What a shard with this genesis agrees to at its creation.
#[must_use]
pub fn terms(genesis: &Genesis, collators: Vec<PublicKey>) -> ShardTerms {
    let (state, block) = pipeline::genesis(genesis);
    let charter = Charter::of(genesis).to_bytes();
    let record = pipeline::genesis_record(&state, &block);
    ShardTerms {
        genesis_hash: record.hash,
        genesis_root: record.header.state_root,
        genesis_ms: block.header().timestamp_ms,
        rules: charter::digest(&charter),
        gas_limit: genesis.chain.gas_limit,
        collators,
        charter,
        cores_max: CORES_UNLIMITED,
    }
}

/// The ledger at height 0; none on a chain without shards.
///
/// # Errors
/// When there can't be such a ledger.
pub fn genesis_ledger(genesis: &Genesis) -> Result<Option<Ledger>, RulesError> {
    if !genesis.has_ledger {
        return Ok(None);
    }
    warn_of_few_checkers(genesis);
    let shards = genesis.shards.iter().map(|shard| {
        let terms = ShardTerms {
            cores_max: shard.cores_max,
            ..terms(&shard.genesis, shard.collators.clone())
        };
        (shard.shard, terms, shard.cores)
    });
    let genesis_ms = genesis.timestamp().saturating_mul(1_000);
    Ledger::genesis(ledger_rules(genesis), genesis_ms, shards).map(Some)
}

fn warn_of_few_checkers(genesis: &Genesis) {
    let rules = ledger_rules(genesis);
    let enough = enough_checkers(rules.validators);
    if let Approval::Sampled { checkers } = genesis.approval
        && let Some(enough) = enough.filter(|enough| checkers < *enough)
    {
        tracing::warn!(
            checkers,
            enough,
            "fewer checkers than a leader that tries many seeds is beaten by"
        );
    }
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
    let authority = Arc::new(Authority {
        namespace: ShardNamespace::new(genesis_digest),
        validators: genesis.validators.iter().cloned().collect(),
    });
    Ok(Some(ShardParts {
        genesis: Arc::clone(&ledger),
        authority: Arc::clone(&authority),
        inclusion: Inclusion::default(),
        feed: LedgerFeed::new(RelayUpdate {
            height: 0,
            digest: block_digest,
            ledger,
            authority,
            events: Vec::new(),
        }),
    }))
}
