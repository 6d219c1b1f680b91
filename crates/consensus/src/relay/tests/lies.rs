//! Who is banned, and that a lie costs nobody else anything.

use super::*;
use crate::relay::{Placed, exchange::Lie};

fn require_banned(effects: &[Effect], liar: u64, is_lie: impl Fn(Lie) -> bool) {
    let is_banned =
        matches!(effects, [Effect::Ban(banned, lie), ..] if *banned == peer(liar) && is_lie(*lie));
    assert!(is_banned, "{effects:?}");
}

/// A compact block with the names of another one under its header.
fn false_compact(block: &Block, names: impl FnOnce(&mut Compact)) -> Message {
    let mut compact = Compact::new(block);
    names(&mut compact);
    Message::Compact(Box::new(compact))
}

/// Every way to name other transactions than the header commits to, whose transactions are all known.
fn false_compacts(block: &Block) -> Vec<Message> {
    vec![
        false_compact(block, |compact| compact.names.reverse()),
        false_compact(block, |compact| compact.names.truncate(4)),
        false_compact(block, |compact| compact.names.push(compact.names[0])),
        false_compact(block, |compact| compact.names[1] = compact.names[0]),
        false_compact(block, |compact| compact.names.clear()),
        false_compact(block, |compact| compact.directives.clear()),
    ]
}

#[test]
fn false_names_are_seen_once_the_block_is_known() {
    let block = block(0, 5);
    for lie in false_compacts(&block) {
        let mut exchange = exchange(Table::of(block.transactions()));
        let digest = block.digest();
        let request = require_sent(&receive(&mut exchange, 3, lie), 3);
        assert_eq!(
            request,
            Message::GetWhole { digest },
            "the whole block decides"
        );
        let effects = receive(&mut exchange, 0, compact(&block));
        assert!(matches!(&effects[0], Effect::Ready(ready, Origin::Rebuilt) if *ready == block));
        require_banned(&effects[1..], 3, |lie| {
            matches!(lie, Lie::Names { height: 9 })
        });
        assert_eq!(effects.len(), 2);
        assert_eq!(exchange.rebuilds.len(), 0);
    }
}

#[test]
fn a_liar_that_is_first_delays_nobody() {
    let block = block(0, 5);
    let mut exchange = exchange(Table::of(&block.transactions()[1..]));
    let lie = false_compact(&block, |compact| compact.names.reverse());
    require_sent(&receive(&mut exchange, 3, lie), 3);
    // Neither the leader nor the one that is asked: but it names others.
    let request = require_sent(&receive(&mut exchange, 4, compact(&block)), 4);
    assert!(matches!(request, Message::Missing { .. }));
}

#[test]
fn who_says_two_things_of_one_block_lies() {
    let block = block(0, 5);
    for lie in false_compacts(&block) {
        let mut exchange = exchange(Table::of(&block.transactions()[1..]));
        require_sent(&receive(&mut exchange, 3, compact(&block)), 3);
        assert!(receive(&mut exchange, 3, compact(&block)).is_empty());
        require_banned(&receive(&mut exchange, 3, lie), 3, |lie| {
            lie == Lie::Contradiction
        });
        assert_eq!(exchange.rebuilds.len(), 0);
        require_sent(&receive(&mut exchange, 4, compact(&block)), 4);
    }
}

#[test]
fn another_transaction_than_the_one_that_was_named_is_a_lie() {
    let block = block(0, 5);
    let (digest, transactions) = (block.digest(), block.transactions());
    let lies = [
        (0, transaction(100, 0)),
        (0, transactions[1].clone()),
        (5, transactions[0].clone()),
        (u16::MAX, transactions[0].clone()),
    ];
    for (index, transaction) in lies {
        let placed = vec![Placed { index, transaction }];
        let mut exchange = exchange(Table::of(&transactions[1..]));
        require_sent(&receive(&mut exchange, 3, compact(&block)), 3);
        receive(&mut exchange, 4, compact(&block));
        let answer = Message::Transactions {
            digest,
            placed: placed.clone(),
        };
        let effects = receive(&mut exchange, 3, answer);
        require_banned(&effects, 3, |lie| matches!(lie, Lie::Other(_)));
        require_sent(&effects[1..], 4);
        let with = false_compact(&block, |compact| compact.placed = placed);
        let effects = receive(&mut exchange, 5, with);
        require_banned(&effects, 5, |lie| matches!(lie, Lie::Other(_)));
    }
}

#[test]
fn only_a_part_of_what_was_asked_for_is_no_lie_and_no_answer() {
    let block = block(0, 6);
    let (digest, transactions) = (block.digest(), block.transactions());
    let mut exchange = exchange(Table::of(&transactions[2..]));
    let place = |index: u16| Placed {
        index,
        transaction: transactions[usize::from(index)].clone(),
    };
    let answer = |placed| Message::Transactions { digest, placed };
    require_sent(&receive(&mut exchange, 0, compact(&block)), 0);
    assert!(receive(&mut exchange, 0, answer(vec![])).is_empty());
    assert!(receive(&mut exchange, 0, answer(vec![place(1)])).is_empty());
    // From somebody who was not asked, and of a block that nobody knows.
    assert!(receive(&mut exchange, 1, answer(vec![place(0)])).is_empty());
    let effects = receive(&mut exchange, 0, answer(vec![place(0)]));
    require_ready(&effects, &block, Origin::Rebuilt);
    assert!(receive(&mut exchange, 0, answer(vec![place(0)])).is_empty());
}

#[test]
fn an_index_that_the_block_does_not_have_is_a_lie() {
    let block = block(0, 5);
    let digest = block.digest();
    let mut exchange = exchange(Table::default());
    exchange.send(&block, Recipients::All);
    exchange.take_effects();
    let ask = |indices| Message::Missing { digest, indices };
    require_sent(&receive(&mut exchange, 3, ask(vec![4])), 3);
    let effects = receive(&mut exchange, 3, ask(vec![4, 5]));
    require_banned(&effects, 3, |lie| lie == Lie::Index { index: 5 });
    let digest = super::block(1, 5).digest();
    let indices = vec![7];
    let unknown = Message::Missing { digest, indices };
    assert!(receive(&mut exchange, 3, unknown).is_empty());
}

#[test]
fn an_honest_sender_of_names_that_lead_elsewhere_is_asked_for_the_block_and_not_banned() {
    // A wrong transaction that even the names can't tell apart: the source claims the hash of another one.
    let block = block(0, 5);
    let digest = block.digest();
    let mut header = block.header().clone();
    header.body_digest = B256::repeat_byte(7);
    let mut exchange = exchange(Table::of(block.transactions()));
    let mut unjoinable = Compact::new(&block);
    unjoinable.header = header;
    let wrong = unjoinable.header.digest();
    unjoinable.names = block
        .transactions()
        .iter()
        .map(|transaction| crate::relay::Name::new(&transaction.hash(), &wrong))
        .collect();
    let request = require_sent(
        &receive(&mut exchange, 3, Message::Compact(Box::new(unjoinable))),
        3,
    );
    assert_eq!(request, Message::GetWhole { digest: wrong });
    // A late answer to an earlier question.
    let placed = vec![Placed {
        index: 0,
        transaction: block.transactions()[0].clone(),
    }];
    let late = Message::Transactions {
        digest: wrong,
        placed,
    };
    // Its name is right, so that it is neither a lie nor of use.
    assert!(receive(&mut exchange, 3, late).is_empty());
    assert_ne!(wrong, digest);
    let later = START + ANSWER_TIMEOUT;
    assert!(matches!(
        tick(&mut exchange, later)[..],
        [Effect::GaveUp(_)]
    ));
}
