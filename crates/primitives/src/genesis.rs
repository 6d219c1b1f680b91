//! The genesis file: geth's JSON with `alloc`, plus a `headway` section.
//!
//! ```json
//! { "config": { "chainId": 31337 }, "gasLimit": "0x1c9c380", "alloc": { "0x…": { "balance": "0x…" } },
//!   "headway": { "validators": ["<ed25519 public key, hex>"], "protocol": { "heartbeatMs": 1000 },
//!                "shards": [{ "id": 1, "cores": 1, "collators": ["<key>"], "genesis": { a file like this one } }] } }
//! ```
//! Unknown fields are refused, because a misspelled `alloc` would silently start an empty chain.
//! All forks up to Osaka are active from height 0; fork fields in `config` are accepted and must
//! not name a later start.

use crate::{
    ChainConfig, chain::PERMILLE, chain::Protocol, crypto::PublicKey, limits, shard::ShardId,
};
use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, EMPTY_WITHDRAWALS};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B64, B256, Bytes, U256, hex, keccak256};
use commonware_codec::{Copying, DecodeExt};
use commonware_utils::ordered::Set;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use approval::Approval;
pub use shards::check_gas;

/// Base fee at height 0 when the file names none, in wei (EIP-1559's initial value).
pub const BASE_FEE_INITIAL: u64 = 1_000_000_000;

/// Longest heartbeat and block time a chain may have, in milliseconds: an hour.
const INTERVAL_MS_MAX: u64 = 3_600_000;

const TOP_LEVEL_FIELDS: [&str; 18] = [
    "config",
    "nonce",
    "timestamp",
    "extraData",
    "gasLimit",
    "difficulty",
    "mixHash",
    "coinbase",
    "alloc",
    "baseFeePerGas",
    "excessBlobGas",
    "blobGasUsed",
    "slotNumber",
    "number",
    "parentHash",
    "gasUsed",
    "stateRoot",
    "headway",
];
const ACCOUNT_FIELDS: [&str; 5] = ["balance", "nonce", "code", "storage", "secretKey"];

/// Why a genesis file was refused.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// Not JSON, or a field of the wrong form.
    #[error("genesis is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// A field nobody reads.
    #[error("genesis has an unknown field: field={field} in={place}; known fields: {known}")]
    UnknownField {
        /// Its name.
        field: String,
        /// The object that holds it.
        place: String,
        /// What may stand there.
        known: String,
    },
    /// A value that no chain can run with.
    #[error("genesis field={field} is out of range: {problem}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A validator key that is not 32 bytes of ed25519 public key in hex, or stands twice.
    #[error("genesis validator key={key} is not valid: {problem}")]
    Validator {
        /// The key as written.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

/// The `headway` section as it stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeadwaySection {
    /// Public keys of the validators, hex.
    pub validators: Vec<String>,
    /// Protocol parameters; absent ones take their defaults.
    #[serde(default)]
    pub protocol: Protocol,
    /// Shards of the chain from its beginning. An empty list is a chain that can get some; without the list it
    /// never can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<Vec<ShardEntry>>,
    /// How their candidates are backed.
    #[serde(default, skip_serializing_if = "Backing::is_default")]
    pub backing: Backing,
    /// Who checks them before they are final.
    #[serde(default, skip_serializing_if = "Approval::is_default")]
    pub approval: Approval,
    /// Cores of all shards together, which go where the load is. Without it every shard keeps its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u16>,
}

/// One shard as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShardEntry {
    /// Its number, from 1.
    pub id: u32,
    /// Cores that are its own at the beginning.
    #[serde(default = "one_core")]
    pub cores: u16,
    /// Most cores that its load may bring it, on a chain that says how many there are; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores_max: Option<u16>,
    /// Public keys of those who may build its blocks, hex.
    pub collators: Vec<String>,
    /// Its genesis: the chain's id, gas limit, accounts, and its own protocol parameters.
    pub genesis: serde_json::Value,
}

const fn one_core() -> u16 {
    1
}

/// How candidates of shards are backed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Backing {
    /// On candidates that are pending themselves, several blocks ahead.
    #[default]
    Asynchronous,
    /// One at a time, on included parents: the baseline for comparisons.
    Synchronous,
}

impl Backing {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A shard of a checked genesis.
#[derive(Clone, Debug)]
pub struct GenesisShard {
    /// Its number.
    pub shard: ShardId,
    /// Cores that are its own at the beginning.
    pub cores: u16,
    /// Most that it may have.
    pub cores_max: u16,
    /// Who may build its blocks.
    pub collators: Vec<PublicKey>,
    /// Its own genesis.
    pub genesis: Genesis,
}

/// A checked genesis: the only way to get one is to parse it.
#[derive(Clone, Debug)]
pub struct Genesis {
    /// The rules of the chain.
    pub chain: ChainConfig,
    /// Its validators, in the order consensus numbers them.
    pub validators: Set<PublicKey>,
    /// Accounts at height 0.
    pub alloc: BTreeMap<Address, GenesisAccount>,
    /// Whether it can have shards: a ledger of them goes with its blocks.
    pub has_ledger: bool,
    /// Those that it begins with, by rising numbers.
    pub shards: Vec<GenesisShard>,
    /// How their candidates are backed.
    pub backing: Backing,
    /// Who checks them before they are final.
    pub approval: Approval,
    /// Cores of all shards together, if they go where the load is.
    pub cores: Option<u16>,
    file: alloy_genesis::Genesis,
}

impl Genesis {
    /// Parses and checks a genesis file.
    ///
    /// # Errors
    /// [`GenesisError`] names the field and what to write instead.
    pub fn from_json(text: &str) -> Result<Self, GenesisError> {
        let mut value: serde_json::Value = serde_json::from_str(text)?;
        check_fields(&value)?;
        let section = match value
            .as_object_mut()
            .and_then(|object| object.remove("headway"))
        {
            Some(section) => serde_json::from_value::<HeadwaySection>(section)?,
            None => HeadwaySection::default(),
        };
        let mut file: alloy_genesis::Genesis = serde_json::from_value(value)?;
        let alloc = std::mem::take(&mut file.alloc);
        let chain = ChainConfig {
            chain_id: file.config.chain_id,
            gas_limit: file.gas_limit,
            protocol: section.protocol,
        };
        check_chain(&chain, &file)?;
        let (chain_id, cores) = (chain.chain_id, shards::check_cores(section.cores)?);
        let validators = parse_validators(&section.validators)?;
        section.approval.check(section.backing, validators.len())?;
        Ok(Self {
            chain,
            validators,
            alloc,
            has_ledger: section.shards.is_some(),
            shards: shards::parse(
                section.shards.as_deref().unwrap_or_default(),
                cores,
                chain_id,
            )?,
            backing: section.backing,
            approval: section.approval,
            cores,
            file,
        })
    }

    /// Writes a genesis file that [`Self::from_json`] reads back.
    ///
    /// # Errors
    /// Only if a value cannot be represented in JSON.
    pub fn to_json(
        file: &alloy_genesis::Genesis,
        section: &HeadwaySection,
    ) -> Result<String, GenesisError> {
        let mut value = serde_json::to_value(file)?;
        if let Some(object) = value.as_object_mut() {
            object.insert("headway".to_owned(), serde_json::to_value(section)?);
        }
        Ok(serde_json::to_string_pretty(&value)?)
    }

    /// The Ethereum header at height 0 over the state root of [`Self::alloc`].
    #[must_use]
    pub fn header(&self, state_root: B256) -> alloy_consensus::Header {
        alloy_consensus::Header {
            parent_hash: self.file.parent_hash.unwrap_or_default(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: self.file.coinbase,
            state_root,
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            withdrawals_root: Some(EMPTY_WITHDRAWALS),
            difficulty: self.file.difficulty,
            number: 0,
            gas_limit: self.chain.gas_limit,
            gas_used: 0,
            timestamp: self.file.timestamp,
            mix_hash: self.file.mix_hash,
            nonce: B64::from(self.file.nonce),
            base_fee_per_gas: Some(self.base_fee()),
            blob_gas_used: Some(self.file.blob_gas_used.unwrap_or(0)),
            excess_blob_gas: Some(self.file.excess_blob_gas.unwrap_or(0)),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(EMPTY_REQUESTS_HASH),
            extra_data: self.file.extra_data.clone(),
            ..Default::default()
        }
    }

    /// Base fee at height 0, in wei.
    #[must_use]
    pub fn base_fee(&self) -> u64 {
        self.file
            .base_fee_per_gas
            .and_then(|fee| u64::try_from(fee).ok())
            .unwrap_or(BASE_FEE_INITIAL)
    }

    /// Time of height 0, in seconds since the Unix epoch.
    #[must_use]
    pub const fn timestamp(&self) -> u64 {
        self.file.timestamp
    }

    /// Digest over the rules and the validators, so that two chains that share a state but not
    /// their rules never accept each other's votes.
    #[must_use]
    pub fn rules_digest(&self) -> B256 {
        let mut bytes = serde_json::to_vec(&self.chain.protocol)
            .expect("the parameters came from JSON and go back");
        bytes.extend_from_slice(&self.chain.chain_id.to_be_bytes());
        bytes.extend_from_slice(&self.chain.gas_limit.to_be_bytes());
        for key in &self.validators {
            bytes.extend_from_slice(key.as_ref());
        }
        if self.has_ledger {
            let backing = serde_json::to_vec(&self.backing);
            bytes.extend(backing.expect("a name is JSON"));
            let approval = serde_json::to_vec(&self.approval);
            bytes.extend(approval.expect("a name and a number are JSON"));
        }
        for shard in &self.shards {
            bytes.extend_from_slice(shard.rules_digest().as_slice());
        }
        if let Some(cores) = self.cores {
            bytes.extend_from_slice(&cores.to_be_bytes());
            let most = self.shards.iter().map(|shard| shard.cores_max);
            bytes.extend(most.flat_map(u16::to_be_bytes));
        }
        keccak256(bytes)
    }
}

fn check_fields(value: &serde_json::Value) -> Result<(), GenesisError> {
    let Some(object) = value.as_object() else {
        return Err(GenesisError::OutOfRange {
            field: "file",
            problem: "expected a JSON object".to_owned(),
        });
    };
    refuse_unknown(object, &TOP_LEVEL_FIELDS, "genesis")?;
    let accounts = object.get("alloc").and_then(serde_json::Value::as_object);
    for (address, account) in accounts.into_iter().flatten() {
        if let Some(account) = account.as_object() {
            refuse_unknown(account, &ACCOUNT_FIELDS, &format!("alloc.{address}"))?;
        }
    }
    Ok(())
}

fn refuse_unknown(
    object: &serde_json::Map<String, serde_json::Value>,
    known: &[&str],
    place: &str,
) -> Result<(), GenesisError> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(field) => Err(GenesisError::UnknownField {
            field: field.clone(),
            place: place.to_owned(),
            known: known.join(", "),
        }),
    }
}

fn out_of_range(field: &'static str, problem: &str) -> Result<(), GenesisError> {
    Err(GenesisError::OutOfRange {
        field,
        problem: problem.to_owned(),
    })
}

/// Checks what the rules of a chain say, wherever they stand.
pub(crate) fn check_rules(chain: &ChainConfig) -> Result<(), GenesisError> {
    if chain.chain_id == 0 {
        return out_of_range("config.chainId", "write a chain id of at least 1");
    }
    if chain.gas_limit < 21_000 {
        return out_of_range("gasLimit", "no transaction fits; write at least 0x5208");
    }
    if chain.gas_limit > u64::from(u32::MAX).saturating_mul(1_024) {
        return out_of_range("gasLimit", "write at most 0x3fffffffc00");
    }
    let protocol = &chain.protocol;
    if protocol.gas_charge_floor_permille > PERMILLE {
        return out_of_range("headway.protocol.gasChargeFloorPermille", "write 0 to 1000");
    }
    if protocol.inflight_blocks == 0 {
        return out_of_range("headway.protocol.inflightBlocks", "write at least 1");
    }
    let bytes_max = usize::try_from(protocol.block_bytes_max).unwrap_or(usize::MAX);
    if !(limits::TRANSACTION_BYTES_MAX..=limits::BLOCK_BYTES_MAX).contains(&bytes_max) {
        return out_of_range("headway.protocol.blockBytesMax", "write 131072 to 8388608");
    }
    if !(1..=INTERVAL_MS_MAX).contains(&protocol.heartbeat_ms) {
        return out_of_range("headway.protocol.heartbeatMs", "write 1 to 3600000");
    }
    if protocol.block_time_ms > INTERVAL_MS_MAX {
        return out_of_range("headway.protocol.blockTimeMs", "write 0 to 3600000");
    }
    Ok(())
}

fn check_chain(chain: &ChainConfig, file: &alloy_genesis::Genesis) -> Result<(), GenesisError> {
    check_rules(chain)?;
    if file
        .base_fee_per_gas
        .is_some_and(|fee| fee > u128::from(u64::MAX))
    {
        return out_of_range("baseFeePerGas", "write at most 0xffffffffffffffff");
    }
    if file.number.unwrap_or(0) != 0 {
        return out_of_range("number", "a chain starts at height 0");
    }
    if file.timestamp > u64::MAX / 1_000 {
        return out_of_range("timestamp", "write seconds since the Unix epoch");
    }
    Ok(())
}

fn parse_validators(keys: &[String]) -> Result<Set<PublicKey>, GenesisError> {
    let refuse = |key: &String, problem: &str| GenesisError::Validator {
        key: key.clone(),
        problem: problem.to_owned(),
    };
    let mut parsed = Vec::with_capacity(keys.len());
    for key in keys {
        let bytes = hex::decode(key).map_err(|_| refuse(key, "not hex"))?;
        let public = PublicKey::decode(Copying(bytes.as_slice()))
            .map_err(|_| refuse(key, "not an ed25519 public key of 32 bytes"))?;
        if parsed.contains(&public) {
            return Err(refuse(key, "stands twice"));
        }
        parsed.push(public);
    }
    let count = u32::try_from(parsed.len()).unwrap_or(u32::MAX);
    if count > limits::VALIDATORS_MAX {
        return Err(GenesisError::OutOfRange {
            field: "headway.validators",
            problem: format!("at most {} validators", limits::VALIDATORS_MAX),
        });
    }
    Ok(Set::from_iter_dedup(parsed))
}

/// The code and storage of one genesis account in the form the state takes them.
#[must_use]
pub fn account_storage(account: &GenesisAccount) -> (Option<Bytes>, BTreeMap<U256, U256>) {
    let storage = account
        .storage
        .iter()
        .flatten()
        .map(|(key, value)| (U256::from_be_bytes(key.0), U256::from_be_bytes(value.0)))
        .filter(|(_, value)| !value.is_zero())
        .collect();
    (
        account.code.clone().filter(|code| !code.is_empty()),
        storage,
    )
}

mod approval;
mod shards;
#[cfg(test)]
mod tests;
