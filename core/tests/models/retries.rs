//! What is tried again and after how long, against tables (Envoy reference §4.2, §4.3, §4.6). The policy is read from a
//! VirtualService, so the words of `retryOn` mean here what a user means by them.

use outrigger_core::cluster::Counted;
use outrigger_core::compile::from_yaml;
use outrigger_core::decision::{Overflow, ResetReason};
use outrigger_core::entropy::{Draw, Entropy};
use outrigger_core::message::Headers;
use outrigger_core::policy::{backoff, retry};
use outrigger_core::snapshot::{Action, RetryPolicy};
use proptest::prelude::*;

/// A response, as far as it matters here.
#[derive(Clone, Debug)]
struct Response {
    status: u16,
    grpc_status: Option<u16>,
    is_ratelimited: bool,
}

/// Which responses each condition of `retryOn` is about.
type Condition = (&'static str, fn(&Response) -> bool);

const RESPONSES: [Condition; 9] = [
    ("5xx", |r| r.status / 100 == 5),
    ("gateway-error", |r| [502, 503, 504].contains(&r.status)),
    ("retriable-4xx", |r| r.status == 409),
    ("cancelled", |r| r.grpc_status == Some(1)),
    ("deadline-exceeded", |r| r.grpc_status == Some(4)),
    ("resource-exhausted", |r| r.grpc_status == Some(8)),
    ("internal", |r| r.grpc_status == Some(13)),
    ("unavailable", |r| r.grpc_status == Some(14)),
    ("envoy-ratelimited", |_| false),
];

/// Conditions that no response meets.
const OTHERS: [&str; 4] = [
    "connect-failure",
    "reset",
    "reset-before-request",
    "refused-stream",
];

/// How an attempt ends without a response, by what has to be asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Overflow,
    /// There was no connection, so nothing was sent.
    NoConnection,
    Other,
}

const RESETS: [(ResetReason, Kind); 9] = [
    (
        ResetReason::Overflow(Overflow {
            counted: Counted::Requests,
            limit: 1,
        }),
        Kind::Overflow,
    ),
    (ResetReason::RemoteConnectionFailure, Kind::NoConnection),
    (ResetReason::LocalConnectionFailure, Kind::NoConnection),
    (ResetReason::ConnectionTimeout, Kind::NoConnection),
    (ResetReason::Unresolved, Kind::NoConnection),
    (ResetReason::ConnectionTermination, Kind::Other),
    (ResetReason::ProtocolError, Kind::Other),
    (ResetReason::LocalReset, Kind::Other),
    (ResetReason::PerTryTimeout, Kind::Other),
];

/// Which resets each condition is about: without a connection; otherwise when nothing had been sent; otherwise.
const RESET_CONDITIONS: [(&str, [bool; 3]); 5] = [
    ("5xx", [true, true, true]),
    ("gateway-error", [true, true, true]),
    ("reset", [true, true, true]),
    ("reset-before-request", [true, true, false]),
    ("connect-failure", [true, false, false]),
];

fn policy(words: &[String], backoff: u64) -> RetryPolicy {
    let text = format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: h}}
spec:
  hosts: [h.test]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 10.0.0.1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: h}}
spec:
  hosts: [h.test]
  http:
  - retries: {{attempts: 3, retryOn: '{}', backoff: {backoff}ms}}
    route: [{{destination: {{host: h.test}}}}]
",
        words.join(",")
    );
    let snapshot = from_yaml(&text).snapshot;
    let rules = snapshot
        .virtual_hosts
        .iter()
        .flat_map(|host| host.rules.iter());
    let mut policies = rules
        .filter(|rule| rule.origin.is_some())
        .filter_map(|rule| match &*rule.action {
            Action::Forward(forward) => forward.retry.as_deref().cloned(),
            Action::Redirect(_) | Action::Respond(_) => None,
        });
    policies.next().expect("the rule has a policy")
}

/// Some of the conditions, at least one, and some statuses.
fn any_words() -> impl Strategy<Value = (Vec<String>, Vec<u16>)> {
    let words = RESPONSES.iter().map(|(word, _)| *word).chain(OTHERS);
    let words = prop::sample::subsequence(words.collect::<Vec<_>>(), 1..6);
    let codes = prop::sample::subsequence(vec![404u16, 409, 503, 505], 0..3);
    (words, codes).prop_map(|(words, codes)| {
        let words = words.into_iter().map(str::to_owned);
        (
            words.chain(codes.iter().map(u16::to_string)).collect(),
            codes,
        )
    })
}

fn any_response() -> impl Strategy<Value = Response> {
    let status = prop::sample::select(vec![
        200, 404, 409, 429, 499, 500, 501, 502, 503, 504, 505, 599,
    ]);
    let grpc_status = prop::option::of(0u16..18);
    (status, grpc_status, prop::bool::weighted(0.2)).prop_map(|(status, grpc_status, limited)| {
        Response {
            status,
            grpc_status,
            is_ratelimited: limited,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn responses_are_tried_again_by_the_table((words, codes) in any_words(), response in any_response()) {
        let mut headers = Headers::default();
        if let Some(code) = response.grpc_status {
            headers.append(b"grpc-status", code.to_string().as_bytes()).unwrap();
        }
        if response.is_ratelimited {
            headers.append(b"x-envoy-ratelimited", b"true").unwrap();
        }
        let asked = |word: &str| words.iter().any(|asked| asked == word);
        let met = RESPONSES.iter().any(|(word, meets)| asked(word) && meets(&response));
        // A limited response is tried again by that condition and by no other.
        let want = if response.is_ratelimited {
            asked("envoy-ratelimited")
        } else {
            met || codes.contains(&response.status)
        };
        let got = retry::wants_after_response(&policy(&words, 25), response.status, &headers);
        prop_assert_eq!(got, want, "{:?} after {:?}", words, response);
    }

    #[test]
    fn resets_are_tried_again_by_the_table(
        (words, _) in any_words(),
        (reason, kind) in prop::sample::select(RESETS.to_vec()),
        sent in any::<bool>(),
    ) {
        let column = match (kind, sent) {
            (Kind::Overflow, _) => None,
            (Kind::NoConnection, _) => Some(0),
            (Kind::Other, false) => Some(1),
            (Kind::Other, true) => Some(2),
        };
        let want = column.is_some_and(|column| {
            let mut met = RESET_CONDITIONS.iter().filter(|(_, of)| of[column]);
            met.any(|(word, _)| words.iter().any(|asked| asked == word))
        });
        let got = retry::wants_after_reset(&policy(&words, 25), reason, sent);
        prop_assert_eq!(got, want, "{:?} after {:?}, sent: {}", words, reason, sent);
    }

    /// Windows of 1, 2, 4, 8 and then 10 times the base, and a wait anywhere within.
    #[test]
    fn waits_are_drawn_from_windows(base in 1u64..2000, nth in 1u32..20, entropy in any::<u64>()) {
        let times = [1, 2, 4, 8].get(nth as usize - 1).copied().unwrap_or(10);
        let window = base * times * 1_000_000;
        let want = Entropy(entropy).draw(Draw::Backoff, nth.into()) % window;
        let policy = policy(&["5xx".to_owned()], base);
        let got = backoff::jittered(&policy, nth, Entropy(entropy)).as_nanos();
        prop_assert_eq!(got, u128::from(want));
    }
}
