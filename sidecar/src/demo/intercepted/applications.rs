//! The applications: they listen, connect and know of no proxy. None of this is HTTP's or TLS's library, so that what is seen is what
//! was on the socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::pods::be_application;

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the ledger says before it has heard anything.
pub(super) const BANNER: &str = "220 ledger ready";

/// Whom the greeter's sidecar says has asked (`x-forwarded-client-cert`).
const WHO: &str = "URI=";

/// Serves connections for as long as the process lives.
fn serve(
    listener: TcpListener,
    answer: fn(TcpStream) -> std::io::Result<()>,
) -> Result<(), String> {
    be_application()?;
    for stream in listener.incoming().flatten() {
        // Whoever is slow keeps nobody else waiting.
        thread::spawn(move || answer(stream));
    }
    Ok(())
}

/// Listens in the pod that this thread is of: the greeter, and the ledger.
///
/// # Errors
/// A port is taken.
pub(super) fn start() -> Result<(), String> {
    type Answer = fn(TcpStream) -> std::io::Result<()>;
    for (port, answer) in [(8080, greet as Answer), (7000, keep_book as Answer)] {
        let listener = TcpListener::bind(("0.0.0.0", port));
        let listener = listener.map_err(|error| format!("port {port} of a pod: {error}"))?;
        thread::spawn(move || serve(listener, answer));
    }
    Ok(())
}

/// Answers one request, with whom its sidecar says has asked.
fn greet(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut who = "nobody in particular".to_owned();
    for line in BufReader::new(&stream).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((_, name)) = line.split_once(WHO) {
            name.split(';')
                .next()
                .unwrap_or_default()
                .clone_into(&mut who);
        }
    }
    let body = format!("hello {who}");
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Speaks first, and says each line again.
fn keep_book(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    writeln!(stream, "{BANNER}")?;
    let lines = BufReader::new(stream.try_clone()?).lines();
    for line in lines {
        writeln!(stream, "250 booked: {}", line?)?;
    }
    Ok(())
}

fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// What is answered to a request to this address: its status and its body.
pub(super) fn get(to: SocketAddr, host: &str) -> String {
    let ask = || {
        let mut stream = connect(to)?;
        write!(
            stream,
            "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    match ask() {
        Ok(answer) => match answer.split_once("\r\n\r\n") {
            Some((head, body)) => {
                let status = head.split(' ').nth(1).unwrap_or_default();
                format!("{status} {body}")
            }
            None => "closed without an answer".into(),
        },
        Err(error) if is_closed(&error) => "closed without an answer".into(),
        Err(error) => error.to_string(),
    }
}

/// What is heard on a connection to this address before anything is said, and after a line was.
pub(super) fn book(to: SocketAddr, line: &str) -> String {
    let ask = || {
        let mut stream = connect(to)?;
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let banner = lines.next().transpose()?.unwrap_or_default();
        writeln!(stream, "{line}")?;
        let booked = lines.next().transpose()?.unwrap_or_default();
        Ok::<_, std::io::Error>(format!("{banner}, then {booked}"))
    };
    ask().unwrap_or_else(|error| error.to_string())
}

fn is_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset)
}
