//! What lies beneath the messages on a connection to an endpoint, so that none is used for a request that wants something else there:
//! another protection (other settings, another name, or none), or to be told as somebody else's.

use std::sync::Arc;

use crate::snapshot::{ClientTls, Sni};

/// How a request wants its connection protected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) tls: Option<&'a Arc<ClientTls>>,
    /// The host of the request, without its port; empty unless TLS is to name it.
    pub(crate) host: &'a str,
    /// What is said first, before TLS.
    pub(crate) preface: Option<&'a Arc<[u8]>>,
}

/// How a connection is protected, and what was said before.
#[derive(Debug)]
pub(crate) struct Protection {
    tls: Option<Arc<ClientTls>>,
    preface: Option<Arc<[u8]>>,
    /// Whom it names, where that is the host of a request.
    host: Option<Box<str>>,
}

impl Wanted<'_> {
    /// Of a connection that is made for the request.
    pub(super) fn protection(self) -> Option<Protection> {
        let names_host = self.tls.is_some_and(|tls| tls.sni == Sni::Host);
        (self.tls.is_some() || self.preface.is_some()).then(|| Protection {
            tls: self.tls.cloned(),
            preface: self.preface.cloned(),
            host: names_host.then(|| self.host.into()),
        })
    }

    /// Whether a connection is protected so.
    pub(super) fn is(self, protection: Option<&Protection>) -> bool {
        has(protection, self.tls)
            && protection.and_then(|one| one.preface.as_ref()) == self.preface
            && protection.is_none_or(|protection| {
                let host = protection.host.as_deref();
                host.is_none_or(|host| host.eq_ignore_ascii_case(self.host))
            })
    }
}

/// Whether a connection is protected by these settings. They are compared by what they say, because a reload makes them anew.
pub(super) fn has(protection: Option<&Protection>, tls: Option<&Arc<ClientTls>>) -> bool {
    match (protection.and_then(|one| one.tls.as_ref()), tls) {
        (None, None) => true,
        (Some(own), Some(tls)) => Arc::ptr_eq(own, tls) || own == tls,
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Alpn, KeyName, TlsParameters, Trust};

    #[test]
    fn only_what_is_told_as_the_same_clients_is_used() {
        let said = |text: &str| Some(Arc::from(text.as_bytes()));
        for (made, want) in [("", ""), ("", "a"), ("a", ""), ("a", "a"), ("a", "b")] {
            let preface = |text: &str| if text.is_empty() { None } else { said(text) };
            let (one, other) = (preface(made), preface(want));
            let of = |preface| Wanted {
                tls: None,
                host: "",
                preface,
            };
            let protection = of(one.as_ref()).protection();
            assert_eq!(of(other.as_ref()).is(protection.as_ref()), made == want);
        }
    }

    #[test]
    fn only_what_is_protected_alike_is_used() {
        let tls = |identity, sni| {
            Arc::new(ClientTls {
                identity,
                trust: Trust::Nothing,
                sni,
                alpn: Alpn::Mesh,
                parameters: TlsParameters::default(),
            })
        };
        let all = [
            None,
            Some(tls(None, Sni::None)),
            Some(tls(None, Sni::Host)),
            Some(tls(None, Sni::Name("a".into()))),
            Some(tls(Some(KeyName::Mesh), Sni::Name("a".into()))),
        ];
        for (have, made) in all.iter().enumerate() {
            let made = Wanted {
                tls: made.as_ref(),
                host: "a",
                preface: None,
            };
            let protection = made.protection();
            for (want, tls) in all.iter().enumerate() {
                // Of the same value and not the same allocation.
                let copy = tls.as_ref().map(|tls| Arc::new((**tls).clone()));
                for (host, is_same) in [("a", true), ("A", true), ("b", false)] {
                    let tls = copy.as_ref();
                    let wanted = Wanted {
                        tls,
                        host,
                        preface: None,
                    };
                    let is = wanted.is(protection.as_ref());
                    let names_host = want == 2;
                    assert_eq!(
                        is,
                        have == want && (is_same || !names_host),
                        "{have} {want} {host}"
                    );
                }
            }
        }
    }
}
