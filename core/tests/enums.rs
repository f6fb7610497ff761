//! Every enum of the Istio kinds that are read: by name, by number, and what is said of a number that it does not have.
//!
//! protobuf's JSON form takes both, so what Istio takes is taken. Owns the list of enums; what their values do is tested
//! where they act.

use outrigger_core::config::{Finding, Source, load, load_mesh};

/// A document with `@` where the value stands, and the members.
type Enum = (&'static str, &'static [(&'static str, u32)]);

const CLIENT_TLS: &[(&str, u32)] = &[
    ("DISABLE", 0),
    ("SIMPLE", 1),
    ("MUTUAL", 2),
    ("ISTIO_MUTUAL", 3),
];
const SERVER_TLS: &[(&str, u32)] = &[
    ("PASSTHROUGH", 0),
    ("SIMPLE", 1),
    ("MUTUAL", 2),
    ("AUTO_PASSTHROUGH", 3),
    ("ISTIO_MUTUAL", 4),
    ("OPTIONAL_MUTUAL", 5),
];
const TLS_VERSIONS: &[(&str, u32)] = &[
    ("TLS_AUTO", 0),
    ("TLSV1_0", 1),
    ("TLSV1_1", 2),
    ("TLSV1_2", 3),
    ("TLSV1_3", 4),
];
const CAPTURE_MODES: &[(&str, u32)] = &[("DEFAULT", 0), ("IPTABLES", 1), ("NONE", 2)];
const OUTBOUND_MODES: &[(&str, u32)] = &[("REGISTRY_ONLY", 0), ("ALLOW_ANY", 1)];
const MTLS_MODES: &[(&str, u32)] = &[
    ("UNSET", 0),
    ("DISABLE", 1),
    ("PERMISSIVE", 2),
    ("STRICT", 3),
];
const WORKLOAD_MODES: &[(&str, u32)] = &[
    ("UNDEFINED", 0),
    ("CLIENT", 1),
    ("SERVER", 2),
    ("CLIENT_AND_SERVER", 3),
];
const PHASES: &[(&str, u32)] = &[("UNSPECIFIED", 0), ("AUTHN", 1), ("AUTHZ", 2), ("STATS", 3)];

/// By kind: what follows `spec: `.
const ENUMS: &[(&str, &[Enum])] = &[
    (
        "networking.istio.io/v1 DestinationRule",
        &[
            (
                "{host: a, trafficPolicy: {loadBalancer: {simple: @}}}",
                &[
                    ("UNSPECIFIED", 0),
                    ("LEAST_CONN", 1),
                    ("RANDOM", 2),
                    ("PASSTHROUGH", 3),
                    ("ROUND_ROBIN", 4),
                    ("LEAST_REQUEST", 5),
                ],
            ),
            (
                "{host: a, trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: @}}}}",
                &[("DEFAULT", 0), ("DO_NOT_UPGRADE", 1), ("UPGRADE", 2)],
            ),
            ("{host: a, trafficPolicy: {tls: {mode: @}}}", CLIENT_TLS),
            (
                "{host: a, subsets: [{name: b, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: @}}]}}]}",
                CLIENT_TLS,
            ),
            (
                "{host: a, trafficPolicy: {proxyProtocol: {version: @}}}",
                &[("V1", 0), ("V2", 1)],
            ),
        ],
    ),
    (
        "networking.istio.io/v1 VirtualService",
        &[
            (
                "{hosts: [a], http: [{redirect: {uri: /, derivePort: @}}]}",
                &[("FROM_PROTOCOL_DEFAULT", 0), ("FROM_REQUEST_PORT", 1)],
            ),
            (
                "{hosts: [a], http: [{corsPolicy: {unmatchedPreflights: @}, route: [{destination: {host: a}}]}]}",
                &[("UNSPECIFIED", 0), ("FORWARD", 1), ("IGNORE", 2)],
            ),
        ],
    ),
    (
        "networking.istio.io/v1 ServiceEntry",
        &[
            (
                "{hosts: [a.b], ports: [{number: 80, name: http}], location: @}",
                &[("MESH_EXTERNAL", 0), ("MESH_INTERNAL", 1)],
            ),
            (
                "{hosts: [a.b], ports: [{number: 80, name: http}], resolution: @}",
                &[
                    ("NONE", 0),
                    ("STATIC", 1),
                    ("DNS", 2),
                    ("DNS_ROUND_ROBIN", 3),
                    ("DYNAMIC_DNS", 4),
                ],
            ),
        ],
    ),
    (
        "networking.istio.io/v1 Sidecar",
        &[
            ("{outboundTrafficPolicy: {mode: @}}", OUTBOUND_MODES),
            (
                "{egress: [{hosts: ['*/*'], port: {number: 80, name: http, protocol: HTTP}, captureMode: @}]}",
                CAPTURE_MODES,
            ),
            (
                "{ingress: [{port: {number: 80, name: http, protocol: HTTP}, defaultEndpoint: '127.0.0.1:80', captureMode: @}]}",
                CAPTURE_MODES,
            ),
            (
                "{ingress: [{port: {number: 80, name: https, protocol: HTTPS}, tls: {mode: @}}]}",
                SERVER_TLS,
            ),
        ],
    ),
    (
        "networking.istio.io/v1 Gateway",
        &[
            (
                "{servers: [{hosts: [a], port: {number: 1, name: b, protocol: HTTPS}, tls: {mode: @}}]}",
                SERVER_TLS,
            ),
            (
                "{servers: [{hosts: [a], port: {number: 1, name: b, protocol: HTTPS}, tls: {minProtocolVersion: @}}]}",
                TLS_VERSIONS,
            ),
            (
                "{servers: [{hosts: [a], port: {number: 1, name: b, protocol: HTTPS}, tls: {maxProtocolVersion: @}}]}",
                TLS_VERSIONS,
            ),
        ],
    ),
    (
        "networking.istio.io/v1alpha3 EnvoyFilter",
        &[
            (
                "{configPatches: [{applyTo: @, patch: {operation: MERGE, value: {a: b}}}]}",
                &[
                    ("INVALID", 0),
                    ("LISTENER", 1),
                    ("FILTER_CHAIN", 2),
                    ("NETWORK_FILTER", 3),
                    ("HTTP_FILTER", 4),
                    ("ROUTE_CONFIGURATION", 5),
                    ("VIRTUAL_HOST", 6),
                    ("HTTP_ROUTE", 7),
                    ("CLUSTER", 8),
                    ("EXTENSION_CONFIG", 9),
                    ("BOOTSTRAP", 10),
                    ("LISTENER_FILTER", 11),
                ],
            ),
            (
                "{configPatches: [{applyTo: CLUSTER, match: {context: @}, patch: {operation: REMOVE}}]}",
                &[
                    ("ANY", 0),
                    ("SIDECAR_INBOUND", 1),
                    ("SIDECAR_OUTBOUND", 2),
                    ("GATEWAY", 3),
                    ("WAYPOINT", 4),
                ],
            ),
            (
                "{configPatches: [{applyTo: HTTP_ROUTE, match: {routeConfiguration: {vhost: {route: {action: @}}}}, patch: {operation: REMOVE}}]}",
                &[
                    ("ANY", 0),
                    ("ROUTE", 1),
                    ("REDIRECT", 2),
                    ("DIRECT_RESPONSE", 3),
                ],
            ),
            (
                "{configPatches: [{applyTo: CLUSTER, patch: {operation: @, value: {a: b}}}]}",
                &[
                    ("INVALID", 0),
                    ("MERGE", 1),
                    ("ADD", 2),
                    ("REMOVE", 3),
                    ("INSERT_BEFORE", 4),
                    ("INSERT_AFTER", 5),
                    ("INSERT_FIRST", 6),
                    ("REPLACE", 7),
                    ("MERGE_AND_REPLACE_LIST", 8),
                ],
            ),
            (
                "{configPatches: [{applyTo: HTTP_FILTER, patch: {operation: ADD, filterClass: @, value: {name: a}}}]}",
                PHASES,
            ),
        ],
    ),
    (
        "security.istio.io/v1 AuthorizationPolicy",
        &[(
            "{rules: [{}], provider: {name: a}, action: @}",
            &[("ALLOW", 0), ("DENY", 1), ("AUDIT", 2), ("CUSTOM", 3)],
        )],
    ),
    (
        "security.istio.io/v1 PeerAuthentication",
        &[
            ("{mtls: {mode: @}}", MTLS_MODES),
            (
                "{selector: {matchLabels: {a: b}}, portLevelMtls: {80: {mode: @}}}",
                MTLS_MODES,
            ),
        ],
    ),
    (
        "security.istio.io/v1 RequestAuthentication",
        &[(
            "{jwtRules: [{issuer: a, presence: @}]}",
            &[("OPTIONAL", 0), ("REQUIRED", 1)],
        )],
    ),
    (
        "extensions.istio.io/v1alpha1 TrafficExtension",
        &[
            ("{lua: {inlineCode: a}, phase: @}", PHASES),
            ("{lua: {inlineCode: a}, match: [{mode: @}]}", WORKLOAD_MODES),
        ],
    ),
    (
        "telemetry.istio.io/v1 Telemetry",
        &[
            (
                "{tracing: [{match: {mode: @}}]}",
                &[("CLIENT_AND_SERVER", 0), ("CLIENT", 1), ("SERVER", 2)],
            ),
            (
                "{metrics: [{overrides: [{match: {metric: @}}]}]}",
                &[
                    ("ALL_METRICS", 0),
                    ("REQUEST_COUNT", 1),
                    ("REQUEST_DURATION", 2),
                    ("REQUEST_SIZE", 3),
                    ("RESPONSE_SIZE", 4),
                    ("TCP_OPENED_CONNECTIONS", 5),
                    ("TCP_CLOSED_CONNECTIONS", 6),
                    ("TCP_SENT_BYTES", 7),
                    ("TCP_RECEIVED_BYTES", 8),
                    ("GRPC_REQUEST_MESSAGES", 9),
                    ("GRPC_RESPONSE_MESSAGES", 10),
                ],
            ),
            (
                "{metrics: [{overrides: [{tagOverrides: {a: {operation: @, value: b}}}]}]}",
                &[("UPSERT", 0), ("REMOVE", 1)],
            ),
        ],
    ),
    (
        "extensions.istio.io/v1alpha1 WasmPlugin",
        &[
            (
                "{url: 'oci://a', phase: @}",
                &[
                    ("UNSPECIFIED_PHASE", 0),
                    ("AUTHN", 1),
                    ("AUTHZ", 2),
                    ("STATS", 3),
                ],
            ),
            (
                "{url: 'oci://a', imagePullPolicy: @}",
                &[
                    ("UNSPECIFIED_POLICY", 0),
                    ("IfNotPresent", 1),
                    ("Always", 2),
                ],
            ),
            (
                "{url: 'oci://a', failStrategy: @}",
                &[("FAIL_CLOSE", 0), ("FAIL_OPEN", 1), ("FAIL_RELOAD", 2)],
            ),
            (
                "{url: 'oci://a', type: @}",
                &[("UNSPECIFIED_PLUGIN_TYPE", 0), ("HTTP", 1), ("NETWORK", 2)],
            ),
            (
                "{url: 'oci://a', vmConfig: {env: [{name: a, valueFrom: @}]}}",
                &[("INLINE", 0), ("HOST", 1)],
            ),
            ("{url: 'oci://a', match: [{mode: @}]}", WORKLOAD_MODES),
        ],
    ),
];

/// Of the mesh configuration.
const MESH_ENUMS: &[Enum] = &[
    (
        "defaultConfig: {proxyHeaders: {forwardedClientCert: @}}",
        &[
            ("UNDEFINED", 0),
            ("SANITIZE", 1),
            ("FORWARD_ONLY", 2),
            ("APPEND_FORWARD", 3),
            ("SANITIZE_SET", 4),
            ("ALWAYS_FORWARD_ONLY", 5),
        ],
    ),
    (
        "meshMTLS: {minProtocolVersion: @}",
        &[("TLS_AUTO", 0), ("TLSV1_2", 1), ("TLSV1_3", 2)],
    ),
    (
        "h2UpgradePolicy: @",
        &[("DO_NOT_UPGRADE", 0), ("UPGRADE", 1)],
    ),
    (
        "outboundTrafficPolicy: {mode: @}",
        &[
            ("REGISTRY_ONLY", 0),
            ("ALLOW_ANY", 1),
            ("ALLOW_ANY_DYNAMIC_DNS", 3),
        ],
    ),
    (
        "pathNormalization: {normalization: @}",
        &[
            ("DEFAULT", 0),
            ("NONE", 1),
            ("BASE", 2),
            ("MERGE_SLASHES", 3),
            ("DECODE_AND_MERGE_SLASHES", 4),
        ],
    ),
];

fn findings(kind: Option<&str>, body: &str) -> Vec<Finding> {
    let Some((version, kind)) = kind.and_then(|kind| kind.split_once(' ')) else {
        let bytes = body.as_bytes();
        return load_mesh(Source { name: "a", bytes }).1;
    };
    let text = format!(
        "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a, namespace: b}}\nspec: {body}\n"
    );
    let bytes = text.as_bytes();
    load(&[Source { name: "a", bytes }], "b").findings
}

fn told(findings: &[Finding], code: &str) -> Vec<(String, String)> {
    let such = findings.iter().filter(|one| one.code.as_str() == code);
    such.map(|one| (one.message.clone(), one.help.clone()))
        .collect()
}

fn check(kind: Option<&str>, (body, members): &Enum) {
    let with = |value: &str| findings(kind, &body.replace('@', value));
    for (name, number) in *members {
        let named = with(name);
        assert_eq!(told(&named, "invalid-enum"), [], "{body}: {name}");
        assert_eq!(told(&named, "unknown-field"), [], "{body}");
        let said = |findings: &[Finding]| {
            let lines = findings.iter().map(|one| (one.code, one.message.clone()));
            lines.collect::<Vec<_>>()
        };
        let numbered = with(&number.to_string());
        assert_eq!(said(&numbered), said(&named), "{body}: {name}, {number}");
        let quoted = told(&with(&format!("'{number}'")), "invalid-enum");
        assert!(
            quoted
                .iter()
                .any(|(_, help)| help.contains(&format!("did you mean `{name}`?"))),
            "{body}: {number} in quotes: {quoted:?}"
        );
        let small = told(&with(&name.to_lowercase()), "invalid-enum");
        assert!(
            small
                .iter()
                .any(|(_, help)| help.contains(&format!("did you mean `{name}`?"))),
            "{body}: {name} in small letters: {small:?}"
        );
    }
    let known: Vec<_> = members
        .iter()
        .map(|(name, number)| format!("`{name}` ({number})"))
        .collect();
    let help = format!("use one of {}", known.join(", "));
    for wrong in ["77", "-1", "0.5"] {
        let expected = (
            format!("`{wrong}` is not a value of this field"),
            help.clone(),
        );
        assert_eq!(told(&with(wrong), "invalid-enum"), [expected], "{body}");
    }
}

#[test]
fn members_are_taken_by_name_and_by_number() {
    for (kind, enums) in ENUMS {
        for one in *enums {
            check(Some(kind), one);
        }
    }
    for one in MESH_ENUMS {
        check(None, one);
    }
}
