//! How refused calls are read, and what people are told. The words are part of what is tested: an error that names no
//! cause or no remedy is a fault.

use super::*;

fn system(disabled: Option<u8>) -> System {
    System {
        release: "5.15.0-91-generic".into(),
        disabled,
    }
}

#[test]
fn refusals_are_read_by_call_error_and_sysctl() {
    use Call::{Enter, Register, Setup};
    let cases: &[(Call, i32, Option<u8>, &str)] = &[
        (Setup, libc::EPERM, Some(2), "Disabled"),
        (Setup, libc::EPERM, Some(1), "Restricted"),
        (Setup, libc::EPERM, Some(0), "Filtered"),
        (Setup, libc::EPERM, None, "Filtered"),
        (Setup, libc::EACCES, Some(0), "Filtered"),
        (Setup, libc::ENOSYS, Some(0), "Filtered"),
        (Setup, libc::ENOSYS, None, "Filtered"),
        (Register, libc::EPERM, Some(0), "Filtered"),
        (Enter, libc::ENOSYS, Some(0), "Filtered"),
        (Setup, libc::EINVAL, None, "KernelTooOld"),
        // The sysctl says nothing about what the kernel can do.
        (Setup, libc::EINVAL, Some(2), "KernelTooOld"),
        (Register, libc::EINVAL, None, "KernelTooOld"),
        (Setup, libc::EMFILE, Some(0), "Exhausted"),
        (Setup, libc::ENFILE, Some(0), "Exhausted"),
        (Setup, libc::ENOMEM, Some(0), "Exhausted"),
        (Enter, libc::EAGAIN, Some(0), "Exhausted"),
        (Enter, libc::EBADF, Some(0), "Refused"),
    ];
    for &(call, errno, disabled, expected) in cases {
        let error = io::Error::from_raw_os_error(errno);
        let read = Unavailable::from_error(call, error, system(disabled));
        let read = format!("{read:?}");
        assert!(
            read.starts_with(expected),
            "{call} {errno} {disabled:?}: {read}"
        );
    }
}

#[test]
fn people_are_told_cause_and_remedy() {
    let error = || io::Error::from_raw_os_error(libc::EPERM);
    let cases: &[(Unavailable, &str)] = &[
        (
            Unavailable::from_error(
                Call::Setup,
                io::Error::from_raw_os_error(libc::EINVAL),
                system(None),
            ),
            "io_uring cannot be used: kernel 5.15.0-91-generic does not have IORING_SETUP_SINGLE_ISSUER and \
             IORING_SETUP_DEFER_TASKRUN. Linux 6.1 or later has",
        ),
        (
            Unavailable::KernelTooOld {
                release: "6.1.0".into(),
                missing: vec!["IORING_OP_SEND", "IORING_FEAT_EXT_ARG"],
            },
            "io_uring cannot be used: kernel 6.1.0 does not have IORING_OP_SEND, IORING_FEAT_EXT_ARG. Linux 6.1 or \
             later has",
        ),
        (
            Unavailable::Disabled,
            "io_uring cannot be used: this machine forbids it to everybody (sysctl kernel.io_uring_disabled is 2). \
             Its administrator can allow it with `sysctl kernel.io_uring_disabled=0`",
        ),
        (
            Unavailable::Restricted,
            "io_uring cannot be used: this machine forbids it to unprivileged processes (sysctl \
             kernel.io_uring_disabled is 1). Its administrator can allow it with `sysctl \
             kernel.io_uring_disabled=0`, or to the group that kernel.io_uring_group names, of which this process \
             must be a member",
        ),
        (
            Unavailable::Filtered {
                call: Call::Setup,
                error: error(),
            },
            "io_uring cannot be used: io_uring_setup is refused (Operation not permitted (os error 1)), most likely \
             by a seccomp profile; the default profiles of Docker and containerd do that. Run the container with a \
             profile that allows io_uring_setup, io_uring_enter and io_uring_register (Kubernetes: \
             securityContext.seccompProfile of type Localhost)",
        ),
        (
            Unavailable::MemoryLock {
                limit: 65_536,
                needed: 524_288,
            },
            "io_uring cannot be used: this process may lock 64 KiB of memory, and 512 KiB are needed. Raise the \
             limit (`ulimit -l 512`, systemd: LimitMEMLOCK, Docker: --ulimit memlock)",
        ),
        (
            Unavailable::Exhausted {
                call: Call::Setup,
                error: io::Error::from_raw_os_error(libc::EMFILE),
            },
            "io_uring cannot be used: io_uring_setup failed for lack of descriptors or memory (Too many open files \
             (os error 24)). Raise the limit of open files (`ulimit -n`) or the memory of this process",
        ),
        (
            Unavailable::Refused {
                call: Call::Enter,
                error: io::Error::from_raw_os_error(libc::EBADF),
            },
            "io_uring cannot be used: io_uring_enter failed (Bad file descriptor (os error 9)), for no reason that \
             is known here",
        ),
    ];
    for (unavailable, expected) in cases {
        assert_eq!(unavailable.to_string(), *expected);
    }
}
