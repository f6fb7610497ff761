//! What is spoken beneath HTTP in a simulation: clear text, or TLS, of which there is only what it proves.
//!
//! Owns who agrees with whom. There are no keys: a certificate is what it says, the name of the authority that signed it and
//! whether its time is now. Who is believed is decided as `outrigger_tls` decides it, which has the same cases.

use std::collections::BTreeMap;
use std::sync::Arc;

use outrigger_core::peer::{PeerCertificate, TlsFacts, TlsFault, TlsVersion};
use outrigger_core::snapshot::{
    Alpn, ClientProof, ClientTrust, KeyName, MutualTls, PeerNames, RootsName, ServerTls, Sni,
    TlsParameters, Trust,
};
use outrigger_core::worker::{Handshake, Hearing};

/// What the alert is called by which a sidecar turns a certificate down (RFC 8446 §6.2).
const UNKNOWN: &str = "certificate_unknown";

/// …and by which whoever asks for one misses it.
const REQUIRED: &str = "certificate_required";

/// …and by which no version is agreed on.
const VERSION: &str = "protocol_version";

/// What a peer hears of an end without an alert.
const ENDED: &str = "the connection ended";

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What it says.
    pub told: PeerCertificate,
    /// The authority that signed it.
    pub authority: Box<str>,
    /// Whether it is good now.
    pub time: Time,
}

/// Where now stands to the time in which a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Within it.
    Now,
    /// Behind it.
    Over,
    /// Before it.
    ToCome,
}

/// TLS as a peer speaks it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Speaks {
    /// What it shows. A service without one cannot speak TLS.
    pub certificate: Option<Shown>,
    /// The name that a client asks for.
    pub sni: Option<Box<str>>,
    /// The protocols (ALPN) that a client offers, or a service takes; the dearest first.
    pub protocols: Box<[Box<str>]>,
    /// A service speaks only to clients with a certificate of this authority.
    pub demands: Option<Box<str>>,
    /// It speaks nothing newer than TLS 1.2.
    pub is_old: bool,
}

impl Speaks {
    /// As a workload of the mesh with this certificate.
    #[must_use]
    pub fn as_mesh(certificate: Shown) -> Self {
        Self {
            certificate: Some(certificate),
            protocols: ["istio-http/1.1", "istio", "http/1.1"]
                .map(Into::into)
                .into(),
            ..Self::default()
        }
    }
}

/// What a peer speaks beneath HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Beneath {
    /// Nothing.
    #[default]
    ClearText,
    /// TLS.
    Tls(Box<Speaks>),
}

/// What a peer has learnt of the other side of a protected connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// The version that was agreed on.
    pub version: TlsVersion,
    /// The name that the client asked for.
    pub sni: Option<Box<str>>,
    /// What the client offered.
    pub offered: Box<[Box<str>]>,
    /// The protocol that was agreed on.
    pub agreed: Option<Box<str>>,
    /// What the other side has shown.
    pub certificate: Option<PeerCertificate>,
}

/// What came of a handshake, for the peer: what it has met, or how it hears that there is nothing.
pub(crate) type Outcome = Result<Met, &'static str>;

/// Authorities that are believed, and what they have revoked.
type Known<'a> = (&'a [Box<str>], Vec<[u8; 32]>);

/// What proves something to a simulated sidecar, and for it.
#[derive(Clone, Debug, Default)]
pub struct Proved {
    /// What it can show, by the names that a snapshot has for them.
    pub keys: BTreeMap<KeyName, Shown>,
    /// The authorities that it believes, by name.
    pub roots: BTreeMap<RootsName, Vec<Box<str>>>,
    /// What was revoked (SHA-256 of certificates): by file, and under `None` by the authorities of the mesh.
    pub revoked: BTreeMap<Option<Box<str>>, Vec<[u8; 32]>>,
}

impl Proved {
    /// A workload of the mesh with this certificate, which believes who has one of the same authority.
    #[must_use]
    pub fn as_mesh(certificate: Shown) -> Self {
        let authority = certificate.authority.clone();
        Self {
            keys: [(KeyName::Mesh, certificate)].into(),
            roots: [(RootsName::Mesh, vec![authority])].into(),
            revoked: BTreeMap::new(),
        }
    }

    fn key(&self, name: &KeyName) -> Result<&Shown, TlsFault> {
        let found = self.keys.get(name);
        found.ok_or_else(|| lacking(format!("no certificate and key of {name}")))
    }

    /// The authorities that count, and what they have revoked.
    fn authorities(&self, roots: &RootsName, crl: Option<&str>) -> Result<Known<'_>, TlsFault> {
        let known = self.roots.get(roots);
        let known = known.ok_or_else(|| lacking(format!("no roots of {roots}")))?;
        let mut revoked = Vec::new();
        if let Some(file) = crl {
            let list = self.revoked.get(&Some(file.into()));
            let lacks = || lacking(format!("no revoked certificates of {file}"));
            revoked.extend(list.ok_or_else(lacks)?);
        }
        let of_mesh = self
            .revoked
            .get(&None)
            .filter(|_| *roots == RootsName::Mesh);
        revoked.extend(of_mesh.into_iter().flatten());
        Ok((known, revoked))
    }

    /// Whether a chain leads to these roots, and was not revoked.
    fn check_chain(
        &self,
        shown: &Shown,
        roots: &RootsName,
        crl: Option<&str>,
    ) -> Result<(), TlsFault> {
        let (known, revoked) = self.authorities(roots, crl)?;
        let told = &shown.told;
        let mut names = told.uri_names.iter().chain(&told.dns_names);
        if !names.all(|name| name.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(untrusted("a name in it holds what no name does"));
        }
        if !known.contains(&shown.authority) {
            return Err(untrusted("no authority that is believed has signed it"));
        }
        match shown.time {
            Time::Over => Err(untrusted("its time is over")),
            Time::ToCome => Err(untrusted("its time has not begun")),
            Time::Now if revoked.contains(&shown.told.sha256) => Err(untrusted("it was revoked")),
            Time::Now => Ok(()),
        }
    }

    /// Whether there is what a handshake takes of us.
    fn has_all(&self, handshake: &Handshake) -> Result<(), TlsFault> {
        let tls = &handshake.tls;
        if let Trust::Chain { roots, crl, .. } = &tls.trust {
            self.authorities(roots, crl.as_deref())?;
        }
        let mut identity = tls.identity.iter();
        identity.try_for_each(|name| self.key(name).map(|_| ()))
    }
}

/// The certificate of a workload of a mesh, such as `td/ns/shop/sa/cart`.
#[must_use]
pub fn certificate(principal: &str) -> Shown {
    Shown {
        told: PeerCertificate {
            uri_names: [format!("spiffe://{principal}").into()].into(),
            ..PeerCertificate::default()
        },
        authority: "mesh".into(),
        time: Time::Now,
    }
}

fn lacking(what: String) -> TlsFault {
    TlsFault::NoIdentity(what.into())
}

const WRONG_NAME: &str = "it says none of the names that are wanted";

fn untrusted(why: &str) -> TlsFault {
    TlsFault::Untrusted(why.into())
}

/// The version that both speak.
fn version(parameters: &TlsParameters, is_old: bool) -> Option<TlsVersion> {
    match (parameters.min_version, is_old) {
        (Some(TlsVersion::Tls13), true) => None,
        (Some(TlsVersion::Tls12) | None, true) => Some(TlsVersion::Tls12),
        (_, false) => Some(TlsVersion::Tls13),
    }
}

fn facts(met: &Met) -> Arc<TlsFacts> {
    Arc::new(TlsFacts {
        version: met.version,
        cipher: "TLS_AES_128_GCM_SHA256".into(),
        sni: met.sni.clone(),
        alpn: met.agreed.clone(),
        resumed: false,
        peer: met.certificate.clone(),
    })
}

/// The first of these that is also offered.
fn agreed<'a>(taken: impl Iterator<Item = &'a str>, offered: &[Box<str>]) -> Option<Box<str>> {
    let mut taken = taken;
    let agreed = taken.find(|name| offered.iter().any(|other| **other == **name));
    agreed.map(Into::into)
}

/// Whom a handshake names: an address is not named, but can be proved (RFC 6066 §3).
fn wanted(handshake: &Handshake) -> Option<&str> {
    match &handshake.tls.sni {
        Sni::None => None,
        Sni::Name(name) => Some(name),
        Sni::Host => handshake.host.as_deref(),
    }
}

/// How a sidecar that wants this appears to whoever it speaks to.
pub(crate) fn of_handshake(proved: &Proved, handshake: &Handshake) -> Speaks {
    let identity = handshake.tls.identity.as_ref();
    let sni = wanted(handshake).filter(|name| name.parse::<core::net::IpAddr>().is_err());
    let offered = handshake.tls.alpn.offered(handshake.spoken).iter();
    Speaks {
        certificate: identity.and_then(|name| proved.keys.get(name).cloned()),
        sni: sni.map(Into::into),
        protocols: offered.map(|name| (*name).into()).collect(),
        demands: None,
        is_old: false,
    }
}

/// Whether a certificate says a name: a URI by its bytes, a host with at most one `*` as its first label (RFC 6125 §6.4.3).
fn says(told: &PeerCertificate, name: &str) -> bool {
    let is_host = |dns: &str| match dns.strip_prefix("*.") {
        Some(rest) => name
            .split_once('.')
            .is_some_and(|(first, of)| !first.is_empty() && of.eq_ignore_ascii_case(rest)),
        None => dns.eq_ignore_ascii_case(name),
    };
    told.uri_names.iter().any(|uri| **uri == *name) || told.dns_names.iter().any(|dns| is_host(dns))
}

/// What a sidecar learns of an endpoint that speaks this, and what that learns. Where the endpoint alone does not agree, the
/// sidecar of TLS 1.3 learns of it only when it reads.
pub(crate) fn as_client(
    proved: &Proved,
    handshake: &Handshake,
    endpoint: &Beneath,
) -> (Result<Arc<TlsFacts>, TlsFault>, Outcome) {
    if let Err(fault) = proved.has_all(handshake) {
        return (Err(fault), Err(ENDED));
    }
    let Beneath::Tls(endpoint) = endpoint else {
        return (Err(TlsFault::NotTls), Err(ENDED));
    };
    let speaks = of_handshake(proved, handshake);
    let Some(version) = version(&handshake.tls.parameters, endpoint.is_old) else {
        let fault = TlsFault::Refused(VERSION.into());
        return (Err(fault), Err(VERSION));
    };
    let Some(shown) = &endpoint.certificate else {
        let fault = TlsFault::Refused("handshake_failure".into());
        return (Err(fault), Err("no certificate"));
    };
    let of_endpoint = Met {
        version,
        sni: speaks.sni.clone(),
        offered: speaks.protocols.clone(),
        agreed: agreed(
            endpoint.protocols.iter().map(|name| &**name),
            &speaks.protocols,
        ),
        certificate: Some(shown.told.clone()),
    };
    if let Err(fault) = believe(proved, handshake, shown) {
        let heard = match fault {
            TlsFault::Untrusted(_) | TlsFault::WrongName(_) => UNKNOWN,
            _ => ENDED,
        };
        return (Err(fault), Err(heard));
    }
    let met = Met {
        certificate: speaks.certificate.as_ref().map(|own| own.told.clone()),
        ..of_endpoint.clone()
    };
    let lacks = endpoint
        .demands
        .as_ref()
        .and_then(|authority| match &speaks.certificate {
            None => Some(REQUIRED),
            Some(own) if own.authority != *authority => Some("unknown_ca"),
            Some(own) if own.time != Time::Now => Some("certificate_expired"),
            Some(_) => None,
        });
    match (lacks, version) {
        (None, _) => (Ok(facts(&of_endpoint)), Ok(met)),
        (Some(alert), TlsVersion::Tls13) => (Ok(facts(&of_endpoint)), Err(alert)),
        (Some(alert), TlsVersion::Tls12) => (Err(TlsFault::Refused(alert.into())), Err(alert)),
    }
}

/// Whether a sidecar believes an endpoint that shows this.
fn believe(proved: &Proved, handshake: &Handshake, shown: &Shown) -> Result<(), TlsFault> {
    let Trust::Chain { roots, crl, names } = &handshake.tls.trust else {
        return Ok(());
    };
    proved.check_chain(shown, roots, crl.as_deref())?;
    // SPIFFE X.509-SVID §2: whoever is two is nobody.
    if *roots == RootsName::Mesh && shown.told.uri_names.len() > 1 {
        return Err(untrusted("it has more than one name that is a URI"));
    }
    let is_believed = match names {
        PeerNames::Any => true,
        PeerNames::Of(names) => names.iter().any(|name| says(&shown.told, name)),
        PeerNames::Wanted => wanted(handshake).is_some_and(|name| says(&shown.told, name)),
    };
    match is_believed {
        true => Ok(()),
        false => Err(TlsFault::WrongName(WRONG_NAME.into())),
    }
}

/// What a sidecar learns of a client that speaks this; `None` is clear text that it takes. And what the client learns.
pub(crate) fn as_server(
    proved: &Proved,
    Hearing { tls, passes, .. }: &Hearing,
    client: &Beneath,
) -> (Result<Option<Arc<TlsFacts>>, TlsFault>, Outcome) {
    let client = match (client, tls.mode) {
        (Beneath::Tls(client), MutualTls::ByName) => return as_gateway(proved, tls, client),
        // What it says may be a ClientHello that passes.
        (Beneath::ClearText, MutualTls::ByName) if passes_something(tls) => {
            return (Ok(None), Err(ENDED));
        }
        (Beneath::ClearText, MutualTls::Strict | MutualTls::ByName) => {
            return (Err(TlsFault::NotTls), Err(ENDED));
        }
        (Beneath::ClearText, MutualTls::Permissive | MutualTls::Disable) => {
            return (Ok(None), Err(ENDED));
        }
        (Beneath::Tls(client), _) => client,
    };
    let mut offered = client.protocols.iter();
    if tls.mode != MutualTls::Strict && !offered.any(|name| Alpn::is_of_the_mesh(name.as_bytes())) {
        // The application's own may pass: bytes stand for it, as at a gateway.
        let why = || TlsFault::NothingInCommon("no protocol of the mesh is offered".into());
        return (passes.then_some(None).ok_or_else(why), Err(ENDED));
    }
    let own = match proved.key(&KeyName::Mesh) {
        Ok(own) => own,
        Err(fault) => return (Err(fault), Err(ENDED)),
    };
    let Some(version) = version(&tls.parameters, client.is_old) else {
        let fault = TlsFault::NothingInCommon("the version".into());
        return (Err(fault), Err(VERSION));
    };
    let alert = match client.certificate {
        None if version == TlsVersion::Tls12 => "handshake_failure",
        None => REQUIRED,
        Some(_) => UNKNOWN,
    };
    match admit(proved, tls, client.certificate.as_ref()) {
        Err(fault) => (Err(fault), Err(alert)),
        Ok(told) => {
            let met = Met {
                version,
                sni: client.sni.clone(),
                offered: client.protocols.clone(),
                agreed: agreed(Alpn::ANSWERED.iter().copied(), &client.protocols),
                certificate: Some(told.clone()),
            };
            let of_sidecar = Met {
                certificate: Some(own.told.clone()),
                ..met.clone()
            };
            (Ok(Some(facts(&met))), Ok(of_sidecar))
        }
    }
}

/// Whether TLS passes for some names, so that it is first looked at as bytes.
fn passes_something(tls: &ServerTls) -> bool {
    tls.servers.iter().any(|one| one.termination.is_none())
}

/// The same of a gateway. TLS that passes is none of its own: bytes stand for it that ask for nobody in particular.
fn as_gateway(
    proved: &Proved,
    tls: &ServerTls,
    client: &Speaks,
) -> (Result<Option<Arc<TlsFacts>>, TlsFault>, Outcome) {
    let server = tls.server(client.sni.as_deref());
    let Some(server) = server.and_then(|at| tls.servers.get(at)) else {
        let why = "no server has the name that is asked for";
        return (Err(TlsFault::NothingInCommon(why.into())), Err(ENDED));
    };
    let Some(termination) = &server.termination else {
        return (Ok(None), Err(ENDED));
    };
    let own = match proved.key(&termination.key) {
        Ok(own) => own,
        Err(fault) => return (Err(fault), Err(ENDED)),
    };
    let Some(version) = version(&termination.parameters, client.is_old) else {
        let fault = TlsFault::NothingInCommon("the version".into());
        return (Err(fault), Err(VERSION));
    };
    let shown = client.certificate.as_ref();
    let alert = match shown {
        None if version == TlsVersion::Tls12 => "handshake_failure",
        None => REQUIRED,
        Some(_) => UNKNOWN,
    };
    let visits = |trust: &ClientTrust, shown: &Shown| {
        proved.check_chain(shown, &trust.roots, trust.crl.as_deref())?;
        let mut names = trust.names.iter();
        match trust.names.is_empty() || names.any(|name| says(&shown.told, name)) {
            true => Ok(shown.told.clone()),
            false => Err(TlsFault::WrongName(WRONG_NAME.into())),
        }
    };
    let admitted = match (&termination.clients, shown) {
        (ClientProof::Nothing, _) | (ClientProof::Optional(_), None) => Ok(None),
        (ClientProof::Required(_), None) => Err(TlsFault::NoCertificate),
        (ClientProof::Optional(trust) | ClientProof::Required(trust), Some(shown)) => {
            visits(trust, shown).map(Some)
        }
        (ClientProof::Mesh, shown) => admit(proved, tls, shown).map(|told| Some(told.clone())),
    };
    match admitted {
        Err(fault) => (Err(fault), Err(alert)),
        Ok(certificate) => {
            let answered: &[&str] = match (&termination.clients, termination.is_http) {
                (ClientProof::Mesh, _) => Alpn::ANSWERED,
                (_, true) => Alpn::ANSWERED_BY_HTTP,
                (_, false) => &[],
            };
            let met = Met {
                version,
                sni: client.sni.clone(),
                offered: client.protocols.clone(),
                agreed: agreed(answered.iter().copied(), &client.protocols),
                certificate,
            };
            let of_gateway = Met {
                certificate: Some(own.told.clone()),
                ..met.clone()
            };
            (Ok(Some(facts(&met))), Ok(of_gateway))
        }
    }
}

/// Whether a sidecar lets in who shows this.
fn admit<'a>(
    proved: &Proved,
    tls: &ServerTls,
    shown: Option<&'a Shown>,
) -> Result<&'a PeerCertificate, TlsFault> {
    let shown = shown.ok_or(TlsFault::NoCertificate)?;
    proved.check_chain(shown, &RootsName::Mesh, None)?;
    let domain = shown.told.principal().and_then(|of| of.split('/').next());
    let domain = domain.ok_or_else(|| untrusted("it has not one name that is a SPIFFE ID"))?;
    match tls.trust_domains.iter().any(|known| **known == *domain) {
        true => Ok(&shown.told),
        false => Err(untrusted("its trust domain is none of ours")),
    }
}
