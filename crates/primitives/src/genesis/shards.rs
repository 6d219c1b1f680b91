//! The shards of a genesis file.

use super::{Genesis, GenesisError, GenesisShard, ShardEntry, parse_validators};
use crate::{limits, shard::ShardId};
use alloy_primitives::{B256, keccak256};

/// Checks the entries, and every shard's own genesis with the errors of any genesis.
pub(super) fn parse(
    entries: &[ShardEntry],
    all_cores: Option<u16>,
    relay_chain_id: u64,
) -> Result<Vec<GenesisShard>, GenesisError> {
    let refuse = |problem: String| {
        Err(GenesisError::OutOfRange {
            field: "headway.shards",
            problem,
        })
    };
    if entries.len() > limits::SHARDS_MAX {
        return refuse(format!("at most {} shards", limits::SHARDS_MAX));
    }
    let mut shards: Vec<GenesisShard> = Vec::with_capacity(entries.len());
    for entry in entries {
        let id = entry.id;
        if id == 0 || shards.last().is_some_and(|last| last.shard.0 >= id) {
            return refuse(format!("id={id}: ids begin at 1 and rise"));
        }
        let idle = entry.cores == 0 && all_cores.is_none();
        if idle || entry.collators.is_empty() {
            return refuse(format!("id={id}: name at least one core and one collator"));
        }
        let cores_max = match parse_cores_max(entry, all_cores) {
            Ok(cores_max) => cores_max,
            Err(problem) => return refuse(format!("id={id}: {problem}")),
        };
        if entry.collators.len() > limits::COLLATORS_MAX {
            let max = limits::COLLATORS_MAX;
            return refuse(format!("id={id}: at most {max} collators"));
        }
        let collators = parse_validators(&entry.collators)?;
        let genesis = Genesis::from_json(&entry.genesis.to_string())?;
        if genesis.has_ledger || !genesis.validators.is_empty() {
            return refuse(format!(
                "id={id}: a shard has neither shards nor validators of its own"
            ));
        }
        check_gas(&genesis)?;
        let chain_id = genesis.chain.chain_id;
        let taken = shards
            .iter()
            .any(|other| other.genesis.chain.chain_id == chain_id);
        if taken || chain_id == relay_chain_id {
            return refuse(format!("id={id}: chainId {chain_id} is another chain's"));
        }
        shards.push(GenesisShard {
            shard: ShardId(id),
            cores: entry.cores,
            cores_max,
            collators: collators.into_iter().collect(),
            genesis,
        });
    }
    let cores: usize = shards.iter().map(|shard| usize::from(shard.cores)).sum();
    let most = all_cores.map_or(limits::CORES_MAX, usize::from);
    if cores > most.min(limits::CORES_MAX) {
        return refuse(format!("at most {most} cores together"));
    }
    Ok(shards)
}

/// Checks that validators have the time to check the blocks of a shard with this genesis.
///
/// # Errors
/// When its gas limit is above [`limits::SHARD_GAS_MAX`].
pub fn check_gas(genesis: &Genesis) -> Result<(), GenesisError> {
    if genesis.chain.gas_limit <= limits::SHARD_GAS_MAX {
        return Ok(());
    }
    Err(GenesisError::OutOfRange {
        field: "gasLimit",
        problem: format!(
            "a shard's validators have to check what fits; write at most {:#x}",
            limits::SHARD_GAS_MAX
        ),
    })
}

/// Checks the number of cores of a chain on which they go where the load is.
pub(super) fn check_cores(cores: Option<u16>) -> Result<Option<u16>, GenesisError> {
    let problem = format!("write 1 to {}, or leave it out", limits::CORES_MAX);
    match cores {
        Some(0) => {}
        Some(some) if usize::from(some) > limits::CORES_MAX => {}
        Some(_) | None => return Ok(cores),
    }
    Err(GenesisError::OutOfRange {
        field: "headway.cores",
        problem,
    })
}

fn parse_cores_max(entry: &ShardEntry, all_cores: Option<u16>) -> Result<u16, String> {
    match (entry.cores_max, all_cores) {
        (None, _) => Ok(all_cores.unwrap_or(entry.cores)),
        (Some(_), None) => Err("coresMax needs headway.cores; without it cores stay".to_owned()),
        (Some(most), Some(all)) if most == 0 || most < entry.cores || most > all => {
            Err(format!("coresMax is from its cores, or 1, to {all}"))
        }
        (Some(most), Some(_)) => Ok(most),
    }
}

impl GenesisShard {
    /// Digest of what its blocks are executed under and who may build them; its accounts are in the hash of its
    /// block at height 0.
    #[must_use]
    pub fn rules_digest(&self) -> B256 {
        let mut bytes = self.genesis.rules_digest().to_vec();
        bytes.extend_from_slice(&self.shard.0.to_be_bytes());
        bytes.extend_from_slice(&self.cores.to_be_bytes());
        for key in &self.collators {
            bytes.extend_from_slice(key.as_ref());
        }
        for (address, account) in &self.genesis.alloc {
            bytes.extend_from_slice(address.as_slice());
            bytes.extend(serde_json::to_vec(account).expect("an account came from JSON"));
        }
        keccak256(bytes)
    }
}
