//! What a route does: forward, redirect or respond, compiled for one service port.

use http::StatusCode;

use super::Input;
use super::clusters::Clusters;
use super::conditions;
use super::delegation::Expanded;
use super::header_ops::{self, Winner};
use super::resilience;
use super::services::Services;
use super::side::Side;
use crate::config::names;
use crate::config::virtual_service::{
    self as written, DerivePort, HeaderOperations, HttpRedirect, HttpRewrite, HttpRoute,
    HttpRouteDestination, UnmatchedPreflights,
};
use crate::snapshot::{
    Action, CorsPolicy, Destination, DestinationCluster, DirectResponse, Forward, HeaderOps,
    Mirror, PathRewrite, PerMillion, Redirect, RedirectPath, RedirectPort, Regex, Rewrite,
    TextMatch,
};

/// What destinations are resolved against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Targets<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) services: &'a Services<'a>,
    pub(super) clusters: &'a Clusters,
    /// See [`Side`].
    pub(super) side: Side<'a>,
}

impl Targets<'_> {
    /// The cluster of a destination that a resource of `namespace` names. Without a port it is the service's only one,
    /// else the one being routed.
    #[must_use]
    pub(super) fn cluster(
        &self,
        destination: &written::Destination,
        namespace: &str,
        routed_port: u16,
    ) -> DestinationCluster {
        let domain = &self.input.mesh.cluster_domain;
        let host = names::resolve(&destination.host, namespace, domain);
        let host = self.services.canonical(&host);
        let ports = self.services.find(host).map(|s| s.ports.as_slice());
        let port = match (destination.port, ports) {
            (Some(port), _) => u16::try_from(port).unwrap_or(0), // no service has port 0
            (None, Some([only])) => only.number,
            (None, _) => routed_port,
        };
        self.clusters.find(port, &destination.subset, host)
    }

    /// Whether routes to a cluster hash requests.
    fn is_hashed(&self, cluster: &DestinationCluster) -> bool {
        match cluster {
            DestinationCluster::Known(id) => {
                self.clusters.list[id.0 as usize].hash_policy.is_some()
            }
            DestinationCluster::Missing(_) | DestinationCluster::Passthrough => false,
        }
    }
}

/// The action of a route.
#[must_use]
pub(super) fn compile(expanded: &Expanded<'_>, targets: Targets<'_>, port: u16) -> Action {
    let route = &*expanded.route;
    if let Some(redirect) = &route.redirect {
        return Action::Redirect(compile_redirect(redirect, route, port));
    }
    if let Some(direct) = &route.direct_response {
        let status = u16::try_from(direct.status).ok();
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        let body = direct.body.as_ref().map(|body| body.as_bytes().to_vec());
        return Action::Respond(DirectResponse {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            body: body.unwrap_or_default().into(),
            response: response_ops(route),
        });
    }
    Action::Forward(compile_forward(expanded, targets, port))
}

fn compile_forward(expanded: &Expanded<'_>, targets: Targets<'_>, port: u16) -> Forward {
    let route = &*expanded.route;
    let namespace = expanded.resource.meta.namespace.as_str();
    let is_single = route.route.len() == 1;
    let winner = if is_single {
        Winner::Destination
    } else {
        Winner::Route
    };
    let rewrite = route
        .rewrite
        .as_ref()
        .map(compile_rewrite)
        .unwrap_or_default();
    let destinations = route.route.iter().filter_map(|destination| {
        let weight = if is_single {
            1
        } else {
            u32::try_from(destination.weight).ok().filter(|w| *w > 0)?
        };
        let mut request = header_ops::combine(request(route), request_of(destination), winner);
        if rewrite.authority.is_some() {
            request.authority = None; // a rewrite names the host before header operations do
        }
        Some(Destination {
            weight,
            cluster: targets.cluster(&destination.destination, namespace, port),
            request,
            response: header_ops::combine(response(route), response_of(destination), winner),
        })
    });
    let destinations: Box<[Destination]> = destinations.collect();
    let is_hashed = match &*destinations {
        // Reference §2.6: who is bound to an endpoint by a hash is not sent to another one.
        [only] if is_single => targets.is_hashed(&only.cluster),
        _ => false,
    };
    let total: u64 = destinations.iter().map(|d| u64::from(d.weight)).sum();
    Forward {
        total_weight: total.max(1),
        destinations,
        rewrite,
        cors: route
            .cors_policy
            .as_ref()
            .map(|cors| Box::new(compile_cors(cors))),
        timeout: route.timeout.filter(|timeout| !timeout.is_zero()),
        stream_idle: resilience::stream_idle(expanded.resource.extensions),
        fault: resilience::fault(route.fault.as_ref(), expanded.resource.extensions),
        retry: resilience::retry(
            route.retries.as_ref(),
            expanded.resource.extensions,
            is_hashed,
        ),
        retries_written: route.retries.is_some(),
        mirrors: compile_mirrors(route, namespace, targets, port),
        missing_is_500: route.api.is_some(),
    }
}

/// All mirrors of a route in the order written, none when none of them can get a copy.
fn compile_mirrors(
    route: &HttpRoute,
    namespace: &str,
    targets: Targets<'_>,
    port: u16,
) -> Box<[Mirror]> {
    let one = route.mirror.iter().map(|to| (to, route.mirror_share()));
    let listed = route.mirrors.iter();
    let listed = listed.map(|mirror| (&mirror.destination, mirror.share()));
    let all = one.chain(listed).map(|(to, percent)| Mirror {
        cluster: targets.cluster(to, namespace, port),
        share: PerMillion::from_percent(percent),
    });
    let all: Box<[Mirror]> = all.collect();
    if all.iter().any(|m| m.share > PerMillion::default()) {
        all
    } else {
        Box::default()
    }
}

fn request(route: &HttpRoute) -> Option<&HeaderOperations> {
    route.headers.as_ref()?.request.as_ref()
}

fn response(route: &HttpRoute) -> Option<&HeaderOperations> {
    route.headers.as_ref()?.response.as_ref()
}

fn request_of(destination: &HttpRouteDestination) -> Option<&HeaderOperations> {
    destination.headers.as_ref()?.request.as_ref()
}

fn response_of(destination: &HttpRouteDestination) -> Option<&HeaderOperations> {
    destination.headers.as_ref()?.response.as_ref()
}

fn response_ops(route: &HttpRoute) -> HeaderOps {
    header_ops::of_route(response(route))
}

fn compile_rewrite(rewrite: &HttpRewrite) -> Rewrite {
    let by_regex = rewrite.uri_regex_rewrite.as_ref().and_then(|regex| {
        Some(PathRewrite::Regex {
            pattern: Box::new(Regex::anywhere(&regex.pattern).ok()?),
            replacement: convert_replacement(&regex.rewrite)?,
        })
    });
    Rewrite {
        path: by_regex.or_else(|| text(&rewrite.uri).map(PathRewrite::Prefix)),
        authority: text(&rewrite.authority),
    }
}

/// A replacement in RE2's syntax (`\0` to `\9`, `\\`) in the `regex` crate's. `None` when it is invalid.
#[must_use]
fn convert_replacement(re2: &str) -> Option<Box<str>> {
    let mut out = String::with_capacity(re2.len());
    let mut rest = re2.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next()? {
                '\\' => out.push('\\'),
                digit if digit.is_ascii_digit() => {
                    out.push_str("${");
                    out.push(digit);
                    out.push('}');
                }
                _ => return None,
            },
            '$' => out.push_str("$$"),
            c => out.push(c),
        }
    }
    Some(out.into())
}

fn compile_redirect(redirect: &HttpRedirect, route: &HttpRoute, port: u16) -> Redirect {
    use written::RedirectPort::{Derive, Number};
    Redirect {
        // Validation refuses codes that are no redirect.
        status: match redirect.redirect_code {
            302 => StatusCode::FOUND,
            303 => StatusCode::SEE_OTHER,
            307 => StatusCode::TEMPORARY_REDIRECT,
            308 => StatusCode::PERMANENT_REDIRECT,
            _ => StatusCode::MOVED_PERMANENTLY,
        },
        scheme: text(&redirect.scheme),
        authority: text(&redirect.authority),
        path: match (text(&redirect.uri), text(&redirect.prefix_rewrite)) {
            (Some(path), _) => RedirectPath::Full(path),
            (None, Some(prefix)) => RedirectPath::Prefix(prefix),
            (None, None) => RedirectPath::Keep,
        },
        port: match redirect.port {
            None => RedirectPort::Keep,
            Some(Derive(DerivePort::FromProtocolDefault)) => RedirectPort::Default,
            Some(Derive(DerivePort::FromRequestPort)) => RedirectPort::Number(port),
            Some(Number(number)) => {
                u16::try_from(number).map_or(RedirectPort::Keep, RedirectPort::Number)
            }
        },
        response: response_ops(route),
    }
}

fn compile_cors(cors: &written::CorsPolicy) -> CorsPolicy {
    let allow_origins = if cors.allow_origins.is_empty() {
        let exact = cors.allow_origin.iter();
        exact.map(|o| TextMatch::Exact(o.as_str().into())).collect()
    } else {
        cors.allow_origins
            .iter()
            .filter_map(conditions::text)
            .collect()
    };
    CorsPolicy {
        allow_origins,
        allow_methods: cors.allow_methods.join(",").into(),
        allow_headers: cors.allow_headers.join(",").into(),
        expose_headers: cors.expose_headers.join(",").into(),
        max_age: cors.max_age.map(|age| age.as_secs().to_string().into()),
        allow_credentials: cors.allow_credentials == Some(true),
        forward_unmatched_preflights: cors.unmatched_preflights != UnmatchedPreflights::Ignore,
    }
}

/// An empty text was not written.
fn text(text: &str) -> Option<Box<str>> {
    (!text.is_empty()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_are_converted() {
        for (re2, want) in [
            (r"/x\2/\1", Some("/x${2}/${1}")),
            (r"\0$1", Some("${0}$$1")),
            (r"a\\b", Some(r"a\b")),
            (r"\10", Some("${1}0")),
            (r"\q", None),
            ("\\", None),
        ] {
            assert_eq!(convert_replacement(re2).as_deref(), want, "{re2}");
        }
    }
}
