//! First bytes of several protocols, and hellos made by hand, cut everywhere.

use proptest::prelude::*;

use super::*;

/// A ClientHello that asks for a name and offers protocols, in records of so many bytes.
fn hello(name: Option<&str>, alpn: &[&str], record: usize) -> Vec<u8> {
    let long = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let short = |bytes: &[u8]| [&[bytes.len() as u8][..], bytes].concat();
    let extension = |kind: u16, content: &[u8]| [&kind.to_be_bytes()[..], &long(content)].concat();
    // One that nobody here knows.
    let mut extensions = extension(0x0a0a, b"\x00");
    if let Some(name) = name {
        let entry = [&[0][..], &long(name.as_bytes())].concat();
        extensions.extend(extension(0, &long(&entry)));
    }
    if !alpn.is_empty() {
        let list: Vec<u8> = alpn.iter().flat_map(|p| short(p.as_bytes())).collect();
        extensions.extend(extension(16, &long(&list)));
    }
    let random = [7; 32];
    let body = [
        &[3, 3][..],
        &random,
        &short(&[1; 32]),
        &long(&[0x13, 1]),
        &short(&[0]),
        &long(&extensions),
    ];
    let body = body.concat();
    let length = (body.len() as u32).to_be_bytes();
    let message = [&[1][..], &length[1..], &body].concat();
    let records = message.chunks(record);
    records
        .flat_map(|part| [&[22, 3, 1][..], &long(part)].concat())
        .collect()
}

#[test]
fn first_bytes_tell_http_from_tls_and_the_rest() {
    use FirstBytes::{Http, Other, Undecided};
    for (bytes, want) in [
        (&b""[..], Undecided),
        (b"G", Undecided),
        (b"GET", Undecided),
        (b"GET ", Undecided),
        (b"GET /a HTTP/1.1", Undecided),
        (b"GET /a HTTP/1.1\r\n", Http),
        (b"GET /a HTTP/1.1\n", Http),
        // Which versions there are is for who reads the request.
        (b"GET /a HTTP/9.9\r\n", Http),
        (b"M-SEARCH * HTTP/1.1\r\n", Http),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Http),
        (b"PRI * HTTP/2.0\r", Undecided),
        // HTTP/0.9, and what redis and memcached say.
        (b"GET /a\r\n", Other),
        (b"GET key\r\n", Other),
        (b"get key\r\n", Other),
        (b"*1\r\n$4\r\nPING\r\n", Other),
        (b"PING\r\n", Other),
        (b"EHLO a\r\n", Other),
        (b"GETX", Other),
        (b"GET \0", Other),
        (b"\r\nGET / HTTP/1.1\r\n", Other),
        (b"\0\0\0\x08\x04\xd2\x16\x2f", Other),
        (b"hello", Other),
        (b"\x16\x03", Undecided),
        (b"\x16\x04", Other),
        (b"\x16\x03\x01\x00\x00", Other),
        (b"\x16\x03\x01\xff\xff", Other),
        (b"\x16\x03\x01\x00\x05\x02", Other),
    ] {
        assert_eq!(look(bytes), want, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_client_hello_says_whom_it_wants() {
    for (name, alpn, record) in [
        (
            Some("Shop.Example"),
            &["istio-http/1.1", "istio"][..],
            16_000,
        ),
        (Some("a.b"), &[], 20),
        (None, &["h2"], 1),
        (None, &[], 16_000),
    ] {
        let want = ClientHello {
            server_name: name.map(|name| name.to_ascii_lowercase().into()),
            alpn: alpn.iter().map(|protocol| Box::from(*protocol)).collect(),
        };
        let bytes = hello(name, alpn, record);
        assert_eq!(look(&bytes), FirstBytes::Tls(want));
    }
    for name in ["", "a b", "a\0b", "\u{e4}"] {
        assert_eq!(
            look(&hello(Some(name), &[], 16_000)),
            FirstBytes::Other,
            "{name:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// However a beginning is cut, nothing else is said of it on the way to what the whole says.
    #[test]
    fn what_is_said_once_stays(
        beginning in prop_oneof![
            "(GET|POST|PUT|HEAD|PING|EHLO|PRI) [a-z/*]{0,6}( HTTP/1.1)?\r\n",
            "[A-Z]{1,9}[ \r\n]?",
        ].prop_map(String::into_bytes),
        record in 1..300_usize,
        is_tls in any::<bool>(),
        noise in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let beginning = match is_tls {
            true => hello(Some("a.example"), &["h2"], record),
            false => beginning,
        };
        let whole = [beginning, noise].concat();
        let mut said = FirstBytes::Undecided;
        for end in 0..=whole.len() {
            let now = look(&whole[..end]);
            prop_assert!(said == FirstBytes::Undecided || said == now, "{:?} then {:?}", said, now);
            said = now;
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), is_tls in any::<bool>()) {
        let mut bytes = bytes;
        if is_tls {
            bytes.splice(0..0, [22, 3, 1, 0, 60, 1, 0, 0, 50]);
        }
        let _ = look(&bytes);
    }
}
