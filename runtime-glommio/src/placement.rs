//! Which worker stays on which CPU.
//!
//! Owns the rule and the question to the system. Binding a thread is left to glommio's builder.

use std::io;

/// A place for each of `workers` workers: the CPU to stay on, or none where the system's scheduler should choose.
///
/// A worker is bound where workers and the CPUs of this process come out even, so that each CPU carries as many. Where
/// they do not, binding harms: a sidecar with two workers on a machine of 64 CPUs would sit on the same two as every
/// other sidecar there, and a third worker on two CPUs would halve one of the others.
pub(crate) fn places(workers: usize) -> Vec<Option<usize>> {
    // More CPUs than the system call's set can name: nobody is bound.
    let cpus = allowed_cpus().unwrap_or_default();
    spread(&cpus, workers)
}

fn spread(cpus: &[usize], workers: usize) -> Vec<Option<usize>> {
    match workers.checked_rem(cpus.len()) {
        Some(0) => cpus
            .iter()
            .copied()
            .cycle()
            .take(workers)
            .map(Some)
            .collect(),
        Some(_) | None => vec![None; workers],
    }
}

/// The CPUs that this process may use, in ascending order. Asked of its first thread, since a worker's own answer would
/// be the CPU that it is bound to.
pub(crate) fn allowed_cpus() -> io::Result<Vec<usize>> {
    let process = libc::pid_t::try_from(std::process::id()).map_err(io::Error::other)?;
    allowed_to(process)
}

#[expect(unsafe_code, reason = "std has no sched_getaffinity")]
fn allowed_to(thread: libc::pid_t) -> io::Result<Vec<usize>> {
    // SAFETY: a set of CPUs is an array of integers, for which zero is a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let size = size_of_val(&set);
    // SAFETY: the pointer is to a set of our own, of exactly the size that is told.
    if unsafe { libc::sched_getaffinity(thread, size, &raw mut set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let named = 0..8 * size;
    // SAFETY: every index is less than the bits of the set.
    Ok(named
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_bound_when_they_come_out_even() {
        type Case = (&'static [usize], usize, &'static [Option<usize>]);
        let cases: &[Case] = &[
            (&[0], 1, &[Some(0)]),
            (&[0, 1], 2, &[Some(0), Some(1)]),
            // What the process may use need not begin at zero nor be in one piece.
            (&[3, 7], 2, &[Some(3), Some(7)]),
            (&[3, 7], 4, &[Some(3), Some(7), Some(3), Some(7)]),
            (&[5], 3, &[Some(5), Some(5), Some(5)]),
            (&[0, 1], 1, &[None]),
            (&[0, 1], 3, &[None, None, None]),
            (&[0, 1, 2, 3], 2, &[None, None]),
            (&[], 2, &[None, None]),
        ];
        for (cpus, workers, expected) in cases {
            assert_eq!(spread(cpus, *workers), *expected, "{cpus:?} {workers}");
        }
    }

    #[test]
    fn one_worker_a_cpu_binds_each_to_one_of_them() {
        let cpus = allowed_cpus().unwrap();
        let expected: Vec<_> = cpus.iter().copied().map(Some).collect();
        assert_eq!(places(cpus.len()), expected);
        assert!(!cpus.is_empty());
    }
}
