//! Where the public test sets are, and their unpacked form.
//!
//! ```text
//! $HEADWAY_FIXTURES, else ../shared/data beside the repository
//!      └ NAME.tar.xz ─tar, once─▶ target/fixtures/NAME-<bytes>/
//! ```
//! The sets are large and not part of the repository. Where they are absent a test says so loudly
//! and passes: a clone must build and pass by itself. This module alone reads the environment.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{self, Command},
};

/// Names the folder that holds the archives.
const VARIABLE: &str = "HEADWAY_FIXTURES";

/// Real mainnet blocks with the state they touch.
pub const MAINNET_BLOCKS: &str = "mainnet-blocks.tar.xz";
/// The public tests of the Ethereum project.
pub const ETHEREUM_TESTS: &str = "ethereum-tests.tar.xz";

/// The folder of an archive's content; `None`, after saying so, when the archive is not there.
///
/// # Panics
/// When the archive is there and cannot be unpacked.
#[must_use]
pub fn unpack(archive: &str) -> Option<PathBuf> {
    let path = archive_folder().join(archive);
    let Ok(metadata) = fs::metadata(&path) else {
        announce_absence(&path);
        return None;
    };
    let name = archive.split('.').next().unwrap_or(archive);
    let cache = workspace().join("target/fixtures");
    let folder = cache.join(format!("{name}-{}", metadata.len()));
    if !folder.is_dir() {
        let own = cache.join(format!("unpacking-{name}-{}", process::id()));
        unpack_into(&path, &own, &folder).expect("the archive and the target folder are usable");
    }
    Some(folder)
}

/// Every file below a folder whose name ends in `.json`, sorted by path.
///
/// # Panics
/// When a folder cannot be read.
#[must_use]
pub fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).expect("an unpacked folder is readable");
        for entry in entries {
            let path = entry.expect("an unpacked folder is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test set is found through the environment, here and nowhere else"
)]
fn archive_folder() -> PathBuf {
    env::var_os(VARIABLE).map_or_else(|| workspace().join("../shared/data"), PathBuf::from)
}

#[expect(
    clippy::print_stderr,
    reason = "a skipped test must not look like one that ran"
)]
fn announce_absence(path: &Path) {
    let path = path.display();
    eprintln!("SKIPPED SKIPPED SKIPPED: no {path}; set {VARIABLE} to the folder of the test sets");
}

/// Several test processes may do this at once; whoever is second throws its own copy away.
fn unpack_into(archive: &Path, own: &Path, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(own)?;
    let status = Command::new("tar")
        .arg("-xJf")
        .arg(archive)
        .arg("-C")
        .arg(own)
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("tar failed: status={status}")));
    }
    if fs::rename(own, folder).is_err() && folder.is_dir() {
        fs::remove_dir_all(own)?;
    }
    Ok(())
}
