//! ServiceEntries and what is said about them.

use crate::config::fixture::check;

const PORT: &str = "ports: [{number: 80, name: http, protocol: HTTP}]";

/// Checks entries with one HTTP port.
#[track_caller]
fn check_with_port(cases: &[(&str, &[&str])]) {
    for (fields, expected) in cases {
        check(
            "ServiceEntry",
            &[(&format!("{{{PORT}, {fields}}}"), expected)],
        );
    }
}

#[test]
fn hosts() {
    check_with_port(&[
        ("hosts: [a.com], resolution: DNS", &[]),
        ("hosts: [short], resolution: DNS", &[]),
        ("hosts: ['*.a.com']", &[]),
        ("hosts: []", &["required-field spec.hosts"]),
        ("hosts: ['*']", &["invalid-host spec.hosts[0]"]),
        ("hosts: [a_b.com]", &["invalid-host spec.hosts[0]"]),
        ("hosts: ['*a.com']", &["partial-wildcard spec.hosts[0]"]),
        (
            "hosts: ['*.a.com'], resolution: DNS",
            &["invalid-resolution spec.hosts[0]"],
        ),
        (
            "hosts: ['*.a.com'], resolution: DNS, endpoints: [{address: b.com}]",
            &[],
        ),
        ("hosts: [a.com], exportTo: ['~']", &[]),
        (
            "hosts: [a.com], exportTo: ['~', b]",
            &["invalid-export-to spec.exportTo[0]"],
        ),
    ]);
}

#[test]
fn addresses() {
    check_with_port(&[
        (
            "hosts: [a.com], addresses: [1.2.3.4, '::1', 10.0.0.0/8]",
            &[],
        ),
        (
            "hosts: [a.com], addresses: [a.com]",
            &["invalid-address spec.addresses[0]"],
        ),
        (
            "hosts: [a.com], resolution: DNS, addresses: [10.0.0.0/8]",
            &["invalid-resolution spec.addresses[0]"],
        ),
        (
            "hosts: [a.com], resolution: STATIC, addresses: [10.0.0.0/8]",
            &[],
        ),
    ]);
}

#[test]
fn ports() {
    let cases: [(&str, &[&str]); 10] = [
        ("{number: 80, name: http, protocol: http}", &[]),
        (
            "{number: 80, name: http, protocol: HTTP, targetPort: 8080}",
            &[],
        ),
        (
            "{number: 0, name: http, protocol: HTTP}",
            &["invalid-port spec.ports[0].number"],
        ),
        (
            "{number: 66000, name: http, protocol: HTTP}",
            &["invalid-port spec.ports[0].number"],
        ),
        (
            "{number: 80, name: http, protocol: HTTP, targetPort: 66000}",
            &["invalid-port spec.ports[0].targetPort"],
        ),
        (
            "{number: 80, name: a_b, protocol: HTTP}",
            &["invalid-name spec.ports[0].name"],
        ),
        (
            "{number: 80, name: http, protocol: QUIC}",
            &["invalid-protocol spec.ports[0].protocol"],
        ),
        (
            "{number: 80, name: a, protocol: HTTP}, {number: 80, name: b, protocol: HTTP}",
            &["duplicate-port spec.ports[1].number"],
        ),
        (
            "{number: 80, name: a, protocol: HTTP}, {number: 81, name: a, protocol: HTTP}",
            &["duplicate-port spec.ports[1].name"],
        ),
        (
            "{number: 80, name: tcp, protocol: TCP}",
            &["tcp-without-address spec.ports[0]"],
        ),
    ];
    for (ports, expected) in cases {
        check(
            "ServiceEntry",
            &[(&format!("{{hosts: [a.com], ports: [{ports}]}}"), expected)],
        );
    }
    check(
        "ServiceEntry",
        &[
            (
                "{hosts: [a.com], resolution: DNS, ports: [{number: 80, name: tcp, protocol: TCP}]}",
                &[],
            ),
            (
                "{hosts: [a.com, b.com], resolution: DNS, ports: [{number: 80, name: tcp, protocol: TCP}]}",
                &["shared-port spec.ports[0]"],
            ),
            (
                "{hosts: [a.com, b.com], addresses: [1.2.3.4], resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}",
                &["shared-address spec.addresses"],
            ),
        ],
    );
}

#[test]
fn endpoints() {
    check_with_port(&[
        (
            "hosts: [a.com], resolution: STATIC, endpoints: [{address: 1.2.3.4, ports: {http: 8080}}]",
            &[],
        ),
        (
            "hosts: [a.com], resolution: STATIC, endpoints: [{address: 'unix:///a/b'}]",
            &[],
        ),
        (
            "hosts: [a.com], resolution: STATIC, endpoints: [{address: b.com}]",
            &["invalid-address spec.endpoints[0].address"],
        ),
        (
            "hosts: [a.com], resolution: STATIC, endpoints: [{}]",
            &["required-field spec.endpoints[0].address"],
        ),
        (
            "hosts: [a.com], resolution: STATIC, endpoints: [{network: net}]",
            &["address-unset spec.endpoints[0].network"],
        ),
        (
            "hosts: [a.com], resolution: STATIC, endpoints: [{address: 'unix:///a', ports: {http: 1}}]",
            &["invalid-endpoint spec.endpoints[0].ports"],
        ),
        (
            "hosts: [a.com], resolution: DNS, endpoints: [{address: b.com, ports: {grpc: 0}}]",
            &[
                "invalid-endpoint spec.endpoints[0].ports[\"grpc\"]",
                "invalid-port spec.endpoints[0].ports[\"grpc\"]",
            ],
        ),
        (
            "hosts: [a.com], resolution: DNS_ROUND_ROBIN, endpoints: [{address: b.com}, {address: c.com}]",
            &["invalid-resolution spec.endpoints"],
        ),
        (
            "hosts: [a.com], endpoints: [{address: 1.2.3.4}]",
            &["invalid-resolution spec.endpoints"],
        ),
        (
            "hosts: [a.com], resolution: STATIC, workloadSelector: {labels: {a: b}}, endpoints: [{address: 1.2.3.4}]",
            &["one-of spec.endpoints"],
        ),
        (
            "hosts: [a.com], resolution: STATIC, workloadSelector: {labels: {a: 'b*'}}",
            &["invalid-label spec.workloadSelector.labels[\"a\"]"],
        ),
        (
            "hosts: [a.com], resolution: STATIC, workloadSelector: {}",
            &["empty-selector spec.workloadSelector"],
        ),
        (
            "hosts: [a.com], workloadSelector: {labels: {a: b}}",
            &["selector-unused spec.workloadSelector"],
        ),
    ]);
}

#[test]
fn names_looked_up_for_each_request() {
    check_with_port(&[
        ("hosts: ['*.a.com'], resolution: DYNAMIC_DNS", &[]),
        (
            "hosts: [a.com], resolution: DYNAMIC_DNS",
            &["invalid-resolution spec.hosts[0]"],
        ),
        (
            "hosts: ['*.a.com'], resolution: DYNAMIC_DNS, addresses: [1.2.3.4]",
            &["invalid-resolution spec.addresses"],
        ),
        (
            "hosts: ['*.a.com'], resolution: DYNAMIC_DNS, endpoints: [{address: b.com}]",
            &["invalid-resolution spec.endpoints"],
        ),
    ]);
}
