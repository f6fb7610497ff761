//! Compiled matches and the conditions made of them: what a request is held against. Plain data; `policy::route` does the comparing.

use core::ops::Range;

use super::re2::translate;
use crate::message::FieldName;

/// A compiled regular expression (RE2 syntax and semantics, linear time).
///
/// One pattern is compiled either to match the whole text (every `regex` of a match) or anywhere in it (the pattern of
/// a regex rewrite); who holds it knows which.
#[derive(Clone, Debug)]
pub struct Regex {
    /// As the user wrote it.
    pub pattern: Box<str>,
    /// The program.
    pub program: regex::bytes::Regex,
}

/// A pattern that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegexFault {
    /// Why: in words that continue "the pattern …".
    pub why: String,
    /// Which bytes of the pattern are at fault.
    pub part: Range<usize>,
}

impl core::fmt::Display for RegexFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.why)
    }
}

/// Larger programs are refused, so that a short pattern can not take much memory: 1 MiB.
const PROGRAM_BYTES: usize = 1 << 20;

impl Regex {
    /// A pattern that must match the whole text, as every `regex` of a StringMatch.
    ///
    /// # Errors
    /// RE2 would refuse it, or its program is too large.
    pub fn whole(pattern: &str) -> Result<Self, RegexFault> {
        // The pattern is compiled alone first: `a)(b` must not become valid inside the group.
        let alone = Self::anywhere(pattern)?;
        let program = compile(&format!(r"\A(?:{})\z", alone.program.as_str()))
            .map_err(|(why, _)| RegexFault::of_all(why, pattern))?;
        Ok(Self { program, ..alone })
    }

    /// A pattern that may match anywhere, as `uriRegexRewrite.match`.
    ///
    /// # Errors
    /// As [`Self::whole`].
    pub fn anywhere(pattern: &str) -> Result<Self, RegexFault> {
        let translated = translate(pattern).map_err(|(why, part)| RegexFault {
            why: why.to_owned(),
            part,
        })?;
        let program = compile(&translated.text).map_err(|(why, part)| match part {
            Some(part) => RegexFault {
                why,
                part: translated.original(part),
            },
            None => RegexFault::of_all(why, pattern),
        })?;
        Ok(Self {
            pattern: pattern.into(),
            program,
        })
    }
}

impl RegexFault {
    fn of_all(why: String, pattern: &str) -> Self {
        Self {
            why,
            part: 0..pattern.len(),
        }
    }
}

/// The program of a translated pattern, or why there is none and which bytes of it are at fault.
fn compile(pattern: &str) -> Result<regex::bytes::Regex, (String, Option<Range<usize>>)> {
    let mut builder = regex::bytes::RegexBuilder::new(pattern);
    let program = builder.size_limit(PROGRAM_BYTES).build();
    program.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => ("needs too much memory".to_owned(), None),
        other => {
            let (why, part) = fault(pattern).unwrap_or_else(|| (other.to_string(), None));
            (format!("does not compile: {why}"), part)
        }
    })
}

/// What the parser behind `regex` says of a pattern that it refuses, which `regex` itself only tells in a drawing.
fn fault(pattern: &str) -> Option<(String, Option<Range<usize>>)> {
    let mut parser = regex_syntax::ParserBuilder::new().utf8(false).build();
    let (why, span) = match parser.parse(pattern).err()? {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), *error.span()),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), *error.span()),
        _ => return None,
    };
    Some((why, Some(span.start.offset..span.end.offset)))
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for Regex {}

/// Istio's StringMatch, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// Equal, byte for byte.
    Exact(Box<str>),
    /// Begins with this text.
    Prefix(Box<str>),
    /// Matches as a whole.
    Regex(Box<Regex>),
    /// Anything, as long as it is there (`{}`).
    Present,
}

/// A match on the path, without its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// The whole path.
    Exact {
        /// The path; in lower case when `ignore_case`.
        path: Box<str>,
        /// ASCII case does not matter (`ignoreUriCase`).
        ignore_case: bool,
    },
    /// The beginning of the path, as plain text: `/foo` matches `/foobar`.
    Prefix {
        /// The prefix; in lower case when `ignore_case`. It may be empty, which matters to a rewrite.
        path: Box<str>,
        /// ASCII case does not matter (`ignoreUriCase`).
        ignore_case: bool,
    },
    /// The whole path, by regular expression.
    Regex(Box<Regex>),
}

/// What a header match looks at: a field, or one of the pseudo header fields that stand for the request line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchedField {
    /// A field of the request.
    Field(FieldName),
    /// `:method`.
    Method,
    /// `:path`, query included.
    Path,
    /// `:authority`, which `host` is another name for.
    Authority,
    /// `:scheme`.
    Scheme,
}

impl MatchedField {
    /// Takes the key of a `headers` or `withoutHeaders` map, in any case. `None` when it can be no field of a request.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        Some(match &*name.to_ascii_lowercase() {
            ":method" => Self::Method,
            ":path" => Self::Path,
            ":authority" | "host" => Self::Authority,
            ":scheme" => Self::Scheme,
            _ => Self::Field(FieldName::new(name)?),
        })
    }

    /// The name in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Field(name) => name.as_str(),
            Self::Method => ":method",
            Self::Path => ":path",
            Self::Authority => ":authority",
            Self::Scheme => ":scheme",
        }
    }
}

/// A match on a claim of a token: its text, or one of its list, matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimMatch {
    /// The names that lead to it.
    pub path: Box<[Box<str>]>,
    /// What it must be.
    pub value: TextMatch,
    /// From `withoutHeaders`: the rule applies when this does *not* match, as it does where there is no such claim.
    pub negated: bool,
}

/// A match on a header field. Of a field that stands several times one value must match, as in current Envoys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldMatch {
    /// Which field.
    pub name: MatchedField,
    /// What its value must be.
    pub value: TextMatch,
    /// From `withoutHeaders`: the rule applies when this does *not* match; a missing field counts as empty text
    /// for exact, prefix and regex, and as absent for `Present`.
    pub negated: bool,
}

/// A match on the first value of a query parameter, compared without percent-decoding, as Envoy does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryMatch {
    /// Case-sensitive name.
    pub name: Box<str>,
    /// What the value must be.
    pub value: TextMatch,
}

/// All conditions of one match entry; they must hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// On the path without query.
    pub path: Option<PathMatch>,
    /// On the method, case-sensitive.
    pub method: Option<TextMatch>,
    /// On the scheme.
    pub scheme: Option<TextMatch>,
    /// On the authority, with its port when it has one.
    pub authority: Option<TextMatch>,
    /// On header fields, `withoutHeaders` included.
    pub fields: Box<[FieldMatch]>,
    /// On query parameters.
    pub query: Box<[QueryMatch]>,
    /// On claims of the token that says who asks (`@request.auth.claims`), which only gateways know.
    pub claims: Box<[ClaimMatch]>,
}

impl Condition {
    /// Whether nothing but the path matters.
    #[must_use]
    pub fn is_only_path(&self) -> bool {
        self.method.is_none()
            && self.scheme.is_none()
            && self.authority.is_none()
            && self.fields.is_empty()
            && self.query.is_empty()
            && self.claims.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_pattern_says_where() {
        for marked in [
            "/a«(»b",
            "a«)»(b",
            "/a[«z-a»]+$",
            r"\d+\Qa.b\E[«z-a»]",
            r"é\s[«z-a»]",
            r"(?P<n>a)«\1»",
            "a*«*»",
            "x«(?»=a)",
            "x«[ab»",
            r"a«\h»b",
            "«»*a",
            "a«{1001}»",
            r"a«\»",
        ] {
            let pattern = marked.replace(['«', '»'], "");
            let from = marked.find('«').unwrap();
            let to = marked.find('»').unwrap() - '«'.len_utf8();
            let fault = Regex::whole(&pattern).unwrap_err();
            assert_eq!(fault.part, from..to, "{marked}: {fault}");
        }
    }
}
