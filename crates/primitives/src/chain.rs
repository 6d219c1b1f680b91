//! The parameters of one chain: agreed by all its validators through the genesis file, never
//! changed by a node's own configuration.

use crate::limits;
use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

/// Gas charged per mille of the limit when everything is at its production default.
pub const GAS_CHARGE_FLOOR_PERMILLE: u16 = 500;
/// Denominator of [`Protocol::gas_charge_floor_permille`].
pub const PERMILLE: u16 = 1_000;

/// Parameters of the Headway protocol: the `headway` section of a genesis file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Protocol {
    /// A transaction is charged at least this share of its gas limit, in per mille (0 = Ethereum).
    pub gas_charge_floor_permille: u16,
    /// What a delegated account may spend on gas while in flight, in wei.
    pub reserve: U256,
    /// Back-pressure: at most this many block gas limits may be ordered and not yet certified.
    pub inflight_blocks: u16,
    /// Largest encoded block, in bytes.
    pub block_bytes_max: u32,
    /// A block follows after this long without a transaction, in milliseconds.
    pub heartbeat_ms: u64,
    /// A block waits this long for the one before, in milliseconds (0 = none). A shard's may be begun a quarter of it
    /// early, to be in time for its relay block.
    pub block_time_ms: u64,
    /// How far a header's time may lie ahead of a voter's clock, in milliseconds.
    pub clock_drift_ms: u64,
    /// A development chain: unlocked accounts, directives and impersonated senders are legal.
    pub dev: bool,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            gas_charge_floor_permille: GAS_CHARGE_FLOOR_PERMILLE,
            reserve: U256::from(10_000_000_000_000_000_000_u128),
            inflight_blocks: 4,
            block_bytes_max: 2 * 1024 * 1024,
            heartbeat_ms: 1_000,
            block_time_ms: 0,
            clock_drift_ms: 1_000,
            dev: false,
        }
    }
}

/// Everything the rules of one chain depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainConfig {
    /// EIP-155 chain identifier.
    pub chain_id: u64,
    /// Block gas limit; constant.
    pub gas_limit: u64,
    /// Parameters of the Headway protocol.
    pub protocol: Protocol,
}

impl ChainConfig {
    /// Most gas that may be ordered and not yet covered by a certified result.
    #[must_use]
    pub const fn inflight_cap(&self) -> u64 {
        self.gas_limit
            .saturating_mul(self.protocol.inflight_blocks as u64)
    }

    /// The gas budget of a block, given the sum of gas limits ordered above the certified height.
    ///
    /// `clamp(inflight_cap − in flight, 0, gas_limit)`: execution that cannot keep up shrinks
    /// blocks smoothly, down to empty ones, which cost nothing.
    #[must_use]
    pub fn gas_budget(&self, in_flight_gas: u64) -> u64 {
        self.inflight_cap()
            .saturating_sub(in_flight_gas)
            .min(self.gas_limit)
    }

    /// Largest gas limit a transaction may name on this chain.
    #[must_use]
    pub fn transaction_gas_max(&self) -> u64 {
        limits::TRANSACTION_GAS_MAX.min(self.gas_limit)
    }

    /// Gas a transaction pays for: `max(used, floor × limit)`.
    #[must_use]
    pub fn charged_gas(&self, used: u64, limit: u64) -> u64 {
        let floor = u128::from(limit)
            .saturating_mul(u128::from(self.protocol.gas_charge_floor_permille))
            .checked_div(u128::from(PERMILLE))
            .unwrap_or(0);
        used.max(u64::try_from(floor).unwrap_or(limit)).min(limit)
    }
}
