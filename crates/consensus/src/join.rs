//! Beginning at an anchor instead of at genesis: with a state that came from peers and no order below it.
//!
//! ```text
//! anchor ─remember─▶ storage ─recall, at every start─▶ marshal and simplex begin at f
//!                                                      delivery executes s+1 … f from the anchor itself
//!          s ─────────────────────── f ──────────────▶ marshal backfills and follows
//!        state                  finalized
//! ```
//! The anchor is stored before anything else, so a node that was killed at any point begins at the same
//! place, or goes on from where it was.
//!
//! A validator must not vote twice in a view. Whoever has an anchor but no journal of its votes may have
//! voted in a former life, and nobody can prove that it has not: a certificate names who signed, the absence
//! of one says nothing. So a validator's key joins only with its journal, or if its operator says that the
//! key has never voted.

use crate::{
    archive::{Archives, unopened},
    config::ConsensusConfig,
    engine::{EngineFault, EngineParts, Runtime},
};
use commonware_cryptography::certificate::Scheme as _;
use commonware_storage::metadata::{self, Metadata};
use commonware_utils::sequence::U64;
use primitives::{
    BlockLimits,
    anchor::{Anchor, SyncAnchor, Trust},
    crypto::Scheme,
};

/// Where in its partition the anchor is.
const KEY: U64 = U64::new(0);
const NAME: &str = "anchor";

type Remembered<E> = Metadata<E, U64, SyncAnchor>;

async fn open<E: Runtime>(
    runtime: E,
    partition: &str,
    limits: BlockLimits,
) -> Result<Remembered<E>, EngineFault> {
    let config = metadata::Config {
        partition: format!("{partition}-{NAME}"),
        codec_config: limits,
    };
    let opened = Metadata::init(runtime, config).await;
    opened.map_err(|error| unopened(NAME, &error))
}

/// Makes an anchor the place where this node begins, durably.
///
/// # Errors
/// When it cannot be stored.
pub async fn remember<E: Runtime>(
    runtime: E,
    partition: &str,
    limits: BlockLimits,
    anchor: &Anchor,
) -> Result<(), EngineFault> {
    let mut remembered = open(runtime, partition, limits).await?;
    if remembered.get(&KEY) == Some(anchor.whole()) {
        return Ok(());
    }
    remembered.put(KEY, anchor.whole().clone());
    let synced = remembered.sync().await;
    synced.map(drop).map_err(|error| unopened(NAME, &error))
}

/// The anchor at which this node began, if it did not begin at genesis.
///
/// # Errors
/// When what is stored cannot be read, or is no anchor of this chain.
pub async fn recall<E: Runtime>(
    mut runtime: E,
    partition: &str,
    limits: BlockLimits,
    trust: &Trust,
) -> Result<Option<Anchor>, EngineFault> {
    let remembered = open(runtime.child(NAME), partition, limits).await?;
    let Some(stored) = remembered.get(&KEY).cloned() else {
        return Ok(None);
    };
    let verified = stored.verify(trust, &mut runtime);
    verified.map(Some).map_err(|error| unopened(NAME, &error))
}

/// Checks that this node may begin at its anchor, and puts the anchor's newest block where marshal looks for
/// it.
pub(crate) async fn begin<E: Runtime>(
    runtime: &E,
    parts: &EngineParts,
    anchor: &Anchor,
    archives: Archives<E>,
) -> Result<Archives<E>, EngineFault> {
    let chain = parts.ordering.parts().pipeline.chain();
    let (executed, result) = (chain.heads().executed_height, anchor.result());
    if executed < result.height {
        let anchor = result.height;
        return Err(EngineFault::StateMissing { executed, anchor });
    }
    let own = chain.own_result(result.height);
    if own.is_some_and(|own| own != result.block_hash) {
        let height = result.height;
        return Err(EngineFault::OtherState { height });
    }
    require_votes(runtime, &parts.scheme, &parts.config).await?;
    archives
        .put(anchor.finalized(), anchor.finalization())
        .await
}

/// Refuses a validator that cannot know what it has voted for.
///
/// # Errors
/// [`EngineFault::MayHaveVoted`]
pub async fn require_votes<E: Runtime>(
    runtime: &E,
    scheme: &Scheme,
    config: &ConsensusConfig,
) -> Result<(), EngineFault> {
    let votes = scheme.me().is_some();
    if votes && !config.never_voted && !remembers_votes(runtime, config).await {
        return Err(EngineFault::MayHaveVoted);
    }
    Ok(())
}

/// Whether there is a journal of this node's votes.
async fn remembers_votes<E: Runtime>(runtime: &E, config: &ConsensusConfig) -> bool {
    // A partition that is not there is an error, which means the same.
    let journals = runtime.scan(&votes_partition(config)).await;
    journals.is_ok_and(|journals| !journals.is_empty())
}

/// Where simplex keeps its journal.
pub(crate) fn votes_partition(config: &ConsensusConfig) -> String {
    format!("{}-simplex", config.partition)
}
