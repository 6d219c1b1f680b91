//! A node that serves just what a load of transfers asks for, with the manners a test wants.
//!
//! ```text
//! connection ─▶ HTTP ─▶ call ─▶ answer;   each eth_blockNumber makes a block of what is executable
//! ```

use alloy_consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use futures::{StreamExt as _, stream::FuturesUnordered};
use primitives::Bundle;
use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// What is wrong with it.
#[derive(Clone, Debug)]
pub(super) struct Manners {
    /// Transactions that may wait.
    pub(super) pool_max: usize,
    /// Requests with transactions that are answered with garbage, after the transactions were taken or not.
    pub(super) garbage: usize,
    pub(super) garbage_after_taking: bool,
    /// It closes for good after so many transactions.
    pub(super) dies_after: Option<usize>,
    /// Transactions with this nonce are refused.
    pub(super) refuses_nonce: Option<u64>,
    /// Every so many-th transfer of one wei fails, or is said to succeed and pays nobody.
    pub(super) fails_every: usize,
    pub(super) keeps_every: usize,
    /// Each block holds the transactions of the one before again.
    pub(super) repeats_blocks: bool,
    pub(super) send_delay: Duration,
    pub(super) takes_bundles: bool,
    /// What the first account of the usual mnemonic has.
    pub(super) owner_wei: u128,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            pool_max: usize::MAX,
            garbage: 0,
            garbage_after_taking: false,
            dies_after: None,
            refuses_nonce: None,
            fails_every: 0,
            keeps_every: 0,
            repeats_blocks: false,
            send_delay: Duration::ZERO,
            takes_bundles: false,
            owner_wei: 10_u128.pow(22),
        }
    }
}

#[derive(Debug, Default)]
struct Chain {
    pool: BTreeMap<(Address, u64), TxEnvelope>,
    known: BTreeSet<B256>,
    nonces: BTreeMap<Address, u64>,
    balances: BTreeMap<Address, U256>,
    blocks: Vec<Vec<B256>>,
    statuses: BTreeMap<B256, bool>,
    transfers: usize,
    taken: usize,
    bundles: usize,
}

#[derive(Debug)]
pub(super) struct Fake {
    listener: TcpListener,
    manners: Manners,
    chain: RefCell<Chain>,
    dead: Cell<bool>,
    garbage: Cell<usize>,
}

impl Fake {
    pub(super) async fn bind(manners: Manners) -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            garbage: Cell::new(manners.garbage),
            manners,
            chain: RefCell::default(),
            dead: Cell::new(false),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }

    pub(super) fn mined(&self) -> usize {
        self.chain.borrow().statuses.len()
    }

    pub(super) fn bundles(&self) -> usize {
        self.chain.borrow().bundles
    }

    pub(super) const fn is_dead(&self) -> bool {
        self.dead.get()
    }

    /// Serves until it is dropped; once dead it closes every connection.
    pub(super) async fn serve(&self) {
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    let (stream, _) = accepted.unwrap();
                    connections.push(self.connection(stream));
                }
                Some(_) = connections.next() => {}
            }
        }
    }

    async fn connection(&self, stream: TcpStream) -> Option<()> {
        let mut unread = Vec::new();
        loop {
            let (head, body) = request(&stream, &mut unread).await?;
            if self.dead.get() {
                return None;
            }
            let (status, answer) = self.answer(&head, &body).await;
            if self.dead.get() {
                return None;
            }
            let length = answer.len();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
            write(&stream, &[head.as_bytes(), &answer].concat()).await?;
        }
    }

    async fn answer(&self, head: &str, body: &[u8]) -> (&'static str, Vec<u8>) {
        if head.starts_with("POST /bulk") {
            return match self.manners.takes_bundles {
                true => ("200 OK", self.bundle(body).to_string().into_bytes()),
                false => ("415 Unsupported Media Type", b"no".to_vec()),
            };
        }
        let calls: Value = serde_json::from_slice(body).unwrap();
        let is_sending = calls.to_string().contains("eth_sendRawTransaction");
        // Only a load's own requests are spoiled, not what prepares it: those have two calls or fewer.
        let is_spoiled = is_sending && calls.as_array().is_some_and(|calls| calls.len() > 2);
        if is_sending {
            sleep(self.manners.send_delay).await;
        }
        let garbage = is_spoiled && self.garbage.get() > 0;
        if garbage {
            self.garbage.update(|left| left - 1);
            if !self.manners.garbage_after_taking {
                return ("200 OK", b"<html>".to_vec());
            }
        }
        let answer = match &calls {
            Value::Array(calls) => calls.iter().map(|call| self.reply(call)).collect(),
            call => self.reply(call),
        };
        match garbage {
            true => ("200 OK", b"<html>".to_vec()),
            false => ("200 OK", answer.to_string().into_bytes()),
        }
    }

    fn bundle(&self, body: &[u8]) -> Value {
        let bundle = Bundle::decode(body.to_vec().into()).unwrap();
        self.chain.borrow_mut().bundles += 1;
        let mut errors = Vec::new();
        for (index, item) in bundle.items().iter().enumerate() {
            assert!(bundle.key_of(item).is_some(), "a hint for each");
            if let Err((code, message)) = self.take(&item.raw) {
                errors.push(json!({"index": index, "code": code, "message": message}));
            }
        }
        json!({"accepted": bundle.items().len() - errors.len(), "errors": errors})
    }

    fn reply(&self, call: &Value) -> Value {
        let method = call["method"].as_str().unwrap();
        match self.result(method, &call["params"]) {
            Ok(result) => json!({"jsonrpc": "2.0", "id": call["id"], "result": result}),
            Err((code, message)) => {
                let error = json!({"code": code, "message": message});
                json!({"jsonrpc": "2.0", "id": call["id"], "error": error})
            }
        }
    }

    fn result(&self, method: &str, params: &Value) -> Result<Value, (i64, String)> {
        let first = &params[0];
        let chain = self.chain.borrow();
        let address = || serde_json::from_value::<Address>(first.clone()).unwrap();
        Ok(match method {
            "eth_chainId" => json!("0x7"),
            "eth_blockNumber" => {
                drop(chain);
                json!(U64::from(self.mine()))
            }
            "eth_getBalance" => match chain.balances.get(&address()) {
                Some(balance) => json!(balance),
                None if address().to_string().starts_with("0xf39F") => {
                    json!(U256::from(self.manners.owner_wei))
                }
                None => json!("0x0"),
            },
            "eth_getTransactionCount" => {
                json!(U64::from(
                    chain.nonces.get(&address()).copied().unwrap_or(0)
                ))
            }
            "eth_getBlockByNumber" => {
                let height = serde_json::from_value::<U64>(first.clone()).ok();
                let height: usize = height.map_or(chain.blocks.len(), |height| height.to());
                let hashes = height.checked_sub(1).and_then(|at| chain.blocks.get(at));
                json!({"hash": B256::ZERO, "baseFeePerGas": "0x7", "transactions": hashes})
            }
            "eth_getBlockReceipts" => {
                let height: usize = serde_json::from_value::<U64>(first.clone()).unwrap().to();
                let hashes = chain.blocks[height - 1].iter();
                hashes.map(|hash| receipt(&chain, hash)).collect()
            }
            "eth_getTransactionReceipt" => {
                drop(chain);
                self.mine();
                let hash: B256 = serde_json::from_value(first.clone()).unwrap();
                receipt(&self.chain.borrow(), &hash)
            }
            "eth_sendRawTransaction" => {
                drop(chain);
                let raw: Bytes = serde_json::from_value(first.clone()).unwrap();
                json!(self.take(&raw)?)
            }
            _ => return Err((-32_601, format!("the method {method} does not exist"))),
        })
    }

    fn take(&self, raw: &[u8]) -> Result<B256, (i64, String)> {
        let refuse = |message: &str| Err((-32_000, message.to_owned()));
        let transaction = TxEnvelope::decode_2718(&mut &*raw).unwrap();
        let sender = transaction.recover_signer().unwrap();
        let (hash, nonce) = (*transaction.tx_hash(), transaction.nonce());
        let mut chain = self.chain.borrow_mut();
        let is_own = transaction.value() == U256::ONE;
        if chain.known.contains(&hash) {
            return refuse("already known");
        }
        if self.manners.refuses_nonce == Some(nonce) && is_own {
            return refuse("no such luck");
        }
        if chain.pool.len() >= self.manners.pool_max {
            return refuse("txpool is full");
        }
        chain.known.insert(hash);
        chain.pool.insert((sender, nonce), transaction);
        chain.taken += usize::from(is_own);
        self.dead.set(
            self.manners
                .dies_after
                .is_some_and(|most| chain.taken >= most),
        );
        Ok(hash)
    }

    /// One block of everything executable; its height.
    fn mine(&self) -> usize {
        let chain = &mut *self.chain.borrow_mut();
        let mut hashes = Vec::new();
        for ((sender, nonce), transaction) in std::mem::take(&mut chain.pool) {
            let next = chain.nonces.entry(sender).or_default();
            if nonce != *next {
                chain.pool.insert((sender, nonce), transaction);
                continue;
            }
            *next += 1;
            hashes.push(*transaction.tx_hash());
            let is_own = transaction.value() == U256::ONE;
            chain.transfers += usize::from(is_own);
            let is_every =
                |count: usize| count > 0 && is_own && chain.transfers.is_multiple_of(count);
            let fails = is_every(self.manners.fails_every);
            if !(fails || is_every(self.manners.keeps_every)) {
                let to = transaction.to().unwrap();
                *chain.balances.entry(to).or_default() += transaction.value();
            }
            chain.statuses.insert(*transaction.tx_hash(), !fails);
        }
        if !hashes.is_empty() {
            let before = chain.blocks.last().filter(|_| self.manners.repeats_blocks);
            let before = before.cloned().unwrap_or_default();
            chain
                .blocks
                .push(before.into_iter().chain(hashes).collect());
        }
        chain.blocks.len()
    }
}

fn receipt(chain: &Chain, hash: &B256) -> Value {
    match chain.statuses.get(hash) {
        Some(status) => json!({"transactionHash": hash, "status": U64::from(*status)}),
        None => Value::Null,
    }
}

/// One HTTP request: its head and its body.
async fn request(stream: &TcpStream, unread: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8(unread[..end].to_vec()).ok()?;
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse().ok())?
            });
            let total = end + 4 + length.unwrap_or(0_usize);
            if unread.len() >= total {
                let body = unread[end + 4..total].to_vec();
                unread.drain(..total);
                return Some((head, body));
            }
        }
        stream.readable().await.ok()?;
        let mut chunk = [0; 65_536];
        match stream.try_read(&mut chunk) {
            Ok(0) => return None,
            Ok(count) => unread.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> Option<()> {
    while !bytes.is_empty() {
        stream.writable().await.ok()?;
        match stream.try_write(bytes) {
            Ok(count) => bytes = bytes.get(count..)?,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
    Some(())
}
