//! Cases in virtual time, each with several seeds: whole writes, seeded cuts, byte by byte.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use outrigger_core::peer::ListenerKind;
use outrigger_core::time::{Duration, Instant};
use outrigger_recording::Decided;
use outrigger_sim::{Cut, SidecarId, Simulation, Weather};

use super::stage::relief;
use super::world::HOP;
use super::{
    PAUSE, SEED, Setup, client_name, client_peer, judge_board, judge_decisions, new_board, served,
};
use crate::Problem;
use crate::alike;
use crate::beneath::{Stage as Beneath, proofs};
use crate::board::SharedBoard;
use crate::case::Case;
use crate::decision::Observed;
use crate::pairing::Pairing;

const OUTBOUND: &str = "outbound";
const INBOUND: &str = "inbound";

/// Where clients connect who are brought to the sidecar. What is at the address itself is a service, which the sidecar reaches.
fn brought_from((is_inbound, to): (bool, SocketAddr)) -> String {
    match is_inbound {
        true => format!("inbound to {to}"),
        false => format!("to {to}"),
    }
}

/// The listener that clients are brought to.
pub(super) const fn brought_to(is_inbound: bool) -> ListenerKind {
    match is_inbound {
        true => ListenerKind::Inbound(0),
        false => ListenerKind::Outbound,
    }
}

/// Where clients of a gateway connect.
fn gateway(port: u16) -> String {
    format!("gateway {port}")
}

/// No script takes longer; idle connections end within it.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

/// A case that takes longer says so: elsewhere somebody will wait for so long.
const MOMENT: Duration = Duration::from_secs(2);

/// Cases of more steps are statistical; how bytes are cut does not move a dice.
const LONG: usize = 100;

/// Runs a case under every weather; the first one that fails tells.
/// What was decided under the first weather is what other subjects decide too.
pub(super) fn run(case: &Case, setup: Setup, decided: &mut Vec<Decided>) -> Vec<Problem> {
    let mut first = Some(setup);
    let is_long = case.clients.iter().any(|client| client.steps.len() > LONG);
    let calm = Weather {
        cut: Cut::Whole,
        latency: HOP,
        jitter: Duration::ZERO,
        ..Weather::default()
    };
    let weathers = [
        (SEED, calm),
        (SEED + 1, Weather::default()),
        (
            SEED + 2,
            Weather {
                cut: Cut::Bytes,
                ..Weather::default()
            },
        ),
    ];
    for (seed, weather) in weathers.into_iter().take(if is_long { 1 } else { 3 }) {
        let setup = match first.take().map_or_else(|| Setup::new(case), Ok) {
            Ok(setup) => setup,
            Err(problems) => return problems,
        };
        let mut decisions = Vec::new();
        let problems = catch_unwind(AssertUnwindSafe(|| {
            play(case, setup, seed, weather, &mut decisions)
        }))
        .unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let what = format!("panicked: {}", text.unwrap_or_default());
            vec![Problem::new(&case.file, case.line, what)]
        });
        if seed == SEED {
            *decided = decisions;
        }
        if !problems.is_empty() {
            let with_seed = |mut p: Problem| {
                p.what = format!("{} (seed {seed}, {:?})", p.what, weather.cut);
                p
            };
            return problems.into_iter().map(with_seed).collect();
        }
    }
    Vec::new()
}

/// One run.
struct Play<'a> {
    case: &'a Case,
    setup: Setup,
    sim: Simulation,
    sidecar: SidecarId,
    board: SharedBoard,
}

fn play(
    case: &Case,
    mut setup: Setup,
    seed: u64,
    weather: Weather,
    decided: &mut Vec<Decided>,
) -> Vec<Problem> {
    let mut sim = Simulation::new(seed, weather);
    let board = new_board();
    board.borrow_mut().pause = Some(PAUSE);
    let mut connections = Vec::new();
    for (address, service) in &case.services {
        let (listening, count) = served::service(case, address, &board, Beneath::Told);
        connections.push((address, service, count));
        sim.serve(address, listening);
    }
    let records = Rc::<RefCell<(Vec<Observed>, Vec<Decided>)>>::default();
    let log = Rc::clone(&records);
    let snapshot = Arc::new(std::mem::take(&mut setup.snapshot));
    let sidecar = sim.sidecar(
        snapshot,
        setup.settings,
        Box::new(move |record, snapshot| {
            if !record.is_mirror() {
                let (observed, decided) = &mut *log.borrow_mut();
                observed.push(Observed::of(record, snapshot));
                decided.extend(alike::from_json(&alike::to_json(record)));
            }
        }),
    );
    sim.prove(sidecar, proofs::told(case));
    sim.expose(OUTBOUND, sidecar, ListenerKind::Outbound);
    sim.expose(INBOUND, sidecar, ListenerKind::Inbound(0));
    for port in &case.settings.gateway {
        sim.expose(&gateway(*port), sidecar, ListenerKind::Gateway(*port));
    }
    for to in case.captured() {
        sim.capture(&brought_from(to), sidecar, brought_to(to.0), to.1);
    }
    let mut play = Play {
        case,
        setup,
        sim,
        sidecar,
        board,
    };
    let mut problems = Vec::new();
    let played = play.clients();
    if seed == SEED && case.pairing == Pairing::ONE {
        problems.extend(judge_time(case, play.sim.now().since(Instant::ZERO)));
    }
    if let Err(what) = played.and_then(|()| play.rest()) {
        problems.push(Problem::new(&case.file, case.line, what));
    }
    problems.append(&mut play.board.borrow_mut().problems);
    problems.extend(judge_board(case, &play.board.borrow()));
    for (address, service, count) in connections {
        problems.extend(super::judge_connections(
            case,
            address,
            service,
            count.get(),
        ));
    }
    let (observed, decisions) = records.take();
    problems.extend(judge_decisions(case, &observed));
    *decided = decisions;
    problems
}

impl Play<'_> {
    fn clients(&mut self) -> Result<(), String> {
        let clients = &self.case.clients;
        for (index, client) in clients.iter().enumerate() {
            let peer = client_peer(self.case, index, client, &self.board, Beneath::Told);
            match (client.gateway, client.to, client.inbound) {
                (Some(port), ..) => self.sim.connect(&gateway(port), peer),
                (None, Some(to), is_inbound) => {
                    self.sim.connect(&brought_from((is_inbound, to)), peer);
                }
                (None, None, true) => self.sim.connect(INBOUND, peer),
                (None, None, false) => self.sim.connect(OUTBOUND, peer),
            }
            if clients.get(index + 1).is_none_or(|next| !next.together) {
                self.until(|board| !(0..=index).any(|i| board.contains_key(&client_name(i))))?;
            }
        }
        self.until(BTreeMap::is_empty)
    }

    /// Lets things happen until the board says so, nothing happens any more, or it has taken too long.
    fn until(&mut self, done: impl Fn(&BTreeMap<String, usize>) -> bool) -> Result<(), String> {
        let limit = self.sim.now() + PATIENCE;
        while !done(&self.board.borrow().playing) && self.sim.next_at().is_some_and(|at| at < limit)
        {
            self.sim.step()?;
            self.signals()?;
        }
        Ok(())
    }

    fn signals(&mut self) -> Result<(), String> {
        loop {
            let names = self.sim.take_signals();
            if names.is_empty() {
                return Ok(());
            }
            for name in names {
                match &*name {
                    "reload" => {
                        if let Some(snapshot) = self.setup.reload() {
                            self.sim.adopt(self.sidecar, Arc::new(snapshot))?;
                        }
                        self.sim.signal("reloaded")?;
                    }
                    "drain" => {
                        self.sim.drain(self.sidecar)?;
                        self.sim.signal("draining")?;
                    }
                    name => match relief(name) {
                        Some(actions) => {
                            self.sim.relieve(self.sidecar, actions)?;
                            self.sim.signal("overload is known")?;
                        }
                        None => self.sim.signal(name)?,
                    },
                }
            }
        }
    }

    /// Everybody has gone: the sidecar must come to rest.
    fn rest(&mut self) -> Result<(), String> {
        let limit: Instant = self.sim.now() + PATIENCE;
        self.sim.run(limit)?;
        if !self.board.borrow().playing.is_empty() {
            return Ok(());
        }
        let rest = self.sim.at_rest(self.sidecar);
        rest.map_err(|what| format!("not at rest: {what}"))
    }
}

/// Whether the case says how long it takes, where that is more than a moment.
fn judge_time(case: &Case, took: Duration) -> Option<Problem> {
    let whole = Duration::from_secs(took.as_secs());
    let want = (whole >= MOMENT).then_some(whole);
    let what = match (want, case.takes) {
        (want, said) if want == said => return None,
        (Some(want), _) => format!("say how long it takes: `Takes {} s.`", want.as_secs()),
        (None, _) => "it takes only a moment, and needs no word about that".to_owned(),
    };
    Some(Problem::new(&case.file, case.line, what))
}
