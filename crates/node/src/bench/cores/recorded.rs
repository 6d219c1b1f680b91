//! The gas of real blocks, by height.
//!
//! ```text
//! DIR/blocks/NUMBER.json, else DIR/NUMBER.json ─▶ .block.gasUsed
//! ```
//! The files are those that `headway replay` reads. They are foreign: whatever is wrong with one is an error
//! that names it. At most [`FILES_MAX`] files are read, of at most [`FILE_BYTES_MAX`] bytes each.

use crate::replay::FILE_BYTES_MAX;
use alloy_primitives::U64;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// Most files that are read.
pub const FILES_MAX: usize = crate::replay::BLOCKS_MAX;

/// Why real blocks can't be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read real blocks: {path}: {problem}")]
pub struct RecordedFault {
    path: PathBuf,
    problem: String,
}

#[derive(Deserialize)]
struct File {
    block: Header,
}

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "gasUsed")]
    gas_used: U64,
}

/// The gas of each block in a folder.
///
/// # Errors
/// When there is none, or a file is not one of a block.
pub fn read(folder: &Path) -> Result<Vec<u64>, RecordedFault> {
    let inner = folder.join("blocks");
    let folder = if inner.is_dir() { &inner } else { folder };
    let fault = |problem: String| RecordedFault {
        path: folder.to_owned(),
        problem,
    };
    let files = numbered(folder).map_err(|problem| fault(problem.to_string()))?;
    match files.len() {
        0 => Err(fault("no NUMBER.json in it".to_owned())),
        count if count > FILES_MAX => Err(fault(format!("files={count} max={FILES_MAX}"))),
        _ => files.values().map(|path| gas(path)).collect(),
    }
}

fn numbered(folder: &Path) -> io::Result<BTreeMap<u64, PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_json = path
            .extension()
            .is_some_and(|extension| extension == "json");
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse().ok());
        if let (true, Some(number)) = (is_json, number) {
            files.insert(number, path);
        }
    }
    Ok(files)
}

fn gas(path: &Path) -> Result<u64, RecordedFault> {
    let fault = |problem: String| RecordedFault {
        path: path.to_owned(),
        problem,
    };
    let file = fs::File::open(path).map_err(|problem| fault(problem.to_string()))?;
    let reader = io::BufReader::new(file.take(FILE_BYTES_MAX));
    let file: File =
        serde_json::from_reader(reader).map_err(|problem| fault(problem.to_string()))?;
    Ok(file.block.gas_used.saturating_to())
}
