//! The accounts that send: derived from a mnemonic, paid by its first account where they lack money.

use super::{
    LoadOptions,
    client::{Client, required},
    error::LoadError,
    sign::{Signed, TRANSFER_GAS, VALUE_WEI, transfer},
};
use alloy_primitives::{Address, U64, U128, U256};
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A signed transaction stays payable while the base fee rises by this factor: 39 full blocks in a row.
const BASE_FEE_FACTOR: u128 = 100;
/// Most paid on top of the base fee per gas, in wei.
const PRIORITY_FEE: u128 = 1_000_000_000;
/// Between two looks whether the senders are funded.
const FUNDED_POLL: Duration = Duration::from_millis(50);
/// Calls in one batch about senders.
const CALLS_MAX: usize = 500;

/// An account that sends.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) signer: PrivateKeySigner,
    /// The nonce of its next transaction.
    pub(super) nonce: u64,
}

/// What transactions offer to pay per gas, in wei.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fees {
    pub(super) max_fee: u128,
    pub(super) priority_fee: u128,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FeeBlock {
    base_fee_per_gas: Option<U128>,
}

impl Fees {
    /// Fees that outlast a run of full blocks.
    pub(super) async fn read(client: &Client) -> Result<Self, LoadError> {
        const METHOD: &str = "eth_getBlockByNumber";
        let block: Option<FeeBlock> = client.call(METHOD, json!(["latest", false])).await?;
        let base_fee = required(METHOD, block)?
            .base_fee_per_gas
            .unwrap_or_default();
        Ok(Self {
            max_fee: base_fee
                .to::<u128>()
                .saturating_mul(BASE_FEE_FACTOR)
                .saturating_add(PRIORITY_FEE),
            priority_fee: PRIORITY_FEE,
        })
    }

    /// The most that a number of transfers can cost.
    fn cost_max(&self, transfers: usize) -> U256 {
        let one = U256::from(TRANSFER_GAS) * U256::from(self.max_fee) + VALUE_WEI;
        one * U256::from(transfers)
    }
}

/// How many of the transactions a sender sends: as equal as can be.
pub(super) fn share(transactions: usize, senders: usize, index: usize) -> usize {
    transactions / senders + usize::from(index < transactions % senders)
}

/// The senders, with enough money for their share.
pub(super) async fn prepare(
    client: &Client,
    options: &LoadOptions,
    chain_id: u64,
    fees: Fees,
) -> Result<Vec<Sender>, LoadError> {
    let signers = derive(&options.mnemonic, options.senders)?;
    let addresses: Vec<Address> = signers.iter().map(PrivateKeySigner::address).collect();
    let balances: Vec<U256> = read(client, "eth_getBalance", &addresses).await?;
    let needs = (0..signers.len())
        .map(|index| fees.cost_max(share(options.transactions, signers.len(), index)));
    let mut lacking = Vec::new();
    let mut needed = U256::ZERO;
    for (index, (need, (balance, address))) in
        needs.zip(balances.iter().zip(&addresses)).enumerate()
    {
        if index == 0 {
            needed = need;
        } else if *balance < need {
            let gift = need - balance;
            needed += gift + fees.cost_max(1);
            lacking.push((*address, gift));
        }
    }
    let ([first, ..], [balance, ..]) = (signers.as_slice(), balances.as_slice()) else {
        return Ok(Vec::new());
    };
    if *balance < needed {
        return Err(LoadError::Funds {
            address: first.address(),
            balance: *balance,
            needed,
        });
    }
    let nonces: Vec<U64> = read(client, "eth_getTransactionCount", &addresses).await?;
    let mut senders: Vec<Sender> = signers
        .into_iter()
        .zip(nonces)
        .map(|(signer, nonce)| Sender {
            signer,
            nonce: nonce.to(),
        })
        .collect();
    if let [first, ..] = senders.as_mut_slice() {
        let gifts = lacking.into_iter().map(|(address, wei)| {
            let signed = transfer(chain_id, fees, first, address, wei)?;
            first.nonce += 1;
            Ok(signed)
        });
        let gifts = gifts.collect::<Result<Vec<_>, LoadError>>()?;
        fund(client, &gifts, options.timeout).await?;
    }
    Ok(senders)
}

fn derive(mnemonic: &str, count: usize) -> Result<Vec<PrivateKeySigner>, LoadError> {
    let signers = (0..u32::try_from(count).unwrap_or(u32::MAX)).map(|index| {
        MnemonicBuilder::<English>::default()
            .phrase(mnemonic)
            .index(index)
            .and_then(|builder| builder.build())
            .map_err(|error| LoadError::Mnemonic(error.to_string()))
    });
    signers.collect()
}

/// What a method says of each account, transactions that wait included.
async fn read<T: serde::de::DeserializeOwned>(
    client: &Client,
    method: &'static str,
    addresses: &[Address],
) -> Result<Vec<T>, LoadError> {
    let mut values = Vec::with_capacity(addresses.len());
    for addresses in addresses.chunks(CALLS_MAX) {
        let params = addresses.iter().map(|address| json!([address, "pending"]));
        for value in client.batch(method, params.collect()).await? {
            values.push(required(method, value)?);
        }
    }
    if values.len() != addresses.len() {
        return Err(LoadError::Answer {
            method,
            problem: format!("{} answers to {} calls", values.len(), addresses.len()),
        });
    }
    Ok(values)
}

/// Sends the gifts and waits until all have receipts.
async fn fund(client: &Client, gifts: &[Signed], timeout: Duration) -> Result<(), LoadError> {
    for gifts in gifts.chunks(CALLS_MAX) {
        let raw = gifts.iter().map(|gift| json!([gift.raw]));
        let _hashes: Vec<Option<Value>> = client
            .batch("eth_sendRawTransaction", raw.collect())
            .await?;
    }
    let deadline = Instant::now() + timeout;
    for gifts in gifts.chunks(CALLS_MAX) {
        while !all_mined(client, gifts).await? {
            if Instant::now() > deadline {
                return Err(LoadError::NotFunded {
                    waited_seconds: timeout.as_secs(),
                });
            }
            sleep(FUNDED_POLL).await;
        }
    }
    Ok(())
}

async fn all_mined(client: &Client, gifts: &[Signed]) -> Result<bool, LoadError> {
    let hashes = gifts.iter().map(|gift| json!([gift.hash]));
    let receipts: Vec<Option<Value>> = client
        .batch("eth_getTransactionReceipt", hashes.collect())
        .await?;
    Ok(receipts.len() == gifts.len() && receipts.iter().all(Option::is_some))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_differ_by_one_at_most_and_add_up() {
        for (transactions, senders) in [(20_000, 20), (7, 3), (2, 5), (1, 1)] {
            let shares: Vec<usize> = (0..senders)
                .map(|index| share(transactions, senders, index))
                .collect();
            assert_eq!(shares.iter().sum::<usize>(), transactions);
            let most = shares.iter().max().unwrap();
            assert!(most - shares.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn the_first_account_is_the_usual_one() {
        let signers = derive(crate::dev::MNEMONIC, 2).unwrap();
        let first = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        assert_eq!(signers[0].address().to_string(), first);
        assert!(derive("not a mnemonic", 1).is_err());
    }
}
