//! Cellars that are closed properly, torn, filled up and damaged.

use super::{
    CellarFault, Kind, Progress,
    log::{Log, LogConfig, Need},
    need,
    record::{KeptChunk, KeptCollation, Label, Record, RecordLimit, Slip},
};
use alloy_primitives::B256;
use bytes::Bytes;
use commonware_codec::{Decode as _, DecodeExt as _, Encode as _};
use commonware_cryptography::Signer as _;
use commonware_runtime::{
    Blob as _, ReadOptions, Runner as _, Storage as _, Supervisor as _, WriteOptions,
    deterministic::{self, Context},
};
use primitives::{
    crypto::PrivateKey,
    shard::{CandidateId, Coding, Descriptor, RelayAnchor, ShardId, ShardNamespace},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const LIMIT: RecordLimit = RecordLimit(100_000);
const PARTITION: &str = "test";
const A: ShardId = ShardId(1);

fn word(number: u64) -> B256 {
    B256::left_padding_from(&number.to_be_bytes())
}

fn coding(number: u64) -> Coding {
    Coding {
        epoch: 0,
        total: 4,
        minimum: 2,
        root: word(number),
    }
}

fn chunk(shard: ShardId, number: u64, bytes: usize) -> Record {
    Record::Chunk(KeptChunk {
        candidate: CandidateId(word(number)),
        shard,
        number,
        coding: coding(number),
        index: 3,
        chunk: Bytes::from(vec![number.to_be_bytes()[7]; bytes]),
    })
}

fn descriptor(number: u64) -> Descriptor {
    Descriptor {
        shard: A,
        number,
        parent: word(number.saturating_sub(1)),
        head: word(number),
        state_root: B256::ZERO,
        anchor: RelayAnchor {
            height: number,
            digest: B256::ZERO,
        },
        rules: B256::ZERO,
        collation_hash: B256::ZERO,
        collation_bytes: 1,
        gas_used: 0,
        timestamp_ms: number,
        collator: PrivateKey::from_seed(1).public_key(),
    }
}

fn collation(number: u64, bytes: usize) -> Record {
    let descriptor = descriptor(number);
    let namespace = ShardNamespace::new(&B256::ZERO);
    let signature = descriptor.id().sign(&namespace, &PrivateKey::from_seed(1));
    Record::Collation(Box::new(KeptCollation {
        descriptor,
        signature: number.is_multiple_of(2).then_some(signature),
        collation: Bytes::from(vec![7; bytes]),
    }))
}

fn run<F: Future<Output = ()>>(test: impl FnOnce(Context) -> F) {
    deterministic::Runner::default().start(test);
}

fn config(bytes_max: u64) -> LogConfig {
    LogConfig {
        section_bytes: 4_000,
        ..LogConfig::new(PARTITION.to_owned(), LIMIT, bytes_max)
    }
}

async fn open(runtime: &Context) -> Result<Log<Context>, CellarFault> {
    Log::open(runtime.child("log"), config(u64::MAX)).await
}

async fn put_all(mut log: Log<Context>, records: &[Record]) -> Log<Context> {
    for record in records {
        log = log.put(record).await.unwrap();
    }
    log
}

fn samples() -> Vec<Record> {
    vec![
        chunk(A, 1, 500),
        collation(1, 900),
        collation(2, 0),
        Record::Final(Box::new(descriptor(3)), coding(3)),
        chunk(ShardId(2), 4, 0),
    ]
}

#[test]
fn what_was_synced_is_found_again() {
    run(|runtime| async move {
        let log = open(&runtime).await.unwrap();
        let log = put_all(log, &samples()).await;
        let log = log.sync().await.unwrap();
        // A second time it takes no room.
        let bytes = log.bytes();
        let log = put_all(log, &samples()).await;
        assert_eq!(log.bytes(), bytes);
        drop(log);
        let mut log = open(&runtime).await.unwrap();
        assert_eq!(log.bytes(), bytes);
        assert_eq!(log.labels().count(), samples().len());
        for record in samples() {
            let read = log.get(&record.label()).await;
            assert_eq!(read.as_ref(), Some(&record));
        }
    });
}

#[test]
fn what_was_not_synced_is_cut_off() {
    run(|runtime| async move {
        let log = open(&runtime).await.unwrap();
        let log = put_all(log, &samples()).await.sync().await.unwrap();
        let log = put_all(log, &[chunk(A, 9, 300)]).await;
        drop(log);
        let mut log = open(&runtime).await.unwrap();
        assert_eq!(log.get(&chunk(A, 9, 300).label()).await, None);
        // And it goes on from there.
        let log = put_all(log, &[chunk(A, 9, 300)]).await;
        drop(log.sync().await.unwrap());
        let mut log = open(&runtime).await.unwrap();
        let read = log.get(&chunk(A, 9, 300).label()).await;
        assert_eq!(read, Some(chunk(A, 9, 300)));
    });
}

/// The newest file of a kind, and its size.
async fn newest_file(runtime: &Context, kind: &str) -> (Vec<u8>, u64) {
    let partition = format!("{PARTITION}-{kind}");
    let mut names = runtime.scan(&partition).await.unwrap();
    names.sort();
    let name = names.pop().unwrap();
    let (_, size) = runtime.open(&partition, &name).await.unwrap();
    (name, size)
}

async fn flip(runtime: &Context, kind: &str, offset: u64) {
    let (name, _) = newest_file(runtime, kind).await;
    let partition = format!("{PARTITION}-{kind}");
    let (blob, _) = runtime.open(&partition, &name).await.unwrap();
    let read = blob.read_at(offset, 1, ReadOptions::default()).await;
    let byte = read.unwrap().coalesce().as_ref()[0];
    let written = blob.write_at(offset, vec![byte ^ 0xff], WriteOptions::SYNC);
    written.await.unwrap();
}

#[test]
fn a_record_that_was_damaged_is_lost_alone() {
    run(|runtime| async move {
        let records = samples();
        let log = put_all(open(&runtime).await.unwrap(), &records).await;
        drop(log.sync().await.unwrap());
        // In the middle of the first record.
        flip(&runtime, "records", 200).await;
        let mut log = open(&runtime).await.unwrap();
        assert_eq!(log.get(&records[0].label()).await, None);
        assert_eq!(log.get(&records[0].label()).await, None, "and stays so");
        for record in &records[1..] {
            assert_eq!(log.get(&record.label()).await.as_ref(), Some(record));
        }
        // It can be kept again.
        let log = put_all(log, &records[..1]).await;
        let mut log = log.sync().await.unwrap();
        let read = log.get(&records[0].label()).await;
        assert_eq!(read.as_ref(), Some(&records[0]));
    });
}

#[test]
fn files_that_were_cut_or_damaged_open_or_say_why_not() {
    let records = samples();
    for kind in ["slips", "records"] {
        for (step, cut) in (0..40).flat_map(|step| [(step, false), (step, true)]) {
            let records = records.clone();
            run(|runtime| async move {
                let log = put_all(open(&runtime).await.unwrap(), &records).await;
                drop(log.sync().await.unwrap());
                let (name, size) = newest_file(&runtime, kind).await;
                let offset = size * step / 40;
                match cut {
                    true => shorten(&runtime, kind, &name, offset).await,
                    false => flip(&runtime, kind, offset).await,
                }
                match open(&runtime).await {
                    Ok(log) => gives_back_or_nothing(log, &records).await,
                    Err(fault) => assert!(matches!(fault, CellarFault::Open { .. })),
                }
            });
        }
    }
}

async fn shorten(runtime: &Context, kind: &str, name: &[u8], size: u64) {
    let partition = format!("{PARTITION}-{kind}");
    let (blob, _) = runtime.open(&partition, name).await.unwrap();
    blob.resize(size).await.unwrap();
    blob.sync().await.unwrap();
}

async fn gives_back_or_nothing(mut log: Log<Context>, records: &[Record]) {
    for record in records {
        let read = log.get(&record.label()).await;
        assert!(read.is_none_or(|read| read == *record));
    }
}

/// Chunks are needed until these many more numbers.
fn newer_than(oldest: u64) -> impl Fn(&Label, &super::Place) -> Need + Send + Sync {
    move |_, place| match place.number >= oldest || place.shard != A {
        true => Need::Must,
        false => Need::No,
    }
}

#[test]
fn what_must_be_kept_is_and_the_rest_goes() {
    run(|runtime| async move {
        let mut log = open(&runtime).await.unwrap();
        // One chunk of a shard that stands still, and many of one that goes on.
        log = put_all(log, &[chunk(ShardId(2), 1_000_000, 400)]).await;
        for number in 0..400 {
            log = put_all(log, &[chunk(A, number, 400)]).await;
            log = log.sync().await.unwrap();
            let oldest = number.saturating_sub(20);
            log = log.prune(newer_than(oldest)).await.unwrap();
            if number % 97 == 0 {
                drop(log);
                log = open(&runtime).await.unwrap();
            }
            let read = log.get(&chunk(ShardId(2), 1_000_000, 400).label()).await;
            assert!(read.is_some(), "lost after {number}");
            for number in oldest..=number {
                let expected = chunk(A, number, 400);
                let read = log.get(&expected.label()).await;
                assert_eq!(read, Some(expected));
            }
        }
        // Twice what is needed, and two sections that are being filled or emptied.
        let needed = 22 * 540;
        assert!(log.bytes() <= 2 * needed + 10_000, "bytes={}", log.bytes());
    });
}

#[test]
fn what_may_be_kept_goes_when_there_is_no_room() {
    run(|runtime| async move {
        let mut log = Log::open(runtime.child("log"), config(40_000))
            .await
            .unwrap();
        let must = collation(0, 400).label();
        let need = |label: &Label, _: &super::Place| match *label == must {
            true => Need::Must,
            false => Need::May,
        };
        for number in 0..300 {
            log = put_all(log, &[collation(number, 400)]).await;
            log = log.sync().await.unwrap();
            log = log.prune(need).await.unwrap();
            assert!(log.bytes() <= 40_000 + 2 * 4_900, "bytes={}", log.bytes());
        }
        assert!(log.get(&must).await.is_some());
        assert!(log.get(&collation(299, 0).label()).await.is_some());
        assert!(log.get(&collation(1, 0).label()).await.is_none());
        assert!(log.bytes() > 20_000, "bytes={}", log.bytes());
    });
}

#[test]
fn what_is_relied_on_stays_though_it_is_too_much() {
    run(|runtime| async move {
        let mut log = Log::open(runtime.child("log"), config(10_000))
            .await
            .unwrap();
        for number in 0..100 {
            log = put_all(log, &[chunk(A, number, 400)]).await;
            log = log.sync().await.unwrap();
            log = log.prune(|_, _| Need::Must).await.unwrap();
        }
        assert_eq!(log.labels().count(), 100);
        // And is not written again and again.
        assert!(log.bytes() < 100 * 600, "bytes={}", log.bytes());
    });
}

#[test]
fn what_is_needed_follows_from_the_ledger() {
    let progress = Progress {
        finalized: 100_000,
        durable: Some(99_000),
    };
    for (kind, number, needed) in [
        (Kind::Chunk, 100_001, Need::Must),
        (Kind::Chunk, 99_745, Need::Must),
        (Kind::Chunk, 99_744, Need::No),
        (Kind::Collation, 99_001, Need::Must),
        (Kind::Collation, 99_000, Need::May),
        (Kind::Collation, 34_465, Need::May),
        (Kind::Collation, 34_464, Need::No),
        (Kind::Final, 99_001, Need::Must),
        (Kind::Final, 99_000, Need::No),
    ] {
        assert_eq!(progress.need(kind, number), needed, "{kind:?} {number}");
    }
    // Who does not collate a shard any more keeps what it has for others.
    let former = Progress {
        durable: None,
        ..progress
    };
    assert_eq!(former.need(Kind::Collation, 99_001), Need::May);
}

#[test]
fn nothing_is_forgotten_before_the_ledger_is_known() {
    run(|runtime| async move {
        let log = put_all(open(&runtime).await.unwrap(), &samples()).await;
        let known = BTreeMap::from([(A, Progress::default())]);
        for (label, place) in log.labels() {
            assert_eq!(need(&None, label, place), Need::Must);
            let expected = match place.shard == A {
                true => Need::Must,
                // The ledger has no such shard.
                false => Need::No,
            };
            if label.kind == Kind::Chunk {
                assert_eq!(need(&Some(known.clone()), label, place), expected);
            }
        }
    });
}

proptest! {
    #[test]
    fn garbage_reads_as_nothing_or_as_what_encodes_to_it(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        tag in 0_u8..4,
    ) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = tag;
        }
        let bytes = Bytes::from(bytes);
        if let Ok(record) = Record::decode_cfg(bytes.clone(), &LIMIT) {
            prop_assert!(record.encode() == bytes);
        }
        if let Ok(slip) = Slip::decode(bytes.clone()) {
            prop_assert_eq!(slip.encode(), bytes);
        }
    }
}

#[test]
fn records_read_as_they_were_written() {
    for record in samples() {
        let encoded = record.encode();
        assert_eq!(Record::decode_cfg(encoded.clone(), &LIMIT).unwrap(), record);
        for end in 0..encoded.len() {
            assert!(Record::decode_cfg(encoded.slice(..end), &LIMIT).is_err());
        }
        let slip = Slip::of(&record);
        assert_eq!(Slip::decode(slip.encode()).unwrap(), slip);
    }
    let long = chunk(A, 1, LIMIT.0 + 1).encode();
    assert!(Record::decode_cfg(long, &LIMIT).is_err());
}
