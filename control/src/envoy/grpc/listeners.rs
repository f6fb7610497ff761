//! Listeners by the names of services (LDS), each of which says where its routes are.

use outrigger_core::config::names::normalize;
use outrigger_core::snapshot::{Snapshot, VirtualHost};
use outrigger_xds::envoy::fault::{FAULT, FAULT_FILTER, HttpFault};
use outrigger_xds::envoy::listener::{
    ApiListener, CONNECTION_MANAGER, HttpConnectionManager, HttpFilter, Listener, ROUTER, Rds,
};
use outrigger_xds::envoy::source::ConfigSource;
use outrigger_xds::envoy::typed;

/// A port of a service where HTTP is spoken.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Target<'a> {
    /// The full name of the service.
    pub(in super::super) host: &'a str,
    /// The port.
    pub(in super::super) port: &'a str,
    /// What is done there.
    pub(in super::super) virtual_host: &'a VirtualHost,
}

impl<'a> Target<'a> {
    /// What a client means that names a host, in full or as applications of its namespace do, and a port. Without one it is the service's
    /// only port of HTTP, or 80.
    pub(in super::super) fn named(snapshot: &'a Snapshot, name: &str) -> Option<Self> {
        let parts = name.rsplit_once(':');
        let (host, port) = match parts {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (name, None),
        };
        let entry = snapshot.hosts.find(normalize(host).as_bytes())?;
        let port = match port {
            Some(port) => entry.at(port),
            None => entry.select(None),
        };
        let port = port.filter(|port| port.is_http)?;
        Self::of(snapshot.virtual_host(port.virtual_host))
    }

    /// The one of routes that are asked for as `outbound|PORT||HOST`.
    pub(in super::super) fn routed(snapshot: &'a Snapshot, name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix("outbound|")?.splitn(3, '|');
        let (port, subset, host) = (parts.next()?, parts.next()?, parts.next()?);
        let found = Self::named(snapshot, &format!("{host}:{port}"))?;
        let is_it = subset.is_empty() && found.host == host && found.port == port;
        is_it.then_some(found)
    }

    /// All of them.
    pub(in super::super) fn all(snapshot: &'a Snapshot) -> impl Iterator<Item = Self> {
        let hosts = snapshot.hosts.iter();
        let ports = hosts
            .flat_map(|(name, entry)| entry.ports.iter().map(move |port| (name.clone(), port)));
        let http = ports.filter(|(_, port)| port.is_http);
        http.filter_map(|(name, port)| {
            let target = Self::of(snapshot.virtual_host(port.virtual_host))?;
            (target.host == name).then_some(target)
        })
    }

    /// `None` of one that stands for a single pod: no route says so.
    fn of(virtual_host: &'a VirtualHost) -> Option<Self> {
        let (host, port) = virtual_host.name.rsplit_once(':')?;
        virtual_host.pod.is_none().then_some(Self {
            host,
            port,
            virtual_host,
        })
    }

    /// What its listener is called where nobody has called it otherwise.
    pub(in super::super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// What its routes are called.
    pub(in super::super) fn route_name(&self) -> String {
        format!("outbound|{}||{}", self.port, self.host)
    }
}

/// The listener of a service's port, by the name that it was asked for.
pub(in super::super) fn listener(name: &str, target: &Target<'_>) -> Listener {
    let filter = |name: &str, typed_config| HttpFilter {
        name: name.to_owned(),
        typed_config: Some(typed_config),
    };
    let manager = HttpConnectionManager {
        stat_prefix: target.route_name(),
        rds: Some(Rds {
            config_source: Some(ConfigSource::same_stream()),
            route_config_name: target.route_name(),
        }),
        http_filters: vec![
            filter(FAULT_FILTER, typed(FAULT, &HttpFault::default())),
            // The last of all.
            filter("envoy.filters.http.router", typed(ROUTER, &())),
        ],
    };
    Listener {
        name: name.to_owned(),
        api_listener: Some(ApiListener {
            api_listener: Some(typed(CONNECTION_MANAGER, &manager)),
        }),
    }
}
