//! Whether the steps show what there is to show: the policies, the annotations, the files of the tutorial.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;

/// Policies, the key that asks for each, and the words that tell of it.
const SHOWN: &[(&str, &str, &str)] = &[
    ("weights", "weight:", "drawn with weight"),
    ("match", "match:", "route safari"),
    ("CORS", "corsPolicy:", "cors_response"),
    ("rewrite", "rewrite:", "08-rewrite:"),
    ("egress", "REGISTRY_ONLY", "the egress policy decides"),
    ("mirror", "mirror:", "a copy was sent"),
    ("random", "simple: RANDOM", "drawn at random"),
    (
        "round robin, weighted",
        "simple: ROUND_ROBIN",
        "its turn by weight",
    ),
    ("consistent hash", "consistentHash:", "of a header field"),
    (
        "distribution over localities",
        "distribute:",
        "locality by weight",
    ),
    (
        "failover of localities",
        "localityLbSetting:",
        "priority 1 with",
    ),
    ("warm-up", "warmup:", "warmed up to"),
    ("timeout", "timeout:", "response_timeout"),
    ("delay", "delay:", "held for"),
    ("abort", "abort:", "fault_filter_abort"),
    ("retry", "retries:", "retried after"),
    (
        "retry of gRPC calls",
        "retryOn: unavailable",
        "grpc-status 14; retried after",
    ),
    ("time of a try", "perTryTimeout:", "per try timeout"),
    (
        "circuit limits",
        "connectionPool:",
        "refused by the circuit limit",
    ),
    (
        "ejection by errors",
        "consecutive5xxErrors: 1",
        "ejected: consecutive_5xx",
    ),
    (
        "ejection by gateway errors",
        "consecutiveGatewayErrors: 1",
        "ejected: consecutive_gateway_failure",
    ),
    (
        "ejection by failed connections",
        "consecutiveLocalOriginFailures: 1",
        "ejected: consecutive_local_origin_failure",
    ),
    (
        "hedging",
        "outrigger.dev/hedge-on-per-try-timeout",
        "hedged",
    ),
    (
        "retry budget",
        "outrigger.dev/retry-budget",
        "the budget is spent",
    ),
    (
        "local rate limit",
        "outrigger.dev/local-rate-limit",
        "refused: none of",
    ),
    (
        "adaptive concurrency",
        "outrigger.dev/adaptive-concurrency",
        "refused by the limit that follows response times",
    ),
    (
        "mutual TLS",
        "mode: STRICT",
        "ended without a response: connection termination",
    ),
    (
        "a deny list",
        "action: DENY",
        "denied by AuthorizationPolicy",
    ),
    (
        "an allow list",
        "action: ALLOW",
        "denied: no policy allows it",
    ),
    ("tokens", "jwtRules:", "refused: Jwt is expired"),
];

/// Annotations that need more time or more instances than a demo has.
const ANNOTATIONS_NOT_SHOWN: &[&str] = &[
    "always-eject-one-host",
    "failure-percentage-ejection",
    "hash-balance-factor",
    "header-faults",
    "idle-timeout",
    "load-balancer",
    "retry-after",
    "success-rate-ejection",
];

/// Files of the tutorial whose waits are too long for a demo; later steps show the same with shorter ones.
const FILES_NOT_PLAYED: &[&str] = &["14-delay", "15-retry", "17-pool-ejection"];

#[test]
fn every_policy_has_a_story() {
    for (policy, key, words) in SHOWN {
        assert!(
            steps().any(|step| step.rules.contains(key) && step.tells.contains(words)),
            "no step with `{key}` has a story of {policy}: `{words}`"
        );
    }
}

#[test]
fn every_annotation_is_shown_or_known_not_to_be() {
    let page = include_str!("../../../../docs/extensions.md");
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `outrigger.dev/"));
    let named: BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let is_shown = |name: &str| {
        SHOWN
            .iter()
            .any(|(_, key, _)| key.ends_with(&format!("/{name}")))
    };
    let (shown, not): (BTreeSet<_>, BTreeSet<_>) = named.into_iter().partition(|n| is_shown(n));
    assert_eq!(not, ANNOTATIONS_NOT_SHOWN.iter().copied().collect());
    assert!(shown.len() >= 4, "{shown:?}");
}

#[test]
fn every_file_is_played_or_known_not_to_be() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/tutorial");
    let entries = fs::read_dir(folder).expect("the examples are there");
    let files = entries.map(|entry| entry.expect("a folder is readable").path());
    let yaml = files.filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    let there: BTreeSet<String> = yaml
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    let played = steps().map(|step| step.name);
    let known = played.chain(FILES_NOT_PLAYED.iter().copied());
    assert_eq!(there, known.map(str::to_owned).collect());
}

#[test]
fn a_step_is_played_once_and_sends_something() {
    let mut names = BTreeSet::new();
    for step in steps() {
        assert!(names.insert(step.name), "{} twice", step.name);
        assert!(
            !step.visits.is_empty() || step.load.is_some(),
            "{}",
            step.name
        );
        assert!(!step.tells.is_empty(), "{} tells nothing", step.name);
    }
}

#[test]
fn what_is_judged_by_a_setting_has_that_setting() {
    let mut judged = 0;
    for step in steps() {
        for visit in step.visits {
            let Also::WarmsUp { window, minimum } = visit.also else {
                continue;
            };
            judged += 1;
            let duration = format!("duration: {}s\n", window.as_secs_f64());
            let least = format!("minimumPercent: {}\n", minimum * 100.0);
            for setting in [duration, least] {
                assert!(step.rules.contains(&setting), "{}: {setting}", step.name);
            }
        }
    }
    assert_eq!(judged, 1);
}
