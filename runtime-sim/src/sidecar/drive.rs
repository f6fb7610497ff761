//! The loop that every runtime is: perform what an exchange wants, find what is ready, hand it in.
//!
//! Where a real runtime leaves a choice to the kernel (which ready side comes first, how much one read or write moves)
//! the seed makes it.

use outrigger_core::exchange::{Ambient, Input, Output, Side};

use super::{Running, Sidecar, Upstream};
use crate::event::{Dialler, ExchangeId, Happening};
use crate::fabric::Fabric;
use crate::invariants;

/// More inputs than this without waiting mean that an exchange spins.
const MOST_INPUTS_A_ROUND: usize = 1_000_000;

impl Sidecar {
    /// Feeds what is ready until the exchange waits or is over.
    pub(crate) fn advance(
        &mut self,
        number: u64,
        first: Option<Input>,
        fabric: &mut Fabric,
    ) -> Result<(), String> {
        self.is_touched = true;
        let Some(mut running) = self.running.get_mut(number).and_then(Option::take) else {
            return Ok(());
        };
        if !self.drive(number, &mut running, first, fabric)? {
            self.running.remove(number);
        } else if let Some(place) = self.running.get_mut(number) {
            *place = Some(running);
        }
        if std::mem::take(&mut self.has_kept) {
            self.plan_expiry(fabric);
        }
        Ok(())
    }

    /// `false` when the exchange is over.
    fn drive(
        &mut self,
        number: u64,
        running: &mut Running,
        first: Option<Input>,
        fabric: &mut Fabric,
    ) -> Result<bool, String> {
        let mut input = first;
        for _ in 0..MOST_INPUTS_A_ROUND {
            if let Some(input) = input.take() {
                let ambient = Ambient {
                    now: fabric.now,
                    entropy: running.entropy,
                };
                running
                    .exchange
                    .handle_input(input, ambient, &mut self.worker);
            }
            if !self.perform(number, running, fabric)? {
                return Ok(false);
            }
            input = self.next_input(running, fabric);
            if input.is_none() {
                return Ok(true);
            }
        }
        Err(format!(
            "exchange {number} took {MOST_INPUTS_A_ROUND} inputs in one moment"
        ))
    }

    /// Performs outputs up to the wait; `false` when the exchange is over.
    fn perform(
        &mut self,
        number: u64,
        running: &mut Running,
        fabric: &mut Fabric,
    ) -> Result<bool, String> {
        let id = ExchangeId {
            sidecar: self.number,
            number,
        };
        loop {
            match running.exchange.poll_output() {
                Output::Connect(address) => {
                    self.dials += 1;
                    running.upstream = Upstream::Dialling(self.dials);
                    fabric.dial(Dialler::Exchange(id, self.dials), address);
                }
                Output::Reuse(connection) => {
                    let found = self.idle.remove(connection).and_then(|(wire, end)| {
                        let sight = fabric.network.sight(wire, end);
                        if sight.unread == 0 && !sight.eof && !sight.broken {
                            fabric.own_exchange(wire, end, id);
                            return Some((wire, end));
                        }
                        fabric.disown(wire, end);
                        fabric.close(wire, end);
                        None
                    });
                    (running.upstream, running.reuse) = match found {
                        Some((wire, end)) => (Upstream::Open(wire, end), Some(Input::Connected)),
                        None => (Upstream::None, Some(Input::Stale)),
                    };
                }
                Output::Keep(connection) => {
                    if let Upstream::Open(wire, end) = running.upstream {
                        running.upstream = Upstream::None;
                        fabric.own_idle(wire, end, self.number, connection);
                        self.idle.insert(connection, (wire, end));
                        self.has_kept = true;
                    }
                }
                Output::SetAside => {
                    if let Upstream::Open(wire, end) = running.upstream {
                        running.upstream = Upstream::None;
                        running.aside = Some((wire, end));
                    }
                }
                Output::TakeBack => {
                    if let Some((wire, end)) = running.aside.take() {
                        running.upstream = Upstream::Open(wire, end);
                    }
                }
                Output::Discard(connection) => self.close_idle(connection, fabric),
                Output::Wake(waiter) if running.waits_as(waiter) => {
                    running.is_woken = true;
                    fabric.queue.push(fabric.now, Happening::Turn(id));
                }
                Output::Wake(waiter) => self.wake(waiter, fabric),
                Output::Announce => fabric
                    .queue
                    .push(fabric.now, Happening::Announced(self.number)),
                Output::Close(side) => running.close(side, fabric),
                Output::Reset => {
                    if let Some((wire, end)) = running.downstream.take() {
                        fabric.disown(wire, end);
                        fabric.reset(wire, end);
                    }
                }
                Output::ShutdownWrite(side) => {
                    if let Some((wire, end)) = running.wire(side) {
                        fabric.shut(wire, end);
                    }
                }
                Output::Mirror => {
                    if let Some(copy) = running.exchange.take_mirror() {
                        let entropy = running.entropy;
                        let id = self.begin(copy, entropy, None);
                        self.begin_copy(id.number, fabric)?;
                        fabric.queue.push(fabric.now, Happening::Turn(id));
                    }
                }
                Output::Ended => {
                    let record = running.exchange.record();
                    fabric.digest.record(record);
                    (self.records)(record);
                    invariants::judge(record)?;
                }
                Output::Wait(interest) => {
                    if running.planned.is_some_and(|planned| planned <= fabric.now) {
                        running.planned = None;
                    }
                    if let Some((at, _)) = interest.deadline {
                        let at = at.max(fabric.now);
                        // Deadlines of kept connections move on with each request: one look at a time is planned.
                        if running.planned.is_none_or(|planned| at < planned) {
                            running.planned = Some(at);
                            fabric.queue.push(at, Happening::Deadline(id));
                        }
                    }
                    if running.interest.woken != interest.woken {
                        running.is_woken = false;
                    }
                    running.interest = interest;
                    return Ok(true);
                }
                Output::Done => {
                    running.close(Side::Downstream, fabric);
                    running.close(Side::Upstream, fabric);
                    running.close(Side::Aside, fabric);
                    return Ok(false);
                }
            }
        }
    }

    /// Performs what a copy wants at first; it is driven in its own turn.
    fn begin_copy(&mut self, number: u64, fabric: &mut Fabric) -> Result<(), String> {
        let Some(mut copy) = self.running.get_mut(number).and_then(Option::take) else {
            return Ok(());
        };
        if !self.perform(number, &mut copy, fabric)? {
            self.running.remove(number);
        } else if let Some(place) = self.running.get_mut(number) {
            *place = Some(copy);
        }
        Ok(())
    }

    /// One of the inputs that are ready, by the seed; its bytes are moved.
    fn next_input(&mut self, running: &mut Running, fabric: &mut Fabric) -> Option<Input> {
        if let Some(input) = running.reuse.take() {
            return Some(input);
        }
        if std::mem::take(&mut running.drain) {
            return Some(Input::Drain);
        }
        let interest = running.interest;
        if std::mem::take(&mut running.is_woken) && interest.woken.is_some() {
            return Some(Input::Woken);
        }
        if interest.deadline.is_some_and(|(at, _)| at <= fabric.now) {
            return Some(Input::Deadline);
        }
        let mut ready: [Option<(Side, bool)>; 6] = [None; 6];
        let mut count = 0;
        for (side, read, write) in [
            (
                Side::Downstream,
                interest.read_downstream,
                interest.write_downstream,
            ),
            (
                Side::Upstream,
                interest.read_upstream,
                interest.write_upstream,
            ),
            (Side::Aside, interest.read_aside, interest.write_aside),
        ] {
            let Some((wire, end)) = running.wire(side) else {
                continue;
            };
            let sight = fabric.network.sight(wire, end);
            if read && (sight.unread > 0 || sight.eof || sight.broken) {
                ready[count] = Some((side, true));
                count += 1;
            }
            if write && !running.exchange.outbox(side).is_empty() {
                if sight.broken || fabric.room(wire, end) > 0 {
                    ready[count] = Some((side, false));
                    count += 1;
                } else {
                    fabric.network.await_room(wire, end);
                }
            }
        }
        let (side, reads) = ready[fabric.dice.below(count as u64) as usize]?;
        let (wire, end) = running.wire(side)?;
        let sight = fabric.network.sight(wire, end);
        if sight.broken {
            return Some(Input::Broken(side));
        }
        if !reads {
            let outbox = running.exchange.outbox(side);
            let front = outbox.front();
            let most = front.len().min(fabric.room(wire, end));
            let count = if fabric.dice.coin() {
                most
            } else {
                fabric.dice.between(1, most as u64) as usize
            };
            fabric.send(wire, end, &front[..count]);
            return Some(Input::Wrote(side, count));
        }
        if sight.unread == 0 {
            return Some(Input::Eof(side));
        }
        let space = running.exchange.space(side, &mut self.worker);
        let most = (space.capacity() - space.len()).min(sight.unread);
        let put = |bytes: &[u8]| space.extend_from_slice(bytes);
        Some(Input::Read(side, fabric.read(wire, end, most, put)))
    }
}
