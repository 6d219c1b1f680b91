//! What is known of calls of one method: the code and the selector are the same.

use super::{
    PredictedSlot, Wanted,
    call::Call,
    expression::{Expression, Location},
    hashes::{Hasher, Pair, Preimages, hash},
};
use alloy_primitives::{Address, U256};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Templates of one method. A new one takes the place of the one that has been wrong most, among
/// those that are not in use.
pub(super) const TEMPLATES_MAX: usize = 32;
/// Calls that are learned from before it is done now and then only.
pub(super) const FIRST_CALLS: u64 = 32;
/// Of so many calls after the first, one is learned from.
pub(super) const SAMPLE_CALLS: u64 = 64;

/// A template must have been right so often to be used.
const HITS_MIN: u8 = 2;
/// It may have been wrong so many times as often as right: the two directions of a swap touch
/// different slots, each in half of the calls.
const MISSES_PER_HIT: u8 = 2;
/// It is forgotten once it has been wrong so many times more than right.
const MISSES_OVER_HITS_MAX: u8 = 8;
/// When this many calls are counted, older ones count half.
const COUNTED_MAX: u8 = 64;
/// What a conflict adds to a template's weight.
const CONFLICT_WEIGHT: u8 = 2;
/// Calls that take one off again. To find a mapped slot takes a hash, a conflict an execution: so many
/// calls are about as much worth as a conflict.
const CALLS_PER_WEIGHT: u64 = 16;
/// So much is forgotten soon enough when nothing of the kind happens again.
const WEIGHT_MAX: u8 = 64;
/// From this weight on it pays to hash for a template.
const HASHED_WEIGHT_MIN: u8 = 2 * CONFLICT_WEIGHT;
/// Templates that one call adds; what else it touches is left to the next one.
const ADDED_MAX: usize = 16;
/// Hashes of slots that have conflicted, which are kept: such slots come again.
const HOT_MAX: usize = 8;
/// Of so many parts of the average gas, the last call's is one.
const GAS_PARTS: u64 = 8;

/// One method.
#[derive(Debug, Default)]
pub(super) struct Method {
    /// What calls have used lately, on average.
    pub(super) gas: Option<u64>,
    templates: Vec<Template>,
    /// Hashes that need not be done again, the oldest first.
    hot: Vec<(Pair, U256)>,
    /// Calls that somebody might have learned from.
    asked: AtomicU64,
    /// Calls of which somebody has asked what they conflict over.
    foreseen: AtomicU64,
    /// Calls that were learned from.
    learned: u64,
}

/// A slot that calls may touch, and how often they did.
#[derive(Debug)]
struct Template {
    expression: Expression,
    hits: u8,
    misses: u8,
    /// Hits that were writes.
    written: u8,
    /// How much trouble the slot has been lately; a hint, so nobody waits for anybody to change it.
    weight: AtomicU8,
}

impl Method {
    pub(super) fn wants_to_learn(&self) -> bool {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        asked < FIRST_CALLS || asked.is_multiple_of(SAMPLE_CALLS)
    }

    pub(super) fn learn(
        &mut self,
        call: &Call<'_>,
        touched: &[(Address, U256, bool)],
        preimages: Preimages<'_>,
    ) {
        let sampled = *self.asked.get_mut() / SAMPLE_CALLS;
        if self.learned >= FIRST_CALLS.saturating_add(sampled) {
            return;
        }
        self.learned = self.learned.saturating_add(1);
        let expected: Vec<Option<Location>> = self
            .templates
            .iter()
            .map(|template| {
                template
                    .expression
                    .evaluate(call, |pair| preimages.hash(pair))
            })
            .collect();
        for (template, expected) in self.templates.iter_mut().zip(&expected) {
            let mut touched = touched.iter();
            let hit = touched.find(|(address, slot, _)| *expected == Some((*address, *slot)));
            template.count(hit.map(|(_, _, writes)| *writes));
        }
        self.templates.retain(|template| !template.is_hopeless());
        let new = touched
            .iter()
            .filter(|(address, slot, _)| !expected.contains(&Some((*address, *slot))));
        for &(address, slot, writes) in new.take(ADDED_MAX) {
            let expression = Expression::describe(call, preimages, (address, slot));
            self.add(Template::new(expression, writes));
        }
    }

    /// What predictions hash with.
    pub(super) fn hasher(&self) -> Hasher<'_> {
        Hasher::new(&self.hot)
    }

    /// Whether there is a template of which somebody wants to know.
    pub(super) fn has_any(&self, wanted: Wanted) -> bool {
        let mut templates = self.templates.iter();
        templates.any(|template| template.is_wanted(wanted))
    }

    pub(super) fn predict(
        &self,
        call: &Call<'_>,
        wanted: Wanted,
        hasher: &mut Hasher<'_>,
        out: &mut Vec<PredictedSlot>,
    ) {
        if wanted == Wanted::Conflicting {
            self.count_foreseen();
        }
        let start = out.len();
        let templates = self.templates.iter().enumerate();
        for (place, template) in templates.filter(|(_, one)| one.is_wanted(wanted)) {
            let location = template.expression.evaluate(call, |pair| hasher.hash(pair));
            let Some((address, slot)) = location else {
                continue;
            };
            let mut earlier = out.iter_mut().skip(start);
            match earlier.find(|known| known.slot == slot && known.address == address) {
                Some(known) => {
                    known.writes |= template.writes();
                }
                None => out.push(PredictedSlot {
                    address,
                    slot,
                    writes: template.writes(),
                    template: place,
                }),
            }
        }
    }

    fn count_foreseen(&self) {
        let foreseen = self.foreseen.fetch_add(1, Ordering::Relaxed);
        if foreseen.is_multiple_of(CALLS_PER_WEIGHT) {
            self.templates.iter().for_each(Template::lower);
        }
    }

    /// The slot of the template at a place was rightly waited for.
    pub(super) fn confirm(&self, template: usize) {
        if let Some(template) = self.templates.get(template) {
            template.raise();
        }
    }

    pub(super) fn conflicted(
        &mut self,
        call: &Call<'_>,
        location: Location,
        preimages: Preimages<'_>,
    ) {
        let mut hasher = Hasher::new(&[]);
        let mut hot = Vec::new();
        let mut is_known = false;
        for template in &self.templates {
            let mut pairs = Vec::new();
            let expected = template.expression.evaluate(call, |pair| {
                pairs.push(pair);
                preimages.hash(pair).or_else(|| hasher.hash(pair))
            });
            if expected == Some(location) {
                template.raise();
                is_known = true;
                hot.extend(pairs);
            }
        }
        hot.into_iter().for_each(|pair| self.heat(pair));
        if !is_known {
            let expression = Expression::describe(call, preimages, location);
            let template = Template::new(expression, false);
            template.raise();
            self.add(template);
        }
    }

    /// Keeps the hash of a pair.
    fn heat(&mut self, pair: Pair) {
        if self.hot.iter().any(|(known, _)| *known == pair) {
            return;
        }
        if self.hot.len() >= HOT_MAX {
            self.hot.remove(0);
        }
        self.hot.push((pair, hash(pair)));
    }

    pub(super) fn learn_gas(&mut self, gas: u64) {
        self.gas = Some(self.gas.map_or(gas, |average| {
            let others = average.saturating_mul(GAS_PARTS.saturating_sub(1));
            others.saturating_add(gas) / GAS_PARTS
        }));
    }

    fn add(&mut self, template: Template) {
        let mut others = self.templates.iter();
        if others.any(|other| other.expression == template.expression) {
            return;
        }
        if self.templates.len() < TEMPLATES_MAX {
            self.templates.push(template);
            return;
        }
        let unused = self.templates.iter_mut().filter(|one| !one.is_proven());
        if let Some(worst) = unused.min_by_key(|one| one.standing()) {
            *worst = template;
        }
    }

    #[cfg(test)]
    pub(super) fn templates(&self) -> usize {
        self.templates.len()
    }
}

impl Template {
    fn new(expression: Expression, writes: bool) -> Self {
        Self {
            expression,
            hits: 1,
            misses: 0,
            written: u8::from(writes),
            weight: AtomicU8::new(0),
        }
    }

    /// A call did not touch the slot, or did, with whether it wrote it.
    fn count(&mut self, hit: Option<bool>) {
        match hit {
            None => self.misses = self.misses.saturating_add(1),
            Some(writes) => {
                self.hits = self.hits.saturating_add(1);
                self.written = self.written.saturating_add(u8::from(writes));
            }
        }
        if self.hits.saturating_add(self.misses) >= COUNTED_MAX {
            self.hits /= 2;
            self.misses /= 2;
            self.written /= 2;
        }
    }

    /// A transaction was executed again because of the slot, or would have been.
    fn raise(&self) {
        let weight = self.weight.load(Ordering::Relaxed);
        let raised = weight.saturating_add(CONFLICT_WEIGHT).min(WEIGHT_MAX);
        if raised != weight {
            self.weight.store(raised, Ordering::Relaxed);
        }
    }

    /// Some more calls have come.
    fn lower(&self) {
        let weight = self.weight.load(Ordering::Relaxed);
        self.weight
            .store(weight.saturating_sub(1), Ordering::Relaxed);
    }

    fn is_wanted(&self, wanted: Wanted) -> bool {
        let weight_min = match (wanted, self.expression.is_plain()) {
            (Wanted::All, _) => 0,
            (Wanted::Conflicting, true) => 1,
            (Wanted::Conflicting, false) => HASHED_WEIGHT_MIN,
        };
        self.is_proven() && self.weight.load(Ordering::Relaxed) >= weight_min
    }

    const fn is_proven(&self) -> bool {
        self.hits >= HITS_MIN && self.misses <= self.hits.saturating_mul(MISSES_PER_HIT)
    }

    const fn is_hopeless(&self) -> bool {
        self.misses > self.hits.saturating_add(MISSES_OVER_HITS_MAX)
    }

    fn standing(&self) -> i16 {
        i16::from(self.hits).saturating_sub(i16::from(self.misses))
    }

    /// Whether most of the calls that touch the slot write it.
    const fn writes(&self) -> bool {
        self.written.saturating_mul(2) >= self.hits
    }
}
