//! What a block of plain transfers costs on its way: `cargo bench -p primitives --bench block`.
//!
//! ```text
//! leader    seal (new) ─▶ encode
//! receiver  join: all transactions are known │ decode: none is
//! ```

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, B256, Signature, TxKind, U256};
use commonware_codec::{Copying, Decode as _, Encode as _, EncodeSize as _};
use primitives::{
    Block, BlockLimits, ExecutedRef, Header, Transaction, crypto::genesis_context,
    transaction::Envelope,
};
use std::hint::black_box;

const TRANSACTIONS: u64 = 30_000;
const ROUNDS: usize = 15;
const LIMITS: BlockLimits = BlockLimits {
    body_bytes_max: 8 << 20,
    validators: 4,
    section: primitives::shard::SectionLimits::NONE,
};

/// One step, by its name; whether it went well.
type Way<'a> = (&'a str, &'a dyn Fn() -> bool);

#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn main() {
    let transactions: Vec<_> = (0..TRANSACTIONS).map(transaction).collect();
    let block = Block::new(header(), transactions.clone(), Vec::new());
    let encoded = block.encode();
    println!("bytes={} transactions={TRANSACTIONS}", encoded.len());
    let join = || {
        let header = block.header().clone();
        let section = primitives::shard::ShardSection::default();
        Block::join(header, transactions.clone(), Vec::new(), section, &LIMITS).is_ok()
    };
    let ways: [Way<'_>; 5] = [
        ("block::new", &|| {
            Block::new(header(), transactions.clone(), Vec::new()) == block
        }),
        ("block::join", &join),
        ("block::encode_size", &|| {
            block.encode_size() == encoded.len()
        }),
        ("block::encode", &|| block.encode() == encoded),
        ("block::decode", &|| {
            Block::decode_cfg(Copying(encoded.as_ref()), &LIMITS).is_ok()
        }),
    ];
    println!("{:<24} {:>10} {:>10}", "ms per block", "median", "least");
    for (name, way) in ways {
        let mut costs: Vec<_> = (0..ROUNDS).map(|_| cost_ms(way)).collect();
        costs.sort_by(f64::total_cmp);
        println!("{name:<24} {:>10.2} {:>10.2}", costs[ROUNDS / 2], costs[0]);
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench asks the clock")]
fn cost_ms(way: &dyn Fn() -> bool) -> f64 {
    let start = std::time::Instant::now();
    assert!(black_box(way()));
    start.elapsed().as_secs_f64() * 1e3
}

fn transaction(nonce: u64) -> Transaction {
    let unsigned = TxEip1559 {
        chain_id: 31_337,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(Address::repeat_byte(7)),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    let word = U256::from_be_bytes(alloy_primitives::keccak256(nonce.to_be_bytes()).0);
    let envelope = Envelope::from(unsigned.into_signed(Signature::new(word, word >> 2, false)));
    Transaction::decode(envelope.encoded_2718()).expect("the encoding of alloy is canonical")
}

fn header() -> Header {
    Header {
        context: genesis_context(),
        height: 9,
        timestamp_ms: 1_234,
        proposer: Address::ZERO,
        base_fee: 7,
        gas_budget: 1_000_000_000,
        gas_limits_sum: 0,
        body_digest: B256::ZERO,
        shard_section_digest: B256::ZERO,
        ledger_digest: B256::ZERO,
        executed: ExecutedRef::genesis(B256::ZERO),
    }
}
