//! The explorer: what its pages say, what they refuse, and that nothing written by others is markup.

use super::{
    logs::indexed,
    rig::{EMITTER, Options, Rig, account, emit, run, run_with, signed},
    sockets::{Answer, exchange, get, start},
};
use crate::{RpcServer, config::LIVE_READERS_MAX};
use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use pipeline::PipelineConfig;
use serde_json::json;
use state::{Location, MemoryDisk};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const SCRIPT: &str = "<script>alert(1)</script>";

async fn page(server: &RpcServer, path: &str) -> Answer {
    let answer = get(server, path, "localhost").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer
}

async fn form(server: &RpcServer, path: &str, headers: &str, fields: &[(&str, &str)]) -> Answer {
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)));
    let body = pairs.collect::<Vec<_>>().join("&");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded{headers}"
    );
    exchange(server, &head, &body).await
}

fn escaped(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// A contract whose code answers every call with these bytes.
async fn deploy_answer(rig: &Rig, answer: &[u8]) -> Address {
    let address = Address::repeat_byte(0xab);
    // PUSH2 length, DUP1, PUSH1 12, PUSH1 0, CODECOPY, PUSH1 0, RETURN: returns what follows it.
    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
    let mut code = vec![
        0x61, length[0], length[1], 0x80, 0x60, 12, 0x60, 0, 0x39, 0x60, 0, 0xf3,
    ];
    code.extend_from_slice(answer);
    let code = primitives::Directive::SetCode(address, code.into());
    rig.control.push_directives(vec![code]).unwrap();
    rig.mine().await;
    address
}

/// The encoding of one text.
fn text(text: &str) -> Vec<u8> {
    let mut encoded = U256::from(32).to_be_bytes_vec();
    encoded.extend(U256::from(text.len()).to_be_bytes_vec());
    let mut padded = text.as_bytes().to_vec();
    padded.resize(text.len().next_multiple_of(32), 0);
    encoded.extend(padded);
    encoded
}

#[test]
fn every_page_is_there_and_guarded() {
    run(|rig| async move {
        let server = start(&rig).await;
        let hash = rig.send(0, EMITTER, emit(7, 8)).await;
        let record = rig.mine().await;
        let sender = account(0).address();
        let paths = [
            "/".to_owned(),
            "/blocks".to_owned(),
            "/blocks?from=0".to_owned(),
            "/txs".to_owned(),
            "/block/0".to_owned(),
            "/block/1".to_owned(),
            format!("/block/{}", record.hash),
            "/block/latest".to_owned(),
            format!("/tx/{hash}"),
            format!("/address/{sender}"),
            format!("/address/{EMITTER}"),
            "/pool".to_owned(),
            "/validators".to_owned(),
        ];
        for path in paths {
            let answer = page(&server, &path).await;
            let (head, body) = (&answer.head, &answer.body);
            assert!(
                head.contains("content-type: text/html; charset=utf-8"),
                "{path}"
            );
            assert!(
                head.contains("content-security-policy: default-src 'none'; script-src 'self'")
            );
            assert!(head.contains("x-content-type-options: nosniff"));
            assert!(head.contains("referrer-policy: same-origin"));
            assert!(
                body.contains("<main id=\"main\">") && body.ends_with("</html>"),
                "{path}"
            );
            assert!(
                !body.contains(" style=") && !body.contains("<style"),
                "{path}"
            );
            assert!(
                !body.contains(" onclick") && !body.contains("http://"),
                "{path}"
            );
            assert!(body.len() < 100_000, "{path}: {} bytes", body.len());
        }
        server.stop();
    });
}

#[test]
fn a_transaction_in_words() {
    run(|rig| async move {
        let server = start(&rig).await;
        let hash = rig.send(0, EMITTER, emit(7, 8)).await;
        let waiting = page(&server, &format!("/tx/{hash}")).await.body;
        assert!(waiting.contains("waiting in the pool"));
        rig.mine().await;
        let executed = page(&server, &format!("/tx/{hash}")).await.body;
        assert!(executed.contains("succeeded, executed here"));
        assert!(executed.contains(r#"<a class="n" href="/block/1">1</a>"#));
        assert!(executed.contains("State changes"));
        assert!(executed.contains("storage"), "slot 0 became 7");
        assert!(
            executed.contains(&format!("{:064x}", 0xaa)),
            "the topic of the log"
        );
        rig.verify().await;
        let verified = page(&server, &format!("/tx/{hash}")).await.body;
        assert!(verified.contains("succeeded, verified"));
        let failed = rig.send(1, EMITTER, Bytes::new()).await;
        rig.mine().await;
        let failed = page(&server, &format!("/tx/{failed}")).await.body;
        assert!(
            failed.contains(r#"<span class="reason">no!</span>"#),
            "{failed}"
        );
    });
}

#[test]
fn an_ordered_block_has_a_page() {
    run(|rig| async move {
        let server = start(&rig).await;
        for _ in 0..3 {
            rig.mine().await;
        }
        let blocks = page(&server, "/blocks").await.body;
        assert!(blocks.contains(r#"href="/block/3""#) && blocks.contains(r#"href="/block/0""#));
        let block = page(&server, "/block/2").await.body;
        assert!(block.contains(r#"href="/block/1" aria-label="Block before""#));
        assert!(block.contains(r#"href="/block/3" aria-label="Block after""#));
        assert!(block.contains("Base fee"));
    });
}

#[test]
fn search_leads_to_pages() {
    run(|rig| async move {
        let server = start(&rig).await;
        let hash = rig.send(0, Address::ZERO, Bytes::new()).await;
        let record = rig.mine().await;
        let sender = account(0).address();
        let found = [
            ("1".to_owned(), "/block/1".to_owned()),
            ("latest".to_owned(), "/block/latest".to_owned()),
            ("0x1".to_owned(), "/block/1".to_owned()),
            (hash.clone(), format!("/tx/{hash}")),
            (record.hash.to_string(), format!("/block/{}", record.hash)),
            (format!("%20{sender}%20"), format!("/address/{sender}")),
            (String::new(), "/".to_owned()),
        ];
        for (asked, location) in found {
            let answer = get(&server, &format!("/search?q={asked}"), "localhost").await;
            assert_eq!(answer.status, 303, "{asked}");
            let location = format!("location: {location}\r\n").to_ascii_lowercase();
            assert!(
                format!("{}\r\n", answer.head).contains(&location),
                "{asked}: {}",
                answer.head
            );
        }
        for asked in ["99", "nonsense", "0x", &"a".repeat(64), "%3Cscript%3E"] {
            let answer = get(&server, &format!("/search?q={asked}"), "localhost").await;
            assert_eq!(answer.status, 404, "{asked}");
            assert!(answer.body.contains("No such"), "{asked}");
            assert!(!answer.body.contains("<script>"), "{asked}");
        }
    });
}

#[test]
fn what_is_not_there_says_so() {
    run(|rig| async move {
        let server = start(&rig).await;
        let unknown = "00".repeat(32);
        for path in [
            "/nothing",
            "/block",
            "/block/",
            "/block/9",
            "/block/x",
            "/tx/0x12",
            "/address/0x12",
            "/token/0x12",
            "/blocks/1",
            "/assets/explorer.css",
            "/address/x/y",
            "/%ff",
            &format!("/tx/0x{unknown}"),
            &format!("/token/{}", account(0).address()),
            &format!("/tx/{}", escaped(SCRIPT)),
        ] {
            let answer = get(&server, path, "localhost").await;
            assert_eq!(answer.status, 404, "{path}");
            assert!(answer.body.contains("No such"), "{path}: {}", answer.body);
            assert!(!answer.body.contains(SCRIPT), "{path}");
            assert!(answer.head.contains("content-security-policy"), "{path}");
        }
        let many: Vec<_> = (0..200).map(|n| format!("f{n}=1")).collect();
        let answer = get(&server, &format!("/txs?{}", many.join("&")), "localhost").await;
        assert_eq!(answer.status, 400);
        let answer = get(&server, "/txs?from=%zz", "localhost").await;
        assert_eq!(answer.status, 400);
    });
}

#[test]
fn head_is_get_without_the_body() {
    run(|rig| async move {
        let server = start(&rig).await;
        for (path, status) in [("/", 200), ("/health", 200), ("/nothing", 404)] {
            let head = format!("HEAD {path} HTTP/1.1\r\nhost: localhost");
            let answer = exchange(&server, &head, "").await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (status, ""),
                "{path}"
            );
        }
    });
}

#[test]
fn embedded_files_are_kept_for_ever() {
    run(|rig| async move {
        let server = start(&rig).await;
        let body = page(&server, "/").await.body;
        let mut count = 0;
        for part in body.split("\"/assets/").skip(1) {
            let path = part.split('"').next().unwrap();
            let answer = page(&server, &format!("/assets/{path}")).await;
            assert!(
                answer
                    .head
                    .contains("cache-control: public, max-age=31536000, immutable")
            );
            assert!(answer.head.contains("x-content-type-options: nosniff"));
            count += 1;
        }
        assert_eq!(count, 5);
    });
}

#[test]
fn a_node_that_catches_up_says_so() {
    run(|rig| async move {
        let server = start(&rig).await;
        rig.pipeline.sync_target(3);
        let answer = get(&server, "/", "localhost").await;
        assert_eq!(answer.status, 200, "what is there is shown");
        assert!(answer.body.contains("node is syncing: executed 0 of 3"));
        let account = format!("/address/{}", account(0).address());
        assert_eq!(get(&server, &account, "localhost").await.status, 503);
    });
}

#[test]
fn a_hostile_token_is_only_text() {
    run(|rig| async move {
        let server = start(&rig).await;
        let name = format!("{SCRIPT}\u{202e}&\"'");
        let address = deploy_answer(&rig, &text(&name)).await;
        // `decimals` and `supportsInterface` get the same words: 32 is as good a number of decimals as any.
        let body = page(&server, &format!("/token/{address}")).await.body;
        assert!(!body.contains(SCRIPT), "{body}");
        assert!(!body.contains('\u{202e}'));
        assert!(
            body.contains("&#60;script&#62;") || body.contains("&lt;script&gt;"),
            "{body}"
        );
        let account = page(&server, &format!("/address/{address}")).await.body;
        assert!(!account.contains(SCRIPT));
    });
}

#[test]
fn an_abi_is_remembered_and_read_by_form() {
    run(|rig| async move {
        let server = start(&rig).await;
        let address = deploy_answer(&rig, &text(SCRIPT)).await;
        let abi = |name: &str| {
            let abi = json!([{
                "type": "function", "name": "greet", "stateMutability": "view",
                "inputs": [{ "name": name, "type": "uint256", "internalType": SCRIPT }],
                "outputs": [{ "name": "", "type": "string" }],
            }]);
            abi.to_string()
        };
        let path = format!("/address/{address}");
        let upload = format!("{path}/abi");
        let hostile = form(&server, &upload, "", &[("abi", &abi(SCRIPT))]).await;
        assert_eq!(hostile.status, 400, "a name is an identifier");
        assert!(!hostile.body.contains(SCRIPT));
        let taken = form(&server, &upload, "", &[("abi", &abi("count"))]).await;
        assert_eq!(taken.status, 303, "{}", taken.body);
        let shown = page(&server, &path).await.body;
        assert!(
            shown.contains("greet") && !shown.contains(SCRIPT),
            "{shown}"
        );
        let selector = alloy_primitives::keccak256("greet(uint256)");
        let selector = hex::encode_prefixed(&selector[..4]);
        let call = format!("{path}/call");
        let read = form(
            &server,
            &call,
            "",
            &[("function", &selector), ("arg0", "5")],
        )
        .await;
        assert_eq!(read.status, 200);
        assert!(
            !read.body.contains(SCRIPT) && read.body.contains("script"),
            "{}",
            read.body
        );
        let part = form(
            &server,
            &call,
            "\r\nhx-request: true",
            &[("function", &selector), ("arg0", "x")],
        )
        .await;
        assert_eq!(part.status, 200, "a part is swapped in, whatever it says");
        assert!(
            part.body.contains("is no uint256") && !part.body.contains("<html"),
            "{}",
            part.body
        );
        let wrong = form(&server, &call, "", &[("function", "0x00000000")]).await;
        assert_eq!(wrong.status, 400);
    });
}

#[test]
fn forms_of_strangers_and_forms_too_large_are_refused() {
    run(|rig| async move {
        let server = start(&rig).await;
        let path = format!("/address/{EMITTER}/abi");
        let foreign = form(
            &server,
            &path,
            "\r\norigin: http://evil.example",
            &[("abi", "[]")],
        )
        .await;
        assert_eq!(foreign.status, 403);
        let own = form(
            &server,
            &path,
            "\r\norigin: http://localhost",
            &[("abi", "[]")],
        )
        .await;
        assert_eq!(own.status, 303);
        let bad = form(&server, &path, "", &[("abi", SCRIPT)]).await;
        assert_eq!(bad.status, 400);
        assert!(bad.body.contains("not an ABI") && !bad.body.contains(SCRIPT));
        let large = "a".repeat(crate::config::FORM_BYTES_MAX + 1);
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost");
        assert_eq!(exchange(&server, &head, &large).await.status, 413);
        let rpc = format!(
            "POST /address/{EMITTER} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json"
        );
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
        assert_eq!(
            exchange(&server, &rpc, body).await.json()["result"],
            "0x7a69",
            "all others are JSON-RPC"
        );
    });
}

/// Opens the stream of live parts.
async fn follow(server: &RpcServer) -> TcpStream {
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    socket
        .write_all(b"GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    socket
}

/// Reads until a text came; what came before and with it.
async fn read_until(socket: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut bytes = [0; 4_096];
    while !text.contains(wanted) {
        let count = socket.read(&mut bytes).await.unwrap();
        assert_ne!(count, 0, "ended before {wanted:?}: {text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    text
}

#[test]
fn the_overview_is_told_as_it_changes() {
    run(|rig| async move {
        let server = start(&rig).await;
        let mut socket = follow(&server).await;
        let first = read_until(&mut socket, "event: newest").await;
        assert!(first.contains("content-type: text/event-stream"));
        assert!(
            first.contains("event: pipeline\ndata: <div class=\"lanes\">"),
            "{first}"
        );
        // The rig's clock moves a second with each block.
        rig.mine().await;
        let next = read_until(&mut socket, "href=\"/block/1\"").await;
        assert!(next.contains("event: pipeline"));
        server.stop();
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.unwrap();
        server.stopped().await;
    });
}

#[test]
fn so_many_follow_and_no_more() {
    run(|rig| async move {
        let server = start(&rig).await;
        let mut sockets = Vec::new();
        for _ in 0..LIVE_READERS_MAX {
            let mut socket = follow(&server).await;
            read_until(&mut socket, "retry:").await;
            sockets.push(socket);
        }
        let mut socket = follow(&server).await;
        let refused = read_until(&mut socket, "readers at a time").await;
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
        assert!(refused.contains("retry-after: 5"));
        server.stop();
    });
}

#[test]
fn long_lists_go_on_where_they_stopped() {
    run(|rig| async move {
        let server = start(&rig).await;
        let sender = account(0);
        for nonce in 0..60 {
            let raw = signed(&sender, nonce, TxKind::Call(Address::ZERO), Bytes::new());
            rig.call("eth_sendRawTransaction", json!([raw])).await;
        }
        rig.mine().await;
        let rows = |body: &str| body.matches("href=\"/tx/").count();
        let first = page(&server, "/txs").await.body;
        assert_eq!(rows(&first), 50);
        assert!(first.contains("/txs?from=1&amp;index=10"), "{first}");
        assert_eq!(rows(&page(&server, "/txs?from=1&index=10").await.body), 10);
        let block = page(&server, "/block/1").await.body;
        assert_eq!(rows(&block), 50);
        assert!(block.contains("/block/1?from=50#transactions"));
        assert_eq!(rows(&page(&server, "/block/1?from=50").await.body), 10);
        assert_eq!(rows(&page(&server, "/block/1?from=9999").await.body), 1);
        let account = format!("/address/{}", sender.address());
        let history = page(&server, &account).await.body;
        assert_eq!(rows(&history), 25);
        assert!(history.contains("?from=1&amp;index=35"));
        let older = page(&server, &format!("{account}?from=1&index=10"))
            .await
            .body;
        assert_eq!(rows(&older), 10);
    });
}

#[test]
fn what_waits_is_in_the_pool() {
    run(|rig| async move {
        let server = start(&rig).await;
        rig.send(0, Address::ZERO, Bytes::new()).await;
        let body = page(&server, "/pool").await.body;
        let sender = account(0).address();
        assert!(body.contains(&format!("/address/{sender}")));
        rig.mine().await;
        assert!(page(&server, "/pool").await.body.contains("Nobody waits."));
    });
}

#[test]
fn the_index_goes_on_where_blocks_end() {
    let options = Options {
        pipeline: PipelineConfig {
            postings: Some(Location::Memory(MemoryDisk::new())),
            flush_blocks: 1,
            recent_records_max: 3,
            ..PipelineConfig::default()
        },
        ..Options::default()
    };
    run_with(options, |rig| async move {
        let server = start(&rig).await;
        for _ in 0..6 {
            for _ in 0..5 {
                rig.send(1, Address::with_last_byte(9), Bytes::new()).await;
            }
            rig.send(0, EMITTER, emit(1, 2)).await;
            rig.mine().await;
        }
        rig.verify().await;
        indexed(&rig, 6).await;
        // Two more that the index does not have.
        for _ in 0..2 {
            rig.send(1, Address::with_last_byte(9), Bytes::new()).await;
            rig.mine().await;
        }
        let account = format!("/address/{}", account(1).address());
        let links = |body: &str| -> Vec<String> {
            let parts = body.split("href=\"/tx/").skip(1);
            parts.map(|part| part[..66].to_owned()).collect()
        };
        let newest = page(&server, &account).await.body;
        let first = links(&newest);
        assert_eq!(first.len(), 25);
        let next = newest
            .split("?from=")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let next = format!("{account}?from={}", next.replace("&amp;", "&"));
        let older = page(&server, &next).await.body;
        let second = links(&older);
        assert_eq!(second.len(), 7, "{next}");
        assert!(!older.contains("rel=\"next\""), "there are no more");
        let all: std::collections::BTreeSet<_> = first.into_iter().chain(second).collect();
        assert_eq!(all.len(), 32, "none twice");
    });
}

#[test]
fn pages_end_where_the_history_begins() {
    let options = Options {
        first_height: 3,
        ..Options::default()
    };
    run_with(options, |rig| async move {
        let server = start(&rig).await;
        for _ in 0..4 {
            rig.mine().await;
        }
        for path in ["/", "/blocks", "/txs", "/validators", "/block/3", "/pool"] {
            let body = page(&server, path).await.body;
            assert!(!body.contains("href=\"/block/2\""), "{path}");
        }
        page(&server, &format!("/address/{}", account(0).address())).await;
        assert_eq!(get(&server, "/block/2", "localhost").await.status, 410);
    });
}
