//! A validator that runs no node: whenever it is its turn it proposes a block with one thing wrong,
//! signed with its real key.
//!
//! ```text
//! block of view v-1 arrives ─▶ leader of v? ─▶ honest header + one lie ─▶ block and notarize vote to all
//! ```
//! Limit: it stays silent in views after one without a block, as it does not follow nullifications.

use super::{CHAIN_ID, Cluster, lock, network, network::Simulated};
use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::{Address, B256, TxKind, keccak256};
use alloy_signer::SignerSync as _;
use alloy_signer_local::PrivateKeySigner;
use commonware_codec::{Decode as _, Encode as _};
use commonware_consensus::{
    simplex::{
        elector::{Config, Elector as _, RoundRobin},
        types::{Notarize, Proposal, Vote},
    },
    types::{Epoch, Round},
};
use commonware_cryptography::Signer as _;
use commonware_p2p::{Receiver as _, Recipients, Sender as _};
use commonware_runtime::{
    Clock as _, IoBuf, Spawner as _, Supervisor as _, deterministic::Context,
};
use consensus::{network::Wires, relay::Message};
use node::run::{self, Identity};
use primitives::{
    Block, Genesis, Header, Transaction,
    base_fee::next_base_fee,
    crypto::{BlockDigest, BlockHasher, ProposalContext, PublicKey, Scheme},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// After a block has arrived, until everybody else has entered the next view as well.
const UNTIL_NEXT_VIEW: Duration = Duration::from_millis(250);

/// What is wrong with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// It holds a transaction of an account without money.
    Unaffordable,
    /// Its base fee is lower than the rule says.
    BaseFee,
    /// Its gas budget is higher than back-pressure leaves.
    GasBudget,
    /// It claims that a result is certified, with the signatures of another one.
    Certificate,
    /// It is not later than its parent.
    Timestamp,
    /// It names another chain's rules.
    Ledger,
}

/// All of them, in the order in which they are told.
const LIES: [Lie; 6] = [
    Lie::Unaffordable,
    Lie::BaseFee,
    Lie::GasBudget,
    Lie::Certificate,
    Lie::Timestamp,
    Lie::Ledger,
];

/// The digests of the blocks that were proposed, and what was wrong with each.
pub(crate) type Told = Arc<Mutex<BTreeMap<String, Lie>>>;

impl Cluster {
    /// Starts a liar in the place of a validator.
    ///
    /// # Panics
    /// If the validator runs.
    pub async fn start_liar(&self, index: usize) {
        let validator = &self.validators[index];
        assert!(validator.running.is_none(), "validator {index} is honest");
        let liar = Liar {
            wires: network::wires(
                &self.links,
                &validator.key.public_key(),
                None,
                &validator.liar,
            )
            .await,
            identity: run::identity(&self.genesis, &validator.key),
            genesis: self.genesis.clone(),
            headers: BTreeMap::new(),
            told: Arc::clone(&self.told),
        };
        let runtime = self.runtime.child("liar");
        let _runs_until_the_end = runtime.spawn(|runtime| liar.run(runtime));
    }

    /// The digests of the blocks that liars proposed, and what is wrong with each.
    #[must_use]
    pub fn told(&self) -> BTreeMap<String, Lie> {
        lock(&self.told).clone()
    }
}

struct Liar {
    wires: Wires<Simulated>,
    identity: Identity,
    genesis: Genesis,
    /// What the others proposed, by height.
    headers: BTreeMap<u64, Header>,
    told: Told,
}

impl Liar {
    async fn run(mut self, runtime: Context) {
        let rotation = RoundRobin::<BlockHasher>::default();
        let elector = Config::<Scheme>::build(rotation, &self.genesis.validators);
        while let Ok((_, message)) = self.wires.blocks.1.recv().await {
            let message: IoBuf = message;
            let parent = match Message::decode_cfg(message, &self.identity.limits) {
                Ok(Message::Compact(compact)) => compact.header,
                Ok(Message::Whole(block)) => block.header().clone(),
                _ => continue,
            };
            let known = self.headers.insert(parent.height, parent.clone());
            if known.is_some_and(|known| known == parent) {
                // Others forward it too, and two lies in one view would only get it banned.
                continue;
            }
            let round = Round::new(Epoch::zero(), parent.context.round.view().next());
            let leader = elector.elect(round, ());
            if self.genesis.validators.position(&self.identity.public_key) != Some(leader.into()) {
                continue;
            }
            runtime.sleep(UNTIL_NEXT_VIEW).await;
            let lie = LIES[lock(&self.told).len() % LIES.len()];
            let block = self.block(&parent, round, lie);
            self.propose(&block, lie);
        }
    }

    /// A block on top of another, right but for the lie.
    fn block(&self, above: &Header, round: Round, lie: Lie) -> Block {
        let mut header = Header {
            context: ProposalContext {
                round,
                leader: self.identity.public_key.clone(),
                parent: (above.context.round.view(), above.digest()),
            },
            height: above.height + 1,
            timestamp_ms: above.timestamp_ms + 1,
            proposer: Address::ZERO,
            base_fee: next_base_fee(above, &self.genesis.chain),
            gas_budget: self.gas_budget(above),
            gas_limits_sum: 0,
            body_digest: B256::ZERO,
            shard_section_digest: above.shard_section_digest,
            ledger_digest: above.ledger_digest,
            executed: above.executed.clone(),
        };
        let mut transactions = Vec::new();
        match lie {
            Lie::Unaffordable => transactions.push(penniless()),
            Lie::BaseFee => header.base_fee -= 1,
            Lie::GasBudget => header.gas_budget += 1,
            Lie::Certificate => header.executed.block_hash = keccak256("a wrong result"),
            Lie::Timestamp => header.timestamp_ms = above.timestamp_ms,
            Lie::Ledger => header.ledger_digest = keccak256("another chain"),
        }
        Block::new(header, transactions, Vec::new())
    }

    fn gas_budget(&self, parent: &Header) -> u64 {
        let in_flight = self
            .headers
            .range(parent.executed.height + 1..=parent.height);
        let gas = in_flight.map(|(_, header)| header.gas_limits_sum);
        self.genesis.chain.gas_budget(gas.sum())
    }

    fn propose(&mut self, block: &Block, lie: Lie) {
        lock(&self.told).insert(block.digest().to_string(), lie);
        let context = &block.header().context;
        let proposal = Proposal::new(context.round, context.parent.0, block.digest());
        let vote = Notarize::<Scheme, BlockDigest>::sign(&self.identity.scheme, proposal);
        let vote = Vote::Notarize(vote.expect("it has a validator's key"));
        let all = Recipients::<PublicKey>::All;
        let message = Message::Whole(block.clone()).encode();
        let _reached = self.wires.blocks.0.send(all.clone(), message, true);
        let _reached = self.wires.votes.0.send(all, vote.encode(), true);
    }
}

/// A transaction with a valid signature of somebody who has nothing.
pub(super) fn penniless() -> Transaction {
    let key = keccak256("penniless");
    let signer = PrivateKeySigner::from_bytes(&key).expect("a hash is a key");
    let unsigned = TxEip1559 {
        chain_id: CHAIN_ID,
        gas_limit: 21_000,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::ZERO),
        ..TxEip1559::default()
    };
    let signature = signer.sign_hash_sync(&unsigned.signature_hash());
    let signature = signature.expect("a key in memory signs");
    let mut raw = Vec::new();
    unsigned.into_signed(signature).eip2718_encode(&mut raw);
    Transaction::decode(raw).expect("the encoding of alloy is canonical")
}
