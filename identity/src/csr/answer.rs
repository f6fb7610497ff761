//! What an authority answers, read and judged.

use std::path::Path;
use std::time::SystemTime;

use outrigger_core::peer::SpiffeId;
use rustls_pki_types::PrivateKeyDer;

use crate::certificate::Certificate;
use crate::check::{Allowed, check};
use crate::fault::Fault;
use crate::material::{Identity, Material};
use crate::pem;

/// Takes what an authority has answered for a key: the certificates, and in the last text the roots.
///
/// # Errors
/// There are no roots, or it is no identity, or that of somebody else.
pub(super) fn take(
    answer: &[String],
    key: PrivateKeyDer<'static>,
    wanted: Option<&str>,
    now: SystemTime,
) -> Result<Identity, Fault> {
    let at = Path::new("the answer");
    let [chain @ .., roots] = answer else {
        return Err(Fault::NotGiven("the answer is empty".into()));
    };
    if chain.is_empty() {
        let why = "the answer has one certificate alone: behind the workload's come the roots";
        return Err(Fault::NotGiven(why.into()));
    }
    let mut certificates = Vec::new();
    for one in chain {
        certificates.extend(pem::certificates(one.as_bytes(), at)?);
    }
    let material = Material {
        chain: certificates,
        key,
        roots: pem::certificates(roots.as_bytes(), at)?,
        revoked: Vec::new(),
    };
    // Whether that is the mesh's trust domain is asked by who knows the mesh.
    let own = Certificate::read(&material.chain[0])
        .map_err(|why| Fault::Malformed(at.to_owned(), why))?;
    let own = own.uri_names.first().and_then(|name| SpiffeId::parse(name));
    let domain = own.map_or("", |id| id.trust_domain).to_owned();
    let allowed = Allowed {
        trust_domains: &[&domain],
    };
    let identity = check(material, allowed, now)?;
    if wanted.is_some_and(|wanted| wanted != identity.id) {
        let why = format!(
            "the answer is for `{}`, and this is `{}`",
            identity.id,
            wanted.unwrap_or_default()
        );
        return Err(Fault::NotGiven(why));
    }
    Ok(identity)
}
