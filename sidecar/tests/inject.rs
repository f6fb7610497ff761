//! `outrigger inject` from outside: files and standard input in, documents out, words on standard error, exit codes.
#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

const POD: &str = "\
# Sells things.
apiVersion: v1
kind: Pod
metadata: {name: cart, namespace: shop, annotations: {sidecar.istio.io/extraStatTags: a}}
spec: {containers: [{name: app, image: \"cart:1\"}]}
";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: cart,   namespace: shop}\nspec: {ports: [{port: 80}]}\n";

/// A folder for one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn with(test: &str, files: &[(&str, &str)]) -> Self {
        let path =
            std::env::temp_dir().join(format!("outrigger-inject-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        for (name, text) in files {
            fs::write(path.join(name), text).unwrap();
        }
        Self(path)
    }

    /// Exit code, standard output, standard error.
    fn inject(&self, args: &[&str], input: &str) -> (i32, String, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_outrigger"))
            .arg("inject")
            .args(args)
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that does not read has nothing to read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn documents_come_out_with_their_sidecars() {
    let folder = Folder::with("documents", &[("pod.yaml", POD), ("service.yaml", SERVICE)]);
    let (code, out, err) = folder.inject(&["-f", "service.yaml", "-f", "pod.yaml"], "");
    assert_eq!(code, 0, "{err}");
    let (service, pod) = out.split_once("---\n").unwrap();
    assert_eq!(service, SERVICE);
    assert!(
        pod.starts_with("# Sells things.\napiVersion: v1\nkind: Pod\n"),
        "{pod}"
    );
    assert!(pod.contains("\n  - name: istio-proxy\n"), "{pod}");
    assert_eq!(
        err,
        "Pod shop/cart: injected\n  warning: annotation `sidecar.istio.io/extraStatTags` is not in effect\n"
    );
    // What came out goes in again, by standard input, and stays.
    let (code, again, err) = folder.inject(&["-f", "-"], &out);
    assert_eq!((code, again), (0, out));
    assert_eq!(err, "Pod shop/cart: not injected: it has a sidecar\n");
}

#[test]
fn machines_get_json_and_patches() {
    let folder = Folder::with("machines", &[("pod.yaml", POD), ("service.yaml", SERVICE)]);
    let (code, out, err) = folder.inject(&["-f", ".", "--format", "json", "--quiet"], "");
    assert_eq!((code, err.as_str()), (0, ""));
    let objects: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        objects[0]["spec"]["initContainers"][1]["name"],
        "istio-proxy"
    );
    assert_eq!(objects[1]["kind"], "Service");
    let (_, out, _) = folder.inject(&["-f", ".", "--format", "patch"], "");
    let patch: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(patch["what"][0], "Pod shop/cart");
    assert_eq!(patch["patch"][0]["op"], "add");
}

#[test]
fn settings_and_namespaces_count() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: disabled}}\n";
    let roots = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let folder = Folder::with(
        "settings",
        &[
            ("pod.yaml", POD),
            ("namespace.yaml", namespace),
            ("settings.yaml", "image: mine:7\n"),
            ("roots.pem", roots),
            ("mesh.yaml", "defaultConfig: {concurrency: 7}\n"),
        ],
    );
    let (_, out, _) = folder.inject(
        &[
            "-f",
            "pod.yaml",
            "--settings",
            "settings.yaml",
            "--roots",
            "roots.pem",
        ],
        "",
    );
    assert!(out.contains("image: mine:7\n"), "{out}");
    assert!(out.contains("outrigger.dev/root-cert: |\n"), "{out}");
    let (_, out, _) = folder.inject(&["-f", "pod.yaml", "--mesh-config", "mesh.yaml"], "");
    assert!(out.contains("    - --workers=7\n"), "{out}");
    let (code, out, err) = folder.inject(&["-f", "pod.yaml", "-f", "namespace.yaml"], "");
    assert_eq!((code, out), (0, format!("{POD}---\n{namespace}")));
    assert_eq!(
        err,
        "Pod shop/cart: not injected: its namespace says `istio-injection: disabled`\n"
    );
}

#[test]
fn what_cannot_be_done_has_an_exit_code_of_its_own() {
    let bad = POD.replace("extraStatTags: a", "nativeSidecar: maybe");
    let folder = Folder::with(
        "refused",
        &[
            ("bad.yaml", &bad),
            ("broken.yaml", "a: [\n"),
            ("settings.yaml", "imge: a\n"),
            ("pod.yaml", POD),
        ],
    );
    for (args, code, says) in [
        (
            &["-f", "pod.yaml", "-f", "bad.yaml"][..],
            1,
            "error: bad.yaml: Pod shop/cart: annotation `sidecar.istio.io/nativeSidecar`: `maybe`",
        ),
        (&["-f", "broken.yaml"], 2, "error: broken.yaml:"),
        (&["-f", "absent.yaml"], 2, "absent.yaml"),
        (
            &["-f", "pod.yaml", "--settings", "settings.yaml"],
            2,
            "`settings.yaml`: unknown field `imge`",
        ),
        (
            &["-f", "pod.yaml", "--roots", "pod.yaml"],
            2,
            "there is no certificate in PEM",
        ),
        (&[], 2, "--filename <FILE>"),
    ] {
        let (got, out, err) = folder.inject(args, "");
        assert_eq!((got, out.as_str()), (code, ""), "{err}");
        assert!(err.contains(says), "{err}");
    }
}
