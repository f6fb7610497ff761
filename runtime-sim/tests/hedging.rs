//! When hedging helps: the same service, of which some answers are slow, without a time for each try, with one that gives
//! up, and with one that hedges (`outrigger.dev/hedge-on-per-try-timeout`).
//! `cargo test -p outrigger-sim --test hedging -- --nocapture` prints tables.

use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::PerMillion;
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::WorkerSettings;
use outrigger_sim::load::{
    Ask, Behaviour, Fault, FaultWindow, Instance, Latency, Summary, Visitors,
};
use outrigger_sim::{Cut, Rules, Simulation, Weather};

const LISTENER: &str = "sidecar";

const VISITORS: u64 = 3000;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What is done about an attempt that takes longer than 30 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    Endless,
    GivesUp,
    Hedges,
}

impl Patience {
    const ALL: [Self; 3] = [Self::Endless, Self::GivesUp, Self::Hedges];

    /// The annotations of the VirtualService, and its `retries`.
    const fn rule(self) -> (&'static str, &'static str) {
        match self {
            Self::Endless => ("", "attempts: 2, retryOn: 5xx"),
            Self::GivesUp => ("", "attempts: 2, retryOn: 5xx, perTryTimeout: 30ms"),
            Self::Hedges => (
                "outrigger.dev/hedge-on-per-try-timeout: 'true'",
                "attempts: 2, retryOn: 5xx, perTryTimeout: 30ms",
            ),
        }
    }
}

/// Plays visitors of two instances; what they saw, and how many requests reached the instances.
fn play(behaviour: &Behaviour, patience: Patience, seed: u64) -> (Summary, u64) {
    let (annotations, retries) = patience.rule();
    let rules = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s}}\nspec: {{hosts: [s.test], \
         resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], \
         endpoints: [{{address: 10.0.0.1}}, {{address: 10.0.0.2}}]}}\n\
         ---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n\
         metadata: {{name: s, annotations: {{{annotations}}}}}\nspec:\n  hosts: [s.test]\n  \
         http: [{{retries: {{{retries}}}, route: [{{destination: {{host: s.test}}}}]}}]\n"
    );
    let snapshot = Rules::default().compile(&[("rules", &rules)]);
    let weather = Weather {
        latency: Duration::from_micros(200),
        jitter: Duration::from_micros(50),
        cut: Cut::Whole,
        window: 64 * 1024,
    };
    let mut sim = Simulation::new(seed, weather);
    let (summary, records) = Summary::of_records();
    let snapshot = snapshot.expect("the rules are good");
    let sidecar = sim.sidecar(snapshot, WorkerSettings::default(), records);
    sim.expose(LISTENER, sidecar, ListenerKind::Outbound);
    let instances = [1, 2].map(|n| {
        let instance = Instance::new(behaviour.clone(), seed * 10 + n);
        sim.serve(&format!("10.0.0.{n}:80"), Box::new(instance.clone()));
        instance
    });
    let visitors = Visitors {
        count: VISITORS,
        between: Latency::Exponential(ms(5)),
        patience: None,
        ask: Ask::get("s.test"),
        seed,
    };
    visitors.enter(&mut sim, LISTENER);
    let ran = sim.run(Instant::from_millis(3_600_000));
    ran.expect("the invariants hold");
    let summary = summary.borrow().clone();
    assert_eq!(summary.requests, VISITORS);
    (summary, instances.iter().map(|i| i.log().requests).sum())
}

fn play_all(scene: &str, behaviour: &Behaviour) -> [(Summary, u64); 3] {
    let played = Patience::ALL.map(|patience| play(behaviour, patience, 1));
    for (patience, (summary, reached)) in Patience::ALL.iter().zip(&played) {
        println!(
            "{scene}, {patience:?}: p50 {:?}, p99 {:?}, {:.1} % succeeded, {:.2} requests to the service each",
            summary.percentile(0.50),
            summary.percentile(0.99),
            100.0 * summary.success_rate(),
            *reached as f64 / VISITORS as f64,
        );
    }
    played
}

fn always(fault: Fault, share: f64) -> FaultWindow {
    FaultWindow {
        from: Instant::ZERO,
        until: Instant::from_millis(3_600_000),
        fault,
        share: PerMillion::from_percent(share),
    }
}

/// One answer in fifty takes half a second more, whoever asks for what. Another attempt is most likely fast.
#[test]
fn one_slow_answer_in_fifty_is_not_waited_for() {
    let behaviour = Behaviour {
        latency: Latency::Fixed(ms(10)),
        faults: vec![always(Fault::Slow(Latency::Fixed(ms(500))), 2.0)],
        ..Behaviour::new("s")
    };
    let [endless, gives_up, hedges] = play_all("one slow in fifty", &behaviour);
    assert!(endless.0.percentile(0.99) > ms(500));
    for (summary, reached) in [gives_up, hedges] {
        assert!(summary.percentile(0.99) < ms(100), "{summary}");
        assert!(reached < VISITORS * 104 / 100, "{reached}");
        assert!(summary.success_rate() > 0.999, "{summary}");
    }
}

/// Every answer takes longer than a try may. Who gives up gets none at all; who hedges only asks twice.
#[test]
fn nobody_is_turned_away_because_everything_is_slow() {
    let behaviour = Behaviour {
        latency: Latency::Fixed(ms(80)),
        ..Behaviour::new("s")
    };
    let [endless, gives_up, hedges] = play_all("all slow", &behaviour);
    assert!(endless.0.success_rate() > 0.999);
    assert!(gives_up.0.success_rate() < 0.001);
    assert!(hedges.0.success_rate() > 0.999);
    assert!(hedges.0.percentile(0.99) < ms(100));
    assert!(hedges.1 <= 2 * VISITORS, "{}", hedges.1);
}
