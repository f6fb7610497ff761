//! What an explanation says is what a real request does: the rule, the destination, the endpoint, the times and the retries,
//! with the same random number. And where nothing is said to change between two configurations, nothing does.
//!
//! The real request is one that a worker serves, driven here by hand as a runtime drives it, as one of several on its
//! connection and for endpoints that are asked for the first time.

use std::sync::Arc;

use outrigger_core::compile::from_yaml;
use outrigger_core::decision::{Record, RouteDecision};
use outrigger_core::entropy::Entropy;
use outrigger_core::message::RequestHead;
use outrigger_core::peer::ConnId;
use outrigger_core::snapshot::{Action, Snapshot};
use outrigger_core::time::Instant;
use outrigger_core::worker::{Input, Output, Worker};
use outrigger_explain::diff::Comparison;
use outrigger_explain::{Circumstances, Explanation, Question, explain};
use proptest::prelude::*;

/// A rule as YAML.
fn rule() -> impl Strategy<Value = String> {
    let condition = prop_oneof![
        Just(String::new()),
        "/[ab]{0,2}".prop_map(|path| format!("uri: {{prefix: '{path}'}}")),
        "/[ab]{0,2}".prop_map(|path| format!("uri: {{exact: '{path}'}}")),
        "/[ab]{0,2}".prop_map(|path| format!("uri: {{regex: '{path}.*'}}")),
        "[ab]".prop_map(|value| format!("headers: {{who: {{exact: {value}}}}}")),
        "[ab]".prop_map(|value| format!("withoutHeaders: {{who: {{prefix: {value}}}}}")),
        Just("method: {exact: POST}".to_owned()),
        Just("queryParams: {q: {exact: '1'}}".to_owned()),
    ];
    let action = prop_oneof![
        4 => prop::collection::vec((0u32..3, 1u32..9), 1..4).prop_map(|all| {
            let to = |(subset, weight): &(u32, u32)| {
                format!("{{destination: {{host: shop.test, subset: v{subset}}}, weight: {weight}}}")
            };
            format!("route: [{}]", all.iter().map(to).collect::<Vec<_>>().join(", "))
        }),
        1 => Just("directResponse: {status: 418}".to_owned()),
        1 => Just("redirect: {uri: /away}".to_owned()),
    ];
    let extras = prop::option::of(prop_oneof![
        Just("timeout: 3s"),
        Just("retries: {attempts: 2, retryOn: 5xx, perTryTimeout: 1s}"),
        Just("fault: {abort: {httpStatus: 503, percentage: {value: 50}}}"),
        Just("fault: {delay: {fixedDelay: 2s, percentage: {value: 50}}}"),
        Just("rewrite: {uri: /new}"),
    ]);
    (condition, action, extras).prop_map(|(condition, action, extras)| {
        let condition = match condition.is_empty() {
            true => String::new(),
            false => format!("match: [{{{condition}}}], "),
        };
        // What answers by itself has nothing besides.
        let extras = extras.filter(|_| action.starts_with("route"));
        let extras = extras.map_or_else(String::new, |extras| format!(", {extras}"));
        format!("{{{condition}{action}{extras}}}")
    })
}

fn yaml(rules: &[String], balancer: &str) -> String {
    let endpoints: Vec<String> = (1..=6)
        .map(|n| format!("{{address: 10.0.0.{n}, labels: {{version: v{}}}}}", n % 2))
        .collect();
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop}}
spec: {{hosts: [shop.test], resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop}}
spec: {{host: shop.test, trafficPolicy: {{loadBalancer: {balancer}}}, subsets: [{{name: v0, labels: {{version: v0}}}}, {{name: v1, labels: {{version: v1}}}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop}}
spec: {{hosts: [shop.test], http: [{}]}}
",
        endpoints.join(", "),
        rules.join(", ")
    )
}

/// Serves one request with this random number, whose endpoints answer 200, and hands its record to `look`.
fn serve(
    snapshot: Arc<Snapshot>,
    question: &Question,
    random: Entropy,
    look: impl FnOnce(&Record),
) {
    let Circumstances { peer, settings, .. } = Circumstances::default();
    let mut worker = Worker::new(snapshot, settings, 0);
    let mut now = Instant::ZERO;
    let client = worker.accept(peer, random.connection_of_first(), now);
    let mut reads = vec![(ConnId::Client(client), question.bytes())];
    loop {
        let Some((id, bytes)) = reads.pop() else {
            // Only an injected delay is waited for.
            now = worker.next_deadline().expect("something is waited for");
            worker.on_time(now);
            act(&mut worker, &mut reads, now);
            continue;
        };
        let space = worker.space(id).expect("it is connected");
        space.extend_from_slice(&bytes);
        worker.handle_input(id, Input::Read(bytes.len()), now);
        if let Some(ended) = act(&mut worker, &mut reads, now) {
            let exchange = worker.ended(ended).expect("it has just ended");
            return look(exchange.record());
        }
        if let Some(ended) = finish(&mut worker, &mut reads, now) {
            let exchange = worker.ended(ended).expect("it has just ended");
            return look(exchange.record());
        }
    }
}

type Reads = Vec<(ConnId, Vec<u8>)>;

fn finish(
    worker: &mut Worker,
    reads: &mut Reads,
    mut now: Instant,
) -> Option<outrigger_core::peer::ExchangeId> {
    while reads.is_empty() {
        now = worker.next_deadline()?.max(now);
        worker.on_time(now);
        if let Some(ended) = act(worker, reads, now) {
            return Some(ended);
        }
    }
    None
}

/// Performs what the worker asks for.
fn act(
    worker: &mut Worker,
    reads: &mut Reads,
    now: Instant,
) -> Option<outrigger_core::peer::ExchangeId> {
    while let Some(output) = worker.poll_output() {
        match output {
            Output::Connect(id, ..) => {
                worker.handle_input(id.into(), Input::Connected(Box::default()), now);
            }
            Output::Wait(id, interest) if interest.write => {
                let length = worker.outbox(id).expect("it is connected").len();
                if matches!(id, ConnId::Upstream(_)) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    reads.push((id, answer.to_vec()));
                }
                worker.handle_input(id, Input::Wrote(length), now);
            }
            Output::Ended(id) => return Some(id),
            _ => {}
        }
    }
    None
}

fn compare(told: &Explanation, record: &Record, snapshot: &Snapshot) -> Result<(), TestCaseError> {
    prop_assert_eq!(told.request.random, record.entropy.0);
    let outcome = &told.outcomes[0];
    prop_assert_eq!(outcome.status, Some(record.status));
    prop_assert_eq!(&outcome.details, &record.details.to_string());
    prop_assert_eq!(&outcome.flags, &record.flags().to_string());
    prop_assert_eq!(outcome.attempts.len(), record.attempts.len());
    let RouteDecision::Rule {
        virtual_host,
        rule,
        destination,
    } = record.route
    else {
        prop_assert!(!told.rules.iter().any(|rule| rule.matches));
        prop_assert_eq!(told.action, "no_rule");
        return Ok(());
    };
    let held = told.rules.last().expect("a rule holds");
    prop_assert!(held.matches);
    prop_assert_eq!(held.number, rule as usize + 1);
    let rule = &snapshot.virtual_host(virtual_host).rules[rule as usize];
    let Action::Forward(forward) = &*rule.action else {
        prop_assert!(told.destinations.is_empty());
        return Ok(());
    };
    let chosen = told.destinations.iter().position(|goal| goal.chosen);
    prop_assert_eq!(chosen, destination.map(|at| at as usize));
    let endpoints = || told.cluster.iter().flat_map(|cluster| &cluster.endpoints);
    match record
        .attempts
        .first()
        .and_then(|attempt| attempt.endpoint(snapshot))
    {
        Some(endpoint) => {
            let chosen: Vec<_> = endpoints()
                .filter(|e| e.chosen)
                .map(|e| &*e.address)
                .collect();
            prop_assert_eq!(chosen, [&*endpoint.text]);
            let goal = &told.destinations[chosen_of(told)];
            prop_assert_eq!(&goal.problem, &None);
            let timeout = told.policies.iter().find(|told| told.what == "timeout");
            let timeout = &timeout.expect("it is always told").value;
            match record.timeouts.whole {
                Some(time) => prop_assert_eq!(timeout, &format!("{time:?}")),
                None => prop_assert!(timeout.starts_with("none")),
            }
            prop_assert_eq!(record.timeouts.whole, forward.timeout);
        }
        None => prop_assert!(endpoints().all(|endpoint| !endpoint.chosen)),
    }
    let delayed = told.policies.iter().find(|told| told.what == "fault delay");
    let delayed = delayed.is_some_and(|told| told.value.ends_with("it gets it"));
    prop_assert_eq!(delayed, record.delayed.is_some());
    Ok(())
}

fn chosen_of(told: &Explanation) -> usize {
    let chosen = told.destinations.iter().position(|goal| goal.chosen);
    chosen.expect("one is chosen")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn an_explanation_is_what_a_request_does(
        rules in prop::collection::vec(rule(), 1..6),
        balancer in prop::sample::select(vec![
            "{simple: RANDOM}",
            "{simple: ROUND_ROBIN}",
            "{simple: LEAST_REQUEST}",
            "{consistentHash: {httpHeaderName: who}}",
        ]),
        line in "(GET|POST) http://shop\\.test/[ab]{0,3}(\\?q=[01])?",
        who in prop::option::of("[ab]{1,2}"),
        random in any::<u64>(),
    ) {
        let snapshot = Arc::new(from_yaml(&yaml(&rules, balancer)).snapshot);
        let field = who.map(|who| format!("who: {who}"));
        let question = Question::new(&line, field.as_deref()).expect("it is well formed");
        let circumstances = Circumstances { random: Entropy(random), ..Circumstances::default() };
        let told = explain(&snapshot, &question, &circumstances);
        let mut compared = Ok(());
        serve(Arc::clone(&snapshot), &question, Entropy(random), |record| {
            compared = compare(&told, record, &snapshot);
        });
        compared?;
    }

    #[test]
    fn what_is_said_to_stay_stays(
        before in prop::collection::vec(rule(), 1..4),
        after in prop::collection::vec(rule(), 1..4),
        keeps in any::<bool>(),
        line in "(GET|POST) http://shop\\.test/[ab]{0,3}(\\?q=[01])?",
        who in prop::option::of("[ab]{1,2}"),
        randoms in prop::collection::vec(any::<u64>(), 4),
    ) {
        // Half of the time what comes first is the same, so that something stays.
        let after = if keeps { [&before[..], &after].concat() } else { after };
        let snapshots = [&before, &after]
            .map(|rules| Arc::new(from_yaml(&yaml(rules, "{simple: RANDOM}")).snapshot));
        let field = who.as_ref().map(|who| format!("who: {who}"));
        let question = Question::new(&line, field.as_deref()).expect("it is well formed");
        let mut comparison = Comparison::new(&snapshots[0], &snapshots[1]);
        let mut head = RequestHead {
            method: question.method().clone(),
            authority: question.authority().into(),
            path: line.split_once("shop.test").expect("it has a host").1.into(),
            ..RequestHead::default()
        };
        if let Some(who) = &who {
            head.headers.append(b"who", who.as_bytes()).expect("it fits");
        }
        comparison.compare(&head);
        let difference = comparison.finish();
        let mut differs = false;
        for random in randoms {
            let seen = snapshots.each_ref().map(|snapshot| {
                let mut seen = None;
                serve(Arc::clone(snapshot), &question, Entropy(random), |record| {
                    let endpoint = record.upstream_host(snapshot).map(str::to_owned);
                    let details = record.details.to_string();
                    let path = record.request.path.clone();
                    seen = Some((record.status, details, record.timeouts, record.delayed, endpoint, path));
                });
                seen
            });
            differs |= seen[0] != seen[1];
        }
        if difference.changed == 0 {
            prop_assert!(!differs, "{:?} {:?}", before, after);
        }
        // What is said to change without a draw does.
        if difference.changed > 0 && difference.ways[0].before != difference.ways[0].after {
            let is_drawn = |text: &str| text.contains(" of ");
            let way = &difference.ways[0];
            let faulty = before.iter().chain(&after).any(|rule| rule.contains("fault"));
            prop_assert!(differs || is_drawn(&way.before) || is_drawn(&way.after) || faulty, "{:?}", way);
        }
    }
}
