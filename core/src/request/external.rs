//! Asking somebody else about a request: providers of AuthorizationPolicies (action `CUSTOM`), and services that keep global
//! rate limits. What is asked, and what follows from the answer.
//!
//! Asking is the exchange's: it comes with a [`Question`] and goes on with what came back. When somebody is asked is for the
//! order of policies to say (`chain`), what is said for who is asked (`provider`, `limit_service`).

mod call;
mod grpc;
mod http;
mod judged;
mod limit_service;
mod messages;
mod provider;
mod rate_limit_fields;

use ::http::Method;
use bytes::Bytes;

use super::{Context, Later, Target, Verdict, endpoint};
use crate::decision::{Checked, Record, Timeouts, Whom};
use crate::entropy::{Draw, Entropy};
use crate::message::{Headers, RequestHead, ResponseHead};
use crate::snapshot::{ChainRule, CheckedBody, DestinationCluster, Place};
use crate::time::{Duration, Instant};

/// Somebody is to be asked about a request, which waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who is asked, and how it goes on afterwards.
    pub(super) asks: Asks,
    /// When the question came up.
    pub(super) since: Instant,
    /// How much of the request's body is to be here first.
    pub body: Option<CheckedBody>,
    /// How much of it this question and those behind it may show, in bytes.
    pub most_shown: usize,
}

/// Who is asked, by where that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// The provider of an AuthorizationPolicy about a request.
    Provider {
        /// Its position among those that are asked.
        check: u32,
        /// How the request goes on.
        later: Later,
    },
    /// The same about a connection that is not HTTP.
    OfConnection {
        /// Its position among those that are asked.
        check: u32,
        /// The rule that the connection goes on by, if there is one for it.
        rule: Option<ChainRule>,
    },
    /// The service of a global rate limit.
    RateLimit {
        /// The limit's place.
        place: Place,
        /// Its position among the request's.
        limiter: u32,
        /// How the request goes on.
        later: Later,
    },
}

impl Question {
    /// Asks somebody.
    pub(super) fn new(asks: Asks, context: &Context<'_>) -> Self {
        let body = match asks {
            Asks::Provider { check, .. } => provider::authorizer(check, context).body,
            Asks::OfConnection { .. } | Asks::RateLimit { .. } => None,
        };
        Self {
            asks,
            since: context.now,
            body,
            most_shown: provider::most_shown(context),
        }
    }
}

/// The position of the next provider that is to be asked about a request, or about a connection, from this one on.
pub(super) fn next_provider(context: &Context<'_>, from: u32, record: &Record) -> Option<u32> {
    provider::next(context, from, record)
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

/// What is said to whom.
struct Said<'a> {
    cluster: &'a DestinationCluster,
    timeout: Option<Duration>,
    /// The one random number of the question.
    entropy: Entropy,
    head: RequestHead,
    body: Bytes,
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
    let drawn = |draw, index: u32| Entropy(original.entropy.draw(draw, u64::from(index)));
    let said = match question.asks {
        Asks::Provider { check, .. } | Asks::OfConnection { check, .. } => {
            let authorizer = provider::authorizer(check, context);
            let (head, body) = provider::said(authorizer, (body, is_partial), context, original);
            Said {
                cluster: &authorizer.cluster,
                timeout: Some(authorizer.timeout),
                entropy: drawn(Draw::Question, check),
                head,
                body,
            }
        }
        Asks::RateLimit { limiter, .. } => {
            let (limit, head, body) = limit_service::said(limiter, context, original);
            Said {
                cluster: &limit.cluster,
                timeout: limit.timeout,
                entropy: drawn(Draw::LimitQuestion, limiter),
                head,
                body,
            }
        }
    };
    let mut record = Record {
        revision: original.revision,
        entropy: said.entropy,
        request: said.head,
        timeouts: Timeouts {
            whole: said.timeout,
            ..Timeouts::default()
        },
        began: context.now,
        ..Record::default()
    };
    let nobodys = &mut ResponseHead::default();
    let target = match endpoint::pick(context, said.cluster, &mut record, nobodys) {
        Verdict::Attempt(target) => Some(target),
        Verdict::Reply(_)
        | Verdict::Close
        | Verdict::Delay(_)
        | Verdict::Retry(_)
        | Verdict::Ask(_) => None,
    };
    Asked {
        record,
        target,
        body: said.body,
    }
}

/// An answer came, or none (`None`): the request goes on, or is refused with this.
pub(super) fn hear(
    question: Question,
    heard: Option<&Heard>,
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Option<Verdict> {
    let (whom, (word, refused)) = match question.asks {
        Asks::Provider { check, .. } | Asks::OfConnection { check, .. } => {
            let authorizer = provider::authorizer(check, context);
            let word = provider::hear(authorizer, heard, context, record, response);
            (Whom::Provider(check), word)
        }
        Asks::RateLimit { limiter, later, .. } => {
            let plan = later.plan(&context.view.snapshot);
            limit_service::hear((limiter, &plan), heard, context, record, response)
        }
    };
    record.checks.push(Checked {
        whom,
        word,
        took: context.now.since(question.since),
    });
    refused
}

/// Whether the body that is shown is only the beginning of one (Envoy).
const PARTIAL: &[u8] = b"x-envoy-auth-partial-body";

const fn is_partial_text(is_partial: bool) -> &'static str {
    if is_partial { "true" } else { "false" }
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

/// A field of an answer that may be set: its name in lower case, which is that of no field that frames a message, and its
/// value, in which nothing ends a line.
fn sound_field(of: &messages::HeaderValue) -> Option<(String, &[u8])> {
    let name = of.key.to_ascii_lowercase();
    let value: &[u8] = match of.raw_value.is_empty() {
        true => of.value.as_bytes(),
        false => &of.raw_value,
    };
    let bytes = name.as_bytes();
    let is_token = !name.is_empty() && bytes.iter().all(|b| crate::message::is_token_byte(*b));
    let is_sound = is_token && !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    (is_sound && !is_of_message(bytes)).then_some((name, value))
}

/// What a head says of where it is to go, without which it is not one.
fn head(method: Method, authority: &[u8], path: Vec<u8>) -> RequestHead {
    RequestHead {
        method,
        authority: authority.into(),
        path,
        ..RequestHead::default()
    }
}
