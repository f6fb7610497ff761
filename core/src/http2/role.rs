//! Which end of a connection we are.

/// Our end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A client opens streams, and we answer.
    Server,
    /// We open streams.
    Client,
}
