//! What must hold for certificates whatever bytes they are: both readers of them see the names that a plain reader of DER sees, and an
//! identity is what a plain reader of it says. The fuzz target calls [`names`]; tests of `tls` replay the corpus through it.

use outrigger_core::peer::SpiffeId;
use outrigger_identity::Certificate;
use outrigger_tls::peer;
use rustls::server::ParsedCertificate;
use rustls_pki_types::CertificateDer;

/// The number of the extension of names, encoded (RFC 5280 §4.2.1.6).
const NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// The tags of names of hosts and of URIs in it.
const DNS: u8 = 0x82;
const URI: u8 = 0x86;

/// The bytes are a certificate, or else an identity.
pub fn names(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        identity(text);
    }
    let told = peer(&CertificateDer::from(bytes));
    let read = Certificate::read(bytes);
    let Ok(told) = told else { return };
    // Whoever is told of is read by who checks our own, too.
    let read = read.expect("the same parser");
    assert!(
        read.uri_names
            .iter()
            .eq(told.uri_names.iter().map(|name| &**name))
    );
    assert!(
        read.dns_names
            .iter()
            .eq(told.dns_names.iter().map(|name| &**name))
    );
    let Some(plain) = alternative_names(bytes) else {
        // The readers of names are not strict. Who verifies chains is, and nobody is told of before that.
        let der = CertificateDer::from(bytes);
        let verified = ParsedCertificate::try_from(&der).is_ok();
        assert!(!verified, "it is no DER, and is taken");
        return;
    };
    let of = |wanted: u8| {
        plain
            .iter()
            .filter(move |(tag, _)| *tag == wanted)
            .map(|(_, name)| *name)
    };
    assert!(of(URI).eq(told.uri_names.iter().map(|name| name.as_bytes())));
    assert!(of(DNS).eq(told.dns_names.iter().map(|name| name.as_bytes())));
    // No name has a byte that could end it for somebody else.
    let mut all = of(URI).chain(of(DNS)).flatten();
    assert!(all.all(u8::is_ascii_graphic));
    let one = told.uri_names.len() == 1;
    assert!(one || told.principal().is_none(), "two are nobody");
    for name in &told.uri_names {
        identity(name);
    }
}

/// An identity, taken apart as the words of SPIFFE-ID §2 and Istio's path say.
fn identity(text: &str) {
    let parts: Vec<&str> = text.split('/').collect();
    let is_segment = |part: &str| {
        let letters = part
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        letters && !part.is_empty() && part != "." && part != ".."
    };
    let is_domain = |part: &str| {
        let letters = part
            .chars()
            .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-' | '_'));
        letters && (1..=255).contains(&part.len())
    };
    let plain = match *parts {
        ["spiffe:", "", domain, "ns", namespace, "sa", account]
            if is_domain(domain) && is_segment(namespace) && is_segment(account) =>
        {
            Some((domain, namespace, account))
        }
        _ => None,
    };
    let read = SpiffeId::parse(text);
    assert_eq!(
        read.map(|id| (id.trust_domain, id.namespace, id.service_account)),
        plain,
        "{text:?}"
    );
    assert!(
        read.is_none_or(|id| id.to_string() == text),
        "one spelling: {text:?}"
    );
}

/// The alternative names of a certificate with their tags, by nothing but lengths (X.690 §8.1).
fn alternative_names(der: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let (_, certificate, _) = element(der)?;
    let (_, signed, _) = element(certificate)?;
    let (_, extensions) = elements(signed)?
        .into_iter()
        .find(|(tag, _)| *tag == 0xa3)?;
    let (_, extensions, _) = element(extensions)?;
    let mut names = Vec::new();
    for (_, extension) in elements(extensions)? {
        // Of others nothing is read, and what they hold may be anything.
        let (_, number, rest) = element(extension)?;
        if number == NAMES {
            let (_, value) = elements(rest)?.pop()?;
            let (_, list, _) = element(value)?;
            names.extend(elements(list)?);
        }
    }
    Some(names)
}

/// The tag and the content of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = der.split_first_chunk()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        long => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn elements(mut der: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut all = Vec::new();
    while !der.is_empty() {
        let (tag, content, rest) = element(der)?;
        all.push((tag, content));
        der = rest;
    }
    Some(all)
}
