//! Where an application that is probed sends who asks it, and whether a probe goes there.
//!
//! The kubelet's rules (`k8s.io/kubernetes/pkg/probe/http`): a redirect to the host that was asked first is followed, at whichever port
//! and path; one to another host ends the probe, and is as good as an answer.

use http::StatusCode;
use http::header::{HeaderMap, LOCATION};
use http::uri::PathAndQuery;

/// Requests of one probe, at most.
pub(super) const MOST_REQUESTS: usize = 10;

/// What is asked for at the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) is_tls: bool,
    pub(super) port: u16,
    /// With its query.
    pub(super) path: String,
    /// As the redirect that leads here names the host; `None` where it names none.
    pub(super) authority: Option<String>,
}

/// What an answer asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leads {
    /// Nothing: it is the last one.
    Nowhere,
    /// To another host, which no probe asks.
    Away(String),
    /// To the same host.
    To(Target),
}

/// Where the answer to a request leads, at the host that was asked.
///
/// # Errors
/// It leads to what nobody can ask for.
pub(super) fn leads(
    status: StatusCode,
    fields: &HeaderMap,
    asked: &Target,
    host: &str,
) -> Result<Leads, String> {
    let is_redirect = matches!(status.as_u16(), 301..=303 | 307 | 308);
    let Some(location) = fields.get(LOCATION).filter(|_| is_redirect) else {
        return Ok(Leads::Nowhere);
    };
    let location = escaped(location.as_bytes());
    let cannot = || format!("{status} to `{location}`, which is no URL");
    let place = location.split('#').next().unwrap_or_default();
    let (scheme, rest) = match scheme(place) {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, place),
    };
    let Some(rest) = rest.strip_prefix("//") else {
        // Of a scheme without hosts.
        if scheme.is_some() {
            return Ok(Leads::Away(location));
        }
        let path = resolved(rest, &asked.path);
        let path = PathAndQuery::try_from(path).map_err(|_| cannot())?;
        return Ok(Leads::To(Target {
            path: path.as_str().to_owned(),
            ..asked.clone()
        }));
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let (named, port) = host_and_port(authority).ok_or_else(cannot)?;
    if named != host {
        return Ok(Leads::Away(location));
    }
    let is_tls = match scheme.as_deref() {
        None => asked.is_tls,
        Some("http") => false,
        Some("https") => true,
        Some(scheme) => {
            return Err(format!(
                "{status} to `{location}`, and `{scheme}` is no HTTP"
            ));
        }
    };
    let path = PathAndQuery::try_from(resolved(path, "/")).map_err(|_| cannot())?;
    Ok(Leads::To(Target {
        is_tls,
        port: port.unwrap_or(if is_tls { 443 } else { 80 }),
        path: path.as_str().to_owned(),
        authority: Some(authority.to_owned()),
    }))
}

/// A host without brackets, and its port where that is said.
fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    match port.strip_prefix(':') {
        None if !port.is_empty() => None,
        None | Some("") => Some((host, None)),
        Some(port) => port.parse().ok().map(|port| (host, Some(port))),
    }
}

/// A scheme in small letters, and what follows its colon.
fn scheme(place: &str) -> Option<(String, &str)> {
    let (scheme, rest) = place.split_once(':')?;
    let mut letters = scheme.bytes();
    let begins = letters.next()?.is_ascii_alphabetic();
    let is_one = begins && letters.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    is_one.then(|| (scheme.to_ascii_lowercase(), rest))
}

/// A path and a query as they are meant where `base` was asked for (RFC 3986 §5.2).
fn resolved(said: &str, base: &str) -> String {
    let base_path = base.split('?').next().unwrap_or_default();
    let (path, query) = match said.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (said, None),
    };
    if path.is_empty() {
        return match query {
            Some(query) => format!("{base_path}?{query}"),
            None => base.to_owned(),
        };
    }
    let folder = match path.starts_with('/') {
        true => "",
        false => &base_path[..=base_path.rfind('/').unwrap_or_default()],
    };
    let whole = format!("{folder}{path}");
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = whole.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            part => kept.push(part),
        }
    }
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("/{}{query}", kept.join("/"))
}

/// What may not stand in a URL as it is, escaped: servers are not strict, and neither is the kubelet.
fn escaped(text: &[u8]) -> String {
    let mut out = String::new();
    for byte in text {
        match byte {
            b'!'..=b'~' if !b"\"<>\\^`{|}".contains(byte) => out.push(char::from(*byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn led(status: u16, location: Option<&[u8]>, host: &str) -> Result<Leads, String> {
        let mut fields = HeaderMap::new();
        if let Some(location) = location {
            fields.insert(LOCATION, HeaderValue::from_bytes(location).unwrap());
        }
        let asked = Target {
            is_tls: false,
            port: 8080,
            path: "/a/b?c".into(),
            authority: None,
        };
        leads(StatusCode::from_u16(status).unwrap(), &fields, &asked, host)
    }

    #[test]
    fn a_redirect_to_the_same_host_is_followed() {
        for (location, want) in [
            ("/up", "http 8080 /up -"),
            ("/up#part", "http 8080 /up -"),
            ("/a/./b/../c/.", "http 8080 /a/c/ -"),
            ("/../..", "http 8080 / -"),
            ("/a\"b|c", "http 8080 /a%22b%7Cc -"),
            ("1a:b", "http 8080 /a/1a:b -"),
            ("http://10.0.0.7#x", "http 80 / 10.0.0.7"),
            ("up?x=/..", "http 8080 /a/up?x=/.. -"),
            ("../up/", "http 8080 /up/ -"),
            ("?d", "http 8080 /a/b?d -"),
            ("", "http 8080 /a/b?c -"),
            ("/a b\u{e4}", "http 8080 /a%20b%C3%A4 -"),
            ("a:b/c", "away"),
            ("./a:b", "http 8080 /a/a:b -"),
            ("//10.0.0.7/x", "http 80 /x 10.0.0.7"),
            ("http://10.0.0.7:9090", "http 9090 / 10.0.0.7:9090"),
            ("http://10.0.0.7:9090?q", "http 9090 /?q 10.0.0.7:9090"),
            ("HTTPS://me@10.0.0.7/x?y", "https 443 /x?y 10.0.0.7"),
            ("https://app.example/", "away"),
            ("//app.example/", "away"),
            ("mailto:me@10.0.0.7", "away"),
            ("ftp://app.example/", "away"),
            ("ftp://10.0.0.7/", "`ftp` is no HTTP"),
            ("http://10.0.0.7:/", "http 80 / 10.0.0.7:"),
            ("http://10.0.0.7:high/", "which is no URL"),
            ("http://[::1/", "which is no URL"),
            ("http://[::1]x/", "which is no URL"),
        ] {
            match led(302, Some(location.as_bytes()), "10.0.0.7") {
                Ok(Leads::To(to)) => {
                    let scheme = if to.is_tls { "https" } else { "http" };
                    let authority = to.authority.as_deref().unwrap_or("-");
                    let got = format!("{scheme} {} {} {authority}", to.port, to.path);
                    assert_eq!(got, want, "{location}");
                }
                Ok(Leads::Away(_)) => assert_eq!("away", want, "{location}"),
                Ok(Leads::Nowhere) => panic!("{location}"),
                Err(why) => assert!(why.contains(want), "{location}: {why}"),
            }
        }
    }

    #[test]
    fn the_host_may_be_of_ipv6() {
        let got = led(307, Some(b"http://[fd00::7]:81/x"), "fd00::7").unwrap();
        let Leads::To(to) = got else {
            panic!("{got:?}")
        };
        assert_eq!(
            (to.port, to.authority.as_deref()),
            (81, Some("[fd00::7]:81"))
        );
        let other = led(307, Some(b"http://[fd00::8]/x"), "fd00::7").unwrap();
        assert!(matches!(other, Leads::Away(_)), "{other:?}");
    }

    #[test]
    fn what_is_no_redirect_is_an_answer() {
        for (status, location, follows) in [
            (200, Some(&b"/x"[..]), false),
            (300, Some(b"/x"), false),
            (301, Some(b"/x"), true),
            (302, None, false),
            (303, Some(b"/x"), true),
            (304, Some(b"/x"), false),
            (305, Some(b"/x"), false),
            (307, Some(b"/x"), true),
            (308, Some(b"/x"), true),
            (309, Some(b"/x"), false),
            (503, Some(b"/x"), false),
        ] {
            let got = led(status, location, "10.0.0.7").unwrap();
            assert_eq!(matches!(got, Leads::To(_)), follows, "{status}");
            assert_eq!(got == Leads::Nowhere, !follows, "{status}");
        }
    }
}
