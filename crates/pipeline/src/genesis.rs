//! From a genesis file to the two things a node starts from: the state at height 0, and the
//! ordering block at height 0.

use crate::ExecutedRecord;
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Decodable as _;
use primitives::{Block, Genesis, crypto::genesis_context, genesis::account_storage};
use state::{GenesisAccount, GenesisAlloc, GenesisState, genesis_root};
use std::sync::Arc;

/// The state and the ordering block at height 0.
#[must_use]
pub fn genesis(genesis: &Genesis) -> (GenesisState, Block) {
    let alloc = alloc(genesis);
    let header = genesis.header(*genesis_root(&alloc));
    let hash = header.hash_slow();
    let block = Block::genesis(genesis, genesis_context(), hash);
    let record = ExecutedRecord {
        header,
        hash,
        block: block.clone(),
        transactions: Arc::default(),
        receipts: Vec::new(),
        withdrawals: Withdrawals::default(),
    };
    let stored = record.to_stored(Bytes::new());
    (
        GenesisState {
            hash,
            alloc,
            header: stored.header,
            body: stored.body,
        },
        block,
    )
}

/// The block at height 0 as if it had been executed.
///
/// # Panics
/// Never: the header of a genesis reads back.
#[must_use]
pub fn genesis_record(state: &GenesisState, block: &Block) -> ExecutedRecord {
    let header = Header::decode(&mut state.header.as_ref());
    ExecutedRecord {
        header: header.expect("the header of a genesis was encoded by us"),
        hash: state.hash,
        block: block.clone(),
        transactions: Arc::default(),
        receipts: Vec::new(),
        withdrawals: Withdrawals::default(),
    }
}

/// Identifies the chain to whoever signs for it: its genesis state and its rules.
#[must_use]
pub fn genesis_digest(block: &Block) -> B256 {
    keccak256(block.digest())
}

fn alloc(genesis: &Genesis) -> GenesisAlloc {
    let accounts = genesis.alloc.iter().map(|(address, account)| {
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
