//! Transfers on a shard, sent to all of its collators that run, as somebody with the addresses of several does.

use super::{NOBODY, RICH, Sender, TRANSFER_GAS, draft, signer};
use crate::cluster::{CHAIN_ID, Cluster};
use alloy_consensus::{Transaction as _, TxEip1559};
use alloy_primitives::{Address, B256, TxKind, U256};
use primitives::{RecoveredTransaction, shard::ShardId};
use std::{collections::BTreeMap, time::UNIX_EPOCH};

/// A source of transfers on one shard, and a memory of them.
#[derive(Debug)]
pub struct Transfers {
    shard: ShardId,
    senders: Vec<Sender>,
    next: usize,
    sent: BTreeMap<B256, RecoveredTransaction>,
}

impl Transfers {
    /// Transfers of the usual accounts, which every shard has.
    #[must_use]
    pub fn new(shard: ShardId) -> Self {
        let sender = |index| Sender {
            signer: signer(index),
            nonce: 0,
        };
        Self {
            shard,
            senders: (0..RICH).map(sender).collect(),
            next: 0,
            sent: BTreeMap::new(),
        }
    }

    /// The shard.
    #[must_use]
    pub const fn shard(&self) -> ShardId {
        self.shard
    }

    /// All that have been sent.
    #[must_use]
    pub fn sent(&self) -> Vec<B256> {
        self.sent.keys().copied().collect()
    }

    /// Sends so many more.
    pub fn submit(&mut self, cluster: &Cluster, count: usize) {
        let transactions: Vec<_> = (0..count).map(|_| self.transfer()).collect();
        for collator in cluster.collators(self.shard) {
            offer(cluster, collator, self.shard, transactions.clone());
        }
        let named = transactions.into_iter().map(|one| (one.hash(), one));
        self.sent.extend(named);
    }

    /// Sends so many more to one collator: of a shard that the genesis does not have.
    pub fn submit_to(&mut self, cluster: &Cluster, collator: usize, count: usize) {
        let transactions: Vec<_> = (0..count).map(|_| self.transfer()).collect();
        offer(cluster, collator, self.shard, transactions.clone());
        let named = transactions.into_iter().map(|one| (one.hash(), one));
        self.sent.extend(named);
    }

    /// Sends again what a collator has not executed.
    ///
    /// # Panics
    /// If a collator's disk does not read.
    pub fn resubmit(&self, cluster: &Cluster) {
        for collator in cluster.collators(self.shard) {
            let chain = cluster.shard_chain(collator, self.shard);
            let missing = self.sent.iter().filter(|(hash, _)| {
                let location = chain.transaction(hash);
                location.expect("a simulated disk reads").is_none()
            });
            let missing = missing.map(|(_, transaction)| transaction.clone());
            offer(cluster, collator, self.shard, missing.collect());
        }
    }

    fn transfer(&mut self) -> RecoveredTransaction {
        let index = self.next % self.senders.len();
        self.next += 1;
        let sender = &mut self.senders[index];
        let nonce = sender.take_nonce();
        sender.sign(TxEip1559 {
            chain_id: CHAIN_ID + u64::from(self.shard.0),
            gas_limit: TRANSFER_GAS + 19_000,
            to: TxKind::Call(NOBODY),
            value: U256::from(self.next),
            ..draft(nonce)
        })
    }
}

/// Sends one call to all collators of a shard that run, from one of the accounts that send no transfers: each has one call.
pub fn call_once(cluster: &Cluster, shard: ShardId, caller: u8, to: Address, gas: u64) -> B256 {
    let mut sender = Sender {
        signer: signer(RICH + caller),
        nonce: 0,
    };
    let nonce = sender.take_nonce();
    let call = sender.sign(TxEip1559 {
        chain_id: CHAIN_ID + u64::from(shard.0),
        gas_limit: gas,
        to: TxKind::Call(to),
        ..draft(nonce)
    });
    for collator in cluster.collators(shard) {
        offer(cluster, collator, shard, vec![call.clone()]);
    }
    call.hash()
}

/// Gives transactions to one collator, which may know or have executed them.
fn offer(
    cluster: &Cluster,
    collator: usize,
    shard: ShardId,
    mut transactions: Vec<RecoveredTransaction>,
) {
    // Those of one sender in their order, so that none waits for one that comes with it.
    transactions.sort_by_key(|transaction| transaction.nonce());
    let chain = cluster.shard_chain(collator, shard);
    let snapshot = chain.snapshot(chain.heads().executed_height);
    let snapshot = snapshot.expect("the newest state is kept");
    let now = cluster.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let admitted =
        cluster
            .shard_mempool(collator, shard)
            .admit_many(transactions, &snapshot, now_ms);
    drop(admitted.expect("a simulated disk reads"));
}
