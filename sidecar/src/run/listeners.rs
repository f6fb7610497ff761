//! Listeners that come and go with the configuration: the ports of Gateways, and the sockets that the Sidecar opens.
//!
//! Owns what is wanted, what of it is open, and what cannot be opened, which is told and tried again. Listeners of the command line
//! are there from the start to the end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outrigger_core::compile::Inbound;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::{Snapshot, SocketPlace};
use outrigger_runtime::{Arrival, Handle, Listen};
use tracing::{info, warn};

use crate::gateway_args::GatewayArgs;

/// What a configuration has listened on. `inbound`: the listener whose ports are told apart by where connections were to go.
pub(super) fn wanted(
    snapshot: &Snapshot,
    gateway: &GatewayArgs,
    inbound: Option<usize>,
) -> Vec<Listen> {
    let of_gateways = snapshot.gateways.iter();
    let unbound = of_gateways.clone().filter(|one| one.bind.is_none());
    let ports = gateway.listens(unbound.map(|listener| listener.port));
    let ports = ports.into_iter();
    let ports = ports.map(|(port, addr)| Listen::direct(ListenerKind::Gateway(port), addr));
    // These say themselves where they are.
    let bound = of_gateways.filter_map(|listener| {
        let kind = ListenerKind::Gateway(listener.port);
        Some(match listener.bind.as_ref()? {
            SocketPlace::Address(at) => {
                let port = gateway.port_at(listener.port);
                Listen::direct(kind, (at.ip(), port).into())
            }
            place @ SocketPlace::Unix(_) => Listen {
                arrival: Arrival::Direct,
                ..Listen::own(kind, place)
            },
        })
    });
    let own = snapshot.own_sockets.all.iter().filter_map(|socket| {
        let kind = match socket.is_inbound {
            true => ListenerKind::Inbound(inbound?),
            false => ListenerKind::Outbound,
        };
        Some(Listen::own(kind, &socket.place))
    });
    ports.chain(bound).chain(own).collect()
}

/// The listener for whatever port connections were to go to.
pub(super) fn position(inbound: &[Inbound]) -> Option<usize> {
    inbound.iter().position(Inbound::is_virtual)
}

/// What has become of them, for whoever looks from outside.
#[derive(Debug, Default)]
pub(super) struct Counts {
    added: AtomicU64,
    removed: AtomicU64,
    failures: AtomicU64,
    missing: Mutex<Vec<Missing>>,
}

/// A listener that is wanted and not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    listen: Listen,
    /// Why, in the system's words.
    pub(super) error: String,
}

impl Missing {
    /// What it is, in words.
    pub(super) fn name(&self) -> String {
        name(&self.listen)
    }
}

impl Counts {
    /// Each with its name in `/stats`, behind `listener_manager.`.
    pub(super) fn named(&self) -> [(&'static str, &'static str, u64); 3] {
        [
            (
                "listener_added",
                "Listeners that were opened after the start",
                &self.added,
            ),
            (
                "listener_removed",
                "Listeners that were closed before the end",
                &self.removed,
            ),
            (
                "listener_create_failure",
                "Attempts to open a listener that failed",
                &self.failures,
            ),
        ]
        .map(|(name, help, count)| (name, help, count.load(Ordering::Relaxed)))
    }

    /// Those that are wanted and not open.
    pub(super) fn missing(&self) -> Vec<Missing> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Missing>> {
        // It is replaced in one step.
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps what is open as the configuration wants it.
#[derive(Debug)]
pub(super) struct Listeners {
    gateway: GatewayArgs,
    /// How long connections of a listener that is closed have to end.
    drain: Duration,
    open: Vec<(Listen, SocketAddr)>,
    counts: Arc<Counts>,
}

impl Listeners {
    /// `open` are those of the start, which the handle has.
    pub(super) fn new(
        gateway: &GatewayArgs,
        drain: Duration,
        open: Vec<Listen>,
        handle: &Handle,
    ) -> Self {
        // They are the last of those that the workers were given, in this order.
        let all = handle.local_addrs();
        let at = all[all.len().saturating_sub(open.len())..].iter().copied();
        Self {
            gateway: gateway.clone(),
            drain,
            open: open.into_iter().zip(at).collect(),
            counts: Arc::default(),
        }
    }

    /// What has become of them.
    pub(super) const fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Closes what a snapshot does not want any more.
    pub(super) fn close(&mut self, handle: &Handle, snapshot: &Snapshot, inbound: Option<usize>) {
        let wanted = wanted(snapshot, &self.gateway, inbound);
        let Self {
            open,
            drain,
            counts,
            ..
        } = self;
        let seconds = drain.as_secs_f64();
        let gone = open.extract_if(.., |(listen, _)| !wanted.contains(listen));
        for (listen, addr) in gone {
            handle.close(addr, *drain);
            counts.removed.fetch_add(1, Ordering::Relaxed);
            let name = name(&listen);
            info!(
                target: "config",
                seconds,
                "closed {name}; its connections have {seconds} s to end"
            );
        }
        counts
            .lock()
            .retain(|missing| wanted.contains(&missing.listen));
    }

    /// Opens what a snapshot wants beside what is open.
    pub(super) fn open(&mut self, handle: &Handle, snapshot: &Snapshot, inbound: Option<usize>) {
        for listen in wanted(snapshot, &self.gateway, inbound) {
            if self.open.iter().all(|(open, _)| *open != listen) {
                self.try_open(handle, listen);
            }
        }
    }

    /// Tries again what could not be opened.
    pub(super) fn retry(&mut self, handle: &Handle) {
        for missing in self.counts.missing() {
            self.try_open(handle, missing.listen);
        }
    }

    fn try_open(&mut self, handle: &Handle, listen: Listen) {
        let mut missing = self.counts.lock();
        let known = missing.iter().position(|missing| missing.listen == listen);
        let name = name(&listen);
        match handle.open(&listen) {
            Ok(addr) => {
                if let Some(known) = known {
                    missing.remove(known);
                }
                self.counts.added.fetch_add(1, Ordering::Relaxed);
                info!(target: "config", "opened {name} at {addr}");
                self.open.push((listen, addr));
            }
            Err(error) => {
                self.counts.failures.fetch_add(1, Ordering::Relaxed);
                let error = error.to_string();
                let is_told = known.is_some_and(|known| missing[known].error == error);
                if !is_told {
                    warn!(
                        target: "config",
                        "{name} is not open: {error}; it is tried again every second"
                    );
                    if let Some(known) = known {
                        missing.remove(known);
                    }
                    missing.push(Missing { listen, error });
                }
            }
        }
    }
}

/// What a listener is, in words.
fn name(listen: &Listen) -> String {
    let place = listen.place();
    match listen.kind {
        ListenerKind::Gateway(0) => format!("the socket of Gateways ({place})"),
        ListenerKind::Gateway(port) => format!("port {port} of Gateways ({place})"),
        ListenerKind::Outbound | ListenerKind::Inbound(_) => {
            format!("the Sidecar's listener at {place}")
        }
    }
}
