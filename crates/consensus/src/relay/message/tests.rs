//! One message, one encoding; and whatever bytes arrive, an error or a message.

use super::*;
use crate::relay::tests::{LIMITS, block, transaction};
use commonware_codec::{Copying, Decode as _, Encode as _};
use proptest::{prelude::*, sample::subsequence};

fn decode(bytes: &[u8]) -> Result<Message, Error> {
    Message::decode_cfg(Copying(bytes), &LIMITS)
}

fn placed(block: &Block, indices: &[u16]) -> Vec<Placed> {
    let place = |index: &u16| Placed {
        index: *index,
        transaction: block.transactions()[usize::from(*index)].clone(),
    };
    indices.iter().map(place).collect()
}

/// Messages of every kind about blocks of every size.
fn message() -> impl Strategy<Value = Message> {
    let parts = (1_u16..20, any::<u8>()).prop_flat_map(|(count, kind)| {
        let some = subsequence((0..count).collect::<Vec<_>>(), 0..=usize::from(count));
        (Just(count), Just(kind), some)
    });
    parts.prop_map(|(count, kind, indices)| {
        let block = block(0, u64::from(count));
        let digest = block.digest();
        match kind % 5 {
            0 => {
                let mut compact = Compact::new(&block);
                compact.placed = placed(&block, &indices);
                Message::Compact(Box::new(compact))
            }
            1 => Message::Missing { digest, indices },
            2 => {
                let placed = placed(&block, &indices);
                Message::Transactions { digest, placed }
            }
            3 => Message::GetWhole { digest },
            _ => Message::Whole(block),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_message_reads_back_as_it_was_written(message in message()) {
        let bytes = message.encode();
        prop_assert_eq!(bytes.len(), message.encode_size());
        prop_assert_eq!(decode(&bytes).unwrap(), message);
    }

    #[test]
    fn no_part_of_a_message_is_one(message in message()) {
        let bytes = message.encode();
        for length in 0..bytes.len() {
            prop_assert!(decode(&bytes[..length]).is_err(), "length={}", length);
        }
        let longer = [bytes.as_ref(), &[0]].concat();
        prop_assert!(decode(&longer).is_err());
    }

    #[test]
    fn damaged_bytes_are_an_error_or_the_one_encoding_of_a_message(
        message in message(),
        position: prop::sample::Index,
        flip in 1_u8..,
    ) {
        let mut bytes = message.encode().to_vec();
        let position = position.index(bytes.len());
        bytes[position] ^= flip;
        if let Ok(read) = decode(&bytes) {
            prop_assert_eq!(read.encode().to_vec(), bytes);
        }
    }

    #[test]
    fn garbage_is_refused_or_a_message(garbage: Vec<u8>) {
        let _any = decode(&garbage);
    }

    #[test]
    fn a_name_says_something_of_the_hash_that_is_not_in_the_short_id(
        hash: [u8; 32],
        other: [u8; 24],
        digests: [[u8; 32]; 64],
    ) {
        let hash = B256::from(hash);
        let mut twin = hash;
        twin[SHORT_BYTES..].copy_from_slice(&other);
        prop_assume!(other[..] != hash[SHORT_BYTES..]);
        let (mut alike, mut marks) = (0, std::collections::BTreeSet::new());
        for digest in digests.map(BlockDigest::from) {
            let name = Name::new(&hash, &digest);
            prop_assert!(name.names(&hash, &digest));
            prop_assert_eq!(name.short(), short_id(&hash));
            prop_assert!(hash[SHORT_BYTES..].windows(MARK_BYTES).any(|bytes| bytes == name.mark));
            alike += u32::from(name.names(&twin, &digest));
            marks.insert(name.mark);
        }
        prop_assert!(alike < 8, "twins are told apart in {} of 64 blocks", 64 - alike);
        prop_assert!(marks.len() > 8, "the place depends on the block");
    }
}

#[test]
fn indices_that_do_not_rise_are_refused() {
    let block = block(0, 3);
    let digest = block.digest();
    for indices in [vec![1, 0], vec![1, 1], vec![0, 2, 1]] {
        let mut rising = indices.clone();
        rising.sort_unstable();
        rising.dedup();
        let asked = Message::Missing {
            digest,
            indices: indices.clone(),
        };
        assert!(decode(&asked.encode()).is_err(), "{indices:?}");
        let answer = |indices: &[u16]| Message::Transactions {
            digest,
            placed: placed(&block, indices),
        };
        assert!(decode(&answer(&indices).encode()).is_err(), "{indices:?}");
        assert!(decode(&answer(&rising).encode()).is_ok(), "{rising:?}");
    }
}

#[test]
fn counts_are_bounded_and_nothing_is_reserved_for_what_is_not_there() {
    let mut compact = Compact::new(&block(0, 1));
    let name = compact.names[0];
    compact.names = vec![name; BLOCK_TRANSACTIONS_MAX];
    let largest = Message::Compact(Box::new(compact.clone())).encode();
    assert!(decode(&largest).is_ok());
    assert!(largest.len() <= crate::relay::config::message_bytes_max(&LIMITS));
    compact.names.push(name);
    assert!(decode(&Message::Compact(Box::new(compact)).encode()).is_err());
    let mut bytes = vec![1];
    bytes.extend_from_slice(block(0, 1).digest().as_ref());
    bytes.extend_from_slice(&60_000_u32.to_be_bytes());
    assert!(matches!(decode(&bytes), Err(Error::EndOfBuffer)));
}

#[test]
fn a_block_of_the_largest_size_fits_into_every_message() {
    let transactions: Vec<_> = (0..u64::MAX)
        .map(|nonce| transaction(nonce, 0))
        .take(400)
        .collect();
    let block = crate::relay::tests::block_of(0, transactions);
    let limits = BlockLimits {
        body_bytes_max: u32::try_from(block.body_size()).unwrap(),
        ..LIMITS
    };
    let indices: Vec<_> = (0..400).collect();
    let (digest, placed) = (block.digest(), placed(&block, &indices));
    let max = crate::relay::config::message_bytes_max(&limits);
    assert!(Message::Transactions { digest, placed }.encode_size() <= max);
    assert!(Message::Whole(block).encode_size() <= max);
}
