//! Accounts, code, storage and proofs at a block.

use crate::{
    args::Args, backend::Backend, config::PROOF_KEYS_MAX, error::RpcError, eth::tag,
    registry::Registry,
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof};
use alloy_serde::JsonStorageKey;
use state::{AccountProof, StateReader, StorageProof};
use std::collections::BTreeMap;

pub(crate) fn register(methods: &mut Registry) {
    methods.quick("eth_getBalance", balance);
    methods.quick("eth_getTransactionCount", transaction_count);
    methods.quick("eth_getCode", code);
    methods.quick("eth_getStorageAt", storage_at);
    methods.heavy("eth_getStorageValues", storage_values);
    methods.heavy("eth_getProof", proof);
}

fn balance(backend: &Backend, args: &Args) -> Result<U256, RpcError> {
    let (address, block): (Address, Option<BlockId>) = args.two()?;
    let account = tag::require_state(backend, block)?.account(&address)?;
    Ok(account.unwrap_or_default().balance)
}

fn transaction_count(backend: &Backend, args: &Args) -> Result<U64, RpcError> {
    let (address, block): (Address, Option<BlockId>) = args.two()?;
    if block == Some(BlockId::Number(BlockNumberOrTag::Pending)) {
        return Ok(U64::from(backend.pending_nonce(&address)?));
    }
    let account = tag::require_state(backend, block)?.account(&address)?;
    Ok(U64::from(account.unwrap_or_default().nonce))
}

fn code(backend: &Backend, args: &Args) -> Result<Bytes, RpcError> {
    let (address, block): (Address, Option<BlockId>) = args.two()?;
    let state = tag::require_state(backend, block)?;
    let Some(account) = state.account(&address)? else {
        return Ok(Bytes::new());
    };
    let missing =
        || RpcError::Internal(format!("code is missing: code_hash={}", account.code_hash));
    state.code(&account.code_hash)?.ok_or_else(missing)
}

fn storage_at(backend: &Backend, args: &Args) -> Result<B256, RpcError> {
    let (address, key, block): (Address, JsonStorageKey, Option<BlockId>) = args.three()?;
    let state = tag::require_state(backend, block)?;
    let slot = U256::from_be_bytes(key.as_b256().0);
    Ok(B256::from(state.storage(&address, &slot)?))
}

fn storage_values(
    backend: &Backend,
    args: &Args,
) -> Result<BTreeMap<Address, Vec<B256>>, RpcError> {
    type Keys = BTreeMap<Address, Vec<JsonStorageKey>>;
    let (requests, block): (Keys, Option<BlockId>) = args.two()?;
    let count: usize = requests.values().map(Vec::len).sum();
    if count > PROOF_KEYS_MAX {
        return Err(RpcError::LimitExceeded(format!(
            "too many storage keys: {count}, at most {PROOF_KEYS_MAX}"
        )));
    }
    let state = tag::require_state(backend, block)?;
    let mut answer = BTreeMap::new();
    for (address, keys) in requests {
        let values = keys.iter().map(|key| {
            let slot = U256::from_be_bytes(key.as_b256().0);
            Ok(B256::from(state.storage(&address, &slot)?))
        });
        answer.insert(address, values.collect::<Result<Vec<_>, RpcError>>()?);
    }
    Ok(answer)
}

fn proof(backend: &Backend, args: &Args) -> Result<EIP1186AccountProofResponse, RpcError> {
    let (address, keys, block): (Address, Vec<JsonStorageKey>, Option<BlockId>) = args.three()?;
    if keys.len() > PROOF_KEYS_MAX {
        let count = keys.len();
        return Err(RpcError::LimitExceeded(format!(
            "too many storage keys: {count}, at most {PROOF_KEYS_MAX}"
        )));
    }
    let state = tag::require_state(backend, block)?;
    let slots: Vec<B256> = keys.iter().map(JsonStorageKey::as_b256).collect();
    Ok(format_proof(address, keys, state.proof(&address, &slots)?))
}

fn format_proof(
    address: Address,
    keys: Vec<JsonStorageKey>,
    proof: AccountProof,
) -> EIP1186AccountProofResponse {
    let account = proof.account.unwrap_or_default();
    let format_slot = |(key, slot): (JsonStorageKey, StorageProof)| {
        EIP1186StorageProof::new(key, slot.value, slot.proof)
    };
    EIP1186AccountProofResponse {
        address,
        balance: account.balance,
        code_hash: account.code_hash,
        nonce: account.nonce,
        storage_hash: proof.storage_root,
        account_proof: proof.proof,
        storage_proof: keys
            .into_iter()
            .zip(proof.storage)
            .map(format_slot)
            .collect(),
    }
}
