//! A request's way past the AuthorizationPolicies of the workload that it is for.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use super::{Context, Verdict, operations, scheme};
use crate::decision::{Access, Details, Record};
use crate::message::ResponseHead;
use crate::peer::ListenerKind;
use crate::policy::authorization::{self, Asking};

/// Asks the policies, and answers for the application where they refuse. What the workload itself sends is not theirs.
pub(super) fn check(
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Option<Verdict> {
    let ListenerKind::Inbound(listener) = context.peer.listener else {
        return None;
    };
    let policies = &context.view.snapshot.authorization;
    if policies.is_empty() {
        return None;
    }
    let asking = Asking {
        peer: context.peer,
        port: policies.ports.get(listener).copied().unwrap_or_default(),
        tls: context.tls.map(|tls| &**tls),
        request: Some((&record.request, scheme(&record.request))),
        claims: record.token.as_ref().map(|token| &token.claims),
    };
    let seen = authorization::decide(&policies.http, &asking);
    record.authorization = Some(seen);
    let Access::Denied(by) = seen.access else {
        return None;
    };
    let by = by.map(|rule| Arc::clone(&policies.name(rule).text));
    response.clear();
    response.status = StatusCode::FORBIDDEN;
    record.details = Details::AccessDenied(by);
    operations::operate_on_response(context, record, response);
    Some(Verdict::Reply(Bytes::from_static(b"RBAC: access denied")))
}
