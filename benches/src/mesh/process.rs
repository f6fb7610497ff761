//! What a process costs, as the kernel counts it.

use std::time::Duration;
use std::{fs, io};

/// Ticks of the kernel in a second, as `getconf CLK_TCK` says everywhere.
const TICKS: u64 = 100;

/// CPU time of a process until now.
///
/// # Errors
/// It is gone.
pub fn cpu(process: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name before may hold blanks; fields 14 and 15 of all are the twelfth and thirteenth behind it.
    let (_, rest) = stat.rsplit_once(')').ok_or_else(malformed)?;
    let ticks: Vec<u64> = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse().ok())
        .collect();
    Ok(Duration::from_millis(
        ticks.iter().sum::<u64>() * 1000 / TICKS,
    ))
}

/// Bytes of memory that it has: now, and at most.
///
/// # Errors
/// It is gone.
pub fn resident(process: u32) -> io::Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    match (of("VmRSS:"), of("VmHWM:")) {
        (Some(now), Some(most)) => Ok((now * 1024, most * 1024)),
        _ => Err(malformed()),
    }
}

fn malformed() -> io::Error {
    io::Error::other("not as the kernel writes it")
}
