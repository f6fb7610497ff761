//! What is played: services, who asks them, what goes wrong and when, and what is expected to come of it.
//!
//! Plain data. `read` makes it from YAML, `world` makes a simulation of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use outrigger_core::snapshot::PerMillion;
use outrigger_core::time::{Duration, Instant};

use super::expectation::Expectation;
use crate::load::{Ask, Capacity, Fault, Forwards, Latency, RateWindow, Spacing};

/// A scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file it was read from, as the user named it.
    pub file: String,
    /// What it shows.
    pub about: String,
    /// How long clients ask. What is under way then still ends.
    pub duration: Duration,
    /// Names the run.
    pub seed: u64,
    /// The namespace of everything.
    pub namespace: String,
    /// Istio YAML: files and folders, as written, so relative to the scenario's file.
    pub config: Vec<String>,
    /// A file with Istio's mesh configuration, likewise.
    pub mesh_config: Option<String>,
    /// Which services a sidecar knows.
    pub scope: Scope,
    /// Requests pass the sidecar of the service that is asked, too.
    pub inbound: bool,
    /// One way between any two, without jitter.
    pub latency: Duration,
    /// Added to that, uniform from zero to this.
    pub jitter: Duration,
    /// In the order in which they are written.
    pub services: Vec<PlannedService>,
    /// Likewise.
    pub clients: Vec<Clients>,
    /// Likewise.
    pub faults: Vec<PlannedFault>,
    /// Likewise.
    pub expectations: Vec<Expectation>,
}

/// A timeline has about so many steps.
const STEPS: u32 = 120;

impl Scenario {
    /// The length of one step of the timelines: one, two or five of a unit, so that steps have round edges.
    #[must_use]
    pub fn step(&self) -> Duration {
        let least = (self.duration / STEPS).max(Duration::from_millis(1));
        let mut unit = Duration::from_millis(1);
        loop {
            for times in [1, 2, 5] {
                if unit * times >= least {
                    return unit * times;
                }
            }
            unit *= 10;
        }
    }

    /// From when to when something is out of the ordinary: faults, and bursts of requests. `None` when nothing ever is.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        let faults = self.faults.iter().map(|fault| (fault.from, fault.until));
        let bursts = self.clients.iter().flat_map(|clients| match &clients.load {
            // The first window is the usual rate.
            Load::Rate { windows, .. } => windows.get(1..).unwrap_or_default(),
            Load::Users { .. } => &[],
        });
        let all: Vec<_> = faults
            .chain(bursts.map(|window| (window.from, window.until)))
            .collect();
        let end = Instant::ZERO + self.duration;
        let until = all.iter().map(|(_, until)| *until).max()?;
        Some(Trouble {
            from: all.iter().map(|(from, _)| *from).min()?,
            until: (until < end).then_some(until),
            end,
        })
    }
}

/// The time in which something is out of the ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// When the first of it begins.
    pub from: Instant,
    /// When the last of it is over; `None`: not while clients ask.
    pub until: Option<Instant>,
    /// When clients stop asking.
    pub end: Instant,
}

/// Which services a sidecar knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All: what Istio does where no Sidecar resource says otherwise.
    All,
    /// Those that its workload calls, as if a Sidecar resource said so. In a large mesh it saves memory.
    Called,
}

/// A service.
#[derive(Clone, Debug)]
pub struct PlannedService {
    /// Its name, by which it is asked.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// Its replicas.
    pub groups: Vec<Group>,
    /// What it asks of others: stages one after the other, the calls of a stage at the same time.
    pub stages: Vec<Vec<PlannedCall>>,
    /// Which fields of a request go on with these calls.
    pub forwards: Forwards,
}

/// Replicas that are alike.
#[derive(Clone, Debug)]
pub struct Group {
    /// Labels beside `app`.
    pub labels: BTreeMap<String, String>,
    /// How many.
    pub count: usize,
    /// Where they listen, when the configuration has them as endpoints; otherwise empty, and they get addresses and are
    /// added to the configuration.
    pub addresses: Vec<SocketAddr>,
    /// `region/zone/subzone`, or empty.
    pub locality: String,
    /// How long a request takes once it is worked on.
    pub latency: Latency,
    /// The share of requests answered 500.
    pub errors: PerMillion,
    /// How much each does at once.
    pub capacity: Option<Capacity>,
    /// The length of answers, in bytes.
    pub body: usize,
}

/// A call of a service to another.
#[derive(Clone, Debug)]
pub struct PlannedCall {
    /// Which service.
    pub service: usize,
    /// What it asks for.
    pub ask: Ask,
    /// How many requests need it.
    pub share: PerMillion,
    /// For how long it waits.
    pub patience: Option<Duration>,
    /// It can do without.
    pub is_optional: bool,
}

/// Clients that are alike, behind one sidecar.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Their name.
    pub name: String,
    /// Which service they ask.
    pub service: usize,
    /// What they ask for.
    pub ask: Ask,
    /// How they come.
    pub load: Load,
    /// For how long they wait.
    pub patience: Option<Duration>,
    /// Until when they ask.
    pub until: Instant,
    /// `region/zone/subzone`, or empty.
    pub locality: String,
    /// Labels of their workload, beside `app`.
    pub labels: BTreeMap<String, String>,
}

/// How clients come.
#[derive(Clone, Debug)]
pub enum Load {
    /// So many users, each of whom waits for an answer, thinks, and asks again.
    Users {
        /// How many.
        count: u32,
        /// How often each asks at most.
        requests: u64,
        /// Between an answer and the next request.
        think: Latency,
    },
    /// At a rate, whatever becomes of those before.
    Rate {
        /// The rates; the last window that is open counts.
        windows: Vec<RateWindow>,
        /// How they come.
        spacing: Spacing,
    },
}

/// Something goes wrong for a while.
#[derive(Clone, Debug)]
pub struct PlannedFault {
    /// From this moment on.
    pub from: Instant,
    /// Until just before this one.
    pub until: Instant,
    /// What.
    pub fault: Fault,
    /// How many requests or connections it hits.
    pub share: PerMillion,
    /// Whom: replicas of this service, or of all.
    pub service: Option<usize>,
    /// Those that have these labels.
    pub labels: BTreeMap<String, String>,
    /// Only the one with this number, from 1, of those that remain of a service.
    pub replica: Option<usize>,
    /// Those at this place: a region, a zone in it, or a subzone in that.
    pub locality: String,
}

impl PlannedFault {
    /// Whether it is about a replica, its number left aside.
    #[must_use]
    pub fn hits(&self, service: usize, group: &Group) -> bool {
        let is_there = |place: &str| {
            let rest = group.locality.strip_prefix(place);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.service.is_none_or(|wanted| wanted == service)
            && self
                .labels
                .iter()
                .all(|(key, value)| group.labels.get(key) == Some(value))
            && (self.locality.is_empty() || is_there(&self.locality))
    }

    /// In a few words.
    #[must_use]
    pub fn label(&self, services: &[PlannedService]) -> String {
        let mut parts = Vec::new();
        parts.extend(self.service.map(|service| services[service].name.clone()));
        parts.extend(self.labels.values().cloned());
        parts.extend(self.replica.map(|replica| format!("replica {replica}")));
        if !self.locality.is_empty() {
            parts.push(self.locality.clone());
        }
        let what = match self.fault {
            Fault::Slow(_) => "slow".to_owned(),
            Fault::Status(status) => format!("fails with {status}"),
            Fault::Refuse => "crashed".to_owned(),
            Fault::Unreachable => "cut off".to_owned(),
            Fault::Reset => "resets".to_owned(),
            Fault::CloseMidBody => "cuts answers".to_owned(),
            Fault::HalfClose => "half-closes".to_owned(),
            Fault::NeverAnswer => "hangs".to_owned(),
        };
        format!("{} {what}", parts.join(" "))
    }
}
