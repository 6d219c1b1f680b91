//! The part of a relay block's body that is about shards.

use super::{Bits, Envelope, NO_SHARDS, ShardNamespace, ShardVote};
use crate::{
    crypto::{BlockHasher, PublicKey, Signature},
    limits::ORDER_BYTES_MAX,
};
use alloy_primitives::{B256, Bytes};
use bytes::BufMut;
use commonware_codec::{Buf, Encode, EncodeSize, Error, FixedSize, Read, ReadExt, Write};
use commonware_cryptography::Hasher as _;

/// An envelope with the signatures of those of its group who back it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackedEnvelope {
    /// What is backed.
    pub envelope: Envelope,
    /// Who signed: indices among the validators.
    pub backers: Bits,
    /// Their signatures over the statement, in the order of the indices.
    pub signatures: Vec<Signature>,
}

/// An envelope that one validator signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedStatement {
    /// What it backs.
    pub envelope: Envelope,
    /// Its index among the validators.
    pub validator: u16,
    /// Over the envelope's statement.
    pub signature: Signature,
}

/// Proof that a validator backed two candidates for one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equivocation {
    /// One of them.
    pub first: SignedStatement,
    /// The other.
    pub second: SignedStatement,
}

/// Orders of the registry, which a relay block carries to the ledger as its events have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CarriedOrders {
    /// The relay height up to which all are carried; the block's `executed` height if there are none.
    pub height: u64,
    /// In the order in which they were given.
    pub list: Vec<Bytes>,
}

/// What a relay block says about shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardSection {
    /// Candidates that enter the pipeline, in this order.
    pub backed: Vec<BackedEnvelope>,
    /// Verdicts about those that are in it.
    pub votes: Vec<ShardVote>,
    /// Evidence.
    pub equivocations: Vec<Equivocation>,
    /// What the relay chain's state orders.
    pub orders: CarriedOrders,
}

/// Bounds under which a section is decoded. Those of a chain without shards are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SectionLimits {
    /// Most envelopes.
    pub backed: u16,
    /// Most votes; also the validators of the chain.
    pub votes: u16,
    /// Most equivocations.
    pub equivocations: u16,
    /// Most orders.
    pub orders: u16,
}

impl SectionLimits {
    /// Those of a chain without shards.
    pub const NONE: Self = Self {
        backed: 0,
        votes: 0,
        equivocations: 0,
        orders: 0,
    };

    /// The longest encoding within these limits, in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        let signatures = usize::from(self.votes).saturating_mul(Signature::SIZE);
        let backed = Envelope::SIZE
            .saturating_add(BITS_BYTES_MAX)
            .saturating_add(signatures);
        let vote = u16::SIZE + Signature::SIZE + u64::SIZE + 3 * BITS_BYTES_MAX;
        let equivocation = 2 * (Envelope::SIZE + u16::SIZE + Signature::SIZE);
        let order = u16::SIZE + ORDER_BYTES_MAX;
        [
            (self.backed, backed),
            (self.votes, vote),
            (self.equivocations, equivocation),
            (self.orders, order),
        ]
        .into_iter()
        .fold(4 * u16::SIZE + u64::SIZE, |sum, (count, each)| {
            sum.saturating_add(usize::from(count).saturating_mul(each))
        })
    }
}

const BITS_BYTES_MAX: usize = u8::SIZE + super::BITS_MAX / 8;

impl ShardSection {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.backed.is_empty()
            && self.votes.is_empty()
            && self.equivocations.is_empty()
            && self.orders.list.is_empty()
    }

    /// What a header commits to.
    #[must_use]
    pub fn digest(&self) -> B256 {
        if self.is_empty() {
            return NO_SHARDS;
        }
        B256::from_slice(BlockHasher::hash(&[&self.encode()]).as_ref())
    }
}

impl BackedEnvelope {
    /// Whether each of the backers signed, by the keys that `key` gives for indices.
    #[must_use]
    pub fn is_signed<'a>(
        &self,
        namespace: &ShardNamespace,
        key: impl Fn(usize) -> Option<&'a PublicKey>,
    ) -> bool {
        let statement = self.envelope.statement();
        self.backers.count() == self.signatures.len()
            && self
                .backers
                .iter()
                .zip(&self.signatures)
                .all(|(index, signature)| {
                    key(index).is_some_and(|key| statement.is_signed(namespace, key, signature))
                })
    }
}

fn count<T>(items: &[T]) -> u16 {
    u16::try_from(items.len()).expect("sections are bounded when they are built and read")
}

impl Write for BackedEnvelope {
    fn write(&self, buf: &mut impl BufMut) {
        self.envelope.write(buf);
        self.backers.write(buf);
        for signature in &self.signatures {
            signature.write(buf);
        }
    }
}

impl EncodeSize for BackedEnvelope {
    fn encode_size(&self) -> usize {
        Envelope::SIZE
            .saturating_add(self.backers.encode_size())
            .saturating_add(self.signatures.len().saturating_mul(Signature::SIZE))
    }
}

impl Read for BackedEnvelope {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let envelope = Envelope::read(buf)?;
        let backers = Bits::read(buf)?;
        let signatures = (0..backers.count())
            .map(|_| Signature::read(buf))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            envelope,
            backers,
            signatures,
        })
    }
}

impl Write for SignedStatement {
    fn write(&self, buf: &mut impl BufMut) {
        self.envelope.write(buf);
        self.validator.write(buf);
        self.signature.write(buf);
    }
}

impl FixedSize for SignedStatement {
    const SIZE: usize = Envelope::SIZE + u16::SIZE + Signature::SIZE;
}

impl Read for SignedStatement {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            envelope: Envelope::read(buf)?,
            validator: u16::read(buf)?,
            signature: Signature::read(buf)?,
        })
    }
}

impl Write for Equivocation {
    fn write(&self, buf: &mut impl BufMut) {
        self.first.write(buf);
        self.second.write(buf);
    }
}

impl FixedSize for Equivocation {
    const SIZE: usize = 2 * SignedStatement::SIZE;
}

impl Read for Equivocation {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            first: SignedStatement::read(buf)?,
            second: SignedStatement::read(buf)?,
        })
    }
}

impl Write for CarriedOrders {
    fn write(&self, buf: &mut impl BufMut) {
        count(&self.list).write(buf);
        if self.list.is_empty() {
            return;
        }
        self.height.write(buf);
        for order in &self.list {
            count(order).write(buf);
            buf.put_slice(order);
        }
    }
}

impl EncodeSize for CarriedOrders {
    fn encode_size(&self) -> usize {
        let orders = self.list.iter();
        let sizes = orders.map(|order| u16::SIZE.saturating_add(order.len()));
        match self.list.is_empty() {
            true => u16::SIZE,
            false => sizes.fold(u16::SIZE + u64::SIZE, usize::saturating_add),
        }
    }
}

impl Read for CarriedOrders {
    type Cfg = u16;
    fn read_cfg(buf: &mut impl Buf, max: &u16) -> Result<Self, Error> {
        let count = u16::read(buf)?;
        if count > *max {
            return Err(Error::InvalidLength(usize::from(count)));
        }
        if count == 0 {
            return Ok(Self::default());
        }
        let height = u64::read(buf)?;
        let list = (0..count).map(|_| read_order(buf));
        let list = list.collect::<Result<_, _>>()?;
        Ok(Self { height, list })
    }
}

fn read_order(buf: &mut impl Buf) -> Result<Bytes, Error> {
    let length = usize::from(u16::read(buf)?);
    if length > ORDER_BYTES_MAX {
        return Err(Error::InvalidLength(length));
    }
    if buf.remaining() < length {
        return Err(Error::EndOfBuffer);
    }
    Ok(buf.copy_to_bytes(length).into())
}

impl Write for ShardSection {
    fn write(&self, buf: &mut impl BufMut) {
        count(&self.backed).write(buf);
        for backed in &self.backed {
            backed.write(buf);
        }
        count(&self.votes).write(buf);
        for vote in &self.votes {
            vote.write(buf);
        }
        count(&self.equivocations).write(buf);
        for equivocation in &self.equivocations {
            equivocation.write(buf);
        }
        self.orders.write(buf);
    }
}

impl EncodeSize for ShardSection {
    fn encode_size(&self) -> usize {
        let backed = self.backed.iter().map(EncodeSize::encode_size);
        let votes = self.votes.iter().map(EncodeSize::encode_size);
        let equivocations = self.equivocations.len().saturating_mul(Equivocation::SIZE);
        backed
            .chain(votes)
            .fold(3 * u16::SIZE, usize::saturating_add)
            .saturating_add(equivocations)
            .saturating_add(self.orders.encode_size())
    }
}

impl Read for ShardSection {
    type Cfg = SectionLimits;
    fn read_cfg(buf: &mut impl Buf, limits: &SectionLimits) -> Result<Self, Error> {
        Ok(Self {
            backed: read_list(buf, limits.backed)?,
            votes: read_list(buf, limits.votes)?,
            equivocations: read_list(buf, limits.equivocations)?,
            orders: CarriedOrders::read_cfg(buf, &limits.orders)?,
        })
    }
}

/// Every item takes more bytes than its count, so what is reserved is bounded by what was sent.
fn read_list<T: Read<Cfg = ()>>(buf: &mut impl Buf, max: u16) -> Result<Vec<T>, Error> {
    let count = u16::read(buf)?;
    if count > max {
        return Err(Error::InvalidLength(usize::from(count)));
    }
    (0..count).map(|_| T::read(buf)).collect()
}
