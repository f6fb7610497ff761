//! Feeding a recording to core again, and comparing what core says with what it said.
//!
//! One more driver of the same core: it has no sockets and no clock, because every input stands in the recording with its
//! time and its random number. It stops at the first thing that is not as it was.

mod difference;
mod driver;
mod socket;

pub use difference::{Changed, Stop, What};

use std::io::Read;
use std::sync::Arc;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Carried, compile};
use outrigger_core::config::{MeshConfig, Source, load, load_mesh};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::{Exchange, Signatures, WorkerSettings};
use outrigger_jwt::check_signature;

use crate::file::Reader;
use crate::frame::{Configuration, End, File, Frame};
use crate::identity::identity;
use driver::Driver;

/// More workers than any machine has threads for.
pub(crate) const MOST_WORKERS: usize = 4096;

/// How much was replayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// The version of the program that recorded.
    pub program: String,
    /// Threads.
    pub workers: usize,
    /// Bodies were left out.
    pub without_bodies: bool,
    /// Configurations.
    pub configurations: u64,
    /// Client connections.
    pub connections: u64,
    /// Requests whose decision was compared.
    pub requests: u64,
    /// Copies for mirrors whose decision was compared.
    pub copies: u64,
    /// Inputs of connections.
    pub inputs: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// The time of the last input.
    pub until: Instant,
    /// Why the recording ends; `None` when it was cut off.
    pub end: Option<End>,
    /// Bytes of the file that were replayed.
    pub offset: u64,
}

/// What came of a replay.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How far it came.
    pub replayed: Replayed,
    /// Why it stopped before the end of the recording; `None` when it did not.
    pub stop: Option<Stop>,
}

/// Replays a recording to its end, or to the first difference.
pub fn replay(input: impl Read) -> Outcome {
    replay_telling(input, |_, _| {})
}

/// The same, and tells of each request that ended, with the number of its client's connection, if it is nobody's copy.
pub fn replay_telling(input: impl Read, tell: impl FnMut(&Exchange, Option<u64>)) -> Outcome {
    let mut registry = Registry::default();
    feed_all(
        input,
        |recorded| compile_again(recorded, &mut registry),
        tell,
    )
}

/// The same as [`replay`], on snapshots that somebody else makes of the recorded configurations.
pub fn replay_on(input: impl Read, compile: impl FnMut(&Configuration<'_>) -> Snapshot) -> Outcome {
    feed_all(input, compile, |_, _| {})
}

fn feed_all(
    input: impl Read,
    compile: impl FnMut(&Configuration<'_>) -> Snapshot,
    tell: impl FnMut(&Exchange, Option<u64>),
) -> Outcome {
    let mut reader = match Reader::new(input) {
        Ok(reader) => reader,
        Err(fault) => {
            return Outcome {
                stop: Some(fault.into()),
                ..Outcome::default()
            };
        }
    };
    let mut run = Run::new(compile, tell);
    let stop = loop {
        run.replayed.offset = reader.offset();
        let segment = match reader.next_segment() {
            Ok(Some(segment)) => segment,
            Ok(None) => break run.incomplete(),
            Err(fault) => break Some(fault.into()),
        };
        let mut frames = segment.frames();
        let stop = frames.find_map(|frame| match frame {
            Ok((offset, frame)) => run.feed(offset, frame).err(),
            Err(fault) => Some(fault.into()),
        });
        if stop.is_some() {
            break stop;
        }
    };
    Outcome {
        replayed: run.replayed,
        stop,
    }
}

/// Compiles a configuration as it was compiled.
pub(crate) fn compile_again(recorded: &Configuration<'_>, registry: &mut Registry) -> Snapshot {
    let files: Vec<_> = recorded.files.iter().map(File::as_source).collect();
    let mesh = recorded.mesh.as_ref().map(File::as_source);
    let mesh = mesh.map_or_else(MeshConfig::default, |mesh| load_mesh(mesh).0);
    let (workload, inbound) = (&recorded.workload, &recorded.inbound);
    let resources = load(&files, &workload.namespace).resources;
    let previous = recorded.previous;
    let compiled = compile(
        &resources,
        workload,
        &mesh,
        inbound,
        &recorded.answers,
        registry,
        previous,
    );
    compiled.snapshot
}

/// A run that is repeated.
struct Run<C, T> {
    compile: C,
    tell: T,
    /// See [`Frame::Carries`].
    carries: Carried,
    /// Compiled, and not yet published.
    compiled: Option<Arc<Snapshot>>,
    published: Option<Arc<Snapshot>>,
    workers: Vec<Driver>,
    replayed: Replayed,
}

impl<C, T> Run<C, T>
where
    C: FnMut(&Configuration<'_>) -> Snapshot,
    T: FnMut(&Exchange, Option<u64>),
{
    fn new(compile: C, tell: T) -> Self {
        Self {
            compile,
            tell,
            carries: Carried::default(),
            compiled: None,
            published: None,
            workers: Vec::new(),
            replayed: Replayed::default(),
        }
    }

    fn feed(&mut self, offset: u64, frame: Frame<'_>) -> Result<(), Stop> {
        if self.replayed.end.is_some() {
            return Err(Stop::damaged(offset, "something follows the end"));
        }
        if self.replayed.program.is_empty() && !matches!(frame, Frame::Program(_)) {
            return Err(Stop::damaged(offset, "no program is named first"));
        }
        match frame {
            Frame::Program(version) => self.replayed.program = version.into_owned(),
            Frame::Carries(carried) => self.carries = carried.into_owned(),
            Frame::Configuration(mut configuration) => {
                configuration.carried_by(&self.carries);
                self.configure(offset, &configuration)?;
            }
            Frame::Workers { settings, seeds } => self.begin(offset, *settings, &seeds)?,
            Frame::Published => {
                let Some(compiled) = self.compiled.take() else {
                    return Err(Stop::damaged(offset, "what is published was not compiled"));
                };
                self.published = Some(compiled);
            }
            Frame::Adopted { worker, now } => {
                let Some(snapshot) = self.published.clone() else {
                    return Err(Stop::damaged(offset, "nothing was published"));
                };
                let driver = self.worker(offset, worker)?;
                driver.call(offset, now, |worker| worker.adopt(snapshot, now))?;
            }
            Frame::Date { worker, date } => {
                let date = date.as_bytes().try_into();
                let date: [u8; 29] =
                    date.map_err(|_| Stop::damaged(offset, "a date has another length"))?;
                // It is written as it stands.
                if !date.iter().all(|byte| matches!(byte, b' '..=b'~')) {
                    return Err(Stop::damaged(
                        offset,
                        "a date has a letter that no date has",
                    ));
                }
                self.worker(offset, worker)?.worker().set_date(date);
            }
            Frame::Accepted {
                worker,
                client,
                peer,
                entropy,
                now,
            } => {
                let named = (client, self.replayed.connections);
                let driver = self.worker(offset, worker)?;
                driver.accept(offset, now, named, |w| w.accept(peer, entropy, now))?;
                self.replayed.connections += 1;
            }
            Frame::Came(came) => {
                let driver = self.worker(offset, came.worker)?;
                let bytes = driver.feed(offset, &came)?;
                self.replayed.inputs += 1;
                self.replayed.until = came.now;
                self.replayed.bytes += bytes;
            }
            Frame::Time { worker, now } => {
                let driver = self.worker(offset, worker)?;
                driver.call(offset, now, |worker| worker.on_time(now))?;
                self.replayed.until = now;
            }
            Frame::Announced { worker, now } => {
                let driver = self.worker(offset, worker)?;
                driver.call(offset, now, |worker| worker.on_announced(now))?;
            }
            Frame::Hurried {
                worker,
                inbound,
                now,
            } => {
                let driver = self.worker(offset, worker)?;
                driver.call(offset, now, |worker| worker.hurry_copies(inbound, now))?;
            }
            Frame::Relieved {
                worker,
                actions,
                now,
            } => {
                let driver = self.worker(offset, worker)?;
                driver.call(offset, now, |worker| worker.relieve(actions, now))?;
            }
            Frame::Said { worker, outputs } => {
                let ended = self.worker(offset, worker)?.compare(offset, outputs)?;
                if let Some(driver) = self.workers.get(worker as usize) {
                    driver.each_ended(&mut self.tell);
                }
                self.replayed.requests += ended.requests;
                self.replayed.copies += ended.copies;
            }
            Frame::Draining { worker } => self.worker(offset, worker)?.worker().drain(),
            Frame::Gone { worker } => self.worker(offset, worker)?.end(),
            Frame::End(end) => self.replayed.end = Some(end),
        }
        Ok(())
    }

    fn configure(&mut self, offset: u64, recorded: &Configuration<'_>) -> Result<(), Stop> {
        let snapshot = (self.compile)(recorded);
        self.replayed.configurations += 1;
        let is_same = identity(&snapshot) == recorded.identity;
        self.compiled = Some(Arc::new(snapshot));
        let now = self.replayed.until;
        match is_same {
            true => Ok(()),
            false => Err(Stop::changed(offset, None, now, What::Snapshot)),
        }
    }

    fn begin(
        &mut self,
        offset: u64,
        mut settings: WorkerSettings,
        seeds: &[u64],
    ) -> Result<(), Stop> {
        settings.signatures = Signatures(Some(check_signature));
        let Some(snapshot) = self.compiled.take() else {
            return Err(Stop::damaged(offset, "workers begin on nothing"));
        };
        if seeds.len() > MOST_WORKERS {
            return Err(Stop::damaged(offset, "there are more workers than threads"));
        }
        let seeds = seeds.iter();
        self.workers = seeds
            .map(|seed| Driver::new(Arc::clone(&snapshot), settings, *seed))
            .collect();
        self.published = Some(snapshot);
        self.replayed.workers = self.workers.len();
        self.replayed.without_bodies = settings.tells_bodies;
        Ok(())
    }

    /// The file ends here without saying so.
    fn incomplete(&mut self) -> Option<Stop> {
        self.workers
            .is_empty()
            .then(|| Stop::damaged(self.replayed.offset, "it ends before the run began"))
    }

    fn worker(&mut self, offset: u64, worker: u32) -> Result<&mut Driver, Stop> {
        let worker = self.workers.get_mut(worker as usize);
        worker.ok_or_else(|| Stop::damaged(offset, "there is no such worker"))
    }
}

impl File<'_> {
    /// As core reads it.
    #[must_use]
    pub fn as_source(&self) -> Source<'_> {
        Source {
            name: &self.name,
            bytes: self.text,
        }
    }
}
