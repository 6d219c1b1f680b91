//! What a run shows: the properties that must hold in it, and its figures over a window of relay blocks.
//!
//! ```text
//! events of all relay blocks ─▶ final blocks form one chain, every transaction in it once, nobody banned
//!         └ in the window ────▶ rate, backed to final, collated to final, transaction to final, missed turns, load
//! ```

use super::{
    model::Mode,
    relay::Seen,
    shard::{Journal, Made},
    world::{World, shards_of},
};
use primitives::shard::ShardId;
use serde::Serialize;
use shards::ledger::LedgerEvent;
use std::collections::{BTreeMap, BTreeSet};

/// Of the transactions of a block, those that are looked at: each of so many.
const LOOKED_AT: usize = 61;
const US_PER_MS: f64 = 1_000.0;
const MS_PER_SECOND: f64 = 1_000.0;
const MB: f64 = 1_000_000.0;

/// What must never happen to shards.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A final block does not follow the final block before it.
    #[error(
        "final blocks of a shard are no chain: shard={shard} number={number} expected={expected}"
    )]
    Fork {
        /// The shard.
        shard: ShardId,
        /// The number that came.
        number: u64,
        /// The number that should have come, on the block before.
        expected: u64,
    },
    /// Transactions are missing, or in the chain twice.
    #[error(
        "transactions of a shard are lost or doubled: shard={shard} number={number} first={first} expected={expected}"
    )]
    Gap {
        /// The shard.
        shard: ShardId,
        /// The block.
        number: u64,
        /// Its first transaction.
        first: u64,
        /// The one that should have come.
        expected: u64,
    },
    /// A block is final that nobody built.
    #[error("a block is final that no collator built: shard={shard} number={number}")]
    Unknown {
        /// The shard.
        shard: ShardId,
        /// The block.
        number: u64,
    },
    /// Not everything became final in time.
    #[error("transactions of a shard are not final: shard={shard} final={got} of={all}")]
    Lost {
        /// The shard.
        shard: ShardId,
        /// How many are.
        got: u64,
        /// How many came.
        all: u64,
    },
    /// An honest node was taken for a liar.
    #[error("an honest node was banned or blamed: bans={bans} offences={offences}")]
    Blamed {
        /// Bans.
        bans: u64,
        /// Offences in the ledger.
        offences: u64,
    },
}

/// Number and hash of a shard's newest final block, and the transactions so far.
type End = (u64, Option<alloy_primitives::B256>, u64);

/// Whether final blocks of every shard form one chain with every transaction in it once; how many are, by shard.
pub(super) fn check_chains(
    seen: &[Seen],
    journal: &Journal,
) -> Result<BTreeMap<ShardId, u64>, Broken> {
    let mut chains: BTreeMap<ShardId, End> = BTreeMap::new();
    for one in seen {
        let LedgerEvent::Final(named, head) = one.event else {
            continue;
        };
        let (shard, number) = (named.shard, named.number);
        let made = journal.get(shard, head.hash);
        let block = made.ok_or(Broken::Unknown { shard, number })?.block;
        let (newest, parent, next) = chains.entry(shard).or_default();
        let expected = newest.saturating_add(1);
        let follows = parent.is_none_or(|parent| parent == block.parent);
        if number != expected || block.number != expected || !follows {
            return Err(Broken::Fork {
                shard,
                number,
                expected,
            });
        }
        let (first, expected) = (block.first, *next);
        if first != expected {
            return Err(Broken::Gap {
                shard,
                number,
                first,
                expected,
            });
        }
        *next = first.saturating_add(block.count);
        (*newest, *parent) = (number, Some(head.hash));
    }
    Ok(chains
        .into_iter()
        .map(|(shard, (_, _, next))| (shard, next))
        .collect())
}

/// Whether nobody was taken for a liar: nobody here is one.
pub(super) fn check_blame(world: &World) -> Result<(), Broken> {
    let bans = (0..world.nodes.len())
        .map(|node| world.net.wire(node).bans)
        .sum();
    let offended = |one: &&Seen| matches!(one.event, LedgerEvent::Offended(_));
    let offences = world.relay.seen.iter().filter(offended).count();
    let offences = u64::try_from(offences).unwrap_or(u64::MAX);
    match (bans, offences) {
        (0, 0) => Ok(()),
        _ => Err(Broken::Blamed { bans, offences }),
    }
}

/// Three points of a distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Half are below.
    pub p50: f64,
    /// 95 of 100 are below.
    pub p95: f64,
    /// None is above.
    pub max: f64,
}

impl Spread {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let last = values.len().saturating_sub(1);
        let at = |percent: usize| {
            values
                .get(last * percent / 100)
                .copied()
                .unwrap_or_default()
        };
        Self {
            p50: at(50),
            p95: at(95),
            max: at(100),
        }
    }
}

/// What nodes have done for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Of a validator's cores, the share that works, on average.
    pub cpu_mean: f64,
    /// And the busiest validator's.
    pub cpu_max: f64,
    /// Megabytes that a validator sends in a second, on average.
    pub sent_mb_mean: f64,
    /// And the one that sends most.
    pub sent_mb_max: f64,
    /// Megabytes that a validator receives in a second, on average.
    pub received_mb_mean: f64,
    /// Megabytes that the collator sends that sends most.
    pub collator_sent_mb_max: f64,
}

/// The figures of a run. Rates are sums over all shards.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// How shards were backed.
    pub mode: Mode,
    /// Relay blocks that were looked at.
    pub relay_blocks: u64,
    /// Blocks that became final in them.
    pub final_blocks: u64,
    /// Gas of final blocks in a second.
    pub gas_per_second: f64,
    /// Transactions of final blocks in a second.
    pub transactions_per_second: f64,
    /// Time between two final blocks of a shard, in milliseconds.
    pub block_interval_ms: f64,
    /// Relay blocks from backed to final.
    pub backed_to_final_blocks: Spread,
    /// From the moment a collator has a block until all see it final, in milliseconds.
    pub collated_to_final_ms: Spread,
    /// The same without its check, in network hops.
    pub collated_to_final_hops: f64,
    /// From a transaction's arrival until all see it final, in milliseconds; nothing where demand is endless.
    pub transaction_to_final_ms: Option<Spread>,
    /// Relay blocks without a candidate, of all shards together.
    #[serde(rename = "missed_slots")]
    pub missed_turns: u64,
    /// Candidates that left the ledger without being final.
    pub discarded: u64,
    /// Messages lost because a node had too many waiting, since the beginning.
    pub overflown: u64,
    /// What nodes have done for it.
    pub usage: Usage,
}

/// Counters at the beginning of a window.
#[derive(Clone, Debug)]
pub(super) struct Window {
    height: u64,
    began_ms: u64,
    busy_us: Vec<u64>,
    sent: Vec<u64>,
    received: Vec<u64>,
}

impl Window {
    /// A window that begins now.
    pub(super) fn begin(world: &World) -> Self {
        let nodes = 0..world.nodes.len();
        Self {
            height: world.relay.ledger.height(),
            began_ms: world.relay.ledger.timestamp_ms(),
            busy_us: world.nodes.iter().map(|node| node.cpu.busy_us()).collect(),
            sent: nodes
                .clone()
                .map(|node| world.net.wire(node).sent)
                .collect(),
            received: nodes.map(|node| world.net.wire(node).received).collect(),
        }
    }

    /// The figures of a window that ends now.
    pub(super) fn end(&self, world: &World) -> Figures {
        let to = world.relay.ledger.height();
        let window_ms = world
            .relay
            .ledger
            .timestamp_ms()
            .saturating_sub(self.began_ms);
        let seconds = (window_ms as f64 / MS_PER_SECOND).max(f64::MIN_POSITIVE);
        let finals = self.finals(world);
        let transactions: u64 = finals.iter().map(|one| one.made.block.count).sum();
        let costs = &world.setup.model.costs;
        let shards = f64::from(world.setup.model.shards);
        let delays =
            |pick: &dyn Fn(&FinalBlock) -> f64| Spread::of(finals.iter().map(pick).collect());
        let collated = |one: &FinalBlock| one.final_ms.saturating_sub(one.made.done_ms) as f64;
        let hops = delays(&|one| {
            let check_ms = costs.check_us(one.made.block.count) as f64 / US_PER_MS;
            (collated(one) - check_ms).max(0.0) / world.setup.model.hop_ms.max(1) as f64
        });
        let discarded = self
            .seen(world)
            .filter(|one| matches!(one.event, LedgerEvent::Discarded(..)));
        Figures {
            mode: world.setup.mode,
            relay_blocks: to.saturating_sub(self.height),
            final_blocks: finals.len() as u64,
            gas_per_second: transactions as f64 * costs.gas as f64 / seconds,
            transactions_per_second: transactions as f64 / seconds,
            block_interval_ms: window_ms as f64 * shards / (finals.len() as f64).max(1.0),
            backed_to_final_blocks: delays(&|one| one.blocks as f64),
            collated_to_final_ms: delays(&collated),
            collated_to_final_hops: hops.p50,
            transaction_to_final_ms: transaction_delays(world, &finals),
            missed_turns: self.missed(world),
            discarded: discarded.count() as u64,
            overflown: world.net.overflown(),
            usage: self.usage(world, seconds),
        }
    }

    fn seen<'a>(&self, world: &'a World) -> impl Iterator<Item = &'a Seen> {
        let from = self.height;
        world.relay.seen.iter().filter(move |one| one.height > from)
    }

    fn finals(&self, world: &World) -> Vec<FinalBlock> {
        let backed = world.relay.seen.iter().filter_map(|one| match one.event {
            LedgerEvent::Backed(named) => Some((named.sequence, one.height)),
            _ => None,
        });
        let backed: BTreeMap<u64, u64> = backed.collect();
        let finals = self.seen(world).filter_map(|one| {
            let LedgerEvent::Final(named, head) = one.event else {
                return None;
            };
            let since = backed.get(&named.sequence).copied().unwrap_or(one.height);
            Some(FinalBlock {
                made: world.journal.get(named.shard, head.hash)?,
                final_ms: one.at_ms.saturating_add(world.finality_ms()),
                blocks: one.height.saturating_sub(since),
            })
        });
        finals.collect()
    }

    /// Relay blocks that brought a shard no candidate.
    fn missed(&self, world: &World) -> u64 {
        let backed = self.seen(world).filter_map(|one| match one.event {
            LedgerEvent::Backed(named) => Some((one.height, named.shard)),
            _ => None,
        });
        let backed: BTreeSet<(u64, ShardId)> = backed.collect();
        let heights = self.height.saturating_add(1)..=world.relay.ledger.height();
        let turns = heights
            .flat_map(|height| shards_of(&world.setup.model).map(move |shard| (height, shard)));
        turns.filter(|turn| !backed.contains(turn)).count() as u64
    }

    fn usage(&self, world: &World, seconds: f64) -> Usage {
        let validators = world.validators();
        let cores = f64::from(world.setup.model.node_cores.max(2));
        let grown = |now: u64, before: Option<&u64>| {
            now.saturating_sub(before.copied().unwrap_or_default()) as f64
        };
        let nodes = world.nodes.iter().enumerate();
        let cpu = nodes.map(|(index, node)| {
            let us = grown(node.cpu.busy_us(), self.busy_us.get(index));
            us / US_PER_MS / MS_PER_SECOND / seconds / cores
        });
        let cpu: Vec<f64> = cpu.take(validators).collect();
        let wires = (0..world.nodes.len()).map(|node| world.net.wire(node));
        let (sent, received): (Vec<f64>, Vec<f64>) = wires
            .enumerate()
            .map(|(index, wire)| {
                let sent = grown(wire.sent, self.sent.get(index));
                let received = grown(wire.received, self.received.get(index));
                (sent / MB / seconds, received / MB / seconds)
            })
            .unzip();
        let (sent, collators) = sent.split_at(validators.min(sent.len()));
        let received: Vec<f64> = received.into_iter().take(validators).collect();
        Usage {
            cpu_mean: mean(&cpu),
            cpu_max: most(&cpu),
            sent_mb_mean: mean(sent),
            sent_mb_max: most(sent),
            received_mb_mean: mean(&received),
            collator_sent_mb_max: most(collators),
        }
    }
}

/// A block that became final in a window.
#[derive(Clone, Copy, Debug)]
struct FinalBlock {
    made: Made,
    /// When all saw it so.
    final_ms: u64,
    /// Relay blocks since it was backed.
    blocks: u64,
}

fn transaction_delays(world: &World, finals: &[FinalBlock]) -> Option<Spread> {
    let demand = world.setup.demand;
    demand.arrival_ms(0)?;
    let delays = finals.iter().flat_map(|one| {
        let block = one.made.block;
        let all = block.first..block.first.saturating_add(block.count);
        all.step_by(LOOKED_AT).filter_map(move |number| {
            let arrived_ms = world.begins_ms.saturating_add(demand.arrival_ms(number)?);
            Some(one.final_ms.saturating_sub(arrived_ms) as f64)
        })
    });
    Some(Spread::of(delays.collect()))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / (values.len() as f64).max(1.0)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}
