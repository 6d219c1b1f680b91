//! Lies of every kind, and that each is found.

use super::model::{Shape, TestState};
use crate::reader::Account;
use crate::sync::leaf::{AccountHead, Reader, account_bytes, put_account, put_slot};
use crate::sync::{
    CHUNK_BYTES_MAX, CODE_BYTES_MAX, CODES_BYTES, ChunkError, CodeError, Manifest, ManifestError,
    SlotLeaf, check_codes, serve_codes,
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::KECCAK_EMPTY;
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
            let head = AccountHead {
                address: leaf.address,
                account: leaf.account,
                has_storage: false,
            };
            put_account(&mut row, &head);
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
fn slots_that_travel_with_their_account_ascend() {
    let state = TestState::new(&Shape {
        accounts: 1,
        storages: 1,
        slots: 200,
        ..Shape::default()
    });
    let manifest = Manifest::scan(&state, state.root(), CHUNK_BYTES_MAX).unwrap();
    let (leaf, slots) = state.accounts.values().next().unwrap();
    let head = AccountHead {
        address: leaf.address,
        account: leaf.account,
        has_storage: true,
    };
    let check = |slots: &[SlotLeaf]| {
        let mut bytes = Vec::new();
        put_account(&mut bytes, &head);
        bytes.extend_from_slice(&u32::try_from(slots.len()).unwrap().to_le_bytes());
        for slot in slots {
            put_slot(&mut bytes, &slot.slot, &slot.value);
        }
        with_length(&manifest, 0, bytes.len()).check(0, &bytes)
    };
    let honest: Vec<SlotLeaf> = slots.values().copied().collect();
    assert!(honest.len() > 10 && check(&honest).is_ok());
    for at in 1..honest.len() {
        let mut swapped = honest.clone();
        swapped.swap(at - 1, at);
        assert!(matches!(check(&swapped), Err(ChunkError::Order(_))));
        let mut twice = honest.clone();
        twice.insert(at, honest[at]);
        assert!(matches!(check(&twice), Err(ChunkError::Order(_))));
        let mut zero = honest.clone();
        zero[at].value = U256::ZERO;
        assert!(matches!(check(&zero), Err(ChunkError::Malformed(_))));
    }
    assert!(matches!(check(&[]), Err(ChunkError::Malformed(_))));
}

#[test]
fn a_leaf_has_one_encoding() {
    let account = Account {
        nonce: 1,
        balance: U256::from(2),
        code_hash: B256::repeat_byte(3),
    };
    let head = AccountHead {
        address: Address::ZERO,
        account,
        has_storage: false,
    };
    let mut bytes = Vec::new();
    put_account(&mut bytes, &head);
    assert_eq!(bytes.len(), account_bytes(&account));
    let read = |bytes: &[u8]| Reader::new(bytes).account();
    assert_eq!(read(&bytes), Ok(head));
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        bytes
    };
    assert!(read(&with(20, bytes[20] | 4)).is_err(), "an unknown flag");
    assert!(read(&with(20, 0x91)).is_err(), "a nonce of nine bytes");
    assert!(read(&with(21, 33)).is_err(), "a balance of 33 bytes");
    assert!(read(&with(22, 0)).is_err(), "a nonce with zeros in front");
    assert!(read(&with(23, 0)).is_err(), "a balance with zeros in front");
    let no_code = [&bytes[..24], KECCAK_EMPTY.as_slice()].concat();
    assert!(read(&no_code).is_err(), "code that is none");
    let slot = |bytes: &[u8]| Reader::new(bytes).slot();
    assert_eq!(slot(&[1, 1, 5, 6]), Ok((U256::from(5), U256::from(6))));
    assert!(slot(&[1, 1, 0, 6]).is_err() && slot(&[1, 2, 5, 0, 6]).is_err());
    assert!(slot(&[1, 0, 5]).is_err(), "a slot of zero");
}

#[test]
fn tops_have_one_encoding() {
    let malformed = |bytes: &[u8]| {
        let bytes = Bytes::copy_from_slice(bytes);
        let digest = keccak256(&bytes);
        match Manifest::decode(bytes, B256::ZERO, digest) {
            Err(ManifestError::Malformed(at)) => at,
            other => panic!("{other:?}"),
        }
    };
    let unit = [&[1, 9, 0, 0, 0, 32][..], &[7; 32]].concat();
    let next = [&[0, 32][..], &[8; 32]].concat();
    let node = |head: &[u8]| [&[1], head, &unit, &next].concat();
    assert_eq!(
        malformed(&[&[1][..], &next].concat()),
        1,
        "a unit of no chunk"
    );
    assert_eq!(malformed(&node(&[2, 1, 0])), 4, "a branch of one child");
    assert_eq!(malformed(&node(&[3, 0])), 3, "an extension by nothing");
    assert_eq!(
        malformed(&node(&[3, 1, 0x10])),
        5,
        "an extension to no branch"
    );
    assert_eq!(
        malformed(&node(&[3, 1, 0x11, 2, 3, 0])),
        4,
        "half a byte that is not used"
    );
    assert_eq!(
        malformed(&[&node(&[2, 3, 0])[..], &[5]].concat()),
        1 + 3 + 38 + 34,
        "more"
    );
    for (length, first) in [(2, 0xc2), (2, 0xc0), (1, 0xc0), (2, 0x00), (31, 0xbf)] {
        let mut embedded = vec![1, 2, 3, 0, 1, 9, 0, 0, 0, length, first];
        embedded.resize(10 + usize::from(length), 0);
        let at = embedded.len();
        embedded.extend_from_slice(&next);
        assert_eq!(malformed(&embedded), at, "an encoding of another length");
    }
    assert_eq!(malformed(&[1, 6]), 1, "an unknown node");
    let long = [&[1, 3, 64][..], &[0; 32], &[2, 3, 0], &unit, &next].concat();
    assert_eq!(malformed(&long), 3, "an extension longer than a key");
    let bytes = Bytes::from(node(&[2, 3, 0]));
    let error = Manifest::decode(bytes.clone(), B256::ZERO, keccak256(&bytes));
    assert!(
        matches!(error, Err(ManifestError::Root { .. })),
        "it is well-formed"
    );
    let empty = Bytes::from([&[1, 1, 0, 0, 0, 0, 32][..], &[7; 32]].concat());
    let error = Manifest::decode(empty.clone(), B256::ZERO, keccak256(&empty)).unwrap_err();
    assert_eq!(error, ManifestError::ChunkBytes { chunk: 0, bytes: 0 });
}

#[test]
fn chunks_end_at_an_open_account() {
    let account = Account::default();
    let head = AccountHead {
        address: Address::ZERO,
        account,
        has_storage: true,
    };
    let nibble = keccak256(Address::ZERO)[0] >> 4;
    assert!((1..15).contains(&nibble), "others are on both sides");
    let bits = (1u16 | 1 << nibble | 1 << 15).to_le_bytes();
    let unit = |is_first: bool| match is_first {
        true => [&[1, 9, 0, 0, 0, 32][..], &[7; 32]].concat(),
        false => [&[0, 32][..], &[7; 32]].concat(),
    };
    let decode = |storage_is_first, next_is_first| {
        let mut bytes = [&[1, 2][..], &bits, &unit(true), &[4]].concat();
        put_account(&mut bytes, &head);
        bytes.extend([unit(storage_is_first), unit(next_is_first)].concat());
        let bytes = Bytes::from(bytes);
        let digest = keccak256(&bytes);
        Manifest::decode(bytes, B256::ZERO, digest).unwrap_err()
    };
    assert!(
        matches!(decode(true, true), ManifestError::Root { .. }),
        "it is well-formed"
    );
    assert!(matches!(decode(false, true), ManifestError::Malformed(_)));
    assert!(matches!(decode(true, false), ManifestError::Malformed(_)));
}

#[test]
fn open_accounts_are_in_their_place_and_have_storage() {
    let nibble = keccak256(Address::ZERO)[0] >> 4;
    let unit = [&[1, 9, 0, 0, 0, 32][..], &[7; 32]].concat();
    let decode = |nibble: u8, has_storage| {
        let head = AccountHead {
            address: Address::ZERO,
            account: Account::default(),
            has_storage,
        };
        let bits = (1u16 | 1 << nibble).to_le_bytes();
        let mut bytes = [&[1, 2][..], &bits, &unit, &[4]].concat();
        put_account(&mut bytes, &head);
        bytes.extend_from_slice(&unit);
        let digest = keccak256(&bytes);
        Manifest::decode(bytes.into(), B256::ZERO, digest).unwrap_err()
    };
    assert!(
        matches!(decode(nibble, true), ManifestError::Root { .. }),
        "it is well-formed"
    );
    assert!(matches!(
        decode(nibble + 1, true),
        ManifestError::Malformed(_)
    ));
    assert!(matches!(decode(nibble, false), ManifestError::Malformed(_)));
}

#[test]
fn codes_have_limits() {
    let mut state = TestState::default();
    for byte in 0..8 {
        let code = Bytes::from(vec![byte; CODES_BYTES / 3]);
        state.codes.insert(keccak256(&code), code);
    }
    let hashes: Vec<B256> = state.codes.keys().copied().collect();
    let answer = serve_codes(&state, &hashes).unwrap();
    assert_eq!(check_codes(&hashes, &answer).unwrap().len(), 3);
    let long = vec![1; CODE_BYTES_MAX + 1];
    let mut bytes = u32::try_from(long.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend_from_slice(&long);
    let error = check_codes(&[keccak256(&long)], &bytes).unwrap_err();
    assert_eq!(error, CodeError::TooLong(CODE_BYTES_MAX + 1));
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
