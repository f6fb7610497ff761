//! Which mutant is on: a number in the environment, read once before `main`. In a run that records, nobody is, and each notes
//! that it was asked.

use std::env;
use std::fs;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

const MOST: usize = 1 << 17;
const RECORDS: u32 = u32::MAX - 1;
const UNREAD: u32 = u32::MAX;

static ACTIVE: AtomicU32 = AtomicU32::new(UNREAD);
static ASKED: [AtomicU8; MOST] = [const { AtomicU8::new(0) }; MOST];

unsafe extern "C" {
    fn atexit(then: extern "C" fn()) -> i32;
}

/// Before `main`, so that no test sees the memory that reading takes.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = read;

extern "C" fn read() {
    if env::var_os("OUTRIGGER_MUTANTS_ASKED").is_some() {
        // SAFETY: the function lives as long as the program, and calls nothing that ends with `main`.
        unsafe { atexit(write) };
        ACTIVE.store(RECORDS, Relaxed);
    } else {
        let number = env::var("OUTRIGGER_MUTANT").ok();
        ACTIVE.store(number.and_then(|n| n.parse().ok()).unwrap_or(0), Relaxed);
    }
}

extern "C" fn write() {
    let Some(path) = env::var_os("OUTRIGGER_MUTANTS_ASKED") else { return };
    let asked = (0..MOST).filter(|at| ASKED[*at].load(Relaxed) != 0);
    let numbers: Vec<String> = asked.map(|at| at.to_string()).collect();
    let name = format!("{}.{}", path.to_string_lossy(), std::process::id());
    let _ = fs::write(name, numbers.join("\n"));
}

/// Whether this mutant is the one that runs.
#[inline]
pub fn on(number: u32) -> bool {
    let active = ACTIVE.load(Relaxed);
    if active < RECORDS { active == number } else { note(number) }
}

#[cold]
fn note(number: u32) -> bool {
    if ACTIVE.load(Relaxed) == UNREAD {
        read();
        return on(number);
    }
    ASKED[number as usize].store(1, Relaxed);
    false
}
