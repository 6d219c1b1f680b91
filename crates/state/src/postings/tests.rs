//! The index against a plain list, across batches, merges and restarts.

use super::*;
use crate::disk::MemoryDisk;
use proptest::prelude::*;
use std::collections::BTreeSet;

const GENESIS: B256 = B256::repeat_byte(7);

fn open(disk: &MemoryDisk) -> Postings {
    Postings::open(&Location::Memory(disk.clone()), GENESIS, 1).unwrap()
}

fn account(number: u8) -> PostingKey {
    PostingKey::Account(Address::with_last_byte(number))
}

/// What each of some heights adds: a key and a transaction.
type Height = Vec<(u8, u32)>;

fn heights() -> impl Strategy<Value = Vec<Height>> {
    let posting = (
        0..4_u8,
        prop_oneof![0..4_u32, Just(u32::MAX), 100..70_000_u32],
    );
    prop::collection::vec(prop::collection::vec(posting, 0..6), 1..60)
}

/// The same postings as a list, and appended in batches of these lengths.
fn append(postings: &Postings, heights: &[Height], batches: &[usize]) -> BTreeSet<(u8, u64, u32)> {
    let mut all = BTreeSet::new();
    let mut lengths = batches.iter().cycle();
    let mut rest = heights;
    while !rest.is_empty() {
        let length = (*lengths.next().unwrap()).min(rest.len());
        let (now, later) = rest.split_at(length);
        rest = later;
        let mut batch = PostingsBatch::default();
        let first = postings.next_height();
        for (height, added) in (first..).zip(now) {
            for (key, transaction) in added {
                batch.add(account(*key), (height, *transaction));
                all.insert((*key, height, *transaction));
            }
        }
        postings.append(batch, first + length as u64 - 1).unwrap();
    }
    all
}

proptest! {
    #[test]
    fn finds_what_a_list_finds(
        heights in heights(),
        batches in prop::collection::vec(1..9_usize, 1..5),
        range in (0..70_u64, 0..70_u64),
        up_to in (0..70_u64, prop_oneof![0..5_u32, Just(u32::MAX)]),
        count_max in 0..20_usize,
    ) {
        let disk = MemoryDisk::default();
        let postings = open(&disk);
        let all = append(&postings, &heights, &batches);
        drop(postings);
        let postings = open(&disk);
        prop_assert_eq!(postings.next_height(), 1 + heights.len() as u64);
        for key in 0..5 {
            let of_key = all.iter().filter(|posting| posting.0 == key);
            let places: Vec<TransactionLocation> =
                of_key.map(|(_, height, transaction)| (*height, *transaction)).collect();
            let within = places.iter().filter(|place| (range.0..=range.1).contains(&place.0));
            let expected: BTreeSet<u64> = within.clone().map(|place| place.0).collect();
            let mut budget = within.count();
            let found = postings.heights(&account(key), range.0..=range.1, &mut budget).unwrap();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(budget, 0);
            let older = places.iter().rev().filter(|place| **place <= up_to).take(count_max);
            let newest = postings.newest(&account(key), up_to, count_max).unwrap();
            prop_assert_eq!(newest, older.copied().collect::<Vec<_>>());
        }
    }
}

#[test]
fn kinds_and_positions_are_apart() {
    let disk = MemoryDisk::default();
    let postings = open(&disk);
    let address = Address::with_last_byte(1);
    let keys = [
        PostingKey::Account(address),
        PostingKey::Emitter(address),
        PostingKey::Topic(0, address.into_word()),
        PostingKey::Topic(3, address.into_word()),
    ];
    let mut batch = PostingsBatch::default();
    for (transaction, key) in (0..).zip(keys) {
        batch.add(key, (5, transaction));
    }
    postings.append(batch, 9).unwrap();
    for (transaction, key) in (0..).zip(keys) {
        let found = postings.newest(&key, (9, 0), 2).unwrap();
        assert_eq!(found, [(5, transaction)]);
    }
    let other = PostingKey::Topic(1, address.into_word());
    assert!(postings.newest(&other, (9, 0), 2).unwrap().is_empty());
}

#[test]
fn heights_come_in_order_and_not_too_many_at_once() {
    let disk = MemoryDisk::default();
    let postings = open(&disk);
    let mut batch = PostingsBatch::default();
    batch.add(account(1), (3, 0));
    for (last, what) in [
        (0, "nothing new"),
        (2, "a posting above"),
        (1 + SPAN_MAX, "too many"),
    ] {
        let refused = postings.append(batch.clone(), last);
        assert!(
            matches!(refused, Err(PostingsError::Heights { .. })),
            "{what}"
        );
    }
    postings.append(batch.clone(), SPAN_MAX).unwrap();
    let again = postings.append(batch, 2 * SPAN_MAX);
    assert!(
        matches!(again, Err(PostingsError::Heights { .. })),
        "a posting below"
    );
    assert_eq!(postings.next_height(), SPAN_MAX + 1);
    // At the far end of its row, and looked for from its own height.
    assert_eq!(postings.heights(&account(1), 3..=3, &mut 1).unwrap(), [3]);
    let poor = postings.heights(&account(1), 3..=3, &mut 0);
    assert!(matches!(poor, Err(PostingsError::TooMany)));
}

#[test]
fn files_of_another_chain_are_made_anew() {
    let disk = MemoryDisk::default();
    let postings = open(&disk);
    append(&postings, &[vec![(1, 1)]], &[1]);
    drop(postings);
    let location = Location::Memory(disk);
    let other = Postings::open(&location, B256::ZERO, 1).unwrap();
    assert_eq!((other.first_height(), other.next_height()), (1, 1));
    assert!(other.newest(&account(1), (9, 0), 2).unwrap().is_empty());
    drop(other);
    // And those that begin elsewhere: the state came from peers meanwhile.
    let later = Postings::open(&location, B256::ZERO, 40).unwrap();
    assert_eq!((later.first_height(), later.next_height()), (40, 40));
}

#[test]
fn only_one_has_the_files() {
    let disk = MemoryDisk::default();
    let first = open(&disk);
    let second = Postings::open(&Location::Memory(disk.clone()), GENESIS, 1);
    assert!(matches!(second, Err(PostingsError::Locked)));
    drop(first);
    open(&disk);
}

#[test]
fn bytes_that_are_no_row_are_an_error() {
    for value in [
        &[0x80][..],
        &[1, 2, 3],
        &[0xff; 11],
        &[1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    ] {
        assert!(!take_groups(value, &mut Vec::new()), "{value:?}");
    }
}
