//! What the busiest relay block costs the shard ledger: `cargo bench -p shards --bench ledger`.
//!
//! ```text
//! section of the most that honest ones say ─▶ decode ─▶ signatures: in one batch │ one by one ─▶ apply ─▶ digest
//! ```
//! 100 validators, 16 shards on four cores each, and in every block: a candidate on each core, and the vote of
//! everybody about all that is pending.

use alloy_primitives::{B256, Bytes, keccak256};
use commonware_codec::{Decode as _, DecodeExt as _, Encode as _};
use commonware_cryptography::Signer as _;
use primitives::{
    crypto::{PrivateKey, Signature},
    shard::{
        BackedEnvelope, Bits, Coding, Descriptor, Envelope, RelayAnchor, Schedule, ShardId,
        ShardNamespace, ShardSection, ShardVote, Votes,
    },
};
use rand::{SeedableRng as _, rngs::StdRng};
use shards::ledger::{
    Authority, CheckedSection, Draft, Ledger, LedgerRules, RelayStep, ShardTerms,
};
use std::hint::black_box;

const VALIDATORS: u16 = 100;
const SHARDS: u32 = 16;
const CORES: u16 = 4;
const ROUNDS: usize = 15;
const BLOCK_MS: u64 = 200;

/// One step, by its name; whether it went well.
type Way<'a> = (&'a str, &'a dyn Fn() -> bool);

#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn main() {
    let chain = Chain::new();
    let mut ledger = chain.genesis();
    // Two blocks until the pipeline is as full as it stays.
    for _ in 0..3 {
        let section = chain.section(&ledger);
        ledger = chain.apply(&ledger, &chain.check(section, &ledger));
    }
    let section = chain.section(&ledger);
    let checked = chain.check(section.clone(), &ledger);
    let (bytes, state) = (section.encode(), ledger.to_bytes());
    println!(
        "validators={VALIDATORS} shards={SHARDS} cores={} section_bytes={} ledger_bytes={} pending={} backed={} votes={} signatures={}",
        ledger.cores().len(),
        bytes.len(),
        state.len(),
        ledger.pending().count(),
        section.backed.len(),
        section.votes.len(),
        signatures(&section),
    );
    let after = chain.apply(&ledger, &checked);
    let ways: [Way<'_>; 6] = [
        ("section::decode", &|| {
            ShardSection::decode_cfg(bytes.clone(), &ledger.limits()).is_ok()
        }),
        ("section::check (one batch)", &|| {
            chain.check(section.clone(), &ledger) == checked
        }),
        ("section::check (one by one)", &|| {
            chain.one_by_one(&section, &ledger)
        }),
        ("ledger::apply (with digest)", &|| {
            chain.apply(&ledger, &checked) == after
        }),
        ("ledger::to_bytes", &|| ledger.to_bytes() == state),
        ("ledger::decode (with digest)", &|| {
            Ledger::decode(bytes::Bytes::from(state.clone())).is_ok()
        }),
    ];
    println!("{:<30} {:>10} {:>10}", "ms per block", "median", "least");
    for (name, way) in ways {
        let mut costs: Vec<_> = (0..ROUNDS).map(|_| cost_ms(way)).collect();
        costs.sort_by(f64::total_cmp);
        println!("{name:<30} {:>10.3} {:>10.3}", costs[ROUNDS / 2], costs[0]);
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench asks the clock")]
fn cost_ms(way: &dyn Fn() -> bool) -> f64 {
    let started = std::time::Instant::now();
    assert!(black_box(way()));
    started.elapsed().as_secs_f64() * 1e3
}

fn signatures(section: &ShardSection) -> usize {
    let backers = section.backed.iter().map(|one| one.signatures.len());
    backers.sum::<usize>() + section.votes.len()
}

struct Chain {
    keys: Vec<PrivateKey>,
    authority: Authority,
}

impl Chain {
    fn new() -> Self {
        let keys: Vec<_> = (0..u64::from(VALIDATORS))
            .map(PrivateKey::from_seed)
            .collect();
        let authority = Authority {
            namespace: ShardNamespace::new(&B256::ZERO),
            validators: keys.iter().map(PrivateKey::public_key).collect(),
        };
        Self { keys, authority }
    }

    fn genesis(&self) -> Ledger {
        let terms = ShardTerms {
            genesis_hash: B256::ZERO,
            genesis_root: B256::ZERO,
            genesis_ms: 0,
            rules: B256::ZERO,
            gas_limit: 30_000_000,
            collators: vec![self.keys[0].public_key()],
            charter: Bytes::new(),
            cores_max: CORES,
        };
        let shards = (1..=SHARDS).map(|shard| (ShardId(shard), terms.clone(), CORES));
        Ledger::genesis(LedgerRules::asynchronous(VALIDATORS), 0, shards).expect("rules in range")
    }

    fn check(&self, section: ShardSection, ledger: &Ledger) -> CheckedSection {
        let random = &mut StdRng::seed_from_u64(0);
        CheckedSection::check(section, ledger, &self.authority, random).expect("all signed")
    }

    fn one_by_one(&self, section: &ShardSection, ledger: &Ledger) -> bool {
        let votes = section
            .votes
            .iter()
            .all(|one| self.authority.check_vote(one, ledger).is_ok());
        let backed = section
            .backed
            .iter()
            .all(|one| self.authority.check_backed(one, ledger).is_ok());
        votes && backed
    }

    fn apply(&self, ledger: &Ledger, section: &CheckedSection) -> Ledger {
        let step = RelayStep {
            height: ledger.height() + 1,
            parent_digest: digest(ledger.height()),
            timestamp_ms: ledger.timestamp_ms() + BLOCK_MS,
            executed_height: ledger.height(),
            section,
        };
        ledger.apply(&step).expect("a good section").0
    }

    /// All that honest validators say in one block.
    fn section(&self, ledger: &Ledger) -> ShardSection {
        let mut section = ShardSection::default();
        let places: Bits = ledger.pending().map(|one| usize::from(one.place)).collect();
        let votes = Votes {
            height: ledger.height(),
            held: places,
            valid: places,
            invalid: Bits::EMPTY,
        };
        let height = ledger.height();
        let mut draft = Draft::new(
            ledger,
            height + 1,
            digest(height),
            ledger.timestamp_ms() + BLOCK_MS,
        )
        .expect("the next block");
        for validator in 0..VALIDATORS {
            let vote = self.vote(validator, votes, ledger);
            if draft.count(&vote).is_ok() {
                section.votes.push(vote);
            }
        }
        draft.settle();
        for (core, shard) in (0..).zip(ledger.cores()) {
            let shard = shard.expect("all cores are given");
            let backed = self.backed(draft.ledger(), shard, core, height);
            draft.back(&backed).expect("there is room");
            section.backed.push(backed);
        }
        section
    }

    fn vote(&self, validator: u16, votes: Votes, ledger: &Ledger) -> ShardVote {
        let key = &self.keys[usize::from(validator)];
        votes.sign(validator, &ledger.digest(), &self.authority.namespace, key)
    }

    /// A candidate on a shard's newest block, backed by all of its group.
    fn backed(&self, ledger: &Ledger, shard: ShardId, core: u16, height: u64) -> BackedEnvelope {
        let parent = ledger.shard(shard).expect("it has a core").newest();
        let rules = ledger.rules();
        let number = parent.number + 1;
        let envelope = Envelope {
            descriptor: Descriptor {
                shard,
                number,
                parent: parent.hash,
                head: keccak256([shard.0.to_be_bytes().as_slice(), &number.to_be_bytes()].concat()),
                state_root: B256::ZERO,
                anchor: RelayAnchor {
                    height,
                    digest: digest(height),
                },
                rules: B256::ZERO,
                collation_hash: B256::ZERO,
                collation_bytes: 1_000_000,
                gas_used: 30_000_000,
                timestamp_ms: parent.timestamp_ms + 1,
                collator: self.keys[0].public_key(),
            },
            coding: Coding {
                epoch: 0,
                total: rules.validators,
                minimum: u16::try_from(rules.witnesses()).expect("at most 256"),
                root: B256::ZERO,
            },
            schedule: Schedule { core, height },
        };
        let quota = ledger
            .quota(shard, &envelope.schedule, height + 1)
            .expect("it has a core");
        let statement = envelope.statement();
        let sign = |index: usize| statement.sign(&self.authority.namespace, &self.keys[index]);
        let signatures: Vec<Signature> = quota.allowed.iter().map(sign).collect();
        BackedEnvelope {
            envelope,
            backers: quota.allowed,
            signatures,
        }
    }
}

fn digest(height: u64) -> B256 {
    keccak256(height.to_be_bytes())
}
