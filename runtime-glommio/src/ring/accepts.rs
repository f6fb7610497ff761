//! A listening socket, and the clients that the kernel has accepted for it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd};
use std::task::Waker;

use outrigger_runtime::UNIX_CLIENT;
use socket2::{SockAddr, SockRef, Socket};

use super::queue::error;

/// One listener.
#[derive(Debug)]
pub(super) struct Accepts {
    pub(super) fd: Socket,
    pub(super) is_armed: bool,
    /// The kernel has been told to accept no more.
    pub(super) is_stopping: bool,
    pub(super) is_dropped: bool,
    pub(super) waker: Option<Waker>,
    accepted: VecDeque<OwnedFd>,
    /// Why accepting ended.
    failed: Option<i32>,
}

impl Accepts {
    /// # Errors
    /// The system refuses to let the socket block.
    pub(super) fn new(fd: Socket) -> io::Result<Self> {
        // An operation on a socket that does not block fails where it should wait.
        fd.set_nonblocking(false)?;
        Ok(Self {
            fd,
            is_armed: false,
            is_stopping: false,
            is_dropped: false,
            waker: None,
            accepted: VecDeque::new(),
            failed: None,
        })
    }

    #[expect(unsafe_code, reason = "a completion says a descriptor by its number")]
    pub(super) fn on_accept(&mut self, result: i32) {
        if result < 0 {
            self.failed = Some(result).filter(|_| -result != libc::ECANCELED);
            return;
        }
        // SAFETY: the kernel has opened this descriptor for us, and says so once.
        let fd = unsafe { OwnedFd::from_raw_fd(result) };
        if !self.is_dropped {
            self.accepted.push_back(fd);
        }
    }

    /// The next client that has been accepted, or why there is none; `None` when there is nothing yet.
    pub(super) fn next(&mut self) -> Option<io::Result<(OwnedFd, SocketAddr)>> {
        match self.accepted.pop_front() {
            Some(fd) => Some(with_address(fd)),
            None => self.failed.take().map(|failed| Err(error(failed))),
        }
    }

    /// The next client, asked for at once.
    pub(super) fn try_next(&mut self) -> Option<(OwnedFd, SocketAddr)> {
        while let Some(next) = self.next() {
            if let Ok(accepted) = next {
                return Some(accepted);
            }
        }
        self.fd.set_nonblocking(true).ok()?;
        loop {
            match self.fd.accept() {
                Ok((stream, remote)) => return Some((stream.into(), address(&remote)?)),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => return None,
            }
        }
    }
}

/// The address of whoever is there; of a Unix socket it is this machine's.
pub(super) fn address(of: &SockAddr) -> Option<SocketAddr> {
    match of.is_unix() {
        true => Some(UNIX_CLIENT),
        false => of.as_socket(),
    }
}

fn with_address(fd: OwnedFd) -> io::Result<(OwnedFd, SocketAddr)> {
    // One that has been reset since then has no peer any more.
    let remote = SockRef::from(&fd).peer_addr().ok();
    let remote = remote.as_ref().and_then(address);
    let remote = remote.ok_or(io::ErrorKind::ConnectionAborted)?;
    Ok((fd, remote))
}
