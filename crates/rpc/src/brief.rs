//! Which calls are so short that handing them to another thread would cost more than running them.
//!
//! ```text
//!   eth_call ─▶ same contract and function before, never more than BRIEF_GAS_MAX? ─┬─ yes ─▶ here
//!                                                                                  └─ no ──▶ a blocking thread
//! ```
//! It is learned from what calls used. A function that once used more is not brief again until it is
//! forgotten; so whoever wants to hold the thread up can do so for one call of each function, and only one
//! such call runs at a time. Overridden state is never brief: it may be other code.
//!
//! Limits: [`BRIEF_GAS_MAX`], [`FUNCTIONS_MAX`].

use alloy_primitives::{Address, Bytes, map::HashMap};
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// The most gas that a brief call may have used before: some tenths of a millisecond.
const BRIEF_GAS_MAX: u64 = 300_000;
/// Functions that are remembered; beyond, all are forgotten.
const FUNCTIONS_MAX: usize = 4_096;
const SELECTOR_BYTES: usize = 4;

/// A contract's function; calls with less input than a selector have none.
pub(crate) type Function = (Address, Option<[u8; SELECTOR_BYTES]>);

/// What calls used.
#[derive(Debug, Default)]
pub(crate) struct Brief {
    /// The most that each function used.
    gas: Mutex<HashMap<Function, u64>>,
    is_running: AtomicBool,
}

/// The right to run one call where it was asked, until it is dropped.
#[derive(Debug)]
pub(crate) struct Here<'a>(&'a AtomicBool);

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The function that a call with this input is of.
pub(crate) fn function(to: Address, input: &Bytes) -> Function {
    (to, input.first_chunk().copied())
}

impl Brief {
    /// The right to run a call here, if its function is brief and nobody else has it.
    pub(crate) fn try_here(&self, function: &Function) -> Option<Here<'_>> {
        let is_brief = self
            .gas()
            .get(function)
            .is_some_and(|gas| *gas <= BRIEF_GAS_MAX);
        let is_free = is_brief && !self.is_running.swap(true, Ordering::Acquire);
        is_free.then_some(Here(&self.is_running))
    }

    /// Notes what a call used.
    pub(crate) fn used(&self, function: Function, gas: u64) {
        let mut all = self.gas();
        if all.len() >= FUNCTIONS_MAX && !all.contains_key(&function) {
            all.clear();
        }
        let most = all.entry(function).or_default();
        *most = gas.max(*most);
    }

    fn gas(&self) -> MutexGuard<'_, HashMap<Function, u64>> {
        self.gas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNCTION: Function = (Address::ZERO, Some([1, 2, 3, 4]));

    #[test]
    fn only_what_was_brief_before_runs_here_and_one_at_a_time() {
        let brief = Brief::default();
        assert!(brief.try_here(&FUNCTION).is_none(), "nothing is known");
        brief.used(FUNCTION, 30_000);
        let here = brief.try_here(&FUNCTION);
        assert!(here.is_some());
        assert!(brief.try_here(&FUNCTION).is_none(), "another one runs");
        drop(here);
        assert!(brief.try_here(&FUNCTION).is_some());
        let other = function(Address::ZERO, &Bytes::from_static(&[1, 2, 3]));
        assert_eq!(other, (Address::ZERO, None));
        assert!(brief.try_here(&other).is_none(), "another function");
    }

    #[test]
    fn what_was_long_once_is_not_brief_again() {
        let brief = Brief::default();
        for gas in [30_000, BRIEF_GAS_MAX + 1, 30_000] {
            brief.used(FUNCTION, gas);
        }
        assert!(brief.try_here(&FUNCTION).is_none());
    }

    #[test]
    fn a_limited_number_of_functions_is_remembered() {
        let brief = Brief::default();
        for number in 0..=FUNCTIONS_MAX {
            let number = u32::try_from(number).unwrap();
            brief.used((Address::ZERO, Some(number.to_be_bytes())), 1);
        }
        assert_eq!(brief.gas().len(), 1);
    }
}
