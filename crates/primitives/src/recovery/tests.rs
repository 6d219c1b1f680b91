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
use rand::{SeedableRng, rngs::StdRng};

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

fn key(number: u64) -> SenderKey {
    SenderKey::new(signer(number).public_key().0)
}

/// The keys that belong to the signatures of the batch.
fn true_keys() -> Vec<Option<SenderKey>> {
    let key = |transaction: &Transaction| {
        let recovered = transaction.recovery()?.recover_with_key();
        recovered.map(|recovered| recovered.key).ok()
    };
    batch().iter().map(key).collect()
}

#[test]
fn keys_are_remembered_of_what_enters_here() {
    let cache = SenderCache::default();
    let impersonation = Impersonation::Refused;
    let of = |number: u64| signer(number).address();
    let entered = cache.recover_many(batch(), impersonation);
    for (recovered, true_key) in entered.into_iter().zip(true_keys()) {
        let key = recovered
            .ok()
            .and_then(|recovered| cache.key(&recovered.sender()));
        assert_eq!(key, true_key);
    }
    assert_eq!(cache.key(&of(0)), Some(key(0)));
    assert_eq!(cache.key(&of(33)), None);
    let ordered = SenderCache::default();
    assert_eq!(
        ordered.recover_ordered(batch(), impersonation),
        cache.recover_many(batch(), impersonation)
    );
    assert_eq!(ordered.key(&of(0)), None);
    let alone = SenderCache::default();
    alone.recover(batch()[2].clone(), impersonation).unwrap();
    assert_eq!(alone.key(&of(2)), Some(key(2)));
    assert_eq!(alone.key(&of(0)), None);
}

#[test]
fn keys_are_forgotten_within_a_bound() {
    let cache = SenderCache::default();
    let address = |number: usize| Address::from_word(B256::from(U256::from(number)));
    let key = key(0);
    for number in 0..2 * limits::SENDER_KEYS_MAX {
        cache.insert_key(address(number), key);
    }
    let known = |number: &usize| cache.key(&address(*number)).is_some();
    let count = (0..2 * limits::SENDER_KEYS_MAX).filter(known).count();
    assert!((limits::SENDER_KEYS_MAX / 2..=limits::SENDER_KEYS_MAX).contains(&count));
    assert!(known(&(2 * limits::SENDER_KEYS_MAX - 1)));
}

fn hinted<'a>(keys: &[Option<&'a SenderKey>]) -> Vec<(Transaction, Option<&'a SenderKey>)> {
    batch().into_iter().zip(keys.iter().copied()).collect()
}

#[test]
fn hinted_transactions_are_recovered_as_without_hints() {
    let mut random = StdRng::seed_from_u64(1);
    for impersonation in [Impersonation::Allowed, Impersonation::Refused] {
        let expected = SenderCache::default().recover_many(batch(), impersonation);
        let keys: Vec<_> = (0..BATCH).map(key).collect();
        let true_keys = true_keys();
        let honest: Vec<_> = true_keys.iter().map(Option::as_ref).collect();
        let cache = SenderCache::default();
        for _ in 0..2 {
            let recovery =
                cache.recover_hinted(hinted(&honest), impersonation, Keys::Dropped, &mut random);
            assert_eq!(recovery.recovered, expected);
            assert!(!recovery.has_false_hint);
        }
        // Of every kind: another's key, a key for what has no sender, whether it is known or not.
        for (place, lie) in [(3, 4), (7, 7), (33, 33), (12, 5)] {
            let mut keys_with_lie = honest.clone();
            keys_with_lie[place] = Some(&keys[lie]);
            for cache in [cache.clone(), SenderCache::default()] {
                let recovery = cache.recover_hinted(
                    hinted(&keys_with_lie),
                    impersonation,
                    Keys::Dropped,
                    &mut random,
                );
                assert_eq!(recovery.recovered, expected);
                assert!(recovery.has_false_hint, "place={place}");
            }
        }
        assert_eq!(cache.key(&signer(3).address()), None);
    }
}

/// Requests that are all in the sample.
fn sampled() -> Vec<Request> {
    let mut sampled = Vec::new();
    for number in 0..20 {
        let mut hash = B256::repeat_byte(number);
        hash[..8].fill(0);
        let signature = signer(number.into()).sign_hash_sync(&hash).unwrap();
        let (r, s, is_odd) = (signature.r(), signature.s(), signature.v());
        sampled.push(Request { hash, r, s, is_odd });
    }
    sampled
}

#[test]
fn a_sample_is_compared_with_the_library() {
    let cache = SenderCache::default();
    let requests = sampled();
    assert_eq!(
        cache.recover_requests(&requests),
        recover_in_library(&requests)
    );
    let counts = |equal, different| CheckCounts { equal, different };
    assert_eq!(cache.checks(), counts(20, 0));
    // Clones count together, and hinted recoveries as well.
    let hinted: Vec<_> = requests
        .iter()
        .map(|request| Hinted {
            request: *request,
            key: None,
        })
        .collect();
    let mut random = StdRng::seed_from_u64(1);
    let clone = cache.clone();
    let recovery = clone.recover_requests_hinted(&hinted, &mut random);
    assert_eq!(recovery.recovered, recover_in_library(&requests));
    assert_eq!(cache.checks(), counts(40, 0));
}

#[test]
fn a_wrong_recovery_is_not_used_and_neither_is_any_after_it() {
    let cache = SenderCache::default();
    let requests = sampled();
    let library = recover_in_library(&requests);
    let mut wrong = library.clone();
    wrong[13] = library[12];
    assert_eq!(cache.trusted(&requests, Some(wrong)), None);
    let counts = |equal, different| CheckCounts { equal, different };
    assert_eq!(cache.checks(), counts(0, 1));
    // What is recovered now is the library's, with which nothing has to be compared.
    assert_eq!(cache.recover_requests(&requests), library);
    let hinted: Vec<_> = requests
        .iter()
        .zip(&library)
        .map(|(request, recovered)| Hinted {
            request: *request,
            key: recovered.as_ref().ok().map(|recovered| &recovered.key),
        })
        .collect();
    let mut random = StdRng::seed_from_u64(1);
    let recovery = cache.recover_requests_hinted(&hinted, &mut random);
    assert_eq!(recovery.recovered, library);
    assert!(recovery.false_hints.is_empty());
    assert_eq!(cache.checks(), counts(0, 1));
}
