//! What is captured, and the rules that come of it, as iptables writes them.

use super::{Table, rules};
use crate::capture::{Capture, Dns, Family, Mode, NameServers, Ports, Ranges};
use crate::iptables::line;

fn of(capture: &Capture, family: Family, table: Table) -> Vec<String> {
    let rules = rules(capture, family);
    let of_table = rules.iter().filter(|rule| rule.table == table);
    of_table.map(line).collect()
}

/// Whether these lines are there, in this order, whatever stands between them.
fn has_in_order(lines: &[String], wanted: &[&str]) {
    let mut rest = lines.iter();
    for line in wanted {
        assert!(
            rest.any(|l| l == line),
            "`{line}` is not there, or too early, in {lines:#?}"
        );
    }
}

#[test]
fn by_default_everything_is_captured_but_what_istio_exempts() {
    let capture = Capture::default();
    assert_eq!(
        of(&capture, Family::V4, Table::Nat),
        [
            "ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006",
            "PREROUTING -p tcp -j ISTIO_INBOUND",
            "ISTIO_INBOUND -p tcp --dport 15008 -j RETURN",
            "ISTIO_INBOUND -p tcp --dport 15090 -j RETURN",
            "ISTIO_INBOUND -p tcp --dport 15021 -j RETURN",
            "ISTIO_INBOUND -p tcp --dport 15020 -j RETURN",
            "ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT",
            "ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001",
            "OUTPUT -j ISTIO_OUTPUT",
            "ISTIO_OUTPUT -o lo -s 127.0.0.6/32 -j RETURN",
            "ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT",
            "ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN",
            "ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN",
            "ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT",
            "ISTIO_OUTPUT -o lo -m owner ! --gid-owner 1337 -j RETURN",
            "ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN",
            "ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN",
            "ISTIO_OUTPUT -j ISTIO_REDIRECT",
        ]
    );
    for table in [Table::Raw, Table::Mangle] {
        assert!(of(&capture, Family::V4, table).is_empty());
    }
    let six = of(&capture, Family::V6, Table::Nat);
    assert!(six.contains(&"ISTIO_OUTPUT -o lo -s ::6/128 -j RETURN".to_owned()));
    assert!(six.contains(&"ISTIO_OUTPUT -d ::1/128 -j RETURN".to_owned()));
    assert_eq!(six.len(), 18);
}

#[test]
fn exemptions_come_before_what_is_captured() {
    let capture = Capture {
        inbound: Ports::These(vec![80, 443]),
        outbound: Ranges::These(vec![
            "10.0.0.0/8".parse().unwrap(),
            "fd00::/8".parse().unwrap(),
        ]),
        exclude_outbound: vec!["10.1.0.0/16".parse().unwrap(), "fd01::/16".parse().unwrap()],
        outbound_ports: vec![5432],
        exclude_outbound_ports: vec![25],
        exclude_interfaces: vec!["net1".into()],
        ..Capture::default()
    };
    let nat = of(&capture, Family::V4, Table::Nat);
    has_in_order(
        &nat,
        &[
            "ISTIO_INBOUND -i net1 -j RETURN",
            "ISTIO_INBOUND -p tcp --dport 80 -j ISTIO_IN_REDIRECT",
            "ISTIO_INBOUND -p tcp --dport 443 -j ISTIO_IN_REDIRECT",
            "ISTIO_OUTPUT -o net1 -j RETURN",
            "ISTIO_OUTPUT -p tcp --dport 25 -j RETURN",
            "ISTIO_OUTPUT -p udp --dport 25 -j RETURN",
            "ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN",
            "ISTIO_OUTPUT -d 10.1.0.0/16 -j RETURN",
            "ISTIO_OUTPUT -p tcp --dport 5432 -j ISTIO_REDIRECT",
            "ISTIO_OUTPUT -d 10.0.0.0/8 -j ISTIO_REDIRECT",
        ],
    );
    assert!(
        !nat.iter()
            .any(|line| line.contains("fd0") || line.contains("15090")),
        "{nat:#?}"
    );
    let six = of(&capture, Family::V6, Table::Nat);
    has_in_order(
        &six,
        &[
            "ISTIO_OUTPUT -d fd01::/16 -j RETURN",
            "ISTIO_OUTPUT -d fd00::/8 -j ISTIO_REDIRECT",
        ],
    );
    assert!(!six.iter().any(|line| line.contains("10.")), "{six:#?}");
}

#[test]
fn nothing_inbound_is_nothing_inbound() {
    let capture = Capture {
        inbound: Ports::These(Vec::new()),
        ..Capture::default()
    };
    let nat = of(&capture, Family::V4, Table::Nat);
    assert!(
        !nat.iter().any(|line| line.contains("ISTIO_INBOUND")),
        "{nat:#?}"
    );
    assert!(nat.contains(&"ISTIO_OUTPUT -j ISTIO_REDIRECT".to_owned()));
}

#[test]
fn an_application_that_wants_its_loopback_captured_gets_it() {
    let capture = Capture {
        outbound: Ranges::These(vec!["127.1.0.0/16".parse().unwrap()]),
        ..Capture::default()
    };
    let nat = of(&capture, Family::V4, Table::Nat);
    assert!(
        !nat.iter().any(|line| line.contains("! --uid-owner")),
        "{nat:#?}"
    );
    assert!(nat.contains(&"ISTIO_OUTPUT -d 127.1.0.0/16 -j ISTIO_REDIRECT".to_owned()));
}

#[test]
fn what_comes_from_a_virtual_machine_is_outbound() {
    let capture = Capture {
        reroute_interfaces: vec!["k6t-eth0".into()],
        outbound: Ranges::These(vec!["10.0.0.0/8".parse().unwrap()]),
        ..Capture::default()
    };
    let nat = of(&capture, Family::V4, Table::Nat);
    has_in_order(
        &nat,
        &[
            "PREROUTING -i k6t-eth0 -d 10.0.0.0/8 -j ISTIO_REDIRECT",
            "PREROUTING -p tcp -j ISTIO_INBOUND",
            "ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT",
        ],
    );
    let exempt = nat
        .iter()
        .position(|line| line == "ISTIO_INBOUND -i k6t-eth0 -j RETURN");
    let captured = nat
        .iter()
        .position(|line| line == "ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT");
    assert!(exempt < captured, "{nat:#?}");
}

#[test]
fn questions_for_names_go_to_the_sidecar_and_its_own_do_not() {
    let all = Capture {
        dns: Some(Dns {
            port: 15053,
            servers: NameServers::All,
        }),
        ..Capture::default()
    };
    has_in_order(
        &of(&all, Family::V4, Table::Nat),
        &[
            "ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp -m multiport ! --dports 53,15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT",
            "ISTIO_OUTPUT -o lo -p tcp ! --dport 53 -m owner ! --uid-owner 1337 -j RETURN",
            "ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN",
            "ISTIO_OUTPUT -j ISTIO_OUTPUT_DNS",
            "ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN",
            "ISTIO_OUTPUT_DNS -p tcp --dport 53 -j REDIRECT --to-ports 15053",
            "ISTIO_OUTPUT_DNS -p udp --dport 53 -j REDIRECT --to-ports 15053",
        ],
    );
    has_in_order(
        &of(&all, Family::V4, Table::Raw),
        &[
            "OUTPUT -j ISTIO_OUTPUT_DNS",
            "ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --uid-owner 1337 -j CT --zone 1",
            "ISTIO_OUTPUT_DNS -p udp --sport 15053 -m owner --uid-owner 1337 -j CT --zone 2",
            "PREROUTING -j ISTIO_INBOUND",
            "ISTIO_OUTPUT_DNS -p udp --dport 53 -j CT --zone 2",
            "ISTIO_INBOUND -p udp --sport 53 -j CT --zone 1",
        ],
    );
    let some = Capture {
        dns: Some(Dns {
            port: 15053,
            servers: NameServers::These(vec!["10.96.0.10".parse().unwrap()]),
        }),
        ..Capture::default()
    };
    has_in_order(
        &of(&some, Family::V4, Table::Nat),
        &["ISTIO_OUTPUT_DNS -p udp --dport 53 -d 10.96.0.10/32 -j REDIRECT --to-ports 15053"],
    );
    assert!(of(&some, Family::V6, Table::Raw).is_empty());
    let six = of(&some, Family::V6, Table::Nat);
    assert!(!six.iter().any(|line| line.contains("DNS")), "{six:#?}");
}

#[test]
fn under_tproxy_connections_are_routed_as_they_are() {
    let capture = Capture {
        mode: Mode::Tproxy {
            mark: 1337,
            table: 133,
        },
        exclude_interfaces: vec!["net1".into()],
        ..Capture::default()
    };
    let mangle = of(&capture, Family::V4, Table::Mangle);
    has_in_order(
        &mangle,
        &[
            "PREROUTING -p tcp -j ISTIO_INBOUND",
            "ISTIO_DIVERT -j MARK --set-mark 1337",
            "ISTIO_DIVERT -j ACCEPT",
            "ISTIO_TPROXY ! -d 127.0.0.1/32 -p tcp -j TPROXY --on-port 15006 --tproxy-mark 1337/0xffffffff",
            "ISTIO_INBOUND -p tcp -m mark --mark 1337 -j CONNMARK --save-mark",
            "ISTIO_INBOUND -p tcp -m mark --mark 1337 -j RETURN",
            "ISTIO_INBOUND -p tcp -s 127.0.0.6/32 -i lo -j RETURN",
            "ISTIO_INBOUND -p tcp -i lo -m mark ! --mark 1338 -j RETURN",
            "ISTIO_INBOUND -i net1 -j RETURN",
            "ISTIO_INBOUND -p tcp --dport 15008 -j RETURN",
            "ISTIO_INBOUND -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT",
            "ISTIO_INBOUND -p tcp -j ISTIO_TPROXY",
            "OUTPUT -p tcp -j ISTIO_OUTPUT",
            "ISTIO_OUTPUT -p tcp -o lo -m mark --mark 1337 -j RETURN",
            "ISTIO_OUTPUT ! -d 127.0.0.1/32 -p tcp -o lo -m owner --uid-owner 1337 -j MARK --set-mark 1338",
            "ISTIO_OUTPUT -p tcp -m connmark --mark 1337 -j CONNMARK --restore-mark",
        ],
    );
    let nat = of(&capture, Family::V4, Table::Nat);
    assert!(
        !nat.iter().any(|line| line.starts_with("PREROUTING")),
        "{nat:#?}"
    );
}

#[test]
fn whatever_is_asked_for_a_jump_leads_to_a_chain_of_the_same_table() {
    for mode in [Mode::Redirect, Mode::Tproxy { mark: 1, table: 2 }] {
        for dns in [None, Some(NameServers::All)] {
            let capture = Capture {
                mode,
                dns: dns.map(|servers| Dns {
                    port: 15053,
                    servers,
                }),
                reroute_interfaces: vec!["a".into()],
                ipv6: true,
                ..Capture::default()
            };
            for family in capture.families() {
                let rules = rules(&capture, family);
                for rule in &rules {
                    if let super::Target::Jump(chain) = rule.target {
                        let leads =
                            |other: &super::Rule| other.table == rule.table && other.chain == chain;
                        assert!(rules.iter().any(leads), "{rule:?} leads nowhere");
                    }
                    let is_jump = matches!(rule.target, super::Target::Jump(_));
                    assert!(
                        !rule.chain.is_builtin() || is_jump,
                        "{rule:?} could not be taken away"
                    );
                }
            }
        }
    }
}
