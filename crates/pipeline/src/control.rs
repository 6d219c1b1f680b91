//! What the development methods of RPC may ask of block production.
//!
//! ```text
//! rpc ─ blocks, changes, time, pace ─▶ DevControl ◀─ pace? ─ proposer ─ begin ▶ Draft ─ built ▶
//!                                          ▲
//! whoever copies the chain ─ hold, release ┘
//! ```
//! Honest over consensus only where one validator orders alone: with several, the next leader is
//! somebody else, so every request answers [`DevError::SeveralValidators`].
//!
//! From the first request about blocks or time on, the chain is *driven*: it makes no block but those that
//! are asked for, by a request, a change or, while `automine` is on, a transaction; and each is at least a
//! second later than the one before. So a test that counts blocks or seconds counts its own. Changes have
//! a block of their own then: they come neither with a transaction nor with the time that was set for one.

mod draft;
#[cfg(test)]
mod tests;

pub use draft::{Draft, Settings};

use commonware_codec::EncodeSize;
use draft::{Production, Requested};
use primitives::{Directive, limits};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Most requests for blocks that wait, each for any number of them.
const REQUESTS_MAX: usize = 1_024;

/// Why a development request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DevError {
    /// More than one validator orders blocks.
    #[error(
        "not supported with several validators: the next leader would not honour it; run dev with one"
    )]
    SeveralValidators,
    /// Too many directives wait for a block.
    #[error("too many changes wait for a block: count_max={count_max} bytes_max={bytes_max}")]
    Full {
        /// Most of them.
        count_max: usize,
        /// Most bytes of all together.
        bytes_max: usize,
    },
    /// Too many requests for blocks wait.
    #[error("too many requests for blocks wait: max={REQUESTS_MAX}")]
    Busy,
}

/// When the next block is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At once: it was asked for.
    Now,
    /// When it is asked for, or after so many milliseconds.
    Asked(Option<u64>),
    /// When a transaction waits, or after so many milliseconds.
    Driven(Option<u64>),
    /// As the chain's own rules say.
    Free,
}

/// How far requests for blocks have been honoured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Honoured {
    /// Blocks that were asked for and made, of all that ever were asked for.
    pub count: u64,
    /// Height of the newest of them.
    pub height: u64,
}

#[derive(Debug, Default)]
struct Shared {
    production: Mutex<Production>,
    /// For the proposer, of which there is one.
    wake: Notify,
    /// For whoever holds production.
    built: Notify,
}

/// Handle over block production of a development chain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DevControl {
    shared: Arc<Shared>,
    supported: bool,
}

impl DevControl {
    /// A control for a chain of this many validators.
    #[must_use]
    pub fn new(validators: usize) -> Self {
        Self {
            shared: Arc::default(),
            supported: validators == 1,
        }
    }

    /// Whether requests are honoured.
    #[must_use]
    pub const fn supported(&self) -> bool {
        self.supported
    }

    /// Asks for so many blocks now, empty or not; each but the first so many seconds after the one before, if
    /// it says so. They are made once [`Self::honoured`] has counted up to the answer.
    ///
    /// # Errors
    /// With several validators, or when too many requests wait.
    pub fn request_blocks(&self, count: u64, interval_s: Option<u64>) -> Result<u64, DevError> {
        let mut production = self.drive()?;
        if production.requested.len() >= REQUESTS_MAX {
            return Err(DevError::Busy);
        }
        production.asked = production.asked.saturating_add(count);
        if count > 0 {
            production.requested.push_back(Requested {
                left: count,
                interval_s,
                is_first: true,
            });
        }
        let ticket = production.asked;
        drop(production);
        // One proposer waits at most; a request made while it is not waiting must not be lost.
        self.shared.wake.notify_one();
        Ok(ticket)
    }

    /// How many of the blocks that were asked for have been made.
    #[must_use]
    pub fn honoured(&self) -> Honoured {
        self.lock().honoured
    }

    /// Orders changes of state into the next block and asks for it.
    ///
    /// # Errors
    /// With several validators, or when too many wait.
    pub fn push_directives(&self, directives: Vec<Directive>) -> Result<(), DevError> {
        self.require_single()?;
        let mut production = self.lock();
        let all = || production.directives.iter().chain(&directives);
        let bytes: usize = all().map(EncodeSize::encode_size).sum();
        let (count_max, bytes_max) = (limits::DIRECTIVES_MAX, limits::DIRECTIVES_BYTES_MAX);
        if all().count() > count_max || bytes > bytes_max {
            return Err(DevError::Full {
                count_max,
                bytes_max,
            });
        }
        production.directives.extend(directives);
        drop(production);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Changes what the next blocks are like.
    ///
    /// # Errors
    /// With several validators.
    pub fn change<T>(&self, change: impl FnOnce(&mut Settings) -> T) -> Result<T, DevError> {
        let mut production = self.drive()?;
        let answer = change(&mut production.settings);
        drop(production);
        self.shared.wake.notify_one();
        Ok(answer)
    }

    /// What the next blocks are like.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.lock().settings.clone()
    }

    /// Goes on with the settings of an earlier control.
    ///
    /// # Errors
    /// With several validators.
    pub fn restore(&self, settings: Settings) -> Result<(), DevError> {
        self.change(|current| *current = settings)
    }

    /// What the clock of block production shows for a block that began now: its time if one is set.
    #[must_use]
    pub fn next_ms(&self, now_ms: u64, parent_ms: u64) -> u64 {
        self.lock().settings.next_ms(now_ms, parent_ms, None)
    }

    /// Milliseconds added to the node's clock.
    #[must_use]
    pub fn time_offset(&self) -> i64 {
        self.lock().settings.time_offset_ms
    }

    /// Moves the clock so that it does not show a time before this one; not a request of anybody.
    pub fn catch_up(&self, now_ms: u64, parent_ms: u64) {
        if self.supported {
            self.lock().settings.catch_up(now_ms, parent_ms);
        }
    }

    /// Lets no block begin until [`Self::release`]; resolves once none is being built, with the height of the
    /// newest that was.
    pub async fn hold(&self) -> u64 {
        self.lock().is_held = true;
        loop {
            // Made before looking: a block that is built in between wakes it.
            let built = self.shared.built.notified();
            let production = self.lock();
            if !production.is_building {
                return production.built_height;
            }
            drop(production);
            built.await;
        }
    }

    /// Lets blocks be made again.
    pub fn release(&self) {
        self.lock().is_held = false;
        self.shared.wake.notify_one();
    }

    fn drive(&self) -> Result<MutexGuard<'_, Production>, DevError> {
        self.require_single()?;
        let mut production = self.lock();
        production.settings.driven = true;
        Ok(production)
    }

    fn lock(&self) -> MutexGuard<'_, Production> {
        let production = self.shared.production.lock();
        production.unwrap_or_else(PoisonError::into_inner)
    }

    const fn require_single(&self) -> Result<(), DevError> {
        if self.supported {
            Ok(())
        } else {
            Err(DevError::SeveralValidators)
        }
    }
}

/// What the proposer asks.
impl DevControl {
    /// When the next block is due, by the node's clock.
    #[must_use]
    pub fn pace(&self, now_ms: u64) -> Pace {
        self.lock().pace(now_ms)
    }

    /// Begins a block: what is to be in it, besides transactions. None while production is held.
    #[must_use]
    pub fn begin(&self, now_ms: u64, parent_ms: u64) -> Option<Draft> {
        self.lock().begin(now_ms, parent_ms)
    }

    /// The block that was begun is built, at this height.
    pub fn built(&self, height: u64) {
        self.lock().built(height);
        self.shared.built.notify_waiters();
    }

    /// Resolves at the next request.
    pub async fn woken(&self) {
        self.shared.wake.notified().await;
    }
}
