//! Which rule of which HTTPRoute a request gets, against a reading of the API's words that tries every match of every route and
//! compares all that hold (`HTTPRouteRule.matches`).

use std::cmp::Reverse;
use std::fmt::Write as _;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Carried, CarriedPorts, Workload, compile};
use outrigger_core::config::{MeshConfig, Source, load};
use outrigger_core::message::RequestHead;
use outrigger_core::policy::route;
use outrigger_core::snapshot::{GatewayServer, Snapshot};
use proptest::prelude::*;
use proptest::sample::select;

/// Paths that routes match and requests have, chosen so that they cover each other.
const PATHS: [&str; 8] = ["/", "/a", "/a/", "/a/b", "/a/bc", "/a/b/c", "/ab", "/b"];
const NAMES: [&str; 3] = ["x", "y", "z"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    Nothing,
    Prefix(&'static str),
    Exact(&'static str),
}

#[derive(Clone, Debug)]
struct Match {
    path: Path,
    method: Option<&'static str>,
    headers: Vec<&'static str>,
    parameters: Vec<&'static str>,
}

/// A route: when it was made, and its rules' matches.
#[derive(Clone, Debug)]
struct Route {
    created: u8,
    rules: Vec<Vec<Match>>,
}

#[derive(Clone, Debug)]
struct Asked {
    method: &'static str,
    path: &'static str,
    headers: Vec<&'static str>,
    parameters: Vec<&'static str>,
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len())
}

fn few() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![3 => Just(Vec::new()), 1 => names()]
}

fn a_match() -> impl Strategy<Value = Match> {
    let path = prop_oneof![
        1 => Just(Path::Nothing),
        3 => select(PATHS.to_vec()).prop_map(Path::Prefix),
        2 => select(PATHS.to_vec()).prop_map(Path::Exact),
    ];
    let method = prop::option::weighted(0.3, select(vec!["GET", "POST"]));
    (path, method, few(), few()).prop_map(|(path, method, headers, parameters)| Match {
        path,
        method,
        headers,
        parameters,
    })
}

fn a_route() -> impl Strategy<Value = Route> {
    let rule = prop::collection::vec(a_match(), 0..3);
    (0..3u8, prop::collection::vec(rule, 1..6))
        .prop_map(|(created, rules)| Route { created, rules })
}

fn asked() -> impl Strategy<Value = Asked> {
    let method = select(vec!["GET", "POST", "PUT"]);
    (method, select(PATHS.to_vec()), names(), names()).prop_map(
        |(method, path, headers, parameters)| Asked {
            method,
            path,
            headers,
            parameters,
        },
    )
}

/// Whether a request meets a match.
fn holds(of: &Match, asked: &Asked) -> bool {
    let path = match of.path {
        Path::Nothing => true,
        Path::Exact(path) => asked.path == path,
        Path::Prefix(prefix) => {
            let parts = |path: &'static str| path.split('/').filter(|part| !part.is_empty());
            let mut of_request = parts(asked.path);
            parts(prefix).all(|part| of_request.next() == Some(part))
        }
    };
    path && of.method.is_none_or(|method| method == asked.method)
        && of.headers.iter().all(|name| asked.headers.contains(name))
        && of
            .parameters
            .iter()
            .all(|name| asked.parameters.contains(name))
}

/// What the API compares, in its order.
fn rank(of: &Match) -> (bool, usize, bool, usize, usize) {
    let length = |prefix: &str| prefix.trim_end_matches('/').len();
    let (is_exact, length) = match of.path {
        Path::Nothing => (false, 0),
        // Of a whole path only that it is one counts: two that hold are the same.
        Path::Exact(_) => (true, 0),
        Path::Prefix(prefix) => (false, length(prefix)),
    };
    let fields = (of.headers.len(), of.parameters.len());
    (is_exact, length, of.method.is_some(), fields.0, fields.1)
}

/// Route and rule of a request: the most particular match, then the older route, then its name, then the order in it.
fn chosen(routes: &[Route], asked: &Asked) -> Option<(usize, usize)> {
    let everything = [Match {
        path: Path::Nothing,
        method: None,
        headers: Vec::new(),
        parameters: Vec::new(),
    }];
    let mut held = Vec::new();
    for (at, route) in routes.iter().enumerate() {
        for (rule, matches) in route.rules.iter().enumerate() {
            let matches = match matches.is_empty() {
                true => &everything[..],
                false => matches,
            };
            for of in matches.iter().filter(|of| holds(of, asked)) {
                held.push((Reverse(rank(of)), route.created, at, rule));
            }
        }
    }
    held.into_iter().min().map(|(_, _, at, rule)| (at, rule))
}

fn written(routes: &[Route]) -> String {
    let mut text = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge}\nspec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}\n".to_owned();
    let pairs = |names: &[&str]| {
        let pairs = names
            .iter()
            .map(|name| format!("{{name: '{name}', value: v}}"));
        pairs.collect::<Vec<_>>().join(", ")
    };
    for (at, route) in routes.iter().enumerate() {
        let _ = write!(
            text,
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r{at}, creationTimestamp: '2026-01-0{}T00:00:00Z'}}\nspec:\n  parentRefs: [{{name: edge}}]\n  rules:\n",
            route.created + 1
        );
        for rule in &route.rules {
            let matches = rule.iter().map(|of| {
                let path = match of.path {
                    Path::Nothing => String::new(),
                    Path::Prefix(path) => format!("path: {{type: PathPrefix, value: {path}}}, "),
                    Path::Exact(path) => format!("path: {{type: Exact, value: {path}}}, "),
                };
                let method = of.method.map(|method| format!("method: {method}, "));
                let (headers, parameters) = (pairs(&of.headers), pairs(&of.parameters));
                format!(
                    "{{{path}{}headers: [{headers}], queryParams: [{parameters}]}}",
                    method.unwrap_or_default()
                )
            });
            let matches = matches.collect::<Vec<_>>().join(", ");
            let filter = "filters: [{type: RequestRedirect, requestRedirect: {hostname: a.test}}]";
            let _ = writeln!(text, "  - {{matches: [{matches}], {filter}}}");
        }
    }
    text
}

fn compiled(text: &str) -> Snapshot {
    let bytes = text.as_bytes();
    let loaded = load(&[Source { name: "a", bytes }], "edge");
    assert!(loaded.findings.is_empty(), "{:?}\n{text}", loaded.findings);
    let label = "gateway.networking.k8s.io/gateway-name";
    let workload = Workload {
        namespace: "edge".into(),
        labels: [(label.to_owned(), "edge".to_owned())].into(),
        carries: Box::new(Carried {
            ports: CarriedPorts::Every,
            trusted_hops: None,
        }),
        ..Workload::default()
    };
    let (mesh, registry) = (MeshConfig::default(), &mut Registry::default());
    let answers = Answers::new();
    compile(
        &loaded.resources,
        &workload,
        &mesh,
        &[],
        &answers,
        registry,
        0,
    )
    .snapshot
}

/// Route and rule that the snapshot leads to.
fn found(snapshot: &Snapshot, asked: &Asked) -> Option<(usize, usize)> {
    let listener = snapshot
        .gateways
        .find(80, core::net::Ipv4Addr::LOCALHOST.into())
        .expect("a listener");
    let Some(GatewayServer::Http(table)) = listener.server(None) else {
        panic!("the listener is for requests");
    };
    let host = table.find(b"any.test").expect("a listener for every host");
    let port = host.at(80).expect("the port of the listener");
    let virtual_host = snapshot.virtual_host(port.virtual_host);
    let query: Vec<String> = asked
        .parameters
        .iter()
        .map(|name| format!("{name}=v"))
        .collect();
    let mut request = RequestHead {
        method: asked.method.parse().expect("a method"),
        authority: b"any.test".to_vec(),
        path: format!("{}?{}", asked.path, query.join("&")).into_bytes(),
        ..RequestHead::default()
    };
    for name in &asked.headers {
        let added = request.headers.append(name.as_bytes(), b"v");
        assert!(added.is_ok());
    }
    let at = route::find(virtual_host, &request, "http", None)?;
    let origin = virtual_host.rules[at]
        .origin
        .as_ref()
        .expect("a rule of a route");
    let resource = &snapshot.resources[origin.resource.0 as usize];
    assert_eq!(&*resource.kind, "HTTPRoute");
    let number = |text: &str| {
        let digits = text.chars().skip_while(|c| !c.is_ascii_digit());
        let digits: String = digits.take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    Some((number(&resource.name), number(&origin.path)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_most_particular_match_of_all_routes_holds(
        routes in prop::collection::vec(a_route(), 1..4),
        requests in prop::collection::vec(asked(), 1..12),
    ) {
        let snapshot = compiled(&written(&routes));
        for asked in &requests {
            prop_assert_eq!(found(&snapshot, asked), chosen(&routes, asked), "{:?}", asked);
        }
    }
}
