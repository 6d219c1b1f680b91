//! A relay chain as small as the ledger needs it: blocks, keys, and candidates whose truth is written in their head.

use crate::ledger::{
    Authority, CheckedSection, Draft, Ledger, LedgerEvent, LedgerRules, RelayStep, SectionFault,
    ShardOrder, ShardTerms, rules::CORES_UNLIMITED,
};
use alloy_primitives::{B256, Bytes, keccak256};
use commonware_cryptography::Signer as _;
use primitives::{
    ChainConfig,
    chain::Protocol,
    crypto::{PrivateKey, Signature},
    shard::{
        BackedEnvelope, Bits, CarriedOrders, Charter, Coding, Descriptor, Envelope, Equivocation,
        RelayAnchor, Schedule, ShardId, ShardNamespace, ShardSection, ShardVote, SignedStatement,
        Votes, charter,
    },
};
use std::sync::LazyLock;

/// What shards begin with.
pub(super) static RULES: LazyLock<B256> = LazyLock::new(|| charter::digest(&charter_of(3)));
pub(super) const GAS_LIMIT: u64 = 30_000_000;
/// Milliseconds between relay blocks, unless a test says otherwise.
pub(super) const BLOCK_MS: u64 = 200;

/// What is true of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) valid: bool,
    pub(super) available: bool,
}

pub(super) const GOOD: Truth = Truth {
    valid: true,
    available: true,
};
pub(super) const BAD: Truth = Truth {
    valid: false,
    available: true,
};
pub(super) const GONE: Truth = Truth {
    valid: true,
    available: false,
};

impl Truth {
    /// A head says in its first two bytes what is true of it.
    fn head(self, parent: B256, salt: u64) -> B256 {
        let mut head = keccak256([parent.as_slice(), &salt.to_be_bytes()].concat());
        head[0] = u8::from(self.valid);
        head[1] = u8::from(self.available);
        head
    }

    pub(super) fn of(head: &B256) -> Self {
        Self {
            valid: head[0] == 1,
            available: head[1] == 1,
        }
    }
}

pub(super) fn terms() -> ShardTerms {
    ShardTerms {
        genesis_hash: B256::repeat_byte(1),
        genesis_root: B256::repeat_byte(2),
        genesis_ms: 0,
        rules: *RULES,
        gas_limit: GAS_LIMIT,
        collators: Vec::new(),
        charter: charter_of(3),
        cores_max: CORES_UNLIMITED,
    }
}

/// One of many charters, with the gas limit of all of them.
pub(super) fn charter_of(chain_id: u64) -> Bytes {
    charter_with(chain_id, GAS_LIMIT)
}

pub(super) fn charter_with(chain_id: u64, gas_limit: u64) -> Bytes {
    let charter = Charter {
        chain: ChainConfig {
            chain_id,
            gas_limit,
            protocol: Protocol::default(),
        },
        genesis_rules: B256::ZERO,
    };
    charter.to_bytes()
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) keys: Vec<PrivateKey>,
    pub(super) authority: Authority,
    pub(super) ledger: Ledger,
    /// Digests of relay blocks, by height.
    pub(super) relay: Vec<B256>,
    /// A signature of nobody, for sections that are not checked.
    pub(super) nobody: Signature,
    pub(super) salt: u64,
}

impl World {
    /// Shards 1, 2, … with so many cores each.
    pub(super) fn new(rules: LedgerRules, cores: &[u16]) -> Self {
        let keys: Vec<_> = (0..u64::from(rules.validators))
            .map(PrivateKey::from_seed)
            .collect();
        let shards = cores
            .iter()
            .zip(1..)
            .map(|(cores, shard)| (ShardId(shard), terms(), *cores));
        Self {
            authority: Authority {
                namespace: ShardNamespace::new(&B256::ZERO),
                validators: keys.iter().map(PrivateKey::public_key).collect(),
            },
            nobody: keys[0].sign(b"nobody", b""),
            keys,
            ledger: Ledger::genesis(rules, 0, shards).unwrap(),
            relay: vec![relay_digest(0)],
            salt: 0,
        }
    }

    pub(super) fn after(rules: LedgerRules, cores: &[u16], blocks: u64) -> Self {
        let mut world = Self::new(rules, cores);
        for _ in 0..blocks {
            world.step(ShardSection::default(), BLOCK_MS).unwrap();
        }
        world
    }

    /// A candidate on a shard's newest block, scheduled for a core.
    pub(super) fn candidate(&self, shard: u32, core: u16, truth: Truth) -> Envelope {
        self.candidate_on(&self.ledger, shard, core, truth)
    }

    /// The same, on what a block has made of the ledger by now.
    pub(super) fn candidate_on(
        &self,
        ledger: &Ledger,
        shard: u32,
        core: u16,
        truth: Truth,
    ) -> Envelope {
        let parent = ledger.shard(ShardId(shard)).unwrap().newest();
        let height = self.ledger.height();
        Envelope {
            descriptor: Descriptor {
                shard: ShardId(shard),
                number: parent.number + 1,
                parent: parent.hash,
                head: truth.head(parent.hash, self.salt),
                state_root: B256::repeat_byte(9),
                anchor: self.anchor(height),
                rules: *RULES,
                collation_hash: B256::ZERO,
                collation_bytes: 1_000,
                gas_used: 21_000,
                timestamp_ms: parent.timestamp_ms + 1,
                collator: self.keys[0].public_key(),
            },
            coding: self.coding(),
            schedule: Schedule { core, height },
        }
    }

    pub(super) fn anchor(&self, height: u64) -> RelayAnchor {
        RelayAnchor {
            height,
            digest: self.relay[usize::try_from(height).unwrap()],
        }
    }

    pub(super) fn coding(&self) -> Coding {
        let rules = self.ledger.rules();
        Coding {
            epoch: self.ledger.epoch(),
            total: rules.validators,
            minimum: u16::try_from(rules.witnesses()).unwrap(),
            root: B256::ZERO,
        }
    }

    /// The same descriptor, put forward now.
    pub(super) fn again(&self, envelope: &Envelope, core: u16) -> Envelope {
        Envelope {
            descriptor: envelope.descriptor.clone(),
            coding: self.coding(),
            schedule: Schedule {
                core,
                height: self.ledger.height(),
            },
        }
    }

    /// As many backers as it takes, from the first who may; their signatures are nobody's.
    pub(super) fn backed(&self, envelope: Envelope) -> BackedEnvelope {
        let next = self.ledger.height() + 1;
        let shard = envelope.descriptor.shard;
        let quota = self.ledger.quota(shard, &envelope.schedule, next);
        let backers = quota.map_or(Bits::EMPTY, |quota| {
            quota.allowed.iter().take(quota.min).collect()
        });
        self.backed_by(envelope, backers)
    }

    pub(super) fn backed_by(&self, envelope: Envelope, backers: Bits) -> BackedEnvelope {
        BackedEnvelope {
            envelope,
            backers,
            signatures: vec![self.nobody.clone(); backers.count()],
        }
    }

    pub(super) fn signed(&self, envelope: Envelope) -> BackedEnvelope {
        let statement = envelope.statement();
        let mut backed = self.backed(envelope);
        backed.signatures = backed
            .backers
            .iter()
            .map(|index| statement.sign(&self.authority.namespace, &self.keys[index]))
            .collect();
        backed
    }

    pub(super) fn vote(&self, validator: u16, votes: Votes) -> ShardVote {
        ShardVote {
            validator,
            votes,
            signature: self.nobody.clone(),
        }
    }

    /// What an honest validator says now about all that is pending, unless it has not looked yet or need not.
    pub(super) fn honest(&self, validator: u16, judges: bool) -> ShardVote {
        let mut votes = Votes {
            height: self.ledger.height(),
            ..Votes::default()
        };
        for pending in self.ledger.pending() {
            let (place, truth) = (usize::from(pending.place), Truth::of(&pending.head().hash));
            if truth.available {
                votes.held.insert(place);
            }
            let judges = judges && pending.asked.contains(usize::from(validator));
            if truth.available && judges && truth.valid {
                votes.valid.insert(place);
            }
            if truth.available && judges && !truth.valid {
                votes.invalid.insert(place);
            }
        }
        self.vote(validator, votes)
    }

    /// The votes of all, or of those who are named.
    pub(super) fn votes(&self, validators: impl IntoIterator<Item = u16>) -> ShardSection {
        ShardSection {
            votes: validators
                .into_iter()
                .map(|validator| self.honest(validator, true))
                .filter(|vote| vote.votes.check().is_ok())
                .collect(),
            ..ShardSection::default()
        }
    }

    pub(super) fn all(&self) -> std::ops::Range<u16> {
        0..self.ledger.rules().validators
    }

    /// Two statements of one validator about two candidates for one place.
    pub(super) fn equivocation(
        &self,
        validator: u16,
        one: Envelope,
        two: Envelope,
    ) -> Equivocation {
        let namespace = &self.authority.namespace;
        let mut both = [one, two].map(|envelope| SignedStatement {
            signature: envelope
                .statement()
                .sign(namespace, &self.keys[usize::from(validator)]),
            envelope,
            validator,
        });
        both.sort_by_key(|one| one.envelope.descriptor.id());
        let [first, second] = both;
        Equivocation { first, second }
    }

    pub(super) fn draft(&self) -> Draft {
        self.draft_in(BLOCK_MS)
    }

    pub(super) fn draft_in(&self, ms: u64) -> Draft {
        let height = self.ledger.height();
        let parent = self.relay[usize::try_from(height).unwrap()];
        Draft::new(
            &self.ledger,
            height + 1,
            parent,
            self.ledger.timestamp_ms() + ms,
        )
        .unwrap()
    }

    /// The ledger after a block, which is not taken.
    pub(super) fn outcome(
        &self,
        mut section: ShardSection,
        orders: &[ShardOrder],
        ms: u64,
    ) -> Result<(Ledger, Vec<LedgerEvent>), SectionFault> {
        let height = self.ledger.height();
        section.orders = carried(orders, height + 1);
        self.ledger.apply(&RelayStep {
            height: height + 1,
            parent_digest: self.relay[usize::try_from(height).unwrap()],
            timestamp_ms: self.ledger.timestamp_ms() + ms,
            executed_height: height + 1,
            section: &CheckedSection::unchecked(section, &self.ledger),
        })
    }

    pub(super) fn take(&mut self, ledger: Ledger) {
        self.ledger = ledger;
        self.relay.push(relay_digest(self.ledger.height()));
        self.salt += 1;
    }

    pub(super) fn step(
        &mut self,
        section: ShardSection,
        ms: u64,
    ) -> Result<Vec<LedgerEvent>, SectionFault> {
        self.step_with(section, &[], ms)
    }

    pub(super) fn step_with(
        &mut self,
        section: ShardSection,
        orders: &[ShardOrder],
        ms: u64,
    ) -> Result<Vec<LedgerEvent>, SectionFault> {
        let (ledger, events) = self.outcome(section, orders, ms)?;
        self.take(ledger);
        Ok(events)
    }

    /// A block that does nothing else.
    pub(super) fn back(&mut self, envelope: Envelope) -> Result<Vec<LedgerEvent>, SectionFault> {
        let section = ShardSection {
            backed: vec![self.backed(envelope)],
            ..ShardSection::default()
        };
        self.step(section, BLOCK_MS)
    }

    /// Empty blocks, until one does something.
    pub(super) fn wait(&mut self, ms: u64) -> Vec<LedgerEvent> {
        for _ in 0..200 {
            let events = self.step(ShardSection::default(), ms).unwrap();
            if !events.is_empty() {
                return events;
            }
        }
        Vec::new()
    }
}

/// Orders as a block carries them whose header refers to the result at this height.
pub(super) fn carried(orders: &[ShardOrder], height: u64) -> CarriedOrders {
    match orders.is_empty() {
        true => CarriedOrders::default(),
        false => CarriedOrders {
            height,
            list: orders.iter().map(ShardOrder::to_bytes).collect(),
        },
    }
}

fn relay_digest(height: u64) -> B256 {
    keccak256(height.to_be_bytes())
}
