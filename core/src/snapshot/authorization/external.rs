//! Who else is asked whether a request may pass (action `CUSTOM`), and how.

use http::StatusCode;

use super::{RuleSet, TextPattern};
use crate::message::FieldName;
use crate::snapshot::DestinationCluster;
use crate::time::Duration;

/// One provider, and the requests and connections that it is asked about: those that a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalCheck {
    /// The rules.
    pub rules: RuleSet,
    /// The rules for connections that carry no HTTP; none where it is asked over HTTP.
    pub tcp: RuleSet,
    /// Whom to ask.
    pub authorizer: Authorizer,
}

/// A service that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// What the mesh calls it.
    pub name: Box<str>,
    /// Where it is.
    pub cluster: DestinationCluster,
    /// What requests to it say as their host where they are no copies: gRPC.
    pub authority: Box<str>,
    /// How long it may take.
    pub timeout: Duration,
    /// Requests pass when it cannot be asked.
    pub fails_open: bool,
    /// The answer to requests that are refused because it cannot be asked.
    pub status_on_error: StatusCode,
    /// How much of bodies it sees.
    pub body: Option<CheckedBody>,
    /// What it speaks.
    pub protocol: AuthorizerProtocol,
}

/// How much of bodies is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedBody {
    /// At most so many bytes.
    pub most: usize,
    /// The beginning of a longer one will do; otherwise its request is refused.
    pub allow_partial: bool,
    /// gRPC: as bytes rather than as text.
    pub as_bytes: bool,
}

/// What a service that is asked speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizerProtocol {
    /// `envoy.service.auth.v3.Authorization`.
    Grpc,
    /// A request that is like the one it is about.
    Http(HttpCheck),
}

/// What is said to such a service over HTTP, and what of its answer goes where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpCheck {
    /// What stands before the path.
    pub path_prefix: Box<str>,
    /// Names of fields that it sees.
    pub sees: Box<[TextPattern]>,
    /// Fields that it gets besides.
    pub adds: Box<[(FieldName, Box<str>)]>,
    /// Names of fields of its answer that go on with a request that may pass.
    pub to_upstream: Box<[TextPattern]>,
    /// Names of fields of its answer that a refused client sees; empty is all.
    pub to_refused: Box<[TextPattern]>,
    /// Names of fields of its answer that the client of a request sees that may pass.
    pub to_allowed: Box<[TextPattern]>,
}
