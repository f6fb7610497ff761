//! EnvoyFilters: what of them is used, and what is said about the rest.

use super::{Change, Context, EnvoyFilter};
use crate::config::fixture::judged_document;
use crate::config::{Source, load};
use crate::snapshot::Place;

const LIMIT: &str = "{'@type': type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, stat_prefix: a, \
    token_bucket: {max_tokens: 1, fill_interval: 1s}, filter_enabled: {default_value: {numerator: 100}}, \
    filter_enforced: {default_value: {numerator: 100}}}";

fn document(patches: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {{name: a}}\nspec: {{configPatches: [{patches}]}}\n"
    )
}

/// A patch that inserts a filter.
fn insert(matched: &str, operation: &str, config: &str) -> String {
    format!(
        "{{applyTo: HTTP_FILTER, match: {{{matched}}}, patch: {{operation: {operation}, value: {{name: f, typed_config: {config}}}}}}}"
    )
}

/// A patch that says something for routes.
fn route(matched: &str, config: &str) -> String {
    format!(
        "{{applyTo: HTTP_ROUTE, match: {{{matched}}}, patch: {{operation: MERGE, value: {{typed_per_filter_config: {{f: {config}}}}}}}}}"
    )
}

fn read(patches: &str) -> EnvoyFilter {
    let text = document(patches);
    let source = Source {
        name: "a.yaml",
        bytes: text.as_bytes(),
    };
    let mut loaded = load(&[source], "default");
    loaded.resources.envoy_filters.remove(0)
}

#[test]
fn a_filter_stands_where_it_is_inserted() {
    let beside = |filter: &str| {
        format!(
            "listener: {{filterChain: {{filter: {{name: envoy.filters.network.http_connection_manager, subFilter: {{name: {filter}}}}}}}}}"
        )
    };
    let router = beside("envoy.filters.http.router");
    let (fault, cors) = (
        beside("envoy.filters.http.fault"),
        beside("envoy.filters.http.cors"),
    );
    let [authz, tokens, access] = ["ext_authz", "jwt_authn", "rbac"]
        .map(|name| beside(&format!("envoy.filters.http.{name}")));
    for (matched, operation, want) in [
        ("", "INSERT_BEFORE", Some(Place::First)),
        ("", "INSERT_FIRST", Some(Place::First)),
        ("", "INSERT_AFTER", None),
        ("", "ADD", None),
        (&router, "INSERT_FIRST", Some(Place::First)),
        (&router, "INSERT_BEFORE", Some(Place::BeforeRouter)),
        (&router, "INSERT_AFTER", None),
        (&fault, "INSERT_BEFORE", Some(Place::BeforeFaults)),
        (
            &beside("istio.metadata_exchange"),
            "INSERT_AFTER",
            Some(Place::First),
        ),
        (&authz, "INSERT_BEFORE", Some(Place::First)),
        (&authz, "INSERT_AFTER", Some(Place::BeforeTokens)),
        (&tokens, "INSERT_BEFORE", Some(Place::BeforeTokens)),
        (&tokens, "INSERT_AFTER", Some(Place::BeforeAccess)),
        (&access, "INSERT_BEFORE", Some(Place::BeforeAccess)),
        (&access, "INSERT_AFTER", Some(Place::BeforeFaults)),
        (
            &beside("istio.alpn"),
            "INSERT_BEFORE",
            Some(Place::BeforeFaults),
        ),
        (&fault, "INSERT_AFTER", Some(Place::BeforeCors)),
        (&cors, "INSERT_BEFORE", Some(Place::BeforeCors)),
        (&cors, "INSERT_AFTER", Some(Place::BeforeRouter)),
        (&beside("envoy.router"), "INSERT_BEFORE", None),
        (
            "listener: {filterChain: {filter: {name: envoy.http_connection_manager}}}",
            "INSERT_BEFORE",
            None,
        ),
    ] {
        let filter = read(&insert(matched, operation, LIMIT));
        let place = filter.patches.first().map(|patch| match &patch.change {
            Change::Insert { place, .. } => *place,
            Change::Override { .. } => panic!("it is a filter"),
        });
        assert_eq!(place, want, "{operation} {matched}");
        let said = judged_document(&document(&insert(matched, operation, LIMIT)));
        let unused = ["kind-not-read kind", "patch-not-used spec.configPatches[0]"];
        let want = if want.is_none() { &unused[..] } else { &[] };
        assert_eq!(said, want, "{operation} {matched}");
    }
}

/// The schema of EnvoyFilter keeps whatever a patch holds, so an API server refuses nothing there.
#[test]
fn unknown_fields_are_refused_around_a_patch_only() {
    let said = |patch: &str| judged_document(&document(patch));
    let misspelt = LIMIT.replace("stat_prefix", "stat_prefixx: a, stat_prefix");
    let within = said(&insert("", "INSERT_FIRST", &misspelt));
    assert_eq!(within.len(), 1, "{within:?}");
    assert!(within[0].starts_with("unknown-field "), "{within:?}");
    let around = said(&insert("contxt: ANY", "INSERT_FIRST", LIMIT));
    assert_eq!(around, ["no-such-field spec.configPatches[0].match.contxt"]);
}

#[test]
fn listeners_are_told_by_context_name_and_port() {
    for (matched, want) in [
        ("", Some((Context::Any, 0))),
        ("context: SIDECAR_INBOUND", Some((Context::Inbound, 0))),
        (
            "context: SIDECAR_INBOUND, listener: {portNumber: 8080}",
            Some((Context::Inbound, 8080)),
        ),
        (
            "listener: {name: virtualInbound, filterChain: {destinationPort: 8080}}",
            Some((Context::Inbound, 8080)),
        ),
        (
            "listener: {name: 0.0.0.0_9080}",
            Some((Context::NotInbound, 9080)),
        ),
        (
            "context: SIDECAR_OUTBOUND, listener: {name: 0.0.0.0_9080}",
            Some((Context::Outbound, 9080)),
        ),
        (
            "context: GATEWAY, listener: {name: 0.0.0.0_8080}",
            Some((Context::Gateway, 8080)),
        ),
        ("listener: {name: virtualOutbound}", None),
        ("context: GATEWAY", Some((Context::Gateway, 0))),
        ("context: GATEWAY, listener: {name: virtualInbound}", None),
        ("context: WAYPOINT", None),
        (
            "proxy: {proxyVersion: '^1\\.32.*'}",
            Some((Context::Any, 0)),
        ),
        ("proxy: {proxyVersion: '^1\\.8.*'}", None),
        ("proxy: {metadata: {a: b}}", None),
        ("listener: {filterChain: {sni: a.example}}", None),
    ] {
        let filter = read(&insert(matched, "INSERT_BEFORE", LIMIT));
        let got = filter.patches.first().map(|patch| match &patch.change {
            Change::Insert { port, .. } => (patch.context, *port),
            Change::Override { .. } => panic!("it is a filter"),
        });
        assert_eq!(got, want, "{matched}");
    }
}

#[test]
fn wrapped_messages_are_read_alike_in_both_spellings() {
    let plain = read(&route("", LIMIT)).patches;
    for wrapper in ["udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"] {
        let wrapped = format!(
            "{{'@type': type.googleapis.com/{wrapper}, typeUrl: type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, \
             value: {{statPrefix: a, tokenBucket: {{maxTokens: 1, fillInterval: 1s}}, filterEnabled: {{defaultValue: {{numerator: 100}}}}, \
             filterEnforced: {{defaultValue: {{numerator: 100, denominator: HUNDRED}}}}}}}}"
        );
        assert_eq!(read(&route("", &wrapped)).patches, plain, "{wrapper}");
    }
}

#[test]
fn what_is_said() {
    let config = |fields: &str| {
        format!(
            "{{'@type': type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, {fields}}}"
        )
    };
    let here = "spec.configPatches[0].patch.value.typedPerFilterConfig[\"f\"]";
    let said = |what: &str| what.replace("HERE", here);
    let on = "filter_enabled: {default_value: {numerator: 100}}";
    let bucket = "token_bucket: {max_tokens: 1, fill_interval: 1s}";
    for (fields, expected) in [
        (
            format!("stat_prefix: a, {bucket}"),
            "rate-limit-without-effect HERE",
        ),
        (
            format!("stat_prefix: a, {bucket}, {on}"),
            "rate-limit-without-effect HERE",
        ),
        (
            format!("stat_prefix: a, {bucket}, {on}, filter_enforced: {{default_value: {{}}}}"),
            "",
        ),
        (
            format!(
                "{bucket}, {on}, filter_enforced: {{runtime_key: x, default_value: {{numerator: 1}}}}"
            ),
            "invalid-policy HERE.statPrefix, runtime-key HERE.filterEnforced.runtimeKey",
        ),
        (
            "stat_prefix: a".to_owned(),
            "invalid-policy HERE.tokenBucket",
        ),
        (
            format!("stat_prefix: a, {on}, token_bucket: {{max_tokens: 0, fill_interval: 49ms}}"),
            "invalid-policy HERE.tokenBucket, invalid-policy HERE.tokenBucket, rate-limit-without-effect HERE",
        ),
        (
            format!(
                "stat_prefix: a, {bucket}, filter_enabled: {{default_value: {{}}}}, filter_enforced: {{}}, status: {{code: 600}}, stage: 11"
            ),
            "invalid-policy HERE.stage, invalid-status HERE.status",
        ),
        (
            format!(
                "stat_prefix: a, {bucket}, {on}, request_headers_to_add_when_not_enforced: [{{header: {{key: 'a b', value: x}}}}]"
            ),
            "invalid-header-name HERE.requestHeadersToAddWhenNotEnforced[0]",
        ),
        (
            format!(
                "stat_prefix: a, {bucket}, {on}, filter_enforced: {{}}, response_headers_to_add: [{{header: {{key: a, value: x}}, append_action: ADD_IF_ABSENT}}]"
            ),
            "not-in-effect HERE.responseHeadersToAdd[0].appendAction",
        ),
    ] {
        let found = judged_document(&document(&route("", &config(&fields)))).join(", ");
        assert_eq!(found, said(expected), "{fields}");
    }
}

#[test]
fn other_patches_are_told_beside_one_that_is_used() {
    let cluster = "{applyTo: CLUSTER, patch: {operation: ADD, value: {name: a}}}";
    let both = format!("{}, {cluster}", insert("", "INSERT_BEFORE", LIMIT));
    assert_eq!(
        judged_document(&document(&both)),
        ["patch-not-used spec.configPatches[1]"]
    );
    assert_eq!(judged_document(&document(cluster)), ["kind-not-read kind"]);
    let merged = format!(
        "{{applyTo: HTTP_ROUTE, patch: {{operation: MERGE, value: {{route: {{timeout: 1s}}, typed_per_filter_config: {{f: {LIMIT}, g: {{}}}}}}}}}}"
    );
    assert_eq!(
        judged_document(&document(&merged)),
        [
            "patch-not-used spec.configPatches[0].patch.value.route.timeout",
            "patch-not-used spec.configPatches[0].patch.value.typedPerFilterConfig[\"g\"]"
        ]
    );
    let waypoint = "{applyTo: HTTP_FILTER, match: {context: WAYPOINT, waypoint: {portNumber: 65536, filter: {name: a}}}}";
    assert_eq!(
        judged_document(&document(waypoint)),
        [
            "invalid-port spec.configPatches[0].match.waypoint.portNumber",
            "kind-not-read kind"
        ]
    );
    let misled = route(
        "context: SIDECAR_OUTBOUND, routeConfiguration: {vhost: {name: 'inbound|http|80'}}",
        LIMIT,
    );
    assert_eq!(
        judged_document(&document(&misled)),
        ["kind-not-read kind", "patch-not-used spec.configPatches[0]"]
    );
}
