//! The lanes of one stripe: by sender, and by a small number that indexes can hold.
//!
//! ```text
//! sender ─▶ LaneId ─▶ place ─▶ Lane        a place is used again when its lane is gone
//! ```

use crate::lane::Lane;
use alloy_primitives::{Address, map::AddressMap};

/// Which lane of its stripe; another one's after it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LaneId(u32);

impl LaneId {
    pub(crate) const MIN: Self = Self(0);

    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0).expect("an index of a vector")
    }

    #[cfg(test)]
    pub(crate) const fn new(id: u32) -> Self {
        Self(id)
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// All lanes of a stripe.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    places: Vec<Option<Box<Lane>>>,
    free: Vec<LaneId>,
    by_sender: AddressMap<LaneId>,
}

impl Lanes {
    pub(crate) fn id(&self, sender: &Address) -> Option<LaneId> {
        self.by_sender.get(sender).copied()
    }

    pub(crate) fn get(&self, id: LaneId) -> Option<&Lane> {
        self.places.get(id.index())?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, id: LaneId) -> Option<&mut Lane> {
        self.places.get_mut(id.index())?.as_deref_mut()
    }

    pub(crate) fn of(&self, sender: &Address) -> Option<&Lane> {
        self.get(self.id(sender)?)
    }

    /// The lanes from a place on, with their places.
    pub(crate) fn starting_at(&self, place: usize) -> impl Iterator<Item = (LaneId, &Lane)> {
        let places = self.places.get(place..).unwrap_or_default();
        let first = u32::try_from(place).unwrap_or(u32::MAX);
        let lanes = (first..).zip(places);
        lanes.filter_map(|(id, lane)| Some((LaneId(id), lane.as_deref()?)))
    }

    pub(crate) fn insert(&mut self, lane: Lane) -> LaneId {
        let sender = lane.sender();
        let id = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            let last = self.places.len() - 1;
            LaneId(u32::try_from(last).expect("fewer lanes than bytes in a pool"))
        });
        self.places[id.index()] = Some(Box::new(lane));
        self.by_sender.insert(sender, id);
        id
    }

    pub(crate) fn remove(&mut self, id: LaneId) {
        if let Some(lane) = self.places[id.index()].take() {
            self.by_sender.remove(&lane.sender());
            self.free.push(id);
        }
    }
}
