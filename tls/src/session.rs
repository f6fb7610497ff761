//! One protected connection: plaintext in and out on one side, records on the other, and the stream beneath.
//!
//! A write is over when its records have left, not when they are made: whoever is told that something was written may close.
//! What is read from the stream is read into memory that all connections of the thread share; a connection holds only what is
//! not whole yet.

use std::io::{self, BufRead as _, IoSlice, Write};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use outrigger_core::outbox::Outbox;
use outrigger_core::peer::TlsFault;
use outrigger_runtime::Stream;
use rustls::Connection;

use crate::fault;
use crate::scratch::Scratch;

/// Plaintext that is made records of at a time.
const MOST: usize = 64 * 1024;

/// Pieces of plaintext that become one record.
const PIECES: usize = 16;

/// A protected connection.
pub(crate) struct Session<T: Stream> {
    /// Gone once it was reset.
    stream: Option<T>,
    connection: Connection,
    scratch: Rc<Scratch>,
    /// Records that have come and were not understood yet, because there was no room for what is in them.
    unread: BytesMut,
    /// Records on their way out.
    out: Outbox,
    /// How much plaintext is in them that was not told to be written.
    pending: usize,
    /// Plaintext that waits in the connection.
    plaintext: usize,
    /// The stream had no more than was read last.
    is_pausing: bool,
    /// The peer has said that it will send no more.
    is_over: bool,
    /// Nothing more will be said: it was said that there is nothing, or something broke.
    is_mute: bool,
}

impl<T: Stream> Session<T> {
    pub(crate) fn new(stream: T, connection: Connection, scratch: Rc<Scratch>) -> Self {
        Self {
            stream: Some(stream),
            connection,
            scratch,
            unread: BytesMut::new(),
            out: Outbox::default(),
            pending: 0,
            plaintext: 0,
            is_pausing: false,
            is_over: false,
            is_mute: false,
        }
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) const fn stream(&self) -> Option<&T> {
        self.stream.as_ref()
    }

    /// Ready when the handshake is over, and all of it has left.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsFault>> {
        loop {
            self.make_records();
            ready!(self.poll_flush(cx)).map_err(|_| fault::ended())?;
            if !self.connection.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.poll_fill(cx)) {
                Ok(true) => {}
                Ok(false) => return Poll::Ready(Err(fault::ended())),
                Err(Failed::Io) => return Poll::Ready(Err(fault::ended())),
                Err(Failed::Tls(error)) => {
                    self.say_last_words();
                    return Poll::Ready(Err(fault::of(&error)));
                }
            }
        }
    }

    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_more() {
            return Poll::Ready(Ok(()));
        }
        match &self.stream {
            Some(stream) => stream.poll_readable(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Something can be read without asking the stream.
    pub(crate) fn has_more(&self) -> bool {
        self.plaintext > 0 || !self.unread.is_empty() || self.is_over
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        space: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let before = space.len();
        loop {
            self.take_plaintext(space);
            let count = space.len() - before;
            let is_full = space.len() == space.capacity();
            if is_full || count > 0 && self.unread.is_empty() {
                return Poll::Ready(Ok(count));
            }
            if self.is_over {
                return Poll::Ready(Ok(count));
            }
            let filled = match self.unread.is_empty() {
                true => ready!(self.poll_fill(cx)),
                false => self.understand().map(|()| true),
            };
            // What a peer asks for in records of its own (new keys) is answered.
            self.make_records();
            if !self.out.is_empty() && self.pending == 0 {
                let _ = self.poll_flush(cx);
            }
            match filled {
                Ok(true) => {}
                Ok(false) if self.is_over => {}
                // Who just ends may have been cut off by somebody else (RFC 8446 §6.1).
                Ok(false) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Err(Failed::Io) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Err(Failed::Tls(_)) => {
                    self.say_last_words();
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
            }
        }
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        outbox: &Outbox,
    ) -> Poll<io::Result<usize>> {
        if self.is_mute {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.pending == 0 {
            self.protect(outbox)?;
        }
        ready!(self.poll_flush(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut self.pending)))
    }

    /// Makes records of the first bytes of an outbox.
    fn protect(&mut self, outbox: &Outbox) -> io::Result<()> {
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let mut left = MOST;
        let mut count = 0;
        for (slot, piece) in pieces.iter_mut().zip(outbox.pieces()) {
            let part = &piece[..piece.len().min(left)];
            left -= part.len();
            *slot = IoSlice::new(part);
            count += 1;
            if left == 0 {
                break;
            }
        }
        let taken = self.connection.writer().write_vectored(&pieces[..count])?;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.pending = taken;
        self.make_records();
        Ok(())
    }

    /// Moves what the connection has to say into the box.
    fn make_records(&mut self) {
        let Self {
            connection,
            out,
            scratch,
            ..
        } = self;
        if !connection.wants_write() {
            return;
        }
        if !out.has_block() {
            out.give_block(scratch.take());
        }
        while connection.wants_write() {
            // Writing into memory does not fail.
            if connection.write_tls(&mut Append(out)).is_err() {
                break;
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        while !self.out.is_empty() {
            match ready!(stream.poll_write(cx, &self.out)) {
                Ok(count) => self.out.advance(count),
                Err(error) => {
                    self.is_mute = true;
                    return Poll::Ready(Err(error));
                }
            }
        }
        if let Some(block) = self.out.take_block() {
            self.scratch.give(block);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads records, and understands them as far as there is room. `false` is the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Failed>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(false));
        };
        let mut read = self.scratch.take();
        match stream.poll_read(cx, &mut read) {
            Poll::Pending => {
                self.scratch.give(read);
                Poll::Pending
            }
            Poll::Ready(Ok(0)) => {
                self.scratch.give(read);
                Poll::Ready(Ok(false))
            }
            Poll::Ready(Ok(_)) => {
                self.is_pausing = read.len() < read.capacity();
                self.unread = read;
                Poll::Ready(self.understand().map(|()| true))
            }
            Poll::Ready(Err(_)) => {
                self.scratch.give(read);
                self.is_mute = true;
                Poll::Ready(Err(Failed::Io))
            }
        }
    }

    /// Understands records that have come, until there is plaintext or nothing is left.
    fn understand(&mut self) -> Result<(), Failed> {
        while !self.unread.is_empty() && self.plaintext == 0 && !self.is_over {
            let mut rest = &self.unread[..];
            let taken = self.connection.read_tls(&mut rest);
            let left = rest.len();
            let count = taken.map_err(|_| Failed::Io)?;
            if count == 0 && left > 0 {
                return Err(Failed::Io);
            }
            self.unread.advance(count);
            let state = self.connection.process_new_packets();
            let state = state.map_err(Failed::Tls)?;
            self.plaintext = state.plaintext_bytes_to_read();
            self.is_over = state.peer_has_closed();
        }
        if self.unread.is_empty() || self.is_over && self.plaintext == 0 {
            self.scratch.give(std::mem::take(&mut self.unread));
            // The library keeps room for the longest record that it has seen until it is asked to read. Here it is, with nothing
            // to read, unless more is coming.
            if self.is_pausing {
                let _ = self.connection.read_tls(&mut Nothing);
            }
        }
        Ok(())
    }

    /// Moves plaintext into the spare room of `space`.
    fn take_plaintext(&mut self, space: &mut BytesMut) {
        while self.plaintext > 0 {
            let room = space.capacity() - space.len();
            let mut reader = self.connection.reader();
            let Ok(chunk) = reader.fill_buf() else { break };
            let count = chunk.len().min(room);
            if count == 0 {
                break;
            }
            space.extend_from_slice(&chunk[..count]);
            reader.consume(count);
            self.plaintext -= count;
        }
    }

    pub(crate) fn has_unread(&self) -> bool {
        self.has_more() || self.stream.as_ref().is_some_and(Stream::has_unread)
    }

    /// Says that nothing more will be said.
    pub(crate) fn shutdown_write(&mut self) {
        self.say_goodbye();
        if let Some(stream) = &mut self.stream {
            stream.shutdown_write();
        }
    }

    /// Closes with a reset.
    pub(crate) fn reset(mut self) {
        self.is_mute = true;
        if let Some(stream) = self.stream.take() {
            stream.reset();
        }
    }

    /// What the library has to say of an error (RFC 8446 §6.2), as well as possible.
    fn say_last_words(&mut self) {
        self.say_the_rest();
        if let Some(stream) = &mut self.stream {
            stream.shutdown_write();
        }
    }

    fn say_goodbye(&mut self) {
        if self.is_mute {
            return;
        }
        self.connection.send_close_notify();
        self.say_the_rest();
    }

    /// Nobody will wait for it: what the stream does not take now is not said.
    fn say_the_rest(&mut self) {
        self.make_records();
        if let Some(stream) = &mut self.stream
            && !self.out.is_empty()
        {
            stream.say_last(&mut self.out);
        }
        self.is_mute = true;
    }
}

/// Closing says so before, unless something was wrong.
impl<T: Stream> Drop for Session<T> {
    fn drop(&mut self) {
        if self.stream.is_some() && !self.connection.is_handshaking() {
            self.say_goodbye();
        }
    }
}

/// Has nothing to read now.
struct Nothing;

impl io::Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// Why nothing more is understood.
enum Failed {
    /// The stream is broken.
    Io,
    /// What came is not what may come.
    Tls(rustls::Error),
}

/// Appends what is written to a box.
struct Append<'a>(&'a mut Outbox);

impl Write for Append<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.put(bytes);
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        pieces.iter().for_each(|piece| self.0.put(piece));
        Ok(pieces.iter().map(|piece| piece.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
