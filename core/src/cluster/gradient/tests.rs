//! The limit against a plain reading of the formulas, and at its edges.

use proptest::prelude::*;

use super::*;

const SETTINGS: AdaptiveConcurrency = AdaptiveConcurrency {
    min: 3,
    max: 1000,
    initial: 20,
    buffer: 0.5,
    interval: Duration::from_secs(10),
    window: 50,
};

const fn sample(took_ms: u64, in_flight: u32, at_ms: u64) -> Sample {
    Sample {
        took: Duration::from_millis(took_ms),
        in_flight,
        at: Instant::from_millis(at_ms),
    }
}

fn following(limit: f64, unbusy_ms: u32, due_ms: u64) -> Gradient {
    Gradient {
        limit,
        phase: Phase::Following {
            unbusy: f64::from(unbusy_ms) * 1e6,
            due: Instant::from_millis(due_ms),
        },
        sum: 0.0,
        count: 0,
        peak: 0,
    }
}

fn steps(mut state: Gradient, count: u32, sample: Sample) -> Gradient {
    for _ in 0..count {
        state = step(&SETTINGS, state, sample);
    }
    state
}

#[test]
fn begins_by_measuring_at_a_part_of_the_initial_limit() {
    let state = Gradient::new(&SETTINGS);
    assert_eq!(state.limit(&SETTINGS), 8);
    let before = sample(9, 9, 0);
    assert_eq!(step(&SETTINGS, state, before), state, "begun before");
    // 50 and three times 8.
    let almost = steps(state, 73, sample(100, 8, 5));
    assert_eq!(almost.limit(&SETTINGS), 8);
    let done = step(&SETTINGS, almost, sample(100, 8, 5));
    assert_eq!(done, following(20.0, 100, 10_005));
}

#[test]
fn a_window_moves_the_limit_by_the_ratio_of_response_times() {
    let root = f64::sqrt;
    for (limit, took, in_flight, want) in [
        (20.0, 150, 20, 20.0 + root(20.0)), // half as long again is within the buffer
        (20.0, 300, 20, 10.0 + root(10.0)),
        (20.0, 3_000, 20, 10.0 + root(10.0)), // never less than half
        (20.0, 100, 20, 30.0 + root(30.0)),
        (20.0, 10, 20, 40.0 + root(40.0)), // never more than twice
        (20.0, 300, 10, 10.0 + root(10.0)),
        (20.0, 300, 9, 20.0), // not the limit's doing
        (4.0, 900, 4, 2.0 + root(2.0)),
        (3.0, 900, 3, 3.0),
        (900.0, 10, 900, 1000.0),
    ] {
        let state = following(limit, 100, 60_000);
        let window = 50.max(limit as u32);
        let almost = steps(state, window - 1, sample(took, in_flight, 1));
        assert!((almost.limit - limit).abs() < 1e-9, "{limit} {took}");
        let after = step(&SETTINGS, almost, sample(took, in_flight, 1));
        let want = following(want, 100, 60_000);
        assert!((after.limit - want.limit).abs() < 1e-9, "{limit} {took}");
        assert_eq!(
            (after.phase, after.count),
            (want.phase, 0),
            "{limit} {took}"
        );
    }
}

#[test]
fn measures_again_when_it_is_time_and_the_limit_is_pressed() {
    let state = following(30.0, 100, 10_000);
    let early = steps(state, 50, sample(100, 30, 9_999));
    assert!(early.limit > 30.0);
    let idle = steps(state, 50, sample(100, 14, 10_000));
    assert_eq!(idle, state, "nobody presses");
    let due = steps(state, 50, sample(150, 30, 10_000));
    let moved = 30.0 + f64::sqrt(30.0);
    assert_eq!(due, measure(&SETTINGS, moved), "it follows first");
    assert_eq!(due.limit(&SETTINGS), 14);
    let done = steps(due, 93, sample(200, 14, 12_000));
    assert_eq!(done, following(moved, 200, 22_000));
}

/// A service of some capacity with a queue, in small steps of time: what the limit comes to.
fn settles(capacity: f64, service_ms: f64) -> f64 {
    let mut state = Gradient::new(&SETTINGS);
    let mut now = 0.0;
    for _ in 0..40_000 {
        let under_way = f64::from(state.limit(&SETTINGS));
        // Little's law: with more requests than it serves at once, each waits for its turn.
        let took = service_ms * (under_way / capacity).max(1.0);
        now += took / under_way;
        state = step(
            &SETTINGS,
            state,
            sample(took as u64, under_way as u32, now as u64),
        );
    }
    state.limit
}

#[test]
fn settles_near_the_capacity() {
    for (capacity, service_ms) in [(10.0, 100.0), (2.0, 1000.0), (100.0, 50.0), (300.0, 200.0)] {
        let limit = settles(capacity, service_ms);
        let share = limit / capacity;
        assert!((1.0..2.5).contains(&share), "{limit} of {capacity}");
    }
}

/// The slow one: keeps every response of the window and looks at all of them again each time.
struct Model {
    limit: f64,
    unbusy: Option<(f64, Instant)>,
    resume: f64,
    window: Vec<Sample>,
}

impl Model {
    fn take(&mut self, sample: Sample) {
        let measuring = self.unbusy.is_none();
        if measuring && sample.in_flight > self.limit as u32 {
            return;
        }
        self.window.push(sample);
        let count = self.window.len() as f64;
        let wanted = if measuring {
            50.0 + 3.0 * self.limit
        } else {
            f64::max(50.0, self.limit)
        };
        if count < wanted {
            return;
        }
        let total: u128 = self.window.iter().map(|s| s.took.as_nanos()).sum();
        let mean = total as f64 / count;
        let peak = self.window.iter().map(|s| s.in_flight).max().unwrap();
        self.window.clear();
        match self.unbusy {
            None => {
                self.unbusy = Some((mean, sample.at + Duration::from_secs(10)));
                self.limit = self.resume;
            }
            Some(_) if f64::from(peak) * 2.0 < self.limit => {}
            Some((unbusy, due)) => {
                let gradient = (unbusy * 1.5 / mean).clamp(0.5, 2.0);
                let scaled = self.limit * gradient;
                self.limit = (scaled + scaled.sqrt()).clamp(3.0, 1000.0);
                if sample.at >= due {
                    self.resume = self.limit;
                    self.unbusy = None;
                    self.limit = f64::max(3.0, self.limit * 0.4);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn does_what_the_model_does(
        samples in prop::collection::vec((1u64..400, 1u32..60, 0u64..60), 1..900),
    ) {
        let mut state = Gradient::new(&SETTINGS);
        let mut model = Model { limit: 8.0, unbusy: None, resume: 20.0, window: Vec::new() };
        let mut now = 0;
        for (took, in_flight, gap) in samples {
            now += gap;
            let sample = sample(took, in_flight, now);
            state = step(&SETTINGS, state, sample);
            model.take(sample);
            prop_assert!((state.limit - model.limit).abs() < 1e-6, "{} {}", state.limit, model.limit);
            prop_assert!((3..=1000).contains(&state.limit(&SETTINGS)));
        }
    }
}
