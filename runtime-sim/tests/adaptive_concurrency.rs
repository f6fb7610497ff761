//! When a limit that follows response times helps: a service gets three times what it can do, without a limit and with
//! one (`outrigger.dev/adaptive-concurrency`). `cargo test -p outrigger-sim --test adaptive_concurrency -- --nocapture`
//! prints a table.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use outrigger_core::decision::Record;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::WorkerSettings;
use outrigger_sim::load::{Ask, Behaviour, Capacity, Instance, Latency, Outcome, Visitors};
use outrigger_sim::{Cut, Rules, Simulation, Weather};

const LISTENER: &str = "sidecar";

/// What the service does at once, and how long a request takes it: 100 requests a second.
const AT_ONCE: usize = 10;
const WORK: Duration = Duration::from_millis(100);

/// How long visitors wait for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
struct Played {
    /// Answers with 200 that somebody still waited for, in each second.
    goodput: f64,
    /// Of those who were answered so: the time that 99 of 100 did not exceed.
    p99: Duration,
    /// Refused by the limit.
    refused: u64,
    /// Who had gone before the answer came.
    gone: u64,
    visitors: u64,
    /// The limit in the end.
    limit: u32,
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:5.1} good answers a second, p99 {:4} ms; of {} visitors {} were refused, {} had gone; limit {}",
            self.goodput,
            self.p99.as_millis(),
            self.visitors,
            self.refused,
            self.gone,
            self.limit,
        )
    }
}

/// So many requests a second for a while.
fn play(annotation: &str, work: Latency, rate: u32, seconds: u32, seed: u64) -> Played {
    let rules = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s}}\nspec: {{hosts: [s.test], \
         resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{{address: 10.0.0.1}}]}}\n\
         ---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: s\n  \
         annotations: {{outrigger.dev/adaptive-concurrency: '{annotation}'}}\nspec: {{host: s.test}}\n"
    );
    let snapshot = Rules::default().compile(&[("rules", &rules)]);
    let snapshot = snapshot.expect("the rules are good");
    let weather = Weather {
        latency: Duration::from_micros(200),
        jitter: Duration::from_micros(50),
        cut: Cut::Whole,
        window: 64 * 1024,
    };
    let mut sim = Simulation::new(seed, weather);
    let times = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&times);
    let records = move |record: &Record, _: &Snapshot| {
        if record.status == 200 {
            seen.borrow_mut().push(record.ended.since(record.began));
        }
    };
    let sidecar = sim.sidecar(
        snapshot.clone(),
        WorkerSettings::default(),
        Box::new(records),
    );
    sim.expose(LISTENER, sidecar, ListenerKind::Outbound);
    let behaviour = Behaviour {
        latency: work,
        capacity: Some(Capacity {
            at_once: AT_ONCE,
            queue: 100_000,
        }),
        ..Behaviour::new("s")
    };
    sim.serve("10.0.0.1:80", Box::new(Instance::new(behaviour, seed)));
    let visitors = u64::from(rate * seconds);
    let log = Visitors {
        count: visitors,
        between: Latency::Exponential(Duration::from_secs(1) / rate),
        patience: Some(PATIENCE),
        ask: Ask::get("s.test"),
        seed,
    }
    .enter(&mut sim, LISTENER);
    sim.run(Instant::from_millis(3_600_000))
        .expect("the invariants hold");
    let log = log.borrow();
    let good = log.count(Outcome::Answered(200));
    let refused = log.count(Outcome::Answered(503));
    let mut times = times.borrow_mut();
    times.sort_unstable();
    let limits = snapshot.clusters.iter().filter_map(|cluster| {
        let settings = cluster.adaptive?;
        Some(cluster.state.adaptive().limit(&settings))
    });
    Played {
        goodput: good as f64 / f64::from(seconds),
        p99: times[times.len() * 99 / 100],
        refused: refused as u64,
        gone: visitors - (good + refused) as u64,
        visitors,
        limit: limits.max().unwrap_or_default(),
    }
}

/// Without a limit the queue grows until its end is longer than anybody waits for, and from then on the service works
/// for those who have gone.
#[test]
fn an_overloaded_service_does_its_work_for_those_who_still_wait() {
    let steady = Latency::Uniform(WORK * 4 / 5, WORK * 6 / 5);
    for (work, seed) in [(steady, 1), (Latency::Exponential(WORK), 2)] {
        let without = play("false", work, 300, 40, seed);
        let with = play("true", work, 300, 40, seed);
        println!("{work:?}, seed {seed}\n  without {without}\n  with    {with}");
        assert!(without.goodput < 50.0, "{without}");
        assert!(with.goodput > 90.0, "of 100: {with}");
        assert!(with.p99 < PATIENCE * 7 / 10, "{with}");
        assert!(with.gone * 50 < with.visitors, "{with}");
        assert!((8..40).contains(&with.limit), "{with}");
    }
}

/// What fits is not refused.
#[test]
fn a_service_that_is_not_overloaded_hardly_notices() {
    let work = Latency::Uniform(WORK * 4 / 5, WORK * 6 / 5);
    let without = play("false", work, 70, 60, 3);
    let with = play("true", work, 70, 60, 3);
    println!("70 %\n  without {without}\n  with    {with}");
    assert!(with.goodput > without.goodput * 0.99, "{with}");
}

#[test]
fn a_seed_is_a_run() {
    let work = Latency::Exponential(WORK);
    assert_eq!(play("true", work, 300, 5, 7), play("true", work, 300, 5, 7));
    assert_ne!(play("true", work, 300, 5, 7), play("true", work, 300, 5, 8));
}
