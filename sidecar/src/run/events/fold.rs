//! Lines that say the same again and again: one is written, and then how many more there were.

use std::time::Duration;

use super::line::Line;

/// For so long a line that comes again is counted instead of written.
const WINDOW: Duration = Duration::from_secs(10);

/// What was written last, and how often it came since.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    line: Line,
    /// How many more of it there were, and when the last one.
    more: u64,
    latest: Duration,
}

impl Fold {
    /// What is to be written now that this line has come.
    pub(crate) fn take(&mut self, line: Line) -> impl Iterator<Item = Line> {
        if let Some(last) = &mut self.last
            && last.line.repeats(&line)
            && line.at.saturating_sub(last.line.at) < WINDOW
        {
            last.more += 1;
            last.latest = line.at;
            return None.into_iter().chain(None);
        }
        let before = self.end();
        self.last = Some(Last {
            line: line.clone(),
            more: 0,
            latest: line.at,
        });
        before.into_iter().chain(Some(line))
    }

    /// How long no other line may come until [`Fold::end`] is due; `None`: it is not.
    pub(crate) fn wait(&self) -> Option<Duration> {
        let has_more = self.last.as_ref().is_some_and(|last| last.more > 0);
        has_more.then_some(WINDOW)
    }

    /// How often the last line came again, if it did. What comes from now on is written.
    pub(crate) fn end(&mut self) -> Option<Line> {
        let last = self.last.take().filter(|last| last.more > 0)?;
        let message = match last.more {
            1 => format!("{} (once more)", last.line.message),
            more => format!("{} ({more} times more)", last.line.message),
        };
        Some(last.line.again(last.latest, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written of lines that come at these seconds, and at the end.
    fn written(lines: &[(u64, &str)]) -> Vec<String> {
        let mut fold = Fold::default();
        let mut out: Vec<Line> = Vec::new();
        for (at, message) in lines {
            out.extend(fold.take(Line::saying(message, Duration::from_secs(*at))));
        }
        let due = fold.wait().is_some();
        let end = fold.end();
        assert_eq!(due, end.is_some());
        out.extend(end);
        out.iter()
            .map(|line| format!("{} {}", line.at.as_secs(), line.message))
            .collect()
    }

    #[test]
    fn what_comes_again_is_counted() {
        for (lines, want) in [
            (
                &[(0, "a"), (1, "b"), (2, "a")][..],
                &["0 a", "1 b", "2 a"][..],
            ),
            (&[(0, "a"), (1, "a")], &["0 a", "1 a (once more)"]),
            (
                &[(0, "a"), (1, "a"), (2, "a"), (3, "b")],
                &["0 a", "2 a (2 times more)", "3 b"],
            ),
            (
                &[(0, "a"), (9, "a"), (10, "a"), (11, "a")],
                &["0 a", "9 a (once more)", "10 a", "11 a (once more)"],
            ),
        ] {
            assert_eq!(written(lines), want);
        }
    }
}
