//! Descriptors of requests, as a service is told them and as local limits have buckets for them, against lists of pairs.
//!
//! The model knows nothing of settling beforehand what depends on no request: it makes of each request the descriptors that
//! its actions make, and a local limit has a bucket for a request if it is one of those.

use std::collections::BTreeSet;

use outrigger_core::compile::from_yaml;
use outrigger_core::config::Severity;
use outrigger_core::message::RequestHead;
use outrigger_core::policy::descriptors::{Described, describe, holds};
use outrigger_core::snapshot::{DescribedBy, Describes, Limit, RateLimit, Snapshot};
use proptest::prelude::*;

/// An action, of small alphabets so that much of it meets.
#[derive(Clone, Debug)]
enum Action {
    Generic(usize, usize),
    Header {
        name: usize,
        key: usize,
        skip: bool,
    },
    Match {
        key: usize,
        value: usize,
        expect: bool,
        wants: Vec<Want>,
    },
    Address,
}

/// A match on a field.
#[derive(Clone, Debug)]
struct Want {
    name: usize,
    how: How,
    invert: bool,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Present(bool),
    Exact(usize),
    Prefix(usize),
}

const KEYS: [&str; 2] = ["k", "l"];
const VALUES: [&str; 3] = ["a", "ab", "GET"];
const NAMES: [&str; 4] = ["x-a", "x-b", ":method", ":path"];
const ADDRESSES: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

type Pair = (String, String);

fn pair(key: &str, value: &str) -> Pair {
    (key.to_owned(), value.to_owned())
}

impl Action {
    fn yaml(&self) -> String {
        match self {
            Self::Generic(key, value) => format!(
                "{{generic_key: {{descriptor_key: {}, descriptor_value: {}}}}}",
                KEYS[*key], VALUES[*value]
            ),
            Self::Header { name, key, skip } => format!(
                "{{request_headers: {{header_name: '{}', descriptor_key: {}, skip_if_absent: {skip}}}}}",
                NAMES[*name], KEYS[*key]
            ),
            Self::Match {
                key,
                value,
                expect,
                wants,
            } => {
                let wants: Vec<String> = wants.iter().map(Want::yaml).collect();
                format!(
                    "{{header_value_match: {{descriptor_key: {}, descriptor_value: {}, expect_match: {expect}, headers: [{}]}}}}",
                    KEYS[*key],
                    VALUES[*value],
                    wants.join(", ")
                )
            }
            Self::Address => "{remote_address: {}}".to_owned(),
        }
    }

    /// The entry that it makes; nothing where it is left out, and an error where there is no descriptor then.
    fn entry(&self, request: &Request) -> Result<Option<Pair>, ()> {
        match self {
            Self::Generic(key, value) => Ok(Some(pair(KEYS[*key], VALUES[*value]))),
            Self::Header { name, key, skip } => match request.values(*name).first() {
                Some(value) => Ok(Some(pair(KEYS[*key], value))),
                None if *skip => Ok(None),
                None => Err(()),
            },
            Self::Match {
                key,
                value,
                expect,
                wants,
            } => {
                let all = wants.iter().all(|want| want.holds(request));
                match all == *expect {
                    true => Ok(Some(pair(KEYS[*key], VALUES[*value]))),
                    false => Err(()),
                }
            }
            Self::Address => {
                let address = ADDRESSES[request.forwarded.unwrap_or(0)];
                Ok(Some(pair("remote_address", address)))
            }
        }
    }
}

impl Want {
    fn yaml(&self) -> String {
        let how = match self.how {
            How::Present(present) => format!("present_match: {present}"),
            How::Exact(value) => format!("string_match: {{exact: {}}}", VALUES[value]),
            How::Prefix(value) => format!("string_match: {{prefix: {}}}", VALUES[value]),
        };
        let (name, invert) = (NAMES[self.name], self.invert);
        format!("{{name: '{name}', invert_match: {invert}, {how}}}")
    }

    fn holds(&self, request: &Request) -> bool {
        let values = request.values(self.name);
        let any = |test: &dyn Fn(&str) -> bool| {
            !values.is_empty() && values.iter().any(|value| test(value)) != self.invert
        };
        match self.how {
            How::Present(present) => (values.is_empty() != present) != self.invert,
            How::Exact(value) => any(&|text| text == VALUES[value]),
            How::Prefix(value) => any(&|text| text.starts_with(VALUES[value])),
        }
    }
}

#[derive(Clone, Debug)]
struct Request {
    fields: Vec<(usize, usize)>,
    path: usize,
    forwarded: Option<usize>,
}

impl Request {
    fn values(&self, name: usize) -> Vec<String> {
        match NAMES[name] {
            ":method" => vec!["GET".to_owned()],
            ":path" => vec![VALUES[self.path].to_owned()],
            _ => {
                let fields = self.fields.iter().filter(|(of, _)| *of == name);
                fields.map(|(_, value)| VALUES[*value].to_owned()).collect()
            }
        }
    }

    fn head(&self) -> RequestHead {
        let mut head = RequestHead {
            path: VALUES[self.path].into(),
            ..RequestHead::default()
        };
        for (name, value) in &self.fields {
            let (name, value) = (NAMES[*name].as_bytes(), VALUES[*value].as_bytes());
            head.headers.append(name, value).expect("it is short");
        }
        if let Some(at) = self.forwarded {
            let address = ADDRESSES[at].as_bytes();
            let appended = head.headers.append(b"x-forwarded-for", address);
            appended.expect("it is short");
        }
        head
    }

    /// The descriptors that lists of actions make of it. One without an entry is none.
    fn descriptors(&self, lists: &[Vec<Action>]) -> Vec<Vec<Pair>> {
        let make = |list: &Vec<Action>| {
            let entries = list.iter().map(|action| action.entry(self));
            let entries: Vec<Option<Pair>> = entries.collect::<Result<_, _>>().ok()?;
            let entries: Vec<Pair> = entries.into_iter().flatten().collect();
            (!entries.is_empty()).then_some(entries)
        };
        lists.iter().filter_map(make).collect()
    }
}

fn action() -> impl Strategy<Value = Action> {
    let how = prop_oneof![
        any::<bool>().prop_map(How::Present),
        (0..3usize).prop_map(How::Exact),
        (0..3usize).prop_map(How::Prefix),
    ];
    let want =
        (0..4usize, how, any::<bool>()).prop_map(|(name, how, invert)| Want { name, how, invert });
    let wants = proptest::collection::vec(want, 1..3);
    let header = (0..4usize, 0..2usize, any::<bool>());
    let matched = (0..2usize, 0..3usize, any::<bool>(), wants);
    prop_oneof![
        (0..2usize, 0..3usize).prop_map(|(key, value)| Action::Generic(key, value)),
        header.prop_map(|(name, key, skip)| Action::Header { name, key, skip }),
        matched.prop_map(|(key, value, expect, wants)| Action::Match {
            key,
            value,
            expect,
            wants,
        }),
        Just(Action::Address),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let fields = proptest::collection::vec((0..2usize, 0..3usize), 0..4);
    let forwarded = proptest::option::of(0..2usize);
    (fields, 0..3usize, forwarded).prop_map(|(fields, path, forwarded)| Request {
        fields,
        path,
        forwarded,
    })
}

fn joined<T>(all: &[T], text: impl FnMut(&T) -> String) -> String {
    all.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// Both kinds of limits in front of one service, with these lists on its route; the local one has buckets for these.
fn snapshot(lists: &[Vec<Action>], buckets: &[Vec<Pair>]) -> Snapshot {
    let lists = joined(lists, |list| {
        format!("{{actions: [{}]}}", joined(list, Action::yaml))
    });
    let buckets = joined(buckets, |entries| {
        let entries = joined(entries, |(key, value)| {
            format!("{{key: {key}, value: '{value}'}}")
        });
        format!("{{entries: [{entries}], token_bucket: {{max_tokens: 1, fill_interval: 1s}}}}")
    });
    let kind = "type.googleapis.com/envoy.extensions.filters.http";
    let compiled = from_yaml(&format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: h}}
spec: {{hosts: [h.test], resolution: STATIC, ports: [{{number: 80, name: http}}, {{number: 81, name: grpc}}], endpoints: [{{address: 10.0.0.1}}]}}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: limits}}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match: {{context: SIDECAR_OUTBOUND}}
    patch:
      operation: INSERT_FIRST
      value:
        name: local
        typed_config:
          '@type': {kind}.local_ratelimit.v3.LocalRateLimit
          stat_prefix: a
          filter_enabled: {{default_value: {{numerator: 100}}}}
          token_bucket: {{max_tokens: 1, fill_interval: 1s}}
          descriptors: [{buckets}]
  - applyTo: HTTP_FILTER
    match: {{context: SIDECAR_OUTBOUND}}
    patch:
      operation: INSERT_FIRST
      value:
        name: global
        typed_config:
          '@type': {kind}.ratelimit.v3.RateLimit
          domain: d
          rate_limit_service: {{transport_api_version: V3, grpc_service: {{envoy_grpc: {{cluster_name: 'outbound|81||h.test'}}}}}}
  - applyTo: HTTP_ROUTE
    match: {{context: SIDECAR_OUTBOUND}}
    patch: {{operation: MERGE, value: {{route: {{rate_limits: [{lists}]}}}}}}
"
    ));
    let mut findings = compiled.findings.iter();
    let is_good = findings.all(|finding| finding.severity != Severity::Error);
    assert!(is_good, "{:?}", compiled.findings);
    compiled.snapshot
}

/// The descriptors that a service is told of a request.
fn told(described: &[Describes], of: &Described<'_>) -> Vec<Vec<Pair>> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it is text");
    let made = described.iter();
    let made = made.filter_map(|by| describe(&by.actions, of));
    made.map(|entries| {
        let entries = entries.iter();
        let entries = entries.map(|(key, value)| pair(key, &text(value)));
        entries.collect()
    })
    .collect()
}

/// The buckets that a local limit has for a request, by their entries.
fn found(limit: &RateLimit, described: &[DescribedBy], of: &Described<'_>) -> Vec<Vec<Pair>> {
    let has = described.iter().filter(|by| {
        let mut any = by.any.iter();
        any.any(|all| all.iter().all(|one| holds(one, of)))
    });
    has.map(|by| {
        let entries = limit.descriptors[by.descriptor as usize].entries.iter();
        entries.map(|(key, value)| pair(key, value)).collect()
    })
    .collect()
}

proptest! {
    #[test]
    fn both_kinds_of_limits_describe_requests_alike(
        lists in proptest::collection::vec(proptest::collection::vec(action(), 1..4), 1..4),
        requests in proptest::collection::vec(request(), 1..6),
        odd in proptest::collection::vec((0..2usize, 0..3usize), 1..3),
    ) {
        // Buckets for what some requests are, for a part of that, and for what perhaps none is.
        let some = requests.iter().take(3).flat_map(|request| request.descriptors(&lists));
        let some = some.flat_map(|descriptor| [descriptor[..1].to_vec(), descriptor]);
        let odd = odd.into_iter().map(|(key, value)| pair(KEYS[key], VALUES[value]));
        let buckets: BTreeSet<Vec<Pair>> = some.chain([odd.collect()]).collect();
        let buckets: Vec<Vec<Pair>> = buckets.into_iter().collect();
        let snapshot = snapshot(&lists, &buckets);
        let mut hosts = snapshot.virtual_hosts.iter().filter_map(|host| host.limits.as_ref());
        let limiters = &hosts.next().expect("a host is limited").rules[0];
        prop_assert_eq!(limiters.len(), 2);
        for request in &requests {
            let head = request.head();
            let of = Described { request: &head, scheme: "http", remote: "192.0.2.1:9".parse().unwrap() };
            let want = request.descriptors(&lists);
            for limiter in limiters {
                match &limiter.limit {
                    Limit::Global { described, .. } => {
                        prop_assert_eq!(&told(described, &of), &want, "{:?}", request);
                    }
                    Limit::Local { id, described } => {
                        let found = found(snapshot.rate_limit(*id), described, &of);
                        let want = buckets.iter().filter(|entries| want.contains(entries));
                        let want: BTreeSet<&Vec<Pair>> = want.collect();
                        prop_assert_eq!(found.iter().collect::<BTreeSet<_>>(), want, "{:?}", request);
                    }
                }
            }
        }
    }
}
