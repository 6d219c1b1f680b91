//! From a state to a snapshot file.

use super::super::code::put_code;
use super::super::{CODES_BYTES, LeafScan, Manifest, ServeError};
use super::{Chain, EVIDENCE_BYTES_MAX, FileHeader, Kind, WriteError};
use crate::sparse::Lanes;
use crate::sparse::subtrie::Subtries;
use alloy_primitives::B256;
use std::collections::BTreeSet;
use std::io::Write;

/// Writes the state that a manifest was made of. `evidence` is whatever shows that its root is the chain's.
/// What is written was checked as readers check it.
///
/// # Errors
///
/// When the state can't be read, is no longer the manifest's, or the file can't be written.
pub fn write_file(
    out: impl Write,
    header: &FileHeader,
    evidence: &[u8],
    manifest: &Manifest,
    leaves: &impl LeafScan,
) -> Result<(), WriteError> {
    if evidence.len() > EVIDENCE_BYTES_MAX {
        return Err(WriteError::Evidence(evidence.len()));
    }
    if header.root != manifest.root() {
        return Err(WriteError::Root {
            header: header.root,
            manifest: manifest.root(),
        });
    }
    let mut records = Records {
        out,
        chain: Chain::default(),
    };
    records.header(header)?;
    records.put(Kind::Evidence, evidence)?;
    records.put(Kind::Manifest, manifest.bytes())?;
    let mut codes = BTreeSet::new();
    let mut subtries = Subtries::new(Lanes::Widest);
    for number in 0..manifest.chunks().len() {
        let bytes = manifest.serve(leaves, number)?;
        let chunk = manifest.check_with(&mut subtries, number, &bytes)?;
        codes.extend(chunk.code_hashes());
        records.put(Kind::Chunk, &bytes)?;
    }
    records.codes(leaves, &codes)?;
    records.put(Kind::End, &[])?;
    Ok(records.out.flush()?)
}

struct Records<W> {
    out: W,
    chain: Chain,
}

impl<W: Write> Records<W> {
    fn header(&mut self, header: &FileHeader) -> std::io::Result<()> {
        let bytes = header.encode();
        let checksum = self.chain.extend(&[&bytes]);
        self.out.write_all(&bytes)?;
        self.out.write_all(&checksum)
    }

    fn put(&mut self, kind: Kind, payload: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(payload.len()).expect("records are below 4 GiB");
        let mut head = [kind as u8; 5];
        head[1..].copy_from_slice(&length.to_le_bytes());
        let checksum = self.chain.extend(&[&head, payload]);
        self.out.write_all(&head)?;
        self.out.write_all(payload)?;
        self.out.write_all(&checksum)
    }

    fn codes(&mut self, leaves: &impl LeafScan, hashes: &BTreeSet<B256>) -> Result<(), WriteError> {
        let mut batch = Vec::new();
        for hash in hashes {
            let code = leaves.code(hash).map_err(ServeError::Read)?;
            put_code(&mut batch, &code.ok_or(ServeError::NoCode(*hash))?);
            if batch.len() >= CODES_BYTES {
                self.put(Kind::Codes, &batch)?;
                batch.clear();
            }
        }
        if !batch.is_empty() {
            self.put(Kind::Codes, &batch)?;
        }
        Ok(())
    }
}

/// A file of these chunks and codes, whatever they are, with right checksums.
#[cfg(test)]
pub(in crate::sync) fn tests_write(
    header: &FileHeader,
    manifest: &Manifest,
    chunks: &[alloy_primitives::Bytes],
    codes: &[&[u8]],
) -> Vec<u8> {
    let mut records = Records {
        out: Vec::new(),
        chain: Chain::default(),
    };
    let memory = "memory takes everything";
    records.header(header).expect(memory);
    records.put(Kind::Evidence, b"evidence").expect(memory);
    records.put(Kind::Manifest, manifest.bytes()).expect(memory);
    for chunk in chunks {
        records.put(Kind::Chunk, chunk).expect(memory);
    }
    for code in codes {
        let mut batch = Vec::new();
        put_code(&mut batch, code);
        records.put(Kind::Codes, &batch).expect(memory);
    }
    records.put(Kind::End, &[]).expect(memory);
    records.out
}
