//! Whether a request to the admin endpoints may come from where it says.
//!
//! Owns the guard against web pages: a browser on this machine reaches loopback, so a page of anybody's could post
//! `/quitquitquit` (a foreign `Origin`), or read `/config_dump` under a name of its own that resolves to 127.0.0.1 (DNS
//! rebinding, a foreign `Host`). Who may connect at all is decided by the address that is listened on.

use std::net::IpAddr;

use hyper::header::{HOST, HeaderMap, ORIGIN};

/// Checks the fields by which a request says where it comes from.
///
/// # Errors
/// Says which of them is foreign, and what to do.
pub(super) fn check(headers: &HeaderMap) -> Result<(), String> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().map(|host| host.to_str().unwrap_or_default());
    if hosts.next().is_some() || host.is_some_and(|host| !is_ours(host)) {
        let host = host.unwrap_or_default().escape_debug();
        return Err(format!(
            "`{host}` is a foreign host; ask by address or as localhost"
        ));
    }
    for origin in headers.get_all(ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        if authority.is_none() || authority != host {
            let origin = origin.escape_debug();
            return Err(format!("a page of `{origin}` has no business here"));
        }
    }
    Ok(())
}

/// Names that no name server answers for: addresses, and what RFC 6761 §6.3 keeps for loopback.
fn is_ours(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        // An IPv6 address stands in brackets.
        Some((name, port)) if !port.contains(']') => {
            if port.parse::<u16>().is_err() {
                return false;
            }
            name
        }
        Some(_) | None => host,
    };
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || bare.unwrap_or(&name).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_names_of_others_are_refused() {
        for (host, origin, is_good) in [
            (None, None, true),
            (Some("127.0.0.1:15000"), None, true),
            (Some("10.1.2.3"), None, true),
            (Some("[::1]:15000"), None, true),
            (Some("[::1]"), None, true),
            (Some("LOCALHOST:15000"), None, true),
            (Some("outrigger.localhost"), None, true),
            (Some("evil.example:15000"), None, false),
            (Some("127.0.0.1.evil.example"), None, false),
            (Some("localhost.evil.example"), None, false),
            (Some("localhost:x"), None, false),
            (Some(""), None, false),
            (
                Some("127.0.0.1:15000"),
                Some("http://127.0.0.1:15000"),
                true,
            ),
            (Some("127.0.0.1:15000"), Some("http://evil.example"), false),
            (
                Some("127.0.0.1:15000"),
                Some("http://127.0.0.1:8080"),
                false,
            ),
            (Some("127.0.0.1:15000"), Some("null"), false),
            (None, Some("http://evil.example"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(HOST, host.parse().unwrap());
            }
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(check(&headers).is_ok(), is_good, "{host:?} {origin:?}");
        }
    }
}
