//! Bands of a picture, a colour for each step: how well users fared, when limits refused, who was out of rotation.

use std::time::Duration;

use outrigger_sim::study::{RowOutcome, Step};

use super::plot::{Canvas, OVERLAP, TimeScale, hint};

/// The height of the band that says how users fared.
const SUFFERING: f64 = 16.0;

/// The height of the lane of a replica, or of limits.
const LANE: f64 = 9.0;

/// Replicas beyond so many are left out, those that were never out first.
const MOST_LANES: usize = 12;

/// Much longer than usual is slow, if it is also long enough to notice.
const SLOWER: f64 = 3.0;
const NOTICED: Duration = Duration::from_millis(50);

/// How users fared: one look tells when they suffered.
pub(super) fn suffering(canvas: &mut Canvas, time: &TimeScale, row: &RowOutcome, step: Duration) {
    let usual = usual(&row.steps);
    let length = step;
    let mut silence = Duration::ZERO;
    each(canvas, time, row, step, SUFFERING, |step| {
        silence = match step.ended == 0 && step.under_way > 0 {
            true => silence + length,
            false => Duration::ZERO,
        };
        (fared(step, usual, silence), 1.0)
    });
    hints(canvas, time, row, step);
    canvas.skip(SUFFERING);
}

/// What each step was, for who points at it.
fn hints(canvas: &mut Canvas, time: &TimeScale, row: &RowOutcome, step: Duration) {
    let y = canvas.y();
    for (number, seen) in row.steps.iter().enumerate() {
        if let Some((x, wide)) = time.step(number, step) {
            let text = hint(seen, step * number as u32);
            canvas.hint(x, y, wide, SUFFERING, &text);
        }
    }
}

/// The time that requests take on the better days: a quarter of the steps had a lower 99th percentile.
fn usual(steps: &[Step]) -> Duration {
    let times = steps
        .iter()
        .filter(|step| step.ended > 0)
        .map(|step| step.p99);
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times.get(times.len() / 4).copied().unwrap_or_default()
}

/// `silence` is for how long somebody has waited and nobody was answered.
fn fared(step: &Step, usual: Duration, silence: Duration) -> &'static str {
    let is_longer = |time: Duration| time > usual.mul_f64(SLOWER) && time > usual + NOTICED;
    let failed = f64::from(step.failed) / f64::from(step.ended.max(1));
    if step.ended == 0 {
        // Nobody was answered: bad if somebody waits for longer than requests take there anyway.
        return if is_longer(silence) { "many" } else { "none" };
    }
    match failed {
        f if f >= 0.05 => "many",
        f if f > 0.0 => "some",
        _ if is_longer(step.p99) => "slow",
        _ => "served",
    }
}

/// When circuit limits refused requests; nothing where they never did.
pub(super) fn limits(canvas: &mut Canvas, time: &TimeScale, row: &RowOutcome, step: Duration) {
    if row
        .steps
        .iter()
        .all(|step| step.overflows == 0 && step.at_limit == 0.0)
    {
        return;
    }
    lane(canvas, time, "limit reached", |canvas| {
        each(canvas, time, row, step, LANE, |step| {
            let refused = f64::from(step.overflows) / f64::from(step.ended.max(1));
            let shown = refused.max(f64::from(step.at_limit) / 2.0);
            if shown > 0.0 {
                ("limit", 0.25 + 0.75 * shown)
            } else {
                ("lane", 1.0)
            }
        });
    });
}

/// Which replicas were out of rotation, and for how many callers; nothing where none ever was.
pub(super) fn rotation(canvas: &mut Canvas, time: &TimeScale, row: &RowOutcome, step: Duration) {
    let was_out = |out: &Vec<f32>| out.iter().any(|share| *share > 0.0);
    let mut shown: Vec<_> = row.replicas.iter().collect();
    if !shown.iter().any(|replica| was_out(&replica.out)) {
        return;
    }
    if shown.len() > MOST_LANES {
        shown.sort_by_key(|replica| !was_out(&replica.out));
        shown.truncate(MOST_LANES);
    }
    for replica in shown {
        lane(canvas, time, &replica.name, |canvas| {
            let colours = replica.out.iter().map(|out| match f64::from(*out) {
                0.0 => ("lane", 1.0),
                share => ("out", 0.25 + 0.75 * share),
            });
            band(canvas, time, colours, step, LANE);
        });
    }
}

/// How wide a letter is at most.
const LETTER: f64 = 7.0;

/// Names of replicas differ at the end.
fn shortest(name: &str, room: f64) -> String {
    let most = ((room - 20.0) / LETTER) as usize;
    match name.char_indices().rev().nth(most.saturating_sub(1)) {
        Some((at, _)) if at > 0 => format!("…{}", &name[at..]),
        _ => name.to_owned(),
    }
}

fn lane(canvas: &mut Canvas, time: &TimeScale, name: &str, draw: impl FnOnce(&mut Canvas)) {
    draw(canvas);
    let y = canvas.y();
    canvas.text(
        "tick end-anchor",
        time.left() - 6.0,
        y + LANE - 0.5,
        &shortest(name, time.left()),
    );
    canvas.skip(LANE + 4.0);
}

fn each(
    canvas: &mut Canvas,
    time: &TimeScale,
    row: &RowOutcome,
    step: Duration,
    height: f64,
    colour: impl FnMut(&Step) -> (&'static str, f64),
) {
    band(canvas, time, row.steps.iter().map(colour), step, height);
}

/// Colours side by side; those that are alike become one, so that no seams are seen.
fn band(
    canvas: &mut Canvas,
    time: &TimeScale,
    colours: impl Iterator<Item = (&'static str, f64)>,
    step: Duration,
    height: f64,
) {
    let y = canvas.y();
    let mut open: Option<(f64, f64, (&str, f64))> = None;
    let places = (0..).map_while(|number| time.step(number, step));
    for ((x, wide), colour) in places.zip(colours) {
        match &mut open {
            Some((_, end, same)) if *same == colour => *end = x + wide,
            _ => {
                let before = open.replace((x, x + wide, colour));
                before
                    .into_iter()
                    .for_each(|run| fill(canvas, run, y, height));
            }
        }
    }
    open.into_iter()
        .for_each(|run| fill(canvas, run, y, height));
}

fn fill(canvas: &mut Canvas, run: (f64, f64, (&str, f64)), y: f64, height: f64) {
    let (from, until, (class, opacity)) = run;
    // How bad it was is to be seen without colours, too.
    let height_of = match class {
        "none" => 0.2,
        "served" => 0.35,
        "slow" => 0.6,
        "some" => 0.8,
        _ => 1.0,
    };
    let (wide, high) = (until - from + OVERLAP, height * height_of);
    canvas.rect(class, opacity, from, y + height - high, wide, high);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_bad_where_answers_come_sooner() {
        let ms = Duration::from_millis;
        for (ended, failed, under_way, usual, silence, want) in [
            (0, 0, 0, 10, 0, "none"),
            (0, 0, 1, 10, 500, "many"),
            // Requests take that long there.
            (0, 0, 1, 1000, 500, "none"),
            (0, 0, 1, 1000, 3500, "many"),
            (100, 0, 1, 10, 0, "served"),
            (100, 1, 1, 10, 0, "some"),
            (100, 5, 1, 10, 0, "many"),
        ] {
            let step = Step {
                ended,
                failed,
                under_way,
                ..Step::default()
            };
            let got = fared(&step, ms(usual), ms(silence));
            assert_eq!(got, want, "{ended} {failed} {under_way} {usual} {silence}");
        }
    }
}
