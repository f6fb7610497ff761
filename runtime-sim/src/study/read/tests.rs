//! What is said about bad scenarios, and where; and what the short forms of a good one stand for.

use outrigger_core::config::Source;
use outrigger_core::time::{Duration, Instant};

use super::super::scenario::{Load, Scenario, Scope};
use super::read;
use crate::load::{Fault, Latency};

/// A scenario that is good but for one line.
const GOOD: &str =
    "duration: 10s\nservices: {a: {calls: [b]}, b: {}}\nclients: {u: {asks: a, rate: 1/s}}\n";

fn of(text: &str) -> Result<Scenario, Vec<String>> {
    let source = Source {
        name: "s",
        bytes: text.as_bytes(),
    };
    read(source).map_err(|findings| {
        let line = |finding: &outrigger_core::config::Finding| {
            assert!(!finding.help.is_empty() || !finding.message.is_empty());
            finding.to_string()
        };
        findings.iter().map(line).collect()
    })
}

/// One line of a good scenario replaced: the one finding that follows begins so. What is there instead.
fn check(from: &str, to: &str, expected: &str) -> Option<String> {
    let text = GOOD.replace(from, to);
    assert_ne!(text, GOOD, "`{from}` is there");
    let findings = of(&text).err().unwrap_or_default();
    let is_it = findings.len() == 1 && findings[0].starts_with(expected);
    (!is_it).then(|| format!("{text}{findings:#?}\nexpected {expected}\n"))
}

#[test]
fn each_fault_is_told_where_it_is() {
    assert!(of(GOOD).is_ok());
    let mut other = Vec::new();
    for (from, to, expected) in [
        (
            "10s",
            "10",
            "s:1:11: error: duration: the number `10` is not a duration",
        ),
        ("10s", "0s", "s:1:11: error: duration: no usable duration"),
        (
            "duration: 10s",
            "duration: 10s\nsede: 1",
            "s:2:1: error: sede: unknown field `sede`",
        ),
        (
            "10s",
            "10s\nconfig: {rules: 1}",
            "s:2:9: error: config: `config` is no list of paths",
        ),
        (
            "[b]",
            "[c]",
            "s:2:24: error: services.a.calls[0]: there is no service `c`",
        ),
        (
            "[b]",
            "[a]",
            "s:2:11: error: services: `a` call each other in a circle",
        ),
        (
            "b: {}",
            "b: {calls: [a]}",
            "s:2:11: error: services: `a`, `b` call each other",
        ),
        (
            "b: {}",
            "b: {latency: fast}",
            "s:2:42: error: services.b.latency: `fast` is no time",
        ),
        (
            "b: {}",
            "b: {latency: {mean: 1ms, p99: 2ms}}",
            "s:2:42: error: services.b.latency: this is no",
        ),
        (
            "b: {}",
            "b: {errors: 101%}",
            "s:2:41: error: services.b.errors: `101%` is not a share",
        ),
        (
            "b: {}",
            "b: {queue: 3}",
            "s:2:32: error: services.b: a queue where nothing has to wait",
        ),
        (
            "b: {}",
            "b: {forwards: end-user}",
            "s:2:43: error: services.b.forwards: `forwards` is not a list",
        ),
        (
            "b: {}",
            "b: {forwards: [a, x-request-id]}",
            "s:2:47: error: services.b.forwards[1]: each call has an `x-request-id`",
        ),
        (
            "b: {}",
            "b: {forwards: ['*']}",
            "s:2:44: error: services.b.forwards[0]: `*` is no header",
        ),
        (
            "b: {}",
            "b: {forwards: [host]}",
            "s:2:44: error: services.b.forwards[0]: `host` is no header",
        ),
        (
            "b: {}",
            "b: {replicas: {count: 2}}",
            "s:2:43: error: services.b.replicas: `replicas` is neither a number nor",
        ),
        (
            "{a: {calls: [b]}, b: {}}",
            "[a, b]",
            "s:2:11: error: services: `services` is not a mapping from names",
        ),
        (
            "duration: 10s",
            "apiVersion: v1\nkind: Service\nduratoin: 10s",
            "s:1:1: error: this is a resource and no scenario",
        ),
        (
            "b: {}",
            "b: {replicas: 0}",
            "s:2:43: error: services.b.replicas: 0 replicas",
        ),
        (
            "b: {}",
            "b: {replicas: [{addresses: [here]}]}",
            "s:2:57: error: services.b.replicas[0].addresses[0]: `here` is not an address",
        ),
        (
            "b: {}",
            "B: {}, b: {}",
            "s:2:29: error: services.B: `B` can not be a service's name",
        ),
        (
            "u: {",
            "b: {",
            "s:3:11: error: clients.b: `b` is a service, too",
        ),
        (
            "asks: a",
            "asks: d",
            "s:3:21: error: clients.u.asks: there is no service `d`",
        ),
        (
            "1/s",
            "1/d",
            "s:3:30: error: clients.u.rate: `1/d` is not a rate",
        ),
        (
            ", rate: 1/s",
            "",
            "s:3:14: error: clients.u: it is not said how often they ask",
        ),
        (
            "1/s",
            "1/s, users: 2",
            "s:3:14: error: clients.u: `users` and `rate` exclude each other",
        ),
        (
            "1/s",
            "1/s, from: 10s",
            "s:3:41: error: clients.u.from: these clients never ask",
        ),
        (
            "1/s",
            "1/s, path: a",
            "s:3:41: error: clients.u.path: `a` is not a path",
        ),
        (
            "1/s",
            "1/s, locality: a//b",
            "s:3:45: error: clients.u.locality: `a//b` is not a locality",
        ),
        (
            "1/s",
            "1/s, patience: 0s",
            "s:3:45: error: clients.u.patience: nobody is that impatient",
        ),
        (
            "1/s",
            "1/s, bursts: [{from: 1s, until: 2s}]",
            "s:3:44: error: clients.u.bursts[0]: this is no burst",
        ),
    ] {
        other.extend(check(from, to, expected));
    }
    let end = "clients: {u: {asks: a, rate: 1/s}}\n";
    for (more, expected) in [
        (
            "faults: [{service: c, crash: true}]",
            "s:4:20: error: faults[0].service: there is no service `c`",
        ),
        (
            "faults: [{crash: true}]",
            "s:4:10: error: faults[0]: it is not said where this happens",
        ),
        (
            "faults: [{service: a}]",
            "s:4:10: error: faults[0]: it is not said what goes wrong",
        ),
        (
            "faults: [{service: a, replica: 2, hang: true}]",
            "s:4:10: error: faults[0]: no replica is meant",
        ),
        (
            "faults: [{service: a, fail: 99}]",
            "s:4:29: error: faults[0].fail: 99 is not the status",
        ),
        (
            "faults: [{service: a, cut: true, slow: 1s}]",
            "s:4:10: error: faults[0]: `slow` and `cut` exclude",
        ),
        (
            "faults: [{service: a, cut: true, from: 10s}]",
            "s:4:40: error: faults[0].from: this never happens",
        ),
        (
            "expect: {c: {p99: '< 1s'}}",
            "s:4:10: error: expect.c: `c` is neither a service nor clients",
        ),
        (
            "expect: {u: {p99: '< 1'}}",
            "s:4:19: error: expect.u.p99: `< 1` is not a bound for `p99`",
        ),
        (
            "expect: {u: {success: '99%'}}",
            "s:4:23: error: expect.u.success: `99%` is not a bound",
        ),
        (
            "expect: {u: {success: '>= 0%'}}",
            "s:4:23: error: expect.u.success: `success >= 0%` holds whatever happens",
        ),
        (
            "expect: {u: {success: ['> 9%', '<= 100%']}}",
            "s:4:32: error: expect.u.success[1]: `success <= 100%` holds whatever happens",
        ),
        (
            "expect: {u: {success: '> 100%'}}",
            "s:4:23: error: expect.u.success: `success > 100%` never holds",
        ),
        (
            "expect: {b: {p99: '>= 0s'}}",
            "s:4:19: error: expect.b.p99: `p99 >= 0s` holds whatever happens",
        ),
        (
            "expect: {b: {p50: '< 0s'}}",
            "s:4:19: error: expect.b.p50: `p50 < 0s` never holds",
        ),
        (
            "expect: {b: {retries: '>= 0'}}",
            "s:4:23: error: expect.b.retries: `retries >= 0` holds whatever happens",
        ),
        (
            "expect: {b: {overflow: '> -1'}}",
            "s:4:24: error: expect.b.overflow: `overflow > -1` holds whatever happens",
        ),
        (
            "expect: {u: {amplification: '>= 1'}}",
            "s:4:29: error: expect.u.amplification: `amplification >= 1` holds whatever",
        ),
        (
            "expect: {u: {ejections: '<= 0'}}",
            "s:4:25: error: expect.u.ejections: clients are not ejected",
        ),
    ] {
        other.extend(check(end, &format!("{end}{more}\n"), expected));
    }
    assert!(
        other.is_empty(),
        "{}",
        other.join(
            "
"
        )
    );
}

/// A share or a quantile of no requests would hold, or not, whatever the rules are.
#[test]
fn nothing_is_expected_of_requests_that_nobody_makes() {
    for (text, expected) in [
        (
            GOOD.replace("[b]", "[{service: b, share: 0%}]") + "expect: {b: {p99: '< 1s'}}",
            "s:4:10: error: expect.b: nobody asks `b`, so there is nothing to expect of it",
        ),
        (
            GOOD.replace("1/s", "0/s") + "expect: {u: {p99: '< 1s'}}",
            "s:4:10: error: expect.u: `u` never ask, so there is nothing to expect of them",
        ),
        (
            GOOD.replace("rate: 1/s", "users: 3, requests: 0") + "expect: {a: {success: '> 9%'}}",
            "s:4:10: error: expect.a: nobody asks `a`",
        ),
        (
            GOOD.to_owned() + "expect: {b: {p99: '< 1s'}, u: {ejections: '<= 1'}}",
            "s:4:43: ",
        ),
    ] {
        let findings = of(&text).expect_err("it is refused");
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert!(findings[0].starts_with(expected), "{findings:#?}");
    }
}

#[test]
fn short_forms_stand_for_long_ones() {
    let text = "
duration: 1m
seed: 9
config: rules/
scope: called
services:
  a:
    latency: {median: 5ms, p99: 40ms}
    concurrency: 4
    calls: [b, [b, {service: b, share: 10%, optional: true, path: /x}]]
    replicas: [{version: v1, count: 2}, {latency: 1s, locality: eu/eu-a}]
  b: {replicas: 3, port: 8080, calls: c}
  c: {}
clients:
  u: {asks: a, users: 5, think: {mean: 1s}}
  v: {asks: b, rate: 90/m, bursts: [{from: 10s, until: 20s, rate: 50}]}
faults:
- {service: a, version: v1, replica: 2, slow: 3s, share: 50%, from: 5s, until: 6s}
- {locality: eu, cut: true}
expect: {u: {success: ['>= 99%', '< 100%']}}
";
    let scenario = of(text).expect("it is good");
    assert_eq!((scenario.seed, scenario.scope), (9, Scope::Called));
    assert_eq!(scenario.config, ["rules/"]);
    let a = &scenario.services[0];
    let (median, p99) = (Duration::from_millis(5), Duration::from_millis(40));
    assert_eq!(a.groups[0].latency, Latency::LogNormal { median, p99 });
    assert_eq!(a.groups[1].latency, Latency::Fixed(Duration::from_secs(1)));
    assert_eq!(a.groups[1].capacity.map(|c| c.at_once), Some(4));
    assert_eq!(
        (a.groups[0].count, scenario.services[1].groups[0].count),
        (2, 3)
    );
    assert_eq!(scenario.services[1].stages.len(), 1);
    assert_eq!(a.stages.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    let Load::Rate { windows, .. } = &scenario.clients[1].load else {
        panic!("{:?}", scenario.clients[1]);
    };
    assert_eq!(
        windows.iter().map(|w| w.rate).collect::<Vec<_>>(),
        [1.5, 50.0]
    );
    let [slow, cut] = &scenario.faults[..] else {
        panic!("{:?}", scenario.faults);
    };
    assert_eq!(slow.label(&scenario.services), "a v1 replica 2 slow");
    assert!(
        slow.hits(0, &a.groups[0]) && !slow.hits(0, &a.groups[1]) && !slow.hits(1, &a.groups[0])
    );
    assert!(cut.hits(0, &a.groups[1]) && !cut.hits(0, &a.groups[0]));
    assert_eq!((cut.fault, cut.from), (Fault::Unreachable, Instant::ZERO));
    assert_eq!(scenario.expectations.len(), 2);
}
