//! The machine: its clock, how many files may be open, memory, what the processor can do.

use super::Finding;
use rustix::process::{Resource, getrlimit};
use std::{fs, path::Path, process::Command};

/// Files that a node of a small network has open, with room for connections.
const FILES_FEW: u64 = 1_024;
/// Enough for the largest network and all its connections.
const FILES_ENOUGH: u64 = 8_192;
/// Memory with which a node of a new chain starts, in MiB.
const MEMORY_MIN_MIB: u64 = 512;
/// Memory that leaves room for a state of ten million accounts, in MiB.
const MEMORY_ENOUGH_MIB: u64 = 4_096;

pub(super) fn examine() -> Vec<Finding> {
    vec![clock(), open_files(), memory(), processor()]
}

fn clock() -> Finding {
    let name = "clock";
    let remedy = "start systemd-timesyncd, chrony or ntpd; voters refuse blocks from the future";
    // A file that systemd keeps while the clock is set by the network.
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Finding::ok(name, "synchronized by systemd-timesyncd");
    }
    let told = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .output();
    match told.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned()) {
        Ok(told) if told == "yes" => Finding::ok(name, "synchronized, says timedatectl"),
        Ok(told) if told == "no" => {
            Finding::warn(name, "not synchronized, says timedatectl", remedy)
        }
        _ => Finding::warn(
            name,
            "nobody here can say whether it is synchronized",
            remedy,
        ),
    }
}

fn open_files() -> Finding {
    let name = "open files";
    // None is no limit.
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let text = format!("at most {limit}");
    let remedy = "`ulimit -n 65536`, or LimitNOFILE=65536 in the systemd unit";
    match limit {
        ..FILES_FEW => Finding::fail(name, text, remedy),
        FILES_FEW..FILES_ENOUGH => Finding::warn(name, text, remedy),
        _ => Finding::ok(name, text),
    }
}

fn memory() -> Finding {
    let name = "memory";
    let told = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let Some(available) = available_mib(&told) else {
        return Finding::warn(
            name,
            "/proc/meminfo does not say how much is free",
            "see that 4 GiB are",
        );
    };
    let text = format!("{available} MiB free");
    let remedy =
        "a state takes some 250 bytes an account; trie_mib in the config file bounds most of it";
    match available {
        ..MEMORY_MIN_MIB => Finding::fail(name, text, remedy),
        MEMORY_MIN_MIB..MEMORY_ENOUGH_MIB => Finding::warn(name, text, remedy),
        _ => Finding::ok(name, text),
    }
}

/// What `/proc/meminfo` says is available.
pub(super) fn available_mib(told: &str) -> Option<u64> {
    let line = told
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1_024)
}

fn processor() -> Finding {
    let name = "processor";
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let noun = if cores == 1 { "core" } else { "cores" };
    match has_ifma() {
        true => Finding::ok(
            name,
            format!("{cores} {noun}, AVX-512 IFMA: signatures are recovered in vector lanes"),
        ),
        false => Finding::ok(
            name,
            format!(
                "{cores} {noun}, no AVX-512 IFMA: recovering signatures takes some eight times as long"
            ),
        ),
    }
}

fn has_ifma() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512ifma");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}
