//! The accounts that send: derived from a mnemonic, and what their transactions offer to pay.

use super::{
    OnProgress, Progress,
    client::{Client, required},
    error::LoadError,
    parallel::in_parallel,
};
use alloy_primitives::{Address, B256, U64, U128, U256};
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use serde::Deserialize;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many times the base fee a transaction may pay, the largest first that the money suffices for. With
/// 100 it stays payable during 39 full blocks in a row, with 2 during 5.
pub(super) const BASE_FEE_FACTORS: [u128; 5] = [100, 30, 10, 4, 2];
/// Most paid on top of the base fee per gas, in wei.
const PRIORITY_FEE: u128 = 1_000_000_000;
/// Keys between two words about progress.
const PROGRESS_STEP: usize = 500;

/// An account that sends.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) signer: PrivateKeySigner,
    /// The nonce of its next transaction.
    pub(super) nonce: u64,
}

/// What transactions offer to pay per gas, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fees {
    pub(super) max_fee: u128,
    pub(super) priority_fee: u128,
}

/// What a load needs to know of the newest block.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    pub(super) hash: B256,
    base_fee_per_gas: Option<U128>,
}

impl Head {
    pub(super) async fn read(client: &Client) -> Result<Self, LoadError> {
        const METHOD: &str = "eth_getBlockByNumber";
        let block = client.call(METHOD, json!(["latest", false])).await?;
        required(METHOD, block)
    }

    /// Fees that a base fee may rise to by this factor.
    pub(super) fn fees(&self, factor: u128) -> Fees {
        let base_fee = self.base_fee_per_gas.unwrap_or_default().to::<u128>();
        Fees {
            max_fee: base_fee.saturating_mul(factor).saturating_add(PRIORITY_FEE),
            priority_fee: PRIORITY_FEE,
        }
    }
}

impl Fees {
    /// The most that this much gas can cost.
    pub(super) fn cost_max(&self, gas: u64) -> U256 {
        U256::from(gas) * U256::from(self.max_fee)
    }
}

/// The first accounts of a mnemonic, their nonces not read yet.
pub(super) fn derive(
    mnemonic: &str,
    count: usize,
    progress: OnProgress<'_>,
) -> Result<Vec<Sender>, LoadError> {
    let refuse =
        |error: alloy_signer_local::LocalSignerError| LoadError::Mnemonic(error.to_string());
    // The parent once: stretching the words takes as long as a hundred children.
    let parent = MnemonicBuilder::<English>::default()
        .phrase(mnemonic)
        .build_parent_key()
        .map_err(refuse)?;
    let done = AtomicUsize::new(0);
    let senders = in_parallel(count, |index| {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let child = parent.child(index).map_err(refuse)?;
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(PROGRESS_STEP) {
            progress(Progress::of("keys", done, count));
        }
        Ok(Sender {
            signer: child.signer(),
            nonce: 0,
        })
    })?;
    senders.into_iter().collect()
}

/// Balances and nonces of accounts, transactions that wait included.
pub(super) async fn read_accounts(
    client: &Client,
    addresses: &[Address],
    progress: OnProgress<'_>,
) -> Result<(Vec<U256>, Vec<u64>), LoadError> {
    let total = 2 * addresses.len();
    let params = || addresses.iter().map(|address| json!([address, "pending"]));
    let told = |done| progress(Progress::of("accounts", done, total));
    let balances = client.read("eth_getBalance", params(), told).await?;
    let told = |done| progress(Progress::of("accounts", addresses.len() + done, total));
    let nonces: Vec<U64> = client
        .read("eth_getTransactionCount", params(), told)
        .await?;
    Ok((
        balances,
        nonces.into_iter().map(|nonce| nonce.to()).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accounts_are_the_usual_ones() {
        let senders = derive(crate::dev::MNEMONIC, 3, &|_| {}).unwrap();
        let first = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        assert_eq!(senders[0].signer.address().to_string(), first);
        // A second way: each by itself.
        for (index, sender) in (0..).zip(&senders) {
            let builder = MnemonicBuilder::<English>::default().phrase(crate::dev::MNEMONIC);
            let alone = builder.index(index).unwrap().build().unwrap();
            assert_eq!(sender.signer.address(), alone.address());
        }
        assert!(derive("not a mnemonic", 1, &|_| {}).is_err());
    }
}
