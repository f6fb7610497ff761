//! Where rate limits may hold: virtual hosts as patches of an EnvoyFilter see them, and which of their routes one means.

use std::collections::BTreeMap;

use crate::config::envoy_filter::{Context, Level, RouteAction, RouteMatch};
use crate::snapshot::{Action, HostTable, Rule, VirtualHost, VirtualHostId};

/// A virtual host as patches see it.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) name: String,
    pub(super) is_inbound: bool,
    pub(super) port: u16,
    domains: Vec<String>,
}

impl Site {
    /// Where Istio sends requests for hosts that nobody knows.
    pub(super) fn unknown(port: u16) -> Self {
        Self {
            name: "allow_any".into(),
            is_inbound: false,
            port,
            domains: vec!["*".into()],
        }
    }

    pub(super) fn is_in(&self, context: Context) -> bool {
        match context {
            Context::Any => true,
            Context::Inbound => self.is_inbound,
            Context::Outbound => !self.is_inbound,
        }
    }

    /// `inbound|8080||` or the port.
    fn configuration(&self) -> String {
        if self.is_inbound {
            format!("inbound|{}||", self.port)
        } else {
            self.port.to_string()
        }
    }

    pub(super) fn listener(&self) -> String {
        let direction = if self.is_inbound {
            "inbound"
        } else {
            "outbound"
        };
        format!("{direction} port {}", self.port)
    }
}

/// The virtual hosts that speak HTTP.
pub(super) fn sites(
    table: &HostTable,
    inbound: &[(VirtualHostId, u16)],
    virtual_hosts: &[VirtualHost],
) -> BTreeMap<VirtualHostId, Site> {
    let mut sites = BTreeMap::new();
    let site = |id: VirtualHostId, is_inbound: bool, port: u16| Site {
        name: virtual_hosts[id.0 as usize].name.to_string(),
        is_inbound,
        port,
        domains: Vec::new(),
    };
    for (name, entry) in table.iter() {
        for port in entry.ports.iter().filter(|port| port.is_http) {
            let id = port.virtual_host;
            let site = sites
                .entry(id)
                .or_insert_with(|| site(id, false, port.port));
            site.domains.push(name.clone());
        }
    }
    for (id, port) in inbound {
        let mut site = site(*id, true, *port);
        site.domains.push("*".into());
        sites.insert(*id, site);
    }
    sites
}

/// Whether a patch of this level means a route.
pub(super) fn matches(routes: &RouteMatch, level: Level, site: &Site, rule: &Rule) -> bool {
    let is = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
    let is_configuration = is(&routes.configuration, &site.configuration())
        && (routes.port == 0 || routes.port == u32::from(site.port));
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
