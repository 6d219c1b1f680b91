//! The public key of a sender, as whoever recovered it tells it to others.

use alloy_primitives::Address;

/// Width of a key: x and y, big-endian.
pub const KEY_BYTES: usize = 64;

/// A secp256k1 public key as it is hashed to an address: x, then y, 32 big-endian bytes each.
///
/// Any 64 bytes are a value: one that is no point of the curve belongs to no signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SenderKey([u8; KEY_BYTES]);

impl SenderKey {
    /// A key from its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The address of its account.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::from_raw_public_key(&self.0)
    }
}

impl std::fmt::Debug for SenderKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SenderKey({})", self.address())
    }
}
