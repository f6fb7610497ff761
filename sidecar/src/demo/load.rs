//! Many visitors at the same time: what they saw, how long it took, and who served them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;

use super::client::Client;
use super::judge::{Tally, seen};
use super::mesh::{Counted, Mesh};
use super::report::Report;
use super::request;
use super::steps::{Load, VISIT};

/// What many visitors saw together.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// How often each thing was seen.
    pub(super) answers: Tally,
    /// Half of all requests took no longer.
    pub(super) p50: Duration,
    /// 99 of 100 took no longer.
    pub(super) p99: Duration,
    /// What was counted meanwhile.
    pub(super) counted: Counted,
}

/// The same in numbers, for machines and for the table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    pub(super) success_rate: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) v1: u64,
    pub(super) v2: u64,
    pub(super) second_v2: u64,
    pub(super) ejections: u64,
}

impl Measured {
    /// Served is who was answered by one of the versions.
    pub(super) fn figures(&self) -> Figures {
        let total: u32 = self.answers.values().sum();
        let served = ["v1", "v2"].map(|version| self.answers.get(version).copied().unwrap_or(0));
        let millis = |time: Duration| (time.as_secs_f64() * 10_000.0).round() / 10.0;
        let [v1, v2, second_v2] = self.counted.asked;
        Figures {
            success_rate: f64::from(served.iter().sum::<u32>()) / f64::from(total.max(1)),
            p50_ms: millis(self.p50),
            p99_ms: millis(self.p99),
            v1,
            v2,
            second_v2,
            ejections: self.counted.ejections,
        }
    }
}

/// Lets all visitors in and waits until the last one has left: each has asked as often as it wants, or there is nothing more
/// to see.
pub(super) async fn play(
    mesh: &Mesh,
    client: &Arc<Client>,
    load: &'static Load,
    report: &Report,
) -> Measured {
    let before = mesh.counted();
    let is_over = Arc::new(AtomicBool::new(false));
    let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let mut visitors = JoinSet::new();
    for _ in 0..load.visitors {
        let (client, sender) = (Arc::clone(client), sender.clone());
        let is_over = Arc::clone(&is_over);
        visitors.spawn(async move {
            for _ in 0..load.requests {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let began = Instant::now();
                let what = match client.send(request(&VISIT)).await {
                    Ok(answer) => seen(VISIT.look, &answer),
                    Err(error) => format!("no answer: {error}"),
                };
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
