//! Who looks on while a machine runs a transaction, and how much they may write down.
//!
//! ```text
//! machine ─ call, step, log, end ─▶ Watch ─▶ Budget left? ─ yes ─▶ Eye: frames, selectors, console, transfers
//!                                                 └ no: the machine stops, and the reason is kept
//! ```
//! A machine that nobody watches never comes here: what executes blocks asks no inspector. An eye sees what
//! the machine does and changes nothing of it, except that [`Eye::Transfers`] adds the logs it was asked for.
//! Limits: those of [`TraceLimits`], over all transactions that one caller asks for together.

use crate::console::ConsoleLines;
use alloy_primitives::{Address, B256, Bytes, Log, LogData, U256, address, b256};
use revm::{
    Inspector,
    bytecode::opcode::{SLOAD, SSTORE},
    context_interface::{ContextError, ContextTr, JournalTr as _},
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, InstructionResult, Interpreter,
        interpreter_types::Jumps,
    },
};
use revm_inspectors::tracing::{FourByteInspector, TracingInspector};
use std::{
    collections::HashSet,
    fmt::{Debug, Formatter},
    sync::Arc,
};

/// Who seems to emit the logs of wei that moves (`eth_simulateV1`).
const TRANSFER_EMITTER: Address = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
/// Of `Transfer(address,address,uint256)`.
const TRANSFER_TOPIC: B256 =
    b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// How many steps pass between two looks at the time.
const STEPS_PER_LOOK: u64 = 1_024;
/// About how many bytes of JSON one step takes, its stack and memory apart.
const STEP_BYTES: u64 = 120;
/// A word of the stack or of storage, in JSON.
const WORD_BYTES: u64 = 70;
/// A frame, its input and output apart, in JSON.
const FRAME_BYTES: u64 = 400;

/// How much may be written down for one caller.
#[derive(Clone)]
pub struct TraceLimits {
    /// Steps of the machine.
    pub steps_max: u64,
    /// Bytes of JSON that come of it, estimated.
    pub bytes_max: u64,
    /// Whether the caller's time is over.
    pub expired: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Debug for TraceLimits {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self {
            steps_max,
            bytes_max,
            ..
        } = self;
        write!(
            f,
            "TraceLimits(steps_max={steps_max} bytes_max={bytes_max})"
        )
    }
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceExcess {
    /// [`TraceLimits::steps_max`].
    #[error(
        "trace has more than {0} steps: ask for fewer with the option limit, or for another tracer"
    )]
    Steps(u64),
    /// [`TraceLimits::bytes_max`].
    #[error(
        "trace is longer than {0} bytes: leave out memory, stack or storage, or ask for another tracer"
    )]
    Bytes(u64),
    /// [`TraceLimits::expired`].
    #[error("execution timeout: the trace took longer than its timeout")]
    Time,
}

/// What is left of the limits.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    limits: TraceLimits,
    steps: u64,
    bytes: u64,
    until_look: u64,
    excess: Option<TraceExcess>,
}

impl Budget {
    pub(crate) const fn new(limits: TraceLimits) -> Self {
        Self {
            limits,
            steps: 0,
            bytes: 0,
            until_look: 0,
            excess: None,
        }
    }

    /// Which limit was reached, if one was.
    pub(crate) const fn excess(&self) -> Option<TraceExcess> {
        self.excess
    }

    /// Looks at the time now.
    pub(crate) fn check_time(&mut self) -> Result<(), TraceExcess> {
        if (self.limits.expired)() {
            self.excess.get_or_insert(TraceExcess::Time);
        }
        self.excess.map_or(Ok(()), Err)
    }

    fn look(&mut self) {
        self.until_look = match self.until_look.checked_sub(1) {
            Some(left) => left,
            None => {
                if (self.limits.expired)() {
                    self.excess.get_or_insert(TraceExcess::Time);
                }
                STEPS_PER_LOOK
            }
        };
    }

    fn take_step(&mut self) {
        self.steps = self.steps.saturating_add(1);
        if self.steps > self.limits.steps_max {
            let steps_max = self.limits.steps_max;
            self.excess.get_or_insert(TraceExcess::Steps(steps_max));
        }
    }

    fn take_bytes(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limits.bytes_max {
            let bytes_max = self.limits.bytes_max;
            self.excess.get_or_insert(TraceExcess::Bytes(bytes_max));
        }
    }
}

/// What of each step is written down.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StepParts {
    pub(crate) stack: bool,
    pub(crate) memory: bool,
    pub(crate) storage: bool,
    /// How many steps; others run and are not written down.
    pub(crate) count_max: Option<u64>,
}

/// Frames of calls, and steps if they are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Frames {
    pub(crate) inspector: TracingInspector,
    pub(crate) steps: Option<StepParts>,
    taken: u64,
    is_stepping: bool,
    /// Slots seen so far: each look at one repeats them all.
    slots: HashSet<(Address, U256)>,
}

impl Frames {
    pub(crate) fn new(inspector: TracingInspector, steps: Option<StepParts>) -> Self {
        Self {
            inspector,
            steps,
            taken: 0,
            is_stepping: false,
            slots: HashSet::new(),
        }
    }

    /// What the next step adds; none if it is not written down.
    fn weigh(&mut self, interpreter: &Interpreter) -> Option<u64> {
        let parts = self.steps?;
        if parts.count_max.is_some_and(|max| self.taken >= max) {
            return None;
        }
        self.taken = self.taken.saturating_add(1);
        let mut bytes = STEP_BYTES;
        let stack = interpreter.stack.data();
        if parts.stack {
            bytes = bytes.saturating_add(length(stack.len()).saturating_mul(WORD_BYTES));
        }
        if parts.memory {
            // In hexadecimal, and with quotes for every word.
            let size = length(interpreter.memory.len());
            bytes = bytes.saturating_add(size.saturating_mul(5) / 2);
        }
        if parts.storage && matches!(interpreter.bytecode.opcode(), SLOAD | SSTORE) {
            let contract = interpreter.input.target_address;
            if let Some(slot) = stack.last() {
                self.slots.insert((contract, *slot));
            }
            let words = length(self.slots.len()).saturating_mul(2);
            bytes = bytes.saturating_add(words.saturating_mul(WORD_BYTES));
        }
        Some(bytes)
    }
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// In hexadecimal.
fn hex_bytes(bytes: &Bytes) -> u64 {
    length(bytes.len()).saturating_mul(2)
}

/// What somebody wants to see.
#[derive(Debug, Default)]
pub(crate) enum Eye {
    /// Nothing but the result.
    #[default]
    Result,
    /// Frames of calls, perhaps with steps.
    Frames(Box<Frames>),
    /// Which functions are called.
    Selectors(FourByteInspector),
    /// What is written to the console.
    Console(ConsoleLines),
    /// Wei that moves, which becomes a log.
    Transfers(Transfers),
}

impl Eye {
    /// What was written to the console, if that was looked at.
    pub(crate) fn into_console(self) -> Vec<Bytes> {
        match self {
            Self::Console(console) => console.lines,
            Self::Result | Self::Frames(_) | Self::Selectors(_) | Self::Transfers(_) => Vec::new(),
        }
    }

    /// The frames, if they were looked at.
    pub(crate) fn into_frames(self) -> TracingInspector {
        match self {
            Self::Frames(frames) => frames.inspector,
            Self::Result | Self::Console(_) | Self::Selectors(_) | Self::Transfers(_) => {
                TracingInspector::default()
            }
        }
    }
}

/// The place in a machine for whoever looks on: nobody, as a rule.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<Box<Watcher>>);

/// Somebody who looks on.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) eye: Eye,
    pub(crate) budget: Budget,
}

impl Watch {
    /// Lets somebody look on.
    pub(crate) fn open(&mut self, watcher: Watcher) {
        self.0 = Some(Box::new(watcher));
    }

    /// Ends it.
    pub(crate) fn close(&mut self) -> Option<Watcher> {
        self.0.take().map(|watcher| *watcher)
    }

    /// The chain's rules took back all that the frames did, after the last of them had ended well.
    pub(crate) fn take_back(&mut self) {
        let Some(Eye::Frames(frames)) = self.0.as_mut().map(|watcher| &mut watcher.eye) else {
            return;
        };
        let nodes = frames.inspector.traces_mut().nodes_mut();
        if let Some(root) = nodes.first_mut() {
            root.trace.success = false;
            root.trace.status = Some(InstructionResult::Revert);
            root.trace.output = Bytes::new();
            root.logs.clear();
        }
    }
}

impl Watcher {
    /// Whether the machine may take its next step, which is weighed.
    fn admits(&mut self, interpreter: &Interpreter) -> bool {
        self.budget.look();
        if let Eye::Frames(frames) = &mut self.eye {
            let weight = frames.weigh(interpreter);
            frames.is_stepping = weight.is_some() || frames.steps.is_none();
            if let Some(bytes) = weight {
                self.budget.take_step();
                self.budget.take_bytes(bytes);
            }
        }
        self.budget.excess.is_none()
    }

    fn weigh_frame(&mut self, bytes: u64) {
        if matches!(self.eye, Eye::Frames(_) | Eye::Console(_)) {
            self.budget.take_bytes(bytes);
        }
    }
}

impl<CTX: ContextTr<Journal: JournalExt>> Inspector<CTX> for Watch {
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, ctx: &mut CTX) {
        if let Some(Eye::Frames(frames)) = self.0.as_mut().map(|watcher| &mut watcher.eye) {
            frames.inspector.initialize_interp(interpreter, ctx);
        }
    }

    fn step(&mut self, interpreter: &mut Interpreter, ctx: &mut CTX) {
        let Some(watcher) = &mut self.0 else {
            return;
        };
        if !watcher.admits(interpreter) {
            let reason = "whoever watched has seen enough".to_owned();
            *ctx.error() = Err(ContextError::Custom(reason));
            interpreter.halt_fatal();
            return;
        }
        if let Eye::Frames(frames) = &mut watcher.eye
            && frames.is_stepping
        {
            frames.inspector.step(interpreter, ctx);
        }
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, ctx: &mut CTX) {
        if let Some(Eye::Frames(frames)) = self.0.as_mut().map(|watcher| &mut watcher.eye)
            && frames.is_stepping
        {
            frames.inspector.step_end(interpreter, ctx);
        }
    }

    fn log(&mut self, ctx: &mut CTX, log: Log) {
        let Some(watcher) = &mut self.0 else {
            return;
        };
        watcher.weigh_frame(FRAME_BYTES.saturating_add(hex_bytes(&log.data.data)));
        if let Eye::Frames(frames) = &mut watcher.eye {
            frames.inspector.log(ctx, log);
        }
    }

    fn log_full(&mut self, interpreter: &mut Interpreter, ctx: &mut CTX, log: Log) {
        let Some(watcher) = &mut self.0 else {
            return;
        };
        watcher.weigh_frame(FRAME_BYTES.saturating_add(hex_bytes(&log.data.data)));
        if let Eye::Frames(frames) = &mut watcher.eye {
            frames.inspector.log_full(interpreter, ctx, log);
        }
    }

    fn call(&mut self, ctx: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let watcher = self.0.as_mut()?;
        let input = length(inputs.input.len()).saturating_mul(2);
        watcher.weigh_frame(FRAME_BYTES.saturating_add(input));
        match &mut watcher.eye {
            Eye::Frames(frames) => frames.inspector.call(ctx, inputs),
            Eye::Selectors(inspector) => inspector.call(ctx, inputs),
            Eye::Console(lines) => {
                lines.see(ctx, inputs);
                None
            }
            Eye::Transfers(transfers) => {
                let value = inputs.transfer_value().unwrap_or_default();
                transfers.begin(ctx, [inputs.transfer_from(), inputs.transfer_to()], value);
                None
            }
            Eye::Result => None,
        }
    }

    fn call_end(&mut self, ctx: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        let Some(watcher) = &mut self.0 else {
            return;
        };
        watcher.weigh_frame(hex_bytes(&outcome.result.output));
        if let Eye::Frames(frames) = &mut watcher.eye {
            frames.inspector.call_end(ctx, inputs, outcome);
        }
        if let Eye::Transfers(transfers) = &mut watcher.eye {
            transfers.end(ctx, outcome.result.result);
        }
    }

    fn create(&mut self, ctx: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        let watcher = self.0.as_mut()?;
        let input = hex_bytes(inputs.init_code());
        watcher.weigh_frame(FRAME_BYTES.saturating_add(input));
        match &mut watcher.eye {
            Eye::Frames(frames) => frames.inspector.create(ctx, inputs),
            Eye::Transfers(transfers) => {
                let creator = inputs.caller();
                // The creation reads the same account next, and reports it if that fails.
                let account = ctx.journal_mut().load_account(creator);
                let nonce = account.map_or(0, |account| account.data.info.nonce);
                let created = inputs.created_address(nonce);
                transfers.begin(ctx, [creator, created], inputs.value());
                None
            }
            Eye::Selectors(_) | Eye::Console(_) | Eye::Result => None,
        }
    }

    fn create_end(&mut self, ctx: &mut CTX, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        let Some(watcher) = &mut self.0 else {
            return;
        };
        watcher.weigh_frame(hex_bytes(&outcome.result.output));
        if let Eye::Frames(frames) = &mut watcher.eye {
            frames.inspector.create_end(ctx, inputs, outcome);
        }
        if let Eye::Transfers(transfers) = &mut watcher.eye {
            transfers.end(ctx, outcome.result.result);
        }
    }

    fn selfdestruct(&mut self, contract: Address, heir: Address, value: U256) {
        if let Some(Eye::Frames(frames)) = self.0.as_mut().map(|watcher| &mut watcher.eye) {
            // Whichever machine it is, this one is told in the same way.
            <TracingInspector as Inspector<CTX>>::selfdestruct(
                &mut frames.inspector,
                contract,
                heir,
                value,
            );
        }
    }
}

/// Logs of `eth_simulateV1` for wei that moves: a token's, of an address where there is no token.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    /// How many logs there were before each frame that runs.
    before: Vec<usize>,
}

impl Transfers {
    fn begin(&mut self, ctx: &mut impl ContextTr, [from, to]: [Address; 2], value: U256) {
        self.before.push(ctx.journal_mut().logs().len());
        if value.is_zero() {
            return;
        }
        let topics = vec![TRANSFER_TOPIC, from.into_word(), to.into_word()];
        let value = value.to_be_bytes::<32>().into();
        ctx.journal_mut().log(Log {
            address: TRANSFER_EMITTER,
            data: LogData::new_unchecked(topics, value),
        });
    }

    /// What failed moved nothing: its log came before the checkpoint that took back the others.
    fn end(&mut self, ctx: &mut impl ContextTr, result: InstructionResult) {
        let Some(before) = self.before.pop().filter(|_| !result.is_ok()) else {
            return;
        };
        let logs = ctx.journal_mut().take_logs();
        for log in logs.into_iter().take(before) {
            ctx.journal_mut().log(log);
        }
    }
}
