//! What cases are run against: the same core, under different runtimes.

mod memory;
mod recorded;
pub(crate) mod relocation;
mod served;
mod setup;
mod sim;
mod sockets;
pub(crate) mod stage;
mod staged;
pub(crate) mod world;

pub use setup::Setup;

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;

use outrigger_core::stream::Protocol;
use outrigger_core::time::Duration;
use outrigger_recording::Decided;
use outrigger_sim::{Peer, TranslatedClient};

use crate::Problem;
use crate::actor::Actor;
use crate::beneath::Stage as Beneath;
use crate::board::{Board, SharedBoard};
use crate::case::{Backend, Case, Client};
use crate::decision::Observed;
use crate::frames::Player;
use crate::pairing::Pairing;
use crate::script::{self, Role};

/// Where random numbers begin, on every subject.
const SEED: u64 = 1;

/// How long a `* pause` is: longer than any hop, so that what was sent before it has arrived.
const PAUSE: Duration = Duration::from_millis(10);

/// A runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Virtual time.
    Sim,
    /// Real sockets on loopback, over tokio.
    Tokio,
    /// Real sockets on loopback, over glommio and a ring of our own.
    #[cfg(target_os = "linux")]
    Glommio,
}

/// What a run of a case came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As the case says.
    Passed,
    /// The case is not for this subject, and says why.
    Skipped(String),
    /// Not as the case says, which the case knows of, and says why.
    Differs(String),
    /// Not as the case says.
    Failed(Vec<Problem>),
}

impl Outcome {
    /// The outcome in the light of what the case knows of a subject: a difference that it names is none to mend, and one
    /// that is gone is a failure of the page.
    pub(crate) fn known_to(self, case: &Case, subject: &str) -> Self {
        let Some((line, why)) = case.difference(subject) else {
            return self;
        };
        match self {
            Self::Failed(_) => Self::Differs(why.to_owned()),
            Self::Passed => {
                let what = format!("`Differs on {subject}`, and it does not any more: {why}");
                Self::Failed(vec![Problem::new(&case.file, line, what)])
            }
            Self::Skipped(_) | Self::Differs(_) => self,
        }
    }
}

impl Subject {
    /// Every subject.
    pub const ALL: &[Self] = &[
        Self::Sim,
        Self::Tokio,
        #[cfg(target_os = "linux")]
        Self::Glommio,
    ];

    /// As `OUTRIGGER_SUBJECT` and `Skipped on` name it. `Skipped on sockets` means all but the simulator.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Tokio => "tokio",
            #[cfg(target_os = "linux")]
            Self::Glommio => "glommio",
        }
    }

    /// Runs a case. Also says what was decided in it; every subject's random numbers begin at the same seed.
    #[must_use]
    pub fn run(self, case: &Case) -> (Outcome, Vec<Decided>) {
        let mut decided = Vec::new();
        let Some((line, why)) = case.is_meaningless() else {
            let outcome = self.play(case, &mut decided);
            return (outcome, decided);
        };
        let outcome = match self {
            // What passes all the same has a meaning. Over sockets peers are told at once what they hear of.
            Self::Tokio => self.play(case, &mut decided),
            _ => Outcome::Skipped(why.to_owned()),
        };
        let outcome = match outcome {
            Outcome::Passed => {
                let what = format!("it passes in {}, though only HTTP/1: {why}", case.pairing);
                Outcome::Failed(vec![Problem::new(&case.file, line, what)])
            }
            Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Differs(_) => {
                Outcome::Skipped(why.to_owned())
            }
        };
        (outcome, Vec::new())
    }

    fn play(self, case: &Case, decided: &mut Vec<Decided>) -> Outcome {
        let sockets = (self != Self::Sim).then(|| case.skip("sockets")).flatten();
        if case.pairing != Pairing::ONE {
            if case.clients.is_empty() {
                return Outcome::Skipped("nobody speaks HTTP in it".to_owned());
            }
            if case.is_in_frames() {
                return Outcome::Skipped("it says itself what is spoken".to_owned());
            }
        }
        if let Some(why) = case.skip(self.name()).or(sockets) {
            return Outcome::Skipped(why.to_owned());
        }
        #[cfg(target_os = "linux")]
        if self == Self::Glommio
            && let Err(why) = outrigger_glommio::probe()
        {
            return Outcome::Skipped(why.to_string());
        }
        let mut setup = match Setup::new(case) {
            Ok(setup) => setup,
            Err(problems) => return Outcome::Failed(problems),
        };
        let problems = match (case.clients.is_empty(), self) {
            (true, _) => Vec::new(),
            (false, Self::Sim) => sim::run(case, setup, decided),
            (false, Self::Tokio) => sockets::run(case, setup, outrigger_tokio::launch(), decided),
            // Both runtimes are recorded by the same code, so one of them shows that bodies can be left out.
            #[cfg(target_os = "linux")]
            (false, Self::Glommio) => {
                setup.settings.tells_bodies = true;
                let launch = outrigger_glommio::launch(NonZeroUsize::MIN);
                sockets::run(case, setup, launch, decided)
            }
        };
        match problems.is_empty() {
            true => Outcome::Passed,
            false => Outcome::Failed(problems),
        }
    }
}

/// The name of a client on the board.
fn client_name(index: usize) -> String {
    format!("client {}", index + 1)
}

/// A client, in the version that the case is played in.
fn client_peer(
    case: &Case,
    index: usize,
    client: &Client,
    board: &SharedBoard,
    stage: Beneath,
) -> Box<dyn Peer> {
    let peer = client_of_http(case, index, client, board);
    stage.client(case, client.tls.as_ref(), peer)
}

fn client_of_http(
    case: &Case,
    index: usize,
    client: &Client,
    board: &SharedBoard,
) -> Box<dyn Peer> {
    let steps = Arc::clone(&client.steps);
    let name = client_name(index);
    let shared = Rc::clone(board);
    if script::is_in_frames(&steps) {
        let player = Player::new(&case.file, name, Role::Client, steps, shared);
        return Box::new(player);
    }
    let actor = Actor::new(&case.file, name, Role::Client, steps, false, shared);
    match case.pairing.client {
        Protocol::Http1 => Box::new(actor),
        Protocol::Http2 => {
            let complaints = &board.borrow().complaints;
            Box::new(TranslatedClient::new(Box::new(actor), complaints))
        }
    }
}

/// Plays a service's script on its connection of this number; `None` when there is no script for it.
fn service_actor(
    file: &str,
    address: &str,
    service: &Backend,
    number: usize,
    board: &SharedBoard,
) -> Option<Box<dyn Peer>> {
    let (steps, repeats) = match service {
        Backend::Scripts(scripts) => (scripts.get(number)?, false),
        Backend::Always(steps) => (steps, true),
        Backend::Named(_) | Backend::Refuse | Backend::Ignore => return None,
    };
    let name = format!("{address}, connection {}", number + 1);
    let (steps, shared) = (Arc::clone(steps), Rc::clone(board));
    Some(match script::is_in_frames(&steps) {
        true => Box::new(Player::new(file, name, Role::Service, steps, shared)),
        false => Box::new(Actor::new(
            file,
            name,
            Role::Service,
            steps,
            repeats,
            shared,
        )),
    })
}

/// As many connections as scripts.
fn judge_connections(
    case: &Case,
    address: &str,
    service: &Backend,
    count: usize,
) -> Option<Problem> {
    let Backend::Scripts(scripts) = service else {
        return None;
    };
    if scripts.len() == count {
        return None;
    }
    let line = scripts
        .first()
        .and_then(|s| s.first())
        .map_or(case.line, |step| step.line);
    let what = format!(
        "{address}: expected {} connections, got {count}",
        scripts.len()
    );
    Some(Problem::new(&case.file, line, what))
}

fn new_board() -> SharedBoard {
    Rc::new(RefCell::new(Board::default()))
}

/// Compares what was decided.
fn judge_decisions(case: &Case, got: &[Observed]) -> Vec<Problem> {
    if case.decisions.iter().all(Option::is_none) {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for (expected, got) in case.decisions.iter().zip(got) {
        if let Some(expected) = expected
            && let Some(difference) = expected.difference(got)
        {
            problems.push(Problem::new(&case.file, expected.line, difference));
        }
    }
    if case.decisions.len() != got.len() {
        let what = format!(
            "expected {} requests to be decided, got {}: {got:#?}",
            case.decisions.len(),
            got.len()
        );
        problems.push(Problem::new(&case.file, case.line, what));
    }
    problems
}

/// Who still stands in the middle of a script, and what was no HTTP/2.
fn judge_board(case: &Case, board: &Board) -> Vec<Problem> {
    let unfinished = |(name, line): (&String, &usize)| {
        let what = format!("{name}: the script stops here; what it awaits did not come");
        Problem::new(&case.file, *line, what)
    };
    let complaints = board.complaints.borrow();
    let complaint = |what: &String| Problem::new(&case.file, case.line, what.as_str());
    let complaints = complaints.iter().map(complaint);
    complaints
        .chain(board.playing.iter().map(unfinished))
        .collect()
}
