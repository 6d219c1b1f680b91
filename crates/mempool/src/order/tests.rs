//! The order beside a plain map that is sorted whenever somebody asks.

use super::{Bid, Cursor, Descending, FeeOrder, Priced, Ties};
use crate::{entry::Price, lanes::LaneId};
use proptest::prelude::*;
use std::{cmp::Reverse, collections::BTreeMap};

#[derive(Clone, Debug)]
enum Step {
    /// Puts a lane in, in place of what it had.
    Put {
        lane: u32,
        max_fee: u64,
        priority_fee: u64,
    },
    Take {
        lane: u32,
    },
    /// Moves towards a base fee over some lanes.
    Follow {
        base_fee: u64,
        limit: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let put = (0..24_u32, 0..60_u64, 0..60_u64);
    let put = put.prop_map(|(lane, max_fee, priority_fee)| Step::Put {
        lane,
        max_fee,
        priority_fee: priority_fee.min(max_fee),
    });
    let follow = (0..70_u64, 1..6_usize);
    prop_oneof![
        6 => put,
        2 => (0..24_u32).prop_map(|lane| Step::Take { lane }),
        3 => follow.prop_map(|(base_fee, limit)| Step::Follow { base_fee, limit }),
    ]
}

/// An order and what is in it.
struct Model {
    order: FeeOrder,
    ties: Ties,
    base_fee: u64,
    arrivals: u64,
    lanes: BTreeMap<LaneId, Priced>,
}

impl Model {
    fn new(ties: Ties) -> Self {
        Self {
            order: FeeOrder::new(20, ties),
            ties,
            base_fee: 20,
            arrivals: 0,
            lanes: BTreeMap::new(),
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Put {
                lane,
                max_fee,
                priority_fee,
            } => {
                let lane = LaneId::new(lane);
                self.take(lane);
                self.arrivals += 1;
                let priced = Priced {
                    price: Price {
                        max_fee,
                        priority_fee,
                    },
                    arrival: self.arrivals,
                    lane,
                };
                self.order.insert(&priced);
                self.lanes.insert(lane, priced);
            }
            Step::Take { lane } => self.take(LaneId::new(lane)),
            Step::Follow { base_fee, limit } => {
                self.base_fee = base_fee;
                self.follow(limit);
            }
        }
    }

    fn take(&mut self, lane: LaneId) {
        if let Some(old) = self.lanes.remove(&lane) {
            self.order.remove(&old);
        }
    }

    fn follow(&mut self, limit: usize) -> bool {
        let lanes = &self.lanes;
        let priced = |lane| lanes.get(&lane).copied();
        self.order.follow(self.base_fee, limit, priced)
    }

    /// Wherever the boundary is, no bid is too low, none rises, and nobody is left out.
    fn check_descending(&self, base_fee: u64, chunk: usize) {
        let mut cursor = Cursor::default();
        let mut seen = Vec::new();
        let mut last: Option<Bid> = None;
        loop {
            let mut reader = self.order.descending(base_fee, cursor);
            for _ in 0..chunk {
                seen.extend(self.check_next(&mut reader, &mut last));
            }
            cursor = reader.cursor();
            if reader.bid().is_none() {
                break;
            }
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count, "nobody comes twice");
        for (lane, priced) in &self.lanes {
            let pays = priced.price.effective_tip(base_fee).is_some();
            assert!(!pays || seen.binary_search(lane).is_ok());
        }
    }

    fn check_next(&self, reader: &mut Descending<'_>, last: &mut Option<Bid>) -> Option<LaneId> {
        let base_fee = reader.base_fee;
        let bid = reader.bid()?;
        assert!(last.is_none_or(|last| bid <= last));
        *last = Some(bid);
        let lane = reader.next().expect("somebody bids");
        let priced = self.lanes[&lane];
        let effective_tip = priced.price.effective_tip(base_fee);
        let pays = effective_tip.map(|fee| (fee, Reverse(priced.arrival)));
        assert!(pays.is_none_or(|pays| pays <= (bid.effective_tip, bid.arrival)));
        Some(lane)
    }

    /// Once the boundary is there, both directions are sorted.
    fn check_sorted(&self) {
        let base_fee = self.base_fee;
        let mut reader = self.order.descending(base_fee, Cursor::default());
        while let (Some(bid), Some(lane)) = (reader.bid(), reader.next()) {
            if matches!(self.ties, Ties::Arrival) {
                let priced = self.lanes[&lane];
                let effective_tip = priced.price.effective_tip(base_fee);
                assert_eq!(effective_tip, Some(bid.effective_tip));
                assert_eq!(Reverse(priced.arrival), bid.arrival);
            }
        }
        if matches!(self.ties, Ties::MaxFee) {
            let rank = |priced: &Priced| {
                let price = priced.price;
                (price.effective_tip(base_fee), price.max_fee, priced.lane)
            };
            let mut expected: Vec<_> = self.lanes.values().collect();
            expected.sort_by_key(|priced| rank(priced));
            let expected: Vec<_> = expected.iter().map(|priced| priced.lane).collect();
            assert_eq!(self.order.ascending(base_fee).collect::<Vec<_>>(), expected);
        }
    }
}

proptest! {
    #[test]
    fn always_sorted(steps in prop::collection::vec(step(), 1..80), by_max_fee in any::<bool>()) {
        let ties = if by_max_fee { Ties::MaxFee } else { Ties::Arrival };
        let mut model = Model::new(ties);
        for step in &steps {
            model.run(step);
            for (base_fee, chunk) in [(model.base_fee, 1), (0, 3), (33, 7), (59, 100)] {
                model.check_descending(base_fee, chunk);
            }
            let lanes = model.order.ascending(model.base_fee).count();
            prop_assert_eq!(lanes, model.lanes.len());
        }
        while !model.follow(2) {}
        model.check_sorted();
        // Only those between the old and the new base fee change sides: a second time nobody does.
        prop_assert!(model.follow(1));
    }
}
