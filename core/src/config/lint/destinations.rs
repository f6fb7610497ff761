//! Where VirtualServices send requests: hosts, subsets and ports that must exist.

use super::{About, Lint, full_name, meant};
use crate::config::address;
use crate::config::code::Code;
use crate::config::names;
use crate::config::virtual_service::{Destination, VirtualService};

/// Checks every destination of every VirtualService.
pub(super) fn lint(lint: &mut Lint<'_>) {
    for rule in &lint.resources.virtual_services {
        if rule.meta.rejected {
            continue;
        }
        for (path, destination) in destinations(rule) {
            check(lint, rule, &path, destination);
        }
    }
}

/// Every destination of a VirtualService with its field path.
fn destinations(rule: &VirtualService) -> Vec<(String, &Destination)> {
    let mut found = Vec::new();
    for (at, http) in rule.http.iter().enumerate() {
        let here = format!("spec.http[{at}]");
        for (at, route) in http.route.iter().enumerate() {
            found.push((
                format!("{here}.route[{at}].destination"),
                &route.destination,
            ));
        }
        found.extend(
            http.mirror
                .iter()
                .map(|mirror| (format!("{here}.mirror"), mirror)),
        );
        for (at, mirror) in http.mirrors.iter().enumerate() {
            found.push((
                format!("{here}.mirrors[{at}].destination"),
                &mirror.destination,
            ));
        }
    }
    let stream = [
        ("tls", rule.tls.iter().map(|r| &r.route).collect::<Vec<_>>()),
        ("tcp", rule.tcp.iter().map(|r| &r.route).collect()),
    ];
    for (field, routes) in stream {
        for (rule_at, route) in routes.into_iter().enumerate() {
            for (at, entry) in route.iter().enumerate() {
                let path = format!("spec.{field}[{rule_at}].route[{at}].destination");
                found.push((path, &entry.destination));
            }
        }
    }
    found
}

fn check(lint: &mut Lint<'_>, rule: &VirtualService, path: &str, destination: &Destination) {
    let about = About {
        kind: "VirtualService",
        meta: &rule.meta,
    };
    let namespace = rule.meta.namespace.as_str();
    let host = names::resolve(&destination.host, namespace, &lint.mesh.cluster_domain);
    if !check_host(lint, about, path, &destination.host, &host) {
        return;
    }
    let alias = lint.tables.alias(&host).map(str::to_owned);
    let host = alias.unwrap_or(host);
    let Some(known) = lint.tables.host(&host) else {
        return check_subset(lint, about, path, destination, &host);
    };
    let hidden = (!lint.tables.is_visible(known, namespace)).then(|| {
        format!(
            "{} {} does not export `{host}` to namespace `{namespace}`",
            known.kind,
            full_name(known.meta)
        )
    });
    let missing_port = destination
        .port
        .filter(|port| !known.ports.contains_key(port))
        .map(|port| {
            (
                format!("`{host}` has no port {port}"),
                format!("its ports are {}", known.port_list()),
            )
        });
    if let Some(message) = hidden {
        let help = "add the namespace to its `exportTo`";
        lint.tell(
            about,
            format!("{path}.host"),
            Code::HiddenHost,
            message,
            help,
        );
    }
    if let Some((message, help)) = missing_port {
        lint.tell(
            about,
            format!("{path}.port.number"),
            Code::UnknownPort,
            message,
            help,
        );
    }
    check_subset(lint, about, path, destination, &host);
}

/// Tells when a host leads nowhere. Answers whether what else is said about it is worth checking.
pub(super) fn check_host(
    lint: &mut Lint<'_>,
    about: About<'_>,
    path: &str,
    written: &str,
    host: &str,
) -> bool {
    // A pattern may be meant for what is to come.
    let is_pattern = names::is_wildcard(host);
    let wildcard = lint.tables.wildcard_over(host);
    let wildcard = wildcard.filter(|_| lint.tables.can_miss(host));
    let wildcard = wildcard.map(str::to_owned);
    let is_known = wildcard.is_none() && lint.tables.host(host).is_some();
    if is_pattern || is_known || address::parse_ip(host).is_some() {
        return true;
    }
    let path = format!("{path}.host");
    if let Some(wildcard) = wildcard {
        let message = format!(
            "`{host}` is no service of its own, `{wildcard}` is, and a {} names one",
            about.kind
        );
        let help = format!(
            "write `{wildcard}`, or add a ServiceEntry for `{host}`; as it stands it leads nowhere"
        );
        lint.tell(about, path, Code::UnknownHost, message, help);
        return false;
    }
    if tell_dotted(lint, about, &path, written) {
        return false;
    }
    if !lint.tables.can_miss(host) {
        return true;
    }
    let message = if host == written {
        format!("no service has the host `{host}`")
    } else {
        format!("no service has the host `{written}`, which stands for `{host}`")
    };
    let help = "add a Service or ServiceEntry, or correct the name; requests end in 503 NC";
    let help = advice(lint, written, host, help);
    lint.tell(about, path, Code::UnknownHost, message, help);
    false
}

/// What to do about a host that no service has: what may have been meant, and what else helps.
pub(super) fn advice(lint: &Lint<'_>, written: &str, host: &str, help: &str) -> String {
    let meant = meant_host(lint, written, host);
    let elsewhere = || {
        let (name, namespace) = names::split_service_host(host, &lint.mesh.cluster_domain)?;
        let (full, other) = lint.tables.service_elsewhere(name, namespace)?;
        Some(format!(
            "namespace `{other}` has a service `{name}`: write `{full}`, or say in the Service that it is of `{namespace}`"
        ))
    };
    match meant {
        None => elsewhere().unwrap_or_else(|| help.to_owned()),
        Some(meant) => meant::did_you_mean(Some(&meant), help),
    }
}

/// The host that may have been meant, written as the other was: a short name stays one.
fn meant_host(lint: &Lint<'_>, written: &str, host: &str) -> Option<String> {
    let meant = lint.guesses.nearest(host, lint.tables.hosts())?;
    let (name, rest) = meant.split_once('.')?;
    let is_short = !written.contains('.') && host.split_once('.').is_some_and(|h| h.1 == rest);
    Some(if is_short { name } else { meant }.to_owned())
}

/// Tells a host that looks like the short name of a service of another namespace, and is none to Istio.
pub(super) fn tell_dotted(
    lint: &mut Lint<'_>,
    about: About<'_>,
    path: &str,
    written: &str,
) -> bool {
    let Some(full) = dotted_service(lint, written) else {
        return false;
    };
    let message =
        format!("`{written}` has a dot, so it is taken as it stands and not expanded to `{full}`");
    let help = format!("write `{full}`");
    lint.tell(about, path, Code::DottedShortName, message, help);
    true
}

/// The service that `name.namespace` or `name.namespace.svc` is short for in Kubernetes, and is not in Istio.
fn dotted_service(lint: &Lint<'_>, written: &str) -> Option<String> {
    let (name, rest) = written.split_once('.')?;
    let namespace = rest.strip_suffix(".svc").unwrap_or(rest);
    lint.tables.service(name, namespace)
}

fn check_subset(
    lint: &mut Lint<'_>,
    about: About<'_>,
    path: &str,
    destination: &Destination,
    host: &str,
) {
    let subset = destination.subset.as_str();
    if subset.is_empty() {
        return;
    }
    let path = format!("{path}.subset");
    let mut known: Vec<&str> = Vec::new();
    if lint.tables.rules_over(host).any(|rule| rule.meta.rejected) {
        // What it was to define can not be told.
        return;
    }
    for rule in lint.tables.rules_over(host) {
        known.extend(rule.subsets.iter().map(|subset| subset.name.as_str()));
    }
    if known.contains(&subset) {
        return;
    }
    if !lint.tables.rules().contains_key(host) {
        let message =
            format!("no DestinationRule for `{host}` was read, so there is no subset `{subset}`");
        let help = "add a DestinationRule that defines it; requests end in 503 NC";
        return lint.tell(about, path, Code::SubsetWithoutRule, message, help);
    }
    known.sort_unstable();
    known.dedup();
    let help = if known.is_empty() {
        "its DestinationRule defines no subset".to_owned()
    } else {
        let defined = format!("its DestinationRule defines {}", known.join(", "));
        let meant = lint.guesses.nearest(subset, known.iter().copied());
        meant::did_you_mean(meant, &defined)
    };
    let message = format!("`{host}` has no subset `{subset}`");
    lint.tell(about, path, Code::UnknownSubset, message, help);
}
