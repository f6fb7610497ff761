//! Who tells: what spans of this process have in common, read from the environment once.

use std::net::{IpAddr, SocketAddr};

use outrigger_core::decision::access_log::Place;

/// What spans of this process have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    /// `sidecar~ADDRESS~NAME.NAMESPACE~DOMAIN`, as Istio names a proxy.
    pub(crate) node: String,
    /// Where it is, as far as somebody says (`INSTANCE_IP`).
    pub(crate) addr: Option<SocketAddr>,
    /// What OpenTelemetry's environment says of the resource (`OTEL_RESOURCE_ATTRIBUTES`).
    pub(crate) resource: Vec<(String, String)>,
}

impl Identity {
    /// Reads what Istio's injector and OpenTelemetry say.
    pub(crate) fn new(namespace: &str, place: &Place) -> Self {
        let variables = &place.environment;
        let some = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        let ip = some("INSTANCE_IP").and_then(|ip| ip.parse::<IpAddr>().ok());
        let name = some("POD_NAME").unwrap_or(&place.hostname);
        let address = ip.map_or_else(|| "unknown".into(), |ip| ip.to_string());
        let domain = format!("{namespace}.svc.cluster.local");
        let resource = some("OTEL_RESOURCE_ATTRIBUTES").map(|text| pairs(text));
        Self {
            node: format!("sidecar~{address}~{name}.{namespace}~{domain}"),
            addr: ip.map(|ip| SocketAddr::new(ip, 0)),
            resource: resource.unwrap_or_default(),
        }
    }
}

/// `key=value` pairs between commas. The name of the service is the configuration's.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .filter(|(key, _)| !key.is_empty() && key != "service.name")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_as_istio_does() {
        let mut place = Place {
            hostname: "host".into(),
            ..Place::default()
        };
        let nothing = Identity::new("shop", &place);
        assert_eq!(
            nothing.node,
            "sidecar~unknown~host.shop~shop.svc.cluster.local"
        );
        assert_eq!((nothing.addr, nothing.resource), (None, Vec::new()));
        for (name, value) in [
            ("INSTANCE_IP", "10.0.0.7"),
            ("POD_NAME", "cart-1"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "k8s.pod.name = cart-1,=x,service.name=no,broken",
            ),
        ] {
            place.environment.insert(name.into(), value.into());
        }
        let told = Identity::new("shop", &place);
        assert_eq!(
            told.node,
            "sidecar~10.0.0.7~cart-1.shop~shop.svc.cluster.local"
        );
        assert_eq!(told.addr, Some("10.0.0.7:0".parse().unwrap()));
        assert_eq!(told.resource, [("k8s.pod.name".into(), "cart-1".into())]);
    }
}
