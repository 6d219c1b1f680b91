//! Load curves: how much gas each shard is asked for in each relay block.
//!
//! ```text
//! shape (cores' worth, by block) · noise of ±30 % ─▶ gas
//! ```
//! The random numbers are made here, by SplitMix64, so that published figures do not change with a library.

use super::{CANDIDATE_GAS, WINDOW_BLOCKS};

/// Noise of a block, either way.
const NOISE: f64 = 0.3;
/// What real blocks are scaled to, on average, in cores.
const RECORDED_CORES: f64 = 2.0;
/// Windows that a real block stands for, where blocks are drawn out.
const RECORDED_WINDOWS: usize = 4;

/// A load.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Cores that there are.
    pub(super) cores: u16,
    /// Gas demanded, by shard and then by block.
    pub(super) demand: Vec<Vec<u64>>,
}

/// SplitMix64.
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform between 0 and 1.
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        (word >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform between -1 and 1.
    fn either_way(&mut self) -> f64 {
        2.0 * self.next() - 1.0
    }
}

/// Every curve; those of real blocks only if there are any.
pub(super) fn all(blocks: usize, seed: u64, recorded: &[u64]) -> Vec<Curve> {
    let mut curves = single(blocks, seed);
    curves.extend(shared(blocks, seed));
    if let Some(sizes) = relative(recorded) {
        let drawn_out = WINDOW_BLOCKS * RECORDED_WINDOWS;
        let of = |each: usize| {
            let sizes = (0..blocks).map(|block| sizes[block / each % sizes.len()]);
            vec![sizes.map(|size| gas(RECORDED_CORES * size)).collect()]
        };
        curves.push(Curve {
            name: "mainnet, drawn out",
            what: "sizes of real blocks, each for four windows",
            cores: 16,
            demand: of(drawn_out),
        });
        curves.push(Curve {
            name: "mainnet, block by block",
            what: "sizes of real blocks, over and over",
            cores: 16,
            demand: of(1),
        });
    }
    curves
}

/// How many cores' worth a shard is asked for in a block.
type Shape = Box<dyn Fn(usize) -> f64>;

/// One shard alone.
fn single(blocks: usize, seed: u64) -> Vec<Curve> {
    let mut random = Random::new(seed);
    let curves = shapes(blocks, seed)
        .into_iter()
        .map(|(name, what, shape)| Curve {
            name,
            what,
            cores: 16,
            demand: vec![noisy(blocks, shape, &mut random)],
        });
    curves.collect()
}

fn shapes(blocks: usize, seed: u64) -> [(&'static str, &'static str, Shape); 8] {
    let window = WINDOW_BLOCKS as f64;
    let part = move |block: usize| block as f64 / blocks as f64;
    let mut steps = Random::new(seed ^ 0xa11);
    let walk = walk(blocks, &mut steps);
    let wave = move |block: usize, windows: f64| {
        (block as f64 / (windows * window) * std::f64::consts::TAU).sin()
    };
    [
        ("constant", "2.3 cores' worth", Box::new(|_| 2.3)),
        (
            "step",
            "0.8, in the middle third 4.2",
            Box::new(
                move |block| match (1.0 / 3.0..2.0 / 3.0).contains(&part(block)) {
                    true => 4.2,
                    false => 0.8,
                },
            ),
        ),
        (
            "ramp",
            "up from 0.5 to 6, and down again",
            Box::new(move |block| 0.5 + 5.5 * (1.0 - (2.0 * part(block) - 1.0).abs())),
        ),
        (
            "slow wave",
            "3 ± 2.5, a period of 100 windows",
            Box::new(move |block| 3.0 + 2.5 * wave(block, 100.0)),
        ),
        (
            "fast wave",
            "3 ± 2.5, a period of 12 windows",
            Box::new(move |block| 3.0 + 2.5 * wave(block, 12.0)),
        ),
        (
            "flash crowds",
            "0.5, three times 8 at once, gone in 20 windows",
            Box::new(move |block| 0.5 + 7.5 * crowd(block, blocks, 3, 0)),
        ),
        (
            "on and off",
            "3 and nothing, ten windows each",
            Box::new(
                |block| match (block / (10 * WINDOW_BLOCKS)).is_multiple_of(2) {
                    true => 3.0,
                    false => 0.0,
                },
            ),
        ),
        (
            "random walk",
            "between 0.2 and 8, ±0.4 a window",
            Box::new(move |block| walk[block]),
        ),
    ]
}

/// Several shards that share cores.
fn shared(blocks: usize, seed: u64) -> [Curve; 3] {
    let mut random = Random::new(seed ^ 0x5a5a);
    let walks = (0..8).map(|_| {
        let walk = walk(blocks, &mut random);
        noisy(blocks, |block| 0.4 * walk[block], &mut random)
    });
    let walks: Vec<_> = walks.collect();
    let crowds = (0..8).map(|shard| {
        noisy(
            blocks,
            |block| 0.4 + 6.0 * crowd(block, blocks, 2, shard),
            &mut random,
        )
    });
    let crowds: Vec<_> = crowds.collect();
    let many = (0..6)
        .map(|_| noisy(blocks, |_| 0.5, &mut random))
        .collect();
    [
        Curve {
            name: "eight walks, 16 cores",
            what: "a random walk for each of 8 shards",
            cores: 16,
            demand: walks,
        },
        Curve {
            name: "eight crowds, 12 cores",
            what: "flash crowds on 8 shards, some at once",
            cores: 12,
            demand: crowds,
        },
        Curve {
            name: "six shards, 4 cores",
            what: "half a core's worth each: they take turns",
            cores: 4,
            demand: many,
        },
    ]
}

fn noisy(blocks: usize, shape: impl Fn(usize) -> f64, random: &mut Random) -> Vec<u64> {
    let values = (0..blocks).map(|block| gas(shape(block) * (1.0 + NOISE * random.either_way())));
    values.collect()
}

/// Between 0.2 and 8, another value every window.
fn walk(blocks: usize, random: &mut Random) -> Vec<f64> {
    let mut value = 2.0_f64;
    let mut values = Vec::with_capacity(blocks);
    for block in 0..blocks {
        if block.is_multiple_of(WINDOW_BLOCKS) {
            value = (value + 0.4 * random.either_way()).clamp(0.2, 8.0);
        }
        values.push(value);
    }
    values
}

/// 1 when a crowd comes, and less and less of it in the 20 windows after it. Shards' crowds are at other times,
/// of two shards in four at nearly the same.
fn crowd(block: usize, blocks: usize, times: usize, shard: usize) -> f64 {
    let between = blocks / times.max(1) + 1;
    let offset = between / 3 + shard / 2 * between / 8;
    let Some(since) = (block % between).checked_sub(offset) else {
        return 0.0;
    };
    (-4.0 * since as f64 / (20 * WINDOW_BLOCKS) as f64).exp()
}

/// Sizes as parts of their mean; none of nothing.
fn relative(recorded: &[u64]) -> Option<Vec<f64>> {
    let sum: u64 = recorded.iter().sum();
    let mean = sum as f64 / recorded.len() as f64;
    (sum > 0).then(|| recorded.iter().map(|gas| *gas as f64 / mean).collect())
}

/// Cores' worth of gas for one block.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few cores' worth, never below 0"
)]
fn gas(cores: f64) -> u64 {
    (cores.max(0.0) * CANDIDATE_GAS as f64) as u64
}
