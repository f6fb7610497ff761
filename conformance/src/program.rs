//! Cases against a program of its own, seen from outside: its configuration is a file, and its bytes are judged.
//!
//! One program is started for each case. What it decided, and why, it need not tell.

mod black_box;
mod command;
mod entrusted;
mod envoy;
mod files;
mod grounds;
mod launch;
mod name_server;
mod process;
mod reasons;
mod reread;
mod running;
mod slot;

pub use command::{Command, NAMES};
pub use envoy::bootstrap::{Site as EnvoySite, bootstrap as envoy_bootstrap, files as envoy_files};
pub use launch::Launch;
pub use reread::Reload;

use std::io;
use std::time::{Duration, Instant};

use ::tokio::runtime::Builder;
use ::tokio::sync::watch;
use ::tokio::task::LocalSet;

use crate::Problem;
use crate::case::Case;
use crate::pairing::Pairing;
use crate::subject::Outcome;
use crate::subject::relocation::Relocation;
use crate::subject::stage::Stage;
use black_box::Told;
use grounds::{Grounds, local};
use launch::Prepared;
use process::{Process, Trouble};
use reread::{Replacements, Rereads};
use running::{Control, Running, Signals, Watched};

/// What takes longer than this no test waits for; the case names one that plays it for real.
pub const LONGEST: Duration = Duration::from_secs(300);

/// Slots that a case is played in, one after the other, when a port of one is taken.
const SLOTS_TRIED: u32 = 3;

/// A program, and how it is started and told things.
#[derive(Clone, Debug)]
pub struct Program {
    /// How it is started.
    pub launch: Launch,
    /// The signal that makes it drain, such as `TERM`; without one, cases that drain are skipped. Envoy needs none.
    pub drain: Option<String>,
    /// How it is told to read its configuration again; without, cases that reload are skipped. Envoy needs none.
    pub reload: Option<Reload>,
    /// How long it may take to listen, and a case to be played.
    pub patience: Duration,
    /// What takes longer than this is skipped.
    pub longest: Duration,
    /// Services are where the case says, which must be addresses of this machine that nobody else uses meanwhile.
    pub own_addresses: bool,
}

impl Program {
    /// Plays a case. When `stop` becomes true, the program is ended and the case counts as skipped. What a case needs
    /// and can not have is that case's failure.
    ///
    /// # Errors
    /// The program can not be started at all.
    pub fn run(&self, case: &Case, stop: watch::Receiver<bool>) -> io::Result<Outcome> {
        if let Some(why) = black_box::obstacle(case, self.told()) {
            return Ok(Outcome::Skipped(why));
        }
        if let Some((_, why)) = case.is_meaningless() {
            return Ok(Outcome::Skipped(why.to_owned()));
        }
        if case.pairing != Pairing::ONE && case.is_in_frames() {
            return Ok(Outcome::Skipped("it says itself what is spoken".to_owned()));
        }
        let name = self.launch.name();
        let mut outcome = self.once(case, stop.clone())?;
        if case.difference(name).is_none() {
            for _ in 1..self.launch.plays(case) {
                let Outcome::Failed(_) = outcome else {
                    break;
                };
                outcome = self.once(case, stop.clone())?;
            }
        }
        Ok(outcome.known_to(case, name))
    }

    fn once(&self, case: &Case, stop: watch::Receiver<bool>) -> io::Result<Outcome> {
        let play = || match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => LocalSet::new().block_on(&runtime, self.play(case, stop.clone())),
            Err(error) => Err(error.into()),
        };
        // Somebody else on this machine may take a port between the look at it and its use.
        let taken = |played: &Result<_, Trouble>| matches!(played, Err(Trouble::Case(error)) if error.kind() == io::ErrorKind::AddrInUse);
        let mut played = play();
        for _ in 1..SLOTS_TRIED {
            if taken(&played) {
                played = play();
            }
        }
        match played {
            Ok(outcome) => Ok(outcome),
            Err(Trouble::Program(error)) => Err(error),
            Err(Trouble::Case(error)) => {
                let what = format!("it could not be set up: {error}");
                let problem = Problem::new(&case.file, case.line, what);
                Ok(Outcome::Failed(vec![problem]))
            }
        }
    }

    /// What the program can be told while it runs, and by which name pages speak of it.
    fn told(&self) -> Told {
        let is_envoy = matches!(self.launch, Launch::Envoy(_));
        Told {
            name: self.launch.name(),
            drain: is_envoy || self.drain.is_some(),
            reload: is_envoy || self.reload.is_some(),
            is_moved: !self.own_addresses,
            longest: self.longest,
        }
    }

    async fn play(&self, case: &Case, mut stop: watch::Receiver<bool>) -> Result<Outcome, Trouble> {
        let mut grounds = Grounds::new()?;
        let relocation = match self.own_addresses {
            true => Ok(Relocation::default()),
            false => grounds.slot.relocation(case),
        };
        let real = match relocation {
            Ok(relocation) => reasons::left_out(relocation.case(case)),
            Err(what) => {
                let problem = Problem::new(&case.file, case.line, what);
                return Ok(Outcome::Failed(vec![problem]));
            }
        };
        let real = entrusted::entrust(real, &grounds.folder)?;
        grounds.name(&real).await?;
        let start = match self.launch.prepare(&real, &grounds)? {
            Prepared::Start(start) => start,
            Prepared::Skip(why) => return Ok(Outcome::Skipped(why)),
            Prepared::Fail(problems) => return Ok(Outcome::Failed(problems)),
        };
        // All services of a case that could be relocated are at addresses.
        let mut stage = Stage::open(&real, |a| a.parse().unwrap_or_else(|_| local(0)))?;
        let mut process = Process::start(&start.words, grounds.folder.path("output"))?;
        let mut running = self.running(start.reloads, process.id(), &grounds);
        let patience = self.patience + case.takes.unwrap_or_default();
        // An inbound one would lead who knocks on to the application. Both are open before either is served.
        let doors = [running.outbound];
        let mut began = Instant::now();
        let played = async {
            process.listens(&doors, self.patience).await?;
            began = Instant::now();
            // Who drains may end.
            let dies = process.end(!self.told().drain);
            ::tokio::select! {
                played = stage.play(&mut running, patience) => played.map_err(|e| e.to_string()),
                what = dies => Err(what),
            }
        };
        let played = ::tokio::select! {
            played = played => played,
            _ = stop.wait_for(|stopped| *stopped) => {
                process.kill().await;
                return Ok(Outcome::Skipped("interrupted".to_owned()));
            }
        };
        let took = began.elapsed();
        process.kill().await;
        let mut problems = stage.judge();
        if let Err(what) = played {
            problems.push(Problem::new(&case.file, case.line, what));
        }
        if problems.is_empty() {
            problems.extend(judge_haste(case, took));
        }
        Ok(match problems.is_empty() {
            true => Outcome::Passed,
            false => Outcome::Failed(problems),
        })
    }

    fn running<'a>(
        &'a self,
        reloads: Replacements,
        process: Option<u32>,
        grounds: &'a Grounds,
    ) -> Running<'a> {
        let admin = local(grounds.slot.admin());
        Running {
            outbound: local(grounds.slot.outbound()),
            inbound: local(grounds.slot.inbound()),
            control: match self.launch {
                Launch::Command(_) => Control::Signals(Signals {
                    process,
                    drain: self.drain.as_deref(),
                    reread: self.reload.as_ref().map(|by| Rereads {
                        by,
                        admin,
                        grounds,
                        reloads,
                    }),
                }),
                Launch::Envoy(_) => Control::Envoy(Watched {
                    admin,
                    folder: &grounds.folder,
                    reloads,
                }),
            },
        }
    }
}

/// What takes its time is not over at once: a program may be slow, but none of its timers may fire long before they are
/// due. Half of the time allows for what is drawn at random.
fn judge_haste(case: &Case, took: Duration) -> Option<Problem> {
    let least = case.takes? / 2;
    let what = || format!("it was over after {took:.1?}, before {least:.1?}");
    (took < least).then(|| Problem::new(&case.file, case.line, what()))
}
