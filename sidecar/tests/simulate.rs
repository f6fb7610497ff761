//! `outrigger simulate` from outside: every ready scenario shows what it says it shows, the same bytes each time; what is
//! said about bad input; pictures that stand alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/simulate")
}

/// The command in the folder of the ready scenarios.
fn command(scenario: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command
        .args(["simulate", scenario])
        .args(more)
        .current_dir(examples())
        .env_remove("COLUMNS");
    command
}

fn simulate(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    let output = command.arg("simulate").args(args);
    output
        .current_dir(examples())
        .env_remove("COLUMNS")
        .output()
        .expect("the program was built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Everything that the scenario expects holds, a second play gives the same bytes, and another seed gives others.
fn check(name: &str) -> serde_json::Value {
    let file = format!("{name}.yaml");
    let args = [file.as_str(), "--format", "json"];
    let first = simulate(&args);
    let told = text(&first.stderr);
    let document: serde_json::Value = serde_json::from_slice(&first.stdout).expect(&told);
    let run = &document["runs"][0];
    let expected = run["expectations"].as_array().expect("a list");
    assert!(!expected.is_empty(), "a ready scenario claims something");
    let unmet: Vec<_> = expected.iter().filter(|e| e["holds"] != true).collect();
    assert!(unmet.is_empty(), "{unmet:#?}");
    assert_eq!(first.status.code(), Some(0), "{told}");
    let again = simulate(&args);
    assert!(
        first.stdout == again.stdout,
        "the same seed, the same bytes"
    );
    document
}

macro_rules! scenarios {
    ($($test:ident $name:literal)*) => {
        const NAMES: &[&str] = &[$($name,)*];
        $(#[test] fn $test() { check($name); })*
    };
}

scenarios! {
    slow_v2 "18-slow-v2"
    circuit_breaker "16-circuit-breaker"
    failing_instance "19-failing-instance"
    failing_instance_ejected "20-failing-instance-ejected"
    all_together "21-all-together"
    retry_storm "retry-storm"
    retry_budget "retry-budget"
    slow_replica_round_robin "slow-replica-round-robin"
    slow_replica_random "slow-replica-random"
    slow_replica_least_request "slow-replica-least-request"
    slow_replica_peak_ewma "slow-replica-peak-ewma"
    cascade "cascade"
    cascade_contained "cascade-contained"
    canary_gone_bad "canary-gone-bad"
    zone_outage "zone-outage"
    testers_only "testers-only"
}

#[test]
fn every_ready_scenario_is_played() {
    let entries = fs::read_dir(examples()).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    found.sort();
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    assert_eq!(found, names);
}

#[test]
fn another_seed_is_another_run() {
    let digest = |seed| {
        let args = ["18-slow-v2.yaml", "--format", "json", "--seed", seed];
        let document: serde_json::Value =
            serde_json::from_slice(&simulate(&args).stdout).expect("a document");
        document["runs"][0]["digest"].clone()
    };
    assert_ne!(digest("1"), digest("2"));
}

/// What a scenario says of its twin holds between the two, on the same scale.
#[test]
fn two_policies_are_played_side_by_side() {
    let policies = ["rules/chain.yaml", "rules/chain-ejection.yaml"];
    let json = [
        "cascade.yaml",
        "--format",
        "json",
        "--compare",
        policies[0],
        policies[1],
    ];
    let document: serde_json::Value =
        serde_json::from_slice(&simulate(&json).stdout).expect("a document");
    let users = |run: usize| document["runs"][run]["rows"][0].clone();
    assert_eq!(users(0)["requests"], users(1)["requests"], "the same users");
    let success = |run| users(run)["success_rate"].as_f64().expect("a number");
    assert!(success(0) < 0.75 && success(1) > 0.995);
    let comparison = &document["comparison"];
    assert_eq!(comparison["verdict"], "better");
    let of_users = &comparison["rows"][0];
    let success = &of_users["changes"]["success_rate"];
    assert_eq!(
        (&success["judged"], &of_users["recovery"]),
        (&"better".into(), &"better".into())
    );
    assert!(success["delta"].as_f64().expect("a number") > 0.2);
    assert_eq!(document["trouble"]["until_ms"], 30_000.0);
    let health = |run| users(run)["recovery"]["health"].clone();
    assert_eq!((health(0), health(1)), ("well".into(), "well".into()));
    let output = simulate(&["cascade.yaml", "--compare", policies[0], policies[1]]);
    let table = text(&output.stdout);
    for part in [
        policies[0],
        policies[1],
        "+28.33 pts  better",
        "well again        +5.5 s  in 500 ms               better",
        "ok    FAIL  users p99 > 10s",
        "B is better than A",
        "p99 10.02 s → 14.4 ms",
        "- in A limits overflowed: 1,731 over its own queue of web",
        "- in B no limit overflowed",
    ] {
        assert!(table.contains(part), "`{part}`\n{table}");
    }
    assert_eq!(
        output.status.code(),
        Some(1),
        "what the scenario expects holds for one only"
    );
}

/// The other way round it is worse, and with itself it is alike.
#[test]
fn the_verdict_depends_on_the_order() {
    let [round_robin, ewma] =
        ["round-robin", "peak-ewma"].map(|name| format!("rules/balancer-{name}.yaml"));
    for (a, b, verdict) in [
        (&round_robin, &ewma, "better"),
        (&ewma, &round_robin, "worse"),
        (&ewma, &ewma, "alike"),
    ] {
        let scenario = "slow-replica-round-robin.yaml";
        let output = simulate(&[scenario, "--format", "json", "--compare", a, b]);
        let document: serde_json::Value =
            serde_json::from_slice(&output.stdout).expect("a document");
        assert_eq!(document["comparison"]["verdict"], verdict, "{a} {b}");
    }
}

/// A limit is named as whoever set it knows it.
#[test]
fn limits_are_named() {
    for (scenario, limit) in [
        ("16-circuit-breaker.yaml", "http1MaxPendingRequests"),
        ("retry-budget.yaml", "retryBudget"),
    ] {
        let output = text(&simulate(&[scenario]).stdout);
        assert!(output.contains(&format!(" over {limit}")), "{output}");
    }
}

/// One replica of three hangs, and Istio's default lets none of three leave: the ejection that does nothing says why.
#[test]
fn an_ejection_that_is_refused_is_told() {
    let folder = std::env::temp_dir().join(format!("outrigger-refused-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let scenario = write(
        "scenario.yaml",
        "duration: 10s\nservices: {pay: {latency: 5ms, replicas: 3}}\n\
         clients: {u: {asks: pay, rate: 50/s}}\nfaults: [{service: pay, replica: 1, fail: 503, from: 3s, until: 7s}]\n",
    );
    let rules = |more: &str| {
        write(
            &format!("rules{}.yaml", more.len()),
            &format!(
                "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: pay}}\nspec: {{host: pay, \
                 trafficPolicy: {{outlierDetection: {{consecutive5xxErrors: 3, baseEjectionTime: 2s{more}}}}}}}\n"
            ),
        )
    };
    let (usual, more) = (rules(""), rules(", maxEjectionPercent: 50"));
    let output = simulate(&[&scenario, "--compare", &usual, &more]);
    let told = text(&output.stdout);
    for part in [
        "ejections refused by maxEjectionPercent of pay",
        "- in B no limit overflowed",
        "B is better than A",
    ] {
        assert!(told.contains(part), "`{part}`\n{told}");
    }
    // Before it is played, too, as by `check`.
    let warned = text(&output.stderr);
    assert_eq!(
        warned.matches("warning[never-ejects]").count(),
        1,
        "{warned}"
    );
    fs::remove_dir_all(folder).expect("it was there");
}

#[test]
fn lines_keep_to_the_width() {
    let compare = ["--compare", "rules/chain.yaml", "rules/chain-ejection.yaml"];
    for (scenario, more) in [
        ("cascade.yaml", &compare[..]),
        ("canary-gone-bad.yaml", &[]),
        ("16-circuit-breaker.yaml", &[]),
        ("zone-outage.yaml", &[]),
        ("retry-budget.yaml", &[]),
    ] {
        for columns in [60, 80] {
            let output = command(scenario, more)
                .env("COLUMNS", columns.to_string())
                .output()
                .expect("the program was built");
            for line in text(&output.stdout).lines() {
                assert!(line.chars().count() <= columns, "{columns}: {line}");
            }
        }
    }
}

#[test]
fn bad_input_is_told_with_its_place() {
    let folder = std::env::temp_dir().join(format!("outrigger-simulate-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let good = "duration: 1s\nservices: {a: {}}\nclients: {u: {asks: a, rate: 9/s}}\n";
    write(
        "rules.yaml",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: {hosts: [a], http: [{timeout: 5}]}\n",
    );
    let route = |host: &str, subset: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\n\
             spec: {{hosts: [{host}], http: [{{route: [{{destination: {{host: {host}{subset}}}}}]}}]}}\n"
        )
    };
    write("other.yaml", &route("aa", ""));
    let subsets = "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n\
                   spec: {host: a, subsets: [{name: v1, labels: {version: v1}}]}\n";
    write("subset.yaml", &(route("a", ", subset: v9") + subsets));
    for (text, code, told) in [
        (good.replace("duration", "duratoin"), 1, "bad.yaml:1:1"),
        (format!("{good}config: [rules.yaml]\n"), 1, "rules.yaml:4:"),
        (
            format!("{good}config: [missing.yaml]\n"),
            2,
            "missing.yaml`: No such file",
        ),
        (
            format!("{good}expect: {{u: {{requests: '> 1000'}}}}\n"),
            1,
            "",
        ),
        (format!("{good}config: other.yaml\n"), 0, "other.yaml:4:"),
        (
            format!("{good}config: subset.yaml\n"),
            1,
            "error[unknown-subset]",
        ),
        (
            good.replace("a: {}", "a: {replicas: [{addresses: ['10.0.0.9:80']}]}"),
            1,
            "no endpoint of `a` is at `10.0.0.9:80`",
        ),
        (good.to_owned(), 0, ""),
    ] {
        let output = simulate(&[&write("bad.yaml", &text)]);
        let errors = self::text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}{errors}");
        assert!(errors.contains(told), "{errors}");
    }
    for args in [
        &["nowhere.yaml"][..],
        &["--picture", "a.png", "cascade.yaml"],
        &[],
    ] {
        assert_eq!(simulate(args).status.code(), Some(2), "{args:?}");
    }
    fs::remove_dir_all(folder).expect("it was there");
}

#[test]
fn a_picture_stands_alone() {
    let folder = std::env::temp_dir().join(format!("outrigger-picture-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    for name in ["picture.svg", "picture.html"] {
        let path = folder.join(name).display().to_string();
        let draw = || {
            let output = simulate(&["zone-outage.yaml", "--picture", &path]);
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
            fs::read_to_string(&path).expect("it was drawn")
        };
        let picture = draw();
        for part in [
            "100 %",
            "users-a",
            "99 of 100",
            "eu/eu-a cut off",
            "shop-1",
            "prefers-color-scheme",
            " failed, half in ",
        ] {
            assert!(picture.contains(part), "`{part}` is not in {name}");
        }
        let foreign = picture.replace("http://www.w3.org/2000/svg", "");
        for part in ["http:", "https:", "<script", "url(", "@import", "href"] {
            assert!(!foreign.contains(part), "`{part}` is in {name}");
        }
        let is_whole = |tag: &str| {
            picture.matches(&format!("<{tag}")).count()
                == picture.matches(&format!("</{tag}>")).count()
        };
        assert!(
            is_whole("svg") && is_whole("text") && is_whole("title"),
            "{name}"
        );
        assert_eq!(picture, draw(), "the same seed, the same bytes");
    }
    fs::remove_dir_all(folder).expect("it was there");
}

#[test]
fn a_picture_of_two_policies_says_which_is_better_and_why() {
    let path = std::env::temp_dir().join(format!("outrigger-compared-{}.html", std::process::id()));
    let file = path.display().to_string();
    let rules = ["rules/chain.yaml", "rules/chain-ejection.yaml"];
    let output = simulate(&[
        "cascade.yaml",
        "--compare",
        rules[0],
        rules[1],
        "--picture",
        &file,
    ]);
    assert!(output.status.code().is_some_and(|code| code < 2));
    let page = fs::read_to_string(&path).expect("it was drawn");
    let (above, drawings) = page.split_once("<div class=\"wide columns\">").unwrap();
    // The same words as in the text.
    let told = text(&output.stdout);
    let told: Vec<&str> = told.split_whitespace().collect();
    let told = told.join(" ");
    for words in [
        "B is better than A",
        "users recovered: in A hurt for",
        "in A limits overflowed:",
        "in B no limit overflowed",
        "better for users: success",
    ] {
        assert!(above.contains(words), "`{words}` is not in the page");
        assert!(told.contains(words), "`{words}` is not in the text");
    }
    assert!(above.contains("pts</td><td class=\"why\">better</td>"));
    // Two columns, and one drawing of both for a telephone.
    assert_eq!(drawings.matches("<svg").count(), 3);
    fs::remove_file(&path).expect("it was there");

    // As a drawing alone, too: the second stands to the right of the first.
    let path = path.with_extension("svg");
    let file = path.display().to_string();
    let compared = ["cascade.yaml", "--compare", rules[0], rules[1]];
    simulate(&[&compared[..], &["--picture", &file]].concat());
    let drawing = fs::read_to_string(&path).expect("it was drawn");
    assert!(drawing.contains("viewBox=\"0 0 1080 "), "two columns");
    assert!(drawing.contains("<svg x=\"540\" width=\"540\""));
    fs::remove_file(path).expect("it was there");
}
