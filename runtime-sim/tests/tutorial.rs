//! The tutorial's four load tests in virtual time: what users see of a slow version and of a failing instance, without
//! and with a circuit breaker, ejection and retries. The rules are the files of `examples/tutorial`, as they stand.
//!
//! `cargo test -p outrigger-sim --test tutorial -- --nocapture` prints a line for each.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use outrigger_core::decision::{Record, ResponseFlag};
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::{PerMillion, Snapshot};
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::WorkerSettings;
use outrigger_sim::load::{
    Ask, Behaviour, Fault, FaultWindow, Instance, Latency, Outcome, Summary, Users,
};
use outrigger_sim::{Cut, Rules, Simulation, Weather};

macro_rules! step {
    ($name:literal) => {
        include_str!(concat!("../../examples/tutorial/", $name, ".yaml"))
    };
}

const SLOW_V2: &str = step!("18-slow-v2");
const BREAKER: &str = step!("16-circuit-breaker");
const FAILING: &str = step!("19-failing-instance");
const EJECTED: &str = step!("20-failing-instance-ejected");
const TOGETHER: &str = step!("21-all-together");

const V1: &str = "127.0.0.1:18082";
const V2: &str = "127.0.0.1:18083";
const SECOND_V2: &str = "127.0.0.1:18084";

const LISTENER: &str = "sidecar";
const SECOND: Duration = Duration::from_secs(1);
const QUICK: Duration = Duration::from_millis(50);

/// What came of a load.
struct Outcomes {
    summary: Summary,
    /// How long each request took that a circuit limit refused.
    refused_after: Vec<Duration>,
    v1: Instance,
    v2: Instance,
    snapshot: Arc<Snapshot>,
}

/// Users, and how the instances behave that are not as usual: v2, and its second instance.
struct Load {
    users: u32,
    requests: u64,
    think: Duration,
    v2: Behaviour,
    second: Behaviour,
}

/// 20 users of 10 requests each, nobody slow, nothing failing.
fn usual() -> Load {
    Load {
        users: 20,
        requests: 10,
        think: Duration::ZERO,
        v2: instance("v2"),
        second: instance("v2 again"),
    }
}

fn instance(name: &str) -> Behaviour {
    Behaviour {
        latency: Latency::Uniform(Duration::from_millis(1), Duration::from_millis(10)),
        ..Behaviour::new(name)
    }
}

fn slow() -> Behaviour {
    Behaviour {
        latency: Latency::Fixed(3 * SECOND),
        ..instance("v2")
    }
}

fn failing(fault: Fault) -> Behaviour {
    Behaviour {
        faults: vec![FaultWindow::always(fault)],
        ..instance("v2 again")
    }
}

/// Plays a load by the rules of a step, once for each of a few seeds.
fn play(rules: &str, load: impl Fn() -> Load, check: impl Fn(Outcomes)) {
    for seed in 1..=3 {
        let outcomes = play_once(rules, &load(), seed);
        if seed == 1 {
            println!("{}", outcomes.summary);
        }
        check(outcomes);
    }
}

fn play_once(rules: &str, load: &Load, seed: u64) -> Outcomes {
    let weather = Weather {
        jitter: Duration::ZERO,
        cut: Cut::Whole,
        ..Weather::default()
    };
    let mut sim = Simulation::new(seed, weather);
    let texts = [("services", step!("services")), ("step", rules)];
    let snapshot = Rules::default()
        .compile(&texts)
        .expect("an example is accepted");
    let told = Rc::<RefCell<(Summary, Vec<Duration>)>>::default();
    let sink = Rc::clone(&told);
    let records = move |record: &Record, snapshot: &Snapshot| {
        let (summary, refused) = &mut *sink.borrow_mut();
        summary.add(record, snapshot);
        if record.flags().contains(ResponseFlag::UpstreamOverflow) {
            refused.push(record.ended.since(record.began));
        }
    };
    let settings = WorkerSettings::default();
    let sidecar = sim.sidecar(Arc::clone(&snapshot), settings, Box::new(records));
    sim.expose(LISTENER, sidecar, ListenerKind::Outbound);
    let behaviours = [
        (V1, instance("v1")),
        (V2, load.v2.clone()),
        (SECOND_V2, load.second.clone()),
    ];
    let [v1, v2, _] = behaviours.map(|(address, behaviour)| {
        let instance = Instance::new(behaviour, seed);
        sim.serve(address, Box::new(instance.clone()));
        instance
    });
    let users = Users {
        count: load.users,
        requests: load.requests,
        think: Latency::Fixed(load.think),
        patience: None,
        ask: Ask::get("recommendation"),
        seed,
    };
    let log = users.enter(&mut sim, LISTENER);
    sim.run(Instant::from_nanos(u64::MAX))
        .expect("the invariants hold");
    sim.at_rest(sidecar).expect("nothing is left");
    let (mut summary, refused_after) = told.take();
    summary.count_ejections(&snapshot);
    let (log, total) = (log.borrow(), u64::from(load.users) * load.requests);
    assert_eq!(
        (summary.requests, log.outcomes.len() as u64),
        (total, total)
    );
    for (status, count) in &summary.by_status {
        let seen = log.count(Outcome::Answered(*status)) as u64;
        assert_eq!(seen, *count, "clients saw what was recorded");
    }
    Outcomes {
        summary,
        refused_after,
        v1,
        v2,
        snapshot,
    }
}

/// A count lies around a share of all requests: five standard deviations of a draw.
fn is_about(count: u64, share: f64, of: u64) {
    let (count, of) = (count as f64, of as f64);
    let far = (count - share * of).abs();
    assert!(
        far <= 5.0 * (share * (1.0 - share) * of).sqrt(),
        "{count} of {of}"
    );
}

#[test]
fn without_a_breaker_everybody_is_served_and_half_wait_for_the_slow_version() {
    let load = || Load {
        v2: slow(),
        ..usual()
    };
    play(SLOW_V2, load, |Outcomes { summary, .. }| {
        assert_eq!(summary.succeeded(), 200);
        let slow = summary.at_least(3 * SECOND);
        is_about(slow, 0.5, 200);
        assert_eq!(summary.at_least(QUICK), slow, "v1 is as quick as ever");
        assert!(summary.percentile(0.99) >= 3 * SECOND);
        assert_eq!(
            (summary.overflows, summary.retries, summary.ejections),
            (0, 0, 0)
        );
    });
}

#[test]
fn with_a_breaker_the_slow_version_gets_one_request_and_the_rest_fail_at_once() {
    let load = || Load {
        v2: slow(),
        ..usual()
    };
    // The same with an ejection that one failure would set off.
    let hair_trigger = BREAKER.replace(
        "      connectionPool:",
        "      outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}\n      connectionPool:",
    );
    assert_ne!(hair_trigger, BREAKER);
    for rules in [BREAKER, &hair_trigger] {
        play(rules, load, |outcomes| {
            let Outcomes {
                summary,
                refused_after,
                v1,
                v2,
                snapshot,
            } = outcomes;
            let overflows = summary.overflows;
            assert!(overflows > 50, "{summary}");
            assert_eq!(
                summary.by_status.get(&503),
                Some(&overflows),
                "nothing else fails"
            );
            assert_eq!(summary.succeeded(), 200 - overflows);
            assert!(
                refused_after.iter().all(|time| *time < QUICK),
                "{refused_after:?}"
            );
            assert_eq!(v2.log().most_open, 1, "one connection");
            for (address, instance) in [(V1, &v1), (V2, &v2)] {
                let counted = summary.by_instance.get(address);
                assert_eq!(counted, Some(&instance.log().requests));
            }
            assert_eq!(summary.retries, 0, "what is refused is not tried again");
            assert_eq!(summary.ejections, 0);
            let endpoints = snapshot.clusters.iter().flat_map(|c| &c.endpoints);
            let failures: u64 = endpoints.map(|e| e.state.failures()).sum();
            assert_eq!(failures, 0, "and is not the endpoint's fault");
            // One is served, one waits for it: nobody waits longer than twice the slow answer.
            assert_eq!(summary.at_least(6 * SECOND + QUICK), 0, "{summary}");
        });
    }
}

#[test]
fn without_ejection_one_failing_instance_of_three_fails_a_third() {
    let load = || Load {
        users: 6,
        requests: 50,
        second: failing(Fault::Status(503)),
        ..usual()
    };
    play(FAILING, load, |Outcomes { summary, .. }| {
        assert_eq!(summary.by_status.get(&503), Some(&100), "{summary}");
        assert_eq!(summary.by_instance.get(SECOND_V2), Some(&100));
        assert_eq!((summary.succeeded(), summary.ejections), (200, 0));
    });
}

#[test]
fn with_ejection_it_fails_only_until_it_is_out_each_time_it_comes_back() {
    let load = || Load {
        users: 6,
        requests: 600,
        think: Duration::from_millis(100),
        second: failing(Fault::Status(503)),
        ..usual()
    };
    play(EJECTED, load, |Outcomes { summary, .. }| {
        // About a minute: out for 1 s, 2 s, 3 s, and so on, each time until the next sweep.
        let failed = summary.requests - summary.succeeded();
        assert!((8..=11).contains(&summary.ejections), "{summary}");
        assert!(failed >= summary.ejections, "each ejection has its failure");
        assert!(
            failed <= 6 * summary.ejections,
            "no user sees two of one return: {summary}"
        );
        assert!(summary.success_rate() > 0.98, "{summary}");
        assert_eq!(summary.by_instance.get(SECOND_V2), Some(&failed));
    });
}

#[test]
fn with_ejection_an_instance_that_recovers_serves_again() {
    let load = || Load {
        users: 6,
        requests: 600,
        think: Duration::from_millis(100),
        second: Behaviour {
            faults: vec![FaultWindow {
                from: Instant::ZERO,
                until: Instant::ZERO + 10 * SECOND,
                fault: Fault::Status(503),
                share: PerMillion::ALL,
            }],
            ..instance("v2 again")
        },
        ..usual()
    };
    play(EJECTED, load, |Outcomes { summary, .. }| {
        let served = summary.by_instance.get(SECOND_V2).copied().unwrap_or(0);
        assert!((1..=5).contains(&summary.ejections), "{summary}");
        assert!(
            served > 800,
            "a third of what comes after it is back: {summary}"
        );
    });
}

#[test]
fn with_everything_together_nobody_sees_a_failure_whatever_the_instance_does() {
    for fault in [
        Fault::Status(503),
        Fault::Status(500),
        Fault::Refuse,
        Fault::Unreachable,
        Fault::Reset,
        Fault::HalfClose,
        Fault::NeverAnswer,
    ] {
        let load = || Load {
            users: 8,
            requests: 80,
            think: Duration::from_millis(100),
            second: failing(fault),
            ..usual()
        };
        play(TOGETHER, load, |Outcomes { summary, .. }| {
            assert_eq!(summary.succeeded(), 640, "{fault:?}: {summary}");
            assert!(summary.ejections >= 2, "it came back: {fault:?}: {summary}");
            assert!(summary.retries >= summary.ejections, "{fault:?}: {summary}");
            assert_eq!(summary.overflows, 0, "{fault:?}: {summary}");
        });
    }
}
