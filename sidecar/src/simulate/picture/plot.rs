//! Lines, scales, axes and colours of a picture.
//!
//! Colours are classes with a form for dark surroundings, so a picture fits the page that it is put in.

use std::fmt::Write as _;
use std::time::Duration;

use outrigger_sim::study::Step;

use super::super::table::{span, time};
use crate::width::wrapped;

const STYLE: &str = "
svg{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
rect{shape-rendering:crispEdges}.paper{fill:#fff}.title{font-size:20px;font-weight:600}.heading{font-size:14px;font-weight:600}
.name{font-size:13px;font-weight:600}text{fill:#1c2330}.quiet,.tick{fill:#5b6675}.tick{font-size:11px}
.p50-text,.p99-text,.tries-text{font-size:12px}.wrong{fill:#b3261e;font-size:11px}.end-anchor{text-anchor:end}.mid{text-anchor:middle}
.frame{fill:none;stroke:#c3cad4}.grid{stroke:#e4e8ee}.end{stroke:#8a94a3;stroke-dasharray:3 3}
.fault{fill:#b3261e;fill-opacity:.08}.bad{fill:#d33a2c}.load{fill:#9db8dd}.tries{fill:none;stroke:#5c3d99;stroke-width:1.4}
.good-line{fill:none;stroke:#0b62a4;stroke-width:1.8}.p50{fill:none;stroke:#2f6fbf;stroke-width:1.8}
.p99{fill:none;stroke:#c2570c;stroke-width:1.8;stroke-dasharray:5 2}.hint{fill:transparent}.hint:hover{fill:#5b6675;fill-opacity:.25}.p50-text{fill:#2f6fbf}.p99-text{fill:#c2570c}.tries-text{fill:#5c3d99}
.served{fill:#56a0d3}.slow{fill:#f0c648}.some{fill:#ee8b3a}.many{fill:#b3261e}.none{fill:#e4e8ee}
.lane{fill:#e4e8ee}.out{fill:#7b4fc9}.limit{fill:#e07b00}
@media (prefers-color-scheme:dark){
.paper{fill:#14181f}text{fill:#e8ecf2}.quiet,.tick{fill:#9aa5b4}.wrong{fill:#ff8a80}
.frame{stroke:#3d4654}.grid{stroke:#262d38}.end{stroke:#7c8796}.fault{fill:#ff8a80;fill-opacity:.12}
.bad{fill:#f0594a}.load{fill:#3f5f8c}.tries{stroke:#b79bf0}.tries-text{fill:#b79bf0}.good-line{stroke:#6cb8f0}
.p50{stroke:#7fb2f5}.p50-text{fill:#7fb2f5}.p99{stroke:#f5a05a}.p99-text{fill:#f5a05a}
.served{fill:#3d7fb0}.none,.lane{fill:#262d38}.out{fill:#a887ee}.limit{fill:#f09a30}}
";

/// The style of the page around a drawing.
pub(super) const PAGE_STYLE: &str = "
body{margin:0;font:14px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;background:#fff;color:#1c2330}
main{max-width:1120px;margin:0 auto;padding:16px}svg{width:100%;height:auto}.narrow{display:none}.columns{display:grid;grid-template-columns:1fr 1fr;gap:12px}
.verdict{font-size:18px;font-weight:600}.compared{overflow-x:auto}h2,li{overflow-wrap:anywhere}
@media (max-width:800px){.wide{display:none}.narrow{display:block}main{padding:8px}p,h2{margin-left:8px}h2{font-size:16px}table{margin:12px 0;display:block;overflow-x:auto}}p{max-width:90ch}p,h2{margin-left:24px}
table{border-collapse:collapse;margin:24px;font-variant-numeric:tabular-nums;font-size:13px}
th,td{padding:4px 10px;text-align:right;border-bottom:1px solid #e4e8ee;white-space:nowrap}
tbody th,.why{text-align:left}.why{color:#5b6675;white-space:normal}
@media (prefers-color-scheme:dark){body{background:#14181f;color:#e8ecf2}th,td{border-color:#262d38}.why{color:#9aa5b4}}
";

/// What stands beside each other overlaps so far, so that no gap is seen where pixels do not fit.
pub(super) const OVERLAP: f64 = 0.6;

/// A drawing that grows downward.
pub(super) struct Canvas {
    width: f64,
    y: f64,
    behind: String,
    front: String,
}

impl Canvas {
    pub(super) const fn new(width: f64) -> Self {
        Self {
            width,
            y: 0.0,
            behind: String::new(),
            front: String::new(),
        }
    }

    pub(super) const fn y(&self) -> f64 {
        self.y
    }

    /// Where words begin that stand beside no plot.
    pub(super) const fn margin(&self) -> f64 {
        if self.width < 800.0 { 8.0 } else { 24.0 }
    }

    /// Words in as many lines as they need; a letter is so wide.
    pub(super) fn prose(&mut self, class: &str, letter: f64, text: &str) {
        let x = self.margin();
        let columns = ((self.width - 2.0 * x) / letter) as usize;
        for line in wrapped(text, columns, "", 0) {
            self.text_here(class, x, &line);
            self.y += 2.6 * letter;
        }
    }

    pub(super) const fn skip(&mut self, height: f64) {
        self.y += height;
    }

    pub(super) fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let text = escaped(text);
        let _ = writeln!(
            self.front,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
        );
    }

    /// Text whose line stands where the drawing has got to.
    pub(super) fn text_here(&mut self, class: &str, x: f64, text: &str) {
        let y = self.y;
        self.text(class, x, y, text);
    }

    pub(super) fn line(&mut self, class: &str, x1: f64, y1: f64, x2: f64, y2: f64) {
        let _ = writeln!(
            self.front,
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    pub(super) fn rect(&mut self, class: &str, opacity: f64, x: f64, y: f64, wide: f64, high: f64) {
        let faint = match opacity {
            o if o < 1.0 => format!(" fill-opacity=\"{o:.2}\""),
            _ => String::new(),
        };
        let _ = writeln!(
            self.front,
            "<rect class=\"{class}\"{faint} x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\"/>"
        );
    }

    /// A rectangle behind everything else.
    pub(super) fn behind(&mut self, class: &str, x: f64, y: f64, wide: f64, high: f64) {
        let _ = writeln!(
            self.behind,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\"/>"
        );
    }

    /// A place that says something to who points at it.
    pub(super) fn hint(&mut self, x: f64, y: f64, wide: f64, high: f64, text: &str) {
        let text = escaped(text);
        let _ = writeln!(
            self.front,
            "<rect class=\"hint\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\"><title>{text}</title></rect>"
        );
    }

    fn path(&mut self, class: &str, data: &str) {
        if !data.is_empty() {
            let _ = writeln!(self.front, "<path class=\"{class}\" d=\"{data}\"/>");
        }
    }

    /// What the colours stand for, in one line.
    pub(super) fn legend(&mut self, entries: &[(&str, &str)]) {
        self.y += 12.0;
        let margin = self.margin();
        let mut x = margin;
        for (class, text) in entries {
            let wide = 19.0 + 6.5 * text.len() as f64 + 18.0;
            if x + wide > self.width && x > margin {
                (x, self.y) = (margin, self.y + 18.0);
            }
            let y = self.y;
            self.rect(class, 1.0, x, y - 10.0, 14.0, 11.0);
            self.text("tick", x + 19.0, y, text);
            x += wide;
        }
    }

    pub(super) fn time_axis(&mut self, scale: &TimeScale) {
        self.y += 4.0;
        let y = self.y + 12.0;
        let (every, unit, divisor) = scale.ticks();
        let mut at = Duration::ZERO;
        while at <= scale.lasted {
            let number = at.as_secs_f64() / divisor;
            let digits = usize::from(number.fract() != 0.0 && every.as_secs_f64() / divisor < 1.0);
            let class = "tick mid";
            self.text(class, scale.x(at), y, &format!("{number:.digits$} {unit}"));
            at += every;
        }
        self.y += 30.0;
    }

    /// Puts another drawing into this one, to the right of what is there.
    pub(super) fn put_beside(&mut self, other: Self) {
        let (x, width, height) = (self.width, other.width, other.y);
        self.front += &format!(
            "<svg x=\"{x:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">\n{}{}</svg>\n",
            other.behind, other.front
        );
        (self.width, self.y) = (x + width, self.y.max(height));
    }

    /// `about` is what it says to who does not see it.
    pub(super) fn finish(self, about: &str) -> String {
        let Self {
            width,
            y,
            behind,
            front,
        } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {y:.0}\" width=\"{width:.0}\" \
             height=\"{y:.0}\" role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>\n\
             <rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n{behind}{front}</svg>\n",
            escaped(about)
        )
    }
}

/// Text as XML has it.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// From times to places.
pub(super) struct TimeScale {
    left: f64,
    width: f64,
    lasted: Duration,
}

impl TimeScale {
    pub(super) fn new(left: f64, width: f64, lasted: Duration) -> Self {
        let lasted = lasted.max(Duration::from_millis(1));
        Self {
            left,
            width,
            lasted,
        }
    }

    /// Where plots begin.
    pub(super) const fn left(&self) -> f64 {
        self.left
    }

    pub(super) fn x(&self, at: Duration) -> f64 {
        let share = at.as_secs_f64() / self.lasted.as_secs_f64();
        self.left + self.width * share.min(1.0)
    }

    /// From where to where a step goes, unless it is beyond the end.
    pub(super) fn step(&self, number: usize, length: Duration) -> Option<(f64, f64)> {
        let from = length * number as u32;
        let x = self.x(from);
        (from < self.lasted).then(|| (x, self.x(from + length) - x))
    }

    /// How far ticks are apart, and in which unit they are written.
    fn ticks(&self) -> (Duration, &'static str, f64) {
        // One in 80 points of width.
        let least = self.lasted.as_secs_f64() / (self.width / 80.0).clamp(3.0, 10.0);
        let steps = [
            0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
            120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0, 86400.0,
        ];
        let every = steps
            .into_iter()
            .find(|step| *step >= least)
            .unwrap_or(86400.0);
        let (unit, divisor) = match every {
            e if e < 0.1 => ("ms", 0.001),
            e if e < 60.0 => ("s", 1.0),
            e if e < 3600.0 => ("min", 60.0),
            _ => ("h", 3600.0),
        };
        (Duration::from_secs_f64(every), unit, divisor)
    }
}

/// From latencies to heights, by their logarithm.
pub(super) struct LatencyScale {
    low: f64,
    high: f64,
}

impl LatencyScale {
    pub(super) fn new(times: impl Iterator<Item = Duration>) -> Self {
        let logs = times
            .filter(|t| !t.is_zero())
            .map(|t| t.as_secs_f64().log10());
        let (low, high) = logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), log| {
            (low.min(log), high.max(log))
        });
        if low > high {
            return Self {
                low: -3.0,
                high: 0.0,
            };
        }
        let low = low.floor();
        Self {
            low,
            high: high.ceil().max(low + 1.0),
        }
    }

    /// 0 at the bottom, 1 at the top.
    fn share(&self, time: Duration) -> f64 {
        let log = time.as_secs_f64().max(1e-9).log10();
        ((log - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Where lines are drawn, and how they are named.
    fn ticks(&self) -> Vec<(f64, String)> {
        let decades = (self.high - self.low).round() as i32;
        let times: &[f64] = if decades <= 2 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let mut all = Vec::new();
        for decade in 0..=decades {
            for factor in times {
                let seconds = factor * 10_f64.powi(self.low.round() as i32 + decade);
                if seconds.log10() <= self.high + 1e-9 {
                    let share = (seconds.log10() - self.low) / (self.high - self.low);
                    all.push((share, named(seconds)));
                }
            }
        }
        all
    }
}

fn named(seconds: f64) -> String {
    match seconds {
        s if s < 0.000_999 => format!("{:.0} µs", s * 1e6),
        s if s < 0.999 => format!("{:.0} ms", s * 1e3),
        s => format!("{s:.0} s"),
    }
}

/// A plot of steps.
pub(super) struct Plot<'c> {
    canvas: &'c mut Canvas,
    time: &'c TimeScale,
    top: f64,
    height: f64,
    step: Duration,
}

impl<'c> Plot<'c> {
    pub(super) fn begin(
        canvas: &'c mut Canvas,
        time: &'c TimeScale,
        height: f64,
        step: Duration,
    ) -> Self {
        let top = canvas.y();
        Self {
            canvas,
            time,
            top,
            height,
            step,
        }
    }

    /// The frame, last, so that nothing but what says something hides it.
    pub(super) fn end(self, steps: &[Step]) {
        let _ = writeln!(
            self.canvas.front,
            "<rect class=\"frame\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            self.time.left, self.top, self.time.width, self.height
        );
        for (number, step) in steps.iter().enumerate() {
            if let Some((x, wide)) = self.time.step(number, self.step) {
                let text = hint(step, self.step * number as u32);
                self.canvas.hint(x, self.top, wide, self.height, &text);
            }
        }
        self.canvas.y += self.height;
    }

    /// A share of the height, 0 at the bottom, as a place.
    fn y(&self, share: f64) -> f64 {
        self.top + self.height * (1.0 - share)
    }

    fn tick(&mut self, share: f64, text: &str) {
        let (left, y) = (self.time.left, self.y(share));
        self.canvas.line("grid", left, y, left + self.time.width, y);
        self.canvas
            .text("tick end-anchor", left - 6.0, y + 4.0, text);
    }

    /// Which share of requests was served, and in red which was not.
    pub(super) fn success(&mut self, steps: &[Step]) {
        for (share, text) in [(1.0, "100 %"), (0.5, "50 %"), (0.0, "0 %")] {
            self.tick(share, text);
        }
        for (number, step) in steps.iter().enumerate().filter(|(_, step)| step.failed > 0) {
            if let Some((x, wide)) = self.time.step(number, self.step) {
                let share = f64::from(step.failed) / f64::from(step.ended);
                let y = self.top;
                // One failure in a thousand is still to be seen.
                self.canvas.rect(
                    "bad",
                    1.0,
                    x,
                    y,
                    wide + OVERLAP,
                    (self.height * share).max(2.0),
                );
            }
        }
        self.curve("good-line", steps, |step| {
            (step.ended > 0).then(|| 1.0 - f64::from(step.failed) / f64::from(step.ended))
        });
    }

    /// How long requests took.
    pub(super) fn latency(&mut self, scale: &LatencyScale, steps: &[Step]) {
        for (share, text) in scale.ticks() {
            self.tick(share, &text);
        }
        self.curve("p99", steps, |step| {
            (step.ended > 0).then(|| scale.share(step.p99))
        });
        self.curve("p50", steps, |step| {
            (step.ended > 0).then(|| scale.share(step.p50))
        });
    }

    /// How many calls ended, how many of them badly, and how many attempts were made for them.
    pub(super) fn rates(&mut self, most: f64, steps: &[Step]) {
        let most = nice(most);
        self.tick(1.0, &format!("{most}/s"));
        let seconds = self.step.as_secs_f64();
        for (number, step) in steps.iter().enumerate() {
            let Some((x, wide)) = self.time.step(number, self.step) else {
                continue;
            };
            let share = |count: u32| f64::from(count) / seconds / most;
            let (all, bad) = (share(step.ended), share(step.failed));
            let high = self.height;
            let y = self.y(all);
            self.canvas
                .rect("load", 1.0, x, y, wide + OVERLAP, high * all);
            if step.failed > 0 {
                self.canvas
                    .rect("bad", 1.0, x, y, wide + OVERLAP, (high * bad).max(1.5));
            }
        }
        if steps.iter().any(|step| step.retries > 0) {
            let tries = |step: &Step| f64::from(step.ended + step.retries) / seconds / most;
            self.curve("tries", steps, |step| Some(tries(step)));
        }
    }

    fn curve(&mut self, class: &str, steps: &[Step], share: impl Fn(&Step) -> Option<f64>) {
        let mut data = String::new();
        let mut is_down = false;
        for (number, step) in steps.iter().enumerate() {
            let place = self.time.step(number, self.step).zip(share(step));
            let Some(((x, wide), share)) = place else {
                is_down = false;
                continue;
            };
            let letter = if std::mem::replace(&mut is_down, true) {
                'L'
            } else {
                'M'
            };
            let (x, y) = (x + wide / 2.0, self.y(share.min(1.0)));
            let _ = write!(data, "{letter}{x:.1} {y:.1}");
        }
        self.canvas.path(class, &data);
    }
}

/// A step in words.
pub(super) fn hint(step: &Step, at: Duration) -> String {
    let at = span(at);
    if step.ended == 0 {
        return format!("{at}: nobody was answered, {} wait", step.under_way);
    }
    let (ended, failed) = (step.ended, step.failed);
    let (p50, p99) = (time(step.p50), time(step.p99));
    format!("{at}: {ended} ended, {failed} failed, half in {p50}, 99 of 100 in {p99}")
}

/// The next number that is easy to read.
fn nice(most: f64) -> f64 {
    let most = most.max(1.0);
    let unit = 10_f64.powf(most.log10().floor());
    let found = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    let times = found.into_iter().find(|times| times * unit >= most);
    (times.unwrap_or(10.0) * unit).round()
}
