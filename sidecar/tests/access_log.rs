//! Access logs of a running program: which requests are logged, where, and how lines look.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::fs;
use std::path::Path;
use std::thread;

use proxy::{Folder, Proxy, application, refused, shop};

/// What a file holds once it has so many lines.
fn lines(path: &Path, count: usize) -> String {
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= count {
            return text;
        }
        thread::yield_now();
    }
}

/// Where a mesh configuration stands, which is no resource.
fn mesh(folder: &Folder, text: &str) -> String {
    let path = folder.0.with_extension("mesh");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A Telemetry resource of the mesh.
fn telemetry(entries: &str) -> String {
    format!(
        "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {{name: t, namespace: istio-system}}\n\
         spec: {{accessLogging: [{entries}]}}\n"
    )
}

fn get(proxy: &Proxy, path: &str) -> String {
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\nx-a: b\r\nconnection: close\r\n\r\n");
    proxy.ask("outbound", &request)
}

/// A file of the mesh's own, Telemetry in its place, a filter, and a file that was moved away.
#[test]
fn the_configuration_says_what_is_logged() {
    let folder = Folder::new("access-log-configured");
    let logs = Folder::new("access-log-files");
    folder.write("shop.yaml", &shop(application("the shop")));
    let (all, some) = (logs.0.join("all"), logs.0.join("some"));
    let mesh = mesh(
        &folder,
        &format!(
            "accessLogFile: {}\naccessLogFormat: '%REQ(:METHOD)% %REQ(X-A)% %RESPONSE_CODE%'\n\
             extensionProviders:\n- name: some\n  envoyFileAccessLog:\n    path: {}\n    logFormat:\n      labels:\n        \
             path: '%REQ(:PATH)%'\n        code: '%RESPONSE_CODE%'\n        none: '%RESP(X-NONE)%'\n",
            all.display(),
            some.display()
        ),
    );
    let proxy = Proxy::start(&folder.0, &["--mesh-config", &mesh]);
    assert!(get(&proxy, "/").ends_with("the shop"));
    assert_eq!(lines(&all, 1), "GET b 200\n");

    // From now on a Telemetry resource says it, and takes some requests only.
    let filter = "filter: {expression: \"request.url_path == '/wanted' && response.code < 400\"}";
    let entry = format!("{{providers: [{{name: some}}], match: {{mode: CLIENT}}, {filter}}}");
    folder.write("telemetry.yaml", &telemetry(&entry));
    proxy.wait_for("reloaded; revision 2");
    get(&proxy, "/unwanted");
    get(&proxy, "/wanted?1");
    let wanted = "{\"path\":\"/wanted?1\",\"code\":200,\"none\":null}\n";
    assert_eq!(lines(&some, 1), wanted);

    // A file that was moved away is opened again when somebody says so.
    fs::rename(&some, logs.0.join("some.1")).unwrap();
    proxy.signal("-USR1");
    while !some.exists() {
        thread::yield_now();
    }
    get(&proxy, "/wanted?2");
    assert!(lines(&some, 1).contains("/wanted?2"));
    assert_eq!(lines(&logs.0.join("some.1"), 1), wanted);
    assert_eq!(lines(&all, 1), "GET b 200\n");

    // An expression that is not understood is refused, and what was logged still is.
    folder.write(
        "telemetry.yaml",
        &telemetry("{providers: [{name: some}], filter: {expression: 'response.cod == 1'}}"),
    );
    proxy.wait_for("`response.cod` is not understood");
    proxy.wait_for("kept revision 2");
    get(&proxy, "/wanted?3");
    assert!(lines(&some, 2).contains("/wanted?3"));
    assert_eq!(proxy.end(), (Some(0), String::new()));
    fs::remove_file(mesh).unwrap();
}

#[test]
fn the_command_line_goes_before_the_configuration() {
    let folder = Folder::new("access-log-command-line");
    folder.write("shop.yaml", &shop(application("the shop")));
    let mesh = mesh(&folder, "accessLogFile: /dev/stdout\n");
    let with = |more: &[&str]| {
        let proxy = Proxy::start(&folder.0, &[&["--mesh-config", &mesh], more].concat());
        get(&proxy, "/a");
        let nobody = "GET /b HTTP/1.1\r\nhost: nobody.example\r\nconnection: close\r\n\r\n";
        proxy.ask("outbound", nobody);
        let (code, log) = proxy.end();
        assert_eq!(code, Some(0), "{more:?}");
        log
    };
    assert_eq!(with(&[]).lines().count(), 2);
    assert_eq!(with(&["--access-log", "off"]), "");
    let json = with(&["--access-log", "json"]);
    assert!(json.lines().all(|line| line.starts_with('{')), "{json}");
    let format = "%REQ(:PATH)% %ROUTE_NAME% %UPSTREAM_REQUEST_ATTEMPT_COUNT%";
    let text = with(&["--access-log-format", format]);
    assert!(text.starts_with("/a "), "{text}");
    let only = with(&["--access-log-only", "errors"]);
    assert_eq!(only.lines().count(), 1, "{only}");
    assert!(only.contains("GET /b HTTP/1.1\" 503 "), "{only}");
    assert_eq!(with(&["--access-log-only", "slow=1h,sample=0"]), "");

    let file = folder.0.with_extension("log");
    let to_file = ["--access-log-file", file.to_str().unwrap()];
    assert_eq!(with(&to_file), "");
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 2);
    fs::remove_file(file).unwrap();

    let (code, told) = refused(&folder.0, &["--access-log-format", "%NO_SUCH%"]);
    assert_eq!(code, Some(2));
    assert!(
        told.contains("`%NO_SUCH%` is not a known format operator"),
        "{told}"
    );
    fs::remove_file(mesh).unwrap();
}

/// A file that cannot be opened costs its lines and nothing else.
#[test]
fn a_file_that_cannot_be_opened_stops_nothing() {
    let folder = Folder::new("access-log-missing");
    folder.write("shop.yaml", &shop(application("the shop")));
    let path = folder.0.join("no/such/folder");
    let proxy = Proxy::start(&folder.0, &["--access-log-file", path.to_str().unwrap()]);
    assert!(get(&proxy, "/").ends_with("the shop"));
    let dropped = |proxy: &Proxy| {
        let stats = proxy.admin("GET /stats");
        stats.contains("outrigger.access_log_lines_dropped: 1\n")
    };
    while !dropped(&proxy) {
        thread::yield_now();
    }
    proxy.wait_for("access log: the limit of lines that its file takes is reached, and refused 1");
    proxy.signal("-TERM");
    proxy.wait_for("Z warning: 1 lines of access logs were never written");
    assert_eq!(proxy.end().0, Some(0));
}
