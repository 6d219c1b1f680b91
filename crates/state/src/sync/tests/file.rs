//! Snapshot files: what is written is read, and whatever was changed is found where it was changed.

use super::model::{Shape, TestState, any_limit, any_shape};
use crate::sync::file::tests_write;
use crate::sync::{
    CODE_BYTES_MAX, CodeError, EVIDENCE_BYTES_MAX, FileError, FileHeader, FileItem, Manifest,
    OpenFile, Place, Problem, WriteError, write_file,
};
use alloy_primitives::B256;
use proptest::prelude::*;

const GENESIS: B256 = B256::repeat_byte(7);

fn write(state: &TestState, limit: usize) -> Vec<u8> {
    let manifest = Manifest::scan(state, state.root(), limit).unwrap();
    let header = FileHeader {
        genesis: GENESIS,
        height: 1000,
        root: state.root(),
    };
    let mut out = Vec::new();
    write_file(&mut out, &header, b"evidence", &manifest, state).unwrap();
    out
}

fn read(bytes: &[u8], root: B256) -> Result<TestState, FileError> {
    let file = OpenFile::open(bytes, GENESIS)?;
    assert_eq!(file.evidence()[..], b"evidence"[..]);
    assert_eq!(file.header().height, 1000);
    let mut file = file.trust(root)?;
    let mut state = TestState::default();
    while let Some(item) = file.next_item()? {
        match item {
            FileItem::Chunk(chunk) => state.take(&chunk),
            FileItem::Codes(codes) => state.codes.extend(codes),
        }
    }
    assert!(file.next_item()?.is_none());
    Ok(state)
}

fn shape() -> Shape {
    Shape {
        seed: 3,
        accounts: 20,
        storages: 5,
        slots: 20,
        codes: 4,
    }
}

/// The records of a file: where each begins.
fn records(bytes: &[u8]) -> Vec<usize> {
    let mut at = 84 + 16;
    let mut starts = Vec::new();
    while at < bytes.len() {
        starts.push(at);
        let length = u32::from_le_bytes(bytes[at + 1..at + 5].try_into().unwrap());
        at += 5 + length as usize + 16;
    }
    assert_eq!(at, bytes.len());
    starts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(shape in any_shape(), limit in any_limit()) {
        let state = TestState::new(&shape);
        let bytes = write(&state, limit);
        prop_assert_eq!(&bytes, &write(&state, limit));
        prop_assert_eq!(read(&bytes, state.root()).expect("it is whole"), state);
    }
}

#[test]
fn each_byte_counts_where_it_is() {
    let state = TestState::new(&shape());
    let root = state.root();
    let bytes = write(&state, 600);
    let starts = records(&bytes);
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        let error = read(&bytes, root).unwrap_err();
        let start = starts
            .iter()
            .rev()
            .find(|start| **start <= at)
            .copied()
            .unwrap_or(0);
        assert_eq!(error.at, start as u64, "{error}");
        match (at, &error.problem) {
            (0..8, Problem::Magic) | (8..12, Problem::Version(_)) => {}
            (12.., Problem::Checksum | Problem::TooLong(_) | Problem::Truncated) => {}
            _ => panic!("at={at} {error}"),
        }
    }
}

#[test]
fn files_end_where_they_end() {
    let state = TestState::new(&shape());
    let root = state.root();
    let bytes = write(&state, 600);
    for length in 0..bytes.len() {
        let error = read(&bytes[..length], root).unwrap_err();
        assert!(matches!(error.problem, Problem::Truncated), "{error}");
    }
    let longer = [&bytes[..], &[0]].concat();
    let error = read(&longer, root).unwrap_err();
    assert!(matches!(error.problem, Problem::Trailing), "{error}");
    assert_eq!((error.place, error.at), (Place::End, bytes.len() as u64));
}

#[test]
fn records_stay_in_their_place() {
    let state = TestState::new(&shape());
    let bytes = write(&state, 600);
    let starts = records(&bytes);
    let record = |number: usize| {
        let end = starts.get(number + 1).copied().unwrap_or(bytes.len());
        &bytes[starts[number]..end]
    };
    let head = &bytes[..starts[0]];
    for (one, other) in [(2, 3), (2, 5), (3, 4)] {
        let mut order: Vec<usize> = (0..starts.len()).collect();
        order.swap(one, other);
        let records = order.iter().map(|number| record(*number));
        let swapped = [head]
            .into_iter()
            .chain(records)
            .collect::<Vec<_>>()
            .concat();
        let error = read(&swapped, state.root()).unwrap_err();
        assert_eq!(
            (error.place, error.at),
            (Place::Chunk(one - 2), starts[one] as u64)
        );
        assert!(matches!(error.problem, Problem::Checksum));
        let records = (0..starts.len())
            .filter(|number| *number != one)
            .map(record);
        let fewer = [head]
            .into_iter()
            .chain(records)
            .collect::<Vec<_>>()
            .concat();
        let error = read(&fewer, state.root()).unwrap_err();
        assert_eq!(error.place, Place::Chunk(one - 2));
    }
}

#[test]
fn lies_with_right_checksums_are_found() {
    let state = TestState::new(&shape());
    let manifest = Manifest::scan(&state, state.root(), 600).unwrap();
    let header = FileHeader {
        genesis: GENESIS,
        height: 1000,
        root: state.root(),
    };
    let chunks = (0..manifest.chunks().len()).map(|number| manifest.serve(&state, number).unwrap());
    let mut chunks: Vec<_> = chunks.collect();
    chunks.swap(0, 1);
    let records = tests_write(&header, &manifest, &chunks, &[]);
    let error = read(&records, state.root()).unwrap_err();
    assert!(matches!(error.problem, Problem::Chunk(_)), "{error}");
    assert_eq!(error.place, Place::Chunk(0));
    chunks.swap(0, 1);
    let records = tests_write(&header, &manifest, &chunks, &[]);
    let error = read(&records, state.root()).unwrap_err();
    assert!(matches!(error.problem, Problem::MissingCode(_)), "{error}");
    let records = tests_write(&header, &manifest, &chunks, &[b"other"]);
    let error = read(&records, state.root()).unwrap_err();
    assert!(matches!(error.problem, Problem::NeedlessCode(_)), "{error}");
    let records = tests_write(&header, &manifest, &chunks[..1], &[]);
    let error = read(&records, state.root()).unwrap_err();
    assert!(matches!(error.problem, Problem::Kind(5)), "{error}");
}

#[test]
fn other_chains_and_roots_are_named() {
    let state = TestState::new(&shape());
    let bytes = write(&state, 600);
    let error = OpenFile::open(&bytes[..], B256::ZERO).unwrap_err();
    assert!(matches!(
        error.problem,
        Problem::Genesis { found: GENESIS, .. }
    ));
    let error = read(&bytes, B256::ZERO).unwrap_err();
    assert!(matches!(error.problem, Problem::Root { .. }), "{error}");
}

#[test]
fn what_cannot_be_read_is_not_written() {
    let state = TestState::new(&shape());
    let manifest = Manifest::scan(&state, state.root(), 600).unwrap();
    let header = FileHeader {
        genesis: GENESIS,
        height: 1000,
        root: B256::ZERO,
    };
    let error = write_file(Vec::new(), &header, &[], &manifest, &state).unwrap_err();
    assert!(matches!(error, WriteError::Root { .. }));
    let header = FileHeader {
        root: state.root(),
        ..header
    };
    let mut changed = state.clone();
    changed.codes.pop_first();
    let error = write_file(Vec::new(), &header, &[], &manifest, &changed).unwrap_err();
    assert!(matches!(error, WriteError::Serve(_)));
    let mut changed = state;
    changed
        .accounts
        .values_mut()
        .for_each(|(leaf, _)| leaf.account.nonce ^= 1);
    let error = write_file(Vec::new(), &header, &[], &manifest, &changed).unwrap_err();
    assert!(
        matches!(error, WriteError::Chunk(_) | WriteError::Serve(_)),
        "{error}"
    );
}

#[test]
fn records_have_limits() {
    let state = TestState::new(&shape());
    let root = state.root();
    let bytes = write(&state, 600);
    for start in records(&bytes) {
        let mut bytes = bytes.clone();
        bytes[start + 1..start + 5].fill(0xff);
        let error = read(&bytes, root).unwrap_err();
        assert!(matches!(error.problem, Problem::TooLong(_)), "{error}");
        assert_eq!(error.at, start as u64);
    }
    let manifest = Manifest::scan(&state, root, 600).unwrap();
    let header = FileHeader {
        genesis: GENESIS,
        height: 1000,
        root,
    };
    let chunks = (0..manifest.chunks().len()).map(|number| manifest.serve(&state, number).unwrap());
    let chunks: Vec<_> = chunks.collect();
    let long = vec![1; CODE_BYTES_MAX + 1];
    let bytes = tests_write(&header, &manifest, &chunks, &[&long]);
    let error = read(&bytes, root).unwrap_err();
    assert!(
        matches!(error.problem, Problem::Codes(CodeError::TooLong(_))),
        "{error}"
    );
    let evidence = vec![0; EVIDENCE_BYTES_MAX + 1];
    let error = write_file(Vec::new(), &header, &evidence, &manifest, &state).unwrap_err();
    assert!(matches!(error, WriteError::Evidence(_)));
}
