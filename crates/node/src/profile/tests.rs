//! Profiles of files of transactions, and what is printed of them.

use super::{ProfileError, Style, of_file, parse_block, svg};
use crate::{contracts::Contract, dev, process::TemporaryDirectory};
use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use alloy_signer::SignerSync as _;
use alloy_signer_local::PrivateKeySigner;
use serde_json::json;
use std::{fs, num::NonZeroUsize, path::Path};

fn workers() -> NonZeroUsize {
    NonZeroUsize::new(2).unwrap()
}

fn signed(signer: &PrivateKeySigner, nonce: u64, to: TxKind, input: Bytes) -> String {
    let transaction = TxEip1559 {
        chain_id: dev::CHAIN_ID,
        nonce,
        gas_limit: 2_000_000,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1,
        to,
        value: U256::ZERO,
        input,
        ..TxEip1559::default()
    };
    let signature = signer.sign_hash_sync(&transaction.signature_hash());
    let raw = transaction.into_signed(signature.unwrap()).encoded_2718();
    hex::encode_prefixed(raw)
}

/// A collection whose every mint takes the next number, and 30 mints of ten accounts.
pub(crate) fn mints() -> (String, Address) {
    let signers = dev::accounts();
    let collection = signers[0].address().create(0);
    let mut lines = vec![
        "# a collection, and everybody wants the next number".to_owned(),
        signed(&signers[0], 0, TxKind::Create, Contract::Nft.creation()),
        String::new(),
    ];
    for round in 0..3 {
        for (index, signer) in signers.iter().enumerate() {
            let nonce = round + u64::from(index == 0);
            let mint = hex!("1249c58b").into();
            lines.push(signed(signer, nonce, TxKind::Call(collection), mint));
        }
    }
    (lines.join("\n"), collection)
}

fn write(directory: &TemporaryDirectory, text: &str) -> std::path::PathBuf {
    let path = directory.path().join("signed.txt");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_file_of_mints_names_the_counter_they_wait_for() {
    let temporary = TemporaryDirectory::create().unwrap();
    let (text, collection) = mints();
    let profiled = of_file(&write(&temporary, &text), workers()).unwrap();
    let profile = &profiled.profile;
    assert_eq!(profile.transaction_count, 31);
    let counter = profile
        .hot_places
        .iter()
        .find(|place| place.kind == "counter")
        .unwrap();
    assert_eq!(counter.address, collection);
    assert_eq!(counter.waiting_count, 29);
    assert_eq!(
        counter.functions[0].name.as_deref(),
        Some("0x1249c58b (mint)")
    );
    // The first mint waits for the deployment.
    assert!(profile.hot_places.iter().any(|place| place.kind == "code"));
    let text = profiled.text(Style::default());
    assert!(text.contains("31 transactions"), "{text}");
    assert!(text.contains("counter"), "{text}");
    assert!(text.contains("adds 1 to it"), "{text}");
    assert!(!text.contains('\x1b'));
    for width in [60, 80, 200] {
        let text = profiled.text(Style {
            width,
            color: false,
        });
        let table = text.lines().filter(|line| line.starts_with("  "));
        let longest = table.map(|line| line.chars().count()).max().unwrap();
        assert!(
            longest <= width.max(72),
            "width={width} longest={longest}\n{text}"
        );
    }
    let colored = profiled.text(Style {
        color: true,
        ..Style::default()
    });
    assert!(colored.contains("\x1b[1m"));
    let drawing = svg::draw(&profiled);
    assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"));
    assert!(drawing.contains("class=\"heat\"") && drawing.contains("worker 0"));
    assert!(!drawing.contains("NaN") && !drawing.contains("inf"));
}

#[test]
fn what_is_no_transaction_is_named_by_its_line() {
    let temporary = TemporaryDirectory::create().unwrap();
    let refused = |text: &str| {
        let error = of_file(&write(&temporary, text), workers()).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        error.to_string()
    };
    assert!(refused("# nothing\nhello\n").contains("line 2: not hex"));
    assert!(refused("0x02ff\n").contains("line 1: "));
    let late = signed(
        &dev::accounts()[0],
        7,
        TxKind::Call(Address::ZERO),
        Bytes::new(),
    );
    let refusal = refused(&format!("\n{late}\n"));
    assert!(
        refusal.contains("line 2: ") && refusal.contains("nonces begin at 0"),
        "{refusal}"
    );
    let missing = of_file(Path::new("/nowhere/at/all"), workers()).unwrap_err();
    assert!(matches!(missing, ProfileError::File { .. }), "{missing}");
}

#[test]
fn an_empty_file_is_an_empty_block() {
    let temporary = TemporaryDirectory::create().unwrap();
    let profiled = of_file(&write(&temporary, "# nothing yet\n"), workers()).unwrap();
    let text = profiled.text(Style::default());
    assert!(text.contains("The block is empty."), "{text}");
    let drawing = svg::draw(&profiled);
    assert!(drawing.contains("No transaction waits") && !drawing.contains("NaN"));
}

#[test]
fn blocks_are_numbers_hashes_and_tags() {
    assert_eq!(parse_block("latest").unwrap(), json!("latest"));
    assert_eq!(parse_block("17").unwrap(), json!("0x11"));
    assert_eq!(parse_block("0x11").unwrap(), json!("0x11"));
    let hash = format!("0x{}", "ab".repeat(32));
    assert_eq!(parse_block(&hash).unwrap(), json!(hash));
    for wrong in ["", "-1", "newest", "0xzz", &hash[..65]] {
        assert!(
            matches!(parse_block(wrong), Err(ProfileError::Block(_))),
            "{wrong}"
        );
    }
}
