//! A number that stands for everything that happened in a simulation: two runs of one seed give the same one.

use std::hash::{Hash, Hasher};

use outrigger_core::decision::Record;
use outrigger_core::time::Instant;

use crate::event::{Dialler, Happening, PeerId};
use crate::network::{End, Segment, Travel, Wire};

/// Everything so far, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) const fn value(self) -> u64 {
        self.0
    }

    const fn add(&mut self, number: u64) {
        // Quick rather than strong (Fx hash): nobody chooses numbers so that they collide.
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn add_bytes(&mut self, bytes: &[u8]) {
        self.add(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.add(u64::from(*byte));
        }
    }

    /// Something is about to happen.
    pub(crate) fn happening(&mut self, at: Instant, happening: &Happening) {
        self.add(at.as_nanos());
        match happening {
            Happening::Travel(Travel::Arrive(wire, end, segment)) => {
                self.place(1, *wire, *end);
                match segment {
                    Segment::Data(bytes) => self.add_bytes(bytes),
                    Segment::Fin => self.add(2),
                    Segment::Reset => self.add(3),
                }
            }
            Happening::Travel(Travel::Room(wire, end)) => self.place(4, *wire, *end),
            Happening::Dial(dialler, _) => self.dialler(5, *dialler),
            Happening::Dialled(dialler, result) => {
                self.dialler(6, *dialler);
                self.add(u64::from(result.is_ok()));
            }
            Happening::Woken(id, nap) => {
                self.add(7 ^ *nap << 8);
                self.peer(*id);
            }
            Happening::Return(id) => {
                self.add(8);
                self.peer(*id);
            }
            Happening::Arrive(number) => self.add(9 ^ (*number as u64) << 8),
            Happening::Announced(thread) => self.add(10 ^ (*thread as u64) << 8),
            Happening::Look(thread) => self.add(11 ^ (*thread as u64) << 8),
            Happening::Published(_, thread) => self.add(12 ^ (*thread as u64) << 8),
        }
    }

    const fn place(&mut self, what: u64, wire: Wire, end: End) {
        self.add(what ^ (end as u64) << 4 ^ (wire.0 as u64) << 8);
    }

    const fn peer(&mut self, id: PeerId) {
        self.add((id.generation as u64) << 32 | id.index as u64);
    }

    fn dialler(&mut self, what: u64, dialler: Dialler) {
        match dialler {
            Dialler::Peer(id) => {
                self.add(what);
                self.peer(id);
            }
            Dialler::Thread(thread, id) => {
                self.add(what ^ (thread as u64) << 8);
                id.hash(self);
            }
        }
    }

    /// A request ended.
    pub(crate) fn record(&mut self, record: &Record) {
        self.add(record.entropy.0);
        self.add(record.began.as_nanos());
        self.add(record.ended.as_nanos());
        self.add(u64::from(record.status));
        self.add(record.bytes_sent);
        for attempt in &record.attempts {
            self.add(u64::from(attempt.endpoint));
            self.add(attempt.began.as_nanos());
        }
    }
}

/// For names whose parts are nobody's business.
impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.add_bytes(bytes);
    }

    fn finish(&self) -> u64 {
        self.value()
    }
}
