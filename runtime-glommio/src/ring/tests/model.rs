//! Random streams under random schedules, against the plainest model: what was taken is read, in order, then the end.

use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use outrigger_core::outbox::Outbox;
use outrigger_runtime::Stream as _;
use proptest::prelude::*;

use super::super::Stream;
use super::{Rig, pattern, rig};

/// How many connections are at work at once.
const LINKS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Bytes for the outbox: copied, or kept as a piece.
    Put {
        len: usize,
        is_kept: bool,
    },
    /// The outbox is offered once.
    Write,
    /// So much room is offered for what has arrived.
    Read {
        room: usize,
    },
    Turn,
    /// Nothing more is written, the reader reads to the end, and another connection takes the place.
    HalfClose,
    /// The same, but the writer is dropped.
    DropWriter,
    /// The reader goes first.
    DropReader,
    /// Both go, with a reset.
    Reset,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let len = prop_oneof![1..100_usize, 100..6000_usize, 30_000..200_000_usize];
    let step = prop_oneof![
        6 => (len, any::<bool>()).prop_map(|(len, is_kept)| Step::Put { len, is_kept }),
        6 => Just(Step::Write),
        6 => prop_oneof![1..64_usize, 64..100_000_usize].prop_map(|room| Step::Read { room }),
        6 => Just(Step::Turn),
        1 => Just(Step::HalfClose),
        1 => Just(Step::DropWriter),
        1 => Just(Step::DropReader),
        1 => Just(Step::Reset),
    ];
    proptest::collection::vec((0..LINKS, step), 1..120)
}

struct Link {
    writer: Stream,
    reader: Stream,
    outbox: Outbox,
    put: usize,
    taken: usize,
    read: usize,
}

impl Link {
    fn new(rig: &Rig) -> Self {
        let (writer, reader) = std::os::unix::net::UnixStream::pair().unwrap();
        Self {
            writer: rig.take_over(writer),
            reader: rig.take_over(reader),
            outbox: Outbox::default(),
            put: 0,
            taken: 0,
            read: 0,
        }
    }

    fn put(&mut self, len: usize, is_kept: bool) {
        let bytes = pattern(self.put, len);
        match is_kept {
            true => self.outbox.put_bytes(Bytes::from(bytes)),
            false => self.outbox.put(&bytes),
        }
        self.put += len;
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.outbox.is_empty() {
            return Poll::Ready(());
        }
        let taken = std::task::ready!(self.writer.poll_write(cx, &self.outbox)).unwrap();
        assert!(taken > 0 && taken <= self.outbox.len());
        self.outbox.advance(taken);
        self.taken += taken;
        Poll::Ready(())
    }

    /// Ready with whether this was the end.
    fn read(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<bool> {
        let mut space = BytesMut::with_capacity(room);
        let count = std::task::ready!(self.reader.poll_read(cx, &mut space)).unwrap();
        assert_eq!(count, space.len());
        assert!(space == pattern(self.read, count), "after {}", self.read);
        self.read += count;
        assert!(self.read <= self.taken);
        Poll::Ready(count == 0)
    }
}

/// Reads to the end while the writer does what is left to do.
fn finish(rig: &mut Rig, mut link: Link, is_drop: bool) {
    let Link { taken, read, .. } = link;
    if is_drop {
        let Link { writer, reader, .. } = link;
        drop(writer);
        let mut reader = reader;
        let rest = rig.read_exact(&mut reader, taken - read);
        assert!(rest == pattern(read, rest.len()));
        assert!(rig.read(&mut reader).unwrap().is_empty());
        return;
    }
    while !link.outbox.is_empty() {
        // Whichever of the two can go on.
        rig.until(|cx| {
            let wrote = link.write(cx).is_ready();
            match link.read(cx, 50_000).is_ready() || wrote {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
    }
    link.writer.shutdown_write();
    while !rig.until(|cx| link.read(cx, 50_000)) {}
    assert_eq!((link.taken, link.read), (link.put, link.put));
}

fn run(steps: &[(usize, Step)]) {
    let Some(mut rig) = rig() else { return };
    let mut cx = Context::from_waker(Waker::noop());
    let mut links: Vec<Link> = (0..LINKS).map(|_| Link::new(&rig)).collect();
    for (at, step) in steps {
        let link = &mut links[*at];
        match *step {
            Step::Put { len, is_kept } => link.put(len, is_kept),
            Step::Write => drop(link.write(&mut cx)),
            Step::Read { room } => assert_ne!(link.read(&mut cx, room), Poll::Ready(true)),
            Step::Turn => rig.turn(),
            Step::HalfClose | Step::DropWriter => {
                let link = std::mem::replace(link, Link::new(&rig));
                finish(&mut rig, link, matches!(step, Step::DropWriter));
            }
            Step::DropReader => {
                let link = std::mem::replace(link, Link::new(&rig));
                drop(link.reader);
                drop(link.writer);
            }
            Step::Reset => {
                let link = std::mem::replace(link, Link::new(&rig));
                link.writer.reset();
                link.reader.reset();
            }
        }
    }
    for link in links {
        finish(&mut rig, link, false);
    }
    rig.at_rest();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_taken_is_read_in_order_and_then_the_end(steps in steps()) {
        run(&steps);
    }
}
