//! Kubernetes Secret: certificates and keys that DestinationRules name (`credentialName`).
//!
//! Owns what is kept of one, and that nothing of it is shown: not by `Debug`, not in findings, not in recordings
//! ([`Secret::conceal`]). What the parts are called is known here, what they are worth to whoever proves something with them.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::code::Code;
use crate::config::decode::part;
use crate::config::meta::Meta;
use crate::config::node::{Node, Value};
use crate::config::report::Report;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A shorter piece of text is left when secrets are taken out of a recording: it says nothing, and may stand anywhere.
const LEAST_CONCEALED: usize = 8;

/// The names that the parts of a secret have: of a TLS secret, and of a generic one.
const CERTIFICATE: [&str; 2] = ["tls.crt", "cert"];
const KEY: [&str; 2] = ["tls.key", "key"];
const AUTHORITIES: [&str; 2] = ["ca.crt", "cacert"];

/// What comes behind the name of a secret whose authorities stand in a secret of their own.
const AUTHORITIES_SUFFIX: &str = "-cacert";

/// A Secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret {
    /// Who it is. Its document is not kept.
    pub meta: Meta,
    values: BTreeMap<String, Vec<u8>>,
    /// The lines of its values as they stand in the file.
    written: Vec<String>,
}

impl Secret {
    /// What stands under a name, decoded.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.values.get(name).map(Vec::as_slice)
    }

    /// The secret of a namespace with a name.
    #[must_use]
    pub fn find<'a>(secrets: &'a [Self], namespace: &str, name: &str) -> Option<&'a Self> {
        let mut all = secrets.iter();
        all.find(|one| one.meta.namespace == namespace && one.meta.name == name)
    }

    /// A certificate with those that lead from it to a root, in PEM.
    #[must_use]
    pub fn certificate(&self) -> Option<&[u8]> {
        self.part(CERTIFICATE)
    }

    /// The key of that certificate, in PEM.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.part(KEY)
    }

    /// The authorities that a `credentialName` names, in PEM: of that secret, or of the one beside it that holds nothing else.
    #[must_use]
    pub fn authorities_of<'a>(
        secrets: &'a [Self],
        namespace: &str,
        name: &str,
    ) -> Option<&'a [u8]> {
        let of = |name: &str| Self::find(secrets, namespace, name)?.part(AUTHORITIES);
        of(name).or_else(|| of(&format!("{name}{AUTHORITIES_SUFFIX}")))
    }

    fn part(&self, names: [&str; 2]) -> Option<&[u8]> {
        names.into_iter().find_map(|name| self.value(name))
    }

    /// Takes what this secret says out of a text that holds it, and leaves a text of the same length and the same lines.
    pub fn conceal(&self, text: &mut [u8]) {
        for line in &self.written {
            let line = line.as_bytes();
            let mut from = 0;
            while let Some(at) = memchr::memmem::find(&text[from..], line) {
                let found = from + at..from + at + line.len();
                from = found.end;
                text[found].fill(b'A');
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = (&self.meta.namespace, &self.meta.name);
        write!(f, "Secret {name:?} with {:?}", self.values.keys())
    }
}

/// Reads a Secret from its whole document.
pub(in crate::config) fn read_secret(report: &mut Report, meta: Meta, document: &Node) -> Secret {
    let mut secret = Secret {
        // Nothing that was written stays with what others may show.
        meta: Meta {
            document: Arc::default(),
            ..meta
        },
        ..Secret::default()
    };
    part(report, document, |o| {
        for (field, is_encoded) in [("data", true), ("stringData", false)] {
            let Some(node) = o.take(field) else { continue };
            for entry in node.entries() {
                let Value::Scalar(scalar) = &entry.value.value else {
                    continue;
                };
                let lines = scalar.text.lines().map(str::trim);
                let lines = lines.filter(|line| line.len() >= LEAST_CONCEALED);
                secret.written.extend(lines.map(str::to_owned));
                let name = entry.key.text.to_string();
                let decoded = match is_encoded {
                    true => decoded(&scalar.text),
                    false => Some(scalar.text.as_bytes().to_vec()),
                };
                match decoded {
                    Some(value) => drop(secret.values.insert(name, value)),
                    None => {
                        // At the field and not at the value, which nobody is to see.
                        let message = format!("`{name}` is not base64");
                        let help = "use `stringData` for plain text";
                        o.report()
                            .raise_in(field, Code::InvalidBytes, message, help);
                    }
                }
            }
        }
    });
    secret
}

/// Base64, which may be broken into lines.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_whitespace().collect();
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use crate::config::{Source, load};

    const TEXT: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\ntype: kubernetes.io/tls\n\
        data:\n  tls.crt: Y2VydGlmaWNhdGU=\n  tls.key: c2VjcmV0LWtleQ==\nstringData:\n  ca.crt: |\n    -----BEGIN-----\n    cGxhaW4tdGV4dA\n";

    fn loaded(text: &str) -> crate::config::Loaded {
        let source = Source {
            name: "s.yaml",
            bytes: text.as_bytes(),
        };
        load(&[source], "default")
    }

    #[test]
    fn parts_are_decoded_and_never_shown() {
        let loaded = loaded(TEXT);
        assert_eq!(loaded.findings, []);
        let [secret] = &*loaded.resources.secrets else {
            panic!("one secret");
        };
        assert_eq!(secret.value("tls.key"), Some(&b"secret-key"[..]));
        assert_eq!(secret.value("tls.crt"), Some(&b"certificate"[..]));
        assert!(
            secret
                .value("ca.crt")
                .unwrap()
                .ends_with(b"cGxhaW4tdGV4dA\n")
        );
        let shown = format!("{loaded:?}");
        for hidden in ["c2VjcmV0", "secret-key", "cGxhaW4"] {
            assert!(!shown.contains(hidden), "{hidden} in {shown}");
        }
        let mut text = TEXT.as_bytes().to_vec();
        secret.conceal(&mut text);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.len(), TEXT.len());
        for hidden in ["c2VjcmV0", "Y2VydGl", "cGxhaW4"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
        let again = self::loaded(&text);
        assert_eq!(again.findings, []);
        assert_eq!(again.resources.secrets[0].meta.name, "s");
    }

    #[test]
    fn what_is_no_base64_is_told_without_it() {
        let broken = TEXT.replace("c2VjcmV0LWtleQ==", "hush-hush-hush");
        let findings = loaded(&broken).findings;
        let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("`tls.key` is not base64"), "{told:?}");
        for finding in &findings {
            let snippet = crate::config::snippet(broken.as_bytes(), finding, 200);
            let shown = format!("{finding:?}{snippet:?}");
            assert!(!shown.contains("hush"), "{shown}");
        }
    }
}
