//! Envoy's admin interface: telling it to drain, and asking how often it took a file.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Asks and returns the answer's body.
///
/// # Errors
/// There is no answer, or none with 200.
pub(crate) async fn ask(
    admin: SocketAddr,
    method: &'static str,
    path: String,
) -> io::Result<String> {
    let asked = ::tokio::task::spawn_blocking(move || ask_and_wait(admin, method, &path));
    asked.await.map_err(io::Error::other)?
}

fn ask_and_wait(admin: SocketAddr, method: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(admin)?;
    let fields = "host: localhost\r\nconnection: close\r\ncontent-length: 0\r\n";
    write!(stream, "{method} {path} HTTP/1.1\r\n{fields}\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(io::Error::other(format!("{method} {path}: {answer}"))),
    }
}

/// The value of a counter; 0 when it is not there yet.
///
/// # Errors
/// As [`ask`].
pub(crate) async fn counter(admin: SocketAddr, name: &str) -> io::Result<u64> {
    let body = ask(admin, "GET", "/stats".to_owned()).await?;
    let value = body.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        (found == name).then(|| value.trim().parse().ok())?
    });
    Ok(value.unwrap_or_default())
}
