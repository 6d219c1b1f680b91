//! Which tracer somebody asks for, by geth's names and options.
//!
//! Scripts are refused: a node that runs foreign programs on its blocks has to bound them, and every tool
//! that is commonly used asks for one of [`TRACERS`]. Limit: [`SEVERAL_MAX`] tracers at once.

use alloy_rpc_types_trace::geth::{
    CallConfig, GethDebugBuiltInTracerType as BuiltIn, GethDebugTracerConfig, GethDebugTracerType,
    GethDebugTracingOptions, GethDefaultTracingOptions, PreStateConfig,
};

/// The names of the tracers there are, besides the one without a name.
pub const TRACERS: [&str; 6] = [
    "callTracer",
    "flatCallTracer",
    "prestateTracer",
    "4byteTracer",
    "muxTracer",
    "noopTracer",
];
/// Tracers in one `muxTracer`; each of them runs the transaction once.
pub(crate) const SEVERAL_MAX: usize = 8;
/// Steps of the default tracer if the caller does not say.
const NO_LIMIT: u64 = 0;

/// What to tell of a transaction, in the form of geth.
#[derive(Clone, Debug)]
pub enum Tracer {
    /// Every step of the machine.
    Steps(GethDefaultTracingOptions),
    /// Calls, each in the one that made it.
    Calls(CallConfig),
    /// Calls in a row, as Parity has them.
    FlatCalls,
    /// The accounts before it, or what it changed.
    Prestate(PreStateConfig),
    /// The functions that were called, and how often.
    Selectors,
    /// Nothing.
    Nothing,
    /// Several, each under its name.
    Several(Vec<(GethDebugTracerType, Self)>),
}

/// A tracer that this node does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TracerError {
    /// A program.
    #[error(
        "tracers written in JavaScript are not supported; there are {}",
        names()
    )]
    Script,
    /// A name that means nothing here.
    #[error("no tracer is called {name}; there are {}", names())]
    Unknown {
        /// The name.
        name: String,
    },
    /// Options of the wrong form.
    #[error("invalid tracerConfig of {tracer}: {problem}")]
    Config {
        /// Of which tracer.
        tracer: &'static str,
        /// What is wrong.
        problem: String,
    },
}

impl Tracer {
    /// The tracer that these options ask for.
    ///
    /// # Errors
    /// [`TracerError`] for those that this node does not have.
    pub fn new(options: GethDebugTracingOptions) -> Result<Self, TracerError> {
        match options.tracer {
            None => Ok(Self::Steps(options.config)),
            Some(name) => Self::named(name, options.tracer_config),
        }
    }

    fn named(
        name: GethDebugTracerType,
        config: GethDebugTracerConfig,
    ) -> Result<Self, TracerError> {
        match name {
            GethDebugTracerType::BuiltInTracer(name) => Self::built_in(name, config),
            GethDebugTracerType::JsTracer(text) if text.contains(['{', '(']) => {
                Err(TracerError::Script)
            }
            GethDebugTracerType::JsTracer(name) => Err(TracerError::Unknown { name }),
        }
    }

    fn built_in(name: BuiltIn, config: GethDebugTracerConfig) -> Result<Self, TracerError> {
        Ok(match name {
            BuiltIn::CallTracer => {
                Self::Calls(config.into_call_config().map_err(wrong("callTracer"))?)
            }
            BuiltIn::PreStateTracer => Self::Prestate(
                config
                    .into_pre_state_config()
                    .map_err(wrong("prestateTracer"))?,
            ),
            BuiltIn::FlatCallTracer => Self::FlatCalls,
            BuiltIn::FourByteTracer => Self::Selectors,
            BuiltIn::NoopTracer => Self::Nothing,
            BuiltIn::MuxTracer => {
                Self::several(config.into_mux_config().map_err(wrong("muxTracer"))?.0)?
            }
            #[expect(clippy::wildcard_enum_match_arm, reason = "it may grow")]
            other => {
                let name = format!("{other:?}");
                return Err(TracerError::Unknown { name });
            }
        })
    }

    fn several(
        configs: impl IntoIterator<Item = (GethDebugTracerType, Option<GethDebugTracerConfig>)>,
    ) -> Result<Self, TracerError> {
        let mut tracers = Vec::new();
        for (name, config) in configs {
            let tracer = Self::named(name.clone(), config.unwrap_or_default())?;
            let problem = match tracer {
                Self::Several(_) => "it may not contain itself",
                _ if tracers.len() >= SEVERAL_MAX => "it contains too many tracers",
                tracer => {
                    tracers.push((name, tracer));
                    continue;
                }
            };
            return Err(TracerError::Config {
                tracer: "muxTracer",
                problem: problem.to_owned(),
            });
        }
        Ok(Self::Several(tracers))
    }
}

fn names() -> String {
    TRACERS.join(", ")
}

fn wrong<E: ToString>(tracer: &'static str) -> impl FnOnce(E) -> TracerError {
    move |error| TracerError::Config {
        tracer,
        problem: error.to_string(),
    }
}

/// How many steps are told at most, if the caller said so.
pub(super) fn steps_asked_for(options: &GethDefaultTracingOptions) -> Option<u64> {
    options.limit.filter(|limit| *limit != NO_LIMIT)
}
