//! A sum of many points, each times a number of 130 bits, by buckets.
//!
//! ```text
//! numbers ─▶ windows of w bits, each an odd digit from -(2^w - 1) to 2^w - 1
//!
//! per window:  points ─▶ the bucket of their digit, 2^(w-1) of them; a negative digit negates
//!              bucket sums, as a grid of rows and columns ─▶ row sums, column sums
//!              2 (width · Σ row · row sum + Σ column · column sum) + Σ row sums
//! all windows: each doubled w times, and the next added
//! ```
//! The bucket j holds what the digits 2 j + 1 and -(2 j + 1) name. All sums of points of many buckets, and of
//! several windows where the points are few, are formed pair by pair with shared inversions: half of what is
//! left each time. The grid makes the last step a few dozen additions a window instead of two for each
//! bucket. The width of a window is what costs the fewest additions for so many points.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "places are counted from the digits of the same call; the tests run with overflow checks"
)]

use super::super::scalar::Short;
use super::element::Element;
use super::point::{Jacobian, Pair, Point, add_pairs};
use std::ops::Range;

/// Bits of the numbers, before the sign.
const NUMBER_BITS: usize = 130;
/// The widths that are chosen from.
const WIDTHS: std::ops::RangeInclusive<usize> = 2..=14;
/// Points in the buckets of the windows that are summed together: they should fit into the cache.
const TOGETHER_MAX: usize = 16_384;

/// A point and what it is multiplied by, in the form of [`super::super::scalar`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    pub(super) point: Point,
    pub(super) number: Short,
}

/// The sum of all terms.
pub(super) fn sum(terms: &[Term]) -> Jacobian {
    let digits = Digits::new(terms);
    let together = (TOGETHER_MAX / terms.len().max(1)).clamp(1, digits.windows);
    let mut buckets = Buckets::default();
    let mut sums = Vec::with_capacity(digits.windows);
    for first in (0..digits.windows).step_by(together) {
        let windows = first..digits.windows.min(first + together);
        buckets.fill(&digits, windows.clone());
        let grid = buckets.sum_grid(&digits, windows.len());
        sums.extend(grid.chunks(digits.rows() + digits.columns()).map(|window| {
            let (rows, columns) = window.split_at(digits.rows());
            digits.sum_window(rows, columns)
        }));
    }
    let mut out = Jacobian::INFINITY;
    for sum in sums.iter().rev() {
        for _ in 0..digits.width {
            out = out.double();
        }
        out = out.add(sum);
    }
    out
}

/// The digits of terms.
struct Digits<'a> {
    terms: &'a [Term],
    width: usize,
    windows: usize,
}

impl<'a> Digits<'a> {
    /// In windows of the width that costs the fewest additions.
    fn new(terms: &'a [Term]) -> Self {
        let windows = |width: usize| NUMBER_BITS.div_ceil(width);
        // A bucket is added to its row and to its column.
        let cost = |width: &usize| windows(*width) * (terms.len() + 2 * (1 << (width - 1)));
        let width = WIDTHS.min_by_key(cost).expect("there are widths");
        Self {
            terms,
            width,
            windows: windows(width),
        }
    }

    const fn buckets(&self) -> usize {
        1 << (self.width - 1)
    }

    const fn columns(&self) -> usize {
        1 << ((self.width - 1) / 2)
    }

    const fn rows(&self) -> usize {
        self.buckets() / self.columns()
    }

    /// The bucket of a number in a window, and whether its digit is negative.
    #[inline(always)]
    fn bucket(&self, number: &Short, window: usize) -> (usize, bool) {
        // The numbers come as (k + 2^130 - 1) / 2; the digits are those of (k + 2^m - 1) / 2, where m are the
        // bits of all windows.
        let raised = number[2] + (1 << (self.windows * self.width - 129)) - 2;
        let words = [number[0], number[1], raised, 0];
        let (word, shift) = (window * self.width / 64, window * self.width % 64);
        let pair = u128::from(words[word]) | u128::from(words[word + 1]) << 64;
        let half = self.buckets();
        let bits = low_bits(pair >> shift) & (2 * half - 1);
        if bits < half {
            (half - 1 - bits, true)
        } else {
            (bits - half, false)
        }
    }

    /// The sum of a window from the sums of its rows and columns.
    fn sum_window(&self, rows: &[Point], columns: &[Point]) -> Jacobian {
        let (mut weighted, plain) = weigh(rows);
        for _ in 0..self.columns().trailing_zeros() {
            weighted = weighted.double();
        }
        weighted.add(&weigh(columns).0).double().add(&plain)
    }
}

/// The sum of all points, each times its place, and their plain sum.
fn weigh(points: &[Point]) -> (Jacobian, Jacobian) {
    let (mut weighted, mut plain) = (Jacobian::INFINITY, Jacobian::INFINITY);
    for point in points.iter().rev() {
        weighted = weighted.add(&plain);
        plain = plain.add(&Jacobian::new(point));
    }
    (weighted, plain)
}

/// Points that are summed group by group; the allocations serve all windows.
#[derive(Default)]
struct Buckets {
    points: Vec<Point>,
    /// Where the points of each group begin, and how many they are.
    groups: Vec<Group>,
    pairs: Vec<Pair>,
    before: Vec<Element>,
}

#[derive(Clone, Copy, Default)]
struct Group {
    start: usize,
    len: usize,
}

impl Group {
    /// What has not been summed yet, at a distance of `stride` points, two by two.
    fn pairs(self, stride: usize) -> impl Iterator<Item = Pair> {
        let firsts = self.start..self.start + self.len.saturating_sub(stride);
        let pairs = firsts.step_by(2 * stride);
        pairs.map(move |first| (place(first), place(first + stride)))
    }
}

impl Buckets {
    /// Sums the points in each bucket of some windows.
    fn fill(&mut self, digits: &Digits<'_>, windows: Range<usize>) {
        let buckets = digits.buckets();
        self.groups.clear();
        self.groups
            .resize(windows.len() * buckets, Group::default());
        for (place, window) in windows.clone().enumerate() {
            for term in digits.terms {
                let (bucket, _) = digits.bucket(&term.number, window);
                self.groups[place * buckets + bucket].len += 1;
            }
        }
        let mut start = 0;
        for group in &mut self.groups {
            group.start = start;
            start += std::mem::take(&mut group.len);
        }
        self.points.resize(start, Point::INFINITY);
        for (place, window) in windows.enumerate() {
            for term in digits.terms {
                let (bucket, is_negative) = digits.bucket(&term.number, window);
                let group = &mut self.groups[place * buckets + bucket];
                let point = &mut self.points[group.start + group.len];
                *point = term.point.negate_if(is_negative);
                group.len += 1;
            }
        }
        self.sum_groups();
    }

    /// The sums of rows and columns, window after window, from the sums of buckets.
    fn sum_grid(&mut self, digits: &Digits<'_>, windows: usize) -> Vec<Point> {
        let (rows, columns) = (digits.rows(), digits.columns());
        let mut grid = Self::default();
        let sums: Vec<_> = self.groups.iter().map(|group| self.sum_of(group)).collect();
        for window in sums.chunks(digits.buckets()).take(windows) {
            for row in window.chunks(columns) {
                grid.push_group(row.iter());
            }
            for column in 0..columns {
                grid.push_group(window[column..].iter().step_by(columns).take(rows));
            }
        }
        grid.sum_groups();
        grid.groups.iter().map(|group| grid.sum_of(group)).collect()
    }

    fn push_group<'a>(&mut self, points: impl Iterator<Item = &'a Point>) {
        let start = self.points.len();
        self.points
            .extend(points.filter(|point| !point.is_infinity()));
        let len = self.points.len() - start;
        self.groups.push(Group { start, len });
    }

    fn sum_of(&self, group: &Group) -> Point {
        if group.len == 0 {
            Point::INFINITY
        } else {
            self.points[group.start]
        }
    }

    /// Sums the points of every group into its first.
    fn sum_groups(&mut self) {
        let mut stride = 1;
        loop {
            self.pairs.clear();
            for group in &self.groups {
                self.pairs.extend(group.pairs(stride));
            }
            if self.pairs.is_empty() {
                return;
            }
            add_pairs(&mut self.points, &self.pairs, &mut self.before);
            stride *= 2;
        }
    }
}

fn place(index: usize) -> u32 {
    u32::try_from(index).expect("there are fewer points than addresses of them")
}

/// The low bits of many.
const fn low_bits(bits: u128) -> usize {
    bits as usize
}
