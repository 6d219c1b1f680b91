//! The life of a shard: what the relay chain orders about it.
//!
//! ```text
//!             create              pause
//!  (nothing) ───────▶ ACTIVE ───────────────▶ PAUSED      takes nothing new, finishes what is pending
//!                     │  ▲ ◀───────────────     │
//!                     │  │      resume          │
//!                     │  └ upgrade, collators   │
//!                     └──────────▶ RETIRED ◀────┘         what is pending is discarded, cores are free
//! ```
//! Orders come from a contract of the relay chain, executed and certified: they are the same for all validators,
//! and nobody can take them back. So an order that can't be carried out is refused and changes nothing; it never
//! makes a relay block invalid.
//!
//! Limits: [`ORDERS_MAX`] in one relay block; the others are refused. Of [`SHARDS_MAX`] shards, the retired one with
//! fewest final blocks makes room for another; the registry gives its number to nobody else.

use super::{
    Discard, Draft, LedgerEvent, Segment, ShardTerms, Status, Upgrade,
    carried::check_charter,
    check_gas_limit, check_terms,
    rules::{COLLATORS_MAX, SHARDS_MAX},
};
use alloy_primitives::Bytes;
use primitives::{
    crypto::PublicKey,
    shard::{ShardId, charter},
};
use std::sync::Arc;

/// Orders that one relay block carries out.
pub use primitives::limits::ORDERS_CARRIED_MAX as ORDERS_MAX;

/// What becomes of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardOrder {
    /// It begins.
    Create {
        /// Its number, which no shard ever had.
        shard: ShardId,
        /// What its candidates are held to.
        terms: ShardTerms,
        /// Free cores that become its own. Where cores follow load, as many of them as there are; more come with
        /// the next window.
        cores: u16,
    },
    /// It takes no candidates for a while.
    Pause(ShardId),
    /// It takes candidates again.
    Resume(ShardId),
    /// It is over.
    Retire(ShardId),
    /// Its blocks are executed under other rules.
    Upgrade {
        /// The shard.
        shard: ShardId,
        /// The charter that says so.
        charter: Bytes,
        /// Block gas limit.
        gas_limit: u64,
        /// The first anchor height at which they hold. Candidates say in their anchors which rules they were
        /// executed under, so one that was built before stays what it was.
        height: u64,
    },
    /// Others build its blocks; anybody if empty.
    Collators {
        /// The shard.
        shard: ShardId,
        /// Who.
        collators: Vec<PublicKey>,
    },
    /// Bytes that are no order.
    Unreadable(ShardId),
}

/// Which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// [`ShardOrder::Create`].
    Create,
    /// [`ShardOrder::Pause`].
    Pause,
    /// [`ShardOrder::Resume`].
    Resume,
    /// [`ShardOrder::Retire`].
    Retire,
    /// [`ShardOrder::Upgrade`].
    Upgrade,
    /// [`ShardOrder::Collators`].
    Collators,
    /// [`ShardOrder::Unreadable`].
    Unreadable,
}

/// Why an order was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The block has carried out as many orders as it may.
    #[error("too many orders in one relay block: max={ORDERS_MAX}")]
    TooMany,
    /// No such shard.
    #[error("no such shard")]
    Unknown,
    /// There is, or was, a shard of that number.
    #[error("shard number is taken")]
    Taken,
    /// There are as many shards as may be.
    #[error("too many shards: max={SHARDS_MAX}")]
    Crowded,
    /// Too few cores are free.
    #[error("not enough free cores: wanted={wanted} free={free}")]
    Cores {
        /// How many were asked for.
        wanted: u16,
        /// How many could be given.
        free: usize,
    },
    /// Its terms are out of range.
    #[error("terms are out of range: field={0}")]
    Terms(&'static str),
    /// The shard is not in a state for it.
    #[error("shard is {0:?}")]
    Status(Status),
    /// Anchors could already have been chosen under the rules before.
    #[error("rules must change later: height={height} from={from}")]
    Soon {
        /// When they were to change.
        height: u64,
        /// The first height at which they may.
        from: u64,
    },
    /// An earlier upgrade is not over.
    #[error("another upgrade is under way: height={0}")]
    Waiting(u64),
    /// Its bytes stand for nothing.
    #[error("order can't be read")]
    Unreadable,
    /// Its charter can't be read, or has another gas limit.
    #[error("charter can't be read, or has another gas limit")]
    Charter,
}

impl ShardOrder {
    /// Which it is.
    #[must_use]
    pub const fn kind(&self) -> OrderKind {
        match self {
            Self::Create { .. } => OrderKind::Create,
            Self::Pause(_) => OrderKind::Pause,
            Self::Resume(_) => OrderKind::Resume,
            Self::Retire(_) => OrderKind::Retire,
            Self::Upgrade { .. } => OrderKind::Upgrade,
            Self::Collators { .. } => OrderKind::Collators,
            Self::Unreadable(_) => OrderKind::Unreadable,
        }
    }

    /// Whom it is about.
    #[must_use]
    pub const fn shard(&self) -> ShardId {
        match self {
            Self::Pause(shard)
            | Self::Resume(shard)
            | Self::Retire(shard)
            | Self::Unreadable(shard)
            | Self::Create { shard, .. }
            | Self::Upgrade { shard, .. }
            | Self::Collators { shard, .. } => *shard,
        }
    }
}

impl Draft {
    /// Carries out an order, or refuses it. All orders of a block come before all else in it.
    pub fn order(&mut self, order: &ShardOrder) {
        let (shard, kind) = (order.shard(), order.kind());
        let done = if self.orders < ORDERS_MAX {
            self.orders = self.orders.saturating_add(1);
            self.carry_out(order)
        } else {
            Err(Refusal::TooMany)
        };
        self.events.push(match done {
            Ok(()) => LedgerEvent::Ordered(shard, kind),
            Err(refusal) => LedgerEvent::Refused(shard, kind, refusal),
        });
    }

    fn carry_out(&mut self, order: &ShardOrder) -> Result<(), Refusal> {
        match order {
            ShardOrder::Create {
                shard,
                terms,
                cores,
            } => self.create(*shard, terms, *cores),
            ShardOrder::Pause(shard) => self.turn(*shard, Status::Active, Status::Paused),
            ShardOrder::Resume(shard) => self.turn(*shard, Status::Paused, Status::Active),
            ShardOrder::Retire(shard) => self.retire(*shard),
            ShardOrder::Upgrade {
                shard,
                charter,
                gas_limit,
                height,
            } => {
                check_gas_limit(*gas_limit).map_err(|error| Refusal::Terms(error.field))?;
                check_charter(charter, *gas_limit)?;
                let upgrade = Upgrade {
                    rules: charter::digest(charter),
                    charter: charter.clone(),
                    gas_limit: *gas_limit,
                    height: *height,
                };
                self.upgrade(*shard, upgrade)
            }
            ShardOrder::Collators { shard, collators } => {
                if collators.len() > COLLATORS_MAX {
                    return Err(Refusal::Terms("collators"));
                }
                let segment = self.living(*shard)?;
                Arc::make_mut(&mut segment.terms)
                    .collators
                    .clone_from(collators);
                Ok(())
            }
            ShardOrder::Unreadable(_) => Err(Refusal::Unreadable),
        }
    }

    /// A shard that is not over.
    fn living(&mut self, shard: ShardId) -> Result<&mut Segment, Refusal> {
        let segment = self.ledger.shards.get_mut(&shard);
        let segment = segment.ok_or(Refusal::Unknown)?;
        if segment.status == Status::Retired {
            return Err(Refusal::Status(Status::Retired));
        }
        Ok(segment)
    }

    fn create(&mut self, shard: ShardId, terms: &ShardTerms, wanted: u16) -> Result<(), Refusal> {
        check_terms(terms).map_err(|error| Refusal::Terms(error.field))?;
        check_charter(&terms.charter, terms.gas_limit)?;
        if self.ledger.shards.contains_key(&shard) {
            return Err(Refusal::Taken);
        }
        let forgotten = match self.ledger.shards.len() < SHARDS_MAX {
            true => None,
            false => Some(self.ledger.least_missed().ok_or(Refusal::Crowded)?),
        };
        // What can still be refused comes before anything is forgotten.
        self.ledger.give_cores(shard, wanted)?;
        if let Some(forgotten) = forgotten {
            self.ledger.shards.remove(&forgotten);
        }
        let segment = Segment::new(shard, Arc::new(terms.clone()));
        self.ledger.shards.insert(shard, segment);
        Ok(())
    }

    fn turn(&mut self, shard: ShardId, from: Status, to: Status) -> Result<(), Refusal> {
        let segment = self.living(shard)?;
        if segment.status != from {
            return Err(Refusal::Status(segment.status));
        }
        segment.status = to;
        Ok(())
    }

    fn retire(&mut self, shard: ShardId) -> Result<(), Refusal> {
        let segment = self.living(shard)?;
        segment.status = Status::Retired;
        segment.upgrade = None;
        segment.penalties.clear();
        let dropped = std::mem::take(&mut segment.pending);
        let events = dropped
            .iter()
            .map(|one| LedgerEvent::Discarded(one.named(), Discard::Retired));
        self.events.extend(events);
        self.ledger.cores.free(self.ledger.height, shard);
        Ok(())
    }

    /// No legal anchor may lie on both sides of what is decided now: an anchor stands for the same rules for as
    /// long as a candidate may name it.
    fn upgrade(&mut self, shard: ShardId, upgrade: Upgrade) -> Result<(), Refusal> {
        let height = self.ledger.height;
        let window = self.ledger.rules.anchor_window;
        let from = height.saturating_add(window);
        let oldest = height.saturating_sub(window);
        let segment = self.living(shard)?;
        if upgrade.height < from {
            let height = upgrade.height;
            return Err(Refusal::Soon { height, from });
        }
        if let Some(earlier) = segment.upgrade.clone() {
            let is_over = earlier.height <= oldest;
            if !is_over && earlier.height < from {
                return Err(Refusal::Waiting(earlier.height));
            }
            if is_over {
                let terms = Arc::make_mut(&mut segment.terms);
                terms.rules = earlier.rules;
                terms.gas_limit = earlier.gas_limit;
                terms.charter = earlier.charter;
            }
        }
        segment.upgrade = Some(upgrade);
        Ok(())
    }
}

impl super::Ledger {
    /// The retired shard that makes room for another: the one with fewest final blocks. Otherwise whoever creates
    /// shards and retires them, which costs nothing but gas, would leave no room for any; so it makes them forget
    /// each other, before one that somebody has used.
    fn least_missed(&self) -> Option<ShardId> {
        let retired = self.shards.iter();
        let retired = retired.filter(|(_, one)| one.status == Status::Retired);
        let least = retired.min_by_key(|(shard, one)| (one.finalized.number, **shard));
        least.map(|(shard, _)| *shard)
    }

    /// Makes free cores a shard's, and new ones where too few are free; all or none. Where cores follow load there
    /// are no new ones, and it gets as many as are free. How many it got.
    pub(super) fn give_cores(&mut self, shard: ShardId, wanted: u16) -> Result<u16, Refusal> {
        let mut owners = self.cores().to_vec();
        let is_fixed = self.rules.cores.is_some();
        let mut given: u16 = 0;
        while given < wanted {
            let has_room = self.rules.has_room(owners.len().saturating_add(1));
            match owners.iter_mut().find(|core| core.is_none()) {
                Some(core) => *core = Some(shard),
                None if is_fixed => break,
                None if has_room => owners.push(Some(shard)),
                None => {
                    let free = usize::from(given);
                    return Err(Refusal::Cores { wanted, free });
                }
            }
            given = given.saturating_add(1);
        }
        self.cores.assign(self.height, owners);
        Ok(given)
    }
}
