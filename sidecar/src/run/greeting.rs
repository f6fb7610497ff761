//! What is running, in one line that is told when everything serves.

use std::fmt::Write as _;
use std::net::SocketAddr;

use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;
use outrigger_runtime::{Arrival, Handle, Listen, Located};

use super::admin;
use super::{configuration, workers};
use crate::admin_args::AdminAddr;
use crate::cli::RunArgs;
use crate::runtime::Picked;

/// Where the listeners are that have a place of their own, in words: those of the Sidecar, and Unix sockets of Gateways.
pub(super) fn own_places(listens: &[Listen]) -> impl Iterator<Item = String> {
    let is_own = |listen: &&Listen| listen.arrival == Arrival::Own || listen.unix.is_some();
    listens.iter().filter(is_own).map(Listen::place)
}

/// What listens beside the workers.
pub(super) struct Others<'a> {
    pub(super) admin: &'a AdminAddr,
    /// By whom some of what the admin endpoints answer is asked.
    pub(super) asked: &'a [(admin::Others, SocketAddr)],
    pub(super) dns: &'a [SocketAddr],
    pub(super) own: Vec<String>,
}

/// What is running, in one line.
pub(super) fn greeting(
    args: &RunArgs,
    runtime: Picked,
    handle: &Handle,
    others: &Others<'_>,
    snapshot: &Snapshot,
) -> String {
    let mut text = format!("outrigger {}:", env!("CARGO_PKG_VERSION"));
    // Writing to a string cannot fail.
    if let Some(outbound) = handle.local_addr(ListenerKind::Outbound) {
        let _ = write!(text, " outbound {outbound},");
    }
    for (at, arg) in args.inbound.iter().enumerate() {
        if let Some(addr) = handle.local_addr(ListenerKind::Inbound(at)) {
            let _ = match arg.application {
                Some(application) => write!(text, " inbound {addr} to {application},"),
                None => write!(text, " inbound {addr} to where it was to go,"),
            };
        }
    }
    for place in &others.own {
        let _ = write!(text, " own {place},");
    }
    for dns in others.dns {
        let _ = write!(text, " dns {dns},");
    }
    for Located { kind, addr } in handle.located() {
        // A Unix socket has none.
        if let ListenerKind::Gateway(port @ 1..) = kind {
            let _ = write!(text, " gateway {port} at {addr},");
        }
    }
    for (who, addr) in others.asked {
        let _ = write!(text, " {} {addr},", who.option().trim_start_matches('-'));
    }
    let admin = others.admin;
    let (workers, runtime) = (workers(args), runtime.name);
    let summary = configuration::summary(snapshot);
    let _ = write!(
        text,
        " admin {admin}; {workers} workers on {runtime}; {summary}"
    );
    text
}
