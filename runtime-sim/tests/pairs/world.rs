//! One random world: clients of all versions, a sidecar of one to three workers, endpoints that answer well and badly, perhaps each
//! behind a sidecar of its own that lets in whom a policy names; reloads, a drain.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use outrigger_core::compile::Inbound;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::WorkerSettings;
use outrigger_sim::{
    Cut, Dice, Peer, Proved, Proving, Records, Rules, Serve, SidecarId, Simulation, Speaks,
    Weather, certificate,
};

use crate::book::{Book, Shared};
use crate::client::Client;
use crate::endpoint::{Beneath, Endpoint};
use crate::kinds::Counts;
use crate::manner::Manner;
use crate::raw::Raw;
use crate::rules::Topology;

const LISTENER: &str = "sidecar";

/// Requests of one world, about.
const REQUESTS: u64 = 400;

/// Nobody is patient for longer, and nothing takes longer once all have left.
const LONG: Duration = Duration::from_secs(3 * 3600);

/// Where CONNECT leads.
const TUNNELS: [&str; 2] = ["10.0.9.1:7000", "10.0.9.2:7000"];

/// Who the first sidecar's workload is, and somebody else.
const WEB: &str = "cluster.local/ns/default/sa/web";
const OTHER: &str = "cluster.local/ns/default/sa/other";

/// Where the application of an inbound sidecar listens, and its sidecar for it.
const APPLICATION: &str = "127.0.0.1:8080";
const INBOUND: &str = "127.0.0.1:15006";

/// What is between the first sidecar and the endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    Nothing,
    /// TLS, which each endpoint speaks itself.
    Tls,
    /// A sidecar beside each endpoint; whether it lets the first one's workload in.
    Sidecars {
        lets_in: bool,
    },
}

/// Who everybody of a world is.
struct World {
    sim: Simulation,
    book: Shared,
    dice: Dice,
    sidecars: Vec<SidecarId>,
}

fn workers(dice: &mut Dice) -> usize {
    [1, 2, 2, 3][dice.below(4) as usize]
}

impl World {
    fn sidecar(
        &mut self,
        snapshot: &Arc<Snapshot>,
        workers: usize,
        beside: Option<&'static str>,
    ) -> SidecarId {
        let told = |_| -> Records {
            let book = Rc::clone(&self.book);
            Box::new(move |record, _| book.borrow_mut().told(record, beside))
        };
        let records = (0..workers).map(told).collect();
        let settings = WorkerSettings::default();
        let id = self.sim.sidecar_of(Arc::clone(snapshot), settings, records);
        let who = beside.map_or_else(|| WEB.to_owned(), principal);
        self.sim.prove(id, Proved::as_mesh(certificate(&who)));
        self.sidecars.push(id);
        id
    }

    /// Puts the endpoints of services where they are asked.
    fn serve(&mut self, topology: &Topology, between: Between) -> Result<(), String> {
        for (service, address) in topology.instances() {
            let host = Topology::host(service);
            let beneath = (between == Between::Tls).then(|| Beneath {
                host: format!(".{host}.default.svc.cluster.local"),
                principal: format!("spiffe://{WEB}"),
            });
            let endpoint: Box<dyn Serve> = Box::new(Endpoint {
                book: Rc::clone(&self.book),
                service: host,
                beneath,
            });
            match between {
                Between::Nothing => self.sim.serve(&address, endpoint),
                Between::Tls => {
                    let mut speaks = Speaks::as_mesh(certificate(&principal(host)));
                    speaks.protocols = ["istio-h2", "istio-http/1.1", "istio"]
                        .map(Into::into)
                        .into();
                    self.sim
                        .serve(&address, Box::new(Proving::new(endpoint, speaks)));
                }
                Between::Sidecars { lets_in } => {
                    let snapshot = inbound(lets_in)?;
                    let workers = workers(&mut self.dice);
                    let sidecar = self.sidecar(&snapshot, workers, Some(host));
                    self.sim.expose(&address, sidecar, ListenerKind::Inbound(0));
                    self.sim.serve_beside(sidecar, APPLICATION, endpoint);
                }
            }
        }
        for address in TUNNELS {
            let book = Rc::clone(&self.book);
            self.sim.serve(address, Box::new(Raw { book }));
        }
        Ok(())
    }

    fn clients(&mut self, topology: &Topology, between: Between) {
        let count = self.dice.between(2, 8);
        for _ in 0..count {
            let is_new = self.dice.below(5) < 2;
            let is_old = !is_new && self.dice.below(4) == 0;
            let hosts = (0..topology.services.len()).map(Topology::host);
            let mut manner = Manner {
                is_new,
                is_old,
                requests: REQUESTS / count,
                at_once: self.dice.between(1, if is_new { 8 } else { 3 }),
                hosts: hosts.collect(),
                tunnels: TUNNELS.to_vec(),
                is_forbidden: between == Between::Sidecars { lets_in: false },
                is_direct: false,
            };
            let seed = self.dice.draw();
            // Some come to an endpoint's sidecar by themselves, as who they are.
            let direct = match between {
                Between::Sidecars { lets_in } if self.dice.below(4) == 0 => Some(lets_in),
                _ => None,
            };
            let Some(lets_in) = direct else {
                let client = Client::new(&self.book, manner, seed);
                self.sim.connect(LISTENER, Box::new(client));
                continue;
            };
            let is_web = self.dice.coin();
            manner.is_forbidden = !(lets_in && is_web);
            (manner.hosts, manner.tunnels) = (vec![Topology::host(0)], Vec::new());
            manner.is_direct = true;
            let client: Box<dyn Peer> = Box::new(Client::new(&self.book, manner, seed));
            let mut speaks = Speaks::as_mesh(certificate(if is_web { WEB } else { OTHER }));
            speaks.protocols = if is_new {
                ["istio-h2", "istio"]
            } else {
                ["istio-http/1.1", "istio"]
            }
            .map(Into::into)
            .into();
            let client = Proving::new(client, speaks);
            self.sim.connect(&Topology::address(0, 0), Box::new(client));
        }
    }
}

/// Who the workload of a service is.
fn principal(service: &str) -> String {
    format!("cluster.local/ns/default/sa/{service}")
}

/// What the sidecar beside an endpoint goes by.
fn inbound(lets_in: bool) -> Result<Arc<Snapshot>, String> {
    let mut rules = Rules::default();
    rules.workload.spiffe_id = Some("spiffe://cluster.local/ns/default/sa/any".into());
    rules.inbound.push(Inbound {
        listen: INBOUND.parse().map_err(|_| "no address")?,
        application: APPLICATION.parse().map_err(|_| "no address")?,
    });
    let who = if lets_in {
        WEB
    } else {
        "cluster.local/ns/default/sa/nobody"
    };
    let text = format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: default}}\nspec:\n  \
         mtls: {{mode: STRICT}}\n---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
         metadata: {{name: who}}\nspec:\n  action: ALLOW\n  rules:\n  - from: [{{source: {{principals: [\"{who}\"]}}}}]\n"
    );
    let compiled = rules.compile(&[("inbound", &text)]);
    compiled.map_err(|findings| format!("{}\n{text}", findings[0]))
}

/// Plays the world of a seed.
///
/// # Errors
/// What went wrong.
pub(crate) fn play(seed: u64) -> Result<Counts, String> {
    let mut dice = Dice::new(seed ^ 0x9a12);
    let between = match dice.below(8) {
        0 | 1 => Between::Tls,
        2 | 3 => Between::Sidecars { lets_in: true },
        4 => Between::Sidecars { lets_in: false },
        _ => Between::Nothing,
    };
    let topology = Topology {
        is_secured: between != Between::Nothing,
        ..Topology::random(&mut dice)
    };
    let mut rules = Rules::default();
    rules.mesh.h2_upgrade = dice.coin();
    rules.workload.spiffe_id = Some(format!("spiffe://{WEB}").into());
    let locality = ("istio-locality".to_owned(), "r1.z1".to_owned());
    rules.workload.labels.extend([locality]);
    let mut compile = |text: &str| {
        let compiled = rules.compile(&[("rules", text)]);
        compiled.map_err(|findings| format!("{}\n{text}", findings[0]))
    };
    let first = compile(&topology.rules(&mut dice))?;
    let is_calm = dice.below(4) == 0;
    let book = Rc::new(RefCell::new(Book {
        dice: Dice::new(dice.draw()),
        asked: Vec::new(),
        arrivals: Vec::new(),
        complaints: Vec::new(),
        counts: Counts::default(),
        is_calm,
    }));
    let mut world = World {
        sim: Simulation::new(seed, weather(&mut dice)).with_sidecars_apart(),
        book: Rc::clone(&book),
        dice,
        sidecars: Vec::new(),
    };
    let count = workers(&mut world.dice);
    let sidecar = world.sidecar(&first, count, None);
    world.sim.expose(LISTENER, sidecar, ListenerKind::Outbound);
    world.serve(&topology, between)?;
    world.clients(&topology, between);
    let mut snapshots = vec![first];
    for _ in 0..world.dice.below(4) {
        let at = Instant::from_millis(world.dice.below(3000));
        world.sim.run(at)?;
        let next = compile(&topology.rules(&mut world.dice))?;
        world.sim.adopt(sidecar, Arc::clone(&next))?;
        snapshots.push(next);
        book.borrow_mut().counts.reloads += 1;
    }
    let is_drained = world.dice.below(8) == 0;
    if is_drained {
        let at = Instant::from_millis(world.dice.below(3000));
        world.sim.run(at)?;
        world.sim.drain(sidecar)?;
    }
    world.sim.run(world.sim.now() + LONG)?;
    let book = &mut *book.borrow_mut();
    // What a peer has heard explains more than what is left.
    if let Some(what) = book.complaints.first() {
        return Err(what.clone());
    }
    for sidecar in &world.sidecars {
        world.sim.at_rest(*sidecar)?;
    }
    book.judge(is_drained)?;
    let counts = &mut book.counts;
    counts.worlds = 1;
    counts.workers[count - 1] = 1;
    counts.drains = u64::from(is_drained);
    counts.pairs = u64::from(matches!(between, Between::Sidecars { .. }));
    counts.digest = world.sim.digest();
    Ok(counts.clone())
}

fn weather(dice: &mut Dice) -> Weather {
    Weather {
        latency: Duration::from_micros(dice.between(20, 500)),
        jitter: Duration::from_micros(dice.below(200)),
        // Most go whole: more requests fit in a night then.
        cut: match dice.below(6) {
            0 => Cut::Seeded,
            _ => Cut::Whole,
        },
        window: [4096, 64 * 1024, 64 * 1024][dice.below(3) as usize],
    }
}
