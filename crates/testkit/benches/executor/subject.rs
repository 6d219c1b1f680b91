//! One block, ready to be executed in every way.

use crate::plain::{self, Codes, Plain, PlainResult, PlainRun};
use executor::{
    AccessList, CodeCache, Engine, ExecutedBlock, ExecutionInput, Listed, execute_sequential,
};
use std::{collections::BTreeMap, fmt, num::NonZeroUsize, sync::Arc, thread, time::Instant};
use testkit::blocks::GeneratedBlock;

/// Workers of the engines; those above two only where there are as many cores.
const WORKERS: [usize; 4] = [1, 2, 4, 8];
const WORKERS_ALWAYS: usize = 2;

/// Times an engine executes a block before it knows what conflicts in it.
const LESSONS: usize = 4;

const IN_MEMORY: &str = "a state in memory reads";

/// How a block is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The virtual machine's own loop; results are kept.
    Plain,
    /// The same, with receipts and a state diff.
    PlainWithResult,
    /// Our oracle.
    Sequential,
    /// By an engine, without an access list.
    First(NonZeroUsize),
    /// By an engine, with the block's access list.
    Listed(NonZeroUsize),
}

/// A block with all that may be made before the clock starts.
pub(crate) struct Subject {
    pub(crate) block: GeneratedBlock,
    pub(crate) gas_used: u64,
    codes: Codes,
    code_cache: CodeCache,
    list: AccessList,
    first: BTreeMap<NonZeroUsize, Engine>,
    /// Of their own, so that no list teaches the others.
    listed: BTreeMap<NonZeroUsize, Engine>,
}

/// What executing a block gave.
pub(crate) enum Outcome<'s> {
    Plain(PlainRun<'s>),
    PlainWithResult(Box<PlainResult>),
    Executed(Box<ExecutedBlock>),
}

impl Way {
    /// All ways that this machine has cores for, in the order of the table.
    pub(crate) fn all() -> Vec<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let most = cores.max(WORKERS_ALWAYS);
        let workers = WORKERS.into_iter().filter_map(NonZeroUsize::new);
        let workers: Vec<_> = workers.filter(|workers| workers.get() <= most).collect();
        let mut ways = vec![Self::Plain, Self::PlainWithResult, Self::Sequential];
        ways.extend(workers.iter().copied().map(Self::First));
        let several = workers.into_iter().filter(|workers| workers.get() > 1);
        ways.extend(several.map(Self::Listed));
        ways
    }

    /// The threads that execute.
    pub(crate) const fn workers(self) -> usize {
        match self {
            Self::Plain | Self::PlainWithResult | Self::Sequential => 1,
            Self::First(workers) | Self::Listed(workers) => workers.get(),
        }
    }

    /// The word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::PlainWithResult => "plain+result",
            Self::Sequential => "sequential",
            Self::First(_) => "first",
            Self::Listed(_) => "listed",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Plain | Self::PlainWithResult | Self::Sequential => Ok(()),
            Self::First(workers) | Self::Listed(workers) => write!(f, "/workers={workers}"),
        }
    }
}

impl Subject {
    /// Makes everything that is not timed, and panics unless all ways give the same result.
    pub(crate) fn new(mut block: GeneratedBlock, ways: &[Way]) -> Self {
        // Charged as on Ethereum, the peer's result is ours.
        block.chain.protocol.gas_charge_floor_permille = 0;
        let code_cache = CodeCache::default();
        let input = ExecutionInput {
            code_cache: Some(&code_cache),
            ..block.input()
        };
        let expected = execute_sequential(&input, &block.state).expect(IN_MEMORY);
        let mut subject = Self {
            codes: plain::analyse(&block.state),
            list: expected.access_list(),
            gas_used: expected.gas_used,
            code_cache,
            first: BTreeMap::new(),
            listed: BTreeMap::new(),
            block,
        };
        for way in ways {
            subject.start_engine(*way);
            let outcome = subject.execute(*way);
            assert!(
                outcome.agrees(&expected),
                "way={way}: the result differs from the sequential one"
            );
        }
        subject
    }

    /// Executes the block.
    pub(crate) fn execute(&self, way: Way) -> Outcome<'_> {
        let plain = || Plain::new(&self.block, &self.codes);
        match way {
            Way::Plain => Outcome::Plain(plain().execute()),
            Way::PlainWithResult => {
                Outcome::PlainWithResult(Box::new(plain().execute_with_result()))
            }
            Way::Sequential => {
                let executed = execute_sequential(&self.input(), &self.block.state);
                Outcome::Executed(Box::new(executed.expect(IN_MEMORY)))
            }
            Way::First(workers) => {
                let engine = self.first.get(&workers).expect("every engine was started");
                let executed = engine.execute(&self.input(), &self.block.state);
                Outcome::Executed(Box::new(executed.expect(IN_MEMORY)))
            }
            Way::Listed(workers) => {
                let engine = self.listed.get(&workers).expect("every engine was started");
                Outcome::Executed(Box::new(self.execute_listed(engine)))
            }
        }
    }

    /// Executes the block on two workers, as an engine does that knows it, with times in the report.
    #[expect(
        clippy::disallowed_methods,
        reason = "a bench measures with the machine's own clock"
    )]
    pub(crate) fn execute_with_clock(&self) -> ExecutedBlock {
        let start = Instant::now();
        let workers = NonZeroUsize::new(WORKERS_ALWAYS).expect("more than none");
        let engine = Engine::new(workers).expect("the machine gives threads");
        let engine = engine.with_clock(Arc::new(move || start.elapsed()));
        let execute = |_| engine.execute(&self.input(), &self.block.state);
        let executed = (0..LESSONS).map(execute).last();
        executed.expect("at least one").expect(IN_MEMORY)
    }

    fn execute_listed(&self, engine: &Engine) -> ExecutedBlock {
        let listed = engine.execute_listed(&self.input(), &self.block.state, &self.list);
        match listed.expect(IN_MEMORY) {
            Listed::Executed(executed) => executed,
            Listed::False { fraud, .. } => panic!("the block's own list is false: {fraud}"),
        }
    }

    fn input(&self) -> ExecutionInput<'_> {
        ExecutionInput {
            code_cache: Some(&self.code_cache),
            ..self.block.input()
        }
    }

    fn start_engine(&mut self, way: Way) {
        let start = |workers| Engine::new(workers).expect("the machine gives threads");
        match way {
            Way::Plain | Way::PlainWithResult | Way::Sequential => {}
            Way::First(workers) => drop(self.first.insert(workers, start(workers))),
            Way::Listed(workers) => drop(self.listed.insert(workers, start(workers))),
        }
    }
}

impl Outcome<'_> {
    /// Executions that had been in vain; zero where there are none by nature.
    pub(crate) fn reexecutions(&self) -> usize {
        match self {
            Self::Plain(_) | Self::PlainWithResult(_) => 0,
            Self::Executed(executed) => executed.report.reexecutions,
        }
    }

    /// Whether it says the same, as far as it says anything.
    fn agrees(&self, expected: &ExecutedBlock) -> bool {
        match self {
            Self::Plain(run) => run.gas_used() == expected.gas_used,
            Self::PlainWithResult(result) => {
                result.receipts == expected.receipts
                    && result.logs_bloom == expected.logs_bloom
                    && result.diff == expected.diff
            }
            Self::Executed(executed) => **executed == *expected,
        }
    }
}
