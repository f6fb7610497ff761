//! Compiled matches: what a request is held against. Plain data; `policy::route` does the comparing.

use crate::message::FieldName;

/// A regular expression that must match the whole text (RE2 syntax and semantics, linear time).
#[derive(Clone, Debug)]
pub struct Regex {
    /// As the user wrote it.
    pub pattern: Box<str>,
    /// Compiled as `^(?:pattern)$`.
    pub full: regex::bytes::Regex,
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
        /// The prefix; in lower case when `ignore_case`. Never empty: an empty prefix is no condition.
        path: Box<str>,
        /// ASCII case does not matter (`ignoreUriCase`).
        ignore_case: bool,
    },
    /// The whole path, by regular expression.
    Regex(Box<Regex>),
}

/// A match on a header field. A field that stands several times is matched against its values joined by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldMatch {
    /// Which field.
    pub name: FieldName,
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
