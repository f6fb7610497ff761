//! What a name that leads nowhere was meant to be: a known name that it misses by a slip.

use std::cell::Cell;

/// Names that one run of the lint compares at most. A guess is a courtesy; beyond this there are none.
const MAX_COMPARED: usize = 200_000;

/// Longer labels are not compared (RFC 1123 §2.1).
const MAX_LABEL: usize = 63;

/// How many slips are forgiven in a name.
const MAX_SLIPS: usize = 2;

/// Guesses, within a budget.
#[derive(Debug)]
pub(super) struct Guesses {
    left: Cell<usize>,
}

impl Guesses {
    pub(super) const fn new() -> Self {
        Self {
            left: Cell::new(MAX_COMPARED),
        }
    }

    /// The closest of the known names, if one is close enough; the first in order of several.
    pub(super) fn nearest<'k>(
        &self,
        wanted: &str,
        known: impl Iterator<Item = &'k str>,
    ) -> Option<&'k str> {
        let mut best: Option<(usize, &str)> = None;
        for name in known {
            let left = self.left.get().checked_sub(1)?;
            self.left.set(left);
            if let Some(slips) = slips(wanted, name)
                && best.is_none_or(|best| (slips, name) < best)
            {
                best = Some((slips, name));
            }
        }
        best.map(|(_, name)| name)
    }
}

/// Help that begins with a guess.
pub(super) fn did_you_mean(meant: Option<&str>, help: &str) -> String {
    match (meant, help) {
        (None, help) => help.to_owned(),
        (Some(meant), "") => format!("did you mean `{meant}`?"),
        (Some(meant), help) => format!("did you mean `{meant}`? {help}"),
    }
}

/// How many slips lie between two names of as many labels, unless they are too many to be slips: of three letters one
/// may be wrong. So `v1` was never meant to be `v2`.
fn slips(a: &str, b: &str) -> Option<usize> {
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    let mut total = 0;
    loop {
        let (a, b) = match (left.next(), right.next()) {
            (None, None) => return (1..=MAX_SLIPS).contains(&total).then_some(total),
            (Some(a), Some(b)) => (a, b),
            (None, Some(_)) | (Some(_), None) => return None,
        };
        if a == b {
            continue;
        }
        let (short, long) = (a.len().min(b.len()), a.len().max(b.len()));
        if long > MAX_LABEL || long - short > MAX_SLIPS {
            return None;
        }
        let distance = strsim::damerau_levenshtein(a, b);
        if distance * 3 > short {
            return None;
        }
        total += distance;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_from_other_names() {
        let known = [
            "canary",
            "reviews.default.svc.cluster.local",
            "reviews.prod.svc.cluster.local",
            "v1",
        ];
        for (wanted, meant) in [
            ("canray", Some("canary")),
            ("v2", None),
            ("v11", None),
            ("canary", None),
            (
                "revews.default.svc.cluster.local",
                Some("reviews.default.svc.cluster.local"),
            ),
            (
                "reviews.pord.svc.cluster.local",
                Some("reviews.prod.svc.cluster.local"),
            ),
            ("reviews.test.svc.cluster.local", None),
            ("reviews", None),
        ] {
            let guess = Guesses::new().nearest(wanted, known.iter().copied());
            assert_eq!(guess, meant, "{wanted}");
        }
    }

    /// One slip in a label of so many letters, of which one is left out.
    #[test]
    fn labels_that_no_host_has_are_not_compared() {
        for (letters, is_compared) in [(MAX_LABEL, true), (MAX_LABEL + 1, false)] {
            let label = "a".repeat(letters);
            let guess = Guesses::new().nearest(&label[1..], [&*label].into_iter());
            assert_eq!(guess.is_some(), is_compared, "{letters}");
        }
    }

    #[test]
    fn guesses_end_with_their_budget() {
        let guesses = Guesses::new();
        let many = core::iter::repeat_n("other", MAX_COMPARED);
        assert_eq!(guesses.nearest("canray", many), None);
        assert_eq!(guesses.nearest("canray", ["canary"].into_iter()), None);
    }
}
