//! Two network namespaces with a cable between them, made for a test. Needs to be root on Linux with `ip`.

#![allow(dead_code, reason = "each test program uses its share")]

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use outrigger_intercept::{Backend, Run as _, System};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// One cable at a time: a program that is being started holds, until it runs, every socket of who starts it, so that a port which
/// one test has given back would still be taken while another test starts a tool.
static ONE: Mutex<()> = Mutex::new(());

/// A pod and a client, connected by a cable. They end with this.
pub(crate) struct Cable {
    pod: String,
    client: String,
    _alone: MutexGuard<'static, ()>,
}

impl Cable {
    /// Why it cannot be, if it cannot.
    pub(crate) fn new(of: &str) -> Result<Self, String> {
        let id = std::process::id();
        let cable = Self {
            pod: format!("or-{of}-pod-{id}"),
            client: format!("or-{of}-client-{id}"),
            _alone: ONE.lock().unwrap_or_else(PoisonError::into_inner),
        };
        let (pod, client) = (&cable.pod, &cable.client);
        for command in [
            format!("netns add {pod}"),
            format!("netns add {client}"),
            format!("-n {pod} link add eth0 type veth peer name eth0 netns {client}"),
            format!("-n {pod} addr add 10.77.0.2/24 dev eth0"),
            format!("-n {client} addr add 10.77.0.1/24 dev eth0"),
            format!("-n {pod} addr add fd77::2/64 dev eth0 nodad"),
            format!("-n {client} addr add fd77::1/64 dev eth0 nodad"),
            format!("-n {pod} link set lo up"),
            format!("-n {client} link set lo up"),
            format!("-n {pod} link set eth0 up"),
            format!("-n {client} link set eth0 up"),
            format!("-n {pod} route add default via 10.77.0.1"),
            format!("-n {pod} -6 route add default via fd77::1"),
        ] {
            ip(&command)?;
        }
        Ok(cable)
    }

    /// Does something in the pod, on a thread of its own.
    pub(crate) fn in_pod<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        within(&self.pod, act)
    }

    /// The same in the client.
    pub(crate) fn in_client<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        within(&self.client, act)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in [&self.pod, &self.client] {
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

pub(crate) fn ip(command: &str) -> Result<(), String> {
    let output = Command::new("ip").args(command.split(' ')).output();
    let output = output.map_err(|error| format!("`ip`: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "`ip {command}`: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

/// Sockets and programs of a thread are of its namespace.
pub(crate) fn within<T: Send>(name: &str, act: impl FnOnce() -> T + Send) -> T {
    let joined = thread::scope(|scope| {
        let entered = scope.spawn(move || {
            let namespace = File::open(format!("/run/netns/{name}")).unwrap();
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            act()
        });
        entered.join()
    });
    joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The tools by which rules can be put in where this is called.
pub(crate) fn backends() -> Vec<Backend> {
    let there = |program, args: &[&str]| System.run(program, args, "").is_ok();
    let iptables = there("iptables-save", &[]) && there("ip6tables-save", &[]);
    let nft = there("nft", &["list", "tables"]);
    let all = [(iptables, Backend::Iptables), (nft, Backend::Nft)];
    all.into_iter()
        .filter_map(|(is_there, backend)| is_there.then_some(backend))
        .collect()
}
