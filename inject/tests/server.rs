//! Reviews over real sockets, in HTTP/1.1 by hand.
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outrigger_inject::{Counts, MAX_REVIEW_BYTES, Settings, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;

/// A server on a port of its own, for as long as the test lasts, and what it counts.
async fn server() -> (SocketAddr, Arc<Counts>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let counts = Arc::new(Counts::default());
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(serve(settings(), Arc::clone(&counts), incoming));
    (address, counts)
}

/// What is counted and not zero.
fn counted(counts: &Counts) -> Vec<(&'static str, u64)> {
    let all = counts
        .all()
        .into_iter()
        .map(|(name, count, _)| (name, count));
    all.filter(|(_, count)| *count > 0).collect()
}

fn settings() -> Arc<dyn Fn() -> Arc<Settings> + Send + Sync> {
    let settings = Arc::new(Settings::default());
    Arc::new(move || Arc::clone(&settings))
}

async fn ask(address: SocketAddr, head: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{head}\r\nhost: webhook\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // Who is refused by the head may find nobody who reads the rest.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let end = answer
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    (head, answer[end + 4..].to_vec())
}

#[tokio::test]
async fn reviews_are_answered() {
    let (address, counts) = server().await;
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {"uid": "1", "operation": "CREATE", "namespace": "shop", "object": {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
            "spec": {"containers": [{"name": "app", "image": "a"}]},
        }},
    });
    let body = review.to_string().into_bytes();
    let head = format!("POST /inject HTTP/1.1\r\ncontent-length: {}", body.len());
    let (head, body) = ask(address, &head, &body).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["response"]["allowed"], true);
    assert!(answer["response"]["patch"].is_string());
    let mut refused = review.clone();
    refused["request"]["object"]["spec"]["containers"] = json!([]);
    let mut left = review.clone();
    left["request"]["object"]["spec"]["hostNetwork"] = true.into();
    let mut good = review;
    good["request"]["object"] = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": {"name": "a"},
        "spec": {"egress": [{"hosts": ["./*"]}]},
    });
    let mut bad = good.clone();
    bad["request"]["object"]["spec"]["ingres"] = json!([]);
    for (path, review) in [
        ("/inject", refused),
        ("/inject", left),
        ("/validate", good),
        ("/validate", bad),
    ] {
        let body = review.to_string().into_bytes();
        let head = format!("POST {path} HTTP/1.1\r\ncontent-length: {}", body.len());
        let (head, _) = ask(address, &head, &body).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    }
    let want = [
        ("webhook_pods_injected_total", 1),
        ("webhook_pods_left_total", 1),
        ("webhook_pods_refused_total", 1),
        ("webhook_configuration_allowed_total", 1),
        ("webhook_configuration_denied_total", 1),
    ];
    assert_eq!(counted(&counts), want);
}

#[tokio::test]
async fn what_is_no_review_is_refused() {
    let (address, counts) = server().await;
    let long = MAX_REVIEW_BYTES + 1;
    for (head, body, want) in [
        ("GET /inject HTTP/1.1".to_owned(), &b""[..], "HTTP/1.1 405 "),
        (
            "POST /inject HTTP/1.1\r\ncontent-length: 2".to_owned(),
            b"{}",
            "HTTP/1.1 400 ",
        ),
        (
            "POST /other HTTP/1.1\r\ncontent-length: 0".to_owned(),
            b"",
            "HTTP/1.1 404 ",
        ),
        (
            format!("POST /inject HTTP/1.1\r\ncontent-length: {long}"),
            b"",
            "HTTP/1.1 413 ",
        ),
    ] {
        let (got, _) = ask(address, &head, body).await;
        assert!(got.starts_with(want), "{head}: {got}");
    }
    assert_eq!(counted(&counts), [("webhook_no_reviews_total", 4)]);
}

#[tokio::test(start_paused = true)]
async fn who_fails_concerns_nobody_else() {
    let (mut ours, theirs) = tokio::io::duplex(1 << 16);
    let incoming = [Err(std::io::Error::other("no descriptors")), Ok(theirs)];
    let counts = Arc::default();
    let served = serve(settings(), counts, tokio_stream::iter(incoming));
    // It ends once nobody comes any more; who has come is served all the same.
    served.await;
    ours.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    ours.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 405 "));
}

/// A connection in memory, whose times pass when nothing else happens.
fn in_memory() -> (tokio::io::DuplexStream, Arc<Counts>) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let counts = Arc::new(Counts::default());
    let incoming = tokio_stream::iter([Ok(theirs)]);
    tokio::spawn(serve(settings(), Arc::clone(&counts), incoming));
    (ours, counts)
}

#[tokio::test(start_paused = true)]
async fn who_is_slow_is_not_waited_for() {
    for (sent, says, late) in [
        ("POST /inject HTTP/1.1\r\nhost: a\r\n", "", 0),
        (
            "POST /inject HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{",
            "HTTP/1.1 408 ",
            1,
        ),
    ] {
        let (mut stream, counts) = in_memory();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            if says.is_empty() {
                answer.is_empty()
            } else {
                answer.starts_with(says)
            },
            "{answer}"
        );
        let want = [("webhook_reviews_late_total", 1)];
        assert_eq!(counted(&counts), want[..late]);
    }
}

#[tokio::test]
async fn a_body_that_does_not_say_how_long_it_is_is_counted() {
    let (address, counts) = server().await;
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    write
        .write_all(b"POST /inject HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    let sender = tokio::spawn(async move {
        let mut chunk = format!("{:x}\r\n", 1 << 20).into_bytes();
        chunk.resize(chunk.len() + (1 << 20), b' ');
        chunk.extend(b"\r\n");
        // Until it is refused.
        while write.write_all(&chunk).await.is_ok() {}
    });
    let mut head = [0; 13];
    read.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 413 ");
    assert_eq!(counted(&counts), [("webhook_no_reviews_total", 1)]);
    drop(read);
    sender.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_be_kept_for_a_while() {
    let (mut stream, _counts) = in_memory();
    let mut answer = [0; 4096];
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let ask = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        let count = stream.read(&mut answer).await.unwrap();
        assert!(answer[..count].starts_with(b"HTTP/1.1 405 "));
    }
    let before = tokio::time::Instant::now();
    assert_eq!(stream.read(&mut answer).await.unwrap(), 0);
    let kept = before.elapsed().as_secs();
    assert!((9..=61).contains(&kept), "{kept} s");
}

/// Who says nothing holds a place, and no longer than a second while there are few.
#[tokio::test(start_paused = true)]
async fn places_are_counted() {
    let taken = Arc::new(AtomicUsize::new(0));
    let mut held = Vec::new();
    let connect = {
        let taken = Arc::clone(&taken);
        move |_| {
            taken.fetch_add(1, Ordering::Relaxed);
            let (ours, theirs) = tokio::io::duplex(64);
            held.push(ours);
            Ok(theirs)
        }
    };
    let incoming = tokio_stream::iter(0..1000).map(connect);
    let counts = Arc::new(Counts::default());
    let served = tokio::spawn(serve(settings(), Arc::clone(&counts), incoming));
    for (milliseconds, want) in [(900, 128..=128), (5_000, 300..=700), (60_000, 1000..=1000)] {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        let taken = taken.load(Ordering::Relaxed);
        assert!(want.contains(&taken), "{taken} are not {want:?}");
    }
    // Each time that all places are taken.
    assert!(
        counted(&counts)
            .iter()
            .any(|(name, count)| *name == "webhook_connections_waited_total" && *count >= 3)
    );
    served.abort();
}

/// Longer than any of them may keep a place while others wait, and far shorter than they may otherwise.
#[tokio::test]
async fn who_asks_nothing_keeps_nobody_out() {
    let (address, _) = server().await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let asked = ask(address, "GET /validate HTTP/1.1", b"");
    let (head, _) = tokio::time::timeout(Duration::from_secs(30), asked)
        .await
        .unwrap();
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
}
