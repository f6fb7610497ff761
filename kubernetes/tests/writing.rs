//! What is asked of, and written into, an API over real sockets: once, the same by every replica, and nobody else's away.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

use std::time::SystemTime;

use outrigger_authority::{CaFiles, ROOT_LIFETIME, Refused, Reviewer as _};
use outrigger_kubernetes::{TokenReviews, Webhooks, authority, bundle, connect, roots};
use outrigger_kubernetes_emulator::{Emulator, Fault, Token};
use serde_json::json;

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

fn make() -> Result<CaFiles, String> {
    CaFiles::make("cluster.local", SystemTime::now(), ROOT_LIFETIME)
}

fn writes(cluster: &Emulator) -> usize {
    cluster
        .requests()
        .iter()
        .filter(|request| !request.starts_with("GET"))
        .count()
}

#[test]
fn whose_a_token_is_kubernetes_says() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        let of = |audience: &str| Token {
            username: "system:serviceaccount:shop:cart".into(),
            audiences: vec![audience.into()],
            pod: Some("cart-1".into()),
        };
        cluster.token("good", of("istio-ca"));
        cluster.token("elsewhere", of("vault"));
        let reviews = TokenReviews::new(connect(Some(&cluster.url())).await.unwrap());
        let caller = reviews.review("good").await.unwrap();
        assert_eq!(
            (&*caller.namespace, &*caller.service_account),
            ("shop", "cart")
        );
        assert_eq!(
            (caller.pod.as_deref(), caller.until),
            (Some("cart-1"), None)
        );
        assert_eq!(writes(&cluster), 1, "one review");
        for bad in ["elsewhere", "none"] {
            assert!(
                matches!(reviews.review(bad).await, Err(Refused::NotProved(_))),
                "{bad}"
            );
        }
        cluster.fault(Fault::Refuse {
            code: 403,
            retry_after: None,
        });
        let refused = reviews.review("none").await;
        let Err(Refused::Unknown(why)) = refused else {
            panic!("{refused:?}");
        };
        assert!(
            why.contains("we may not review tokens") && !why.contains("none"),
            "{why}"
        );
    });
}

#[test]
fn replicas_that_make_an_authority_at_once_have_the_same() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        let (one, other) = (
            connect(Some(&cluster.url())).await.unwrap(),
            connect(Some(&cluster.url())).await.unwrap(),
        );
        let (one, other) = tokio::join!(
            authority(&one, "istio-system", "istio-ca-secret", make),
            authority(&other, "istio-system", "istio-ca-secret", make),
        );
        assert_eq!(one.unwrap(), other.unwrap());
        let never = || panic!("there is one");
        let client = connect(Some(&cluster.url())).await.unwrap();
        authority(&client, "istio-system", "istio-ca-secret", never)
            .await
            .unwrap();
        cluster.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cacerts", "namespace": "istio-system"}, "data": {}}));
        let why = authority(&client, "istio-system", "cacerts", make)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            why.contains("istio-system/cacerts") && why.contains("ca-cert.pem"),
            "{why}"
        );
    });
}

#[test]
fn roots_are_written_where_they_are_not() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        let client = connect(Some(&cluster.url())).await.unwrap();
        assert_eq!(roots(&client, "shop", "one").await, Ok(true));
        assert_eq!(roots(&client, "shop", "one").await, Ok(false));
        assert_eq!(writes(&cluster), 1);
        assert_eq!(roots(&client, "shop", "two").await, Ok(true));
        let map = cluster
            .get("v1", "ConfigMap", "shop", "istio-ca-root-cert")
            .unwrap();
        assert_eq!(map["data"]["root-cert.pem"], "two");
    });
}

#[test]
fn webhooks_trust_the_roots_and_keep_all_else() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        let client = connect(Some(&cluster.url())).await.unwrap();
        for (webhooks, kind) in [
            (Webhooks::Mutating, "MutatingWebhookConfiguration"),
            (Webhooks::Validating, "ValidatingWebhookConfiguration"),
        ] {
            let api_version = "admissionregistration.k8s.io/v1";
            assert_eq!(
                bundle(&client, webhooks, "outrigger", "root").await,
                Ok(false),
                "there is none"
            );
            cluster.apply(&json!({
                "apiVersion": api_version, "kind": kind, "metadata": {"name": "outrigger"},
                "webhooks": [
                    {"name": "a", "failurePolicy": "Fail", "clientConfig": {"service": {"name": "outrigger"}}},
                    {"name": "b", "clientConfig": {"url": "https://elsewhere"}},
                ],
            }));
            assert_eq!(
                bundle(&client, webhooks, "outrigger", "root").await,
                Ok(true)
            );
            assert_eq!(
                bundle(&client, webhooks, "outrigger", "root").await,
                Ok(false)
            );
            let found = cluster.get(api_version, kind, "", "outrigger").unwrap();
            assert_eq!(
                found["webhooks"],
                json!([
                    {"name": "a", "failurePolicy": "Fail", "clientConfig": {"service": {"name": "outrigger"}, "caBundle": "cm9vdA=="}},
                    {"name": "b", "clientConfig": {"url": "https://elsewhere"}},
                ])
            );
        }
    });
}
