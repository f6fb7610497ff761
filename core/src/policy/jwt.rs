//! Tokens of requests (RequestAuthentication, Envoy's `jwt_authn` filter): where they are, whose they are, whether they are
//! accepted, and what is handed on of them.
//!
//! A request without a token passes, unless a rule requires one. A request with several passes if each of them is accepted:
//! whoever is behind us may look at another one than we do. Which of two accepted ones says who asks follows from the order
//! of the rules, and then of the places.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;
use smallvec::SmallVec;

use crate::jose::{CheckSignature, Claim, Token, TokenFault};
use crate::message::{Known, RequestHead, has_control};
use crate::snapshot::{JwtKeys, JwtRule, RequestAuthentication, TokenLocation, TokenPlace};

/// How much clocks may differ, in seconds (Envoy's default).
pub const CLOCK_SKEW: u64 = 60;

/// Whether a request is a question of CORS, which browsers ask without credentials.
#[must_use]
pub fn is_preflight(request: &RequestHead) -> bool {
    let has = |name| {
        let value = request.headers.get(name);
        value.is_some_and(|value| !value.is_empty())
    };
    request.method == Method::OPTIONS
        && has(Known::Origin)
        && has(Known::AccessControlRequestMethod)
}

/// Removes what clients send in fields that only we write.
pub fn sanitize(auth: &RequestAuthentication, request: &mut RequestHead) {
    for field in &auth.own_fields {
        request.headers.remove_named(field);
    }
}

/// A token and the position of the place where it is.
pub type Found<'a> = (Cow<'a, [u8]>, usize);

/// The tokens of a request, in the order of their places; one more than `most` at most, which tells that there are too many.
#[must_use]
pub fn find<'a>(
    auth: &'a RequestAuthentication,
    request: &'a RequestHead,
    most: usize,
) -> SmallVec<[Found<'a>; 2]> {
    let mut found = SmallVec::new();
    for (at, location) in auth.locations.iter().enumerate() {
        let mut add = |token| {
            if found.len() <= most {
                found.push((token, at));
            }
        };
        match &location.place {
            TokenPlace::Header(name, prefix) => {
                let values = request.headers.find_all(name);
                values
                    .filter_map(|value| behind(prefix.as_bytes(), value))
                    .for_each(|token| add(Cow::Borrowed(token)));
            }
            TokenPlace::Param(name) => {
                let mut pairs = request.query().into_iter().flat_map(pairs_of);
                let first = pairs.find(|(key, _)| *decoded(key) == *name.as_bytes());
                if let Some((_, value)) = first {
                    add(decoded(value));
                }
            }
            TokenPlace::Cookie(name) => {
                if let Some(value) = cookie(request, name.as_bytes()) {
                    add(Cow::Borrowed(value));
                }
            }
        }
    }
    found
}

/// What stands behind a prefix, wherever that is in the value, from the first character on that a token may have (Envoy).
fn behind<'a>(prefix: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    if prefix.is_empty() {
        return Some(value);
    }
    let at = memchr::memmem::find(value, prefix)? + prefix.len();
    let may_have = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    // Without one the whole value is taken for the token, and is none.
    let start = value[at..].iter().position(may_have);
    Some(start.map_or(value, |start| &value[at + start..]))
}

fn pairs_of(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|byte| *byte == b'&').map(|pair| {
        let end = memchr::memchr(b'=', pair);
        end.map_or((pair, &[][..]), |end| (&pair[..end], &pair[end + 1..]))
    })
}

/// A part of a query without percent signs (RFC 3986 §2.1); what is no escape stands for itself.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let escaped = (*byte == b'%').then(|| digit(at + 1).zip(digit(at + 2)));
        let (byte, length) = match escaped.flatten() {
            // Two digits are a byte.
            Some((high, low)) => ((high * 16 + low) as u8, 3),
            None if *byte == b'+' => (b' ', 1),
            None => (*byte, 1),
        };
        plain.push(byte);
        at += length;
    }
    Cow::Owned(plain)
}

/// The first cookie of a name, without quotes around it (RFC 6265 §4.1.1).
fn cookie<'a>(request: &'a RequestHead, name: &[u8]) -> Option<&'a [u8]> {
    let fields = request.headers.get_all(Known::Cookie);
    let mut crumbs = fields.flat_map(|field| field.split(|byte| *byte == b';'));
    crumbs.find_map(|crumb| {
        let crumb = crumb.trim_ascii();
        let end = memchr::memchr(b'=', crumb)?;
        let value = &crumb[end + 1..];
        let unquoted = value
            .strip_prefix(b"\"")
            .and_then(|v| v.strip_suffix(b"\""));
        (crumb[..end] == *name).then(|| unquoted.unwrap_or(value))
    })
}

/// A token that is accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The position of the rule that accepts it.
    pub rule: u32,
    /// What it says; claims that list words are lists.
    pub token: Arc<Token>,
    /// What is handed on in the fields of the rule: the payload, then each claim.
    outputs: Box<[Option<Box<str>>]>,
}

/// Why a token is not accepted, and the rule that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAccepted {
    /// Why.
    pub fault: TokenFault,
    /// The rule; `None` when it is none's.
    pub rule: Option<u32>,
}

/// Whether a token is accepted at a place: all that can be told without its signature first, in Envoy's order. `now` is in
/// seconds since 1970.
///
/// # Errors
/// Why not.
pub fn verify(
    auth: &RequestAuthentication,
    location: &TokenLocation,
    text: &[u8],
    now: u64,
    check: Option<CheckSignature>,
) -> Result<Accepted, NotAccepted> {
    let nobodys = |fault| NotAccepted { fault, rule: None };
    let token = Token::read(text).map_err(nobodys)?;
    let rule_of = |at: u32| &auth.rules[at as usize];
    let rules = location.rules.iter().copied();
    let mut candidates: SmallVec<[u32; 2]> = rules
        .clone()
        .filter(|at| rule_of(*at).issuer == token.issuer)
        .collect();
    if candidates.is_empty() {
        candidates = rules.filter(|at| rule_of(*at).issuer.is_empty()).collect();
    }
    let mut first_fault = nobodys(TokenFault::UnknownIssuer);
    for rule in candidates {
        match verify_by(rule_of(rule), &token, text, now, check) {
            Ok(()) => return Ok(accept(rule_of(rule), rule, token, text)),
            // Two rules for one issuer: either may accept it, and the first says why not.
            Err(fault) if first_fault.rule.is_none() => {
                first_fault = NotAccepted {
                    fault,
                    rule: Some(rule),
                };
            }
            Err(_) => {}
        }
    }
    Err(first_fault)
}

fn verify_by(
    rule: &JwtRule,
    token: &Token,
    text: &[u8],
    now: u64,
    check: Option<CheckSignature>,
) -> Result<(), TokenFault> {
    token.check_time(now, CLOCK_SKEW)?;
    let is_wanted = |audience: &str| {
        let plain = JwtRule::plain_audience(audience);
        rule.audiences.iter().any(|wanted| **wanted == *plain)
    };
    if !rule.audiences.is_empty() && !token.audiences.iter().any(|one| is_wanted(one)) {
        return Err(TokenFault::AudienceNotAllowed);
    }
    let keys = match &rule.keys {
        JwtKeys::Inline(keys) => keys,
        JwtKeys::Remote { fetched, .. } => fetched.as_ref().ok_or(TokenFault::KeysNotFetched)?,
    };
    // Whoever hands no check in has no token accepted.
    let check = check.ok_or(TokenFault::SignatureWrong)?;
    keys.check(token, text, check)
}

fn accept(rule: &JwtRule, at: u32, mut token: Token, text: &[u8]) -> Accepted {
    let payload = rule.payload_field.as_ref().and_then(|_| {
        // What was read as base64url is ASCII.
        let payload = core::str::from_utf8(&text[token.payload.clone()]).ok()?;
        Some(payload.into())
    });
    let claims = rule.claim_fields.iter().map(|claim| {
        let value = Claim::at(&token.claims, &claim.path)?.as_field()?;
        // A line break would be a field of somebody else's.
        (!has_control(value.as_bytes())).then_some(value)
    });
    let outputs = core::iter::once(payload).chain(claims).collect();
    for name in &rule.space_delimited {
        if let Some(claim) = token.claims.get_mut(name) {
            claim.split_words();
        }
    }
    Accepted {
        rule: at,
        token: Arc::new(token),
        outputs,
    }
}

/// Hands on what the rule of an accepted token says.
pub fn write_outputs(auth: &RequestAuthentication, accepted: &Accepted, request: &mut RequestHead) {
    let rule = &auth.rules[accepted.rule as usize];
    let claim_fields = rule.claim_fields.iter().map(|claim| Some(&claim.field));
    let fields = core::iter::once(rule.payload_field.as_ref()).chain(claim_fields);
    for (field, value) in fields.zip(&accepted.outputs) {
        if let Some((field, value)) = field.zip(value.as_deref()) {
            request.headers.append_named(field, value.as_bytes());
        }
    }
}

/// Takes an accepted token out of the request, unless its rule lets it stay. A cookie stays in any case (Envoy).
pub fn take_out(
    auth: &RequestAuthentication,
    accepted: &Accepted,
    location: &TokenLocation,
    request: &mut RequestHead,
) {
    if auth.rules[accepted.rule as usize].forwards {
        return;
    }
    match &location.place {
        TokenPlace::Header(name, _) => {
            request.headers.remove_named(name);
        }
        TokenPlace::Param(name) => remove_param(name.as_bytes(), &mut request.path),
        TokenPlace::Cookie(_) => {}
    }
}

/// Takes every parameter of a name out of a query, and the question mark with the last one.
fn remove_param(name: &[u8], path: &mut Vec<u8>) {
    let Some(start) = memchr::memchr(b'?', path) else {
        return;
    };
    let query = path.split_off(start);
    let mut separator = b'?';
    for pair in query[1..].split(|byte| *byte == b'&') {
        let key = pairs_of(pair).next().map_or(pair, |(key, _)| key);
        if *decoded(key) != *name {
            path.push(separator);
            path.extend_from_slice(pair);
            separator = b'&';
        }
    }
}

#[cfg(test)]
mod tests;
