//! What stands in a recording, frame by frame.

use std::borrow::Cow;

use outrigger_core::compile::{Answers, Carried, Inbound, Workload};
use outrigger_core::entropy::Entropy;
use outrigger_core::overload::Actions;
use outrigger_core::peer::{ClientId, ConnId, Peer};
use outrigger_core::time::Instant;
use outrigger_core::worker::{Input, WorkerSettings};
use serde::{Deserialize, Serialize};

use crate::encoding::{as_bytes, put};
use crate::input_bytes::Bytes;

/// One thing that happened. Workers have names by their position, and connections those that their worker gave them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Frame<'a> {
    /// The first frame: the version of the program that wrote the file.
    Program(Cow<'a, str>),
    /// A configuration was compiled.
    #[serde(borrow)]
    Configuration(Configuration<'a>),
    /// Workers began, on the last configuration.
    Workers {
        /// The settings of each.
        settings: Box<WorkerSettings>,
        /// The seed of each.
        seeds: Vec<u64>,
    },
    /// The last configuration became the one that workers adopt.
    Published,
    /// A worker adopted the published configuration.
    Adopted {
        /// Which one.
        worker: u32,
        /// When.
        now: Instant,
    },
    /// A worker has another calendar date.
    Date {
        /// Which one.
        worker: u32,
        /// As a `date` field writes it.
        date: Cow<'a, str>,
    },
    /// A client connected.
    Accepted {
        /// To which worker.
        worker: u32,
        /// The name that it got.
        client: ClientId,
        /// Who.
        peer: Peer,
        /// The connection's random number.
        entropy: Entropy,
        /// When.
        now: Instant,
    },
    /// Something happened on a connection.
    Came(Came<'a>),
    /// The time for which a worker waited has come.
    Time {
        /// Which one.
        worker: u32,
        /// When.
        now: Instant,
    },
    /// A worker looked at what it keeps for others.
    Announced {
        /// Which one.
        worker: u32,
        /// When.
        now: Instant,
    },
    /// A worker hurries the copies of requests of one direction.
    Hurried {
        /// Which one.
        worker: u32,
        /// Of requests from the mesh, or from the application.
        inbound: bool,
        /// When.
        now: Instant,
    },
    /// What a worker said to what came last: it follows every frame above that has a time.
    Said {
        /// Which one.
        worker: u32,
        /// As [`Said::read`](crate::Said::read) reads it.
        #[serde(serialize_with = "as_bytes")]
        outputs: &'a [u8],
    },
    /// A worker began to drain.
    Draining {
        /// Which one.
        worker: u32,
    },
    /// The last frame: why the recording ends.
    End(End),
    /// A worker ended, and the connections that it kept are closed.
    Gone {
        /// Which one.
        worker: u32,
    },
    /// What of Gateways the workload carries for which configurations are compiled from here on: until there is one, nothing.
    Carries(Cow<'a, Carried>),
    /// A worker does this from now on because the machine is full, or has room again.
    Relieved {
        /// Which one.
        worker: u32,
        /// What.
        actions: Actions,
        /// When.
        now: Instant,
    },
}

/// A configuration as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration<'a> {
    /// Resources, in the order in which they were read.
    #[serde(borrow)]
    pub files: Vec<File<'a>>,
    /// The mesh configuration.
    #[serde(borrow)]
    pub mesh: Option<File<'a>>,
    /// Whom it was compiled for.
    pub workload: Cow<'a, Workload>,
    /// The listeners for inbound requests.
    pub inbound: Cow<'a, [Inbound]>,
    /// What names resolved to.
    pub answers: Cow<'a, Answers>,
    /// The revision of the snapshot before it.
    pub previous: u64,
    /// What [`identity`](crate::identity()) says of the snapshot.
    pub identity: u64,
}

/// A file of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File<'a> {
    /// The name that findings have for it.
    pub name: Cow<'a, str>,
    /// What stands in it.
    #[serde(serialize_with = "as_bytes")]
    pub text: &'a [u8],
}

/// What happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Came<'a> {
    /// Of which worker.
    pub worker: u32,
    /// On which one.
    pub connection: ConnId,
    /// When.
    pub now: Instant,
    /// What happened.
    pub input: Input,
    /// The bytes that it is about.
    #[serde(borrow)]
    pub bytes: Bytes<'a>,
}

/// Why a recording ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The run ended.
    Finished,
    /// The file has the size that it may have.
    Full {
        /// In bytes.
        limit: u64,
    },
    /// The disk took the bytes too slowly.
    Slow,
    /// The input before this made the program panic.
    Panicked,
}

impl Configuration<'_> {
    /// The workload carries this of Gateways, which stands in a frame of its own.
    pub(crate) fn carried_by(&mut self, carries: &Carried) {
        if *self.workload.carries != *carries {
            *self.workload.to_mut().carries = carries.clone();
        }
    }
}

impl<'a> Frame<'a> {
    /// Appends the frame.
    pub fn put(&self, block: &mut Vec<u8>) {
        put(self, block);
    }

    /// The frame that `bytes` begin with, and what follows it.
    #[must_use]
    pub fn take(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        postcard::take_from_bytes(bytes).ok()
    }
}
