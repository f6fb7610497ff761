//! The outcome as a picture: what users saw over time on top, what each service went through below, and when what went
//! wrong behind both.
//!
//! Owns what is shown and in which order. Lines, scales and colours are in `plot`; nothing is fetched from anywhere, so one
//! file is all there is.

mod bands;
mod compared;
mod plot;

use std::fmt::Write as _;
use std::time::Duration;

use outrigger_sim::study::{PlannedFault, RowKind, RowOutcome, Scenario};

use self::plot::{Canvas, LatencyScale, Plot, TimeScale, escaped};
use super::Run;
use super::table::{grouped, percent, span, time};
use crate::width::shortened;

/// Services beyond so many are left out, the ones that nothing happened to first.
const MOST_SERVICES: usize = 16;

/// How far plots stand apart.
const GAP: f64 = 26.0;

/// Where plots begin and end, and where words about them stand.
#[derive(Clone, Copy)]
struct Layout {
    left: f64,
    width: f64,
    right: f64,
    /// Words stand above plots, because beside them there is no room.
    words_above: bool,
}

impl Layout {
    /// As wide as a page.
    const WIDE: Self = Self {
        left: 190.0,
        width: 880.0,
        right: 30.0,
        words_above: false,
    };
    /// One of two columns.
    const COLUMN: Self = Self {
        left: 76.0,
        width: 446.0,
        right: 18.0,
        words_above: true,
    };
    /// As wide as a telephone.
    const NARROW: Self = Self {
        left: 64.0,
        width: 278.0,
        right: 18.0,
        words_above: true,
    };

    const fn whole(self) -> f64 {
        self.left + self.width + self.right
    }
}

/// A drawing of all runs, all on the same scales; two stand side by side.
pub(super) fn svg(scenario: &Scenario, runs: &[Run]) -> String {
    let all: Vec<&Run> = runs.iter().collect();
    let [a, b] = runs else {
        return drawing(scenario, &all, &Scales::of(scenario, runs, Layout::WIDE));
    };
    let scales = Scales::of(scenario, runs, Layout::COLUMN);
    let [mut both, right] = [a, b].map(|run| drawn(scenario, &[run], &scales));
    both.put_beside(right);
    both.finish(&about(scenario, &all))
}

fn drawing(scenario: &Scenario, runs: &[&Run], scales: &Scales) -> String {
    drawn(scenario, runs, scales).finish(&about(scenario, runs))
}

/// What it says to who does not see the drawing.
fn about(scenario: &Scenario, runs: &[&Run]) -> String {
    let under: Vec<String> = runs.iter().map(|run| summary(run)).collect();
    format!("{}. {}", title(scenario), under.join(". "))
}

/// Runs, one below the other.
fn drawn(scenario: &Scenario, runs: &[&Run], scales: &Scales) -> Canvas {
    let mut canvas = Canvas::new(scales.layout.whole());
    canvas.skip(34.0);
    canvas.prose("title", 11.0, title(scenario));
    canvas.skip(-14.0);
    legend(&mut canvas);
    for run in runs {
        draw_run(&mut canvas, scenario, run, scales);
    }
    canvas
}

/// What came of a run, for who does not see the drawing.
fn summary(run: &Run) -> String {
    let rows = run.outcome.rows.iter();
    let clients = rows.filter(|row| row.kind == RowKind::Clients);
    let fared = clients.map(|row| format!("{} {} served", row.name, percent(row)));
    let fared: Vec<String> = fared.collect();
    format!("Under {}: {}", rules(run), fared.join(", "))
}

/// A page around that drawing, with the rest of what the scenario says it shows below it, and the numbers. Two runs stand side by
/// side where there is room, below what differs and what that means.
pub(super) fn html(scenario: &Scenario, runs: &[Run]) -> String {
    let mut page = String::new();
    let name = escaped(title(scenario));
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}</title>\n<style>{}</style></head><body><main>\n",
        plot::PAGE_STYLE
    );
    let all: Vec<&Run> = runs.iter().collect();
    if let [a, b] = runs {
        page.push_str(&compared::html(scenario, [a, b]));
        let scales = Scales::of(scenario, runs, Layout::COLUMN);
        let [a, b] = [a, b].map(|run| drawing(scenario, &[run], &scales));
        let _ = write!(page, "<div class=\"wide columns\">\n{a}{b}</div>\n");
    } else {
        let scales = Scales::of(scenario, runs, Layout::WIDE);
        let wide = drawing(scenario, &all, &scales);
        let _ = write!(page, "<div class=\"wide\">\n{wide}</div>\n");
    }
    let narrow = drawing(scenario, &all, &Scales::of(scenario, runs, Layout::NARROW));
    let _ = write!(page, "<div class=\"narrow\">\n{narrow}</div>\n");
    let rest = scenario
        .about
        .lines()
        .skip(1)
        .collect::<Vec<_>>()
        .join("\n");
    for paragraph in rest.split("\n\n").filter(|text| !text.trim().is_empty()) {
        let _ = writeln!(page, "<p>{}</p>", escaped(paragraph));
    }
    for run in runs {
        page.push_str(&numbers(run));
    }
    page.push_str("</main></body></html>\n");
    page
}

fn title(scenario: &Scenario) -> &str {
    let first = scenario.about.lines().next().unwrap_or_default();
    if first.is_empty() {
        &scenario.file
    } else {
        first
    }
}

/// What all runs are drawn on.
struct Scales {
    layout: Layout,
    time: TimeScale,
    latency: LatencyScale,
    /// Requests a second at the top of a plot of a service, by its position in a run's rows.
    rates: Vec<f64>,
}

impl Scales {
    fn of(scenario: &Scenario, runs: &[Run], layout: Layout) -> Self {
        let rows = || runs.iter().flat_map(|run| &run.outcome.rows);
        let lasted = runs.iter().map(|run| {
            let steps = run.outcome.rows.first().map_or(0, |row| row.steps.len());
            run.outcome.step * steps as u32
        });
        // What is under way at the end may take long, and would leave the rest little room.
        let lasted = lasted
            .max()
            .unwrap_or_default()
            .min(scenario.duration.mul_f64(1.25));
        let clients = || rows().filter(|row| row.kind == RowKind::Clients);
        let steps = clients()
            .flat_map(|row| &row.steps)
            .filter(|step| step.ended > 0);
        let count = runs.first().map_or(0, |run| run.outcome.rows.len());
        let most = |at: usize| {
            let same = runs
                .iter()
                .filter_map(|run| Some((run.outcome.step, run.outcome.rows.get(at)?)));
            let rates = same.flat_map(|(length, row)| {
                let of = move |step: &outrigger_sim::study::Step| {
                    f64::from(step.ended + step.retries) / length.as_secs_f64()
                };
                row.steps.iter().map(of)
            });
            rates.fold(0.0, f64::max)
        };
        Self {
            layout,
            time: TimeScale::new(layout.left, layout.width, lasted),
            latency: LatencyScale::new(steps.flat_map(|step| [step.p50, step.p99])),
            rates: (0..count).map(most).collect(),
        }
    }
}

fn legend(canvas: &mut Canvas) {
    canvas.legend(&[
        ("band served", "served"),
        ("band slow", "slow"),
        ("band some", "some failed"),
        ("band many", "many failed"),
        ("fault", "something is wrong"),
        ("out", "out of rotation"),
        ("limit", "refused by a limit"),
    ]);
}

fn rules(run: &Run) -> String {
    match run.config.as_slice() {
        [] => "no rules".to_owned(),
        paths => paths.join(", "),
    }
}

fn draw_run(canvas: &mut Canvas, scenario: &Scenario, run: &Run, scales: &Scales) {
    let outcome = &run.outcome;
    let Layout { left, width, .. } = scales.layout;
    canvas.skip(30.0);
    canvas.prose("heading", 8.0, &format!("under {}", rules(run)));
    let requests = grouped(outcome.requests);
    let line = format!(
        "{requests} requests in {}, seed {}",
        span(scenario.duration),
        outcome.seed
    );
    canvas.prose("quiet", 7.0, &line);
    canvas.skip(2.0);
    let marks = marks(canvas, scenario, scales);
    let top = canvas.y();
    for row in outcome
        .rows
        .iter()
        .filter(|row| row.kind == RowKind::Clients)
    {
        draw_clients(canvas, row, scales, outcome.step);
    }
    for at in shown(&outcome.rows) {
        let (row, rate) = (&outcome.rows[at], scales.rates[at]);
        draw_service(canvas, row, scales, rate, outcome.step);
    }
    let hidden = outcome
        .rows
        .iter()
        .filter(|row| row.kind == RowKind::Service)
        .count()
        - shown(&outcome.rows).len();
    let bottom = canvas.y();
    canvas.time_axis(&scales.time);
    for (from, until) in marks {
        canvas.behind("fault", from, top, until - from, bottom - top);
    }
    let end = scales.time.x(scenario.duration);
    if end < left + width - 1.0 {
        canvas.line("end", end, top, end, bottom);
    }
    if hidden > 0 {
        canvas.text_here(
            "quiet",
            left,
            &format!("{hidden} services more are in the table"),
        );
        canvas.skip(18.0);
    }
}

/// Names what goes wrong above the plots; where its bands begin and end.
fn marks(canvas: &mut Canvas, scenario: &Scenario, scales: &Scales) -> Vec<(f64, f64)> {
    let mut marks: Vec<(f64, f64)> = Vec::new();
    // The right end of the last label in each line of labels.
    let mut lines: Vec<f64> = Vec::new();
    let top = canvas.y();
    for fault in &scenario.faults {
        let (from, until) = edges(fault, scales);
        let Layout { left, width, .. } = scales.layout;
        let room = (scales.layout.whole() / 6.6) as usize - 2;
        let label = shortened(&fault.label(&scenario.services), room);
        let wide = 6.6 * label.chars().count() as f64;
        let x = from.min(left + width - wide).max(canvas.margin());
        let line = lines.iter().position(|end| *end < x).unwrap_or(lines.len());
        lines.resize(lines.len().max(line + 1), 0.0);
        lines[line] = x + wide + 10.0;
        canvas.text("wrong", x, top + 14.0 * (line as f64 + 1.0) - 4.0, &label);
        marks.push((from, until));
    }
    canvas.skip(14.0 * lines.len() as f64 + 4.0);
    marks
}

fn edges(fault: &PlannedFault, scales: &Scales) -> (f64, f64) {
    let at = |nanos: u64| scales.time.x(Duration::from_nanos(nanos));
    (at(fault.from.as_nanos()), at(fault.until.as_nanos()))
}

/// Which services are drawn: all, or those to which most happened.
fn shown(rows: &[RowOutcome]) -> Vec<usize> {
    let services = rows.iter().enumerate();
    let services = services.filter(|(_, row)| row.kind == RowKind::Service);
    let mut all: Vec<usize> = services.map(|(at, _)| at).collect();
    if all.len() > MOST_SERVICES {
        let trouble = |at: &usize| {
            let row = &rows[*at];
            std::cmp::Reverse(row.requests - row.good() + row.retries + row.ejections)
        };
        all.sort_by_key(trouble);
        all.truncate(MOST_SERVICES);
        all.sort_unstable();
    }
    all
}

/// A name of so many letters leaves room for the numbers beside a plot.
const MOST_LETTERS: usize = 14;

fn labels(canvas: &mut Canvas, layout: Layout, row: &RowOutcome, more: &[String]) {
    if layout.words_above {
        canvas.skip(12.0);
        canvas.prose("name", 7.5, &row.name);
        canvas.prose("quiet", 6.6, &more.join(" · "));
        canvas.skip(-8.0);
        return;
    }
    let y = canvas.y();
    canvas.text("name", 24.0, y + 14.0, &shortened(&row.name, MOST_LETTERS));
    for (line, text) in more.iter().enumerate() {
        canvas.text("quiet", 24.0, y + 30.0 + 15.0 * line as f64, text);
    }
}

fn draw_clients(canvas: &mut Canvas, row: &RowOutcome, scales: &Scales, step: Duration) {
    let served = format!("{} served", percent(row));
    let slowest = format!("p99 {}", time(row.percentile(0.99)));
    labels(canvas, scales.layout, row, &[served, slowest]);
    bands::suffering(canvas, &scales.time, row, step);
    canvas.skip(8.0);
    let mut plot = Plot::begin(canvas, &scales.time, 90.0, step);
    plot.success(&row.steps);
    plot.end(&row.steps);
    canvas.skip(18.0);
    let (x, y) = (canvas.margin(), canvas.y());
    let words = [
        ("quiet", "time to answer:"),
        ("p50-text", "half of requests"),
        ("p99-text", "99 of 100 (dashed)"),
    ];
    for (line, (class, text)) in (0_u8..).zip(words) {
        let line = f64::from(line);
        if scales.layout.words_above {
            canvas.text(class, x + 100.0 * line, y, text);
        } else {
            canvas.text(class, x, y + 30.0 + 15.0 * line, text);
        }
    }
    if scales.layout.words_above {
        canvas.skip(8.0);
    }
    let mut plot = Plot::begin(canvas, &scales.time, 120.0, step);
    plot.latency(&scales.latency, &row.steps);
    plot.end(&row.steps);
    canvas.skip(GAP);
}

fn draw_service(canvas: &mut Canvas, row: &RowOutcome, scales: &Scales, rate: f64, step: Duration) {
    let mut lines = vec![
        format!("{} served", percent(row)),
        format!("{:.2} times the load", row.amplification()),
    ];
    if row.ejections > 0 {
        lines.push(format!("{} ejections", grouped(row.ejections)));
    }
    if row.overflows > 0 {
        lines.push(format!("{} over a limit", grouped(row.overflows)));
    }
    labels(canvas, scales.layout, row, &lines);
    let beside = !scales.layout.words_above;
    if row.retries > 0 && beside {
        lines.push("calls with retries".to_owned());
        let y = canvas.y() + 15.0 + 15.0 * lines.len() as f64;
        canvas.text("tries-text", 24.0, y, "calls with retries");
    }
    let height = if beside {
        60_f64.max(26.0 + 15.0 * lines.len() as f64)
    } else {
        60.0
    };
    let mut plot = Plot::begin(canvas, &scales.time, height, step);
    plot.rates(rate, &row.steps);
    plot.end(&row.steps);
    canvas.skip(4.0);
    bands::limits(canvas, &scales.time, row, step);
    bands::rotation(canvas, &scales.time, row, step);
    canvas.skip(GAP - 8.0);
}

/// The table of a run.
fn numbers(run: &Run) -> String {
    let mut text = String::from(
        "<table><thead><tr><th></th><th>requests</th><th>success</th><th>p50</th><th>p90</th><th>p99</th>\
         <th>p99.9</th><th>retries</th><th>ejections</th><th>overflow</th><th>amplification</th><th>failed</th>\
         </tr></thead><tbody>\n",
    );
    for row in &run.outcome.rows {
        let times = [0.5, 0.9, 0.99, 0.999].map(|share| time(row.percentile(share)));
        let reasons = row.reasons.iter().take(4);
        let reasons: Vec<_> = reasons
            .map(|(why, count)| format!("{} × {why}", grouped(*count)))
            .collect();
        let _ = writeln!(
            text,
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.2}</td><td class=\"why\">{}</td></tr>",
            escaped(&row.name),
            grouped(row.requests),
            percent(row),
            times.join("</td><td>"),
            grouped(row.retries),
            format_args!(
                "{}</td><td>{}",
                grouped(row.ejections),
                grouped(row.overflows)
            ),
            row.amplification(),
            escaped(&reasons.join(", ")),
        );
    }
    text.push_str("</tbody></table>\n");
    let rules = escaped(&run.config.join(", "));
    format!("<h2>under {rules}</h2>\n{text}")
}
