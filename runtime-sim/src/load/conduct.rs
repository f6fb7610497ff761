//! How an instance behaves, what it saw, and what becomes of a request: all that its connections share.

use std::io::Write as _;
use std::rc::Rc;

use outrigger_core::snapshot::PerMillion;
use outrigger_core::time::{Duration, Instant};

use super::calls::Calls;
use super::capacity::{Capacity, Desk, Reception};
use super::fault::{Fault, FaultWindow};
use super::latency::Latency;
use super::pool::{Cause, Round};
use crate::dice::Dice;
use crate::errands::Bell;
use crate::reader::HeadSeen;

/// How an instance behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// What its answers begin with, so that clients know who answered.
    pub name: String,
    /// How long a request takes once it is worked on.
    pub latency: Latency,
    /// The share of requests that it answers 500.
    pub errors: PerMillion,
    /// How much it does at once; `None` is any number.
    pub capacity: Option<Capacity>,
    /// The length of its answers in bytes; at least the name.
    pub body: usize,
    /// Bad days; of those at the same time, the first that hits counts.
    pub faults: Vec<FaultWindow>,
}

impl Behaviour {
    /// An instance that answers everything at once.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            latency: Latency::ZERO,
            errors: PerMillion::default(),
            capacity: None,
            body: 0,
            faults: Vec::new(),
        }
    }
}

/// What an instance saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceLog {
    /// Whole requests that it received.
    pub requests: u64,
    /// Of these, the ones it was too busy for.
    pub turned_away: u64,
    /// Connections that are open now.
    pub open: u32,
    /// The most that were open at a time.
    pub most_open: u32,
    /// Requests that a strict reader could not read; a sidecar must never send one.
    pub complaints: Vec<String>,
}

/// What the connections of an instance share.
#[derive(Debug)]
pub(super) struct Conduct {
    pub(super) behaviour: Behaviour,
    pub(super) log: InstanceLog,
    desk: Option<Desk>,
    pub(super) calls: Option<Calls>,
    dice: Dice,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// An answer of this status.
    Answer(u16),
    /// Something worse.
    Spoil(Fault),
}

impl Conduct {
    pub(super) fn new(behaviour: Behaviour, seed: u64) -> Self {
        let desk = behaviour.capacity.map(Desk::new);
        Self {
            behaviour,
            log: InstanceLog::default(),
            desk,
            calls: None,
            dice: Dice::new(seed),
        }
    }

    /// The fault of this kind that hits now.
    pub(super) fn fault(&mut self, now: Instant, kind: impl Fn(Fault) -> bool) -> Option<Fault> {
        let mut windows = self.behaviour.faults.iter();
        let hit = windows.find(|w| w.is_open(now) && kind(w.fault) && self.dice.chance(w.share));
        hit.map(|window| window.fault)
    }

    /// Work on a request begins: how much it is, and what becomes of it then. Decided now and not when it arrived,
    /// because an instance that recovers works through its queue at its usual pace.
    pub(super) fn plan(&mut self, now: Instant) -> (Duration, Plan) {
        let fault = self.fault(now, |_| true);
        let mut work = self.behaviour.latency.draw(&mut self.dice);
        let plan = match fault {
            Some(Fault::Slow(more)) => {
                work += more.draw(&mut self.dice);
                self.usual()
            }
            Some(Fault::Status(status)) => Plan::Answer(status),
            Some(fault) => Plan::Spoil(fault),
            None => self.usual(),
        };
        (work, plan)
    }

    /// A request is complete and wants a place to be worked on.
    pub(super) fn enter(&mut self, bell: Option<&Bell>) -> Reception {
        self.log.requests += 1;
        let (Some(desk), Some(bell)) = (&mut self.desk, bell) else {
            return Reception::Begins;
        };
        let entry = desk.enter(bell);
        self.log.turned_away += u64::from(entry == Reception::TurnedAway);
        entry
    }

    /// Its place is free again.
    pub(super) fn leave(&mut self) {
        if let Some(desk) = &mut self.desk {
            desk.leave();
        }
    }

    /// Keeps what goes on from a request to the calls for it.
    pub(super) fn carry(&self, head: &HeadSeen<'_>, lines: &mut Vec<u8>) {
        if let Some(calls) = &self.calls {
            calls.forwards.carry(head, lines);
        }
    }

    /// Makes the calls of the next stage; `None` when there is none.
    pub(super) fn call(
        &mut self,
        stage: &mut usize,
        cause: Cause<'_>,
        place: &mut Option<Rc<Round>>,
        bell: Option<&Bell>,
        now: Instant,
    ) -> Option<()> {
        let calls = self.calls.as_ref()?;
        calls.make(stage, cause, place, bell?, now, &mut self.dice)
    }

    fn usual(&mut self) -> Plan {
        let errors = self.behaviour.errors;
        Plan::Answer(if self.dice.chance(errors) { 500 } else { 200 })
    }

    pub(super) fn opened(&mut self) {
        self.log.open += 1;
        self.log.most_open = self.log.most_open.max(self.log.open);
    }

    /// Appends an answer to a buffer.
    pub(super) fn answer(&self, status: u16, mut bytes: Vec<u8>) -> Vec<u8> {
        self.append_head(status, &mut bytes);
        let whole = bytes.len() + self.body_length();
        bytes.extend_from_slice(self.behaviour.name.as_bytes());
        bytes.resize(whole, b'.');
        bytes
    }

    /// Appends an answer to a buffer up to the middle of its body.
    pub(super) fn half_an_answer(&self, bytes: Vec<u8>) -> Vec<u8> {
        let length = self.body_length();
        let mut bytes = self.answer(200, bytes);
        bytes.truncate(bytes.len() - length + length / 2);
        bytes
    }

    fn body_length(&self) -> usize {
        let Behaviour { name, body, .. } = &self.behaviour;
        name.len().max(*body).max(2)
    }

    fn append_head(&self, status: u16, bytes: &mut Vec<u8>) {
        // Writing to memory does not fail.
        let _ = write!(
            bytes,
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n",
            self.body_length()
        );
    }
}
