//! What is listened for where Gateways say so: a port, the servers on it, and what is spoken to each (Envoy's listeners of a
//! gateway).
//!
//! A port is in clear text, where there is one server, or in TLS, where the name that a client asks for says which. `compile`
//! settles hosts and conflicts; `policy` and `request` look things up here.

use core::net::IpAddr;
use std::sync::Arc;

use super::filter_chain::{ChainRule, Listener};
use super::host_table::HostTable;
use super::own_socket::SocketPlace;
use super::transport::ServerTls;

/// What one server of a port does with those who come to it.
#[derive(Clone, Debug)]
pub enum GatewayServer {
    /// Requests are routed by their host; there is nothing behind hosts that nobody has.
    Http(Arc<HostTable>),
    /// Connections, of which TLS was taken off or never was there, follow this rule; without one there is nowhere to go.
    Tcp(Option<ChainRule>),
}

/// One port.
#[derive(Clone, Debug)]
pub struct GatewayListener {
    /// The port that Gateways give it, whatever port is listened on for it; 0 at a Unix socket.
    pub port: u16,
    /// Where it is listened on where a server says so itself (`bind`); `None` where the command line says it.
    pub bind: Option<SocketPlace>,
    /// TLS on it; `None` where clear text is spoken.
    pub tls: Option<Arc<ServerTls>>,
    /// The one server in clear text, or all that speak TLS, in the order of [`ServerTls::servers`].
    pub servers: Box<[GatewayServer]>,
    /// Where connections go whose TLS ends elsewhere, by the name that is asked for.
    pub passed: Listener,
}

impl GatewayListener {
    /// Whether it is listened on at an address of its own, and that is it. A Unix socket has one that stands for it.
    fn is_bound_to(&self, local: IpAddr) -> bool {
        let mut bound = self.bind.iter();
        bound.any(|place| place.stands_for().ip() == local)
    }

    /// The server that a client has come to. `server_name`: whom it asked for, in lower case, where TLS was taken off.
    #[must_use]
    pub fn server(&self, server_name: Option<&str>) -> Option<&GatewayServer> {
        let at = match &self.tls {
            None => 0,
            Some(tls) => tls.server(server_name)?,
        };
        self.servers.get(at)
    }
}

/// All of them, sorted by port; of one port the one without an address of its own comes first.
#[derive(Clone, Debug, Default)]
pub struct GatewayListeners(Box<[GatewayListener]>);

impl GatewayListeners {
    /// Those of several ports and places, each named once.
    #[must_use]
    pub fn new(mut listeners: Vec<GatewayListener>) -> Self {
        listeners.sort_by(|a, b| (a.port, &a.bind).cmp(&(b.port, &b.bind)));
        Self(listeners.into())
    }

    /// The one of a port that somebody has come to at this address of ours.
    #[must_use]
    pub fn find(&self, port: u16, local: IpAddr) -> Option<&GatewayListener> {
        let first = self.0.partition_point(|one| one.port < port);
        let mut of_port = self.0[first..].iter().take_while(|one| one.port == port);
        let unbound = of_port.clone().next().filter(|one| one.bind.is_none());
        let local = local.to_canonical();
        of_port.find(|one| one.is_bound_to(local)).or(unbound)
    }

    /// All of them.
    pub fn iter(&self) -> core::slice::Iter<'_, GatewayListener> {
        self.0.iter()
    }
}

impl<'l> IntoIterator for &'l GatewayListeners {
    type Item = &'l GatewayListener;
    type IntoIter = core::slice::Iter<'l, GatewayListener>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_one_listener_and_those_with_an_address_of_their_own() {
        let place = |text: &str| match text.strip_prefix("unix://") {
            Some(path) => SocketPlace::Unix(path.into()),
            None => SocketPlace::Address(text.parse().unwrap()),
        };
        let of = |port, bind: Option<&str>| GatewayListener {
            port,
            bind: bind.map(place),
            tls: None,
            servers: Box::default(),
            passed: Listener::default(),
        };
        let listeners = GatewayListeners::new(vec![
            of(81, Some("10.0.0.9:81")),
            of(80, Some("10.0.0.9:80")),
            of(80, None),
            of(0, Some("unix:///a")),
            of(0, Some("unix:///b")),
        ]);
        let unix = |path: &str| place(path).stands_for().ip();
        for (port, local, want) in [
            (80, "10.0.0.9".parse().unwrap(), Some("10.0.0.9:80")),
            (80, "::ffff:10.0.0.9".parse().unwrap(), Some("10.0.0.9:80")),
            (80, "10.0.0.8".parse().unwrap(), Some("")),
            (81, "10.0.0.9".parse().unwrap(), Some("10.0.0.9:81")),
            (81, "10.0.0.8".parse().unwrap(), None),
            (82, "10.0.0.9".parse().unwrap(), None),
            (0, unix("unix:///b"), Some("unix:///b")),
            (0, unix("unix:///c"), None),
        ] {
            let found = listeners.find(port, local);
            let shown = found.map(|one| one.bind.as_ref().map(ToString::to_string));
            let shown = shown.map(Option::unwrap_or_default);
            assert_eq!(shown.as_deref(), want, "{port} {local}");
        }
    }
}
