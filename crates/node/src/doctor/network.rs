//! The node's own ports, and whether its peers can be reached.

use super::{CONNECT_WAIT, Finding, files::Installation};
use futures::future::join_all;
use std::net::{SocketAddr, TcpListener};
use tokio::{net::TcpStream, time::timeout};

pub(super) async fn examine(installation: &Installation) -> Vec<Finding> {
    let config = &installation.config;
    let mut findings = vec![
        port("p2p port", config.network.listen, installation.is_running),
        port("rpc port", config.rpc.listen, installation.is_running),
    ];
    if !config.rpc.listen.ip().is_loopback() {
        findings.push(Finding::warn(
            "rpc",
            format!(
                "{} is open to other machines, without a password",
                config.rpc.listen
            ),
            "listen on 127.0.0.1 behind a proxy, or close it in the firewall",
        ));
    }
    findings.push(peers(installation).await);
    findings
}

fn port(name: &'static str, address: SocketAddr, is_running: bool) -> Finding {
    match (TcpListener::bind(address), is_running) {
        (Ok(_), false) => Finding::ok(name, format!("{address} is free")),
        (Ok(_), true) => Finding::fail(
            name,
            format!("{address} is free, though a node runs in the data directory"),
            "that node uses another config file, or starts or stops just now",
        ),
        (Err(_), true) => Finding::ok(name, format!("{address} is held by the running node")),
        (Err(error), false) => Finding::fail(
            name,
            format!("{address}: {error}"),
            "stop the other program, or choose another address in the config file",
        ),
    }
}

async fn peers(installation: &Installation) -> Finding {
    let name = "peers";
    let validators = &installation.peers.validators;
    let own = installation.public_key.as_ref();
    let others = validators.iter().filter(|(key, _)| Some(key) != own);
    let others: Vec<SocketAddr> = others.map(|(_, address)| *address).collect();
    if others.is_empty() {
        return Finding::ok(name, "none: this is the only validator");
    }
    let reached = join_all(others.iter().map(|address| reach(*address))).await;
    let missing: Vec<String> = others
        .iter()
        .zip(&reached)
        .filter(|(_, reached)| !**reached)
        .map(|(address, _)| address.to_string())
        .collect();
    let here = usize::from(validators.len() > others.len());
    let with_us = others.len() - missing.len() + here;
    let text = format!(
        "{} of {} other validators accept connections",
        others.len() - missing.len(),
        others.len()
    );
    if missing.is_empty() {
        return Finding::ok(name, text);
    }
    let remedy = format!(
        "start them, or open the way to {}; without 2f+1 validators no block is final",
        missing.join(", ")
    );
    match with_us >= quorum(validators.len()) {
        true => Finding::warn(name, text, remedy),
        false => Finding::fail(name, text, remedy),
    }
}

/// 2f+1 of so many validators.
pub(super) const fn quorum(validators: usize) -> usize {
    validators - validators.saturating_sub(1) / 3
}

async fn reach(address: SocketAddr) -> bool {
    let connection = timeout(CONNECT_WAIT, TcpStream::connect(address));
    matches!(connection.await, Ok(Ok(_)))
}
