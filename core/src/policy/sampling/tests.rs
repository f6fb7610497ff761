//! Who decides, in which order, and what becomes of the id.

use std::sync::Arc;

use super::*;
use crate::snapshot::{Collector, CollectorProtocol, Propagation};
use crate::time::Duration;

const ID: &str = "00001000-7777-4777-8777-777777777777";

fn policy(sampled_of_10000: u16, by_request_id: bool) -> TracePolicy {
    TracePolicy {
        sampled_of_10000,
        by_request_id,
        propagation: Propagation::W3c,
        tags: Box::default(),
        max_path_tag_length: 256,
        service: "cart.shop".into(),
        collector: Arc::new(Collector {
            name: "otel".into(),
            protocol: CollectorProtocol::OtlpGrpc,
            authority: "otel:4317".into(),
            addresses: Box::default(),
            headers: Box::default(),
            timeout: Duration::from_secs(5),
        }),
    }
}

fn head(lines: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in lines {
        headers.append(name.as_bytes(), value.as_bytes()).unwrap();
    }
    headers
}

#[test]
fn who_decides() {
    use RequestIdMark::{Client, Forced, Sampled as Mark};
    let marked = |mark: &str| ID.replace("-4777", &format!("-{mark}777"));
    let (plain, sampled) = (ID.to_owned(), marked("9"));
    for (share, by_caller, id, client, want) in [
        // 0x1000 is 4096, so the share of this id is 40.97 % and more.
        (4097, None, &plain, false, Sampled::ByChance(true)),
        (4096, None, &plain, false, Sampled::ByChance(false)),
        (0, None, &plain, true, Sampled::ByClient),
        (0, None, &sampled, true, Sampled::ByRequestId(Mark)),
        (0, None, &marked("a"), false, Sampled::ByRequestId(Forced)),
        (0, None, &marked("b"), false, Sampled::ByRequestId(Client)),
        (10_000, None, &marked("7"), false, Sampled::ByChance(true)),
        (
            10_000,
            Some(false),
            &sampled,
            true,
            Sampled::ByCaller(false),
        ),
        (0, Some(true), &plain, false, Sampled::ByCaller(true)),
    ] {
        let mut headers = head(&[("x-request-id", id)]);
        if client {
            headers.append_known(Known::XClientTraceId, b"any");
        }
        let decided = decide(&policy(share, true), by_caller, &headers, Entropy(1));
        assert_eq!(decided, want, "{share} {by_caller:?} {id} {client}");
    }
}

#[test]
fn what_has_no_uuid_is_sampled_by_chance_too() {
    let share = |headers: &Headers, by_request_id| {
        let policy = policy(1000, by_request_id);
        (0..10_000)
            .filter(|seed| decide(&policy, None, headers, Entropy(*seed)).is_sampled())
            .count()
    };
    for id in ["mine", "00001000-7777-4777-8777-77777777777g", &ID[..35]] {
        let sampled = share(&head(&[("x-request-id", id)]), true);
        assert!((900..1100).contains(&sampled), "{id}: {sampled}");
    }
    let uuid = head(&[("x-request-id", ID)]);
    assert_eq!(share(&uuid, true), 0, "its id decides");
    assert!(
        (900..1100).contains(&share(&uuid, false)),
        "its id does not"
    );
}

#[test]
fn an_id_carries_the_decision() {
    let after = |id: &str, sampled| {
        let mut headers = head(&[("x-request-id", id)]);
        mark(&mut headers, sampled);
        let id = headers.get(Known::XRequestId).unwrap();
        String::from_utf8(id.to_vec()).unwrap()
    };
    let marked = |mark: &str| ID.replace("-4777", &format!("-{mark}777"));
    assert_eq!(after(ID, Sampled::ByChance(true)), marked("9"));
    assert_eq!(after(ID, Sampled::ByCaller(true)), marked("9"));
    assert_eq!(after(ID, Sampled::ByClient), marked("b"));
    assert_eq!(
        after(&marked("a"), Sampled::ByRequestId(RequestIdMark::Forced)),
        marked("a")
    );
    assert_eq!(after(&marked("9"), Sampled::ByCaller(false)), ID);
    assert_eq!(
        after(&marked("7"), Sampled::ByChance(false)),
        marked("7"),
        "nothing to tell"
    );
    assert_eq!(
        after("mine", Sampled::ByChance(true)),
        "mine",
        "no place for it"
    );
}
