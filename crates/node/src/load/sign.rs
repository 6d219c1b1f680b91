//! Signs everything before the clock starts, and writes the requests.

use super::{
    OnProgress, Progress,
    error::LoadError,
    sender::{Fees, Sender, share},
};
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_signer::SignerSync;
use serde_json::json;
use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// Gas of a transfer.
pub(super) const TRANSFER_GAS: u64 = 21_000;
/// What a transfer moves.
pub(super) const VALUE_WEI: U256 = U256::ONE;
/// Accounts that receive, so that a run makes few new ones.
const RECIPIENTS: usize = 1_024;
/// Signatures between two words about progress.
const PROGRESS_STEP: usize = 500;

/// A signed transaction.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) hash: B256,
    pub(super) raw: Bytes,
}

/// A request ready to send.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) body: bytes::Bytes,
    pub(super) hashes: Vec<B256>,
}

/// What to sign and how to pack it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) chain_id: u64,
    pub(super) fees: Fees,
    pub(super) transactions: usize,
    pub(super) batch: usize,
    pub(super) connections: usize,
}

impl Plan {
    /// The requests of each connection. The transactions of one sender are all in one connection's.
    pub(super) fn sign(
        &self,
        senders: &[Sender],
        progress: OnProgress<'_>,
    ) -> Result<Vec<Vec<Batch>>, LoadError> {
        let signed = self.sign_all(senders, progress)?;
        let connections = self.connections.min(senders.len());
        let mut queues: Vec<Vec<VecDeque<Signed>>> = Vec::new();
        queues.resize_with(connections, Vec::new);
        for (index, signed) in signed.into_iter().enumerate() {
            if let Some(queue) = queues.get_mut(index % connections) {
                queue.push(signed.into());
            }
        }
        let pack = |senders| pack(take_turns(senders), self.batch);
        Ok(queues.into_iter().map(pack).collect())
    }

    fn sign_all(
        &self,
        senders: &[Sender],
        progress: OnProgress<'_>,
    ) -> Result<Vec<Vec<Signed>>, LoadError> {
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let done = AtomicUsize::new(0);
        let tick = || {
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(PROGRESS_STEP) {
                progress(Progress {
                    step: "signing",
                    done,
                    total: self.transactions,
                });
            }
        };
        let numbered: Vec<(usize, &Sender)> = senders.iter().enumerate().collect();
        let per_thread = numbered.len().div_ceil(threads).max(1);
        let sign = |group: &[(usize, &Sender)]| -> Result<Vec<_>, LoadError> {
            let signed = group.iter().map(|(index, sender)| {
                let count = share(self.transactions, senders.len(), *index);
                self.sign_share(sender, count, &tick)
            });
            signed.collect()
        };
        let joined: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = numbered
                .chunks(per_thread)
                .map(|group| scope.spawn(|| sign(group)))
                .collect();
            workers.into_iter().map(|worker| worker.join()).collect()
        });
        let mut all = Vec::with_capacity(senders.len());
        for signed in joined {
            let ended = |_| LoadError::Signing("a signing thread ended".to_owned());
            all.extend(signed.map_err(ended)??);
        }
        Ok(all)
    }

    fn sign_share(
        &self,
        sender: &Sender,
        count: usize,
        tick: &(impl Fn() + Sync),
    ) -> Result<Vec<Signed>, LoadError> {
        let mut next = Sender {
            signer: sender.signer.clone(),
            nonce: sender.nonce,
        };
        let signed = (0..count).map(|_| {
            let to = recipient(next.nonce);
            let signed = transfer(self.chain_id, self.fees, &next, to, VALUE_WEI)?;
            next.nonce += 1;
            tick();
            Ok(signed)
        });
        signed.collect()
    }
}

/// A signed transfer with the sender's next nonce.
pub(super) fn transfer(
    chain_id: u64,
    fees: Fees,
    sender: &Sender,
    to: Address,
    wei: U256,
) -> Result<Signed, LoadError> {
    let transaction = TxEip1559 {
        chain_id,
        nonce: sender.nonce,
        gas_limit: TRANSFER_GAS,
        max_fee_per_gas: fees.max_fee,
        max_priority_fee_per_gas: fees.priority_fee,
        to: TxKind::Call(to),
        value: wei,
        ..TxEip1559::default()
    };
    let signature = sender
        .signer
        .sign_hash_sync(&transaction.signature_hash())
        .map_err(|error| LoadError::Signing(error.to_string()))?;
    let signed = transaction.into_signed(signature);
    Ok(Signed {
        hash: *signed.hash(),
        raw: signed.encoded_2718().into(),
    })
}

/// Spread over [`RECIPIENTS`] accounts that nobody has the key of.
fn recipient(nonce: u64) -> Address {
    let index = nonce % RECIPIENTS as u64;
    let hash = keccak256(format!("headway load recipient {index}"));
    Address::from_word(hash)
}

/// One transaction of each sender in turn, as many independent users would send them.
fn take_turns(mut senders: Vec<VecDeque<Signed>>) -> Vec<Signed> {
    let mut merged = Vec::with_capacity(senders.iter().map(VecDeque::len).sum());
    while !senders.is_empty() {
        senders.retain_mut(|signed| {
            merged.extend(signed.pop_front());
            !signed.is_empty()
        });
    }
    merged
}

fn pack(signed: Vec<Signed>, batch: usize) -> Vec<Batch> {
    let batches = signed.chunks(batch).map(|signed| {
        let calls = signed.iter().enumerate().map(|(id, signed)| {
            let method = "eth_sendRawTransaction";
            json!({"jsonrpc": "2.0", "id": id, "method": method, "params": [signed.raw]})
        });
        let calls: Vec<serde_json::Value> = calls.collect();
        Batch {
            body: serde_json::Value::from(calls).to_string().into(),
            hashes: signed.iter().map(|signed| signed.hash).collect(),
        }
    });
    batches.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable};
    use alloy_eips::Decodable2718;
    use alloy_signer_local::PrivateKeySigner;

    const PLAN: Plan = Plan {
        chain_id: 7,
        fees: Fees {
            max_fee: 100,
            priority_fee: 1,
        },
        transactions: 11,
        batch: 3,
        connections: 2,
    };

    fn decode(batch: &Batch) -> Vec<TxEnvelope> {
        let calls: Vec<serde_json::Value> = serde_json::from_slice(&batch.body).unwrap();
        assert_eq!(calls.len(), batch.hashes.len());
        let raw = calls.iter().map(|call| {
            let raw: Bytes = serde_json::from_value(call["params"][0].clone()).unwrap();
            TxEnvelope::decode_2718(&mut raw.as_ref()).unwrap()
        });
        raw.collect()
    }

    #[test]
    fn each_sender_stays_on_one_connection_with_its_nonces_in_order() {
        let senders: Vec<Sender> = (1..=3_u8)
            .map(|index| Sender {
                signer: PrivateKeySigner::from_slice(&[index; 32]).unwrap(),
                nonce: 5,
            })
            .collect();
        let queues = PLAN.sign(&senders, &|_| {}).unwrap();
        assert_eq!(queues.len(), 2);
        let mut counts = Vec::new();
        for (index, sender) in senders.iter().enumerate() {
            let own = queues[index % 2].iter().flat_map(decode);
            let own: Vec<u64> = own
                .filter(|transaction| {
                    transaction.recover_signer().unwrap() == sender.signer.address()
                })
                .map(|transaction| transaction.nonce())
                .collect();
            let expected: Vec<u64> = (5..).take(own.len()).collect();
            assert_eq!(own, expected);
            counts.push(own.len());
        }
        assert_eq!(counts, [4, 4, 3]);
        let batches = queues.iter().flatten();
        assert!(batches.clone().all(|batch| batch.hashes.len() <= 3));
        for batch in batches {
            let hashes: Vec<B256> = decode(batch).iter().map(|t| *t.tx_hash()).collect();
            assert_eq!(hashes, batch.hashes);
        }
    }
}
