//! Lies of every kind, and that each is found.

use super::model::{Shape, TestState};
use crate::sync::{ChunkError, CodeError, Manifest, ManifestError, check_codes, serve_codes};
use alloy_primitives::{B256, Bytes, keccak256};
use proptest::prelude::*;

fn state() -> TestState {
    TestState::new(&Shape {
        seed: 5,
        accounts: 60,
        storages: 4,
        slots: 40,
        codes: 9,
    })
}

#[test]
fn each_byte_of_a_manifest_counts() {
    let state = state();
    let root = state.root();
    let manifest = Manifest::scan(&state, root, 700).unwrap();
    let chunks = 0..manifest.chunks().len();
    let chunks: Vec<Bytes> = chunks
        .map(|number| manifest.serve(&state, number).unwrap())
        .collect();
    assert!(chunks.len() > 20 && !manifest.accounts().is_empty());
    for at in 0..manifest.bytes().len() {
        for bit in [0x01, 0x80] {
            let mut bytes = manifest.bytes().to_vec();
            bytes[at] ^= bit;
            let bytes = Bytes::from(bytes);
            // As it was offered, by its digest.
            let error = Manifest::decode(bytes.clone(), root, manifest.digest());
            assert!(matches!(error, Err(ManifestError::Digest { .. })));
            // Offered by somebody who made it so: what the root does not tell is where chunks begin and
            // how long they are.
            let digest = keccak256(&bytes);
            let Ok(other) = Manifest::decode(bytes, root, digest) else {
                continue;
            };
            assert_eq!(other.accounts(), manifest.accounts());
            assert_eq!(other.units, manifest.units);
            let mut honest = chunks.iter().enumerate();
            let is_found = honest.any(|(number, bytes)| other.check(number, bytes).is_err());
            assert!(is_found, "at={at}");
        }
    }
}

#[test]
fn manifests_end_where_they_end() {
    let state = state();
    let root = state.root();
    let manifest = Manifest::scan(&state, root, 700).unwrap();
    let whole = manifest.bytes();
    for length in 0..whole.len() {
        let bytes = whole.slice(..length);
        let digest = keccak256(&bytes);
        assert!(Manifest::decode(bytes, root, digest).is_err());
    }
    let bytes = Bytes::from([&whole[..], &[0]].concat());
    let digest = keccak256(&bytes);
    assert!(Manifest::decode(bytes, root, digest).is_err());
}

#[test]
fn each_byte_of_a_chunk_counts() {
    let state = state();
    let manifest = Manifest::scan(&state, state.root(), 700).unwrap();
    for number in 0..manifest.chunks().len() {
        let honest = manifest.serve(&state, number).unwrap();
        for at in 0..honest.len() {
            let mut bytes = honest.to_vec();
            bytes[at] ^= 1 << (at % 8);
            assert!(
                manifest.check(number, &bytes).is_err(),
                "number={number} at={at}"
            );
        }
        let longer = [&honest[..], &[0]].concat();
        let error = manifest.check(number, &longer).unwrap_err();
        assert!(matches!(error, ChunkError::Length { .. }));
        assert!(manifest.check(number, &honest[1..]).is_err());
    }
}

#[test]
fn another_chunk_is_no_answer() {
    let state = state();
    let manifest = Manifest::scan(&state, state.root(), 700).unwrap();
    let chunks = 0..manifest.chunks().len();
    let chunks: Vec<Bytes> = chunks
        .map(|number| manifest.serve(&state, number).unwrap())
        .collect();
    for (number, _) in chunks.iter().enumerate() {
        for (other, bytes) in chunks.iter().enumerate() {
            let checked = manifest.check(number, bytes);
            assert_eq!(checked.is_ok(), number == other || *bytes == chunks[number]);
        }
    }
}

/// A manifest of these lengths instead: what its offerer could claim.
fn with_length(manifest: &Manifest, number: usize, bytes: usize) -> Manifest {
    let mut manifest = manifest.clone();
    manifest.chunks[number].bytes = bytes;
    manifest
}

#[test]
fn errors_say_why() {
    let shape = Shape {
        accounts: 30,
        ..Shape::default()
    };
    let state = TestState::new(&shape);
    let manifest = Manifest::scan(&state, state.root(), 256 << 10).unwrap();
    let rows: Vec<Vec<u8>> = state
        .accounts
        .values()
        .map(|(leaf, _)| {
            let mut row = Vec::new();
            let head = crate::sync::leaf::AccountHead {
                address: leaf.address,
                account: leaf.account,
                has_storage: false,
            };
            crate::sync::leaf::put_account(&mut row, &head);
            row
        })
        .collect();
    let check = |rows: &[Vec<u8>]| {
        let bytes = rows.concat();
        with_length(&manifest, 0, bytes.len()).check(0, &bytes)
    };
    assert!(check(&rows).is_ok());
    let mut swapped = rows.clone();
    swapped.swap(3, 4);
    assert!(matches!(check(&swapped), Err(ChunkError::Order(_))));
    let mut twice = rows.clone();
    twice.insert(3, rows[3].clone());
    assert!(matches!(check(&twice), Err(ChunkError::Order(_))));
    let mut fewer = rows.clone();
    fewer.remove(7);
    assert!(matches!(check(&fewer), Err(ChunkError::Mismatch { .. })));
    assert!(matches!(check(&[]), Err(ChunkError::Mismatch { .. })));
    let mut zeros = rows[0].clone();
    zeros[21] += 1;
    zeros.insert(22 + usize::from(zeros[20] >> 4), 0);
    let zeros: Vec<Vec<u8>> = [vec![zeros], rows[1..].to_vec()].concat();
    assert!(matches!(check(&zeros), Err(ChunkError::Malformed(_))));
}

#[test]
fn leaves_of_other_subtries_are_outside() {
    let state = state();
    let manifest = Manifest::scan(&state, state.root(), 700).unwrap();
    let accounts = manifest.chunks().iter().enumerate();
    let accounts = accounts.filter(|(_, chunk)| chunk.account.is_none());
    let numbers: Vec<usize> = accounts.map(|(number, _)| number).collect();
    let [one, other] =
        [numbers[1], numbers[2]].map(|number| manifest.serve(&state, number).unwrap());
    let both = [&one[..], &other[..]].concat();
    for number in [numbers[1], numbers[2]] {
        let error = with_length(&manifest, number, both.len()).check(number, &both);
        assert!(matches!(error, Err(ChunkError::Outside(_))), "{error:?}");
    }
}

#[test]
fn codes_are_what_was_asked_for() {
    let state = state();
    let hashes: Vec<B256> = state.codes.keys().copied().collect();
    let bytes = serve_codes(&state, &hashes).unwrap();
    let codes = check_codes(&hashes, &bytes).unwrap();
    assert!(codes.iter().eq(state.codes.values()));
    for at in 0..bytes.len() {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        assert!(check_codes(&hashes, &bytes).is_err(), "at={at}");
    }
    assert_eq!(check_codes(&hashes, &[]), Err(CodeError::Empty));
    let other = check_codes(&hashes[1..], &bytes).unwrap_err();
    assert!(matches!(other, CodeError::Hash { .. }));
    let fewer = check_codes(&hashes[..1], &bytes).unwrap_err();
    assert!(matches!(fewer, CodeError::Malformed(_)));
    assert!(serve_codes(&state, &[B256::ZERO]).is_err());
    let first = [hashes[0], B256::ZERO];
    assert_eq!(
        check_codes(&first, &serve_codes(&state, &first).unwrap())
            .unwrap()
            .len(),
        1
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_bytes_are_errors(bytes in proptest::collection::vec(any::<u8>(), 0..300), version: bool) {
        let mut bytes = bytes;
        if version && bytes.len() > 1 {
            bytes[0] = 1;
            bytes[1] %= 6;
        }
        let digest = keccak256(&bytes);
        let decoded = Manifest::decode(bytes.clone().into(), B256::ZERO, digest);
        prop_assert!(decoded.is_err());
        let state = TestState::new(&Shape { accounts: 3, ..Shape::default() });
        let manifest = Manifest::scan(&state, state.root(), 4096).unwrap();
        prop_assert!(with_length(&manifest, 0, bytes.len()).check(0, &bytes).is_err());
        prop_assert!(check_codes(&[B256::ZERO; 3], &bytes).is_err());
    }
}
