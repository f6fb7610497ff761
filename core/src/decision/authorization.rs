//! What AuthorizationPolicies made of a request, as data.

use serde::{Deserialize, Serialize};

use crate::snapshot::AccessRuleId;

/// Whether a request may pass, and which rule says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// It may: by this rule, or because no policy says who may.
    Allowed(Option<AccessRuleId>),
    /// It may not: by this rule, or because none says that it may.
    Denied(Option<AccessRuleId>),
}

/// What the policies that hold for a workload made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationSeen {
    /// What came of it.
    pub access: Access,
    /// What those would have made of it that are only tried; `None` where there are none.
    pub tried: Option<Access>,
    /// The rule of an audit policy that matched it.
    pub audited: Option<AccessRuleId>,
}
