//! Which patches of an EnvoyFilter are about rate limits, and what they change. What they hold is read by `patched`.

use super::frame::{self, Frame, HTTP_MANAGER, Listener, Operation, Target, Where};
use super::patched::{self, unused};
use super::typed_config::Message;
use super::{Change, Context, EnvoyFilter, InsertedLimit, Level, LimitPatch};
use crate::config::checks;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::judged::selection;
use crate::config::node::Node;
use crate::config::report::{Report, UnknownFields};
use crate::config::value::quoted;
use crate::snapshot::Place;

/// A filter, and where the patches stand that are about something else.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) filter: EnvoyFilter,
    pub(super) others: Vec<String>,
}

/// Reads the `spec`.
pub(super) fn decode(o: &mut Object<'_, '_>) -> Read {
    let selector = o.message("workloadSelector", |selector| {
        let labels = selector.string_map("labels");
        checks::selector("labels", &labels, selector.report());
        labels
    });
    selection::targets(o);
    let mut read = Read {
        filter: EnvoyFilter {
            workload_selector: selector.unwrap_or_default(),
            is_targeted: o.take("targetRefs").is_some(),
            priority: o.integer("priority"),
            ..EnvoyFilter::default()
        },
        ..Read::default()
    };
    o.messages("configPatches", |o| {
        let path = o.report().path().to_owned();
        let Some(frame) = frame::read(o) else { return };
        let is_ours =
            |value: &&Node| is_limit(frame.target, value) || describes(frame.target, value);
        let Some(value) = frame.value.filter(is_ours) else {
            return read.others.push(path);
        };
        match change(o, &frame, value) {
            Ok((context, change)) => read.filter.patches.push(LimitPatch {
                path,
                context,
                change,
            }),
            Err(why) => unused(o.report(), why.message, why.help),
        }
    });
    read
}

/// Nothing of the resource is used; the report stands at the document.
pub(super) fn tell_unused(report: &mut Report) {
    report.raise_in(
        "kind",
        Code::KindNotRead,
        "no patch of this `EnvoyFilter` is one that the proxy uses; it behaves as if it were not there",
        "rate limits are used (`envoy.filters.http.local_ratelimit`, `envoy.filters.http.ratelimit`)",
    );
}

/// A patch that is about something else.
pub(super) fn tell_other(report: &mut Report, path: &str) {
    report.field(path, |report| {
        unused(
            report,
            "this patch is not used",
            "only rate limits are (`envoy.filters.http.local_ratelimit`, `envoy.filters.http.ratelimit`)",
        );
    });
}

/// Whether a patch gives routes a list of actions.
fn describes(target: Target, value: &Node) -> bool {
    match target {
        Target::HttpRoute => {
            let route = value.field("route");
            route.is_some_and(|route| route.value.field("rateLimits").is_some())
        }
        Target::VirtualHost => value.field("rateLimits").is_some(),
        Target::HttpFilter
        | Target::RouteConfiguration
        | Target::Listener
        | Target::NetworkFilter
        | Target::Cluster
        | Target::Other
        | Target::None => false,
    }
}

/// Whether a patch is about rate limits.
fn is_limit(target: Target, value: &Node) -> bool {
    match target {
        Target::HttpFilter => matches!(
            patched::inserted(value),
            Some(Message::Local | Message::Global)
        ),
        Target::RouteConfiguration | Target::VirtualHost | Target::HttpRoute => {
            patched::per_filter(value).any(|(_, config)| Message::of(config).is_some())
        }
        Target::Listener
        | Target::NetworkFilter
        | Target::Cluster
        | Target::Other
        | Target::None => false,
    }
}

/// Why a patch about a rate limit can not be used.
struct Unused {
    message: String,
    help: String,
}

fn because<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Unused> {
    Err(Unused {
        message: message.into(),
        help: help.into(),
    })
}

fn change(
    o: &mut Object<'_, '_>,
    frame: &Frame<'_>,
    value: &Node,
) -> Result<(Context, Change), Unused> {
    let Some(context) = frame.by.context.of_proxy() else {
        return because("this patch is for waypoints", "");
    };
    if frame.by.is_for_others {
        let help = "remove `match.proxy`, or match Istio 1.32";
        return because("this patch is for other proxies or versions of Istio", help);
    }
    match frame.target {
        Target::RouteConfiguration => for_routes(o, frame, Level::Configuration, context, value),
        Target::VirtualHost => for_routes(o, frame, Level::VirtualHost, context, value),
        Target::HttpRoute => for_routes(o, frame, Level::Route, context, value),
        // Only a filter is left, see `is_ours`.
        Target::HttpFilter
        | Target::Listener
        | Target::NetworkFilter
        | Target::Cluster
        | Target::Other
        | Target::None => insert(o, frame, context, value),
    }
}

/// Reads the value of a patch, of which the schema of EnvoyFilter says nothing.
fn in_value<T>(o: &mut Object<'_, '_>, read: impl FnOnce(&mut Report) -> T) -> T {
    let report = o.report();
    let before = report.see_unknown_fields(UnknownFields::Ignored);
    let read = report.field("patch", |report| report.field("value", read));
    report.see_unknown_fields(before);
    read
}

fn insert(
    o: &mut Object<'_, '_>,
    frame: &Frame<'_>,
    context: Context,
    value: &Node,
) -> Result<(Context, Change), Unused> {
    let everything = Listener::default();
    let listener = frame.by.listener.as_ref().unwrap_or(&everything);
    let (context, port) = ports(listener, frame.by.context, context)?;
    let place = place(listener, frame.operation)?;
    let (name, limit) = in_value(o, |report| patched::filter(report, value));
    if let InsertedLimit::Global(limit) = &limit
        && (limit.service.as_ref()).is_some_and(|service| service.cluster.is_empty())
    {
        let help = "use `envoy_grpc` with the `cluster_name` of a service";
        return because("only services of the mesh are asked about limits", help);
    }
    let change = Change::Insert {
        port,
        place,
        name,
        limit,
    };
    Ok((context, change))
}

fn for_routes(
    o: &mut Object<'_, '_>,
    frame: &Frame<'_>,
    level: Level,
    context: Context,
    value: &Node,
) -> Result<(Context, Change), Unused> {
    if !matches!(
        frame.operation,
        Operation::Merge | Operation::MergeAndReplaceList
    ) {
        return because("only `MERGE` changes routes that are there", "");
    }
    let routes = frame.by.routes.clone().unwrap_or_default();
    let is_inbound = routes.virtual_host.starts_with("inbound|");
    let is_there = match context {
        Context::Any => true,
        Context::Inbound => is_inbound,
        Context::Outbound | Context::Gateway | Context::NotInbound => !is_inbound,
    };
    if !is_there && !routes.virtual_host.is_empty() {
        let name = quoted(&routes.virtual_host);
        return because(
            format!("no listener of this `context` has the virtual host {name}"),
            "`inbound|http|PORT` goes with `SIDECAR_INBOUND`, `HOST:PORT` with `SIDECAR_OUTBOUND` and `GATEWAY`",
        );
    }
    let said = in_value(o, |report| patched::overrides(report, level, value));
    let change = Change::Override {
        level,
        routes,
        said,
    };
    Ok((context, change))
}

/// Which listeners a match means, and by which port.
fn ports(listener: &Listener, at: Where, context: Context) -> Result<(Context, u32), Unused> {
    if let Some(field) = listener.beyond {
        return because(
            format!("no listener of this proxy is told by `{field}`"),
            "",
        );
    }
    match listener.name.as_str() {
        "" => Ok((context, listener.port)),
        "virtualInbound" if matches!(at, Where::Any | Where::Inbound) => {
            Ok((Context::Inbound, listener.port))
        }
        // `0.0.0.0_9080`: the service port, or that of a Gateway.
        name => match name.rsplit_once('_').map(|(_, port)| port.parse()) {
            Some(Ok(port))
                if at != Where::Inbound && (listener.port == 0 || listener.port == port) =>
            {
                Ok(match context {
                    Context::Any => (Context::NotInbound, port),
                    only => (only, port),
                })
            }
            _ => because(
                format!("no listener of HTTP has the name {}", quoted(name)),
                "leave `name` out, and use `portNumber`",
            ),
        },
    }
}

/// Where a filter comes to stand, from what it is inserted before or behind, in Istio's order (see [`Place`]).
fn place(listener: &Listener, operation: Operation) -> Result<Place, Unused> {
    if let Some(filter) = listener
        .filter
        .as_deref()
        .filter(|name| *name != HTTP_MANAGER)
    {
        return because(
            format!("no HTTP filters stand in {}", quoted(filter)),
            format!("the connection manager is called `{HTTP_MANAGER}`"),
        );
    }
    let is_before = match operation {
        Operation::InsertFirst => return Ok(Place::First),
        Operation::InsertBefore => true,
        Operation::InsertAfter => false,
        Operation::Invalid
        | Operation::Merge
        | Operation::Add
        | Operation::Remove
        | Operation::Replace
        | Operation::MergeAndReplaceList => {
            let help = "use `INSERT_BEFORE` or `INSERT_FIRST`";
            return because("this operation inserts no filter before the router", help);
        }
    };
    Ok(match (listener.sub_filter.as_deref(), is_before) {
        (None, true) | (Some("istio.metadata_exchange"), _) => Place::First,
        (Some("envoy.filters.http.ext_authz"), true) => Place::First,
        (Some("envoy.filters.http.ext_authz"), false)
        | (Some("envoy.filters.http.jwt_authn"), true) => Place::BeforeTokens,
        (Some("envoy.filters.http.jwt_authn"), false) | (Some("envoy.filters.http.rbac"), true) => {
            Place::BeforeAccess
        }
        (Some("envoy.filters.http.rbac"), false)
        | (Some("envoy.filters.http.grpc_stats" | "istio.alpn"), _)
        | (Some("envoy.filters.http.fault"), true) => Place::BeforeFaults,
        (Some("envoy.filters.http.fault"), false) | (Some("envoy.filters.http.cors"), true) => {
            Place::BeforeCors
        }
        (Some("envoy.filters.http.cors"), false)
        | (Some("istio.stats"), _)
        | (Some("envoy.filters.http.router"), true) => Place::BeforeRouter,
        (None, false) | (Some("envoy.filters.http.router"), false) => {
            return because(
                "behind the router no filter sees a request, and Envoy refuses it there",
                "use `INSERT_BEFORE`",
            );
        }
        (Some(other), _) => {
            return because(
                format!("there is no filter {} to insert beside", quoted(other)),
                "the last one is `envoy.filters.http.router`",
            );
        }
    })
}
