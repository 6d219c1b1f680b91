//! Which calls are so short that handing them to another thread would cost more than running them.
//!
//! ```text
//!   eth_call ─▶ of a contract whose calls never used more than BRIEF_GAS_MAX? ─┬─ yes ─▶ here
//!                                                                              └─ no ──▶ a blocking thread
//! ```
//! It is learned from what calls used. A contract that once used more is not brief again until it is
//! forgotten: whoever wants to hold a thread up has to deploy a contract for each of some tenths of a second.
//! Overridden state is never brief: it may be other code.
//!
//! Limits: [`BRIEF_GAS_MAX`], [`RUNNING_MAX`], [`CONTRACTS_MAX`].

use alloy_primitives::{Address, map::AddressMap};
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

/// The most gas that a brief call may have used before: some tenths of a millisecond.
const BRIEF_GAS_MAX: u64 = 300_000;
/// Such calls at the same time.
const RUNNING_MAX: usize = 2;
/// Contracts that are remembered; beyond, all are forgotten.
const CONTRACTS_MAX: usize = 4_096;

/// What calls used.
#[derive(Debug, Default)]
pub(crate) struct Brief {
    /// The most that a call of each contract used.
    gas: Mutex<AddressMap<u64>>,
    running: AtomicUsize,
}

/// The right to run one call where it was asked, until it is dropped.
#[derive(Debug)]
pub(crate) struct Here<'a>(&'a AtomicUsize);

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Brief {
    /// The right to run a call of a contract here, if its calls are brief and few others run.
    pub(crate) fn try_here(&self, contract: &Address) -> Option<Here<'_>> {
        let is_brief = |gas: &u64| *gas <= BRIEF_GAS_MAX;
        if !self.gas().get(contract).is_some_and(is_brief) {
            return None;
        }
        let before = self.running.fetch_add(1, Ordering::Acquire);
        let here = Here(&self.running);
        (before < RUNNING_MAX).then_some(here)
    }

    /// Notes what a call used.
    pub(crate) fn used(&self, contract: Address, gas: u64) {
        let mut all = self.gas();
        if all.len() >= CONTRACTS_MAX && !all.contains_key(&contract) {
            all.clear();
        }
        let most = all.entry(contract).or_default();
        *most = gas.max(*most);
    }

    fn gas(&self) -> MutexGuard<'_, AddressMap<u64>> {
        self.gas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: Address = Address::repeat_byte(1);

    #[test]
    fn only_what_was_brief_before_runs_here_and_few_at_a_time() {
        let brief = Brief::default();
        assert!(brief.try_here(&CONTRACT).is_none(), "nothing is known");
        brief.used(CONTRACT, 30_000);
        let mut running: Vec<_> = (0..RUNNING_MAX)
            .map(|_| brief.try_here(&CONTRACT))
            .collect();
        assert!(running.iter().all(Option::is_some));
        assert!(brief.try_here(&CONTRACT).is_none(), "enough others run");
        running.pop();
        assert!(brief.try_here(&CONTRACT).is_some());
        assert!(brief.try_here(&Address::ZERO).is_none(), "another contract");
    }

    #[test]
    fn what_was_long_once_is_not_brief_again() {
        let brief = Brief::default();
        for gas in [30_000, BRIEF_GAS_MAX + 1, 30_000] {
            brief.used(CONTRACT, gas);
        }
        assert!(brief.try_here(&CONTRACT).is_none());
    }

    #[test]
    fn a_limited_number_of_contracts_is_remembered() {
        let brief = Brief::default();
        for number in 0..=CONTRACTS_MAX as u64 {
            brief.used(Address::left_padding_from(&number.to_be_bytes()), 1);
        }
        assert_eq!(brief.gas().len(), 1);
    }
}
