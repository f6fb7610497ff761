//! What people are told at objects, over real sockets: once, however many replicas tell it.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

use outrigger_kubernetes::{Condition, Wanted, When, Word, Words, connect, tell};
use outrigger_kubernetes_emulator::{Emulator, Fault};
use outrigger_xds::{Key, Kind, Object};
use serde_json::{Value, json};

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

fn rule(cluster: &Emulator, spec: &Value) -> Object {
    let api_version = "networking.istio.io/v1";
    cluster.apply(&json!({
        "apiVersion": api_version, "kind": "VirtualService", "metadata": {"name": "cart", "namespace": "shop"}, "spec": spec,
    }));
    let kind = Kind::named(api_version, "VirtualService").unwrap();
    Object {
        key: Key {
            kind,
            namespace: "shop".into(),
            name: "cart".into(),
        },
        version: "1".into(),
        json: cluster
            .get(api_version, "VirtualService", "shop", "cart")
            .unwrap(),
    }
}

#[test]
fn an_event_is_written_once_by_all_replicas() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        let object = rule(&cluster, &json!({"hosts": ["cart"]}));
        let word = Word {
            reason: "Refused",
            message: "no such host",
            is_warning: true,
        };
        for _ in 0..2 {
            let words = Words::new(connect(Some(&cluster.url())).await.unwrap());
            let is_first = cluster.all("v1", "Event").is_empty();
            assert_eq!(words.event(&object, word).await, Ok(is_first));
            assert_eq!(words.event(&object, word).await, Ok(false), "told already");
        }
        let written = cluster.requests().into_iter();
        let written = written.filter(|request| !request.starts_with("GET"));
        assert_eq!(written.count(), 1, "the other replica writes nothing");
        let events = cluster.all("v1", "Event");
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0]["involvedObject"]["name"], "cart");
        assert_eq!(
            events[0]["involvedObject"]["uid"],
            object.json["metadata"]["uid"]
        );
        assert_eq!(
            (&events[0]["type"], &events[0]["message"]),
            (&json!("Warning"), &json!("no such host"))
        );
        // An hour later it is counted.
        let mut event = events[0].clone();
        event["lastTimestamp"] = json!("2026-01-01T00:00:00Z");
        cluster.apply(&event);
        let words = Words::new(connect(Some(&cluster.url())).await.unwrap());
        assert_eq!(words.event(&object, word).await, Ok(true));
        let events = cluster.all("v1", "Event");
        assert_eq!((events.len(), &events[0]["count"]), (1, &json!(2)));
        assert_eq!(words.written(), 1);
    });
}

#[test]
fn many_events_are_no_load_and_one_that_failed_is_told_later() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        let object = rule(&cluster, &json!({}));
        let words = Words::new(connect(Some(&cluster.url())).await.unwrap());
        let word = Word {
            reason: "Refused",
            message: "first",
            is_warning: true,
        };
        cluster.fault(Fault::Refuse {
            code: 403,
            retry_after: None,
        });
        let why = words.event(&object, word).await.unwrap_err().to_string();
        assert!(why.contains("shop/cart") && why.contains("403"), "{why}");
        assert_eq!(words.event(&object, word).await, Ok(true));
        for number in 0..500 {
            let message = number.to_string();
            words
                .event(
                    &object,
                    Word {
                        message: &message,
                        ..word
                    },
                )
                .await
                .unwrap();
        }
        assert!(words.dropped() > 0);
        assert_eq!(
            u64::try_from(cluster.all("v1", "Event").len()).unwrap() + words.dropped(),
            501
        );
    });
}

#[test]
fn a_condition_is_written_for_what_was_judged() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        let client = connect(Some(&cluster.url())).await.unwrap();
        let object = rule(&cluster, &json!({"hosts": ["cart"]}));
        let condition = Condition {
            kind: "PassedAnalysis",
            is_so: false,
            reason: "errorsFound".to_owned(),
            message: "no such host".to_owned(),
            when: When::Always,
        };
        let messages = vec![json!({"level": "ERROR"})];
        let bad = Wanted::Istio(vec![condition], messages.clone());
        for code in [403, 422, 500] {
            let retry_after = None;
            cluster.fault(Fault::Refuse { code, retry_after });
            let why = tell(&client, &object, &bad).await.unwrap_err();
            assert_eq!(
                (why.is_forbidden(), why.is_invalid()),
                (code == 403, code == 422)
            );
        }
        assert_eq!(tell(&client, &object, &bad).await, Ok(true));
        assert_eq!(tell(&client, &object, &bad).await, Ok(false));
        let found = cluster
            .get("networking.istio.io/v1", "VirtualService", "shop", "cart")
            .unwrap();
        assert_eq!(found["status"]["conditions"][0]["status"], "False");
        assert_eq!(found["status"]["validationMessages"], json!(messages));
        assert_eq!(found["spec"], json!({"hosts": ["cart"]}));
        rule(&cluster, &json!({"hosts": ["other"]}));
        assert_eq!(
            tell(&client, &object, &bad).await,
            Ok(false),
            "its new form is not what was judged"
        );
        cluster.delete("networking.istio.io/v1", "VirtualService", "shop", "cart");
        assert_eq!(tell(&client, &object, &bad).await, Ok(false), "it is gone");
    });
}
