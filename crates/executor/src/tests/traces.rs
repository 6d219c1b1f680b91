//! What is traced is what was executed: over random blocks, and where this chain's rules differ.

use super::world::{
    ALICE, BOB, CONTRACT, ETHER, PROPOSER, SINK, World, authorize, authorizing, create,
    delegation_to, destruct, drain, forward, forward_input, increment, revert, sent_by, signer,
    spend, transaction,
};
use crate::{
    CONSOLE, CallRequest, ExecutionInput, Overrides, TraceExcess, TraceLimits,
    trace::{
        TraceBlock, TraceCalls, TraceError, TraceType, Traced, Tracer, console_lines, replay_block,
        replay_calls, trace_block, trace_call,
    },
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address};
use alloy_rpc_types_trace::geth::{
    CallFrame, DefaultFrame, GethDebugTracingOptions, GethTrace, PreStateFrame,
};
use primitives::{Directive, RecoveredTransaction};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{collections::HashSet, sync::Arc};

const SEEDS: u64 = 40;
const FORWARD: Address = address!("f000000000000000000000000000000000000001");
const SPEND: Address = address!("f000000000000000000000000000000000000002");
const CREATE: Address = address!("f000000000000000000000000000000000000003");
const REVERT: Address = address!("f000000000000000000000000000000000000004");
const DESTRUCT: Address = address!("f000000000000000000000000000000000000005");
const DRAIN: Address = address!("f000000000000000000000000000000000000006");

fn limits() -> TraceLimits {
    TraceLimits {
        steps_max: 1_000_000,
        bytes_max: 1 << 26,
        expired: Arc::new(|| false),
    }
}

fn tracer(options: &str) -> Tracer {
    let options: GethDebugTracingOptions = serde_json::from_str(options).unwrap();
    Tracer::new(options).unwrap()
}

fn trace<T>(
    world: &World,
    transactions: &[RecoveredTransaction],
    run: impl FnOnce(&TraceBlock<'_>) -> Result<T, TraceError>,
) -> T {
    let input = ExecutionInput::new(&world.chain, world.environment.clone(), transactions, &[]);
    run(&TraceBlock {
        input: &input,
        hash: None,
        wanted: 0..transactions.len(),
        limits: limits(),
    })
    .unwrap()
}

fn geth(
    world: &World,
    transactions: &[RecoveredTransaction],
    options: &str,
) -> Vec<Traced<GethTrace>> {
    let tracer = tracer(options);
    trace(world, transactions, |block| {
        trace_block(block, &world.state, &tracer)
    })
}

fn call_frame(traced: &Traced<GethTrace>) -> &CallFrame {
    match traced.trace.as_ref().unwrap() {
        GethTrace::CallTracer(frame) => frame,
        other => panic!("another frame: {other:?}"),
    }
}

fn random_world(random: &mut StdRng) -> World {
    let mut world = World::new()
        .with_balance(BOB, 3 * ETHER)
        .with_balance(CONTRACT, ETHER)
        .with_balance(SPEND, ETHER)
        .with_code(CONTRACT, increment())
        .with_code(FORWARD, forward())
        .with_code(SPEND, spend())
        .with_code(CREATE, create())
        .with_code(REVERT, revert())
        .with_code(DESTRUCT, destruct())
        .with_code(DRAIN, drain());
    for index in 0..4 {
        world = world.with_balance(signer(index).address(), 2 * ETHER);
    }
    for (index, target) in [(0, SPEND), (1, CREATE), (2, DRAIN)] {
        if random.random_bool(0.5) {
            world = world.with_code(signer(index).address(), delegation_to(target));
        }
    }
    world.chain.protocol.gas_charge_floor_permille = random.random_range(0..600);
    world
}

fn random_block(random: &mut StdRng) -> Vec<RecoveredTransaction> {
    let targets = [
        CONTRACT, FORWARD, SPEND, CREATE, REVERT, DESTRUCT, DRAIN, SINK,
    ];
    let signers: Vec<Address> = (0..4).map(|index| signer(index).address()).collect();
    let mut senders = vec![ALICE, BOB];
    senders.extend(&signers);
    let mut nonces = vec![0; senders.len()];
    let mut transactions = Vec::new();
    for _ in 0..12 {
        let place = random.random_range(0..senders.len());
        let nonce: u64 = nonces[place];
        let to = match random.random_range(0..3) {
            0 => signers[random.random_range(0..signers.len())],
            _ => targets[random.random_range(0..targets.len())],
        };
        if random.random_range(0..6) == 0 {
            let authority = signer(random.random_range(0..4));
            let target = targets[random.random_range(0..targets.len())];
            let authorization = authorize(&authority, 0, target, 0);
            transactions.push(authorizing(senders[place], nonce, to, vec![authorization]));
        } else {
            let inner = targets[random.random_range(0..targets.len())];
            let wei = U256::from(random.random_range(0..2 * ETHER));
            let input = match to == FORWARD {
                true => forward_input(inner, wei),
                false => wei.to_be_bytes::<32>().into(),
            };
            let kind = match random.random_range(0..8) {
                0 => TxKind::Create,
                _ => TxKind::Call(to),
            };
            let mut call = transaction(kind, random.random_range(0..3), input);
            // Now and then a wrong one, which is charged.
            call.nonce = nonce + u64::from(random.random_range(0..12) == 0);
            call.value = U256::from(random.random_range(0..ETHER));
            transactions.push(sent_by(senders[place], call));
        }
        nonces[place] = nonce + 1;
    }
    transactions
}

#[test]
fn traces_of_random_blocks_equal_their_receipts() {
    let (mut failed, mut charged) = (0, 0);
    for seed in 0..SEEDS {
        let mut random = StdRng::seed_from_u64(seed);
        let world = random_world(&mut random);
        let transactions = random_block(&mut random);
        let executed = world.execute(&transactions, &[]);
        let frames = geth(&world, &transactions, r#"{"tracer":"callTracer"}"#);
        let steps = geth(&world, &transactions, "{}");
        let mux = r#"{"tracer":"muxTracer","tracerConfig":{"callTracer":{},"prestateTracer":{}}}"#;
        let several = geth(&world, &transactions, mux);
        let types = [TraceType::Trace, TraceType::StateDiff, TraceType::VmTrace];
        let parity = trace(&world, &transactions, |block| {
            replay_block(block, &world.state, &HashSet::from(types))
        });
        assert_eq!(frames.len(), transactions.len());
        for (place, receipt) in executed.receipts.iter().enumerate() {
            assert_eq!(frames[place].receipt, *receipt, "seed={seed} place={place}");
            assert_eq!(steps[place].receipt, *receipt, "seed={seed} place={place}");
            assert_eq!(several[place].receipt, *receipt);
            assert_eq!(parity[place].receipt, *receipt);
            if frames[place].trace.is_err() {
                charged += 1;
                let faults = &executed.inclusion_faults;
                assert!(faults.iter().any(|fault| fault.index == place));
                continue;
            }
            let frame = call_frame(&frames[place]);
            assert_eq!(frame.gas_used, U256::from(receipt.gas_used));
            assert_eq!(
                frame.error.is_none(),
                receipt.is_success(),
                "seed={seed} place={place}: {frame:?}"
            );
            let Ok(GethTrace::Default(frame)) = &steps[place].trace else {
                panic!("steps");
            };
            assert_eq!(frame.failed, !receipt.is_success());
            assert_eq!(frame.gas, receipt.gas_used);
            failed += u64::from(frame.failed);
        }
    }
    assert!(failed > SEEDS && charged > SEEDS / 4, "{failed} {charged}");
}

#[test]
fn a_transaction_is_traced_where_it_was() {
    let world = World::new().with_code(CONTRACT, increment());
    let call = |nonce| {
        let mut call = transaction(TxKind::Call(CONTRACT), 0, Bytes::new());
        call.nonce = nonce;
        sent_by(ALICE, call)
    };
    let transactions = [call(0), call(1), call(2)];
    let directives = [Directive::SetStorage(CONTRACT, U256::ZERO, U256::from(40))];
    let mut world = world;
    world.chain.protocol.dev = true;
    let environment = world.environment.clone();
    let input = ExecutionInput::new(&world.chain, environment, &transactions, &directives);
    let block = TraceBlock {
        input: &input,
        hash: None,
        wanted: 2..3,
        limits: limits(),
    };
    let options = r#"{"tracer":"prestateTracer","tracerConfig":{"diffMode":true}}"#;
    let traced = trace_block(&block, &world.state, &tracer(options)).unwrap();
    let [only] = traced.as_slice() else {
        panic!("one trace");
    };
    let Ok(GethTrace::PreStateTracer(PreStateFrame::Diff(diff))) = &only.trace else {
        panic!("a diff: {:?}", only.trace);
    };
    let slot = B256::ZERO;
    assert_eq!(
        diff.pre[&CONTRACT].storage[&slot],
        B256::from(U256::from(42))
    );
    assert_eq!(
        diff.post[&CONTRACT].storage[&slot],
        B256::from(U256::from(43))
    );
    assert_eq!(diff.pre[&ALICE].nonce, Some(2));
    assert!(diff.post.contains_key(&PROPOSER), "its fee is a change");
}

#[test]
fn a_broken_reserve_is_told() {
    let delegated = signer(0).address();
    let world = World::new()
        .with_balance(delegated, 2 * ETHER)
        .with_code(DRAIN, drain())
        .with_code(delegated, delegation_to(DRAIN));
    let call = sent_by(ALICE, transaction(TxKind::Call(delegated), 0, Bytes::new()));
    let options = r#"{"tracer":"callTracer","tracerConfig":{"withLog":true}}"#;
    let traced = geth(&world, &[call], options);
    assert!(!traced[0].receipt.is_success());
    let frame = call_frame(&traced[0]);
    assert_eq!(frame.error.as_deref(), Some("execution reverted"));
    let reason = frame.revert_reason.as_deref().unwrap();
    assert!(reason.contains("below its reserve"), "{reason}");
    assert_eq!(frame.calls.len(), 1, "what it tried is there to see");
}

#[test]
fn a_creation_in_a_delegated_name_is_seen_and_refused() {
    let delegated = signer(0).address();
    let world = World::new()
        .with_balance(delegated, 2 * ETHER)
        .with_code(CREATE, create())
        .with_code(delegated, delegation_to(CREATE));
    let call = sent_by(ALICE, transaction(TxKind::Call(delegated), 0, Bytes::new()));
    let traced = geth(&world, &[call], r#"{"tracer":"callTracer"}"#);
    assert!(traced[0].receipt.is_success());
    let frame = call_frame(&traced[0]);
    let kinds: Vec<_> = frame.calls.iter().map(|call| call.typ.as_str()).collect();
    assert_eq!(kinds, ["CREATE", "CREATE2"], "{frame:?}");
    assert!(frame.calls.iter().all(|call| call.error.is_some()));
}

#[test]
fn limits_stop_a_trace() {
    // JUMPDEST PUSH0 JUMP: for ever.
    let endless = Bytes::from_static(&[0x5b, 0x5f, 0x56]);
    let world = World::new().with_code(CONTRACT, endless);
    let call = sent_by(ALICE, transaction(TxKind::Call(CONTRACT), 0, Bytes::new()));
    let transactions = [call];
    let input = ExecutionInput::new(&world.chain, world.environment.clone(), &transactions, &[]);
    let stopped = |options: &str, limits: TraceLimits| {
        let block = TraceBlock {
            input: &input,
            hash: None,
            wanted: 0..1,
            limits,
        };
        match trace_block(&block, &world.state, &tracer(options)) {
            Err(TraceError::Excess(excess)) => Some(excess),
            Err(other) => panic!("{other}"),
            Ok(_) => None,
        }
    };
    let few = TraceLimits {
        steps_max: 100,
        ..limits()
    };
    assert_eq!(stopped("{}", few.clone()), Some(TraceExcess::Steps(100)));
    assert_eq!(stopped(r#"{"limit":100}"#, few.clone()), None);
    assert_eq!(stopped(r#"{"tracer":"callTracer"}"#, few), None);
    let short = TraceLimits {
        bytes_max: 10_000,
        ..limits()
    };
    assert_eq!(stopped("{}", short), Some(TraceExcess::Bytes(10_000)));
    let late = TraceLimits {
        expired: Arc::new(|| true),
        ..limits()
    };
    let options = r#"{"tracer":"noopTracer"}"#;
    assert_eq!(stopped(options, late), Some(TraceExcess::Time));
}

#[test]
fn the_option_limit_leaves_out_later_steps() {
    let world = World::new().with_code(CONTRACT, increment());
    let call = sent_by(ALICE, transaction(TxKind::Call(CONTRACT), 0, Bytes::new()));
    let steps = |options: &str| -> DefaultFrame {
        let traced = geth(&world, std::slice::from_ref(&call), options);
        match traced.into_iter().next().unwrap().trace.unwrap() {
            GethTrace::Default(frame) => frame,
            other => panic!("{other:?}"),
        }
    };
    let all = steps("{}");
    assert!(all.struct_logs.len() > 8, "{all:?}");
    let some = steps(r#"{"limit":4}"#);
    assert_eq!(some.struct_logs, all.struct_logs[..4]);
    assert_eq!(some.gas, all.gas);
    let bare = steps(r#"{"disableStack":true,"disableStorage":true}"#);
    let has_none = |log: &&_| {
        let log: &alloy_rpc_types_trace::geth::StructLog = log;
        log.stack.is_none() && log.storage.is_none() && log.memory.is_none()
    };
    assert_eq!(
        bare.struct_logs.iter().filter(has_none).count(),
        all.struct_logs.len()
    );
}

#[test]
fn calls_build_on_each_other() {
    let world = World::new().with_code(CONTRACT, increment());
    let request = CallRequest {
        from: Some(ALICE),
        to: Some(CONTRACT),
        ..CallRequest::default()
    };
    let overrides = Overrides::default();
    let calls = TraceCalls {
        scene: world.scene(&overrides),
        limits: limits(),
    };
    let types = HashSet::from([TraceType::StateDiff]);
    let requests = [(request.clone(), types.clone()), (request.clone(), types)];
    let traced = replay_calls(&calls, &requests).unwrap();
    let values: Vec<_> = traced
        .iter()
        .map(|traced| {
            let diff = traced.state_diff.as_ref().unwrap();
            let delta = &diff[&CONTRACT].storage[&B256::ZERO];
            serde_json::to_value(delta).unwrap().to_string()
        })
        .collect();
    assert!(
        values[0].contains("01\"}") && values[1].contains("02\"}"),
        "{values:?}"
    );
    let frame = trace_call(&calls, &request, &tracer("{}")).unwrap();
    let GethTrace::Default(frame) = frame else {
        panic!("steps");
    };
    assert!(!frame.failed);
}

#[test]
fn the_console_is_heard() {
    // Calls the console with the first word of its input.
    let code = [
        &[0x5f, 0x35, 0x5f, 0x52, 0x5f, 0x5f, 0x60, 0x20, 0x5f, 0x73],
        CONSOLE.as_slice(),
        &[0x5a, 0xfa, 0x00],
    ]
    .concat();
    let world = World::new().with_code(CONTRACT, code.into());
    let word = Bytes::from(U256::from(7).to_be_bytes::<32>());
    let call = sent_by(ALICE, transaction(TxKind::Call(CONTRACT), 0, word.clone()));
    let lines = trace(&world, &[call], |block| console_lines(block, &world.state));
    assert_eq!(lines[0].trace, Ok(vec![word]));
}
