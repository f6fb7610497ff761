//! The stage: a proxy as a program that records, endpoints that fail in their ways, and clients.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use super::support::{PATIENCE, Told};

/// Everything at once: two of three endpoints fail in their ways, and whoever does is tried elsewhere and ejected. Only
/// `/copied` leaves nothing to chance: a request that overflows, or whose roll falls so, has no copy.
pub(super) fn rules(
    good: SocketAddr,
    bad: SocketAddr,
    slow: SocketAddr,
    mirror: SocketAddr,
) -> String {
    let entry = |name: &str, endpoints: &[SocketAddr]| {
        let listed: Vec<_> = endpoints
            .iter()
            .map(|at| format!("{{address: {}, ports: {{http: {}}}}}", at.ip(), at.port()))
            .collect();
        format!(
            "apiVersion: networking.istio.io/v1\n\
             kind: ServiceEntry\n\
             metadata: {{name: {name}, namespace: default}}\n\
             spec:\n\
             \x20 hosts: [{name}.example]\n\
             \x20 location: MESH_INTERNAL\n\
             \x20 resolution: STATIC\n\
             \x20 ports: [{{number: 80, name: http, protocol: HTTP}}]\n\
             \x20 endpoints: [{}]\n\
             ---\n",
            listed.join(", ")
        )
    };
    entry("shop", &[good, bad, slow])
        + &entry("mirror", &[mirror])
        + "apiVersion: networking.istio.io/v1\n\
           kind: VirtualService\n\
           metadata:\n\
           \x20 name: shop\n\
           \x20 namespace: default\n\
           \x20 annotations: {outrigger.dev/hedge-on-per-try-timeout: \"true\"}\n\
           spec:\n\
           \x20 hosts: [shop.example]\n\
           \x20 http:\n\
           \x20 - match: [{uri: {prefix: /abort}}]\n\
           \x20   fault: {abort: {httpStatus: 418, percentage: {value: 50}}}\n\
           \x20   timeout: 2s\n\
           \x20   retries: {attempts: 3, perTryTimeout: 50ms, retryOn: 5xx}\n\
           \x20   route: [{destination: {host: shop.example}}]\n\
           \x20 - match: [{uri: {prefix: /copied}}]\n\
           \x20   route: [{destination: {host: mirror.example}}]\n\
           \x20   mirror: {host: mirror.example}\n\
           \x20 - timeout: 2s\n\
           \x20   route: [{destination: {host: shop.example}}]\n\
           \x20   mirror: {host: mirror.example}\n\
           \x20   mirrorPercentage: {value: 50}\n\
           \x20   retries: {attempts: 3, perTryTimeout: 50ms, retryOn: 5xx}\n\
           ---\n\
           apiVersion: networking.istio.io/v1\n\
           kind: DestinationRule\n\
           metadata: {name: shop, namespace: default}\n\
           spec:\n\
           \x20 host: shop.example\n\
           \x20 trafficPolicy:\n\
           \x20   outlierDetection: {consecutive5xxErrors: 2, interval: 1s, baseEjectionTime: 60s, maxEjectionPercent: 50}\n\
           \x20   connectionPool: {tcp: {maxConnections: 6}, http: {http1MaxPendingRequests: 2}}\n"
}

/// What bodies say, and nothing else does.
pub(super) const REQUEST_BODY: &str = "hello";
pub(super) const RESPONSE_BODY: &str = "g00d";
pub(super) const FAILURE_BODY: &str = "broken";

/// A folder of its own for one test.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(test: &str) -> Self {
        let name = format!("outrigger-replay-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("rules")).unwrap();
        Self(path)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.join("run.rec")
    }

    pub(super) fn configure(&self, text: &str) {
        let new = self.0.join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.0.join("rules/rules.yaml")).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A proxy that records.
pub(super) struct Proxy {
    child: Child,
    pub(super) told: Told,
    pub(super) addr: SocketAddr,
}

impl Proxy {
    pub(super) fn start(folder: &Folder, workers: &str, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_outrigger"))
            .args(["run", "--workers", workers])
            .args(["--outbound", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--config", "rules", "--record", "run.rec"])
            .current_dir(&folder.0)
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let told = Told::by(child.stderr.take().unwrap());
        let greeting = told.wait_for("outbound");
        let (_, rest) = greeting.split_once("outbound ").unwrap();
        let addr = rest.split(',').next().unwrap().parse().unwrap();
        Self { child, told, addr }
    }

    pub(super) fn end(mut self) {
        let pid = self.child.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(killed.unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks for these paths on one connection, and reads every answer.
pub(super) fn ask(addr: SocketAddr, paths: &[&str]) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for (number, path) in (1..).zip(paths) {
        let end = match number == paths.len() {
            true => "connection: close\r\n",
            false => "",
        };
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: shop.example\r\n{end}content-length: 5\r\n\r\n{REQUEST_BODY}"
        );
        stream.write_all(request.as_bytes()).unwrap();
    }
    stream.read_to_end(&mut Vec::new()).unwrap();
}

/// What an endpoint does with a request.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    Ok,
    Fail,
    /// Nothing, for as long as the connection lasts.
    Never,
}

/// An endpoint that keeps connections.
pub(super) fn endpoint(answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream, answer));
        }
    });
    addr
}

pub(super) fn serve(mut stream: TcpStream, answer: Answer) -> Option<()> {
    let mut request = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = String::from("-");
        while !line.trim_end().is_empty() {
            line.clear();
            if request.read_line(&mut line).ok()? == 0 {
                return None;
            }
        }
        request.read_exact(&mut [0; 5]).ok()?;
        let response = match answer {
            Answer::Ok => format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{RESPONSE_BODY}\r\n0\r\n\r\n"
            ),
            Answer::Fail => format!(
                "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 6\r\n\r\n{FAILURE_BODY}"
            ),
            Answer::Never => continue,
        };
        stream.write_all(response.as_bytes()).ok()?;
    }
}

/// So many clients at the same time.
pub(super) fn many(proxy: &Proxy, clients: usize) {
    let addr = proxy.addr;
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(move || ask(addr, &["/a", "/abort", "/copied", "/b"]));
        }
    });
}

/// A run in which much goes wrong, with a reload in its middle in which an endpoint goes and another one comes.
pub(super) fn record(folder: &Folder, clients: usize, workers: &str, more: &[&str]) {
    let (good, other) = (endpoint(Answer::Ok), endpoint(Answer::Ok));
    let (bad, slow) = (endpoint(Answer::Fail), endpoint(Answer::Never));
    folder.configure(&rules(good, bad, slow, other));
    let proxy = Proxy::start(folder, workers, more);
    many(&proxy, clients);
    folder.configure(&rules(good, other, slow, good));
    proxy.told.wait_for("reloaded");
    many(&proxy, clients);
    proxy.end();
}
