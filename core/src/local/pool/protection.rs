//! What protects a connection to an endpoint, so that none is used for a request that wants another protection: other settings,
//! another name, or none.

use std::sync::Arc;

use crate::snapshot::{ClientTls, Sni};

/// How a request wants its connection protected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) tls: Option<&'a Arc<ClientTls>>,
    /// The host of the request, without its port; empty unless TLS is to name it.
    pub(crate) host: &'a str,
}

/// How a connection is protected.
#[derive(Debug)]
pub(crate) struct Protection {
    tls: Arc<ClientTls>,
    /// Whom it names, where that is the host of a request.
    host: Option<Box<str>>,
}

impl Wanted<'_> {
    /// Of a connection that is made for the request.
    pub(super) fn protection(self) -> Option<Protection> {
        self.tls.map(|tls| Protection {
            tls: Arc::clone(tls),
            host: (tls.sni == Sni::Host).then(|| self.host.into()),
        })
    }

    /// Whether a connection is protected so.
    pub(super) fn is(self, protection: Option<&Protection>) -> bool {
        has(protection, self.tls)
            && protection.is_none_or(|protection| {
                let host = protection.host.as_deref();
                host.is_none_or(|host| host.eq_ignore_ascii_case(self.host))
            })
    }
}

/// Whether a connection is protected by these settings. They are compared by what they say, because a reload makes them anew.
pub(super) fn has(protection: Option<&Protection>, tls: Option<&Arc<ClientTls>>) -> bool {
    match (protection, tls) {
        (None, None) => true,
        (Some(protection), Some(tls)) => {
            Arc::ptr_eq(&protection.tls, tls) || protection.tls == *tls
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Alpn, KeyName, TlsParameters, Trust};

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
            };
            let protection = made.protection();
            for (want, tls) in all.iter().enumerate() {
                // Of the same value and not the same allocation.
                let copy = tls.as_ref().map(|tls| Arc::new((**tls).clone()));
                for (host, is_same) in [("a", true), ("A", true), ("b", false)] {
                    let tls = copy.as_ref();
                    let is = Wanted { tls, host }.is(protection.as_ref());
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
