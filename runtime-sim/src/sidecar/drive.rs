//! The loop that every runtime is: perform what the worker wants, find what is ready, hand it in.
//!
//! Where a real runtime leaves a choice to the kernel (which ready connection comes first, how much one read or write
//! moves) the seed makes it.

use std::mem;

use outrigger_core::peer::{ConnId, ExchangeId};
use outrigger_core::snapshot::Address;
use outrigger_core::worker::{Input, Output};
use smallvec::SmallVec;

use super::{Connection, Sidecar};
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
}

impl Sidecar {
    /// Performs what the worker wants and feeds what is ready, until it waits.
    pub(super) fn drive(&mut self, fabric: &mut Fabric) -> Result<(), String> {
        self.is_touched = true;
        for _ in 0..MOST_INPUTS_A_ROUND {
            self.perform(fabric)?;
            let Some((id, input)) = self.next_input(fabric) else {
                self.plan(fabric);
                return Ok(());
            };
            self.worker.handle_input(id, input, fabric.now);
        }
        Err(format!(
            "sidecar {} took {MOST_INPUTS_A_ROUND} inputs in one moment",
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
                    fabric.dial(Dialler::Sidecar(self.number, id), address);
                }
                Output::Secure(id, tls, came) => self.secure(id, &tls, &came, fabric),
                Output::Close(id) => self.close(id, fabric),
                Output::Refuse(id) => self.close(id.into(), fabric),
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
        let mut ready = SmallVec::<[_; 8]>::new();
        let mut noticed = mem::take(&mut self.noticed);
        noticed.retain(|id| {
            let before = ready.len();
            ready.extend(self.ready(*id, fabric).into_iter().flatten());
            ready.len() > before
        });
        self.noticed = noticed;
        if ready.is_empty() {
            return None;
        }
        let (id, wire, end, what) = ready[fabric.dice.below(ready.len() as u64) as usize];
        if fabric.network.sight(wire, end).broken {
            return Some((id, Input::Broken));
        }
        let input = match what {
            Ready::Read => self.read(id, wire, end, fabric),
            Ready::Write => self.write(id, wire, end, fabric),
        };
        Some((id, input?))
    }

    /// What is waited for on a connection and can be done.
    fn ready(&self, id: ConnId, fabric: &mut Fabric) -> [Option<(ConnId, Wire, End, Ready)>; 2] {
        let found = self.connections.get(id);
        let Some((connection, (wire, end))) = found.and_then(|c| Some((c, c.wire?))) else {
            return [None; 2];
        };
        let sight = fabric.network.sight(wire, end);
        let reads = connection.interest.read && (sight.unread > 0 || sight.eof || sight.broken);
        let writes = connection.interest.write && (sight.broken || fabric.room(wire, end) > 0);
        if connection.interest.write && !writes {
            fabric.network.await_room(wire, end);
        }
        [
            reads.then_some((id, wire, end, Ready::Read)),
            writes.then_some((id, wire, end, Ready::Write)),
        ]
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
