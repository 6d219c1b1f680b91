//! Four ways to serve a method, by what it costs.
//!
//! ```text
//! quick    reads memory, formats                    on the async worker
//! heavy    proves, recovers, scans                  on a blocking thread, bounded
//! code     runs contracts                          the same, but for one of the threads
//! waiting  waits for a block                        an async task
//! ```

use crate::{
    args::Args,
    backend::{Backend, run, run_code},
    error::RpcError,
    switch::Switch,
};
use jsonrpsee::{RpcModule, types::Params};
use serde::Serialize;
use std::{collections::BTreeMap, future::Future, sync::Arc};

const UNIQUE: &str = "every method is registered once";

/// A method that computes its answer where it is called.
type Method<T> = fn(&Backend, &Args) -> Result<T, RpcError>;

/// The methods being put together.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) module: RpcModule<Switch>,
    /// What is said of methods that do not just answer, for the list in the documentation.
    pub(crate) notes: BTreeMap<&'static str, Note>,
}

/// What is said of a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// It is another one.
    Same(&'static str),
    /// It answers this error.
    Refused(String),
}

impl Registry {
    pub(crate) fn new(switch: Switch) -> Self {
        Self {
            module: RpcModule::new(switch),
            notes: BTreeMap::new(),
        }
    }

    /// A method that answers from memory.
    pub(crate) fn quick<T>(&mut self, name: &'static str, method: Method<T>)
    where
        T: Serialize + Clone + 'static,
    {
        self.module
            .register_method(name, move |params, switch, _| {
                method(&switch.current(), &Args::parse(&params)?)
            })
            .expect(UNIQUE);
    }

    /// A method that computes or reads a lot.
    pub(crate) fn heavy<T>(&mut self, name: &'static str, method: Method<T>)
    where
        T: Serialize + Clone + Send + 'static,
    {
        self.module
            .register_async_method(name, move |params, switch, _| {
                run(switch.current(), move |backend| {
                    method(backend, &Args::parse(&params)?)
                })
            })
            .expect(UNIQUE);
    }

    /// A method that runs the code of contracts.
    pub(crate) fn code<T>(&mut self, name: &'static str, method: Method<T>)
    where
        T: Serialize + Clone + Send + 'static,
    {
        self.module
            .register_async_method(name, move |params, switch, _| {
                run_code(switch.current(), move |backend| {
                    method(backend, &Args::parse(&params)?)
                })
            })
            .expect(UNIQUE);
    }

    /// A method that waits.
    pub(crate) fn waiting<T, F>(
        &mut self,
        name: &'static str,
        method: fn(Arc<Backend>, Params<'static>) -> F,
    ) where
        T: Serialize + Clone + Send + 'static,
        F: Future<Output = Result<T, RpcError>> + Send + 'static,
    {
        self.module
            .register_async_method(name, move |params, switch, _| {
                method(switch.current(), params)
            })
            .expect(UNIQUE);
    }

    /// The same method under another name.
    pub(crate) fn alias(&mut self, alias: &'static str, name: &'static str) {
        self.module.register_alias(alias, name).expect(UNIQUE);
        self.notes.insert(alias, Note::Same(name));
    }

    /// A method that answers the same error to everybody.
    pub(crate) fn refuse(&mut self, name: &'static str, error: fn(&'static str) -> RpcError) {
        self.module
            .register_method(name, move |_, _, _| Err::<(), _>(error(name)))
            .expect(UNIQUE);
        self.notes
            .insert(name, Note::Refused(error(name).to_string()));
    }

    /// A method that this node does not have, and why.
    pub(crate) fn refuse_because(&mut self, name: &'static str, why: &'static str) {
        self.module
            .register_method(name, move |_, _, _| {
                Err::<(), _>(crate::refused::error(name, why))
            })
            .expect(UNIQUE);
        let error = crate::refused::error(name, why);
        self.notes.insert(name, Note::Refused(error.to_string()));
    }
}
