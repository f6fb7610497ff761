//! For how long clients were hurt by what went wrong, and when they were well again.
//!
//! Requests are looked at by when they were made, not by when they ended: one that is never answered ends never, and one
//! that waits long would make the time after a fault look bad. How long is usual, and how many failures, is what was
//! before the trouble began or, where it begins with the run, what was after it.

use outrigger_core::time::{Duration, Instant};

use super::outcome::{Cohort, RowOutcome};
use super::scenario::Trouble;

/// Much longer than usual is slow, if it is also long enough to notice.
const SLOWER: f64 = 3.0;
const NOTICED: Duration = Duration::from_millis(50);

/// Fewer steps before the trouble say little about what is usual.
const FEWEST: usize = 3;

/// Failures that are usual by chance lie within so many standard deviations.
const DEVIATIONS: f64 = 4.0;

/// How clients came through the trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// For how long in all requests fared worse than usual.
    pub hurt: Duration,
    /// What it came to.
    pub health: Health,
}

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Nobody fared worse than usual.
    Unhurt,
    /// Requests that were made from this moment on fared as usual again.
    WellSince(Instant),
    /// They did not until clients stopped asking.
    Unwell,
}

/// What was usual.
struct Usual {
    tail: Duration,
    failed: f64,
}

impl RowOutcome {
    /// How clients came through the trouble of a run whose timelines have steps of this length; `None` for services, and
    /// where nothing is known of a time without trouble.
    #[must_use]
    pub fn recovery(&self, trouble: Trouble, step: Duration) -> Option<Recovery> {
        let nanos = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX).max(1);
        let number = |at: Instant| usize::try_from(at.as_nanos() / nanos).unwrap_or(usize::MAX);
        let asked = &self.cohorts[..self.cohorts.len().min(number(trouble.end))];
        if asked.is_empty() {
            return None;
        }
        let first = number(trouble.from).min(asked.len());
        let usual = Usual::before(&asked[..first]).or_else(|| {
            let after = number(trouble.until?).min(asked.len());
            Usual::of_the_better(&asked[after..])
        })?;
        let (mut hurt, mut was_hurt, mut well_since) = (Duration::ZERO, false, None);
        for (at, cohort) in asked.iter().enumerate().skip(first) {
            // Where nobody asked, those who still wait for an answer fare as before.
            let waits = || self.steps.get(at).is_some_and(|step| step.under_way > 0);
            let is_hurt = match cohort.made {
                0 if was_hurt && waits() => true,
                0 => continue,
                _ => usual.is_exceeded(cohort),
            };
            if is_hurt {
                hurt += step;
            } else if was_hurt {
                well_since = Some(Instant::from_nanos(nanos * at as u64));
            }
            was_hurt = is_hurt;
        }
        let health = match well_since {
            _ if was_hurt => Health::Unwell,
            Some(since) => Health::WellSince(since),
            None => Health::Unhurt,
        };
        Some(Recovery { hurt, health })
    }
}

impl Usual {
    /// What was usual before the trouble, if there was enough of it.
    fn before(cohorts: &[Cohort]) -> Option<Self> {
        let asked: Vec<&Cohort> = cohorts.iter().filter(|cohort| cohort.made > 0).collect();
        if asked.len() < FEWEST {
            return None;
        }
        let sum = |of: fn(&Cohort) -> u32| asked.iter().map(|c| f64::from(of(c))).sum::<f64>();
        Some(Self {
            tail: nth(asked.iter().map(|cohort| cohort.tail), 2),
            failed: sum(|c| c.failed) / sum(|c| c.made),
        })
    }

    /// The better steps, such as those in which nothing of the trouble was left: a quarter was better still.
    fn of_the_better(cohorts: &[Cohort]) -> Option<Self> {
        let asked = || cohorts.iter().filter(|cohort| cohort.made > 0);
        let mut failed: Vec<f64> = asked()
            .map(|cohort| f64::from(cohort.failed) / f64::from(cohort.made))
            .collect();
        failed.sort_unstable_by(f64::total_cmp);
        Some(Self {
            tail: nth(asked().map(|cohort| cohort.tail), 4),
            failed: *failed.get(failed.len() / 4)?,
        })
    }

    fn is_exceeded(&self, cohort: &Cohort) -> bool {
        let (made, failed) = (f64::from(cohort.made), f64::from(cohort.failed));
        let expected = made * self.failed;
        let by_chance = DEVIATIONS * (expected * (1.0 - self.failed)).sqrt();
        let is_slow = cohort.tail > self.tail.mul_f64(SLOWER) && cohort.tail > self.tail + NOTICED;
        failed > expected + by_chance || is_slow
    }
}

/// The time that one in so many does not exceed.
fn nth(times: impl Iterator<Item = Duration>, one_in: usize) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times.get(times.len() / one_in).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::outcome::{RowKind, Step};
    use super::super::row::Row;
    use super::*;

    /// A step of a second each: how many requests, how many of them failed, and how slow they were in milliseconds. Where there
    /// are none, somebody waits.
    fn row(cohorts: &[(u32, u32, u64)]) -> RowOutcome {
        let step = Duration::from_secs(1);
        let mut row = Row::new("u", RowKind::Clients, step).borrow_mut().finish();
        let cohort = |(made, failed, tail): &(u32, u32, u64)| Cohort {
            made: *made,
            failed: *failed,
            tail: Duration::from_millis(*tail),
        };
        let waits = |(made, ..): &(u32, u32, u64)| Step {
            under_way: u32::from(*made == 0),
            ..Step::default()
        };
        row.cohorts = cohorts.iter().map(cohort).collect();
        row.steps = cohorts.iter().map(waits).collect();
        row
    }

    #[test]
    fn requests_count_by_when_they_were_made() {
        let well = (100, 0, 10);
        let since = |seconds: u64| Health::WellSince(Instant::from_millis(1000 * seconds));
        for (after, hurt, health) in [
            (&[well, well, well][..], 0, Health::Unhurt),
            (&[(100, 1, 10), well, well], 1, since(5)),
            // Slow, and slow enough to notice.
            (&[well, (100, 0, 61), well], 1, since(6)),
            (&[well, (100, 0, 59), well], 0, Health::Unhurt),
            (&[well, well, (100, 50, 10)], 1, Health::Unwell),
            (&[(5, 5, 0), (0, 0, 0), (0, 0, 0), well], 3, since(7)),
            (&[(5, 5, 0), (0, 0, 0)], 2, Health::Unwell),
            // After the end nobody asks, whatever becomes of those who wait.
            (
                &[(5, 5, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), well],
                4,
                Health::Unwell,
            ),
            (&[(100, 1, 10), well, (100, 1, 10), well], 2, since(7)),
        ] {
            let mut all = vec![well; 4];
            all.extend(after);
            let trouble = Trouble {
                from: Instant::from_millis(4000),
                until: None,
                end: Instant::from_millis(8000),
            };
            let got = row(&all).recovery(trouble, Duration::from_secs(1));
            let hurt = Duration::from_secs(hurt);
            assert_eq!(got, Some(Recovery { hurt, health }), "{after:?}");
        }
    }

    #[test]
    fn usual_failures_hurt_nobody() {
        let trouble = Trouble {
            from: Instant::from_millis(4000),
            until: None,
            end: Instant::from_millis(8000),
        };
        for (failed, health) in [(20, Health::Unhurt), (23, Health::Unwell)] {
            // One in ten fails, of a hundred ten ± 12 by chance.
            let mut all = vec![(100, 10, 10); 4];
            all.push((100, failed, 10));
            let got = row(&all).recovery(trouble, Duration::from_secs(1));
            assert_eq!(
                got.map(|recovery| recovery.health),
                Some(health),
                "{failed}"
            );
        }
    }

    #[test]
    fn without_a_time_before_it_the_better_steps_after_it_are_the_measure() {
        let mut trouble = Trouble {
            from: Instant::ZERO,
            until: Some(Instant::from_millis(2000)),
            end: Instant::from_millis(8000),
        };
        let all = [(9, 0, 900), (9, 0, 900), (9, 0, 10), (9, 0, 10), (9, 0, 10)];
        let got = row(&all).recovery(trouble, Duration::from_secs(1));
        let health = Health::WellSince(Instant::from_millis(2000));
        let hurt = Duration::from_secs(2);
        assert_eq!(got, Some(Recovery { hurt, health }));
        assert_eq!(row(&[]).recovery(trouble, Duration::from_secs(1)), None);
        trouble.until = None;
        assert_eq!(row(&all).recovery(trouble, Duration::from_secs(1)), None);
    }
}
