//! What a config file names: itself, genesis, key, data directory.
//!
//! ```text
//! headway.toml ─▶ genesis.json ─▶ validators ∋ the key's public half?
//!            └──▶ node.key       └▶ data directory: writable, room, of this chain, in use?
//! ```

use super::Finding;
use crate::{
    config::{NodeConfig, Peers},
    error::NodeError,
    file, keys,
};
use alloy_primitives::B256;
use primitives::{
    Genesis,
    crypto::{PrivateKey, PublicKey},
};
use rustix::fs::statvfs;
use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

/// Room on the disk below which a node will soon stop, in MiB.
const DISK_MIN_MIB: u64 = 1_024;
/// Room with which nobody has to look every week, in MiB.
const DISK_ENOUGH_MIB: u64 = 20 * 1_024;

/// A config file with what it names.
#[derive(Debug)]
pub(super) struct Installation {
    pub(super) config: NodeConfig,
    pub(super) peers: Peers,
    pub(super) genesis: Genesis,
    pub(super) public_key: Option<PublicKey>,
    /// Whether a process works in the data directory.
    pub(super) is_running: bool,
}

impl Installation {
    /// Hash of the block at height 0.
    pub(super) fn genesis_hash(&self) -> B256 {
        let (state, _) = pipeline::genesis(&self.genesis);
        state.hash
    }
}

/// Findings, and the files if all could be read.
pub(super) fn examine(path: &Path) -> (Vec<Finding>, Option<Installation>) {
    let mut findings = Vec::new();
    let config = match NodeConfig::read(path).and_then(|config| Ok((config.peers(path)?, config))) {
        Ok(config) => config,
        Err(error) => {
            let remedy = "docs/config.md lists every field; `headway init` writes a whole file";
            findings.push(Finding::fail("config", error.to_string(), remedy));
            return (findings, None);
        }
    };
    let (peers, config) = config;
    findings.push(Finding::ok("config", path.display().to_string()));
    let genesis = read_genesis(&config.genesis, &mut findings);
    let key = read_key(&config.key, &mut findings);
    if let (Some(genesis), Some(key)) = (&genesis, &key) {
        findings.push(role(genesis, key));
    }
    if config.fee_recipient.is_zero() {
        findings.push(Finding::warn(
            "fees",
            "fee_recipient is the zero address: what this validator earns is lost",
            "set fee_recipient in the config file",
        ));
    }
    let is_running = is_locked(&config.data_dir);
    findings.extend(disk(&config.data_dir, is_running));
    let installation = genesis.map(|genesis| Installation {
        config,
        peers,
        genesis,
        public_key: key.as_ref().map(keys::public),
        is_running,
    });
    (findings, installation)
}

fn read_genesis(path: &Path, findings: &mut Vec<Finding>) -> Option<Genesis> {
    let text = file::read_text(path, file::GENESIS_BYTES_MAX);
    let genesis = text.and_then(|text| {
        Genesis::from_json(&text).map_err(|source| NodeError::Genesis {
            path: path.to_owned(),
            source,
        })
    });
    match genesis {
        Ok(genesis) if genesis.validators.is_empty() => {
            let remedy = "add the validators' public keys under headway.validators";
            findings.push(Finding::fail("genesis", "names no validators", remedy));
            None
        }
        Ok(genesis) => {
            let text = format!(
                "chain {} of {} validators",
                genesis.chain.chain_id,
                genesis.validators.len()
            );
            findings.push(Finding::ok("genesis", text));
            Some(genesis)
        }
        Err(error) => {
            let remedy = "copy genesis.json from another node of the chain; it is the same on all";
            findings.push(Finding::fail("genesis", error.to_string(), remedy));
            None
        }
    }
}

fn read_key(path: &Path, findings: &mut Vec<Finding>) -> Option<PrivateKey> {
    match keys::read(path) {
        Ok(key) => {
            let text = format!("{} is readable by its owner only", path.display());
            findings.push(Finding::ok("key", text));
            Some(key)
        }
        Err(error) => {
            let remedy = "restore it from its backup; it must be readable by the node's user only";
            findings.push(Finding::fail("key", error.to_string(), remedy));
            None
        }
    }
}

fn role(genesis: &Genesis, key: &PrivateKey) -> Finding {
    let public = keys::public(key);
    let validators = &genesis.validators;
    match validators.iter().any(|validator| *validator == public) {
        true => Finding::ok(
            "role",
            format!(
                "a validator, one of {}; its key must run in one place only",
                validators.len()
            ),
        ),
        false => Finding::ok(
            "role",
            format!(
                "{} follows: the genesis does not name it",
                keys::public_hex(&public)
            ),
        ),
    }
}

/// Whether another process holds the directory.
fn is_locked(directory: &Path) -> bool {
    let Ok(lock) = File::open(directory.join("lock")) else {
        return false;
    };
    matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
}

fn disk(directory: &Path, is_running: bool) -> Vec<Finding> {
    let existing = existing(directory);
    let mut findings = vec![writable(directory, &existing, is_running)];
    let room = statvfs(&existing).map(|told| told.f_bavail.saturating_mul(told.f_frsize) >> 20);
    let remedy = "make room, or move data_dir; history_blocks bounds what old states take";
    findings.push(match room {
        Ok(mib) => {
            let text = format!("{mib} MiB free at {}", existing.display());
            match mib {
                ..DISK_MIN_MIB => Finding::fail("disk", text, remedy),
                DISK_MIN_MIB..DISK_ENOUGH_MIB => Finding::warn("disk", text, remedy),
                _ => Finding::ok("disk", text),
            }
        }
        Err(error) => Finding::warn(
            "disk",
            format!("how much is free is not known: {error}"),
            remedy,
        ),
    });
    findings
}

/// The directory, or the nearest one above it that is there.
fn existing(directory: &Path) -> PathBuf {
    let mut nearest = directory.ancestors().filter(|one| one.is_dir());
    nearest
        .next()
        .map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn writable(directory: &Path, existing: &Path, is_running: bool) -> Finding {
    let name = "data";
    if is_running {
        let text = format!("{} is in use by a running node", directory.display());
        return Finding::ok(name, text);
    }
    let probe = existing.join(format!(".headway-doctor-{:016x}", rand::random::<u64>()));
    let written = fs::write(&probe, b"x");
    // Whether it was written or not, nothing may stay.
    fs::remove_file(&probe).ok();
    let state = match directory.is_dir() {
        true => "is there",
        false => "will be made",
    };
    match written {
        Ok(()) => Finding::ok(
            name,
            format!("{} {state} and is writable", directory.display()),
        ),
        Err(error) => Finding::fail(
            name,
            format!("{} is not writable: {error}", existing.display()),
            "give it to the user that the node runs as: chown -R headway …",
        ),
    }
}
