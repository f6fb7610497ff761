//! The loop that every runtime is: perform what the worker wants, find what is ready, hand it in.
//!
//! Where a real runtime leaves a choice to the kernel (which ready connection comes first, how much one read or write
//! moves) the seed makes it.

use std::mem;

use outrigger_core::peer::{ConnId, ExchangeId};
use outrigger_core::snapshot::Address;
use outrigger_core::worker::{Input, Output};
use smallvec::SmallVec;

use super::{Connection, Thread};
use crate::event::{Dialler, Happening};
use crate::fabric::Fabric;
use crate::invariants;
use crate::network::{End, Wire};

/// More inputs than this without waiting mean that a worker spins.
const MOST_INPUTS_A_ROUND: usize = 1_000_000;

/// What can be done on a connection.
#[derive(Clone, Copy, Debug)]
enum Ready {
    Read,
    Write,
    /// Either of them, on a wire that is broken.
    Broken,
}

/// One input that is ready.
#[derive(Clone, Copy, Debug)]
struct Possible {
    id: ConnId,
    wire: Wire,
    end: End,
    what: Ready,
}

impl Thread {
    /// Says something to the worker, performs what it wants, and feeds what is ready, until it waits.
    pub(super) fn say<R>(
        &mut self,
        fabric: &mut Fabric,
        say: impl FnOnce(&mut Self, &mut Fabric) -> R,
    ) -> Result<R, String> {
        self.is_touched = true;
        fabric.spare.swap(&mut self.worker);
        let said = say(self, fabric);
        let driven = self.drive(fabric);
        fabric.spare.swap(&mut self.worker);
        driven.map(|()| said)
    }

    fn drive(&mut self, fabric: &mut Fabric) -> Result<(), String> {
        for _ in 0..MOST_INPUTS_A_ROUND {
            self.perform(fabric)?;
            let Some((id, input)) = self.next_input(fabric) else {
                self.plan(fabric);
                return Ok(());
            };
            self.worker.handle_input(id, input, fabric.now);
        }
        Err(format!(
            "thread {} took {MOST_INPUTS_A_ROUND} inputs in one moment",
            self.number
        ))
    }

    /// Deadlines move with every byte: one look at a time is planned, at the next of them or before one that has moved on.
    fn plan(&mut self, fabric: &mut Fabric) {
        let Some(at) = self.worker.next_deadline() else {
            return;
        };
        let at = at.max(fabric.now);
        if self.planned.is_none_or(|planned| at < planned) {
            self.planned = Some(at);
            fabric.queue.push(at, Happening::Look(self.number));
        }
    }

    fn perform(&mut self, fabric: &mut Fabric) -> Result<(), String> {
        while let Some(output) = self.worker.poll_output() {
            match output {
                Output::Connect(id, address, manner) => {
                    let connection = Connection {
                        manner,
                        ..Connection::default()
                    };
                    self.connections.insert(id.into(), connection);
                    // Nobody brings connections round here, whoever they come from.
                    let address = match address {
                        Address::Local(to, _) => Address::Socket(to),
                        other => other,
                    };
                    fabric.dial(Dialler::Thread(self.number, id), address);
                }
                Output::Secure(id, hearing, came) => self.secure(id, &hearing, &came, fabric),
                Output::Close(id) => self.close(id, fabric),
                Output::Refuse(id, _) => self.close(id.into(), fabric),
                Output::Reset(id) => self.reset(id.into(), fabric),
                Output::Abort(id) => self.reset(id.into(), fabric),
                Output::ShutdownWrite(id) => {
                    if let Some((wire, end)) = self.wire(id) {
                        fabric.shut(wire, end);
                    }
                }
                Output::Ended(id) => self.ended(id, fabric)?,
                Output::Announce => fabric
                    .queue
                    .push(fabric.now, Happening::Announced(self.number)),
                Output::Wait(id, interest) => {
                    if let Some(connection) = self.connections.get_mut(id) {
                        connection.interest = interest;
                        self.look_at(id);
                    }
                }
            }
        }
        Ok(())
    }

    fn ended(&mut self, id: ExchangeId, fabric: &mut Fabric) -> Result<(), String> {
        self.answered.forget(id);
        let Some(exchange) = self.worker.ended(id) else {
            return Err(format!("{id:?} ended without a story"));
        };
        let record = exchange.record();
        fabric.digest.record(record);
        (self.records)(record, exchange.snapshot());
        invariants::judge(record, exchange.snapshot())
    }

    /// Something may be ready on a connection.
    pub(super) fn look_at(&mut self, id: ConnId) {
        if !self.noticed.contains(&id) {
            self.noticed.push(id);
        }
    }

    /// One of the inputs that are ready, by the seed; its bytes are moved.
    fn next_input(&mut self, fabric: &mut Fabric) -> Option<(ConnId, Input)> {
        let mut ready = SmallVec::<[Possible; 8]>::new();
        let mut noticed = mem::take(&mut self.noticed);
        noticed.retain(|id| self.find_ready(*id, fabric, &mut ready));
        self.noticed = noticed;
        let at = match ready.len() {
            0 => return None,
            many => fabric.dice.below(many as u64) as usize,
        };
        let Possible {
            id,
            wire,
            end,
            what,
        } = ready[at];
        let input = match what {
            Ready::Broken => Some(Input::Broken),
            Ready::Read => self.read(id, wire, end, fabric),
            Ready::Write => self.write(id, wire, end, fabric),
        };
        Some((id, input?))
    }

    /// Adds what is waited for on a connection and can be done. Whether there is such a thing.
    fn find_ready(
        &self,
        id: ConnId,
        fabric: &mut Fabric,
        ready: &mut SmallVec<[Possible; 8]>,
    ) -> bool {
        let Some(connection) = self.connections.get(id) else {
            return false;
        };
        let Some((wire, end)) = connection.wire else {
            return false;
        };
        let (interest, before) = (connection.interest, ready.len());
        let sight = fabric.network.sight(wire, end);
        let mut add = |what| {
            let what = if sight.broken { Ready::Broken } else { what };
            ready.push(Possible {
                id,
                wire,
                end,
                what,
            });
        };
        if interest.read && (sight.unread > 0 || sight.eof || sight.broken) {
            add(Ready::Read);
        }
        if interest.write {
            if sight.broken || fabric.room(wire, end) > 0 {
                add(Ready::Write);
            } else {
                fabric.network.await_room(wire, end);
            }
        }
        ready.len() > before
    }

    fn read(&mut self, id: ConnId, wire: Wire, end: End, fabric: &mut Fabric) -> Option<Input> {
        let sight = fabric.network.sight(wire, end);
        if sight.unread == 0 {
            return Some(Input::Eof);
        }
        let space = self.worker.space(id)?;
        let most = (space.capacity() - space.len()).min(sight.unread);
        let put = |bytes: &[u8]| space.extend_from_slice(bytes);
        Some(Input::Read(fabric.read(wire, end, most, put)))
    }

    fn write(&self, id: ConnId, wire: Wire, end: End, fabric: &mut Fabric) -> Option<Input> {
        let front = self.worker.outbox(id)?.front();
        let most = front.len().min(fabric.room(wire, end));
        let count = if fabric.dice.coin() {
            most
        } else {
            fabric.dice.between(1, most as u64) as usize
        };
        fabric.send(wire, end, &front[..count]);
        Some(Input::Wrote(count))
    }
}
