//! Tokens: what they say of themselves, and their transfers in logs.
//!
//! Name, symbol and decimals are asked of the contract, each with at most [`QUESTION_GAS`], and remembered for
//! [`TOKENS_MAX`] contracts; they are the contract's own words, so they are cut, and what would change the order of
//! letters around them is taken out. A contract that answers as a token does is shown as one.

use super::{decode, format, known};
use crate::{backend::Backend, error::RpcError, eth::call};
use alloy_dyn_abi::{DynSolValue, JsonAbiExt as _};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, Log, U256, b256, fixed_bytes};
use executor::CallStatus;
use state::StateReader as _;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Gas of one question.
pub(super) const QUESTION_GAS: u64 = 500_000;
/// Contracts of which it is remembered whether they are tokens.
const TOKENS_MAX: usize = 1_024;
/// Letters shown of a name.
const NAME_LETTERS_MAX: usize = 48;
/// `Transfer(address,address,uint256)`.
pub(super) const TRANSFER: B256 =
    b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// What ERC-165 calls ERC-721.
const COLLECTION: FixedBytes<4> = fixed_bytes!("80ac58cd");

/// What a token says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) name: String,
    pub(super) symbol: String,
    pub(super) decimals: u8,
    /// Whether its tokens are items with numbers (ERC-721).
    pub(super) is_collection: bool,
}

impl Token {
    /// An amount of it, or one item.
    pub(super) fn amount(&self, amount: U256) -> String {
        match self.is_collection {
            true => format!("#{amount}"),
            false => format::units(amount, self.decimals),
        }
    }
}

/// What contracts said of themselves; none for one that is no token.
type Asked = BTreeMap<Address, Option<Arc<Token>>>;

/// Tokens that were asked.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<Asked>);

/// What a contract says of itself; none if it is no token, or can't be asked now.
pub(super) fn token(backend: &Backend, address: &Address) -> Option<Arc<Token>> {
    let tokens = || {
        let tokens = &backend.explorer.tokens.0;
        tokens.lock().unwrap_or_else(PoisonError::into_inner)
    };
    if let Some(known) = tokens().get(address) {
        return known.clone();
    }
    // Not remembered: there may be code later.
    let account = backend.latest_state().ok()?.account(address).ok()??;
    if !account.has_code() {
        return None;
    }
    let token = ask(backend, address).ok()?.map(Arc::new);
    let mut tokens = tokens();
    if tokens.len() >= TOKENS_MAX {
        tokens.clear();
    }
    tokens.insert(*address, token.clone());
    token
}

fn ask(backend: &Backend, address: &Address) -> Result<Option<Token>, RpcError> {
    let is_collection = question(backend, address, "supportsInterface", &[interface()])?;
    let is_collection = is_collection.is_some_and(|answer| answer == word(1));
    let symbol = question(backend, address, "symbol", &[])?.and_then(text);
    let decimals = question(backend, address, "decimals", &[])?;
    let decimals = decimals.and_then(|answer| u8::try_from(number(&answer)?).ok());
    let Some(symbol) = symbol.filter(|_| is_collection || decimals.is_some()) else {
        return Ok(None);
    };
    let name = question(backend, address, "name", &[])?.and_then(text);
    Ok(Some(Token {
        name: name.unwrap_or_default(),
        symbol,
        decimals: decimals.unwrap_or_default(),
        is_collection,
    }))
}

fn interface() -> DynSolValue {
    DynSolValue::FixedBytes(B256::right_padding_from(COLLECTION.as_slice()), 4)
}

/// How much of a token there is.
pub(super) fn supply(backend: &Backend, address: &Address) -> Result<Option<U256>, RpcError> {
    let answer = question(backend, address, "totalSupply", &[])?;
    Ok(answer.and_then(|answer| number(&answer)))
}

/// How much of a token somebody has.
pub(super) fn balance(
    backend: &Backend,
    address: &Address,
    owner: &Address,
) -> Result<Option<U256>, RpcError> {
    let answer = question(backend, address, "balanceOf", &[(*owner).into()])?;
    Ok(answer.and_then(|answer| number(&answer)))
}

/// What a contract answers; none if it fails.
fn question(
    backend: &Backend,
    address: &Address,
    name: &str,
    arguments: &[DynSolValue],
) -> Result<Option<Bytes>, RpcError> {
    let Some(function) = known::named(name) else {
        return Ok(None);
    };
    let Ok(input) = function.abi_encode_input(arguments) else {
        return Ok(None);
    };
    let outcome = call::view(backend, *address, input.into(), QUESTION_GAS)?;
    Ok(match outcome.status {
        CallStatus::Success => Some(outcome.output),
        CallStatus::Reverted | CallStatus::Halted { .. } => None,
    })
}

fn word(number: u64) -> Bytes {
    U256::from(number).to_be_bytes::<32>().into()
}

fn number(answer: &Bytes) -> Option<U256> {
    answer
        .first_chunk::<32>()
        .map(|word| U256::from_be_bytes(*word))
}

/// A text, as it is encoded now or in 32 bytes, as it once was.
fn text(answer: Bytes) -> Option<String> {
    let decoded = known::named("symbol").and_then(|function| decode::string(function, &answer));
    let text = match decoded {
        Some(text) => text,
        None => {
            let word = answer.first_chunk::<32>().filter(|_| answer.len() == 32)?;
            let end = word
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(word.len());
            String::from_utf8(word.get(..end)?.to_vec()).ok()?
        }
    };
    let text = plain(&text);
    (!text.is_empty()).then_some(text)
}

/// A text without what would move other letters, and not long.
pub(super) fn plain(text: &str) -> String {
    let is_plain = |letter: &char| {
        !letter.is_control()
            && !matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let letters = text.chars().filter(is_plain).take(NAME_LETTERS_MAX);
    letters.collect::<String>().trim().to_owned()
}

/// A token that changed hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) token: Address,
    pub(super) from: Address,
    pub(super) to: Address,
    /// Or the number of the item.
    pub(super) amount: U256,
    pub(super) is_item: bool,
}

impl Transfer {
    /// What a log tells of a transfer of coins (ERC-20) or of an item (ERC-721).
    pub(super) fn of(log: &Log) -> Option<Self> {
        let (amount, is_item) = match log.topics() {
            [_, _, _, item] => (U256::from_be_bytes(item.0), true),
            [_, _, _] => (number(&log.data.data)?, false),
            _ => return None,
        };
        let [topic, from, to, ..] = log.topics() else {
            return None;
        };
        (*topic == TRANSFER).then(|| Self {
            token: log.address,
            from: Address::from_word(*from),
            to: Address::from_word(*to),
            amount,
            is_item,
        })
    }

    /// How much of what.
    pub(super) fn amount(&self, backend: &Backend) -> (String, String) {
        let token = token(backend, &self.token);
        let amount = match (&token, self.is_item) {
            (_, true) => format!("#{}", self.amount),
            (Some(token), false) => token.amount(self.amount),
            (None, false) => self.amount.to_string(),
        };
        (
            amount,
            token.map_or_else(String::new, |token| token.symbol.clone()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::LogData;

    #[test]
    fn names_keep_to_their_place() {
        assert_eq!(plain("a\u{202e}b\nc\u{200f}"), "abc");
        assert_eq!(plain(&"x".repeat(1_000)).len(), NAME_LETTERS_MAX);
        assert_eq!(plain("<script>"), "<script>", "escaping is the template's");
    }

    #[test]
    fn texts_in_one_word() {
        let mut old = [0; 32];
        old[..3].copy_from_slice(b"MKR");
        assert_eq!(text(old.into()).as_deref(), Some("MKR"));
        assert_eq!(text([0; 32].into()), None);
        assert_eq!(text(Bytes::new()), None);
        assert_eq!(text([0xff; 32].into()), None);
    }

    #[test]
    fn transfers_of_coins_and_items() {
        let party = Address::repeat_byte(1).into_word();
        let log = |topics: Vec<B256>, bytes: Bytes| Log {
            address: Address::ZERO,
            data: LogData::new_unchecked(topics, bytes),
        };
        let coins = Transfer::of(&log(vec![TRANSFER, party, party], word(5))).unwrap();
        assert_eq!((coins.amount, coins.is_item), (U256::from(5), false));
        let item = vec![TRANSFER, party, party, U256::from(7).into()];
        assert!(Transfer::of(&log(item, Bytes::new())).unwrap().is_item);
        assert_eq!(
            Transfer::of(&log(vec![TRANSFER, party, party], Bytes::new())),
            None
        );
        assert_eq!(Transfer::of(&log(vec![party, party, party], word(5))), None);
        assert_eq!(Transfer::of(&log(vec![], Bytes::new())), None);
    }
}
