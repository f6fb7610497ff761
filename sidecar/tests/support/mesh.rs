//! A mesh on this machine, for tests: an authority, identities, and the folders of two sidecars that speak to each other.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]
#![allow(dead_code, reason = "each test program uses its share")]

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use super::proxy::{Folder, Proxy};

/// An application that answers with the head that it got.
pub(crate) fn mirror() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut reader = BufReader::new(&stream);
                let mut head = String::new();
                while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
                let length = head.len();
                let _ = write!(
                    &stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{head}"
                );
            });
        }
    });
    addr
}

/// Where sidecars run; without io_uring `auto` takes tokio, and says so.
const RUNTIMES: [&str; 2] = ["tokio", "auto"];

/// A mesh on this machine: an authority, identities, and the folders of two sidecars.
pub(crate) struct Mesh {
    pub(crate) folder: Folder,
    runtime: &'static str,
}

impl Mesh {
    /// One for each runtime.
    pub(crate) fn each(test: &str) -> impl Iterator<Item = Self> {
        let all = RUNTIMES.into_iter();
        all.map(move |runtime| Self::on(runtime, &format!("{test}-{runtime}")))
    }

    /// One whose sidecars run where they choose.
    pub(crate) fn new(test: &str) -> Self {
        Self::on("auto", test)
    }

    fn on(runtime: &'static str, test: &str) -> Self {
        let mesh = Self {
            folder: Folder::new(test),
            runtime,
        };
        for sub in ["server", "client"] {
            fs::create_dir_all(mesh.path(sub)).unwrap();
        }
        mesh.ca(&["init", "CA"]);
        mesh.issue("cart");
        mesh.issue("web");
        mesh
    }

    /// Where a sidecar runs whose other arguments do not say so.
    fn runtime(&self, more: &[&str]) -> Vec<&str> {
        match more.contains(&"--runtime") {
            true => Vec::new(),
            false => vec!["--runtime", self.runtime],
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// Asks the authority; `CA` stands for its folder.
    pub(crate) fn ca(&self, args: &[&str]) {
        let folder = self.text("ca");
        let args = args.iter().map(|arg| match *arg {
            "CA" => folder.as_str(),
            other => other,
        });
        let output = Command::new(env!("CARGO_BIN_EXE_outrigger"))
            .arg("ca")
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    pub(crate) fn issue(&self, account: &str) {
        let out = self.text(account);
        self.ca(&[
            "issue",
            "CA",
            "--namespace",
            "shop",
            "--service-account",
            account,
            "--out",
            &out,
        ]);
    }

    /// A sidecar before the application, of the service account `cart`.
    pub(crate) fn server(&self, policy: &str, application: SocketAddr) -> Proxy {
        self.server_with(policy, application, &[])
    }

    /// The same with more arguments.
    pub(crate) fn server_with(
        &self,
        policy: &str,
        application: SocketAddr,
        more: &[&str],
    ) -> Proxy {
        self.folder.write(
            "server/policy.yaml",
            &format!(
                "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: p, namespace: shop}}\nspec: {policy}\n"
            ),
        );
        let (identity, inbound) = (self.text("cart"), format!("127.0.0.1:0={application}"));
        let mut args = vec![
            "--namespace",
            "shop",
            "--identity",
            &identity,
            "--inbound",
            &inbound,
        ];
        args.extend(self.runtime(more));
        args.extend(more);
        Proxy::start(&self.path("server"), &args)
    }

    /// A sidecar that calls `cart.shop`, which is at an address and says to be of this service account.
    pub(crate) fn client(&self, server: &Proxy, account: &str, rule: &str) -> Proxy {
        let policy = match rule {
            "" => String::new(),
            rule => format!("{{tls: {rule}}}"),
        };
        self.client_with(server, account, &policy, &[])
    }

    /// The same with a whole `trafficPolicy`, and with more arguments.
    pub(crate) fn client_with(
        &self,
        server: &Proxy,
        account: &str,
        policy: &str,
        more: &[&str],
    ) -> Proxy {
        let port = server.addr("inbound").port();
        let rule = match policy {
            "" => String::new(),
            policy => format!(
                "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r}}\n\
                 spec: {{host: cart.shop, trafficPolicy: {policy}}}\n"
            ),
        };
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: cart}}\n\
             spec:\n  hosts: [cart.shop]\n  location: MESH_INTERNAL\n  resolution: STATIC\n  \
             ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {port}}}]\n  \
             endpoints: [{{address: 127.0.0.1, serviceAccount: {account}}}]\n{rule}"
        );
        self.folder.write("client/cart.yaml", &text);
        let identity = self.text("web");
        let mut args = vec!["--namespace", "shop", "--identity", &identity];
        args.extend(self.runtime(more));
        args.extend(more);
        Proxy::start(&self.path("client"), &args)
    }
}
