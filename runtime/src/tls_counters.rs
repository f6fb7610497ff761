//! What is counted of the TLS handshakes of a listener's clients: of one worker as counters, of all of them as sums.

use outrigger_core::peer::{TlsFacts, TlsFault, TlsFaultKind};

use crate::counter::Counter;

/// How many kinds of faults there are.
const KINDS: usize = TlsFaultKind::ALL.len();

/// What is counted of handshakes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsStats<N = u64> {
    /// Those that were agreed on (Envoy's `ssl.handshake`).
    pub handshakes: N,
    /// Those of them that took up an earlier session (`ssl.session_reused`).
    pub resumed: N,
    /// Those of them without a certificate of the client (`ssl.no_certificate`).
    pub no_certificate: N,
    /// Clients that were found to speak clear text where they may.
    pub clear_text: N,
    /// Those that took too long (`downstream_cx_transport_socket_connect_timeout`).
    pub late: N,
    /// Those that failed, in the order of [`TlsFaultKind::ALL`].
    faults: [N; KINDS],
}

impl TlsStats {
    /// How many failed so.
    #[must_use]
    pub fn faults(&self, kind: TlsFaultKind) -> u64 {
        let of = TlsFaultKind::ALL.iter().zip(&self.faults);
        of.filter(|(of, _)| **of == kind)
            .map(|(_, count)| count)
            .sum()
    }
}

impl TlsStats<Counter> {
    /// One is over.
    pub(crate) fn on_end(&self, outcome: Result<Option<&TlsFacts>, &TlsFault>) {
        match outcome {
            Ok(Some(facts)) => {
                self.handshakes.add(1);
                self.resumed.add(u64::from(facts.resumed));
                self.no_certificate.add(u64::from(facts.peer.is_none()));
            }
            Ok(None) => self.clear_text.add(1),
            Err(fault) => {
                let all = TlsFaultKind::ALL.iter().zip(&self.faults);
                all.filter(|(kind, _)| **kind == fault.kind())
                    .for_each(|(_, counter)| counter.add(1));
            }
        }
    }

    pub(crate) fn add_to(&self, sum: &mut TlsStats) {
        sum.handshakes += self.handshakes.value();
        sum.resumed += self.resumed.value();
        sum.no_certificate += self.no_certificate.value();
        sum.clear_text += self.clear_text.value();
        sum.late += self.late.value();
        for (sum, counter) in sum.faults.iter_mut().zip(&self.faults) {
            *sum += counter.value();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_counted_as_what_it_is() {
        let counters = TlsStats::<Counter>::default();
        counters.on_end(Ok(None));
        for kind in [TlsFault::NotTls, TlsFault::NoCertificate, TlsFault::NotTls] {
            counters.on_end(Err(&kind));
        }
        let mut sum = TlsStats::default();
        counters.add_to(&mut sum);
        counters.add_to(&mut sum);
        assert_eq!((sum.clear_text, sum.handshakes), (2, 0));
        assert_eq!(sum.faults(TlsFaultKind::NotTls), 4);
        assert_eq!(sum.faults(TlsFaultKind::NoCertificate), 2);
        assert_eq!(sum.faults(TlsFaultKind::Untrusted), 0);
    }
}
