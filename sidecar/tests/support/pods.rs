//! Pods in network namespaces of their own, a router between them, and applications that know of no proxy.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender};
use std::thread;

use outrigger_dns::{Family, Reply, question, reply};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;

use super::cable::{backends, ip, within};
use super::support::PATIENCE;

/// Pods, and the router between them, which is outside of the mesh. They end with this.
pub(crate) struct Pods {
    id: String,
    names: Vec<String>,
}

impl Pods {
    /// `None` where there can be none, which is said.
    pub(crate) fn new(of: &str, names: &[&str]) -> Option<Self> {
        let id = format!("or-{of}-{}", std::process::id());
        let pods = Self {
            id,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        if let Err(why) = pods.make() {
            eprintln!("not tried, because there can be no network namespaces: {why}");
            return None;
        }
        if pods.outside(backends).is_empty() {
            eprintln!("not tried, because neither iptables nor nft works here");
            return None;
        }
        Some(pods)
    }

    fn make(&self) -> Result<(), String> {
        let router = self.namespace("router");
        ip(&format!("netns add {router}"))?;
        ip(&format!("-n {router} link set lo up"))?;
        ip(&format!("-n {router} addr add 10.78.0.9/32 dev lo"))?;
        for (number, name) in (1..).zip(&self.names) {
            let pod = self.namespace(name);
            for command in [
                format!("netns add {pod}"),
                format!("-n {pod} link add eth0 type veth peer name pod{number} netns {router}"),
                format!("-n {pod} addr add 10.78.{number}.2/24 dev eth0"),
                format!("-n {router} addr add 10.78.{number}.1/24 dev pod{number}"),
                format!("-n {pod} link set lo up"),
                format!("-n {pod} link set eth0 up"),
                format!("-n {router} link set pod{number} up"),
                format!("-n {pod} route add default via 10.78.{number}.1"),
            ] {
                ip(&command)?;
            }
        }
        let forward = || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1");
        within(&router, forward).map_err(|error| format!("forwarding: {error}"))
    }

    fn namespace(&self, name: &str) -> String {
        format!("{}-{name}", self.id)
    }

    /// The address of a pod.
    pub(crate) fn address(&self, name: &str) -> IpAddr {
        let number = self.names.iter().position(|own| own == name).unwrap() + 1;
        format!("10.78.{number}.2").parse().unwrap()
    }

    /// Does something in a pod, as the sidecar's user.
    pub(crate) fn within<T: Send>(&self, name: &str, act: impl FnOnce() -> T + Send) -> T {
        within(&self.namespace(name), act)
    }

    /// The same as an application.
    pub(crate) fn as_application<T: Send>(&self, name: &str, act: impl FnOnce() -> T + Send) -> T {
        self.within(name, || {
            be_application();
            act()
        })
    }

    /// The same outside of the mesh.
    pub(crate) fn outside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        within(&self.namespace("router"), act)
    }

    /// Has everything captured that a pod sends and gets, questions for names among it.
    pub(crate) fn capture(&self, name: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
        command.args(["intercept", "apply", "--proxy-uid", "0"]);
        command.args(["--dns", "--dns-servers", "*"]);
        let output = self.within(name, || command.output()).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        for name in self.names.iter().map(String::as_str).chain(["router"]) {
            let _ = ip(&format!("netns del {}", self.namespace(name)));
        }
    }
}

fn be_application() {
    let user = Uid::from_raw(1000);
    set_thread_res_uid(user, user, user).unwrap();
}

/// The address of a name, as an application asks for it at the name server that it was given.
fn resolve(name: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect("10.78.0.9:53").unwrap();
    let asked = question(7, name, Family::V4).unwrap();
    socket.send(&asked).unwrap();
    let mut room = [0; 512];
    let length = socket.recv(&mut room).ok()?;
    match reply(&asked, Family::V4, &room[..length]) {
        Some(Reply::Addresses { addresses, .. }) => addresses.first().copied(),
        _ => None,
    }
}

/// What is answered to a request, as `status body`; nothing where the connection is not made or ends before.
pub(crate) fn call(to: &str, host: &str, path: &str) -> Option<String> {
    ask(to.parse().unwrap(), host, path, "application")
}

/// The same, which must be answered.
pub(crate) fn get(to: &str, host: &str, path: &str, agent: &str) -> String {
    ask(to.parse().unwrap(), host, path, agent).unwrap()
}

fn ask(to: SocketAddr, host: &str, path: &str, agent: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {agent}\r\nbaggage-user-agent: {agent}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?;
    Some(format!("{status} {body}"))
}

/// One tier: answers with its name and what the next one says, whom it asks for by name. `hold`: tells when it has been asked for
/// `/slow`, and waits for a word before it answers that.
pub(crate) fn serve_tier(
    listener: TcpListener,
    own: String,
    next: Option<&'static str>,
    mut hold: Option<(Sender<()>, Receiver<()>)>,
) {
    thread::spawn(move || {
        be_application();
        for stream in listener.incoming().map_while(Result::ok) {
            let (path, agent) = heard(&stream);
            let hold = (path == "/slow").then(|| hold.take()).flatten();
            // Whoever waits for the next tier keeps nobody else waiting.
            let own = own.clone();
            thread::spawn(move || {
                be_application();
                if let Some((heard, held)) = hold {
                    let _ = heard.send(());
                    let _ = held.recv();
                }
                let further = next.map(|next| {
                    let to = resolve(next)?;
                    let said = ask((to, 8080).into(), next, &path, &agent)?;
                    said.strip_prefix("200 ").map(str::to_owned)
                });
                match further {
                    None => answer(stream, "200 OK", &own),
                    Some(Some(said)) => answer(stream, "200 OK", &format!("{own} => {said}")),
                    Some(None) => answer(stream, "502 Bad Gateway", &own),
                }
            });
        }
    });
}

/// The path that is asked for, and what the visitor's browser is.
fn heard(stream: &TcpStream) -> (String, String) {
    let (mut path, mut agent) = (String::new(), String::new());
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
        if let Some(rest) = line.strip_prefix("GET ") {
            path = rest.split(' ').next().unwrap_or_default().to_owned();
        }
        if let Some(value) = line.strip_prefix("baggage-user-agent: ") {
            agent = value.to_owned();
        }
    }
    (path, agent)
}

fn answer(mut stream: TcpStream, status: &str, body: &str) {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all((head + body).as_bytes());
}
