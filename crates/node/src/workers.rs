//! How many threads execute one block: as many as there are cores, unless somebody says otherwise.
//!
//! The number changes how long a block takes and nothing else, so nodes of one chain may differ in it. Limit:
//! [`WORKERS_MAX`].

use std::{num::NonZeroUsize, thread};

/// More threads than any machine has cores for; a typing error must not start a million of them.
pub const WORKERS_MAX: usize = 1_024;
/// What to say about another number.
pub(crate) const OUT_OF_RANGE: &str = "choose 1 to 1024; about as many as there are cores is best";

/// As many as there are cores.
#[must_use]
pub fn default_workers() -> NonZeroUsize {
    shared_workers(1)
}

/// As many for each of several nodes in this process as they have cores together.
#[must_use]
pub fn shared_workers(nodes: usize) -> NonZeroUsize {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = cores.checked_div(nodes).unwrap_or(cores).min(WORKERS_MAX);
    NonZeroUsize::new(share).unwrap_or(NonZeroUsize::MIN)
}

/// Reads a number of workers.
pub(crate) fn parse(text: &str) -> Result<NonZeroUsize, String> {
    let workers = text.parse().ok().filter(in_range);
    workers.ok_or_else(|| OUT_OF_RANGE.to_owned())
}

pub(crate) fn in_range(workers: &NonZeroUsize) -> bool {
    workers.get() <= WORKERS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_workers_is_sensible() {
        assert_eq!(parse("4"), Ok(NonZeroUsize::new(4).unwrap()));
        assert_eq!(parse("1024").unwrap().get(), WORKERS_MAX);
        for wrong in ["0", "-1", "1025", "many", ""] {
            assert_eq!(parse(wrong), Err(OUT_OF_RANGE.to_owned()), "{wrong}");
        }
        assert!(OUT_OF_RANGE.contains(&WORKERS_MAX.to_string()));
    }

    #[test]
    fn nodes_of_one_process_share_its_cores() {
        let cores = default_workers().get();
        assert_eq!(shared_workers(0).get(), cores);
        assert_eq!(shared_workers(1).get(), cores);
        assert_eq!(shared_workers(2).get(), (cores / 2).max(1));
        assert_eq!(shared_workers(usize::MAX).get(), 1);
    }
}
