//! What clients are told that know Envoy's words and not Istio's: which kinds of that there are, and their messages
//! (`envoy.config.*.v3`). The numbers are those of the interfaces and never change; what is never sent is left out.
//!
//! Owns the words. What is said in them is made of a configuration, and so the business of whoever has one.

pub mod endpoint;
pub mod places;

use prost::Message;

use crate::kinds::{Kind, MADE};
use crate::messages::Any;

/// Which endpoints a cluster has (EDS).
pub const ENDPOINTS: &Kind = &MADE[0];

/// All of them.
pub const KINDS: &[Kind] = MADE;

/// Whether a client that is told the state of the world is told all that it wants each time: what is missing is gone then. Of the others
/// it is told what has changed, and nothing that is gone can be told.
#[must_use]
pub fn is_told_whole(kind: &Kind) -> bool {
    *kind != *ENDPOINTS
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
    None
}

/// A message as it travels in a field of any type.
#[must_use]
pub fn any(kind: &Kind, message: &impl Message) -> Any {
    Any {
        type_url: kind.type_url(),
        value: message.encode_to_vec().into(),
    }
}
