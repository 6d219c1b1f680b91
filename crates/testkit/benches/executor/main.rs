//! How long one block takes, in every way of executing it, beside the virtual machine's own loop.
//!
//! ```text
//! cargo bench -p testkit --bench executor -- [FILTER] [--rounds N] [--json]
//!
//! block ─▶ Subject ─ warm-up: every way once, all results equal ─▶ round 1 … N ─▶ median, minimum
//!                                                                   └ every way once, another one first each time
//! ```
//! A block goes from one way to the next at once, so that a busy moment of the machine hits all of
//! them. State, transactions, signatures, analysed code and access lists are made outside the timing;
//! dropping the result is inside for all alike. An engine is kept from round to round, as a node keeps
//! it from block to block: its memory is warm, and it knows the methods that the block calls. How a block
//! fares that nobody has seen before is what `headway replay` measures. The last line of each block says
//! what its measured times would come to on more workers: speed-up and, behind it, what no schedule that
//! commits in order can beat.

mod options;
mod plain;
mod report;
mod rounds;
mod scaling;
mod subject;

use options::{Options, Request, USAGE};
use report::Report;
use rounds::Samples;
use scaling::Scaling;
use std::process::ExitCode;
use subject::{Subject, Way};
use testkit::blocks::benchmark::{self, MakeBlock};

/// As in the node's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit status for options that cannot work.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)) {
        Ok(Request::Run(options)) => run(options),
        Ok(Request::Help) => report::say(USAGE),
        Err(problem) => {
            report::say_aside(&format!("error: {problem}\n\n{USAGE}"));
            return ExitCode::from(MISUSED);
        }
    }
    ExitCode::SUCCESS
}

fn run(options: Options) {
    let ways = Way::all();
    let report = Report::begin(&options, &ways);
    let mut suite = Suite {
        options,
        ways,
        report,
    };
    bench_all(&mut suite);
    suite.report.finish();
}

/// Blocks of about a billion units of gas, and smaller ones where each transaction takes long.
fn bench_all(suite: &mut Suite) {
    suite.bench("executor::transfers/txs=47620", benchmark::transfers);
    suite.bench(
        "executor::hot_recipient_transfers/txs=47620",
        benchmark::hot_recipient_transfers,
    );
    suite.bench("executor::erc20/txs=33628", benchmark::erc20);
    suite.bench("executor::erc20_hot/txs=33628", benchmark::erc20_hot);
    suite.bench("executor::swaps/txs=6000", benchmark::swaps_disjoint);
    suite.bench(
        "executor::swaps_one_pair/txs=6000",
        benchmark::swaps_one_pair,
    );
    suite.bench("executor::nft_mint/txs=10000", benchmark::nft_mint);
    suite.bench("executor::votes/txs=10000", benchmark::votes);
    suite.bench("executor::mixed/txs=10000", benchmark::mixed);
    suite.bench(
        "executor::conflict_chain/txs=300",
        benchmark::conflict_chain,
    );
}

struct Suite {
    options: Options,
    ways: Vec<Way>,
    report: Report,
}

impl Suite {
    /// Measures a block of as many transactions as its name says.
    fn bench(&mut self, name: &'static str, make: MakeBlock) {
        if !self.options.selects(name) {
            return;
        }
        let (_, count) = name.split_once("txs=").unwrap_or_default();
        let count = count.parse().expect("a bench is named operation/txs=count");
        let subject = Subject::new(make(count), &self.ways);
        let samples = Samples::take(&subject, &self.ways, self.options.rounds);
        let workload = self.report.add(name, &subject, samples);
        self.report
            .add_scaling(Scaling::measure(&workload, &subject));
    }
}
