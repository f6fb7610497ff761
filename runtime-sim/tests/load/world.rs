//! One random world: instances with bad days, users and visitors, a sidecar between them, a reload in the middle.

use core::fmt;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use outrigger_core::decision::{MirrorFate, Mirrored, Record, ResponseFlag};
use outrigger_core::message::Known;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::{PerMillion, Snapshot};
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::WorkerSettings;
use outrigger_sim::load::{
    Ask, Behaviour, Capacity, ClientLog, Fault, FaultWindow, Instance, Latency, Outcome, Users,
    Visitors,
};
use outrigger_sim::{Complaints, Cut, Dice, Rules, Simulation, TranslatedService, Weather};

use crate::rules::Topology;

const LISTENER: &str = "sidecar";

/// Requests of one world, about.
const REQUESTS: u64 = 2000;

/// Nobody is patient for longer, and nothing takes longer once all have left.
const LONG: Duration = Duration::from_secs(3 * 3600);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What was played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Played {
    pub(crate) requests: u64,
    pub(crate) worlds: u64,
    succeeded: u64,
    retries: u64,
    ejections: u64,
    overflows: u64,
    timeouts: u64,
    cut: u64,
    left: u64,
    reloads: u64,
    copies: u64,
    digest: u64,
}

impl Played {
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.worlds += other.worlds;
        self.succeeded += other.succeeded;
        self.retries += other.retries;
        self.ejections += other.ejections;
        self.overflows += other.overflows;
        self.timeouts += other.timeouts;
        self.cut += other.cut;
        self.left += other.left;
        self.reloads += other.reloads;
        self.copies += other.copies;
        // Threads finish in any order.
        self.digest = self.digest.wrapping_add(other.digest);
    }

    /// Of everything that may happen, a good deal did.
    pub(crate) fn meets_everything(&self) {
        // A hundred times in a million.
        let least = self.requests / 10_000;
        let counts = [
            self.succeeded,
            self.requests - self.succeeded,
            self.retries,
            self.ejections,
            self.overflows,
            self.timeouts,
            self.cut,
            self.left,
            self.reloads,
            self.copies,
        ];
        assert!(counts.iter().all(|count| *count >= least), "{self:?}");
    }
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "simulated {} requests in {} worlds ({} reloads): {} succeeded, {} retries, {} ejections, {} overflows, \
             {} timeouts, {} answers cut, {} clients left, {} copies for mirrors; digest {:016x}",
            self.requests,
            self.worlds,
            self.reloads,
            self.succeeded,
            self.retries,
            self.ejections,
            self.overflows,
            self.timeouts,
            self.cut,
            self.left,
            self.copies,
            self.digest,
        )
    }
}

/// What the sidecar told about the requests of each crowd, by number: the status.
#[derive(Debug, Default)]
struct Records {
    crowds: Vec<Vec<Option<u16>>>,
    /// Copies that ended.
    copies: u64,
    played: Played,
    fault: Option<String>,
}

impl Records {
    fn add(&mut self, record: &Record) {
        if record.is_mirror() {
            self.copies += 1;
            return;
        }
        let sent = |m: &&Mirrored| m.fate == MirrorFate::Sent;
        self.played.copies += record.mirrors.iter().filter(sent).count() as u64;
        self.played.requests += 1;
        self.played.succeeded += u64::from((200..500).contains(&record.status));
        self.played.retries += u64::from(record.retries);
        let flags = record.flags();
        self.played.overflows += u64::from(flags.contains(ResponseFlag::UpstreamOverflow));
        self.played.timeouts += u64::from(flags.contains(ResponseFlag::UpstreamRequestTimeout));
        if self.note(record).is_none() {
            self.fault = Some(format!("a second record, or one of nothing: {record:?}"));
        }
    }

    /// Each number is told of once.
    fn note(&mut self, record: &Record) -> Option<()> {
        let crowd = number(record.request.path.strip_prefix(b"/")?)?;
        let request = number(record.request.headers.get(Known::XRequestId)?)?;
        let crowd = self.crowds.get_mut(crowd)?;
        if crowd.len() <= request {
            crowd.resize(request + 1, None);
        }
        crowd[request]
            .replace(record.status)
            .is_none()
            .then_some(())
    }
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Plays the world of a seed.
///
/// # Errors
/// What went wrong.
pub(crate) fn play(seed: u64) -> Result<Played, String> {
    let dice = &mut Dice::new(seed ^ 0x10ad);
    let topology = Topology::random(dice);
    let (clients_speak_http2, services_speak_http2) = (seed % 2 == 1, seed % 4 >= 2);
    let mut rules = Rules::default();
    rules.mesh.h2_upgrade = services_speak_http2;
    let locality = ("istio-locality".to_owned(), "r1.z1".to_owned());
    rules.workload.labels.extend([locality]);
    let mut compile = |text: &str| {
        let compiled = rules.compile(&[("rules", text)]);
        compiled.map_err(|findings| format!("{}\n{text}", findings[0]))
    };
    let first = compile(&topology.rules(dice))?;
    let mut sim = Simulation::new(seed, weather(dice));
    let records = Rc::<RefCell<Records>>::default();
    let sink = Rc::clone(&records);
    let sidecar = sim.sidecar(
        Arc::clone(&first),
        WorkerSettings::default(),
        Box::new(move |record, _| sink.borrow_mut().add(record)),
    );
    let complaints = Complaints::default();
    match clients_speak_http2 {
        true => sim.expose_in_http2(LISTENER, sidecar, ListenerKind::Outbound, &complaints),
        false => sim.expose(LISTENER, sidecar, ListenerKind::Outbound),
    }
    let instances: Vec<Instance> = topology
        .instances()
        .map(|(service, address)| {
            let instance = Instance::new(behaviour(service, dice), dice.draw());
            let service = Box::new(instance.clone());
            sim.serve(
                &address,
                match services_speak_http2 {
                    true => Box::new(TranslatedService::new(service, &complaints)),
                    false => service,
                },
            );
            instance
        })
        .collect();
    let crowds = crowds(&topology, dice, &mut sim);
    records.borrow_mut().crowds = vec![Vec::new(); crowds.len()];
    let mut snapshots = vec![first];
    for _ in 0..dice.below(3) {
        sim.run(Instant::ZERO + ms(dice.below(20_000)))?;
        let next = compile(&topology.rules(dice))?;
        sim.adopt(sidecar, Arc::clone(&next))?;
        snapshots.push(next);
        records.borrow_mut().played.reloads += 1;
    }
    let drained = dice.below(8) == 0;
    if drained {
        sim.run(Instant::ZERO + ms(dice.below(20_000)))?;
        sim.drain(sidecar)?;
    }
    sim.run(sim.now() + LONG)?;
    sim.at_rest(sidecar)?;
    if let Some(complaint) = complaints.borrow().first() {
        return Err(complaint.clone());
    }
    let mut records = records.borrow_mut();
    if let Some(fault) = records.fault.take() {
        return Err(fault);
    }
    if records.copies != records.played.copies {
        return Err(format!(
            "{} copies ended: {:?}",
            records.copies, records.played
        ));
    }
    for (log, told) in crowds.iter().zip(&records.crowds) {
        agree(&log.borrow(), told, drained)?;
    }
    for instance in &instances {
        let log = instance.log();
        if log.open > 0 || !log.complaints.is_empty() {
            return Err(format!("an instance at rest: {log:?}"));
        }
    }
    let count = |outcome| crowds.iter().map(move |c| c.borrow().count(outcome) as u64);
    let mut played = std::mem::take(&mut records.played);
    played.worlds = 1;
    played.cut = count(Outcome::Cut).sum();
    played.left = count(Outcome::Left).sum();
    played.ejections = ejections(&snapshots);
    played.digest = sim.digest();
    Ok(played)
}

fn weather(dice: &mut Dice) -> Weather {
    Weather {
        latency: Duration::from_micros(dice.between(20, 500)),
        jitter: Duration::from_micros(dice.below(200)),
        // The sweep cuts; here most go whole, because more requests fit in a minute then.
        cut: if dice.below(16) == 0 {
            Cut::Seeded
        } else {
            Cut::Whole
        },
        window: 64 * 1024,
    }
}

fn latency(dice: &mut Dice) -> Latency {
    let time = ms(dice.between(1, 20));
    match dice.below(5) {
        0 => Latency::ZERO,
        1 => Latency::Fixed(time),
        2 => Latency::Uniform(Duration::ZERO, time),
        3 => Latency::Exponential(time),
        _ => Latency::LogNormal {
            median: time,
            p99: 10 * time,
        },
    }
}

fn behaviour(service: usize, dice: &mut Dice) -> Behaviour {
    Behaviour {
        latency: latency(dice),
        errors: PerMillion::from_percent([0.0, 0.0, 1.0, 20.0][dice.below(4) as usize]),
        capacity: (dice.below(3) == 0).then(|| Capacity {
            at_once: dice.between(1, 4) as usize,
            queue: dice.below(5) as usize,
        }),
        body: [0, 0, 100, 3000][dice.below(4) as usize],
        faults: (0..dice.below(3)).map(|_| fault(dice)).collect(),
        ..Behaviour::new(Topology::host(service))
    }
}

fn fault(dice: &mut Dice) -> FaultWindow {
    let from = Instant::ZERO + ms(dice.below(10_000));
    FaultWindow {
        from,
        until: from + ms(dice.below(10_000)),
        fault: match dice.below(8) {
            0 => Fault::Slow(latency(dice)),
            1 => Fault::Status(503),
            2 => Fault::Refuse,
            3 => Fault::Unreachable,
            4 => Fault::Reset,
            5 => Fault::CloseMidBody,
            6 => Fault::HalfClose,
            _ => Fault::NeverAnswer,
        },
        share: PerMillion::from_percent([5.0, 50.0, 100.0][dice.below(3) as usize]),
    }
}

type Log = Rc<RefCell<ClientLog>>;

fn crowds(topology: &Topology, dice: &mut Dice, sim: &mut Simulation) -> Vec<Log> {
    let count = dice.between(1, 3);
    let requests = REQUESTS / count;
    let mut crowds = Vec::new();
    for number in 0..count {
        let service = dice.below(topology.services.len() as u64) as usize;
        let ask = Ask {
            path: format!("/{number}"),
            ..ask(Topology::host(service), dice)
        };
        let patience = Some(ms([100, 3000, 20_000][dice.below(3) as usize]));
        let seed = dice.draw();
        crowds.push(if dice.below(4) == 0 {
            let visitors = Visitors {
                count: requests / 4,
                between: Latency::Exponential(ms(dice.between(1, 20))),
                patience,
                ask,
                seed,
            };
            visitors.enter(sim, LISTENER)
        } else {
            let users = dice.between(1, 8);
            let users = Users {
                count: users as u32,
                requests: requests / users,
                think: latency(dice),
                patience,
                ask,
                seed,
            };
            users.enter(sim, LISTENER)
        });
    }
    crowds
}

fn ask(host: &str, dice: &mut Dice) -> Ask {
    match dice.below(6) {
        0 => Ask {
            method: "POST".into(),
            body: dice.between(1, 3000) as usize,
            ..Ask::get(host)
        },
        1 => Ask {
            method: "HEAD".into(),
            ..Ask::get(host)
        },
        _ => Ask::get(host),
    }
}

/// What clients saw and what the sidecar recorded is the same.
fn agree(log: &ClientLog, told: &[Option<u16>], drained: bool) -> Result<(), String> {
    if let Some(what) = log.complaints.first() {
        return Err(format!("a client was sent what it cannot read: {what}"));
    }
    for (number, outcome) in log.outcomes.iter().enumerate() {
        let told = told.get(number).copied().flatten();
        let agrees = match outcome {
            Outcome::Open => false,
            Outcome::Answered(status) => told == Some(*status),
            Outcome::Cut => told.is_some(),
            // It may have been on its way to a connection that a drain closed.
            Outcome::Lost => drained,
            Outcome::Left => true,
            Outcome::Refused => drained && told.is_none(),
        };
        if !agrees {
            return Err(format!("request {number}: {outcome:?}, recorded {told:?}"));
        }
    }
    Ok(())
}

fn ejections(snapshots: &[Arc<Snapshot>]) -> u64 {
    let clusters = snapshots.iter().flat_map(|s| s.clusters.iter());
    let mut states: Vec<_> = clusters.map(|c| &c.state).collect();
    states.sort_by_key(|state| Arc::as_ptr(state));
    states.dedup_by_key(|state| Arc::as_ptr(state));
    states.iter().map(|s| s.tally().enforced_total()).sum()
}
