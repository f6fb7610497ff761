//! How the sidecar of a case is set up: the `settings` block.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use outrigger_core::compile::NameAnswers;
use outrigger_core::config::address::UNIX_PREFIX;
use outrigger_core::snapshot::SocketPlace;
use outrigger_core::time::Duration;
use serde::Deserialize;

use crate::script;

/// How the sidecar is set up (a `settings` block).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The workload's namespace; `default` if absent.
    pub namespace: Option<String>,
    /// The workload's labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// From the first byte of a head to its last.
    pub request_head_timeout: Option<String>,
    /// A client connection without a request.
    pub idle_timeout: Option<String>,
    /// A request of which nothing moves.
    pub stream_idle_timeout: Option<String>,
    /// The largest request body, in bytes.
    pub max_request_body: Option<u64>,
    /// The application behind the inbound listener; `brought` where that is for what the kernel brings, whatever port it is to go to.
    pub inbound: Option<String>,
    /// The ports of Gateways that are listened on: it is a gateway with these labels.
    #[serde(default)]
    pub gateway: Vec<u16>,
    /// How many proxies before a gateway are believed.
    pub trusted_hops: Option<u32>,
    /// The clients that are told in responses what was decided, if they ask.
    #[serde(default)]
    pub explain_to: Vec<String>,
    /// `NONE`, `BASE`, `MERGE_SLASHES` or `DECODE_AND_MERGE_SLASHES`.
    pub path_normalization: Option<String>,
    /// Other settings of the mesh, as its configuration writes them.
    pub mesh: Option<serde_yaml::Value>,
    /// The certificate that the sidecar shows; it speaks no TLS of the mesh without one.
    pub identity: Option<String>,
    /// The authorities that it believes in its mesh; where none is named, `mesh`.
    #[serde(default)]
    pub believes: Vec<String>,
    /// The mesh's `ALLOW_ANY` or `REGISTRY_ONLY`.
    pub outbound_traffic_policy: Option<String>,
}

impl Settings {
    /// The port of Gateways that words name first, and those behind.
    ///
    /// # Errors
    /// It is none that is listened on.
    pub fn gateway_of<'w>(
        &self,
        words: &'w [&'w str],
    ) -> Result<(&'w [&'w str], Option<u16>), String> {
        let ["gateway", port, words @ ..] = words else {
            return Ok((words, None));
        };
        let port = port.parse().ok().filter(|port| self.gateway.contains(port));
        let wrong = || "name a port of the setting `gateway`".to_owned();
        port.map(|port| (words, Some(port))).ok_or_else(wrong)
    }

    /// A setting that is a duration.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn time(text: Option<&str>) -> Result<Option<Duration>, String> {
        text.map(script::duration).transpose()
    }
}

/// Where a client is brought from: an address, or that which stands for a Unix socket.
///
/// # Errors
/// It is none.
pub(crate) fn place(text: &str) -> Result<SocketAddr, String> {
    match text.strip_prefix(UNIX_PREFIX) {
        Some(path) => Ok(SocketPlace::Unix(path.into()).stands_for()),
        None => text.parse().map_err(|_| format!("`{text}` is no address")),
    }
}

/// What names resolve to: `name address address …`, a line each; a name without addresses has no answer.
///
/// # Errors
/// The number of the line that is none of these; the first one has the number `first`.
pub(crate) fn names(first: usize, text: &str) -> Result<NameAnswers, usize> {
    let mut answers = NameAnswers::new();
    for (line, text) in (first..).zip(text.lines()) {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default();
        let addresses: Result<Vec<_>, _> = words.map(str::parse).collect();
        answers.insert(name.into(), addresses.map_err(|_| line)?);
    }
    Ok(answers)
}
