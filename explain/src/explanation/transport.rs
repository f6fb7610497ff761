//! What lies beneath HTTP towards the endpoints of a cluster, in words: clear text, or TLS and what each side proves.

use outrigger_core::snapshot::{ClientTls, Cluster, KeyName, PeerNames, RootsName, Sni, Trust};

/// In words.
pub(super) fn tls(cluster: &Cluster) -> String {
    let Some(tls) = cluster.tls.as_deref() else {
        return "clear text".to_owned();
    };
    let secured = cluster.endpoints.iter().filter(|one| one.is_secured);
    let count = secured.count();
    match (count, cluster.endpoints.len()) {
        (0, 1..) => "clear text: no endpoint takes TLS of the mesh".to_owned(),
        (some, all) if some < all => {
            format!(
                "TLS to {some} of {all} endpoints, those that take it; {}",
                proofs(tls)
            )
        }
        _ => format!("TLS; {}", proofs(tls)),
    }
}

fn proofs(tls: &ClientTls) -> String {
    let ours = match &tls.identity {
        None => "we show no certificate".to_owned(),
        Some(KeyName::Mesh) => "we show this workload's identity".to_owned(),
        Some(KeyName::Files(chain, _)) => format!("we show `{chain}`"),
        Some(KeyName::Secret(namespace, name)) => format!("we show secret {namespace}/{name}"),
    };
    let theirs = match &tls.trust {
        Trust::Nothing => "nothing is asked of the endpoint".to_owned(),
        Trust::Chain { roots, names, .. } => {
            let roots = match roots {
                RootsName::Mesh => "the mesh's roots".to_owned(),
                RootsName::System => "the system's roots".to_owned(),
                RootsName::File(path) => format!("`{path}`"),
                RootsName::Secret(namespace, name) => format!("secret {namespace}/{name}"),
            };
            let names = match names {
                PeerNames::Any => "whatever its name is".to_owned(),
                PeerNames::Wanted => "that it is the host".to_owned(),
                PeerNames::Of(names) => format!("that it is {}", names.join(" or ")),
            };
            format!("the endpoint proves {names}, by {roots}")
        }
    };
    let sni = match &tls.sni {
        Sni::None => "nobody is named".to_owned(),
        Sni::Name(name) => format!("`{name}` is named"),
        Sni::Host => "the request's host is named".to_owned(),
    };
    format!("{ours}, {theirs}; {sni} (SNI)")
}

#[cfg(test)]
mod tests {
    use outrigger_core::compile::from_yaml;

    use super::*;

    #[test]
    fn what_is_beneath_is_told() {
        let told = |policy: &str| {
            let yaml = format!(
                "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s}}\nspec: {{hosts: [s.test], \
                 resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{{address: 127.0.0.1}}]}}\n\
                 ---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: s}}\nspec: {{host: s.test, \
                 trafficPolicy: {policy}}}\n"
            );
            let snapshot = from_yaml(&yaml).snapshot;
            let mut clusters = snapshot.clusters.iter();
            tls(clusters.find(|one| one.name.contains("s.test")).unwrap())
        };
        for (policy, want) in [
            ("{}", "clear text"),
            ("{tls: {mode: DISABLE}}", "clear text"),
            (
                "{tls: {mode: SIMPLE, sni: s.test}}",
                "TLS; we show no certificate, the endpoint proves that it is the host, by the system's roots; `s.test` is named (SNI)",
            ),
            (
                "{tls: {mode: MUTUAL, clientCertificate: /c.pem, privateKey: /k.pem, caCertificates: /ca.pem, subjectAltNames: [a, b]}}",
                "TLS; we show `/c.pem`, the endpoint proves that it is a or b, by `/ca.pem`; the request's host is named (SNI)",
            ),
            (
                "{tls: {mode: SIMPLE, insecureSkipVerify: true}}",
                "TLS; we show no certificate, nothing is asked of the endpoint; the request's host is named (SNI)",
            ),
        ] {
            assert_eq!(told(policy), want, "{policy}");
        }
    }
}
