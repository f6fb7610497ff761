//! A mass of requests through random topologies, policies, faults and reloads, and the invariants after every step.
//!
//! A failure names its seed: `OUTRIGGER_SEED=N cargo test -p outrigger-sim` plays that world alone. The run goes on until
//! a number of requests is reached, and `OUTRIGGER_REQUESTS=N` says how many. `OUTRIGGER_FROM=N` is the first seed, so that no two nights play the same worlds.

mod rules;
mod seeds;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use seeds::{number, one};
use world::{Played, play};

/// As many as an ordinary run has time for; those that are looked for meet everything.
const REQUESTS: u64 = 250_000;

/// The last request on a view of before ejects a host, as that view's policy allows, and ends in the same step.
#[test]
fn the_last_user_of_a_view_may_eject_and_go() {
    one(1612, play);
}

#[test]
fn a_mass_of_requests_keeps_the_invariants_and_repeats() {
    if let Some(seed) = number("OUTRIGGER_SEED") {
        println!("{}", one(seed, play));
        return;
    }
    let wanted = number("OUTRIGGER_REQUESTS").unwrap_or(REQUESTS);
    let first = number("OUTRIGGER_FROM").unwrap_or(0);
    let (next, requests) = (AtomicU64::new(first), AtomicU64::new(0));
    // Worlds share nothing, so each core plays its own.
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let total = thread::scope(|scope| {
        let play_on = || {
            let mut total = Played::default();
            while requests.load(Ordering::Relaxed) < wanted {
                let played = one(next.fetch_add(1, Ordering::Relaxed), play);
                requests.fetch_add(played.requests, Ordering::Relaxed);
                total.add(&played);
            }
            total
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(play_on)).collect();
        let mut total = Played::default();
        for thread in threads {
            total.add(&thread.join().expect("its panic was shown"));
        }
        total
    });
    println!("{total}");
    assert!(total.requests >= wanted);
    // A mass of requests that meets none of this would prove little.
    if wanted >= REQUESTS {
        total.meets_everything();
    }
}
