//! The certificates, keys and authorities of a case as files, for a program that reads such: its identity, what rules name by
//! path, and secrets among the configuration.

use std::io;

use super::files::Folder;
use crate::beneath::proofs;
use crate::case::{Case, Document};
use crate::subject::relocation::Relocation;
use crate::trust::Held;

/// The folder of the identity.
const IDENTITY: &str = "identity";

/// Where a secret is written down, and what it holds.
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: ";

/// The case with real files in the place of those that it names, which are written; and with its secrets.
///
/// # Errors
/// Something cannot be made or written.
pub(crate) fn entrust(case: Case, folder: &Folder) -> io::Result<Case> {
    for (name, text) in proofs::identity(&case).map_err(io::Error::other)? {
        folder.write_secret(&format!("{IDENTITY}/{name}"), &text)?;
    }
    let mut paths = Vec::new();
    for (number, (path, held)) in case.trust.files.iter().enumerate() {
        let text = texts(&case, held)?.concat();
        let real = folder.write_secret(&format!("held-{number}.pem"), &text)?;
        paths.push((path.clone(), real));
    }
    let mut entrusted = Relocation::new(paths).case(&case);
    for (secret, held) in &case.trust.secrets {
        let text = document(&case, secret, held)?;
        entrusted.yaml.push(Document { line: 0, text });
    }
    Ok(entrusted)
}

/// The folder of the identity of a case, if it has one.
pub(crate) fn identity(case: &Case, folder: &Folder) -> Option<String> {
    let has_one = case.settings.identity.is_some();
    has_one.then(|| folder.path(IDENTITY).display().to_string())
}

fn texts(case: &Case, held: &[Held]) -> io::Result<Vec<String>> {
    let texts = held.iter().map(|held| proofs::text(&case.trust, held));
    texts.collect::<Result<_, _>>().map_err(io::Error::other)
}

/// A Kubernetes secret.
fn document(case: &Case, secret: &str, held: &[Held]) -> io::Result<String> {
    let (namespace, name) = secret.split_once('/').unwrap_or(("default", secret));
    let mut text = format!("{SECRET}{{ name: {name}, namespace: {namespace} }}\nstringData:\n");
    for (held, pem) in held.iter().zip(texts(case, held)?) {
        let key = match held {
            Held::Certificate(_) => "tls.crt",
            Held::Key(_) => "tls.key",
            Held::Authority(_) => "ca.crt",
            Held::Revoked(_) => "ca.crl",
        };
        let lines: String = pem.lines().map(|line| format!("    {line}\n")).collect();
        text += &format!("  {key}: |\n{lines}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_secrets_of_a_case_are_written() {
        let page = "## A\n```certificates\nx spiffe://td/ns/a/sa/b\n```\n```settings\nidentity: x\n```\n\
            ```files\n/x.pem authority mesh\nsecret a/b certificate x key x\n```\n\
            ```yaml\nat: /x.pem\n```\n```ask\nGET a/ => a\n```\n";
        let case = Case::parse_file("f", page).unwrap().remove(0);
        let folder = Folder::make().unwrap();
        let entrusted = entrust(case, &folder).unwrap();
        let path = entrusted.yaml[0].text.trim().strip_prefix("at: ").unwrap();
        let file = std::fs::read_to_string(path).unwrap();
        assert!(file.starts_with("-----BEGIN CERTIFICATE-----"), "{file}");
        let secret = &entrusted.yaml[1].text;
        assert!(secret.contains("  tls.key: |\n    -----BEGIN"), "{secret}");
        let identity = identity(&entrusted, &folder).unwrap();
        for name in ["cert-chain.pem", "key.pem", "root-cert.pem"] {
            assert!(
                std::fs::exists(format!("{identity}/{name}")).unwrap(),
                "{name}"
            );
        }
    }
}
