//! Addresses, and connections that do not come about.

use super::*;

#[test]
fn an_address_is_a_host_and_a_port_and_clear_text_stays_here() {
    for (text, host, port, is_plain) in [
        ("http://127.0.0.1:15010", "127.0.0.1", 15010, true),
        ("http://[::1]:15010", "::1", 15010, true),
        ("http://localhost:15010", "localhost", 15010, true),
        (
            "istiod.istio-system.svc:15012",
            "istiod.istio-system.svc",
            15012,
            false,
        ),
        ("https://control.mesh:443", "control.mesh", 443, false),
        ("[fd00::1]:15012", "fd00::1", 15012, false),
    ] {
        let address = Address::parse(text).unwrap();
        assert_eq!(
            (address.host(), address.port(), address.is_plain()),
            (host, port, is_plain),
            "{text}"
        );
    }
    for text in [
        "",
        "control.mesh",
        ":15012",
        "control.mesh:",
        "control.mesh:0",
        "control.mesh:65536",
        "fd00::1:15012",
        "http://10.0.0.1:15010",
        "http://control.mesh:15010",
        "a b:1",
    ] {
        assert!(Address::parse(text).is_err(), "{text}");
    }
}

#[test]
fn another_name_is_what_certificates_are_looked_at_for() {
    let address = Address::parse("127.0.0.1:15012")
        .unwrap()
        .named("istiod.istio-system.svc");
    assert_eq!(address.authority(), "istiod.istio-system.svc:15012");
    assert_eq!(address.host(), "127.0.0.1");
    let address = Address::parse("[fd00::1]:15012").unwrap();
    assert_eq!(address.authority(), "[fd00::1]:15012");
}

#[tokio::test]
async fn nobody_there_is_said_in_words() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = gone.local_addr().unwrap();
    drop(gone);
    let address = Address::parse(&format!("http://{addr}")).unwrap();
    let target = Target::new(address, roots_of_file("/nowhere".into()));
    let why = target.connect().await.unwrap_err();
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn who_says_nothing_is_left_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = silent.local_addr().unwrap();
    let root = rcgen::generate_simple_self_signed(["root".to_owned()]).unwrap();
    let file = std::env::temp_dir().join(format!("outrigger-channel-{}.pem", std::process::id()));
    std::fs::write(&file, root.cert.pem()).unwrap();
    let mut target = Target::new(
        Address::parse(&addr.to_string()).unwrap(),
        roots_of_file(file.clone()),
    );
    target.connect_timeout = Duration::from_millis(50);
    let why = target.connect().await.unwrap_err();
    assert!(why.contains("no connection within 50 ms"), "{why}");
    // Read at each connection.
    std::fs::remove_file(&file).unwrap();
    let why = target.connect().await.unwrap_err();
    assert!(why.contains("cannot read"), "{why}");
}
