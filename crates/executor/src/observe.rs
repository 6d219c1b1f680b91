//! Instructions that look at what a transaction may otherwise leave unseen.
//!
//! They do what Ethereum's do, and note that the exact balance mattered, or which words were hashed
//! in pairs, as Solidity does to find a mapping's slot.

use crate::view::{Notes, View};
use alloy_primitives::U256;
use revm::{
    bytecode::opcode,
    handler::{
        MainnetContext,
        instructions::{EthInstructions, InstructionProvider as _},
    },
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult,
        instructions::{host, system},
        interpreter::EthInterpreter,
        interpreter_types::InputsTr as _,
    },
};

type Ctx<'a> = MainnetContext<View<'a>>;
type Table<'a> = EthInstructions<EthInterpreter, Ctx<'a>>;
type Step<'s, 'a> = InstructionContext<'s, Ctx<'a>, EthInterpreter>;

/// Pairs noted of one transaction.
const PAIRS_MAX: usize = 64;
/// Two words.
const PAIR_BYTES: usize = 64;

/// Puts the instructions into a machine's table.
pub(crate) fn install(table: &mut Table<'_>) {
    let mut replace = |code: u8, instruction| {
        let gas = table.gas_table().get(usize::from(code)).copied();
        table.insert_instruction(code, instruction, gas.unwrap_or_default());
    };
    replace(opcode::BALANCE, Instruction::new(balance));
    replace(opcode::SELFBALANCE, Instruction::new(selfbalance));
    replace(opcode::SELFDESTRUCT, Instruction::new(selfdestruct));
    replace(opcode::KECCAK256, Instruction::new(keccak256));
}

const fn notes<'n>(step: &'n mut Step<'_, '_>) -> &'n mut Notes {
    &mut step.host.journaled_state.database.notes
}

fn balance(mut step: Step<'_, '_>) -> InstructionExecResult {
    if let Ok(word) = step.interpreter.stack.peek(0) {
        notes(&mut step).observe(alloy_primitives::Address::from_word(word.into()));
    }
    host::balance(step)
}

fn selfbalance(mut step: Step<'_, '_>) -> InstructionExecResult {
    let own = step.interpreter.input.target_address();
    notes(&mut step).observe(own);
    host::selfbalance(step)
}

fn selfdestruct(mut step: Step<'_, '_>) -> InstructionExecResult {
    let own = step.interpreter.input.target_address();
    let account = step.host.journaled_state.inner.state.get(&own);
    let balance = account.map_or(U256::ZERO, |account| account.info.balance);
    notes(&mut step).observe(own);
    notes(&mut step).send(own, balance);
    host::selfdestruct(step)
}

fn keccak256(mut step: Step<'_, '_>) -> InstructionExecResult {
    if !notes(&mut step).learning {
        return system::keccak256(step);
    }
    let stack = &step.interpreter.stack;
    let offset = stack
        .peek(0)
        .ok()
        .and_then(|word| usize::try_from(word).ok());
    let is_pair = stack
        .peek(1)
        .is_ok_and(|length| length == U256::from(PAIR_BYTES));
    let Some(offset) = offset.filter(|_| is_pair) else {
        return system::keccak256(step);
    };
    let InstructionContext { interpreter, host } = step;
    system::keccak256(InstructionContext {
        interpreter: &mut *interpreter,
        host: &mut *host,
    })?;
    // The instruction has made sure that the memory is there.
    let bytes = interpreter.memory.slice_len(offset, PAIR_BYTES);
    let (key, base) = bytes.split_at(PAIR_BYTES / 2);
    let pair = [U256::from_be_slice(key), U256::from_be_slice(base)];
    if let Ok(hash) = interpreter.stack.peek(0) {
        let notes = &mut host.journaled_state.database.notes;
        notes.preimages.push((hash.into(), pair));
        notes.learning = notes.preimages.len() < PAIRS_MAX;
    }
    Ok(())
}
