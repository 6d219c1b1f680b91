//! Orders as relay blocks carry them: the bytes of the registry's events.
//!
//! ```text
//! kind: 1 │ shard: 4 │ create    genesis hash: 32, root: 32, ms: 8, gas limit: 8, cores: 2, collators, charter
//!                    │ upgrade   height: 8, gas limit: 8, charter
//!                    │ collators count: 2, keys: 32 each
//! ```
//! Numbers are big-endian and a charter is what remains. The registry knows how long these things are and nothing
//! of what they mean, so bytes that mean nothing are an order like any other, and refused.
//!
//! Which orders a block carries is decided by who executed the relay chain that far; here it is only held that no
//! height is carried twice, and none that the block's certified result does not cover.

use super::{
    Draft, Refusal, SectionFault, ShardOrder, ShardTerms,
    rules::{COLLATORS_MAX, CORES_UNLIMITED},
};
use alloy_primitives::Bytes;
use bytes::{Buf as _, BufMut as _};
use commonware_codec::{Copying, Error, ReadExt as _, Write as _};
use primitives::{
    codec,
    crypto::PublicKey,
    limits::CHARTER_BYTES_MAX,
    shard::{
        CarriedOrders, Charter, ShardId,
        charter::{self, FIRST_VERSION},
    },
};

impl Draft {
    /// Carries out what a block carries, whose header refers to the result at a height.
    ///
    /// # Errors
    /// When the heights are not those that follow.
    pub fn carry(
        &mut self,
        orders: &CarriedOrders,
        executed_height: u64,
    ) -> Result<(), SectionFault> {
        let (before, is_empty) = (self.ledger.orders_height, orders.list.is_empty());
        let height = match is_empty {
            true => executed_height,
            false => orders.height,
        };
        // Orders come from blocks above those that were carried before.
        let first = before.saturating_add(u64::from(!is_empty));
        if height < first || height > executed_height {
            return Err(SectionFault::Orders {
                height,
                from: first,
                to: executed_height,
            });
        }
        self.ledger.orders_height = height;
        for order in &orders.list {
            self.order(&ShardOrder::read(order));
        }
        Ok(())
    }
}

impl ShardOrder {
    /// The order that bytes stand for; one that will be refused if they stand for none.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let shard = bytes.get(1..).and_then(|rest| rest.first_chunk::<4>());
        let shard = ShardId(shard.map_or(0, |number| u32::from_be_bytes(*number)));
        let mut buf = Copying(bytes.get(5..).unwrap_or_default());
        match read_order(bytes.first().copied(), shard, &mut buf) {
            Ok(order) if !buf.has_remaining() && bytes.len() >= 5 => order,
            Ok(_) | Err(_) => Self::Unreadable(shard),
        }
    }

    /// Its bytes, as the registry's event has them.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = vec![self.byte()];
        self.shard().0.write(&mut bytes);
        match self {
            Self::Create { terms, cores, .. } => {
                codec::write_b256(&terms.genesis_hash, &mut bytes);
                codec::write_b256(&terms.genesis_root, &mut bytes);
                terms.genesis_ms.write(&mut bytes);
                terms.gas_limit.write(&mut bytes);
                cores.write(&mut bytes);
                write_keys(&terms.collators, &mut bytes);
                bytes.put_slice(&terms.charter);
            }
            Self::Upgrade {
                charter,
                gas_limit,
                height,
                ..
            } => {
                height.write(&mut bytes);
                gas_limit.write(&mut bytes);
                bytes.put_slice(charter);
            }
            Self::Collators { collators, .. } => write_keys(collators, &mut bytes),
            Self::Pause(_) | Self::Resume(_) | Self::Retire(_) | Self::Unreadable(_) => {}
        }
        bytes.into()
    }

    const fn byte(&self) -> u8 {
        match self {
            Self::Create { .. } => 0,
            Self::Pause(_) => 1,
            Self::Resume(_) => 2,
            Self::Retire(_) => 3,
            Self::Upgrade { .. } => 4,
            Self::Collators { .. } => 5,
            Self::Unreadable(_) => u8::MAX,
        }
    }
}

fn write_keys(keys: &[PublicKey], bytes: &mut Vec<u8>) {
    u16::try_from(keys.len()).unwrap_or(u16::MAX).write(bytes);
    for key in keys {
        key.write(bytes);
    }
}

fn read_order(
    kind: Option<u8>,
    shard: ShardId,
    buf: &mut Copying<'_>,
) -> Result<ShardOrder, Error> {
    Ok(match kind {
        Some(0) => read_create(shard, buf)?,
        Some(1) => ShardOrder::Pause(shard),
        Some(2) => ShardOrder::Resume(shard),
        Some(3) => ShardOrder::Retire(shard),
        Some(4) => ShardOrder::Upgrade {
            shard,
            height: u64::read(buf)?,
            gas_limit: u64::read(buf)?,
            charter: read_charter(buf)?,
        },
        Some(5) => ShardOrder::Collators {
            shard,
            collators: read_keys(buf)?,
        },
        Some(other) => return Err(Error::InvalidEnum(other)),
        None => return Err(Error::EndOfBuffer),
    })
}

fn read_create(shard: ShardId, buf: &mut Copying<'_>) -> Result<ShardOrder, Error> {
    let (genesis_hash, genesis_root) = (codec::read_b256(buf)?, codec::read_b256(buf)?);
    let (genesis_ms, gas_limit) = (u64::read(buf)?, u64::read(buf)?);
    let cores = u16::read(buf)?;
    let collators = read_keys(buf)?;
    let charter = read_charter(buf)?;
    let terms = ShardTerms {
        genesis_hash,
        genesis_root,
        genesis_ms,
        rules: charter::digest(&charter),
        gas_limit,
        collators,
        charter,
        cores_max: CORES_UNLIMITED,
    };
    Ok(ShardOrder::Create {
        shard,
        terms,
        cores,
    })
}

fn read_keys(buf: &mut Copying<'_>) -> Result<Vec<PublicKey>, Error> {
    let count = usize::from(u16::read(buf)?);
    if count > COLLATORS_MAX {
        return Err(Error::InvalidLength(count));
    }
    (0..count).map(|_| PublicKey::read(buf)).collect()
}

fn read_charter(buf: &mut Copying<'_>) -> Result<Bytes, Error> {
    let length = buf.remaining();
    if length > CHARTER_BYTES_MAX {
        return Err(Error::InvalidLength(length));
    }
    Ok(buf.copy_to_bytes(length).into())
}

/// Whether a shard can have a charter. What a later version than the first says is not judged, by nodes that know it
/// either: they and those that don't come to the same ledger.
pub(super) fn check_charter(bytes: &[u8], gas_limit: u64) -> Result<(), Refusal> {
    let is_right = match charter::version(bytes) {
        None | Some(0) => false,
        Some(FIRST_VERSION) => {
            let read = Charter::read_first(bytes);
            read.is_ok_and(|charter| charter.chain.gas_limit == gas_limit)
        }
        Some(_) => bytes.len() <= CHARTER_BYTES_MAX,
    };
    match is_right {
        true => Ok(()),
        false => Err(Refusal::Charter),
    }
}
