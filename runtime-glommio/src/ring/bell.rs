//! By which other threads reach a worker: an event descriptor that the worker's ring reads.
//!
//! glommio has a way of its own, and serves it only when its executor parks, which ours never does.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

/// Rung from any thread.
#[derive(Debug)]
pub(super) struct Bell {
    fd: OwnedFd,
    /// Rung since it was last heard: one write is enough.
    is_ringing: AtomicBool,
}

#[expect(unsafe_code, reason = "std has no event descriptors")]
impl Bell {
    pub(super) fn new() -> io::Result<Arc<Self>> {
        // SAFETY: no memory is involved.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Arc::new(Self {
            // SAFETY: the descriptor is new and nobody else's.
            fd: unsafe { OwnedFd::from_raw_fd(fd) },
            is_ringing: AtomicBool::new(false),
        }))
    }

    pub(super) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// What happened before the bell rang can be seen after this.
    pub(super) fn on_heard(&self) {
        self.is_ringing.swap(false, Ordering::AcqRel);
    }

    fn ring(&self) {
        if self.is_ringing.swap(true, Ordering::AcqRel) {
            return;
        }
        let one = 1_u64.to_ne_bytes();
        // SAFETY: eight bytes of our own are read. It cannot block: that takes 2^64 writes that were not read.
        let _ = unsafe { libc::write(self.fd(), one.as_ptr().cast(), one.len()) };
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
