//! A peer on a real connection.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use ::tokio::net::TcpStream;
use ::tokio::sync::broadcast;
use ::tokio::time::{Sleep, sleep};
use outrigger_core::time::Instant;
use outrigger_sim::{Action, Event, Peer};
use socket2::SockRef;

/// Plays a peer until nobody gives signals any more. Without a stream it is told that it was refused.
pub(super) async fn play_peer(
    peer: &mut dyn Peer,
    stream: Option<TcpStream>,
    sender: broadcast::Sender<String>,
    mut receiver: broadcast::Receiver<String>,
) {
    let first = if stream.is_some() {
        Event::Opened
    } else {
        Event::Refused
    };
    let mut seat = Seat {
        stream,
        sender,
        outgoing: VecDeque::new(),
        nap: None,
        eof: false,
    };
    seat.tell(peer, first);
    loop {
        let reads = !seat.eof && peer.is_reading();
        let writes = !seat.outgoing.is_empty();
        let ready = async {
            match &seat.stream {
                None => std::future::pending().await,
                Some(stream) => ::tokio::select! {
                    result = stream.readable(), if reads => (result, true),
                    result = stream.writable(), if writes => (result, false),
                    else => std::future::pending().await,
                },
            }
        };
        let napping = seat.nap.is_some();
        ::tokio::select! {
            (_, to_read) = ready => {
                if to_read {
                    seat.read(peer);
                } else if seat.flush().is_err() {
                    seat.broken(peer);
                }
            }
            name = receiver.recv() => match name {
                Ok(name) => seat.tell(peer, Event::Signal(&name)),
                Err(_) => return,
            },
            () = nap(&mut seat.nap), if napping => {
                seat.nap = None;
                seat.tell(peer, Event::Woken);
            }
        }
    }
}

async fn nap(nap: &mut Option<std::pin::Pin<Box<Sleep>>>) {
    match nap {
        Some(nap) => nap.await,
        None => std::future::pending().await,
    }
}

struct Seat {
    stream: Option<TcpStream>,
    sender: broadcast::Sender<String>,
    outgoing: VecDeque<Action>,
    nap: Option<std::pin::Pin<Box<Sleep>>>,
    eof: bool,
}

impl Seat {
    fn tell(&mut self, peer: &mut dyn Peer, event: Event<'_>) {
        let mut actions = Vec::new();
        // Scripts never look at the time.
        peer.on_event(event, Instant::ZERO, &mut actions);
        for action in actions {
            match action {
                // Somebody always listens: the play itself.
                Action::Signal(name) => drop(self.sender.send(name)),
                Action::Sleep(time) => self.nap = Some(Box::pin(sleep(time))),
                Action::Send(_) | Action::Shutdown | Action::Close | Action::Reset => {
                    self.outgoing.push_back(action);
                }
            }
        }
        if self.flush().is_err() {
            self.broken(peer);
        }
    }

    fn broken(&mut self, peer: &mut dyn Peer) {
        // What arrived before the end is still to be seen.
        self.outgoing.clear();
        if self.stream.is_some() && !self.eof {
            return self.read(peer);
        }
        if self.stream.take().is_some() {
            self.tell(peer, Event::Broken);
        }
    }

    fn read(&mut self, peer: &mut dyn Peer) {
        let mut buffer = [0; 16 * 1024];
        let Some(stream) = &self.stream else {
            return;
        };
        match stream.try_read(&mut buffer) {
            Ok(0) => {
                self.eof = true;
                self.tell(peer, Event::Eof);
            }
            Ok(count) => self.tell(peer, Event::Bytes(&buffer[..count])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => {
                self.stream = None;
                self.tell(peer, Event::Broken);
            }
        }
    }

    /// Does what the peer wants to do, as far as the socket takes it.
    fn flush(&mut self) -> io::Result<()> {
        while let (Some(stream), Some(action)) = (&self.stream, self.outgoing.pop_front()) {
            match action {
                Action::Send(bytes) => match stream.try_write(&bytes) {
                    Ok(count) if count == bytes.len() => {}
                    Ok(count) => {
                        self.outgoing
                            .push_front(Action::Send(bytes[count..].to_vec()));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.outgoing.push_front(Action::Send(bytes));
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                },
                Action::Shutdown => SockRef::from(stream).shutdown(std::net::Shutdown::Write)?,
                Action::Close => self.stream = None,
                Action::Reset => {
                    SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
                    self.stream = None;
                }
                // Never queued.
                Action::Sleep(_) | Action::Signal(_) => {}
            }
        }
        if self.stream.is_none() {
            self.outgoing.clear();
        }
        Ok(())
    }
}
