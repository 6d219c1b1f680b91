//! A set of numbers below 256: which validators did something, or which candidates a vote is about.
//!
//! Encoded as a length and that many bytes, without leading zeros, so a set has one encoding.

use alloy_primitives::U256;
use bytes::BufMut;
use commonware_codec::{Buf, EncodeSize, Error, FixedSize, Read, ReadExt, Write};

/// One more than the largest member.
pub const BITS_MAX: usize = 256;

/// A set of numbers below [`BITS_MAX`]. Operations on larger numbers change nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bits(U256);

impl Bits {
    /// The empty set.
    pub const EMPTY: Self = Self(U256::ZERO);

    /// Every number below `count`.
    #[must_use]
    pub fn below(count: usize) -> Self {
        (0..count).collect()
    }

    /// Adds a number; whether it is new.
    pub fn insert(&mut self, number: usize) -> bool {
        let new = number < BITS_MAX && !self.0.bit(number);
        if new {
            self.0.set_bit(number, true);
        }
        new
    }

    /// Takes a number out.
    pub fn remove(&mut self, number: usize) {
        if number < BITS_MAX {
            self.0.set_bit(number, false);
        }
    }

    /// Whether a number is in it.
    #[must_use]
    pub fn contains(&self, number: usize) -> bool {
        number < BITS_MAX && self.0.bit(number)
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.count_ones()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_zero()
    }

    /// What is in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this one and not in the other.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The numbers in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.0.bit_len()).filter(|number| self.0.bit(*number))
    }

    fn width(&self) -> usize {
        self.0.byte_len()
    }
}

impl FromIterator<usize> for Bits {
    fn from_iter<T: IntoIterator<Item = usize>>(numbers: T) -> Self {
        let mut bits = Self::EMPTY;
        for number in numbers {
            bits.insert(number);
        }
        bits
    }
}

impl Write for Bits {
    fn write(&self, buf: &mut impl BufMut) {
        let bytes = self.0.to_le_bytes::<{ U256::BYTES }>();
        let width = self.width();
        u8::try_from(width)
            .expect("a set has at most 32 bytes")
            .write(buf);
        buf.put_slice(bytes.get(..width).unwrap_or(&bytes));
    }
}

impl EncodeSize for Bits {
    fn encode_size(&self) -> usize {
        u8::SIZE.saturating_add(self.width())
    }
}

impl Read for Bits {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let width = usize::from(u8::read(buf)?);
        if width > U256::BYTES {
            return Err(Error::InvalidLength(width));
        }
        if buf.remaining() < width {
            return Err(Error::EndOfBuffer);
        }
        let mut bytes = [0_u8; U256::BYTES];
        let (read, _) = bytes.split_at_mut(width);
        buf.copy_to_slice(read);
        let bits = Self(U256::from_le_bytes(bytes));
        if bits.width() == width {
            Ok(bits)
        } else {
            Err(Error::Invalid("Bits", "leading zeros"))
        }
    }
}
