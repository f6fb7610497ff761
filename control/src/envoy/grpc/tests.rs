//! What rules and services come to, as tables.

use outrigger_xds::Kind;
use outrigger_xds::envoy::cluster::Cluster;
use outrigger_xds::envoy::fault::HttpFault;
use outrigger_xds::envoy::listener::{HttpConnectionManager, Listener};
use outrigger_xds::envoy::route::{self, Action, HeaderValue, Path, Route, RouteConfiguration};
use outrigger_xds::envoy::{CLUSTERS, LISTENERS, ROUTES};
use outrigger_xds::messages::Message;
use serde_json::{Value, json};

use crate::envoy::View;
use crate::envoy::tests::{hub, view, viewer};

/// Three services with two subsets each, of Kubernetes and not, and what is said more.
fn seen(more: &[Value]) -> View {
    let service = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"clusterIP": "10.9.0.1", "ports": [{"name": "grpc", "port": 80}, {"name": "tcp", "port": 99}]},
        })
    };
    let subsets = |name: &str| {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"host": name, "subsets": [{"name": "v1", "labels": {"v": "1"}}, {"name": "v2", "labels": {"v": "2"}}]},
        })
    };
    let mut texts = vec![service("cart"), service("user"), subsets("cart")];
    texts.extend_from_slice(more);
    let mut viewer = viewer("shop");
    viewer.is_grpc = true;
    view(&hub(&texts), &viewer, None)
}

fn rules(http: &Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "cart", "namespace": "shop"},
        "spec": {"hosts": ["cart"], "http": http},
    })
}

fn made<M: Message + Default>(view: &View, kind: &'static Kind, name: &str) -> Option<M> {
    let resource = view.get(kind, name)?;
    assert_eq!(
        resource.name, name,
        "it goes by the name that it was asked for by"
    );
    let any = resource.resource.clone().unwrap();
    assert_eq!(any.type_url, kind.type_url());
    Some(M::decode(any.value).unwrap())
}

const CART: &str = "outbound|80||cart.shop.svc.cluster.local";

fn routes(view: &View) -> Vec<Route> {
    let mut made: RouteConfiguration = made(view, ROUTES, CART).unwrap();
    assert_eq!(made.name, CART);
    let host = made.virtual_hosts.remove(0);
    assert_eq!(host.domains, ["*"]);
    host.routes
}

/// Such as `/a* x=1 x!=2 -> v1 80, v2 20 within 1s`.
fn text(route: &Route) -> String {
    let matches = route.r#match.as_ref().unwrap();
    let path = match matches.path.as_ref().unwrap() {
        Path::Prefix(path) => format!("{path}*"),
        Path::Exact(path) => path.clone(),
        Path::Regex(regex) => format!("~{}", regex.regex),
    };
    let mut text = path
        + if matches.case_sensitive == Some(false) {
            " (any case)"
        } else {
            ""
        };
    for field in &matches.headers {
        let not = if field.invert_match { "!" } else { "" };
        let (is, value) = match field.value.as_ref().unwrap() {
            HeaderValue::Exact(text) => ("=", text.as_str()),
            HeaderValue::Prefix(text) => ("^=", text.as_str()),
            HeaderValue::Regex(regex) => ("~", regex.regex.as_str()),
            HeaderValue::Present(is) => {
                assert!(is, "what is missing is said by turning that round");
                ("", "")
            }
        };
        text += &match (is, not) {
            ("", not) => format!(" {not}{}", field.name),
            (is, not) => format!(" {}{not}{is}{value}", field.name),
        };
    }
    text + " -> " + &acted(route)
}

fn acted(route: &Route) -> String {
    let short = |name: &str| {
        let parts: Vec<&str> = name.split('|').collect();
        let service = parts[3].split('.').next().unwrap();
        let subset = if parts[2].is_empty() { "" } else { "/" };
        format!("{service}{subset}{}", parts[2])
    };
    let action = match route.action.as_ref().unwrap() {
        Action::NonForwarding(_) => return "fails".into(),
        Action::Route(action) => action,
    };
    let mut text = match action.cluster.as_ref().unwrap() {
        route::Cluster::One(name) => short(name),
        route::Cluster::Weighted(all) => {
            let all = all.clusters.iter();
            let all: Vec<String> = all
                .map(|one| format!("{} {}", short(&one.name), one.weight.unwrap()))
                .collect();
            all.join(", ")
        }
    };
    if let Some(within) = action.max_stream_duration.as_ref() {
        text += &format!(" within {}", within.max_stream_duration.as_ref().unwrap());
    }
    if let Some(retry) = &action.retry_policy {
        text += &format!(
            " again {} on {}",
            retry.num_retries.unwrap(),
            retry.retry_on
        );
    }
    for hashed in &action.hash_policy {
        text += &format!(" by {}", hashed.header.as_ref().unwrap().header_name);
    }
    for (name, any) in &route.typed_per_filter_config {
        assert_eq!(name, "envoy.filters.http.fault");
        let fault = HttpFault::decode(any.value.clone()).unwrap();
        if let Some(abort) = fault.abort {
            let share = abort.percentage.unwrap().numerator;
            text += &format!(
                " abort {}/{} for {share}",
                abort.http_status, abort.grpc_status
            );
        }
        if let Some(delay) = fault.delay {
            text += &format!(" delay {}", delay.fixed_delay.unwrap());
        }
    }
    text
}

/// The routes that a list of rules comes to, and what is told of it.
fn told(http: &Value) -> (Vec<String>, Vec<String>) {
    let view = seen(&[rules(http)]);
    let all = routes(&view).iter().map(text).collect();
    let prefix = "VirtualService shop/cart: spec.";
    let notes = view.notes().into_iter().map(|note| {
        let note = note.strip_prefix(prefix).unwrap_or(&note);
        note.replace(&format!(" for {CART}"), "")
    });
    (all, notes.collect())
}

#[test]
fn what_calls_can_be_held_against_is_said() {
    let to = json!([{"destination": {"host": "user"}}]);
    let retried = " again 2 on cancelled,unavailable";
    for (matches, want) in [
        (json!({}), &["* -> user"][..]),
        (json!({"uri": {"prefix": "/a.B/"}}), &["/a.B/* -> user"]),
        (json!({"uri": {"exact": "/a.B/C"}}), &["/a.B/C -> user"]),
        (json!({"uri": {"regex": "/a.*"}}), &["~/a.* -> user"]),
        (
            json!({"uri": {"prefix": "/A"}, "ignoreUriCase": true}),
            &["/a* (any case) -> user"],
        ),
        (
            json!({"headers": {"x": {"exact": "1"}, "y": {"prefix": "2"}, "z": {"regex": "3+"}, "w": {}}}),
            &["* w x=1 y^=2 z~3+ -> user"],
        ),
        // A field that is missing is none of these to us, and never anything to gRPC.
        (
            json!({"withoutHeaders": {"x": {"exact": "1"}}}),
            &["* x!=1 -> user", "* !x -> user"],
        ),
        (json!({"withoutHeaders": {"x": {}}}), &["* !x -> user"]),
        (
            json!({"withoutHeaders": {"x": {"regex": ".*"}}}),
            &["* x!~.* -> user"],
        ),
        (
            json!({"withoutHeaders": {"x": {"exact": "1"}, "y": {"exact": "2"}}}),
            &[
                "* x!=1 y!=2 -> user",
                "* x!=1 !y -> user",
                "* !x y!=2 -> user",
                "* !x !y -> user",
            ],
        ),
        (json!({"method": {"exact": "POST"}}), &["* -> user"]),
        // No call is a GET, and none has a query.
        (json!({"method": {"exact": "GET"}}), &[]),
        (
            json!({"withoutHeaders": {":method": {"regex": "P.*"}}}),
            &[],
        ),
        (json!({"queryParams": {"a": {"exact": "1"}}}), &[]),
    ] {
        let http = json!([{"match": [matches], "route": to}]);
        let want: Vec<String> = want.iter().map(|text| format!("{text}{retried}")).collect();
        assert_eq!(told(&http), (want, vec![]), "{matches}");
    }
}

#[test]
fn what_they_cannot_be_held_against_fails_whatever_it_may_mean() {
    let to = json!([{"destination": {"host": "user"}}]);
    let many: serde_json::Map<String, Value> = (0..5)
        .map(|n| (format!("x{n}"), json!({"exact": "1"})))
        .collect();
    for (matches, want, what) in [
        (
            json!({"scheme": {"exact": "https"}, "uri": {"prefix": "/a"}}),
            "/a* -> fails",
            "`scheme`",
        ),
        (
            json!({"authority": {"exact": "cart"}}),
            "* -> fails",
            "`authority`",
        ),
        (
            json!({"headers": {":path": {"prefix": "/a"}, "x": {"exact": "1"}}}),
            "* x=1 -> fails",
            "`:path` among headers",
        ),
        (
            json!({"headers": {"x-bin": {"exact": "1"}}}),
            "* -> fails",
            "headers of bytes (`-bin`)",
        ),
        (
            json!({"withoutHeaders": many}),
            "* x0",
            "so many `withoutHeaders`",
        ),
    ] {
        let http = json!([{"match": [matches], "route": to}, {"route": to}]);
        let (all, notes) = told(&http);
        assert!(
            all[0].starts_with(want) && all[0].ends_with("fails"),
            "{all:?}"
        );
        assert_eq!(
            all.last().unwrap(),
            "* -> user again 2 on cancelled,unavailable"
        );
        let note = format!(
            "http[0].match[0]: gRPC does not know {what}; calls that it may be meant for fail"
        );
        assert_eq!(notes, [note]);
    }
}

#[test]
fn what_is_done_is_said_or_told() {
    let cart = |more: Value| {
        let mut rule =
            json!({"route": [{"destination": {"host": "cart"}}], "retries": {"attempts": 0}});
        for (name, value) in more.as_object().unwrap() {
            rule[name] = value.clone();
        }
        json!([rule])
    };
    let weights = json!([
        {"destination": {"host": "cart", "subset": "v1"}, "weight": 80},
        {"destination": {"host": "cart", "subset": "v3"}, "weight": 15},
        {"destination": {"host": "cart", "subset": "v2"}, "weight": 5},
    ]);
    let fails = "calls that it may be meant for fail";
    let served = "calls are served without";
    for (more, want, note) in [
        (json!({}), "cart", None),
        (
            json!({"route": weights}),
            "cart/v1 80, cart/v3 15, cart/v2 5",
            None,
        ),
        (json!({"timeout": "1.5s"}), "cart within 1.500s", None),
        (
            json!({"retries": {"attempts": 3, "retryOn": "unavailable,connect-failure,internal"}}),
            "cart again 3 on internal,unavailable",
            None,
        ),
        (
            json!({"retries": {"attempts": 3, "retryOn": "5xx"}}),
            "cart",
            Some(("`retryOn: 5xx`", served)),
        ),
        (
            json!({"fault": {"abort": {"httpStatus": 503, "percentage": {"value": 100}}}}),
            "cart abort 503/0 for 1000000",
            None,
        ),
        (
            json!({"fault": {"abort": {"grpcStatus": "PERMISSION_DENIED", "percentage": {"value": 0.5}}, "delay": {"fixedDelay": "2s", "percentage": {"value": 1}}}}),
            "cart abort 0/7 for 5000 delay 2s",
            None,
        ),
        (
            json!({"rewrite": {"uri": "/x"}}),
            "fails",
            Some(("rewrites", fails)),
        ),
        (
            json!({"rewrite": {"authority": "x"}}),
            "fails",
            Some(("rewrites", fails)),
        ),
        (
            json!({"mirror": {"host": "user"}}),
            "cart",
            Some(("mirrors", served)),
        ),
        (
            json!({"headers": {"request": {"set": {"a": "b"}}}}),
            "cart",
            Some(("changes of headers", served)),
        ),
        (
            json!({"corsPolicy": {"allowOrigins": [{"exact": "*"}]}}),
            "cart",
            Some(("`corsPolicy`", served)),
        ),
    ] {
        let (all, notes) = told(&cart(more.clone()));
        assert_eq!(all, [format!("* -> {want}")], "{more}");
        let note = note.map(|(what, then)| format!("http[0]: gRPC does not know {what}; {then}"));
        assert_eq!(notes, note.into_iter().collect::<Vec<_>>(), "{more}");
    }
    for (rule, what) in [
        (json!([{"redirect": {"uri": "/x"}}]), "redirects"),
        (
            json!([{"directResponse": {"status": 403}}]),
            "direct responses",
        ),
    ] {
        let (all, notes) = told(&rule);
        assert_eq!(all, ["* -> fails"]);
        assert_eq!(
            notes,
            [format!("http[0]: gRPC does not know {what}; {fails}")]
        );
    }
}

/// What a listener says of its name: the name of its routes.
fn routed(view: &View, name: &str) -> Option<String> {
    let listener: Listener = made(view, LISTENERS, name)?;
    assert_eq!(listener.name, name);
    let manager = listener.api_listener.unwrap().api_listener.unwrap();
    let manager = HttpConnectionManager::decode(manager.value).unwrap();
    let filters: Vec<&str> = manager
        .http_filters
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(
        filters,
        ["envoy.filters.http.fault", "envoy.filters.http.router"]
    );
    Some(manager.rds.unwrap().route_config_name)
}

#[test]
fn a_service_is_found_by_the_names_that_applications_have_for_it() {
    let view = seen(&[]);
    for name in [
        "cart.shop.svc.cluster.local:80",
        "CART.shop.svc.cluster.local.:80",
        "cart.shop.svc:80",
        "cart.shop:80",
        "cart:80",
        "cart",
    ] {
        assert_eq!(routed(&view, name).as_deref(), Some(CART), "{name}");
    }
    for name in [
        "",
        "cart:81",
        "cart:99",
        "cart:x",
        "cart:",
        "nobody:80",
        "*",
        ":80",
    ] {
        assert_eq!(routed(&view, name), None, "{name}");
    }
    for name in [
        "",
        "outbound|80||cart",
        "outbound|81||cart.shop.svc.cluster.local",
        "inbound|80||x",
    ] {
        assert!(view.get(ROUTES, name).is_none(), "{name}");
        assert!(view.get(CLUSTERS, name).is_none(), "{name}");
    }
    let names =
        |kind| -> Vec<String> { view.all(kind).iter().map(|one| one.name.clone()).collect() };
    let hosts = ["cart.shop.svc.cluster.local", "user.shop.svc.cluster.local"];
    assert_eq!(names(LISTENERS), hosts.map(|host| format!("{host}:80")));
    assert_eq!(
        names(ROUTES),
        hosts.map(|host| format!("outbound|80||{host}"))
    );
    assert!(names(CLUSTERS).contains(&CART.to_owned()));
    // Who is no client of gRPC without a proxy is told of endpoints alone.
    let other = self::view(&hub(&[]), &viewer("shop"), None);
    assert!(other.get(LISTENERS, "cart:80").is_none() && other.all(LISTENERS).is_empty());
}

#[test]
fn a_cluster_says_how_its_endpoints_are_picked_and_spoken_to() {
    let policy = |policy: Value| {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "cart", "namespace": "shop"},
            "spec": {"host": "cart", "trafficPolicy": policy},
        })
    };
    let told = |traffic: Value| {
        let view = seen(&[policy(traffic)]);
        let made: Option<Cluster> = made(&view, CLUSTERS, CART);
        let text = made.map(|cluster| {
            assert_eq!((cluster.name.as_str(), cluster.r#type), (CART, 3));
            let eds = cluster.eds_cluster_config.unwrap();
            assert_eq!(eds.service_name, CART);
            assert!(eds.eds_config.unwrap().ads.is_some());
            let limits = cluster
                .circuit_breakers
                .map(|limits| limits.thresholds[0].max_requests);
            let tls = cluster.transport_socket.map(|tls| tls.name);
            let ring = cluster
                .ring_hash_lb_config
                .map(|ring| ring.minimum_ring_size);
            format!(
                "{} least {} ring {ring:?} limit {limits:?} tls {tls:?}",
                cluster.lb_policy,
                cluster.load_balancing_policy.is_some()
            )
        });
        let notes = view.notes().into_iter();
        let notes = notes.map(|note| note.replace(&format!("{CART}: gRPC does not know "), ""));
        (text, notes.collect::<Vec<_>>())
    };
    let without = |what: &str| vec![format!("{what}; calls are served without")];
    for (traffic, want, notes) in [
        (
            json!({}),
            Some("0 least true ring None limit None tls None"),
            vec![],
        ),
        (
            json!({"loadBalancer": {"simple": "ROUND_ROBIN"}}),
            Some("0 least false ring None limit None tls None"),
            vec![],
        ),
        (
            json!({"loadBalancer": {"simple": "RANDOM"}}),
            Some("0 least false ring None limit None tls None"),
            vec!["that load balancer; endpoints have turns".to_owned()],
        ),
        (
            json!({"loadBalancer": {"consistentHash": {"httpHeaderName": "who", "ringHash": {"minimumRingSize": 512}}}}),
            Some("2 least false ring Some(Some(512)) limit None tls None"),
            vec![],
        ),
        (
            json!({"loadBalancer": {"consistentHash": {"useSourceIp": true, "ringHash": {"minimumRingSize": 512}}}}),
            Some("2 least false ring Some(Some(512)) limit None tls None"),
            vec![
                "what is to be hashed, which is no header; each call goes to a random endpoint"
                    .to_owned(),
            ],
        ),
        (
            json!({"connectionPool": {"http": {"http2MaxRequests": 7}}}),
            Some("0 least true ring None limit Some(Some(7)) tls None"),
            vec![],
        ),
        (
            json!({"connectionPool": {"tcp": {"maxConnections": 7}}}),
            Some("0 least true ring None limit None tls None"),
            without("limits of connections"),
        ),
        (
            json!({"outlierDetection": {"consecutive5xxErrors": 3}}),
            Some("0 least true ring None limit None tls None"),
            without("`outlierDetection`"),
        ),
        (
            json!({"tls": {"mode": "ISTIO_MUTUAL"}}),
            Some("0 least true ring None limit None tls Some(\"envoy.transport_sockets.tls\")"),
            vec![],
        ),
        // Nobody is spoken to in clear text who is to be spoken to in TLS.
        (
            json!({"tls": {"mode": "SIMPLE", "sni": "a.example"}}),
            None,
            vec!["TLS but that of the mesh; calls to it fail".to_owned()],
        ),
        (
            json!({"tls": {"mode": "DISABLE"}}),
            Some("0 least true ring None limit None tls None"),
            vec![],
        ),
    ] {
        let (text, told) = told(traffic.clone());
        assert_eq!(text.as_deref(), want, "{traffic}");
        assert_eq!(told, notes, "{traffic}");
    }
    // What is hashed stands in the routes.
    let hashed = policy(json!({"loadBalancer": {"consistentHash": {"httpHeaderName": "who"}}}));
    let view = seen(&[hashed]);
    assert_eq!(
        routes(&view).iter().map(text).collect::<Vec<_>>(),
        ["* -> cart again 2 on cancelled,unavailable by who"]
    );
}
