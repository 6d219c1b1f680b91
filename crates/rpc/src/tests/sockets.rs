//! The port: bodies, batches, pages, who may call.

use super::rig::{Options, Rig, account, run, run_with, signed};
use crate::{Cors, RpcConfig, RpcServer, ServeError, serve};
use alloy_primitives::{Address, Bytes, TxKind, keccak256};
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(super) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub(super) async fn start(rig: &Rig) -> RpcServer {
    serve(Arc::clone(&rig.backend), LOOPBACK).await.unwrap()
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }

    fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().unwrap()
    }
}

pub(super) async fn exchange(server: &RpcServer, head: &str, body: &str) -> Answer {
    exchange_bytes(server, head, (body.as_bytes(), body.len())).await
}

/// Announces a body of some length and sends so much of it.
pub(super) async fn exchange_bytes(
    server: &RpcServer,
    head: &str,
    (body, length): (&[u8], usize),
) -> Answer {
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    let head = format!("{head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    // A refused upload may be cut off.
    socket.write_all(body).await.ok();
    let mut text = Vec::new();
    // A refused upload may be cut off; what came before it is the answer.
    socket.read_to_end(&mut text).await.ok();
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

async fn post(server: &RpcServer, body: &str) -> Answer {
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
    exchange(server, head, body).await
}

pub(super) async fn get(server: &RpcServer, path: &str, host: &str) -> Answer {
    exchange(server, &format!("GET {path} HTTP/1.1\r\nhost: {host}"), "").await
}

#[test]
fn garbage_is_answered_as_json() {
    run(|rig| async move {
        let server = start(&rig).await;
        for body in ["{", r#"{"jsonrpc":"2.0","#, "hello", ""] {
            let answer = post(&server, body).await;
            assert_eq!(answer.code(), -32700, "{body}");
            assert!(answer.json()["id"].is_null());
        }
        for body in [
            r#"{"id":1}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}"#,
            "[]",
        ] {
            assert_eq!(post(&server, body).await.code(), -32600, "{body}");
        }
        let unknown = post(
            &server,
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_nonsense"}"#,
        )
        .await
        .json();
        assert_eq!(unknown["error"]["code"], -32601);
        assert_eq!(
            unknown["error"]["message"],
            "the method eth_nonsense does not exist/is not available"
        );
        let long = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#,
            "é".repeat(9_000)
        );
        let answer = post(&server, &long).await;
        assert_eq!(answer.code(), -32601);
        assert!(answer.body.len() < 300, "{}", answer.body.len());
        let push = r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#;
        let answer = post(&server, push).await.json();
        assert_eq!(answer["error"]["code"], -32601);
        assert!(
            answer["error"]["message"]
                .as_str()
                .unwrap()
                .contains("WebSocket")
        );
    });
}

#[test]
fn an_oversize_body_is_refused() {
    let config = RpcConfig {
        body_bytes_max: 1_000,
        ..RpcConfig::dev()
    };
    let options = Options {
        config,
        ..Options::default()
    };
    run_with(options, |rig| async move {
        let server = start(&rig).await;
        let answer = post(&server, &"x".repeat(1_001)).await;
        assert_eq!(answer.status, 413);
    });
}

#[test]
fn batches_keep_order_and_have_a_limit() {
    let config = RpcConfig {
        batch_length_max: 4,
        ..RpcConfig::dev()
    };
    let options = Options {
        config,
        ..Options::default()
    };
    run_with(options, |rig| async move {
        let server = start(&rig).await;
        let call = |id: u64, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let raw = |nonce| {
            json!([signed(
                &account(0),
                nonce,
                TxKind::Call(Address::ZERO),
                Bytes::new()
            )])
        };
        let send = "eth_sendRawTransaction";
        let count = json!([account(0).address(), "pending"]);
        let batch = json!([
            call(1, send, raw(0)),
            call(2, send, raw(1)),
            call(3, "eth_getTransactionCount", count),
            call(4, send, json!(["0x05"])),
        ]);
        let answer = post(&server, &batch.to_string()).await.json();
        let ids: Vec<_> = answer
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_u64().unwrap())
            .collect();
        assert_eq!(ids, [1, 2, 3, 4]);
        assert!(answer[0]["result"].is_string());
        assert_eq!(
            answer[2]["result"], "0x2",
            "what comes before is done before"
        );
        assert_eq!(answer[3]["error"]["code"], -32000);
        let long: Vec<_> = (0..5)
            .map(|id| call(id, "eth_chainId", json!([])))
            .collect();
        let answer = post(&server, &Value::from(long).to_string()).await.json();
        assert_eq!(answer["error"]["code"], -32600);
        assert_eq!(answer["error"]["message"], "batch too large");
        let notifications = r#"[{"jsonrpc":"2.0","method":"eth_chainId"}]"#;
        assert_eq!(
            post(&server, notifications).await.body,
            "null",
            "jsonrpsee's word for nothing"
        );
        let mixed = r#"[1, {"jsonrpc":"2.0","id":7,"method":"eth_chainId"}]"#;
        let answer = post(&server, mixed).await.json();
        assert_eq!(answer[0]["error"]["code"], -32600);
        assert_eq!(answer[1]["result"], "0x7a69");
    });
}

#[test]
fn five_hundred_transfers_in_one_batch() {
    run(|rig| async move {
        let server = start(&rig).await;
        let sender = account(0);
        let sends: Vec<_> = (0..500_u64)
            .map(|nonce| {
                let raw = signed(&sender, nonce, TxKind::Call(Address::ZERO), Bytes::new());
                json!({ "jsonrpc": "2.0", "id": nonce, "method": "eth_sendRawTransaction", "params": [raw] })
            })
            .collect();
        let answers = post(&server, &Value::from(sends).to_string()).await.json();
        let answers = answers.as_array().unwrap();
        assert_eq!(answers.len(), 500);
        for (nonce, answer) in answers.iter().enumerate() {
            let raw = signed(
                &sender,
                nonce as u64,
                TxKind::Call(Address::ZERO),
                Bytes::new(),
            );
            assert_eq!(answer["result"], keccak256(raw).to_string());
        }
        assert_eq!(rig.backend.mempool.counts().pending, 500);
    });
}

#[test]
fn pages_metrics_and_health() {
    run(|rig| async move {
        let server = start(&rig).await;
        let page = get(&server, "/", "localhost").await;
        assert_eq!(page.status, 200);
        assert!(page.head.contains("text/html"));
        assert!(page.body.contains("<title>Overview · Headway</title>"));
        let metrics = get(&server, "/metrics", "localhost").await;
        assert!(metrics.body.starts_with("# HELP headway_height "));
        assert!(metrics.body.ends_with("\nexecuted_height 0\n"));
        let health = get(&server, "/health", "localhost").await;
        assert_eq!(health.status, 200);
        assert_eq!(health.json()["heads"]["executed"], "0x0");
        assert!(health.json()["syncing"].is_null());
        rig.pipeline.sync_target(3);
        let health = get(&server, "/health", "localhost").await;
        assert_eq!(health.status, 503);
        assert_eq!(health.json()["syncing"]["target"], "0x3");
        assert_eq!(get(&server, "/nothing", "localhost").await.status, 404);
    });
}

#[test]
fn a_foreign_name_for_loopback_is_refused() {
    let config = RpcConfig {
        hosts: vec!["node.internal".to_owned()],
        ..RpcConfig::dev()
    };
    let options = Options {
        config,
        ..Options::default()
    };
    run_with(options, |rig| async move {
        let server = start(&rig).await;
        for host in [
            "localhost",
            "localhost:8545",
            "127.0.0.1:8545",
            "[::1]:8545",
            "node.internal",
        ] {
            assert_eq!(get(&server, "/health", host).await.status, 200, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:8545"] {
            assert_eq!(get(&server, "/health", host).await.status, 403, "{host}");
        }
    });
}

#[test]
fn only_allowed_origins_read_answers() {
    let allowed = "http://app.example";
    let config = RpcConfig {
        cors: Cors::Origins(vec![allowed.to_owned()]),
        ..RpcConfig::new()
    };
    let options = Options {
        config,
        ..Options::default()
    };
    run_with(options, |rig| async move {
        let server = start(&rig).await;
        let preflight = async |origin: &str| {
            let head = format!("OPTIONS / HTTP/1.1\r\nhost: localhost\r\norigin: {origin}");
            exchange(&server, &head, "").await
        };
        let answer = preflight(allowed).await;
        assert_eq!(answer.status, 204);
        assert!(
            answer
                .head
                .contains("access-control-allow-origin: http://app.example")
        );
        assert!(
            answer
                .head
                .contains("access-control-allow-headers: content-type")
        );
        assert!(
            !preflight("http://evil.example")
                .await
                .head
                .contains("access-control-allow-origin")
        );
        assert_eq!(
            connect(&server, "http://evil.example").await.unwrap_err(),
            403
        );
        connect(&server, allowed).await.unwrap();
        let own = format!("http://{}", server.address());
        connect(&server, &own).await.unwrap();
    });
}

/// Opens a WebSocket from a page of this origin; the status if it is refused.
pub(super) async fn connect(server: &RpcServer, origin: &str) -> Result<TcpStream, u16> {
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    let host = server.address();
    let request = format!(
        "GET / HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    match head.split(' ').nth(1).unwrap().parse().unwrap() {
        101 => Ok(socket),
        status => Err(status),
    }
}

/// Sends one text frame, masked with zeros as the standard asks clients to mask.
async fn write_frame(socket: &mut TcpStream, text: &str) {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126, "short frames only");
    let frame = [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat();
    socket.write_all(&frame).await.unwrap();
}

/// Reads one text frame.
async fn read_frame(socket: &mut TcpStream) -> Value {
    // A ping of the server, without a payload.
    const PING: u8 = 0x89;
    let mut kind = socket.read_u8().await.unwrap();
    while kind == PING {
        assert_eq!(socket.read_u8().await.unwrap(), 0);
        kind = socket.read_u8().await.unwrap();
    }
    assert_eq!(kind, 0x81, "one whole text");
    let length = match socket.read_u8().await.unwrap() {
        126 => usize::from(socket.read_u16().await.unwrap()),
        length => usize::from(length),
    };
    let mut text = vec![0; length];
    socket.read_exact(&mut text).await.unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn a_websocket_calls_and_is_told() {
    run(|rig| async move {
        let server = start(&rig).await;
        let mut socket = connect(&server, "http://any.example").await.unwrap();
        write_frame(
            &mut socket,
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#,
        )
        .await;
        assert_eq!(read_frame(&mut socket).await["result"], "0x7a69");
        let subscribe =
            r#"{"jsonrpc":"2.0","id":2,"method":"eth_subscribe","params":["newHeads"]}"#;
        write_frame(&mut socket, subscribe).await;
        let id = read_frame(&mut socket).await["result"].clone();
        assert!(id.as_str().unwrap().starts_with("0x"), "{id}");
        let record = rig.mine().await;
        let head = read_frame(&mut socket).await;
        assert_eq!(head["method"], "eth_subscription");
        assert_eq!(head["params"]["subscription"], id);
        assert_eq!(head["params"]["result"]["hash"], record.hash.to_string());
        let unsubscribe =
            format!(r#"{{"jsonrpc":"2.0","id":3,"method":"eth_unsubscribe","params":[{id}]}}"#);
        write_frame(&mut socket, &unsubscribe).await;
        assert_eq!(read_frame(&mut socket).await["result"], true);
        rig.mine().await;
        write_frame(&mut socket, r#"{"jsonrpc":"#).await;
        assert_eq!(read_frame(&mut socket).await["error"]["code"], -32700);
        write_frame(
            &mut socket,
            r#"{"jsonrpc":"2.0","id":4,"method":"eth_blockNumber"}"#,
        )
        .await;
        assert_eq!(read_frame(&mut socket).await["result"], "0x2");
    });
}

#[test]
fn content_types_may_have_parameters() {
    run(|rig| async move {
        let server = start(&rig).await;
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
        let typed = async |content_type: &str| {
            let head =
                format!("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}");
            exchange(&server, &head, body).await.status
        };
        assert_eq!(typed("application/json; charset=UTF-8; x=y").await, 200);
        assert_eq!(
            typed("text/plain").await,
            415,
            "what a page can send without a preflight"
        );
    });
}

#[test]
fn a_port_in_use_says_so() {
    run(|rig| async move {
        let server = start(&rig).await;
        let again = serve(Arc::clone(&rig.backend), server.address())
            .await
            .unwrap_err();
        assert!(matches!(again, ServeError::PortInUse(address) if address == server.address()));
        assert!(again.to_string().contains("choose another port"));
        server.stop();
        server.stopped().await;
    });
}

#[test]
fn metrics_tell_of_the_chain_and_of_every_call() {
    run(|rig| async move {
        let server = start(&rig).await;
        rig.mine().await;
        for method in [
            "eth_blockNumber",
            "eth_blockNumber",
            "eth_noSuchThing",
            "eth_getBalance",
        ] {
            let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [] });
            post(&server, &call.to_string()).await;
        }
        let raw = signed(&account(0), 0, TxKind::Call(Address::ZERO), Bytes::new());
        let send = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [raw] });
        post(&server, &json!([send, send]).to_string()).await;
        let page = get(&server, "/metrics", "localhost").await;
        for line in [
            "headway_height{stage=\"executed\"} 1",
            "headway_lag_blocks{stage=\"verified\"} 1",
            "headway_syncing 0",
            "headway_diverged 0",
            "headway_pool_transactions{state=\"pending\"} 1",
            "headway_peers_known 3",
            "headway_rpc_requests_total{method=\"eth_blockNumber\",status=\"ok\"} 2",
            "headway_rpc_requests_total{method=\"eth_getBalance\",status=\"error\"} 1",
            "headway_rpc_requests_total{method=\"unknown\",status=\"error\"} 1",
            "headway_rpc_requests_total{method=\"eth_sendRawTransaction\",status=\"ok\"} 1",
            "headway_rpc_requests_total{method=\"eth_sendRawTransaction\",status=\"error\"} 1",
            "executed_height 0",
        ] {
            assert!(
                page.body.lines().any(|one| one == line),
                "{line}\n{}",
                page.body
            );
        }
    });
}

/// A node with so many connections, which are closed when idle or stalled for this long.
fn few(connections_max: u32, wait_ms: u64) -> Options {
    let config = RpcConfig {
        connections_max,
        idle_ms: wait_ms,
        stall_ms: wait_ms,
        body_wait_ms: wait_ms,
        ..RpcConfig::dev()
    };
    Options {
        config,
        ..Options::default()
    }
}

#[test]
fn a_connection_too_many_is_told_so_and_idle_ones_make_room() {
    run_with(few(2, 200), |rig| async move {
        let server = start(&rig).await;
        let mut idle = TcpStream::connect(server.address()).await.unwrap();
        let mut asked = TcpStream::connect(server.address()).await.unwrap();
        let ask = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
        asked.write_all(ask).await.unwrap();
        assert_eq!(asked.read_u8().await.unwrap(), b'H');
        let mut refused = TcpStream::connect(server.address()).await.unwrap();
        let mut text = String::new();
        refused.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 429 "), "{text}");
        // Both are closed: the one that asked for nothing, and the one that was answered.
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).await.ok();
        asked.read_to_end(&mut rest).await.ok();
        let answer = get(&server, "/health", "localhost").await;
        assert_eq!(answer.status, 200);
    });
}

#[test]
fn a_websocket_without_calls_stays_open() {
    run_with(few(2, 50), |rig| async move {
        let server = start(&rig).await;
        let mut socket = connect(&server, "http://any.example").await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
        write_frame(&mut socket, call).await;
        assert_eq!(read_frame(&mut socket).await["result"], "0x7a69");
    });
}

#[test]
fn a_body_that_does_not_arrive_is_given_up() {
    run_with(few(2, 50), |rig| async move {
        let server = start(&rig).await;
        let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
        let part = exchange_bytes(&server, head, (b"{", 100)).await;
        assert!(part.status >= 400, "{}", part.status);
    });
}

#[test]
fn a_websocket_that_does_not_read_is_not_answered_for_ever() {
    run_with(few(2, 300), |rig| async move {
        let server = start(&rig).await;
        let mut socket = connect(&server, "http://any.example").await.unwrap();
        // Answers of some 100 kB each; the kernel takes a few megabytes of them, this node some more.
        let echo = "x".repeat(100_000);
        let call = json!({ "jsonrpc": "2.0", "id": echo, "method": "eth_chainId" }).to_string();
        let length = u64::try_from(call.len()).unwrap().to_be_bytes();
        let frame = [&[0x81, 0xff][..], &length, &[0; 4], call.as_bytes()].concat();
        let calls = async {
            for _ in 0..2_000 {
                socket.write_all(&frame).await?;
            }
            Ok::<_, std::io::Error>(())
        };
        let given_up = tokio::time::timeout(std::time::Duration::from_secs(20), calls).await;
        let given_up = given_up.expect("closed when the reader had its time");
        assert!(given_up.is_err(), "200 MB of answers were made");
        let unread = rig.backend.traffic.unread_bytes();
        assert!(unread < 100_000_000, "{unread}");
    });
}
