//! One end of a connection that plays a script, in clear text or in TLS, and tells what it saw.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use outrigger_core::http2::hpack::Decoder;
use rustls::{ClientConnection, Connection, ServerConnection};
use socket2::SockRef;

use super::certificates::Certificates;
use super::frames::Frame;
use super::script::Step;
use super::support::PATIENCE;

/// The words that scripts of a row wait for.
#[derive(Default)]
pub(crate) struct Signals(Mutex<BTreeSet<String>>, Condvar);

impl Signals {
    fn tell(&self, word: &str) {
        self.0.lock().unwrap().insert(word.to_owned());
        self.1.notify_all();
    }

    fn wait(&self, word: &str) -> Result<(), String> {
        let told = self.0.lock().unwrap();
        let waited = self
            .1
            .wait_timeout_while(told, PATIENCE, |told| !told.contains(word));
        match waited.unwrap().1.timed_out() {
            true => Err(format!("nobody told `{word}`")),
            false => Ok(()),
        }
    }
}

/// Whose script it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    Client,
    Endpoint,
}

/// An end of a connection.
pub(crate) struct Peer<'a> {
    role: Role,
    tcp: TcpStream,
    tls: Option<Connection>,
    certificates: &'a Certificates,
    host: &'a str,
    /// What has come and was not looked at.
    buffer: Vec<u8>,
    ended: bool,
    fields: Decoder,
    said: Vec<String>,
}

impl<'a> Peer<'a> {
    pub(crate) fn new(
        role: Role,
        tcp: TcpStream,
        certificates: &'a Certificates,
        host: &'a str,
    ) -> Self {
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_write_timeout(Some(PATIENCE)).unwrap();
        tcp.set_nodelay(true).unwrap();
        Self {
            role,
            tcp,
            tls: None,
            certificates,
            host,
            buffer: Vec::new(),
            ended: false,
            fields: Decoder::new(4096),
            said: Vec::new(),
        }
    }

    /// Plays a script, and ends the connection. What it saw, or what did not happen within patience.
    pub(crate) fn play(mut self, steps: &[Step], signals: &Signals) -> Result<Vec<String>, String> {
        for step in steps {
            self.step(step, signals)
                .map_err(|why| format!("{:?}: {step:?}: {why}", self.role))?;
        }
        if steps.last() == Some(&Step::Reset) {
            SockRef::from(&self.tcp)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
        Ok(self.said)
    }

    fn step(&mut self, step: &Step, signals: &Signals) -> Result<(), String> {
        match step {
            Step::Refuse | Step::Full => return Err("nobody is to be connected".to_owned()),
            Step::Tls => self.shake_hands(),
            Step::Hello(count) => {
                let hello = self.certificates.hello(self.host);
                self.send(&hello[..*count]);
            }
            Step::Send(bytes) => self.send(bytes),
            Step::Drip(bytes) => bytes.chunks(1).for_each(|byte| self.send(byte)),
            Step::Pour(bytes) => while self.write(bytes) {},
            Step::Head => drop(self.head()?),
            Step::Read(count) => {
                while self.buffer.len() < *count && self.fill()? {}
                let taken = self.buffer.len().min(*count);
                self.buffer.drain(..taken);
            }
            Step::Answer => {
                let answer = self.answer()?;
                self.said.push(answer);
            }
            Step::Rest => {
                while self.fill()? {}
                let count = self.buffer.len();
                let bytes = (count > 0).then(|| format!("{count} bytes"));
                self.said
                    .extend(bytes.into_iter().chain(["ended".to_owned()]));
            }
            Step::Stall => {
                while self.fill()? {
                    self.buffer.clear();
                }
            }
            Step::Asked => while self.frame()?.is_some_and(|frame| !frame.is_head()) {},
            Step::Stream(stream) => self.stream(*stream)?,
            Step::Shut => drop(self.tcp.shutdown(std::net::Shutdown::Write)),
            Step::Bye => {
                if let Some(tls) = &mut self.tls {
                    tls.send_close_notify();
                    let _ = tls.complete_io(&mut self.tcp);
                }
            }
            Step::Reset => {}
            Step::Tell(word) => signals.tell(word),
            Step::Await(word) => signals.wait(word)?,
        }
        Ok(())
    }

    fn shake_hands(&mut self) {
        let mut tls = match self.role {
            Role::Client => Connection::from(
                ClientConnection::new(
                    Arc::clone(&self.certificates.client),
                    self.certificates.name(self.host),
                )
                .unwrap(),
            ),
            Role::Endpoint => Connection::from(
                ServerConnection::new(Arc::clone(&self.certificates.server)).unwrap(),
            ),
        };
        let _ = tls.complete_io(&mut self.tcp);
        self.tls = Some(tls);
    }

    /// Sends bytes to whoever takes them still: that somebody does not is seen where an answer is awaited.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.write(bytes);
    }

    fn write(&mut self, bytes: &[u8]) -> bool {
        let tcp = &mut self.tcp;
        let written = match &mut self.tls {
            Some(Connection::Client(tls)) => rustls::Stream::new(tls, tcp).write_all(bytes),
            Some(Connection::Server(tls)) => rustls::Stream::new(tls, tcp).write_all(bytes),
            None => tcp.write_all(bytes),
        };
        written.is_ok()
    }

    /// Reads more. `false` at the end.
    fn fill(&mut self) -> Result<bool, String> {
        let mut room = [0; 16_384];
        let tcp = &mut self.tcp;
        let read = match &mut self.tls {
            Some(Connection::Client(tls)) => rustls::Stream::new(tls, tcp).read(&mut room),
            Some(Connection::Server(tls)) => rustls::Stream::new(tls, tcp).read(&mut room),
            None => tcp.read(&mut room),
        };
        match read {
            Ok(count) => {
                self.buffer.extend(&room[..count]);
                self.ended |= count == 0;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err("nothing came".to_owned());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.ended = true,
        }
        Ok(!self.ended)
    }

    /// The next lines up to a blank one; nothing where the connection ends before.
    fn head(&mut self) -> Result<Option<String>, String> {
        loop {
            let end = self.buffer.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return Ok(Some(String::from_utf8_lossy(&head).to_ascii_lowercase()));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// A response with its body: `200`, `200 cut` where its body is not whole, `ended` where there is none.
    fn answer(&mut self) -> Result<String, String> {
        let mut head = self.head()?;
        while head
            .as_ref()
            .is_some_and(|head| head.starts_with("http/1.1 1"))
        {
            head = self.head()?;
        }
        let Some(head) = head else {
            let part = match self.buffer.is_empty() {
                true => "",
                false => "part of a head, ",
            };
            return Ok(format!("{part}ended"));
        };
        let status = head
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .trim_end()
            .to_owned();
        let field = |name: &str| {
            let mut lines = head.lines();
            lines.find_map(|line| {
                line.strip_prefix(name)?
                    .strip_prefix(": ")
                    .map(str::to_owned)
            })
        };
        let is_whole = match field("content-length") {
            _ if status == "204" => true,
            Some(length) => self.body(length.parse().map_err(|_| head.clone())?)?,
            None if field("transfer-encoding").is_some() => self.chunks()?,
            None => {
                while self.fill()? {}
                self.buffer.clear();
                true
            }
        };
        Ok(if is_whole {
            status
        } else {
            format!("{status} cut")
        })
    }

    /// Whether so many bytes come.
    fn body(&mut self, length: usize) -> Result<bool, String> {
        while self.buffer.len() < length && self.fill()? {}
        let taken = self.buffer.len().min(length);
        self.buffer.drain(..taken);
        Ok(taken == length)
    }

    /// Whether chunks come, and the last of them.
    fn chunks(&mut self) -> Result<bool, String> {
        loop {
            let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") else {
                match self.fill()? {
                    true => continue,
                    false => return Ok(false),
                }
            };
            let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let line = String::from_utf8_lossy(&line);
            let length = usize::from_str_radix(line.trim(), 16)
                .map_err(|_| format!("a chunk of `{line}`"))?;
            if !self.body(length + 2)? {
                return Ok(false);
            }
            if length == 0 {
                return Ok(true);
            }
        }
    }

    fn frame(&mut self) -> Result<Option<Frame>, String> {
        loop {
            if let Some(frame) = Frame::take(&mut self.buffer) {
                return Ok(Some(frame));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// What is said on a stream up to its end, or to that of the connection.
    fn stream(&mut self, stream: u32) -> Result<(), String> {
        while let Some(frame) = self.frame()? {
            let (said, is_last) = frame.says(stream, &mut self.fields);
            self.said.extend(said);
            if is_last {
                return Ok(());
            }
        }
        self.said.push("ended".to_owned());
        Ok(())
    }
}
