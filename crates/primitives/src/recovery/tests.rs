//! A batch is recovered as its transactions are one by one.

use super::*;
use crate::transaction::Envelope;
use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxLegacy, crypto::SECP256K1N_HALF,
};
use alloy_eips::Encodable2718;
use alloy_primitives::{Signature, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;

const BATCH: u64 = 60;

fn signer(number: u64) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::from(U256::from(number + 1))).unwrap()
}

/// A transaction of one of the types, signed as `sign` says.
fn transaction(nonce: u64, sign: impl FnOnce(B256) -> Signature) -> Transaction {
    let chain_id = 7;
    let envelope = match nonce % 5 {
        0 => signed(
            TxLegacy {
                nonce,
                ..Default::default()
            },
            sign,
        ),
        1 => {
            let chain_id = Some(chain_id);
            signed(
                TxLegacy {
                    nonce,
                    chain_id,
                    ..Default::default()
                },
                sign,
            )
        }
        2 => signed(
            TxEip2930 {
                nonce,
                chain_id,
                ..Default::default()
            },
            sign,
        ),
        3 => signed(
            TxEip1559 {
                nonce,
                chain_id,
                ..Default::default()
            },
            sign,
        ),
        _ => signed(
            TxEip7702 {
                nonce,
                chain_id,
                ..Default::default()
            },
            sign,
        ),
    };
    Transaction::decode(envelope.encoded_2718()).unwrap()
}

fn signed<T>(unsigned: T, sign: impl FnOnce(B256) -> Signature) -> Envelope
where
    T: SignableTransaction<Signature>,
    Envelope: From<alloy_consensus::Signed<T>>,
{
    let signature = sign(unsigned.signature_hash());
    unsigned.into_signed(signature).into()
}

/// Good signatures of all types, and among them every kind of bad one.
fn batch() -> Vec<Transaction> {
    (0..BATCH)
        .map(|nonce| {
            let sign = |hash| signer(nonce).sign_hash_sync(&hash).unwrap();
            let (r, s) = (U256::from(5), U256::from(6));
            match nonce {
                7 => transaction(nonce, |_| Signature::new(r, s, false)),
                12 => transaction(nonce, |_| Signature::new(U256::from(1), s, true)),
                18 => transaction(nonce, |_| Signature::new(r, U256::ZERO, false)),
                29 => transaction(nonce, |_| Signature::new(U256::MAX, s, false)),
                33 => transaction(nonce, |hash| {
                    let order = SECP256K1N_HALF + SECP256K1N_HALF + U256::from(1);
                    let low = sign(hash);
                    Signature::new(low.r(), order - low.s(), !low.v())
                }),
                _ => transaction(nonce, sign),
            }
        })
        .collect()
}

#[test]
fn a_batch_is_recovered_as_one_by_one() {
    for impersonation in [Impersonation::Allowed, Impersonation::Refused] {
        let batch = batch();
        let alone = |transaction: &Transaction| transaction.clone().recover(impersonation);
        let expected: Vec<_> = batch.iter().map(alone).collect();
        let bad = expected.iter().filter(|result| result.is_err()).count();
        assert_eq!(
            bad,
            if impersonation == Impersonation::Allowed {
                3
            } else {
                4
            }
        );
        let cache = SenderCache::default();
        assert_eq!(cache.recover_many(batch.clone(), impersonation), expected);
        // Now that most are known, and with those that are not among them.
        assert_eq!(cache.recover_many(batch.clone(), impersonation), expected);
        let half = SenderCache::default();
        let evens: Vec<_> = batch.iter().step_by(2).cloned().collect();
        assert_eq!(
            half.recover_many(evens, impersonation).len(),
            batch.len() / 2
        );
        assert_eq!(half.recover_many(batch, impersonation), expected);
    }
}

#[test]
fn senders_are_remembered_and_bad_signatures_are_not() {
    let cache = SenderCache::default();
    for (transaction, result) in batch()
        .iter()
        .zip(cache.recover_many(batch(), Impersonation::Refused))
    {
        let sender = result.ok().map(|recovered| recovered.sender());
        assert_eq!(cache.get(&transaction.hash()), sender);
    }
    assert!(
        cache
            .recover_many(Vec::new(), Impersonation::Refused)
            .is_empty()
    );
}
