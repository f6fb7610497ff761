//! Where the command line says that an identity comes from.

use std::path::{Path, PathBuf};

use clap::Args;
use outrigger_identity::{Files, Layout, Paths};

/// Who this workload is in the mesh, and whom it trusts.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Identity")]
pub(crate) struct IdentityArgs {
    /// The folder of this workload's certificate, key and roots: cert-chain.pem, key.pem and root-cert.pem as in Istio's
    /// /etc/certs, or tls.crt, tls.key and ca.crt as in a mounted secret; and ca-crl.pem if something was revoked. It is watched,
    /// and what changes is taken without losing a connection. `outrigger ca` makes one to try with
    #[arg(
        long,
        value_name = "DIR",
        env = "OUTRIGGER_IDENTITY",
        conflicts_with_all = ["identity_cert", "identity_key", "identity_roots"]
    )]
    identity: Option<PathBuf>,

    /// This workload's certificate, followed by those that lead to a root, in PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "OUTRIGGER_IDENTITY_CERT",
        requires_all = ["identity_key", "identity_roots"]
    )]
    identity_cert: Option<PathBuf>,

    /// Its key in PEM, which nobody else can read
    #[arg(
        long,
        value_name = "FILE",
        env = "OUTRIGGER_IDENTITY_KEY",
        requires = "identity_cert"
    )]
    identity_key: Option<PathBuf>,

    /// The authorities of the mesh in PEM; old and new ones while they change
    #[arg(
        long,
        value_name = "FILE",
        env = "OUTRIGGER_IDENTITY_ROOTS",
        requires = "identity_cert"
    )]
    identity_roots: Option<PathBuf>,

    /// A list of certificates that were revoked, in PEM
    #[arg(long, value_name = "FILE", env = "OUTRIGGER_IDENTITY_CRL")]
    identity_crl: Option<PathBuf>,
}

impl IdentityArgs {
    /// Where the identity is, for people, if there is one.
    pub(crate) fn place(&self) -> Option<&Path> {
        self.identity.as_deref().or(self.identity_cert.as_deref())
    }

    /// The files of the identity, if there is one.
    pub(crate) fn files(&self) -> Option<Files> {
        let revoked = self.identity_crl.clone();
        let layout = match (&self.identity, &self.identity_cert) {
            (Some(folder), _) => Layout::Folder {
                folder: folder.clone(),
                revoked,
            },
            (None, Some(chain)) => Layout::Single(Paths {
                chain: chain.clone(),
                // Both are required with it.
                key: self.identity_key.clone().unwrap_or_default(),
                roots: self.identity_roots.clone().unwrap_or_default(),
                revoked,
            }),
            (None, None) => return None,
        };
        Some(Files::new(layout))
    }
}
