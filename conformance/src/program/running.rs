//! The program while a case is played: what it is told, and how.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ::tokio::time::timeout;
use outrigger_core::overload::Actions;

use super::envoy::{admin, bootstrap};
use super::files::Folder;
use super::process;
use super::reread::{Replacement, Replacements, Rereads};
use crate::case::Client;
use crate::subject::stage::Proxy;

/// The kernel answers an attempt to connect much sooner.
const ANSWERED: Duration = Duration::from_millis(100);

/// A running program.
pub(crate) struct Running<'a> {
    /// Where it takes requests of local clients.
    pub(crate) outbound: SocketAddr,
    /// Where it takes requests for the application.
    pub(crate) inbound: SocketAddr,
    /// How it is told things.
    pub(crate) control: Control<'a>,
}

/// How a program is told things.
pub(crate) enum Control<'a> {
    /// By signals to the process.
    Signals(Signals<'a>),
    /// Through Envoy's admin interface, and files that it watches.
    Envoy(Watched<'a>),
}

/// Signals to a process.
pub(crate) struct Signals<'a> {
    /// Which; `None` when it has ended.
    pub(crate) process: Option<u32>,
    /// What makes it drain.
    pub(crate) drain: Option<&'a str>,
    /// What makes it read its configuration again.
    pub(crate) reread: Option<Rereads<'a>>,
}

/// Envoy's admin interface, and the files that it watches.
pub(crate) struct Watched<'a> {
    /// Where the interface is.
    pub(crate) admin: SocketAddr,
    /// Where the files are.
    pub(crate) folder: &'a Folder,
    /// What is left to replace them with.
    pub(crate) reloads: Replacements,
}

impl Proxy for Running<'_> {
    fn address(&self, client: &Client) -> SocketAddr {
        if client.inbound {
            self.inbound
        } else {
            self.outbound
        }
    }

    async fn reload(&mut self) -> io::Result<()> {
        match &mut self.control {
            Control::Signals(Signals {
                process: Some(process),
                reread: Some(reread),
                ..
            }) => reread.reload(*process).await,
            Control::Signals(_) => Err(io::Error::other("the program can not be told to reload")),
            Control::Envoy(envoy) => envoy.reload().await,
        }
    }

    async fn drain(&mut self) -> io::Result<()> {
        match &self.control {
            Control::Signals(Signals {
                process: Some(process),
                drain: Some(signal),
                ..
            }) => process::signal(signal, *process).await?,
            Control::Signals(_) => {
                return Err(io::Error::other("the program can not be told to drain"));
            }
            Control::Envoy(envoy) => {
                let path = "/drain_listeners?graceful".to_owned();
                admin::ask(envoy.admin, "POST", path).await?;
            }
        }
        // Who is turned away may be refused or just not answered.
        let connect = || ::tokio::net::TcpStream::connect(self.outbound);
        while let Ok(Ok(_accepted)) = timeout(ANSWERED, connect()).await {
            ::tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn relieve(&mut self, _: Actions) -> io::Result<()> {
        Err(io::Error::other("the program can not be made full"))
    }
}

impl Watched<'_> {
    /// Replaces the files one after another, clusters first, each when Envoy has taken the one before. It looks when
    /// another file is moved there, and not when one is written.
    async fn reload(&mut self) -> io::Result<()> {
        let next = self.reloads.pop_front();
        let next = next.ok_or_else(|| io::Error::other("there is nothing left to reload"))?;
        let Replacement::Files(files) = next else {
            return Ok(());
        };
        for (name, content) in files {
            let mut counters = bootstrap::FILES.iter().filter(|(file, _)| *file == name);
            let Some((_, counter)) = counters.next() else {
                continue;
            };
            let before = admin::counter(self.admin, counter).await?;
            self.folder.replace(name, &content)?;
            while admin::counter(self.admin, counter).await? == before {
                ::tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}
