//! Sidecars and what is said about them.

use super::{EgressHost, EgressNamespace};
use crate::config::fixture::{check, judged_document};

#[test]
fn egress_hosts_are_read() {
    use EgressNamespace::{Any, Named, None as Nothing, Own};
    for (entry, excludes, namespace, host) in [
        ("*/*", false, Any, "*"),
        ("./*", false, Own, "*"),
        ("~/*", false, Nothing, "*"),
        ("ns/a.b", false, Named("ns"), "a.b"),
        ("~ns/*.b", true, Named("ns"), "*.b"),
        ("~./*", true, Own, "*"),
    ] {
        let want = EgressHost {
            excludes,
            namespace,
            host,
        };
        assert_eq!(EgressHost::parse(entry), Some(want), "{entry}");
    }
    assert_eq!(EgressHost::parse("a.b"), None);
}

#[test]
fn egress() {
    let cases: [(&str, &[&str]); 14] = [
        ("{hosts: ['./*', istio-system/*]}", &[]),
        ("{hosts: ['~/*']}", &[]),
        ("{hosts: ['*/b.com', test/a.com]}", &[]),
        ("{hosts: ['*/*', '~ns/*']}", &[]),
        ("{hosts: []}", &["required-field spec.egress[0].hosts"]),
        (
            "{hosts: [a.com]}",
            &["invalid-host spec.egress[0].hosts[0]"],
        ),
        (
            "{hosts: [ns/short]}",
            &["invalid-host spec.egress[0].hosts[0]"],
        ),
        (
            "{hosts: ['ns/*a.com']}",
            &["invalid-host spec.egress[0].hosts[0]"],
        ),
        (
            "{hosts: ['~Bad_NS/*']}",
            &["invalid-host spec.egress[0].hosts[0]"],
        ),
        (
            "{hosts: [ns/a.com, ns/a.com]}",
            &["duplicate-egress-host spec.egress[0].hosts[1]"],
        ),
        (
            "{hosts: ['*/*', test/a.com]}",
            &["duplicate-egress-host spec.egress[0].hosts"],
        ),
        (
            "{hosts: ['./*']}, {hosts: ['./*'], port: {number: 80}}",
            &["invalid-listener spec.egress[0]"],
        ),
        (
            "{hosts: ['./*'], port: {number: 0}}",
            &["invalid-port spec.egress[0].port"],
        ),
        (
            "{hosts: ['./*'], port: {number: 0}, bind: 'unix:///a', captureMode: IPTABLES}",
            &["invalid-listener spec.egress[0].captureMode"],
        ),
    ];
    for (egress, expected) in cases {
        check("Sidecar", &[(&format!("{{egress: [{egress}]}}"), expected)]);
    }
}

#[test]
fn ingress() {
    let cases: [(&str, &[&str]); 9] = [
        (
            "{port: {number: 90, protocol: HTTP, name: a}, defaultEndpoint: '127.0.0.1:80'}",
            &[],
        ),
        (
            "{port: {number: 90, protocol: HTTP, name: a}, defaultEndpoint: 'unix:///a/b'}",
            &[],
        ),
        (
            "{port: {number: 90, protocol: HTTP, name: a}, defaultEndpoint: ':80'}",
            &[],
        ),
        (
            "{port: {number: 90, protocol: HTTP, name: a}, defaultEndpoint: '1.1.1.1:80'}",
            &["invalid-listener spec.ingress[0].defaultEndpoint"],
        ),
        (
            "{port: {number: 90, protocol: HTTP, name: a}, defaultEndpoint: 'unix:///'}",
            &["invalid-listener spec.ingress[0].defaultEndpoint"],
        ),
        (
            "{defaultEndpoint: '127.0.0.1:80'}",
            &["required-field spec.ingress[0].port"],
        ),
        (
            "{port: {number: 90}}, {port: {number: 90}}",
            &["duplicate-port spec.ingress[1].port.number"],
        ),
        (
            "{port: {number: 90, protocol: HTTPS}, tls: {mode: ISTIO_MUTUAL}}",
            &["invalid-tls spec.ingress[0].tls.mode"],
        ),
        (
            "{port: {number: 90, protocol: HTTP}, tls: {mode: SIMPLE, serverCertificate: a, privateKey: b}}",
            &["invalid-tls spec.ingress[0].tls"],
        ),
    ];
    for (ingress, expected) in cases {
        check(
            "Sidecar",
            &[(&format!("{{ingress: [{ingress}]}}"), expected)],
        );
    }
}

#[test]
fn policies() {
    check(
        "Sidecar",
        &[
            ("{}", &["empty-sidecar spec"]),
            ("{outboundTrafficPolicy: {}}", &[]),
            (
                "{inboundConnectionPool: {http: {http1MaxPendingRequests: 1}}}",
                &[],
            ),
            (
                "{inboundConnectionPool: {http: {http1MaxPendingRequests: -1}}}",
                &[
                    "invalid-connection-pool spec.inboundConnectionPool.http.http1MaxPendingRequests",
                ],
            ),
            (
                "{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: a.b, port: {number: 80}}}}",
                &[],
            ),
            (
                "{outboundTrafficPolicy: {egressProxy: {host: a.b, port: {number: 80}}}}",
                &["invalid-egress-proxy spec.outboundTrafficPolicy.egressProxy"],
            ),
            (
                "{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: a.b}}}",
                &["required-field spec.outboundTrafficPolicy.egressProxy.port"],
            ),
        ],
    );
}

#[test]
fn the_own_namespace_is_another_one_under_the_root() {
    for (namespace, expected) in [
        ("ns", vec!["duplicate-egress-host spec.egress[0].hosts[1]"]),
        ("istio-system", vec![]),
    ] {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: a, namespace: {namespace}}}\nspec: {{egress: [{{hosts: ['./*', {namespace}/*]}}]}}\n"
        );
        assert_eq!(judged_document(&text), expected, "{namespace}");
    }
}
