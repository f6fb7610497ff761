//! Answers applications that ask for names, where the command line says so, and looks up names that clients give.
//!
//! Owns when that begins. What is answered is in core, how in the package dns.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use outrigger_dns::{Lookup, LookupSettings, Proxy, Settings, Sockets};
use outrigger_runtime::{Handle, Names};
use tracing::warn;

use super::Failure;
use super::configuration::Configuration;
use super::takeover::Takeover;
use crate::cli::RunArgs;

/// Listens wherever applications are to ask.
pub(super) fn bind(
    args: &RunArgs,
    configuration: &Configuration,
    takeover: &mut Takeover,
) -> Result<Vec<Sockets>, Failure> {
    if args.dns.dns.is_empty() {
        if configuration.answers_names() {
            warn!(
                target: "dns",
                "`ISTIO_META_DNS_CAPTURE` is on, and nobody answers: say where with `--dns 127.0.0.1:15053`"
            );
        }
        return Ok(Vec::new());
    }
    if args.record.is_some() && !configuration.answers_names() {
        return Err(Failure::usage(
            "a recording does not hold `--dns`: say `ISTIO_META_DNS_CAPTURE: \"true\"` under `defaultConfig.proxyMetadata` of the \
             mesh configuration, too",
        ));
    }
    let mut bind = |listen: &SocketAddr| {
        let failure = |error| Failure::bad(format!("cannot listen on {listen} (--dns): {error}"));
        let bound = match takeover.take_names(*listen) {
            Some(sockets) => Ok(sockets),
            None => Sockets::bind(*listen),
        };
        let kept = bound.and_then(|sockets| {
            takeover.keep_names(&sockets)?;
            Ok(sockets)
        });
        kept.map_err(failure)
    };
    args.dns.dns.iter().map(&mut bind).collect()
}

/// Begins to look up names that clients give.
pub(super) fn lookup(args: &RunArgs) -> Result<Lookup, Failure> {
    let started = Lookup::start(LookupSettings {
        servers: args.dns.dns_server.clone(),
        most_kept: args.dns.dns_cached_names,
        most_pending: args.dns.dns_pending.get(),
    });
    started.map_err(|error| Failure::bad(format!("cannot start a thread: {error}")))
}

/// For workers that are to connect to such names.
#[derive(Debug)]
pub(super) struct Given(pub(super) Lookup);

impl Names for Given {
    fn resolve(&self, name: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(self.0.resolve(name))
    }
}

/// Begins to answer, by the snapshot that is in force.
pub(super) fn start(
    args: &RunArgs,
    sockets: Vec<Sockets>,
    handle: &Handle,
) -> Result<Option<Proxy>, Failure> {
    if sockets.is_empty() {
        return Ok(None);
    }
    let settings = Settings {
        servers: args.dns.dns_server.clone(),
        most_pending: args.dns.dns_pending.get(),
    };
    let handle = handle.clone();
    let started = Proxy::start(sockets, settings, move || handle.snapshot());
    let started =
        started.map_err(|error| Failure::bad(format!("cannot start a thread: {error}")))?;
    Ok(Some(started))
}
