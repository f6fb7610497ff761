//! What Gateways and routes of the API come to, in Istio's words.

use std::fmt::Write as _;

use crate::config::virtual_service::{HttpMatchRequest, StringMatch};
use crate::config::{Loaded, Source, load};

const API: &str = "apiVersion: gateway.networking.k8s.io/v1\n";

fn loaded(text: &str) -> Loaded {
    let bytes = text.as_bytes();
    load(&[Source { name: "a", bytes }], "shop")
}

fn document(kind: &str, name: &str, spec: &str) -> String {
    format!("{API}kind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n---\n")
}

fn gateway(listeners: &str) -> String {
    document(
        "Gateway",
        "edge",
        &format!("gatewayClassName: istio, listeners: [{listeners}]"),
    )
}

const HTTP: &str = "{name: http, port: 80, protocol: HTTP}";

fn told(loaded: &Loaded) -> Vec<String> {
    let findings = loaded.findings.iter();
    findings.map(|f| format!("{} {}", f.code, f.path)).collect()
}

fn shown_match(entry: &HttpMatchRequest) -> String {
    let mut text = String::new();
    let of = |value: &StringMatch| match value {
        StringMatch::Exact(text) => format!("={text}"),
        StringMatch::Prefix(text) => format!("{text}*"),
        StringMatch::Regex(text) => format!("~{text}"),
        StringMatch::Present => "?".to_owned(),
    };
    text.extend(entry.uri.as_ref().map(of));
    text.extend(entry.method.as_ref().map(|m| format!(" method{}", of(m))));
    text.extend(entry.headers.iter().map(|(n, v)| format!(" {n}{}", of(v))));
    text.extend(
        entry
            .query_params
            .iter()
            .map(|(n, v)| format!(" ?{n}{}", of(v))),
    );
    text
}

/// The routes of the only HTTPRoute, or GRPCRoute, in their order.
fn shown(loaded: &Loaded) -> Vec<String> {
    let mut all = Vec::new();
    for route in loaded
        .resources
        .gateway_api
        .routes
        .iter()
        .flat_map(|r| &r.http)
    {
        let mut text = match route.matches.first() {
            None => "any".to_owned(),
            Some(entry) => shown_match(entry),
        };
        if let Some(answer) = &route.direct_response {
            let _ = write!(text, " => {}", answer.status);
        }
        for to in &route.route {
            let _ = write!(text, " => {} {}", to.destination.host, to.weight);
        }
        if let Some(rewrite) = &route.rewrite {
            let _ = write!(text, " as {}{}", rewrite.authority, rewrite.uri);
        }
        if let Some(to) = &route.redirect {
            let _ = write!(
                text,
                " -> {} {}{}{}",
                to.redirect_code, to.authority, to.uri, to.prefix_rewrite
            );
        }
        all.push(text);
    }
    all
}

#[test]
fn listeners_become_gateways() {
    for (listener, want, findings) in [
        (HTTP, "80 HTTP * -", &[][..]),
        (
            "{name: a, port: 80, protocol: HTTP, hostname: A.test, allowedRoutes: {namespaces: {from: All}}}",
            "80 HTTP a.test -",
            &[],
        ),
        (
            "{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c}]}}",
            "443 HTTPS * kubernetes-gateway://shop/c",
            &[],
        ),
        (
            "{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{group: '', kind: Secret, name: c}]}}",
            "443 HTTPS * kubernetes-gateway://shop/c",
            &[],
        ),
        (
            "{name: a, port: 443, protocol: TLS, tls: {mode: Passthrough}}",
            "443 TLS * ",
            &[],
        ),
        (
            "{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c, namespace: other}]}}",
            "",
            &["not-granted spec.listeners[0]"],
        ),
        (
            "{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c}], frontendValidation: {}}}",
            "",
            &["not-in-effect spec.listeners[0].tls.frontendValidation"],
        ),
        (
            "{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c}], options: {a.test/b: c}}}",
            "",
            &["not-in-effect spec.listeners[0].tls.options"],
        ),
        (
            "{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c, kind: Vault}]}}",
            "",
            &["not-in-effect spec.listeners[0].tls.certificateRefs[0].kind"],
        ),
        (
            "{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: []}}",
            "",
            &["gateway-tls-refused spec.listeners[0].tls.certificateRefs"],
        ),
        (
            "{name: a, port: 443, protocol: HTTPS}",
            "",
            &["gateway-tls-refused spec.listeners[0].tls"],
        ),
        (
            "{name: a, port: 53, protocol: UDP}",
            "",
            &["not-in-effect spec.listeners[0].protocol"],
        ),
        (
            "{name: a, port: 0, protocol: HTTP}",
            "",
            &["invalid-port spec.listeners[0].port"],
        ),
        (
            "{name: a, port: 80, protocol: HTTP, hostname: a..b}",
            "",
            &["invalid-host spec.listeners[0].hostname"],
        ),
        (
            "{name: a, port: 80, protocol: HTTP, hostnames: [a.test]}",
            "80 HTTP * -",
            &["no-such-field spec.listeners[0].hostnames"],
        ),
        (
            "{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}",
            "80 HTTP * -",
            &["gateway-conflict spec.listeners[1]"],
        ),
    ] {
        let loaded = loaded(&gateway(listener));
        let made = loaded
            .resources
            .gateway_api
            .gateways
            .first()
            .map(|gateway| {
                assert_eq!(
                    gateway.selector["gateway.networking.k8s.io/gateway-name"],
                    "edge"
                );
                let server = &gateway.servers[0];
                let port = server.port.clone().unwrap_or_default();
                let tls = server.tls.as_ref().map_or("-", |tls| &tls.credential_name);
                format!(
                    "{} {} {} {tls}",
                    port.number, port.protocol, server.hosts[0]
                )
            });
        assert_eq!(made.unwrap_or_default(), want, "{listener}");
        assert_eq!(told(&loaded), findings, "{listener}");
    }
}

#[test]
fn options_of_istio_say_who_shows_a_certificate() {
    for (mode, want) in [
        ("SIMPLE", "SIMPLE kubernetes-gateway://shop/c"),
        ("MUTUAL", "MUTUAL kubernetes-gateway://shop/c"),
        ("ISTIO_MUTUAL", "ISTIO_MUTUAL "),
    ] {
        let options = format!("{{gateway.istio.io/tls-terminate-mode: {mode}}}");
        let loaded = loaded(&gateway(&format!(
            "{{name: a, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{{name: c}}], options: {options}}}}}"
        )));
        let tls = loaded.resources.gateway_api.gateways[0].servers[0]
            .tls
            .clone()
            .unwrap();
        let shown = format!("{} {}", tls.mode.as_str(), tls.credential_name);
        assert_eq!(shown, want);
    }
}

#[test]
fn classes_of_other_controllers_are_left_to_them() {
    for (controller, carried) in [
        ("istio.io/gateway-controller", true),
        ("nginx.example/gateway", false),
    ] {
        let class = document(
            "GatewayClass",
            "istio",
            &format!("controllerName: {controller}"),
        );
        let loaded = loaded(&(gateway(HTTP) + &class));
        let gateways = &loaded.resources.gateway_api.gateways;
        assert_eq!(!gateways.is_empty(), carried, "{controller}");
        let want: &[&str] = match carried {
            true => &[],
            false => &["gateway-not-selected spec.gatewayClassName"],
        };
        assert_eq!(told(&loaded), want);
    }
}

#[test]
fn what_nobody_reads_of_the_api_is_told() {
    for (kind, spec, want) in [
        ("UDPRoute", "", "kind-not-read kind"),
        ("ListenerSet", "", "kind-not-read kind"),
        (
            "HTTPRoute",
            "parentRefs: [{name: a, kind: Mesh}]",
            "not-in-effect spec.parentRefs[0].kind",
        ),
        (
            "HTTPRoute",
            "parentRef: [{name: a}]",
            "no-such-field spec.parentRef",
        ),
    ] {
        assert_eq!(
            told(&loaded(&document(kind, "a", spec))),
            [want],
            "{kind} {spec}"
        );
    }
}

#[test]
fn routes_bind_to_listeners_that_fit() {
    let tls = "{name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}}";
    let ends = "{name: ends, port: 444, protocol: TLS, tls: {certificateRefs: [{name: c}]}}";
    let grpc = "{name: grpc, port: 82, protocol: HTTP, hostname: '*.test', allowedRoutes: {kinds: [{kind: GRPCRoute}]}}";
    let all = format!("{HTTP}, {{name: alt, port: 81, protocol: HTTP}}, {tls}, {ends}, {grpc}");
    for (kind, parent, hostname, want) in [
        ("HTTPRoute", "name: edge", "", "http alt"),
        ("HTTPRoute", "name: edge, sectionName: alt", "", "alt"),
        ("GRPCRoute", "name: edge, port: 80", "", "http"),
        ("GRPCRoute", "name: edge", "a.test", "http alt grpc"),
        (
            "GRPCRoute",
            "name: edge, port: 82",
            "b.example",
            "gateway-host-mismatch spec.hostnames",
        ),
        (
            "HTTPRoute",
            "name: edge, port: 82",
            "a.test",
            "unknown-gateway spec.parentRefs[0]",
        ),
        ("TLSRoute", "name: edge", "a.test", "tls ends"),
        ("TCPRoute", "name: edge", "", "ends"),
        (
            "HTTPRoute",
            "name: edge, sectionName: tls",
            "",
            "unknown-gateway spec.parentRefs[0]",
        ),
        (
            "HTTPRoute",
            "name: edge, sectionName: none",
            "",
            "unknown-gateway spec.parentRefs[0]",
        ),
        (
            "HTTPRoute",
            "name: edje",
            "",
            "unknown-gateway spec.parentRefs[0].name",
        ),
        (
            "HTTPRoute",
            "name: edge, namespace: other",
            "",
            "unknown-gateway spec.parentRefs[0].name",
        ),
    ] {
        let hostnames = match hostname {
            "" => String::new(),
            name => format!("hostnames: [{name}], "),
        };
        let spec = format!(
            "parentRefs: [{{{parent}}}], {hostnames}rules: [{{backendRefs: [{{name: a, port: 80}}]}}]"
        );
        let loaded = loaded(&(gateway(&all) + &document(kind, "r", &spec)));
        let routes = &loaded.resources.gateway_api.routes;
        let bound = routes.iter().flat_map(|route| &route.gateways);
        let bound: Vec<&str> = bound
            .map(|name| name.trim_start_matches("shop/edge~"))
            .collect();
        let shown = [bound.join(" "), told(&loaded).join(" ")].concat();
        assert_eq!(shown, want, "{kind} {parent}");
    }
}

#[test]
fn listeners_let_namespaces_bind_by_name_and_by_label() {
    let namespace =
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: other, labels: {team: a}}\n---\n";
    let route = document(
        "HTTPRoute",
        "r, namespace: other",
        "parentRefs: [{name: edge, namespace: shop}], rules: [{}]",
    );
    for (allowed, bound) in [
        ("{}", false),
        ("{from: Same}", false),
        ("{from: All}", true),
        ("{from: None}", false),
        ("{from: Selector, selector: {matchLabels: {team: a}}}", true),
        (
            "{from: Selector, selector: {matchLabels: {team: b}}}",
            false,
        ),
        (
            "{from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: other}}}",
            true,
        ),
        (
            "{from: Selector, selector: {matchExpressions: [{key: team, operator: In, values: [b, a]}]}}",
            true,
        ),
        (
            "{from: Selector, selector: {matchExpressions: [{key: team, operator: NotIn, values: [a]}]}}",
            false,
        ),
        (
            "{from: Selector, selector: {matchExpressions: [{key: team, operator: Exists}]}}",
            true,
        ),
        (
            "{from: Selector, selector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}",
            false,
        ),
        // Of a label that it does not have.
        (
            "{from: Selector, selector: {matchExpressions: [{key: tier, operator: In, values: [a]}]}}",
            false,
        ),
        (
            "{from: Selector, selector: {matchExpressions: [{key: tier, operator: NotIn, values: [a]}]}}",
            true,
        ),
        (
            "{from: Selector, selector: {matchExpressions: [{key: tier, operator: Exists}]}}",
            false,
        ),
        (
            "{from: Selector, selector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}}",
            true,
        ),
    ] {
        let listener = format!(
            "{{name: a, port: 80, protocol: HTTP, allowedRoutes: {{namespaces: {allowed}}}}}"
        );
        let loaded = loaded(&(gateway(&listener) + namespace + &route));
        let routes = &loaded.resources.gateway_api.routes;
        assert_eq!(!routes.is_empty(), bound, "{allowed}");
        let want: &[&str] = match bound {
            true => &[],
            false => &["route-not-allowed spec.parentRefs[0]"],
        };
        assert_eq!(told(&loaded), want, "{allowed}");
    }
}

#[test]
fn rules_are_those_of_a_virtual_service() {
    let to = "backendRefs: [{name: a, port: 80}]";
    let a = "=> a.shop.svc.cluster.local 1";
    for (rules, want) in [
        (format!("{{{to}}}"), vec![format!("any {a}")]),
        (
            format!("{{matches: [{{path: {{value: /}}}}, {{path: {{value: /x/}}}}, {{path: {{type: Exact, value: /x}}}}], {to}}}"),
            vec![format!("any {a}"), format!("=/x {a}"), format!("/x/* {a}"), format!("=/x {a}")],
        ),
        (
            format!("{{matches: [{{method: GET, path: {{type: RegularExpression, value: '/.'}}, headers: [{{name: A, value: b}}, {{name: a, value: c}}], queryParams: [{{name: Q, value: '1'}}]}}], {to}}}"),
            vec![format!("~/. method=GET a=b ?Q=1 {a}")],
        ),
        (
            "{backendRefs: [{name: a, port: 80, weight: 3}, {name: b, port: 80, weight: 0}, {name: c, port: 80, weight: 1}]}".to_owned(),
            vec!["any => a.shop.svc.cluster.local 3 => c.shop.svc.cluster.local 1".to_owned()],
        ),
        ("{backendRefs: [{name: a, port: 80, weight: 0}]}".to_owned(), vec!["any => 500".to_owned()]),
        ("{backendRefs: []}".to_owned(), vec!["any => 500".to_owned()]),
        ("{backendRefs: [{kind: Hostname, group: networking.istio.io, name: a.example, port: 80}]}".to_owned(), vec!["any => a.example 1".to_owned()]),
        ("{backendRefs: [{kind: ServiceImport, name: a, port: 80}]}".to_owned(), vec!["any => a.shop.refused.invalid 1".to_owned()]),
        (
            format!("{{matches: [{{path: {{value: /x}}}}], filters: [{{type: URLRewrite, urlRewrite: {{hostname: h, path: {{type: ReplacePrefixMatch, replacePrefixMatch: /y}}}}}}], {to}}}"),
            vec![format!("=/x {a} as h/y"), format!("/x/* {a} as h/y/")],
        ),
        (
            "{filters: [{type: RequestRedirect, requestRedirect: {hostname: h, path: {type: ReplaceFullPath, replaceFullPath: /y}}}]}".to_owned(),
            vec!["any -> 302 h/y".to_owned()],
        ),
        (
            format!("{{filters: [{{type: ExtensionRef, extensionRef: {{group: a.test, kind: B, name: c}}}}], {to}}}"),
            vec!["any => 500".to_owned()],
        ),
    ] {
        let route = document("HTTPRoute", "r", &format!("parentRefs: [{{name: edge}}], hostnames: [a.test], rules: [{rules}]"));
        let loaded = loaded(&(gateway(HTTP) + &route));
        assert_eq!(shown(&loaded), want, "{rules}");
    }
    let call = "matches: [{method: {service: s.S, method: M}}, {method: {service: s.S}}, {method: {method: M}}, {method: {type: RegularExpression, service: 's.*'}}]";
    let route = document(
        "GRPCRoute",
        "r",
        &format!("parentRefs: [{{name: edge}}], rules: [{{{call}, {to}}}]"),
    );
    let loaded = loaded(&(gateway(HTTP) + &route));
    let want = [
        format!("=/s.S/M {a}"),
        format!("/s.S/* {a}"),
        format!("~/[^/]+/M {a}"),
        format!("~/s.*/[^/]+ {a}"),
    ];
    assert_eq!(shown(&loaded), want);
}

#[test]
fn what_is_not_understood_is_told_where_it_stands() {
    let rule = |text: &str| format!("parentRefs: [{{name: edge}}], rules: [{{{text}}}]");
    for (text, want) in [
        (
            "filters: [{type: ExtensionRef, extensionRef: {group: a.test, kind: B, name: c}}]",
            "not-in-effect spec.rules[0].filters[0].type",
        ),
        (
            "sessionPersistence: {sessionName: a}",
            "not-in-effect spec.rules[0].sessionPersistence",
        ),
        (
            "matches: [{path: {type: Odd, value: /}}]",
            "invalid-enum spec.rules[0].matches[0].path.type",
        ),
        (
            "matches: [{path: {type: Exact, value: /}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]",
            "invalid-rewrite spec.rules[0].filters",
        ),
        (
            "filters: [{type: RequestRedirect, requestRedirect: {statusCode: 200}}]",
            "invalid-redirect spec.rules[0].filters[0].requestRedirect.statusCode",
        ),
        (
            "filters: [{type: RequestRedirect, requestRedirect: {}}, {type: URLRewrite, urlRewrite: {hostname: a}}]",
            "one-of spec.rules[0].filters",
        ),
        (
            "filters: [{type: RequestMirror, requestMirror: {percent: 101, backendRef: {name: a, port: 80}}}]",
            "invalid-percent spec.rules[0].filters[0].requestMirror",
        ),
        (
            "backendRefs: [{name: a, port: 80, filters: [{type: URLRewrite, urlRewrite: {}}]}]",
            "not-in-effect spec.rules[0].backendRefs[0].filters[0].type",
        ),
        (
            "backendRefs: [{name: a, port: 80, weight: -1}]",
            "invalid-weight spec.rules[0].backendRefs[0].weight",
        ),
        (
            "backendRefs: [{kind: ServiceImport, name: a, port: 80}]",
            "not-in-effect spec.rules[0].backendRefs[0]",
        ),
        (
            "backendRefs: [{name: none, port: 80}]",
            "unknown-host spec.rules[0].backendRefs[0].name",
        ),
        (
            "backendRefs: [{name: a, port: 81}]",
            "unknown-port spec.rules[0].backendRefs[0].port",
        ),
        ("backendRefs: [{name: a, port: 80}]", ""),
    ] {
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n---\n";
        let route = document("HTTPRoute", "r", &rule(text));
        let loaded = loaded(&(gateway(HTTP) + service + &route));
        assert_eq!(told(&loaded).join(" "), want, "{text}");
    }
}

#[test]
fn resilience_is_that_of_a_virtual_service() {
    for (text, want) in [
        ("", "- -"),
        ("timeouts: {request: 2s}", "2s -"),
        ("timeouts: {request: 0s}", "- -"),
        (
            "timeouts: {request: 2s, backendRequest: 1s}",
            "2s 2 1s [] -",
        ),
        (
            "retry: {attempts: 3, codes: [500, 503], backoff: 100ms}",
            "- 3 - [connect-failure,refused-stream,reset,500,503] 100ms",
        ),
    ] {
        let comma = if text.is_empty() { "" } else { ", " };
        let rule = format!("{text}{comma}backendRefs: [{{name: a, port: 80}}]");
        let spec = format!("parentRefs: [{{name: edge}}], rules: [{{{rule}}}]");
        let loaded = loaded(&(gateway(HTTP) + &document("HTTPRoute", "r", &spec)));
        let route = &loaded.resources.gateway_api.routes[0].http[0];
        let time = |time: Option<crate::time::Duration>| {
            time.map_or_else(|| "-".to_owned(), |time| format!("{time:?}"))
        };
        let retries = route.retries.as_ref().map_or_else(
            || "-".to_owned(),
            |r| {
                let (per_try, backoff) = (time(r.per_try_timeout), time(r.backoff));
                format!("{} {per_try} [{}] {backoff}", r.attempts, r.retry_on)
            },
        );
        assert_eq!(format!("{} {retries}", time(route.timeout)), want, "{text}");
    }
}

#[test]
fn what_another_namespace_has_is_named_by_its_leave() {
    let route = document(
        "HTTPRoute",
        "r",
        "parentRefs: [{name: edge}], rules: [{backendRefs: [{name: a, namespace: other, port: 80}]}]",
    );
    let grant = |from: &str, to: &str| {
        format!(
            "{API}kind: ReferenceGrant\nmetadata: {{name: g, namespace: other}}\nspec: {{from: [{{group: g, kind: {from}, namespace: shop}}], to: [{{group: '', {to}}}]}}\n---\n"
        )
    };
    for (grants, granted) in [
        (String::new(), false),
        (grant("HTTPRoute", "kind: Service"), true),
        (grant("HTTPRoute", "kind: Service, name: a"), true),
        (grant("HTTPRoute", "kind: Service, name: b"), false),
        (grant("HTTPRoute", "kind: Secret"), false),
        (grant("GRPCRoute", "kind: Service"), false),
    ] {
        let loaded = loaded(&(gateway(HTTP) + &route + &grants));
        let host = &loaded.resources.gateway_api.routes[0].http[0].route[0]
            .destination
            .host;
        assert_eq!(host.ends_with(".invalid"), !granted, "{grants}");
        assert_eq!(told(&loaded).len(), usize::from(!granted), "{grants}");
    }
}

#[test]
fn routes_of_a_service_are_for_its_clients() {
    for (parent, want) in [
        ("name: a", "mesh a.shop.svc.cluster.local to * port 0"),
        (
            "name: a, port: 80",
            "mesh a.shop.svc.cluster.local to * port 80",
        ),
        (
            "name: a, sectionName: http",
            "mesh a.shop.svc.cluster.local to * port 80",
        ),
        (
            "name: b, namespace: other",
            "mesh b.other.svc.cluster.local to shop port 0",
        ),
        ("name: none", "unknown-host spec.parentRefs[0].name"),
        (
            "name: a, sectionName: none",
            "unknown-port spec.parentRefs[0].sectionName",
        ),
    ] {
        let service = |name: &str| {
            format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{name: http, port: 80}}]}}\n---\n"
            )
        };
        let spec = format!(
            "parentRefs: [{{group: '', kind: Service, {parent}}}], rules: [{{matches: [{{path: {{type: Exact, value: /}}}}], backendRefs: [{{name: a, port: 80}}]}}]"
        );
        let text =
            service("a") + &service("b, namespace: other") + &document("HTTPRoute", "r", &spec);
        let loaded = loaded(&text);
        let mut shown = told(&loaded);
        for route in &loaded.resources.gateway_api.routes {
            let bound = if route.binds_to_mesh() { "mesh" } else { "" };
            let port = route.http[0].matches[0].port;
            let to = route.export_to.join(",");
            shown.push(format!("{bound} {} to {to} port {port}", route.hosts[0]));
        }
        assert_eq!(shown, [want], "{parent}");
    }
}
