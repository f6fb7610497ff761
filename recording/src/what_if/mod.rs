//! Recorded requests under another configuration: which of them would be decided otherwise.
//!
//! Each request is decided twice, by the configuration that was recorded and by the other one, with the same head, time and
//! random number, up to where an endpoint is tried. What follows from there depends on how endpoints answer, which nobody
//! knows of an endpoint that was not asked, so nothing is said about it.

mod would;

pub use would::Change;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::Carried;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::{Signatures, Worker};
use outrigger_jwt::check_signature;

use crate::file::{Fault, Reader};
use crate::frame::{Configuration, Frame};
use crate::heads::Clients;
use crate::replay::{MOST_WORKERS, compile_again};
use would::{Request, Would};

/// Ways in which requests differ that are told apart; further ones are counted together.
const MOST_WAYS: usize = 200;

/// What came of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// The version of the program that recorded.
    pub program: String,
    /// Client connections.
    pub connections: u64,
    /// Requests that were decided twice.
    pub requests: u64,
    /// Those that would be decided otherwise.
    pub otherwise: u64,
    /// In which ways, the most frequent first.
    pub ways: Vec<Way>,
    /// Requests that differ in further ways.
    pub in_further_ways: u64,
    /// The time of the last request.
    pub until: Instant,
}

/// A way in which requests would be decided otherwise.
#[derive(Clone, Debug)]
pub struct Way {
    /// How many.
    pub requests: u64,
    /// Where they go by the recorded configuration: a cluster, or an answer of our own.
    pub recorded: String,
    /// Where they go by the other one.
    pub now: String,
    /// What else is decided otherwise, on the way there.
    pub changes: Vec<Change>,
    /// The first of them.
    pub example: Example,
}

/// A request that would be decided otherwise.
#[derive(Clone, Debug)]
pub struct Example {
    /// Where in the file what completed its head stands, in bytes.
    pub offset: u64,
    /// On which connection, counted from 0.
    pub connection: u64,
    /// When, by the time of the run.
    pub at: Instant,
    /// Its line, as it came.
    pub request: String,
    /// The story by the recorded configuration.
    pub recorded: String,
    /// The story by the other one.
    pub now: String,
    /// Fields of heads that only one of both has.
    pub fields: String,
}

/// Why nothing, or not everything, was compared.
#[derive(Debug)]
pub enum Stop<E> {
    /// The file cannot be read, or not further.
    Fault(Fault),
    /// There is no other configuration.
    Refused(E),
}

/// Decides every request of a recording by what `other` makes of the recorded surroundings: the workload, its inbound
/// listeners and the mesh configuration.
pub fn what_if<E>(
    input: impl Read,
    other: impl FnOnce(&Configuration<'_>) -> Result<Snapshot, E>,
) -> (Compared, Option<Stop<E>>) {
    let mut run = Run::new(other);
    let stop = run.read(input).err();
    (run.finish(), stop)
}

/// Where a request goes twice, and what else differs.
type Key = (String, String, Vec<Change>);

struct Run<F> {
    /// Until it was asked.
    other: Option<F>,
    otherwise: Option<Worker>,
    registry: Registry,
    /// See [`Frame::Carries`].
    carries: Carried,
    compiled: Option<Arc<Snapshot>>,
    published: Option<Arc<Snapshot>>,
    workers: Vec<Worker>,
    clients: Clients,
    ways: BTreeMap<Key, (u64, Example)>,
    compared: Compared,
}

impl<E, F: FnOnce(&Configuration<'_>) -> Result<Snapshot, E>> Run<F> {
    fn new(other: F) -> Self {
        Self {
            other: Some(other),
            otherwise: None,
            registry: Registry::default(),
            carries: Carried::default(),
            compiled: None,
            published: None,
            workers: Vec::new(),
            clients: Clients::default(),
            ways: BTreeMap::new(),
            compared: Compared::default(),
        }
    }

    fn read(&mut self, input: impl Read) -> Result<(), Stop<E>> {
        let mut reader = Reader::new(input).map_err(Stop::Fault)?;
        while let Some(segment) = reader.next_segment().map_err(Stop::Fault)? {
            for frame in segment.frames() {
                let (offset, frame) = frame.map_err(Stop::Fault)?;
                self.feed(offset, frame)?;
            }
        }
        match self.workers.is_empty() {
            true => Err(damaged(reader.offset(), "it ends before the run began")),
            false => Ok(()),
        }
    }

    fn feed(&mut self, offset: u64, frame: Frame<'_>) -> Result<(), Stop<E>> {
        match frame {
            Frame::Program(version) => self.compared.program = version.into_owned(),
            Frame::Carries(carried) => self.carries = carried.into_owned(),
            Frame::Configuration(mut recorded) => {
                recorded.carried_by(&self.carries);
                let snapshot = compile_again(&recorded, &mut self.registry);
                self.compiled = Some(Arc::new(snapshot));
                if let Some(other) = self.other.take() {
                    let snapshot = other(&recorded).map_err(Stop::Refused)?;
                    let worker = Worker::new(Arc::new(snapshot), Default::default(), 0);
                    self.otherwise = Some(worker);
                }
            }
            Frame::Workers {
                mut settings,
                seeds,
            } => {
                settings.signatures = Signatures(Some(check_signature));
                let Some(snapshot) = &self.compiled else {
                    return Err(damaged(offset, "workers begin on nothing"));
                };
                if seeds.len() > MOST_WORKERS {
                    return Err(damaged(offset, "there are more workers than threads"));
                }
                let seeds = seeds.iter();
                self.workers = seeds
                    .map(|seed| Worker::new(Arc::clone(snapshot), *settings, *seed))
                    .collect();
            }
            Frame::Adopted { worker, now, .. } => {
                let worker = self.workers.get_mut(worker as usize);
                let (Some(worker), Some(snapshot)) = (worker, &self.published) else {
                    return Err(damaged(offset, "there is no such worker"));
                };
                worker.adopt(Arc::clone(snapshot), now);
            }
            Frame::Came(_) => self.input(offset, &frame)?,
            Frame::Accepted { .. } | Frame::Said { .. } | Frame::Gone { .. } => {
                self.clients.feed(&frame);
                self.compared.connections = self.clients.count;
            }
            Frame::Published => self.published.clone_from(&self.compiled),
            Frame::Date { .. }
            | Frame::Time { .. }
            | Frame::Announced { .. }
            | Frame::Hurried { .. }
            | Frame::Relieved { .. }
            | Frame::Draining { .. }
            | Frame::End(_) => {}
        }
        Ok(())
    }

    fn input(&mut self, offset: u64, frame: &Frame<'_>) -> Result<(), Stop<E>> {
        let (Some(client), Frame::Came(came)) = (self.clients.feed(frame), frame) else {
            return Ok(());
        };
        let recorded = self.workers.get(came.worker as usize);
        let (Some(recorded), Some(otherwise)) = (recorded, &self.otherwise) else {
            return Err(damaged(offset, "there is no such worker"));
        };
        while let Some((head, begins, entropy)) = client.next_request() {
            let request = Request {
                peer: &client.peer,
                tls: client.tls.as_ref(),
                head: &head,
                begins: &begins,
                entropy,
                now: came.now,
            };
            self.compared.requests += 1;
            self.compared.until = came.now;
            let recorded = Would::of(&request, recorded, &client.buckets[0]);
            let now = Would::of(&request, otherwise, &client.buckets[1]);
            let changes = recorded.changes(&now);
            if recorded.goes_to == now.goes_to && changes.is_empty() {
                continue;
            }
            self.compared.otherwise += 1;
            let fields = recorded.other_fields(&now);
            let key = (recorded.goes_to, now.goes_to, changes);
            if let Some((requests, _)) = self.ways.get_mut(&key) {
                *requests += 1;
            } else if self.ways.len() < MOST_WAYS {
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                let (authority, path) = (text(&head.authority), text(&head.path));
                let example = Example {
                    offset,
                    connection: client.number,
                    at: came.now,
                    request: format!("{} {authority}{path}", head.method),
                    recorded: recorded.story,
                    now: now.story,
                    fields,
                };
                self.ways.insert(key, (1, example));
            } else {
                self.compared.in_further_ways += 1;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Compared {
        let ways = self.ways.into_iter();
        self.compared.ways = ways
            .map(|((recorded, now, changes), (requests, example))| Way {
                requests,
                recorded,
                now,
                changes,
                example,
            })
            .collect();
        // Ways that are as frequent stay in the order of their names.
        self.compared
            .ways
            .sort_by_key(|way| std::cmp::Reverse(way.requests));
        self.compared
    }
}

const fn damaged<E>(offset: u64, what: &'static str) -> Stop<E> {
    Stop::Fault(Fault::Damaged { offset, what })
}
