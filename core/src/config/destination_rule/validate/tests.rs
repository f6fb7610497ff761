//! The rules as tables of documents.

use crate::config::{Source, load};

/// Loads a `spec` in flow style, and gives every finding but those about what is pending as `path code`.
fn told(spec: &str) -> Vec<String> {
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: a, namespace: ns}}\nspec: {spec}\n"
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

#[test]
fn the_resource() {
    let cases: &[(&str, &[&str])] = &[
        ("{host: a}", &[]),
        ("{}", &["spec required-field"]),
        ("{host: 'a!b'}", &["host invalid-host"]),
        ("{host: '*.b.com'}", &[]),
        (
            "{host: a, subsets: [{name: v1, labels: {version: v1}}, {name: v2}]}",
            &[],
        ),
        (
            "{host: a, subsets: [{name: v1}, {name: v1}]}",
            &["subsets[1].name duplicate-subset"],
        ),
        (
            "{host: a, subsets: [{labels: {a: b}}]}",
            &["subsets[0] required-field"],
        ),
        (
            "{host: a, subsets: [{name: v.1}]}",
            &["subsets[0].name invalid-name"],
        ),
        (
            "{host: a, subsets: [{name: v1, labels: {version: 1.10}}]}",
            &["subsets[0].labels[\"version\"] wrong-type"],
        ),
        (
            "{host: a, trafficPolicy: {}}",
            &["trafficPolicy empty-traffic-policy"],
        ),
        (
            "{host: a, workloadSelector: {matchLabels: {app: b}}, exportTo: [.]}",
            &[],
        ),
        (
            "{host: a, workloadSelector: {matchLabels: {app: b}}, exportTo: [other]}",
            &["exportTo[0] invalid-export-to"],
        ),
        (
            "{host: a, exportTo: ['*', .]}",
            &["exportTo[0] invalid-export-to"],
        ),
    ];
    for (spec, expected) in cases {
        assert_eq!(told(spec), *expected, "{spec}");
    }
}

/// Checks parts of a traffic policy, with paths below it.
fn check_policy(cases: &[(&str, &[&str])]) {
    for (policy, expected) in cases {
        let found = told(&format!("{{host: a, trafficPolicy: {{{policy}}}}}"));
        let found: Vec<_> = found
            .iter()
            .map(|finding| {
                finding
                    .trim_start_matches("trafficPolicy")
                    .trim_start_matches('.')
            })
            .collect();
        assert_eq!(found, *expected, "{policy}");
    }
}

#[test]
fn connection_pools_and_ejection() {
    check_policy(&[
        (
            "connectionPool: {}",
            &["connectionPool invalid-connection-pool"],
        ),
        (
            "connectionPool: {tcp: {maxConnections: 7, connectTimeout: 2s, idleTimeout: 0s}}",
            &[],
        ),
        (
            "connectionPool: {tcp: {connectTimeout: 2.000000005s}}",
            &["connectionPool.tcp.connectTimeout invalid-duration"],
        ),
        (
            "connectionPool: {tcp: {maxConnections: -1}}",
            &["connectionPool.tcp.maxConnections invalid-connection-pool"],
        ),
        (
            "connectionPool: {http: {maxRetries: -1}}",
            &["connectionPool.http.maxRetries invalid-connection-pool"],
        ),
        (
            "connectionPool: {http: {useClientProtocol: true, h2UpgradePolicy: UPGRADE}}",
            &["connectionPool.http.useClientProtocol invalid-connection-pool"],
        ),
        (
            "connectionPool: {http: {http2KeepAlive: {interval: 15s}}}",
            &["connectionPool.http.http2KeepAlive required-field"],
        ),
        (
            "outlierDetection: {consecutive5xxErrors: 0, interval: 1s}",
            &[],
        ),
        (
            "outlierDetection: {consecutiveErrors: 5}",
            &["outlierDetection.consecutiveErrors deprecated-field"],
        ),
        (
            "outlierDetection: {minHealthPercent: 101}",
            &["outlierDetection.minHealthPercent invalid-percent"],
        ),
        (
            "outlierDetection: {consecutiveLocalOriginFailures: 10}",
            &["outlierDetection.consecutiveLocalOriginFailures invalid-outlier-detection"],
        ),
        (
            "outlierDetection: {interval: 0s}",
            &["outlierDetection.interval invalid-duration"],
        ),
        (
            "outlierDetection: {outlierDetectionHttpErrorCodes: [404, 600]}",
            &["outlierDetection.outlierDetectionHttpErrorCodes[1] invalid-outlier-detection"],
        ),
        (
            "portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]",
            &[],
        ),
        (
            "portLevelSettings: [{port: {number: 80}}]",
            &["portLevelSettings[0] empty-traffic-policy"],
        ),
        (
            "portLevelSettings: [{tls: {mode: DISABLE}}]",
            &["portLevelSettings[0] required-field"],
        ),
        ("tunnel: {targetHost: a.com, targetPort: 443}", &[]),
        (
            "tunnel: {targetHost: a.com, targetPort: 0, protocol: GET}",
            &[
                "tunnel.targetPort invalid-port",
                "tunnel.protocol invalid-tunnel",
            ],
        ),
        (
            "tunnel: {targetHost: a.com, targetPort: 443}, proxyProtocol: {version: V2}",
            &[" invalid-tunnel"],
        ),
        (
            "retryBudget: {percent: 101}",
            &["retryBudget.percent invalid-retry-budget"],
        ),
        ("retryBudget: {percent: 20, budgetInterval: 0s}", &[]),
    ]);
}

#[test]
fn balancers() {
    check_policy(&[
        ("loadBalancer: {simple: LEAST_CONN}", &[]),
        (
            "loadBalancer: {simple: least_conn}",
            &["loadBalancer.simple invalid-enum"],
        ),
        (
            "loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}",
            &["loadBalancer one-of"],
        ),
        (
            "loadBalancer: {consistentHash: {httpHeaderName: x-user}}",
            &[],
        ),
        (
            "loadBalancer: {consistentHash: {}}",
            &["loadBalancer.consistentHash hash-of-nothing"],
        ),
        (
            "loadBalancer: {consistentHash: {httpCookie: {ttl: 0s}}}",
            &["loadBalancer.consistentHash.httpCookie required-field"],
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 1000}}}",
            &["loadBalancer.consistentHash.maglev.tableSize invalid-load-balancer"],
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 65537}}}",
            &[],
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 0}}}",
            &["loadBalancer.consistentHash.maglev.tableSize invalid-load-balancer"],
        ),
        (
            "loadBalancer: {consistentHash: {httpHeaderName: ':authority', ringHash: {minimumRingSize: 8388608}}}",
            &[],
        ),
        (
            "loadBalancer: {consistentHash: {httpHeaderName: ':status'}}",
            &["loadBalancer.consistentHash.httpHeaderName hash-of-nothing"],
        ),
        (
            "loadBalancer: {consistentHash: {httpHeaderName: 'x y'}}",
            &["loadBalancer.consistentHash.httpHeaderName invalid-header-name"],
        ),
        (
            "loadBalancer: {consistentHash: {httpHeaderName: '@request.auth.claims.sub'}}",
            &["loadBalancer.consistentHash.httpHeaderName hash-of-nothing"],
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 8388609}}}",
            &["loadBalancer.consistentHash.ringHash.minimumRingSize invalid-load-balancer"],
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 8388609}}",
            &[
                "loadBalancer.consistentHash.minimumRingSize deprecated-field",
                "loadBalancer.consistentHash.minimumRingSize invalid-load-balancer",
            ],
        ),
        (
            "loadBalancer: {consistentHash: {httpCookie: {name: sid, ttl: 60s, path: /a, attributes: [{name: SameSite, value: Lax}, {name: Secure}]}}}",
            &[],
        ),
        (
            "loadBalancer: {consistentHash: {httpCookie: {name: 's d', ttl: 60s, path: '/a;b'}}}",
            &[
                "loadBalancer.consistentHash.httpCookie.name invalid-load-balancer",
                "loadBalancer.consistentHash.httpCookie.path invalid-load-balancer",
            ],
        ),
        (
            "loadBalancer: {consistentHash: {httpCookie: {name: sid, attributes: [{name: 'a=b', value: \"x\\r\\ny\"}]}}}",
            &[
                "loadBalancer.consistentHash.httpCookie.attributes[0].name invalid-load-balancer",
                "loadBalancer.consistentHash.httpCookie.attributes[0].value invalid-load-balancer",
            ],
        ),
        (
            "loadBalancer: {warmup: {minimumPercent: 5.0}}",
            &["loadBalancer.warmup required-field"],
        ),
        (
            "loadBalancer: {warmup: {duration: 300s, aggression: -0.1}}",
            &["loadBalancer.warmup.aggression invalid-load-balancer"],
        ),
        (
            "loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 300s}}",
            &[],
        ),
        (
            "loadBalancer: {simple: RANDOM, warmup: {duration: 300s}}",
            &["loadBalancer.warmup warmup-without-effect"],
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true}, warmup: {duration: 300s}}",
            &["loadBalancer.warmup warmup-without-effect"],
        ),
        (
            "loadBalancer: {zoneAwareLbSetting: {failover: [{from: a, to: a}]}}",
            &["loadBalancer.zoneAwareLbSetting.failover[0] invalid-locality"],
        ),
        (
            "loadBalancer: {localityLbSetting: {distribute: [{from: a/*, to: {'a/*': 80, 'b/*': 20}}]}}",
            &[],
        ),
        (
            "loadBalancer: {localityLbSetting: {distribute: [{from: a/*, to: {'a/*': 80}}]}}",
            &["loadBalancer.localityLbSetting.distribute[0].to invalid-locality"],
        ),
        (
            "loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {a/b: 50, a: 50}}]}}",
            &["loadBalancer.localityLbSetting.distribute[0].to invalid-locality"],
        ),
        (
            "loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}]}}",
            &["loadBalancer.localityLbSetting failover-without-ejection"],
        ),
        (
            "loadBalancer: {localityLbSetting: {failover: [{from: a, to: a}]}}, outlierDetection: {interval: 1s}",
            &["loadBalancer.localityLbSetting.failover[0] invalid-locality"],
        ),
    ]);
}

#[test]
fn client_tls() {
    check_policy(&[
        ("tls: {mode: SIMPLE, caCertificates: ca}", &[]),
        (
            "tls: {mode: SIMPLE, caCertificates: ca, insecureSkipVerify: true}",
            &["tls.caCertificates invalid-tls"],
        ),
        (
            "tls: {mode: SIMPLE, credentialName: c, caCertificates: ca}",
            &["tls.caCertificates invalid-tls"],
        ),
        (
            "tls: {mode: MUTUAL, clientCertificate: c, privateKey: k}",
            &[],
        ),
        (
            "tls: {mode: MUTUAL, clientCertificate: c}",
            &["tls invalid-tls"],
        ),
        (
            "tls: {mode: MUTUAL, credentialName: c, insecureSkipVerify: true}",
            &[],
        ),
        (
            "tls: {mode: ISTIO_MUTUAL, privateKey: k}",
            &["tls.privateKey invalid-tls"],
        ),
        ("tls: {mode: mutual}", &["tls.mode invalid-enum"]),
    ]);
}
