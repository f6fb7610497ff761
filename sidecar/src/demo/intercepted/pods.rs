//! Two pods: network namespaces of their own with a cable between them, and rules of the kernel by which what goes in and out of each
//! goes through its sidecar.
//!
//! A namespace has a name only while it is made. From then on a descriptor holds it, so that nothing is left when this process ends,
//! however it does.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::Command;
use std::thread;

use outrigger_intercept::{Capture, Proof, System, apply, probe};
use rustix::process::{Uid, geteuid};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space, set_thread_res_uid};

/// As whom applications run: nobody in particular, and not as the sidecars, whose connections are not captured.
const APPLICATION: u32 = 65_534;

/// What would let this be played.
const REMEDY: &str = "namespaces and rules of the kernel need root: run it as `sudo outrigger demo --intercept`, in a container with \
                      `--cap-add NET_ADMIN --cap-add SYS_ADMIN`, and have iproute2 and iptables or nft there. `outrigger demo` needs none of this";

/// The client's pod, and that of the services.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    Client,
    Services,
}

/// Both pods.
pub(super) struct Pods {
    client: File,
    services: File,
}

/// Names of namespaces, for as long as they are needed.
struct Names(Vec<String>);

impl Drop for Names {
    fn drop(&mut self) {
        for name in &self.0 {
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

impl Pods {
    /// Makes them.
    ///
    /// # Errors
    /// It is not allowed here, or a tool is missing: what said so, and what would help.
    pub(super) fn new() -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err(format!("this is not root. {REMEDY}"));
        }
        Self::make().map_err(|why| format!("{why}. {REMEDY}"))
    }

    fn make() -> Result<Self, String> {
        let id = std::process::id();
        let mut names = Names(Vec::new());
        for of in ["client", "services"] {
            let name = format!("outrigger-{id}-{of}");
            ip(&format!("netns add {name}"))?;
            names.0.push(name);
        }
        let open = |name: &String| {
            let path = format!("/run/netns/{name}");
            File::open(&path).map_err(|error| format!("`{path}`: {error}"))
        };
        let pods = Self {
            client: open(&names.0[0])?,
            services: open(&names.0[1])?,
        };
        let [client, services] = [&names.0[0], &names.0[1]];
        ip(&format!(
            "-n {client} link add eth0 type veth peer name eth0 netns {services}"
        ))?;
        drop(names);
        for (of, own, other) in [
            (Of::Client, "10.77.0.1", "10.77.0.2"),
            (Of::Services, "10.77.0.2", "10.77.0.1"),
        ] {
            let commands = [
                format!("addr add {own}/24 dev eth0"),
                "link set lo up".to_owned(),
                "link set eth0 up".to_owned(),
                format!("route add default via {other}"),
            ];
            pods.within(of, || commands.iter().try_for_each(|command| ip(command)))??;
        }
        Ok(pods)
    }

    /// Does something in a pod, as its sidecar does. Threads and programs that it starts are of the pod, too.
    ///
    /// # Errors
    /// The pod cannot be entered.
    pub(super) fn within<T: Send>(
        &self,
        of: Of,
        act: impl FnOnce() -> T + Send,
    ) -> Result<T, String> {
        let namespace = match of {
            Of::Client => &self.client,
            Of::Services => &self.services,
        };
        thread::scope(|scope| {
            let entered = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .map_err(|error| format!("cannot enter a network namespace: {error}"))?;
                Ok(act())
            });
            entered
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The same as an application, which is captured.
    ///
    /// # Errors
    /// The pod cannot be entered, or nobody else be.
    pub(super) fn as_application<T: Send>(
        &self,
        of: Of,
        act: impl FnOnce() -> T + Send,
    ) -> Result<T, String> {
        self.within(of, || {
            be_application()?;
            Ok(act())
        })?
    }

    /// Has all connections of a pod captured, and looks whether they are.
    ///
    /// # Errors
    /// The kernel does not do it.
    pub(super) fn capture(&self, of: Of) -> Result<(), String> {
        let capture = Capture {
            users: vec![geteuid().as_raw()],
            ..Capture::default()
        };
        let applied = self.within(of, || apply(&capture, None, &System))?;
        applied.map_err(|failed| format!("{failed}. {REMEDY}"))?;
        match self.as_application(of, || probe(&capture))? {
            Proof::Captured(_) => Ok(()),
            proof @ (Proof::Untried(_) | Proof::Lost(_)) => Err(format!("{proof}. {REMEDY}")),
        }
    }
}

/// This thread is an application's from now on.
///
/// # Errors
/// The system does not allow it.
pub(super) fn be_application() -> Result<(), String> {
    let user = Uid::from_raw(APPLICATION);
    set_thread_res_uid(user, user, user).map_err(|error| format!("cannot be another user: {error}"))
}

fn ip(command: &str) -> Result<(), String> {
    let output = Command::new("ip").args(command.split(' ')).output();
    let output = output.map_err(|error| format!("`ip` cannot be run: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("`ip {command}`: {}", said.trim()))
        }
    }
}
