//! A healthy installation, and each way it can be ill.

use super::{
    DoctorOptions, Finding, Status, examine, machine::available_mib, network::quorum, remote, text,
    worst,
};
use crate::{
    init::{InitOptions, init},
    process::{DataDirectory, TemporaryDirectory},
};
use alloy_primitives::Address;
use primitives::chain::Protocol;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// A network of one or more validators on free ports.
fn network(directory: &TemporaryDirectory, validators: u16) -> PathBuf {
    let free = || {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    };
    let path = directory.path().join("net");
    init(&InitOptions {
        directory: path.clone(),
        validators,
        shards: None,
        cores: None,
        chain_id: 5,
        gas_limit: 300_000_000,
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        p2p_port: free().min(60_000),
        rpc_port: free().min(60_000),
        funded: vec![Address::repeat_byte(1)],
        protocol: Protocol::default(),
    })
    .unwrap();
    path
}

fn look(config: &Path) -> Vec<Finding> {
    let options = DoctorOptions {
        config: Some(config.to_owned()),
        url: None,
    };
    examine(&options).unwrap()
}

#[track_caller]
fn find<'f>(findings: &'f [Finding], name: &str) -> &'f Finding {
    let found = findings.iter().find(|finding| finding.name == name);
    found.unwrap_or_else(|| panic!("no {name} in\n{}", text(findings)))
}

#[test]
fn a_new_network_of_one_is_fit() {
    let temporary = TemporaryDirectory::create().unwrap();
    let config = network(&temporary, 1).join("node0/headway.toml");
    let findings = look(&config);
    for name in [
        "config", "genesis", "key", "role", "data", "p2p port", "rpc port", "peers",
    ] {
        assert_eq!(
            find(&findings, name).status,
            Status::Ok,
            "{}",
            text(&findings)
        );
    }
    assert!(
        find(&findings, "role")
            .text
            .contains("a validator, one of 1")
    );
    assert!(
        !temporary.path().join("net/node0/data").exists(),
        "nothing is made"
    );
}

#[test]
fn each_illness_is_named() {
    let temporary = TemporaryDirectory::create().unwrap();
    let net = network(&temporary, 4);
    let node = net.join("node0");
    let config = node.join("headway.toml");
    let written = fs::read_to_string(&config).unwrap();
    // Nobody else runs.
    let findings = look(&config);
    let peers = find(&findings, "peers");
    assert_eq!(peers.status, Status::Fail);
    assert!(
        peers.text.contains("0 of 3 other validators"),
        "{}",
        peers.text
    );
    assert_eq!(worst(&findings), Status::Fail);
    // Others may read the key.
    let key = node.join("node.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(find(&look(&config), "key").status, Status::Fail);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    // A port is taken by somebody else.
    let port: u16 = {
        let parsed: toml::Table = written.parse().unwrap();
        let listen = parsed["rpc"]["listen"].as_str().unwrap();
        listen.rsplit_once(':').unwrap().1.parse().unwrap()
    };
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert_eq!(find(&look(&config), "rpc port").status, Status::Fail);
    drop(taken);
    // A node runs in the data directory, but holds no port.
    let running = DataDirectory::open(&node.join("data")).unwrap();
    let findings = look(&config);
    assert!(find(&findings, "data").text.contains("in use"));
    assert_eq!(find(&findings, "p2p port").status, Status::Fail);
    assert_eq!(
        find(&findings, "node").status,
        Status::Fail,
        "nobody answers"
    );
    drop(running);
    // Fees go nowhere.
    let nowhere = written.replace(
        &Address::repeat_byte(1).to_string().to_lowercase(),
        &Address::ZERO.to_string(),
    );
    fs::write(&config, &nowhere).unwrap();
    assert_eq!(
        find(&look(&config), "fees").status,
        Status::Warn,
        "{nowhere}"
    );
    // The genesis is gone, and then the config file is broken.
    fs::remove_file(net.join("genesis.json")).unwrap();
    assert_eq!(find(&look(&config), "genesis").status, Status::Fail);
    fs::write(&config, "nonsense = 1").unwrap();
    let findings = look(&config);
    assert_eq!(find(&findings, "config").status, Status::Fail);
    assert!(!find(&findings, "config").remedy.is_empty());
}

#[test]
fn somebody_elses_key_follows() {
    let temporary = TemporaryDirectory::create().unwrap();
    let net = network(&temporary, 1);
    let elsewhere = TemporaryDirectory::create().unwrap();
    let other = network(&elsewhere, 1);
    fs::copy(other.join("node0/node.key"), net.join("node0/node.key")).unwrap();
    let findings = look(&net.join("node0/headway.toml"));
    assert!(find(&findings, "role").text.contains("follows"));
}

#[test]
fn a_node_that_is_not_there_fails() {
    let options = DoctorOptions {
        config: None,
        url: Some("http://127.0.0.1:9".to_owned()),
    };
    let findings = examine(&options).unwrap();
    assert_eq!(find(&findings, "node").status, Status::Fail);
    let lines = text(&findings);
    assert!(lines.contains("FAIL  node"), "{lines}");
    assert!(lines.contains("→ start it"), "{lines}");
}

#[test]
fn what_the_system_says_is_read() {
    assert_eq!(
        available_mib("MemTotal: 9 kB\nMemAvailable:    2097152 kB\n"),
        Some(2_048)
    );
    assert_eq!(available_mib("MemTotal: 9 kB\n"), None);
    assert_eq!([1, 2, 3, 4, 7, 10].map(quorum), [1, 2, 3, 3, 5, 7]);
}

#[test]
fn a_development_chain_of_this_version_is_this_version() {
    let own = rpc::CLIENT_VERSION;
    assert!(remote::is_this_version(own));
    assert!(remote::is_this_version(&format!(
        "HardhatNetwork/2 (compatible; {own})"
    )));
    assert!(!remote::is_this_version("Headway/v9.9.9/rust"));
    assert!(!remote::is_this_version(
        "HardhatNetwork/2 (compatible; Headway/v9.9.9/rust)"
    ));
}
