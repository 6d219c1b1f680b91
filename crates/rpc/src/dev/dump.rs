//! The whole state in anvil's form: hex of gzipped JSON, of which the accounts are read and written.
//!
//! ```text
//! anvil_dumpState ─ every account at `latest` ─▶ JSON ─▶ gzip ─▶ hex
//! anvil_loadState ◀─ directives, in as many blocks as they need ◀─ JSON ◀─ at most LOAD_BYTES_MAX
//! ```
//! Blocks and transactions of a dump are not taken over: a chain has only those that it ordered.

use super::{require, state::order_all};
use crate::{
    args::Args,
    backend::{Backend, run},
    config::{DUMP_ENTRIES_MAX, LOAD_BYTES_MAX},
    error::RpcError,
    registry::Registry,
};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use jsonrpsee::types::Params;
use primitives::Directive;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    sync::Arc,
};

pub(crate) fn register(methods: &mut Registry) {
    methods.heavy("anvil_dumpState", dump);
    methods.waiting("anvil_loadState", load);
}

/// What is written.
#[derive(Serialize)]
struct Dumped {
    block: Option<Value>,
    accounts: BTreeMap<Address, DumpedAccount>,
    best_block_number: Option<U64>,
    blocks: [Value; 0],
    transactions: [Value; 0],
}

#[derive(Serialize)]
struct DumpedAccount {
    nonce: u64,
    balance: U256,
    code: Bytes,
    storage: BTreeMap<B256, B256>,
}

/// What is read; anvil has written numbers in several forms.
#[derive(Deserialize)]
struct Loaded {
    accounts: BTreeMap<Address, LoadedAccount>,
}

#[derive(Deserialize)]
struct LoadedAccount {
    #[serde(default)]
    nonce: U64,
    balance: U256,
    #[serde(default)]
    code: Bytes,
    #[serde(default)]
    storage: BTreeMap<U256, U256>,
}

fn dump(backend: &Backend, args: &Args) -> Result<Bytes, RpcError> {
    // anvil's argument asks for older states, of which there are none in a dump.
    args.at_most(1)?;
    let accounts = backend.latest_state()?.all_accounts(DUMP_ENTRIES_MAX)?;
    let accounts = accounts.ok_or_else(|| {
        RpcError::LimitExceeded(format!(
            "too large to dump: more than {DUMP_ENTRIES_MAX} accounts and slots"
        ))
    })?;
    let accounts = accounts.into_iter().map(|(address, whole)| {
        let slots = whole.storage.into_iter();
        let account = DumpedAccount {
            nonce: whole.account.nonce,
            balance: whole.account.balance,
            code: whole.code,
            storage: slots
                .map(|(slot, value)| (slot.into(), value.into()))
                .collect(),
        };
        (address, account)
    });
    let dumped = Dumped {
        block: None,
        accounts: accounts.collect(),
        best_block_number: None,
        blocks: [],
        transactions: [],
    };
    let broken = |error: std::io::Error| RpcError::Internal(error.to_string());
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let json =
        serde_json::to_vec(&dumped).map_err(|error| RpcError::Internal(error.to_string()))?;
    gzip.write_all(&json).map_err(broken)?;
    Ok(gzip.finish().map_err(broken)?.into())
}

async fn load(backend: Arc<Backend>, params: Params<'static>) -> Result<bool, RpcError> {
    let dump: Bytes = Args::parse(&params)?.one()?;
    let directives = run(Arc::clone(&backend), move |_| read(&dump)).await?;
    require(&backend)?.control().drive()?;
    order_all(&backend, directives).await?;
    Ok(true)
}

/// The changes that make the state of a dump.
fn read(dump: &[u8]) -> Result<Vec<Directive>, RpcError> {
    let invalid = |problem: String| RpcError::ArgumentInvalid { index: 0, problem };
    let mut json = Vec::new();
    let limit = LOAD_BYTES_MAX as u64;
    // A small dump may be a huge one when it is unpacked.
    let read = GzDecoder::new(dump)
        .take(limit.saturating_add(1))
        .read_to_end(&mut json);
    // Old ones are not packed at all.
    let json = if read.is_ok() { &json[..] } else { dump };
    if json.len() > LOAD_BYTES_MAX {
        return Err(invalid(format!(
            "the dump is too large: bytes_max={LOAD_BYTES_MAX}"
        )));
    }
    let loaded: Loaded = serde_json::from_slice(json)
        .map_err(|error| invalid(format!("no dump of a state: {error}")))?;
    let mut directives = Vec::new();
    for (address, account) in loaded.accounts {
        directives.push(Directive::SetBalance(address, account.balance));
        if !account.nonce.is_zero() {
            directives.push(Directive::SetNonce(address, account.nonce.to()));
        }
        if !account.code.is_empty() {
            directives.push(Directive::SetCode(address, account.code));
        }
        let slots = account.storage.into_iter();
        directives.extend(slots.map(|(slot, value)| Directive::SetStorage(address, slot, value)));
    }
    Ok(directives)
}
