//! Which virtual host answers for a request, and what somebody may have meant by a host that nobody knows.

use outrigger_core::config::spelling::nearest;
use outrigger_core::message::RequestHead;
use outrigger_core::policy::authority::{canonical_host, split};
use outrigger_core::snapshot::{HostEntry, Snapshot, UnknownHosts, VirtualHost};

use super::Host;

/// The host of a request that was found.
pub(super) fn found(request: &RequestHead, of: &VirtualHost, snapshot: &Snapshot) -> Host {
    let (asked, wanted) = asked(request);
    let named = snapshot.hosts.find_named(asked.as_bytes());
    let (matched, why) = match named {
        Some((name, entry)) => {
            let why = why(&asked, &name, entry, wanted);
            (Some(name), why)
        }
        None => (None, String::new()),
    };
    Host {
        asked,
        matched,
        virtual_host: Some(of.name.to_string()),
        why,
        nearest: None,
    }
}

/// The one of an inbound listener, whatever host is asked for.
pub(super) fn inbound(request: &RequestHead, of: &VirtualHost) -> Host {
    Host {
        asked: asked(request).0,
        matched: None,
        virtual_host: Some(of.name.to_string()),
        why: "all that comes to an inbound listener goes to the application; VirtualServices hold where \
              requests are sent"
            .to_owned(),
        nearest: None,
    }
}

fn why(asked: &str, name: &str, entry: &HostEntry, wanted: Option<u16>) -> String {
    let mut why = match name == asked {
        true => String::new(),
        false => format!("by the wildcard `{name}`, "),
    };
    let chosen = entry.select(wanted).map(|port| port.port);
    let http: Vec<u16> = (entry.ports.iter())
        .filter(|port| port.is_http)
        .map(|port| port.port)
        .collect();
    why += &match (chosen, wanted) {
        (Some(port), Some(wanted)) if port == wanted => format!("port {port} as asked"),
        (Some(port), Some(wanted)) => {
            let kind = if http.len() == 1 {
                "its only HTTP port"
            } else {
                "the port that is meant then"
            };
            format!("port {port}: it has no port {wanted}, and {port} is {kind}")
        }
        (Some(port), None) if http.len() == 1 => format!("port {port}: its only HTTP port"),
        (Some(port), None) => format!("port {port}: no port was asked for"),
        (None, _) => String::new(),
    };
    why
}

/// The host of a request for which there is none.
pub(super) fn unknown(request: &RequestHead, snapshot: &Snapshot) -> Host {
    let (asked, wanted) = asked(request);
    let policy = match &snapshot.settings.unknown_hosts {
        UnknownHosts::AllowAny => {
            "outboundTrafficPolicy ALLOW_ANY lets it through to where its name leads, without any rule"
        }
        UnknownHosts::RegistryOnly => "outboundTrafficPolicy REGISTRY_ONLY refuses it",
        UnknownHosts::EgressProxy(_) => "outboundTrafficPolicy sends it to the egress proxy",
    };
    let (matched, why, nearest) = match snapshot.hosts.find_named(asked.as_bytes()) {
        Some((name, entry)) => {
            let ports: Vec<String> = entry.ports.iter().map(|p| p.port.to_string()).collect();
            let ports = ports.join(", ");
            let wanted = wanted.map_or_else(
                || "no port was asked for".to_owned(),
                |port| format!("it has no port {port}"),
            );
            let why = format!(
                "{wanted}, and of its ports ({ports}) none is the only HTTP port or 80; {policy}"
            );
            (Some(name), why, None)
        }
        None => {
            let why = format!("no service and no VirtualService has this host; {policy}");
            (None, why, nearest_host(&asked, snapshot))
        }
    };
    Host {
        asked,
        matched,
        virtual_host: None,
        why,
        nearest,
    }
}

/// Host without port, and port.
fn asked(request: &RequestHead) -> (String, Option<u16>) {
    let (host, port) = split(&request.authority);
    let host = canonical_host(host);
    (String::from_utf8_lossy(&host).into_owned(), port)
}

/// What somebody may have meant by the authority of a request, if nobody knows its host.
#[must_use]
pub fn nearest_known(authority: &str, snapshot: &Snapshot) -> Option<String> {
    let (host, _) = split(authority.as_bytes());
    let host = canonical_host(host);
    if snapshot.hosts.find(&host).is_some() {
        return None;
    }
    nearest_host(&String::from_utf8_lossy(&host), snapshot)
}

/// The name among those that are known that somebody may have meant.
fn nearest_host(asked: &str, snapshot: &Snapshot) -> Option<String> {
    let known: Vec<String> = snapshot.hosts.iter().map(|(name, _)| name).collect();
    nearest(asked, known.iter().map(String::as_str)).map(str::to_owned)
}
