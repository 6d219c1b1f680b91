//! Setting balances, nonces, code and storage: ordered as directives in a block, and there when the
//! call returns.

use super::{Watch, require};
use crate::{
    args::Args, backend::Backend, config::DEV_WAIT_MS, error::RpcError, registry::Registry,
};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_serde::JsonStorageKey;
use jsonrpsee::types::Params;
use pipeline::ExecutedRecord;
use primitives::Directive;
use state::StateReader as _;
use std::sync::Arc;

pub(crate) fn register(methods: &mut Registry) {
    methods.waiting("hardhat_setBalance", set_balance);
    methods.waiting("hardhat_setNonce", set_nonce);
    methods.waiting("hardhat_setCode", set_code);
    methods.waiting("hardhat_setStorageAt", set_storage);
    methods.quick("hardhat_impersonateAccount", impersonate);
    methods.quick("hardhat_stopImpersonatingAccount", stop_impersonating);
    methods.quick("hardhat_dropTransaction", drop_transaction);
    methods.quick("anvil_dropTransaction", drop_transaction_anvil);
    methods.quick("anvil_dropAllTransactions", drop_all);
    methods.quick("anvil_removePoolTransactions", drop_sender);
    methods.quick("anvil_autoImpersonateAccount", impersonate_everybody);
    methods.waiting("anvil_addBalance", add_balance);
    let aliases = [
        ("anvil_setBalance", "hardhat_setBalance"),
        ("anvil_setNonce", "hardhat_setNonce"),
        ("anvil_setCode", "hardhat_setCode"),
        ("anvil_setStorageAt", "hardhat_setStorageAt"),
        ("anvil_impersonateAccount", "hardhat_impersonateAccount"),
        (
            "anvil_stopImpersonatingAccount",
            "hardhat_stopImpersonatingAccount",
        ),
    ];
    for (alias, name) in aliases {
        methods.alias(alias, name);
    }
}

async fn set_balance(backend: Arc<Backend>, params: Params<'static>) -> Result<bool, RpcError> {
    let (address, balance): (Address, U256) = Args::parse(&params)?.two()?;
    order(&backend, Directive::SetBalance(address, balance)).await
}

async fn add_balance(backend: Arc<Backend>, params: Params<'static>) -> Result<(), RpcError> {
    let (address, more): (Address, U256) = Args::parse(&params)?.two()?;
    let account = backend.latest_state()?.account(&address)?;
    let balance = account.unwrap_or_default().balance.saturating_add(more);
    order(&backend, Directive::SetBalance(address, balance)).await?;
    Ok(())
}

async fn set_nonce(backend: Arc<Backend>, params: Params<'static>) -> Result<bool, RpcError> {
    let (address, nonce): (Address, U64) = Args::parse(&params)?.two()?;
    order(&backend, Directive::SetNonce(address, nonce.to())).await
}

async fn set_code(backend: Arc<Backend>, params: Params<'static>) -> Result<bool, RpcError> {
    let (address, code): (Address, Bytes) = Args::parse(&params)?.two()?;
    order(&backend, Directive::SetCode(address, code)).await
}

async fn set_storage(backend: Arc<Backend>, params: Params<'static>) -> Result<bool, RpcError> {
    let (address, slot, value): (Address, JsonStorageKey, B256) = Args::parse(&params)?.three()?;
    let slot = U256::from_be_bytes(slot.as_b256().0);
    order(&backend, Directive::SetStorage(address, slot, value.into())).await
}

/// Orders a change and waits until the block that holds it is executed.
async fn order(backend: &Backend, directive: Directive) -> Result<bool, RpcError> {
    let watch = Watch::start(backend);
    require(backend)?
        .control
        .push_directives(vec![directive.clone()])?;
    let holds = |record: &ExecutedRecord| record.block.directives().contains(&directive);
    watch.until(backend, DEV_WAIT_MS, holds).await?;
    Ok(true)
}

fn impersonate(backend: &Backend, args: &Args) -> Result<bool, RpcError> {
    let address: Address = args.one()?;
    require(backend)?.impersonated().addresses.insert(address);
    Ok(true)
}

fn stop_impersonating(backend: &Backend, args: &Args) -> Result<bool, RpcError> {
    let address: Address = args.one()?;
    Ok(require(backend)?.impersonated().addresses.remove(&address))
}

fn impersonate_everybody(backend: &Backend, args: &Args) -> Result<(), RpcError> {
    require(backend)?.impersonated().everybody = args.one()?;
    Ok(())
}

/// Only from the pool: what is ordered stays ordered.
fn drop_transaction(backend: &Backend, args: &Args) -> Result<bool, RpcError> {
    let hash: B256 = args.one()?;
    Ok(backend.mempool.remove(&hash).is_some())
}

/// anvil tells which.
fn drop_transaction_anvil(backend: &Backend, args: &Args) -> Result<Option<B256>, RpcError> {
    let hash: B256 = args.one()?;
    Ok(backend.mempool.remove(&hash).map(|_| hash))
}

fn drop_all(backend: &Backend, args: &Args) -> Result<(), RpcError> {
    args.none()?;
    backend.mempool.clear();
    Ok(())
}

fn drop_sender(backend: &Backend, args: &Args) -> Result<(), RpcError> {
    backend.mempool.remove_sender(&args.one()?);
    Ok(())
}
