//! What every resource carries besides its specification: who it is and where it stands in the user's files.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// The `metadata` of a resource, and its origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Unique among the resources of one kind and namespace.
    pub name: String,
    /// The namespace; the program's `--namespace` where the document has none.
    pub namespace: String,
    /// Labels of the resource itself.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// `creationTimestamp` as written (RFC 3339 in UTC, so text order is time order).
    pub created: Option<String>,
    /// The file it was read from, as the user named it.
    pub file: Arc<str>,
    /// Where the document begins.
    pub mark: Mark,
}
