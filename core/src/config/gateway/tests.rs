//! Gateways and what is said about them.

use crate::config::fixture::check;

#[track_caller]
fn check_servers(cases: &[(&str, &[&str])]) {
    for (server, expected) in cases {
        check(
            "Gateway",
            &[(&format!("{{servers: [{server}]}}"), expected)],
        );
    }
}

#[test]
fn servers() {
    check("Gateway", &[("{}", &["required-field spec.servers"])]);
    check_servers(&[
        (
            "{hosts: ['*'], port: {number: 80, name: http, protocol: HTTP}}",
            &[],
        ),
        (
            "{hosts: [ns/a.com, ./b.com, 1.2.3.4], port: {number: 80, name: http, protocol: HTTP}}",
            &[],
        ),
        (
            "{}",
            &[
                "required-field spec.servers[0].hosts",
                "required-field spec.servers[0].port",
            ],
        ),
        (
            "{hosts: [a.*.com], port: {number: 80, name: http, protocol: HTTP}}",
            &["invalid-host spec.servers[0].hosts[0]"],
        ),
        (
            "{hosts: [./1.2.3.4, ns/b.com], port: {number: 80, name: http, protocol: HTTP}}",
            &[],
        ),
        (
            "{hosts: [./a.*.com], port: {number: 80, name: http, protocol: HTTP}}",
            &["invalid-host spec.servers[0].hosts[0]"],
        ),
        (
            "{hosts: ['~/a.com'], port: {number: 80, name: http, protocol: HTTP}}",
            &["invalid-host spec.servers[0].hosts[0]"],
        ),
        (
            "{hosts: ['*'], port: {number: 0, name: http, protocol: HTTP}}",
            &["invalid-port spec.servers[0].port.number"],
        ),
        (
            "{hosts: ['*'], port: {number: 0, name: http, protocol: HTTP}, bind: 'unix:///a'}",
            &[],
        ),
        (
            "{hosts: ['*'], port: {number: 80, protocol: HTTP}}",
            &["required-field spec.servers[0].port.name"],
        ),
        (
            "{hosts: ['*'], port: {number: 80, name: http, protocol: QUIC}}",
            &["invalid-protocol spec.servers[0].port.protocol"],
        ),
        (
            "{hosts: ['*'], port: {number: 80, name: http, protocol: HTTP}, bind: a.b}",
            &["invalid-address spec.servers[0].bind"],
        ),
        (
            "{hosts: [a.com], port: {number: 80, name: a, protocol: HTTP}}, {hosts: [b.com], port: {number: 81, name: a, protocol: HTTP}}",
            &["duplicate-port spec.servers[1].port.name"],
        ),
    ]);
}

#[test]
fn tls() {
    let https = "hosts: [a.com], port: {number: 443, name: https, protocol: HTTPS}";
    let cases: [(&str, &[&str]); 14] = [
        ("{mode: SIMPLE, credentialName: a}", &[]),
        ("{mode: SIMPLE, serverCertificate: a, privateKey: b}", &[]),
        ("{mode: PASSTHROUGH}", &[]),
        ("{mode: ISTIO_MUTUAL}", &[]),
        (
            "{mode: MUTUAL, serverCertificate: a, privateKey: b, caCertificates: c}",
            &[],
        ),
        (
            "{mode: SIMPLE}",
            &[
                "invalid-tls spec.servers[0].tls",
                "invalid-tls spec.servers[0].tls",
            ],
        ),
        (
            "{mode: MUTUAL, serverCertificate: a, privateKey: b}",
            &["invalid-tls spec.servers[0].tls"],
        ),
        (
            "{mode: ISTIO_MUTUAL, credentialName: a}",
            &["invalid-tls spec.servers[0].tls.credentialName"],
        ),
        (
            "{mode: PASSTHROUGH, caCrl: a}",
            &["certificate-ignored spec.servers[0].tls"],
        ),
        (
            "{mode: SIMPLE, credentialName: a, serverCertificate: b, privateKey: c}",
            &["invalid-tls spec.servers[0].tls"],
        ),
        (
            "{mode: SIMPLE, serverCertificate: a, privateKey: b, caCrl: c}",
            &["invalid-tls spec.servers[0].tls.caCrl"],
        ),
        (
            "{mode: SIMPLE, credentialName: a, cipherSuites: [AES128-SHA, FOO, AES128-SHA, -ALL]}",
            &[
                "cipher-suite spec.servers[0].tls.cipherSuites[1]",
                "cipher-suite spec.servers[0].tls.cipherSuites[2]",
            ],
        ),
        (
            "{mode: SIMPLE, credentialName: a, minProtocolVersion: TLSV1_0}",
            &["old-tls-version spec.servers[0].tls.minProtocolVersion"],
        ),
        (
            "{mode: SIMPLE, credentialName: a, httpsRedirect: true}",
            &["redirect-on-tls spec.servers[0].tls.httpsRedirect"],
        ),
    ];
    for (tls, expected) in cases {
        check_servers(&[(&format!("{{{https}, tls: {tls}}}"), expected)]);
    }
    check_servers(&[
        (&format!("{{{https}}}"), &["invalid-tls spec.servers[0]"]),
        (
            "{hosts: [a.com], port: {number: 80, name: a, protocol: HTTP}, tls: {httpsRedirect: true}}",
            &[],
        ),
        (
            "{hosts: [a.com], port: {number: 80, name: a, protocol: HTTP}, tls: {mode: SIMPLE, credentialName: a}}",
            &["invalid-tls spec.servers[0].tls"],
        ),
        (
            "{hosts: [a.com], port: {number: 80, name: a, protocol: TCP}, tls: {mode: SIMPLE, credentialName: a}}",
            &["invalid-tls spec.servers[0].tls"],
        ),
    ]);
}
