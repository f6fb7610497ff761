//! `outrigger check` as a user runs it: exit codes, standard input, and both formats.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const GOOD: &str = "\
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec:
  ports: [{name: http, port: 80}]
";

const WARNED: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews.example.com]
  http:
  - directResponse: {status: 200}
    websocketUpgrade: true
";

/// `kubectl apply` refuses it.
const MISSPELT: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews.example.com]
  http:
  - route: [{destination: {host: reviews.example.com}}]
    timeouts: 1s
";

const BAD: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews.example.com]
  http:
  - directResponse: {status: 200}
    timeout: 5
";

fn check(input: &str, args: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .arg("check")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    // It may end without reading.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

#[test]
fn the_exit_code_is_the_verdict() {
    let cases: &[(&str, &[&str], i32)] = &[
        (GOOD, &["-"], 0),
        (GOOD, &["-", "--strict"], 0),
        (WARNED, &["-"], 0),
        (WARNED, &["-", "--strict"], 1),
        (WARNED, &["-", "--strict", "--format", "json"], 1),
        (MISSPELT, &["-"], 1),
        (MISSPELT, &["-", "--lenient"], 0),
        (MISSPELT, &["-", "--lenient", "--strict"], 1),
        (BAD, &["-"], 1),
        (BAD, &["-", "--lenient"], 1),
        (BAD, &["-", "--format", "json"], 1),
        (BAD, &["-", "--format", "sarif"], 1),
        (BAD, &["-", "--format", "github", "-q"], 1),
        (GOOD, &["/no/such/file.yaml"], 2),
        (GOOD, &[], 2),
        (GOOD, &["-", "--format", "xml"], 2),
    ];
    for (input, args, code) in cases {
        let output = check(input, args);
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(*code),
            "{args:?}\n{input}\n{told}"
        );
    }
}

#[test]
fn people_see_the_line_and_what_to_do() {
    let output = check(BAD, &["-"]);
    let told = String::from_utf8_lossy(&output.stdout);
    for part in [
        "error[invalid-duration] ",
        "<stdin>:8:14  VirtualService default/reviews  spec.http[0].timeout",
        "8 |     timeout: 5\n    |              ^\n",
        "1 error in 1 file",
    ] {
        assert!(told.contains(part), "{part:?} in\n{told}");
    }
    assert!(!told.contains('\u{1b}'), "no colour into a pipe");
    let output = check(MISSPELT, &["-"]);
    let told = String::from_utf8_lossy(&output.stdout);
    for part in [
        "error[no-such-field] ",
        "8 |     timeouts: 1s\n    |     ^",
        "did you mean `timeout`?",
    ] {
        assert!(told.contains(part), "{part:?} in\n{told}");
    }
}

#[test]
fn rules_without_any_service_are_told_first_of_all() {
    const RULE: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, annotatoins: {}}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}
";
    let output = check(RULE, &["-", "--strict"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.starts_with("warning[no-services] "), "{told}");
    assert!(told.contains("kubectl get svc,endpointslice,pod -o yaml"));
    assert_eq!(output.status.code(), Some(1));
    let service = GOOD.replace("ports:", "selector: {app: reviews}\n  ports:");
    for (input, code) in [
        (format!("{service}---\n{RULE}"), "warning[no-endpoints] "),
        (service, "no findings"),
    ] {
        let output = check(&input, &["-"]);
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.starts_with(code), "{told}");
    }
}

#[test]
fn the_quiet_say_only_what_fails() {
    for (input, args, expected) in [
        (GOOD, &["-", "-q"][..], ""),
        (WARNED, &["-", "-q"], ""),
        (WARNED, &["-", "-q", "--format", "github"], ""),
        (WARNED, &["-", "-q", "--strict"], "warning[removed-field] "),
        (BAD, &["-", "-q"], "error[invalid-duration] "),
        (BAD, &["-", "-q", "--format", "github"], "::error file="),
    ] {
        let output = check(input, args);
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.starts_with(expected), "{args:?}: {told}");
        assert_eq!(told.is_empty(), expected.is_empty(), "{args:?}: {told}");
        assert!(!told.contains(" in 1 file"), "{told}");
    }
}

/// What the hook says is run as pre-commit runs it: the entry, then the arguments.
#[test]
fn the_hook_of_pre_commit_is_a_command_of_ours() {
    let hooks = concat!(env!("CARGO_MANIFEST_DIR"), "/../.pre-commit-hooks.yaml");
    let hooks = std::fs::read_to_string(hooks).expect("the hooks are there");
    let value = |key: &str| {
        let line = hooks.lines().find_map(|line| line.trim().strip_prefix(key));
        line.expect(key).trim().to_owned()
    };
    let entry = value("entry:");
    let mut words = entry.split(' ');
    assert_eq!(words.next(), Some("outrigger"));
    assert_eq!(value("args:"), r#"["."]"#);
    let folder = std::env::temp_dir().join(format!("outrigger-hook-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let words: Vec<&str> = words.chain(["."]).collect();
    for (text, code) in [(GOOD, 0), (BAD, 1)] {
        std::fs::write(folder.join("a.yaml"), text).expect("a file");
        let output = Command::new(env!("CARGO_BIN_EXE_outrigger"))
            .args(&words)
            .current_dir(&folder)
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{words:?}");
        assert_eq!(output.stdout.is_empty(), code == 0);
    }
    std::fs::remove_dir_all(folder).expect("it goes");
}

#[test]
fn machines_get_one_document() {
    let output = check(BAD, &["-", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let finding = &told["findings"][0];
    assert_eq!(finding["code"], "invalid-duration");
    assert_eq!(
        (&finding["line"], &finding["column"]),
        (&8.into(), &14.into())
    );
    assert_eq!(finding["resource"]["kind"], "VirtualService");
    assert_eq!(told["summary"]["errors"], 1);
}
