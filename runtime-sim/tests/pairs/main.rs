//! A mass of requests of every kind through sidecars of one to three workers, read at both ends by plain readers that share no
//! code with core: each request is paired with its answer by a number that its client put in. Nothing is lost, doubled, cut,
//! mixed up or made up, whatever is retried, copied, tunnelled, translated between versions, reloaded or drained meanwhile.
//!
//! Who takes part stands in `client`, `endpoint` and `raw`; what they compare in `book`; what is played in `world`. What
//! policies do to masses of connections is the business of the test `load`.
//!
//! A failure names its seed: `OUTRIGGER_SEED=N cargo test -p outrigger-sim --test pairs` plays that world alone. For a night:
//! `OUTRIGGER_REQUESTS=10000000 cargo test -p outrigger-sim --test pairs -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

mod book;
mod client;
mod clock;
mod endpoint;
mod h1;
mod h2;
mod hpack;
mod kinds;
mod line;
mod manner;
mod raw;
#[path = "../load/rules.rs"]
mod rules;
#[path = "../load/seeds.rs"]
mod seeds;
mod whose;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use kinds::Counts;
use seeds::{number, one};
use world::play;

/// As many as an ordinary run has time for; those that are looked for meet everything.
const REQUESTS: u64 = 30_000;

/// How often a long run says how far it is, in requests.
const PROGRESS: u64 = 250_000;

#[test]
fn every_request_is_paired_with_its_answer() {
    if let Some(seed) = number("OUTRIGGER_SEED") {
        println!("{}", one(seed, play));
        return;
    }
    let wanted = number("OUTRIGGER_REQUESTS").unwrap_or(REQUESTS);
    // So that no two nights play the same worlds.
    let first = number("OUTRIGGER_FROM").unwrap_or(0);
    let (next, requests) = (AtomicU64::new(first), AtomicU64::new(0));
    let began = Instant::now();
    // Worlds share nothing, so each core plays its own.
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let total = thread::scope(|scope| {
        let play_on = || {
            let mut total = Counts::default();
            while requests.load(Ordering::Relaxed) < wanted {
                let played = one(next.fetch_add(1, Ordering::Relaxed), play);
                let before = requests.fetch_add(played.requests, Ordering::Relaxed);
                let after = before + played.requests;
                if before / PROGRESS < after / PROGRESS {
                    println!("{after} requests of {wanted} after {:.0?}", began.elapsed());
                }
                total.sum(&played);
            }
            total
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(play_on)).collect();
        let mut total = Counts::default();
        for thread in threads {
            total.sum(&thread.join().expect("its panic was shown"));
        }
        total
    });
    println!("{total}");
    println!("in {:.0?} on {threads} cores", began.elapsed());
    assert!(total.requests >= wanted);
    if wanted >= REQUESTS {
        total.meet_everything();
    }
}
