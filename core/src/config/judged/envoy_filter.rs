//! EnvoyFilter: patches of Envoy's own configuration. Only the frame is judged; the patch is Envoy's.

use super::selection;
use crate::config::checks;
use crate::config::code::Code;
use crate::config::decode::Object;

/// What a patch is applied to decides what it can be matched by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// Whole listeners or filter chains.
    Listener,
    /// Filters of a connection.
    NetworkFilter,
    /// Filters of requests.
    HttpFilter,
    /// Routes.
    Route,
    /// Clusters.
    Cluster,
    /// All others, which nothing needs to fit.
    Other,
    /// `INVALID`.
    None,
}

const TARGETS: &[(&str, i32, Target)] = &[
    ("INVALID", 0, Target::None),
    ("LISTENER", 1, Target::Listener),
    ("FILTER_CHAIN", 2, Target::Listener),
    ("NETWORK_FILTER", 3, Target::NetworkFilter),
    ("HTTP_FILTER", 4, Target::HttpFilter),
    ("ROUTE_CONFIGURATION", 5, Target::Route),
    ("VIRTUAL_HOST", 6, Target::Route),
    ("HTTP_ROUTE", 7, Target::Route),
    ("CLUSTER", 8, Target::Cluster),
    ("EXTENSION_CONFIG", 9, Target::Other),
    ("BOOTSTRAP", 10, Target::Other),
    ("LISTENER_FILTER", 11, Target::Other),
];

const CONTEXTS: &[(&str, i32, bool)] = &[
    ("ANY", 0, false),
    ("SIDECAR_INBOUND", 1, false),
    ("SIDECAR_OUTBOUND", 2, false),
    ("GATEWAY", 3, false),
    ("WAYPOINT", 4, true),
];

/// Symbol, number, and whether the patch needs a value; `None` for `INVALID`.
const OPERATIONS: &[(&str, i32, Option<bool>)] = &[
    ("INVALID", 0, None),
    ("MERGE", 1, Some(true)),
    ("ADD", 2, Some(true)),
    ("REMOVE", 3, Some(false)),
    ("INSERT_BEFORE", 4, Some(true)),
    ("INSERT_AFTER", 5, Some(true)),
    ("INSERT_FIRST", 6, Some(true)),
    ("REPLACE", 7, Some(true)),
    ("MERGE_AND_REPLACE_LIST", 8, Some(true)),
];

/// What routes requests inside a listener, by its two names.
const HTTP_MANAGERS: [&str; 2] = [
    "envoy.filters.network.http_connection_manager",
    "envoy.http_connection_manager",
];

/// Judges the `spec`.
pub(super) fn judge(o: &mut Object<'_, '_>) {
    o.message("workloadSelector", |selector| {
        let labels = selector.string_map("labels");
        checks::selector("labels", &labels, selector.report());
    });
    selection::targets(o);
    o.integer::<i32>("priority");
    o.messages("configPatches", patch);
}

/// What a patch is matched by.
#[derive(Debug, Default)]
struct Match {
    is_waypoint: bool,
    listener: Option<Filter>,
    has_route: bool,
    has_cluster: bool,
    has_waypoint: bool,
}

/// The names of a listener match's filter and sub-filter; `None` where there is no such match.
#[derive(Debug, Default)]
struct Filter {
    name: Option<String>,
    sub: Option<String>,
}

fn patch(o: &mut Object<'_, '_>) {
    let target = o.symbol("applyTo", TARGETS).unwrap_or(Target::None);
    let by = o.message("match", read_match).unwrap_or_default();
    let patch = o.message("patch", |patch| {
        patch.take("filterClass");
        let has_value = patch.take("value").is_some();
        let operation = patch.symbol("operation", OPERATIONS).flatten();
        (operation, has_value)
    });
    if by.is_waypoint {
        if by.listener.is_some() || by.has_route || by.has_cluster {
            let message = "in context `WAYPOINT` only `waypoint` matches";
            o.report()
                .raise_in("match", Code::InvalidMatch, message, "");
        }
        return;
    }
    if target == Target::None {
        return o.report().raise_in(
            "applyTo",
            Code::RequiredField,
            "a patch needs `applyTo`",
            "",
        );
    }
    match patch {
        None => {
            return o
                .report()
                .raise(Code::RequiredField, "there is no `patch`", "");
        }
        Some((None, _)) => {
            return o.report().raise_in(
                "patch",
                Code::RequiredField,
                "a patch needs an `operation`",
                "",
            );
        }
        Some((Some(true), false)) => {
            let message = "every operation but `REMOVE` needs a `value`";
            return o
                .report()
                .raise_in("patch", Code::RequiredField, message, "");
        }
        Some(_) => {}
    }
    check_match(o, target, &by);
}

fn read_match(o: &mut Object<'_, '_>) -> Match {
    let is_waypoint = o.symbol("context", CONTEXTS).unwrap_or_default();
    o.message("proxy", |proxy| {
        proxy.string_map("metadata");
        let version = proxy.string("proxyVersion");
        if regex::Regex::new(&version).is_err() {
            let message = format!("`{version}` is not a regular expression");
            proxy
                .report()
                .raise_in("proxyVersion", Code::InvalidRegex, message, "");
        }
    });
    let by = Match {
        is_waypoint,
        listener: o.message("listener", read_listener),
        has_route: o.take("routeConfiguration").is_some(),
        has_cluster: o.take("cluster").is_some(),
        has_waypoint: o.take("waypoint").is_some(),
    };
    o.one_of(&["listener", "routeConfiguration", "cluster", "waypoint"]);
    by
}

fn read_listener(o: &mut Object<'_, '_>) -> Filter {
    for field in ["name", "portName", "listenerFilter"] {
        o.string(field);
    }
    o.integer::<u32>("portNumber");
    let filter = o.message("filterChain", |chain| {
        for field in [
            "name",
            "sni",
            "transportProtocol",
            "applicationProtocols",
            "transportSocket",
        ] {
            chain.string(field);
        }
        chain.integer::<u32>("destinationPort");
        chain.message("filter", |filter| Filter {
            name: Some(filter.string("name")),
            sub: filter.message("subFilter", |sub| sub.string("name")),
        })
    });
    filter.flatten().unwrap_or_default()
}

fn check_match(o: &mut Object<'_, '_>, target: Target, by: &Match) {
    let has_other = |own: bool| {
        !own && (by.listener.is_some() || by.has_route || by.has_cluster || by.has_waypoint)
    };
    let misfit = match target {
        Target::Listener | Target::NetworkFilter | Target::HttpFilter => {
            has_other(by.listener.is_some())
        }
        Target::Route => has_other(by.has_route),
        Target::Cluster => has_other(by.has_cluster),
        Target::Other | Target::None => false,
    };
    if misfit {
        let message = "`applyTo` and `match` are about different things";
        o.report()
            .raise_in("match", Code::InvalidMatch, message, "");
    }
    let is_in_listener = matches!(
        target,
        Target::Listener | Target::NetworkFilter | Target::HttpFilter
    );
    let Some(filter) = by.listener.as_ref().filter(|_| is_in_listener) else {
        return;
    };
    let Some(name) = &filter.name else { return };
    let message = match &filter.sub {
        _ if name.is_empty() => "a filter is matched by its name, and there is none",
        Some(_) if target != Target::HttpFilter => {
            "`subFilter` works with `applyTo: HTTP_FILTER` only"
        }
        Some(_) if !HTTP_MANAGERS.contains(&name.as_str()) => {
            "only the HTTP connection manager has sub-filters"
        }
        Some(sub) if sub.is_empty() => "a sub-filter is matched by its name, and there is none",
        Some(_) | None => return,
    };
    o.report()
        .raise_in("match", Code::InvalidMatch, message, "");
}
