//! The handshake of the waiting line: who waits for a connection, and who lets one go, never miss each other.
//!
//! Each worker has its own line. Telling the other workers (`announce`) is the runtime's, and it reaches everybody; what is
//! checked here is that somebody announces when somebody waits.

use std::sync::Arc;

use loom::thread;

use crate::cluster::{ClusterState, Counted};
use crate::local::line::{Lines, Slot};
use crate::peer::ExchangeId;

/// The most connections at a time.
const LIMIT: u32 = 1;

/// A cluster that has been in use. (Loom lets a sequentially consistent load see the value that an atomic was made with even
/// after a later such store, which the language does not; so the counts have been written before.)
fn cluster() -> Arc<ClusterState> {
    let cluster = Arc::new(ClusterState::default());
    for counted in Counted::ALL {
        drop(cluster.admit(counted, 1));
    }
    cluster
}

/// A request that finds no connection, as `exchange::admission` does it: it joins the line, and tries once more.
/// `Err` when it waits for somebody to wake it.
fn wait(lines: &mut Lines, cluster: &Arc<ClusterState>) -> Result<Slot, Waits> {
    if let Some(slot) = lines.slot(cluster, LIMIT) {
        return Ok(slot);
    }
    let ticket = lines.join(ExchangeId::default(), cluster);
    match lines.slot(cluster, LIMIT) {
        Some(slot) => Ok(slot),
        None => Err(Waits(ticket)),
    }
}

/// A request in the line. When it is woken it tries again.
struct Waits(#[expect(dead_code, reason = "holds the place")] crate::local::line::Ticket);

/// A worker lets its connection go while a request on another one looks for one.
pub fn who_lets_go_sees_who_waits() {
    let cluster = cluster();
    let held = cluster.admit(Counted::Connections, LIMIT);
    let other = {
        let cluster = Arc::clone(&cluster);
        thread::spawn(move || {
            let mut lines = Lines::default();
            drop(held);
            lines.offer(&cluster);
            lines.settle(|_| {})
        })
    };
    let mut lines = Lines::default();
    let outcome = wait(&mut lines, &cluster);
    let announced = other.join().unwrap_or_default();
    match outcome {
        Ok(slot) => drop(slot),
        Err(waits) => {
            assert!(announced, "somebody waits, and nobody was told");
            assert!(lines.slot(&cluster, LIMIT).is_some(), "woken for nothing");
            drop(waits);
        }
    }
    assert_eq!(cluster.gauges().current(Counted::Waiting), 0);
    assert_eq!(cluster.gauges().current(Counted::Connections), 0);
}

/// A worker would keep its connection idle while a request on another one looks for one. The request announces that it
/// waits; the worker that keeps one hears it before or after, and gives the connection up.
pub fn who_keeps_one_sees_who_waits() {
    let cluster = cluster();
    let held = cluster.admit(Counted::Connections, LIMIT);
    let bell = Arc::new(loom::sync::atomic::AtomicBool::new(false));
    let other = {
        let (cluster, bell) = (Arc::clone(&cluster), Arc::clone(&bell));
        thread::spawn(move || {
            let mut lines = Lines::default();
            if lines.is_wanted_elsewhere(&cluster) {
                drop(held);
                lines.offer(&cluster);
                return (None, lines.settle(|_| {}));
            }
            // Idle from here on; whoever of this worker waits is woken.
            lines.offer(&cluster);
            let mut announced = lines.settle(|_| {});
            let mut idle = held;
            if bell.load(loom::sync::atomic::Ordering::SeqCst) || announced {
                (idle, announced) = give_up(&mut lines, &cluster, idle);
            }
            (idle, announced)
        })
    };
    let mut lines = Lines::default();
    let outcome = wait(&mut lines, &cluster);
    if outcome.is_err() {
        bell.store(true, loom::sync::atomic::Ordering::SeqCst);
    }
    let Ok((mut idle, mut announced)) = other.join() else {
        panic!("the other worker failed");
    };
    if outcome.is_err() && idle.is_some() {
        // The bell rings late.
        (idle, announced) = give_up(&mut Lines::default(), &cluster, idle);
    }
    match outcome {
        Ok(slot) => drop(slot),
        Err(waits) => {
            assert!(idle.is_none(), "a connection idles while somebody waits");
            assert!(announced, "somebody waits, and nobody was told");
            assert!(lines.slot(&cluster, LIMIT).is_some(), "woken for nothing");
            drop(waits);
        }
    }
    drop(idle);
    assert_eq!(cluster.gauges().current(Counted::Waiting), 0);
    assert_eq!(cluster.gauges().current(Counted::Connections), 0);
}

/// As `Worker::on_announced` does it with one idle connection.
fn give_up<P>(
    lines: &mut Lines,
    cluster: &Arc<ClusterState>,
    idle: Option<P>,
) -> (Option<P>, bool) {
    if !lines.is_wanted_elsewhere(cluster) {
        return (idle, false);
    }
    drop(idle);
    lines.offer(cluster);
    (None, lines.settle(|_| {}))
}

/// Requests on two workers look for the one connection that a third lets go. One gets it; when that one has let it go, the
/// other has it too, or waits and is told.
pub fn of_two_that_wait_the_second_is_told() {
    let cluster = cluster();
    let held = cluster.admit(Counted::Connections, LIMIT);
    let ask = {
        let cluster = Arc::clone(&cluster);
        move || {
            let mut lines = Lines::default();
            match wait(&mut lines, &cluster) {
                Ok(slot) => {
                    drop(slot);
                    Asked::Served {
                        announced: lines.settle(|_| {}),
                    }
                }
                // A ticket stays with its worker; the place is kept until the end of the scenario.
                Err(waits) => {
                    core::mem::forget(waits);
                    Asked::Waits
                }
            }
        }
    };
    let others = [thread::spawn(ask.clone()), thread::spawn(ask)];
    let mut lines = Lines::default();
    drop(held);
    lines.offer(&cluster);
    let announced = lines.settle(|_| {});
    let others = others.map(|other| other.join().unwrap_or(Asked::Waits));
    let waiting = others.iter().filter(|asked| matches!(asked, Asked::Waits));
    assert_eq!(
        cluster.gauges().current(Counted::Waiting) as usize,
        waiting.count()
    );
    assert_eq!(cluster.gauges().current(Counted::Connections), 0);
    match others {
        [Asked::Served { .. }, Asked::Served { .. }] => {}
        // Whoever was served was the last to let it go.
        [Asked::Served { announced }, Asked::Waits]
        | [Asked::Waits, Asked::Served { announced }] => {
            assert!(
                announced,
                "one waits, and the one that was served told nobody"
            );
        }
        [Asked::Waits, Asked::Waits] => assert!(announced, "both wait, and nobody was told"),
    }
}

enum Asked {
    Served { announced: bool },
    Waits,
}
