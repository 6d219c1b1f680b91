//! When transactions of a shard come: numbered, so that a block is a range of numbers.

use serde::Serialize;

const MS_PER_SECOND: u64 = 1_000;

/// What is asked of each shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "demand")]
pub enum Demand {
    /// There is always more.
    Endless,
    /// So many in each second, evenly.
    Steady {
        /// How many.
        per_second: u64,
    },
    /// So many at once, again and again.
    Bursts {
        /// How many.
        size: u64,
        /// Milliseconds from one to the next.
        every_ms: u64,
    },
}

impl Demand {
    /// How many have come in so long.
    pub(super) const fn arrived(&self, elapsed_ms: u64) -> u64 {
        match *self {
            Self::Endless => u64::MAX,
            Self::Steady { per_second } => elapsed_ms.saturating_mul(per_second) / MS_PER_SECOND,
            Self::Bursts { size, every_ms } => {
                let every_ms = if every_ms == 0 { 1 } else { every_ms };
                (elapsed_ms / every_ms).saturating_mul(size)
            }
        }
    }

    /// After how long one has come; none where it is not known, because there is always more.
    pub(super) fn arrival_ms(&self, number: u64) -> Option<u64> {
        let after = number.saturating_add(1);
        match *self {
            Self::Endless => None,
            Self::Steady { per_second } => {
                let ms = after.saturating_mul(MS_PER_SECOND);
                Some(ms.div_ceil(per_second.max(1)))
            }
            Self::Bursts { size, every_ms } => {
                Some(after.div_ceil(size.max(1)).saturating_mul(every_ms.max(1)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Demand;

    #[test]
    fn what_arrives_at_a_time_has_arrived_then_and_not_before() {
        let steady = Demand::Steady { per_second: 300 };
        let bursts = Demand::Bursts {
            size: 7,
            every_ms: 50,
        };
        for demand in [steady, bursts] {
            for number in 0..1_000 {
                let at_ms = demand.arrival_ms(number).unwrap();
                assert!(demand.arrived(at_ms) > number, "{demand:?} {number}");
                assert!(demand.arrived(at_ms - 1) <= number, "{demand:?} {number}");
            }
        }
        assert_eq!(steady.arrived(2_000), 600);
        assert_eq!(bursts.arrived(149), 14);
        assert_eq!(Demand::Endless.arrival_ms(3), None);
    }
}
