//! Checking signatures of senders whose public keys are said to be known, all at once.
//!
//! ```text
//! hint, r, s, z ─▶ R from r ─▶ Σ aᵢ Rᵢ = (Σ aᵢ zᵢ / sᵢ) G + Σ (aᵢ rᵢ / sᵢ) Qᵢ ?  ─ yes ─▶ the hints are true
//!                              random aᵢ of 128 bits   ▲                        │ no
//!                                                      └────── two halves ◀─────┤
//!                                              the C library ◀── few are left ──┘
//! ```
//! R is the signature's point, found from its x as in recovery; what is recovered is the one Q for which
//! `R = (z / s) G + (r / s) Q`. With every term of a batch weighted by a number that whoever made the
//! signatures cannot foresee, the sums are equal while a single hint is false with a probability of at most
//! 2^-127: errors cannot be made to cancel. Terms of one key are one term.
//!
//! What is recovered does not depend on the hints. A false one is reported, and its signature goes to the
//! C library. Looking for the false ones is bounded ([`SEARCH_MAX`]): at worst a batch takes less than twice
//! the time that it takes the C library.

mod element;
mod point;
mod sum;

use super::scalar::{self, Short};
use super::{RecoverError, Recovered, Recovery, Request, SenderKey};
use alloy_primitives::{U256, map::HashMap};
use element::{Element, square_roots};
use point::{Point, right_side};
use rand_core::CryptoRng;
use sum::Term;

/// Fewer signatures than this take the C library less time.
const BATCH_MIN: usize = 8;
/// A batch in which a hint is false is halved down to this size.
const HALVED_MIN: usize = 24;
/// How many times the signatures of a batch may be summed before the rest goes to the C library. One false
/// hint is found within three.
const SEARCH_MAX: usize = 3;
/// Square roots that are taken side by side.
const ROOTS: usize = 2;

/// A signature and what its signer's key is said to be.
#[derive(Clone, Copy, Debug)]
pub struct Hinted<'a> {
    /// The signature.
    pub request: Request,
    /// The key, if one is known.
    pub key: Option<&'a SenderKey>,
}

/// Who signed, and whose keys were not those that were said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HintedRecovery {
    /// The signer of each request, as without hints.
    pub recovered: Vec<Recovery>,
    /// The requests whose hint is not the key of the signer, in ascending order.
    pub false_hints: Vec<usize>,
}

impl HintedRecovery {
    /// Compares hints with keys that were recovered without them.
    pub(crate) fn judge(hinted: &[Hinted<'_>], recovered: Vec<Recovery>) -> Self {
        let pairs = hinted.iter().zip(&recovered).enumerate();
        let is_false = pairs.filter(|(_, (hinted, recovered))| hinted.is_false(recovered));
        Self {
            false_hints: is_false.map(|(index, _)| index).collect(),
            recovered,
        }
    }
}

/// Recovers by hints, whatever the processor has.
///
/// `rng` must be unpredictable for whoever made the signatures; what is recovered does not depend on it.
#[must_use]
pub fn recover_by_hints(hinted: &[Hinted<'_>], rng: &mut impl CryptoRng) -> HintedRecovery {
    let mut batch = Batch::new(hinted);
    if batch.checks.len() >= BATCH_MIN {
        batch.draw_weights(rng);
        batch.search();
    }
    batch.finish()
}

/// A key that hints name.
#[derive(Clone, Copy, Debug)]
struct Key {
    /// The point and lambda times it.
    points: [Point; 2],
    recovered: Recovered,
}

/// A signature with a hint that may be true.
#[derive(Clone, Copy, Debug)]
struct Check {
    index: usize,
    key: usize,
    /// The signature's point, negated.
    point: Point,
    /// a, in the form of digits.
    weight: Short,
    /// a z / s.
    generator: [u64; 4],
    /// a r / s.
    own: [u64; 4],
}

struct Batch<'a> {
    hinted: &'a [Hinted<'a>],
    keys: Vec<Key>,
    checks: Vec<Check>,
    /// What is known already.
    recovered: Vec<Option<Recovery>>,
}

impl<'a> Batch<'a> {
    /// Looks the keys up, which must be on the curve, and the signatures' points, which must exist.
    fn new(hinted: &'a [Hinted<'a>]) -> Self {
        let mut known = HashMap::<&SenderKey, Option<usize>>::default();
        let mut batch = Self {
            hinted,
            keys: Vec::new(),
            checks: Vec::with_capacity(hinted.len()),
            recovered: vec![None; hinted.len()],
        };
        let mut candidates = Vec::with_capacity(hinted.len());
        for (index, Hinted { request, key }) in hinted.iter().enumerate() {
            let Some(key) = key else { continue };
            let key = *known.entry(key).or_insert_with(|| batch.add_key(key));
            if let (Some(key), true) = (key, scalar::is_valid(request)) {
                candidates.push((index, key));
            }
        }
        for candidates in candidates.chunks(ROOTS) {
            batch.lift(candidates);
        }
        batch
    }

    fn add_key(&mut self, key: &SenderKey) -> Option<usize> {
        let point = Point::from_key(key)?;
        self.keys.push(Key {
            points: [point, point.endomorphism()],
            recovered: Recovered {
                key: *key,
                address: key.address(),
            },
        });
        Some(self.keys.len().saturating_sub(1))
    }

    /// Finds the points of signatures. One that has none has no signer.
    fn lift(&mut self, candidates: &[(usize, usize)]) {
        let mut x = [Element::ONE; ROOTS];
        for (x, (index, _)) in x.iter_mut().zip(candidates) {
            let r = self.hinted.get(*index).map(|hinted| hinted.request.r);
            *x = Element::new(r.unwrap_or_default().into_limbs());
        }
        let squares = x.map(|x| right_side(&x));
        let roots = square_roots(&squares);
        let lifted = x.iter().zip(squares).zip(roots);
        for ((index, key), ((x, square), y)) in candidates.iter().zip(lifted) {
            let Some(hinted) = self.hinted.get(*index) else {
                continue;
            };
            if !y.square().sub(&square).is_zero() {
                note(&mut self.recovered, *index, Err(RecoverError));
                continue;
            }
            let is_negated = y.is_odd() != hinted.request.is_odd;
            self.checks.push(Check {
                index: *index,
                key: *key,
                point: Point {
                    x: *x,
                    y: if is_negated { y } else { y.negate() },
                },
                weight: [0; 3],
                generator: [0; 4],
                own: [0; 4],
            });
        }
    }

    /// Draws a random number for each signature and multiplies its terms by it.
    fn draw_weights(&mut self, rng: &mut impl CryptoRng) {
        let request = |check: &Check| self.hinted.get(check.index).map(|hinted| hinted.request);
        let requests: Vec<_> = self.checks.iter().filter_map(request).collect();
        let numbers: Vec<_> = requests
            .iter()
            .map(|request| request.s.into_limbs())
            .collect();
        let inverses = scalar::invert_all(&numbers);
        for ((check, request), inverse) in self.checks.iter_mut().zip(requests).zip(inverses) {
            // An odd number has digits that are all odd.
            let weight = [rng.next_u64() | 1, rng.next_u64(), 0];
            let hash = U256::from_be_bytes(request.hash.0).into_limbs();
            check.weight = scalar::digits(weight);
            let weights = scalar::weigh(weight, &inverse);
            check.generator = scalar::multiply(&weights, &scalar::reduce_once(hash));
            check.own = scalar::multiply(&weights, request.r.as_limbs());
        }
    }

    /// Finds the hints that are true; the others are left without a signer.
    fn search(&mut self) {
        let budget = self.checks.len().saturating_mul(SEARCH_MAX);
        let mut search = Search {
            keys: &self.keys,
            budget,
            found: Vec::with_capacity(self.checks.len()),
        };
        search.run(&self.checks, false);
        for (index, key) in search.found {
            if let Some(key) = self.keys.get(key) {
                note(&mut self.recovered, index, Ok(key.recovered));
            }
        }
    }

    /// Recovers what is not known, and says which hints were false.
    fn finish(self) -> HintedRecovery {
        let known = self.hinted.iter().zip(self.recovered);
        let recovered = known.map(|(hinted, recovered)| {
            recovered.unwrap_or_else(|| hinted.request.recover_with_key())
        });
        HintedRecovery::judge(self.hinted, recovered.collect())
    }
}

/// Notes what is known of a request.
fn note(known: &mut [Option<Recovery>], index: usize, recovery: Recovery) {
    if let Some(known) = known.get_mut(index) {
        *known = Some(recovery);
    }
}

impl Hinted<'_> {
    /// Whether the hint, if there is one, is not the signer's key.
    fn is_false(&self, recovered: &Recovery) -> bool {
        let key = recovered.as_ref().map(|recovered| &recovered.key).ok();
        self.key.is_some() && self.key != key
    }
}

/// The search for true hints.
struct Search<'a> {
    keys: &'a [Key],
    /// Signatures that may still be summed.
    budget: usize,
    /// The request and the key of each true hint.
    found: Vec<(usize, usize)>,
}

impl Search<'_> {
    /// Searches a part of the batch, of which it may be known already that a hint in it is false; whether all
    /// of its hints were found true.
    fn run(&mut self, checks: &[Check], has_false: bool) -> bool {
        if !has_false {
            if checks.len() > self.budget || checks.len() < BATCH_MIN {
                return false;
            }
            self.budget = self.budget.saturating_sub(checks.len());
            if self.is_true(checks) {
                let found = checks.iter().map(|check| (check.index, check.key));
                self.found.extend(found);
                return true;
            }
        }
        if checks.len() >= HALVED_MIN {
            let (left, right) = checks.split_at(checks.len() / 2);
            let has_false = self.run(left, false);
            self.run(right, has_false);
        }
        false
    }

    /// Whether the sums are equal.
    fn is_true(&self, checks: &[Check]) -> bool {
        let mut generator = [0; 4];
        let mut own = vec![None; self.keys.len()];
        let mut terms = Vec::with_capacity(checks.len().saturating_mul(3).saturating_add(2));
        for check in checks {
            let (point, number) = (check.point, check.weight);
            terms.push(Term { point, number });
            generator = scalar::add_mod(&generator, &check.generator);
            if let Some(own) = own.get_mut(check.key) {
                *own = Some(scalar::add_mod(&own.unwrap_or_default(), &check.own));
            }
        }
        let base = [Point::GENERATOR, Point::GENERATOR.endomorphism()];
        let keys = self.keys.iter().zip(own);
        let keys = keys.filter_map(|(key, own)| own.map(|own| (key.points, own)));
        for (points, number) in keys.chain([(base, generator)]) {
            let parts = points.into_iter().zip(scalar::split_own(&number));
            terms.extend(parts.map(|(point, number)| Term { point, number }));
        }
        sum::sum(&terms).is_infinity()
    }
}

#[cfg(test)]
mod tests;
