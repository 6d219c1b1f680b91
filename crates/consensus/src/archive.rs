//! The archives of finalized blocks and their finalizations, which marshal keeps for ever so that it can
//! serve peers that start later.

use crate::{
    config::{ARCHIVE_SECTION_ITEMS, ConsensusConfig, JOURNAL_BUFFER_BYTES},
    engine::{EngineFault, Runtime, nonzero},
};
use commonware_cryptography::certificate::Verifier as _;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_storage::{
    archive::{Archive as _, prunable},
    translator::EightCap,
};
use primitives::{
    Block, BlockLimits,
    crypto::{BlockDigest, Finalization, Scheme},
};
use std::{
    fmt,
    num::{NonZeroU64, NonZeroUsize},
    sync::Arc,
};

const BUFFER: NonZeroUsize = nonzero(JOURNAL_BUFFER_BYTES);

/// Values by height and by block digest.
pub(crate) type Archive<E, V> = prunable::Archive<EightCap, E, BlockDigest, V>;

/// Both archives of one node.
pub(crate) struct Archives<E: Runtime> {
    pub(crate) finalizations: Archive<E, Finalization>,
    pub(crate) blocks: Archive<E, Arc<Block>>,
}

impl<E: Runtime> Archives<E> {
    /// Opens them, or makes them.
    pub(crate) async fn open(
        runtime: &E,
        config: &ConsensusConfig,
        limits: BlockLimits,
        cache: &CacheRef,
    ) -> Result<Self, EngineFault> {
        let codec_config = Scheme::certificate_codec_config_unbounded();
        let finalizations = prunable::Archive::init(
            runtime.child("finalizations"),
            archive(config, "finalizations", cache, codec_config),
        );
        let finalizations = finalizations.await;
        let blocks = prunable::Archive::init(
            runtime.child("blocks"),
            archive(config, "blocks", cache, limits),
        );
        let blocks = blocks.await;
        Ok(Self {
            finalizations: finalizations.map_err(|error| unopened("finalizations", &error))?,
            blocks: blocks.map_err(|error| unopened("blocks", &error))?,
        })
    }

    /// Height of the newest stored block.
    pub(crate) fn ordered_height(&self) -> u64 {
        self.blocks.last_index().unwrap_or_default()
    }

    /// Stores a block and its finalization, unless there are newer ones.
    pub(crate) async fn put(
        self,
        block: &Block,
        finalization: &Finalization,
    ) -> Result<Self, EngineFault> {
        let (height, digest) = (block.header().height, block.digest());
        let Self {
            mut finalizations,
            mut blocks,
        } = self;
        // Each by itself: a node can be killed in between.
        if finalizations.last_index().unwrap_or_default() < height {
            let put = finalizations.put_sync(height, digest, finalization).await;
            finalizations = put.map_err(|error| unopened("finalizations", &error))?;
        }
        if blocks.last_index().unwrap_or_default() < height {
            let stored = Arc::new(block.clone());
            let put = blocks.put_sync(height, digest, &stored).await;
            blocks = put.map_err(|error| unopened("blocks", &error))?;
        }
        Ok(Self {
            finalizations,
            blocks,
        })
    }
}

pub(crate) fn unopened(archive: &'static str, error: &impl fmt::Display) -> EngineFault {
    EngineFault::Archive {
        archive,
        error: error.to_string(),
    }
}

fn archive<C>(
    config: &ConsensusConfig,
    name: &str,
    cache: &CacheRef,
    codec_config: C,
) -> prunable::Config<EightCap, C> {
    let partition = &config.partition;
    prunable::Config {
        translator: EightCap,
        metadata_partition: format!("{partition}-{name}-metadata"),
        key_partition: format!("{partition}-{name}-keys"),
        key_page_cache: cache.clone(),
        value_partition: format!("{partition}-{name}-values"),
        compression: None,
        codec_config,
        items_per_section: NonZeroU64::new(ARCHIVE_SECTION_ITEMS).expect("a section is not empty"),
        key_write_buffer: BUFFER,
        value_write_buffer: BUFFER,
        replay_buffer: BUFFER,
    }
}
