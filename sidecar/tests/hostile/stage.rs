//! A proxy before an endpoint that a test scripts, and a client that writes without waiting for anybody.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use crate::proxy::{Folder, Proxy, has_glommio, shop};
use crate::support::PATIENCE;

/// Each runtime that there is.
pub(crate) fn runtimes() -> impl Iterator<Item = &'static str> {
    let other = has_glommio().then_some("glommio");
    std::iter::once("tokio").chain(other)
}

/// A proxy whose service `shop.example` is one endpoint.
pub(crate) struct Stage {
    pub(crate) proxy: Proxy,
    _folder: Folder,
}

impl Stage {
    /// `more`: rules besides the service.
    pub(crate) fn open(test: &str, flags: &[&str], endpoint: SocketAddr, more: &str) -> Self {
        let folder = Folder::new(test);
        folder.write("shop.yaml", &(shop(endpoint) + more));
        let proxy = Proxy::start(&folder.0, flags);
        Self {
            proxy,
            _folder: folder,
        }
    }

    pub(crate) fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.proxy.addr("outbound")).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// What is heard by a client that sends this, until its connection ends. It writes and reads at the same time.
    pub(crate) fn hears(&self, sent: &[u8]) -> String {
        let mut client = self.client();
        let mut writer = client.try_clone().unwrap();
        thread::scope(|scope| {
            // Whoever is refused need not be read to the end.
            scope.spawn(move || writer.write_all(sent));
            rest(&mut client)
        })
    }

    /// The whole name of what is counted of requests.
    pub(crate) fn http(&self, name: &str) -> String {
        let addr = self.proxy.addr("outbound").to_string().replace(':', "_");
        format!("http.outbound_{addr}.{name}")
    }

    /// The number behind a name in `/stats`.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let stats = self.proxy.admin("GET /stats");
        let line = format!("{name}: ");
        let number = stats.lines().find_map(|found| found.strip_prefix(&line));
        // What is counted of requests is told once there was one.
        let number = number.or_else(|| name.starts_with("http.").then_some("0"));
        let number = number.unwrap_or_else(|| panic!("no {name} in {stats}"));
        number.parse().unwrap()
    }

    /// Waits until a counter is this: it may be told a moment after what it counts.
    pub(crate) fn counts(&self, name: &str, wanted: u64) {
        self.wait_for(name, |found| found == wanted);
    }

    pub(crate) fn wait_for(&self, name: &str, is_it: impl Fn(u64) -> bool) {
        let begun = Instant::now();
        loop {
            let found = self.stat(name);
            if is_it(found) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{name} is {found}");
            thread::yield_now();
        }
    }

    /// The next client is served.
    pub(crate) fn serves_others(&self) {
        let answer = self.proxy.get("shop.example");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}

/// Everything that comes until the connection ends, in order or not.
pub(crate) fn rest(stream: &mut TcpStream) -> String {
    let (mut rest, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => rest.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error} after {}", String::from_utf8_lossy(&rest)),
        }
    }
    String::from_utf8_lossy(&rest).into_owned()
}

/// An endpoint that does this on each of its connections, once a request's head has come.
pub(crate) fn endpoint(act: impl Fn(&str, &mut TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let act = act.clone();
            thread::spawn(move || {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                while let Some(head) = head(&mut stream) {
                    act(&head, &mut stream);
                }
            });
        }
    });
    addr
}

/// Up to the empty line; `None` where the connection ends before it.
pub(crate) fn head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// Answers once the body is whole, if there is one.
pub(crate) fn honest(head: &str, stream: &mut TcpStream) {
    if let Some((_, length)) = head.split_once("content-length: ") {
        let length = length.lines().next().unwrap().parse().unwrap();
        if stream.read_exact(&mut vec![0; length]).is_err() {
            return;
        }
    }
    if head.contains("transfer-encoding: chunked") {
        let (mut body, mut byte) = (Vec::new(), [0]);
        let is_whole = |body: &[u8]| {
            body.ends_with(b"\r\n\r\n") && (body.starts_with(b"0\r\n") || find(body, b"\r\n0\r\n"))
        };
        while !is_whole(&body) {
            if stream.read_exact(&mut byte).is_err() {
                return;
            }
            body.push(byte[0]);
        }
    }
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
}

fn find(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|part| part == words)
}
