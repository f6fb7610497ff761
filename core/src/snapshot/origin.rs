//! Where something of a snapshot stands in the user's files.

use core::fmt;

/// Which resource of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(pub u32);

/// A resource that rules came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceRef {
    /// `VirtualService`.
    pub kind: Box<str>,
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// The file it was read from, as the user named it.
    pub file: Box<str>,
}

impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Where a rule stands in the user's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The resource.
    pub resource: ResourceId,
    /// The field path, such as `spec.http[2].match[0]`.
    pub path: Box<str>,
    /// The line in the resource's file, from 1.
    pub line: u32,
}
