//! What this chain and this node can do: `eth_config` (EIP-7910) and `eth_capabilities`.
//!
//! The chain has been what it is since its genesis: there is a current configuration and neither a last nor a
//! next one. It has no blobs, so their schedule is zero.

use crate::{args::Args, backend::Backend, error::RpcError, registry::Registry};
use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS};
use alloy_primitives::{Address, B256, FixedBytes, U64};
use pipeline::ChainError;
use serde::Serialize;
use serde_json::{Value, json};
use state::StateReader;
use std::collections::BTreeMap;

/// The precompiled contracts, by the names of EIP-7910 and the last byte or two of their addresses.
const PRECOMPILES: [(&str, u16); 18] = [
    ("ECREC", 0x01),
    ("SHA256", 0x02),
    ("RIPEMD160", 0x03),
    ("ID", 0x04),
    ("MODEXP", 0x05),
    ("BN254_ADD", 0x06),
    ("BN254_MUL", 0x07),
    ("BN254_PAIRING", 0x08),
    ("BLAKE2F", 0x09),
    ("KZG_POINT_EVALUATION", 0x0a),
    ("BLS12_G1ADD", 0x0b),
    ("BLS12_G1MSM", 0x0c),
    ("BLS12_G2ADD", 0x0d),
    ("BLS12_G2MSM", 0x0e),
    ("BLS12_PAIRING_CHECK", 0x0f),
    ("BLS12_MAP_FP_TO_G1", 0x10),
    ("BLS12_MAP_FP2_TO_G2", 0x11),
    ("P256VERIFY", 0x100),
];
/// Contracts that a block calls before its first transaction, where the genesis has them.
const SYSTEM_CONTRACTS: [(&str, Address); 2] = [
    ("BEACON_ROOTS_ADDRESS", BEACON_ROOTS_ADDRESS),
    ("HISTORY_STORAGE_ADDRESS", HISTORY_STORAGE_ADDRESS),
];

pub(crate) fn register(methods: &mut Registry) {
    methods.quick("eth_config", config);
    methods.quick("eth_capabilities", capabilities);
}

fn config(backend: &Backend, args: &Args) -> Result<Value, RpcError> {
    args.none()?;
    let address = |number: u16| Address::left_padding_from(&number.to_be_bytes());
    let precompiles: BTreeMap<_, _> = PRECOMPILES
        .iter()
        .map(|(name, number)| (*name, address(*number)))
        .collect();
    let state = backend.latest_state()?;
    let mut system = BTreeMap::new();
    for (name, address) in SYSTEM_CONTRACTS {
        if state
            .account(&address)?
            .is_some_and(|account| account.has_code())
        {
            system.insert(name, address);
        }
    }
    Ok(json!({
        "current": {
            "activationTime": 0,
            "blobSchedule": { "baseFeeUpdateFraction": 0, "max": 0, "target": 0 },
            "chainId": U64::from(backend.chain.config().chain_id),
            "forkId": fork_id(&backend.chain.genesis_hash()),
            "precompiles": precompiles,
            "systemContracts": system,
        },
        "next": null,
        "last": null,
    }))
}

/// EIP-2124 without any fork: the CRC-32 of the genesis hash.
fn fork_id(genesis: &B256) -> FixedBytes<4> {
    let mut crc = u32::MAX;
    for byte in genesis {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc = (crc >> 1) ^ (carry * 0xedb8_8320);
        }
    }
    (!crc).to_be_bytes().into()
}

/// What there is of one kind.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    disabled: bool,
    oldest_block: U64,
}

fn capabilities(backend: &Backend, args: &Args) -> Result<Value, RpcError> {
    args.none()?;
    let latest = backend.latest()?;
    let oldest_state = match backend.chain.snapshot(0) {
        Ok(_) => 0,
        Err(ChainError::State(unknown)) => unknown.oldest,
        Err(other) => return Err(other.into()),
    };
    let first = match backend.chain.first_height() {
        // The genesis counts.
        1 => 0,
        first => first,
    };
    let since = |height| Kept {
        disabled: false,
        oldest_block: U64::from(height),
    };
    Ok(json!({
        "head": { "number": U64::from(latest.height()), "hash": latest.hash },
        "state": since(oldest_state),
        "stateproofs": since(oldest_state),
        "blocks": since(first),
        "tx": since(first),
        "logs": since(first),
        "receipts": since(first),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;

    #[test]
    fn a_fork_id_is_that_of_the_genesis() {
        // Ethereum's own, from EIP-2124.
        let genesis = b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3");
        assert_eq!(fork_id(&genesis).to_string(), "0xfc64ec04");
    }
}
