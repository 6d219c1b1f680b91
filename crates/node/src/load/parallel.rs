//! Work that is the same for many, on all cores: a load is a client, and runs outside of any simulation.

use super::error::LoadError;
use std::{num::NonZeroUsize, thread};

/// What `make` makes of 0, 1, … in this order.
///
/// # Errors
/// When a thread ended before its work was done.
pub(super) fn in_parallel<T: Send>(
    count: usize,
    make: impl Fn(usize) -> T + Sync,
) -> Result<Vec<T>, LoadError> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let per_thread = count.div_ceil(threads).max(1);
    let make = &make;
    let joined: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..count)
            .step_by(per_thread)
            .map(|first| {
                let last = first.saturating_add(per_thread).min(count);
                scope.spawn(move || (first..last).map(make).collect::<Vec<T>>())
            })
            .collect();
        workers.into_iter().map(|worker| worker.join()).collect()
    });
    let mut all = Vec::with_capacity(count);
    for made in joined {
        all.extend(made.map_err(|_| LoadError::Signing("a thread ended".to_owned()))?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::in_parallel;

    #[test]
    fn the_order_is_kept_and_nothing_is_left_out() {
        for count in [0, 1, 2, 3, 7, 100, 1_001] {
            let made = in_parallel(count, |index| index * 3).unwrap();
            let expected: Vec<usize> = (0..count).map(|index| index * 3).collect();
            assert_eq!(made, expected);
        }
    }
}
