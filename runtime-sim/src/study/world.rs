//! A scenario and its configuration, put together into a simulation: a sidecar beside everybody who calls, replicas that
//! serve, clients that come.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use outrigger_core::compile::{Inbound, Workload, reduced};
use outrigger_core::config::Mark;
use outrigger_core::config::code::Code;
use outrigger_core::config::{Finding, MeshConfig, Resources, Severity, Source, lint, load};
use outrigger_core::entropy::mix;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::worker::WorkerSettings;

use super::outcome::RowKind;
use super::resources::{self, Replica};
use super::row::{Askers, Row, Shared};
use super::scenario::{Clients, Group, Load, PlannedCall, PlannedService, Scenario};
use crate::load::{
    Ask, Behaviour, Call, Calls, FaultWindow, Instance, Ledger, Pool, Traffic, Users,
};
use crate::network::{Cut, Weather};
use crate::rules::Rules;
use crate::simulation::{SidecarId, Simulation};

/// A scenario with its configuration, read and judged.
#[derive(Debug)]
pub struct Study {
    scenario: Scenario,
    resources: Resources,
    mesh: MeshConfig,
    replicas: Vec<Replica>,
    /// The full name of each service.
    hosts: Vec<String>,
    /// What is worth knowing about the configuration.
    pub findings: Vec<Finding>,
}

impl Study {
    /// Puts a scenario and its configuration together.
    ///
    /// # Errors
    /// What keeps the configuration from being used.
    pub fn new(
        scenario: Scenario,
        config: &[Source<'_>],
        mesh: MeshConfig,
    ) -> Result<Self, Vec<Finding>> {
        let namespace = scenario.namespace.clone();
        let loaded = load(config, &namespace);
        let replicas = resources::replicas(&scenario);
        let texts = resources::texts(&scenario, &replicas, &loaded.resources);
        let hosts = scenario.services.iter();
        let hosts = hosts.map(|service| resources::host(service, &namespace, &loaded.resources));
        let hosts = hosts.collect();
        let own = texts.iter().map(|(name, text)| Source {
            name,
            bytes: text.as_bytes(),
        });
        // The user's files first: where two name the same thing, the finding is about ours.
        let sources: Vec<Source<'_>> = config.iter().copied().chain(own).collect();
        let loaded = load(&sources, &namespace);
        let mut findings = loaded.findings;
        // Of what is ours nothing is to be told.
        let is_theirs = |finding: &Finding| config.iter().any(|file| *file.name == *finding.file);
        findings.extend(lint(&loaded.resources, &mesh).into_iter().filter(is_theirs));
        findings.extend(nowhere(&scenario, &replicas, &loaded.resources, &mesh));
        if findings.iter().any(Finding::blocks) {
            return Err(findings);
        }
        findings.retain(|finding| finding.severity != Severity::Info);
        Ok(Self {
            scenario,
            resources: loaded.resources,
            mesh,
            replicas,
            hosts,
            findings,
        })
    }

    /// The scenario.
    #[must_use]
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Every replica, in the order in which they are numbered.
    pub(super) fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    /// The full name of each service.
    pub(super) fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// The world of a seed, before anything has happened.
    pub(super) fn build(&self, seed: u64) -> World {
        Builder::new(self, seed).build()
    }
}

/// Tells replicas that stand for no endpoint of the configuration.
fn nowhere(
    scenario: &Scenario,
    replicas: &[Replica],
    resources: &Resources,
    mesh: &MeshConfig,
) -> Vec<Finding> {
    let groups = scenario.services.iter().flat_map(|service| &service.groups);
    if groups.into_iter().all(|group| group.addresses.is_empty()) {
        return Vec::new();
    }
    let mut rules = Rules::default();
    rules.workload.namespace.clone_from(&scenario.namespace);
    rules.mesh = mesh.clone();
    let snapshot = rules.compile_loaded(resources);
    let unknown = resources::unknown(replicas, scenario, &snapshot).into_iter();
    let file = Arc::from(&*scenario.file);
    unknown
        .map(|replica| {
            let name = &scenario.services[replica.service].name;
            let message = format!(
                "no endpoint of `{name}` is at `{}`, so nobody can ask this replica",
                replica.address
            );
            let mut finding = Finding::new(Code::InvalidAddress, &file, Mark::default(), message);
            finding.path = format!("services.{name}.replicas");
            finding.help =
                "write in `addresses` where the configuration has its endpoints, with the port"
                    .into();
            finding
        })
        .collect()
}

/// A simulation, and what is counted of it.
pub(super) struct World {
    pub(super) sim: Simulation,
    /// First clients, then services.
    pub(super) rows: Vec<Shared>,
    /// The snapshot of each sidecar whose workload calls others, and the kind it is of.
    pub(super) callers: Vec<(usize, Arc<Snapshot>)>,
    /// What was compiled for each kind of sidecar.
    pub(super) kinds: Vec<Arc<Snapshot>>,
    /// In the order of the replicas.
    pub(super) instances: Vec<Instance>,
}

/// Where the application of a replica listens, on the loopback that it shares with its own sidecar.
const APPLICATION: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Where its sidecar listens for it.
const LISTENER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 15_006);

/// What was compiled: once for all workloads that the configuration does not tell apart.
#[derive(Default)]
struct Kinds {
    by_workload: BTreeMap<(bool, BTreeMap<String, String>), usize>,
    compiled: Vec<Arc<Snapshot>>,
}

impl Kinds {
    /// The kind of a workload with or without an inbound listener.
    fn of(&mut self, study: &Study, workload: &Workload, inbound: bool) -> usize {
        let (resources, mesh) = (&study.resources, &study.mesh);
        let workload = reduced(resources, mesh, workload, inbound);
        let new = self.compiled.len();
        let key = (inbound, workload.labels.clone());
        let kind = *self.by_workload.entry(key).or_insert(new);
        if kind == new {
            let mut rules = Rules::default();
            rules.workload = workload;
            rules.mesh = mesh.clone();
            rules.inbound.extend(inbound.then_some(Inbound {
                listen: LISTENER,
                application: APPLICATION,
            }));
            self.compiled.push(rules.compile_loaded(resources));
        }
        kind
    }
}

/// Half-way to a world.
struct Builder<'s> {
    study: &'s Study,
    seed: u64,
    sim: Simulation,
    askers: Askers,
    clients: Vec<Shared>,
    services: Vec<Shared>,
    callers: Vec<(usize, Arc<Snapshot>)>,
    kinds: Kinds,
}

impl<'s> Builder<'s> {
    fn new(study: &'s Study, seed: u64) -> Self {
        let scenario = &study.scenario;
        let weather = Weather {
            latency: scenario.latency,
            jitter: scenario.jitter,
            cut: Cut::Whole,
            ..Weather::default()
        };
        let clients = scenario.clients.iter();
        let services = scenario.services.iter();
        let step = scenario.step();
        Self {
            study,
            seed,
            sim: Simulation::new(seed, weather)
                .without_checks()
                .with_sidecars_apart(),
            askers: Askers::default(),
            clients: clients
                .map(|c| Row::new(&c.name, RowKind::Clients, step))
                .collect(),
            services: services
                .map(|s| Row::new(&s.name, RowKind::Service, step))
                .collect(),
            callers: Vec::new(),
            kinds: Kinds::default(),
        }
    }

    fn build(mut self) -> World {
        let instances = self.study.replicas.iter().enumerate();
        let instances = instances
            .map(|(at, replica)| self.replica(at, replica))
            .collect();
        for (at, clients) in self.study.scenario.clients.iter().enumerate() {
            self.enter(at, clients);
        }
        let mut rows = self.clients;
        rows.extend(self.services);
        World {
            sim: self.sim,
            rows,
            callers: self.callers,
            kinds: self.kinds.compiled,
            instances,
        }
    }

    /// A seed for something, so that it draws the same whatever else there is.
    const fn seed_of(&self, what: u64, number: usize) -> u64 {
        mix(self.seed ^ mix(what << 32 | number as u64))
    }

    fn replica(&mut self, at: usize, replica: &Replica) -> Instance {
        let service = &self.study.scenario.services[replica.service];
        let group = &service.groups[replica.group];
        let behaviour = Behaviour {
            name: replica.name.clone(),
            latency: group.latency,
            errors: group.errors,
            capacity: group.capacity,
            body: group.body,
            faults: self.faults(at, replica, group),
        };
        let mut instance = Instance::new(behaviour, self.seed_of(1, at));
        let inbound = self.study.scenario.inbound;
        if inbound || !service.stages.is_empty() {
            let mut labels = group.labels.clone();
            labels.insert("app".to_owned(), service.name.clone());
            let calls = !service.stages.is_empty();
            let sidecar = self.sidecar(labels, &group.locality, inbound, calls);
            if inbound {
                let listener = ListenerKind::Inbound(0);
                self.sim
                    .expose(&replica.address.to_string(), sidecar, listener);
                let application = Box::new(instance.clone());
                self.sim
                    .serve_beside(sidecar, &APPLICATION.to_string(), application);
            }
            if !service.stages.is_empty() {
                instance = instance.calling(self.calls(&replica.name, service, sidecar));
            }
        }
        if !inbound {
            self.sim
                .serve(&replica.address.to_string(), Box::new(instance.clone()));
        }
        instance
    }

    fn faults(&self, at: usize, replica: &Replica, group: &Group) -> Vec<FaultWindow> {
        let planned = self.study.scenario.faults.iter();
        let hits = planned.filter(|fault| {
            fault.hits(replica.service, group)
                && fault.replica.is_none_or(|wanted| {
                    let alike = self.study.replicas[..=at].iter().filter(|other| {
                        let group =
                            &self.study.scenario.services[other.service].groups[other.group];
                        other.service == replica.service && fault.hits(other.service, group)
                    });
                    alike.count() == wanted
                })
        });
        hits.map(|fault| FaultWindow {
            from: fault.from,
            until: fault.until,
            fault: fault.fault,
            share: fault.share,
        })
        .collect()
    }

    /// A sidecar; `inbound`: requests to its workload pass it; `is_asked`: its workload calls others through it.
    fn sidecar(
        &mut self,
        mut labels: BTreeMap<String, String>,
        locality: &str,
        inbound: bool,
        is_asked: bool,
    ) -> SidecarId {
        let places = resources::place_labels(locality);
        labels.extend(places.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let workload = Workload {
            namespace: self.study.scenario.namespace.clone(),
            labels,
            ..Workload::default()
        };
        let kind = self.kinds.of(self.study, &workload, inbound);
        let snapshot = Arc::new(self.kinds.compiled[kind].apart());
        if is_asked {
            self.callers.push((kind, Arc::clone(&snapshot)));
        }
        let records = self.askers.records();
        self.sim
            .sidecar(snapshot, WorkerSettings::default(), records)
    }

    /// Somebody asks a service, for some rows: what is asked, and who keeps count.
    fn asker(
        &self,
        ask: &Ask,
        service: usize,
        clients: Option<usize>,
    ) -> (Ask, Rc<RefCell<dyn Ledger>>) {
        let mut rows = vec![Rc::clone(&self.services[service])];
        rows.extend(clients.map(|at| Rc::clone(&self.clients[at])));
        let (asker, id) = self.askers.add(rows);
        let port = self.study.scenario.services[service].port;
        let host = match port {
            80 => ask.host.clone(),
            port => format!("{}:{port}", ask.host),
        };
        (
            Ask {
                host,
                id,
                ..ask.clone()
            },
            asker,
        )
    }

    fn calls(&mut self, name: &str, service: &PlannedService, sidecar: SidecarId) -> Calls {
        let address = format!("sidecar of {name}");
        self.sim.expose(&address, sidecar, ListenerKind::Outbound);
        let stage = |calls: &Vec<PlannedCall>| {
            let call = |planned: &PlannedCall| {
                let (ask, ledger) = self.asker(&planned.ask, planned.service, None);
                Call::new(ask, ledger)
                    .for_share(planned.share)
                    .with_patience(planned.patience)
                    .optional(planned.is_optional)
            };
            calls.iter().map(call).collect()
        };
        Calls {
            stages: service.stages.iter().map(stage).collect(),
            pool: Pool::new(&address, self.sim.errands()),
            forwards: service.forwards.clone(),
        }
    }

    fn enter(&mut self, at: usize, clients: &Clients) {
        let mut labels = clients.labels.clone();
        labels
            .entry("app".to_owned())
            .or_insert_with(|| clients.name.clone());
        let sidecar = self.sidecar(labels, &clients.locality, false, true);
        let address = format!("sidecar of clients {}", clients.name);
        self.sim.expose(&address, sidecar, ListenerKind::Outbound);
        let (ask, ledger) = self.asker(&clients.ask, clients.service, Some(at));
        let seed = self.seed_of(2, at);
        match &clients.load {
            Load::Users {
                count,
                requests,
                think,
            } => Users {
                count: *count,
                requests: *requests,
                think: *think,
                patience: clients.patience,
                ask,
                seed,
            }
            .enter_with(&mut self.sim, &address, ledger, Some(clients.until)),
            Load::Rate { windows, spacing } => Traffic {
                rates: windows.clone(),
                spacing: *spacing,
                patience: clients.patience,
                ask,
                seed,
            }
            .enter(&mut self.sim, &address, ledger),
        }
    }
}
