//! ABIs of contracts: read from JSON, and, on a development chain that only this machine reaches, remembered.
//!
//! ```text
//! JSON ─parse, check─▶ Abi ─┬▶ Uploads  in memory, by address; gone with the node
//!                           └▶ or only for the request that brought it
//! ```
//! Limits: [`ABI_BYTES_MAX`] of JSON, [`ITEMS_MAX`] functions, events and errors, types of [`TYPE_BYTES_MAX`] that
//! nest [`NESTING_MAX`] deep; [`UPLOADS_MAX`] ABIs are remembered, after which one has to be replaced.

use super::known;
use alloy_json_abi::{Error, Event, Function, JsonAbi, Param};
use alloy_primitives::{Address, B256, Selector};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Longest JSON, in bytes.
const ABI_BYTES_MAX: usize = 256 * 1_024;
/// Functions, events and errors of one ABI.
const ITEMS_MAX: usize = 1_024;
/// Longest name of a type.
const TYPE_BYTES_MAX: usize = 128;
/// Components within components.
const NESTING_MAX: usize = 8;
/// ABIs that are remembered.
const UPLOADS_MAX: usize = 64;

/// Why a text is not taken for an ABI.
#[derive(Debug, thiserror::Error)]
pub(super) enum AbiError {
    /// Too long.
    #[error("the ABI is too large: bytes={0} max={ABI_BYTES_MAX}")]
    TooLarge(usize),
    /// No ABI.
    #[error("not an ABI in JSON: {0}")]
    Malformed(String),
    /// Too many items.
    #[error("too many functions, events and errors: count={0} max={ITEMS_MAX}")]
    TooMany(usize),
    /// A type beyond the limits.
    #[error("a type of {0:?} is longer or deeper than types are taken")]
    TypeTooDeep(String),
    /// Enough are remembered.
    #[error("this node remembers {UPLOADS_MAX} ABIs already; restart it to forget them")]
    Full,
}

/// An ABI within the limits.
#[derive(Debug)]
pub(super) struct Abi(JsonAbi);

impl Abi {
    /// Reads an ABI: an array, or an object with an array named `abi`, as compilers write it.
    pub(super) fn parse(json: &str) -> Result<Self, AbiError> {
        if json.len() > ABI_BYTES_MAX {
            return Err(AbiError::TooLarge(json.len()));
        }
        let malformed = |error: serde_json::Error| AbiError::Malformed(error.to_string());
        let mut json: Value = serde_json::from_str(json).map_err(malformed)?;
        let json = json.get_mut("abi").map(Value::take).unwrap_or(json);
        let abi: JsonAbi = serde_json::from_value(json).map_err(malformed)?;
        let count = abi.functions().count() + abi.events().count() + abi.errors().count();
        if count > ITEMS_MAX {
            return Err(AbiError::TooMany(count));
        }
        check(&abi)?;
        Ok(Self(abi))
    }

    pub(super) fn function(&self, selector: &Selector) -> Option<&Function> {
        self.0
            .functions()
            .find(|function| function.selector() == *selector)
    }

    pub(super) fn event(&self, topic: &B256, topics: usize) -> Option<&Event> {
        let is_it = |event: &&Event| {
            !event.anonymous && event.selector() == *topic && known::topics(event) == topics
        };
        self.0.events().find(is_it)
    }

    pub(super) fn error(&self, selector: &Selector) -> Option<&Error> {
        self.0.errors().find(|error| error.selector() == *selector)
    }

    /// Functions that change nothing.
    pub(super) fn views(&self) -> impl Iterator<Item = &Function> {
        use alloy_json_abi::StateMutability::{Pure, View};
        let functions = self.0.functions();
        functions.filter(|function| matches!(function.state_mutability, View | Pure))
    }

    /// How many functions, events and errors there are.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let abi = &self.0;
        (
            abi.functions().count(),
            abi.events().count(),
            abi.errors().count(),
        )
    }
}

fn check(abi: &JsonAbi) -> Result<(), AbiError> {
    for function in abi.functions() {
        let params = function.inputs.iter().chain(&function.outputs);
        check_all(&function.name, params)?;
    }
    for error in abi.errors() {
        check_all(&error.name, error.inputs.iter())?;
    }
    for event in abi.events() {
        for input in &event.inputs {
            let is_long = input.ty.len() > TYPE_BYTES_MAX;
            let is_deep = input
                .components
                .iter()
                .any(|part| !is_small(part, NESTING_MAX));
            if is_long || is_deep {
                return Err(AbiError::TypeTooDeep(event.name.clone()));
            }
        }
    }
    Ok(())
}

fn check_all<'a>(name: &str, mut params: impl Iterator<Item = &'a Param>) -> Result<(), AbiError> {
    match params.all(|param| is_small(param, NESTING_MAX)) {
        true => Ok(()),
        false => Err(AbiError::TypeTooDeep(name.to_owned())),
    }
}

fn is_small(param: &Param, levels: usize) -> bool {
    let deeper = levels.checked_sub(1);
    param.ty.len() <= TYPE_BYTES_MAX
        && param.ty.matches('[').count() <= NESTING_MAX
        && match deeper {
            Some(levels) => param.components.iter().all(|part| is_small(part, levels)),
            None => param.components.is_empty(),
        }
}

/// The ABIs that are remembered.
#[derive(Debug, Default)]
pub(super) struct Uploads(Mutex<BTreeMap<Address, Arc<Abi>>>);

impl Uploads {
    pub(super) fn of(&self, address: &Address) -> Option<Arc<Abi>> {
        self.lock().get(address).map(Arc::clone)
    }

    pub(super) fn insert(&self, address: Address, abi: Abi) -> Result<Arc<Abi>, AbiError> {
        let abi = Arc::new(abi);
        let mut abis = self.lock();
        if abis.len() >= UPLOADS_MAX && !abis.contains_key(&address) {
            return Err(AbiError::Full);
        }
        abis.insert(address, Arc::clone(&abi));
        Ok(abi)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, Arc<Abi>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: &str = r#"[
        {"type":"function","name":"get","inputs":[],"outputs":[{"name":"","type":"uint256"}],"stateMutability":"view"},
        {"type":"function","name":"set","inputs":[{"name":"to","type":"uint256"}],"outputs":[],"stateMutability":"nonpayable"},
        {"type":"error","name":"Full","inputs":[]}]"#;

    #[test]
    fn an_abi_alone_or_in_an_artifact() {
        for json in [
            BOX.to_owned(),
            format!(r#"{{"abi":{BOX},"bytecode":"0x"}}"#),
        ] {
            let abi = Abi::parse(&json).unwrap();
            assert_eq!(abi.counts(), (2, 0, 1));
            assert_eq!(abi.views().count(), 1);
        }
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let deep = format!(
            r#"[{{"type":"function","name":"f","inputs":[{{"name":"","type":"uint256{}"}}],"outputs":[],"stateMutability":"view"}}]"#,
            "[]".repeat(20_000)
        );
        assert!(matches!(Abi::parse(&deep), Err(AbiError::TypeTooDeep(name)) if name == "f"));
        let long = " ".repeat(ABI_BYTES_MAX + 1);
        assert!(matches!(Abi::parse(&long), Err(AbiError::TooLarge(_))));
        assert!(matches!(Abi::parse("{}"), Err(AbiError::Malformed(_))));
        let item = r#"{"type":"error","name":"E","inputs":[]}"#;
        let many = format!("[{}]", vec![item; ITEMS_MAX + 1].join(","));
        assert!(matches!(Abi::parse(&many), Err(AbiError::TooMany(_))));
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let uploads = Uploads::default();
        for byte in 0..UPLOADS_MAX {
            let address = Address::repeat_byte(u8::try_from(byte).unwrap());
            uploads.insert(address, Abi::parse(BOX).unwrap()).unwrap();
        }
        let again = Address::repeat_byte(0);
        uploads.insert(again, Abi::parse(BOX).unwrap()).unwrap();
        let other = Address::repeat_byte(0xff);
        let error = uploads.insert(other, Abi::parse(BOX).unwrap()).unwrap_err();
        assert!(matches!(error, AbiError::Full));
        assert!(uploads.of(&other).is_none());
    }
}
