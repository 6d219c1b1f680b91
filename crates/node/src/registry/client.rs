//! An owner of shards: signs what it wants, sends it, and waits until the ledger has it.
//!
//! ```text
//! wish ─▶ estimate ─▶ sign ─▶ send ─▶ receipt ─▶ number of the shard ─▶ headway_getShards, until it is so
//! ```
//! Limits: [`RECEIPT_WAIT`] for the receipt, [`LEDGER_WAIT`] for the ledger.

use super::{ListedShard, ListedShards, RegistryError, Wish};
use crate::load::{LoadError, client::Client};
use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{B256, Bytes, TxKind, U64, U256, hex};
use alloy_signer::SignerSync as _;
use alloy_signer_local::PrivateKeySigner;
use primitives::shard::{
    ShardId,
    charter::digest,
    registry::{ORDERED, REGISTRY},
};
use serde::Deserialize;
use serde_json::json;
use std::{path::Path, time::Duration};

/// Longest wait for a receipt.
const RECEIPT_WAIT: Duration = Duration::from_secs(60);
/// Longest wait for the ledger after it: a certified result, and a block that carries the order.
const LEDGER_WAIT: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What is paid on top of the base fee per gas, in wei.
const PRIORITY_FEE: u128 = 1_000_000_000;
/// How far the base fee may rise until the transaction is mined.
const BASE_FEE_FACTOR: u128 = 4;

/// Reads the private key of an account.
///
/// # Errors
/// When the file can't be read or holds no key.
pub fn read_key(path: &Path) -> Result<PrivateKeySigner, RegistryError> {
    let refuse = |problem: String| RegistryError::Key {
        path: path.to_owned(),
        problem,
    };
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    let bytes = hex::decode(text.trim()).map_err(|_| refuse("not hex".to_owned()))?;
    PrivateKeySigner::from_slice(&bytes).map_err(|error| refuse(error.to_string()))
}

/// What the node at a URL says of all shards.
///
/// # Errors
/// When it can't be asked, or its chain can't have shards.
pub async fn shards(url: &str) -> Result<ListedShards, RegistryError> {
    let client = Client::new(url, RECEIPT_WAIT)?;
    listed(&client).await
}

async fn listed(client: &Client) -> Result<ListedShards, RegistryError> {
    let listed = client.call("headway_getShards", json!([])).await?;
    listed.ok_or_else(|| RegistryError::NoLedger(client.url().to_owned()))
}

/// Who orders shards, at one node.
#[derive(Debug)]
pub struct Owner {
    client: Client,
    signer: PrivateKeySigner,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    status: U64,
    logs: Vec<Log>,
}

#[derive(Debug, Deserialize)]
struct Log {
    topics: Vec<B256>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    base_fee_per_gas: U256,
}

impl Owner {
    /// An account at a node.
    ///
    /// # Errors
    /// When the URL can't be used.
    pub fn new(url: &str, signer: PrivateKeySigner) -> Result<Self, RegistryError> {
        let client = Client::new(url, RECEIPT_WAIT)?;
        Ok(Self { client, signer })
    }

    /// The least deposit of a new shard that wants so many cores, in wei.
    ///
    /// # Errors
    /// When the node can't be asked.
    pub async fn deposit_min(&self, cores: u16) -> Result<U256, RegistryError> {
        let input = crate::contracts::call("depositMin()", &[]);
        let params = json!([{ "to": REGISTRY, "input": input }, "latest"]);
        let answer: Bytes = self.ask("eth_call", params).await?;
        let each = U256::try_from_be_slice(&answer).unwrap_or_default();
        Ok(each.saturating_mul(U256::from(cores.max(1))))
    }

    /// Has a wish carried out, with a deposit if it creates a shard; the shard, once the ledger says so.
    ///
    /// # Errors
    /// When the registry refuses it, or the ledger does not have it in time: it refuses what can't be done.
    pub async fn order(&self, wish: &Wish, deposit: U256) -> Result<ListedShard, RegistryError> {
        let (hash, receipt) = self.send(wish.input(), deposit).await?;
        let topics = receipt.logs.iter().rev().map(|log| log.topics.as_slice());
        let mut shards = topics.filter_map(|topics| match topics {
            [topic, shard, ..] if *topic == ORDERED => {
                u32::try_from(U256::from_be_bytes(shard.0)).ok()
            }
            _ => None,
        });
        let shard = shards.next().ok_or(RegistryError::NoEvent(hash))?;
        self.await_ledger(wish, ShardId(shard), hash).await
    }

    async fn await_ledger(
        &self,
        wish: &Wish,
        shard: ShardId,
        hash: B256,
    ) -> Result<ListedShard, RegistryError> {
        let mut waited = Duration::ZERO;
        while waited < LEDGER_WAIT {
            let listed = listed(&self.client).await?;
            let own = listed.shards.into_iter().find(|one| one.id == shard.0);
            if let Some(own) = own.filter(|own| is_done(wish, own)) {
                return Ok(own);
            }
            tokio::time::sleep(LOOK_EVERY).await;
            waited = waited.saturating_add(LOOK_EVERY);
        }
        Err(RegistryError::Late {
            what: "the ledger has not carried it out",
            seconds: LEDGER_WAIT.as_secs(),
            hash,
        })
    }

    /// Sends a call to the registry and waits for its receipt.
    async fn send(&self, input: Bytes, value: U256) -> Result<(B256, Receipt), RegistryError> {
        let from = self.signer.address();
        let call = json!({ "from": from, "to": REGISTRY, "value": value, "input": input });
        let gas: U64 = self.ask("eth_estimateGas", json!([call])).await?;
        let chain_id: U64 = self.ask("eth_chainId", json!([])).await?;
        let nonce: U64 = self
            .ask("eth_getTransactionCount", json!([from, "pending"]))
            .await?;
        let head: Head = self
            .ask("eth_getBlockByNumber", json!(["latest", false]))
            .await?;
        let base_fee = u128::try_from(head.base_fee_per_gas).unwrap_or(u128::MAX);
        let transaction = TxEip1559 {
            chain_id: chain_id.to(),
            nonce: nonce.to(),
            gas_limit: gas.to(),
            max_fee_per_gas: base_fee
                .saturating_mul(BASE_FEE_FACTOR)
                .saturating_add(PRIORITY_FEE),
            max_priority_fee_per_gas: PRIORITY_FEE,
            to: TxKind::Call(REGISTRY),
            value,
            input,
            ..TxEip1559::default()
        };
        let signature = self
            .signer
            .sign_hash_sync(&transaction.signature_hash())
            .map_err(|error| RegistryError::Signing(error.to_string()))?;
        let raw: Bytes = transaction.into_signed(signature).encoded_2718().into();
        let hash: B256 = self.ask("eth_sendRawTransaction", json!([raw])).await?;
        let receipt = self.receipt(hash).await?;
        match receipt.status.is_zero() {
            true => Err(RegistryError::Reverted(hash)),
            false => Ok((hash, receipt)),
        }
    }

    async fn receipt(&self, hash: B256) -> Result<Receipt, RegistryError> {
        let mut waited = Duration::ZERO;
        while waited < RECEIPT_WAIT {
            let params = json!([hash]);
            if let Some(receipt) = self
                .client
                .call("eth_getTransactionReceipt", params)
                .await?
            {
                return Ok(receipt);
            }
            tokio::time::sleep(LOOK_EVERY).await;
            waited = waited.saturating_add(LOOK_EVERY);
        }
        Err(RegistryError::Late {
            what: "there is no receipt",
            seconds: RECEIPT_WAIT.as_secs(),
            hash,
        })
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        method: &'static str,
        params: serde_json::Value,
    ) -> Result<T, RegistryError> {
        let answer = self.client.call(method, params).await?;
        answer.ok_or_else(|| {
            let problem = "null".to_owned();
            LoadError::Answer { method, problem }.into()
        })
    }
}

/// Whether the ledger's shard is as it was wished to be.
fn is_done(wish: &Wish, shard: &ListedShard) -> bool {
    match wish {
        Wish::Create { .. } | Wish::Resume(_) => shard.status == "active",
        Wish::Pause(_) => shard.status == "paused",
        Wish::Retire(_) => shard.status == "retired",
        Wish::Upgrade {
            charter, height, ..
        } => shard.upgrade.as_ref().is_some_and(|upgrade| {
            upgrade.rules == digest(&charter.to_bytes()) && upgrade.height.to::<u64>() == *height
        }),
        Wish::Collators { collators, .. } => {
            let wanted = collators.iter().map(AsRef::<[u8]>::as_ref);
            wanted.eq(shard.collators.iter().map(AsRef::as_ref))
        }
    }
}
