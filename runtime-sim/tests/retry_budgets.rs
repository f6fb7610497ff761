//! When a retry budget helps: the same bad minute with retries that nothing limits, with Envoy's budget and with one over
//! time (`outrigger.dev/retry-budget`). `cargo test -p outrigger-sim --test retry_budgets -- --nocapture` prints tables.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::PerMillion;
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::WorkerSettings;
use outrigger_sim::load::{
    Ask, Behaviour, Capacity, ClientLog, Fault, FaultWindow, Instance, Latency, Outcome, Summary,
    Visitors,
};
use outrigger_sim::{Cut, Rules, Simulation, Weather};

const LISTENER: &str = "sidecar";

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What limits retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Budget {
    None,
    Envoy,
    Tokens,
}

impl Budget {
    const ALL: [Self; 3] = [Self::None, Self::Envoy, Self::Tokens];

    /// The DestinationRule.
    fn rule(self) -> String {
        let (annotations, policy) = match self {
            Self::None => ("", ""),
            Self::Envoy => ("", "trafficPolicy: {retryBudget: {}}"),
            Self::Tokens => (
                "annotations: {outrigger.dev/retry-budget: 'ratio=20%, min=1'}",
                "",
            ),
        };
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: s, {annotations}}}\n\
             spec: {{host: s.test, {policy}}}\n"
        )
    }
}

/// A service, and who asks it.
struct Scene {
    /// The rule's `retries`.
    retries: &'static str,
    behaviour: Behaviour,
    visitors: u64,
    between: Duration,
}

/// What came of it.
struct Played {
    log: Rc<RefCell<ClientLog>>,
    summary: Summary,
    /// Requests that reached the service.
    reached: u64,
}

impl Played {
    /// Requests to the service for each that a visitor made.
    fn amplification(&self) -> f64 {
        self.reached as f64 / self.summary.requests as f64
    }

    /// The share of the last tenth of the visitors that got what they came for.
    fn recovered(&self) -> f64 {
        let log = self.log.borrow();
        let last = log.outcomes.len() / 10;
        let tail = &log.outcomes[log.outcomes.len() - last..];
        let good = tail.iter().filter(|o| **o == Outcome::Answered(200));
        good.count() as f64 / last as f64
    }
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = 100.0 * self.summary.success_rate();
        write!(
            f,
            "{:.2} requests to the service each, {rate:.1} % succeeded, of the last tenth {:.1} %",
            self.amplification(),
            100.0 * self.recovered(),
        )
    }
}

fn play(scene: &Scene, budget: Budget, seed: u64) -> Played {
    let rules = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s}}\nspec: {{hosts: [s.test], \
         resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{{address: 10.0.0.1}}]}}\n\
         ---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: s}}\nspec:\n  hosts: [s.test]\n  \
         http: [{{retries: {{{}}}, route: [{{destination: {{host: s.test}}}}]}}]\n{}",
        scene.retries,
        budget.rule(),
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
    let (summary, records) = Summary::of_records();
    let sidecar = sim.sidecar(snapshot, WorkerSettings::default(), records);
    sim.expose(LISTENER, sidecar, ListenerKind::Outbound);
    let instance = Instance::new(scene.behaviour.clone(), seed);
    sim.serve("10.0.0.1:80", Box::new(instance.clone()));
    let visitors = Visitors {
        count: scene.visitors,
        between: Latency::Exponential(scene.between),
        patience: None,
        ask: Ask::get("s.test"),
        seed,
    };
    let log = visitors.enter(&mut sim, LISTENER);
    let ran = sim.run(Instant::from_millis(3_600_000));
    ran.expect("the invariants hold");
    let summary = summary.borrow().clone();
    assert_eq!(summary.requests, scene.visitors);
    Played {
        log,
        summary,
        reached: instance.log().requests,
    }
}

fn bad_time(fault: Fault, until: u64) -> FaultWindow {
    FaultWindow {
        from: Instant::from_millis(1000),
        until: Instant::from_millis(until),
        fault,
        share: PerMillion::ALL,
    }
}

/// A service that can do 1000 requests a second and is asked 700 is slow for a second. What has piled up by then takes
/// longer than an attempt may, so every attempt is in vain, and made again: the overload feeds itself when nothing limits
/// retries, long after its cause is gone.
#[test]
fn a_budget_lets_an_overloaded_service_recover() {
    let scene = Scene {
        retries: "attempts: 3, perTryTimeout: 100ms, retryOn: 5xx",
        behaviour: Behaviour {
            latency: Latency::Fixed(ms(10)),
            capacity: Some(Capacity {
                at_once: 10,
                queue: 100,
            }),
            faults: vec![bad_time(Fault::Slow(Latency::Fixed(ms(200))), 2000)],
            ..Behaviour::new("s")
        },
        visitors: 4500,
        between: Duration::from_micros(1429),
    };
    let played = Budget::ALL.map(|budget| play(&scene, budget, 1));
    for (budget, played) in Budget::ALL.iter().zip(&played) {
        println!("overload, {budget:?}: {played}");
    }
    let [none, envoy, tokens] = &played;
    assert!(none.recovered() < 0.3, "it does not recover: {none}");
    assert!(none.amplification() > 3.0, "{none}");
    for limited in [envoy, tokens] {
        assert!(limited.recovered() > 0.99, "{limited}");
        assert!(limited.amplification() < 1.4, "{limited}");
    }
}

/// A service that is asked 20 times a second answers 503 at once for a while. What fails so fast is hardly ever under
/// way, so a limit of that, which must allow a few, limits nothing; a budget over time does.
#[test]
fn only_a_budget_over_time_limits_what_fails_fast() {
    let scene = Scene {
        retries: "attempts: 3, retryOn: 5xx",
        behaviour: Behaviour {
            latency: Latency::Fixed(ms(1)),
            faults: vec![bad_time(Fault::Status(503), 21_000)],
            ..Behaviour::new("s")
        },
        visitors: 460,
        between: ms(50),
    };
    for seed in 1..=2 {
        let played = Budget::ALL.map(|budget| play(&scene, budget, seed));
        for (budget, played) in Budget::ALL.iter().zip(&played) {
            println!("fails fast, seed {seed}, {budget:?}: {played}");
        }
        let [none, envoy, tokens] = &played;
        assert!(none.amplification() > 3.5, "{none}");
        assert!(envoy.amplification() > 3.0, "{envoy}");
        assert!(tokens.amplification() < 1.15, "{tokens}");
    }
}

#[test]
fn a_seed_is_a_run() {
    let scene = Scene {
        retries: "attempts: 3, retryOn: 5xx",
        behaviour: Behaviour {
            errors: PerMillion::from_percent(20.0),
            ..Behaviour::new("s")
        },
        visitors: 300,
        between: ms(1),
    };
    let run = |seed| {
        let played = play(&scene, Budget::Tokens, seed);
        (played.summary.clone(), played.log.borrow().clone())
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
