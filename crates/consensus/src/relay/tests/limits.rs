//! What a peer cannot exceed, whatever it sends.

use super::*;
use crate::{
    allowance::{Allowance, BURST_SECONDS},
    relay::{
        cache::BlockCache,
        config::{
            ANSWERED_BYTES_PER_SECOND, BLOCKS_PER_PEER_MAX, LOOKUP_BYTES, REBUILDS_MAX,
            REBUILDS_PER_PEER_MAX, REBUILT_BYTES_PER_SECOND,
        },
    },
};
use commonware_codec::EncodeSize as _;
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

#[test]
fn an_endless_asker_is_answered_so_many_bytes_a_second() {
    let block = block_of(0, vec![transaction(0, 100_000); 9]);
    let digest = block.digest();
    let mut exchange = exchange(Table::default());
    exchange.send(&block, Recipients::All);
    exchange.take_effects();
    let seconds = 3;
    let mut answered = 0;
    for request in 0..3_000_u32 {
        let now = START + Duration::from_millis(u64::from(request));
        let message = match request % 2 {
            0 => Message::GetWhole { digest },
            _ => Message::Missing {
                digest,
                indices: (0..9).collect(),
            },
        };
        for effect in receive_at(&mut exchange, 3, message, now) {
            let Effect::Send(Recipients::One(to), answer) = effect else {
                panic!("{effect:?}");
            };
            assert_eq!(to, peer(3));
            answered += answer.encode_size();
        }
    }
    let most = ANSWERED_BYTES_PER_SECOND * (seconds + BURST_SECONDS);
    assert!(
        answered <= most && answered * 10 > most * 9,
        "{answered} of {most}"
    );
    // Nobody else waits for it.
    require_sent(&receive(&mut exchange, 4, Message::GetWhole { digest }), 4);
}

#[test]
fn a_peer_that_makes_others_hash_is_ignored_for_a_while() {
    // Bodies that are all known and never the right ones.
    let transactions: Vec<_> = (0..9).map(|nonce| transaction(nonce, 100_000)).collect();
    let mut exchange = exchange(Table::of(&transactions));
    let first = Compact::new(&block_of(0, transactions.clone()));
    let mut hashed = 0;
    for number in 0..1_000 {
        let mut block = first.clone();
        block.header.timestamp_ms = number;
        block.header.body_digest = B256::ZERO;
        let digest = block.header.digest();
        let name =
            |transaction: &Transaction| crate::relay::Name::new(&transaction.hash(), &digest);
        block.names = transactions.iter().map(name).collect();
        hashed += receive(&mut exchange, 3, Message::Compact(Box::new(block))).len();
    }
    let most = REBUILT_BYTES_PER_SECOND * BURST_SECONDS / 900_000;
    assert!(
        hashed <= most && hashed * 10 > most * 9,
        "{hashed} of {most}"
    );
    let honest = block_of(1, transactions);
    require_ready(
        &receive(&mut exchange, 4, compact(&honest)),
        &honest,
        Origin::Rebuilt,
    );
}

#[test]
fn looking_names_up_is_what_a_peer_spends_too() {
    let mut block = Compact::new(&block(0, 9));
    block.names = vec![block.names[0]; 60_000];
    let mut exchange = exchange(Table::default());
    let mut looked_up = 0;
    for number in 0..100 {
        block.header.timestamp_ms = number;
        let message = Message::Compact(Box::new(block.clone()));
        looked_up += receive(&mut exchange, 3, message).len();
    }
    let most = REBUILT_BYTES_PER_SECOND * BURST_SECONDS / (60_000 * LOOKUP_BYTES);
    assert_eq!(looked_up, most);
}

/// A block of a leader that no other is like.
fn numbered(leader: u64, number: u64) -> Block {
    block_of(
        leader,
        (0..9)
            .map(|nonce| transaction(number * 9 + nonce, 100))
            .collect(),
    )
}

#[test]
fn a_peer_has_few_rebuilds_and_the_newest_win() {
    let mut exchange = exchange(Table::default());
    for number in 0..20 {
        receive(&mut exchange, 3, compact(&numbered(3, number)));
        assert!(exchange.rebuilds.len() <= REBUILDS_PER_PEER_MAX);
    }
    for number in 0..20 {
        let key = (peer(3), numbered(3, number).digest());
        let is_kept = exchange.rebuilds.get(&key).is_some();
        assert_eq!(is_kept, number >= 20 - REBUILDS_PER_PEER_MAX as u64);
    }
}

#[test]
fn in_all_there_are_not_many_and_who_has_few_keeps_them() {
    let mut exchange = exchange(Table::default());
    let peers = REBUILDS_MAX as u64 / REBUILDS_PER_PEER_MAX as u64 + 10;
    let honest = numbered(0, 0);
    receive(&mut exchange, 1_000, compact(&honest));
    for liar in 0..peers {
        for number in 0..REBUILDS_PER_PEER_MAX as u64 {
            receive(
                &mut exchange,
                liar,
                compact(&numbered(1, 1 + liar * 9 + number)),
            );
            assert!(exchange.rebuilds.len() <= REBUILDS_MAX);
        }
    }
    assert_eq!(exchange.rebuilds.len(), REBUILDS_MAX);
    let key = (peer(1_000), honest.digest());
    assert!(exchange.rebuilds.get(&key).is_some(), "it has one only");
}

#[test]
fn when_the_one_that_is_asked_is_pushed_out_the_next_one_is_asked() {
    let block = block(7, 5);
    let mut exchange = exchange(Table::of(&block.transactions()[1..]));
    require_sent(&receive(&mut exchange, 3, compact(&block)), 3);
    assert!(receive(&mut exchange, 4, compact(&block)).is_empty());
    for number in 1..REBUILDS_PER_PEER_MAX as u64 {
        require_sent(&receive(&mut exchange, 3, compact(&numbered(3, number))), 3);
    }
    let effects = receive(&mut exchange, 3, compact(&numbered(3, 100)));
    require_sent(&effects[..1], 3);
    require_sent(&effects[1..], 4);
}

#[test]
fn a_peer_that_is_no_validator_is_heard_and_not_kept() {
    let block = block(0, 5);
    let mut exchange = exchange(Table::of(block.transactions()));
    let effects = receive(&mut exchange, 1_000, compact(&block));
    require_ready(&effects, &block, Origin::Rebuilt);
    assert_eq!(exchange.cache.len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against the definition: the newest blocks of each validator.
    #[test]
    fn the_cache_holds_the_newest_of_each_validator(
        sent in prop::collection::vec((0_u64..4, 0_u64..40), 0..200),
        validators in 1_u64..5,
    ) {
        let blocks: Vec<_> = (0..40).map(|number| numbered(0, number)).collect();
        let mut cache = BlockCache::default();
        cache.follow(Set::from_iter_dedup((0..validators).map(peer)));
        let mut model: BTreeMap<u64, VecDeque<BlockDigest>> = BTreeMap::new();
        for (from, number) in sent {
            let block = &blocks[usize::try_from(number).unwrap()];
            cache.insert(&peer(from), block);
            let newest = model.entry(from).or_default();
            newest.retain(|digest| *digest != block.digest());
            newest.push_front(block.digest());
            newest.truncate(BLOCKS_PER_PEER_MAX);
        }
        let require = |cache: &BlockCache, validators: u64| {
            let held: BTreeSet<_> = model.range(..validators).flat_map(|(_, newest)| newest).collect();
            let is_right = blocks.iter().all(|block| {
                let expected = held.contains(&block.digest()).then_some(block);
                cache.get(&block.digest()) == expected
            });
            is_right && cache.len() == held.len()
        };
        prop_assert!(require(&cache, validators));
        cache.follow(Set::from_iter_dedup((0..validators - 1).map(peer)));
        prop_assert!(require(&cache, validators - 1));
    }

    /// In no span of time is more spent than it refills and a burst; and what was refilled can be spent.
    #[test]
    fn an_allowance_comes_back_with_time(
        steps in prop::collection::vec((0_u64..3_000, 0_usize..5_000), 1..50),
    ) {
        const RATE: usize = 1_000;
        let mut allowance = Allowance::new(RATE, START);
        let mut now = START;
        let mut spent: Vec<(SystemTime, usize)> = Vec::new();
        for (wait_ms, bytes) in steps {
            now += Duration::from_millis(wait_ms);
            let may = allowance.spend(bytes, now);
            let left = |from: SystemTime| {
                let elapsed = usize::try_from(now.duration_since(from).unwrap().as_millis()).unwrap();
                let spent = spent.iter().filter(|(at, _)| *at >= from);
                let spent: usize = spent.map(|(_, bytes)| bytes).sum();
                (RATE * BURST_SECONDS + elapsed).saturating_sub(spent)
            };
            let starts = spent.iter().map(|(at, _)| *at).chain([now]);
            let least = starts.map(left).min().unwrap();
            prop_assert_eq!(may, bytes <= least, "{} of {}", bytes, least);
            if may {
                spent.push((now, bytes));
            }
        }
    }
}
