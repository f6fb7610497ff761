//! What is listened for where Gateways say so: a port, the servers on it, and what is spoken to each (Envoy's listeners of a
//! gateway).
//!
//! A port is in clear text, where there is one server, or in TLS, where the name that a client asks for says which. `compile`
//! settles hosts and conflicts; `policy` and `request` look things up here.

use std::sync::Arc;

use super::filter_chain::{ChainRule, Listener};
use super::host_table::HostTable;
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
    /// The port that Gateways give it, whatever port is listened on for it.
    pub port: u16,
    /// TLS on it; `None` where clear text is spoken.
    pub tls: Option<Arc<ServerTls>>,
    /// The one server in clear text, or all that speak TLS, in the order of [`ServerTls::servers`].
    pub servers: Box<[GatewayServer]>,
    /// Where connections go whose TLS ends elsewhere, by the name that is asked for.
    pub passed: Listener,
}

impl GatewayListener {
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

/// All of them, sorted by port.
#[derive(Clone, Debug, Default)]
pub struct GatewayListeners(Box<[GatewayListener]>);

impl GatewayListeners {
    /// Those of several ports, each named once.
    #[must_use]
    pub fn new(mut listeners: Vec<GatewayListener>) -> Self {
        listeners.sort_by_key(|listener| listener.port);
        Self(listeners.into())
    }

    /// The one of a port.
    #[must_use]
    pub fn find(&self, port: u16) -> Option<&GatewayListener> {
        let at = self.0.binary_search_by_key(&port, |one| one.port).ok()?;
        Some(&self.0[at])
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
