//! What one play of a case against a program stands on: its ports and addresses, its folder, its name server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use super::files::Folder;
use super::name_server::NameServer;
use super::slot::Slot;
use crate::case::Case;

/// All of that; it goes away with the play.
#[derive(Debug)]
pub(crate) struct Grounds {
    pub(crate) slot: Slot,
    pub(crate) folder: Folder,
    /// Where the case speaks of names.
    pub(crate) names: Option<NameServer>,
}

impl Grounds {
    /// Takes a slot and makes a folder, and knows no names yet.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            slot: Slot::claim()?,
            folder: Folder::make()?,
            names: None,
        })
    }

    /// Answers for the names of a case, which has real addresses already.
    ///
    /// # Errors
    /// There is no port for that.
    pub(crate) async fn name(&mut self, case: &Case) -> io::Result<()> {
        if !case.answers.is_empty() {
            self.names = Some(NameServer::start(case.answers.clone()).await?);
        }
        Ok(())
    }
}

/// A port of loopback.
pub(crate) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
