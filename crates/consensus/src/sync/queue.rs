//! Whose turn it is: requests in the order in which they came, one peer after the other. Pure.
//!
//! A peer that asks a lot waits behind itself and nobody else. Bounded by
//! [`REQUESTS_PER_PEER_MAX`] for each peer; the network bounds the peers.

use super::{REQUESTS_PER_PEER_MAX, Want};
use std::collections::{BTreeMap, VecDeque};

/// Requests of one peer.
type Waiting = VecDeque<(u64, Want)>;

/// Requests that wait.
#[derive(Debug)]
pub(crate) struct Queue<P> {
    waiting: BTreeMap<P, Waiting>,
    /// Peers with requests, in the order of their turns.
    turns: VecDeque<P>,
}

impl<P: Ord + Clone> Queue<P> {
    pub(crate) const fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            turns: VecDeque::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Takes a request; whether there was room for it.
    pub(crate) fn push(&mut self, peer: &P, id: u64, want: Want) -> bool {
        let waiting = self.waiting.entry(peer.clone()).or_default();
        if waiting.len() >= REQUESTS_PER_PEER_MAX {
            return false;
        }
        if waiting.is_empty() {
            self.turns.push_back(peer.clone());
        }
        waiting.push_back((id, want));
        true
    }

    /// The next request.
    pub(crate) fn pop(&mut self) -> Option<(P, u64, Want)> {
        let peer = self.turns.pop_front()?;
        let waiting = self.waiting.get_mut(&peer)?;
        let (id, want) = waiting.pop_front()?;
        if waiting.is_empty() {
            self.waiting.remove(&peer);
        } else {
            self.turns.push_back(peer.clone());
        }
        Some((peer, id, want))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_a_lot_waits_behind_itself() {
        let mut queue = Queue::new();
        for id in 0..3 {
            assert!(queue.push(&'a', id, Want::Offer));
        }
        assert!(queue.push(&'b', 9, Want::Offer));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop())
            .map(|(peer, id, _)| (peer, id))
            .collect();
        assert_eq!(order, [('a', 0), ('b', 9), ('a', 1), ('a', 2)]);
        assert!(queue.is_empty());
    }

    #[test]
    fn one_peer_fills_only_its_own_room() {
        let mut queue = Queue::new();
        let ids = 0..=REQUESTS_PER_PEER_MAX as u64;
        let taken = ids.filter(|id| queue.push(&'a', *id, Want::Offer)).count();
        assert_eq!(taken, REQUESTS_PER_PEER_MAX);
        assert!(queue.push(&'b', 0, Want::Offer));
        assert!(queue.pop().is_some());
        assert!(queue.push(&'a', 0, Want::Offer));
    }
}
