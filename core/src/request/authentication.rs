//! A request's way past RequestAuthentication: its tokens are found, checked and handed on, or it is refused.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use smallvec::SmallVec;

use super::{Context, Verdict, operations, scheme};
use crate::cluster::JwtEvent;
use crate::decision::{Authentication, Details, Record};
use crate::jose::TokenFault;
use crate::message::{Known, RequestHead, ResponseHead};
use crate::policy::jwt::{self, Accepted, NotAccepted};
use crate::snapshot::RequestAuthentication;

/// How much of a path is told in `www-authenticate`, in bytes (Envoy's `MaximumUriLength`).
const MOST_OF_PATH: usize = 256;

/// Checks the tokens of a request that came from the mesh.
pub(super) fn check(
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Option<Verdict> {
    let auth = context.view.snapshot.request_authentication.as_ref()?;
    jwt::sanitize(auth, &mut record.request);
    if jwt::is_preflight(&record.request) {
        auth.counts.count(JwtEvent::PreflightBypassed);
        auth.counts.count(JwtEvent::Allowed);
        record.authentication = Some(Authentication::Preflight);
        return None;
    }
    match accepted(context, auth, &record.request) {
        Ok(accepted) => {
            auth.counts.count(JwtEvent::Allowed);
            hand_on(auth, &accepted, record);
            None
        }
        Err(NotAccepted { fault, rule }) => {
            auth.counts.count(JwtEvent::Denied);
            record.authentication = Some(Authentication::Refused { fault, rule });
            Some(refuse(context, fault, record, response))
        }
    }
}

/// An accepted token, and the position of its place.
type Placed = (Rc<Accepted>, usize);

/// Checks every token.
fn accepted(
    context: &Context<'_>,
    auth: &RequestAuthentication,
    request: &RequestHead,
) -> Result<SmallVec<[Placed; 2]>, NotAccepted> {
    let nobodys = |fault| NotAccepted { fault, rule: None };
    let most = context.view.tokens.limits().tokens;
    let found = jwt::find(auth, request, most);
    if found.len() > most {
        auth.counts.count(JwtEvent::TooMany);
        return Err(nobodys(TokenFault::TooManyTokens));
    }
    let mut all = SmallVec::<[Placed; 2]>::new();
    for (text, at) in &found {
        let location = &auth.locations[*at];
        let accepted = context.view.tokens.verify(auth, location, text)?;
        all.push((accepted, *at));
    }
    let mut required = (0..).zip(&auth.rules).filter(|(_, rule)| rule.is_required);
    let missing = required.find(|(at, _)| all.iter().all(|(one, _)| one.rule != *at));
    match missing {
        Some((at, _)) => Err(NotAccepted {
            fault: TokenFault::Missing,
            rule: Some(at),
        }),
        None => Ok(all),
    }
}

/// The token of the first rule says who asks. Of two tokens of one rule the first is handed on.
fn hand_on(auth: &RequestAuthentication, accepted: &[Placed], record: &mut Record) {
    let speaker = accepted.iter().min_by_key(|(one, _)| one.rule);
    record.authentication = Some(match speaker {
        None => Authentication::NoToken,
        Some((one, _)) => Authentication::Accepted { rule: one.rule },
    });
    record.token = speaker.map(|(one, _)| Arc::clone(&one.token));
    for (at, (one, location)) in accepted.iter().enumerate() {
        let is_first = accepted[..at]
            .iter()
            .all(|(before, _)| before.rule != one.rule);
        if is_first {
            jwt::write_outputs(auth, one, &mut record.request);
        }
        jwt::take_out(auth, one, &auth.locations[*location], &mut record.request);
    }
}

/// 401, or 403 for a token that is for somebody else, with Envoy's words.
fn refuse(
    context: &Context<'_>,
    fault: TokenFault,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    response.clear();
    response.status = match fault == TokenFault::AudienceNotAllowed {
        true => StatusCode::FORBIDDEN,
        false => StatusCode::UNAUTHORIZED,
    };
    record.details = Details::JwtDenied(fault);
    operations::operate_on_response(context, record, response);
    let challenge = challenge(&record.request, fault);
    response.headers.set(Known::WwwAuthenticate, &challenge);
    Verdict::Reply(Bytes::from_static(fault.as_str().as_bytes()))
}

/// RFC 6750 §3, as Envoy writes it.
fn challenge(request: &RequestHead, fault: TokenFault) -> Vec<u8> {
    let path = &request.path[..request.path.len().min(MOST_OF_PATH)];
    let mut text = Vec::from(b"Bearer realm=\"");
    text.extend_from_slice(scheme(request).as_bytes());
    text.extend_from_slice(b"://");
    text.extend_from_slice(&request.authority);
    text.extend_from_slice(path);
    text.push(b'"');
    if fault != TokenFault::Missing {
        text.extend_from_slice(b", error=\"invalid_token\"");
    }
    text
}
