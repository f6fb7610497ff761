//! Why io_uring cannot be used here, in words that say whose decision it was and what would change it.
//!
//! Owns how a refused system call is read: a pure function over the call, its error and what else is known of the
//! system. Making the calls is left to `probe`, and what to run instead to the program.

use std::fmt;
use std::io;

/// The system call that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `io_uring_setup`
    Setup,
    /// `io_uring_register`
    Register,
    /// `io_uring_enter`
    Enter,
}

/// Why io_uring cannot be used. `Display` says the cause and the remedy in one sentence each.
#[derive(Debug)]
pub enum Unavailable {
    /// The kernel does not know what the driver needs.
    KernelTooOld {
        /// As `uname -r` prints it.
        release: String,
        /// What it lacks, in the words of io_uring's manual pages.
        missing: Vec<&'static str>,
    },
    /// The sysctl `kernel.io_uring_disabled` is 2: nobody may use it.
    Disabled,
    /// The sysctl `kernel.io_uring_disabled` is 1, and this process is not among those that still may.
    Restricted,
    /// The call is refused although the sysctl allows it, as seccomp profiles do: Docker's and containerd's are among
    /// them.
    Filtered {
        /// The call.
        call: Call,
        /// What it answered.
        error: io::Error,
    },
    /// Less memory may be locked than glommio accepts.
    MemoryLock {
        /// The hard limit of this process in bytes (`RLIMIT_MEMLOCK`).
        limit: u64,
        /// What is needed, in bytes.
        needed: u64,
    },
    /// No file descriptor or no memory is left for a ring.
    Exhausted {
        /// The call.
        call: Call,
        /// What it answered.
        error: io::Error,
    },
    /// A refusal that none of the above explains.
    Refused {
        /// The call.
        call: Call,
        /// What it answered.
        error: io::Error,
    },
}

/// What is known of the system besides the error.
#[derive(Clone, Debug)]
pub(crate) struct System {
    /// As `uname -r` prints it.
    pub(crate) release: String,
    /// `/proc/sys/kernel/io_uring_disabled`, where the kernel has it (6.6 and later) and it can be read.
    pub(crate) disabled: Option<u8>,
}

impl Unavailable {
    /// Reads the error of a call.
    pub(crate) fn from_error(call: Call, error: io::Error, system: System) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES | libc::ENOSYS) => match system.disabled {
                Some(2) => Self::Disabled,
                Some(1) => Self::Restricted,
                _ => Self::Filtered { call, error },
            },
            // What a kernel answers to flags that it does not know.
            Some(libc::EINVAL) => Self::KernelTooOld {
                release: system.release,
                missing: vec![match call {
                    Call::Setup => "IORING_SETUP_SINGLE_ISSUER and IORING_SETUP_DEFER_TASKRUN",
                    Call::Register => "IORING_REGISTER_PROBE",
                    Call::Enter => "IORING_ENTER_GETEVENTS",
                }],
            },
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EAGAIN) => {
                Self::Exhausted { call, error }
            }
            _ => Self::Refused { call, error },
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setup => "io_uring_setup",
            Self::Register => "io_uring_register",
            Self::Enter => "io_uring_enter",
        })
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("io_uring cannot be used: ")?;
        match self {
            Self::KernelTooOld { release, missing } => write!(
                f,
                "kernel {release} does not have {}. Linux 6.1 or later has",
                missing.join(", ")
            ),
            Self::Disabled => f.write_str(
                "this machine forbids it to everybody (sysctl kernel.io_uring_disabled is 2). \
                 Its administrator can allow it with `sysctl kernel.io_uring_disabled=0`",
            ),
            Self::Restricted => f.write_str(
                "this machine forbids it to unprivileged processes (sysctl kernel.io_uring_disabled is 1). \
                 Its administrator can allow it with `sysctl kernel.io_uring_disabled=0`, or to the group that \
                 kernel.io_uring_group names, of which this process must be a member",
            ),
            Self::Filtered { call, error } => write!(
                f,
                "{call} is refused ({error}), most likely by a seccomp profile; the default profiles of Docker and \
                 containerd do that. Run the container with a profile that allows io_uring_setup, io_uring_enter and \
                 io_uring_register (Kubernetes: securityContext.seccompProfile of type Localhost)"
            ),
            Self::MemoryLock { limit, needed } => write!(
                f,
                "this process may lock {} KiB of memory, and {} KiB are needed. Raise the limit (`ulimit -l {1}`, \
                 systemd: LimitMEMLOCK, Docker: --ulimit memlock)",
                limit / 1024,
                needed / 1024
            ),
            Self::Exhausted { call, error } => write!(
                f,
                "{call} failed for lack of descriptors or memory ({error}). Raise the limit of open files (`ulimit \
                 -n`) or the memory of this process"
            ),
            Self::Refused { call, error } => {
                write!(f, "{call} failed ({error}), for no reason that is known here")
            }
        }
    }
}

impl std::error::Error for Unavailable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Filtered { error, .. }
            | Self::Exhausted { error, .. }
            | Self::Refused { error, .. } => Some(error),
            Self::KernelTooOld { .. }
            | Self::Disabled
            | Self::Restricted
            | Self::MemoryLock { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
