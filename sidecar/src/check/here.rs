//! What only the machine can say on which a sidecar is to run: whether its identity is any good, and the files that rules name.
//!
//! Asked for by `--identity` or `--inbound`. Without them configuration is judged where it is written, which has none of this.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use outrigger_core::config::destination_rule::{ClientTlsMode, ClientTlsSettings, DestinationRule};
use outrigger_core::config::{Code, Finding, Mark, MeshConfig, Resources};
use outrigger_identity::{
    Allowed, Certificate, Fault, Remaining, Source as _, Stage, check, read_certificates, read_key,
    read_revoked,
};

use super::CheckArgs;

/// The name that stands for the authorities of the operating system.
const SYSTEM: &str = "system";

/// Who the workload is by the identity that is given, and what is wrong with that one.
pub(super) fn identity(args: &CheckArgs, mesh: &MeshConfig) -> (Option<Box<str>>, Vec<Finding>) {
    let Some((mut files, place)) = args.identity.files().zip(args.identity.place()) else {
        return (None, Vec::new());
    };
    let file: Arc<str> = place.display().to_string().into();
    let about = |code, message: String, help: &str| {
        let mut finding = Finding::new(code, &file, Mark::default(), message);
        help.clone_into(&mut finding.help);
        finding
    };
    let domains: Vec<&str> = mesh.trust_domains().collect();
    let allowed = Allowed {
        trust_domains: &domains,
    };
    let now = SystemTime::now();
    match files
        .fetch()
        .and_then(|material| check(material, allowed, now))
    {
        Err(fault) => {
            let help = "`outrigger ca issue` makes one to try with";
            let found = about(Code::UnusableIdentity, fault.to_string(), help);
            (None, vec![found])
        }
        Ok(identity) => {
            let stage = Remaining::of(&identity.leaf, now).stage;
            let message = format!("the certificate of `{}` {}", identity.id, stage.words());
            let help = "have it renewed: files that change are taken without a restart";
            let expires = about(Code::IdentityExpires, message, help);
            let told = (stage != Stage::Fresh).then_some(expires);
            (Some(identity.id.into()), told.into_iter().collect())
        }
    }
}

/// The files that rules name and this machine does not have as they should be.
pub(super) fn files(resources: &Resources) -> Vec<Finding> {
    let rules = resources.destination_rules.iter();
    let rules = rules.filter(|rule| !rule.meta.rejected);
    let places = rules.flat_map(|rule| rule.tls_places().map(move |place| (rule, place)));
    places
        .flat_map(|(rule, (path, tls))| files_of(rule, &path, tls))
        .collect()
}

/// The files of one `tls` block that are no good.
fn files_of(rule: &DestinationRule, path: &str, tls: &ClientTlsSettings) -> Vec<Finding> {
    let is_mutual = tls.mode == ClientTlsMode::Mutual;
    let is_named_by_file = tls.credential_name.is_empty()
        && matches!(tls.mode, ClientTlsMode::Simple | ClientTlsMode::Mutual);
    let names_roots = !matches!(&*tls.ca_certificates, "" | SYSTEM);
    let is_checked = tls.insecure_skip_verify != Some(true);
    let files: [(&str, &str, bool, Look); 4] = [
        (
            "clientCertificate",
            &tls.client_certificate,
            is_mutual,
            certificate,
        ),
        ("privateKey", &tls.private_key, is_mutual, |path| {
            read_key(path).map(|_| ())
        }),
        (
            "caCertificates",
            &tls.ca_certificates,
            names_roots && is_checked,
            |path| read_certificates(path).map(|_| ()),
        ),
        (
            "caCrl",
            &tls.ca_crl,
            !tls.ca_crl.is_empty() && is_checked,
            |path| read_revoked(path).map(|_| ()),
        ),
    ];
    let asked = files
        .into_iter()
        .filter(|(name, _, is_used, _)| *is_used && (is_named_by_file || *name == "caCrl"));
    let faults = asked.filter_map(|(name, file, _, look)| {
        let fault = look(Path::new(file)).err()?;
        Some(Finding::about(
            Code::UnusableFile,
            "DestinationRule",
            &rule.meta,
            &format!("{path}.{name}"),
            format!("{fault}: connections fail"),
            "put it there, or name the one that is meant",
        ))
    });
    faults.collect()
}

/// Looks whether a file is as it should be.
type Look = fn(&Path) -> Result<(), Fault>;

/// A chain whose first certificate is not over.
fn certificate(path: &Path) -> Result<(), Fault> {
    let chain = read_certificates(path)?;
    let Some(leaf) = chain.first() else {
        return Ok(());
    };
    let malformed = |why| Fault::Malformed(path.to_owned(), why);
    let leaf = Certificate::read(leaf).map_err(malformed)?;
    match Remaining::of(&leaf, SystemTime::now()).stage {
        Stage::Over => Err(Fault::Expired(format!("of `{}` is over", path.display()))),
        Stage::Fresh | Stage::Due | Stage::Late | Stage::Urgent => Ok(()),
    }
}

#[cfg(test)]
mod tests;
