//! What is recovered by hints, against the C library.

#![cfg(target_arch = "x86_64")]

mod arithmetic;

use super::*;
use crate::signature::tests::{ORDER, PRIME, Random, crafted, multiple, negated};
use crate::signature::{recover_hinted, recover_in_library, recover_many, recover_with_keys};
use alloy_primitives::B256;
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use rand::{SeedableRng, rngs::StdRng};

type Signed = (Request, Option<SenderKey>);

fn signer(number: usize) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::from(U256::from(number + 1))).unwrap()
}

fn key(number: usize) -> SenderKey {
    SenderKey::new(signer(number).public_key().0)
}

/// A signature of a signer, with a true hint.
fn signed(number: usize, message: u64) -> Signed {
    let request = request(&signer(number), Random(message).number());
    (request, Some(key(number)))
}

fn request(signer: &PrivateKeySigner, hash: U256) -> Request {
    let hash = B256::from(hash);
    let signature = signer.sign_hash_sync(&hash).unwrap();
    Request {
        hash,
        r: signature.r(),
        s: signature.s(),
        is_odd: signature.v(),
    }
}

fn batch(count: usize, signers: usize) -> Vec<Signed> {
    let mut random = Random(count as u64);
    let signers: Vec<_> = (0..signers).map(signer).collect();
    let keys: Vec<_> = (0..signers.len()).map(key).collect();
    let signers = signers.iter().zip(keys).cycle().take(count);
    signers
        .map(|(signer, key)| (request(signer, random.number()), Some(key)))
        .collect()
}

fn hinted(batch: &[Signed]) -> Vec<Hinted<'_>> {
    batch
        .iter()
        .map(|(request, key)| Hinted {
            request: *request,
            key: key.as_ref(),
        })
        .collect()
}

/// Both ways of hinted recovery give the library's signers and report exactly the hints that are not the
/// recovered keys.
#[track_caller]
fn assert_equal(batch: &[Signed]) -> HintedRecovery {
    let hinted = hinted(batch);
    let by_library = |(request, _): &Signed| request.recover_with_key();
    let library: Vec<_> = batch.iter().map(by_library).collect();
    for ((request, _), recovered) in batch.iter().zip(&library) {
        assert_eq!(
            recovered.map(|recovered| recovered.address),
            request.recover()
        );
    }
    let is_false = |index: &usize| {
        let recovered = library[*index].map(|recovered| recovered.key).ok();
        batch[*index].1.is_some() && batch[*index].1 != recovered
    };
    let expected = HintedRecovery {
        recovered: library.clone(),
        false_hints: (0..batch.len()).filter(is_false).collect(),
    };
    for seed in 0..2 {
        let mut random = StdRng::seed_from_u64(seed);
        assert_eq!(recover_by_hints(&hinted, &mut random), expected);
        assert_eq!(recover_hinted(&hinted, &mut random), expected);
    }
    expected
}

#[test]
fn batches_of_every_size_recover_as_in_the_library() {
    let whole = batch(70, 9);
    for count in 0..whole.len() {
        let recovery = assert_equal(&whole[..count]);
        assert!(recovery.false_hints.is_empty());
    }
}

#[test]
fn what_cannot_have_a_signer_is_not_summed() {
    let (good, _) = signed(1, 1);
    let bad = [
        Request {
            r: U256::ZERO,
            ..good
        },
        Request {
            s: U256::ZERO,
            ..good
        },
        Request { r: ORDER, ..good },
        Request { s: ORDER, ..good },
        Request {
            s: U256::MAX,
            ..good
        },
    ];
    let batch = bad.map(|request| (request, Some(key(1))));
    assert!(Batch::new(&hinted(&batch)).checks.is_empty());
    // No point has this x.
    let nowhere = Request {
        r: U256::from(5),
        ..good
    };
    let batch = [
        (good, Some(key(1))),
        (nowhere, Some(key(1))),
        (good, Some(key(2))),
    ];
    let hinted = hinted(&batch);
    let batch = Batch::new(&hinted);
    assert_eq!(batch.recovered, [None, Some(Err(RecoverError)), None]);
    assert_eq!(batch.checks.len(), 2);
}

#[test]
fn true_hints_are_enough() {
    // The library would be asked for what is not found true: that it is not shows in the search.
    let batch = batch(200, 7);
    let hinted = hinted(&batch);
    let mut searched = Batch::new(&hinted);
    searched.draw_weights(&mut StdRng::seed_from_u64(3));
    searched.search();
    assert!(searched.recovered.iter().all(Option::is_some));
}

#[test]
fn one_false_hint_is_found_wherever_it_is() {
    let whole = batch(4_096, 300);
    let requests: Vec<_> = whole.iter().map(|(request, _)| *request).collect();
    let library = recover_in_library(&requests);
    let false_key = key(1_000);
    for position in [0, 1, 2_047, 2_048, 4_095] {
        let mut batch = whole.clone();
        batch[position].1 = Some(false_key);
        let mut random = StdRng::seed_from_u64(position as u64);
        let recovery = recover_by_hints(&hinted(&batch), &mut random);
        assert_eq!(recovery.false_hints, [position]);
        assert_eq!(recovery.recovered, library);
    }
}

#[test]
fn the_search_for_one_false_hint_recovers_few() {
    let mut batch = batch(1_024, 50);
    batch[700].1 = Some(key(1_000));
    let hinted = hinted(&batch);
    let mut searched = Batch::new(&hinted);
    searched.draw_weights(&mut StdRng::seed_from_u64(3));
    searched.search();
    let unknown = searched
        .recovered
        .iter()
        .filter(|recovered| recovered.is_none());
    assert!((1..HALVED_MIN).contains(&unknown.count()));
}

#[test]
fn the_search_is_bounded() {
    let mut batch = batch(512, 50);
    let found = |batch: &[Signed], budget: usize| {
        let hinted = hinted(batch);
        let mut batch = Batch::new(&hinted);
        batch.draw_weights(&mut StdRng::seed_from_u64(3));
        let mut search = Search {
            keys: &batch.keys,
            budget,
            found: Vec::new(),
        };
        search.run(&batch.checks, false);
        (search.found.len(), search.budget)
    };
    assert_eq!(found(&batch, 511), (0, 511));
    assert_eq!(found(&batch, 512), (512, 0));
    batch[511].1 = Some(key(2_000));
    // The whole, then the left half; then a quarter, an eighth and so on.
    assert_eq!(found(&batch, 512 + 255), (0, 255));
    assert_eq!(found(&batch, 512 + 256), (256, 0));
    assert_eq!(found(&batch, 512 + 256 + 128), (384, 0));
    // However many are false, what the search may take is what it is given.
    for (_, hint) in batch.iter_mut().step_by(20) {
        *hint = Some(key(2_000));
    }
    assert!(found(&batch, 512 * SEARCH_MAX).0 < 512);
}

#[test]
fn all_false_hints_are_found() {
    let mut batch = batch(300, 20);
    for (index, (_, hint)) in batch.iter_mut().enumerate() {
        *hint = Some(key(100 + index));
    }
    assert_eq!(assert_equal(&batch).false_hints.len(), batch.len());
}

#[test]
fn hints_swapped_between_two_valid_signatures_are_found() {
    let whole = batch(40, 40);
    for (a, b) in [(0, 1), (7, 31), (38, 39)] {
        let mut batch = whole.clone();
        (batch[a].1, batch[b].1) = (whole[b].1, whole[a].1);
        assert_eq!(assert_equal(&batch).false_hints, [a, b]);
    }
}

/// Two signatures by nobody whose errors are opposite: `R - u1 G - u2 Q` is `d G` for one and `-d G` for the
/// other, so that sums without weights are equal.
#[test]
fn errors_that_cancel_are_found() {
    let mut random = Random(50);
    for size in [4, 30, 100] {
        let mut batch = batch(size, 11);
        let d = random.number() % ORDER;
        for (place, d) in [(1, d), (size - 2, negated(d))] {
            let (u1, u2) = (random.number() % ORDER, random.number() % ORDER);
            let number = place % 11;
            let q = U256::from(number + 1);
            // R = (u1 + u2 q + d) G, with z = u1 s and r = u2 s as a verifier computes them.
            let k = u1.add_mod(u2.mul_mod(q, ORDER), ORDER).add_mod(d, ORDER);
            let (r, is_odd) = multiple(k);
            let s = r.mul_mod(u2.inv_mod(ORDER).unwrap(), ORDER);
            let hash = B256::from(u1.mul_mod(s, ORDER));
            batch[place] = (Request { hash, r, s, is_odd }, Some(key(number)));
        }
        assert_eq!(assert_equal(&batch).false_hints, [1, size - 2]);
    }
}

#[test]
fn one_signature_many_times_and_one_sender_many_times() {
    assert!(
        assert_equal(&vec![signed(1, 1); 100])
            .false_hints
            .is_empty()
    );
    assert!(assert_equal(&batch(100, 1)).false_hints.is_empty());
    // Equal and opposite points: the other half of s with the other parity, and without it.
    let (request, key) = signed(2, 2);
    let opposite = Request {
        s: ORDER - request.s,
        is_odd: !request.is_odd,
        ..request
    };
    let wrong = Request {
        is_odd: !request.is_odd,
        ..request
    };
    let mut batch = [(request, key), (opposite, key)].repeat(30);
    assert!(assert_equal(&batch).false_hints.is_empty());
    batch.extend([(wrong, key)].repeat(3));
    assert_eq!(assert_equal(&batch).false_hints, [60, 61, 62]);
}

#[test]
fn keys_that_sign_nothing_are_false() {
    let mut batch = batch(60, 60);
    let mut negated = *key(5).as_bytes();
    let y = PRIME - U256::from_be_slice(&negated[32..]);
    negated[32..].copy_from_slice(&y.to_be_bytes::<32>());
    let mut off_curve = *key(9).as_bytes();
    off_curve[63] ^= 4;
    for (place, key) in [
        (5, negated),
        (9, off_curve),
        (20, [0; 64]),
        (33, [0xff; 64]),
    ] {
        batch[place].1 = Some(SenderKey::new(key));
    }
    batch[40].1 = None;
    assert_eq!(assert_equal(&batch).false_hints, [5, 9, 20, 33]);
}

#[test]
fn signatures_at_the_edges_recover_as_in_the_library() {
    let one = U256::ONE;
    let mut edges: Vec<_> = (0..3)
        .map(U256::from)
        .chain((0..3).map(|step| ORDER - U256::from(step)))
        .chain([ORDER + one, ORDER >> 1, (ORDER >> 1) + one, U256::MAX])
        .collect();
    let hashes = [U256::ZERO, one, ORDER - one, ORDER, ORDER + one, U256::MAX];
    let mut rs = edges.clone();
    rs.extend([
        PRIME - ORDER,
        PRIME - ORDER - one,
        PRIME - ORDER + one,
        PRIME - one,
        PRIME,
    ]);
    rs.extend((1..4).map(|k| multiple(U256::from(k)).0));
    edges.truncate(8);
    let mut requests = Vec::new();
    for r in rs {
        for s in edges.iter().copied() {
            for hash in hashes.map(B256::from) {
                let is_odd = requests.len() % 3 == 0;
                requests.push(Request { hash, r, s, is_odd });
            }
        }
    }
    // The sum at infinity is no signer, whatever the hint.
    requests.push(crafted(
        negated(U256::from(6)),
        U256::from(2),
        U256::from(3),
    ));
    let recovered = recover_with_keys(&requests);
    let key_of = |recovered: &Recovery| recovered.map(|recovered| recovered.key).ok();
    let hints: Vec<_> = recovered.iter().map(key_of).collect();
    let batch = |hint: &dyn Fn(usize) -> Option<SenderKey>| -> Vec<Signed> {
        let requests = requests.iter().enumerate();
        requests
            .map(|(index, request)| (*request, hint(index)))
            .collect()
    };
    let all_true = batch(&|index| hints[index]);
    assert!(assert_equal(&all_true).false_hints.is_empty());
    assert!(hints.iter().flatten().count() > 100);
    // Whatever has no signer gets a hint as well; it is false.
    let bad = hints.iter().filter(|hint| hint.is_none()).count();
    let all_hinted = batch(&|index| hints[index].or(Some(key(3))));
    assert_eq!(assert_equal(&all_hinted).false_hints.len(), bad);
}

#[test]
fn random_numbers_and_random_hints_recover_as_in_the_library() {
    let mut random = Random(51);
    for count in [1, 5, 50, 400] {
        let requests = random.requests(count);
        let recovered = recover_with_keys(&requests);
        let batch: Vec<_> = requests
            .into_iter()
            .zip(recovered)
            .map(|(request, recovered)| {
                let hint = match random.word() % 8 {
                    0 => None,
                    1 => Some(key((random.word() % 5) as usize)),
                    _ => recovered.map(|recovered| recovered.key).ok(),
                };
                (request, hint)
            })
            .collect();
        assert_equal(&batch);
    }
}

#[test]
fn keys_are_those_of_the_library_and_hash_to_the_signers() {
    let requests = Random(52).requests(300);
    let recovered = recover_with_keys(&requests);
    let signers: Vec<_> = requests.iter().map(Request::recover).collect();
    assert_eq!(recover_many(&requests), signers);
    for ((request, recovered), signer) in requests.iter().zip(recovered).zip(signers) {
        assert_eq!(recovered, request.recover_with_key());
        assert_eq!(recovered.map(|recovered| recovered.address), signer);
        assert_eq!(recovered.map(|recovered| recovered.key.address()), signer);
    }
}
