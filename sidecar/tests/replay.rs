//! `outrigger run --record` and `outrigger replay` as programs: a run over real sockets is decided again bit for bit, and
//! what was altered is found where it stands.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use outrigger_core::decision::MirrorFate;
use outrigger_recording::{Frame, HEADER, Reader, SEGMENT_HEAD, Said, Saying, put_segment};
use serde_json::Value;
use support::{PATIENCE, Told};

/// Everything at once: two of three endpoints fail in their ways, and whoever does is tried elsewhere and ejected. Only
/// `/copied` leaves nothing to chance: a request that overflows, or whose roll falls so, has no copy.
fn rules(good: SocketAddr, bad: SocketAddr, slow: SocketAddr, mirror: SocketAddr) -> String {
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

/// A folder of its own for one test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("outrigger-replay-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("rules")).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("run.rec")
    }

    fn configure(&self, text: &str) {
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
struct Proxy {
    child: Child,
    told: Told,
    addr: SocketAddr,
}

impl Proxy {
    fn start(folder: &Folder, workers: &str, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_outrigger"))
            .args(["run", "--workers", workers])
            .args(["--outbound", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .arg("--config")
            .arg(folder.0.join("rules"))
            .arg("--record")
            .arg(folder.file())
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

    fn end(mut self) {
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
fn ask(addr: SocketAddr, paths: &[&str]) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for (number, path) in (1..).zip(paths) {
        let end = match number == paths.len() {
            true => "connection: close\r\n",
            false => "",
        };
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: shop.example\r\n{end}content-length: 5\r\n\r\nhello"
        );
        stream.write_all(request.as_bytes()).unwrap();
    }
    stream.read_to_end(&mut Vec::new()).unwrap();
}

/// What an endpoint does with a request.
#[derive(Clone, Copy)]
enum Answer {
    Ok,
    Fail,
    /// Nothing, for as long as the connection lasts.
    Never,
}

/// An endpoint that keeps connections.
fn endpoint(answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream, answer));
        }
    });
    addr
}

fn serve(mut stream: TcpStream, answer: Answer) -> Option<()> {
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
            Answer::Ok => {
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n"
            }
            Answer::Fail => "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 3\r\n\r\nbad",
            Answer::Never => continue,
        };
        stream.write_all(response.as_bytes()).ok()?;
    }
}

fn replay(file: &Path) -> (Option<i32>, Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .args(["replay", "--format", "json"])
        .arg(file)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), document, told)
}

/// So many clients at the same time.
fn many(proxy: &Proxy, clients: usize) {
    let addr = proxy.addr;
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(move || ask(addr, &["/a", "/abort", "/copied", "/b"]));
        }
    });
}

/// A run in which much goes wrong, with a reload in its middle in which an endpoint goes and another one comes.
fn record(folder: &Folder, workers: &str) {
    let (good, other) = (endpoint(Answer::Ok), endpoint(Answer::Ok));
    let (bad, slow) = (endpoint(Answer::Fail), endpoint(Answer::Never));
    folder.configure(&rules(good, bad, slow, other));
    let proxy = Proxy::start(folder, workers, &[]);
    many(&proxy, 6);
    folder.configure(&rules(good, other, slow, good));
    proxy.told.wait_for("reloaded");
    many(&proxy, 6);
    proxy.end();
}

/// The segments of a recording with its frames changed one by one, and where in the new file the last changed one stands.
fn rewrite(file: &Path, mut change: impl FnMut(&mut Frame<'_>) -> bool) -> u64 {
    let bytes = fs::read(file).unwrap();
    let mut reader = Reader::new(&bytes[..]).unwrap();
    let (mut new, mut place) = (HEADER.to_vec(), 0);
    while let Some(segment) = reader.next_segment().unwrap() {
        let mut block = vec![0; SEGMENT_HEAD];
        for frame in segment.frames() {
            let (_, mut frame) = frame.unwrap();
            if change(&mut frame) {
                place = (new.len() + block.len()) as u64;
            }
            frame.put(&mut block);
        }
        put_segment(&mut block);
        new.extend(block);
    }
    fs::write(file, new).unwrap();
    place
}

/// How many requests say that a copy of them was sent.
fn sent(file: &Path) -> usize {
    let mut copies = 0;
    rewrite(file, |frame| {
        let Frame::Said { outputs, .. } = frame else {
            return false;
        };
        for saying in Said::read(outputs) {
            if let Some(Saying::Ended(decided)) = saying {
                let mirrors = decided.mirrors.iter();
                copies += mirrors.filter(|m| m.fate == MirrorFate::Sent).count();
            }
        }
        false
    });
    copies
}

#[test]
fn an_altered_decision_is_found_where_it_stands() {
    let folder = Folder::new("altered");
    record(&folder, "1");
    let mut ended = 0;
    // The twentieth request is said to have seen another status.
    let place = rewrite(&folder.file(), |frame| {
        let Frame::Said { outputs, .. } = frame else {
            return false;
        };
        let mut said: Vec<_> = Said::read(outputs).map(Option::unwrap).collect();
        let decided = said.iter_mut().find_map(|saying| match saying {
            Saying::Ended(decided) => Some(decided),
            Saying::Output(_) => None,
        });
        let Some(decided) = decided else { return false };
        ended += 1;
        if ended != 20 {
            return false;
        }
        decided.status = 599;
        *outputs = Said::write(&said).leak();
        true
    });
    let (code, document, told) = replay(&folder.file());
    assert_eq!(code, Some(1), "{document} {told}");
    assert_eq!(document["same"], false);
    let difference = &document["difference"];
    assert_eq!(difference["offset"], place, "{document}");
    assert_eq!(difference["fields"][0]["field"], "status");
    assert_eq!(difference["fields"][0]["recorded"], "599");
    assert_eq!(difference["fields"].as_array().unwrap().len(), 1);
}

#[test]
fn a_run_is_decided_again_bit_for_bit() {
    for workers in ["1", "3"] {
        let folder = Folder::new(workers);
        record(&folder, workers);
        let (code, document, told) = replay(&folder.file());
        assert_eq!(code, Some(0), "{document} {told}");
        assert_eq!(document["same"], true);
        let replayed = &document["replayed"];
        assert_eq!(replayed["requests"], 48);
        assert_eq!(replayed["configurations"], 2);
        assert_eq!(replayed["end"], "finished");
        // Every copy that was sent came to an end and was compared, those of the rule without chance among them.
        let copies = sent(&folder.file());
        assert!(copies >= 12, "{copies}");
        assert_eq!(replayed["copies"], copies);
    }
}

#[test]
fn what_is_no_whole_recording_is_told() {
    let folder = Folder::new("files");
    record(&folder, "1");
    let file = folder.file();
    let whole = fs::read(&file).unwrap();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs::write(&file, bytes).unwrap();
        replay(&file)
    };
    let (code, document, _) = with(&|bytes| bytes.truncate(whole.len() * 2 / 3));
    assert_eq!(
        (code, &document["replayed"]["end"]),
        (Some(0), &"cut".into())
    );
    let (code, document, _) = with(&|bytes| bytes[whole.len() / 2] ^= 1);
    assert_eq!((code, &document["same"]), (Some(2), &Value::Null));
    for (change, words) in [
        (
            &(|bytes: &mut Vec<u8>| bytes[whole.len() / 2] ^= 1) as &dyn Fn(&mut Vec<u8>),
            "damaged at byte",
        ),
        (&|bytes| bytes[0] = b'o', "no recording"),
        (&|bytes| bytes.truncate(5), "no recording"),
        (&|bytes| bytes.clear(), "no recording"),
        (&|bytes| bytes[8] = 99, "form 99"),
        (
            &|bytes| bytes.truncate(HEADER.len()),
            "before the run began",
        ),
    ] {
        let (code, document, told) = with(change);
        assert_eq!(code, Some(2), "{words}: {document}");
        let error = document["error"].as_str().unwrap_or(&told);
        assert!(error.contains(words), "{words}: {document} {told}");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(replay(&file).0, Some(2));
}

#[test]
fn a_recording_ends_at_its_limit_and_the_run_goes_on() {
    let folder = Folder::new("limit");
    folder.configure("");
    let proxy = Proxy::start(&folder, "1", &["--record-limit", "4KiB"]);
    for _ in 0..20 {
        ask(proxy.addr, &["/a"]);
    }
    let told = proxy.told.wait_for("recording ended");
    assert!(told.contains("4096 bytes"), "{told}");
    ask(proxy.addr, &["/a"]);
    proxy.end();
    assert!(fs::metadata(folder.file()).unwrap().len() < 4096 + 64);
    let (code, document, told) = replay(&folder.file());
    assert_eq!(code, Some(0), "{document} {told}");
    assert_eq!(document["replayed"]["end"], "full");
}
