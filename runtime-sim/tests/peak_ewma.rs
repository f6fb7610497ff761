//! When PeakEWMA balancing helps (`outrigger.dev/load-balancer: PEAK_EWMA`): one instance of three is slow, fails at once,
//! or is slow for a while. Beside it the same days under LEAST_REQUEST and ROUND_ROBIN.
//!
//! `cargo test -p outrigger-sim --test peak_ewma -- --nocapture` prints the numbers.

use outrigger_core::peer::ListenerKind;
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::WorkerSettings;
use outrigger_sim::load::{
    Ask, Behaviour, Fault, FaultWindow, Instance, Latency, Summary, Visitors,
};
use outrigger_sim::{Rules, Simulation, Weather};

const SIDECAR: &str = "sidecar";

const LEAST_REQUEST: &str = "LEAST_REQUEST";
const ROUND_ROBIN: &str = "ROUND_ROBIN";
const PEAK_EWMA: &str = "PEAK_EWMA";

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A service that takes some milliseconds, now and then more.
const USUAL: Latency = Latency::LogNormal {
    median: ms(5),
    p99: ms(20),
};

const SLOW: Latency = Latency::LogNormal {
    median: ms(100),
    p99: ms(300),
};

/// Three instances and how to pick one of them. Retries are off, so that nothing hides what was picked.
fn rules(balancing: &str) -> String {
    let (annotation, simple) = match balancing {
        PEAK_EWMA => ("outrigger.dev/load-balancer: PEAK_EWMA", LEAST_REQUEST),
        simple => ("", simple),
    };
    format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop}}
spec:
  hosts: [shop.example]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: 8080}}]
  endpoints: [{{address: 10.0.0.1}}, {{address: 10.0.0.2}}, {{address: 10.0.0.3}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop, annotations: {{{annotation}}}}}
spec: {{host: shop.example, trafficPolicy: {{loadBalancer: {{simple: {simple}}}}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop}}
spec:
  hosts: [shop.example]
  http: [{{retries: {{attempts: 0}}, route: [{{destination: {{host: shop.example}}}}]}}]
"
    )
}

/// So many visitors, one after the other in this time on average, while the third instance has a bad day.
fn day(balancing: &str, visitors: u64, between: Duration, third: &Behaviour) -> Summary {
    let mut world = Simulation::new(7, Weather::default());
    let compiled = Rules::default().compile(&[("shop.yaml", &rules(balancing))]);
    let snapshot = compiled.expect("the rules are good");
    let (summary, records) = Summary::of_records();
    let sidecar = world.sidecar(snapshot, WorkerSettings::default(), records);
    world.expose(SIDECAR, sidecar, ListenerKind::Outbound);
    let usual = |name| Behaviour {
        latency: USUAL,
        ..Behaviour::new(name)
    };
    for (number, behaviour) in (1..).zip([usual("a"), usual("b"), third.clone()]) {
        let address = format!("10.0.0.{number}:8080");
        world.serve(&address, Box::new(Instance::new(behaviour, number)));
    }
    let stream = Visitors {
        count: visitors,
        between: Latency::Exponential(between),
        patience: None,
        ask: Ask::get("shop.example"),
        seed: 3,
    };
    let _log = stream.enter(&mut world, SIDECAR);
    world
        .run(Instant::from_millis(3_600_000))
        .expect("the invariants hold");
    let summary = summary.borrow().clone();
    assert_eq!(summary.requests, visitors);
    println!("{balancing:14} {summary}");
    summary
}

fn third(summary: &Summary) -> u64 {
    summary
        .by_instance
        .get("10.0.0.3:8080")
        .copied()
        .unwrap_or(0)
}

/// Few requests are in flight anywhere, so the queue says little about who is slow; the response time says it at once.
#[test]
fn a_slow_instance_is_left_alone() {
    println!("one of three is slow");
    let slow = Behaviour {
        latency: SLOW,
        ..Behaviour::new("c")
    };
    let of = |balancing| day(balancing, 3000, ms(10), &slow);
    let (least, round, peak) = (of(LEAST_REQUEST), of(ROUND_ROBIN), of(PEAK_EWMA));
    let p50 = |summary: &Summary| summary.percentile(0.50);
    let p99 = |summary: &Summary| summary.percentile(0.99);
    assert!(third(&round) > 990, "a round takes everybody in turn");
    assert!(third(&least) > 20 * third(&peak), "{least}\n{peak}");
    assert!(p99(&round) > ms(200) && p99(&least) > ms(150));
    assert!(p99(&peak) < ms(40), "{peak}");
    assert!(p50(&peak) <= p50(&least) && p50(&least) < p50(&round));
    assert_eq!(peak, of(PEAK_EWMA), "the same seed, the same day");
}

/// Who fails at once has the shortest queue and would have the shortest response time: failures count as slow.
#[test]
fn an_instance_that_fails_at_once_draws_no_traffic() {
    println!("one of three fails at once");
    let failing = Behaviour {
        faults: vec![FaultWindow::always(Fault::Status(503))],
        ..Behaviour::new("c")
    };
    let of = |balancing| day(balancing, 3000, ms(10), &failing);
    let (least, round, peak) = (of(LEAST_REQUEST), of(ROUND_ROBIN), of(PEAK_EWMA));
    assert!(least.success_rate() < round.success_rate(), "{least}");
    assert!(round.success_rate() < 0.67, "{round}");
    assert!(peak.success_rate() > 0.999, "{peak}");
}

/// An average that is not fed fades, so an instance that was slow is asked again, and gets its share once it is well.
#[test]
fn an_instance_that_is_well_again_gets_its_share() {
    println!("one of three is slow for the first minute");
    let minute = FaultWindow {
        until: Instant::from_millis(60_000),
        ..FaultWindow::always(Fault::Slow(SLOW))
    };
    let was_slow = Behaviour {
        latency: USUAL,
        faults: vec![minute],
        ..Behaviour::new("c")
    };
    // Twenty visitors a second: 1,200 in the first minute, 3,600 in the next three.
    let first = third(&day(PEAK_EWMA, 1200, ms(50), &was_slow));
    let whole = third(&day(PEAK_EWMA, 4800, ms(50), &was_slow));
    assert!(first < 40, "{first}");
    assert!(whole - first > 900, "{first} {whole}");
}
