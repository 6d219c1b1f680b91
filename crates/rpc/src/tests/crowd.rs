//! Many requests, bodies and WebSockets at once, also over one connection.

use super::{
    rig::{Options, run_with},
    sockets::{connect, exchange, get, start},
};
use crate::{
    RpcConfig, RpcServer,
    config::{BODY_FREE_BYTES, SOCKET_REQUESTS_MAX},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACKNOWLEDGED: u8 = 1;
const END_HEADERS: u8 = 4;

/// An HTTP/2 connection that posts and reads statuses.
struct Http2(TcpStream);

impl Http2 {
    async fn connect(server: &RpcServer) -> Self {
        let mut socket = TcpStream::connect(server.address()).await.unwrap();
        socket.write_all(PREFACE).await.unwrap();
        let mut this = Self(socket);
        // No table of headers that came before: each status is written out.
        this.write(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]).await;
        // What the server allows holds from the acknowledgement on.
        assert_eq!(this.read().await.0, SETTINGS);
        this.write(SETTINGS, ACKNOWLEDGED, 0, &[]).await;
        // Before the connection's window is opened, more than 64 KiB would end it.
        while this.read().await.0 != WINDOW_UPDATE {}
        this
    }

    async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.0.write_all(&head).await.unwrap();
        self.0.write_all(payload).await.unwrap();
    }

    /// Begins a call whose body is to follow.
    async fn post(&mut self, stream: u32) {
        // POST, http, / of the static table; the authority and the content type as they are.
        let mut headers = vec![0x83, 0x86, 0x84, 0x01, 9];
        headers.extend(b"localhost");
        headers.extend([0x0f, 16, 16]);
        headers.extend(b"application/json");
        self.write(HEADERS, END_HEADERS, stream, &headers).await;
    }

    async fn send(&mut self, stream: u32, body: &[u8], flags: u8) {
        let mut frames = body.chunks(16_384).peekable();
        while let Some(frame) = frames.next() {
            let flags = if frames.peek().is_none() { flags } else { 0 };
            self.write(DATA, flags, stream, frame).await;
        }
    }

    /// The statuses that come before nothing has come for a while, by stream.
    async fn statuses(&mut self) -> BTreeMap<u32, u16> {
        let mut statuses = BTreeMap::new();
        let wait = Duration::from_millis(400);
        while let Ok(frame) = tokio::time::timeout(wait, self.read()).await {
            if let (HEADERS, stream, payload) = frame {
                statuses.insert(stream, status(&payload));
            }
        }
        statuses
    }

    /// Kind, stream and payload of the next frame.
    async fn read(&mut self) -> (u8, u32, Vec<u8>) {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length.try_into().unwrap()];
        self.0.read_exact(&mut payload).await.unwrap();
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        (head[3], stream, payload)
    }
}

/// The status with which headers begin.
fn status(headers: &[u8]) -> u16 {
    // The table's new size comes first, once.
    let sizes = headers.iter().take_while(|byte| **byte >> 5 == 1).count();
    let headers = &headers[sizes..];
    match headers[0] {
        0x88 => 200,
        0x8c => 400,
        0x8e => 500,
        // A literal with the name of the status, Huffman-coded: the digits take five or six bits each.
        _ => {
            let bits = headers[2..5]
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
            let mut rest = bits << 8;
            let mut status = 0;
            for _ in 0..3 {
                let five = u16::try_from(rest >> 27).unwrap();
                let (digit, width) = match five {
                    0..=2 => (five, 5),
                    _ => (u16::try_from(rest >> 26).unwrap() - 0x19 + 3, 6),
                };
                status = status * 10 + digit;
                rest <<= width;
            }
            status
        }
    }
}

fn options(config: RpcConfig) -> Options {
    Options {
        config,
        ..Options::default()
    }
}

#[test]
fn one_connection_carries_so_many_requests_at_a_time() {
    run_with(options(RpcConfig::dev()), |rig| async move {
        let server = start(&rig).await;
        let mut http2 = Http2::connect(&server).await;
        let streams: Vec<u32> = (0..).step_by(2).map(|even| even + 1).take(150).collect();
        for stream in &streams {
            http2.post(*stream).await;
        }
        let statuses = http2.statuses().await;
        assert_eq!(statuses.len(), streams.len() - SOCKET_REQUESTS_MAX);
        assert!(
            statuses.values().all(|status| *status == 429),
            "{statuses:?}"
        );
        let call = br#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
        let mut open = streams
            .iter()
            .filter(|stream| !statuses.contains_key(stream));
        let open = *open.next().unwrap();
        http2.send(open, call, END_STREAM).await;
        assert_eq!(http2.statuses().await, [(open, 200)].into());
        assert_eq!(get(&server, "/health", "localhost").await.status, 200);
    });
}

#[test]
fn bodies_of_many_requests_are_bounded_together() {
    let config = RpcConfig {
        // Of two, and for the end of one.
        bodies_bytes_max: 2 * BODY_FREE_BYTES + 1_000,
        ..RpcConfig::dev()
    };
    run_with(options(config), |rig| async move {
        let server = start(&rig).await;
        let mut http2 = Http2::connect(&server).await;
        let mut large = vec![b' '; 2 * BODY_FREE_BYTES];
        large[0] = b'{';
        for stream in [1, 3] {
            http2.post(stream).await;
            http2.send(stream, &large, 0).await;
        }
        assert!(http2.statuses().await.is_empty(), "both may go on");
        let traffic = Arc::clone(&rig.backend.traffic);
        assert_eq!(traffic.arriving_bytes(), 2 * BODY_FREE_BYTES);
        http2.post(5).await;
        http2.send(5, &large, 0).await;
        assert_eq!(http2.statuses().await, [(5, 503)].into());
        // Who sends little is served all the same.
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
        let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
        assert_eq!(exchange(&server, head, call).await.status, 200);
        http2.send(3, &call.as_bytes()[1..], END_STREAM).await;
        assert_eq!(http2.statuses().await, [(3, 200)].into());
        assert_eq!(traffic.arriving_bytes(), BODY_FREE_BYTES);
        drop(http2);
        while traffic.arriving_bytes() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn websockets_leave_places_for_requests() {
    let config = RpcConfig {
        connections_max: 8,
        ..RpcConfig::dev()
    };
    run_with(options(config), |rig| async move {
        let server = start(&rig).await;
        let origin = "http://any.example";
        let mut open = Vec::new();
        for _ in 0..6 {
            open.push(connect(&server, origin).await.unwrap());
        }
        assert_eq!(connect(&server, origin).await.unwrap_err(), 503);
        assert_eq!(get(&server, "/health", "localhost").await.status, 200);
        drop(open.pop());
        let again = async {
            while connect(&server, origin).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), again).await;
        waited.expect("a closed one makes room");
    });
}
