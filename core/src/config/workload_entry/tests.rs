//! WorkloadEntries and what is said about them.

use crate::config::fixture::check;

#[test]
fn entries() {
    check(
        "WorkloadEntry",
        &[
            (
                "{address: 1.2.3.4, ports: {http: 80}, labels: {app: a}, weight: 2, locality: r/z/s}",
                &[],
            ),
            ("{address: a.com}", &[]),
            ("{address: 'unix:///a/b'}", &[]),
            ("{address: 'unix://@a'}", &[]),
            ("{}", &["required-field spec.address"]),
            ("{network: net}", &["address-unset spec.network"]),
            ("{address: '*.a.com'}", &["invalid-address spec.address"]),
            (
                "{address: 'unix:///dir/'}",
                &["invalid-address spec.address"],
            ),
            (
                "{address: 'unix://@a', ports: {http: 80}}",
                &["invalid-endpoint spec.ports"],
            ),
            (
                "{address: 1.2.3.4, ports: {http: 65536}}",
                &["invalid-port spec.ports[\"http\"]"],
            ),
            (
                "{address: 1.2.3.4, ports: {a_b: 80}}",
                &["invalid-name spec.ports[\"a_b\"]"],
            ),
            (
                "{address: 1.2.3.4, labels: {'': x}}",
                &["invalid-label spec.labels[\"\"]"],
            ),
            (
                "{address: 1.2.3.4, weigth: 1}",
                &["no-such-field spec.weigth"],
            ),
        ],
    );
}
