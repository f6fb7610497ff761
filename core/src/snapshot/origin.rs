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

/// Where the settings of a cluster stand, and what they took the place of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterOrigin {
    /// The port of the service.
    pub service: Option<Origin>,
    /// The subset.
    pub subset: Option<Origin>,
    /// The blocks of its traffic policy that somebody wrote.
    pub blocks: Box<[BlockOrigin]>,
    /// Rules for the same host that another namespace's keeps away as a whole.
    pub passed_over: Box<[Origin]>,
}

/// Where one block of a traffic policy stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOrigin {
    /// `connectionPool` and so on.
    pub name: &'static str,
    /// Where it stands; where it is not set, the settings of a port that took the place of the policy that had it.
    pub origin: Origin,
    /// Whether it is set there.
    pub is_set: bool,
    /// Where else it is set, and does not hold: what comes first here, and then what that would have hidden.
    pub overrides: Box<[Origin]>,
}

/// The line on which a field of a route stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldLine {
    /// `timeout` and so on.
    pub field: Box<str>,
    /// From 1.
    pub line: u32,
}
