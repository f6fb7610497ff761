//! Values of options that several commands take.

use clap::ValueEnum;
use outrigger_core::config::Finding;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people, in colour on a terminal
    Text,
    /// One JSON document
    Json,
}

/// A kind of security policy that is not enforced yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(crate) enum UnenforcedKind {
    /// Who may ask for what
    AuthorizationPolicy,
    /// Which ports take mTLS only
    PeerAuthentication,
    /// Whose tokens are good
    RequestAuthentication,
}

impl UnenforcedKind {
    /// Tells findings which kinds were accepted.
    pub(crate) fn accept(kinds: &[Self], findings: &mut [Finding]) {
        let names: Vec<&str> = kinds
            .iter()
            .map(|kind| match kind {
                Self::AuthorizationPolicy => "AuthorizationPolicy",
                Self::PeerAuthentication => "PeerAuthentication",
                Self::RequestAuthentication => "RequestAuthentication",
            })
            .collect();
        for finding in findings {
            finding.accept_unenforced(&names);
        }
    }
}
