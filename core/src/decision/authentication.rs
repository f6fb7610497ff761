//! What became of a request's tokens.

use serde::{Deserialize, Serialize};

use crate::jose::TokenFault;

/// What RequestAuthentication made of a request. Rules are named by their position in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authentication {
    /// A question of CORS, which carries no credentials, is not asked for a token.
    Preflight,
    /// It has no token, and none is required.
    NoToken,
    /// Its tokens are accepted; this is the rule of the one that says who asks.
    Accepted {
        /// The position of the rule.
        rule: u32,
    },
    /// It was refused.
    Refused {
        /// Why.
        fault: TokenFault,
        /// The rule that refused the token; `None` when it is no rule's.
        rule: Option<u32>,
    },
}
