//! Budget: at rest, a simulated call allocates nothing, neither in core nor in the simulation around it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use outrigger_core::peer::ListenerKind;
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::WorkerSettings;
use outrigger_sim::load::{
    Ask, Behaviour, Call, Calls, Forwards, Instance, Latency, Ledger, Outcome, Pool, RateWindow,
    Spacing, Traffic,
};
use outrigger_sim::{Cut, Rules, Simulation, Weather};

const ENTRIES: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.test]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1}, {address: 10.0.0.2}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: stock}
spec:
  hosts: [stock.test]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.3}]
";

/// Counts and keeps nothing.
#[derive(Default)]
struct Count {
    begun: u64,
    good: u64,
}

impl Ledger for Count {
    fn begin(&mut self, _again: bool) -> u64 {
        self.begun += 1;
        self.begun
    }

    fn end(&mut self, _number: u64, _began: Instant, _ended: Instant, outcome: Outcome) {
        self.good += u64::from(outcome.is_good());
    }

    fn complain(&mut self, what: String) {
        panic!("{what}");
    }
}

/// Clients ask a shop a thousand times a second, and the shop asks the stock twice at a time before it answers.
fn world(count: &Rc<RefCell<Count>>, records: &Rc<Cell<u64>>) -> Simulation {
    let weather = Weather {
        jitter: Duration::ZERO,
        cut: Cut::Whole,
        ..Weather::default()
    };
    let mut sim = Simulation::new(1, weather).without_checks();
    let snapshot = Rules::default().compile(&[("entries.yaml", ENTRIES)]);
    let records = Rc::clone(records);
    let sidecar = sim.sidecar(
        snapshot.expect("the entries are fine"),
        WorkerSettings::default(),
        Box::new(move |_, _| records.set(records.get() + 1)),
    );
    sim.expose("sidecar", sidecar, ListenerKind::Outbound);
    let behaviour = |name: &str| Behaviour {
        latency: Latency::Fixed(Duration::from_millis(2)),
        ..Behaviour::new(name)
    };
    let ledger = || Rc::clone(count) as Rc<RefCell<dyn Ledger>>;
    for address in ["10.0.0.1:80", "10.0.0.2:80"] {
        let stock = || Call::new(Ask::get("stock.test"), ledger());
        let shop = Instance::new(behaviour("shop"), 1).calling(Calls {
            pool: Pool::new("sidecar", sim.errands()),
            forwards: Forwards::default(),
            stages: vec![vec![stock(), stock()]],
        });
        sim.serve(address, Box::new(shop));
    }
    sim.serve(
        "10.0.0.3:80",
        Box::new(Instance::new(behaviour("stock"), 2)),
    );
    let always = RateWindow {
        from: Instant::ZERO,
        until: Instant::from_millis(60_000),
        rate: 1000.0,
    };
    Traffic {
        rates: vec![always],
        spacing: Spacing::Steady,
        patience: Some(Duration::from_secs(1)),
        ask: Ask::get("shop.test"),
        seed: 1,
    }
    .enter(&mut sim, "sidecar", ledger());
    sim
}

#[test]
fn a_call_at_rest_allocates_nothing() {
    let (count, records) = (Rc::<RefCell<Count>>::default(), Rc::<Cell<u64>>::default());
    let mut sim = world(&count, &records);
    let mut run = |until| {
        sim.run(Instant::from_millis(until))
            .expect("no invariant breaks");
    };
    // Connections have been made, and the looks at whether that took too long (10 s) are over.
    run(12_000);
    let (good, recorded) = (count.borrow().good, records.get());
    let allocated = allocation_counter::measure(|| run(14_000));
    assert_eq!(records.get() - recorded, 6000);
    assert_eq!(count.borrow().good - good, 6000);
    assert_eq!(allocated.count_total, 0, "allocations in 6000 calls");
}
