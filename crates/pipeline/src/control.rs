//! What the development methods of RPC may ask of block production.
//!
//! Honest over consensus only where one validator orders alone: with several, the next leader is
//! somebody else, so every request answers [`DevError::SeveralValidators`].

use commonware_codec::EncodeSize;
use primitives::{Directive, limits};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering},
};
use tokio::sync::Notify;

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
}

#[derive(Debug, Default)]
struct Shared {
    time_offset_ms: AtomicI64,
    requested: AtomicU64,
    directives: Mutex<Vec<Directive>>,
    wake: Notify,
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

    /// Moves the clock of block production; milliseconds added to the node's clock.
    ///
    /// # Errors
    /// With several validators.
    pub fn set_time_offset(&self, offset_ms: i64) -> Result<(), DevError> {
        self.require_single()?;
        self.shared
            .time_offset_ms
            .store(offset_ms, Ordering::Release);
        Ok(())
    }

    /// Milliseconds added to the node's clock.
    #[must_use]
    pub fn time_offset(&self) -> i64 {
        self.shared.time_offset_ms.load(Ordering::Acquire)
    }

    /// Asks for a block now, empty or not.
    ///
    /// # Errors
    /// With several validators.
    pub fn request_block(&self) -> Result<(), DevError> {
        self.require_single()?;
        self.shared.requested.fetch_add(1, Ordering::AcqRel);
        // One proposer waits at most; a request made while it is not waiting must not be lost.
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Orders changes of state into the next block and asks for it.
    ///
    /// # Errors
    /// With several validators, or when too many wait.
    pub fn push_directives(&self, directives: Vec<Directive>) -> Result<(), DevError> {
        self.require_single()?;
        let mut waiting = self
            .shared
            .directives
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all = || waiting.iter().chain(&directives);
        let bytes: usize = all().map(EncodeSize::encode_size).sum();
        let (count_max, bytes_max) = (limits::DIRECTIVES_MAX, limits::DIRECTIVES_BYTES_MAX);
        if all().count() > count_max || bytes > bytes_max {
            return Err(DevError::Full {
                count_max,
                bytes_max,
            });
        }
        waiting.extend(directives);
        drop(waiting);
        self.request_block()
    }

    /// Takes what waits: for the proposer.
    #[must_use]
    pub fn take_directives(&self) -> Vec<Directive> {
        std::mem::take(
            &mut *self
                .shared
                .directives
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Takes one request for a block, if any: for the proposer.
    #[must_use]
    pub fn take_request(&self) -> bool {
        self.shared
            .requested
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                count.checked_sub(1)
            })
            .is_ok()
    }

    /// Whether a block was asked for.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.shared.requested.load(Ordering::Acquire) > 0
    }

    /// Resolves at the next request.
    pub async fn woken(&self) {
        self.shared.wake.notified().await;
    }

    const fn require_single(&self) -> Result<(), DevError> {
        if self.supported {
            Ok(())
        } else {
            Err(DevError::SeveralValidators)
        }
    }
}
