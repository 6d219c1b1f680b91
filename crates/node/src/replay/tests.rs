//! Good and bad input, the fields of the JSON object, exit codes, and text in the page.

use super::{
    BlockFigures, Clock, Difference, Field, Mismatch, ReplayError, ReplayOptions, ReplayReport,
    Way, html, read_codes, run,
    ways::{Conflict, PredictorScore, Span, Trace},
    write_page,
};
use alloy_primitives::{Address, B256, U256, hex, keccak256};
use serde_json::{Value, json};
use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("headway-replay-{name}-{}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        fs::create_dir_all(path.join("blocks")).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Block 46147 of mainnet: the first transaction there ever was.
fn first_block() -> Value {
    json!({
        "block": {
            "number": "0xb443",
            "parentHash": "0x5a41d0e66b4120775176c09fcf39e7c0520517a13d2b57b18d33d342df038bfc",
            "miner": "0xe6a7a1d47ff21b6321162aea7c6cb457d5476bca",
            "transactionsRoot": "0x4513310fcb9f6f616972a3b948dc5d547f280849a87ebb5af0191f98b87be598",
            "receiptsRoot": "0xfe2bf2a941abf41d72637e5b91750332a30283efd40c424dc522b77e6f0ed8c4",
            "logsBloom": format!("0x{}", "00".repeat(256)),
            "difficulty": "0x153886c1bbd",
            "gasLimit": "0x520b",
            "gasUsed": "0x5208",
            "timestamp": "0x55c42659",
            "mixHash": "0xb48c515a9dde8d346c3337ea520aa995a4738bb595495506125449c1149d6cf4",
            "transactions": [{
                "hash": "0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060",
                "nonce": "0x0",
                "from": "0xa1e4380a3b1f749673e270229993ee55f35663b4",
                "to": "0x5df9b87991262f6ba471f09758cde1c0fc1de734",
                "value": "0x7a69",
                "gasPrice": "0x2d79883d2000",
                "gas": "0x5208",
                "input": "0x",
                "r": "0x88ff6cf0fefd94db46111149ae4bfc179e9b94721fffd821d38d16464b3f71d0",
                "s": "0x45e0aff800961cfce805daef7016b9b675c137a6a41a548f7b60a3484c06a33a",
                "v": "0x1c",
                "type": "0x0",
            }],
        },
        "pre_state": {
            "0xa1e4380a3b1f749673e270229993ee55f35663b4": {
                "balance": "0x6c6b935b8bbd400000", "nonce": 0, "storage": {},
            },
            "0xe6a7a1d47ff21b6321162aea7c6cb457d5476bca": {
                "balance": "0xf3426785a8ab466000", "nonce": 0, "storage": {},
            },
        },
        "block_hashes": {},
    })
}

fn options(path: impl Into<PathBuf>) -> ReplayOptions {
    ReplayOptions {
        paths: vec![path.into()],
        codes: None,
        workers: NonZeroUsize::MIN,
        runs: 2,
        min_gas: 0,
    }
}

/// Every look at it takes a millisecond.
fn clock() -> Clock {
    let looks = AtomicU64::new(0);
    Arc::new(move || Duration::from_millis(looks.fetch_add(1, Ordering::Relaxed)))
}

fn replay(options: &ReplayOptions) -> Result<ReplayReport, ReplayError> {
    run(options, &clock(), &|_| {})
}

/// The error of a single file as a block.
fn refused(name: &str, content: impl AsRef<[u8]>) -> ReplayError {
    let folder = Folder::new(name);
    let path = folder.write("blocks/46147.json", content);
    let error = replay(&options(path)).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    error
}

fn with(edit: impl FnOnce(&mut Value)) -> String {
    let mut block = first_block();
    edit(&mut block);
    block.to_string()
}

#[test]
fn a_folder_and_a_file_give_the_same_report() {
    let folder = Folder::new("good");
    let file = folder.write("blocks/46147.json", first_block().to_string());
    folder.write("blocks/readme.json", "not a block");
    folder.write("codes.json", "{}");
    for path in [folder.0.clone(), folder.0.join("blocks"), file.clone()] {
        let report = replay(&options(path)).unwrap();
        assert_eq!((report.blocks, report.transactions), (1, 1));
        assert_eq!((report.gas, report.receipts_matched), (21_000, 1));
        assert_eq!(report.mismatches().count(), 0);
        assert!(report.sequential_ms >= 1.0 && report.speedup > 0.0);
    }
    let mut twice = options(&folder.0);
    twice.paths.push(file);
    assert_eq!(replay(&twice).unwrap().blocks, 1, "the same file");
}

#[test]
fn the_json_object_has_its_fields() {
    let folder = Folder::new("json");
    folder.write("blocks/46147.json", first_block().to_string());
    let report = serde_json::to_value(replay(&options(&folder.0)).unwrap()).unwrap();
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(
        keys(&report),
        [
            "blocks",
            "transactions",
            "gas",
            "receipts_matched",
            "sequential_ms",
            "parallel_ms",
            "speedup",
            "list_driven_ms",
            "list_driven_speedup",
            "predictor_precision",
            "predictor_recall",
            "workers",
            "runs",
            "per_block",
        ]
    );
    let block = &report["per_block"][0];
    assert_eq!(block["height"], 46_147);
    assert_eq!(block["fork"], "Frontier");
    assert_eq!(block["receipts_matched"], true);
    assert_eq!(block["differences"], json!([]));
    assert!(!keys(block).contains(&"trace".to_owned()));
}

#[test]
fn a_wrong_result_names_block_and_field() {
    for (name, field, value) in [
        ("gas used", "gasUsed", json!("0x5209")),
        (
            "logs bloom",
            "logsBloom",
            json!(format!("0x{}", "01".repeat(256))),
        ),
        ("transactions root", "transactionsRoot", json!(B256::ZERO)),
    ] {
        let folder = Folder::new(field);
        let content = with(|file| file["block"][field] = value);
        folder.write("blocks/46147.json", content);
        let report = replay(&options(&folder.0)).unwrap();
        assert_eq!(report.receipts_matched, 0);
        let mismatches: Vec<_> = report.mismatches().collect();
        assert_eq!(mismatches.len(), 3, "one for each way: {mismatches:?}");
        let first = mismatches[0].clone();
        let error = ReplayError::Mismatch { first, count: 3 };
        assert_eq!(error.exit_code(), 1);
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("block 46147: {name} differs")),
            "{text}"
        );
        assert!(text.contains("way=sequential"), "{text}");
    }
}

#[test]
fn the_receipts_root_counts_since_byzantium() {
    let folder = Folder::new("byzantium");
    let content = with(|file| file["block"]["number"] = json!(format!("{:#x}", 4_370_000)));
    folder.write("blocks/4370000.json", content);
    let report = replay(&options(&folder.0)).unwrap();
    let fields: Vec<_> = report
        .mismatches()
        .map(|one| one.difference.field)
        .collect();
    assert_eq!(fields, [Field::ReceiptsRoot; 3]);
}

#[test]
fn bad_paths_say_what_to_do() {
    let folder = Folder::new("paths");
    let missing = replay(&options(folder.0.join("nothing"))).unwrap_err();
    assert!(matches!(missing, ReplayError::Missing { .. }));
    let empty = replay(&options(&folder.0)).unwrap_err();
    assert!(matches!(empty, ReplayError::NoBlocks { .. }));
    folder.write("blocks/46147.json", first_block().to_string());
    let mut without_codes = options(&folder.0);
    without_codes.codes = Some(folder.0.join("codes.json"));
    let without_codes = replay(&without_codes).unwrap_err();
    assert!(matches!(without_codes, ReplayError::Missing { .. }));
    for error in [missing, empty, without_codes] {
        assert_eq!(error.exit_code(), 2);
        assert!(!error.to_string().contains('\n'));
    }
    folder.write("46147-again.json", first_block().to_string());
    let mut twice = options(&folder.0);
    twice.paths.push(folder.0.join("46147-again.json"));
    let twice = replay(&twice).unwrap_err();
    assert!(matches!(twice, ReplayError::Twice { height: 46_147, .. }));
    let mut filtered = options(&folder.0);
    filtered.min_gas = 21_001;
    let filtered = replay(&filtered).unwrap_err();
    assert!(matches!(
        filtered,
        ReplayError::NothingLeft {
            largest: 21_000,
            ..
        }
    ));
    let mut never = options(&folder.0);
    never.runs = 0;
    assert_eq!(replay(&never).unwrap_err().exit_code(), 2);
}

#[test]
fn bad_files_say_what_is_wrong() {
    let text = first_block().to_string();
    let truncated = refused("truncated", &text[..text.len() / 2]);
    assert!(matches!(truncated, ReplayError::Truncated { .. }));
    assert!(matches!(
        refused("empty", ""),
        ReplayError::Truncated { .. }
    ));
    let not_json = refused("not-json", "<html>");
    assert!(matches!(not_json, ReplayError::NotJson { .. }));
    let not_text = refused("not-text", [0, 159, 146, 150]);
    assert!(matches!(not_text, ReplayError::NotJson { .. }));
    for content in ["[]", "{}", "17", "{\"block\":{}}"] {
        let form = refused("form", content);
        assert!(matches!(form, ReplayError::Form { .. }), "{form}");
    }
    let archive = refused("archive", b"\xfd7zXZ\0rest");
    assert!(archive.to_string().contains("tar -xf"), "{archive}");
    let hashes = with(|file| file["block_hashes"] = json!({ "0x10": "0x" }));
    assert!(matches!(
        refused("hashes", hashes),
        ReplayError::Form { .. }
    ));
}

#[test]
fn bad_transactions_are_named() {
    let hash_only = with(|file| file["block"]["transactions"] = json!([keccak256("x")]));
    let error = refused("hash-only", hash_only);
    assert!(matches!(error, ReplayError::Transaction { index: 0, .. }));
    let other = with(|file| file["block"]["transactions"][0]["value"] = json!("0x1"));
    let error = refused("other", other);
    assert!(error.to_string().contains("transaction 0"), "{error}");
    let bare = with(|file| file["block"]["transactions"][0] = json!({}));
    assert!(matches!(
        refused("bare", bare),
        ReplayError::Transaction { .. }
    ));
}

#[test]
fn codes_must_be_there_and_be_the_right_ones() {
    let code_hash = keccak256([0]);
    let content = with(|file| {
        let sender = "0xa1e4380a3b1f749673e270229993ee55f35663b4";
        file["pre_state"][sender]["code_hash"] = json!(code_hash);
    });
    let unknown = refused("unknown", &content);
    assert!(matches!(unknown, ReplayError::UnknownCode { .. }));
    assert!(unknown.to_string().contains("--codes"));
    let folder = Folder::new("codes");
    folder.write("blocks/46147.json", &content);
    folder.write(
        "codes.json",
        json!({ code_hash.to_string(): "0x00" }).to_string(),
    );
    let report = replay(&options(&folder.0)).unwrap();
    let fields: Vec<_> = report
        .mismatches()
        .map(|one| one.difference.field)
        .collect();
    assert!(!fields.is_empty(), "an account with code sends nothing");
    let wrong = folder.write(
        "wrong.json",
        json!({ code_hash.to_string(): "0x01" }).to_string(),
    );
    let wrong = read_codes(&wrong).unwrap_err();
    assert!(matches!(wrong, ReplayError::WrongCode { .. }));
    assert_eq!(wrong.exit_code(), 2);
}

#[test]
fn the_page_is_written_or_an_error() {
    let folder = Folder::new("page");
    folder.write("blocks/46147.json", first_block().to_string());
    let report = replay(&options(&folder.0)).unwrap();
    let path = folder.0.join("report.html");
    write_page(&report, &path).unwrap();
    let page = fs::read_to_string(path).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("46147"));
    let error = write_page(&report, Path::new("/dev/null/report.html")).unwrap_err();
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn foreign_text_in_the_page_is_escaped() {
    let evil = "<script>alert(\"1\")</script>&'";
    let report = invented(evil);
    let page = html::page(&report);
    assert!(!page.contains("<script"), "no script, not even ours");
    assert!(!page.contains("alert(\""));
    assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;"));
    assert!(!page.contains("http"), "nothing from elsewhere");
    let ids: Vec<_> = page.split(" id=\"").skip(1).collect();
    let mut ids: Vec<_> = ids
        .iter()
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "every id is unique");
    let figures = page.matches("<figure>").count();
    assert_eq!(page.matches("<table>").count(), figures, "a table for each");
    assert!(!page.contains("NaN") && !page.contains("inf"));
    assert!(report.table().contains("DIFFER"));
}

/// A report of several blocks with everything that a page can show.
fn invented(fork: &str) -> ReplayReport {
    let per_block: Vec<_> = (0..40_u32)
        .map(|index| invented_block(index, fork))
        .collect();
    ReplayReport {
        blocks: per_block.len(),
        transactions: 8_000,
        gas: 597_000_000,
        receipts_matched: 39,
        sequential_ms: 1_234.5,
        parallel_ms: 400.25,
        speedup: 3.08,
        list_driven_ms: 300.0,
        list_driven_speedup: 4.11,
        predictor_precision: Some(0.914),
        predictor_recall: Some(0.783),
        workers: NonZeroUsize::new(8).unwrap(),
        runs: 3,
        per_block,
    }
}

fn invented_block(index: u32, fork: &str) -> BlockFigures {
    let height = 15_000_000 + u64::from(index) * 10_007;
    let wave = f64::from(index * 37 % 41) / 41.0;
    let mismatch = Mismatch {
        way: Way::First,
        difference: Difference {
            height,
            field: Field::ReceiptsRoot,
            detail: fork.to_owned(),
        },
    };
    BlockFigures {
        height,
        fork: fork.to_owned(),
        transactions: 200,
        gas: 15_000_000,
        receipts_matched: index != 3,
        differences: if index == 3 {
            vec![mismatch]
        } else {
            Vec::new()
        },
        sequential_ms: 30.0,
        parallel_ms: 30.0 / (0.8 + 4.0 * wave),
        speedup: 0.8 + 4.0 * wave,
        list_driven_ms: 30.0 / (1.0 + 5.0 * wave),
        list_driven_speedup: 1.0 + 5.0 * wave,
        executions: 220,
        reexecutions: 20,
        critical_path_ms: 3.0 + 4.0 * (1.0 - wave),
        work_ms: 32.0,
        predictor_precision: Some(0.6 + 0.4 * wave),
        predictor_recall: Some(0.9 - 0.5 * wave),
        trace: Trace {
            conflicts: invented_conflicts(index),
            spans: (0..220_u64).map(invented_span).collect(),
            predictor: PredictorScore {
                predicted: 900,
                touched: 1_000,
                hits: 800,
            },
            ..Trace::default()
        },
    }
}

fn invented_conflicts(index: u32) -> Vec<Conflict> {
    (1..30_u8)
        .map(|n| Conflict {
            address: Address::repeat_byte(n / 2),
            storage_slot: (n % 4 > 0).then(|| U256::from_be_bytes(keccak256([n]).0)),
            waits: u64::from(n) * u64::from(n) + u64::from(index),
            transactions: u64::from(n),
        })
        .collect()
}

fn invented_span(index: u64) -> Span {
    let start = Duration::from_micros(1_000 + index / 8 * 260 + index % 5 * 20);
    Span {
        worker: usize::try_from(index % 8).unwrap(),
        transaction: usize::try_from(index).unwrap(),
        start,
        end: start + Duration::from_micros(60 + index * 7_919 % 170),
        again: index % 11 == 10,
    }
}

#[test]
fn hex_of_a_code_is_bytes() {
    let folder = Folder::new("hex");
    let code = hex::decode("6001600101").unwrap();
    let key = keccak256(&code).to_string();
    let path = folder.write("codes.json", json!({ key: "0x6001600101" }).to_string());
    let codes = read_codes(&path).unwrap();
    assert_eq!(codes.len(), 1);
    let spaced = folder.write("odd.json", json!({ "0x12": "0x60" }).to_string());
    assert!(matches!(read_codes(&spaced), Err(ReplayError::Form { .. })));
}
