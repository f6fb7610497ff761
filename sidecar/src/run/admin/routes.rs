//! Which endpoints there are: path, method, parameters, and what `/help` says of each. What they answer is in `admin`.

use std::fmt::Write as _;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Page,
    PageData,
    Help,
    Ready,
    ServerInfo,
    Listeners,
    Clusters,
    Certs,
    Overload,
    ConfigDump,
    Stats,
    StatsPrometheus,
    Requests,
    Explain,
    Logging,
    DrainListeners,
    Drained,
    QuitQuitQuit,
}

/// How it is asked for. What changes something is never had by a GET: a link would do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// GET and HEAD.
    Read,
    /// POST.
    Change,
}

impl Access {
    /// As the field `allow` writes it.
    pub(super) const fn methods(self) -> &'static str {
        match self {
            Self::Read => "GET, HEAD",
            Self::Change => "POST",
        }
    }
}

/// Which parameters it takes; others are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Each at most once.
    These(&'static [&'static str]),
    /// It reads them itself, and refuses what it does not know.
    AsItSays,
}

/// One endpoint.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) endpoint: Endpoint,
    pub(super) access: Access,
    pub(super) parameters: Taken,
    what: &'static str,
}

const fn route(
    path: &'static str,
    endpoint: Endpoint,
    access: Access,
    parameters: Taken,
    what: &'static str,
) -> Route {
    Route {
        path,
        endpoint,
        access,
        parameters,
        what,
    }
}

/// All of them, in the order in which they are shown.
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = {
    use Access::{Change, Read};
    use Endpoint as E;
    use Taken::{AsItSays, These};
    &[
        route("/", E::Page, Read, These(&[]), "this sidecar as a page to look at"),
        route("/page.json", E::PageData, Read, These(&["find", "all", "open"]),
            "what that page shows; ?find=PART, ?all, ?open=NAME,…"),
        route("/help", E::Help, Read, These(&[]), "this list"),
        route("/ready", E::Ready, Read, These(&[]), "LIVE, or 503 while draining"),
        route("/healthz/ready", E::Ready, Read, These(&[]), "the same for Kubernetes"),
        route("/server_info", E::ServerInfo, Read, These(&[]), "version, state, uptime, and what it was started with"),
        route("/listeners", E::Listeners, Read, These(&["format"]), "what is listened on; ?format=json"),
        route("/clusters", E::Clusters, Read, These(&["format"]), "endpoints and their counters; ?format=json"),
        route("/certs", E::Certs, Read, These(&[]), "certificates in use, and until when they are good"),
        route("/overload", E::Overload, Read, These(&["format"]), "how full the machine is, and what is done about it; ?format=json"),
        route("/config_dump", E::ConfigDump, Read, These(&[]), "the configuration in use"),
        route("/stats", E::Stats, Read, These(&["filter", "usedonly", "format"]),
            "counters; ?filter=REGEX, ?usedonly, ?format=text|json|prometheus|openmetrics"),
        route("/stats/prometheus", E::StatsPrometheus, Read, These(&["filter", "usedonly"]), "the same as Prometheus reads it"),
        route("/requests", E::Requests, Read, AsItSays,
            "the last requests that failed, were slow or sampled; ?failed, ?slow, ?sampled, ?path=, ?host=, ?id=, ?format=json"),
        route("/explain", E::Explain, Read, AsItSays,
            "what becomes of a request, which is not sent; ?request=GET%20http://host/path, ?header=, ?random=, ?format=json"),
        route("/logging", E::Logging, Change, AsItSays,
            "loggers and their levels; ?level=debug: of all, ?paths=config:debug,dns:off or ?config=debug: of some"),
        route("/drain_listeners", E::DrainListeners, Change, These(&["inboundonly", "graceful"]),
            "stop accepting, finish what runs; ?inboundonly: inbound listeners, ?graceful: accept for the minimum drain time first"),
        route("/drained", E::Drained, Read, These(&[]), "DRAINED once nobody from elsewhere is served any more, or 503"),
        route("/quitquitquit", E::QuitQuitQuit, Change, These(&[]), "drain and end"),
    ]
};

/// The endpoint of a path.
pub(super) fn find(path: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| route.path == path)
}

/// All endpoints, a line each.
pub(super) fn help() -> String {
    let mut out = String::new();
    for route in ROUTES {
        let method = match route.access {
            Access::Read => "GET",
            Access::Change => "POST",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{method:<4} {:<17} {}", route.path, route.what);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_about_admin_has_all_of_them() {
        let page = include_str!("../../../../docs/admin.md");
        for (at, route) in ROUTES.iter().enumerate() {
            let first = ROUTES.iter().position(|other| other.path == route.path);
            assert_eq!(first, Some(at), "{} stands twice", route.path);
            let row = format!("| `{}`", route.path);
            assert!(page.contains(&row), "docs/admin.md has no `{row}`");
            let Taken::These(parameters) = route.parameters else {
                continue;
            };
            for parameter in parameters {
                let name = format!("`?{parameter}");
                assert!(page.contains(&name), "docs/admin.md has no {name}");
            }
        }
    }
}
