//! The owner of shards that are created on a running network, who governs their registry as well.

use super::{MAX_FEE, RICH, Sender, draft, offer, signer};
use crate::cluster::Cluster;
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use node::registry::{Wish, allow};
use primitives::shard::{ShardId, registry::REGISTRY};

/// Enough for a creation with a charter and some collators.
const ORDER_GAS: u64 = 500_000;

/// The last of the rich accounts, which sends nothing else.
#[derive(Debug)]
pub struct Owner {
    sender: Sender,
}

/// Its address.
#[must_use]
pub fn owner() -> Address {
    signer(RICH - 1).address()
}

impl Default for Owner {
    fn default() -> Self {
        let sender = Sender {
            signer: signer(RICH - 1),
            nonce: 0,
        };
        Self { sender }
    }
}

impl Owner {
    /// Sends a wish to a validator, with a deposit; the transaction.
    pub fn order(
        &mut self,
        cluster: &Cluster,
        validator: usize,
        wish: &Wish,
        deposit: U256,
    ) -> B256 {
        self.call(cluster, validator, wish.input(), deposit)
    }

    /// Lets shards have charters up to a version.
    pub fn allow(&mut self, cluster: &Cluster, validator: usize, version: u32) -> B256 {
        self.call(cluster, validator, allow(version), U256::ZERO)
    }

    /// Orders a charter that no node here can read, from a relay height on.
    pub fn upgrade_to(
        &mut self,
        cluster: &Cluster,
        validator: usize,
        shard: ShardId,
        (height, charter): (u64, Vec<u8>),
    ) -> B256 {
        let input = node::registry::upgrade(shard, height, 1, &charter);
        self.call(cluster, validator, input, U256::ZERO)
    }

    fn call(&mut self, cluster: &Cluster, validator: usize, input: Bytes, value: U256) -> B256 {
        let nonce = self.sender.take_nonce();
        let transaction = self.sender.sign(TxEip1559 {
            gas_limit: ORDER_GAS,
            max_fee_per_gas: MAX_FEE,
            to: TxKind::Call(REGISTRY),
            value,
            input,
            ..draft(nonce)
        });
        let hash = transaction.hash();
        for admission in offer(cluster, validator, vec![transaction]) {
            if let Err(error) = admission {
                panic!("a pool refuses what an owner wants: {error}");
            }
        }
        hash
    }
}
