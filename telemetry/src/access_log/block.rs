//! Lines of one worker for one file, on their way to its thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use super::room::{Room, Share};

/// A block this long is handed over at once.
const BLOCK: usize = 32 * 1024;

/// What the thread of a file is told.
#[derive(Debug)]
pub(super) enum Told {
    /// Lines to write.
    Lines(Block),
    /// To look whether the file is to be opened again.
    Look,
}

/// Some lines.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
}

impl Block {
    /// What it takes in memory, its place in the queue included, and its lines.
    pub(super) fn share(&self) -> Share {
        Share {
            bytes: (self.bytes.capacity() + size_of::<Told>()) as u64,
            lines: self.lines,
        }
    }
}

/// One worker's end of one file.
#[derive(Debug)]
pub(super) struct LogBuffer {
    queue: Sender<Told>,
    room: Arc<Room>,
    dropped: Arc<AtomicU64>,
    block: Block,
}

impl LogBuffer {
    pub(super) fn new(queue: Sender<Told>, room: Arc<Room>, dropped: Arc<AtomicU64>) -> Self {
        Self {
            queue,
            room,
            dropped,
            block: Block::default(),
        }
    }

    /// Adds a line; whether something waits to be handed over.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        write(&mut self.block.bytes);
        self.block.lines += 1;
        if self.block.bytes.len() >= BLOCK {
            self.hand_over();
            return false;
        }
        true
    }

    /// Hands over what there is.
    pub(super) fn hand_over(&mut self) {
        if self.block.lines == 0 {
            return;
        }
        let block = std::mem::take(&mut self.block);
        let (share, lines) = (block.share(), block.lines);
        // The thread of a file goes after all who tell it something.
        if !self.room.enter(share) || self.queue.send(Told::Lines(block)).is_err() {
            self.dropped.fetch_add(lines, Ordering::Relaxed);
        }
    }
}
