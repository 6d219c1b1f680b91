//! A genesis file is understood as geth understands it, and a wrong one is refused by name.

use super::*;
use crate::{crypto::PrivateKey, limits::SHARD_GAS_MAX};
use commonware_cryptography::Signer as _;

const MINIMAL: &str = r#"{ "config": { "chainId": 7 }, "gasLimit": "0x1c9c380", "alloc": {} }"#;

fn with(field: &str, value: &str) -> String {
    let mut json: serde_json::Value = serde_json::from_str(MINIMAL).unwrap();
    json[field] = serde_json::from_str(value).unwrap();
    json.to_string()
}

fn problem(text: &str) -> String {
    Genesis::from_json(text).unwrap_err().to_string()
}

#[test]
fn the_minimal_file_has_the_production_defaults() {
    let genesis = Genesis::from_json(MINIMAL).unwrap();
    assert_eq!(genesis.chain.chain_id, 7);
    assert_eq!(genesis.chain.gas_limit, 30_000_000);
    assert_eq!(genesis.chain.protocol, Protocol::default());
    assert!(!genesis.chain.protocol.dev, "development must be asked for");
    assert_eq!(genesis.base_fee(), BASE_FEE_INITIAL);
}

#[test]
fn a_wrong_field_is_refused_by_its_name() {
    let cases = [
        (with("allocc", "{}"), "allocc"),
        (
            with(
                "alloc",
                r#"{"0x0000000000000000000000000000000000000001": {"balanc": "0x1"}}"#,
            ),
            "balanc",
        ),
        (
            with("headway", r#"{"validators": [], "heartbeat": 1}"#),
            "heartbeat",
        ),
        (
            with(
                "headway",
                r#"{"validators": [], "protocol": {"heartbeatMs": 0}}"#,
            ),
            "heartbeatMs",
        ),
        (
            with(
                "headway",
                r#"{"validators": [], "protocol": {"gasChargeFloorPermille": 1001}}"#,
            ),
            "gasChargeFloorPermille",
        ),
        (
            with(
                "headway",
                r#"{"validators": [], "protocol": {"inflightBlocks": 0}}"#,
            ),
            "inflightBlocks",
        ),
        (
            with(
                "headway",
                r#"{"validators": [], "protocol": {"blockBytesMax": 1}}"#,
            ),
            "blockBytesMax",
        ),
        (with("headway", r#"{"validators": ["xyz"]}"#), "xyz"),
        (with("headway", r#"{"validators": ["00"]}"#), "00"),
        (with("gasLimit", r#""0x1""#), "gasLimit"),
        (with("config", r#"{"chainId": 0}"#), "chainId"),
        (with("number", r#""0x5""#), "number"),
        ("[]".to_owned(), "object"),
        ("{".to_owned(), "EOF"),
    ];
    for (text, name) in cases {
        let problem = problem(&text);
        assert!(problem.contains(name), "{problem} does not name {name}");
    }
}

#[test]
fn a_validator_stands_once() {
    let key = hex::encode(PrivateKey::from_seed(1).public_key());
    let text = with(
        "headway",
        &format!(r#"{{"validators": ["{key}", "{key}"]}}"#),
    );
    assert!(problem(&text).contains("stands twice"));
}

#[test]
fn what_is_written_reads_back() {
    let key = hex::encode(PrivateKey::from_seed(1).public_key());
    let section = HeadwaySection {
        validators: vec![key.clone()],
        protocol: Protocol::default(),
        shards: Some(vec![ShardEntry {
            id: 3,
            cores: 2,
            cores_max: Some(3),
            collators: vec![key],
            genesis: serde_json::from_str(&with("config", r#"{"chainId": 33}"#)).unwrap(),
        }]),
        backing: Backing::Synchronous,
        approval: Approval::All,
        cores: Some(4),
    };
    let file = alloy_genesis::Genesis {
        gas_limit: 30_000_000,
        ..Default::default()
    };
    let file = alloy_genesis::Genesis {
        config: alloy_genesis::ChainConfig {
            chain_id: 9,
            ..Default::default()
        },
        ..file
    };
    let genesis = Genesis::from_json(&Genesis::to_json(&file, &section).unwrap()).unwrap();
    assert_eq!(genesis.validators.len(), 1);
    assert_eq!(genesis.chain.chain_id, 9);
    assert_eq!(genesis.backing, Backing::Synchronous);
    let [shard] = genesis.shards.as_slice() else {
        panic!("one shard was written");
    };
    assert_eq!((shard.shard.0, shard.cores, shard.cores_max), (3, 2, 3));
    assert_eq!(genesis.cores, Some(4));
    assert_eq!(shard.genesis.chain.chain_id, 33);
}

fn with_shards(shards: &[(u32, u16, u64)]) -> String {
    let key = hex::encode(PrivateKey::from_seed(1).public_key());
    let entries: Vec<_> = shards
        .iter()
        .map(|(id, cores, chain_id)| {
            let genesis = with("config", &format!(r#"{{"chainId": {chain_id}}}"#));
            format!(
                r#"{{"id": {id}, "cores": {cores}, "collators": ["{key}"], "genesis": {genesis}}}"#
            )
        })
        .collect();
    let section = format!(r#"{{"validators": [], "shards": [{}]}}"#, entries.join(","));
    with("headway", &section)
}

#[test]
fn shards_have_numbers_cores_and_chain_ids_of_their_own() {
    assert!(Genesis::from_json(&with_shards(&[(1, 1, 100), (2, 3, 101)])).is_ok());
    let wrong = [
        (vec![(0, 1, 100)], "ids begin at 1"),
        (vec![(2, 1, 100), (1, 1, 101)], "ids begin at 1 and rise"),
        (vec![(1, 0, 100)], "at least one core"),
        (vec![(1, 1, 7)], "another chain's"),
        (vec![(1, 1, 100), (2, 1, 100)], "another chain's"),
        (vec![(1, 65, 100)], "at most 64 cores"),
    ];
    for (shards, expected) in wrong {
        let problem = problem(&with_shards(&shards));
        assert!(problem.contains(expected), "{problem}");
    }
}

/// What its validators can't check in time, a shard can't have.
#[test]
fn the_gas_limit_of_a_shard_has_a_limit_of_its_own() {
    let with_gas = |gas_limit: u64| {
        let mut json: serde_json::Value =
            serde_json::from_str(&with_shards(&[(1, 1, 100)])).unwrap();
        json["headway"]["shards"][0]["genesis"]["gasLimit"] = format!("{gas_limit:#x}").into();
        json.to_string()
    };
    assert!(Genesis::from_json(&with_gas(SHARD_GAS_MAX)).is_ok());
    let problem = problem(&with_gas(SHARD_GAS_MAX + 1));
    assert!(problem.contains("write at most 0x3b9aca00"), "{problem}");
}

/// One shard that begins with so many cores, on a chain with so many, and its `coresMax`.
fn with_cores(all: Option<u16>, cores: u16, most: Option<u16>) -> String {
    let text = with_shards(&[(1, cores, 100)]);
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    if let Some(all) = all {
        json["headway"]["cores"] = all.into();
    }
    if let Some(most) = most {
        json["headway"]["shards"][0]["coresMax"] = most.into();
    }
    json.to_string()
}

#[test]
fn cores_that_follow_load_have_limits() {
    let genesis = |all, most| Genesis::from_json(&with_cores(all, 2, most)).unwrap();
    let (stays, of_five) = (genesis(None, None), genesis(Some(5), None));
    assert_eq!((stays.cores, stays.shards[0].cores_max), (None, 2));
    assert_eq!((of_five.cores, of_five.shards[0].cores_max), (Some(5), 5));
    let of_three = genesis(Some(5), Some(3));
    assert_eq!(of_three.shards[0].cores_max, 3);
    assert_ne!(of_five.rules_digest(), of_three.rules_digest());
    assert_ne!(of_five.rules_digest(), stays.rules_digest());
    let idle = Genesis::from_json(&with_cores(Some(5), 0, None)).unwrap();
    assert_eq!(idle.shards[0].cores, 0);
    let wrong = [
        (Some(1), None, "at most 1 cores"),
        (Some(0), None, "write 1 to 64"),
        (Some(65), None, "write 1 to 64"),
        (None, Some(3), "needs headway.cores"),
        (Some(5), Some(6), "to 5"),
        (Some(5), Some(1), "to 5"),
        (Some(5), Some(0), "to 5"),
    ];
    for (all, most, expected) in wrong {
        let problem = problem(&with_cores(all, 2, most));
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn shards_are_part_of_the_rules() {
    let texts = [
        MINIMAL.to_owned(),
        with_shards(&[]),
        with_shards(&[(1, 1, 100)]),
        with_shards(&[(1, 2, 100)]),
        with_shards(&[(1, 1, 101)]),
    ];
    let digests: std::collections::BTreeSet<_> = texts
        .iter()
        .map(|text| Genesis::from_json(text).unwrap().rules_digest())
        .collect();
    assert_eq!(digests.len(), texts.len());
}

#[test]
fn chains_with_other_rules_have_other_digests() {
    let other = with(
        "headway",
        r#"{"validators": [], "protocol": {"heartbeatMs": 2}}"#,
    );
    let digests = [MINIMAL, &other].map(|text| Genesis::from_json(text).unwrap().rules_digest());
    assert_ne!(digests[0], digests[1]);
}

/// A genesis with so many validators, and this said of approval.
fn approved_by(validators: u64, section: &str) -> Result<Genesis, GenesisError> {
    let keys: Vec<String> = (0..validators)
        .map(|seed| hex::encode(PrivateKey::from_seed(seed).public_key()))
        .collect();
    let keys = serde_json::to_string(&keys).unwrap();
    Genesis::from_json(&with(
        "headway",
        &format!(r#"{{"validators": {keys}, {section}}}"#),
    ))
}

#[test]
fn a_few_check_only_where_there_are_many() {
    let sampled =
        |checkers: u16| format!(r#""approval": {{"sampled": {{"checkers": {checkers}}}}}"#);
    let genesis = approved_by(40, &sampled(14)).unwrap();
    assert_eq!(genesis.approval, Approval::Sampled { checkers: 14 });
    assert_eq!(
        approved_by(4, r#""approval": "all""#).unwrap().approval,
        Approval::All
    );
    for (validators, checkers) in [(39, 14), (40, 13), (40, 41)] {
        let error = approved_by(validators, &sampled(checkers)).unwrap_err();
        assert!(error.to_string().contains("headway.approval"), "{error}");
    }
    let synchronous = format!(r#""backing": "synchronous", {}"#, sampled(14));
    let error = approved_by(40, &synchronous).unwrap_err();
    assert!(error.to_string().contains("synchronous"), "{error}");
}
