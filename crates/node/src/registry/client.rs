//! An owner of shards: signs what it wants, sends it, and waits until the ledger has it.
//!
//! ```text
//! wish ─▶ estimate ─▶ sign ─▶ send ─▶ receipt ─▶ number of the shard ─▶ headway_getShards, until it is so
//! ```
//! A relay block carries all orders that are due, so what is not so soon after the result of the order's block is
//! certified was refused by the ledger.
//!
//! Limits: [`RECEIPT_WAIT`] for the receipt, [`LEDGER_WAIT`] for the ledger.

use super::{ListedShard, ListedShards, RegistryError, Wish, error::refusal};
use crate::load::{
    LoadError,
    client::{Client, parse, required},
};
use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{B256, Bytes, TxKind, U64, U256, hex};
use alloy_signer::SignerSync as _;
use alloy_signer_local::PrivateKeySigner;
use primitives::shard::{
    Charter, ShardId,
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
/// Relay blocks after the result of an order's block is certified, until the ledger has decided: orders that are
/// due wait only if a block has too many.
const DECIDED_BLOCKS: u64 = 8;
/// Gas beyond the estimate: an order is dearer if it is the first of its block, which an estimate can't know.
const GAS_MARGIN: u64 = 20_000;
const ESTIMATE: &str = "eth_estimateGas";
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
    block_number: U64,
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

/// The heads of a chain, as far as owners need them.
#[derive(Debug, Deserialize)]
struct Heads {
    verified: U64,
}

/// An answer to an estimate.
#[derive(Debug, Deserialize)]
struct Estimate {
    result: Option<U64>,
    error: Option<Declined>,
}

/// Why there is no estimate.
#[derive(Debug, Deserialize)]
struct Declined {
    code: i64,
    message: String,
    #[serde(rename = "data")]
    output: Option<serde_json::Value>,
}

impl Declined {
    /// In the registry's words if it spoke, else in the node's.
    fn reason(self) -> RegistryError {
        let output = self.output.as_ref().and_then(serde_json::Value::as_str);
        let output = output.and_then(|output| hex::decode(output).ok());
        match output.and_then(|output| refusal(&output)) {
            Some(said) => RegistryError::Refused(said),
            None => LoadError::Refused {
                method: ESTIMATE,
                code: self.code,
                message: self.message,
            }
            .into(),
        }
    }
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

    /// Refuses a chain id that another chain here has or had: what is signed for one could be sent to the other.
    ///
    /// # Errors
    /// When it is taken, or the node can't be asked.
    pub async fn require_free(&self, chain_id: u64) -> Result<(), RegistryError> {
        let relay = self.client.chain_id().await?;
        let listed = listed(&self.client).await?;
        let charters = listed.shards.iter().map(|one| Charter::read(&one.charter));
        let mut others = charters.flatten().map(|charter| charter.chain.chain_id);
        if relay == chain_id || others.any(|other| other == chain_id) {
            return Err(RegistryError::ChainIdTaken(chain_id));
        }
        Ok(())
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
        let block = receipt.block_number.to();
        self.await_ledger(wish, ShardId(shard), (hash, block)).await
    }

    async fn await_ledger(
        &self,
        wish: &Wish,
        shard: ShardId,
        (hash, block): (B256, u64),
    ) -> Result<ListedShard, RegistryError> {
        let mut waited = Duration::ZERO;
        let mut decided_height = None;
        while waited < LEDGER_WAIT {
            let listed = listed(&self.client).await?;
            let height: u64 = listed.height.to();
            let own = listed.shards.into_iter().find(|one| one.id == shard.0);
            let is_there = own.is_some();
            if let Some(own) = own.filter(|own| is_done(wish, own)) {
                return Ok(own);
            }
            if decided_height.is_some_and(|decided| height >= decided) {
                return Err(refused(wish, is_there, (shard.0, hash)));
            }
            if decided_height.is_none() && self.verified_height().await? >= block {
                decided_height = Some(height.saturating_add(DECIDED_BLOCKS));
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

    async fn verified_height(&self) -> Result<u64, RegistryError> {
        let heads: Heads = self.ask("headway_getHeads", json!([])).await?;
        Ok(heads.verified.to())
    }

    /// The gas that a call to the registry may take, or why it does not take the call.
    async fn gas(&self, call: serde_json::Value) -> Result<u64, RegistryError> {
        let call = json!({"jsonrpc": "2.0", "id": 0, "method": ESTIMATE, "params": [call]});
        let answer = self.client.post(call.to_string().into()).await?;
        let answer: Estimate = parse(ESTIMATE, &answer)?;
        if let Some(error) = answer.error {
            return Err(error.reason());
        }
        let gas: u64 = required(ESTIMATE, answer.result)?.to();
        Ok(gas.saturating_add(GAS_MARGIN))
    }

    /// Sends a call to the registry and waits for its receipt.
    async fn send(&self, input: Bytes, value: U256) -> Result<(B256, Receipt), RegistryError> {
        let from = self.signer.address();
        let call = json!({ "from": from, "to": REGISTRY, "value": value, "input": input });
        let gas_limit = self.gas(call).await?;
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
            gas_limit,
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

/// Why a wish did not come true that the ledger has decided on.
fn refused(wish: &Wish, is_there: bool, (shard, hash): (u32, B256)) -> RegistryError {
    match wish {
        Wish::Retire(_) if !is_there => RegistryError::NeverThere(shard),
        Wish::Create { .. }
        | Wish::Pause(_)
        | Wish::Resume(_)
        | Wish::Retire(_)
        | Wish::Upgrade { .. }
        | Wish::Collators { .. } => RegistryError::LedgerRefused { shard, hash },
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
