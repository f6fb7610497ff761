//! `outrigger run` as a program: what it prints, serves, reloads and refuses, and how it ends.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use proxy::{Folder, Proxy, application, ask, command, refused, shop};
use support::Told;

#[test]
fn serves_both_ways_and_logs() {
    let (config, app) = (Folder::new("serves"), application("the shop"));
    config.write("shop.yaml", &shop(app));
    let inbound = format!("127.0.0.1:0={app}");
    let more = [
        "--access-log",
        "json",
        "--inbound",
        &inbound,
        "--minimum-drain-time",
        "0",
    ];
    let proxy = Proxy::start(&config.0, &more);
    assert!(proxy.get("shop.example").ends_with("\r\n\r\nthe shop"));
    let response = proxy.ask(
        "inbound",
        "GET /in HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n",
    );
    assert!(response.ends_with("the shop"), "{response}");
    let (code, log) = proxy.end();
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    for (line, want) in lines.iter().zip(["outbound|80||shop.example", "inbound|"]) {
        assert!(line.starts_with('{') && line.contains(want), "{line}");
    }
}

#[test]
fn an_empty_folder_is_a_configuration() {
    let config = Folder::new("empty");
    let proxy = Proxy::start(&config.0, &[]);
    let response = proxy.admin("GET /ready");
    assert!(response.ends_with("LIVE\n"), "{response}");
    assert_eq!(proxy.end().0, Some(0));
}

#[test]
fn a_changed_file_is_taken_when_it_is_good() {
    let config = Folder::new("reload");
    config.write("shop.yaml", &shop(application("old")));
    let proxy = Proxy::start(&config.0, &[]);
    assert!(proxy.get("shop.example").ends_with("old"));

    config.write("broken.yaml", "kind: [");
    let finding = proxy.wait_for("error");
    assert!(finding.contains("broken.yaml:"), "{finding}");
    proxy.wait_for("kept revision 1");
    assert!(proxy.get("shop.example").ends_with("old"));

    fs::remove_file(config.0.join("broken.yaml")).unwrap();
    config.write("shop.yaml", &shop(application("new")));
    proxy.wait_for("reloaded");
    // There may be one reload for both changes or two, and workers take a snapshot when they next wake.
    while !proxy.get("shop.example").ends_with("new") {
        thread::sleep(Duration::from_millis(5));
    }
    proxy.signal("-HUP");
    proxy.wait_for("reloaded");
    assert!(proxy.get("shop.example").ends_with("new"));
}

#[test]
fn errors_in_kinds_that_are_not_used_are_told_and_block_nothing() {
    let config = Folder::new("aside");
    config.write("shop.yaml", &shop(application("shop")));
    config.write(
        "policy.yaml",
        "apiVersion: networking.istio.io/v1beta1\nkind: ProxyConfig\nmetadata: {name: a}\nspec: {concurrency: -1}\n",
    );
    let proxy = Proxy::start(&config.0, &[]);
    assert!(proxy.get("shop.example").ends_with("shop"));
    config.write(
        "strict.yaml",
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec: {mtls: {mode: STRICKT}}\n",
    );
    proxy.wait_for("[invalid-enum]");
    proxy.wait_for("kept revision 1");
    fs::remove_file(config.0.join("strict.yaml")).unwrap();
    config.write(
        "old.yaml",
        "apiVersion: networking.istio.io/v1\nkind: ProxyConfig\nmetadata: {name: b}\nspec: {}\n",
    );
    proxy.wait_for("old.yaml:1:");
    proxy.wait_for("reloaded");
}

#[test]
fn admin_answers_under_envoys_names() {
    let config = Folder::new("admin");
    config.write("shop.yaml", &shop(application("shop")));
    let proxy = Proxy::start(&config.0, &[]);
    proxy.get("shop.example");
    for (line, want) in [
        ("GET /ready", "LIVE"),
        ("GET /healthz/ready", "LIVE"),
        ("GET /clusters", "outbound|80||shop.example::127.0.0.1:"),
        ("GET /clusters", "::rq_total::1\n"),
        (
            "GET /config_dump",
            "\"name\": \"outbound|80||shop.example\"",
        ),
        ("GET /stats", "server.live: 1\n"),
        ("GET /stats", "downstream_cx_total: 1\n"),
        ("GET /", "<title>Outrigger</title>"),
        ("GET /help", "/config_dump"),
        ("GET /nothing", "404 Not Found"),
        ("GET /ready?filter=x", "400 Bad Request"),
        (
            "GET /ready HTTP/1.1\r\norigin: http://evil.example\r\nx: y\r\nx:",
            "403 Forbidden",
        ),
        ("GET /quitquitquit", "405 Method Not Allowed"),
        ("POST /ready", "405 Method Not Allowed"),
        ("POST /drain_listeners", "200 OK"),
        ("GET /ready", "503 Service Unavailable"),
        ("POST /quitquitquit", "200 OK"),
    ] {
        let response = proxy.admin(line);
        assert!(response.contains(want), "{line}: {response}");
    }
    let mut proxy = proxy;
    assert_eq!(proxy.wait().0, Some(0));

    let proxy = Proxy::start(&config.0, &[]);
    let through = proxy.get(&proxy.addr("admin").to_string());
    assert!(through.contains(" 503 "), "{through}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let config = Folder::new("signals");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    config.write("shop.yaml", &shop(silent.local_addr().unwrap()));
    let mut proxy = Proxy::start(&config.0, &[]);
    let mut client = TcpStream::connect(proxy.addr("outbound")).unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
        .unwrap();
    let _request = silent.accept().unwrap();
    proxy.signal("-INT");
    proxy.wait_for("draining");
    assert!(
        proxy.child.try_wait().unwrap().is_none(),
        "a request is in flight"
    );
    proxy.signal("-INT");
    assert_eq!(proxy.wait().0, Some(0));
}

#[test]
fn a_run_without_services_says_so_first() {
    let config = Folder::new("no-services");
    config.write(
        "rules.yaml",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n\
         spec: {hosts: [a], http: [{route: [{destination: {host: a}}], timeoot: 1s}]}\n",
    );
    let mut child = command(&config.0, &[])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let told = Told::by(child.stderr.take().unwrap());
    let first = told.wait_for("");
    let _ = child.kill();
    let _ = child.wait();
    assert!(first.contains("[no-services]"), "{first}");
    assert!(first.contains("kubectl get svc"), "{first}");
}

#[test]
fn what_cannot_run_is_refused_with_a_reason() {
    let config = Folder::new("refused");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let inbound = format!("{taken}=127.0.0.1:1");
    for (more, code, words) in [
        (&["--admin", &taken][..], 1, &[&*taken, "in use"][..]),
        (&["--outbound", &taken], 1, &[&taken, "in use"]),
        (&["--inbound", &inbound], 1, &[&taken, "in use"]),
        (&["--config", "/nowhere"], 2, &["/nowhere", "No such file"]),
        (&["--mesh-config", "/nowhere"], 2, &["/nowhere"]),
        (&["--config", "-"], 2, &["second time"]),
    ] {
        let (got, told) = refused(&config.0, more);
        assert_eq!(got, Some(code), "{more:?}: {told}");
        assert!(words.iter().all(|w| told.contains(w)), "{more:?}: {told}");
    }
    config.write("a.yaml", "kind: VirtualService\nspec: {}\n");
    let (code, told) = refused(&config.0, &[]);
    assert_eq!(code, Some(1));
    assert!(
        told.contains("a.yaml:") && told.contains("nothing was started"),
        "{told}"
    );
}

/// A stderr whose reader has gone fails every write; one whose reader has stopped takes no more when the pipe is full.
#[test]
fn a_stderr_that_nobody_reads_stops_nothing() {
    use std::fmt::Write as _;
    let folder = Folder::new("stderr");
    let mut text = String::new();
    for nth in 0..1000 {
        let _ = write!(
            text,
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: rule-{nth}}}\n\
             spec: {{host: nobody-{nth}.example.com, trafficPolicy: {{tls: {{mode: DISABLE}}}}}}\n---\n"
        );
    }
    folder.write("rules.yaml", &text);
    for is_closed in [true, false] {
        let mut child = command(&folder.0, &[])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let greeting = lines
            .find_map(|line| line.ok().filter(|line| line.contains(": outrigger ")))
            .unwrap();
        let mut unread = Some(lines).filter(|_| !is_closed);
        let (_, admin) = greeting.split_once(" admin ").unwrap();
        let admin: SocketAddr = admin.split(';').next().unwrap().parse().unwrap();
        let stats = || {
            ask(
                admin,
                "GET /stats HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
            )
        };
        let revision = |stats: String| {
            let line = stats
                .lines()
                .find(|line| line.starts_with("outrigger.config_revision"));
            line.unwrap().to_owned()
        };
        let before = revision(stats());
        let signal = |name: &str| {
            let id = child.id().to_string();
            assert!(
                Command::new("kill")
                    .args([name, &id])
                    .status()
                    .unwrap()
                    .success()
            );
        };
        signal("-HUP");
        while revision(stats()) == before {
            thread::yield_now();
        }
        signal("-TERM");
        assert_eq!(child.wait().unwrap().code(), Some(0), "closed: {is_closed}");
        unread.take();
    }
}

#[test]
fn a_recording_moves_nothing_but_recordings() {
    let folder = Folder::new("record-onto");
    folder.write("rules.yaml", "");
    let taken = folder.0.join("taken");
    fs::create_dir(&taken).unwrap();
    let (code, told) = refused(
        &folder.0.join("rules.yaml"),
        &["--record", taken.to_str().unwrap()],
    );
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("not a regular file"), "{told}");
    assert!(taken.is_dir());
}

/// A file is empty while somebody writes it in place; only a signal says that nothing is meant.
#[test]
fn an_emptied_file_is_taken_on_a_signal_only() {
    let config = Folder::new("torn");
    let other = |endpoint| {
        shop(endpoint)
            .replace("shop.example", "other.example")
            .replace("name: shop", "name: other")
    };
    config.write("shop.yaml", &shop(application("shop")));
    config.write("other.yaml", &other(application("old")));
    let proxy = Proxy::start(&config.0, &[]);
    let becomes = |host: &str, want: &dyn Fn(&str) -> bool| {
        // Workers take a snapshot when they next wake.
        while !want(&proxy.get(host)) {
            thread::sleep(Duration::from_millis(5));
        }
    };
    fs::write(config.0.join("shop.yaml"), "").unwrap();
    let told = proxy.wait_for("was emptied");
    assert!(told.contains("shop.yaml`"), "{told}");
    assert!(proxy.get("shop.example").ends_with("shop"));
    // What happens to the others is taken meanwhile.
    config.write("other.yaml", &other(application("new")));
    proxy.wait_for("reloaded");
    becomes("other.example", &|response| response.ends_with("new"));
    assert!(proxy.get("shop.example").ends_with("shop"));
    proxy.signal("-HUP");
    proxy.wait_for("reloaded");
    becomes("shop.example", &|response| !response.ends_with("shop"));
    config.write("shop.yaml", &shop(application("shop")));
    proxy.wait_for("reloaded");
    becomes("shop.example", &|response| response.ends_with("shop"));

    fs::remove_file(config.0.join("other.yaml")).unwrap();
    proxy.wait_for("reloaded");
    fs::remove_file(config.0.join("shop.yaml")).unwrap();
    proxy.wait_for("nothing is left");
    assert!(proxy.get("shop.example").ends_with("shop"));
    proxy.signal("-HUP");
    proxy.wait_for("0 clusters");
}

#[test]
fn a_folder_that_was_made_again_is_read() {
    let config = Folder::new("again");
    config.write("shop.yaml", &shop(application("old")));
    let proxy = Proxy::start(&config.0, &[]);
    // Nobody else sees the folder without the file.
    fs::remove_dir_all(&config.0).unwrap();
    let told = proxy.wait_for("No such file");
    assert!(told.contains("kept what is in use"), "{told}");
    assert!(proxy.get("shop.example").ends_with("old"));
    fs::create_dir(&config.0).unwrap();
    // One link that leads nowhere is told, and the rest is taken.
    std::os::unix::fs::symlink("/nowhere/at/all", config.0.join("a.yaml")).unwrap();
    config.write("shop.yaml", &shop(application("new")));
    proxy.wait_for("[unreadable-file]");
    proxy.wait_for("reloaded");
    while !proxy.get("shop.example").ends_with("new") {
        thread::sleep(Duration::from_millis(5));
    }
}

/// What `check` calls an error never goes live by itself; istiod would let it.
#[test]
fn an_error_goes_live_only_where_somebody_is_lenient() {
    let config = Folder::new("lenient");
    config.write("shop.yaml", &shop(application("shop")));
    let rule = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shop}\n\
                spec: {hosts: [shop.example], http: [{route: [{destination: {host: shop.example, subset: v9}}]}]}\n\
                ---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: shop}\n\
                spec: {host: shop.example, subsets: [{name: v1}]}\n";
    let proxy = Proxy::start(&config.0, &[]);
    config.write("rule.yaml", rule);
    proxy.wait_for("[unknown-subset]");
    let told = proxy.wait_for("kept revision 1");
    // A time of RFC 3339 and a level.
    assert!(told.contains("Z error: "), "{told}");
    assert!(told.starts_with("20"), "{told}");
    assert!(proxy.get("shop.example").ends_with("shop"));
    let stats = proxy.admin("GET /stats");
    for words in [
        "outrigger.config_reload_refused: 1\n",
        "outrigger.config_reload_success: 0\n",
        "outrigger.config_last_refused: \"20",
        "rule.yaml:4:",
        "[unknown-subset]\"\n",
    ] {
        assert!(stats.contains(words), "{words:?} in {stats}");
    }
    fs::remove_file(config.0.join("rule.yaml")).unwrap();
    proxy.wait_for("Z info: reloaded; revision ");
    let stats = proxy.admin("GET /stats");
    assert!(stats.contains("config_reload_success: 1\n"), "{stats}");
    assert!(!stats.contains("config_last_refused"), "{stats}");
    drop(proxy);
    config.write("rule.yaml", rule);
    let (code, told) = refused(&config.0, &[]);
    assert_eq!(code, Some(1), "{told}");
    let proxy = Proxy::start(&config.0, &["--lenient"]);
    assert!(proxy.get("shop.example").contains(" 503 "));
    drop(proxy);
    // kubectl refuses a field that the schema does not have; istiod does not see it.
    config.write(
        "rule.yaml",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shop}\n\
         spec: {hosts: [shop.example], http: [{directResponse: {status: 418}, timeouts: 1s}]}\n",
    );
    let (code, told) = refused(&config.0, &[]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("error: ") && told.contains("[no-such-field]"),
        "{told}"
    );
    let proxy = Proxy::start(&config.0, &["--lenient"]);
    assert!(proxy.get("shop.example").contains(" 418 "));
}
