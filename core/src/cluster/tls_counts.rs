//! What became of TLS on the connections to a cluster's endpoints, by the names that Envoy counts it under.

use super::atomic::{AtomicU64, Ordering};
use crate::peer::{TlsFacts, TlsFaultKind, TlsVersion};

/// How many kinds of faults there are.
const KINDS: usize = TlsFaultKind::ALL.len();

/// The counts of one cluster, shared by all workers.
///
/// Orderings are relaxed: each counter stands alone.
#[derive(Debug, Default)]
pub struct TlsCounts {
    handshakes: AtomicU64,
    resumed: AtomicU64,
    tls12: AtomicU64,
    tls13: AtomicU64,
    /// In the order of [`TlsFaultKind::ALL`].
    faults: [AtomicU64; KINDS],
}

impl TlsCounts {
    /// It was agreed on.
    pub fn on_agreed(&self, facts: &TlsFacts) {
        let add = |counter: &AtomicU64, count| counter.fetch_add(count, Ordering::Relaxed);
        add(&self.handshakes, 1);
        add(&self.resumed, facts.resumed.into());
        add(&self.tls12, (facts.version == TlsVersion::Tls12).into());
        add(&self.tls13, (facts.version == TlsVersion::Tls13).into());
    }

    /// It failed.
    pub fn on_failed(&self, kind: TlsFaultKind) {
        let of = TlsFaultKind::ALL.iter().zip(&self.faults);
        for (_, counter) in of.filter(|(of, _)| **of == kind) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every count by Envoy's name; `None` where TLS was never tried.
    #[must_use]
    pub fn named(&self) -> Option<[(&'static str, u64); 8]> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (handshakes, resumed) = (of(&self.handshakes), of(&self.resumed));
        let (mut errors, mut untrusted, mut wrong_name, mut no_certificate) = (0, 0, 0, 0);
        for (kind, counter) in TlsFaultKind::ALL.iter().zip(&self.faults) {
            *match kind {
                TlsFaultKind::NotTls
                | TlsFaultKind::HelloTooLong
                | TlsFaultKind::Refused
                | TlsFaultKind::NoIdentity
                | TlsFaultKind::NothingInCommon => &mut errors,
                TlsFaultKind::Untrusted => &mut untrusted,
                TlsFaultKind::WrongName => &mut wrong_name,
                TlsFaultKind::NoCertificate => &mut no_certificate,
            } += of(counter);
        }
        let failed = errors + untrusted + wrong_name + no_certificate;
        (handshakes + failed > 0).then_some([
            ("ssl.handshake", handshakes),
            ("ssl.session_reused", resumed),
            ("ssl.connection_error", errors),
            ("ssl.fail_verify_error", untrusted),
            ("ssl.fail_verify_san", wrong_name),
            ("ssl.fail_verify_no_cert", no_certificate),
            ("ssl.versions.TLSv1.2", of(&self.tls12)),
            ("ssl.versions.TLSv1.3", of(&self.tls13)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_counted_as_what_it_is() {
        let counts = TlsCounts::default();
        assert_eq!(counts.named(), None);
        for (version, resumed) in [(TlsVersion::Tls12, false), (TlsVersion::Tls13, true)] {
            counts.on_agreed(&TlsFacts {
                version,
                cipher: "".into(),
                sni: None,
                alpn: None,
                resumed,
                peer: None,
            });
        }
        for (at, kind) in TlsFaultKind::ALL.into_iter().enumerate() {
            (0..1 << at).for_each(|_| counts.on_failed(kind));
        }
        assert_eq!(
            counts.named(),
            Some([
                ("ssl.handshake", 2),
                ("ssl.session_reused", 1),
                ("ssl.connection_error", 0b1110_0011),
                ("ssl.fail_verify_error", 0b100),
                ("ssl.fail_verify_san", 0b1000),
                ("ssl.fail_verify_no_cert", 0b1_0000),
                ("ssl.versions.TLSv1.2", 1),
                ("ssl.versions.TLSv1.3", 1),
            ])
        );
    }

    /// One fault of any kind is enough to be told, and is told once.
    #[test]
    fn each_fault_is_told_alone() {
        assert_eq!(TlsCounts::default().named(), None);
        for kind in TlsFaultKind::ALL {
            let counts = TlsCounts::default();
            counts.on_failed(kind);
            let named = counts.named().expect("there is one");
            let sum: u64 = named.iter().map(|(_, count)| count).sum();
            assert_eq!(sum, 1, "{kind:?}: {named:?}");
        }
    }
}
