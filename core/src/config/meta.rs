//! What every resource carries besides its specification: who it is and where it stands in the user's files.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::mark::Mark;
use super::node::Node;
use super::resource_name::ResourceName;

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
    /// The whole document, for [`Self::locate`].
    pub document: Arc<Node>,
    /// A finding of severity error names this resource. It tells which names exist, but must not be put to work.
    pub rejected: bool,
}

impl Meta {
    /// Where a field such as `spec.http[2].match[0]` stands in [`Self::file`], or else its closest parent.
    #[must_use]
    pub fn locate(&self, path: &str) -> Mark {
        self.document.locate(path)
    }

    /// The name that findings show.
    #[must_use]
    pub fn resource_name(&self, kind: &str) -> ResourceName {
        ResourceName {
            kind: kind.into(),
            namespace: self.namespace.as_str().into(),
            name: self.name.as_str().into(),
        }
    }
}
