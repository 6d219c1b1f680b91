//! Chunks of right and of wrong codes, for every number of validators.

use super::*;
use commonware_codec::{Copying, Decode as _, Encode as _};
use commonware_cryptography::Hasher as _;
use commonware_storage::bmt::Builder;
use proptest::prelude::*;

const COLLATION: &[u8] =
    b"what a collator made, long enough to be cut into pieces of several bytes each";

fn cut_for(validators: u16) -> (Coding, Vec<Chunk>) {
    cut(COLLATION, validators, 4).unwrap()
}

fn checked(coding: &Coding, chunks: &[Chunk], indices: &[u16]) -> Vec<CheckedChunk> {
    let check = |index: &u16| chunks[usize::from(*index)].check(coding, *index).unwrap();
    indices.iter().map(check).collect()
}

/// A code whose chunks are whatever they are: each proved under the root.
fn false_code(chunks: &[Vec<u8>], minimum: u16) -> (Coding, Vec<Chunk>) {
    let mut builder = Builder::<Sha256>::new(chunks.len());
    for chunk in chunks {
        builder.add(&Sha256::hash(&[chunk]));
    }
    let tree = builder.build();
    let total = u16::try_from(chunks.len()).unwrap();
    let coding = Coding {
        epoch: 1,
        total,
        minimum,
        root: B256::from_slice(tree.root().as_ref()),
    };
    let encode = |index: u16| {
        let mut encoded = Vec::new();
        bytes::Bytes::copy_from_slice(&chunks[usize::from(index)]).write(&mut encoded);
        index.write(&mut encoded);
        tree.proof(u32::from(index)).unwrap().write(&mut encoded);
        Chunk::decode_cfg(Copying(encoded.as_slice()), &coding).unwrap()
    };
    (coding, (0..total).map(encode).collect())
}

/// What an honest coder's chunks look like inside.
fn insides(validators: u16) -> Vec<Vec<u8>> {
    let (_, chunks) = cut_for(validators);
    let inside = |chunk: &Chunk| {
        let encoded = chunk.encode();
        // A length of one byte, and then the piece.
        encoded[1..1 + usize::from(encoded[0])].to_vec()
    };
    chunks.iter().map(inside).collect()
}

#[test]
fn one_more_than_may_be_faulty_are_enough() {
    let minimums = [1, 2, 3, 4, 6, 7, 10, 100, 256].map(minimum_of);
    assert_eq!(minimums, [1, 1, 1, 2, 2, 3, 4, 34, 86]);
}

#[test]
fn any_f_plus_one_of_one_to_a_hundred_give_a_collation_back() {
    for validators in 1..=100 {
        let (coding, chunks) = cut_for(validators);
        assert_eq!(chunks.len(), usize::from(validators));
        assert_eq!(coding.minimum, minimum_of(validators));
        // The first ones, the last ones, and some that lie apart.
        let first: Vec<u16> = (0..coding.minimum).collect();
        let last: Vec<u16> = (validators - coding.minimum..validators).collect();
        let step = if validators % 7 == 0 { 1 } else { 7 };
        let apart: Vec<u16> = (0..coding.minimum)
            .map(|at| at * step % validators)
            .collect();
        let all: Vec<u16> = (0..validators).rev().collect();
        for indices in [first, last, apart, all] {
            let some = checked(&coding, &chunks, &indices);
            assert_eq!(*restore(&coding, &some).unwrap(), *COLLATION);
        }
        let few: Vec<u16> = (1..coding.minimum).collect();
        let mut few = checked(&coding, &chunks, &few);
        let too_few = RestoreError::TooFew {
            different: few.len(),
            minimum: coding.minimum,
        };
        assert_eq!(restore(&coding, &few), Err(too_few));
        // The same one again is no other one.
        few.extend(few.last().cloned());
        assert_eq!(restore(&coding, &few), Err(too_few));
    }
}

#[test]
fn nothing_and_the_longest_are_cut_and_more_is_not() {
    let (coding, chunks) = cut(&[], 4, 0).unwrap();
    let some = checked(&coding, &chunks, &[3, 1]);
    assert_eq!(restore(&coding, &some).unwrap(), Bytes::new());
    let longest = vec![7; COLLATION_BYTES_MAX];
    let (coding, chunks) = cut(&longest, 4, 0).unwrap();
    let some = checked(&coding, &chunks, &[3, 1]);
    assert!(restore(&coding, &some).unwrap() == longest);
    for chunk in &chunks {
        let encoded = chunk.encode();
        let read = Chunk::decode_cfg(Copying(encoded.as_ref()), &coding).unwrap();
        assert!(read == *chunk);
    }
    let longer = vec![7; COLLATION_BYTES_MAX + 1];
    assert_eq!(
        cut(&longer, 4, 0).unwrap_err(),
        CutError::TooLong(longer.len())
    );
    for validators in [0, 257, u16::MAX] {
        assert_eq!(
            cut(&[1], validators, 0).unwrap_err(),
            CutError::Validators(validators)
        );
    }
}

#[test]
fn a_chunk_belongs_to_one_validator_and_one_coding() {
    let (coding, chunks) = cut_for(7);
    assert_eq!(
        chunks[2].check(&coding, 3).unwrap_err(),
        ChunkError::Proof(3)
    );
    assert_eq!(
        chunks[2].check(&coding, 7).unwrap_err(),
        ChunkError::Index(7)
    );
    let (other, others) = cut(b"another", 7, 4).unwrap();
    assert_eq!(
        chunks[2].check(&other, 2).unwrap_err(),
        ChunkError::Proof(2)
    );
    let mut mixed = checked(&coding, &chunks, &[0, 1]);
    mixed.extend(checked(&other, &others, &[2]));
    assert_eq!(restore(&coding, &mixed), Err(RestoreError::OtherCoding(2)));
    let odd = Coding {
        minimum: 2,
        ..coding
    };
    let refused = ChunkError::Coding {
        total: 7,
        minimum: 2,
    };
    assert_eq!(chunks[2].check(&odd, 2).unwrap_err(), refused);
    let encoded = chunks[2].encode();
    assert!(Chunk::decode_cfg(Copying(encoded.as_ref()), &odd).is_err());
}

#[test]
fn the_chunk_that_a_lone_validator_does_not_need_is_nobodys() {
    let (coding, chunks) = cut_for(1);
    assert_eq!((coding.total, coding.minimum, chunks.len()), (1, 1, 1));
    assert_eq!(
        chunks[0].check(&coding, 1).unwrap_err(),
        ChunkError::Index(1)
    );
    let all = checked(&coding, &chunks, &[0]);
    assert_eq!(*restore(&coding, &all).unwrap(), *COLLATION);
}

#[test]
fn a_code_with_one_false_chunk_is_wrong_from_whichever_chunks() {
    for at in 0..7 {
        let mut inside = insides(7);
        inside[at][3] ^= 1;
        assert_wrong(&inside);
    }
}

#[test]
fn chunks_of_several_widths_are_wrong_from_whichever_chunks() {
    let mut inside = insides(7);
    inside[1].extend([0, 0]);
    assert_wrong(&inside);
    // Wider than the collation needs, all of them.
    assert_wrong(
        &insides(7)
            .into_iter()
            .map(|one| [one, vec![0; 2]].concat())
            .collect::<Vec<_>>(),
    );
}

/// Every three of seven chunks of a false code, and all of them, give the same answer.
fn assert_wrong(inside: &[Vec<u8>]) {
    let (coding, chunks) = false_code(inside, 3);
    for taken in 0_u16..128 {
        let indices: Vec<u16> = (0..7).filter(|index| taken >> index & 1 == 1).collect();
        if indices.len() < 3 {
            continue;
        }
        let some = checked(&coding, &chunks, &indices);
        assert_eq!(
            restore(&coding, &some),
            Err(RestoreError::WrongCoding),
            "{indices:?}"
        );
    }
}

#[test]
fn the_false_codes_of_these_tests_are_right_if_nothing_is_false() {
    let (coding, chunks) = false_code(&insides(7), 3);
    assert_eq!(coding.root, cut_for(7).0.root);
    let some = checked(&coding, &chunks, &[6, 0, 4]);
    assert_eq!(*restore(&coding, &some).unwrap(), *COLLATION);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_enough_of_any_number_restore(
        collation in prop::collection::vec(any::<u8>(), 0..3_000),
        (validators, order) in (1_u16..=100).prop_flat_map(|validators| {
            let all: Vec<u16> = (0..validators).collect();
            (Just(validators), Just(all).prop_shuffle())
        }),
        more: prop::sample::Index,
    ) {
        let (coding, chunks) = cut(&collation, validators, 1).unwrap();
        let minimum = usize::from(coding.minimum);
        let count = minimum + more.index(order.len() - minimum + 1);
        let some = checked(&coding, &chunks, &order[..count]);
        prop_assert_eq!(&restore(&coding, &some).unwrap()[..], &collation[..]);
        let few = checked(&coding, &chunks, &order[..minimum - 1]);
        let is_too_few = matches!(restore(&coding, &few), Err(RestoreError::TooFew { .. }));
        prop_assert!(is_too_few);
    }

    #[test]
    fn no_flipped_bit_of_a_chunk_is_taken(
        validators in 1_u16..=20,
        of: prop::sample::Index,
        at: prop::sample::Index,
        bit in 0..8_u32,
    ) {
        let (coding, chunks) = cut_for(validators);
        let of = of.index(chunks.len());
        let mut encoded = chunks[of].encode().to_vec();
        *at.get_mut(&mut encoded[..]) ^= 1 << bit;
        let index = u16::try_from(of).unwrap();
        if let Ok(read) = Chunk::decode_cfg(Copying(encoded.as_slice()), &coding) {
            prop_assert_eq!(read.check(&coding, index).unwrap_err(), ChunkError::Proof(index));
        }
    }

    #[test]
    fn no_bytes_make_a_chunk_panic(validators in 1_u16..=256, bytes: Vec<u8>) {
        let (coding, _) = cut_for(validators);
        if let Ok(read) = Chunk::decode_cfg(Copying(bytes.as_slice()), &coding) {
            prop_assert!(read.check(&coding, 0).is_err());
        }
    }

    #[test]
    fn false_codes_are_judged_alike(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 8), 7),
        left in prop::sample::subsequence(vec![0_u16, 1, 2, 3, 4, 5, 6], 3),
        right in prop::sample::subsequence(vec![0_u16, 1, 2, 3, 4, 5, 6], 3..=7),
    ) {
        let (coding, chunks) = false_code(&pieces, 3);
        let [left, right] = [left, right].map(|indices| {
            restore(&coding, &checked(&coding, &chunks, &indices))
        });
        prop_assert_eq!(left, right);
    }
}
