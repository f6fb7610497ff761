//! Whether an identity may be used: before a listener opens, and before it takes the place of the one in use.

use std::sync::Arc;
use std::time::SystemTime;

use outrigger_core::peer::SpiffeId;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::UnixTime;
use webpki::{BorrowedCertRevocationList, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::certificate::Certificate;
use crate::expiry::told;
use crate::fault::Fault;
use crate::material::{Identity, Material};

/// Whose identities are allowed.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'a> {
    /// The trust domains of the mesh, its own first.
    pub trust_domains: &'a [&'a str],
}

/// Takes an identity for good, or says what is wrong with it.
///
/// # Errors
/// The first fault, in the order in which somebody would mend them: what it is, whose it is, its time, its authorities, what
/// they have revoked.
pub fn check(material: Material, allowed: Allowed<'_>, now: SystemTime) -> Result<Identity, Fault> {
    let read = |der: &[u8]| {
        Certificate::read(der).map_err(|why| Fault::Malformed("certificate".into(), why))
    };
    let leaf = material.chain.first().map_or_else(
        || Err(Fault::NotSpiffe("there is no certificate".into())),
        |leaf| read(leaf),
    )?;
    let roots: Result<Vec<Certificate>, Fault> =
        material.roots.iter().map(|root| read(root)).collect();
    let roots = roots?;
    check_key(&material)?;
    let id = spiffe(&leaf, allowed)?;
    check_time(&leaf, now)?;
    check_roots(&roots, now)?;
    check_chain(&material, now)?;
    check_revoked(&material)?;
    Ok(Identity {
        material,
        id,
        leaf,
        roots,
    })
}

fn check_key(material: &Material) -> Result<(), Fault> {
    let key = aws_lc_rs::sign::any_supported_type(&material.key)
        .map_err(|error| Fault::BadKey(error.to_string()))?;
    let pair = CertifiedKey::new(material.chain.clone(), Arc::clone(&key));
    pair.keys_match().map_err(|error| match error {
        rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch) => Fault::OtherKey,
        other => Fault::BadKey(other.to_string()),
    })
}

/// Who it is: exactly one URI name (SPIFFE X.509-SVID §2), of a workload, of the mesh.
fn spiffe(leaf: &Certificate, allowed: Allowed<'_>) -> Result<String, Fault> {
    let only = match &*leaf.uri_names {
        [only] => only,
        [] => return Err(Fault::NotSpiffe("it has no URI name".into())),
        several => {
            let why = format!("it has {} URI names", several.len());
            return Err(Fault::NotSpiffe(why));
        }
    };
    let id = SpiffeId::parse(only).ok_or_else(|| Fault::NotSpiffe(format!("`{only}`")))?;
    if !allowed.trust_domains.contains(&id.trust_domain) {
        let domains = allowed.trust_domains.join(", ");
        return Err(Fault::OtherTrustDomain(only.clone(), domains));
    }
    Ok(only.clone())
}

fn check_time(leaf: &Certificate, now: SystemTime) -> Result<(), Fault> {
    if let Ok(since) = now.duration_since(leaf.not_after) {
        return Err(Fault::Expired(format!("expired {} ago", told(since))));
    }
    match leaf.not_before.duration_since(now) {
        Ok(until) if !until.is_zero() => Err(Fault::Expired(format!(
            "is not good before {} from now: look at the clocks",
            told(until)
        ))),
        _ => Ok(()),
    }
}

/// Old roots may be over as long as there is one that is not.
fn check_roots(roots: &[Certificate], now: SystemTime) -> Result<(), Fault> {
    let last = roots.iter().map(|root| root.not_after).max();
    match last.map(|last| now.duration_since(last)) {
        Some(Ok(since)) => Err(Fault::RootsExpired(format!("expired {} ago", told(since)))),
        Some(Err(_)) => Ok(()),
        None => Err(Fault::RootsExpired("is missing".into())),
    }
}

/// The roots that came with it vouch for it: else nobody in the mesh would believe it.
fn check_chain(material: &Material, now: SystemTime) -> Result<(), Fault> {
    let not_of = |error: webpki::Error| Fault::NotOfRoots(error.to_string());
    let anchors: Result<Vec<_>, _> = material
        .roots
        .iter()
        .map(anchor_from_trusted_cert)
        .collect();
    let anchors = anchors.map_err(not_of)?;
    let [leaf, others @ ..] = &*material.chain else {
        return Ok(());
    };
    let leaf = EndEntityCert::try_from(leaf).map_err(not_of)?;
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    let time = UnixTime::since_unix_epoch(since.unwrap_or_default());
    let verified = leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        others,
        time,
        KeyUsage::client_auth(),
        None,
        None,
    );
    verified.map(drop).map_err(not_of)
}

/// Lists that cannot be read say of nobody that he was revoked.
fn check_revoked(material: &Material) -> Result<(), Fault> {
    for list in &material.revoked {
        let read = BorrowedCertRevocationList::from_der(list.as_ref());
        read.map_err(|why| {
            Fault::Malformed("list of revoked certificates".into(), why.to_string())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
