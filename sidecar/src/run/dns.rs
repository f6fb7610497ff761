//! Answers applications that ask for names, where the command line says so.
//!
//! Owns when that begins. What is answered is in core, how in the package dns.

use outrigger_dns::{Proxy, Settings, Sockets};
use outrigger_runtime::Handle;
use tracing::warn;

use super::Failure;
use super::configuration::Configuration;
use crate::cli::RunArgs;

/// Listens, if applications are to ask here.
pub(super) fn bind(
    args: &RunArgs,
    configuration: &Configuration,
) -> Result<Option<Sockets>, Failure> {
    let Some(listen) = args.dns.dns else {
        if configuration.answers_names() {
            warn!(
                target: "dns",
                "`ISTIO_META_DNS_CAPTURE` is on, and nobody answers: say where with `--dns 127.0.0.1:15053`"
            );
        }
        return Ok(None);
    };
    if args.record.is_some() && !configuration.answers_names() {
        return Err(Failure::usage(
            "a recording does not hold `--dns`: say `ISTIO_META_DNS_CAPTURE: \"true\"` under `defaultConfig.proxyMetadata` of the \
             mesh configuration, too",
        ));
    }
    let bound = Sockets::bind(listen);
    let bound = bound
        .map_err(|error| Failure::bad(format!("cannot listen on {listen} (--dns): {error}")))?;
    Ok(Some(bound))
}

/// Begins to answer, by the snapshot that is in force.
pub(super) fn start(
    args: &RunArgs,
    sockets: Option<Sockets>,
    handle: &Handle,
) -> Result<Option<Proxy>, Failure> {
    let Some(sockets) = sockets else {
        return Ok(None);
    };
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
