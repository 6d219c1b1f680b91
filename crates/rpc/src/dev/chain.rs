//! What tools ask about a development chain itself, and tell it of themselves.

use crate::{args::Args, backend::Backend, error::RpcError, eth::fee, net, registry::Registry};
use alloy_primitives::{B256, U64, U256, keccak256};
use serde::Serialize;
use serde_json::{Value, json};

pub(crate) fn register(methods: &mut Registry) {
    methods.quick("hardhat_metadata", metadata);
    methods.quick("anvil_nodeInfo", node);
    // Hardhat tells what it compiled so that a node can explain failures; this one needs no sources.
    methods.quick("hardhat_addCompilationResult", |_, args| {
        args.at_most(3).map(|()| true)
    });
    methods.quick("hardhat_setLoggingEnabled", |_, args| {
        args.one::<bool>().map(|_| true)
    });
    methods.quick("anvil_setLoggingEnabled", |_, args| {
        args.one::<bool>().map(|_| ())
    });
    methods.refuse("anvil_setRpcUrl", |method| RpcError::Unsupported {
        method,
        why: "this chain is no fork of another one",
    });
}

/// Hardhat's words for a chain.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    client_version: String,
    chain_id: u64,
    instance_id: B256,
    latest_block_number: u64,
    latest_block_hash: B256,
}

fn metadata(backend: &Backend, args: &Args) -> Result<Metadata, RpcError> {
    args.none()?;
    let latest = backend.latest()?;
    let seed = backend.config.filter_seed.to_be_bytes();
    Ok(Metadata {
        client_version: net::name(backend),
        chain_id: backend.chain.config().chain_id,
        // The same for as long as the process runs, and another one in the next.
        instance_id: keccak256([backend.chain.genesis_hash().as_slice(), &seed].concat()),
        latest_block_number: latest.height(),
        latest_block_hash: latest.hash,
    })
}

/// anvil's.
fn node(backend: &Backend, args: &Args) -> Result<Value, RpcError> {
    args.none()?;
    let latest = backend.latest()?;
    let (base_fee, tip) = fee::suggested(backend)?;
    Ok(json!({
        "currentBlockNumber": U64::from(latest.height()),
        "currentBlockTimestamp": latest.header.timestamp,
        "currentBlockHash": latest.hash,
        "hardFork": "osaka",
        "transactionOrder": "fees",
        "environment": {
            "baseFee": U256::from(base_fee),
            "chainId": backend.chain.config().chain_id,
            "gasLimit": U64::from(backend.chain.config().gas_limit),
            "gasPrice": U256::from(u128::from(base_fee).saturating_add(tip)),
        },
        "forkConfig": { "forkUrl": null, "forkBlockNumber": null, "forkRetryBackoff": null },
    }))
}
