//! The environment in which blocks run: those that were executed, and the one that would be next.
//!
//! ```text
//! ordering header, parent's hash ─▶ environment ─▶ execute ─▶ Ethereum header ─▶ the same environment again
//! ```
//! The Ethereum header says all of it, so that readers need nothing else: neither does a chain that came from
//! elsewhere, whose blocks nobody ordered here.

use crate::{Chain, ChainError, ExecutedRecord};
use alloy_consensus::Header as EthereumHeader;
use alloy_eips::eip1559::BaseFeeParams;
use alloy_primitives::B256;
use executor::{BlockEnvironment, EthereumRules, prevrandao};
use primitives::{ChainConfig, Header, base_fee::next_base_fee};

impl Chain {
    /// Ethereum's rules for an executed block, on a chain that came from elsewhere. Nobody orders blocks there,
    /// and it takes no transactions.
    #[must_use]
    pub fn ethereum(&self, header: &EthereumHeader) -> Option<EthereumRules> {
        let fork = self.shared.ethereum?;
        Some(EthereumRules {
            fork,
            difficulty: header.difficulty,
            excess_blob_gas: header.excess_blob_gas.unwrap_or_default(),
        })
    }

    /// Whether the chain came from elsewhere.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.shared.ethereum.is_some()
    }

    /// The environment in which an executed block ran.
    #[must_use]
    pub fn environment(&self, record: &ExecutedRecord) -> BlockEnvironment {
        environment_under(&record.header)
    }

    /// The environment in which a block on top of an executed one would run.
    #[must_use]
    pub fn next_environment(&self, record: &ExecutedRecord, now_ms: u64) -> BlockEnvironment {
        let parent = record.block.header();
        let height = parent.height.saturating_add(1);
        BlockEnvironment {
            height,
            timestamp: now_ms.max(parent.timestamp_ms.saturating_add(1)) / 1_000,
            base_fee: self.base_fee_above(record),
            prevrandao: prevrandao(&record.block.digest(), height),
            parent_hash: record.hash,
            ..self.environment(record)
        }
    }

    /// Base fee of the next block on top of `latest`, in wei.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn next_base_fee(&self) -> Result<u64, ChainError> {
        let latest = self.latest()?;
        Ok(self.base_fee_above(&latest))
    }

    fn base_fee_above(&self, record: &ExecutedRecord) -> u64 {
        match self.is_imported() {
            true => record
                .header
                .next_block_base_fee(BaseFeeParams::ethereum())
                .unwrap_or_default(),
            false => next_base_fee(record.block.header(), &self.rules()),
        }
    }
}

/// The environment in which a block ran, which its Ethereum header says whole.
#[must_use]
pub fn environment_under(header: &EthereumHeader) -> BlockEnvironment {
    BlockEnvironment {
        height: header.number,
        timestamp: header.timestamp,
        beneficiary: header.beneficiary,
        gas_limit: header.gas_limit,
        base_fee: header.base_fee_per_gas.unwrap_or_default(),
        prevrandao: header.mix_hash,
        parent_hash: header.parent_hash,
        parent_beacon_root: header.parent_beacon_block_root.unwrap_or_default(),
    }
}

/// The environment in which a block executes.
#[must_use]
pub fn environment(header: &Header, parent_hash: B256, config: &ChainConfig) -> BlockEnvironment {
    BlockEnvironment::of(header, parent_hash, config)
}
