//! What an identity consists of. It is shown without its key.

use std::fmt;

use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::certificate::Certificate;

/// Certificates and a key as they were read, not yet known to be any good.
pub struct Material {
    /// The workload's certificate first, then those that lead to a root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first of them.
    pub key: PrivateKeyDer<'static>,
    /// The authorities of the mesh; old and new ones while they change.
    pub roots: Vec<CertificateDer<'static>>,
    /// Lists of what was revoked.
    pub revoked: Vec<CertificateRevocationListDer<'static>>,
}

impl Clone for Material {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            roots: self.roots.clone(),
            revoked: self.revoked.clone(),
        }
    }
}

impl PartialEq for Material {
    fn eq(&self, other: &Self) -> bool {
        let lists = |of: &Self| -> Vec<Vec<u8>> {
            let lists = of.revoked.iter();
            lists.map(|list| list.as_ref().to_vec()).collect()
        };
        self.chain == other.chain
            && self.key.secret_der() == other.key.secret_der()
            && self.roots == other.roots
            && lists(self) == lists(other)
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (chain, roots) = (self.chain.len(), self.roots.len());
        write!(f, "{chain} certificates with a key, {roots} roots")
    }
}

/// An identity that was found good.
#[derive(Clone, Debug)]
pub struct Identity {
    /// See [`Material`].
    pub material: Material,
    /// Who it is, such as `spiffe://cluster.local/ns/shop/sa/cart`.
    pub id: String,
    /// The workload's certificate.
    pub leaf: Certificate,
    /// The authorities, in the order of their file.
    pub roots: Vec<Certificate>,
}
