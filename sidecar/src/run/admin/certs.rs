//! `/certs`: the certificates in use, as Envoy's admin endpoint lists them. Never a key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrigger_core::decision::access_log::rfc3339;
use outrigger_identity::{Certificate, Remaining};
use serde_json::{Value, json};

use crate::run::identity::Known;

/// The document.
pub(super) fn certs(known: Option<&Known>, not_renewed: Option<String>, now: SystemTime) -> String {
    let identity = known.and_then(|known| known.identity.as_ref());
    let value = match identity {
        Some(identity) => {
            let roots = identity.roots.iter().map(|root| detail(root, now));
            let mut value = json!({
                "certificates": [{
                    "ca_cert": roots.collect::<Vec<_>>(),
                    "cert_chain": [detail(&identity.leaf, now)],
                }],
            });
            if let Some(refused) = known.and_then(|known| known.refused.as_ref()) {
                value["refused"] = json!(refused);
            }
            if let Some(why) = not_renewed {
                value["not_renewed"] = json!(why);
            }
            value
        }
        None => json!({
            "certificates": [],
            "why": "this workload has no identity (`--identity` or `--ca`)",
        }),
    };
    format!("{value:#}\n")
}

/// One certificate (Envoy `CertificateDetails`).
fn detail(certificate: &Certificate, now: SystemTime) -> Value {
    let names = certificate.uri_names.iter().map(|uri| json!({"uri": uri}));
    let dns = certificate.dns_names.iter().map(|dns| json!({"dns": dns}));
    let days = Remaining::of(certificate, now).left.as_secs() / 86_400;
    json!({
        "serial_number": certificate.serial,
        "subject_alt_names": names.chain(dns).collect::<Vec<_>>(),
        "days_until_expiration": days.to_string(),
        "valid_from": time(certificate.not_before),
        "expiration_time": time(certificate.not_after),
    })
}

/// A time as protobuf's JSON has it (RFC 3339 in UTC).
fn time(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    rfc3339(since).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_identity_there_is_nothing_to_list() {
        let told: Value = serde_json::from_str(&certs(None, None, SystemTime::now())).unwrap();
        assert_eq!(told["certificates"], json!([]));
    }
}
