//! Why a load could not be run, in one line with what to do.

use alloy_primitives::{Address, B256, U256};

/// Why a load could not be run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An option is out of range.
    #[error("{option}: choose 1 to {max}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its largest value.
        max: usize,
    },
    /// The URL can't be used.
    #[error("--url {url}: {problem}; write for example http://127.0.0.1:8545")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The mnemonic gives no keys.
    #[error("--mnemonic: {0}")]
    Mnemonic(String),
    /// The node could not be reached or went away.
    #[error("cannot reach {url}: {problem}; is a node running there?")]
    Transport {
        /// Where it should be.
        url: String,
        /// What happened.
        problem: String,
    },
    /// The node answered with something else than asked for.
    #[error("the node gave no usable answer: method={method} problem={problem}")]
    Answer {
        /// What was asked.
        method: &'static str,
        /// What is wrong with the answer.
        problem: String,
    },
    /// The node answered with an error.
    #[error("the node refused: method={method} code={code} message={message}")]
    Refused {
        /// What was asked.
        method: &'static str,
        /// The error's code.
        code: i64,
        /// The error's message.
        message: String,
    },
    /// The first account can't pay for the others.
    #[error(
        "account 0 of the mnemonic, {address}, has {balance} wei and needs {needed}; fund it, or send fewer or from fewer senders"
    )]
    Funds {
        /// The account.
        address: Address,
        /// What it has.
        balance: U256,
        /// What it needs.
        needed: U256,
    },
    /// A transaction that prepares the run has no receipt in time.
    #[error("{what} has no receipt in time: waited_seconds={waited_seconds}")]
    NotPrepared {
        /// What it was to do.
        what: &'static str,
        /// How long it waited.
        waited_seconds: u64,
    },
    /// A transaction that prepares the run failed.
    #[error("{what} failed: transaction={hash}")]
    Preparation {
        /// What it was to do.
        what: &'static str,
        /// Which transaction.
        hash: B256,
    },
    /// A node takes no bundles.
    #[error("{url} takes no bundles: {problem}; leave out --bulk")]
    NoBulk {
        /// The node.
        url: String,
        /// What it said.
        problem: String,
    },
    /// A node does not follow the chain that the first one serves.
    #[error(
        "{url} does not follow: height={height} needed={needed}; do all nodes serve one chain?"
    )]
    Behind {
        /// The node.
        url: String,
        /// Its height.
        height: u64,
        /// The height it should have reached.
        needed: u64,
    },
    /// The options contradict each other.
    #[error("{0}")]
    Options(&'static str),
    /// A file can't be written.
    #[error("cannot write {path}: {problem}")]
    File {
        /// Which file.
        path: String,
        /// What happened.
        problem: std::io::Error,
    },
    /// Stopped by hand before there was anything to report.
    #[error("interrupted")]
    Interrupted,
    /// What the chain holds at the end is not what the transactions did.
    #[error("{name}: {found} of {expected} are as they should be")]
    Check {
        /// What was looked at.
        name: String,
        /// How many there are.
        expected: u64,
        /// How many are right.
        found: u64,
    },
    /// A transaction could not be signed.
    #[error("cannot sign: {0}")]
    Signing(String),
    /// The operating system gave no runtime.
    #[error("cannot start: {0}")]
    Runtime(std::io::Error),
    /// Not every transaction succeeded in time.
    #[error("not every transaction succeeded: transactions={transactions} succeeded={succeeded}{}{reason}", if reason.is_empty() { "" } else { "; " })]
    Incomplete {
        /// What is known of the reason.
        reason: String,
        /// How many were to be sent.
        transactions: usize,
        /// How many have a receipt that says success.
        succeeded: usize,
    },
}

impl LoadError {
    /// 2 for a mistake of whoever started it, 1 for a fault while running.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Option { .. } | Self::Options(_) | Self::Url { .. } | Self::Mnemonic(_) => 2,
            Self::Transport { .. }
            | Self::Answer { .. }
            | Self::Refused { .. }
            | Self::Funds { .. }
            | Self::NotPrepared { .. }
            | Self::Preparation { .. }
            | Self::File { .. }
            | Self::Behind { .. }
            | Self::Interrupted
            | Self::NoBulk { .. }
            | Self::Check { .. }
            | Self::Signing(_)
            | Self::Runtime(_)
            | Self::Incomplete { .. } => 1,
        }
    }
}
