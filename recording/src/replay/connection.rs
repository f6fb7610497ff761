//! A connection that is replayed: its exchange, what it waits for, and what it has just said.

use std::collections::VecDeque;

use outrigger_core::exchange::{Ambient, Exchange, Input, Interest, Output, Side};
use outrigger_core::time::Instant;
use outrigger_core::worker::Worker;

use super::difference::{Stop, What};
use crate::decided::differences;
use crate::frame::Came;
use crate::input_bytes::Bytes;
use crate::said::{Said, Saying, put_output};

pub(super) struct Connection {
    worker: u32,
    exchange: Exchange,
    now: Instant,
    /// `None` once it is over.
    interest: Option<Interest>,
    /// It was told to take a kept connection, and waits to hear how that went.
    reuses: bool,
    /// What it said last, and whether that was compared.
    said: Vec<u8>,
    is_compared: bool,
    /// Requests that ended in it.
    ended: u64,
    copies: VecDeque<Exchange>,
}

impl Connection {
    pub(super) fn new(worker: u32, exchange: Exchange, now: Instant) -> Self {
        let mut connection = Self {
            worker,
            exchange,
            now,
            interest: None,
            reuses: false,
            said: Vec::new(),
            is_compared: false,
            ended: 0,
            copies: VecDeque::new(),
        };
        connection.drain();
        connection
    }

    pub(super) const fn worker(&self) -> u32 {
        self.worker
    }

    /// The time of its last input.
    pub(super) const fn now(&self) -> Instant {
        self.now
    }

    pub(super) const fn is_copy(&self) -> bool {
        self.exchange.is_mirror()
    }

    /// A copy of its request that was not taken yet.
    pub(super) fn take_copy(&mut self) -> Option<Exchange> {
        self.copies.pop_front()
    }

    /// Gives the exchange an input. Returns how many bytes came with it.
    pub(super) fn feed(
        &mut self,
        offset: u64,
        came: &Came<'_>,
        worker: &mut Worker,
    ) -> Result<u64, Stop> {
        if !self.is_compared {
            return Err(Stop::damaged(offset, "an input follows before an answer"));
        }
        self.now = came.now;
        let changed = |what| Stop::changed(offset, came.connection, came.now, what);
        if !self.waits_for(came.input) {
            return Err(changed(What::NotAwaited(came.input)));
        }
        let count = match (came.input, &came.bytes) {
            (Input::Read(side, count), Bytes::Read(bytes)) if count == bytes.len() => {
                let space = self.exchange.space(side, worker);
                space.extend_from_slice(bytes);
                count
            }
            (Input::Read(side, count), Bytes::Thinned(bytes)) if bytes.length() == Some(count) => {
                bytes.fill(self.exchange.space(side, worker));
                count
            }
            (Input::Wrote(side, count), Bytes::Written(_)) => {
                let written = Bytes::of_written(self.exchange.outbox(side), count);
                if written != came.bytes {
                    return Err(changed(What::Written { side, count }));
                }
                count
            }
            (Input::Read(..) | Input::Wrote(..), _) => {
                return Err(Stop::damaged(
                    offset,
                    "an input has other bytes than it says",
                ));
            }
            (_, _) => 0,
        };
        let ambient = Ambient {
            now: came.now,
            entropy: came.entropy,
        };
        // A deadline or a drain may be told before it is known how the reuse went.
        if matches!(came.input, Input::Connected | Input::Stale) {
            self.reuses = false;
        }
        self.exchange.handle_input(came.input, ambient, worker);
        self.drain();
        Ok(count as u64)
    }

    /// Compares what it said last with what it had said. Returns how many requests ended in it.
    pub(super) fn compare(&mut self, recorded: &[u8]) -> Result<u64, What> {
        self.is_compared = true;
        if self.said == recorded {
            return Ok(self.ended);
        }
        let mut now = Said::read(&self.said);
        for recorded in Said::read(recorded) {
            let Some(recorded) = recorded else {
                return Err(What::Unreadable);
            };
            match (recorded, now.next().flatten()) {
                (Saying::Output(recorded), Some(Saying::Output(now))) if recorded == now => {}
                (Saying::Ended(recorded), Some(Saying::Ended(now))) => {
                    let fields = differences(&recorded, &now);
                    if !fields.is_empty() {
                        return Err(What::Decision {
                            fields,
                            story: self.exchange.record().story().to_string(),
                        });
                    }
                }
                (recorded, now) => {
                    return Err(What::Said {
                        recorded: Some(recorded),
                        now,
                    });
                }
            }
        }
        Err(What::Said {
            recorded: None,
            now: now.next().flatten(),
        })
    }

    fn drain(&mut self) {
        self.said.clear();
        self.is_compared = false;
        self.ended = 0;
        loop {
            let output = self.exchange.poll_output();
            put_output(&output, self.exchange.record(), &mut self.said);
            match output {
                Output::Wait(interest) => {
                    self.interest = Some(interest);
                    return;
                }
                Output::Done => {
                    self.interest = None;
                    return;
                }
                Output::Mirror => self.copies.extend(self.exchange.take_mirror()),
                Output::Reuse(_) => self.reuses = true,
                Output::Ended => self.ended += 1,
                Output::Connect(_)
                | Output::Keep(_)
                | Output::SetAside
                | Output::TakeBack
                | Output::Discard(_)
                | Output::Wake(_)
                | Output::Announce
                | Output::Close(_)
                | Output::Reset
                | Output::ShutdownWrite(_) => {}
            }
        }
    }

    /// Whether a runtime could give it this input now.
    fn waits_for(&self, input: Input) -> bool {
        let Some(interest) = &self.interest else {
            return false;
        };
        let reads = |side| match side {
            Side::Downstream => interest.read_downstream,
            Side::Upstream => interest.read_upstream,
            Side::Aside => interest.read_aside,
        };
        let writes = |side| match side {
            Side::Downstream => interest.write_downstream,
            Side::Upstream => interest.write_upstream,
            Side::Aside => interest.write_aside,
        };
        match input {
            Input::Read(side, count) => reads(side) && count > 0,
            Input::Eof(side) => reads(side),
            Input::Broken(side) => reads(side) || writes(side),
            Input::Wrote(side, count) => {
                writes(side) && count > 0 && count <= self.exchange.outbox(side).len()
            }
            Input::WriteFailed(side) => writes(side),
            Input::Connected => interest.connect || self.reuses,
            Input::ConnectFailed(_) => interest.connect,
            Input::Stale => self.reuses,
            Input::Woken => interest.woken.is_some(),
            Input::Deadline => interest.deadline.is_some(),
            Input::Drain => true,
        }
    }
}
