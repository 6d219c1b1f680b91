//! What work takes on one core: the figures that the simulation charges.
//!
//! ```text
//! headway sim costs ─▶ real blocks, collations, chunks, signatures ─▶ Costs ─▶ compare with RECORDED
//! ```
//! Recorded and not measured at each start, so that one seed gives one report on every machine.

use serde::Serialize;

const KIB: u64 = 1_024;
const NS_PER_US: u64 = 1_000;

/// Nanoseconds of one core, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Costs {
    /// A collator's, for a transaction of a block: sender, execution, root, collation.
    pub build_ns: u64,
    /// A validator's, for a transaction of a candidate: everything that a check does, on one thread.
    pub check_ns: u64,
    /// Cutting a KiB of a collation into chunks.
    pub cut_kib_ns: u64,
    /// Making a KiB of a collation from chunks, and their check.
    pub restore_kib_ns: u64,
    /// Hashing a KiB that arrives.
    pub hash_kib_ns: u64,
    /// Checking one signature of a message that arrives.
    pub signature_ns: u64,
    /// Checking one signature of a relay block's section, all of them in one batch.
    pub batch_signature_ns: u64,
    /// Taking any message from the network.
    pub message_ns: u64,
    /// Ordering a transaction that is in the pool already: rebuilding the block, affordability.
    pub order_ns: u64,
    /// Gas of a transaction.
    pub gas: u64,
    /// Bytes of a transaction in a collation, with its part of the witness.
    pub collation_bytes: u64,
}

/// Token transfers between existing accounts, in blocks of a thousand over a state of 200,000: the median of three runs
/// of `headway sim costs`, a release build on two cores of a virtual machine (AMD EPYC), rounded up. `message_ns` and
/// `order_ns` are estimates, which nothing measures.
pub const RECORDED: Costs = Costs {
    build_ns: 13_500,
    check_ns: 16_000,
    cut_kib_ns: 1_050,
    restore_kib_ns: 2_250,
    hash_kib_ns: 580,
    signature_ns: 34_500,
    batch_signature_ns: 16_000,
    message_ns: 5_000,
    order_ns: 500,
    gas: 51_324,
    collation_bytes: 199,
};

impl Costs {
    /// Microseconds of building a block of so many transactions.
    pub(super) const fn build_us(&self, transactions: u64) -> u64 {
        transactions.saturating_mul(self.build_ns) / NS_PER_US
    }

    /// Microseconds of checking one.
    pub(super) const fn check_us(&self, transactions: u64) -> u64 {
        transactions.saturating_mul(self.check_ns) / NS_PER_US
    }

    /// Microseconds of following one: checking it, and executing it over the own state.
    pub(super) const fn follow_us(&self, transactions: u64) -> u64 {
        self.check_us(transactions)
            .saturating_add(self.build_us(transactions))
    }

    pub(super) const fn cut_us(&self, bytes: u64) -> u64 {
        of_bytes(bytes, self.cut_kib_ns)
    }

    pub(super) const fn restore_us(&self, bytes: u64) -> u64 {
        of_bytes(bytes, self.restore_kib_ns)
    }

    pub(super) const fn hash_us(&self, bytes: u64) -> u64 {
        of_bytes(bytes, self.hash_kib_ns)
    }

    /// Microseconds of taking a message with so many signatures and bytes to hash.
    pub(super) const fn receive_us(&self, signatures: u64, hashed_bytes: u64) -> u64 {
        let fixed = self
            .message_ns
            .saturating_add(signatures.saturating_mul(self.signature_ns));
        (fixed / NS_PER_US).saturating_add(self.hash_us(hashed_bytes))
    }
}

const fn of_bytes(bytes: u64, kib_ns: u64) -> u64 {
    bytes.saturating_mul(kib_ns) / KIB / NS_PER_US
}
