//! What a Sidecar has opened or told apart for who comes by himself: `egress` and `ingress` listeners with an address of their own,
//! with `captureMode: NONE`, or at a Unix socket (reference §1.4).
//!
//! A listener whose port says HTTP routes by host, to what its `hosts` import. Another one leads to the oldest service that it imports
//! and that has its port, or has only one.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::filter_chains::{Served, http_spoken};
use super::hosts::Hosts;
use super::services::port_number;
use crate::config::address::{UNIX_PREFIX, parse_ip};
use crate::config::protocol::Protocol;
use crate::config::sidecar::{CaptureMode, EgressListener, IngressListener, Sidecar};
use crate::config::{Code, Finding};
use crate::snapshot::{HostTable, Listener, ListensAt, OwnSocket, OwnSockets, SocketPlace};

/// What is listened on, and what is spoken there.
#[derive(Default)]
pub(super) struct Own {
    sockets: Vec<OwnSocket>,
    /// What those at Unix sockets answer for that speak HTTP.
    pub(super) hosts: Vec<(SocketPlace, HostTable)>,
    pub(super) listeners: Vec<(u16, ListensAt, Listener)>,
}

impl Own {
    /// What the snapshot keeps of it.
    pub(super) fn sockets(self) -> OwnSockets {
        OwnSockets::new(self.sockets, self.hosts)
    }

    /// What the Sidecar that holds says. `table` is what HTTP is routed by.
    pub(super) fn new(
        hosts: &mut Hosts<'_>,
        table: &HostTable,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut own = Self::default();
        let Some(sidecar) = hosts.sidecar() else {
            return own;
        };
        for (at, listener) in sidecar.egress.iter().enumerate() {
            match place(listener) {
                Ok(Some(place)) => own.add_egress(at, listener, place, table, hosts),
                Ok(None) => {}
                Err((field, why)) => {
                    let path = format!("spec.egress[{at}].{field}");
                    let help = "give the listener a port";
                    findings.push(tell(sidecar, &path, why, help));
                }
            }
        }
        for (at, listener) in sidecar.ingress.iter().enumerate() {
            tell_ingress(sidecar, at, listener, findings);
            own.sockets.extend(ingress(listener));
        }
        own
    }

    fn add_egress(
        &mut self,
        at: usize,
        listener: &EgressListener,
        place: SocketPlace,
        table: &HostTable,
        hosts: &mut Hosts<'_>,
    ) {
        let protocol = listener.port.as_ref();
        let protocol = protocol.and_then(|port| Protocol::parse(&port.protocol));
        let protocol = protocol.unwrap_or_default();
        let stands_for = place.stands_for();
        let chains = match protocol.is_http() {
            true => Vec::new(),
            false => first(at, stands_for.port(), hosts)
                .map(|served| served.chains(false, table, hosts))
                .unwrap_or_default(),
        };
        let is_unix = matches!(place, SocketPlace::Unix(_));
        if is_unix && protocol.may_be_http() {
            self.hosts.push((place.clone(), hosts.of_listener(at)));
        }
        let name = match &place {
            SocketPlace::Address(address) => format!("{}_{}", address.ip(), address.port()),
            SocketPlace::Unix(_) => place.to_string(),
        };
        let one = Listener::new(name.into(), http_spoken(protocol), chains);
        let listens = match stands_for.ip().is_unspecified() {
            true => ListensAt::Anywhere,
            false => ListensAt::Address(stands_for.ip()),
        };
        self.listeners.push((stands_for.port(), listens, one));
        if is_unix || listener.capture_mode == CaptureMode::None {
            self.sockets.push(OwnSocket {
                place,
                is_inbound: false,
            });
        }
    }
}

/// Where an `egress` listener is, if it has a place of its own.
fn place(listener: &EgressListener) -> Result<Option<SocketPlace>, (&'static str, &'static str)> {
    if let Some(path) = listener.bind.strip_prefix(UNIX_PREFIX) {
        return Ok(Some(SocketPlace::Unix(path.into())));
    }
    let is_opened = listener.capture_mode == CaptureMode::None;
    let port = listener.port.as_ref();
    let Some(port) = port.and_then(|port| port_number(port.number)) else {
        return match (is_opened, listener.bind.is_empty()) {
            (true, _) => Err((
                "captureMode",
                "`captureMode: NONE` is not in effect on a listener for all ports",
            )),
            (false, false) => Err((
                "bind",
                "`bind` is not in effect on a listener for all ports",
            )),
            (false, true) => Ok(None),
        };
    };
    let usual = is_opened.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let ip = parse_ip(&listener.bind).or(usual);
    Ok(ip.map(|ip| SocketPlace::Address(SocketAddr::new(ip, port))))
}

/// The oldest service that a listener imports and that has this port, or has only one.
fn first<'a>(listener: usize, port: u16, hosts: &Hosts<'a>) -> Option<Served<'a, 'a>> {
    let services = hosts.targets.services.iter();
    let imported = services.filter(|service| hosts.imports(listener, service));
    let meant = imported.filter_map(|service| {
        let mut ports = service.ports.iter();
        let found = ports.position(|of| of.number == port && of.is_stream());
        let only = (service.ports.len() == 1 && service.ports[0].is_stream()).then_some(0);
        let position = found.or(only)?;
        let served = Served {
            service,
            port: &service.ports[position],
            listener,
        };
        Some((found.is_none(), served))
    });
    // Who has the port goes before who has another one; equally old ones stay in the order of their hosts.
    let meant = meant.min_by_key(|(is_other, served)| (*is_other, served.created()));
    meant.map(|(_, served)| served)
}

/// What is opened for an `ingress` listener.
fn ingress(listener: &IngressListener) -> Option<OwnSocket> {
    if listener.capture_mode != CaptureMode::None || !listener.has_endpoint_of_its_own() {
        return None;
    }
    let port = port_number(listener.port.as_ref()?.number)?;
    let ip = parse_ip(&listener.bind).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    Some(OwnSocket {
        place: SocketPlace::Address(SocketAddr::new(ip, port)),
        is_inbound: true,
    })
}

fn tell_ingress(
    sidecar: &Sidecar,
    at: usize,
    listener: &IngressListener,
    findings: &mut Vec<Finding>,
) {
    let mut add = |field: &str, why, help| {
        let path = format!("spec.ingress[{at}].{field}");
        findings.push(tell(sidecar, &path, why, help));
    };
    if listener.tls.is_some() {
        add(
            "tls",
            "`tls` is not in effect: PeerAuthentication says what clients speak",
            "",
        );
    }
    let is_opened = listener.capture_mode == CaptureMode::None;
    if is_opened && !listener.has_endpoint_of_its_own() {
        add(
            "defaultEndpoint",
            "the application would be where its clients connect to: nothing is opened",
            "say `defaultEndpoint`, on another port or a Unix socket",
        );
    }
    if !is_opened && !listener.bind.is_empty() {
        add(
            "bind",
            "`bind` is not in effect where connections are captured: the port tells",
            "",
        );
    }
}

fn tell(sidecar: &Sidecar, path: &str, why: &str, help: &str) -> Finding {
    let meta = &sidecar.meta;
    Finding::about(Code::NotInEffect, "Sidecar", meta, path, why, help)
}
