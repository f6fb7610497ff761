//! What is left when the rows of `docs/faults.md` have been played thousands of times, all of them side by side: nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::page::{self, Row};
use super::proxy::has_glommio;
use super::stage::Stage;

/// Clients that come before memory and descriptors are looked at, and how many of an ordinary run come after.
const BEFORE: u64 = 500;
const ORDINARY: u64 = 2000;
const LONG: u64 = 100_000;
/// Memory that a run may leave to the allocator.
const MOST_LEFT: u64 = 16 << 20;

#[test]
fn nothing_is_left_on_tokio() {
    nothing_is_left("tokio", ORDINARY);
}

#[test]
fn nothing_is_left_on_glommio() {
    match has_glommio() {
        true => nothing_is_left("glommio", ORDINARY),
        false => eprintln!("glommio is not tried: this machine does not let us"),
    }
}

/// `cargo test -p outrigger --test faults -- --ignored --nocapture hundred`
#[test]
#[ignore = "takes minutes"]
fn nothing_is_left_of_a_hundred_thousand_on_tokio() {
    nothing_is_left("tokio", LONG);
}

#[test]
#[ignore = "takes minutes"]
fn nothing_is_left_of_a_hundred_thousand_on_glommio() {
    if has_glommio() {
        nothing_is_left("glommio", LONG);
    }
}

fn nothing_is_left(runtime: &str, clients: u64) {
    let rows = page::rows();
    let stage = Stage::new(runtime, &rows, "leaks");
    let (rest, _) = stage.warm();
    play(&stage, &rows, BEFORE);
    stage.rests(&rest, 0).unwrap();
    let before = stage.resident();
    play(&stage, &rows, clients);
    // Gauges and descriptors are what they were.
    let came = stage.rests(&rest, 0).unwrap();
    let after = stage.resident();
    println!(
        "{runtime}: {came} clients; MiB {:.1} before, {:.1} after; {} descriptors",
        mib(before),
        mib(after),
        rest["process.open_fds"]
    );
    assert!(came > clients, "{came}");
    assert!(after < before + MOST_LEFT, "{runtime}: {before} {after}");
}

#[allow(clippy::cast_precision_loss, reason = "it is told with one digit")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Each row plays again and again, beside all others, until so many clients have come.
fn play(stage: &Stage, rows: &[Row], clients: u64) {
    let (sides, played, missed) = (&stage.sides, &AtomicU64::new(0), &AtomicU64::new(0));
    thread::scope(|scope| {
        for row in rows {
            scope.spawn(move || {
                while played.fetch_add(1, Ordering::Relaxed) < clients {
                    // The connection of the last time may be asked once more before it is known that it is over; what must
                    // come of a row is tried where it plays alone.
                    missed.fetch_add(u64::from(sides.play(row).is_err()), Ordering::Relaxed);
                    // Who waits for nothing would come faster than anybody can be accepted.
                    assert!(row.is_seen() || sides.answers(), "{}", row.fault);
                }
            });
        }
    });
    let missed = missed.load(Ordering::Relaxed);
    assert!(
        50 * missed <= clients,
        "{missed} of {clients} rows did not end"
    );
}
