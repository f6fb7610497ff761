//! Whether this process can use io_uring, found out with system calls of our own.
//!
//! Owns the questions to the kernel; what an answer means is in `unavailable`. glommio cannot be asked: where io_uring
//! is refused its builder panics, and where an operation is missing it ends the process (`docs/glommio.md`). So this is
//! asked before anything of glommio is built and before any listener opens.

use std::fs;
use std::io;

use io_uring::{IoUring, Probe, opcode};

use crate::unavailable::{Call, System, Unavailable};

/// glommio refuses to build an executor under this limit of locked memory, in bytes.
const MEMORY_LOCK: u64 = 512 * 1024;

/// What the driver submits, and what glommio insists on before it builds a ring.
const OPERATIONS: &[(u8, &str)] = &[
    (opcode::Nop::CODE, "IORING_OP_NOP"),
    (opcode::Readv::CODE, "IORING_OP_READV"),
    (opcode::Writev::CODE, "IORING_OP_WRITEV"),
    (opcode::Fsync::CODE, "IORING_OP_FSYNC"),
    (opcode::ReadFixed::CODE, "IORING_OP_READ_FIXED"),
    (opcode::WriteFixed::CODE, "IORING_OP_WRITE_FIXED"),
    (opcode::PollAdd::CODE, "IORING_OP_POLL_ADD"),
    (opcode::PollRemove::CODE, "IORING_OP_POLL_REMOVE"),
    (opcode::SendMsg::CODE, "IORING_OP_SENDMSG"),
    (opcode::RecvMsg::CODE, "IORING_OP_RECVMSG"),
    (opcode::Timeout::CODE, "IORING_OP_TIMEOUT"),
    (opcode::TimeoutRemove::CODE, "IORING_OP_TIMEOUT_REMOVE"),
    (opcode::Accept::CODE, "IORING_OP_ACCEPT"),
    (opcode::AsyncCancel::CODE, "IORING_OP_ASYNC_CANCEL"),
    (opcode::LinkTimeout::CODE, "IORING_OP_LINK_TIMEOUT"),
    (opcode::Connect::CODE, "IORING_OP_CONNECT"),
    (opcode::Fallocate::CODE, "IORING_OP_FALLOCATE"),
    (opcode::OpenAt::CODE, "IORING_OP_OPENAT"),
    (opcode::Close::CODE, "IORING_OP_CLOSE"),
    (opcode::Statx::CODE, "IORING_OP_STATX"),
    (opcode::Read::CODE, "IORING_OP_READ"),
    (opcode::Write::CODE, "IORING_OP_WRITE"),
    (opcode::Send::CODE, "IORING_OP_SEND"),
    (opcode::Recv::CODE, "IORING_OP_RECV"),
];

/// Finds out whether glommio and the driver would work here, and raises this process's limit of locked memory as far
/// as it may, since glommio looks at the soft limit.
///
/// A ring is made, asked and closed: its flags (`SINGLE_ISSUER` with `DEFER_TASKRUN`) exist since Linux 6.1, and with
/// them multishot accept and receive and rings of provided buffers, which have no question of their own. Then each of
/// io_uring's three system calls has been tried, because a filter may refuse one and let the others pass.
///
/// # Errors
/// The first thing that stands in the way.
pub fn probe() -> Result<(), Unavailable> {
    lockable(MEMORY_LOCK)?;
    let refused =
        |call| move |error: io::Error| Unavailable::from_error(call, error, System::read());
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(2)
        .map_err(refused(Call::Setup))?;
    let mut known = Probe::new();
    let submitter = ring.submitter();
    submitter
        .register_probe(&mut known)
        .map_err(refused(Call::Register))?;
    let mut missing: Vec<_> = OPERATIONS
        .iter()
        .filter(|(code, _)| !known.is_supported(*code))
        .map(|(_, name)| *name)
        .collect();
    if !ring.params().is_feature_ext_arg() {
        missing.push("IORING_FEAT_EXT_ARG");
    }
    if !missing.is_empty() {
        let System { release, .. } = System::read();
        return Err(Unavailable::KernelTooOld { release, missing });
    }
    nothing(&mut ring).map_err(refused(Call::Enter))
}

/// Submits an operation that does nothing, and waits for it.
fn nothing(ring: &mut IoUring) -> io::Result<()> {
    let entry = opcode::Nop::new().build();
    // SAFETY: the operation refers to no memory, so none can end before it.
    #[expect(unsafe_code, reason = "the crate cannot know what an entry points to")]
    let pushed = unsafe { ring.submission().push(&entry) };
    pushed.map_err(|_| io::Error::other("a new ring has no room for one entry"))?;
    loop {
        match ring.submit_and_wait(1) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Raises the soft limit of locked memory to the hard one, and says if that is too low.
fn lockable(needed: u64) -> Result<(), Unavailable> {
    let failed = |error| Unavailable::Refused {
        call: Call::Setup,
        error,
    };
    let mut limit = limit().map_err(failed)?;
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // A refusal leaves the limit as it is, and that is what counts.
        let _ = set_limit(&limit);
        limit = self::limit().map_err(failed)?;
    }
    if limit.rlim_cur < needed {
        return Err(Unavailable::MemoryLock {
            limit: limit.rlim_cur,
            needed,
        });
    }
    Ok(())
}

#[expect(unsafe_code, reason = "std has no getrlimit")]
fn limit() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a whole `rlimit` of our own, which the call fills.
    match unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } {
        0 => Ok(limit),
        _ => Err(io::Error::last_os_error()),
    }
}

#[expect(unsafe_code, reason = "std has no setrlimit")]
fn set_limit(limit: &libc::rlimit) -> io::Result<()> {
    // SAFETY: the pointer is to a whole `rlimit`, which the call only reads.
    match unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl System {
    /// Reads what `/proc` tells. What cannot be read, as when no descriptor is left, is not known.
    fn read() -> Self {
        let read = |name| fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok();
        Self {
            release: read("osrelease").map_or_else(|| "unknown".into(), |text| text.trim().into()),
            disabled: read("io_uring_disabled").and_then(|text| text.trim().parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests;
