//! Networks of exchanges under random schedules: messages that are lost, late, doubled and out of order, pools
//! that lack something, and one peer that lies.

use super::*;
use crate::relay::{Name, Placed};
use commonware_codec::Encode as _;
use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};
use std::collections::BTreeSet;

const NODES: u64 = 5;
/// Sends first, if it is honest.
const LEADER: u64 = 0;
/// Lies, if anybody does.
const LIAR: u64 = 4;

struct Network {
    rng: StdRng,
    nodes: Vec<Exchange<Table>>,
    /// Sender, receiver, message.
    wire: Vec<(u64, u64, Message)>,
    now: SystemTime,
    /// Chance that a message is lost, in percent.
    loss: u32,
    ready: BTreeMap<u64, Vec<Block>>,
    banned: BTreeSet<(u64, PublicKey)>,
}

impl Network {
    fn new(seed: u64, block: &Block, loss: u32) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let nodes = (0..NODES).map(|node| exchange_of(node, pool(&mut rng, block)));
        let nodes = nodes.collect();
        Self {
            rng,
            nodes,
            wire: Vec::new(),
            now: START,
            loss,
            ready: BTreeMap::new(),
            banned: BTreeSet::new(),
        }
    }

    fn act(&mut self, node: u64) {
        let effects = self.nodes[usize::try_from(node).unwrap()].take_effects();
        for effect in effects {
            match effect {
                Effect::Send(Recipients::All, message) => {
                    let others = (0..NODES).filter(|to| *to != node);
                    self.wire
                        .extend(others.map(|to| (node, to, message.clone())));
                }
                Effect::Send(Recipients::One(to), message) => {
                    let to = (0..NODES).find(|index| peer(*index) == to).unwrap();
                    self.wire.push((node, to, message));
                }
                Effect::Send(Recipients::Some(_), _) => panic!("nobody sends to some"),
                Effect::Ready(block, _) => self.ready.entry(node).or_default().push(block),
                Effect::Ban(peer, _) => {
                    self.banned.insert((node, peer));
                }
                Effect::GaveUp(_) => {}
            }
        }
    }

    fn send(&mut self, node: u64, block: &Block) {
        self.nodes[usize::try_from(node).unwrap()].send(block, Recipients::All);
        self.act(node);
    }

    /// Delivers in random order until nothing is on its way and nobody waits for anything.
    fn run(&mut self, liar: Option<&Block>) {
        for _ in 0..10_000 {
            if self.wire.is_empty() && !self.wait() {
                return;
            }
            if self.wire.is_empty() {
                continue;
            }
            let (from, to, message) = {
                let place = self.rng.random_range(0..self.wire.len());
                self.wire.swap_remove(place)
            };
            if self.banned.contains(&(to, peer(from))) || self.banned.contains(&(from, peer(to))) {
                continue;
            }
            if self.rng.random_range(0..100) < self.loss {
                continue;
            }
            if self.rng.random_range(0..20) == 0 {
                self.wire.push((from, to, message.clone()));
            }
            self.now += Duration::from_millis(self.rng.random_range(0..100));
            match liar {
                Some(block) if to == LIAR => self.lie(from, block),
                _ => self.deliver(from, to, message),
            }
        }
        panic!("messages without end");
    }

    fn deliver(&mut self, from: u64, to: u64, message: Message) {
        let node = &mut self.nodes[usize::try_from(to).unwrap()];
        if node.admits(&peer(from), &message.encode(), self.now) {
            node.receive(&peer(from), message, self.now);
        }
        self.act(to);
    }

    /// Lets time pass until somebody has waited long enough; false if nobody waits.
    fn wait(&mut self) -> bool {
        let deadlines = self.nodes.iter().filter_map(Exchange::next_deadline);
        let Some(next) = deadlines.min() else {
            return false;
        };
        self.now = self.now.max(next);
        for node in 0..NODES {
            self.nodes[usize::try_from(node).unwrap()].tick(self.now);
            self.act(node);
        }
        true
    }

    /// The liar says something about a block, whatever it was told.
    fn lie(&mut self, to: u64, block: &Block) {
        if let Some(message) = lie(&mut self.rng, block) {
            self.wire.push((LIAR, to, message));
        }
    }
}

/// A pool that lacks a random part of a block, or holds others under its short ids.
fn pool(rng: &mut StdRng, block: &Block) -> Table {
    let lacks = rng.random_range(0..=100_u32);
    let mut pool = Table::default();
    for transaction in block.transactions() {
        let id = short_id(&transaction.hash());
        if rng.random_range(0..100) >= lacks {
            pool.put(id, transaction);
        }
        if rng.random_range(0..10) == 0 {
            pool.put(id, &super::transaction(rng.random(), 0));
        }
    }
    pool
}

/// Something false, or nothing.
fn lie(rng: &mut StdRng, block: &Block) -> Option<Message> {
    let digest = block.digest();
    let count = block.transactions().len();
    let mut compact = Compact::new(block);
    match rng.random_range(0..9) {
        0 => compact.names.reverse(),
        1 => compact.names.truncate(count - 1),
        2 => compact.names[0] = Name::new(&B256::repeat_byte(rng.random()), &digest),
        3 => {
            let index = u16::try_from(rng.random_range(0..2 * count)).unwrap();
            let transaction = transaction(rng.random(), 0);
            let placed = vec![Placed { index, transaction }];
            return Some(Message::Transactions { digest, placed });
        }
        4 => {
            let indices = vec![u16::try_from(rng.random_range(0..2 * count)).unwrap()];
            return Some(Message::Missing { digest, indices });
        }
        5 => return Some(Message::GetWhole { digest }),
        6 => return Some(Message::Whole(super::block(LIAR, rng.random_range(0..9)))),
        7 => {}
        _ => return None,
    }
    Some(Message::Compact(Box::new(compact)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn without_loss_everybody_has_the_block(seed: u64, count in 9_u64..60) {
        let block = block(LEADER, count);
        let mut network = Network::new(seed, &block, 0);
        network.send(LEADER, &block);
        network.run(None);
        for node in 1..NODES {
            prop_assert_eq!(network.ready.get(&node), Some(&vec![block.clone()]), "once, node={}", node);
        }
        prop_assert!(network.banned.is_empty(), "{:?}", network.banned);
    }

    #[test]
    fn sent_again_by_those_who_hold_it_a_block_survives_losses(seed: u64, loss in 0_u32..50) {
        let block = block(LEADER, 20);
        let mut network = Network::new(seed, &block, loss);
        network.send(LEADER, &block);
        network.run(None);
        for _ in 0..40 {
            for node in 0..NODES {
                let holds = network.nodes[usize::try_from(node).unwrap()].cache.get(&block.digest()).is_some();
                if holds {
                    network.send(node, &block);
                }
            }
            network.run(None);
        }
        for node in 1..NODES {
            prop_assert_eq!(network.ready.get(&node), Some(&vec![block.clone()]), "once, node={}", node);
        }
        prop_assert!(network.banned.is_empty(), "{:?}", network.banned);
    }

    #[test]
    fn a_liar_is_the_only_one_banned_and_stops_nobody(seed: u64, first: bool) {
        let block = block(LEADER, 20);
        let mut network = Network::new(seed, &block, 0);
        for to in 0..LIAR {
            if first {
                network.lie(to, &block);
            }
        }
        network.send(LEADER, &block);
        network.run(Some(&block));
        for node in 1..LIAR {
            let ready = network.ready.get(&node).into_iter().flatten();
            let ready = ready.filter(|ready| ready.digest() == block.digest());
            prop_assert_eq!(ready.collect::<Vec<_>>(), vec![&block], "node={}", node);
        }
        for (by, banned) in network.banned {
            prop_assert_eq!(&banned, &peer(LIAR), "by {}", by);
        }
        for (node, ready) in &network.ready {
            for ready in ready {
                let joined = Block::join(
                    ready.header().clone(),
                    ready.transactions().to_vec(),
                    ready.directives().to_vec(),
                    primitives::shard::ShardSection::default(),
                    &LIMITS,
                );
                prop_assert_eq!(joined.as_ref(), Ok(ready), "node={}", node);
            }
        }
    }
}
