//! A development chain that was kept: options that ask for another are refused.

use super::{DevOptions, funds_wei, protocol};
use crate::error::NodeError;
use alloy_signer_local::PrivateKeySigner;
use primitives::Genesis;

/// The accounts that are announced are those that the chain began with.
pub(super) fn require_funded(
    genesis: &Genesis,
    options: &DevOptions,
    signers: &[PrivateKeySigner],
) -> Result<(), NodeError> {
    let has_funds = |signer: &PrivateKeySigner| {
        let account = genesis.alloc.get(&signer.address());
        account.is_some_and(|account| account.balance == funds_wei(options))
    };
    if signers.iter().all(has_funds) {
        return Ok(());
    }
    Err(NodeError::Option {
        option: "--accounts, --balance, --mnemonic",
        problem: "the chain in --data-dir began with others; ask for the same or choose another directory".to_owned(),
    })
}

/// A chain that is there already goes on under its own rules; options that ask for others are a
/// mistake that must not pass in silence.
pub(super) fn require_same(genesis: &Genesis, options: &DevOptions) -> Result<(), NodeError> {
    let chain = &genesis.chain;
    let refuse = |option, kept: String| {
        let problem = format!(
            "the chain in --data-dir has {kept}; ask for the same or choose another directory"
        );
        Err(NodeError::Option { option, problem })
    };
    if chain.chain_id != options.chain_id {
        return refuse("--chain-id", chain.chain_id.to_string());
    }
    if chain.gas_limit != options.gas_limit {
        return refuse("--gas-limit", chain.gas_limit.to_string());
    }
    if genesis.validators.len() != usize::from(options.validators) {
        return refuse("--validators", genesis.validators.len().to_string());
    }
    let shards = genesis.has_ledger.then_some(genesis.shards.len());
    if shards != options.shards.map(usize::from) {
        return refuse(
            "--shards",
            shards.map_or_else(|| "none".into(), |one| one.to_string()),
        );
    }
    if genesis.cores != options.cores {
        let kept = genesis.cores.map_or_else(
            || "no number of cores".to_owned(),
            |cores| cores.to_string(),
        );
        return refuse("--cores", kept);
    }
    if chain.protocol != protocol(options) {
        return refuse(
            "--block-time",
            format!("{} ms", chain.protocol.block_time_ms),
        );
    }
    Ok(())
}
