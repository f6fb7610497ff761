//! Many visitors at the same time: lets them in, and waits until all have seen what there is to see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::measured::Measured;
use super::mesh::Mesh;
use super::report::Report;
use super::seen::Tally;
use super::steps::{Load, VISIT};
use super::visitors::Visitors;

/// Lets all visitors in and waits until the last one has left: each has asked as often as it wants, or there is nothing more
/// to see.
pub(super) async fn play(
    mesh: &Mesh,
    visitors: &Arc<Visitors>,
    load: &'static Load,
    report: &Report,
) -> Measured {
    let before = mesh.counted();
    let is_over = Arc::new(AtomicBool::new(false));
    let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for _ in 0..load.visitors {
        let (visitors, sender) = (Arc::clone(visitors), sender.clone());
        let is_over = Arc::clone(&is_over);
        tasks.spawn(async move {
            for _ in 0..load.requests {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let began = Instant::now();
                let what = visitors.ask(&VISIT).await;
                let _ = sender.send((what, began.elapsed()));
                tokio::time::sleep(load.pause).await;
            }
        });
    }
    drop(sender);
    let (mut tally, mut times) = (Tally::new(), Vec::new());
    while let Some((what, time)) = answers.recv().await {
        *tally.entry(what).or_insert(0) += 1;
        times.push(time);
        report.tick();
        if load.expect.is_seen(&mesh.counted().since(&before)) {
            is_over.store(true, Ordering::Relaxed);
        }
    }
    times.sort();
    Measured {
        answers: tally,
        p50: percentile(&times, 50),
        p99: percentile(&times, 99),
        counted: mesh.counted().since(&before),
    }
}

/// The time that so many in a hundred did not exceed, of sorted ones (nearest rank); zero when there are none.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let rank = (times.len() * percent).div_ceil(100).max(1);
    times.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_occurred() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        for (count, percent, millis) in [
            (200, 50, 100),
            (200, 99, 198),
            (1, 99, 1),
            (3, 50, 2),
            (0, 50, 0),
        ] {
            let got = percentile(&times[..count], percent);
            assert_eq!(got, Duration::from_millis(millis), "{percent} of {count}");
        }
    }
}
