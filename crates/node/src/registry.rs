//! The registry of shards: its place in a genesis, its calls, and whoever makes them over JSON-RPC.
//!
//! ```text
//! genesis of a shard ─▶ terms ─▶ create(…) ─transaction─▶ registry ─event─▶ relay block ─▶ shard ledger
//!                                                             waits until headway_getShards says so ◀──┘
//! ```
//! Encoding is by hand, as in `contracts`: tests in `testkit` run the contract, and so say when it no longer fits.

mod client;
mod error;

pub use client::{Owner, read_key, shards};
pub use error::RegistryError;

use crate::contracts::{Contract, call};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use primitives::{
    crypto::PublicKey,
    shard::{CHARTER_VERSION, Charter, ShardId},
};
use serde::Deserialize;
use shards::ledger::ShardTerms;
use std::collections::BTreeMap;

/// The least that who creates a shard leaves with the registry until it retires, for each core that it wants and for
/// one if it wants none, in wei: a hundred coins.
pub const DEPOSIT_MIN_WEI: U256 = U256::from_limbs([0x6bc7_5e2d_6310_0000, 0x5, 0, 0]);

/// The slot of the registry's mapping of shards.
const SHARDS_STORAGE_SLOT: u64 = 2;
/// Bits of the registry's first word below the number of the next shard, and below the newest version.
const NEXT_SHIFT: usize = 160;
const VERSION_SHIFT: usize = 192;

/// The registry as a genesis with these shards has it. They are the governor's.
#[must_use]
pub fn account(governor: Option<Address>, shards: &[ShardId]) -> GenesisAccount {
    let newest = shards.iter().map(|shard| shard.0).max();
    let next_shard = newest.unwrap_or(0).saturating_add(1);
    let governor = governor.unwrap_or_default().into_word();
    let first = U256::from_be_bytes(governor.0)
        | (U256::from(next_shard) << NEXT_SHIFT)
        | (U256::from(CHARTER_VERSION) << VERSION_SHIFT);
    let mut storage = BTreeMap::from([
        (U256::ZERO.into(), first.into()),
        (U256::ONE.into(), DEPOSIT_MIN_WEI.into()),
    ]);
    if governor != B256::ZERO {
        let owned = shards
            .iter()
            .map(|shard| (owner_storage_slot(*shard), governor));
        storage.extend(owned);
    }
    GenesisAccount {
        nonce: Some(1),
        code: Some(Contract::Registry.runtime()),
        storage: Some(storage),
        ..GenesisAccount::default()
    }
}

/// Where the registry keeps whose a shard is.
fn owner_storage_slot(shard: ShardId) -> B256 {
    keccak256([word(shard.0), word(SHARDS_STORAGE_SLOT)].concat())
}

/// What an owner wants of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// That it begins, on so many cores.
    Create {
        /// What its candidates are held to.
        terms: Box<ShardTerms>,
        /// How many cores.
        cores: u16,
    },
    /// That it takes no candidates for a while.
    Pause(ShardId),
    /// That it takes candidates again.
    Resume(ShardId),
    /// That it is over.
    Retire(ShardId),
    /// That it has other rules from a relay height on.
    Upgrade {
        /// The shard.
        shard: ShardId,
        /// The rules.
        charter: Charter,
        /// The first anchor height at which they hold.
        height: u64,
    },
    /// That others build its blocks.
    Collators {
        /// The shard.
        shard: ShardId,
        /// Who.
        collators: Vec<PublicKey>,
    },
}

impl Wish {
    /// The input of the call that says so.
    #[must_use]
    pub fn input(&self) -> Bytes {
        let of = |shard: &ShardId| word(shard.0);
        match self {
            Self::Create { terms, cores } => create(terms, *cores),
            Self::Pause(shard) => call("pause(uint32)", &[of(shard)]),
            Self::Resume(shard) => call("resume(uint32)", &[of(shard)]),
            Self::Retire(shard) => call("retire(uint32)", &[of(shard)]),
            Self::Upgrade {
                shard,
                charter,
                height,
            } => {
                let gas_limit = charter.chain.gas_limit;
                upgrade(*shard, *height, gas_limit, &charter.to_bytes())
            }
            Self::Collators { shard, collators } => {
                let input = call("setCollators(uint32,bytes32[])", &[of(shard), word(64_u8)]);
                [input, keys(collators)].concat().into()
            }
        }
    }
}

/// Charters up to this version are taken from now on: the governor's call.
#[must_use]
pub fn allow(version: u32) -> Bytes {
    call("allow(uint32)", &[word(version)])
}

/// The call that orders a charter of any version.
#[must_use]
pub fn upgrade(shard: ShardId, height: u64, gas_limit: u64, charter: &[u8]) -> Bytes {
    let head = [word(shard.0), word(height), word(gas_limit), word(128_u8)];
    let input = call("upgrade(uint32,uint64,uint64,bytes)", &head);
    [input, bytes(charter)].concat().into()
}

fn create(terms: &ShardTerms, cores: u16) -> Bytes {
    let collators = keys(&terms.collators);
    let after_head = 7 * 32_usize;
    let charter_at = after_head.saturating_add(collators.len());
    let head = [
        terms.genesis_hash,
        terms.genesis_root,
        word(terms.genesis_ms),
        word(terms.gas_limit),
        word(cores),
        U256::from(after_head).into(),
        U256::from(charter_at).into(),
    ];
    let signature = "create(bytes32,bytes32,uint64,uint64,uint16,bytes32[],bytes)";
    let parts = [call(signature, &head), collators, bytes(&terms.charter)];
    parts.concat().into()
}

fn word(value: impl Into<u64>) -> B256 {
    U256::from(value.into()).into()
}

fn keys(keys: &[PublicKey]) -> Bytes {
    let length: B256 = U256::from(keys.len()).into();
    let mut encoded = length.to_vec();
    for key in keys {
        encoded.extend_from_slice(key.as_ref());
    }
    encoded.into()
}

fn bytes(value: &[u8]) -> Bytes {
    let length: B256 = U256::from(value.len()).into();
    let mut encoded = length.to_vec();
    encoded.extend_from_slice(value);
    encoded.resize(encoded.len().next_multiple_of(32), 0);
    encoded.into()
}

/// What a node says of all shards, as far as owners need it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedShards {
    /// The relay block's height.
    pub height: alloy_primitives::U64,
    /// How many relay blocks ahead an upgrade has to be ordered.
    pub anchor_window: alloy_primitives::U64,
    /// Whose the cores are.
    pub cores: Vec<Option<u32>>,
    /// By their numbers.
    pub shards: Vec<ListedShard>,
}

/// What a node says of one shard.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedShard {
    /// Its number.
    pub id: u32,
    /// `active`, `paused` or `retired`.
    pub status: String,
    /// Who may build its blocks.
    pub collators: Vec<Bytes>,
    /// Hash of its block at number 0.
    pub genesis_hash: B256,
    /// What its blocks are executed under.
    pub charter: Bytes,
    /// What follows.
    pub upgrade: Option<ListedUpgrade>,
    /// Its newest final block.
    pub finalized: ListedHead,
}

/// Rules that follow.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedUpgrade {
    /// The first anchor height at which they hold.
    pub height: alloy_primitives::U64,
    /// Digest of the charter.
    pub rules: B256,
}

/// A block of a shard.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedHead {
    /// Its number.
    pub number: alloy_primitives::U64,
    /// Hash of its Ethereum header.
    pub hash: B256,
}
