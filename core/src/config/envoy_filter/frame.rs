//! What all patches of an EnvoyFilter have in common: what they are applied to, what they match, what they do.

use super::{Context, RouteAction, RouteMatch};
use crate::config::checks;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::node::Node;

/// What a patch is applied to decides what it can be matched by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Whole listeners or filter chains.
    Listener,
    /// Filters of a connection.
    NetworkFilter,
    /// Filters of requests.
    HttpFilter,
    /// `ROUTE_CONFIGURATION`.
    RouteConfiguration,
    /// `VIRTUAL_HOST`.
    VirtualHost,
    /// `HTTP_ROUTE`.
    HttpRoute,
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
    ("ROUTE_CONFIGURATION", 5, Target::RouteConfiguration),
    ("VIRTUAL_HOST", 6, Target::VirtualHost),
    ("HTTP_ROUTE", 7, Target::HttpRoute),
    ("CLUSTER", 8, Target::Cluster),
    ("EXTENSION_CONFIG", 9, Target::Other),
    ("BOOTSTRAP", 10, Target::Other),
    ("LISTENER_FILTER", 11, Target::Other),
];

/// Where a patch is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Where {
    #[default]
    Any,
    Inbound,
    Outbound,
    Gateway,
    Waypoint,
}

impl Where {
    /// The listeners of a sidecar or gateway that it means; `None` when they are none.
    pub(super) const fn of_proxy(self) -> Option<Context> {
        match self {
            Self::Any => Some(Context::Any),
            Self::Inbound => Some(Context::Inbound),
            Self::Outbound => Some(Context::Outbound),
            Self::Gateway => Some(Context::Gateway),
            Self::Waypoint => None,
        }
    }
}

const CONTEXTS: &[(&str, i32, Where)] = &[
    ("ANY", 0, Where::Any),
    ("SIDECAR_INBOUND", 1, Where::Inbound),
    ("SIDECAR_OUTBOUND", 2, Where::Outbound),
    ("GATEWAY", 3, Where::Gateway),
    ("WAYPOINT", 4, Where::Waypoint),
];

/// What a patch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Invalid,
    Merge,
    Add,
    Remove,
    InsertBefore,
    InsertAfter,
    InsertFirst,
    Replace,
    MergeAndReplaceList,
}

const OPERATIONS: &[(&str, i32, Operation)] = &[
    ("INVALID", 0, Operation::Invalid),
    ("MERGE", 1, Operation::Merge),
    ("ADD", 2, Operation::Add),
    ("REMOVE", 3, Operation::Remove),
    ("INSERT_BEFORE", 4, Operation::InsertBefore),
    ("INSERT_AFTER", 5, Operation::InsertAfter),
    ("INSERT_FIRST", 6, Operation::InsertFirst),
    ("REPLACE", 7, Operation::Replace),
    ("MERGE_AND_REPLACE_LIST", 8, Operation::MergeAndReplaceList),
];

/// Where Istio puts a filter; the filters that are used here have one place.
const CLASSES: &[(&str, i32, ())] = &[
    ("UNSPECIFIED", 0, ()),
    ("AUTHN", 1, ()),
    ("AUTHZ", 2, ()),
    ("STATS", 3, ()),
];

const ACTIONS: &[(&str, i32, RouteAction)] = &[
    ("ANY", 0, RouteAction::Any),
    ("ROUTE", 1, RouteAction::Route),
    ("REDIRECT", 2, RouteAction::Redirect),
    ("DIRECT_RESPONSE", 3, RouteAction::DirectResponse),
];

/// What routes requests inside a listener.
pub(super) const HTTP_MANAGER: &str = "envoy.filters.network.http_connection_manager";

/// Its name before Envoy renamed it, by which Istio finds nothing any more.
const OLD_HTTP_MANAGER: &str = "envoy.http_connection_manager";

/// The Istio whose rules this proxy follows; patches may be for some versions only.
const ISTIO_VERSION: &str = "1.32.0";

/// A patch whose frame is as it should be.
#[derive(Debug)]
pub(super) struct Frame<'n> {
    pub(super) target: Target,
    pub(super) by: Match,
    pub(super) operation: Operation,
    pub(super) value: Option<&'n Node>,
}

/// What a patch is matched by.
#[derive(Debug, Default)]
pub(super) struct Match {
    pub(super) context: Where,
    /// It is for other versions of Istio, or for proxies with metadata that this one has not.
    pub(super) is_for_others: bool,
    pub(super) listener: Option<Listener>,
    pub(super) routes: Option<RouteMatch>,
    has_cluster: bool,
    has_waypoint: bool,
}

/// A listener match.
#[derive(Debug, Default)]
pub(super) struct Listener {
    /// Its name; empty is any.
    pub(super) name: String,
    /// Its port, or the one that its filter chain is for; 0 is any.
    pub(super) port: u32,
    /// The first field that names what only TLS or a gateway has.
    pub(super) beyond: Option<&'static str>,
    /// The name of the filter; `None` where no filter is matched.
    pub(super) filter: Option<String>,
    /// The name of the filter inside it.
    pub(super) sub_filter: Option<String>,
}

/// Reads a patch; `None` when its frame is wrong, which is told.
pub(super) fn read<'n>(o: &mut Object<'_, 'n>) -> Option<Frame<'n>> {
    let target = o.symbol("applyTo", TARGETS).unwrap_or(Target::None);
    let by = o.message("match", read_match).unwrap_or_default();
    let patch = o.message("patch", |patch| {
        patch.symbol("filterClass", CLASSES);
        let value = patch.take("value");
        let operation = patch.symbol("operation", OPERATIONS);
        (operation.unwrap_or(Operation::Invalid), value)
    });
    if by.context == Where::Waypoint && by.is_of_proxy() {
        let message = "in context `WAYPOINT` only `waypoint` matches";
        o.report()
            .raise_in("match", Code::InvalidMatch, message, "");
        return None;
    }
    if target == Target::None && by.context != Where::Waypoint {
        let message = "a patch needs `applyTo`";
        o.report()
            .raise_in("applyTo", Code::RequiredField, message, "");
        return None;
    }
    let missing = match patch {
        None if by.context == Where::Waypoint => return None,
        None => {
            o.report()
                .raise(Code::RequiredField, "there is no `patch`", "");
            return None;
        }
        Some((Operation::Invalid, _)) => "a patch needs an `operation`",
        Some((operation, None)) if operation != Operation::Remove => {
            "every operation but `REMOVE` needs a `value`"
        }
        Some((operation, value)) => {
            if by.context != Where::Waypoint {
                check_match(o, target, &by);
            }
            return Some(Frame {
                target,
                by,
                operation,
                value,
            });
        }
    };
    if by.context != Where::Waypoint {
        o.report()
            .raise_in("patch", Code::RequiredField, missing, "");
    }
    None
}

impl Match {
    fn is_of_proxy(&self) -> bool {
        self.listener.is_some() || self.routes.is_some() || self.has_cluster
    }
}

fn read_match(o: &mut Object<'_, '_>) -> Match {
    let context = o.symbol("context", CONTEXTS).unwrap_or_default();
    let is_for_others = o.message("proxy", |proxy| {
        let has_metadata = !proxy.string_map("metadata").is_empty();
        let version = proxy.string("proxyVersion");
        match regex::Regex::new(&version) {
            Ok(version) => has_metadata || !version.is_match(ISTIO_VERSION),
            Err(_) => {
                let message = format!("`{version}` is not a regular expression");
                proxy
                    .report()
                    .raise_in("proxyVersion", Code::InvalidRegex, message, "");
                true
            }
        }
    });
    let by = Match {
        context,
        is_for_others: is_for_others.unwrap_or_default(),
        listener: o.message("listener", read_listener),
        routes: o.message("routeConfiguration", read_routes),
        has_cluster: o.take("cluster").is_some(),
        has_waypoint: o.message("waypoint", read_waypoint).is_some(),
    };
    o.one_of(&["listener", "routeConfiguration", "cluster", "waypoint"]);
    by
}

fn read_listener(o: &mut Object<'_, '_>) -> Listener {
    let mut beyond = None;
    let mut listener = Listener {
        name: o.string("name"),
        port: o.integer("portNumber"),
        ..Listener::default()
    };
    for field in ["portName", "listenerFilter"] {
        if !o.string(field).is_empty() {
            beyond = beyond.or(Some(field));
        }
    }
    o.message("filterChain", |chain| {
        for field in [
            "name",
            "sni",
            "transportProtocol",
            "applicationProtocols",
            "transportSocket",
        ] {
            if !chain.string(field).is_empty() {
                beyond = beyond.or(Some(field));
            }
        }
        let port = chain.integer("destinationPort");
        if port != 0 {
            listener.port = port;
        }
        chain.message("filter", |filter| {
            listener.filter = Some(filter.string("name"));
            listener.sub_filter = filter.message("subFilter", |sub| sub.string("name"));
        });
    });
    Listener { beyond, ..listener }
}

/// Nothing of it is used by sidecars.
fn read_waypoint(o: &mut Object<'_, '_>) {
    if let Some(port) = o.optional_integer("portNumber") {
        o.report()
            .field("portNumber", |report| checks::port(port, report));
    }
    o.message("route", |route| route.string("name"));
    o.message("filter", |filter| {
        filter.string("name");
        filter.message("subFilter", |sub| sub.string("name"));
    });
}

fn read_routes(o: &mut Object<'_, '_>) -> RouteMatch {
    let mut routes = RouteMatch {
        configuration: o.string("name"),
        port: o.integer("portNumber"),
        ..RouteMatch::default()
    };
    // Sidecars do not look at what only gateways have (Istio, `routeConfigurationMatch`).
    routes.port_name = o.string("portName");
    routes.gateway = o.string("gateway");
    o.message("vhost", |host| {
        routes.virtual_host = host.string("name");
        routes.domain = host.string("domainName");
        host.message("route", |route| {
            routes.route = route.string("name");
            routes.action = route.symbol("action", ACTIONS).unwrap_or_default();
        });
    });
    routes
}

fn check_match(o: &mut Object<'_, '_>, target: Target, by: &Match) {
    let has_other = |own: bool| !own && (by.is_of_proxy() || by.has_waypoint);
    let misfit = match target {
        Target::Listener | Target::NetworkFilter | Target::HttpFilter => {
            has_other(by.listener.is_some())
        }
        Target::RouteConfiguration | Target::VirtualHost | Target::HttpRoute => {
            has_other(by.routes.is_some())
        }
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
    let Some(listener) = by.listener.as_ref().filter(|_| is_in_listener) else {
        return;
    };
    let Some(name) = &listener.filter else { return };
    let message = match &listener.sub_filter {
        _ if name.is_empty() => "a filter is matched by its name, and there is none",
        Some(_) if target != Target::HttpFilter => {
            "`subFilter` works with `applyTo: HTTP_FILTER` only"
        }
        Some(_) if ![HTTP_MANAGER, OLD_HTTP_MANAGER].contains(&name.as_str()) => {
            "only the HTTP connection manager has sub-filters"
        }
        Some(sub) if sub.is_empty() => "a sub-filter is matched by its name, and there is none",
        Some(_) | None => return,
    };
    o.report()
        .raise_in("match", Code::InvalidMatch, message, "");
}
