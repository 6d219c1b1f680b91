//! Doing many equal things, on all workers or on the calling thread alone.

use rayon::{ThreadPool, prelude::*};

/// Fewest things that are worth another worker's while.
const LENGTH_MIN: usize = 128;

/// Who helps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread<'p> {
    /// Workers of the pool that this thread belongs to; one if it belongs to none.
    pub(super) workers: usize,
    /// For a small block, who executes beside this thread, which has a core already. Everything else
    /// takes less time than waking somebody.
    pub(super) pool: Option<&'p ThreadPool>,
}

impl Spread<'_> {
    const fn is_parallel(self) -> bool {
        self.workers > 1
    }

    /// Does both.
    pub(super) fn join<L: Send, R: Send>(
        self,
        left: impl FnOnce() -> L + Send,
        right: impl FnOnce() -> R + Send,
    ) -> (L, R) {
        match self.is_parallel() {
            true => rayon::join(left, right),
            false => (left(), right()),
        }
    }

    /// Makes one thing of each.
    pub(super) fn collect<T: Sync, R: Send>(
        self,
        all: &[T],
        make: impl Fn(&T) -> R + Send + Sync,
    ) -> Vec<R> {
        match self.is_parallel() {
            true => all.par_iter().with_min_len(LENGTH_MIN).map(make).collect(),
            false => all.iter().map(make).collect(),
        }
    }
}
