//! One question to the admin endpoints of a sidecar that runs, at an address or a Unix socket.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::admin_args::AdminAddr;

/// An answer is read no further, in bytes.
const LONGEST: u64 = 64 * 1024;

/// How long a sidecar may take to be connected to, and between two pieces of an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a sidecar answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Without the newline at its end.
    pub(super) text: String,
}

impl Answer {
    /// Reads a whole one of HTTP/1.1.
    fn read(message: &str) -> Option<Self> {
        let (head, text) = message.split_once("\r\n\r\n")?;
        let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        Some(Self {
            status,
            text: text.trim_end().into(),
        })
    }
}

/// Asks: `line` is a method and a path.
///
/// # Errors
/// Nobody is there, or does not answer as HTTP has it.
pub(super) fn ask(addr: &AdminAddr, line: &str) -> io::Result<Answer> {
    match addr {
        AdminAddr::Tcp(addr) => {
            let stream = TcpStream::connect_timeout(addr, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            talk(stream, line)
        }
        AdminAddr::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            talk(stream, line)
        }
    }
}

fn talk(mut stream: impl Read + Write, line: &str) -> io::Result<Answer> {
    let request = format!(
        "{line} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut message = String::new();
    stream.take(LONGEST).read_to_string(&mut message)?;
    let told = || io::Error::new(io::ErrorKind::InvalidData, "the answer is none of HTTP");
    Answer::read(&message).ok_or_else(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        for (message, want) in [
            ("HTTP/1.1 200 OK\r\na: b\r\n\r\nLIVE\n", Some((200, "LIVE"))),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Some((503, ""))),
            ("HTTP/1.1 2\r\n\r\n", None),
            ("SSH-2.0\r\n\r\n", None),
            ("", None),
        ] {
            let read = Answer::read(message);
            let read = read.as_ref().map(|answer| (answer.status, &*answer.text));
            assert_eq!(read, want, "{message:?}");
        }
    }
}
