//! The conditions of an HTTP route, as written.

use std::collections::BTreeMap;

/// A match on text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StringMatch {
    /// `exact`: equal, byte for byte.
    Exact(String),
    /// `prefix`: begins with this text.
    Prefix(String),
    /// `regex`: matches as a whole, RE2 syntax.
    Regex(String),
    /// `{}`: anything, as long as it is there. Only in the maps of header fields and query parameters.
    Present,
}

/// One entry of `http[].match`; its conditions must hold together, entries are alternatives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpMatchRequest {
    /// Appended to the route name in logs.
    pub name: String,
    /// On the path without its query.
    pub uri: Option<StringMatch>,
    /// On the scheme.
    pub scheme: Option<StringMatch>,
    /// On the method, case-sensitive.
    pub method: Option<StringMatch>,
    /// On the authority with any port, case-sensitive.
    pub authority: Option<StringMatch>,
    /// On header fields, names as written.
    pub headers: BTreeMap<String, StringMatch>,
    /// On header fields that must not match; `{}` and regex `*` mean that the field must be absent.
    pub without_headers: BTreeMap<String, StringMatch>,
    /// On the first value of query parameters.
    pub query_params: BTreeMap<String, StringMatch>,
    /// ASCII case does not matter in exact and prefix `uri`.
    pub ignore_uri_case: bool,
    /// The service port that is addressed; zero is any.
    pub port: u32,
    /// Labels that the client workload must have.
    pub source_labels: BTreeMap<String, String>,
    /// The namespace the client must be in; empty is any.
    pub source_namespace: String,
    /// Replaces the VirtualService's list for this entry; empty keeps it.
    pub gateways: Vec<String>,
    /// Prefix of statistics; no effect on routing.
    pub stat_prefix: String,
}
