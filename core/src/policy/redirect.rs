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

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::snapshot::HeaderOps;

    #[test]
    fn which_port_a_location_names() {
        use RedirectPort::{Default, Keep, Number};
        for (scheme, authority, port, from, want) in [
            (None, None, Keep, "http://a", "http://a/p?q"),
            (None, None, Keep, "http://a:80", "http://a:80/p?q"),
            (None, None, Keep, "http://a:8080", "http://a:8080/p?q"),
            // The default port of a scheme that is left is left as well.
            (Some("https"), None, Keep, "http://a:80", "https://a/p?q"),
            (Some("https"), None, Keep, "http://a:81", "https://a:81/p?q"),
            (Some("http"), None, Keep, "https://a:443", "http://a/p?q"),
            (Some("http"), None, Keep, "https://a:80", "http://a:80/p?q"),
            // But not that of an authority that the rule names.
            (None, Some("b"), Keep, "http://a:81", "http://b/p?q"),
            (
                Some("https"),
                Some("b:80"),
                Keep,
                "http://a",
                "https://b:80/p?q",
            ),
            (None, None, Default, "http://a:8080", "http://a/p?q"),
            (None, Some("b:81"), Default, "http://a", "http://b/p?q"),
            (None, None, Number(81), "http://a", "http://a:81/p?q"),
            (None, None, Number(80), "http://a:81", "http://a/p?q"),
            (None, None, Number(443), "http://a", "http://a:443/p?q"),
            (
                Some("https"),
                None,
                Number(443),
                "http://a",
                "https://a/p?q",
            ),
            (
                Some("https"),
                None,
                Number(80),
                "http://a",
                "https://a:80/p?q",
            ),
        ] {
            let redirect = Redirect {
                status: StatusCode::MOVED_PERMANENTLY,
                scheme: scheme.map(Into::into),
                authority: authority.map(Into::into),
                path: RedirectPath::Keep,
                port,
                response: HeaderOps::default(),
            };
            let (old_scheme, host) = from.split_once("://").unwrap();
            let request = RequestHead {
                authority: host.into(),
                path: b"/p?q".to_vec(),
                ..RequestHead::default()
            };
            let got = location(&redirect, &Condition::default(), &request, old_scheme);
            assert_eq!(String::from_utf8_lossy(&got), want, "{redirect:?} {from}");
        }
    }
}
