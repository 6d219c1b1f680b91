//! The exchange alone: what each message leads to, what a lie costs whom, and networks of exchanges under random
//! schedules.

mod lies;
mod limits;
mod network;
mod unasked;

use super::{
    config::ANSWER_TIMEOUT,
    exchange::{Effect, Exchange, Origin},
    message::{Compact, Message},
    source::BodySource,
};
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Signature, U256};
use commonware_consensus::types::{Epoch, Round, View};
use commonware_cryptography::{Digest as _, Signer as _};
use commonware_p2p::Recipients;
use commonware_utils::ordered::Set;
use mempool::{Found, ShortId, short_id};
use primitives::{
    Block, BlockLimits, Directive, ExecutedRef, Header, RecoveredTransaction, Transaction,
    crypto::{BlockDigest, PrivateKey, ProposalContext, PublicKey},
    transaction::Envelope,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub(super) const LIMITS: BlockLimits = BlockLimits {
    body_bytes_max: 1 << 20,
    validators: 4,
    section: primitives::shard::SectionLimits::NONE,
};
const START: SystemTime = UNIX_EPOCH;

pub(super) fn transaction(nonce: u64, input_bytes: usize) -> Transaction {
    let unsigned = TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit: 21_000,
        input: vec![7; input_bytes].into(),
        ..TxEip1559::default()
    };
    let signature = Signature::new(U256::from(5), U256::from(6), false);
    let envelope = Envelope::from(unsigned.into_signed(signature));
    Transaction::decode(envelope.encoded_2718()).unwrap()
}

fn recovered(transaction: &Transaction) -> RecoveredTransaction {
    RecoveredTransaction::trusted(transaction.clone(), Address::ZERO)
}

fn peer(index: u64) -> PublicKey {
    PrivateKey::from_seed(index).public_key()
}

/// A block of a leader, with so many transactions of 300 bytes and more.
pub(super) fn block(leader: u64, count: u64) -> Block {
    block_of(
        leader,
        (0..count).map(|nonce| transaction(nonce, 300)).collect(),
    )
}

pub(super) fn block_of(leader: u64, transactions: Vec<Transaction>) -> Block {
    let header = Header {
        context: ProposalContext {
            round: Round::new(Epoch::zero(), View::new(3)),
            leader: peer(leader),
            parent: (View::zero(), BlockDigest::EMPTY),
        },
        height: 9,
        timestamp_ms: 1_234,
        proposer: Address::repeat_byte(1),
        base_fee: 7,
        gas_budget: 30_000_000,
        gas_limits_sum: 0,
        body_digest: B256::ZERO,
        shard_section_digest: B256::ZERO,
        ledger_digest: B256::repeat_byte(2),
        executed: ExecutedRef::genesis(B256::ZERO),
    };
    let directives = vec![Directive::SetNonce(Address::repeat_byte(3), 4)];
    Block::new(header, transactions, directives)
}

/// A pool of a test: several transactions may share a short id.
#[derive(Clone, Debug, Default)]
struct Table {
    known: BTreeMap<ShortId, Vec<RecoveredTransaction>>,
    took: Arc<Mutex<Vec<B256>>>,
}

impl Table {
    fn of<'a>(transactions: impl IntoIterator<Item = &'a Transaction>) -> Self {
        let mut table = Self::default();
        for transaction in transactions {
            table.put(short_id(&transaction.hash()), transaction);
        }
        table
    }

    /// Puts a transaction under a short id that need not be its own.
    fn put(&mut self, id: ShortId, transaction: &Transaction) {
        self.known
            .entry(id)
            .or_default()
            .push(recovered(transaction));
    }
}

impl BodySource for Table {
    fn find(&self, ids: &[ShortId]) -> Vec<Found> {
        let find = |id: &ShortId| match self.known.get(id).map(Vec::as_slice) {
            None | Some([]) => Found::Missing,
            Some([one]) => Found::One(one.clone()),
            Some(_) => Found::Several,
        };
        ids.iter().map(find).collect()
    }

    fn took(&self, transactions: &[RecoveredTransaction]) {
        let hashes = transactions.iter().map(|transaction| transaction.hash());
        self.took.lock().unwrap().extend(hashes);
    }
}

/// The exchange of peer 9, among the validators 0 to 9.
fn exchange(source: Table) -> Exchange<Table> {
    exchange_of(9, source)
}

fn exchange_of(own: u64, source: Table) -> Exchange<Table> {
    let mut exchange = Exchange::new(source, LIMITS, peer(own), ANSWER_TIMEOUT);
    let validators = Set::from_iter_dedup((0..10).map(peer));
    exchange.follow(validators, &Set::default());
    exchange
}

fn compact(block: &Block) -> Message {
    Message::Compact(Box::new(Compact::new(block)))
}

/// What one message leads to.
fn receive(exchange: &mut Exchange<Table>, from: u64, message: Message) -> Vec<Effect> {
    receive_at(exchange, from, message, START)
}

fn receive_at(
    exchange: &mut Exchange<Table>,
    from: u64,
    message: Message,
    now: SystemTime,
) -> Vec<Effect> {
    exchange.receive(&peer(from), message, now);
    exchange.take_effects()
}

fn tick(exchange: &mut Exchange<Table>, now: SystemTime) -> Vec<Effect> {
    exchange.tick(now);
    exchange.take_effects()
}

/// That one effect, and no other, is a block that is ready.
fn require_ready(effects: &[Effect], block: &Block, origin: Origin) {
    let is_ready =
        matches!(effects, [Effect::Ready(ready, from)] if ready == block && *from == origin);
    assert!(is_ready, "{effects:?}");
}

/// The message that one effect, and no other, sends to one peer.
fn require_sent(effects: &[Effect], to: u64) -> Message {
    match effects {
        [Effect::Send(Recipients::One(peer), message)] if *peer == self::peer(to) => {
            message.clone()
        }
        _ => panic!("{effects:?}"),
    }
}

#[test]
fn a_block_whose_transactions_are_in_the_pool_is_rebuilt_at_once() {
    let block = block(0, 5);
    let source = Table::of(block.transactions());
    let took = Arc::clone(&source.took);
    let mut exchange = exchange(source);
    let effects = receive(&mut exchange, 0, compact(&block));
    require_ready(&effects, &block, Origin::Rebuilt);
    let hashes: Vec<_> = block.transactions().iter().map(Transaction::hash).collect();
    assert_eq!(*took.lock().unwrap(), hashes, "their senders are renewed");
    assert_eq!(exchange.cache.get(&block.digest()), Some(&block));
    assert_eq!(exchange.rebuilds.len(), 0);
    let again = receive(&mut exchange, 1, compact(&block));
    assert!(again.is_empty(), "{again:?}");
}

#[test]
fn what_the_pool_lacks_is_asked_of_the_sender() {
    let block = block(0, 5);
    let (digest, transactions) = (block.digest(), block.transactions());
    let mut receiver = exchange(Table::of([
        &transactions[0],
        &transactions[2],
        &transactions[3],
    ]));
    let mut sender = exchange_of(0, Table::default());
    sender.send(&block, Recipients::All);
    let sent = sender.take_effects();
    let [Effect::Send(Recipients::All, message)] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    let request = require_sent(&receive(&mut receiver, 0, message.clone()), 0);
    let indices = vec![1, 4];
    assert_eq!(request, Message::Missing { digest, indices });
    let answer = require_sent(&receive(&mut sender, 9, request), 9);
    let effects = receive(&mut receiver, 0, answer);
    require_ready(&effects, &block, Origin::Rebuilt);
}

#[test]
fn what_comes_with_a_compact_block_is_not_asked_for() {
    let block = block(0, 3);
    let transactions = block.transactions();
    let mut exchange = exchange(Table::of(&transactions[1..]));
    let mut compact = Compact::new(&block);
    let transaction = transactions[0].clone();
    compact.placed = vec![super::Placed {
        index: 0,
        transaction,
    }];
    let effects = receive(&mut exchange, 0, Message::Compact(Box::new(compact)));
    require_ready(&effects, &block, Origin::Rebuilt);
}

#[test]
fn an_empty_pool_takes_the_whole_block() {
    let block = block(0, 5);
    let mut exchange = exchange(Table::default());
    let digest = block.digest();
    let request = require_sent(&receive(&mut exchange, 0, compact(&block)), 0);
    assert_eq!(request, Message::GetWhole { digest });
    let effects = receive(&mut exchange, 0, Message::Whole(block.clone()));
    require_ready(&effects, &block, Origin::Whole);
}

#[test]
fn a_small_body_is_sent_whole() {
    for (block, is_whole) in [
        (block_of(0, Vec::new()), true),
        (block(0, 1), true),
        (block(0, 9), false),
    ] {
        let mut exchange = exchange(Table::default());
        exchange.send(&block, Recipients::All);
        let effects = exchange.take_effects();
        let whole =
            matches!(&effects[..], [Effect::Send(_, Message::Whole(sent))] if *sent == block);
        assert_eq!(whole, is_whole, "{effects:?}");
    }
}

#[test]
fn several_under_one_short_id_are_missing_and_a_wrong_one_is_seen() {
    let block = block(0, 5);
    let transactions = block.transactions();
    let digest = block.digest();
    let missing = |indices| Message::Missing { digest, indices };
    // Two under the short id of the second.
    let mut source = Table::of(transactions);
    source.put(short_id(&transactions[1].hash()), &transaction(100, 0));
    let mut several = exchange(source);
    let request = require_sent(&receive(&mut several, 0, compact(&block)), 0);
    assert_eq!(request, missing(vec![1]));
    // Another one under the short id of the third.
    let mut source = Table::of(transactions);
    source.known.remove(&short_id(&transactions[2].hash()));
    source.put(short_id(&transactions[2].hash()), &transaction(100, 0));
    let mut other = exchange(source);
    let request = require_sent(&receive(&mut other, 0, compact(&block)), 0);
    assert_eq!(request, missing(vec![2]));
}

#[test]
fn of_those_who_sent_the_same_one_is_asked_and_the_next_when_it_is_silent() {
    let block = block(7, 5);
    let digest = block.digest();
    let mut exchange = exchange(Table::of(&block.transactions()[1..]));
    let indices = vec![0];
    let missing = Message::Missing { digest, indices };
    assert_eq!(
        require_sent(&receive(&mut exchange, 0, compact(&block)), 0),
        missing
    );
    assert!(receive(&mut exchange, 1, compact(&block)).is_empty());
    assert!(receive(&mut exchange, 2, compact(&block)).is_empty());
    // The leader is asked whoever else is.
    assert_eq!(
        require_sent(&receive(&mut exchange, 7, compact(&block)), 7),
        missing
    );
    let later = START + ANSWER_TIMEOUT;
    assert!(tick(&mut exchange, later - Duration::from_millis(1)).is_empty());
    // Both were silent; one of the others is asked.
    assert_eq!(require_sent(&tick(&mut exchange, later), 1), missing);
    assert_eq!(exchange.next_deadline(), Some(later + ANSWER_TIMEOUT));
    assert_eq!(
        require_sent(&tick(&mut exchange, later + ANSWER_TIMEOUT), 2),
        missing
    );
    // The last one is asked for the block, and then nobody.
    let later = later + 2 * ANSWER_TIMEOUT;
    let whole = Message::GetWhole { digest };
    assert_eq!(require_sent(&tick(&mut exchange, later), 2), whole);
    let end = tick(&mut exchange, later + ANSWER_TIMEOUT);
    assert!(
        matches!(end[..], [Effect::GaveUp(given_up)] if given_up == digest),
        "{end:?}"
    );
    assert_eq!(exchange.next_deadline(), None);
}

#[test]
fn what_gossip_brings_meanwhile_is_not_asked_for_again() {
    let block = block(0, 5);
    let mut exchange = exchange(Table::of(&block.transactions()[1..]));
    require_sent(&receive(&mut exchange, 0, compact(&block)), 0);
    exchange.source = Table::of(block.transactions());
    let effects = tick(&mut exchange, START + ANSWER_TIMEOUT);
    require_ready(&effects, &block, Origin::Rebuilt);
}
