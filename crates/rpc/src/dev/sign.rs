//! Signing messages with unlocked keys: EIP-191 and EIP-712.

use super::require;
use crate::{args::Args, backend::Backend, error::RpcError, registry::Registry};
use alloy_dyn_abi::TypedData;
use alloy_primitives::{Address, Bytes, Signature};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;

pub(crate) fn register(methods: &mut Registry) {
    methods.heavy("personal_sign", personal_sign);
    methods.heavy("eth_sign", eth_sign);
    methods.heavy("eth_signTypedData_v4", sign_typed_data);
}

/// Message first; a password may follow, which there is no use for.
fn personal_sign(backend: &Backend, args: &Args) -> Result<Bytes, RpcError> {
    let (message, address, _): (Bytes, Address, Option<String>) = args.three()?;
    sign_with(backend, &address, |signer| {
        signer.sign_message_sync(&message)
    })
}

/// The older order: address first.
fn eth_sign(backend: &Backend, args: &Args) -> Result<Bytes, RpcError> {
    let (address, message): (Address, Bytes) = args.two()?;
    sign_with(backend, &address, |signer| {
        signer.sign_message_sync(&message)
    })
}

fn sign_typed_data(backend: &Backend, args: &Args) -> Result<Bytes, RpcError> {
    let (address, typed_data): (Address, TypedData) = args.two()?;
    let hash = typed_data
        .eip712_signing_hash()
        .map_err(|error| RpcError::ArgumentsConflict(error.to_string()))?;
    sign_with(backend, &address, |signer| signer.sign_hash_sync(&hash))
}

fn sign_with(
    backend: &Backend,
    address: &Address,
    sign: impl FnOnce(&PrivateKeySigner) -> alloy_signer::Result<Signature>,
) -> Result<Bytes, RpcError> {
    let signer = require(backend)?
        .signer(address)
        .ok_or(RpcError::UnknownAccount)?;
    let signature = sign(signer).map_err(|error| RpcError::Signing(error.to_string()))?;
    Ok(signature.as_bytes().to_vec().into())
}
