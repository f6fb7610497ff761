//! The thread that writes a recording. It may wait for the disk; nobody waits for it.

use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::{Inner, RecordingEnd, empty_block, lock};
use crate::file::{HEADER, SEGMENT_HEAD, put_segment};

/// A block that is not full is written after this long, so that a crash loses no more.
const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// Writes blocks until the recording ends, or the file takes no more.
pub(super) fn write_all(
    inner: &Inner,
    blocks: &Receiver<Vec<u8>>,
    mut file: Box<dyn Write + Send>,
) {
    if let Err(error) = try_write_all(inner, blocks, &mut *file) {
        inner.is_on.store(false, Ordering::Relaxed);
        let is_news = lock(&inner.state).queue.take().is_some();
        if is_news {
            let reason = RecordingEnd::Failed(error.to_string());
            (inner.on_end)(reason);
        }
    }
}

fn try_write_all(
    inner: &Inner,
    blocks: &Receiver<Vec<u8>>,
    file: &mut dyn Write,
) -> io::Result<()> {
    file.write_all(&HEADER)?;
    loop {
        match blocks.recv_timeout(FLUSH_AFTER) {
            Ok(block) => write(block, file)?,
            Err(RecvTimeoutError::Timeout) => {
                // Blocks are queued by whoever has the turn, so nothing can come between these and the one begun.
                let mut state = lock(&inner.state);
                let mut waiting: Vec<_> = blocks.try_iter().collect();
                let has_begun = state.block.len() > SEGMENT_HEAD;
                // Once it has ended, the block that is left is the last one, and its turn comes below.
                if has_begun && state.queue.is_some() {
                    let begun = std::mem::replace(&mut state.block, empty_block());
                    state.handed_over += begun.len() as u64;
                    waiting.push(begun);
                }
                drop(state);
                waiting.into_iter().try_for_each(|b| write(b, file))?;
                file.flush()?;
            }
            Err(RecvTimeoutError::Disconnected) => {
                let last = std::mem::take(&mut lock(&inner.state).block);
                write(last, file)?;
                return file.flush();
            }
        }
    }
}

fn write(mut block: Vec<u8>, file: &mut dyn Write) -> io::Result<()> {
    if block.len() <= SEGMENT_HEAD {
        return Ok(());
    }
    put_segment(&mut block);
    file.write_all(&block)
}
