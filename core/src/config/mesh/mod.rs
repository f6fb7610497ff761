//! The mesh configuration (`--mesh-config`): Istio's MeshConfig, as far as a sidecar uses it.

mod authorizers;
mod decode;
mod extension_providers;
mod proxy_config;
mod tls;
mod trace_providers;

pub use authorizers::{Authorizer, CheckedBody, HttpAuthorizer};
pub(super) use decode::decode;
pub use extension_providers::{DefaultProviders, ExtensionProvider, FileAccessLog, ProviderKind};
pub use proxy_config::{ProxyConfig, ProxyTracing, TracingServiceName};
pub use tls::{cipher_suite, key_exchange};
pub use trace_providers::{ProviderHeader, ProviderHeaderValue, TraceProtocol, TraceProvider};

use super::destination_rule::{LocalityLbSetting, TcpKeepalive, ZoneAwareLbSetting};
use super::sidecar::OutboundTrafficPolicy;
use crate::snapshot::{PathNormalization, TlsParameters};
use crate::time::Duration;

/// The trust domain of a mesh that does not say.
pub const DEFAULT_TRUST_DOMAIN: &str = "cluster.local";

/// Settings of the whole mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshConfig {
    /// How long a connection may take to be made where no DestinationRule says.
    pub connect_timeout: Duration,
    /// How the system finds out that the other end is gone where no DestinationRule says.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// How long it may take until it is known whether a client speaks HTTP; `None` where it is not said or zero, which Istio takes
    /// for ever.
    pub protocol_detection_timeout: Option<Duration>,
    /// What happens to unknown hosts; absent is `ALLOW_ANY`.
    pub outbound_traffic_policy: Option<OutboundTrafficPolicy>,
    /// HTTP/1.1 ports are spoken to in HTTP/2 where no DestinationRule says (`h2UpgradePolicy: UPGRADE`).
    pub h2_upgrade: bool,
    /// How paths are normalised before anything looks at them.
    pub path_normalization: PathNormalization,
    /// The namespace whose resources hold for all.
    pub root_namespace: String,
    /// The domain of Kubernetes services.
    pub cluster_domain: String,
    /// Where traffic goes by locality where no DestinationRule says; failover by distance unless it is turned off.
    pub locality_lb_setting: LocalityLbSetting,
    /// The same for zones; it goes before the above.
    pub zone_aware_lb_setting: Option<ZoneAwareLbSetting>,
    /// Where what is told of traffic may go: Istio's own providers, and those that are written.
    pub extension_providers: Vec<ExtensionProvider>,
    /// The access log where no Telemetry resource and no default provider says (`accessLogFile`, `accessLogFormat`,
    /// `accessLogEncoding`); none when the file has no name.
    pub access_log: Option<FileAccessLog>,
    /// Where it goes unless a Telemetry resource says.
    pub default_providers: DefaultProviders,
    /// Whether requests are traced where no Telemetry resource and no default provider says where spans go.
    pub enable_tracing: bool,
    /// The name of the mesh in identities, `spiffe://TRUST_DOMAIN/…`.
    pub trust_domain: String,
    /// Other trust domains that are taken for it, in both directions.
    pub trust_domain_aliases: Vec<String>,
    /// Whether endpoints with a sidecar are spoken to in TLS of the mesh where no DestinationRule says.
    pub enable_auto_mtls: bool,
    /// What is agreed to in TLS of the mesh.
    pub mesh_mtls: TlsParameters,
    /// What is agreed to in other TLS.
    pub tls_defaults: TlsParameters,
    /// Settings of each proxy.
    pub default_config: ProxyConfig,
    /// Who sees services that do not say; empty is everybody.
    pub default_service_export_to: Vec<String>,
    /// Who sees VirtualServices that do not say; empty is everybody.
    pub default_virtual_service_export_to: Vec<String>,
    /// Who sees DestinationRules that do not say; empty is everybody.
    pub default_destination_rule_export_to: Vec<String>,
}

impl MeshConfig {
    /// The trust domains that are the mesh's: its own first.
    pub fn trust_domains(&self) -> impl Iterator<Item = &str> {
        let aliases = self.trust_domain_aliases.iter();
        let others = aliases.filter(|alias| **alias != self.trust_domain);
        [&self.trust_domain]
            .into_iter()
            .chain(others)
            .map(String::as_str)
    }

    /// The provider that a Telemetry resource calls so.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&ExtensionProvider> {
        let mut all = self.extension_providers.iter();
        all.find(|provider| provider.name.eq_ignore_ascii_case(name))
    }
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            tcp_keepalive: None,
            protocol_detection_timeout: None,
            outbound_traffic_policy: None,
            h2_upgrade: false,
            path_normalization: PathNormalization::Base,
            root_namespace: super::names::DEFAULT_ROOT_NAMESPACE.into(),
            cluster_domain: super::names::CLUSTER_DOMAIN.into(),
            locality_lb_setting: LocalityLbSetting::default(),
            zone_aware_lb_setting: None,
            extension_providers: extension_providers::built_in(),
            access_log: None,
            default_providers: DefaultProviders::default(),
            enable_tracing: true,
            trust_domain: DEFAULT_TRUST_DOMAIN.into(),
            trust_domain_aliases: Vec::new(),
            enable_auto_mtls: true,
            mesh_mtls: TlsParameters::default(),
            tls_defaults: TlsParameters::default(),
            default_config: ProxyConfig::default(),
            default_service_export_to: Vec::new(),
            default_virtual_service_export_to: Vec::new(),
            default_destination_rule_export_to: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
