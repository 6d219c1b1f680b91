//! What a proposer sees of the pool: the best transaction, again and again.
//!
//! ```text
//! stripe 0   heads by price ─┐
//! stripe 1   heads by price ─┼─ a few at a time, while they ─▶ offers in a heap ─▶ best first
//! …                          │  may pay more than the offers        ▲
//! senders in flight, from their next nonce ────────────────────────┘ each with its successor
//! ```
//! Best effective tip first, then the earlier arrival; every sender's transactions in nonce order
//! without gaps, from the sender's next nonce **on the chain that is built on**: what is ordered
//! there and not executed yet is not offered again.
//!
//! A [`Best`] holds no lock between two transactions and copies no lane. While the pool changes it
//! offers each transaction at most once, of each sender only what follows what it offered last, and
//! nothing that left before the [`Best`] was made. What comes, moves or leaves later may be
//! offered or not; the order is exact among what does not change.

use crate::{
    admission::CheckedTransaction,
    config::{Config, HEADS_PER_LOCK, LOOKUPS_PER_LOCK, STRIPES},
    lanes::LaneId,
    mailbox::Mempool,
    order::{Bid, Cursor},
    pool::Pool,
    pool::read::{Head, Heads, Known, Quote, Wanted},
};
use alloy_primitives::{
    Address, U256,
    map::{AddressMap, AddressSet},
};
use primitives::{
    RecoveredTransaction,
    affordability::{AccountView, CodeKind},
};
use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

/// Heads that a selection takes of each stripe at first; then twice as many each time.
const FIRST_HEADS: usize = 2;

/// Next nonces on the chain that is built on, of the senders that have something in flight there;
/// every other's is the executed one.
pub type NextNonces = Arc<AddressMap<u64>>;

/// Where a proposer gets transactions from.
pub trait TransactionSource {
    /// The transactions that pay `base_fee`, best first. The proposer checks that each can pay and
    /// fits, and skips its sender otherwise.
    fn best(&self, base_fee: u64, next_nonces: NextNonces) -> Best;
}

/// Transactions by price, each sender's in nonce order.
#[derive(Debug)]
pub struct Best {
    mempool: Mempool,
    base_fee: u64,
    sources: Vec<Source>,
    /// The most that further heads of each stripe pay.
    bids: BinaryHeap<(Bid, usize)>,
    offers: BinaryHeap<(Bid, usize)>,
    runs: Vec<Run>,
    senders: Senders,
    /// The run of the last one given out, and what it offers next.
    last: Option<(usize, Option<Quote>)>,
}

/// How far a stripe has been read.
#[derive(Clone, Copy, Debug)]
struct Source {
    cursor: Cursor,
    heads: usize,
}

/// Where a sender's offers have come to.
#[derive(Clone, Copy, Debug)]
struct Run {
    sender: Address,
    lane: LaneId,
    /// Of the one that is offered.
    nonce: u64,
    skipped: bool,
}

/// Who is in the selection already.
#[derive(Debug)]
struct Senders {
    in_flight: NextNonces,
    /// Of those that are not in flight, with their runs.
    runs: AddressMap<usize>,
    /// Of those in flight that were skipped.
    skipped: AddressSet,
    /// The lanes of both, a bit each, so that most are passed over without being looked at.
    lanes: Vec<Vec<u64>>,
}

impl Senders {
    fn add_lane(&mut self, stripe: usize, lane: LaneId) {
        let (word, bit) = place(lane);
        let words = &mut self.lanes[stripe];
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        words[word] |= bit;
    }
}

impl Known for Senders {
    fn has_lane(&self, stripe: usize, lane: LaneId) -> bool {
        let (word, bit) = place(lane);
        let words = self.lanes[stripe].get(word);
        words.is_some_and(|word| word & bit != 0)
    }

    fn has_sender(&self, sender: &Address) -> bool {
        self.in_flight.contains_key(sender) || self.runs.contains_key(sender)
    }
}

fn place(lane: LaneId) -> (usize, u64) {
    let index = lane.index();
    (index / 64, 1 << (index % 64))
}

impl Best {
    pub(crate) fn new(mempool: Mempool, base_fee: u64, next_nonces: NextNonces) -> Self {
        let source = Source {
            cursor: Cursor::default(),
            heads: FIRST_HEADS,
        };
        let highest = Bid {
            effective_tip: u64::MAX,
            arrival: Reverse(0),
        };
        let mut best = Self {
            mempool,
            base_fee,
            sources: vec![source; STRIPES],
            bids: (0..STRIPES).map(|stripe| (highest, stripe)).collect(),
            offers: BinaryHeap::new(),
            runs: Vec::new(),
            senders: Senders {
                in_flight: Arc::clone(&next_nonces),
                runs: AddressMap::default(),
                skipped: AddressSet::default(),
                lanes: vec![Vec::new(); STRIPES],
            },
            last: None,
        };
        best.begin_in_flight(&next_nonces);
        best
    }

    /// Gives out no further transaction of a sender, for example because the last one did not fit.
    pub fn skip_sender(&mut self, sender: &Address) {
        if let Some(run) = self.senders.runs.get(sender) {
            self.runs[*run].skipped = true;
        } else if self.senders.in_flight.contains_key(sender) {
            self.senders.skipped.insert(*sender);
        }
    }

    /// Offers what senders in flight have at their next nonces.
    fn begin_in_flight(&mut self, next_nonces: &AddressMap<u64>) {
        let mut stripes: Vec<Vec<(Address, u64)>> = vec![Vec::new(); STRIPES];
        let senders = next_nonces.iter();
        senders.for_each(|(sender, nonce)| {
            stripes[self.mempool.stripe_of(sender)].push((*sender, *nonce));
        });
        let mempool = self.mempool.clone();
        for (stripe, senders) in stripes.iter().enumerate() {
            for senders in senders.chunks(LOOKUPS_PER_LOCK) {
                let pool = mempool.lock(stripe);
                senders
                    .iter()
                    .for_each(|(sender, nonce)| self.begin_at(stripe, &pool, (sender, *nonce)));
            }
        }
    }

    fn begin_at(&mut self, stripe: usize, pool: &Pool, (sender, nonce): (&Address, u64)) {
        if let Some((lane, head)) = pool.head_at(sender, nonce) {
            self.senders.add_lane(stripe, lane);
            if let Some(head) = head {
                self.begin(&head);
            }
        }
    }

    /// Offers a sender's first; its lane and sender are noted by the caller.
    fn begin(&mut self, head: &Head) {
        let run = self.runs.len();
        self.runs.push(Run {
            sender: head.sender,
            lane: head.lane,
            nonce: head.nonce,
            skipped: false,
        });
        self.offer(run, head.quote);
    }

    /// Offers a run's next transaction if it pays the base fee; nothing above it is offered
    /// otherwise.
    fn offer(&mut self, run: usize, quote: Quote) {
        let effective_tip = quote.price.effective_tip(self.base_fee);
        let offer = effective_tip.map(|effective_tip| {
            let arrival = Reverse(quote.arrival);
            let bid = Bid {
                effective_tip,
                arrival,
            };
            (bid, run)
        });
        self.offers.extend(offer);
    }

    fn is_skipped(&self, run: &Run) -> bool {
        run.skipped
            || (!self.senders.skipped.is_empty() && self.senders.skipped.contains(&run.sender))
    }

    /// Reads heads as long as they may pay more than what is offered.
    fn read_better(&mut self) {
        while let Some((bid, stripe)) = self.bids.peek().copied() {
            if self.offers.peek().is_some_and(|(offer, _)| *offer > bid) {
                break;
            }
            self.bids.pop();
            let source = self.sources[stripe];
            let wanted = Wanted {
                base_fee: self.base_fee,
                cursor: source.cursor,
                heads: source.heads,
            };
            let pool = self.mempool.lock(stripe);
            let Heads { heads, cursor, bid } = pool.heads(&wanted, &self.senders);
            drop(pool);
            self.sources[stripe] = Source {
                cursor,
                heads: (source.heads * 2).min(HEADS_PER_LOCK),
            };
            for head in heads {
                self.senders.add_lane(stripe, head.lane);
                self.senders.runs.insert(head.sender, self.runs.len());
                self.begin(&head);
            }
            self.bids.extend(bid.map(|bid| (bid, stripe)));
        }
    }
}

impl Iterator for Best {
    type Item = RecoveredTransaction;

    fn next(&mut self) -> Option<RecoveredTransaction> {
        if let Some((run, Some(quote))) = self.last.take() {
            self.runs[run].nonce = self.runs[run].nonce.saturating_add(1);
            self.offer(run, quote);
        }
        loop {
            self.read_better();
            let (_, index) = self.offers.pop()?;
            let run = self.runs[index];
            if self.is_skipped(&run) {
                continue;
            }
            let pool = self.mempool.lock(self.mempool.stripe_of(&run.sender));
            let step = pool.step(&run.sender, run.lane, run.nonce);
            drop(pool);
            // It may have left since it was offered.
            if let Some(step) = step {
                self.last = Some((index, step.next));
                return Some(step.transaction);
            }
        }
    }
}

/// A source that always offers the same transactions: for tests and simulations without a pool.
#[derive(Clone, Debug)]
pub struct FixedTransactions {
    mempool: Mempool,
}

impl FixedTransactions {
    /// Takes what the rules of the chain allow; each sender starts at the lowest nonce given.
    #[must_use]
    pub fn new(transactions: Vec<RecoveredTransaction>, config: &Config) -> Self {
        let config = Config {
            transactions_max: usize::MAX,
            pool_bytes_max: usize::MAX,
            sender_transactions_max: usize::MAX,
            nonce_gap_max: u64::MAX,
            ..config.clone()
        };
        let mempool = Mempool::new(config.clone(), 0);
        let checked = transactions.into_iter();
        let checked = checked.filter_map(|tx| CheckedTransaction::check(tx, &config).ok());
        let checked: Vec<_> = checked.collect();
        let mut nonces: AddressMap<u64> = AddressMap::default();
        for transaction in &checked {
            let nonce = nonces.entry(transaction.transaction().sender());
            let nonce = nonce.or_insert(transaction.nonce);
            *nonce = (*nonce).min(transaction.nonce);
        }
        let checked = checked.into_iter();
        let checked = checked.map(|transaction| {
            let account = AccountView {
                nonce: nonces[&transaction.transaction().sender()],
                balance: U256::MAX,
                code: CodeKind::None,
            };
            (transaction, account)
        });
        let _answers = mempool.admit_checked(checked.collect(), 0);
        Self { mempool }
    }
}

impl TransactionSource for FixedTransactions {
    fn best(&self, base_fee: u64, next_nonces: NextNonces) -> Best {
        self.mempool.best(base_fee, next_nonces)
    }
}
