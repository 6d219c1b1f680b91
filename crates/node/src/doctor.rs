//! `headway doctor`: what would keep a node from running well, before or while it does.
//!
//! ```text
//! --config FILE ─ files, key, genesis, disk, ports, peers ─┐
//! --url URL     ─ state, version, age of the newest block ─┼▶ Finding: ok, warn, fail, and what to do
//! always        ─ clock, open files, memory, processor    ─┘
//! ```
//! It changes nothing: what it writes to see whether it can is removed at once, ports that it tries are free
//! again. Limits: [`CONNECT_WAIT`] for each peer, all at the same time.

mod files;
mod machine;
mod network;
mod remote;
#[cfg(test)]
mod tests;

use serde::Serialize;
use std::{fmt, io, path::PathBuf, time::Duration};

/// How long a peer may take to accept a connection.
pub const CONNECT_WAIT: Duration = Duration::from_secs(2);

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It may hurt later.
    Warn,
    /// The node can't run, or not correctly.
    Fail,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        })
    }
}

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// How bad it is.
    pub status: Status,
    /// What is so.
    pub text: String,
    /// What to do about it; empty where nothing is to be done.
    pub remedy: String,
}

impl Finding {
    pub(crate) fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Ok,
            text: text.into(),
            remedy: String::new(),
        }
    }

    pub(crate) fn warn(
        name: &'static str,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            status: Status::Warn,
            remedy: remedy.into(),
            ..Self::ok(name, text)
        }
    }

    pub(crate) fn fail(
        name: &'static str,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            status: Status::Fail,
            ..Self::warn(name, text, remedy)
        }
    }
}

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct DoctorOptions {
    /// A node's config file.
    pub config: Option<PathBuf>,
    /// JSON-RPC of a running node.
    pub url: Option<String>,
}

/// Looks at everything there is to look at.
///
/// # Errors
/// When the operating system gives no runtime.
pub fn examine(options: &DoctorOptions) -> io::Result<Vec<Finding>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut findings = machine::examine();
    let mut url = options.url.clone();
    let mut expected = None;
    if let Some(path) = &options.config {
        let (found, installation) = files::examine(path);
        findings.extend(found);
        if let Some(installation) = installation {
            findings.extend(runtime.block_on(network::examine(&installation)));
            // A node of this config file is asked if it runs.
            if url.is_none() && installation.is_running {
                url = Some(format!("http://{}", installation.config.rpc.listen));
            }
            expected = Some(installation.genesis_hash());
        }
    }
    if let Some(url) = url {
        findings.extend(runtime.block_on(remote::examine(&url, expected)));
    }
    Ok(findings)
}

/// The worst there is.
#[must_use]
pub fn worst(findings: &[Finding]) -> Status {
    let worst = findings.iter().map(|finding| finding.status).max();
    worst.unwrap_or(Status::Ok)
}

/// Findings for people, one line each, what to do below.
#[must_use]
pub fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let Finding {
            name,
            status,
            text: what,
            remedy,
        } = finding;
        text.push_str(&format!("{status:5} {name:10} {what}\n"));
        if !remedy.is_empty() {
            text.push_str(&format!("{:16} → {remedy}\n", ""));
        }
    }
    text
}
