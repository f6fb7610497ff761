//! What proves something to the sidecar of a case: its identity, what files and secrets hold. The same for runtimes, for the
//! simulation, and as files for a program of its own.

use std::collections::BTreeMap;

use outrigger_core::snapshot::{KeyName, RootsName};
use outrigger_sim::{Proved, Shown};
use outrigger_tls::Proofs;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;

use super::made;
use crate::case::Case;
use crate::trust::{Held, MESH, Trust};

/// Who the sidecar of a case is in its mesh.
pub(crate) fn spiffe_id(case: &Case) -> Option<Box<str>> {
    let name = case.settings.identity.as_ref()?;
    let certificate = case.trust.certificates.get(name)?;
    certificate.uri_names.first().map(|uri| uri.as_str().into())
}

/// The authorities that the sidecar of a case believes in its mesh.
fn believed(case: &Case) -> Vec<String> {
    match &*case.settings.believes {
        [] => vec![MESH.to_owned()],
        named => named.to_vec(),
    }
}

/// Whether the authorities of its mesh have revoked anything.
fn has_revoked(case: &Case) -> bool {
    let mut all = believed(case).into_iter();
    all.any(|authority| case.trust.revoked_by(&authority).next().is_some())
}

/// Keys by name, each with the name of its certificate.
fn keys(case: &Case) -> Vec<(KeyName, &str)> {
    let files = &case.trust.files;
    let mut keys: Vec<(KeyName, &str)> = Vec::new();
    keys.extend(
        case.settings
            .identity
            .iter()
            .map(|name| (KeyName::Mesh, name.as_str())),
    );
    for (chain, held) in files {
        for name in held.iter().filter_map(Held::certificate) {
            let is_its_key = |held: &Held| matches!(held, Held::Key(of) if of == name);
            let with_key = files.iter().filter(|(_, held)| held.iter().any(is_its_key));
            keys.extend(with_key.map(|(key, _)| {
                let names = KeyName::Files(chain.as_str().into(), key.as_str().into());
                (names, name)
            }));
        }
    }
    for (secret, held) in &case.trust.secrets {
        let (namespace, of) = secret.split_once('/').unwrap_or(("", secret));
        let names = held.iter().filter_map(Held::certificate);
        keys.extend(names.map(|name| (KeyName::Secret(namespace.into(), of.into()), name)));
    }
    keys
}

/// Authorities by name, each with those that stand there.
fn roots(case: &Case) -> Vec<(RootsName, Vec<String>)> {
    let held = |held: &[Held]| -> Vec<String> {
        let all = held.iter().filter_map(Held::authority);
        all.map(str::to_owned).collect()
    };
    let files = case.trust.files.iter();
    let files = files.map(|(path, of)| (RootsName::File(path.as_str().into()), held(of)));
    let secrets = case.trust.secrets.iter().map(|(secret, of)| {
        let (namespace, name) = secret.split_once('/').unwrap_or(("", secret));
        (RootsName::Secret(namespace.into(), name.into()), held(of))
    });
    let mesh = case.settings.identity.as_ref();
    let mesh = mesh.map(|_| (RootsName::Mesh, believed(case)));
    let all = mesh.into_iter().chain(files).chain(secrets);
    all.filter(|(_, held)| !held.is_empty()).collect()
}

/// Lists of what was revoked: the file, and whose they are.
fn lists(case: &Case) -> impl Iterator<Item = (&str, &str)> {
    let files = case.trust.files.iter();
    files.flat_map(|(path, held)| {
        let of = held.iter().filter_map(|held| match held {
            Held::Revoked(authority) => Some(authority.as_str()),
            Held::Certificate(_) | Held::Key(_) | Held::Authority(_) => None,
        });
        of.map(move |authority| (path.as_str(), authority))
    })
}

impl Held {
    fn certificate(&self) -> Option<&str> {
        match self {
            Self::Certificate(name) => Some(name),
            Self::Key(_) | Self::Authority(_) | Self::Revoked(_) => None,
        }
    }

    fn authority(&self) -> Option<&str> {
        match self {
            Self::Authority(name) => Some(name),
            Self::Certificate(_) | Self::Key(_) | Self::Revoked(_) => None,
        }
    }
}

/// For runtimes.
///
/// # Errors
/// Something cannot be made.
pub(crate) fn real(case: &Case) -> Result<Proofs, String> {
    let mut proofs = Proofs::default();
    for (name, certificate) in keys(case) {
        let made = case.trust.made(certificate)?;
        let (chain, key) = made.pair().ok_or("a key that is none")?;
        proofs.key(name, chain, key)?;
    }
    for (name, authorities) in roots(case) {
        let roots = authorities.iter().map(|of| made::signer(of));
        let roots = roots.map(|of| of.map(|of| made::certificates(&of.root)));
        let roots = roots.collect::<Result<Vec<_>, _>>()?.concat();
        proofs.roots(name, &roots)?;
    }
    let list = |authority: &str| {
        let list = case.trust.crl(authority)?;
        CertificateRevocationListDer::from_pem_slice(list.as_bytes()).map_err(|e| e.to_string())
    };
    for (file, authority) in lists(case) {
        proofs.revoked(file, &[list(authority)?])?;
    }
    if has_revoked(case) {
        let all = believed(case).into_iter().map(|authority| list(&authority));
        proofs.revoked_in_mesh(&all.collect::<Result<Vec<_>, String>>()?)?;
    }
    Ok(proofs)
}

/// For the simulation.
pub(crate) fn told(case: &Case) -> Proved {
    let trust = &case.trust;
    let of = |authority: &str| {
        trust
            .revoked_by(authority)
            .map(|made| made.told.sha256)
            .collect()
    };
    let mut revoked: BTreeMap<Option<Box<str>>, Vec<[u8; 32]>> = BTreeMap::new();
    for (file, authority) in lists(case) {
        revoked.insert(Some(file.into()), of(authority));
    }
    if has_revoked(case) {
        let all = believed(case).into_iter();
        let all: Vec<Vec<[u8; 32]>> = all.map(|authority| of(&authority)).collect();
        revoked.insert(None, all.concat());
    }
    let keys = keys(case).into_iter();
    let keys: BTreeMap<KeyName, Shown> = keys
        .map(|(name, certificate)| (name, trust.shown(certificate)))
        .collect();
    let roots = roots(case).into_iter();
    let boxed = |names: Vec<String>| names.into_iter().map(Into::into).collect();
    Proved {
        keys,
        roots: roots.map(|(name, of)| (name, boxed(of))).collect(),
        revoked,
    }
}

/// The files that a program reads its identity from, by name; none without one.
///
/// # Errors
/// Something cannot be made.
pub(crate) fn identity(case: &Case) -> Result<Vec<(&'static str, String)>, String> {
    let Some(name) = &case.settings.identity else {
        return Ok(Vec::new());
    };
    let made = case.trust.made(name)?;
    let roots = believed(case)
        .into_iter()
        .map(|of| Ok(made::signer(&of)?.root.clone()));
    let roots = roots.collect::<Result<Vec<_>, String>>()?.concat();
    let mut files = vec![
        ("cert-chain.pem", made.chain.clone()),
        ("key.pem", made.key.clone()),
        ("root-cert.pem", roots),
    ];
    if has_revoked(case) {
        let lists = believed(case).into_iter().map(|of| case.trust.crl(&of));
        files.push(("ca-crl.pem", lists.collect::<Result<Vec<_>, _>>()?.concat()));
    }
    Ok(files)
}

/// What stands in a file or secret of a case, in PEM, by what it is.
///
/// # Errors
/// Something cannot be made.
pub(crate) fn text(trust: &Trust, held: &Held) -> Result<String, String> {
    match held {
        Held::Certificate(name) => Ok(trust.made(name)?.chain.clone()),
        Held::Key(name) => Ok(trust.made(name)?.key.clone()),
        Held::Authority(name) => Ok(made::signer(name)?.root.clone()),
        Held::Revoked(name) => trust.crl(name),
    }
}
