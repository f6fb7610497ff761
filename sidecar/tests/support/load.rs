//! Clients that ask without pause, and count what fails: a client may ask again on a connection until it is told that it ends.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]
#![allow(dead_code, reason = "each test program uses its share")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::support::PATIENCE;

/// What clients saw.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) asked: u64,
    /// Nobody listened: nothing had been sent. A client that meets this ends.
    pub(crate) refused: u64,
    /// Why, each.
    pub(crate) failed: Vec<String>,
    /// How long answers took, before and since [`Load::mark`], in microseconds.
    pub(crate) times: [Vec<u32>; 2],
}

impl Counted {
    /// The time that 99 of 100 answers came in, before and since [`Load::mark`], in microseconds.
    pub(crate) fn p99(&mut self) -> [u32; 2] {
        [0, 1].map(|phase| {
            let times = &mut self.times[phase];
            times.sort_unstable();
            times.get(times.len() * 99 / 100).copied().unwrap_or(0)
        })
    }

    /// Every request was answered.
    pub(crate) fn expect_nothing_lost(&self) {
        assert_eq!(self.failed, Vec::<String>::new(), "of {}", self.asked);
        assert_eq!(self.refused, 0, "of {}", self.asked);
    }
}

/// Clients that ask until they are told to stop.
pub(crate) struct Load {
    clients: Vec<JoinHandle<Counted>>,
    answered: Vec<Arc<AtomicU64>>,
    stop: Arc<AtomicBool>,
    marked: Arc<AtomicBool>,
}

impl Load {
    /// `keeping` clients keep their connections as long as they may, `fresh` ones make one for each request.
    pub(crate) fn begin(to: SocketAddr, host: &str, (keeping, fresh): (usize, usize)) -> Self {
        let (stop, marked) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (clients, answered) = (0..keeping + fresh)
            .map(|at| {
                let answered = Arc::<AtomicU64>::default();
                let close = if at < keeping {
                    ""
                } else {
                    "connection: close\r\n"
                };
                let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\n{close}\r\n");
                let (of_client, stop) = (Arc::clone(&answered), Arc::clone(&stop));
                let marked = Arc::clone(&marked);
                let client =
                    thread::spawn(move || ask_until(to, &request, &of_client, (&stop, &marked)));
                (client, answered)
            })
            .unzip();
        Self {
            clients,
            answered,
            stop,
            marked,
        }
    }

    /// From now on times are those of what follows.
    pub(crate) fn mark(&self) {
        self.marked.store(true, Ordering::Relaxed);
    }

    /// Waits until every client has got another answer to a request that it sent from now on.
    pub(crate) fn goes_on(&mut self) {
        let begun = Instant::now();
        for (answered, client) in self.answered.iter().zip(&self.clients) {
            let before = answered.load(Ordering::Relaxed);
            // The first may have been on its way.
            while answered.load(Ordering::Relaxed) < before + 2 && !client.is_finished() {
                assert!(begun.elapsed() < PATIENCE, "a client gets no answers");
                thread::yield_now();
            }
        }
    }

    /// Ends all clients.
    pub(crate) fn end(self) -> Counted {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Counted::default();
        for client in self.clients {
            let counted = client.join().unwrap();
            all.asked += counted.asked;
            all.refused += counted.refused;
            all.failed.extend(counted.failed);
            for (all, times) in all.times.iter_mut().zip(counted.times) {
                all.extend(times);
            }
        }
        all
    }
}

/// So many failures are enough for anybody.
const ENOUGH: usize = 20;

fn ask_until(
    to: SocketAddr,
    request: &str,
    answered: &AtomicU64,
    (stop, marked): (&AtomicBool, &AtomicBool),
) -> Counted {
    let mut counted = Counted::default();
    while !stop.load(Ordering::Relaxed) && counted.failed.len() < ENOUGH {
        let Ok(stream) = TcpStream::connect(to) else {
            counted.refused += 1;
            return counted;
        };
        let mut count_here = 0;
        let ask_all = || {
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut stream = BufReader::new(stream);
            loop {
                counted.asked += 1;
                count_here += 1;
                let began = Instant::now();
                let goes_on = ask_once(&mut stream, request)?;
                let took = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
                counted.times[usize::from(marked.load(Ordering::Relaxed))].push(took);
                answered.fetch_add(1, Ordering::Relaxed);
                if !goes_on || stop.load(Ordering::Relaxed) {
                    return Ok::<_, io::Error>(());
                }
            }
        };
        if let Err(error) = ask_all() {
            let told = format!("request {count_here} of a connection: {error}");
            counted.failed.push(told);
        }
    }
    counted
}

/// Whether the connection goes on after the answer.
fn ask_once(stream: &mut BufReader<TcpStream>, request: &str) -> io::Result<bool> {
    stream.get_mut().write_all(request.as_bytes())?;
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let before = head.len();
        if stream.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(value) = head[before..].strip_prefix("content-length: ") {
            length = value.trim_end().parse().map_err(io::Error::other)?;
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    match head.starts_with("HTTP/1.1 200 ") {
        true => Ok(!head.contains("connection: close")),
        false => Err(io::Error::other(head)),
    }
}

/// An endpoint that keeps connections.
pub(crate) fn endpoint() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    addr
}

/// A Sidecar whose outbound listener is a Unix socket.
pub(crate) fn sidecar_at(socket: &Path) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: s}}
spec:
  egress:
  - {{port: {{number: 0, protocol: HTTP, name: http}}, bind: 'unix://{}', hosts: ['*/*']}}
  - {{hosts: ['*/*']}}
",
        socket.display()
    )
}

/// Answers each request of a client, whatever it asks for, until the client has gone.
pub(crate) fn answer(stream: TcpStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line)? > 0 {
        if line == "\r\n" {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.get_mut().write_all(answer)?;
        }
        line.clear();
    }
    Ok(())
}
