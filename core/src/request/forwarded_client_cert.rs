//! `x-forwarded-client-cert`: what the application is told of the certificate of its client, as Envoy says it.
//!
//! Owns the text. A field of a client that has shown no certificate is taken away, else anybody could say to be anybody.

use core::fmt::Write as _;

use crate::message::Headers;
use crate::peer::{ListenerKind, PeerCertificate};
use crate::snapshot::{ForwardMode, ForwardedClientCert, Settings};

/// The field's name.
const NAME: &[u8] = b"x-forwarded-client-cert";

/// What separates what several proxies say.
const SEPARATOR: &[u8] = b",";

/// Makes the field what the settings say. Where requests leave the workload it is always taken away: who sends them has
/// nobody's certificate to tell of.
pub(super) fn apply(
    listener: ListenerKind,
    peer: Option<&PeerCertificate>,
    settings: &Settings,
    headers: &mut Headers,
) {
    let told = settings.client_certs;
    let mode = match listener {
        ListenerKind::Outbound => ForwardMode::Sanitize,
        ListenerKind::Inbound(_) => told.mode,
    };
    let is_set = |headers: &Headers| headers.get_by_name(NAME).is_some();
    match (mode, peer) {
        (ForwardMode::AlwaysForwardOnly, _) | (ForwardMode::ForwardOnly, Some(_)) => {}
        (
            ForwardMode::Sanitize
            | ForwardMode::ForwardOnly
            | ForwardMode::AppendForward
            | ForwardMode::SanitizeSet,
            None,
        )
        | (ForwardMode::Sanitize, Some(_)) => {
            if is_set(headers) {
                headers.remove_by_name(NAME);
            }
        }
        (ForwardMode::AppendForward, Some(peer)) => {
            let mut value = Vec::new();
            for said in headers.values_by_name(NAME) {
                value.extend_from_slice(said);
                value.extend_from_slice(SEPARATOR);
            }
            value.extend_from_slice(text(peer, settings.identity.as_deref(), told).as_bytes());
            headers.set_by_name(NAME, &value);
        }
        (ForwardMode::SanitizeSet, Some(peer)) => {
            let value = text(peer, settings.identity.as_deref(), told);
            headers.set_by_name(NAME, value.as_bytes());
        }
    }
}

/// What one proxy says: who it is, the hash of the client's certificate, and what is wanted of that.
fn text(peer: &PeerCertificate, own: Option<&str>, told: ForwardedClientCert) -> String {
    let mut text = String::with_capacity(256);
    if let Some(own) = own {
        pair(&mut text, "By", own);
    }
    separate(&mut text);
    text.push_str("Hash=");
    for byte in peer.sha256 {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    if told.subject {
        separate(&mut text);
        text.push_str("Subject=");
        quoted(&mut text, &peer.subject);
    }
    if told.uri {
        let none: [Box<str>; 1] = [Box::default()];
        let names = match &*peer.uri_names {
            [] => &none[..],
            names => names,
        };
        for name in names {
            pair(&mut text, "URI", name);
        }
    }
    if told.dns {
        for name in &peer.dns_names {
            pair(&mut text, "DNS", name);
        }
    }
    text
}

fn separate(text: &mut String) {
    if !text.is_empty() {
        text.push(';');
    }
}

/// A key and its value, in quotes where a bare one would end early: a name that holds separators must not say more than it
/// is.
fn pair(text: &mut String, key: &str, value: &str) {
    separate(text);
    text.push_str(key);
    text.push('=');
    if value.bytes().any(|b| matches!(b, b',' | b';' | b'=' | b'"' | b'\\') || !is_visible(b)) {
        quoted(text, value);
    } else {
        text.push_str(value);
    }
}

/// A value in quotes. What cannot stand in a field is left out, quotes and backslashes are escaped.
fn quoted(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            ' '..='~' => text.push(c),
            // In bytes, as UTF-8 (RFC 3986 §2.1).
            other => {
                for byte in other.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(text, "%{byte:02X}");
                }
            }
        }
    }
    text.push('"');
}

const fn is_visible(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~')
}
