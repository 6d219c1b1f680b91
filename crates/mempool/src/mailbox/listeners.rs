//! Telling what happened, outside of every lock that others wait for, in an order that is true.
//!
//! ```text
//! change (stripe locked) ─ put ─▶ untold events ─ tell (one at a time) ─▶ listeners
//! ```
//! Events are put while the stripe that they happened in is locked, so one transaction's are in
//! their order; only one caller tells at a time, all there is, so they stay in it. Whoever has
//! called `tell` knows that its own events have been told, by itself or by another caller.

use crate::{config::LISTENERS_MAX, event::Event};
use std::{
    fmt,
    sync::{Mutex, PoisonError, RwLock},
};

/// Hears what happens in the pool: each transaction's events in their order. Must not block, nor
/// change the pool: one that feeds a queue drops or coalesces when it is full.
pub type Listener = Box<dyn Fn(&[Event]) + Send + Sync>;

#[derive(Default)]
pub(super) struct Listeners {
    listeners: RwLock<Vec<Listener>>,
    untold: Mutex<Vec<Event>>,
    turn: Mutex<()>,
}

impl Listeners {
    pub(super) fn add(&self, listener: Listener) {
        let mut listeners = self
            .listeners
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            listeners.len() < LISTENERS_MAX,
            "too many listeners: max={LISTENERS_MAX}"
        );
        listeners.push(listener);
    }

    /// Leaves events to be told, in the order of what was left before.
    pub(super) fn put(&self, mut events: Vec<Event>) {
        if !events.is_empty() {
            let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
            untold.append(&mut events);
        }
    }

    pub(super) fn untold(&self) -> usize {
        let untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        untold.len()
    }

    pub(super) fn tell(&self) {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        let events = std::mem::take(&mut *untold);
        drop(untold);
        if !events.is_empty() {
            let listeners = self
                .listeners
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            for listener in listeners.iter() {
                listener(&events);
            }
        }
        drop(turn);
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").finish_non_exhaustive()
    }
}
