//! The program as a gateway, over real sockets and with real certificates: what its servers say, who comes in, and what
//! becomes of both when files change.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/mesh.rs"]
mod mesh;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use mesh::{Mesh, mirror};
use proxy::{Folder, Proxy, ask};

const HEAD: &str = "apiVersion: networking.istio.io/v1\n";

/// What a gateway carries: `shop.example` in clear text, with MUTUAL by files, and `till.example` with SIMPLE by a secret.
fn carried(mesh: &Mesh, application: SocketAddr) -> String {
    let (chain, key, roots) = (
        mesh.text("cart/cert-chain.pem"),
        mesh.text("cart/key.pem"),
        mesh.text("cart/root-cert.pem"),
    );
    format!(
        "{HEAD}kind: Gateway\nmetadata: {{name: public, namespace: edge}}\nspec:\n  selector: {{istio: edge}}\n  servers:\n  \
         - {{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [shop.example]}}\n  \
         - port: {{number: 443, name: shop, protocol: HTTPS}}\n    hosts: [shop.example]\n    \
           tls: {{mode: MUTUAL, serverCertificate: {chain}, privateKey: {key}, caCertificates: {roots}}}\n  \
         - {{port: {{number: 443, name: till, protocol: HTTPS}}, hosts: [till.example], tls: {{mode: SIMPLE, credentialName: till}}}}\n\
         ---\n{HEAD}kind: VirtualService\nmetadata: {{name: shop, namespace: edge}}\nspec:\n  \
         hosts: [shop.example, till.example]\n  gateways: [public]\n  http: [{{route: [{{destination: {{host: app.test}}}}]}}]\n\
         ---\n{HEAD}kind: ServiceEntry\nmetadata: {{name: app, namespace: edge}}\nspec: {{hosts: [app.test], resolution: STATIC, \
         ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {}}}], endpoints: [{{address: 127.0.0.1}}]}}\n",
        application.port(),
    )
}

/// A sidecar that reaches a host at an address, by a rule for TLS. It stands for a client that speaks it.
fn client(mesh: &Mesh, at: SocketAddr, host: &str, tls: &str) -> Proxy {
    let text = format!(
        "{HEAD}kind: ServiceEntry\nmetadata: {{name: e}}\nspec: {{hosts: [{host}], resolution: STATIC, \
         ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {}}}], endpoints: [{{address: 127.0.0.1}}]}}\n---\n\
         {HEAD}kind: DestinationRule\nmetadata: {{name: r}}\nspec: {{host: {host}, trafficPolicy: {{tls: {tls}}}}}\n---\n\
         {HEAD}kind: VirtualService\nmetadata: {{name: v}}\nspec: {{hosts: [{host}], http: [{{route: [{{destination: {{host: {host}}}}}], \
         retries: {{attempts: 0}}}}]}}\n",
        at.port()
    );
    mesh.folder.write("client/edge.yaml", &text);
    Proxy::start(&mesh.path("client"), &[])
}

fn secret(mesh: &Mesh, name: &str, of: &str) -> String {
    let part = |file: &str| {
        let text = fs::read_to_string(mesh.path(&format!("{of}/{file}"))).unwrap();
        text.lines()
            .map(|line| format!("    {line}\n"))
            .collect::<String>()
    };
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: edge}}\nstringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
        part("cert-chain.pem"),
        part("key.pem")
    )
}

fn gateway(mesh: &Mesh, runtime: &str) -> Proxy {
    let more = [
        "--runtime",
        runtime,
        "--namespace",
        "edge",
        "--label",
        "istio=edge",
        "--gateway",
        "80=127.0.0.1:0",
        "--gateway",
        "443=127.0.0.1:0",
    ];
    Proxy::start(&mesh.path("edge"), &more)
}

#[test]
fn a_gateway_serves_what_its_servers_say() {
    for (mesh, runtime) in Mesh::each("gateway").zip(["tokio", "auto"]) {
        fs::create_dir_all(mesh.path("edge")).unwrap();
        let application = mirror();
        mesh.folder
            .write("edge/edge.yaml", &carried(&mesh, application));
        let gateway = gateway(&mesh, runtime);
        let plain = gateway.addr("gateway 80 at");
        let get = |host: &str| {
            let more = "x-forwarded-for: 9.9.9.9\r\nx-forwarded-proto: https\r\nconnection: close";
            ask(
                plain,
                &format!("GET / HTTP/1.1\r\nhost: {host}\r\n{more}\r\n\r\n"),
            )
        };
        let seen = get("shop.example");
        assert!(seen.starts_with("HTTP/1.1 200"), "{seen}");
        assert!(
            seen.contains("x-forwarded-for: 9.9.9.9,127.0.0.1"),
            "{seen}"
        );
        assert!(seen.contains("x-forwarded-proto: http\r\n"), "{seen}");
        assert!(get("other.example").starts_with("HTTP/1.1 404"));

        let tls = gateway.addr("gateway 443 at");
        let roots = mesh.text("web/root-cert.pem");
        let names = "subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/cart']";
        let proved = format!(
            "{{mode: MUTUAL, clientCertificate: {}, privateKey: {}, caCertificates: {roots}, {names}}}",
            mesh.text("web/cert-chain.pem"),
            mesh.text("web/key.pem")
        );
        let known = client(&mesh, tls, "shop.example", &proved);
        let seen = known.get("shop.example");
        assert!(seen.contains("x-forwarded-proto: https\r\n"), "{seen}");
        let unproved = format!("{{mode: SIMPLE, caCertificates: {roots}, {names}}}");
        let unknown = client(&mesh, tls, "shop.example", &unproved);
        assert!(unknown.get("shop.example").starts_with("HTTP/1.1 503"));

        // A secret that comes later is taken without a restart.
        let till = client(&mesh, tls, "till.example", &unproved);
        assert!(till.get("till.example").starts_with("HTTP/1.1 503"));
        mesh.folder
            .write("edge/till.yaml", &secret(&mesh, "till", "cart"));
        gateway.wait_for("took the certificate and key of secret edge/till");
        assert!(till.get("till.example").starts_with("HTTP/1.1 200"));
        assert_eq!(gateway.end().0, Some(0));
    }
}

#[test]
fn a_port_without_a_server_closes() {
    let folder = Folder::new("gateway-bare");
    folder.write("a.yaml", "");
    let gateway = Proxy::start(&folder.0, &["--gateway", "80=127.0.0.1:0"]);
    let mut stream = TcpStream::connect(gateway.addr("gateway 80 at")).unwrap();
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty(), "{answer:?}");
}

#[test]
fn what_a_gateway_did_is_decided_again() {
    let folder = Folder::new("gateway-record");
    let rules = folder.0.join("rules");
    fs::create_dir(&rules).unwrap();
    let server = |port: u16, host: &str| {
        format!(
            "{HEAD}kind: Gateway\nmetadata: {{name: g{port}}}\nspec: {{selector: {{}}, servers: [{{port: {{number: {port}, name: http, protocol: HTTP}}, hosts: [{host}]}}]}}\n---\n\
             {HEAD}kind: VirtualService\nmetadata: {{name: v{port}}}\nspec: {{hosts: [{host}], gateways: [g{port}], http: [{{directResponse: {{status: 201}}}}]}}\n---\n"
        )
    };
    let write = |text: &str| {
        fs::write(folder.0.join("new"), text).unwrap();
        fs::rename(folder.0.join("new"), rules.join("a.yaml")).unwrap();
    };
    write(&server(80, "a.test"));
    let file = folder.0.join("run.rec");
    let gateway = Proxy::start(
        &rules,
        &[
            "--gateway",
            "127.0.0.1:0",
            "--xff-trusted-hops",
            "1",
            "--minimum-drain-time",
            "0",
            "--record",
            file.to_str().unwrap(),
        ],
    );
    let get = |at: SocketAddr, host: &str| {
        let more = "x-forwarded-for: 9.9.9.9\r\nconnection: close";
        ask(
            at,
            &format!("GET / HTTP/1.1\r\nhost: {host}\r\n{more}\r\n\r\n"),
        )
    };
    let first = gateway.addr("gateway 80 at");
    assert!(get(first, "a.test").starts_with("HTTP/1.1 201"));
    assert!(get(first, "b.test").starts_with("HTTP/1.1 404"));
    write(&(server(80, "a.test") + &server(81, "b.test")));
    let told = gateway.wait_for("opened port 81 of Gateways");
    let second = told.rsplit_once(" at ").unwrap().1.trim().parse().unwrap();
    assert!(get(second, "b.test").starts_with("HTTP/1.1 201"));
    assert_eq!(gateway.end().0, Some(0));
    let replay = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_outrigger"));
        let output = command
            .args(["replay", "--format", "json"])
            .args(more)
            .arg(&file);
        let output = output.output().unwrap();
        let told =
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), told)
    };
    let (code, told) = replay(&[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("\"requests\": 3"), "{told}");
    // Other rules are those of the same gateway.
    write(&(server(80, "a.test").replace("201", "202") + &server(81, "b.test")));
    let (code, told) = replay(&["--config", rules.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("\"otherwise\": 1"), "{told}");
}

/// A Gateway of the Gateway API and routes of two namespaces, of which one may name what the other has.
fn api(application: SocketAddr, more: &str) -> String {
    const API: &str = "apiVersion: gateway.networking.k8s.io/v1\n";
    let port = application.port();
    format!(
        "{API}kind: Gateway\nmetadata: {{name: public, namespace: edge}}\nspec:\n  gatewayClassName: istio\n  listeners:\n  \
         - {{name: http, port: 80, protocol: HTTP, hostname: '*.example', allowedRoutes: {{namespaces: {{from: All}}}}}}\n  \
         - {{name: till, port: 443, protocol: HTTPS, hostname: till.example, tls: {{certificateRefs: [{{name: till}}]}}}}\n\
         ---\n{API}kind: HTTPRoute\nmetadata: {{name: shop, namespace: edge}}\nspec:\n  parentRefs: [{{name: public}}]\n  rules:\n  \
         - matches: [{{path: {{value: /old}}}}]\n    \
           filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /new}}}}}}]\n    \
           backendRefs: [{{name: app, port: 80}}]\n  \
         - matches: [{{path: {{value: /other}}}}]\n    backendRefs: [{{name: app, namespace: shop, port: 80}}]\n\
         ---\n{API}kind: HTTPRoute\nmetadata: {{name: shop, namespace: shop}}\nspec:\n  parentRefs: [{{name: public, namespace: edge}}]\n  \
         hostnames: [shop.example]\n  rules: [{{backendRefs: [{{name: app, port: 80}}]}}]\n---\n\
         {}{}{more}",
        service("edge", port),
        service("shop", port),
    )
}

fn service(namespace: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: app, namespace: {namespace}}}\nspec: {{ports: [{{name: http, port: 80, targetPort: {port}}}]}}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: app, namespace: {namespace}, labels: {{kubernetes.io/service-name: app}}}}\n\
         addressType: IPv4\nports: [{{name: http, port: {port}}}]\nendpoints: [{{addresses: [127.0.0.1]}}]\n---\n"
    )
}

#[test]
fn a_gateway_serves_the_gateway_api() {
    for (mesh, runtime) in Mesh::each("gateway-api").zip(["tokio", "auto"]) {
        fs::create_dir_all(mesh.path("edge")).unwrap();
        let application = mirror();
        mesh.folder.write("edge/edge.yaml", &api(application, ""));
        mesh.folder
            .write("edge/till.yaml", &secret(&mesh, "till", "cart"));
        let more = [
            "--runtime",
            runtime,
            "--namespace",
            "edge",
            "--label",
            "gateway.networking.k8s.io/gateway-name=public",
            "--gateway",
            "80=127.0.0.1:0",
            "--gateway",
            "443=127.0.0.1:0",
        ];
        let gateway = Proxy::start(&mesh.path("edge"), &more);
        let plain = gateway.addr("gateway 80 at");
        let get = |host: &str, path: &str| {
            let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            ask(plain, &head)
        };
        assert!(get("shop.example", "/").starts_with("HTTP/1.1 200"));
        assert!(get("cart.example", "/").starts_with("HTTP/1.1 404"));
        assert!(get("shop.test", "/").starts_with("HTTP/1.1 404"));
        let seen = get("cart.example", "/old/x?q");
        assert!(seen.contains("GET /new/x?q HTTP/1.1"), "{seen}");
        let listeners = gateway.admin("GET /listeners");
        assert!(listeners.contains("gateway_127.0.0.1_"), "{listeners}");
        assert!(!listeners.contains("inbound_"), "{listeners}");
        let told = gateway.admin("GET /explain?request=http://shop.example/&gateway=80");
        assert!(told.contains("spec.rules[0]"), "{told}");
        // Nobody of the other namespace lets it be named.
        assert!(get("cart.example", "/other").starts_with("HTTP/1.1 500"));
        let roots = mesh.text("web/root-cert.pem");
        let names = "subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/cart']";
        let simple = format!("{{mode: SIMPLE, caCertificates: {roots}, {names}}}");
        let tls = gateway.addr("gateway 443 at");
        let till = client(&mesh, tls, "till.example", &simple);
        assert!(till.get("till.example").starts_with("HTTP/1.1 404"));

        let grant = "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: edge, namespace: shop}\n\
                     spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: edge}], to: [{group: '', kind: Service}]}\n";
        mesh.folder
            .write("edge/edge.yaml", &api(application, grant));
        gateway.wait_for("revision 2");
        assert!(get("cart.example", "/other").starts_with("HTTP/1.1 200"));
        assert_eq!(gateway.end().0, Some(0));
    }
}
