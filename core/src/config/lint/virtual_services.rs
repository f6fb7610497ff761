//! VirtualServices against each other, their gateways, their delegates and the ports of the services they route.

use std::collections::BTreeMap;

use super::{About, Lint, destinations, full_name, meant};
use crate::config::address;
use crate::config::code::Code;
use crate::config::names::{self, Visibility};
use crate::config::protocol::Protocol;
use crate::config::virtual_service::{Delegate, HttpRoute, MESH_GATEWAY, VirtualService};

/// Checks all VirtualServices.
pub(super) fn lint(lint: &mut Lint<'_>) {
    conflicts(lint);
    unused_delegates(lint);
    let all = &lint.resources.virtual_services;
    for rule in all.iter().filter(|rule| !rule.meta.rejected) {
        gateways(lint, rule);
        hosts(lint, rule);
        ports(lint, rule);
        hedging(lint, rule);
        for (at, route) in rule.http.iter().enumerate() {
            if let Some(delegate) = &route.delegate {
                check_delegate(lint, rule, at, delegate);
            }
            timeouts(lint, rule, at, route);
        }
    }
}

fn about(rule: &VirtualService) -> About<'_> {
    About {
        kind: "VirtualService",
        meta: &rule.meta,
    }
}

/// Sidecars never merge two VirtualServices for one host: the older one holds, the other is ignored.
fn conflicts(lint: &mut Lint<'_>) {
    let mut of_host: BTreeMap<String, Vec<(usize, &VirtualService)>> = BTreeMap::new();
    let all = &lint.resources.virtual_services;
    for rule in all
        .iter()
        .filter(|rule| !rule.meta.rejected && applies(rule))
    {
        for (at, host) in rule.hosts.iter().enumerate() {
            let host = names::resolve(host, &rule.meta.namespace, &lint.mesh.cluster_domain);
            of_host.entry(host).or_default().push((at, rule));
        }
    }
    for (host, mut rules) in of_host {
        rules.sort_by_key(|(_, rule)| {
            let meta = &rule.meta;
            (
                meta.created.as_deref().unwrap_or_default(),
                &meta.name,
                &meta.namespace,
            )
        });
        for at in 1..rules.len() {
            let (host_at, rule) = rules[at];
            let winner = rules[..at]
                .iter()
                .find(|(_, other)| meet(lint, other, rule));
            let Some((_, winner)) = winner else { continue };
            let message = format!(
                "VirtualService {} has the host `{host}` too and is used; sidecars ignore this one for that host",
                full_name(&winner.meta)
            );
            let path = format!("spec.hosts[{host_at}]");
            let help = "merge the two, or delegate from one to the other";
            lint.tell(about(rule), path, Code::ConflictingHosts, message, help);
        }
    }
}

/// Whether sidecars read any of its rules.
fn applies(rule: &VirtualService) -> bool {
    rule.binds_to_mesh() && !rule.is_delegate()
}

/// Whether the two are exported alike, so that the same clients see both and only age decides.
fn meet(lint: &Lint<'_>, a: &VirtualService, b: &VirtualService) -> bool {
    let list = |rule: &VirtualService| {
        let list = if rule.export_to.is_empty() {
            lint.mesh.default_virtual_service_export_to.clone()
        } else {
            rule.export_to.clone()
        };
        let own = |name: String| {
            if name == "." {
                rule.meta.namespace.clone()
            } else {
                name
            }
        };
        let mut list: Vec<String> = list.into_iter().map(own).collect();
        list.sort_unstable();
        if list.is_empty() {
            vec!["*".to_owned()]
        } else {
            list
        }
    };
    list(a) == list(b)
}

/// A host that no service has is not an error: sidecars answer for it, but on port 80 only.
fn hosts(lint: &mut Lint<'_>, rule: &VirtualService) {
    if !applies(rule) {
        return;
    }
    for (at, written) in rule.hosts.iter().enumerate() {
        let host = names::resolve(written, &rule.meta.namespace, &lint.mesh.cluster_domain);
        super::tell_alias(lint, about(rule), format!("spec.hosts[{at}]"), &host);
        let path = format!("spec.hosts[{at}]");
        let is_known = destinations::tell_dotted(lint, about(rule), &path, written)
            || lint.tables.any_under(&host)
            || address::parse_ip(&host).is_some();
        if is_known || !lint.tables.can_miss(&host) {
            continue;
        }
        let message = match lint.tables.wildcard_over(&host) {
            Some(wildcard) if names::is_wildcard(&host) => format!(
                "`{host}` is no service of its own, `{wildcard}` is, so these rules hold for nobody"
            ),
            Some(wildcard) => format!(
                "`{host}` is no service of its own, `{wildcard}` is, so these rules hold for it on port 80 only"
            ),
            None => format!(
                "no service has the host `{host}`, so sidecars answer for it on port 80 only"
            ),
        };
        let help = "add a Service or ServiceEntry, or correct the name";
        let help = destinations::advice(lint, written, &host, help);
        lint.tell(
            about(rule),
            format!("spec.hosts[{at}]"),
            Code::HostWithoutService,
            message,
            help,
        );
    }
}

fn gateways(lint: &mut Lint<'_>, rule: &VirtualService) {
    let in_matches = rule.http.iter().flat_map(|route| &route.matches);
    let mesh_in_match = in_matches
        .flat_map(|entry| &entry.gateways)
        .any(|gateway| gateway == MESH_GATEWAY);
    if !rule.binds_to_mesh() && !rule.is_delegate() && !mesh_in_match {
        lint.tell(
            about(rule),
            "spec.gateways",
            Code::NotForSidecars,
            "the gateways do not include `mesh`, so sidecars do not use this VirtualService",
            "add `mesh` if calls inside the mesh shall follow it too",
        );
    }
    for (at, name) in rule.gateways.iter().enumerate() {
        if name == MESH_GATEWAY || gateway_exists(lint, rule, name) {
            continue;
        }
        let message = format!("there is no Gateway `{name}`");
        let path = format!("spec.gateways[{at}]");
        let help = "add the Gateway, or correct the name";
        let help = meant::did_you_mean(meant_gateway(lint, rule, name).as_deref(), help);
        lint.tell(about(rule), path, Code::UnknownGateway, message, help);
    }
}

/// Where no Gateway of the namespace was read they are kept elsewhere, and nothing is known to be missing.
fn gateway_exists(lint: &Lint<'_>, rule: &VirtualService, reference: &str) -> bool {
    let (namespace, name) = gateway_of(lint, rule, reference);
    let mut names = gateways_in(lint, namespace).peekable();
    names.peek().is_none() || names.any(|known| known == name)
}

/// The Gateway that may have been meant, written as the reference is.
fn meant_gateway(lint: &Lint<'_>, rule: &VirtualService, reference: &str) -> Option<String> {
    let (namespace, name) = gateway_of(lint, rule, reference);
    let meant = lint.guesses.nearest(name, gateways_in(lint, namespace))?;
    Some(if reference == name {
        meant.to_owned()
    } else {
        format!("{namespace}/{meant}")
    })
}

fn gateways_in<'l>(lint: &'l Lint<'_>, namespace: &str) -> impl Iterator<Item = &'l str> {
    let all = lint.resources.gateways.iter();
    all.filter(move |gateway| gateway.meta.namespace == namespace)
        .map(|gateway| gateway.meta.name.as_str())
}

/// Namespace and name. A reference is `namespace/name`, `name` of the own namespace, or the legacy FQDN.
fn gateway_of<'r>(
    lint: &Lint<'_>,
    rule: &'r VirtualService,
    reference: &'r str,
) -> (&'r str, &'r str) {
    names::gateway(reference, &rule.meta.namespace, &lint.mesh.cluster_domain)
}

fn check_delegate(lint: &mut Lint<'_>, rule: &VirtualService, at: usize, delegate: &Delegate) {
    let own = &rule.meta.namespace;
    let namespace = if delegate.namespace.is_empty() {
        own
    } else {
        &delegate.namespace
    };
    let all = &lint.resources.virtual_services;
    let found = all
        .iter()
        .find(|other| other.meta.name == delegate.name && other.meta.namespace == *namespace);
    let default = &lint.mesh.default_virtual_service_export_to;
    let problem = match found {
        None => format!("there is no VirtualService {namespace}/{}", delegate.name),
        Some(other) if !other.is_delegate() => {
            format!(
                "VirtualService {} has hosts, so nothing can be delegated to it",
                full_name(&other.meta)
            )
        }
        Some(other) => {
            let list = if other.export_to.is_empty() {
                default
            } else {
                &other.export_to
            };
            if names::visibility(list, namespace, own) != Visibility::Hidden {
                return;
            }
            format!(
                "VirtualService {} is not exported to namespace `{own}`",
                full_name(&other.meta)
            )
        }
    };
    lint.tell(
        about(rule),
        format!("spec.http[{at}].delegate"),
        Code::UnknownDelegate,
        problem,
        "until it is there, this rule takes no request",
    );
}

/// A VirtualService without hosts does nothing until another one delegates to it.
fn unused_delegates(lint: &mut Lint<'_>) {
    let all = &lint.resources.virtual_services;
    if all.iter().all(VirtualService::is_delegate) {
        return;
    }
    let is_named = |rule: &VirtualService| {
        all.iter().any(|root| {
            root.http
                .iter()
                .filter_map(|route| route.delegate.as_ref())
                .any(|delegate| {
                    let namespace = if delegate.namespace.is_empty() {
                        &root.meta.namespace
                    } else {
                        &delegate.namespace
                    };
                    delegate.name == rule.meta.name && *namespace == rule.meta.namespace
                })
        })
    };
    for rule in all
        .iter()
        .filter(|rule| rule.is_delegate() && !rule.meta.rejected)
    {
        if !is_named(rule) {
            let message = "this VirtualService has no hosts and no other one delegates to it";
            lint.tell(about(rule), "spec", Code::UnusedDelegate, message, "");
        }
    }
}

fn timeouts(lint: &mut Lint<'_>, rule: &VirtualService, at: usize, route: &HttpRoute) {
    let per_try = route
        .retries
        .as_ref()
        .and_then(|retries| retries.per_try_timeout);
    if let (Some(per_try), Some(whole)) = (per_try, route.timeout)
        && per_try >= whole
    {
        let message = format!(
            "{per_try:?} for one try is not shorter than {whole:?} for all, so it never ends a try"
        );
        lint.tell(
            about(rule),
            format!("spec.http[{at}].retries.perTryTimeout"),
            Code::PerTryTimeout,
            message,
            "make it shorter, or the route's `timeout` longer",
        );
    }
}

/// An attempt is hedged when it takes longer than it may; without such a time none ever does.
fn hedging(lint: &mut Lint<'_>, rule: &VirtualService) {
    let has_time = |route: &HttpRoute| {
        let retries = route.retries.as_ref();
        retries.is_some_and(|retries| retries.per_try_timeout.is_some())
    };
    if rule.extensions.hedge_on_per_try_timeout && !rule.http.iter().any(has_time) {
        lint.tell(
            about(rule),
            "metadata.annotations[\"outrigger.dev/hedge-on-per-try-timeout\"]",
            Code::HedgeWithoutEffect,
            "no rule has `retries.perTryTimeout`, so nothing is hedged",
            "say how long a try may take",
        );
    }
}

/// What the services' ports make of the rules: `http` rules need an HTTP port, `tls` rules a TLS port.
fn ports(lint: &mut Lint<'_>, rule: &VirtualService) {
    if !applies(rule) {
        return;
    }
    let mut protocols = Vec::new();
    let mut numbers = Vec::new();
    for host in &rule.hosts {
        let host = names::resolve(host, &rule.meta.namespace, &lint.mesh.cluster_domain);
        // With one host unknown, or a pattern, nothing can be said about the ports.
        let Some(known) = lint
            .tables
            .host(&host)
            .filter(|_| !names::is_wildcard(&host))
        else {
            return;
        };
        protocols.extend(known.ports.values().copied());
        numbers.extend(known.ports.keys().copied());
    }
    if protocols.is_empty() {
        return;
    }
    let is_for_http = |p: &Protocol| p.is_http() || *p == Protocol::Sniff;
    let is_for_tls = |p: &Protocol| p.is_tls() || *p == Protocol::Sniff;
    if !rule.http.is_empty() && !protocols.iter().any(is_for_http) {
        let help = "name the port `http` or `http-…`, or set `appProtocol: http`";
        mismatch(lint, rule, "http", &protocols, help);
    }
    if !rule.tls.is_empty() && !protocols.iter().any(is_for_tls) {
        let help = "name the port `https` or `tls`";
        mismatch(lint, rule, "tls", &protocols, help);
    }
    for (at, route) in rule.http.iter().enumerate() {
        for (entry_at, entry) in route.matches.iter().enumerate() {
            if entry.port != 0 && !numbers.contains(&entry.port) {
                let message = format!(
                    "no host of this VirtualService has port {}, so this never matches",
                    entry.port
                );
                let path = format!("spec.http[{at}].match[{entry_at}].port");
                lint.tell(about(rule), path, Code::UnknownPort, message, "");
            }
        }
    }
}

fn mismatch(
    lint: &mut Lint<'_>,
    rule: &VirtualService,
    field: &str,
    protocols: &[Protocol],
    help: &str,
) {
    let names: Vec<&str> = protocols.iter().map(|p| p.as_str()).collect();
    let message = format!(
        "no port of its hosts is for `{field}` rules: their protocols are {}",
        names.join(", ")
    );
    lint.tell(
        about(rule),
        format!("spec.{field}"),
        Code::ProtocolMismatch,
        message,
        help,
    );
}
