//! Cases against a program of its own, seen from outside: its configuration is a file, and its bytes are judged.
//!
//! One program is started for each case. What it decided, and why, it need not tell.

mod black_box;
mod command;
mod files;
mod process;
mod slot;

pub use command::{Command, NAMES};

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ::tokio::runtime::Builder;
use ::tokio::sync::watch;
use ::tokio::task::LocalSet;

use crate::Problem;
use crate::case::Case;
use crate::subject::Outcome;
use crate::subject::stage::{Proxy, Stage};
use black_box::Told;
use command::Values;
use files::Folder;
use process::Process;
use slot::Slot;

/// A program, and how it is started and told things.
#[derive(Clone, Debug)]
pub struct Program {
    /// How it is started.
    pub command: Command,
    /// The signal that makes it drain, such as `TERM`; without one, cases that drain are skipped.
    pub drain: Option<String>,
    /// How long it may take to listen, and a case to be played.
    pub patience: Duration,
}

impl Program {
    /// Plays a case. When `stop` becomes true, the program is ended and the case counts as skipped.
    ///
    /// # Errors
    /// The program can not be started at all.
    pub fn run(&self, case: &Case, stop: watch::Receiver<bool>) -> io::Result<Outcome> {
        let told = Told {
            drain: self.drain.is_some(),
        };
        if let Some(why) = black_box::obstacle(case, told) {
            return Ok(Outcome::Skipped(why));
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, self.play(case, stop))
    }

    async fn play(&self, case: &Case, mut stop: watch::Receiver<bool>) -> io::Result<Outcome> {
        let (slot, folder) = (Slot::claim()?, Folder::make()?);
        let failed = |what: String| {
            let problem = Problem::new(&case.file, case.line, what);
            Ok(Outcome::Failed(vec![problem]))
        };
        let real = match slot.relocation(case) {
            Ok(relocation) => relocation.case(case),
            Err(what) => return failed(what),
        };
        let values = match values(&real, &slot, &folder)? {
            Ok(values) => values,
            Err(what) => return failed(what),
        };
        if let Some(name) = self.command.lacks(&values) {
            let why = format!("the command has no place for {{{name}}}");
            return Ok(Outcome::Skipped(why));
        }
        // All services of a case that could be relocated are at addresses.
        let mut stage = Stage::open(&real, |a| a.parse().unwrap_or_else(|_| local(0)))?;
        let mut process = Process::start(&self.command.fill(&values), folder.path("output"))?;
        let mut running = Running {
            id: process.id(),
            outbound: local(slot.outbound()),
            inbound: local(slot.inbound()),
            drain: self.drain.as_deref(),
        };
        let mut doors = vec![running.outbound];
        doors.extend(real.settings.inbound.is_some().then_some(running.inbound));
        let played = async {
            process.listens(&doors, self.patience).await?;
            // Who drains may end.
            let dies = process.end(self.drain.is_none());
            ::tokio::select! {
                played = stage.play(&mut running, self.patience) => played.map_err(|e| e.to_string()),
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
        process.kill().await;
        let mut problems = stage.judge();
        if let Err(what) = played {
            problems.push(Problem::new(&case.file, case.line, what));
        }
        Ok(match problems.is_empty() {
            true => Outcome::Passed,
            false => Outcome::Failed(problems),
        })
    }
}

/// The program while a case is played.
struct Running<'a> {
    id: Option<u32>,
    outbound: SocketAddr,
    inbound: SocketAddr,
    drain: Option<&'a str>,
}

impl Proxy for Running<'_> {
    fn address(&self, inbound: bool) -> SocketAddr {
        if inbound { self.inbound } else { self.outbound }
    }

    async fn reload(&mut self) -> io::Result<()> {
        Err(io::Error::other("nothing tells when a reload is done"))
    }

    async fn drain(&mut self) -> io::Result<()> {
        let (Some(signal), Some(id)) = (self.drain, self.id) else {
            return Err(io::Error::other("the program can not be told to drain"));
        };
        process::signal(signal, id).await?;
        while ::tokio::net::TcpStream::connect(self.outbound)
            .await
            .is_ok()
        {
            ::tokio::task::yield_now().await;
        }
        Ok(())
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// What a command is filled in with; the files that it names are written. The inner error is the case's.
fn values(case: &Case, slot: &Slot, folder: &Folder) -> io::Result<Result<Values, String>> {
    let settings = &case.settings;
    let mesh = match files::mesh(case) {
        Ok(Some(text)) => Some(folder.write("mesh.yaml", &text)?),
        Ok(None) => None,
        Err(what) => return Ok(Err(what)),
    };
    let config = folder.write("config.yaml", &files::configuration(case))?;
    let is_default = |namespace: &String| namespace == "default";
    let namespace = settings.namespace.clone().filter(|n| !is_default(n));
    let labels = settings.labels.iter().map(|(k, v)| format!("{k}={v}"));
    let inbound = settings.inbound.as_ref();
    let body = settings.max_request_body.map(|bytes| bytes.to_string());
    let one = |value: Option<String>| value.into_iter().collect::<Vec<_>>();
    let mut values = Values::from([
        ("config", vec![config]),
        ("port", vec![slot.outbound().to_string()]),
        ("admin", vec![slot.admin().to_string()]),
        ("inbound", one(inbound.map(|_| slot.inbound().to_string()))),
        ("app", one(inbound.cloned())),
        ("namespace", one(namespace)),
        ("label", labels.collect()),
        ("mesh", one(mesh)),
        ("idle_timeout", one(settings.idle_timeout.clone())),
        (
            "stream_idle_timeout",
            one(settings.stream_idle_timeout.clone()),
        ),
        ("max_request_body", one(body)),
    ]);
    values.retain(|_, all| !all.is_empty());
    Ok(Ok(values))
}
