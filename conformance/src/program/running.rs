//! The program while a case is played: what it is told, and how.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use serde_json::Value;

use super::envoy::{admin, bootstrap};
use super::files::Folder;
use super::process;
use crate::subject::stage::Proxy;

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
    /// By a signal to the process, if there is one that makes it drain.
    Signal(Option<&'a str>, Option<u32>),
    /// Through Envoy's admin interface, and files that it watches.
    Envoy(Watched<'a>),
}

/// Envoy's admin interface, and the files that it watches.
pub(crate) struct Watched<'a> {
    /// Where the interface is.
    pub(crate) admin: SocketAddr,
    /// Where the files are.
    pub(crate) folder: &'a Folder,
    /// What is left to replace them with.
    pub(crate) reloads: VecDeque<Option<Vec<(&'static str, Value)>>>,
}

impl Proxy for Running<'_> {
    fn address(&self, inbound: bool) -> SocketAddr {
        if inbound { self.inbound } else { self.outbound }
    }

    async fn reload(&mut self) -> io::Result<()> {
        match &mut self.control {
            Control::Signal(..) => Err(io::Error::other("nothing tells when a reload is done")),
            Control::Envoy(envoy) => envoy.reload().await,
        }
    }

    async fn drain(&mut self) -> io::Result<()> {
        match &self.control {
            Control::Signal(Some(signal), Some(id)) => process::signal(signal, *id).await?,
            Control::Signal(..) => {
                return Err(io::Error::other("the program can not be told to drain"));
            }
            Control::Envoy(envoy) => {
                let path = "/drain_listeners?graceful".to_owned();
                admin::ask(envoy.admin, "POST", path).await?;
            }
        }
        while ::tokio::net::TcpStream::connect(self.outbound)
            .await
            .is_ok()
        {
            ::tokio::task::yield_now().await;
        }
        Ok(())
    }
}

impl Watched<'_> {
    /// Replaces the files one after another, clusters first, each when Envoy has taken the one before. It looks when
    /// another file is moved there, and not when one is written.
    async fn reload(&mut self) -> io::Result<()> {
        let next = self.reloads.pop_front();
        let next = next.ok_or_else(|| io::Error::other("there is nothing left to reload"))?;
        for (name, content) in next.into_iter().flatten() {
            let mut counters = bootstrap::FILES.iter().filter(|(file, _)| *file == name);
            let Some((_, counter)) = counters.next() else {
                continue;
            };
            let before = admin::counter(self.admin, counter).await?;
            self.folder.write("next", &content.to_string())?;
            std::fs::rename(self.folder.path("next"), self.folder.path(name))?;
            while admin::counter(self.admin, counter).await? == before {
                ::tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}
