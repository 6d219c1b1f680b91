//! Validator keys on disk: 32 bytes of ed25519 seed in hex, readable by their owner only.

use crate::{error::NodeError, file};
use alloy_primitives::hex;
use commonware_codec::{Copying, DecodeExt, Encode};
use commonware_cryptography::Signer as _;
use commonware_math::algebra::Random;
use primitives::crypto::{PrivateKey, PublicKey};
use rand_core::CryptoRng;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Permissions of a key file.
const OWNER_ONLY: u32 = 0o600;

/// A new key.
pub fn generate(rng: impl CryptoRng) -> PrivateKey {
    PrivateKey::random(rng)
}

/// A public key as it is written in genesis and config files.
#[must_use]
pub fn public_hex(key: &PublicKey) -> String {
    hex::encode(key)
}

/// Reads a public key from hex.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_public(text: &str) -> Result<PublicKey, String> {
    let bytes = hex::decode(text).map_err(|_| "not hex".to_owned())?;
    PublicKey::decode(Copying(bytes.as_slice()))
        .map_err(|_| "not an ed25519 public key of 32 bytes".to_owned())
}

/// Writes a key to a new file.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn write(path: &Path, key: &PrivateKey) -> Result<(), NodeError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(path)
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => NodeError::Exists {
                path: path.to_owned(),
            },
            _ => NodeError::File {
                action: "cannot create",
                path: path.to_owned(),
                source,
            },
        })?;
    writeln!(file, "{}", hex::encode(key.encode()))
        .and_then(|()| file.sync_all())
        .map_err(NodeError::file("cannot write", path))
}

/// Reads a key; refuses a file that others may read.
///
/// # Errors
/// When the file cannot be read, is readable by others, or holds no key.
pub fn read(path: &Path) -> Result<PrivateKey, NodeError> {
    let refuse = |problem: &str| NodeError::Key {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    let metadata = fs::metadata(path).map_err(NodeError::file("cannot read", path))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(refuse("readable by others; run `chmod 600` on it"));
    }
    let text = file::read_text(path, file::KEY_BYTES_MAX)?;
    let bytes = hex::decode(text.trim()).map_err(|_| refuse("not hex"))?;
    PrivateKey::decode(Copying(bytes.as_slice())).map_err(|_| refuse("not a key of 32 bytes"))
}

/// The public half.
#[must_use]
pub fn public(key: &PrivateKey) -> PublicKey {
    key.public_key()
}
