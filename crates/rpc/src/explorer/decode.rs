//! Calls, logs and errors in words: with an uploaded ABI, or with what is [`known`].
//!
//! ```text
//! input ─selector─▶ function ─┐
//! log ─topic, count─▶ event  ─┼▶ types ─▶ values ─▶ fields: name, type, text
//! revert ─selector─▶ error   ─┘
//! ```
//! Encoded arrays may all point to the same bytes, so that little input decodes to much: the deeper the types are
//! nested, the fewer bytes are decoded ([`bytes_max`]). A text is cut after [`TEXT_BYTES_MAX`], a list after
//! [`ITEMS_MAX`] items. What can't be decoded is shown raw.

use super::{
    abi::Abi,
    format,
    html::{self, Html},
    known,
};
use alloy_dyn_abi::{DynSolType, DynSolValue, EventExt as _, JsonAbiExt as _, Specifier as _};
use alloy_json_abi::{Event, Function, Param};
use alloy_primitives::{Log, LogData, Selector, hex};

/// Longest text of one value, in bytes.
const TEXT_BYTES_MAX: usize = 2_048;
/// Items of one list that are shown.
const ITEMS_MAX: usize = 64;

/// A call, a log or an error.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) name: String,
    pub(super) signature: String,
    pub(super) fields: Vec<Field>,
}

/// One value.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) text: String,
    /// Instead of the text, if it leads somewhere.
    pub(super) link: Option<Html>,
}

/// The name of the function that an input calls, or its selector.
pub(super) fn method_name(abi: Option<&Abi>, input: &[u8]) -> String {
    let Some(selector) = selector(input) else {
        return hex::encode_prefixed(input);
    };
    let uploaded = abi.and_then(|abi| abi.function(&selector));
    match uploaded.or_else(|| known::function(&selector)) {
        Some(function) => function.name.clone(),
        None => selector.to_string(),
    }
}

fn selector(input: &[u8]) -> Option<Selector> {
    input.first_chunk::<4>().map(|bytes| Selector::from(*bytes))
}

/// A call.
pub(super) fn call(abi: Option<&Abi>, input: &[u8]) -> Option<Decoded> {
    let selector = selector(input)?;
    let uploaded = abi.and_then(|abi| abi.function(&selector));
    let function = uploaded.or_else(|| known::function(&selector))?;
    let values = decodable(&function.inputs, input)?;
    let values = function.abi_decode_input(values.get(4..)?).ok()?;
    Some(Decoded {
        name: function.name.clone(),
        signature: function.signature(),
        fields: fields(&function.inputs, &values),
    })
}

/// What a function returned.
pub(super) fn output(function: &Function, output: &[u8]) -> Option<Vec<Field>> {
    use alloy_dyn_abi::FunctionExt as _;
    let values = function
        .abi_decode_output(decodable(&function.outputs, output)?)
        .ok()?;
    Some(fields(&function.outputs, &values))
}

/// The text that a function returned.
pub(super) fn string(function: &Function, output: &[u8]) -> Option<String> {
    use alloy_dyn_abi::FunctionExt as _;
    let bytes = decodable(&function.outputs, output)?;
    let values = function.abi_decode_output(bytes).ok()?;
    match values.into_iter().next()? {
        DynSolValue::String(text) => Some(text),
        _ => None,
    }
}

/// The error that a contract reverted with, if its ABI has it.
pub(super) fn error(abi: Option<&Abi>, output: &[u8]) -> Option<Decoded> {
    let error = abi?.error(&selector(output)?)?;
    let values = error
        .abi_decode_input(decodable(&error.inputs, output)?.get(4..)?)
        .ok()?;
    Some(Decoded {
        name: error.name.clone(),
        signature: error.signature(),
        fields: fields(&error.inputs, &values),
    })
}

/// A log.
pub(super) fn log(abi: Option<&Abi>, log: &Log) -> Option<Decoded> {
    let topics = log.topics();
    let first = topics.first()?;
    let uploaded = abi.and_then(|abi| abi.event(first, topics.len()));
    let event = uploaded.or_else(|| known::event(first, topics.len()))?;
    event_of(event, &log.data)
}

fn event_of(event: &Event, log: &LogData) -> Option<Decoded> {
    let kinds: Option<Vec<_>> = event
        .inputs
        .iter()
        .map(|input| input.resolve().ok())
        .collect();
    if log.data.len() > bytes_max(&kinds?) {
        return None;
    }
    let decoded = event.decode_log(log).ok()?;
    let (mut indexed, mut body) = (decoded.indexed.iter(), decoded.body.iter());
    let mut fields = Vec::with_capacity(event.inputs.len());
    for input in &event.inputs {
        let value = if input.indexed {
            indexed.next()?
        } else {
            body.next()?
        };
        fields.push(field(&input.name, &input.ty, value));
    }
    Some(Decoded {
        name: event.name.clone(),
        signature: event.signature(),
        fields,
    })
}

/// The bytes, if decoding them as these parameters takes no more memory than it should.
fn decodable<'a>(params: &[Param], bytes: &'a [u8]) -> Option<&'a [u8]> {
    let kinds: Option<Vec<_>> = params.iter().map(|param| param.resolve().ok()).collect();
    (bytes.len() <= bytes_max(&kinds?)).then_some(bytes)
}

/// How many bytes are decoded: `n` bytes with `d` levels of pointers can mean `n^d` bytes.
fn bytes_max(kinds: &[DynSolType]) -> usize {
    match kinds.iter().map(pointers).max().unwrap_or(0) {
        0 | 1 => 128 * 1_024,
        2 => 16 * 1_024,
        _ => 2 * 1_024,
    }
}

fn pointers(kind: &DynSolType) -> usize {
    match kind {
        DynSolType::Bytes | DynSolType::String => 1,
        DynSolType::Array(inner) => 1 + pointers(inner),
        DynSolType::FixedArray(inner, _) => pointers(inner) + usize::from(pointers(inner) > 0),
        DynSolType::Tuple(inner) => inner.iter().map(pointers).max().unwrap_or(0),
        _ => 0,
    }
}

fn fields(params: &[Param], values: &[DynSolValue]) -> Vec<Field> {
    let pairs = params.iter().zip(values);
    pairs
        .map(|(param, value)| field(&param.name, &param.ty, value))
        .collect()
}

fn field(name: &str, kind: &str, value: &DynSolValue) -> Field {
    let link = match value {
        DynSolValue::Address(address) => Some(html::address(address)),
        _ => None,
    };
    Field {
        name: name.to_owned(),
        kind: kind.to_owned(),
        text: shorten(&text(value)),
        link,
    }
}

fn shorten(text: &str) -> String {
    match format::cut(text, TEXT_BYTES_MAX) {
        (text, false) => text.to_owned(),
        (text, true) => format!("{text} …"),
    }
}

/// A value as Solidity would write it, more or less.
fn text(value: &DynSolValue) -> String {
    match value {
        DynSolValue::Bool(value) => value.to_string(),
        DynSolValue::Int(value, _) => value.to_string(),
        DynSolValue::Uint(value, _) => value.to_string(),
        DynSolValue::FixedBytes(word, size) => {
            hex::encode_prefixed(word.get(..*size).unwrap_or_default())
        }
        DynSolValue::Address(address) => address.to_string(),
        DynSolValue::Function(function) => function.to_string(),
        DynSolValue::Bytes(bytes) => {
            hex::encode_prefixed(bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes))
        }
        DynSolValue::String(text) => format!("{:?}", shorten(text)),
        DynSolValue::Array(items) | DynSolValue::FixedArray(items) => {
            format!("[{}]", list(items))
        }
        DynSolValue::Tuple(items) => format!("({})", list(items)),
        DynSolValue::CustomStruct { tuple, .. } => format!("({})", list(tuple)),
    }
}

fn list(items: &[DynSolValue]) -> String {
    let mut shown: Vec<_> = items.iter().take(ITEMS_MAX).map(text).collect();
    if items.len() > ITEMS_MAX {
        shown.push(format!("… {} more", items.len() - ITEMS_MAX));
    }
    shorten(&shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, Bytes, U256, address, b256};

    #[test]
    fn a_transfer_is_told() {
        let to = Address::repeat_byte(0x22);
        let mut input = hex!("a9059cbb").to_vec();
        input.extend_from_slice(&to.into_word().0);
        input.extend_from_slice(&U256::from(7).to_be_bytes::<32>());
        let decoded = call(None, &input).unwrap();
        assert_eq!(decoded.signature, "transfer(address,uint256)");
        assert_eq!(decoded.fields[1].text, "7");
        assert!(decoded.fields[0].link.is_some());
        assert_eq!(method_name(None, &input), "transfer");
        assert_eq!(method_name(None, &hex!("12345678")), "0x12345678");
        assert_eq!(method_name(None, &hex!("12")), "0x12");
        assert!(call(None, &input[..40]).is_none(), "cut off");
    }

    #[test]
    fn little_input_does_not_become_much() {
        // All items of the list point to one long piece of bytes.
        let items = 400_usize;
        let mut input = hex!("ac9650d8").to_vec();
        let word = |number: usize| U256::from(number).to_be_bytes::<32>();
        input.extend_from_slice(&word(32));
        input.extend_from_slice(&word(items));
        for _ in 0..items {
            input.extend_from_slice(&word(items * 32));
        }
        input.extend_from_slice(&word(100_000));
        input.extend_from_slice(&vec![7; 100_000]);
        assert!(call(None, &input).is_none());
        let nested = DynSolType::parse("bytes[][][]").unwrap();
        assert_eq!(pointers(&nested), 4);
        assert_eq!(bytes_max(&[nested]), 2_048);
    }

    #[test]
    fn logs_of_coins_and_collections() {
        let topic = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
        let party = address!("1111111111111111111111111111111111111111").into_word();
        let number = U256::from(9).to_be_bytes::<32>();
        let coin = Log {
            address: Address::ZERO,
            data: LogData::new_unchecked(vec![topic, party, party], Bytes::from(number)),
        };
        assert_eq!(log(None, &coin).unwrap().fields[2].name, "value");
        let item = Log {
            address: Address::ZERO,
            data: LogData::new_unchecked(vec![topic, party, party, number.into()], Bytes::new()),
        };
        assert_eq!(log(None, &item).unwrap().fields[2].text, "9");
        let odd = Log {
            address: Address::ZERO,
            data: LogData::new_unchecked(vec![topic], Bytes::new()),
        };
        assert!(log(None, &odd).is_none());
    }
}
