//! SPIFFE IDs of workloads in a mesh: `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT` (SPIFFE-ID §2; the path is
//! Istio's).
//!
//! Owns the spelling. Whose certificate says one is known from [`super::PeerCertificate`].

use core::fmt;

/// The longest trust domain (SPIFFE-ID §2.1: 255 bytes).
const MAX_TRUST_DOMAIN: usize = 255;

/// Whether this is a trust domain (SPIFFE-ID §2.1): lower-case letters, digits, dots, hyphens and underscores.
#[must_use]
pub fn is_trust_domain(text: &str) -> bool {
    let is_one_of_its = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    !text.is_empty() && text.len() <= MAX_TRUST_DOMAIN && text.bytes().all(is_one_of_its)
}

/// Who a workload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId<'a> {
    /// The mesh.
    pub trust_domain: &'a str,
    /// The namespace.
    pub namespace: &'a str,
    /// The service account.
    pub service_account: &'a str,
}

impl<'a> SpiffeId<'a> {
    /// Reads one with its scheme; `None` for what is no identity of a workload. Nothing is decoded or folded: two identities
    /// are the same when their bytes are.
    #[must_use]
    pub fn parse(uri: &'a str) -> Option<Self> {
        let (trust_domain, path) = uri.strip_prefix("spiffe://")?.split_once('/')?;
        let mut parts = path.split('/');
        let mut part = || parts.next().filter(|part| is_segment(part));
        let read = match (part()?, part()?, part()?, part()?) {
            ("ns", namespace, "sa", service_account) => Self {
                trust_domain,
                namespace,
                service_account,
            },
            _ => return None,
        };
        (parts.next().is_none() && is_trust_domain(trust_domain)).then_some(read)
    }
}

/// A segment of a path (SPIFFE-ID §2.2): letters, digits, dots, hyphens and underscores, and no dots alone.
fn is_segment(text: &str) -> bool {
    let is_one_of_its = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !matches!(text, "" | "." | "..") && text.bytes().all(is_one_of_its)
}

impl fmt::Display for SpiffeId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trust_domain,
            namespace,
            service_account,
        } = self;
        write!(
            f,
            "spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_what_it_says_and_nothing_else() {
        let id = SpiffeId::parse("spiffe://td.example/ns/shop/sa/cart").unwrap();
        let parts = (id.trust_domain, id.namespace, id.service_account);
        assert_eq!(parts, ("td.example", "shop", "cart"));
        assert_eq!(id.to_string(), "spiffe://td.example/ns/shop/sa/cart");
        for wrong in [
            "",
            "td/ns/a/sa/b",
            "spiffe:/td/ns/a/sa/b",
            "SPIFFE://td/ns/a/sa/b",
            "spiffe://TD/ns/a/sa/b",
            "spiffe:///ns/a/sa/b",
            "spiffe://td:80/ns/a/sa/b",
            "spiffe://u@td/ns/a/sa/b",
            "spiffe://td/ns/a/sa/b/",
            "spiffe://td/ns/a/sa/b/c",
            "spiffe://td/ns/a/sa",
            "spiffe://td/ns//sa/b",
            "spiffe://td/ns/../sa/b",
            "spiffe://td/ns/a/sa/b?x",
            "spiffe://td/ns/a/sa/b#x",
            "spiffe://td/ns/a/sa/%62",
            "spiffe://td/ns/a/sa/b\0",
            "spiffe://td/sa/a/ns/b",
        ] {
            assert_eq!(SpiffeId::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn trust_domains_are_lower_case_and_bounded() {
        assert!(is_trust_domain("cluster.local"));
        assert!(is_trust_domain(&"a".repeat(MAX_TRUST_DOMAIN)));
        assert!(!is_trust_domain(&"a".repeat(MAX_TRUST_DOMAIN + 1)));
        for wrong in ["", "A", "a/b", "a b", "a:1", "ä"] {
            assert!(!is_trust_domain(wrong), "{wrong}");
        }
    }
}
