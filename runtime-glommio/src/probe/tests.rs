//! The probe under real refusals. Filters concern one thread, so a test starts one; limits concern the process, so a
//! test starts this program again under them.

use std::fs::File;

use super::*;
use crate::seccomp::refused;
use crate::tests::child;

#[test]
fn calls_that_a_filter_refuses_are_told() {
    let cases: &[(&'static [libc::c_long], i32, &str)] = &[
        (
            &[libc::SYS_io_uring_setup],
            libc::EPERM,
            "io_uring_setup is refused",
        ),
        (
            &[libc::SYS_io_uring_setup],
            libc::ENOSYS,
            "io_uring_setup is refused",
        ),
        (
            &[libc::SYS_io_uring_register],
            libc::EPERM,
            "io_uring_register is refused",
        ),
        (
            &[libc::SYS_io_uring_enter],
            libc::EPERM,
            "io_uring_enter is refused",
        ),
    ];
    if !crate::tests::available() {
        return;
    }
    for &(calls, errno, expected) in cases {
        let unavailable = refused(calls, errno, || probe().unwrap_err());
        assert!(matches!(unavailable, Unavailable::Filtered { .. }));
        let text = unavailable.to_string();
        assert!(text.contains(expected), "{text}");
    }
}

/// A sandbox may hide `/proc` as well.
#[test]
fn a_refusal_is_told_where_the_sysctl_cannot_be_read() {
    if !crate::tests::available() {
        return;
    }
    let calls = &[libc::SYS_io_uring_setup, libc::SYS_openat];
    let unavailable = refused(calls, libc::EPERM, || probe().unwrap_err());
    assert!(matches!(unavailable, Unavailable::Filtered { .. }));
}

#[test]
fn too_little_memory_to_lock_is_told() {
    child("ulimit -l 64", "probe::tests::with_little_memory_to_lock");
}

#[test]
#[ignore = "runs in the child of the test above"]
fn with_little_memory_to_lock() {
    let unavailable = probe().unwrap_err();
    let Unavailable::MemoryLock { limit, needed } = unavailable else {
        panic!("{unavailable}");
    };
    assert_eq!((limit, needed), (64 * 1024, 512 * 1024));
}

#[test]
fn a_low_soft_limit_is_raised() {
    child("ulimit -S -l 64", "probe::tests::with_a_low_soft_limit");
}

#[test]
#[ignore = "runs in the child of the test above"]
fn with_a_low_soft_limit() {
    let before = limit().unwrap();
    assert_eq!(before.rlim_cur, 64 * 1024);
    // Whatever else it finds, the limit has been dealt with.
    let _ = probe();
    let after = limit().unwrap();
    assert_eq!(
        (after.rlim_cur, after.rlim_max),
        (before.rlim_max, before.rlim_max)
    );
}

#[test]
fn no_descriptors_left_is_told() {
    if crate::tests::available() {
        child("ulimit -n 32", "probe::tests::with_no_descriptors_left");
    }
}

#[test]
#[ignore = "runs in the child of the test above"]
fn with_no_descriptors_left() {
    let mut open = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        open.push(file);
    }
    let unavailable = probe().unwrap_err();
    assert!(
        matches!(&unavailable, Unavailable::Exhausted { call: Call::Setup, error }
            if error.raw_os_error() == Some(libc::EMFILE)),
        "{unavailable}"
    );
    drop(open);
    probe().unwrap();
}
