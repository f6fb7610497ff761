//! Wires between two ends: latency, jitter, order, a bounded window, half-close and reset.
//!
//! Owns bytes that were written and not yet read, and nothing else: who sits at an end is the simulation's business.
//! A write is cut into segments by the seed; each segment travels on its own time but never overtakes another one.
//! The window bounds what is unread, so a slow reader stops its writer, as TCP does.

use outrigger_core::time::{Duration, Instant};

use crate::buffers::Buffers;
use crate::dice::Dice;
use crate::queue::Queue;

/// How writes are cut into segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// One write, one segment.
    Whole,
    /// Every byte by itself; a write of more than 1 KiB in about as many pieces as 1 KiB has bytes.
    Bytes,
    /// At places the seed chooses; now and then byte by byte.
    Seeded,
}

/// What a wire does to bytes.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// One way, without jitter.
    pub latency: Duration,
    /// Added to the latency, uniform from zero to this, by the seed.
    pub jitter: Duration,
    /// How writes are cut.
    pub cut: Cut,
    /// Bytes that may be unread in one direction.
    pub window: usize,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(200),
            jitter: Duration::from_micros(100),
            cut: Cut::Seeded,
            window: 64 * 1024,
        }
    }
}

/// Which wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wire(pub(crate) usize);

/// Which end of it: the one that connected, or the one that accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Dialled,
    Accepted,
}

impl End {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Dialled => Self::Accepted,
            Self::Accepted => Self::Dialled,
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Dialled => 0,
            Self::Accepted => 1,
        }
    }
}

/// What travels.
#[derive(Debug)]
pub(crate) enum Segment {
    Data(Vec<u8>),
    Fin,
    Reset,
}

/// A segment on its way, or room in a window.
#[derive(Debug)]
pub(crate) enum Travel {
    Arrive(Wire, End, Segment),
    Room(Wire, End),
}

/// What an end can see of its wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Bytes to read.
    pub(crate) unread: usize,
    /// All was read and the other end will send no more.
    pub(crate) eof: bool,
    /// All was read and the wire is broken.
    pub(crate) broken: bool,
}

/// One end: what arrived here, and what this end has done.
#[derive(Debug, Default)]
struct Side {
    inbox: Vec<u8>,
    /// Bytes on their way to this end.
    travelling: usize,
    /// Segments, and words of room, on their way to this end.
    expected: u32,
    /// Nothing sent to this end arrives before this.
    not_before: Instant,
    fin_arrived: bool,
    reset_arrived: bool,
    /// This end sent its last byte.
    shut: bool,
    /// This end is gone: what arrives is answered by a reset.
    gone: bool,
    /// The other end wants to know when there is room again.
    writer_waits: bool,
}

/// All wires.
#[derive(Debug)]
pub(crate) struct Network {
    buffers: Buffers,
    wires: Vec<[Side; 2]>,
    /// Wires that both ends have left and on which nothing travels: they are used again.
    free: Vec<usize>,
}

/// What a network needs to move something: the time, chance, and where to plan arrivals.
pub(crate) struct Physics<'a, E> {
    pub(crate) now: Instant,
    pub(crate) dice: &'a mut Dice,
    pub(crate) queue: &'a mut Queue<E>,
    pub(crate) weather: Weather,
}

impl<E: From<Travel>> Physics<'_, E> {
    pub(crate) fn hop(&mut self) -> Duration {
        let jitter = u64::try_from(self.weather.jitter.as_nanos()).unwrap_or(u64::MAX - 1);
        self.weather.latency + Duration::from_nanos(self.dice.below(jitter + 1))
    }
}

impl Network {
    pub(crate) const fn new(buffers: Buffers) -> Self {
        Self {
            buffers,
            wires: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn wire(&mut self) -> Wire {
        if let Some(number) = self.free.pop() {
            self.wires[number] = Default::default();
            return Wire(number);
        }
        self.wires.push(Default::default());
        Wire(self.wires.len() - 1)
    }

    /// Forgets a wire that nobody will name again.
    fn recycle(&mut self, wire: Wire) {
        let is_over = |side: &Side| side.gone && side.expected == 0;
        if self.wires[wire.0].iter().all(is_over) {
            self.free.push(wire.0);
        }
    }

    /// This end is closed, and the other one needs no word of it: it is gone.
    pub(crate) fn abandon(&mut self, wire: Wire, end: End) {
        let side = self.side(wire, end);
        if !side.gone {
            side.gone = true;
            self.recycle(wire);
        }
    }

    fn side(&mut self, wire: Wire, end: End) -> &mut Side {
        &mut self.wires[wire.0][end.index()]
    }

    pub(crate) fn sight(&self, wire: Wire, end: End) -> Sight {
        let side = &self.wires[wire.0][end.index()];
        let empty = side.inbox.is_empty();
        Sight {
            unread: side.inbox.len(),
            eof: empty && side.fin_arrived,
            broken: empty && side.reset_arrived,
        }
    }

    /// How many bytes this end may write now. A broken wire takes everything, as a socket does once.
    pub(crate) fn room(&self, wire: Wire, end: End, weather: Weather) -> usize {
        let target = &self.wires[wire.0][end.other().index()];
        weather
            .window
            .saturating_sub(target.inbox.len() + target.travelling)
    }

    /// Asks for [`Travel::Room`] when there is room again.
    pub(crate) fn await_room(&mut self, wire: Wire, end: End) {
        self.side(wire, end.other()).writer_waits = true;
    }

    /// Sends bytes that fit the window.
    pub(crate) fn send<E: From<Travel>>(
        &mut self,
        wire: Wire,
        end: End,
        bytes: &[u8],
        physics: &mut Physics<'_, E>,
    ) {
        let size = match physics.weather.cut {
            Cut::Whole => usize::MAX,
            Cut::Bytes => 1.max(bytes.len() / 1024),
            // A long write in single bytes would only cost time.
            Cut::Seeded => {
                [1, 7, 64, 1500, usize::MAX][physics.dice.below(5) as usize].max(bytes.len() / 64)
            }
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = rest.len().min(size);
            let cut = match physics.weather.cut {
                Cut::Seeded => physics.dice.between(1, most as u64) as usize,
                Cut::Whole | Cut::Bytes => most,
            };
            let (piece, left) = rest.split_at(cut);
            let mut segment = self.buffers.take();
            segment.extend_from_slice(piece);
            self.travel(wire, end.other(), Segment::Data(segment), physics);
            rest = left;
        }
    }

    /// Sends bytes that fit the window, and takes their buffer.
    pub(crate) fn hand_over<E: From<Travel>>(
        &mut self,
        wire: Wire,
        end: End,
        bytes: Vec<u8>,
        physics: &mut Physics<'_, E>,
    ) {
        if physics.weather.cut == Cut::Whole && !bytes.is_empty() {
            return self.travel(wire, end.other(), Segment::Data(bytes), physics);
        }
        self.send(wire, end, &bytes, physics);
        self.buffers.give(bytes);
    }

    fn travel<E: From<Travel>>(
        &mut self,
        wire: Wire,
        to: End,
        segment: Segment,
        physics: &mut Physics<'_, E>,
    ) {
        let at = physics.now + physics.hop();
        let side = self.side(wire, to);
        let at = at.max(side.not_before);
        side.not_before = at;
        side.expected += 1;
        if let Segment::Data(bytes) = &segment {
            side.travelling += bytes.len();
        }
        physics
            .queue
            .push(at, Travel::Arrive(wire, to, segment).into());
    }

    /// This end sends no more.
    pub(crate) fn shut<E: From<Travel>>(
        &mut self,
        wire: Wire,
        end: End,
        physics: &mut Physics<'_, E>,
    ) {
        let side = self.side(wire, end);
        if !side.shut && !side.gone {
            side.shut = true;
            self.travel(wire, end.other(), Segment::Fin, physics);
        }
    }

    /// This end is closed. Unread bytes turn the close into a reset, as on a socket.
    pub(crate) fn close<E: From<Travel>>(
        &mut self,
        wire: Wire,
        end: End,
        physics: &mut Physics<'_, E>,
    ) {
        if self.side(wire, end).inbox.is_empty() {
            self.shut(wire, end, physics);
            self.abandon(wire, end);
        } else {
            self.reset(wire, end, physics);
        }
    }

    /// This end is closed by a reset.
    pub(crate) fn reset<E: From<Travel>>(
        &mut self,
        wire: Wire,
        end: End,
        physics: &mut Physics<'_, E>,
    ) {
        let side = self.side(wire, end);
        if side.gone {
            return;
        }
        side.shut = true;
        side.inbox.clear();
        self.travel(wire, end.other(), Segment::Reset, physics);
        self.abandon(wire, end);
    }

    /// A segment arrives; says whether the end wants to know.
    pub(crate) fn arrive<E: From<Travel>>(
        &mut self,
        wire: Wire,
        end: End,
        segment: Segment,
        physics: &mut Physics<'_, E>,
    ) -> bool {
        let side = self.side(wire, end);
        side.expected -= 1;
        match segment {
            Segment::Data(bytes) => {
                side.travelling -= bytes.len();
                if side.gone {
                    self.buffers.give(bytes);
                    // Nobody is left to be told.
                    if self.side(wire, end.other()).gone {
                        self.recycle(wire);
                    } else {
                        self.travel(wire, end.other(), Segment::Reset, physics);
                    }
                    return false;
                }
                if side.inbox.is_empty() {
                    side.inbox = bytes;
                } else {
                    side.inbox.extend_from_slice(&bytes);
                    self.buffers.give(bytes);
                }
            }
            Segment::Fin => side.fin_arrived = true,
            Segment::Reset => side.reset_arrived = true,
        }
        if self.side(wire, end).gone {
            self.recycle(wire);
            return false;
        }
        true
    }

    /// Word of room arrives; says whether the end wants to know.
    pub(crate) fn room_arrives(&mut self, wire: Wire, end: End) -> bool {
        let side = self.side(wire, end);
        side.expected -= 1;
        let wants = !side.gone;
        if !wants {
            self.recycle(wire);
        }
        wants
    }

    /// Reads up to `most` bytes to somewhere; their number.
    pub(crate) fn read<E: From<Travel>>(
        &mut self,
        wire: Wire,
        end: End,
        most: usize,
        put: impl FnOnce(&[u8]),
        physics: &mut Physics<'_, E>,
    ) -> usize {
        let side = self.side(wire, end);
        let count = most.min(side.inbox.len());
        put(&side.inbox[..count]);
        if count == side.inbox.len() {
            let inbox = std::mem::take(&mut side.inbox);
            self.buffers.give(inbox);
        } else {
            side.inbox.drain(..count);
        }
        self.tell_of_room(wire, end, count, physics);
        count
    }

    /// Takes up to `most` bytes, in a buffer that is to be given back.
    pub(crate) fn take<E: From<Travel>>(
        &mut self,
        wire: Wire,
        end: End,
        most: usize,
        physics: &mut Physics<'_, E>,
    ) -> Vec<u8> {
        if self.side(wire, end).inbox.len() > most {
            let mut bytes = self.buffers.take();
            self.read(
                wire,
                end,
                most,
                |read| bytes.extend_from_slice(read),
                physics,
            );
            return bytes;
        }
        let bytes = std::mem::take(&mut self.side(wire, end).inbox);
        self.tell_of_room(wire, end, bytes.len(), physics);
        bytes
    }

    /// So much was read: a writer who waits for room is told.
    fn tell_of_room<E: From<Travel>>(
        &mut self,
        wire: Wire,
        end: End,
        count: usize,
        physics: &mut Physics<'_, E>,
    ) {
        if count > 0 && std::mem::take(&mut self.side(wire, end).writer_waits) {
            let at = physics.now + physics.hop();
            self.side(wire, end.other()).expected += 1;
            physics
                .queue
                .push(at, Travel::Room(wire, end.other()).into());
        }
    }
}
