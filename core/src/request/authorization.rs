//! A request's way past the AuthorizationPolicies of the workload that it is for.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use super::{Context, Verdict, operations, scheme};
use crate::decision::{Access, Details, Record};
use crate::message::ResponseHead;
use crate::peer::ListenerKind;
use crate::policy::authorization::{self, Asking};

/// What is known of who asks for what, or connects, at an inbound listener, or at one of a Gateway.
pub(super) fn asking<'a>(context: &Context<'a>, record: &'a Record) -> Asking<'a> {
    let policies = &context.view.snapshot.authorization;
    // What passes is closer to who is meant than what was taken off.
    let connection = record.connection.as_deref();
    let passed = connection.and_then(|connection| connection.server_name.as_deref());
    Asking {
        peer: context.peer,
        port: match context.peer.listener {
            ListenerKind::Inbound(_) => {
                let at = context.view.snapshot.inbound_ports.position(context.peer);
                let named = at.and_then(|at| policies.ports.get(at)).copied();
                // Of a port that nobody names it is the one that the connection was to go to.
                named
                    .filter(|port| *port > 0)
                    .unwrap_or_else(|| context.peer.destination().port())
            }
            ListenerKind::Gateway(port) => port,
            ListenerKind::Outbound => 0,
        },
        tls: context.tls.map(|tls| &**tls),
        server_name: passed.or_else(|| context.tls.and_then(|tls| tls.sni.as_deref())),
        request: connection
            .is_none()
            .then(|| (&record.request, scheme(&record.request))),
        claims: record.token.as_ref().map(|token| &token.claims),
    }
}

/// Asks the policies about a connection that came in on an inbound listener, or one of a Gateway, and is not HTTP, and closes it where they refuse.
pub(super) fn check_connection(context: &Context<'_>, record: &mut Record) -> Option<Verdict> {
    let policies = &context.view.snapshot.authorization;
    if policies.is_empty() {
        return None;
    }
    let seen = authorization::decide(&policies.tcp, &asking(context, record));
    record.authorization = Some(seen);
    let Access::Denied(by) = seen.access else {
        return None;
    };
    let by = by.map(|rule| Arc::clone(&policies.name(rule).text));
    record.details = Details::AccessDenied(by);
    Some(Verdict::Close)
}

/// Asks the policies about a request that came in so, and answers for the application where they refuse.
pub(super) fn check(
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Option<Verdict> {
    let policies = &context.view.snapshot.authorization;
    if policies.is_empty() {
        return None;
    }
    let seen = authorization::decide(&policies.http, &asking(context, record));
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
