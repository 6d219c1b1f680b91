//! Fixed-width reading and writing of Ethereum's number types in the consensus codec.

use alloy_primitives::{Address, B256, U256};
use bytes::BufMut;
use commonware_codec::{Buf, Error, ReadExt, Write};

/// Encoded width of a `B256` or `U256`.
pub const WORD_SIZE: usize = 32;
/// Encoded width of an `Address`.
pub const ADDRESS_SIZE: usize = 20;

/// Writes 32 bytes.
pub fn write_b256(value: &B256, buf: &mut impl BufMut) {
    value.0.write(buf);
}

/// Reads 32 bytes.
///
/// # Errors
/// When the buffer ends early.
pub fn read_b256(buf: &mut impl Buf) -> Result<B256, Error> {
    Ok(B256::from(<[u8; WORD_SIZE]>::read(buf)?))
}

/// Writes 20 bytes.
pub fn write_address(value: &Address, buf: &mut impl BufMut) {
    value.0.0.write(buf);
}

/// Reads 20 bytes.
///
/// # Errors
/// When the buffer ends early.
pub fn read_address(buf: &mut impl Buf) -> Result<Address, Error> {
    Ok(Address::from(<[u8; ADDRESS_SIZE]>::read(buf)?))
}

/// Writes a number as 32 big-endian bytes.
pub fn write_u256(value: &U256, buf: &mut impl BufMut) {
    value.to_be_bytes::<WORD_SIZE>().write(buf);
}

/// Reads a number of 32 big-endian bytes.
///
/// # Errors
/// When the buffer ends early.
pub fn read_u256(buf: &mut impl Buf) -> Result<U256, Error> {
    Ok(U256::from_be_bytes(<[u8; WORD_SIZE]>::read(buf)?))
}
