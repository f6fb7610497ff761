//! What many answers together must be, and whether they are.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What many answers must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tally {
    /// How often each body must come; `None` is any number of times.
    Shares(Vec<(String, Option<RangeInclusive<usize>>)>),
    /// Bodies in turn, beginning anywhere.
    InTurn(Vec<String>),
    /// One of these.
    Either(Vec<Self>),
}

impl Tally {
    /// Whether the bodies are what was expected.
    ///
    /// # Errors
    /// How they differ.
    pub fn judge(&self, bodies: &[String]) -> Result<(), String> {
        match self {
            Self::Shares(shares) => {
                let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
                for body in bodies {
                    *counts.entry(body).or_default() += 1;
                }
                let of = |name: &str| counts.get(name).copied().unwrap_or(0);
                let known = |name: &str| shares.iter().any(|(n, _)| n == name);
                let inside = shares
                    .iter()
                    .all(|(name, range)| range.as_ref().is_none_or(|r| r.contains(&of(name))));
                if inside && counts.keys().all(|name| known(name)) {
                    return Ok(());
                }
                Err(format!("expected: {shares:?}\n     got: {counts:?}"))
            }
            Self::Either(tallies) => {
                let mut judged = tallies.iter().map(|t| t.judge(bodies));
                judged
                    .find(Result::is_ok)
                    .unwrap_or_else(|| tallies.last().map_or(Ok(()), |tally| tally.judge(bodies)))
            }
            Self::InTurn(turn) => {
                let begin = turn.iter().position(|n| Some(n) == bodies.first());
                let fits = begin.is_some_and(|begin| {
                    let mut turns = turn.iter().cycle().skip(begin);
                    bodies.iter().all(|b| Some(b) == turns.next())
                });
                if fits {
                    return Ok(());
                }
                Err(format!(
                    "expected, from anywhere: {turn:?}\n     got: {bodies:?}"
                ))
            }
        }
    }
}

/// `v1 700..800, v2 200..300`, or `in turn a, b, c`, or several of them with ` or ` between them, for so many answers.
pub(crate) fn tally(text: &str, count: usize) -> Result<Tally, String> {
    if text.contains(" or ") {
        return text
            .split(" or ")
            .map(|text| tally(text, count))
            .collect::<Result<_, _>>()
            .map(Tally::Either);
    }
    if let Some(names) = text.strip_prefix("in turn ") {
        return Ok(Tally::InTurn(
            names.split(',').map(|n| n.trim().to_owned()).collect(),
        ));
    }
    let shares: Vec<_> = text
        .split(',')
        .map(|part| share(part.trim(), count))
        .collect::<Result<_, _>>()?;
    let sum = |of: fn(&RangeInclusive<usize>) -> usize| -> usize {
        shares
            .iter()
            .filter_map(|(_, range)| range.as_ref().map(of))
            .sum()
    };
    let is_bounded = shares.iter().all(|(_, range)| range.is_some());
    let (low, high) = (sum(|range| *range.start()), sum(|range| *range.end()));
    if low > count || (is_bounded && high < count) {
        return Err(format!(
            "`{text}` never holds: these are not {count} together"
        ));
    }
    Ok(Tally::Shares(shares))
}

/// `any NAME`, `NAME 7` or `NAME 3..9`. A range that any number of answers is in would look like a test and be none.
fn share(text: &str, count: usize) -> Result<(String, Option<RangeInclusive<usize>>), String> {
    if let Some(name) = text.strip_prefix("any ") {
        return Ok((name.to_owned(), None));
    }
    let parsed = || {
        let (name, range) = text.rsplit_once(' ')?;
        let (low, high) = range.split_once("..").unwrap_or((range, range));
        Some((name, low.parse::<usize>().ok()?..=high.parse().ok()?))
    };
    let (name, range) = parsed().ok_or_else(|| format!("`{text}` is no `name low..high`"))?;
    if range.is_empty() {
        return Err(format!(
            "`{text}` never holds: write the lower number first"
        ));
    }
    if *range.start() == 0 && *range.end() >= count {
        return Err(format!(
            "`{text}` holds whatever happens: narrow it, or write `any {name}`"
        ));
    }
    Ok((name.to_owned(), Some(range)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_counted_or_come_in_turn() {
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(
            tally("in turn a, b", 3)
                .unwrap()
                .judge(&names("b a b"))
                .is_ok()
        );
        assert!(
            tally("in turn a, b", 3)
                .unwrap()
                .judge(&names("b b a"))
                .is_err()
        );
        let shares = tally("a 1..2, b 0..1", 3).unwrap();
        assert!(shares.judge(&names("a b a")).is_ok());
        assert!(shares.judge(&names("a b b")).is_err());
        assert!(shares.judge(&names("a c")).is_err());
        let either = tally("a 2 or b 2", 2).unwrap();
        assert!(either.judge(&names("b b")).is_ok());
        assert!(either.judge(&names("a b")).is_err());
        let any = tally("any a, any b, c 1", 3).unwrap();
        assert!(any.judge(&names("a a c")).is_ok());
        assert!(any.judge(&names("a b a")).is_err());
        assert!(any.judge(&names("a c d")).is_err());
    }
}
