//! The `location` of a redirect (VirtualService `redirect`), put together as Envoy does.
//!
//! Owns which of scheme, host, port and path come from the rule and which from the request. The status and the header
//! operations of the answer stand in the rule as they are.

use super::authority::split;
use super::rewrite::matched_len;
use crate::message::RequestHead;
use crate::snapshot::{Condition, Redirect, RedirectPath, RedirectPort};

/// The value of `location` for a request that fell under the rule with this redirect and condition.
#[must_use]
pub fn location(
    redirect: &Redirect,
    condition: &Condition,
    request: &RequestHead,
    scheme: &str,
) -> Vec<u8> {
    let new_scheme = redirect.scheme.as_deref().unwrap_or(scheme);
    let mut out = Vec::with_capacity(request.authority.len() + request.path.len() + 16);
    out.extend_from_slice(new_scheme.as_bytes());
    out.extend_from_slice(b"://");
    push_host(redirect, request, scheme, new_scheme, &mut out);
    push_path(&redirect.path, condition, request, &mut out);
    out
}

fn push_host(
    redirect: &Redirect,
    request: &RequestHead,
    scheme: &str,
    new_scheme: &str,
    out: &mut Vec<u8>,
) {
    let authority = redirect
        .authority
        .as_ref()
        .map_or(&*request.authority, |a| a.as_bytes());
    let (host, port) = split(authority);
    let kept = match redirect.port {
        // Envoy takes an authority of the rule as it stands; only the request's own port is judged.
        RedirectPort::Keep if redirect.authority.is_some() => port,
        RedirectPort::Keep => {
            port.filter(|port| new_scheme == scheme || Some(*port) != default_port(scheme))
        }
        RedirectPort::Default => None,
        RedirectPort::Number(port) => {
            Some(port).filter(|port| Some(*port) != default_port(new_scheme))
        }
    };
    out.extend_from_slice(host);
    if let Some(port) = kept {
        out.push(b':');
        out.extend_from_slice(port.to_string().as_bytes());
    }
}

fn push_path(path: &RedirectPath, condition: &Condition, request: &RequestHead, out: &mut Vec<u8>) {
    let (old, query) = request.path.split_at(request.path_only().len());
    match path {
        RedirectPath::Keep => out.extend_from_slice(&request.path),
        RedirectPath::Full(path) => {
            out.extend_from_slice(path.as_bytes());
            // A query in the rule takes the place of the request's.
            if !path.contains('?') {
                out.extend_from_slice(query);
            }
        }
        RedirectPath::Prefix(prefix) => {
            out.extend_from_slice(prefix.as_bytes());
            out.extend_from_slice(&old[matched_len(condition, old)..]);
            out.extend_from_slice(query);
        }
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}
