//! What a script must have met beneath HTTP.

use outrigger_sim::Met;

/// What `* expect tls …` and `* expect no tls …` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// These facts, by name.
    Met(Vec<(Fact, String)>),
    /// Nothing is agreed on; if it is named, for this reason.
    Refused(Option<String>),
}

/// A fact that a script may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The name that the client asked for, or `none`.
    Sni,
    /// What the client offered, with commas between, or `none`.
    Offers,
    /// The protocol that was agreed on, or `none`.
    Agrees,
    /// A name of the other side's certificate, or `nobody`.
    From,
    /// `1.2` or `1.3`.
    Version,
}

impl Expectation {
    /// Reads what stands behind `expect tls`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let (pairs, rest) = words.as_chunks::<2>();
        if let [word, ..] = rest {
            return Err(format!("`{word}` lacks what it is"));
        }
        let facts = pairs.iter().map(|[name, value]| {
            let fact = match *name {
                "sni" => Fact::Sni,
                "offers" => Fact::Offers,
                "agrees" => Fact::Agrees,
                "from" => Fact::From,
                "version" => Fact::Version,
                other => return Err(format!("TLS has no `{other}`")),
            };
            Ok((fact, (*value).to_owned()))
        });
        facts.collect::<Result<_, _>>().map(Self::Met)
    }

    /// Whether it is so; `None` while it may still come.
    ///
    /// # Errors
    /// What differs.
    pub(crate) fn judge(&self, met: Option<&Result<Met, String>>) -> Result<Option<()>, String> {
        match (self, met) {
            (Self::Refused(_), None | Some(Ok(_))) => Ok(None),
            (Self::Refused(want), Some(Err(why))) => match want {
                Some(want) if want != why => {
                    Err(format!("expected no tls: {want}\n     got no tls: {why}"))
                }
                Some(_) | None => Ok(Some(())),
            },
            (Self::Met(_), None) => Err("the connection is in clear text".to_owned()),
            (Self::Met(_), Some(Err(why))) => Err(format!("no TLS is agreed on: {why}")),
            (Self::Met(facts), Some(Ok(met))) => {
                let differs = |(fact, want): &&(Fact, String)| !fact.is(met, want);
                match facts.iter().find(differs) {
                    None => Ok(Some(())),
                    Some((fact, want)) => {
                        let got = fact.of(met);
                        Err(format!(
                            "expected {fact:?}: {want}\n     got {fact:?}: {got}"
                        ))
                    }
                }
            }
        }
    }
}

impl Fact {
    fn is(self, met: &Met, want: &str) -> bool {
        match self {
            Self::From => match (&met.certificate, want) {
                (None, want) => want == "nobody",
                (Some(certificate), want) => {
                    let mut names = certificate.uri_names.iter().chain(&certificate.dns_names);
                    names.any(|name| **name == *want)
                }
            },
            Self::Sni | Self::Offers | Self::Agrees | Self::Version => self.of(met) == want,
        }
    }

    fn of(self, met: &Met) -> String {
        let or_none = |of: Option<&str>| of.unwrap_or("none").to_owned();
        match self {
            Self::Sni => or_none(met.sni.as_deref()),
            Self::Offers if met.offered.is_empty() => "none".to_owned(),
            Self::Offers => met.offered.join(","),
            Self::Agrees => or_none(met.agreed.as_deref()),
            Self::From => match &met.certificate {
                None => "nobody".to_owned(),
                Some(of) => format!("{:?} {:?}", of.uri_names, of.dns_names),
            },
            Self::Version => met
                .version
                .to_string()
                .trim_start_matches("TLSv")
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::peer::{PeerCertificate, TlsVersion};

    #[test]
    fn facts_are_compared_by_name() {
        let met = Ok(Met {
            version: TlsVersion::Tls13,
            sni: Some("a.example".into()),
            offered: ["istio".into(), "h2".into()].into(),
            agreed: None,
            certificate: Some(PeerCertificate {
                uri_names: ["spiffe://td/x".into()].into(),
                ..PeerCertificate::default()
            }),
        });
        for (text, want) in [
            (
                "sni a.example offers istio,h2 agrees none from spiffe://td/x version 1.3",
                true,
            ),
            ("sni none", false),
            ("from nobody", false),
            ("version 1.2", false),
        ] {
            let words: Vec<&str> = text.split(' ').collect();
            let expectation = Expectation::parse(&words).unwrap();
            assert_eq!(expectation.judge(Some(&met)).is_ok(), want, "{text}");
            assert!(expectation.judge(None).is_err(), "{text}");
        }
        let refused = Expectation::Refused(Some("unknown_ca".to_owned()));
        assert_eq!(refused.judge(Some(&met)), Ok(None), "it may come");
        assert!(refused.judge(Some(&Err("x".to_owned()))).is_err());
        assert_eq!(
            refused.judge(Some(&Err("unknown_ca".to_owned()))),
            Ok(Some(()))
        );
        assert!(Expectation::parse(&["sni"]).is_err() && Expectation::parse(&["a", "b"]).is_err());
    }
}
