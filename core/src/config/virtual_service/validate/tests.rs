//! The rules as tables of documents.

use crate::config::{Source, load};

/// Loads a `spec` in flow style, and gives every finding but those about what is pending as `path code`.
fn told(spec: &str) -> Vec<String> {
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a, namespace: ns}}\nspec: {spec}\n"
    );
    let source = Source {
        name: "a.yaml",
        bytes: text.as_bytes(),
    };
    let findings = load(&[source], "default").findings;
    let shown = findings
        .iter()
        .filter(|finding| finding.code.as_str() != "not-in-effect");
    shown
        .map(|finding| {
            format!(
                "{} {}",
                finding.path.trim_start_matches("spec."),
                finding.code
            )
        })
        .collect()
}

fn check(cases: &[(&str, &[&str])], spec_of: impl Fn(&str) -> String) {
    for (part, expected) in cases {
        let spec = spec_of(part);
        let mut found = told(&spec);
        found.sort();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{spec}");
    }
}

const TO: &str = "route: [{destination: {host: b}}]";

#[test]
fn the_resource() {
    check(
        &[
            ("hosts: [a, '*.b.com', 10.0.0.1]", &[]),
            ("hosts: [a.]", &[]),
            ("hosts: ['foo.ba!r']", &["hosts[0] invalid-host"]),
            ("hosts: ['*']", &["hosts[0] wildcard-mesh-host"]),
            ("hosts: ['*'], gateways: [gw]", &[]),
            ("hosts: [a, A]", &["hosts[1] duplicate-host"]),
            ("hosts: ['*.b.com', c.b.com]", &["hosts[1] duplicate-host"]),
            ("hosts: [a], gateways: [mesh, ns/gw, gw]", &[]),
            (
                "hosts: [a], gateways: [gw.ns.svc.cluster.local]",
                &["gateways[0] legacy-gateway"],
            ),
            (
                "hosts: [a], gateways: ['b@d', ns1/*, /x]",
                &[
                    "gateways[0] invalid-gateway",
                    "gateways[1] invalid-gateway",
                    "gateways[2] invalid-gateway",
                ],
            ),
            (
                "hosts: [outbound_.80_._.c], tls: [{match: [{sniHosts: [outbound_.80_._.c]}], route: [{destination: {host: b}}]}]",
                &[],
            ),
            ("hosts: [outbound_.80_._.c]", &["hosts[0] invalid-host"]),
            ("hosts: [a], exportTo: [., ns2]", &[]),
            (
                "hosts: [a], exportTo: [., ns]",
                &["exportTo[1] invalid-export-to"],
            ),
            (
                "hosts: [a], exportTo: ['~']",
                &["exportTo[0] invalid-export-to"],
            ),
            ("hosts: []", &[]),
            ("gateways: [gw]", &["gateways delegate-shape"]),
            (
                "tcp: [{route: [{destination: {host: b}}]}]",
                &["tcp delegate-shape"],
            ),
        ],
        |part| format!("{{{part}, http: [{{{TO}}}]}}"),
    );
    let null = format!("{{hosts: [a], gateways: null, http: [{{{TO}}}]}}");
    assert_eq!(told(&null), ["gateways empty-field"]);
    assert_eq!(told("{hosts: [a]}"), ["spec no-routes"]);
    assert_eq!(told("{}"), ["spec no-routes"]);
}

#[test]
fn matches() {
    let cases: &[(&str, &[&str])] = &[
        ("uri: {prefix: ''}", &[]),
        ("uri: {}", &[]),
        ("uri: {exact: /a, prefix: /b}", &["match[0].uri one-of"]),
        (
            "method: {prefix: ''}",
            &["match[0].method.prefix invalid-match"],
        ),
        ("uri: {regex: ''}", &["match[0].uri.regex invalid-regex"]),
        ("uri: {regex: 'a('}", &["match[0].uri.regex invalid-regex"]),
        (
            "uri: {regex: '(?=a)'}",
            &["match[0].uri.regex invalid-regex"],
        ),
        ("uri: {regex: '/a/{id}'}", &[]),
        ("headers: {end-user: {exact: jason}, x: {}}", &[]),
        (
            "headers: {x: null}",
            &["match[0].headers[\"x\"] invalid-match"],
        ),
        (
            "headers: {'a b': {}}",
            &["match[0].headers[\"a b\"] invalid-header-name"],
        ),
        ("headers: {':method': {exact: GET}}", &[]),
        (
            "headers: {'@request.auth.claims.sub': {exact: a}}",
            &["match[0].headers[\"@request.auth.claims.sub\"] invalid-match"],
        ),
        (
            "headers: {x: {regex: '*'}}",
            &["match[0].headers[\"x\"].regex invalid-regex"],
        ),
        ("withoutHeaders: {x: {regex: '*'}}", &[]),
        (
            "queryParams: {q: {prefix: ''}}",
            &["match[0].queryParams[\"q\"].prefix invalid-match"],
        ),
        ("port: 65536", &["match[0].port invalid-port"]),
        (
            "sourceLabels: {app: 'a b'}",
            &["match[0].sourceLabels[\"app\"] invalid-label"],
        ),
        (
            "sourceNamespace: a.b",
            &["match[0].sourceNamespace invalid-name"],
        ),
        (
            "gateways: [a/b/c]",
            &["match[0].gateways[0] invalid-gateway"],
        ),
        ("urii: {exact: /}", &["match[0].urii no-such-field"]),
    ];
    for (part, expected) in cases {
        let rule = format!("match: [{{{part}}}], {TO}");
        check_rule(&[(rule.as_str(), expected)]);
    }
}

/// As [`check`] with the paths of the first HTTP rule.
fn check_rule(cases: &[(&str, &[&str])]) {
    for (rule, expected) in cases {
        let spec = format!("{{hosts: [a], http: [{{{rule}}}]}}");
        let expected: Vec<_> = expected
            .iter()
            .map(|finding| {
                if finding.starts_with(' ') {
                    format!("http[0]{finding}")
                } else {
                    format!("http[0].{finding}")
                }
            })
            .collect();
        assert_eq!(told(&spec), expected, "{spec}");
    }
}

#[test]
fn actions() {
    check_rule(&[
        ("match: [{uri: {exact: /}}]", &[" route-without-action"]),
        (
            "redirect: {uri: /x}, route: [{destination: {host: b}}]",
            &["route route-conflict"],
        ),
        (
            "directResponse: {status: 200}, rewrite: {uri: /}",
            &["rewrite route-conflict"],
        ),
        (
            "delegate: {name: d}, redirect: {uri: /x}",
            &["redirect route-conflict"],
        ),
        ("delegate: {namespace: ns}", &["delegate required-field"]),
        ("redirect: {}", &["redirect invalid-redirect"]),
        ("redirect: {uri: /x, redirectCode: 308}", &[]),
        (
            "redirect: {uri: /x, redirectCode: 305}",
            &["redirect.redirectCode redirect-code-without-effect"],
        ),
        (
            "redirect: {uri: /x, redirectCode: 400}",
            &["redirect.redirectCode invalid-redirect"],
        ),
        (
            "redirect: {scheme: ftp}",
            &["redirect.scheme invalid-redirect"],
        ),
        (
            "redirect: {port: 80, derivePort: FROM_REQUEST_PORT}",
            &["redirect one-of"],
        ),
        (
            "redirect: {uri: /x, prefixRewrite: /}",
            &["redirect invalid-redirect"],
        ),
        (
            "match: [{uri: {exact: /a}}], redirect: {prefixRewrite: /b}",
            &["redirect.prefixRewrite invalid-redirect"],
        ),
        (
            "match: [{method: {exact: GET}}], redirect: {prefixRewrite: /b}",
            &[],
        ),
        ("redirect: {prefixRewrite: /b}", &[]),
        (
            "rewrite: {authority: c}, headers: {request: {set: {Host: d}}}, route: [{destination: {host: b}}]",
            &["headers.request.set[\"Host\"] route-conflict"],
        ),
        (
            "headers: {request: {set: {':authority': c}, add: {host: d}}}, route: [{destination: {host: b}}]",
            &["headers.request.add[\"host\"] route-conflict"],
        ),
        (
            "rewrite: {uri: /c}, headers: {request: {set: {host: d}}}, route: [{destination: {host: b}}]",
            &[],
        ),
        (
            "match: [{uri: {prefix: /a}}], redirect: {prefixRewrite: /b}",
            &[],
        ),
        ("directResponse: {status: 200, body: {string: x}}", &[]),
        (
            "directResponse: {status: 199}",
            &["directResponse.status invalid-status"],
        ),
        (
            "directResponse: {status: 600}",
            &["directResponse.status invalid-status"],
        ),
        (
            "directResponse: {status: 200, body: {string: x, bytes: eA==}}",
            &["directResponse.body one-of"],
        ),
        (
            "route: [{destination: {}}]",
            &["route[0].destination required-field"],
        ),
        (
            "route: [{weight: 1}]",
            &["route[0].destination required-field"],
        ),
        (
            "route: [{destination: {host: '*'}}]",
            &["route[0].destination.host invalid-host"],
        ),
        (
            "route: [{destination: {host: b, subset: v_1}}]",
            &["route[0].destination.subset invalid-name"],
        ),
        (
            "route: [{destination: {host: b, port: {number: 0}}}]",
            &["route[0].destination.port.number invalid-port"],
        ),
        (
            "route: [{destination: {host: b}}, {destination: {host: c}}]",
            &["route invalid-weight"],
        ),
        (
            "route: [{destination: {host: b}, weight: 1}, {destination: {host: c}}]",
            &[],
        ),
        (
            "route: [{destination: {host: b}, weight: -1}]",
            &["route[0].weight invalid-weight"],
        ),
    ]);
    check_rule(&[
        (
            "route: [{destination: {host: b}}], rewrite: {}",
            &["rewrite invalid-rewrite"],
        ),
        (
            "route: [{destination: {host: b}}], rewrite: {uri: /, uriRegexRewrite: {match: a, rewrite: b}}",
            &["rewrite invalid-rewrite"],
        ),
        (
            "route: [{destination: {host: b}}], rewrite: {uriRegexRewrite: {rewrite: b}}",
            &["rewrite.uriRegexRewrite invalid-rewrite"],
        ),
        (
            "route: [{destination: {host: b}}], headers: {request: {set: {x-n: 1}}}",
            &["headers.request.set[\"x-n\"] wrong-type"],
        ),
        (
            "route: [{destination: {host: b}}], headers: {request: {set: {host: c}}}",
            &[],
        ),
        (
            "route: [{destination: {host: b}}], headers: {response: {set: {host: c}}}",
            &["headers.response.set[\"host\"] invalid-header-name"],
        ),
        (
            "route: [{destination: {host: b}}], headers: {request: {remove: ['']}}",
            &["headers.request.remove[0] invalid-header-name"],
        ),
        (
            "route: [{destination: {host: b}}], headers: {request: {add: {x: 'abc%123'}}}",
            &["headers.request.add[\"x\"] invalid-header-value"],
        ),
        (
            "route: [{destination: {host: b}}], websocketUpgrade: true",
            &["websocketUpgrade removed-field"],
        ),
        (
            "route: [{destination: {host: b}}], appendHeaders: {a: b}",
            &["appendHeaders removed-field"],
        ),
    ]);
}

#[test]
fn policies() {
    let cases: &[(&str, &[&str])] = &[
        ("timeout: 1s", &[]),
        ("timeout: 0s", &["timeout invalid-duration"]),
        ("timeout: 1.0005s", &["timeout invalid-duration"]),
        ("timeout: 5", &["timeout invalid-duration"]),
        ("retries: {}", &[]),
        (
            "retries: {attempts: 3, perTryTimeout: 2s, retryOn: '503,connect-failure'}",
            &[],
        ),
        (
            "retries: {attempts: -1}",
            &["retries.attempts invalid-retry"],
        ),
        ("retries: {perTryTimeout: 2s}", &["retries invalid-retry"]),
        (
            "retries: {attempts: 1, retryOn: '5xx, reset'}",
            &["retries.retryOn invalid-retry"],
        ),
        (
            "retries: {attempts: 1, retryOn: '999'}",
            &["retries.retryOn invalid-retry"],
        ),
        (
            "retries: {attempts: 5.5}",
            &["retries.attempts invalid-number"],
        ),
        ("fault: {}", &["fault invalid-fault"]),
        (
            "fault: {delay: {fixedDelay: 3s, percentage: {value: 0.1}}}",
            &[],
        ),
        (
            "fault: {delay: {percentage: {value: 1}}}",
            &["fault.delay invalid-fault"],
        ),
        (
            "fault: {delay: {exponentialDelay: 3s}}",
            &["fault.delay.exponentialDelay invalid-fault"],
        ),
        (
            "fault: {delay: {fixedDelay: 3s, percent: 50}}",
            &["fault.delay.percent deprecated-field"],
        ),
        (
            "fault: {delay: {fixedDelay: 3s, percentage: {value: 0.00001}}}",
            &["fault.delay.percentage.value invalid-percent"],
        ),
        ("fault: {abort: {httpStatus: 600}}", &[]),
        (
            "fault: {abort: {httpStatus: 601}}",
            &["fault.abort.httpStatus invalid-status"],
        ),
        (
            "fault: {abort: {grpcStatus: unavailable}}",
            &["fault.abort.grpcStatus invalid-fault"],
        ),
        (
            "fault: {abort: {http2Error: x}}",
            &["fault.abort.http2Error invalid-fault"],
        ),
        (
            "fault: {abort: {percentage: {value: 1}}}",
            &["fault.abort fault-without-error"],
        ),
        (
            "fault: {abort: {httpStatus: 503, percent: 50}}",
            &["fault.abort.percent abort-percent"],
        ),
        (
            "corsPolicy: {allowOrigins: [{exact: '*'}], allowMethods: ['*'], maxAge: 24h}",
            &[],
        ),
        (
            "corsPolicy: {allowOrigins: [{}]}",
            &["corsPolicy.allowOrigins[0] invalid-cors"],
        ),
        (
            "corsPolicy: {allowMethods: [PUTT]}",
            &["corsPolicy.allowMethods[0] invalid-cors"],
        ),
        (
            "corsPolicy: {exposeHeaders: ['']}",
            &["corsPolicy.exposeHeaders[0] invalid-header-name"],
        ),
        (
            "corsPolicy: {maxAge: 1.5s}",
            &["corsPolicy.maxAge invalid-cors"],
        ),
        (
            "corsPolicy: {allowOrigin: [a]}",
            &["corsPolicy.allowOrigin deprecated-field"],
        ),
        (
            "mirror: {host: c}, mirrors: [{destination: {host: d}}]",
            &["mirrors invalid-mirror"],
        ),
        (
            "mirrors: [{percentage: {value: 5}}]",
            &["mirrors[0].destination required-field"],
        ),
        (
            "mirror: {host: c}, mirrorPercentage: {value: 101}",
            &["mirrorPercentage.value invalid-percent"],
        ),
        (
            "mirror: {host: c}, mirror_percent: 5",
            &["mirrorPercent deprecated-field"],
        ),
    ];
    for (part, expected) in cases {
        let rule = format!("{part}, {TO}");
        check_rule(&[(rule.as_str(), expected)]);
    }
}

#[test]
fn connections() {
    check(
        &[
            (
                "tls: [{match: [{sniHosts: [a.b.com]}], route: [{destination: {host: b}}]}]",
                &[],
            ),
            (
                "tls: [{match: [{sniHosts: [outbound_.80_._.c.b.com]}], route: [{destination: {host: b}}]}]",
                &[],
            ),
            (
                "tls: [{match: [{sniHosts: [outbound_.80_.c.b.com]}], route: [{destination: {host: b}}]}]",
                &["tls[0].match[0].sniHosts[0] invalid-host"],
            ),
            (
                "tls: [{match: [{sniHosts: [c.com]}], route: [{destination: {host: b}}]}]",
                &["tls[0].match[0].sniHosts[0] sni-host"],
            ),
            (
                "tls: [{match: [{sniHosts: [1.1.1.1]}], route: [{destination: {host: b}}]}]",
                &["tls[0].match[0].sniHosts[0] sni-ip-address"],
            ),
            (
                "tls: [{match: [{port: 443}], route: [{destination: {host: b}}]}]",
                &["tls[0].match[0] required-field"],
            ),
            (
                "tls: [{route: [{destination: {host: b}}]}]",
                &["tls[0] required-field"],
            ),
            (
                "tcp: [{match: [{destinationSubnets: [10.0.0.0/33]}], route: [{destination: {host: b}}]}]",
                &["tcp[0].match[0].destinationSubnets[0] invalid-address"],
            ),
            ("tcp: [{}]", &["tcp[0] route-without-action"]),
            (
                "tcp: [{route: [{destination: {host: b}}]}, {route: [{destination: {host: b}}]}]",
                &["tcp[1] unreachable-rule"],
            ),
        ],
        |part| format!("{{hosts: ['*.b.com'], {part}}}"),
    );
}
