//! geth's genesis file, for a chain whose forks are all active from its first block.
//!
//! ```text
//! config:  …Block = 0 (or absent)   terminalTotalDifficulty = 0
//!          shanghaiTime = 0, then cancunTime, pragueTime, osakaTime: 0, or absent from some fork on
//! alloc, timestamp, extraData, …  ─▶ state and header at height 0
//! ```
//! Whatever this node would execute otherwise than geth is refused by name: forks at other times, other blob
//! schedules, proof of authority.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::{eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS, eip7685::EMPTY_REQUESTS_HASH};
use alloy_genesis::Genesis as GenesisFile;
use alloy_primitives::{Address, B64, B256, U256, b256};
use executor::Fork;
use primitives::{ChainConfig, chain::Protocol, genesis::account_storage};
use serde_json::{Map, Value};
use state::{GenesisAccount, GenesisAlloc, genesis_root};

/// The root of an empty trie.
const EMPTY_ROOT: B256 = b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");
/// Wei per gas of a first block that does not say.
const BASE_FEE_INITIAL: u64 = 1_000_000_000;
/// Forks by time, in their order.
const TIMES: [(&str, Fork); 4] = [
    ("shanghaiTime", Fork::Shanghai),
    ("cancunTime", Fork::Cancun),
    ("pragueTime", Fork::Prague),
    ("osakaTime", Fork::Osaka),
];
/// What divides the excess of blobs in their price, by the fork's name in `blobSchedule`.
const BLOB_FRACTIONS: [(&str, u64); 3] = [
    ("cancun", 3_338_477),
    ("prague", 5_007_716),
    ("osaka", 5_007_716),
];
/// Fields of `config` that change nothing here.
const IGNORED: [&str; 5] = [
    "chainId",
    "daoForkSupport",
    "ethash",
    "terminalTotalDifficultyPassed",
    "depositContractAddress",
];

/// Why a genesis was refused.
#[derive(Debug, thiserror::Error)]
pub enum GenesisProblem {
    /// Not JSON, or a field of the wrong form.
    #[error("not a genesis of geth: {0}")]
    Json(#[from] serde_json::Error),
    /// A field that says what this node does not do.
    #[error("config.{field}: {problem}")]
    Field {
        /// The field.
        field: String,
        /// What is wrong and what to write instead.
        problem: &'static str,
    },
}

/// What an imported chain begins with.
#[derive(Clone, Debug)]
pub(crate) struct ImportGenesis {
    /// The fork that all its blocks run under.
    pub(crate) fork: Fork,
    /// Its id and gas limit.
    pub(crate) chain: ChainConfig,
    /// Whose logs are deposits (EIP-6110).
    pub(crate) deposit_contract: Address,
    /// The header at height 0.
    pub(crate) header: Header,
    /// The accounts at height 0.
    pub(crate) alloc: GenesisAlloc,
}

impl ImportGenesis {
    /// Reads a genesis file.
    pub(crate) fn parse(text: &str) -> Result<Self, GenesisProblem> {
        let raw: Value = serde_json::from_str(text)?;
        let file: GenesisFile = serde_json::from_str(text)?;
        let nothing = Map::new();
        let config = raw.get("config").and_then(Value::as_object);
        let config = config.unwrap_or(&nothing);
        let fork = fork(config)?;
        check_rest(config)?;
        let deposit_contract = match config.get("depositContractAddress") {
            None | Some(Value::Null) => MAINNET_DEPOSIT_CONTRACT_ADDRESS,
            Some(address) => serde_json::from_value(address.clone())?,
        };
        let alloc = alloc(&file);
        Ok(Self {
            fork,
            chain: ChainConfig {
                chain_id: file.config.chain_id,
                gas_limit: file.gas_limit,
                protocol: Protocol::default(),
            },
            deposit_contract,
            header: header(&file, fork, *genesis_root(&alloc)),
            alloc,
        })
    }
}

/// The newest fork, all of which are active from the first block.
fn fork(config: &Map<String, Value>) -> Result<Fork, GenesisProblem> {
    let mut newest = None;
    let mut is_over = false;
    for (field, fork) in TIMES {
        let refuse = |problem| GenesisProblem::Field {
            field: field.to_owned(),
            problem,
        };
        match config.get(field) {
            None | Some(Value::Null) => is_over = true,
            Some(time) if !is_zero(time) => {
                return Err(refuse(
                    "has to be 0: only chains whose forks are all active from the first block can be imported",
                ));
            }
            Some(_) if is_over => return Err(refuse("is active without the fork before it")),
            Some(_) => newest = Some(fork),
        }
    }
    newest.ok_or_else(|| GenesisProblem::Field {
        field: TIMES[0].0.to_owned(),
        problem: "has to be 0: chains that begin before Shanghai cannot be imported",
    })
}

/// Refuses what else would make geth execute otherwise.
fn check_rest(config: &Map<String, Value>) -> Result<(), GenesisProblem> {
    let known_times = TIMES.map(|(field, _)| field);
    if !config.get("terminalTotalDifficulty").is_some_and(is_zero) {
        return Err(GenesisProblem::Field {
            field: "terminalTotalDifficulty".to_owned(),
            problem: "has to be 0: only chains without proof of work can be imported",
        });
    }
    for (field, value) in config {
        let name = field.as_str();
        let problem = match name {
            _ if value.is_null() || known_times.contains(&name) || IGNORED.contains(&name) => None,
            "terminalTotalDifficulty" => None,
            "blobSchedule" => check_blobs(value),
            _ if name.ends_with("Block") && is_zero(value) => None,
            _ if name.ends_with("Block") => Some("has to be 0, or absent"),
            _ if name.ends_with("Time") => Some("this fork is not known here; leave it out"),
            _ => Some("this field is not known here; leave it out"),
        };
        if let Some(problem) = problem {
            return Err(GenesisProblem::Field {
                field: field.clone(),
                problem,
            });
        }
    }
    Ok(())
}

/// Blobs are priced as on mainnet: what their base fee opcode returns follows from it.
fn check_blobs(schedule: &Value) -> Option<&'static str> {
    let mainnets = BLOB_FRACTIONS.iter().all(|(fork, fraction)| {
        let own = schedule.get(fork);
        let own = own.and_then(|own| own.get("baseFeeUpdateFraction"));
        own.and_then(Value::as_u64)
            .is_none_or(|own| own == *fraction)
    });
    (!mainnets).then_some("has to be mainnet's")
}

/// Zero as a number, or as text in either base.
fn is_zero(value: &Value) -> bool {
    let as_text = value.as_str().and_then(|text| text.parse::<U256>().ok());
    value.as_u64() == Some(0) || as_text.is_some_and(|number| number.is_zero())
}

fn alloc(file: &GenesisFile) -> GenesisAlloc {
    let accounts = file.alloc.iter().map(|(address, account)| {
        let (code, storage) = account_storage(account);
        let account = GenesisAccount {
            nonce: account.nonce.unwrap_or_default(),
            balance: account.balance,
            code: code.unwrap_or_default(),
            storage,
        };
        (*address, account)
    });
    accounts.collect()
}

fn header(file: &GenesisFile, fork: Fork, state_root: B256) -> Header {
    let base_fee = file.base_fee_per_gas.map(u64::try_from);
    let base_fee = base_fee.and_then(Result::ok).unwrap_or(BASE_FEE_INITIAL);
    let since = |first: Fork| fork >= first;
    let blobs = |count: Option<u64>| since(Fork::Cancun).then(|| count.unwrap_or_default());
    Header {
        parent_hash: file.parent_hash.unwrap_or_default(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: file.coinbase,
        state_root,
        transactions_root: EMPTY_ROOT,
        receipts_root: EMPTY_ROOT,
        difficulty: file.difficulty,
        number: 0,
        gas_limit: file.gas_limit,
        gas_used: 0,
        timestamp: file.timestamp,
        extra_data: file.extra_data.clone(),
        mix_hash: file.mix_hash,
        nonce: B64::from(file.nonce),
        base_fee_per_gas: Some(base_fee),
        withdrawals_root: Some(EMPTY_ROOT),
        blob_gas_used: blobs(file.blob_gas_used),
        excess_blob_gas: blobs(file.excess_blob_gas),
        parent_beacon_block_root: since(Fork::Cancun).then_some(B256::ZERO),
        requests_hash: since(Fork::Prague).then_some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(fields: &str) -> Result<ImportGenesis, GenesisProblem> {
        ImportGenesis::parse(&format!(
            r#"{{"config": {{"chainId": 7, {fields}}}, "gasLimit": "0x1c9c380", "difficulty": "0x0", "alloc": {{}}}}"#
        ))
    }

    #[test]
    fn the_newest_fork_is_the_one_that_is_active() {
        let ttd = r#""homesteadBlock": 0, "terminalTotalDifficulty": 0"#;
        for (fields, fork) in [
            (r#""shanghaiTime": 0"#, Fork::Shanghai),
            (r#""shanghaiTime": 0, "cancunTime": "0x0""#, Fork::Cancun),
            (
                r#""shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0, "osakaTime": null"#,
                Fork::Prague,
            ),
        ] {
            let genesis = config(&format!("{ttd}, {fields}")).expect(fields);
            assert_eq!(genesis.fork, fork, "{fields}");
            assert_eq!(genesis.header.requests_hash.is_some(), fork >= Fork::Prague);
        }
    }

    #[test]
    fn what_would_execute_otherwise_is_refused_by_name() {
        let base = r#""terminalTotalDifficulty": 0, "shanghaiTime": 0"#;
        for (fields, named) in [
            (r#""shanghaiTime": 0"#.to_owned(), "terminalTotalDifficulty"),
            (r#""terminalTotalDifficulty": 0"#.to_owned(), "shanghaiTime"),
            (format!(r#"{base}, "cancunTime": 5"#), "cancunTime"),
            (format!(r#"{base}, "pragueTime": 0"#), "pragueTime"),
            (format!(r#"{base}, "londonBlock": 9"#), "londonBlock"),
            (format!(r#"{base}, "bpo1Time": 0"#), "bpo1Time"),
            (format!(r#"{base}, "clique": {{}}"#), "clique"),
            (
                format!(
                    r#"{base}, "blobSchedule": {{"cancun": {{"target": 3, "max": 6, "baseFeeUpdateFraction": 1}}}}"#
                ),
                "blobSchedule",
            ),
        ] {
            let problem = config(&fields).expect_err(&fields).to_string();
            assert!(problem.contains(named), "{problem}");
        }
    }
}
