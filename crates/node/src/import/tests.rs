//! A chain that our executor makes, written as geth exports it, imported and served as it was.

use super::{
    BlockProblem, FileProblem, ImportError, ImportOptions, ImportStore, Imported, block,
    file::FileBlock, geth::ImportGenesis, import, serve,
};
use crate::{
    error::NodeError,
    process::{self, DataDirectory, RpcParts, TemporaryDirectory},
};
use alloy_consensus::{BlockBody, Header, SignableTransaction as _, TxEip1559, proofs};
use alloy_eips::{
    eip1559::BaseFeeParams,
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4895::{Withdrawal, Withdrawals},
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, b256, keccak256};
use alloy_rlp::Encodable as _;
use alloy_signer::SignerSync as _;
use alloy_signer_local::PrivateKeySigner;
use commonware_runtime::{Runner as _, tokio};
use executor::{EthereumRules, ExecutionInput, Roots, ethereum_header, execute_ethereum};
use pipeline::environment_under;
use primitives::{RecoveredTransaction, transaction::Envelope};
use rpc::{RpcConfig, Switch};
use serde_json::{Value, json};
use state::{Account, MemoryState};
use std::{fs, num::NonZeroUsize, path::PathBuf};

const CHAIN_ID: u64 = 3_503_995_874_084_926;
const COUNTER: Address = address!("00000000000000000000000000000000000c0de5");
const PAID_OUT: Address = address!("000000000000000000000000000000000000beac");
const ETHER: u64 = 1_000_000_000_000_000_000;
/// Of what EIP-7685 calls no requests: the hash of nothing.
const NO_REQUESTS: B256 = b256!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

fn signer() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap()
}

/// With any input it adds one to slot 0 and writes a log; without, it returns slot 0.
fn counter() -> Bytes {
    Bytes::from_static(&[
        0x36, 0x60, 0x0c, 0x57, 0x5f, 0x54, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3, 0x5b, 0x5f, 0x54,
        0x60, 0x01, 0x01, 0x5f, 0x55, 0x5f, 0x5f, 0xa0, 0x00,
    ])
}

fn genesis_text() -> String {
    json!({
        "config": {
            "chainId": CHAIN_ID, "homesteadBlock": 0, "londonBlock": 0, "mergeNetsplitBlock": 0,
            "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": true,
            "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0,
        },
        "nonce": "0x0", "timestamp": "0x64", "extraData": "0x68656c6c6f", "gasLimit": "0x1c9c380",
        "difficulty": "0x0", "baseFeePerGas": "0x7",
        "alloc": {
            (signer().address().to_string()): { "balance": "0x56bc75e2d63100000" },
            (COUNTER.to_string()): { "balance": "0x0", "code": counter() },
            (HISTORY_STORAGE_ADDRESS.to_string()): { "balance": "0x0", "code": HISTORY_STORAGE_CODE },
            (WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS.to_string()):
                { "balance": "0x0", "code": WITHDRAWAL_REQUEST_PREDEPLOY_CODE },
            (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS.to_string()):
                { "balance": "0x0", "code": CONSOLIDATION_REQUEST_PREDEPLOY_CODE },
        },
    })
    .to_string()
}

/// Makes blocks on top of a genesis.
struct Maker {
    genesis: ImportGenesis,
    state: MemoryState,
    parent: Header,
    nonce: u64,
}

impl Maker {
    fn new() -> Self {
        let genesis = ImportGenesis::parse(&genesis_text()).unwrap();
        let mut state = MemoryState::default();
        for (address, account) in &genesis.alloc {
            state.set_account(
                *address,
                Account {
                    nonce: account.nonce,
                    balance: account.balance,
                    code_hash: keccak256(&account.code),
                },
            );
            if !account.code.is_empty() {
                state.set_code(*address, account.code.clone());
            }
        }
        let parent = genesis.header.clone();
        Self {
            genesis,
            state,
            parent,
            nonce: 0,
        }
    }

    fn transaction(&mut self, to: Address, value: u64, input: Bytes) -> RecoveredTransaction {
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_limit: 500_000,
            max_fee_per_gas: 1_000,
            max_priority_fee_per_gas: 2,
            to: TxKind::Call(to),
            value: U256::from(value),
            input,
            ..TxEip1559::default()
        };
        self.nonce += 1;
        let signature = signer().sign_hash_sync(&transaction.signature_hash());
        let signed = transaction.into_signed(signature.unwrap());
        RecoveredTransaction::from_fixture(Envelope::Eip1559(signed), signer().address())
    }

    /// The block with these transactions that comes next.
    fn block(&mut self, transactions: &[RecoveredTransaction]) -> FileBlock {
        let parent = &self.parent;
        let mut header = Header {
            number: parent.number + 1,
            timestamp: parent.timestamp + 12,
            beneficiary: Address::repeat_byte(0xfe),
            gas_limit: parent.gas_limit,
            base_fee_per_gas: parent.next_block_base_fee(BaseFeeParams::ethereum()),
            mix_hash: B256::repeat_byte(3),
            parent_hash: parent.hash_slow(),
            parent_beacon_block_root: Some(B256::repeat_byte(9)),
            ..Header::default()
        };
        let environment = environment_under(&header);
        let rules = EthereumRules {
            fork: self.genesis.fork,
            ..EthereumRules::default()
        };
        let chain = &self.genesis.chain;
        let input = ExecutionInput::ethereum(chain, environment.clone(), transactions, rules);
        let withdrawals = vec![Withdrawal {
            index: header.number,
            validator_index: 5,
            address: PAID_OUT,
            amount: 1_000_000_000,
        }];
        let ran = execute_ethereum(&input, &self.state, &withdrawals).unwrap();
        assert_eq!(ran.executed.inclusion_faults, []);
        self.state.apply(&ran.executed.diff);
        let roots = Roots {
            state_root: *self.state.root(),
            block: ran.executed.roots(transactions),
        };
        let requests = block::requests_hash(self.genesis.deposit_contract, &ran);
        header = Header {
            extra_data: b"made elsewhere".into(),
            withdrawals_root: Some(proofs::calculate_withdrawals_root(&withdrawals)),
            requests_hash: Some(requests.unwrap()),
            ..ethereum_header(&environment, &ran.executed, roots, B256::ZERO)
        };
        self.parent = header.clone();
        let envelopes = transactions.iter().map(|tx| tx.envelope().clone());
        FileBlock::new(
            header,
            BlockBody {
                transactions: envelopes.collect(),
                ommers: Vec::new(),
                withdrawals: Some(Withdrawals::new(withdrawals)),
            },
        )
    }

    /// Three blocks: transfers, a contract, a request to leave that is paid for.
    fn chain() -> Vec<FileBlock> {
        let mut maker = Self::new();
        let transfer = maker.transaction(Address::repeat_byte(0xaa), ETHER, Bytes::new());
        let one = maker.block(&[transfer]);
        let count = maker.transaction(COUNTER, 0, vec![1].into());
        let again = maker.transaction(COUNTER, 0, vec![1].into());
        let two = maker.block(&[count, again]);
        let leave = maker.transaction(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, 1, vec![4; 56].into());
        let three = maker.block(&[leave]);
        vec![one, two, three]
    }
}

/// Where one test imports to.
struct Place {
    directory: TemporaryDirectory,
}

impl Place {
    fn new() -> Self {
        let directory = TemporaryDirectory::create().unwrap();
        fs::write(directory.path().join("geth.json"), genesis_text()).unwrap();
        Self { directory }
    }

    fn kept(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn import(&self, bytes: &[u8]) -> Result<Imported, NodeError> {
        let chain = self.directory.path().join("chain.rlp");
        fs::write(&chain, bytes).unwrap();
        let options = ImportOptions {
            genesis: self.directory.path().join("geth.json"),
            chain,
            data_dir: self.kept(),
            workers: NonZeroUsize::MIN,
        };
        import(&options, &|_| ())
    }

    /// Answers of the served chain.
    fn ask(&self, questions: &[(&str, Value)]) -> Vec<Value> {
        let directory = DataDirectory::open(&self.kept()).unwrap();
        let text = genesis_text();
        let path = self.kept();
        let opened = ImportStore::open(&directory, (&path, &text), NonZeroUsize::MIN).unwrap();
        let storage = tokio::Config::new().with_storage_directory(directory.consensus());
        tokio::Runner::new(storage).start(async |runtime| {
            let readable = serve::readable(&runtime, opened, &directory).unwrap();
            let parts = RpcParts {
                listen: ([127, 0, 0, 1], 0).into(),
                config: RpcConfig::default(),
                dev: None,
                peers: 0,
            };
            let methods = rpc::module(Switch::from(process::backend(&runtime, readable, parts)));
            let mut answers = Vec::new();
            for (method, params) in questions {
                let request =
                    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
                let (answer, _) = methods
                    .raw_json_request(&request.to_string(), 1)
                    .await
                    .unwrap();
                let mut answer: Value = serde_json::from_str(answer.get()).unwrap();
                let result = answer.get_mut("result").map(Value::take);
                answers.push(result.unwrap_or_else(|| answer["error"].take()));
            }
            answers
        })
    }
}

fn encode(blocks: &[FileBlock]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in blocks {
        block.encode(&mut bytes);
    }
    bytes
}

#[test]
fn an_imported_chain_is_served_as_it_was() {
    let place = Place::new();
    let chain = Maker::chain();
    assert_eq!(chain[0].header.requests_hash, Some(NO_REQUESTS));
    assert_ne!(
        chain[2].header.requests_hash,
        Some(NO_REQUESTS),
        "somebody leaves"
    );
    let done = place.import(&encode(&chain)).unwrap();
    assert_eq!((done.blocks, done.known, done.transactions), (3, 0, 4));
    let again = place.import(&encode(&chain)).unwrap();
    assert_eq!((again.blocks, again.known, again.height), (0, 3, 3));
    let [one, two, three] = <[FileBlock; 3]>::try_from(chain).unwrap();
    let count = two.body.transactions[1].hash();
    let answers = place.ask(&[
        ("eth_getBlockByNumber", json!(["finalized", true])),
        ("eth_getBlockByHash", json!([two.header.hash_slow(), false])),
        ("eth_getBlockByNumber", json!(["0x0", false])),
        ("eth_getBalance", json!([PAID_OUT, "latest"])),
        ("eth_getBalance", json!([PAID_OUT, "0x1"])),
        ("eth_call", json!([{ "to": COUNTER }, "latest"])),
        ("debug_traceTransaction", json!([count])),
        ("eth_getTransactionReceipt", json!([count])),
        (
            "eth_getLogs",
            json!([{ "fromBlock": "0x0", "address": COUNTER }]),
        ),
        ("eth_chainId", json!([])),
        (
            "eth_sendRawTransaction",
            json!([two.body.transactions[1].hash()]),
        ),
        ("eth_syncing", json!([])),
    ]);
    let [
        latest,
        second,
        first,
        paid,
        paid_once,
        counted,
        trace,
        receipt,
        logs,
        id,
        sent,
        syncing,
    ] = <[Value; 12]>::try_from(answers).unwrap();
    assert_eq!(latest["hash"], json!(three.header.hash_slow()));
    assert_eq!(
        latest["extraData"],
        json!(Bytes::from_static(b"made elsewhere"))
    );
    assert_eq!(latest["withdrawals"][0]["address"], json!(PAID_OUT));
    assert_eq!(latest["size"], json!(format!("{:#x}", three.length())));
    assert_eq!(latest["transactions"][0]["from"], json!(signer().address()));
    assert_eq!(second["stateRoot"], json!(two.header.state_root));
    assert_eq!(first["hash"], json!(one.header.parent_hash));
    assert_eq!(paid, json!(format!("{:#x}", 3 * ETHER)));
    assert_eq!(paid_once, json!(format!("{ETHER:#x}")));
    assert_eq!(counted, json!(B256::with_last_byte(2)));
    assert_eq!(trace["failed"], json!(false), "{trace}");
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["blockHash"], json!(two.header.hash_slow()));
    assert_eq!(logs.as_array().map(Vec::len), Some(2), "{logs}");
    assert_eq!(id, json!(format!("{CHAIN_ID:#x}")));
    assert!(sent["message"].is_string(), "{sent}");
    assert_eq!(syncing, json!(false));
}

#[test]
fn transactions_are_refused() {
    let place = Place::new();
    let mut maker = Maker::new();
    let block = maker.block(&[]);
    place.import(&encode(&[block])).unwrap();
    let next = maker.transaction(Address::ZERO, 1, Bytes::new());
    let answers = place.ask(&[("eth_sendRawTransaction", json!([next.raw()]))]);
    let said = answers[0]["message"].as_str().unwrap_or_default();
    assert!(said.contains("imported chain"), "{said}");
}

#[test]
fn a_cut_file_names_the_place_and_keeps_what_came_before() {
    let place = Place::new();
    let chain = Maker::chain();
    let whole = encode(&chain);
    let begins = encode(&chain[..2]).len() as u64;
    let error = place.import(&whole[..whole.len() - 10]).unwrap_err();
    let NodeError::Imported(ImportError::File {
        height,
        offset,
        problem: FileProblem::Truncated { missing },
        ..
    }) = error
    else {
        panic!("{error}");
    };
    assert_eq!((height, offset, missing), (3, begins, 10));
    let answers = place.ask(&[("eth_blockNumber", json!([]))]);
    assert_eq!(answers[0], "0x2");
    let done = place.import(&whole).unwrap();
    assert_eq!((done.blocks, done.known), (1, 2), "it goes on");
}

#[test]
fn a_false_block_is_named_by_what_is_false() {
    type Change = fn(&mut Header);
    let falsify: [(&str, Change); 5] = [
        ("stateRoot", |header| header.state_root = B256::ZERO),
        ("receiptsRoot", |header| header.receipts_root = B256::ZERO),
        ("gasUsed", |header| header.gas_used += 1),
        ("parentHash", |header| header.parent_hash = B256::ZERO),
        ("requestsHash", |header| {
            header.requests_hash = Some(B256::ZERO);
        }),
    ];
    for (named, change) in falsify {
        let place = Place::new();
        let mut chain = Maker::chain();
        change(&mut chain[1].header);
        let error = place.import(&encode(&chain)).unwrap_err();
        let NodeError::Imported(ImportError::Block {
            height,
            problem: BlockProblem::Differs { field, .. },
            ..
        }) = error
        else {
            panic!("{error}");
        };
        assert_eq!((height, field), (2, named));
        assert_eq!(place.ask(&[("eth_blockNumber", json!([]))])[0], "0x1");
    }
}
