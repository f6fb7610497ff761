//! One fault is one finding: nothing is said of the defaults that stand in for what could not be read.

use crate::config::fixture::check;

const TO: &str = "route: [{destination: {host: a}}]";

#[test]
fn a_value_that_can_not_be_read_is_told_once() {
    let rules: &[(&str, &str)] = &[
        (
            "route: [{destination: {host: a}, weight: lots}, {destination: {host: b}}]",
            "invalid-number spec.http[0].route[0].weight",
        ),
        (
            "route: {destination: {host: a}}",
            "wrong-type spec.http[0].route",
        ),
        (
            "route: [{destination: a}]",
            "wrong-type spec.http[0].route[0].destination",
        ),
        (
            "route: [{destination: {host: 5}}]",
            "wrong-type spec.http[0].route[0].destination.host",
        ),
        (
            "route: [{destination: {host: a, port: {name: http}}}]",
            "required-field spec.http[0].route[0].destination.port",
        ),
        (
            "route: [{destination: {host: a, port: {number: many, name: x}}}]",
            "invalid-number spec.http[0].route[0].destination.port.number",
        ),
        (
            "directResponse: 200",
            "wrong-type spec.http[0].directResponse",
        ),
        (
            "directResponse: {status: ok}",
            "invalid-number spec.http[0].directResponse.status",
        ),
    ];
    for (rule, expected) in rules {
        let expected: Vec<&str> = if rule.contains("name: x") {
            vec![
                expected,
                "removed-field spec.http[0].route[0].destination.port.name",
            ]
        } else {
            vec![expected]
        };
        check(
            "VirtualService",
            &[(&format!("{{hosts: [a], http: [{{{rule}}}]}}"), &expected)],
        );
    }
    let match_is_no_list = format!("{{hosts: [a], http: [{{match: {{}}, {TO}}}, {{{TO}}}]}}");
    let abort = format!("{{hosts: [a], http: [{{fault: {{abort: 503}}, {TO}}}]}}");
    let delay = format!("{{hosts: [a], http: [{{fault: {{delay: {{fixedDelay: 5}}}}, {TO}}}]}}");
    let hosts = format!("{{hosts: a, gateways: [mesh], http: [{{{TO}}}]}}");
    check(
        "VirtualService",
        &[
            (&match_is_no_list, &["wrong-type spec.http[0].match"]),
            (&abort, &["wrong-type spec.http[0].fault.abort"]),
            (
                &delay,
                &["invalid-duration spec.http[0].fault.delay.fixedDelay"],
            ),
            (&hosts, &["wrong-type spec.hosts"]),
            ("{hosts: [a], http: {}}", &["wrong-type spec.http"]),
        ],
    );
    check(
        "DestinationRule",
        &[
            ("{host: [a]}", &["wrong-type spec.host"]),
            (
                "{host: a, trafficPolicy: {portLevelSettings: [{port: 80}]}}",
                &["wrong-type spec.trafficPolicy.portLevelSettings[0].port"],
            ),
        ],
    );
    check(
        "Gateway",
        &[
            (
                "{servers: [{port: 80, hosts: ['*']}]}",
                &["wrong-type spec.servers[0].port"],
            ),
            (
                "{servers: [{port: {name: a}, hosts: ['*']}]}",
                &[
                    "required-field spec.servers[0].port.number",
                    "required-field spec.servers[0].port.protocol",
                ],
            ),
        ],
    );
    check(
        "ServiceEntry",
        &[
            (
                "{hosts: [a.b], ports: [{name: v}, {name: w}], resolution: NONE}",
                &[
                    "required-field spec.ports[0].number",
                    "required-field spec.ports[1].number",
                ],
            ),
            (
                "{hosts: [a.b], ports: [{name: x, number: lots}], resolution: NONE}",
                &["invalid-number spec.ports[0].number"],
            ),
        ],
    );
}
