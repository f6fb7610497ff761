//! Cross-origin requests (VirtualService `corsPolicy`): preflights answered here, responses decorated.
//!
//! Applies to rules that forward. An actual request is never blocked: the browser does that when the response carries
//! no `access-control-allow-origin`.

use http::Method;

use super::route::text_matches;
use crate::message::{Headers, Known, RequestHead};
use crate::snapshot::{CorsPolicy, TextMatch};

/// What CORS asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorsDecision {
    /// Nothing: forward the request, leave the response as it is.
    Pass,
    /// Forward the request, and call [`decorate`] on its response.
    Decorate,
    /// Answer 200 without body, with the fields that [`answer_preflight`] writes.
    AnswerPreflight,
    /// Answer 200 without body and without CORS fields (`unmatchedPreflights: IGNORE`).
    IgnorePreflight,
}

/// Decides for a request of a rule with this policy.
#[must_use]
pub fn decide(policy: &CorsPolicy, request: &RequestHead) -> CorsDecision {
    let value = |name| request.headers.get(name).filter(|value| !value.is_empty());
    let Some(origin) = value(Known::Origin) else {
        return CorsDecision::Pass;
    };
    let preflight =
        request.method == Method::OPTIONS && value(Known::AccessControlRequestMethod).is_some();
    match (is_allowed(policy, origin), preflight) {
        (true, true) => CorsDecision::AnswerPreflight,
        (true, false) => CorsDecision::Decorate,
        (false, true) if !policy.forward_unmatched_preflights => CorsDecision::IgnorePreflight,
        (false, _) => CorsDecision::Pass,
    }
}

fn is_allowed(policy: &CorsPolicy, origin: &[u8]) -> bool {
    policy.allow_origins.iter().any(|wanted| {
        matches!(wanted, TextMatch::Exact(any) if &**any == "*") || text_matches(wanted, origin)
    })
}

/// Writes the fields of a preflight's answer.
pub fn answer_preflight(policy: &CorsPolicy, request: &RequestHead, response: &mut Headers) {
    allow_origin(policy, request, response);
    let lists = [
        (
            Known::AccessControlAllowMethods,
            &policy.allow_methods,
            Known::AccessControlRequestMethod,
        ),
        (
            Known::AccessControlAllowHeaders,
            &policy.allow_headers,
            Known::AccessControlRequestHeaders,
        ),
    ];
    for (name, allowed, asked) in lists {
        let asked = request.headers.get(asked);
        let value = match (&**allowed, asked) {
            ("*", Some(asked)) => asked,
            (allowed, _) => allowed.as_bytes(),
        };
        if !value.is_empty() {
            response.set(name, value);
        }
    }
    if let Some(seconds) = &policy.max_age {
        response.set(Known::AccessControlMaxAge, seconds.as_bytes());
    }
}

/// Writes the fields of the response to an actual request whose origin is allowed; they replace the upstream's.
pub fn decorate(policy: &CorsPolicy, request: &RequestHead, response: &mut Headers) {
    allow_origin(policy, request, response);
    if !policy.expose_headers.is_empty() {
        let names = policy.expose_headers.as_bytes();
        response.set(Known::AccessControlExposeHeaders, names);
    }
}

fn allow_origin(policy: &CorsPolicy, request: &RequestHead, response: &mut Headers) {
    if let Some(origin) = request.headers.get(Known::Origin) {
        response.set(Known::AccessControlAllowOrigin, origin);
    }
    if policy.allow_credentials {
        response.set(Known::AccessControlAllowCredentials, b"true");
    }
}
