//! Reading a contract by form: its functions that change nothing, called on the newest state.
//!
//! ```text
//! POST /address/0x…/abi    abi                        remembered, where only this machine reaches a development chain
//! POST /address/0x…/call   function, arg0, arg1, …    abi too, where none is remembered: nothing is kept
//!            ─coerce─▶ arguments ─▶ executor ─▶ output ─▶ fields
//! ```
//! Everything posted is bounded by `FORM_BYTES_MAX`, a call by [`CALL_GAS`]. A wrong argument is the page's to say,
//! not an error of the node.

use super::{
    abi::{Abi, AbiError},
    decode::{self, Field},
    frame::{self, Frame, Page, render},
    html::{self, Html},
    token,
    transaction::{self, Raw},
    visit::Visit,
};
use crate::{backend::Backend, error::RpcError, eth::call};
use alloy_dyn_abi::{DynSolValue, JsonAbiExt as _, Specifier as _};
use alloy_json_abi::Function;
use alloy_primitives::{Address, Selector};
use askama::{Template, filters::HtmlSafe};
use executor::CallStatus;
use std::sync::Arc;

/// Gas of one call by form.
const CALL_GAS: u64 = 20_000_000;
/// Functions with a form.
const FORMS_MAX: usize = 128;

/// What the page of an account shows of its contract.
#[derive(Template)]
#[template(path = "part_contract.html")]
pub(super) struct ContractPart {
    address: Address,
    /// Whether an ABI would be remembered.
    is_remembering: bool,
    counts: Option<(usize, usize, usize)>,
    forms: Vec<Form>,
    /// What a browser sends with each call, where nothing is remembered.
    carried: String,
}

// It was escaped when it was rendered itself.
impl HtmlSafe for ContractPart {}

/// A function that can be called.
struct Form {
    selector: Selector,
    signature: String,
    inputs: Vec<(String, String)>,
    outputs: String,
}

impl Form {
    fn new(function: &Function) -> Self {
        let inputs = function.inputs.iter();
        let outputs = function.outputs.iter();
        let outputs: Vec<_> = outputs.map(|output| output.ty.clone()).collect();
        Self {
            selector: function.selector(),
            signature: function.name.clone(),
            inputs: inputs
                .map(|input| (input.name.clone(), input.ty.clone()))
                .collect(),
            outputs: outputs.join(", "),
        }
    }
}

#[derive(Template)]
#[template(path = "call.html")]
struct CallPage {
    frame: Frame,
    address: Html,
    name: String,
    result: CallResult,
}

/// How a call ended.
#[derive(Template)]
#[template(path = "part_call.html")]
struct CallResult {
    /// What was called.
    signature: String,
    fields: Option<Vec<Field>>,
    raw: Raw,
    gas_used: u64,
    problem: Option<String>,
}

impl HtmlSafe for CallResult {}

/// The functions of a contract whose ABI is remembered, or a place to give one.
pub(super) fn part(backend: &Backend, address: &Address, is_local: bool) -> ContractPart {
    let abi = backend.explorer.abis.of(address);
    contract_part(
        address,
        abi.as_deref(),
        is_local && backend.dev.is_some(),
        "",
    )
}

fn contract_part(
    address: &Address,
    abi: Option<&Abi>,
    is_remembering: bool,
    carried: &str,
) -> ContractPart {
    let views = abi.into_iter().flat_map(Abi::views).take(FORMS_MAX);
    ContractPart {
        address: *address,
        is_remembering,
        counts: abi.map(Abi::counts),
        forms: views.map(Form::new).collect(),
        carried: carried.to_owned(),
    }
}

#[derive(Template)]
#[template(path = "contract.html")]
struct ContractPage {
    frame: Frame,
    address: Html,
    problem: Option<String>,
    contract: ContractPart,
}

/// Takes an ABI, and remembers it where that is allowed.
pub(super) fn upload(backend: &Arc<Backend>, visit: &Visit) -> Result<Page, RpcError> {
    let Ok(address) = visit.argument.parse::<Address>() else {
        return frame::absent(backend, "account", &visit.argument);
    };
    let is_remembering = visit.is_local && backend.dev.is_some();
    let text = visit.field("abi");
    let abi = Abi::parse(text);
    let abi = match (abi, is_remembering) {
        (Ok(abi), true) => backend.explorer.abis.insert(address, abi),
        (Ok(abi), false) => Ok(Arc::new(abi)),
        (Err(error), _) => Err(error),
    };
    if is_remembering && abi.is_ok() {
        return Ok(Page::elsewhere(format!("/address/{address}#contract")));
    }
    let problem = abi.as_ref().err().map(AbiError::to_string);
    let status = if problem.is_some() { 400 } else { 200 };
    let abi = abi.ok();
    let carried = if abi.is_some() { text } else { "" };
    let contract = contract_part(&address, abi.as_deref(), is_remembering, carried);
    Page::with_status(
        status,
        &ContractPage {
            frame: Frame::new(backend, "", format!("Contract {address}")),
            address: html::address(&address),
            problem,
            contract,
        },
    )
}

/// Calls a function and shows what it returned.
pub(super) fn call(backend: &Arc<Backend>, visit: &Visit) -> Result<Page, RpcError> {
    let Ok(address) = visit.argument.parse::<Address>() else {
        return frame::absent(backend, "account", &visit.argument);
    };
    let (name, result) = match run(backend, &address, visit)? {
        Ok((name, result)) => (name, result),
        Err(problem) => (String::new(), CallResult::refused(problem)),
    };
    let status = if result.problem.is_some() { 400 } else { 200 };
    if visit.is_partial {
        // A part is swapped into the page that asked, whatever it says.
        return Ok(Page {
            status: 200,
            html: render(&result)?,
            location: None,
        });
    }
    Page::with_status(
        status,
        &CallPage {
            frame: Frame::new(backend, "", format!("Call {name}")),
            address: html::address(&address),
            name,
            result,
        },
    )
}

type Ran = Result<(String, CallResult), String>;

/// What came of a call; what is wrong with the form is not an error of the node.
fn run(backend: &Backend, address: &Address, visit: &Visit) -> Result<Ran, RpcError> {
    let abi = match backend.explorer.abis.of(address) {
        Some(abi) => Ok(abi),
        None => Abi::parse(visit.field("abi")).map(Arc::new),
    };
    let abi = match abi {
        Ok(abi) => abi,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let function = visit.field("function").parse::<Selector>().ok();
    let Some(function) =
        function.and_then(|selector| abi.views().find(|view| view.selector() == selector))
    else {
        return Ok(Err("the contract's ABI has no such function".to_owned()));
    };
    let input = match arguments(function, visit).map(|values| function.abi_encode_input(&values)) {
        Ok(Ok(input)) => input,
        Ok(Err(error)) => return Ok(Err(error.to_string())),
        Err(problem) => return Ok(Err(problem)),
    };
    let outcome = call::view(backend, *address, input.into(), CALL_GAS)?;
    let problem = match outcome.status {
        CallStatus::Success => None,
        CallStatus::Reverted => {
            let reason = transaction::reason(backend, Some(*address), &outcome.output);
            Some(format!(
                "reverted: {}",
                reason.unwrap_or_else(|| "without a reason".to_owned())
            ))
        }
        CallStatus::Halted { reason } => Some(reason),
    };
    let fields = match problem {
        None => decode::output(function, &outcome.output),
        Some(_) => None,
    };
    let result = CallResult {
        signature: function.signature(),
        fields,
        raw: Raw::new(&outcome.output),
        gas_used: outcome.gas_used,
        problem,
    };
    Ok(Ok((function.name.clone(), result)))
}

impl CallResult {
    fn refused(problem: String) -> Self {
        Self {
            signature: String::new(),
            fields: None,
            raw: Raw::new(&[]),
            gas_used: 0,
            problem: Some(problem),
        }
    }
}

/// The arguments that a form has, as the function takes them.
fn arguments(function: &Function, visit: &Visit) -> Result<Vec<DynSolValue>, String> {
    let mut values = Vec::with_capacity(function.inputs.len());
    for (place, input) in function.inputs.iter().enumerate() {
        let text = visit.field(&format!("arg{place}"));
        let kind = input.resolve().map_err(|error| error.to_string())?;
        let value = kind.coerce_str(text).map_err(|_| {
            let shown = token::plain(text);
            format!(
                "argument {} ({}): {shown:?} is no {}",
                place + 1,
                input.name,
                input.ty
            )
        })?;
        values.push(value);
    }
    Ok(values)
}
