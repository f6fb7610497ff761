//! Asking somebody else whether a request may pass (AuthorizationPolicy, action `CUSTOM`): what is asked, and what follows from
//! the answer, in the words of Envoy's `ext_authz` filter.
//!
//! Asking is the exchange's: it comes with a [`Question`] and goes on with what came back. What is said over HTTP and gRPC
//! is in files of their own (`http`, `grpc`).

mod grpc;
mod http;
mod messages;

use ::http::StatusCode;
use bytes::Bytes;

use super::authorization::asking;
use super::{Context, Later, Target, Verdict, endpoint, operations};
use crate::decision::{Checked, Details, Record, Timeouts, Word};
use crate::entropy::{Draw, Entropy};
use crate::message::{Headers, RequestHead, ResponseHead};
use crate::peer::ListenerKind;
use crate::policy::authorization;
use crate::snapshot::{Authorizer, AuthorizerProtocol, CheckedBody};
use crate::time::Instant;

/// Somebody is to be asked about a request, which waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The position of the provider among those that are asked.
    pub(super) check: u32,
    /// How the request goes on afterwards.
    pub(super) later: Later,
    /// When the question came up.
    pub(super) since: Instant,
    /// How much of the request's body is to be here first.
    pub body: Option<CheckedBody>,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Heard {
    /// The head of the response.
    pub head: ResponseHead,
    /// Its body.
    pub body: Bytes,
    /// Its trailers.
    pub trailers: Option<Headers>,
}

/// A question that is on its way.
#[derive(Debug)]
pub struct Asked {
    /// Its own story, with its head.
    pub record: Record,
    /// Where it goes; `None` where there is nobody.
    pub target: Option<Target>,
    /// What it says.
    pub body: Bytes,
}

/// The next provider that is to be asked about a request, from this one on.
pub(super) fn next(
    context: &Context<'_>,
    from: u32,
    later: impl FnOnce() -> Later,
    record: &Record,
) -> Option<Question> {
    let ListenerKind::Inbound(listener) = context.peer.listener else {
        return None;
    };
    let policies = &context.view.snapshot.authorization;
    let external = policies.external.get(from as usize..)?;
    if external.is_empty() {
        return None;
    }
    // Of claims nothing is known yet: tokens are looked at afterwards.
    let asking = asking(context, listener, record);
    let mut numbered = (from..).zip(external);
    let (check, found) = numbered.find(|(_, one)| authorization::matches(&one.rules, &asking))?;
    Some(Question {
        check,
        later: later(),
        since: context.now,
        body: found.authorizer.body,
    })
}

/// Whether the body that is shown is only the beginning of one (Envoy).
const PARTIAL: &[u8] = b"x-envoy-auth-partial-body";

const fn is_partial_text(is_partial: bool) -> &'static str {
    if is_partial { "true" } else { "false" }
}

/// Begins the story of a question about a request, of which so much body is here.
#[must_use]
pub fn begin_question(
    question: Question,
    body: &Bytes,
    is_partial: bool,
    context: &Context<'_>,
    original: &Record,
) -> Asked {
    let authorizer = authorizer(question, context);
    let draw = (original.entropy).draw(Draw::Question, u64::from(question.check));
    let partial = authorizer.body.is_some().then_some(is_partial);
    let (request, body) = match &authorizer.protocol {
        AuthorizerProtocol::Http(check) => (http::head(check, original, partial), body.clone()),
        AuthorizerProtocol::Grpc => (
            grpc::head(authorizer),
            grpc::message(authorizer, (body, partial), context, original),
        ),
    };
    let mut record = Record {
        revision: original.revision,
        entropy: Entropy(draw),
        request,
        timeouts: Timeouts {
            whole: Some(authorizer.timeout),
            ..Timeouts::default()
        },
        began: context.now,
        ..Record::default()
    };
    let nobodys = &mut ResponseHead::default();
    let target = match endpoint::pick(context, &authorizer.cluster, &mut record, nobodys) {
        Verdict::Attempt(target) => Some(target),
        Verdict::Reply(_) | Verdict::Delay(_) | Verdict::Retry(_) | Verdict::Ask(_) => None,
    };
    Asked {
        record,
        target,
        body,
    }
}

fn authorizer<'a>(question: Question, context: &Context<'a>) -> &'a Authorizer {
    let policies = &context.view.snapshot.authorization;
    &policies.external[question.check as usize].authorizer
}

/// What an answer comes to.
#[derive(Debug)]
enum Judged {
    /// The request may pass, with these changes.
    Allowed(Changes),
    /// It may not: the answer for its client.
    Denied {
        status: StatusCode,
        fields: Headers,
        body: Bytes,
    },
    /// It makes no sense.
    Nonsense,
}

/// What is changed of a request that may pass, and of its response.
#[derive(Debug, Default)]
struct Changes {
    /// Fields that take the place of those of their names.
    set: Headers,
    /// Fields that stand beside them.
    append: Headers,
    /// Names of fields that are taken away.
    remove: Vec<Box<str>>,
    /// Fields for the client.
    response: Headers,
}

/// An answer came, or none (`None`): the request goes on, or is refused.
pub fn after_answer(
    question: Question,
    heard: Option<&Heard>,
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    let authorizer = authorizer(question, context);
    let judged = heard.map_or(Judged::Nonsense, |heard| match &authorizer.protocol {
        AuthorizerProtocol::Http(check) => http::judge(check, heard),
        AuthorizerProtocol::Grpc => grpc::judge(heard),
    });
    let mut note = |word| {
        record.checks.push(Checked {
            check: question.check,
            word,
            took: context.now.since(question.since),
        });
    };
    match judged {
        Judged::Allowed(changes) => {
            note(Word::Allowed);
            changes.apply(record);
        }
        Judged::Denied {
            status,
            fields,
            body,
        } => {
            note(Word::Denied(status.as_u16()));
            let details = Details::ExternalAuthorizationDenied;
            return refuse(
                (status, details, body),
                Some(&fields),
                context,
                record,
                response,
            );
        }
        Judged::Nonsense if authorizer.fails_open => note(Word::FailedOpen),
        Judged::Nonsense => {
            note(Word::Failed);
            let details = Details::ExternalAuthorizationError;
            let answer = (authorizer.status_on_error, details, Bytes::new());
            return refuse(answer, None, context, record, response);
        }
    }
    match next(context, question.check + 1, || question.later, record) {
        Some(question) => Verdict::Ask(question),
        None => {
            let plan = question.later.plan(&context.view.snapshot);
            super::after_questions(context, &plan, record, response)
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
    record.told_fields.clear();
    operations::operate_on_response(context, record, response);
    for field in fields.into_iter().flat_map(Headers::iter) {
        // As long as the answer that it came with, which was bounded.
        let _ = response.headers.append(field.name, field.value);
    }
    Verdict::Reply(body)
}

impl Changes {
    fn apply(&self, record: &mut Record) {
        let headers = &mut record.request.headers;
        for name in &self.remove {
            headers.remove_if(|field| field.name.eq_ignore_ascii_case(name.as_bytes()));
        }
        for field in self.set.iter() {
            headers.remove_if(|of| of.name == field.name);
        }
        for field in self.set.iter().chain(self.append.iter()) {
            let _ = headers.append(field.name, field.value);
        }
        for field in self.response.iter() {
            let _ = record.told_fields.append(field.name, field.value);
        }
    }
}

/// Whether a field belongs to one message or one connection, so that nobody may set it for another. `name` is in lower case.
fn is_of_message(name: &[u8]) -> bool {
    matches!(
        name,
        b"connection"
            | b"content-length"
            | b"host"
            | b"keep-alive"
            | b"proxy-connection"
            | b"te"
            | b"trailer"
            | b"transfer-encoding"
            | b"upgrade"
    ) || name.first().is_none_or(|first| *first == b':')
}

/// Whether a name and a value can stand in a field: nothing that ends a line.
fn is_sound(name: &[u8], value: &[u8]) -> bool {
    let is_token = !name.is_empty() && name.iter().all(|byte| crate::message::is_token_byte(*byte));
    is_token && !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

/// What a head says of where it is to go, without which it is not one.
fn head(method: ::http::Method, authority: &[u8], path: Vec<u8>) -> RequestHead {
    RequestHead {
        method,
        authority: authority.into(),
        path,
        ..RequestHead::default()
    }
}
