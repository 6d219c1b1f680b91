//! Why a load could not be run, in one line with what to do.

use alloy_primitives::{Address, U256};

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
        "account 0 of the mnemonic, {address}, has {balance} wei and needs {needed}; fund it or send fewer transactions"
    )]
    Funds {
        /// The account.
        address: Address,
        /// What it has.
        balance: U256,
        /// What it needs.
        needed: U256,
    },
    /// The transfers that fund the senders have no receipts in time.
    #[error("the senders were not funded in time: waited_seconds={waited_seconds}")]
    NotFunded {
        /// How long it waited.
        waited_seconds: u64,
    },
    /// A transaction could not be signed.
    #[error("cannot sign: {0}")]
    Signing(String),
    /// The operating system gave no runtime.
    #[error("cannot start: {0}")]
    Runtime(std::io::Error),
    /// Not every transaction succeeded in time.
    #[error("not every transaction succeeded: transactions={transactions} succeeded={succeeded}")]
    Incomplete {
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
            Self::Option { .. } | Self::Url { .. } | Self::Mnemonic(_) => 2,
            Self::Transport { .. }
            | Self::Answer { .. }
            | Self::Refused { .. }
            | Self::Funds { .. }
            | Self::NotFunded { .. }
            | Self::Signing(_)
            | Self::Runtime(_)
            | Self::Incomplete { .. } => 1,
        }
    }
}
