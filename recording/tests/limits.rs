//! The size that a file may have is a promise to a disk: it is kept to the byte, whenever blocks are handed over.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::io::{self, Cursor, Write};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use outrigger_recording::{End, Frame, MIN_LIMIT, Reader, Recorder};

/// A file in memory, which tells of every flush.
struct Memory(Arc<Mutex<Vec<u8>>>, Sender<()>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.1.send(());
        Ok(())
    }
}

/// The last frame of a recording that got more frames than fit, and its length in bytes. `pauses` waits after each
/// frame until it is written.
fn filled(limit: u64, pauses: bool) -> (End, u64) {
    let (flushed, is_flushed) = channel();
    let written = Arc::default();
    let file = Box::new(Memory(Arc::clone(&written), flushed));
    let recorder = Recorder::start(file, limit, |_| {}).unwrap();
    let mut number = 0;
    while let Some(mut turn) = recorder.turn() {
        turn.put(&Frame::Draining { worker: number });
        drop(turn);
        number += 1;
        if pauses {
            is_flushed.try_iter().for_each(drop);
            // An error says that it has ended.
            let _ = is_flushed.recv();
        }
    }
    recorder.finish();
    let bytes = written.lock().unwrap().clone();
    let mut reader = Reader::new(Cursor::new(&bytes)).unwrap();
    let mut last = None;
    while let Some(segment) = reader.next_segment().unwrap() {
        for frame in segment.frames() {
            if let (_, Frame::End(end)) = frame.unwrap() {
                last = Some(end);
            }
        }
    }
    (last.unwrap(), bytes.len() as u64)
}

#[test]
fn a_file_is_never_longer_than_its_limit() {
    let limits = (MIN_LIMIT..MIN_LIMIT + 40).chain([1000, 66_000, 70_000, 140_000]);
    for (limit, pauses) in limits
        .map(|limit| (limit, false))
        .chain([(90, true), (91, true)])
    {
        let (end, length) = filled(limit, pauses);
        assert_eq!(end, End::Full { limit });
        assert!(length <= limit, "{length} bytes, limit {limit}");
        // Room is left for a frame, a head and an end.
        assert!(length + 50 > limit, "{length} bytes, limit {limit}");
    }
}
