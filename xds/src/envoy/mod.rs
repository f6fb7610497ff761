//! What clients are told that know Envoy's words and not Istio's: which kinds of that there are, and their messages
//! (`envoy.config.*.v3`). The numbers are those of the interfaces and never change; what is never sent is left out.
//!
//! Owns the words. What is said in them is made of a configuration, and so the business of whoever has one.

pub mod cluster;
pub mod endpoint;
pub mod fault;
pub mod listener;
pub mod places;
pub mod route;
pub mod source;

use prost::Message;

use crate::kinds::{Kind, MADE};
use crate::messages::Any;

/// Which endpoints a cluster has (EDS).
pub const ENDPOINTS: &Kind = &MADE[1];

/// Clusters (CDS), listeners (LDS) and routes (RDS) of clients of gRPC without a proxy.
pub const CLUSTERS: &Kind = &MADE[0];

/// See [`CLUSTERS`].
pub const LISTENERS: &Kind = &MADE[2];

/// See [`CLUSTERS`].
pub const ROUTES: &Kind = &MADE[3];

/// All of them.
pub const KINDS: &[Kind] = MADE;

/// Whether a client that is told the state of the world is told all that it wants each time: what is missing is gone then. Of the others
/// it is told what has changed, and nothing that is gone can be told.
#[must_use]
pub fn is_told_whole(kind: &Kind) -> bool {
    *kind != *ENDPOINTS && *kind != *ROUTES
}

/// What such a client is told instead where a thing is gone, or never was: an empty one of the name.
#[must_use]
pub fn nothing(kind: &Kind, name: &str) -> Option<Any> {
    if *kind == *ENDPOINTS {
        let empty = endpoint::ClusterLoadAssignment {
            cluster_name: name.to_owned(),
            endpoints: Vec::new(),
        };
        return Some(any(kind, &empty));
    }
    if *kind == *ROUTES {
        let empty = route::RouteConfiguration {
            name: name.to_owned(),
            virtual_hosts: Vec::new(),
        };
        return Some(any(kind, &empty));
    }
    None
}

/// A message of a kind as it travels.
#[must_use]
pub fn any(kind: &Kind, message: &impl Message) -> Any {
    typed(&kind.type_url(), message)
}

/// A message in a field of any type, whose own type that is.
#[must_use]
pub fn typed(type_url: &str, message: &impl Message) -> Any {
    Any {
        type_url: type_url.to_owned(),
        value: message.encode_to_vec().into(),
    }
}
