//! Reviews over real sockets, in HTTP/1.1 by hand.
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::net::SocketAddr;
use std::sync::Arc;

use outrigger_inject::{MAX_REVIEW_BYTES, Settings, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server on a port of its own, for as long as the test lasts.
async fn server() -> SocketAddr {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    let settings = Arc::new(Settings::default());
    let accept = move || {
        let listener = Arc::clone(&listener);
        async move {
            let (stream, _) = listener.accept().await.ok()?;
            Some(std::future::ready(Ok(stream)))
        }
    };
    tokio::spawn(serve(Arc::new(move || Arc::clone(&settings)), accept));
    address
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
    let address = server().await;
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
}

#[tokio::test]
async fn what_is_no_review_is_refused() {
    let address = server().await;
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
}

/// One fails at its handshake, one never comes to its end, and the third is served; then nobody comes any more.
#[tokio::test]
async fn who_fails_or_is_slow_keeps_nobody_waiting() {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    let mut turn = 0;
    let accept = move || {
        turn += 1;
        let (listener, turn) = (Arc::clone(&listener), turn);
        async move {
            if turn > 3 {
                return None;
            }
            let (stream, _) = listener.accept().await.ok()?;
            Some(async move {
                match turn {
                    1 => Err(std::io::Error::other("a handshake")),
                    2 => std::future::pending().await,
                    _ => Ok(stream),
                }
            })
        }
    };
    let settings = Arc::new(Settings::default());
    let served = tokio::spawn(serve(Arc::new(move || Arc::clone(&settings)), accept));
    let _failed = TcpStream::connect(address).await.unwrap();
    let _slow = TcpStream::connect(address).await.unwrap();
    let (head, _) = ask(address, "GET / HTTP/1.1", b"").await;
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
    served.await.unwrap();
}
