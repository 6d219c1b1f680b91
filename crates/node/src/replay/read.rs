//! From paths to blocks: which files are meant, and what is in them.
//!
//! ```text
//! DIR ─▶ DIR/blocks/NUMBER.json, or DIR/NUMBER.json ─┐
//! FILE ──────────────────────────────────────────────┴▶ blocks, by height
//! --codes, else codes.json in the same folder or the one above ─▶ codes, each hashing to its key
//! ```
//! Every byte is foreign: whatever is wrong with it is an error that names the file. A file has at
//! most [`FILE_BYTES_MAX`] bytes, a run at most [`BLOCKS_MAX`] blocks.

use super::{
    block::{Expected, MainnetBlock},
    error::ReplayError,
};
use alloy_primitives::{Address, B256, Bloom, Bytes, U64, U256, keccak256};
use executor::{BlockEnvironment, EthereumRules, Fork};
use primitives::{RecoveredTransaction, transaction::Envelope};
use serde::{Deserialize, de::DeserializeOwned};
use state::{Account, MemoryState};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

/// Most bytes of one file.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most blocks of one run: all of them are in memory, a few megabytes each.
pub const BLOCKS_MAX: usize = 2_000;

/// The code that the blocks run, by its hash.
pub type Codes = BTreeMap<B256, Bytes>;

/// How packed files begin: xz, gzip, zip, zstandard.
const MAGIC: [&[u8]; 4] = [b"\xfd7zXZ", b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd"];

#[derive(Deserialize)]
struct File {
    block: BlockJson,
    pre_state: BTreeMap<Address, AccountJson>,
    #[serde(default)]
    block_hashes: BTreeMap<String, B256>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockJson {
    number: U64,
    timestamp: U64,
    parent_hash: B256,
    miner: Address,
    gas_limit: U64,
    gas_used: U64,
    logs_bloom: Bloom,
    receipts_root: B256,
    transactions_root: B256,
    mix_hash: B256,
    difficulty: U256,
    base_fee_per_gas: Option<U64>,
    excess_blob_gas: Option<U64>,
    parent_beacon_block_root: Option<B256>,
    transactions: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Sender {
    from: Address,
    hash: B256,
}

#[derive(Deserialize)]
struct AccountJson {
    balance: U256,
    nonce: u64,
    code_hash: Option<B256>,
    #[serde(default)]
    storage: BTreeMap<U256, U256>,
}

/// The files that the arguments mean.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) blocks: Vec<PathBuf>,
    pub(super) codes: BTreeSet<PathBuf>,
}

impl Files {
    /// Looks for block files in folders and for code files beside them.
    pub(super) fn find(paths: &[PathBuf], codes: Option<&Path>) -> Result<Self, ReplayError> {
        let mut files = Self::default();
        for path in paths {
            let found = match metadata(path)?.is_dir() {
                true => block_files(path)?,
                false => vec![path.clone()],
            };
            files.blocks.extend(found);
        }
        let mut seen = BTreeSet::new();
        files.blocks.retain(|path| seen.insert(canonical(path)));
        if files.blocks.len() > BLOCKS_MAX {
            return Err(ReplayError::TooMany {
                blocks: files.blocks.len(),
                blocks_max: BLOCKS_MAX,
            });
        }
        files.codes = match codes {
            Some(path) => BTreeSet::from([path.to_path_buf()]),
            None => files
                .blocks
                .iter()
                .filter_map(|path| codes_of(path))
                .collect(),
        };
        Ok(files)
    }

    /// The codes of all files together.
    pub(super) fn read_codes(&self) -> Result<Codes, ReplayError> {
        let mut codes = Codes::new();
        for path in &self.codes {
            codes.append(&mut read_codes(path)?);
        }
        Ok(codes)
    }
}

/// Reads the code file of a set.
///
/// # Errors
/// When it can't be read, has another form, or a code does not hash to its key.
pub fn read_codes(path: &Path) -> Result<Codes, ReplayError> {
    let codes: Codes = read_json(path, "a file of codes")?;
    for (key, code) in &codes {
        let hash = keccak256(code);
        if hash != *key {
            return Err(ReplayError::WrongCode {
                path: path.to_path_buf(),
                key: *key,
                hash,
            });
        }
    }
    Ok(codes)
}

/// Reads one block.
pub(super) fn block(path: &Path, codes: &Codes) -> Result<MainnetBlock, ReplayError> {
    let file: File = read_json(path, "a file of a block")?;
    let block = &file.block;
    let (height, timestamp) = (block.number.to(), block.timestamp.to());
    let transactions = block.transactions.iter().enumerate();
    Ok(MainnetBlock {
        environment: BlockEnvironment {
            height,
            timestamp,
            beneficiary: block.miner,
            gas_limit: block.gas_limit.to(),
            base_fee: block.base_fee_per_gas.unwrap_or_default().to(),
            prevrandao: block.mix_hash,
            parent_hash: block.parent_hash,
            parent_beacon_root: block.parent_beacon_block_root.unwrap_or_default(),
        },
        rules: EthereumRules {
            fork: Fork::of_mainnet(height, timestamp),
            difficulty: block.difficulty,
            excess_blob_gas: block.excess_blob_gas.unwrap_or_default().to(),
        },
        transactions: transactions
            .map(|(index, json)| {
                transaction(json).map_err(|problem| ReplayError::Transaction {
                    path: path.to_path_buf(),
                    index,
                    problem,
                })
            })
            .collect::<Result<_, _>>()?,
        expected: Expected {
            gas_used: block.gas_used.to(),
            logs_bloom: block.logs_bloom,
            receipts_root: block.receipts_root,
            transactions_root: block.transactions_root,
        },
        state: state(path, &file, codes)?,
    })
}

fn transaction(json: &serde_json::Value) -> Result<RecoveredTransaction, String> {
    if json.is_string() {
        return Err("only its hash is given".to_owned());
    }
    let envelope = Envelope::deserialize(json).map_err(|error| error.to_string())?;
    let Sender { from, hash } = Sender::deserialize(json).map_err(|error| error.to_string())?;
    let transaction = RecoveredTransaction::from_fixture(envelope, from);
    match transaction.hash() == hash {
        true => Ok(transaction),
        false => Err(format!(
            "it hashes to {} and not to {hash}",
            transaction.hash()
        )),
    }
}

fn state(path: &Path, file: &File, codes: &Codes) -> Result<MemoryState, ReplayError> {
    let mut state = MemoryState::default();
    for (address, account) in &file.pre_state {
        let bare = Account {
            nonce: account.nonce,
            balance: account.balance,
            ..Account::default()
        };
        state.set_account(*address, bare);
        let code_hash = account.code_hash.filter(|hash| *hash != bare.code_hash);
        if let Some(code_hash) = code_hash {
            let code = codes
                .get(&code_hash)
                .ok_or_else(|| ReplayError::UnknownCode {
                    path: path.to_path_buf(),
                    address: *address,
                    code_hash,
                })?;
            state.set_code(*address, code.clone());
        }
        for (key, value) in &account.storage {
            state.set_storage(*address, *key, *value);
        }
    }
    for (height, hash) in &file.block_hashes {
        let height = height.parse().map_err(|_| ReplayError::Form {
            path: path.to_path_buf(),
            what: "a file of a block",
            problem: format!("block_hashes has the height {height:?}, write it in decimal"),
        })?;
        state.set_block_hash(height, *hash);
    }
    Ok(state)
}

fn read_json<T: DeserializeOwned>(path: &Path, what: &'static str) -> Result<T, ReplayError> {
    let metadata = metadata(path)?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(ReplayError::TooLarge {
            path: path.to_path_buf(),
            bytes: metadata.len(),
            bytes_max: FILE_BYTES_MAX,
        });
    }
    let bytes = fs::read(path).map_err(ReplayError::file("cannot read", path))?;
    let is_tar = path.extension().is_some_and(|ending| ending == "tar");
    if is_tar || MAGIC.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(ReplayError::Archive {
            path: path.to_path_buf(),
        });
    }
    serde_json::from_slice(&bytes).map_err(|error| ReplayError::json(path, what, error))
}

fn metadata(path: &Path) -> Result<fs::Metadata, ReplayError> {
    fs::metadata(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ReplayError::Missing {
            path: path.to_path_buf(),
        },
        _ => ReplayError::file("cannot read", path)(source),
    })
}

/// Only to see that two arguments name the same file.
fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// `NUMBER.json` in the folder's folder `blocks`, else in the folder itself; by number.
fn block_files(folder: &Path) -> Result<Vec<PathBuf>, ReplayError> {
    let inner = folder.join("blocks");
    for folder in [inner.as_path(), folder] {
        if !folder.is_dir() {
            continue;
        }
        let numbered = numbered_files(folder).map_err(ReplayError::file("cannot list", folder))?;
        if !numbered.is_empty() {
            return Ok(numbered.into_values().collect());
        }
    }
    Err(ReplayError::NoBlocks {
        path: folder.to_path_buf(),
    })
}

fn numbered_files(folder: &Path) -> io::Result<BTreeMap<u64, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_name().and_then(|name| name.to_str());
        let number = stem.and_then(|name| name.strip_suffix(".json")?.parse().ok());
        if let Some(number) = number {
            found.insert(number, path);
        }
    }
    Ok(found)
}

/// `codes.json` in the block's folder or the one above it.
fn codes_of(block: &Path) -> Option<PathBuf> {
    let block = canonical(block);
    let folders = block.ancestors().skip(1).take(2);
    folders
        .map(|folder| folder.join("codes.json"))
        .find(|path| path.is_file())
}
