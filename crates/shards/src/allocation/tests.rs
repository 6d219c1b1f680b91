//! The allocation's promises: bounded, fair, stable, deterministic, and calm under a constant load.

use super::{
    AllocationRules, Allocator, CORES_MAX, Growth, Observation, RulesFault, SHARDS_MAX,
    fair::{Claim, shares},
};
use commonware_codec::{Decode, Encode, EncodeSize as _};
use primitives::shard::ShardId;
use proptest::prelude::*;
use std::collections::BTreeMap;

const WINDOW: u64 = 16;
const CANDIDATE_GAS: u64 = 1_000_000;
const CORE_GAS: u64 = WINDOW * CANDIDATE_GAS;

/// A chain whose cores are given by an allocator.
#[derive(Clone)]
struct Chain {
    allocator: Allocator,
    cores: Vec<Option<ShardId>>,
}

impl Chain {
    fn new(rules: AllocationRules) -> Self {
        Self {
            allocator: Allocator::new(rules).unwrap(),
            cores: vec![None; usize::from(rules.cores)],
        }
    }

    fn window(&mut self, observations: &[(ShardId, Observation)]) {
        self.cores = self.allocator.window(&self.cores, observations);
    }
}

/// How many cores each shard has.
fn held(chain: &Chain) -> BTreeMap<ShardId, u16> {
    let mut held = BTreeMap::new();
    for shard in chain.cores.iter().copied().flatten() {
        *held.entry(shard).or_insert(0) += 1;
    }
    held
}

/// What a shard that wants to use `demand` gas shows on so many cores.
fn seen(demand: u64, cores: u16, cores_max: u16) -> Observation {
    let gas_used = demand.min(u64::from(cores) * CORE_GAS);
    let backed = gas_used.div_ceil(CANDIDATE_GAS);
    Observation {
        cores_max,
        core_gas: CORE_GAS,
        gas_used,
        gas_limit: backed * CANDIDATE_GAS,
        backed: u32::try_from(backed).unwrap(),
        possible: u32::from(cores) * u32::try_from(WINDOW).unwrap(),
        missed: 0,
    }
}

/// Windows in which every shard demands the same again and again.
fn steady(chain: &mut Chain, demands: &[u64], windows: u32) {
    for _ in 0..windows {
        step(chain, demands);
    }
}

fn step(chain: &mut Chain, demands: &[u64]) {
    let held = held(chain);
    let observations = (0..).map(ShardId).zip(demands).map(|(shard, demand)| {
        let cores = held.get(&shard).copied().unwrap_or(0);
        (shard, seen(*demand, cores, 64))
    });
    let observations: Vec<_> = observations.collect();
    chain.window(&observations);
}

fn chain(cores: u16) -> Chain {
    Chain::new(AllocationRules::standard(cores))
}

#[test]
fn cores_follow_a_rise_and_a_fall() {
    let mut chain = chain(16);
    steady(&mut chain, &[CORE_GAS / 2], 20);
    assert_eq!(held(&chain)[&ShardId(0)], 1);
    steady(&mut chain, &[5 * CORE_GAS], 20);
    // A core more than it would take, which hysteresis keeps.
    assert_eq!(held(&chain)[&ShardId(0)], 7);
    let forecast = chain.allocator.forecast(ShardId(0)).unwrap();
    assert!(
        forecast.abs_diff(5 * CORE_GAS) < CORE_GAS / 100,
        "{forecast}"
    );
    steady(&mut chain, &[CORE_GAS / 2], 30);
    assert_eq!(held(&chain)[&ShardId(0)], 1);
}

#[test]
fn a_short_dip_costs_no_core() {
    let mut chain = chain(16);
    steady(&mut chain, &[3 * CORE_GAS], 20);
    let before = chain.cores.clone();
    steady(&mut chain, &[0], 1);
    steady(&mut chain, &[3 * CORE_GAS], 2);
    assert_eq!(chain.cores, before);
    steady(&mut chain, &[0], 3);
    assert_ne!(chain.cores, before);
}

#[test]
fn a_paused_shard_has_none_and_begins_anew() {
    let mut chain = chain(4);
    steady(&mut chain, &[3 * CORE_GAS], 20);
    assert_eq!(held(&chain)[&ShardId(0)], 4);
    chain.window(&[(ShardId(0), seen(CORE_GAS, 4, 0))]);
    assert!(held(&chain).is_empty());
    chain.window(&[(ShardId(0), seen(0, 0, 64))]);
    assert_eq!(held(&chain)[&ShardId(0)], 1);
    chain.window(&[]);
    assert_eq!(chain.allocator.forecast(ShardId(0)), None);
}

#[test]
fn candidates_that_time_out_bring_no_cores_and_cost_none() {
    let mut chain = chain(8);
    steady(&mut chain, &[CORE_GAS * 3 / 2], 20);
    let before = chain.cores.clone();
    let hindered = Observation {
        missed: 20,
        gas_used: CORE_GAS / 8,
        gas_limit: CORE_GAS / 8,
        ..seen(2 * CORE_GAS, 2, 64)
    };
    for _ in 0..20 {
        chain.window(&[(ShardId(0), hindered)]);
    }
    assert_eq!(chain.cores, before);
}

#[test]
fn too_few_cores_go_round() {
    let mut chain = chain(2);
    let mut turns = [0_u32; 5];
    for _ in 0..50 {
        step(&mut chain, &[CORE_GAS; 5]);
        for (shard, cores) in held(&chain) {
            assert_eq!(cores, 1);
            turns[usize::try_from(shard.0).unwrap()] += 1;
        }
    }
    assert_eq!(turns, [20; 5]);
}

#[test]
fn scarce_cores_are_shared_fairly() {
    let claim = |shard, held, want| Claim {
        shard: ShardId(shard),
        held,
        need: want,
        want,
        credit: 0,
    };
    assert_eq!(
        shares(9, &[claim(0, 0, 7), claim(1, 0, 2), claim(2, 4, 5)]),
        [3, 2, 4]
    );
    assert_eq!(
        shares(9, &[claim(0, 4, 7), claim(1, 0, 2), claim(2, 3, 5)]),
        [4, 2, 3]
    );
    assert_eq!(
        shares(4, &[claim(0, 0, 1), claim(1, 0, 0), claim(2, 0, 9)]),
        [1, 0, 3]
    );
    assert_eq!(shares(0, &[claim(0, 0, 1)]), [0]);
    assert_eq!(shares(7, &[]), Vec::<u16>::new());
    // Three have room to spare, the last one has not: their headroom comes after its load.
    let spare = |shard| Claim {
        need: 1,
        ..claim(shard, 2, 2)
    };
    let claims = [spare(0), spare(1), spare(2), claim(3, 2, 4)];
    assert_eq!(shares(7, &claims), [1, 1, 1, 4]);
    assert_eq!(shares(8, &claims), [2, 1, 1, 4]);
}

#[test]
fn rules_that_cannot_work_are_refused() {
    let rules = AllocationRules::standard(4);
    assert_eq!(rules.check(), Ok(()));
    for (bad, fault) in [
        (
            AllocationRules { cores: 65, ..rules },
            RulesFault::Cores { cores: 65 },
        ),
        (
            AllocationRules {
                level_share: 0,
                ..rules
            },
            RulesFault::Share {
                level: 0,
                trend: rules.trend_share,
            },
        ),
        (
            AllocationRules {
                trend_share: 257,
                ..rules
            },
            RulesFault::Share {
                level: rules.level_share,
                trend: 257,
            },
        ),
        (
            AllocationRules {
                horizon: 9,
                ..rules
            },
            RulesFault::Horizon { horizon: 9 },
        ),
        (
            AllocationRules {
                headroom: 99,
                ..rules
            },
            RulesFault::Headroom { headroom: 99 },
        ),
    ] {
        assert_eq!(Allocator::new(bad).map(|_| ()), Err(fault));
    }
}

#[test]
fn cores_of_shards_that_are_gone_are_free() {
    let mut chain = chain(4);
    steady(&mut chain, &[3 * CORE_GAS, 3 * CORE_GAS], 20);
    assert_eq!(held(&chain), [(ShardId(0), 2), (ShardId(1), 2)].into());
    chain.window(&[(ShardId(1), seen(3 * CORE_GAS, 2, 64))]);
    assert_eq!(held(&chain), [(ShardId(1), 4)].into());
}

#[test]
fn more_shards_than_there_may_be_are_left_out() {
    let observations: Vec<_> = (0..2_000)
        .rev()
        .map(|shard| (ShardId(shard), seen(0, 0, 1)))
        .collect();
    let mut chain = chain(64);
    chain.window(&observations);
    let held = held(&chain);
    assert_eq!(held.len(), CORES_MAX);
    assert!(held.contains_key(&ShardId(0)) && !held.contains_key(&ShardId(64)));
    let allocator = chain.allocator;
    let last = u32::try_from(SHARDS_MAX).unwrap() - 1;
    assert!(allocator.forecast(ShardId(last)).is_some());
    assert_eq!(allocator.forecast(ShardId(last + 1)), None);
    let bytes = allocator.encode();
    assert_eq!(
        Allocator::decode_cfg(bytes, &AllocationRules::standard(64)).unwrap(),
        allocator
    );
}

fn rules() -> impl Strategy<Value = AllocationRules> {
    (
        0..40_u16,
        1..=256_u16,
        0..=256_u16,
        0..=8_u8,
        100..=1_000_u16,
        any::<bool>(),
        any::<u8>(),
    )
        .prop_map(
            |(cores, level_share, trend_share, horizon, headroom, doubles, patience)| {
                AllocationRules {
                    cores,
                    level_share,
                    trend_share,
                    horizon,
                    headroom,
                    growth: if doubles { Growth::Double } else { Growth::One },
                    patience,
                }
            },
        )
}

/// Small numbers and the largest ones.
fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![0..40_000_000_u64, any::<u64>(), Just(u64::MAX), Just(0)]
}

fn observations() -> impl Strategy<Value = Vec<(ShardId, Observation)>> {
    let one = (
        0..12_u32,
        0..30_u16,
        (numbers(), numbers(), numbers()),
        (0..200_u32, 0..200_u32, prop_oneof![Just(0), any::<u32>()]),
    );
    let one = one.prop_map(|(shard, cores_max, gas, (backed, possible, missed))| {
        let (core_gas, gas_used, gas_limit) = gas;
        let observation = Observation {
            cores_max,
            core_gas,
            gas_used,
            gas_limit,
            backed,
            possible,
            missed,
        };
        (ShardId(shard), observation)
    });
    proptest::collection::vec(one, 0..12)
}

proptest! {
    #[test]
    fn whatever_is_observed_the_promises_hold(
        rules in rules(), windows in proptest::collection::vec(observations(), 1..12),
    ) {
        let mut chain = Chain::new(rules);
        let mut waited = BTreeMap::<ShardId, usize>::new();
        for observations in windows {
            let before = chain.clone();
            chain.window(&observations);
            prop_assert_eq!(chain.cores.len(), usize::from(rules.cores));
            let (had, has) = (held(&before), held(&chain));
            let mut first = BTreeMap::new();
            for (shard, observation) in &observations {
                first.entry(*shard).or_insert(*observation);
            }
            let active = first.iter().filter(|(_, observation)| observation.cores_max > 0);
            let active: Vec<_> = active.map(|(shard, _)| *shard).collect();
            for (shard, count) in &has {
                prop_assert!(active.contains(shard) && *count <= first[shard].cores_max);
            }
            if active.len() <= usize::from(rules.cores) {
                prop_assert!(active.iter().all(|shard| has.contains_key(shard)));
            }
            // Whoever does not lose cores keeps those it has.
            for (now, shard) in chain.cores.iter().zip(&before.cores) {
                let Some(shard) = shard else { continue };
                if has.get(shard) >= had.get(shard) {
                    prop_assert_eq!(*now, Some(*shard));
                }
            }
            waited.retain(|shard, _| active.contains(shard) && !has.contains_key(shard));
            for shard in &active {
                if !has.contains_key(shard) {
                    *waited.entry(*shard).or_default() += 1;
                }
                // Twelve shards, of whom some may come back from a pause between.
                let turns = 12_usize.div_ceil(usize::from(rules.cores).max(1));
                prop_assert!(rules.cores == 0 || waited.get(shard).copied().unwrap_or(0) <= 2 * turns);
            }
            // The same again, in another order, and after a restart.
            let bytes = before.allocator.encode();
            prop_assert_eq!(bytes.len(), before.allocator.encode_size());
            let mut again = Allocator::decode_cfg(bytes, &rules).unwrap();
            let mut reversed: Vec<_> = first.into_iter().collect();
            reversed.reverse();
            prop_assert_eq!(again.window(&before.cores, &reversed), chain.cores.clone());
            prop_assert_eq!(again.encode(), chain.allocator.encode());
        }
    }

    #[test]
    fn a_constant_load_comes_to_rest(
        level_share in 64..=256_u16,
        trend_share in 0..=64_u16,
        horizon in 0..=2_u8,
        cores in 1..20_u16,
        demands in proptest::collection::vec(0..6 * CORE_GAS, 1..6),
    ) {
        let rules = AllocationRules { level_share, trend_share, horizon, ..AllocationRules::standard(cores) };
        // Enough for all with their headroom; otherwise the last core may go to and fro.
        let wanted = demands.iter().map(|demand| demand * 5 / 4 / CORE_GAS + 2).sum::<u64>();
        let cores = cores + u16::try_from(wanted).unwrap();
        let rules = AllocationRules { cores, ..rules };
        let mut chain = Chain::new(rules);
        // A trend of small weight swings for long.
        steady(&mut chain, &demands, 1_000);
        let rest = chain.cores.clone();
        for _ in 0..60 {
            steady(&mut chain, &demands, 1);
            prop_assert_eq!(&chain.cores, &rest);
        }
        let has = held(&chain);
        let enough = |(shard, demand): (ShardId, &u64)| u64::from(has[&shard]) * CORE_GAS >= *demand;
        prop_assert!((0..).map(ShardId).zip(&demands).all(enough));
    }

    #[test]
    fn shares_are_fair(
        cores in 0..50_u16,
        claims in proptest::collection::vec((0..9_u16, 0..12_u16, 0..12_u16, -5..5_i32), 0..12),
    ) {
        let claims: Vec<_> = (0..).map(ShardId).zip(claims).map(|(shard, (held, need, want, credit))| Claim { shard, held, need: need.min(want), want, credit }).collect();
        let shares = shares(cores, &claims);
        let wanted: u16 = claims.iter().map(|claim| claim.want).sum();
        prop_assert_eq!(shares.iter().sum::<u16>(), wanted.min(cores));
        for (claim, share) in claims.iter().zip(&shares) {
            prop_assert!(*share <= claim.want);
            let unfair = |(other, more): (&Claim, &u16)| {
                *more > share + 1
                    && (*share < claim.need || *share < claim.want && *more > other.need)
            };
            prop_assert!(!claims.iter().zip(&shares).any(unfair));
        }
    }

    #[test]
    fn other_bytes_are_refused_or_mean_one_thing(bytes in proptest::collection::vec(0..3_u8, 0..80)) {
        let rules = AllocationRules::standard(3);
        if let Ok(allocator) = Allocator::decode_cfg(bytes::Bytes::from(bytes.clone()), &rules) {
            prop_assert_eq!(allocator.encode().to_vec(), bytes);
        }
    }
}
