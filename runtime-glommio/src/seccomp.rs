//! For tests: a thread that the kernel refuses some system calls, as a container's profile does.

use std::thread;

/// Refuses the calls with this error to the present thread, for the rest of its life. Threads that it starts from then
/// on inherit that.
#[expect(unsafe_code, reason = "neither std nor libc has a safe form")]
pub(crate) fn refuse(calls: &[libc::c_long], errno: i32) {
    let op = |code: u32, k: u32, jt: u8| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt,
        jf: 0,
        k,
    };
    let mut program = vec![op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (at, call) in calls.iter().enumerate() {
        // Over the comparisons that are left and the permission that follows them.
        let over = u8::try_from(calls.len() - at).unwrap();
        let number = u32::try_from(*call).unwrap();
        program.push(op(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            number,
            over,
        ));
    }
    program.push(op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0));
    let answer = libc::SECCOMP_RET_ERRNO | u32::try_from(errno).unwrap();
    program.push(op(libc::BPF_RET | libc::BPF_K, answer, 0));
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap(),
        filter: program.as_mut_ptr(),
    };
    // As wide as the kernel reads them; what is passed to a variadic function is not widened.
    let (yes, no): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: no pointers are passed.
    let unprivileged = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, no, no, no) };
    assert_eq!(unprivileged, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the program is as long as it says and lives until the call, which copies it, returns.
    let set = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::c_ulong::from(libc::SECCOMP_MODE_FILTER),
            &raw const filter,
        )
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// What a function returns on a thread that is refused these calls.
pub(crate) fn refused<T: Send + 'static>(
    calls: &'static [libc::c_long],
    errno: i32,
    then: fn() -> T,
) -> T {
    let thread = thread::spawn(move || {
        refuse(calls, errno);
        then()
    });
    thread.join().unwrap()
}
