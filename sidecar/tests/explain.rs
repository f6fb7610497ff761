//! `outrigger explain` from outside: the transcripts of `docs/explain.md` are what the program prints, in the tutorial's
//! folder; what is said about bad input; the document for machines.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The program in the folder of the tutorial, which nothing around it changes.
fn outrigger(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command
        .args(args)
        .current_dir(root().join("examples/tutorial"))
        .env_remove("COLUMNS")
        .output()
        .expect("the program was built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The words of a command line, with single quotes as a shell takes them.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// `OUTRIGGER_RENEW=1` writes the transcripts anew.
#[test]
fn transcripts_are_what_the_program_prints() {
    let path = root().join("docs/explain.md");
    let page = fs::read_to_string(&path).expect("it is there");
    let mut renewed = String::new();
    let mut rest = page.as_str();
    let mut count = 0;
    while let Some((before, block)) = rest.split_once("```console\n$ outrigger ") {
        let (line, block) = block.split_once('\n').expect("a command has a line");
        let (_, after) = block.split_once("```\n").expect("a block ends");
        let args = words(line);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = outrigger(&args);
        let said = text(&output.stdout) + &text(&output.stderr);
        renewed += &format!("{before}```console\n$ outrigger {line}\n{said}```\n");
        rest = after;
        count += 1;
    }
    renewed += rest;
    assert!(count >= 6, "the page has transcripts");
    if std::env::var_os("OUTRIGGER_RENEW").is_some() {
        fs::write(&path, renewed).expect("it can be written");
    } else {
        let other = (page.lines().zip(renewed.lines())).find(|(page, now)| page != now);
        assert!(
            page == renewed,
            "docs/explain.md says another thing than the program: {other:?}; OUTRIGGER_RENEW=1 renews it"
        );
    }
}

#[test]
fn what_cannot_be_asked_says_why() {
    for (args, code, why) in [
        (&["--config", "services.yaml"][..], 2, "no request is given"),
        (
            &["--config", "services.yaml", "03-canary-90-10.yaml"],
            2,
            "no request is given",
        ),
        (
            &["--config", "services.yaml", "GET http://a/ b c"],
            2,
            "more than three words",
        ),
        (
            &["--config", "services.yaml", "-H", "x", "GET http://a/"],
            2,
            "`x` has no colon",
        ),
        (
            &["--config", "nowhere.yaml", "GET http://a/"],
            2,
            "cannot read `nowhere.yaml`",
        ),
        (&["GET http://a/"], 2, "--config"),
        (
            &[
                "--config",
                "services.yaml",
                "--random",
                "x",
                "GET http://a/",
            ],
            2,
            "is not a number such as 7",
        ),
    ] {
        let args: Vec<&str> = ["explain"].iter().chain(args).copied().collect();
        let output = outrigger(&args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(why), "`{why}` is not in {said}");
    }
}

#[test]
fn a_configuration_that_would_not_run_is_explained_and_fails() {
    let folder = std::env::temp_dir().join(format!("outrigger-explain-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("bad.yaml");
    let bad = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\n\
               spec: {hosts: [x.test], http: [{timeout: soon, route: [{destination: {host: x.test}}]}]}\n";
    fs::write(&file, bad).expect("it can be written");
    let file = file.to_str().expect("text");
    let config = ["explain", "--config", "services.yaml", file];
    let request = ["GET http://recommendation/"];
    let output = outrigger(&[&config[..], &request].concat());
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let second = said.lines().nth(1).expect("a second line");
    assert!(second.starts_with("problem: `run` would refuse this configuration"));
    assert!(said.contains("recommendation.default.svc.cluster.local:8080"));
    fs::remove_dir_all(&folder).expect("it goes");
}

#[test]
fn a_difference_is_told_by_the_exit_code() {
    let recording = root().join("fuzz/corpus/recording_replay/run.rec");
    let recording = recording.to_str().expect("text");
    let config = ["diff", "--config", "services.yaml"];
    let (canary, more) = ("03-canary-90-10.yaml", "04-canary-75-25.yaml");
    for (args, code, words) in [
        (
            &[canary, canary][..],
            0,
            "nothing changes for the 3 requests",
        ),
        (
            &[canary, more],
            1,
            "1 of 3 requests that were compared change",
        ),
        (&[canary, "nowhere.yaml"], 2, "cannot read `nowhere.yaml`"),
        (&[canary, "."], 2, "error: `run` would refuse `.`"),
        // Its requests are for a host that neither knows.
        (
            &["--requests", recording, canary, canary],
            0,
            "nothing changes for the 11 requests",
        ),
        (
            &["--requests", "services.yaml", canary, canary],
            2,
            "`services.yaml`: ",
        ),
    ] {
        let output = outrigger(&[&config[..], args].concat());
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "`{words}` is not in {said}");
    }
    let output = outrigger(&[&config[..], &["--format", "json", canary, more]].concat());
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(document["changed"], 1);
    let way = &document["ways"][0];
    assert!(way["after"].as_str().expect("text").contains("75 of 100"));
    assert_eq!(way["examples"][0]["after"]["line"], 24);
}

#[test]
fn the_document_is_one_and_repeats() {
    let args = [
        "explain",
        "--config",
        "services.yaml",
        "03-canary-90-10.yaml",
        "--format",
        "json",
        "--random",
        "0xff",
        "--from",
        "app=web,version=v2",
        "http://recommendation:8080/a?b",
    ];
    let (first, again) = (outrigger(&args), outrigger(&args));
    assert_eq!(first.status.code(), Some(0));
    assert!(
        first.stdout == again.stdout,
        "the same number, the same bytes"
    );
    let document: serde_json::Value = serde_json::from_slice(&first.stdout).expect("a document");
    assert_eq!(document["request"]["random"], "255");
    assert_eq!(
        document["request"]["line"],
        "GET http://recommendation:8080/a?b"
    );
    assert_eq!(document["destinations"][0]["weight"], 90);
}

/// A gateway with a port of bytes, and one in TLS that is passed for one name and taken off for another.
const GATEWAY: &str = "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public}
spec:
  selector: {istio: edge}
  servers:
  - {port: {number: 9000, name: raw, protocol: TCP}, hosts: ['*']}
  - {port: {number: 443, name: passed, protocol: TLS}, hosts: [passed.test], tls: {mode: PASSTHROUGH}}
  - {port: {number: 443, name: own, protocol: TLS}, hosts: [own.test], tls: {mode: SIMPLE, credentialName: own}}
  - {port: {number: 443, name: web, protocol: HTTPS}, hosts: [web.test], tls: {mode: SIMPLE, credentialName: own}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bytes}
spec:
  hosts: ['*']
  gateways: [public]
  tls: [{match: [{sniHosts: [passed.test]}], route: [{destination: {host: redis.test}}]}]
  tcp: [{route: [{destination: {host: redis.test}}]}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: redis}
spec: {hosts: [redis.test], resolution: STATIC, ports: [{number: 6379, name: redis, protocol: REDIS}], endpoints: [{address: 10.0.0.9}]}
";

#[test]
fn connections_to_gateways_are_explained() {
    let folder = std::env::temp_dir().join(format!("outrigger-explain-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("edge.yaml"), GATEWAY).expect("a file");
    let config = folder.to_str().expect("text");
    for (port, line, wants) in [
        (
            "9000",
            "TCP edge:9000",
            &["0.0.0.0_9000", "spec.tcp[0]", "10.0.0.9:6379"][..],
        ),
        (
            "443",
            "TLS passed.test:443",
            &["TLS passes there", "spec.tls[0].match[0]", "10.0.0.9:6379"],
        ),
        (
            "443",
            "TLS own.test:443",
            &["takes TLS off", "spec.tcp[0]", "10.0.0.9:6379"],
        ),
        ("443", "TLS web.test:443", &["HTTP is spoken there"]),
        ("443", "TLS other.test:443", &["it is closed"]),
        ("443", "TCP edge:443", &["this is none", "it is closed"]),
        ("81", "TCP edge:81", &["no Gateway", "it is closed"]),
    ] {
        let args = [
            "explain",
            "--config",
            config,
            "--from",
            "istio=edge",
            "--gateway",
            port,
            line,
        ];
        let output = outrigger(&args);
        let said = text(&output.stdout) + &text(&output.stderr);
        for want in wants {
            assert!(said.contains(want), "{line}: {want}\n{said}");
        }
    }
    fs::remove_dir_all(folder).expect("it was there");
}
