//! Descriptors of requests: what routes make of a request for rate limits to tell it by (Envoy's `config.route.v3.RateLimit`).
//!
//! Local limits and the service that is asked about global ones are told the same; what they make of it is theirs.

use super::matching::{MatchedField, TextMatch};

/// A list of actions, which makes one descriptor of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Describes {
    /// Which limits it is for: those of the same stage, 0 to 10.
    pub stage: u32,
    /// What makes the entries, in order. If one of them can not, there is no descriptor.
    pub actions: Box<[DescriptorAction]>,
    /// How many requests one of these counts for; absent is one.
    pub hits: Option<u64>,
}

/// One entry of a descriptor that is made of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DescriptorAction {
    /// `generic_key`: always the same key and value.
    GenericKey(Box<str>, Box<str>),
    /// `request_headers`: the value of a field.
    RequestHeader {
        /// Which field.
        name: MatchedField,
        /// The key of the entry.
        key: Box<str>,
        /// Without the field the entry is left out.
        skip_if_absent: bool,
    },
    /// `header_value_match`: always the same, if fields match or if they do not.
    HeaderValueMatch {
        /// The key of the entry.
        key: Box<str>,
        /// Its value.
        value: Box<str>,
        /// Whether they are to match.
        expect_match: bool,
        /// All of these.
        headers: Box<[HeaderMatch]>,
    },
    /// `remote_address`: the client's address.
    RemoteAddress,
}

/// The key of the client's address.
pub const REMOTE_ADDRESS: &str = "remote_address";

/// A match on a header field as Envoy has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Which field.
    pub name: MatchedField,
    /// What its value must be; `None` when only its presence matters.
    pub value: Option<TextMatch>,
    /// Whether it is to be there.
    pub present: bool,
    /// The opposite.
    pub invert: bool,
}
