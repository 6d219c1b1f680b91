//! What is read at all, and answers that come late.

use super::*;
use crate::{
    allowance::BURST_SECONDS,
    relay::{
        Placed,
        config::{RECEIVED_BYTES_PER_SECOND, UNASKED_MAX},
        exchange::Lie,
    },
};
use commonware_codec::Encode as _;

/// Whether a message is read, and what it led to before.
fn admits(exchange: &mut Exchange<Table>, from: u64, message: &[u8]) -> (bool, Vec<Effect>) {
    let is_read = exchange.admits(&peer(from), message, START);
    (is_read, exchange.take_effects())
}

fn answer(block: &Block, indices: &[u16]) -> Message {
    let digest = block.digest();
    let place = |index: &u16| Placed {
        index: *index,
        transaction: block.transactions()[usize::from(*index)].clone(),
    };
    let placed = indices.iter().map(place).collect();
    Message::Transactions { digest, placed }
}

#[test]
fn answers_to_no_question_are_not_read_and_cost_the_connection() {
    let block = block(0, 40);
    let garbage = [&answer(&block, &[]).encode()[..33], &[0xff; 5_000]].concat();
    let bodies = [
        answer(&block, &[0, 1]).encode().to_vec(),
        Message::Whole(block).encode().to_vec(),
        garbage,
    ];
    for body in bodies {
        let mut exchange = exchange(Table::default());
        for _ in 0..UNASKED_MAX {
            let (is_read, effects) = admits(&mut exchange, 3, &body);
            assert!(!is_read && effects.is_empty(), "{effects:?}");
        }
        let (is_read, effects) = admits(&mut exchange, 3, &body);
        let is_banned =
            matches!(&effects[..], [Effect::Ban(banned, Lie::Unasked)] if *banned == peer(3));
        assert!(!is_read && is_banned, "{effects:?}");
        let (is_read, effects) = admits(&mut exchange, 4, &body);
        assert!(!is_read && effects.is_empty(), "each is blamed for its own");
    }
}

#[test]
fn one_answer_to_one_question_is_read() {
    let block = block(0, 9);
    let mut exchange = exchange(Table::of(&block.transactions()[1..]));
    require_sent(&receive(&mut exchange, 0, compact(&block)), 0);
    let answer = answer(&block, &[0]).encode();
    assert!(!admits(&mut exchange, 1, &answer).0, "another was asked");
    assert!(admits(&mut exchange, 0, &answer).0);
    assert!(!admits(&mut exchange, 0, &answer).0, "it has answered");
}

#[test]
fn a_late_answer_is_no_offence_and_is_read_only_if_it_is_of_use() {
    let block = block(7, 9);
    let (digest, transactions) = (block.digest(), block.transactions());
    for is_whole in [false, true] {
        let mut exchange = exchange(Table::of(&transactions[1..]));
        for _ in 0..2 * UNASKED_MAX {
            exchange.source = Table::of(&transactions[1..]);
            require_sent(&receive(&mut exchange, 3, compact(&block)), 3);
            // Gossip brings what it was asked for, and it gives up its question.
            exchange.source = Table::of(transactions);
            let effects = tick(&mut exchange, START + ANSWER_TIMEOUT);
            require_ready(&effects, &block, Origin::Rebuilt);
            exchange.cache = Default::default();
        }
        for _ in 0..2 * UNASKED_MAX {
            let late = match is_whole {
                false => answer(&block, &[0]),
                true => Message::Whole(block.clone()),
            };
            let (is_read, effects) = admits(&mut exchange, 3, &late.encode());
            assert_eq!(is_read, is_whole, "a whole block may be new");
            assert!(effects.is_empty(), "{effects:?}");
        }
        let request = Message::GetWhole { digest };
        assert!(admits(&mut exchange, 3, &request.encode()).0);
    }
}

#[test]
fn a_small_block_needs_no_question() {
    let small = block_of(0, vec![transaction(0, 500)]);
    let mut exchange = exchange(Table::default());
    let whole = Message::Whole(small).encode();
    for _ in 0..2 * UNASKED_MAX {
        assert!(admits(&mut exchange, 3, &whole).0);
    }
}

#[test]
fn a_peer_is_read_so_many_bytes_a_second() {
    let mut exchange = exchange(Table::default());
    let message = vec![0; 500_000];
    let most = RECEIVED_BYTES_PER_SECOND * BURST_SECONDS / message.len();
    let read = (0..2 * most).filter(|_| admits(&mut exchange, 3, &message).0);
    assert_eq!(read.count(), most);
    assert!(admits(&mut exchange, 4, &message).0);
    let later = START + Duration::from_secs(1);
    assert!(exchange.admits(&peer(3), &message, later));
}

#[test]
fn a_slow_leader_is_not_forgotten_for_one_that_stands_by() {
    let block = block(7, 9);
    let mut exchange = exchange(Table::of(&block.transactions()[1..]));
    require_sent(&receive(&mut exchange, 7, compact(&block)), 7);
    assert!(receive(&mut exchange, 3, compact(&block)).is_empty());
    let later = START + ANSWER_TIMEOUT;
    require_sent(&tick(&mut exchange, later), 3);
    let answer = answer(&block, &[0]);
    assert!(exchange.admits(&peer(7), &answer.encode(), later));
    let effects = receive_at(&mut exchange, 7, answer, later);
    require_ready(&effects, &block, Origin::Rebuilt);
    assert_eq!(exchange.rebuilds.len(), 0);
}

#[test]
fn who_was_late_and_sends_the_block_again_is_asked_again() {
    let block = block(7, 9);
    let mut exchange = exchange(Table::of(&block.transactions()[1..]));
    require_sent(&receive(&mut exchange, 7, compact(&block)), 7);
    assert!(receive(&mut exchange, 3, compact(&block)).is_empty());
    let mut now = START;
    while exchange.next_deadline().is_some() {
        now += ANSWER_TIMEOUT;
        tick(&mut exchange, now);
    }
    require_sent(&receive_at(&mut exchange, 7, compact(&block), now), 7);
    let again = receive_at(&mut exchange, 3, compact(&block), now);
    assert!(again.is_empty(), "the leader is asked first");
}
