//! Three ways to serve a method, by what it costs.
//!
//! ```text
//! quick    reads memory, formats                    on the async worker
//! heavy    executes, proves, recovers, scans        on a blocking thread, bounded
//! waiting  waits for a block                        an async task
//! ```

use crate::{
    args::Args,
    backend::{Backend, run},
    error::RpcError,
    switch::Switch,
};
use jsonrpsee::{RpcModule, types::Params};
use serde::Serialize;
use std::{future::Future, sync::Arc};

const UNIQUE: &str = "every method is registered once";

/// A method that computes its answer where it is called.
type Method<T> = fn(&Backend, &Args) -> Result<T, RpcError>;

/// The methods being put together.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) module: RpcModule<Switch>,
}

impl Registry {
    pub(crate) fn new(switch: Switch) -> Self {
        Self {
            module: RpcModule::new(switch),
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
    }

    /// A method that answers the same error to everybody.
    pub(crate) fn refuse(&mut self, name: &'static str, error: fn(&'static str) -> RpcError) {
        self.module
            .register_method(name, move |_, _, _| Err::<(), _>(error(name)))
            .expect(UNIQUE);
    }
}
