//! Where each transaction is, by its short id.
//!
//! ```text
//! short id ─▶ first location      usually the only one
//!          └▶ further locations   of transactions that share the short id
//! ```
//! In stripes of its own, each lock held for one step and inside a pool stripe's lock where it
//! changes. A location is a hint for whoever reads it without that lock: the reader compares the
//! transaction that it finds there.

use crate::{config::STRIPES, lanes::LaneId, short_id::ShortId, stripe_key::StripeKey};
use alloy_primitives::map::{HashMap, hash_map};
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Location {
    pub(crate) nonce: u64,
    pub(crate) lane: LaneId,
    pub(crate) stripe: u16,
}

/// All locations.
#[derive(Debug)]
pub(crate) struct Index {
    stripes: Vec<Mutex<Stripe>>,
    key: StripeKey,
}

#[derive(Debug, Default)]
struct Stripe {
    first: HashMap<ShortId, Location>,
    further: BTreeSet<(ShortId, Location)>,
}

impl Index {
    pub(crate) fn new(key: StripeKey) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            key,
        }
    }

    /// Adds a location that is not there yet.
    pub(crate) fn insert(&self, id: ShortId, location: Location) {
        let mut stripe = self.lock(id);
        match stripe.first.entry(id) {
            hash_map::Entry::Vacant(vacant) => {
                vacant.insert(location);
            }
            hash_map::Entry::Occupied(_) => {
                stripe.further.insert((id, location));
            }
        }
    }

    /// Takes a location away; another one with its short id comes first then.
    pub(crate) fn remove(&self, id: ShortId, location: Location) {
        let mut stripe = self.lock(id);
        if stripe.further.remove(&(id, location)) {
            return;
        }
        let was = stripe.first.remove(&id);
        debug_assert_eq!(was, Some(location), "what is in the pool is found");
        let next = stripe.further(id).next();
        if let Some(next) = next {
            stripe.further.remove(&(id, next));
            stripe.first.insert(id, next);
        }
    }

    /// The locations of transactions with this short id, mostly none or one.
    pub(crate) fn locations(&self, id: ShortId) -> Locations {
        let stripe = self.lock(id);
        match stripe.first.get(&id) {
            None => Locations::None,
            Some(first) if stripe.further.is_empty() => Locations::One(*first),
            Some(first) => {
                let further: Vec<_> = stripe.further(id).collect();
                Locations::new(*first, further)
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let stripes = self.stripes.iter().map(|stripe| stripe.lock().unwrap());
        stripes
            .map(|stripe| stripe.first.len() + stripe.further.len())
            .sum()
    }

    fn lock(&self, id: ShortId) -> MutexGuard<'_, Stripe> {
        let stripe = &self.stripes[self.key.of_short_id(id)];
        stripe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stripe {
    fn further(&self, id: ShortId) -> impl Iterator<Item = Location> {
        let least = Location {
            nonce: 0,
            lane: LaneId::MIN,
            stripe: 0,
        };
        let alike = self.further.range((id, least)..);
        let alike = alike.take_while(move |(other, _)| *other == id);
        alike.map(|(_, location)| *location)
    }
}

/// The locations of one short id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Locations {
    None,
    One(Location),
    /// More than one.
    Several(Vec<Location>),
}

impl Locations {
    fn new(first: Location, further: Vec<Location>) -> Self {
        if further.is_empty() {
            return Self::One(first);
        }
        let mut all = further;
        all.insert(0, first);
        Self::Several(all)
    }

    pub(crate) fn as_slice(&self) -> &[Location] {
        match self {
            Self::None => &[],
            Self::One(location) => std::slice::from_ref(location),
            Self::Several(locations) => locations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Index, LaneId, Location, StripeKey};
    use crate::short_id::ShortId;
    use std::collections::{BTreeMap, BTreeSet};

    /// Short ids that are shared and locations that come and go, beside a map of sets.
    #[test]
    fn shared_short_ids_are_all_found() {
        let index = Index::new(StripeKey::new(0));
        let mut model: BTreeMap<ShortId, BTreeSet<Location>> = BTreeMap::new();
        for step in 0..4_000_u64 {
            let mixed = step.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
            let id = ShortId::with_last_byte(u8::try_from(mixed % 3).unwrap());
            let location = Location {
                nonce: (mixed >> 8) % 5,
                lane: LaneId::MIN,
                stripe: 7,
            };
            let known = model.entry(id).or_default();
            if known.remove(&location) {
                index.remove(id, location);
            } else {
                known.insert(location);
                index.insert(id, location);
            }
            for (id, known) in &model {
                let locations = index.locations(*id);
                let found: BTreeSet<_> = locations.as_slice().iter().copied().collect();
                assert_eq!(&found, known);
                assert_eq!(locations.as_slice().len(), known.len());
            }
        }
        let known: usize = model.values().map(BTreeSet::len).sum();
        assert_eq!(index.len(), known);
        assert!(known > 5, "some were shared: {known}");
    }
}
