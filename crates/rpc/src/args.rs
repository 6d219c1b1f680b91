//! Positional parameters, with geth's messages for what is wrong with them.
//!
//! A missing trailing argument and `null` are the same: both read as `None` where the type allows
//! it, and are refused where it does not.

use crate::error::RpcError;
use jsonrpsee::{core::JsonRawValue, types::Params};
use serde::de::DeserializeOwned;

const NULL: &str = "null";

/// The arguments of one call.
#[derive(Debug)]
pub(crate) struct Args {
    values: Vec<Box<JsonRawValue>>,
}

impl Args {
    /// Splits the parameters of a call into its arguments.
    pub(crate) fn parse(params: &Params<'_>) -> Result<Self, RpcError> {
        let text = params.as_str().unwrap_or(NULL);
        if text == NULL || text.is_empty() {
            return Ok(Self { values: Vec::new() });
        }
        if !text.starts_with('[') {
            return Err(RpcError::ArgumentsNotArray);
        }
        let values = serde_json::from_str(text).map_err(|_| RpcError::ArgumentsNotArray)?;
        Ok(Self { values })
    }

    /// No argument at all.
    pub(crate) fn none(&self) -> Result<(), RpcError> {
        self.at_most(0)
    }

    /// The only argument.
    pub(crate) fn one<A: DeserializeOwned>(&self) -> Result<A, RpcError> {
        self.at_most(1)?;
        self.get(0)
    }

    /// Both arguments.
    pub(crate) fn two<A, B>(&self) -> Result<(A, B), RpcError>
    where
        A: DeserializeOwned,
        B: DeserializeOwned,
    {
        self.at_most(2)?;
        Ok((self.get(0)?, self.get(1)?))
    }

    /// All three arguments.
    pub(crate) fn three<A, B, C>(&self) -> Result<(A, B, C), RpcError>
    where
        A: DeserializeOwned,
        B: DeserializeOwned,
        C: DeserializeOwned,
    {
        self.at_most(3)?;
        Ok((self.get(0)?, self.get(1)?, self.get(2)?))
    }

    /// The argument at a position.
    pub(crate) fn get<T: DeserializeOwned>(&self, index: usize) -> Result<T, RpcError> {
        let text = self.values.get(index).map_or(NULL, |value| value.get());
        serde_json::from_str(text).map_err(|error| match text {
            NULL => RpcError::ArgumentMissing(index),
            _ => RpcError::ArgumentInvalid {
                index,
                problem: error.to_string(),
            },
        })
    }

    /// Refuses more arguments than the method has.
    pub(crate) fn at_most(&self, max: usize) -> Result<(), RpcError> {
        if self.values.len() > max {
            return Err(RpcError::ArgumentsTooMany(max));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Args, RpcError> {
        Args::parse(&Params::new(Some(text)))
    }

    #[test]
    fn missing_and_null_are_the_same() {
        for text in ["[1]", "[1,null]"] {
            let args = parse(text).unwrap();
            assert_eq!(args.two::<u64, Option<u64>>().unwrap(), (1, None));
            let error = args.two::<u64, u64>().unwrap_err();
            assert_eq!(
                error.to_string(),
                "missing value for required argument 1",
                "{text}"
            );
        }
        assert!(
            Args::parse(&Params::new(None))
                .unwrap()
                .one::<Option<u64>>()
                .is_ok()
        );
    }

    #[test]
    fn wrong_arguments_say_which() {
        let error = parse(r#"[1,"x"]"#).unwrap().two::<u64, u64>().unwrap_err();
        assert!(
            error.to_string().starts_with("invalid argument 1: "),
            "{error}"
        );
        let error = parse("[1,2,3]").unwrap().two::<u64, u64>().unwrap_err();
        assert_eq!(error.to_string(), "too many arguments, want at most 2");
        assert_eq!(
            parse(r#"{"a":1}"#).unwrap_err().to_string(),
            "non-array args"
        );
    }
}
