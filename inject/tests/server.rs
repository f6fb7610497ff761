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

/// A connection in memory, whose times pass when nothing else happens.
fn in_memory() -> tokio::io::DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let mut theirs = Some(theirs);
    let accept =
        move || std::future::ready(theirs.take().map(|stream| std::future::ready(Ok(stream))));
    let settings = Arc::new(Settings::default());
    tokio::spawn(serve(Arc::new(move || Arc::clone(&settings)), accept));
    ours
}

#[tokio::test(start_paused = true)]
async fn who_is_slow_is_not_waited_for() {
    for (sent, says) in [
        ("POST /inject HTTP/1.1\r\nhost: a\r\n", ""),
        (
            "POST /inject HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{",
            "HTTP/1.1 408 ",
        ),
    ] {
        let mut stream = in_memory();
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
    }
}

#[tokio::test]
async fn a_body_that_does_not_say_how_long_it_is_is_counted() {
    let address = server().await;
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
    drop(read);
    sender.await.unwrap();
}

/// Who does not come to the end of a handshake holds a place, and no longer than its time.
#[tokio::test(start_paused = true)]
async fn places_are_counted() {
    let accepted = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    let accept = move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        std::future::ready(Some(std::future::pending::<
            std::io::Result<tokio::io::DuplexStream>,
        >()))
    };
    let settings = Arc::new(Settings::default());
    let served = tokio::spawn(serve(Arc::new(move || Arc::clone(&settings)), accept));
    for (seconds, want) in [(9, 128), (2, 256), (10, 384)] {
        tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
        assert_eq!(accepted.load(std::sync::atomic::Ordering::Relaxed), want);
    }
    served.abort();
}
