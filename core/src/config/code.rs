//! The one table of finding codes: what each is called, how bad it is, and what it means.
//!
//! Codes are part of the interface: scripts filter on them. A code is never renamed and never changes its meaning.
//! A rule that needs another severity gets another code.

use core::fmt;

use serde::{Serialize, Serializer};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The resource is rejected, or what it says is not done.
    Error,
    /// The resource is accepted, and probably does not do what its author meant.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// `error`, `warning` or `info`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! codes {
    ($($name:ident $text:literal $severity:ident $meaning:literal)*) => {
        /// What kind of finding it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name that users see and filter on.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// How bad a finding of this kind is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// What it means, in one line.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

codes! {
    // The file and its YAML.
    FileTooLarge "file-too-large" Error "The file is larger than a configuration file may be."
    InvalidUtf8 "invalid-utf8" Error "The document is not UTF-8 text."
    ControlCharacter "control-character" Error "The document has a control character that YAML forbids."
    YamlSyntax "yaml-syntax" Error "The document is not well-formed YAML."
    YamlTab "yaml-tab" Error "A tab is used for indentation."
    YamlDuplicateKey "yaml-duplicate-key" Error "A key stands twice in one mapping."
    YamlKey "yaml-key" Error "A key is not plain text."
    YamlKeyNotText "yaml-key-not-text" Warning "An unquoted key is a boolean or number in YAML."
    YamlTag "yaml-tag" Error "A YAML tag whose value can not be read."
    YamlTagIgnored "yaml-tag-ignored" Warning "A YAML tag of one's own, which Kubernetes passes over."
    YamlMerge "yaml-merge" Error "A merge key `<<` that does not name mappings."
    YamlAlias "yaml-alias" Error "An alias without an anchor before it."
    YamlTooDeep "yaml-too-deep" Error "The document is nested too deeply."
    YamlTooBig "yaml-too-big" Error "The file has too many values, counted after aliases are expanded."
    UnreadableFile "unreadable-file" Warning "A file or link in a folder cannot be read; it is passed over."
    NotARegularFile "not-a-regular-file" Warning "A pipe, socket or device in a folder; it is passed over."
    TooManyFindings "too-many-findings" Error "The file has more findings than are shown."

    // The envelope of a resource.
    PassedOver "passed-over" Info "A document that was not meant as a resource, such as a chart's values."
    Kustomization "kustomization" Info "A kustomization; what it makes of other files is not seen."
    TemplatePassedOver "template-passed-over" Info "A template that was not rendered, and holds nothing of Istio's."
    UnrenderedTemplate "unrendered-template" Error "The file is a template that was not rendered."
    NotAResource "not-a-resource" Error "The document is not a Kubernetes-style resource."
    ApiVersion "api-version" Error "The version is not one of this kind."
    UnknownKind "unknown-kind" Error "The group has no such kind."
    KindNotRead "kind-not-read" Warning "An Istio kind that this proxy does not use, though it may check it."
    KindForbidden "kind-forbidden" Warning "Kubernetes does not let control read a kind, which counts as empty."
    KindIgnored "kind-ignored" Info "A kind that does not concern the proxy."
    Metadata "metadata" Error "The metadata is incomplete or malformed."
    ResourceName "resource-name" Warning "A resource name that Kubernetes refuses."
    DuplicateResource "duplicate-resource" Error "Two resources have the same kind, namespace and name."
    RepeatedResource "repeated-resource" Info "A resource stands twice, word for word; it counts once."
    NoSpec "no-spec" Error "The resource has no `spec`."

    // Fields and values of any resource.
    NoSuchField "no-such-field" Error "A field that the schema of the resource does not have; `kubectl apply` refuses it, `--lenient` ignores it."
    UnknownField "unknown-field" Warning "A field that the resource does not have; it is ignored."
    UnknownTopLevelField "unknown-top-level-field" Error "A field beside `spec` and `metadata` that a resource does not have."
    RemovedField "removed-field" Warning "A field that Istio removed; it is ignored."
    DeprecatedField "deprecated-field" Warning "A field that still works and has a better successor."
    EmptyField "empty-field" Warning "A list is written without a value; it counts as absent, and the Kubernetes schema refuses it."
    FieldSpelledTwice "field-spelled-twice" Warning "A field is given in both spellings; the camel case one wins."
    NotInEffect "not-in-effect" Warning "A field that is read and checked, and not in effect yet."
    WrongType "wrong-type" Error "A value has another type than its field."
    InvalidNumber "invalid-number" Error "A number is out of range or not of the kind the field wants."
    InvalidDuration "invalid-duration" Error "A duration is malformed or outside what the field allows."
    InvalidEnum "invalid-enum" Error "A value is not one of those the field knows."
    InvalidBytes "invalid-bytes" Error "A value is not base64."
    OneOf "one-of" Error "Several fields are set of which only one may be."
    RequiredField "required-field" Error "A field that must be there is missing or empty."

    // Names and matches of any resource.
    InvalidHost "invalid-host" Error "A host is not a valid name or address."
    InvalidName "invalid-name" Error "A name does not follow the rules for its kind."
    InvalidPort "invalid-port" Error "A port is outside 1 to 65535."
    InvalidLabel "invalid-label" Error "A label's key or value is malformed."
    InvalidAddress "invalid-address" Error "An IP address or CIDR block is malformed."
    InvalidExportTo "invalid-export-to" Error "`exportTo` is malformed or contradicts itself."
    InvalidRegex "invalid-regex" Error "A regular expression does not compile, or is empty or too long."
    InvalidHeaderName "invalid-header-name" Error "A header name is malformed."
    OperatorNotInEffect "operator-not-in-effect" Warning "A format operator of Envoy's that this proxy does not fill in yet."
    InvalidHeaderValue "invalid-header-value" Error "A header value is malformed."

    // VirtualService.
    DuplicateHost "duplicate-host" Error "Two hosts of one VirtualService are equal or cover each other."
    WildcardMeshHost "wildcard-mesh-host" Error "Host `*` may not be bound to the mesh."
    InvalidGateway "invalid-gateway" Error "A gateway reference is malformed."
    LegacyGateway "legacy-gateway" Warning "A gateway is named by FQDN instead of `namespace/name`."
    NoRoutes "no-routes" Error "A VirtualService has no rule at all."
    DelegateShape "delegate-shape" Error "A delegating or delegate VirtualService has parts it may not have."
    RouteConflict "route-conflict" Error "A route has parts that exclude each other."
    RouteWithoutAction "route-without-action" Error "A route says nothing about what happens to a request."
    InvalidMatch "invalid-match" Error "A match can not be used as written."
    NeverMatches "never-matches" Warning "A match of paths that no path has, because it does not begin with a slash."
    InvalidWeight "invalid-weight" Error "Weights are negative or total zero."
    InvalidRewrite "invalid-rewrite" Error "A rewrite is empty or contradicts itself."
    InvalidRedirect "invalid-redirect" Error "A redirect is empty or contradicts itself."
    RedirectCodeWithoutEffect "redirect-code-without-effect" Warning "A redirect code that produces no redirect."
    InvalidStatus "invalid-status" Error "A status code is outside what the field allows."
    BodyTooLarge "body-too-large" Error "The body of a direct response is larger than 1 MiB."
    LargeBody "large-body" Warning "The body of a direct response is larger than 100 KiB."
    InvalidRetry "invalid-retry" Error "A retry policy is malformed or contradicts itself."
    InvalidFault "invalid-fault" Error "An injected fault is malformed."
    AbortPercent "abort-percent" Warning "`fault.abort.percent`, which Istio removed and ignores, is honoured."
    FaultWithoutError "fault-without-error" Warning "An injected abort names no error; nothing happens."
    InvalidPercent "invalid-percent" Error "A percentage is outside 0 to 100, or too small to count."
    InvalidCors "invalid-cors" Error "A CORS policy is malformed."
    InvalidMirror "invalid-mirror" Error "A mirror is malformed."
    SniHost "sni-host" Error "An SNI host is not covered by a host of the VirtualService."
    SniIpAddress "sni-ip-address" Warning "An SNI host is an IP address, which no client sends."
    TooManyRules "too-many-rules" Warning "A rule and its delegate come to more rules than are kept."
    UnreachableRule "unreachable-rule" Warning "A rule can never be reached."
    IneffectiveMatch "ineffective-match" Warning "A match can never decide, because an earlier rule takes the same requests."

    // DestinationRule.
    EmptyTrafficPolicy "empty-traffic-policy" Error "A traffic policy has no part."
    DuplicateSubset "duplicate-subset" Error "Two subsets have the same name."
    InvalidConnectionPool "invalid-connection-pool" Error "A connection pool is malformed or contradicts itself."
    InvalidOutlierDetection "invalid-outlier-detection" Error "Outlier detection is malformed or contradicts itself."
    InvalidLoadBalancer "invalid-load-balancer" Error "A load balancer is malformed or contradicts itself."
    ExtensionUnused "extension-unused" Warning "An annotation of this proxy's own that nothing in its resource lets take effect."
    HashOfNothing "hash-of-nothing" Warning "Consistent hashing that hashes nothing."
    FailoverWithoutEjection "failover-without-ejection" Warning "Locality failover without outlier detection, which never happens."
    NoLocality "no-locality" Warning "A locality setting, and nobody knows where the workload is."
    NoPeers "no-peers" Warning "Zone-aware routing, and nobody knows where workloads like this one are."
    WarmupWithoutEffect "warmup-without-effect" Warning "Warm-up with a way of picking endpoints that ignores weights."
    UnknownTrafficDistribution "unknown-traffic-distribution" Warning "A service asks for a traffic distribution that is not known; it is ignored."
    InvalidLocality "invalid-locality" Error "A locality setting is malformed or contradicts itself."
    InvalidTls "invalid-tls" Error "TLS settings contradict their mode."
    InvalidTrustDomain "invalid-trust-domain" Error "A trust domain is malformed."
    InvalidTunnel "invalid-tunnel" Error "A tunnel is malformed or contradicts itself."
    InvalidRetryBudget "invalid-retry-budget" Error "A retry budget is malformed."

    // ServiceEntry and WorkloadEntry.
    InvalidResolution "invalid-resolution" Error "Hosts, addresses or endpoints do not fit the resolution."
    InvalidEndpoint "invalid-endpoint" Error "An endpoint's ports or address do not fit its service."
    InvalidProtocol "invalid-protocol" Error "A port's protocol is unknown."
    DuplicatePort "duplicate-port" Error "Two ports of one resource have the same name or number."
    SharedPort "shared-port" Error "Several hosts share a port whose protocol does not name the host."
    SharedAddress "shared-address" Warning "Several hosts of a ServiceEntry share an address and a port that is not HTTP."
    PartialWildcard "partial-wildcard" Warning "A host has a wildcard that is not a whole label."
    TcpConflict "tcp-conflict" Warning "Of two services without addresses connections to one port go to the older one."
    TcpWithoutAddress "tcp-without-address" Warning "A TCP port of a service without addresses is told from others only by its number."
    AddressUnset "address-unset" Warning "An endpoint has a network and no address."
    EmptySelector "empty-selector" Warning "A workload selector has no labels, so it selects the whole namespace."
    SelectorUnused "selector-unused" Warning "A workload selector has no effect."

    // Sidecar.
    EmptySidecar "empty-sidecar" Error "A Sidecar has no part."
    InvalidListener "invalid-listener" Error "A listener is malformed or contradicts itself."
    InvalidEgressProxy "invalid-egress-proxy" Error "An egress proxy contradicts the policy it belongs to."
    DuplicateEgressHost "duplicate-egress-host" Warning "An egress host is covered by another one."
    HttpPoolOnTcp "http-pool-on-tcp" Warning "HTTP limits are given for a port that is not HTTP."

    // Kubernetes.
    SliceWithoutService "slice-without-service" Warning "An EndpointSlice does not say which Service it belongs to."

    // Gateway.
    SliceOfNames "slice-of-names" Warning "An EndpointSlice whose addresses are names, which is not used."
    EndpointsNotUsed "endpoints-not-used" Info "Endpoints of a Service that has EndpointSlices, which are used instead."
    CertificateIgnored "certificate-ignored" Warning "A certificate is given in a TLS mode that uses none."
    TooManyCertificates "too-many-certificates" Warning "More certificates are given than are used."
    CipherSuite "cipher-suite" Warning "A cipher suite is unknown or given twice."
    OldTlsVersion "old-tls-version" Warning "A TLS version needs ciphers that are not in the default."
    NotGranted "not-granted" Warning "Something of another namespace is named, and no ReferenceGrant of that namespace lets it be."
    RouteNotAllowed "route-not-allowed" Warning "A route of the Gateway API that no listener of its Gateway lets bind."
    GatewayNotSelected "gateway-not-selected" Warning "A Gateway whose selector has labels that the workload has not, where no other selects it."
    GatewayPortClosed "gateway-port-closed" Warning "A server of a Gateway on a port that nothing is listened on for."
    GatewayConflict "gateway-conflict" Warning "A server that does not go with another one of its port, and is left out."
    GatewayTlsRefused "gateway-tls-refused" Warning "TLS of a server that could only be taken off by checking less than is written; it is not opened."
    GatewayHostMismatch "gateway-host-mismatch" Warning "A VirtualService without a host in common with a server of its gateways."
    GatewayWithoutRoutes "gateway-without-routes" Warning "A server of a Gateway to which no VirtualService is bound; nobody gets through."
    RedirectOnTls "redirect-on-tls" Warning "A redirect to HTTPS stands on a server that is not plain HTTP."

    // EnvoyFilter.
    PatchNotUsed "patch-not-used" Warning "A patch of Envoy's configuration, or a part of one, that this proxy does not use."
    RateLimitWithoutEffect "rate-limit-without-effect" Warning "A rate limit that never refuses a request."
    UnknownLimitService "unknown-limit-service" Warning "A service that keeps rate limits is not there to be asked."
    RuntimeKey "runtime-key" Info "A key of Envoy's runtime, which this proxy has not; the default value holds."

    // Telemetry.
    InvalidLogFormat "invalid-log-format" Error "A format of an access log that Envoy would refuse."
    InvalidExpression "invalid-expression" Error "A CEL expression that is malformed, or that this proxy does not understand."

    // Kinds that are judged and not used.
    InvalidAnnotation "invalid-annotation" Error "An annotation that the kind does not take, or with a value it does not take."
    InvalidTarget "invalid-target" Error "A policy is attached to what it can not be attached to."
    InvalidPolicy "invalid-policy" Error "A policy is malformed or contradicts itself."
    PolicyWithoutRules "policy-without-rules" Error "A policy without rules that can never apply."
    DeniesTcp "denies-tcp" Warning "A rule that denies by HTTP attributes denies everything on TCP ports."
    OnlyFirstUsed "only-first-used" Warning "Several entries are given of which only the first is used."
    PrivateKey "private-key" Warning "A private key stands in the configuration."
    UnusableKey "unusable-key" Warning "A key that tokens are to be checked with can not be used or found; what it has signed is refused."

    // Resources together.
    NoServices "no-services" Warning "VirtualServices, and no Service or ServiceEntry at all; whatever they route ends in a 503."
    NoEndpoints "no-endpoints" Warning "A service for which there is no EndpointSlice, Pod or WorkloadEntry; requests to it end in a 503."
    UnknownHost "unknown-host" Warning "A host that no service has; requests to it end in 503 NC."
    DottedShortName "dotted-short-name" Warning "A short name with a dot, which is not expanded to the service it looks like."
    AliasHost "alias-host" Warning "A rule for an ExternalName service that is another name for a service; that service's rules hold."
    HostWithoutService "host-without-service" Info "A VirtualService host that no service has; sidecars answer for it on port 80 only."
    HiddenHost "hidden-host" Warning "A service is not exported to the namespace that uses it."
    UnknownPort "unknown-port" Warning "A port that the service does not have."
    UnknownSubset "unknown-subset" Error "A subset that the host's DestinationRule does not define."
    SubsetWithoutRule "subset-without-rule" Warning "A subset of a host for which no DestinationRule was read."
    EmptySubset "empty-subset" Warning "A subset whose labels no endpoint has."
    ConflictingHosts "conflicting-hosts" Warning "Two VirtualServices for one host; sidecars use only one of them."
    NotForSidecars "not-for-sidecars" Info "A VirtualService that only gateways use."
    UnknownGateway "unknown-gateway" Warning "A VirtualService names a Gateway that is not there."
    UnknownDelegate "unknown-delegate" Warning "A rule delegates to a VirtualService that is missing, hidden or no delegate."
    UnusedDelegate "unused-delegate" Info "A VirtualService without hosts to which none delegates."
    PerTryTimeout "per-try-timeout" Warning "The timeout of one try is not shorter than that of the whole request."
    HedgeWithoutEffect "hedge-without-effect" Warning "Hedging where no rule says how long a try may take."
    ProtocolMismatch "protocol-mismatch" Warning "Rules of a VirtualService are for another protocol than the ports of its hosts."
    HidesRule "hides-rule" Info "A DestinationRule in the client's namespace hides the one of the service's owner."
    HidesSubsets "hides-subsets" Warning "A DestinationRule in the client's namespace hides subsets of the service's owner."
    ShadowedSubset "shadowed-subset" Warning "An older DestinationRule for the host defines the subset."
    ShadowedPolicy "shadowed-policy" Warning "An older DestinationRule for the host has a traffic policy, which is used instead."
    ShadowedHost "shadowed-host" Warning "Another resource defines the host of a ServiceEntry and is used instead."
    EntriesDiffer "entries-differ" Warning "ServiceEntries of one host differ, so not all that they say is used."
    NeverEjects "never-ejects" Warning "Outlier detection that may eject less than one endpoint, or that is not turned on."
    SelectsNothing "selects-nothing" Warning "A selector whose labels no workload has."
    SeveralDefaultSidecars "several-default-sidecars" Warning "A second Sidecar without selector in one namespace, which is not used."
    ShadowedTelemetry "shadowed-telemetry" Warning "An older Telemetry resource holds for the same namespace or workload, and this one is not used."
    ShadowedPeerAuthentication "shadowed-peer-authentication" Warning "An older PeerAuthentication holds for the same namespace or workload, and this one is not used."
    PeerAuthenticationUnused "peer-authentication-unused" Warning "A PeerAuthentication that holds for nobody: a selector in the root namespace selects nothing there."
    NoIdentity "no-identity" Error "TLS of the mesh is asked for, and the workload has no identity; nobody could come in."
    TlsWithoutIdentity "tls-without-identity" Warning "A rule asks for TLS of the mesh, and the workload has no identity; its connections fail."
    UnusableIdentity "unusable-identity" Error "The identity that is given can not be used; nothing starts with it."
    IdentityExpires "identity-expires" Warning "The certificate of the identity that is given has less than half of its life left, and is due to be renewed."
    UnusableFile "unusable-file" Warning "A file that TLS settings name is missing or no good; connections that need it fail."
    UnknownSecret "unknown-secret" Warning "A Secret that TLS settings name is not there, or lacks what is asked of it; connections that need it fail."
    IdentityNeverKnown "identity-never-known" Warning "A policy asks who a client is where PeerAuthentication leaves clear text alone, in which nobody has an identity."
    UnknownProvider "unknown-provider" Warning "A telemetry provider that the mesh configuration does not have; what was to go there goes nowhere."
    PortProtocol "port-protocol" Info "A service port does not say its protocol, or says it in two ways."
    Http2WithoutEffect "http2-without-effect" Warning "Settings of HTTP/2 connections for ports that are not always spoken to in HTTP/2."
}

impl Code {
    /// Whether istiod puts what it is about into effect all the same: without the field, or for requests that then fail.
    #[must_use]
    pub const fn is_taken_by_istiod(self) -> bool {
        matches!(self, Self::NoSuchField | Self::UnknownSubset)
    }

    /// Whether it says that a value could not be read, so that a default stands in for it.
    #[must_use]
    pub(super) const fn is_unreadable_value(self) -> bool {
        matches!(
            self,
            Self::WrongType
                | Self::InvalidNumber
                | Self::InvalidDuration
                | Self::InvalidEnum
                | Self::InvalidBytes
        )
    }

    /// Whether it says that a mapping has nothing that would matter, which another field may have been meant to be.
    #[must_use]
    pub(super) const fn is_emptiness(self) -> bool {
        matches!(
            self,
            Self::NoSpec | Self::InvalidRetry | Self::InvalidConnectionPool
        )
    }

    /// Whether it says that a rule takes what was meant for a later one.
    #[must_use]
    pub(super) const fn is_order(self) -> bool {
        matches!(self, Self::UnreachableRule | Self::IneffectiveMatch)
    }

    /// Whether it says, of a mapping, that something is missing there.
    #[must_use]
    pub(super) const fn is_absence(self) -> bool {
        matches!(
            self,
            Self::RequiredField
                | Self::NoRoutes
                | Self::RouteWithoutAction
                | Self::InvalidFault
                | Self::FaultWithoutError
                | Self::EmptyTrafficPolicy
                | Self::EmptySidecar
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_kebab_case() {
        let mut seen = BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} stands twice");
            assert!(
                code.as_str()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{code}"
            );
            assert!(code.meaning().ends_with('.'), "{code}");
        }
    }
}
