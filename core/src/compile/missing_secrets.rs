//! Secrets that rules name (`credentialName`) and that are not there, or lack what is asked of them.
//!
//! Only whoever holds all resources that there will be knows that one is missing; a command that judges a part of them, with
//! secrets kept elsewhere, does not ask.

use super::client_tls::secret;
use super::{Input, Workload};
use crate::config::destination_rule::{ClientTlsMode, ClientTlsSettings, DestinationRule};
use crate::config::kubernetes::Secret;
use crate::config::mesh::MeshConfig;
use crate::config::{Code, Finding, Resources};

/// What these rules ask of secrets that these resources do not have, for a workload: its connections would fail.
#[must_use]
pub fn missing_secrets(
    resources: &Resources,
    workload: &Workload,
    mesh: &MeshConfig,
) -> Vec<Finding> {
    let input = Input {
        resources,
        workload,
        mesh,
    };
    let rules = input.destination_rules().into_iter();
    rules.flat_map(|rule| of_rule(&input, rule)).collect()
}

fn of_rule(input: &Input<'_>, rule: &DestinationRule) -> Vec<Finding> {
    let lacking = rule.tls_places().filter_map(|(path, tls)| {
        let message = lacks(input, tls)?;
        Some(Finding::about(
            Code::UnknownSecret,
            "DestinationRule",
            &rule.meta,
            &format!("{path}.credentialName"),
            message,
            "put it beside the other resources, as `kubectl get secret -o yaml` prints it",
        ))
    });
    lacking.collect()
}

/// What a secret lacks for the mode that names it.
fn lacks(input: &Input<'_>, tls: &ClientTlsSettings) -> Option<String> {
    let (namespace, name) = secret(input, tls)?;
    let asks_for = match tls.mode {
        ClientTlsMode::Disable | ClientTlsMode::IstioMutual => return None,
        ClientTlsMode::Simple => None,
        ClientTlsMode::Mutual => Some(()),
    };
    let secrets = &input.resources.secrets;
    let Some(found) = Secret::find(secrets, &namespace, &name) else {
        let of_roots = Secret::authorities_of(secrets, &namespace, &name);
        return match asks_for.is_none() && of_roots.is_some() {
            true => None,
            false => Some(format!(
                "there is no Secret {namespace}/{name}: connections fail"
            )),
        };
    };
    let mut parts = Vec::new();
    if asks_for.is_some() && found.certificate().is_none() {
        parts.push("certificate (`tls.crt`)");
    }
    if asks_for.is_some() && found.key().is_none() {
        parts.push("key (`tls.key`)");
    }
    let checks = tls.insecure_skip_verify != Some(true);
    if checks && Secret::authorities_of(secrets, &namespace, &name).is_none() {
        parts.push("authorities (`ca.crt`)");
    }
    (!parts.is_empty()).then(|| {
        format!(
            "Secret {namespace}/{name} holds no {}: connections fail",
            parts.join(", no ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, load};

    const CERTIFICATE: &str = "tls.crt: YQ==, tls.key: YQ==";

    #[test]
    fn secrets_that_are_missing_or_lack_something_are_told() {
        let secret = |name: &str, data: &str| {
            format!(
                "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: shop}}\ndata: {{{data}}}\n"
            )
        };
        let all = format!("{CERTIFICATE}, ca.crt: YQ==");
        let mutual = "{mode: MUTUAL, credentialName: c}";
        let simple = "{mode: SIMPLE, credentialName: c}";
        for (tls, secrets, want) in [
            (mutual, secret("c", &all), None),
            (
                mutual,
                secret("c", "cert: YQ==, key: YQ==, cacert: YQ=="),
                None,
            ),
            (
                mutual,
                secret("c", CERTIFICATE) + &secret("c-cacert", "ca.crt: YQ=="),
                None,
            ),
            (mutual, String::new(), Some("there is no Secret shop/c")),
            (mutual, secret("d", &all), Some("there is no Secret shop/c")),
            (
                mutual,
                secret("c", "ca.crt: YQ=="),
                Some("holds no certificate (`tls.crt`), no key"),
            ),
            (
                mutual,
                secret("c", CERTIFICATE),
                Some("holds no authorities (`ca.crt`)"),
            ),
            (
                "{mode: MUTUAL, credentialName: c, insecureSkipVerify: true}",
                secret("c", CERTIFICATE),
                None,
            ),
            (simple, secret("c", "ca.crt: YQ=="), None),
            (simple, secret("c-cacert", "cacert: YQ=="), None),
            (
                simple,
                secret("c", CERTIFICATE),
                Some("holds no authorities (`ca.crt`)"),
            ),
            (
                "{mode: SIMPLE, credentialName: 'kubernetes://other/c'}",
                secret("c", &all),
                Some("no Secret other/c"),
            ),
            (
                "{mode: SIMPLE, credentialName: 'kubernetes://c'}",
                secret("c", &all),
                None,
            ),
            ("{mode: ISTIO_MUTUAL}", String::new(), None),
        ] {
            let yaml = format!(
                "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r, namespace: shop}}\n\
                 spec: {{host: x, subsets: [{{name: a, trafficPolicy: {{tls: {tls}}}}}]}}\n{secrets}"
            );
            let source = Source {
                name: "f",
                bytes: yaml.as_bytes(),
            };
            let resources = load(&[source], "shop").resources;
            let workload = Workload {
                namespace: "shop".into(),
                ..Workload::default()
            };
            let found = missing_secrets(&resources, &workload, &MeshConfig::default());
            let told = found.first().map(|finding| {
                assert_eq!(
                    finding.path,
                    "spec.subsets[0].trafficPolicy.tls.credentialName"
                );
                assert_eq!((finding.code, finding.line), (Code::UnknownSecret, 4));
                finding.message.as_str()
            });
            match want {
                None => assert_eq!(told, None, "{yaml}"),
                Some(want) => assert!(told.is_some_and(|t| t.contains(want)), "{told:?} {yaml}"),
            }
        }
    }
}
