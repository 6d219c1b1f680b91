//! A charter: what validators have to know of a shard to check its blocks, in bytes that travel in an order.
//!
//! ```text
//! genesis of the shard ─▶ Charter ─encode─▶ bytes ─┬─ digest: the rules that descriptors name
//!                                                  └─ in the ledger, for whoever checks
//! ```
//! Accounts are not in it: candidates bring the part of the state that they touch, and the root at number 0 is
//! among the shard's terms. A charter begins with its version. Its form in one version never changes: whether it
//! can be read has to be the same on all nodes that know the version, whatever else they know.
//!
//! Limits: [`CHARTER_BYTES_MAX`].

use crate::{
    ChainConfig, Genesis, chain::Protocol, codec, genesis::GenesisError, genesis::check_rules,
    limits::CHARTER_BYTES_MAX,
};
use alloy_primitives::{B256, Bytes, keccak256};
use commonware_codec::{Copying, FixedSize as _, ReadExt as _, Write as _};

/// The newest version that this node knows.
pub const CHARTER_VERSION: u32 = FIRST_VERSION;

/// The version that every node knows. Only of this one the ledger asks whether it can be read.
pub const FIRST_VERSION: u32 = 1;

/// What a shard's blocks are executed under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charter {
    /// The rules.
    pub chain: ChainConfig,
    /// Digest of the shard's rules at number 0, which the header there names; the same in every later charter.
    pub genesis_rules: B256,
}

/// Why a charter can't be read.
#[derive(Debug, thiserror::Error)]
pub enum CharterError {
    /// Of a version that this node does not know.
    #[error("charter version={0} is newer than this node's; newest={CHARTER_VERSION}")]
    Version(u32),
    /// Not what that version looks like.
    #[error("charter is malformed: {0}")]
    Malformed(&'static str),
    /// A value that no chain can run with.
    #[error("charter: {0}")]
    OutOfRange(#[from] GenesisError),
}

impl Charter {
    /// What a shard with this genesis begins with.
    #[must_use]
    pub fn of(genesis: &Genesis) -> Self {
        Self {
            chain: genesis.chain.clone(),
            genesis_rules: genesis.rules_digest(),
        }
    }

    /// Its encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let ChainConfig {
            chain_id,
            gas_limit,
            protocol,
        } = &self.chain;
        // A new parameter needs a new version, so all are named.
        let Protocol {
            gas_charge_floor_permille,
            reserve,
            inflight_blocks,
            block_bytes_max,
            heartbeat_ms,
            block_time_ms,
            clock_drift_ms,
            dev,
        } = protocol;
        let mut bytes = Vec::with_capacity(128);
        FIRST_VERSION.write(&mut bytes);
        codec::write_b256(&self.genesis_rules, &mut bytes);
        chain_id.write(&mut bytes);
        gas_limit.write(&mut bytes);
        gas_charge_floor_permille.write(&mut bytes);
        codec::write_u256(reserve, &mut bytes);
        inflight_blocks.write(&mut bytes);
        block_bytes_max.write(&mut bytes);
        heartbeat_ms.write(&mut bytes);
        block_time_ms.write(&mut bytes);
        clock_drift_ms.write(&mut bytes);
        dev.write(&mut bytes);
        bytes.into()
    }

    /// Reads one back.
    ///
    /// # Errors
    /// [`CharterError::Version`] if only a newer node could say more, and otherwise what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, CharterError> {
        Self::read_up_to(bytes, CHARTER_VERSION)
    }

    /// What a node reads that knows the versions up to `newest`.
    ///
    /// # Errors
    /// As [`Charter::read`].
    pub fn read_up_to(bytes: &[u8], newest: u32) -> Result<Self, CharterError> {
        match version(bytes) {
            Some(FIRST_VERSION) => Self::read_first(bytes),
            Some(0) | None => Err(CharterError::Malformed("it has no version")),
            Some(newer) if newer > newest => Err(CharterError::Version(newer)),
            Some(_) => Err(CharterError::Malformed("its version has no form yet")),
        }
    }

    /// Reads one of the first version back: the same on all nodes, whatever other versions they know.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read_first(bytes: &[u8]) -> Result<Self, CharterError> {
        if version(bytes) != Some(FIRST_VERSION) {
            return Err(CharterError::Malformed("not of version 1"));
        }
        if bytes.len() > CHARTER_BYTES_MAX {
            return Err(CharterError::Malformed("it is too long"));
        }
        let charter =
            read_fields(bytes).map_err(|_| CharterError::Malformed("not what version 1 has"))?;
        // One charter has one encoding, and so one digest.
        if *charter.to_bytes() != *bytes {
            return Err(CharterError::Malformed("more than version 1 has"));
        }
        check_rules(&charter.chain)?;
        Ok(charter)
    }
}

fn read_fields(bytes: &[u8]) -> Result<Charter, commonware_codec::Error> {
    let mut buf = Copying(bytes.get(u32::SIZE..).unwrap_or_default());
    let buf = &mut buf;
    let genesis_rules = codec::read_b256(buf)?;
    let (chain_id, gas_limit) = (u64::read(buf)?, u64::read(buf)?);
    let protocol = Protocol {
        gas_charge_floor_permille: u16::read(buf)?,
        reserve: codec::read_u256(buf)?,
        inflight_blocks: u16::read(buf)?,
        block_bytes_max: u32::read(buf)?,
        heartbeat_ms: u64::read(buf)?,
        block_time_ms: u64::read(buf)?,
        clock_drift_ms: u64::read(buf)?,
        dev: bool::read(buf)?,
    };
    Ok(Charter {
        chain: ChainConfig {
            chain_id,
            gas_limit,
            protocol,
        },
        genesis_rules,
    })
}

/// The version that a charter says it is of.
#[must_use]
pub fn version(bytes: &[u8]) -> Option<u32> {
    let first: [u8; 4] = bytes.get(..u32::SIZE)?.try_into().ok()?;
    Some(u32::from_be_bytes(first))
}

/// The digest by which descriptors name a charter, whatever its version.
#[must_use]
pub fn digest(bytes: &[u8]) -> B256 {
    keccak256(bytes)
}

#[cfg(test)]
mod tests {
    use super::{CHARTER_VERSION, Charter, CharterError, version};
    use crate::Genesis;
    use alloy_primitives::{B256, b256};

    fn charter() -> Charter {
        let text = r#"{"config": {"chainId": 7}, "gasLimit": "0x1c9c380", "difficulty": "0x0", "alloc": {}}"#;
        Charter::of(&Genesis::from_json(text).unwrap())
    }

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let charter = charter();
        let bytes = charter.to_bytes();
        assert_eq!(version(&bytes), Some(CHARTER_VERSION));
        assert_eq!(Charter::read(&bytes).unwrap(), charter);
        for length in 0..bytes.len() {
            assert!(Charter::read(&bytes[..length]).is_err(), "length={length}");
        }
        let longer = [bytes.as_ref(), &[0]].concat();
        assert!(matches!(
            Charter::read(&longer),
            Err(CharterError::Malformed(_))
        ));
        let mut newer = bytes.to_vec();
        newer[3] += 1;
        assert!(matches!(
            Charter::read(&newer),
            Err(CharterError::Version(2))
        ));
        newer[..4].fill(0);
        assert!(matches!(
            Charter::read(&newer),
            Err(CharterError::Malformed(_))
        ));
    }

    /// Its form in version 1 never changes.
    #[test]
    fn the_form_of_version_1() {
        let bytes = Charter {
            genesis_rules: B256::ZERO,
            ..charter()
        }
        .to_bytes();
        assert_eq!(bytes.len(), 117);
        let expected = b256!("0e769559d5bf5fe022dc426b25c44414bc927709cb4ce19179d6cafb76a7eba3");
        assert_eq!(super::digest(&bytes), expected);
    }

    #[test]
    fn a_chain_that_cannot_run_is_refused() {
        let mut charter = charter();
        charter.chain.protocol.block_bytes_max = u32::MAX;
        assert!(matches!(
            Charter::read(&charter.to_bytes()),
            Err(CharterError::OutOfRange(_))
        ));
    }
}
