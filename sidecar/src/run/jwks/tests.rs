//! Sets of keys that are fetched from real sockets.

use std::time::Duration;

use outrigger_core::compile::from_yaml;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const KEYS: &str = r#"{"keys":[{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#;

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Somebody who answers each connection with the next of these, and the last one for ever. Says what was asked for.
async fn somebody(answers: Vec<String>) -> (String, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = unbounded_channel();
    tokio::spawn(async move {
        for at in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let count = stream.read(&mut head).await.unwrap();
            let line = String::from_utf8_lossy(&head[..count]);
            let _ = sender.send(line.lines().next().unwrap_or_default().to_owned());
            let answer = answers.get(at).or_else(|| answers.last()).unwrap();
            // Whoever had enough has gone.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, asked)
}

fn snapshot(rules: &str) -> Snapshot {
    let yaml = format!(
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: a}}\nspec: {{jwtRules: [{rules}]}}\n"
    );
    from_yaml(&yaml).snapshot
}

fn fetcher(refresh: Duration) -> KeyFetcher {
    KeyFetcher::new(Arc::default(), refresh)
}

const NEVER: Duration = Duration::from_secs(1_000_000);

#[tokio::test]
async fn keys_are_fetched_where_a_rule_says_and_forgotten_with_it() {
    let (address, mut asked) = somebody(vec![ok(KEYS)]).await;
    let mut fetcher = fetcher(NEVER);
    let rules = format!("{{issuer: a, jwksUri: '{address}/keys?x=1'}}");
    fetcher.watch(&snapshot(&rules));
    assert!(fetcher.hear().await);
    assert_eq!(asked.recv().await.unwrap(), "GET /keys?x=1 HTTP/1.1");
    let answers = fetcher.answers();
    assert_eq!(
        answers.values().map(|keys| &**keys).collect::<Vec<_>>(),
        [KEYS]
    );
    fetcher.watch(&snapshot(&rules));
    assert_eq!(fetcher.answers(), answers, "what is known stays");
    fetcher.watch(&snapshot(""));
    assert!(fetcher.answers().is_empty());
}

#[tokio::test]
async fn an_issuer_tells_where_its_keys_are() {
    let (keys, _asked) = somebody(vec![ok(KEYS)]).await;
    let (issuer, mut asked) = somebody(vec![ok(&format!(r#"{{"jwks_uri":"{keys}/k"}}"#))]).await;
    let mut fetcher = fetcher(NEVER);
    fetcher.watch(&snapshot(&format!("{{issuer: '{issuer}/realm/'}}")));
    assert!(fetcher.hear().await);
    let line = asked.recv().await.unwrap();
    assert_eq!(line, "GET /realm/.well-known/openid-configuration HTTP/1.1");
    assert_eq!(fetcher.answers().len(), 1);
}

/// The last good set stays, whatever comes after it; one bad issuer holds up no other.
#[tokio::test]
async fn the_last_good_keys_stay() {
    let other = KEYS.replace("AAAA", "BBBB");
    let answers = vec![ok(KEYS), ok("<html>"), ok(KEYS), ok(&other)];
    let (address, _asked) = somebody(answers).await;
    let mut fetcher = fetcher(Duration::ZERO);
    // A port that nobody listens on.
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    fetcher.watch(&snapshot(&format!(
        "{{issuer: a, jwksUri: '{address}'}}, {{issuer: b, jwksUri: 'http://{closed}'}}"
    )));
    let mut seen = Vec::new();
    while seen.len() < 2 {
        if fetcher.hear().await {
            seen.extend(fetcher.answers().into_values().map(String::from));
        }
    }
    assert_eq!(seen, [KEYS, &other]);
    let failing = fetcher
        .sets
        .values()
        .filter(|set| set.failing.is_some())
        .count();
    assert_eq!(failing, 1, "nobody is there for the other one");
}

#[tokio::test]
async fn answers_are_bounded_and_lead_nowhere_else() {
    let long = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(300_000));
    for (answer, want) in [
        (
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
                .to_owned(),
            Failure::Status(302),
        ),
        (
            "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n".to_owned(),
            Failure::Status(500),
        ),
        (ok(&long), Failure::TooLong),
        (ok("{}"), Failure::NoKeys("it has no list `keys`")),
        (
            ok(r#"{"keys":[]}"#),
            Failure::NoKeys("none of its keys can be used"),
        ),
    ] {
        let (address, _asked) = somebody(vec![answer]).await;
        let at = JwksAddress {
            place: JwksPlace::Uri(address.into()),
            timeout: Duration::from_secs(60),
        };
        assert_eq!(fetch::fetch(&at, &Trusted::default()).await, Err(want));
    }
}

#[tokio::test]
async fn nobody_is_waited_for_longer_than_a_rule_says() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = JwksAddress {
        place: JwksPlace::Uri(format!("http://{}/", listener.local_addr().unwrap()).into()),
        timeout: Duration::from_millis(1),
    };
    assert_eq!(
        fetch::fetch(&at, &Trusted::default()).await,
        Err(Failure::TooLate)
    );
}

#[tokio::test]
async fn addresses_that_nobody_should_ask_are_not() {
    for uri in [
        "ftp://a/",
        "/keys",
        "http://user:secret@127.0.0.1/",
        "http://",
    ] {
        let at = JwksAddress {
            place: JwksPlace::Uri(uri.into()),
            timeout: Duration::from_secs(60),
        };
        let got = fetch::fetch(&at, &Trusted::default()).await;
        assert!(matches!(got, Err(Failure::Address(_))), "{uri}: {got:?}");
    }
}
