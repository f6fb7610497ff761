//! How a server of a Gateway takes TLS off (Istio ServerTLSSettings).
//!
//! What is not spoken here and would let more in is never left out quietly: such a server is not opened.

use super::Served;
use crate::compile::Input;
use crate::config::kubernetes::Secret;
use crate::config::mesh::{cipher_suite, key_exchange};
use crate::config::protocol::Protocol;
use crate::config::server_tls::{ServerTls, ServerTlsMode, TlsVersion as Written};
use crate::config::{Code, Finding};
use crate::peer::TlsVersion;
use crate::snapshot::{ClientProof, ClientTrust, KeyName, RootsName, Termination, TlsParameters};

/// What comes before the names of secrets of Kubernetes.
const KUBERNETES: [&str; 2] = ["kubernetes-gateway://", "kubernetes://"];

/// How TLS is taken off; `None` where it can not be, which is told.
pub(super) fn termination(
    served: &Served<'_>,
    input: &Input<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Termination> {
    let tls = served.server.tls.as_ref()?;
    if let Some((field, message)) = refused(tls) {
        let help = "nobody is let in by less than what is written: say it otherwise";
        findings.push(served.tell(Code::GatewayTlsRefused, field, message.into(), help));
        return None;
    }
    tell_not_in_effect(served, tls, findings);
    let is_mesh = tls.mode == ServerTlsMode::IstioMutual;
    let mut keys = match is_mesh {
        true => vec![KeyName::Mesh],
        false => own_keys(tls, input),
    };
    if keys.is_empty() {
        return None;
    }
    let (key, more_keys) = (keys.remove(0), keys);
    let roots = || roots(tls, input);
    let trust = || {
        Some(ClientTrust {
            roots: roots()?,
            crl: (!tls.ca_crl.is_empty()).then(|| tls.ca_crl.as_str().into()),
            names: (tls.subject_alt_names.iter())
                .map(|name| name.as_str().into())
                .collect(),
        })
    };
    let clients = match tls.mode {
        ServerTlsMode::IstioMutual => ClientProof::Mesh,
        ServerTlsMode::Mutual => ClientProof::Required(trust()?),
        ServerTlsMode::OptionalMutual => ClientProof::Optional(trust()?),
        ServerTlsMode::Simple | ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough => {
            ClientProof::Nothing
        }
    };
    for key in [&key].into_iter().chain(&more_keys) {
        tell_missing(served, key, input, findings);
    }
    tell_missing_authorities(served, &clients, input, findings);
    Some(Termination {
        key,
        more_keys: more_keys.into(),
        clients,
        parameters: parameters(tls, input),
        is_http: served.protocol == Protocol::Https,
    })
}

/// What is asked of clients and can not be checked here, or would leave nothing to agree on.
fn refused(tls: &ServerTls) -> Option<(&'static str, &'static str)> {
    let is_mutual = matches!(
        tls.mode,
        ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual
    );
    if is_mutual && !tls.verify_certificate_spki.is_empty() {
        return Some((
            ".tls.verifyCertificateSpki",
            "hashes of keys are not checked: the server is not opened",
        ));
    }
    if is_mutual && !tls.verify_certificate_hash.is_empty() {
        return Some((
            ".tls.verifyCertificateHash",
            "hashes of certificates are not checked: the server is not opened",
        ));
    }
    let is_left =
        tls.cipher_suites.is_empty() || tls.cipher_suites.iter().any(|n| cipher_suite(n).is_some());
    if !is_left {
        return Some((
            ".tls.cipherSuites",
            "no cipher suite of this proxy is among them: the server is not opened",
        ));
    }
    if matches!(tls.max_protocol_version, Written::V1_0 | Written::V1_1) {
        return Some((
            ".tls.maxProtocolVersion",
            "TLS older than 1.2 is not spoken: the server is not opened",
        ));
    }
    None
}

fn tell_not_in_effect(served: &Served<'_>, tls: &ServerTls, findings: &mut Vec<Finding>) {
    let mut tell = |is_written: bool, field: &str, message: &str| {
        if is_written {
            let field = format!(".tls.{field}");
            findings.push(served.tell(Code::NotInEffect, &field, message.to_owned(), ""));
        }
    };
    tell(
        tls.max_protocol_version == Written::V1_2,
        "maxProtocolVersion",
        "`maxProtocolVersion` is not in effect: TLS 1.3 is spoken to who can",
    );
    tell(
        tls.insecure_skip_verify,
        "insecureSkipVerify",
        "`insecureSkipVerify` is not in effect: certificates of clients are checked",
    );
    let is_foreign = |name: &String| key_exchange(name).is_none();
    tell(
        tls.ecdh_curves.iter().any(is_foreign),
        "ecdhCurves",
        "some of the curves are not spoken here, and are left out",
    );
}

/// The certificates that may be shown, by the one way in which they are given.
fn own_keys(tls: &ServerTls, input: &Input<'_>) -> Vec<KeyName> {
    let files = |chain: &str, key: &str| {
        let is_given = !chain.is_empty() && !key.is_empty();
        is_given.then(|| KeyName::Files(chain.into(), key.into()))
    };
    let named = (!tls.credential_name.is_empty()).then_some(&tls.credential_name);
    let secrets = named.into_iter().chain(&tls.credential_names);
    let secrets: Vec<KeyName> = secrets
        .map(|name| {
            let (namespace, name) = secret(name, input);
            KeyName::Secret(namespace, name)
        })
        .collect();
    if !secrets.is_empty() {
        return secrets;
    }
    let own = files(&tls.server_certificate, &tls.private_key);
    let several = tls.tls_certificates.iter();
    let several = several.filter_map(|one| files(&one.server_certificate, &one.private_key));
    own.into_iter().chain(several).collect()
}

/// The authorities of clients.
fn roots(tls: &ServerTls, input: &Input<'_>) -> Option<RootsName> {
    let named = [&tls.ca_cert_credential_name, &tls.credential_name];
    let named = named.into_iter().find(|name| !name.is_empty());
    let named = named.or_else(|| tls.credential_names.first());
    let file = [&tls.ca_certificates].into_iter();
    let of_first = tls.tls_certificates.first().map(|one| &one.ca_certificates);
    let file = file.chain(of_first).find(|file| !file.is_empty());
    match (named, file) {
        (Some(name), _) => {
            let (namespace, name) = secret(name, input);
            Some(RootsName::Secret(namespace, name))
        }
        (None, Some(file)) => Some(RootsName::File(file.as_str().into())),
        (None, None) => None,
    }
}

/// Namespace and name of a secret: of the workload's namespace, as istiod looks it up, unless it says another.
fn secret(written: &str, input: &Input<'_>) -> (Box<str>, Box<str>) {
    let own = input.workload.namespace.as_str();
    let mut schemes = KUBERNETES.into_iter();
    let (namespace, name) = match schemes.find_map(|scheme| written.strip_prefix(scheme)) {
        Some(name) => name.split_once('/').unwrap_or((own, name)),
        None => (own, written),
    };
    (namespace.into(), name.into())
}

/// What is agreed to: what the server says, else what the mesh does.
fn parameters(tls: &ServerTls, input: &Input<'_>) -> TlsParameters {
    let defaults = &input.mesh.tls_defaults;
    let suites = tls.cipher_suites.iter();
    let suites: Box<[_]> = suites.filter_map(|name| cipher_suite(name)).collect();
    let groups = tls.ecdh_curves.iter();
    let groups: Box<[_]> = groups.filter_map(|name| key_exchange(name)).collect();
    TlsParameters {
        min_version: match tls.min_protocol_version {
            Written::V1_3 => Some(TlsVersion::Tls13),
            Written::V1_2 | Written::V1_1 | Written::V1_0 => Some(TlsVersion::Tls12),
            Written::Auto => defaults.min_version,
        },
        cipher_suites: match suites.is_empty() {
            true => defaults.cipher_suites.clone(),
            false => suites,
        },
        key_exchanges: match groups.is_empty() {
            true => defaults.key_exchanges.clone(),
            false => groups,
        },
    }
}

/// Tells of secrets that are missing where some are there, and of a mesh's identity that nobody has: handshakes fail.
fn tell_missing(
    served: &Served<'_>,
    key: &KeyName,
    input: &Input<'_>,
    findings: &mut Vec<Finding>,
) {
    let secrets = &input.resources.secrets;
    let mut tell = |message: String| {
        let help = "put it beside the other resources, as `kubectl get secret -o yaml` prints it";
        findings.push(served.tell(Code::UnknownSecret, ".tls.credentialName", message, help));
    };
    if let KeyName::Secret(namespace, name) = key {
        let found = Secret::find(secrets, namespace, name);
        let whole = found.is_some_and(|s| s.certificate().is_some() && s.key().is_some());
        if !whole {
            tell(format!(
                "there is no Secret {namespace}/{name} with a certificate and its key: handshakes fail"
            ));
        }
    }
    if *key == KeyName::Mesh && input.workload.spiffe_id.is_none() {
        let message = "`ISTIO_MUTUAL` without an identity: handshakes fail";
        let help = "give one with `--identity`";
        findings.push(served.tell(Code::TlsWithoutIdentity, ".tls.mode", message.into(), help));
    }
}

/// The same of what clients are checked with.
fn tell_missing_authorities(
    served: &Served<'_>,
    clients: &ClientProof,
    input: &Input<'_>,
    findings: &mut Vec<Finding>,
) {
    if let ClientProof::Optional(trust) | ClientProof::Required(trust) = clients
        && let RootsName::Secret(namespace, name) = &trust.roots
        && Secret::authorities_of(&input.resources.secrets, namespace, name).is_none()
    {
        let message =
            format!("Secret {namespace}/{name} holds no authorities (`ca.crt`): handshakes fail");
        let help = "put it beside the other resources, as `kubectl get secret -o yaml` prints it";
        findings.push(served.tell(Code::UnknownSecret, ".tls.credentialName", message, help));
    }
}
