//! Providers of AuthorizationPolicies with action `CUSTOM`: which one is asked about a request next, and what follows from its
//! answer, in the words of Envoy's `ext_authz` filter.
//!
//! What is said over HTTP and gRPC is in files of their own (`http`, `grpc`).

use ::http::StatusCode;
use bytes::Bytes;

use super::judged::Judged;
use super::{Heard, grpc, http};
use crate::decision::{Details, Record, Word};
use crate::message::{Headers, RequestHead, ResponseHead};
use crate::peer::ListenerKind;
use crate::policy::authorization;
use crate::request::authorization::asking;
use crate::request::{Context, Verdict, operations};
use crate::snapshot::{Authorizer, AuthorizerProtocol};

/// The position of the next provider that is to be asked about a request, or about a connection, from this one on.
pub(super) fn next(context: &Context<'_>, from: u32, record: &Record) -> Option<u32> {
    if context.peer.listener == ListenerKind::Outbound {
        return None;
    }
    let policies = &context.view.snapshot.authorization;
    let external = policies.external.get(from as usize..)?;
    if external.is_empty() {
        return None;
    }
    // Of claims nothing is known yet: tokens are looked at afterwards.
    let (asking, is_connection) = (asking(context, record), record.connection.is_some());
    let mut numbered = (from..).zip(external);
    let found = numbered.find(|(_, one)| match is_connection {
        true => authorization::matches(&one.tcp, &asking),
        false => authorization::matches(&one.rules, &asking),
    });
    found.map(|(check, _)| check)
}

/// A provider by its position.
pub(super) fn authorizer<'a>(check: u32, context: &Context<'a>) -> &'a Authorizer {
    let policies = &context.view.snapshot.authorization;
    &policies.external[check as usize].authorizer
}

/// How much of a body is shown to any provider, in bytes.
pub(super) fn most_shown(context: &Context<'_>) -> usize {
    if context.peer.listener == ListenerKind::Outbound {
        return 0;
    }
    let external = context.view.snapshot.authorization.external.iter();
    let bodies = external.filter_map(|check| check.authorizer.body);
    bodies.map(|body| body.most).max().unwrap_or_default()
}

/// What is said to a provider.
pub(super) fn said(
    authorizer: &Authorizer,
    (body, is_partial): (&Bytes, bool),
    context: &Context<'_>,
    original: &Record,
) -> (RequestHead, Bytes) {
    let partial = authorizer.body.is_some().then_some(is_partial);
    match &authorizer.protocol {
        AuthorizerProtocol::Http(check) => (http::head(check, original, partial), body.clone()),
        AuthorizerProtocol::Grpc => (
            grpc::head(authorizer),
            grpc::message(authorizer, (body, partial), context, original),
        ),
    }
}

/// What a provider said, and the answer to a request that is refused for it.
pub(super) fn hear(
    authorizer: &Authorizer,
    heard: Option<&Heard>,
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> (Word, Option<Verdict>) {
    let judged = heard.map_or(Judged::Nonsense, |heard| match &authorizer.protocol {
        AuthorizerProtocol::Http(check) => http::judge(check, heard),
        AuthorizerProtocol::Grpc => grpc::judge(heard),
    });
    match judged {
        Judged::Allowed(changes) => {
            changes.apply(record);
            (Word::Allowed, None)
        }
        Judged::Denied {
            status,
            fields,
            body,
        } => {
            let answer = (status, Details::ExternalAuthorizationDenied, body);
            let refused = refuse(answer, Some(&fields), context, record, response);
            (Word::Denied(status.as_u16()), Some(refused))
        }
        Judged::Nonsense if authorizer.fails_open => (Word::FailedOpen, None),
        Judged::Nonsense => {
            let details = Details::ExternalAuthorizationError;
            let answer = (authorizer.status_on_error, details, Bytes::new());
            (
                Word::Failed,
                Some(refuse(answer, None, context, record, response)),
            )
        }
    }
}

fn refuse(
    (status, details, body): (StatusCode, Details, Bytes),
    fields: Option<&Headers>,
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    response.clear();
    response.status = status;
    record.details = details;
    if let Some(told) = &mut record.told_fields {
        told.set.clear();
    }
    operations::operate_on_response(context, record, response);
    for field in fields.into_iter().flat_map(Headers::iter) {
        // As long as the answer that it came with, which was bounded.
        let _ = response.headers.append(field.name, field.value);
    }
    Verdict::Reply(body)
}
