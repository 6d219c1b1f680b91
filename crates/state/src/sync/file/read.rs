//! From a snapshot file to a state, or an error.

use super::super::leaf::Reader;
use super::super::{
    CHUNK_BYTES_MAX, CODE_BYTES_MAX, CODES_BYTES, CheckedChunk, CodeError, MANIFEST_BYTES_MAX,
    Manifest,
};
use super::{
    CHECKSUM_BYTES, Chain, EVIDENCE_BYTES_MAX, FileError, FileHeader, HEADER_BYTES, Kind, MAGIC,
    Place, Problem, VERSION,
};
use crate::sparse::Lanes;
use crate::sparse::subtrie::Subtries;
use alloy_primitives::{B256, Bytes, keccak256};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};

/// A snapshot file of which nothing is believed yet: its header and evidence.
#[derive(Debug)]
pub struct OpenFile<R> {
    records: Records<R>,
    header: FileHeader,
    evidence: Bytes,
}

/// A snapshot file of a trusted root, read from its first chunk to its end.
#[derive(Debug)]
pub struct FileReader<R> {
    records: Records<R>,
    manifest: Manifest,
    subtries: Subtries,
    next_chunk: usize,
    /// Codes that chunks need, and which have not come yet.
    wanted: BTreeSet<B256>,
    is_ended: bool,
}

/// A piece of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileItem {
    /// A chunk of the manifest.
    Chunk(CheckedChunk),
    /// Codes by hash, which accounts of the chunks before have.
    Codes(Vec<(B256, Bytes)>),
}

type Codes = Vec<(B256, Bytes)>;

impl<R: Read> OpenFile<R> {
    /// Reads the beginning of a snapshot of the chain with this genesis.
    ///
    /// # Errors
    ///
    /// When it is no snapshot, one of another chain or version, or damaged.
    pub fn open(input: R, genesis: B256) -> Result<Self, FileError> {
        let mut records = Records {
            input,
            at: 0,
            place: Place::Header,
            begin: 0,
            chain: Chain::default(),
        };
        let header = records.header()?;
        if header.genesis != genesis {
            return Err(records.error(Problem::Genesis {
                expected: genesis,
                found: header.genesis,
            }));
        }
        records.begin(Place::Evidence);
        let evidence = records.expect(Kind::Evidence, EVIDENCE_BYTES_MAX)?;
        Ok(Self {
            records,
            header,
            evidence: evidence.into(),
        })
    }

    /// What the file says it is of.
    pub fn header(&self) -> &FileHeader {
        &self.header
    }

    /// Why that should be believed.
    pub fn evidence(&self) -> &Bytes {
        &self.evidence
    }

    /// Goes on to the manifest, now that the evidence has shown this root.
    ///
    /// # Errors
    ///
    /// When the file is of another root or damaged.
    pub fn trust(mut self, trusted: B256) -> Result<FileReader<R>, FileError> {
        let found = self.header.root;
        if found != trusted {
            self.records.place = Place::Header;
            self.records.begin = 0;
            return Err(self.records.error(Problem::Root { trusted, found }));
        }
        let mut records = self.records;
        records.begin(Place::Manifest);
        let bytes = records.expect(Kind::Manifest, MANIFEST_BYTES_MAX)?;
        let manifest = Manifest::read(bytes.into(), trusted);
        let manifest = manifest.map_err(|error| records.error(Problem::Manifest(error)))?;
        Ok(FileReader {
            records,
            manifest,
            subtries: Subtries::new(Lanes::Widest),
            next_chunk: 0,
            wanted: BTreeSet::new(),
            is_ended: false,
        })
    }
}

impl<R: Read> FileReader<R> {
    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The next piece of the state; `None` when that was all, nothing is missing, and the file ends there.
    ///
    /// # Errors
    ///
    /// When the file is damaged, lies or ends too early.
    pub fn next_item(&mut self) -> Result<Option<FileItem>, FileError> {
        if self.is_ended {
            return Ok(None);
        }
        if self.next_chunk < self.manifest.chunks().len() {
            return self.chunk().map(Some);
        }
        match self.wanted.is_empty() {
            true => self.end().map(|()| None),
            false => self.codes().map(Some),
        }
    }

    fn chunk(&mut self) -> Result<FileItem, FileError> {
        let number = self.next_chunk;
        self.records.begin(Place::Chunk(number));
        let bytes = self.records.expect(Kind::Chunk, CHUNK_BYTES_MAX)?;
        let checked = self.manifest.check_with(&mut self.subtries, number, &bytes);
        let chunk = checked.map_err(|error| self.records.error(Problem::Chunk(error)))?;
        self.wanted.extend(chunk.code_hashes());
        self.next_chunk += 1;
        Ok(FileItem::Chunk(chunk))
    }

    fn codes(&mut self) -> Result<FileItem, FileError> {
        self.records.begin(Place::Codes);
        let most = CODES_BYTES + CODE_BYTES_MAX + 4;
        let (kind, payload) = self.records.record(most)?;
        match kind {
            kind if kind == Kind::Codes as u8 => {}
            kind if kind == Kind::End as u8 => {
                let missing = self.wanted.first().copied().unwrap_or_default();
                return Err(self.records.error(Problem::MissingCode(missing)));
            }
            kind => return Err(self.records.error(Problem::Kind(kind))),
        }
        let codes = read_codes(&payload).map_err(Problem::Codes);
        let codes = codes.map_err(|problem| self.records.error(problem))?;
        for (hash, _) in &codes {
            if !self.wanted.remove(hash) {
                return Err(self.records.error(Problem::NeedlessCode(*hash)));
            }
        }
        Ok(FileItem::Codes(codes))
    }

    fn end(&mut self) -> Result<(), FileError> {
        self.records.begin(Place::End);
        self.records.expect(Kind::End, 0)?;
        let end = self.records.at;
        let more = self.records.read(1);
        match more {
            Err(FileError {
                problem: Problem::Truncated,
                ..
            }) => {}
            Err(error) => return Err(error),
            Ok(_) => {
                self.records.begin = end;
                return Err(self.records.error(Problem::Trailing));
            }
        }
        self.is_ended = true;
        Ok(())
    }
}

fn read_codes(payload: &[u8]) -> Result<Codes, CodeError> {
    let mut reader = Reader::new(payload);
    let mut codes = Vec::new();
    while reader.left() > 0 {
        let length = reader.count()?;
        if length > CODE_BYTES_MAX {
            return Err(CodeError::TooLong(length));
        }
        let code = reader.take(length)?;
        codes.push((keccak256(code), Bytes::copy_from_slice(code)));
    }
    match codes.is_empty() {
        true => Err(CodeError::Empty),
        false => Ok(codes),
    }
}

/// Records, one after the other.
#[derive(Debug)]
struct Records<R> {
    input: R,
    /// Bytes read so far.
    at: u64,
    /// What is being read, and where it begins.
    place: Place,
    begin: u64,
    chain: Chain,
}

impl<R: Read> Records<R> {
    fn begin(&mut self, place: Place) {
        self.place = place;
        self.begin = self.at;
    }

    fn error(&self, problem: Problem) -> FileError {
        FileError {
            place: self.place,
            at: self.begin,
            problem,
        }
    }

    fn header(&mut self) -> Result<FileHeader, FileError> {
        let bytes = self.read(HEADER_BYTES)?;
        let mut reader = Reader::new(&bytes);
        let whole = "the header was read whole";
        let magic: [u8; 8] = reader.array().expect(whole);
        if magic != MAGIC {
            return Err(self.error(Problem::Magic));
        }
        let version = u32::from_le_bytes(reader.array().expect(whole));
        if version != VERSION {
            return Err(self.error(Problem::Version(version)));
        }
        let header = FileHeader {
            genesis: reader.array().expect(whole).into(),
            height: u64::from_le_bytes(reader.array().expect(whole)),
            root: reader.array().expect(whole).into(),
        };
        self.check_sum(&[&bytes])?;
        Ok(header)
    }

    /// The payload of a record that has to be of this kind.
    fn expect(&mut self, kind: Kind, bytes_max: usize) -> Result<Vec<u8>, FileError> {
        let (found, payload) = self.record(bytes_max)?;
        match found == kind as u8 {
            true => Ok(payload),
            false => Err(self.error(Problem::Kind(found))),
        }
    }

    fn record(&mut self, bytes_max: usize) -> Result<(u8, Vec<u8>), FileError> {
        let head = self.read(5)?;
        let mut reader = Reader::new(&head);
        let whole = "the head was read whole";
        let (kind, length) = (reader.byte().expect(whole), reader.count().expect(whole));
        if length > bytes_max {
            return Err(self.error(Problem::TooLong(length)));
        }
        let payload = self.read(length)?;
        self.check_sum(&[&head, &payload])?;
        Ok((kind, payload))
    }

    fn check_sum(&mut self, parts: &[&[u8]]) -> Result<(), FileError> {
        let expected = self.chain.extend(parts);
        match self.read(CHECKSUM_BYTES)? == expected {
            true => Ok(()),
            false => Err(self.error(Problem::Checksum)),
        }
    }

    /// So many bytes; memory is taken as they come.
    fn read(&mut self, length: usize) -> Result<Vec<u8>, FileError> {
        let mut bytes = Vec::new();
        let input = self.input.by_ref().take(length as u64);
        let read = { input }.read_to_end(&mut bytes);
        self.at += bytes.len() as u64;
        match read {
            Ok(_) if bytes.len() == length => Ok(bytes),
            Ok(_) => Err(self.error(Problem::Truncated)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Err(self.error(Problem::Truncated))
            }
            Err(error) => Err(self.error(Problem::Read(error))),
        }
    }
}
