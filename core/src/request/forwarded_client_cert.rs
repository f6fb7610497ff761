//! `x-forwarded-client-cert`: what the application is told of the certificate of its client, as Envoy says it.
//!
//! Owns the text. A field of a client that has shown no certificate is taken away, else anybody could say to be anybody.

use crate::message::{HEX_PAIRS, Headers, Known, are_all, hex_pair};
use crate::peer::{ListenerKind, PeerCertificate, Said};
use crate::snapshot::{ForwardMode, ForwardedClientCert, Snapshot};

/// What separates what several proxies say.
const SEPARATOR: &[u8] = b",";

/// Makes the field what the settings say. Where requests leave the workload it is always taken away: who sends them has
/// nobody's certificate to tell of.
pub(super) fn apply(
    listener: ListenerKind,
    peer: Option<&PeerCertificate>,
    snapshot: &Snapshot,
    said: &Said,
    headers: &mut Headers,
) {
    let settings = &snapshot.settings;
    let told = settings.client_certs;
    let mode = match listener {
        ListenerKind::Outbound | ListenerKind::Gateway(_) => ForwardMode::Sanitize,
        ListenerKind::Inbound(_) => told.mode,
    };
    let say_again = |value: &mut Vec<u8>, peer: &PeerCertificate| {
        said.append(snapshot.revision, value, |value| {
            say(value, peer, settings.spiffe_id.as_deref(), told);
        });
    };
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
            headers.remove(Known::XForwardedClientCert);
        }
        (ForwardMode::AppendForward, Some(peer)) => {
            let mut said_before = Vec::new();
            for said in headers.get_all(Known::XForwardedClientCert) {
                said_before.extend_from_slice(said);
                said_before.extend_from_slice(SEPARATOR);
            }
            headers.set_with(Known::XForwardedClientCert, |value| {
                value.extend_from_slice(&said_before);
                say_again(value, peer);
            });
        }
        (ForwardMode::SanitizeSet, Some(peer)) => {
            headers.set_with(Known::XForwardedClientCert, |value| say_again(value, peer));
        }
    }
}

/// What one proxy says: who it is, the hash of the client's certificate, and what is wanted of that. Said with every request
/// that comes over TLS, and made for its first one.
fn say(value: &mut Vec<u8>, peer: &PeerCertificate, own: Option<&str>, told: ForwardedClientCert) {
    if let Some(own) = own {
        pair(value, "By=", own);
        value.push(b';');
    }
    value.extend_from_slice(b"Hash=");
    let mut hash = [0; 64];
    let (digits, _) = hash.as_chunks_mut::<2>();
    for (digits, byte) in digits.iter_mut().zip(peer.sha256) {
        *digits = HEX_PAIRS[usize::from(byte)];
    }
    value.extend_from_slice(&hash);
    if told.subject {
        value.extend_from_slice(b";Subject=");
        quote(value, &peer.subject);
    }
    if told.uri {
        let none: [Box<str>; 1] = [Box::default()];
        let names = match &*peer.uri_names {
            [] => &none[..],
            names => names,
        };
        for name in names {
            pair(value, ";URI=", name);
        }
    }
    if told.dns {
        for name in &peer.dns_names {
            pair(value, ";DNS=", name);
        }
    }
}

/// A key and its value, in quotes where a bare one would end early: a name that holds separators must not say more than it
/// is.
fn pair(value: &mut Vec<u8>, key: &str, said: &str) {
    value.extend_from_slice(key.as_bytes());
    if is_bare(said.as_bytes()) {
        value.extend_from_slice(said.as_bytes());
    } else {
        quote(value, said);
    }
}

/// A value in quotes. Quotes and backslashes are escaped, and what cannot stand in a field is written in digits.
fn quote(value: &mut Vec<u8>, said: &str) {
    value.push(b'"');
    if is_bare(said.as_bytes()) {
        value.extend_from_slice(said.as_bytes());
        value.push(b'"');
        return;
    }
    for byte in said.bytes() {
        match byte {
            b'"' | b'\\' => value.extend([b'\\', byte]),
            b' '..=b'~' => value.push(byte),
            // Byte by byte, of characters that have several, too (RFC 3986 §2.1).
            other => {
                value.push(b'%');
                value.extend(hex_pair(other, b"0123456789ABCDEF"));
            }
        }
    }
    value.push(b'"');
}

/// Whether a value can stand without quotes.
fn is_bare(said: &[u8]) -> bool {
    are_all(said, |octet| {
        octet.is_ascii_graphic()
            & (octet != b',')
            & (octet != b';')
            & (octet != b'=')
            & (octet != b'"')
            & (octet != b'\\')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INBOUND: ListenerKind = ListenerKind::Inbound(0);
    const HASH: &str = "Hash=abababababababababababababababababababababababababababababababab";

    fn peer(uris: &[&str], dns: &[&str], subject: &str) -> PeerCertificate {
        let boxed = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
        PeerCertificate {
            uri_names: boxed(uris),
            dns_names: boxed(dns),
            subject: subject.into(),
            sha256: [0xab; 32],
        }
    }

    fn settings(mode: ForwardMode) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.settings.spiffe_id = Some("spiffe://td/ns/a/sa/server".into());
        snapshot.settings.client_certs.mode = mode;
        snapshot
    }

    /// The values of the field after it was made what the settings say.
    fn told(
        listener: ListenerKind,
        peer: Option<&PeerCertificate>,
        settings: &Snapshot,
        sent: &[&str],
    ) -> Vec<String> {
        let mut headers = Headers::default();
        for value in sent {
            headers.append_known(Known::XForwardedClientCert, value.as_bytes());
        }
        apply(listener, peer, settings, &Said::default(), &mut headers);
        let values = headers.get_all(Known::XForwardedClientCert);
        values
            .map(|value| String::from_utf8(value.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn modes_are_those_of_envoy() {
        use ForwardMode::{AlwaysForwardOnly, AppendForward, ForwardOnly, Sanitize, SanitizeSet};
        let client = peer(&["spiffe://td/ns/a/sa/client"], &[], "");
        let own = format!(
            "By=spiffe://td/ns/a/sa/server;{HASH};Subject=\"\";URI=spiffe://td/ns/a/sa/client"
        );
        let added = format!("By=x,By=y,{own}");
        let sent = ["By=x", "By=y"];
        for (mode, without, with) in [
            (Sanitize, &[][..], &[][..]),
            (ForwardOnly, &[], &sent),
            (AppendForward, &[], &[&*added]),
            (SanitizeSet, &[], &[&*own]),
            (AlwaysForwardOnly, &sent, &sent),
        ] {
            let settings = settings(mode);
            assert_eq!(told(INBOUND, None, &settings, &sent), without, "{mode:?}");
            assert_eq!(
                told(INBOUND, Some(&client), &settings, &sent),
                with,
                "{mode:?}"
            );
            let outbound = told(ListenerKind::Outbound, None, &settings, &sent);
            assert_eq!(outbound, [""; 0], "{mode:?}");
        }
        let first = told(INBOUND, Some(&client), &settings(AppendForward), &[]);
        assert_eq!(first, [own]);
    }

    fn text(peer: &PeerCertificate, told: ForwardedClientCert) -> String {
        let mut value = Vec::new();
        say(&mut value, peer, None, told);
        String::from_utf8(value).unwrap()
    }

    #[test]
    fn what_is_told_is_as_envoy_writes_it() {
        let all = ForwardedClientCert::default();
        let none = ForwardedClientCert {
            subject: false,
            uri: false,
            dns: false,
            ..all
        };
        let many = peer(&["u:1", "u:2"], &["a.test", "b.test"], "CN=a,O=b");
        for (peer, told, wanted) in [
            (&many, none, HASH.to_owned()),
            (
                &many,
                all,
                format!("{HASH};Subject=\"CN=a,O=b\";URI=u:1;URI=u:2;DNS=a.test;DNS=b.test"),
            ),
            (
                &peer(&[], &[], ""),
                all,
                format!("{HASH};Subject=\"\";URI="),
            ),
        ] {
            assert_eq!(text(peer, told), wanted);
        }
    }

    #[test]
    fn a_name_says_nothing_but_itself() {
        let all = ForwardedClientCert::default();
        let forged = peer(&["a;By=b,c"], &["x\"y", "n\r\nö"], "CN=\"q\\");
        let wanted = format!(
            "{HASH};Subject=\"CN=\\\"q\\\\\";URI=\"a;By=b,c\";DNS=\"x\\\"y\";DNS=\"n%0D%0A%C3%B6\""
        );
        assert_eq!(text(&forged, all), wanted);
    }
}
