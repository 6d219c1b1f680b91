//! A block's access list as JSON.
//!
//! The accounts are those of EIP-7928 in the words of Ethereum's `eth_getBlockAccessList`; each has `wipes`
//! besides, the indexes at which its storage was emptied. Index 0 is what comes before the first transaction,
//! index `i + 1` is transaction `i`. What has no place in an account is around them:
//!
//! ```text
//! { hash, accounts: [{ address, storageChanges: [{ key, changes: [{ index, value }] }], storageReads: [key],
//!                      balanceChanges: [{ index, value }], nonceChanges: [{ index, value }],
//!                      codeChanges: [{ index, code }], wipes: [index] }],
//!   gasUsed: [gas of each transaction] }
//! ```
//! `hash` is the Keccak hash of the encoded list, which is stored and read here as it is in the store. Limit:
//! lists of more than [`ACCESS_LIST_BYTES_MAX`] encoded bytes are refused.

use super::executed_height;
use crate::{args::Args, backend::Backend, config::ACCESS_LIST_BYTES_MAX, error::RpcError};
use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use alloy_rlp::{Decodable, RlpDecodable, RlpDecodableWrapper};
use serde::{Serialize, Serializer};

/// A block's access list.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RpcAccessList {
    hash: B256,
    #[serde(flatten)]
    pub(crate) list: List,
}

#[derive(Clone, Debug, RlpDecodable, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List {
    pub(crate) accounts: Vec<AccountAccess>,
    pub(crate) gas_used: Vec<U64>,
}

#[derive(Clone, Debug, RlpDecodable, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountAccess {
    pub(crate) address: Address,
    pub(crate) storage_changes: Vec<SlotChanges>,
    pub(crate) storage_reads: Vec<Word>,
    pub(crate) balance_changes: Vec<BalanceChange>,
    pub(crate) nonce_changes: Vec<NonceChange>,
    pub(crate) code_changes: Vec<CodeChange>,
    pub(crate) wipes: Vec<U64>,
}

#[derive(Clone, Debug, RlpDecodable, Serialize)]
pub(crate) struct SlotChanges {
    pub(crate) key: Word,
    pub(crate) changes: Vec<StorageChange>,
}

#[derive(Clone, Debug, RlpDecodable, Serialize)]
pub(crate) struct StorageChange {
    pub(crate) index: U64,
    pub(crate) value: Word,
}

#[derive(Clone, Debug, RlpDecodable, Serialize)]
pub(crate) struct BalanceChange {
    pub(crate) index: U64,
    pub(crate) value: U256,
}

#[derive(Clone, Debug, RlpDecodable, Serialize)]
pub(crate) struct NonceChange {
    pub(crate) index: U64,
    pub(crate) value: U64,
}

#[derive(Clone, Debug, RlpDecodable, Serialize)]
pub(crate) struct CodeChange {
    pub(crate) index: U64,
    pub(crate) code: Bytes,
}

/// Encoded as a number, and written with all its 32 bytes.
#[derive(Clone, Debug, RlpDecodableWrapper)]
pub(crate) struct Word(pub(crate) U256);

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        B256::from(self.0).serialize(serializer)
    }
}

pub(super) fn access_list(
    backend: &Backend,
    args: &Args,
) -> Result<Option<RpcAccessList>, RpcError> {
    let Some(height) = executed_height(backend, args.one()?)? else {
        return Ok(None);
    };
    let encoded = stored(backend, height)?;
    encoded.map(|encoded| decode(&encoded)).transpose()
}

/// The encoded list of an executed block; an error where there is none, or one too large to work with.
pub(super) fn stored(backend: &Backend, height: u64) -> Result<Option<Bytes>, RpcError> {
    let Some(encoded) = backend.chain.access_list(height)? else {
        return Ok(None);
    };
    let bytes = encoded.len();
    if bytes == 0 {
        return Err(RpcError::AccessListUnavailable(height));
    }
    if bytes > ACCESS_LIST_BYTES_MAX {
        return Err(RpcError::LimitExceeded(format!(
            "access list too large: block {height} has {bytes} bytes, at most {ACCESS_LIST_BYTES_MAX} are served"
        )));
    }
    Ok(Some(encoded))
}

pub(crate) fn decode(encoded: &Bytes) -> Result<RpcAccessList, RpcError> {
    let list = List::decode(&mut encoded.as_ref());
    let damaged = |error| RpcError::Internal(format!("stored access list is damaged: {error}"));
    Ok(RpcAccessList {
        hash: keccak256(encoded),
        list: list.map_err(damaged)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;
    use serde_json::json;

    fn list(parts: &[Vec<u8>]) -> Vec<u8> {
        let payload = parts.concat();
        let mut encoded = Vec::new();
        alloy_rlp::Header {
            list: true,
            payload_length: payload.len(),
        }
        .encode(&mut encoded);
        encoded.extend_from_slice(&payload);
        encoded
    }

    fn encoded() -> Vec<u8> {
        // Slot 5 becomes 9 by the first transaction and 0 by the second; slot 256 is read.
        let slot_values = list(&[hex!("c20109").to_vec(), hex!("c20280").to_vec()]);
        let account = [
            hex!("94" "1111111111111111111111111111111111111111").to_vec(),
            list(&[list(&[hex!("05").to_vec(), slot_values])]),
            list(&[hex!("820100").to_vec()]),
            list(&[hex!("c20107").to_vec()]),
            list(&[hex!("c20201").to_vec()]),
            list(&[hex!("c40182feed").to_vec()]),
            list(&[hex!("02").to_vec()]),
        ];
        let gas_used = list(&[hex!("825208").to_vec(), hex!("825209").to_vec()]);
        list(&[list(&[list(&account)]), gas_used])
    }

    #[test]
    fn every_part_has_its_place() {
        let encoded = Bytes::from(encoded());
        // What the executor writes is what is read here.
        let canonical = executor::AccessList::decode(&encoded).unwrap();
        let word = |value: u64| B256::from(U256::from(value));
        let expected = json!({
            "hash": canonical.hash(),
            "accounts": [{
                "address": "0x1111111111111111111111111111111111111111",
                "storageChanges": [{
                    "key": word(5),
                    "changes": [
                        { "index": "0x1", "value": word(9) },
                        { "index": "0x2", "value": word(0) },
                    ],
                }],
                "storageReads": [word(256)],
                "balanceChanges": [{ "index": "0x1", "value": "0x7" }],
                "nonceChanges": [{ "index": "0x2", "value": "0x1" }],
                "codeChanges": [{ "index": "0x1", "code": "0xfeed" }],
                "wipes": ["0x2"],
            }],
            "gasUsed": ["0x5208", "0x5209"],
        });
        let answer = serde_json::to_value(decode(&encoded).unwrap()).unwrap();
        assert_eq!(answer, expected);
    }

    #[test]
    fn a_damaged_list_is_our_fault() {
        let mut encoded = encoded();
        encoded.truncate(30);
        let error = decode(&encoded.into()).unwrap_err();
        assert!(matches!(error, RpcError::Internal(_)), "{error}");
    }
}
