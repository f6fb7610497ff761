//! Where rate limits may hold: virtual hosts as patches of an EnvoyFilter see them, and which of their routes one means.

use std::collections::BTreeMap;

use crate::compile::gateways::RoutedServers;
use crate::config::envoy_filter::{Context, Level, RouteAction, RouteMatch};
use crate::snapshot::{Action, HostTable, Rule, SocketPlace, VirtualHost, VirtualHostId};

/// A virtual host as patches see it.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) name: String,
    pub(super) side: Side,
    /// 0 at a Unix socket.
    pub(super) port: u16,
    /// The Unix socket of the Sidecar that it is at.
    pub(super) socket: Option<String>,
    domains: Vec<String>,
}

/// Whose virtual host it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Inbound,
    Outbound,
    Gateway(RouteConfiguration),
}

/// The servers of a Gateway that a route configuration is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RouteConfiguration {
    name: String,
    gateways: Vec<String>,
    port_names: Vec<String>,
}

/// All places where HTTP is spoken.
#[derive(Clone, Copy, Debug)]
pub(in crate::compile) struct Places<'p> {
    /// What the outbound listener answers for.
    pub(in crate::compile) table: &'p HostTable,
    /// What Unix sockets of the Sidecar answer for.
    pub(in crate::compile) sockets: &'p [(SocketPlace, HostTable)],
    /// The virtual hosts of the inbound listeners, with the application's port.
    pub(in crate::compile) inbound: &'p [(VirtualHostId, u16)],
    /// Servers of Gateways.
    pub(in crate::compile) gateways: &'p [RoutedServers],
}

impl Site {
    /// Where Istio sends requests for hosts that nobody knows.
    pub(super) fn unknown(port: u16) -> Self {
        Self {
            name: "allow_any".into(),
            side: Side::Outbound,
            port,
            socket: None,
            domains: vec!["*".into()],
        }
    }

    /// Where requests for hosts go that no server of a port has.
    pub(super) fn nowhere(port: u16) -> Self {
        Self {
            name: format!("blackhole:{port}"),
            side: Side::Gateway(RouteConfiguration::default()),
            port,
            socket: None,
            domains: vec!["*".into()],
        }
    }

    pub(super) fn is_in(&self, context: Context) -> bool {
        let own = match self.side {
            Side::Inbound => Context::Inbound,
            Side::Outbound => Context::Outbound,
            Side::Gateway(_) => Context::Gateway,
        };
        context.meets(own)
    }

    /// `inbound|8080||`, the port or the Unix socket, or `http.80` of a gateway.
    fn configuration(&self) -> String {
        match &self.side {
            Side::Outbound if self.socket.is_some() => self.socket.clone().unwrap_or_default(),
            Side::Inbound => format!("inbound|{}||", self.port),
            Side::Outbound => self.port.to_string(),
            Side::Gateway(of) => of.name.clone(),
        }
    }

    pub(super) fn listener(&self) -> String {
        let direction = match self.side {
            Side::Inbound => "inbound",
            Side::Outbound => "outbound",
            Side::Gateway(_) => "gateway",
        };
        match &self.socket {
            Some(socket) => format!("{direction} {socket}"),
            None => format!("{direction} port {}", self.port),
        }
    }
}

/// The virtual hosts that speak HTTP.
pub(super) fn sites(
    places: Places<'_>,
    virtual_hosts: &[VirtualHost],
) -> BTreeMap<VirtualHostId, Site> {
    let mut sites = BTreeMap::new();
    let site = |id: VirtualHostId, side: Side, port: u16| Site {
        name: virtual_hosts[id.0 as usize].name.to_string(),
        side,
        port,
        socket: None,
        domains: Vec::new(),
    };
    let mut add = |table: &HostTable, side: &Side| {
        for (name, entry) in table.iter() {
            for port in entry.ports.iter().filter(|port| port.is_http) {
                let id = port.virtual_host;
                let site = sites
                    .entry(id)
                    .or_insert_with(|| site(id, side.clone(), port.port));
                site.domains.push(name.clone());
            }
        }
    };
    add(places.table, &Side::Outbound);
    for servers in places.gateways {
        let of = RouteConfiguration {
            name: servers.configuration.clone(),
            gateways: servers.gateways.clone(),
            port_names: servers.port_names.clone(),
        };
        add(&servers.table, &Side::Gateway(of));
    }
    for (place, table) in places.sockets {
        for (name, entry) in table.iter() {
            for port in entry.ports.iter().filter(|port| port.is_http) {
                let id = port.virtual_host;
                let site = sites.entry(id).or_insert_with(|| Site {
                    socket: Some(place.to_string()),
                    ..site(id, Side::Outbound, 0)
                });
                site.domains.push(name.clone());
            }
        }
    }
    for (id, port) in places.inbound {
        let mut site = site(*id, Side::Inbound, *port);
        site.domains.push("*".into());
        sites.insert(*id, site);
    }
    sites
}

/// Whether a patch of this level means a route.
pub(super) fn matches(routes: &RouteMatch, level: Level, site: &Site, rule: &Rule) -> bool {
    let is = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
    let is_configuration = is(&routes.configuration, &site.configuration())
        && (routes.port == 0 || routes.port == u32::from(site.port))
        && is_of_gateway(routes, site);
    let is_host = is(&routes.virtual_host, &site.name)
        && (routes.domain.is_empty() || site.domains.contains(&routes.domain));
    let is_action = match (routes.action, &*rule.action) {
        (RouteAction::Any, _)
        | (RouteAction::Route, Action::Forward(_))
        | (RouteAction::Redirect, Action::Redirect(_))
        | (RouteAction::DirectResponse, Action::Respond(_)) => true,
        (
            RouteAction::Route | RouteAction::Redirect | RouteAction::DirectResponse,
            Action::Forward(_) | Action::Redirect(_) | Action::Respond(_),
        ) => false,
    };
    match level {
        Level::Configuration => is_configuration,
        Level::VirtualHost => is_configuration && is_host,
        Level::Route => is_configuration && is_host && is(&routes.route, &rule.name) && is_action,
    }
}

/// What only gateways look at.
fn is_of_gateway(routes: &RouteMatch, site: &Site) -> bool {
    let Side::Gateway(of) = &site.side else {
        return true;
    };
    let is = |wanted: &String, all: &[String]| wanted.is_empty() || all.contains(wanted);
    is(&routes.gateway, &of.gateways) && is(&routes.port_name, &of.port_names)
}
