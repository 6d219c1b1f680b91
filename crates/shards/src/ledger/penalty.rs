//! Validators that are asked last for a while, because something that may be nobody's fault went wrong with them.
//!
//! ```text
//! strike ─▶ set aside for 16 relay blocks, 32, 64, … ─▶ like all others ─▶ forgotten, after as long again
//! ```
//! Nobody can prove whose fault it was, so a strike costs a turn and nothing else; and never more than a third are
//! set aside, because a slow network strikes everybody.

use super::encoding::{read_length, write_length};
use bytes::BufMut;
use commonware_codec::{Buf, Error, Read, ReadExt as _, Write};
use primitives::shard::{BITS_MAX, Bits};
use std::{cmp::Reverse, collections::BTreeMap};

/// A validator that is asked last for a while: what it backed did not become available, or it did not check what
/// it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Penalty {
    /// How often.
    pub strikes: u8,
    /// The first relay height at which it is asked like all others.
    pub until: u64,
}

/// Relay blocks that the first strike lasts; each further one lasts twice as long.
pub(crate) const PENALTY_BLOCKS: u64 = 16;
/// Strikes beyond which a penalty grows no more.
pub(crate) const STRIKES_MAX: u8 = 8;

/// Who has strikes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Penalties(pub(super) BTreeMap<u16, Penalty>);

impl Penalties {
    /// Who of these is set aside at a relay height: those with strikes, but never more than a third of them, the
    /// longest struck first. A slow network strikes everybody, and must not stop a shard.
    #[must_use]
    pub fn set_aside(&self, among: &Bits, height: u64) -> Bits {
        let mut struck: Vec<(Reverse<u64>, u16)> = self
            .iter()
            .filter(|(validator, penalty)| {
                among.contains(usize::from(*validator)) && height < penalty.until
            })
            .map(|(validator, penalty)| (Reverse(penalty.until), validator))
            .collect();
        struck.sort_unstable();
        let most = among.count() / 3;
        let aside = struck.into_iter().take(most);
        aside.map(|(_, validator)| usize::from(validator)).collect()
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u16, &Penalty)> {
        self.0.iter().map(|(validator, one)| (*validator, one))
    }

    pub(crate) fn strike(&mut self, validator: u16, height: u64) {
        let penalty = self.0.entry(validator).or_insert(Penalty {
            strikes: 0,
            until: height,
        });
        let blocks = lasts(penalty.strikes);
        penalty.strikes = penalty.strikes.saturating_add(1).min(STRIKES_MAX);
        penalty.until = penalty.until.max(height.saturating_add(blocks));
    }

    /// Strikes those who are not set aside yet: one absence is one strike, however many candidates waited for it.
    pub(crate) fn strike_once(&mut self, validators: &Bits, height: u64) {
        let new = validators.iter().filter_map(|one| u16::try_from(one).ok());
        for validator in new {
            let known = self.0.get(&validator);
            if known.is_none_or(|penalty| penalty.until <= height) {
                self.strike(validator, height);
            }
        }
    }

    /// Strikes of these that are over are forgotten.
    pub(crate) fn forgive(&mut self, validators: &Bits, height: u64) {
        self.0.retain(|validator, penalty| {
            penalty.until > height || !validators.contains(usize::from(*validator))
        });
    }

    /// Strikes are forgotten when the next one's time has passed without it.
    pub(crate) fn forget(&mut self, height: u64) {
        self.0
            .retain(|_, penalty| penalty.until.saturating_add(lasts(penalty.strikes)) > height);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Relay blocks that a strike lasts after so many others.
fn lasts(strikes: u8) -> u64 {
    PENALTY_BLOCKS.saturating_mul(1_u64 << strikes.min(STRIKES_MAX))
}

impl Write for Penalties {
    fn write(&self, buf: &mut impl BufMut) {
        write_length(self.0.len(), buf);
        for (validator, penalty) in &self.0 {
            validator.write(buf);
            penalty.strikes.write(buf);
            penalty.until.write(buf);
        }
    }
}

impl Read for Penalties {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let mut penalties = BTreeMap::new();
        for _ in 0..read_length(buf, BITS_MAX)? {
            let validator = u16::read(buf)?;
            let penalty = Penalty {
                strikes: u8::read(buf)?,
                until: u64::read(buf)?,
            };
            let last = penalties.last_key_value();
            if last.is_some_and(|(last, _)| *last >= validator) {
                return Err(Error::Invalid("Penalties", "out of order"));
            }
            penalties.insert(validator, penalty);
        }
        Ok(Self(penalties))
    }
}
