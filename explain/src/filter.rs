//! Which requests are told: a small language over what a record knows.
//!
//! ```text
//! status>=500 and not path~/healthz
//! (flags=UH or flags=UF) and host=recommendation
//! duration>250ms or attempts>1
//! ```
//!
//! Owns the grammar and what each field means. `not` binds closer than `and`, and that closer than `or`; parentheses group.

use std::fmt;

use outrigger_core::config::value::parse_duration;
use outrigger_core::decision::Record;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Duration;

/// Longer filters are refused: 4 KiB.
const MOST_BYTES: usize = 4 << 10;

/// Parentheses and negations within each other.
const MOST_DEPTH: usize = 32;

/// What can be asked, for those who write filters.
pub const HELP: &str = "\
status, attempts: =, !=, <, <=, >, >= and a number (status 0: the client saw none); duration: the same and a time such as 250ms; \
path, host, route, flags: =, != the whole text (of flags: one of them), ~ a part of it; \
and, or, not, parentheses; texts with spaces or parentheses in double quotes";

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Expression);

/// A filter that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFilter(String);

impl fmt::Display for BadFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadFilter {}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Number(NumberOf, Comparison, u64),
    Text(TextOf, TextTest, String),
}

/// Fields that are numbers; a duration is one of nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NumberOf {
    Status,
    Attempts,
    Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextOf {
    Path,
    Host,
    Route,
    Flags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextTest {
    Equal,
    Unequal,
    Contains,
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// What cannot be read in it, and what can.
    pub fn new(text: &str) -> Result<Self, BadFilter> {
        let bad = |what: String| BadFilter(format!("{what}; a filter is made of {HELP}"));
        if text.len() > MOST_BYTES {
            return Err(bad(format!("the filter is longer than {MOST_BYTES} bytes")));
        }
        let mut reader = Reader {
            rest: text,
            depth: 0,
        };
        let expression = reader.any().map_err(bad)?;
        match reader.rest.trim_start() {
            "" => Ok(Self(expression)),
            rest => Err(bad(format!("`{rest}` is one too many"))),
        }
    }

    /// Whether it takes in a request.
    #[must_use]
    pub fn takes(&self, record: &Record, snapshot: &Snapshot) -> bool {
        holds(&self.0, record, snapshot)
    }
}

fn holds(expression: &Expression, record: &Record, snapshot: &Snapshot) -> bool {
    match expression {
        Expression::Any(all) => all.iter().any(|one| holds(one, record, snapshot)),
        Expression::All(all) => all.iter().all(|one| holds(one, record, snapshot)),
        Expression::Not(one) => !holds(one, record, snapshot),
        Expression::Number(of, comparison, wanted) => {
            let number = match of {
                NumberOf::Status => u64::from(record.status),
                NumberOf::Attempts => record.attempts.len() as u64,
                NumberOf::Duration => nanos(record.ended.since(record.began)),
            };
            match comparison {
                Comparison::Equal => number == *wanted,
                Comparison::Unequal => number != *wanted,
                Comparison::Less => number < *wanted,
                Comparison::AtMost => number <= *wanted,
                Comparison::More => number > *wanted,
                Comparison::AtLeast => number >= *wanted,
            }
        }
        Expression::Text(of, test, wanted) => {
            let wanted = wanted.as_bytes();
            match of {
                TextOf::Path => test.holds(record.original_path(), wanted),
                TextOf::Host => test.holds(&record.request.authority, wanted),
                TextOf::Route => {
                    let name = record.route_name(snapshot).unwrap_or_default();
                    test.holds(name.as_bytes(), wanted)
                }
                TextOf::Flags => {
                    let flags = record.flags().to_string();
                    let mut flags = flags.split(',').map(str::as_bytes);
                    match test {
                        TextTest::Equal => flags.any(|flag| flag == wanted),
                        TextTest::Unequal => flags.all(|flag| flag != wanted),
                        TextTest::Contains => flags.any(|flag| contains(flag, wanted)),
                    }
                }
            }
        }
    }
}

impl TextTest {
    fn holds(self, text: &[u8], wanted: &[u8]) -> bool {
        match self {
            Self::Equal => text == wanted,
            Self::Unequal => text != wanted,
            Self::Contains => contains(text, wanted),
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn any(&mut self) -> Result<Expression, String> {
        let mut all = vec![self.all()?];
        while self.word("or") {
            all.push(self.all()?);
        }
        Ok(alone(all).unwrap_or_else(Expression::Any))
    }

    fn all(&mut self) -> Result<Expression, String> {
        let mut all = vec![self.one()?];
        while self.word("and") {
            all.push(self.one()?);
        }
        Ok(alone(all).unwrap_or_else(Expression::All))
    }

    fn one(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(format!(
                "more than {MOST_DEPTH} parentheses and negations are within each other"
            ));
        }
        let one = if self.word("not") {
            Expression::Not(Box::new(self.one()?))
        } else if self.symbol("(") {
            let inner = self.any()?;
            if !self.symbol(")") {
                return Err("a parenthesis is not closed".to_owned());
            }
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(one)
    }

    fn test(&mut self) -> Result<Expression, String> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic());
        let (field, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        if field.is_empty() {
            return Err(match self.rest {
                "" => "something is missing at the end".to_owned(),
                rest => format!("`{rest}` begins with no field"),
            });
        }
        let number = match field {
            "status" => NumberOf::Status,
            "attempts" => NumberOf::Attempts,
            "duration" => NumberOf::Duration,
            _ => return self.text(field),
        };
        let comparison = self
            .comparison()
            .ok_or_else(|| format!("`{field}` is compared by =, !=, <, <=, > or >="))?;
        let value = self.value()?;
        let wanted = match number {
            NumberOf::Duration => parse_duration(&value).ok().map(nanos),
            NumberOf::Status | NumberOf::Attempts => value.parse().ok(),
        };
        let kind = match number {
            NumberOf::Duration => "a time such as 250ms",
            NumberOf::Status | NumberOf::Attempts => "a number",
        };
        let wanted = wanted.ok_or_else(|| format!("`{value}` is not {kind}"))?;
        Ok(Expression::Number(number, comparison, wanted))
    }

    fn text(&mut self, field: &str) -> Result<Expression, String> {
        let text = match field {
            "path" => TextOf::Path,
            "host" => TextOf::Host,
            "route" => TextOf::Route,
            "flags" => TextOf::Flags,
            _ => return Err(format!("`{field}` is no field")),
        };
        let test = if self.symbol("!=") {
            TextTest::Unequal
        } else if self.symbol("=") {
            TextTest::Equal
        } else if self.symbol("~") {
            TextTest::Contains
        } else {
            return Err(format!("`{field}` is compared by =, != or ~"));
        };
        Ok(Expression::Text(text, test, self.value()?))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let all = [
            ("!=", Comparison::Unequal),
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("<", Comparison::Less),
            (">", Comparison::More),
            ("=", Comparison::Equal),
        ];
        let mut all = all.into_iter();
        all.find_map(|(symbol, comparison)| self.symbol(symbol).then_some(comparison))
    }

    /// A word, or text in double quotes.
    fn value(&mut self) -> Result<String, String> {
        self.rest = self.rest.trim_start();
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let (value, rest) = quoted.split_once('"').ok_or("a quote is not closed")?;
            self.rest = rest;
            return Ok(value.to_owned());
        }
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')'));
        let (value, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if value.is_empty() {
            return Err("a value is missing".to_owned());
        }
        self.rest = rest;
        Ok(value.to_owned())
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(symbol);
        self.take(rest)
    }

    /// A word that ends here.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(word);
        let rest = rest.filter(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()));
        self.take(rest)
    }

    fn take(&mut self, rest: Option<&'t str>) -> bool {
        if let Some(rest) = rest {
            self.rest = rest;
        }
        rest.is_some()
    }
}

/// The only one of them, or all.
fn alone(mut all: Vec<Expression>) -> Result<Expression, Vec<Expression>> {
    match all.len() {
        1 => all.pop().ok_or(all),
        _ => Err(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::decision::{Details, ResetReason};
    use outrigger_core::time::Instant;

    fn record() -> Record {
        let mut record = Record::default();
        record.status = 503;
        record.details = Details::ResetBeforeResponse(ResetReason::RemoteConnectionFailure);
        record.ended = Instant::from_millis(300);
        record.delayed = Some(Duration::from_millis(1));
        record.request.authority = b"shop:80".to_vec();
        record.request.path = b"/cart/7?a=b c".to_vec();
        record
    }

    #[test]
    fn filters_take_in_what_they_say() {
        let snapshot = Snapshot::default();
        for (filter, want) in [
            ("status=503", true),
            ("status != 503", false),
            ("status>=500", true),
            ("status<500", false),
            ("status<=503 and status>502", true),
            ("duration>250ms", true),
            ("duration>=0.3s", true),
            ("duration<300ms", false),
            ("attempts=0", true),
            ("attempts>0 or status=503", true),
            ("attempts>0 or status=200", false),
            ("path~/cart", true),
            ("path=/cart", false),
            ("path=\"/cart/7?a=b c\"", true),
            ("host=shop:80", true),
            ("host!=shop:80", false),
            ("route=\"\"", true),
            ("route~x", false),
            ("flags=UF", true),
            ("flags=DI", true),
            ("flags=UH", false),
            ("flags!=UH", true),
            ("flags!=UF", false),
            ("flags~U", true),
            ("not status=200", true),
            ("not not status=200", false),
            ("not (status=503 or status=200)", false),
            // `not` binds closest, `and` closer than `or`.
            ("not status=200 and status=200", false),
            ("status=503 or status=1 and status=2", true),
            ("(status=503 or status=1) and status=2", false),
            ("  ( status = 503 )  ", true),
        ] {
            let read = Filter::new(filter).unwrap();
            assert_eq!(read.takes(&record(), &snapshot), want, "{filter}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_what_and_what_can() {
        let deep = "(".repeat(MOST_DEPTH + 1);
        let long = format!("path={}", "a".repeat(MOST_BYTES));
        for (filter, why) in [
            ("", "something is missing at the end"),
            ("status", "`status` is compared by"),
            ("status~5", "`status` is compared by"),
            ("status=", "a value is missing"),
            ("status=ok", "`ok` is not a number"),
            ("duration>9", "`9` is not a time"),
            ("path>1", "`path` is compared by =, != or ~"),
            ("staus=200", "`staus` is no field"),
            ("status=200 and", "something is missing at the end"),
            ("status=200 path=/", "`path=/` is one too many"),
            ("(status=200", "a parenthesis is not closed"),
            ("status=200)", "`)` is one too many"),
            ("path=\"/", "a quote is not closed"),
            ("=200", "`=200` begins with no field"),
            ("not", "something is missing at the end"),
            (&deep, "are within each other"),
            (&long, "is longer than"),
        ] {
            let text = Filter::new(filter).unwrap_err().to_string();
            assert!(
                text.starts_with(why) || text.contains(why),
                "{filter}: {text}"
            );
            assert!(text.contains(HELP));
        }
    }
}
