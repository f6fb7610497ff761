//! What others ask at the start already: the sockets of the admin endpoints and of the agent, and who answers there.
//!
//! Owns when they are answered. Nobody has to know whether we are ready to get an answer, but for one case: where this process takes over
//! from another, that one answers until it is over, because the sockets are the same.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use tracing::info;

use super::Failure;
use super::admin::{self, Beside, Door, Listener, Open, Others, Sources};
use super::admin_sockets::{self, AdminSockets};
use super::awaited::{Awaited, Fault};
use super::command::Command;
use super::takeover::Takeover;
use crate::admin_args::{AdminAddr, AdminArgs};
use crate::cli::RunArgs;

/// Where we are asked, and what is answered.
pub(super) struct Front {
    /// Where the admin endpoints are, with their real port.
    pub(super) admin: AdminAddr,
    /// By whom some of what they answer is asked, and where.
    pub(super) asked: Vec<(Others, SocketAddr)>,
    pub(super) beside: Arc<Beside>,
    awaited: Arc<Awaited>,
    door: Arc<Door>,
    state: State,
}

enum State {
    /// Another process answers there.
    Held(Listener, Vec<(Others, Listener)>),
    /// This one does.
    Open(Open),
    /// It has been handed on.
    Gone,
}

impl Front {
    /// Listens, or takes over, and answers unless another process does.
    ///
    /// # Errors
    /// An address cannot be had, or the environment says nonsense of the application.
    pub(super) fn open(
        args: &RunArgs,
        commands: UnboundedSender<Command>,
        takeover: &mut Takeover,
    ) -> Result<Self, Failure> {
        let beside = Beside::new(&args.admin, args.xds.workload_ip, args.interception);
        let beside = Arc::new(beside.map_err(|why| Failure::usage(&why))?);
        let AdminSockets {
            listener,
            admin,
            others,
        } = admin_sockets::bind(&args.admin, takeover)?;
        let awaited = Arc::new(Awaited::default());
        let asked = others.iter().map(|(who, _, addr)| (*who, *addr)).collect();
        let others = others.into_iter();
        let others = others.map(|(who, listener, _)| (who, listener)).collect();
        let mut front = Self {
            admin,
            asked,
            beside,
            door: Door::new(Arc::clone(&awaited), commands),
            awaited,
            state: State::Held(listener, others),
        };
        if !takeover.is_from_another() {
            front.answer(&args.admin)?;
        }
        Ok(front)
    }

    fn answer(&mut self, args: &AdminArgs) -> Result<(), Failure> {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Held(listener, others) => {
                let (beside, door) = (Arc::clone(&self.beside), Arc::clone(&self.door));
                let opened = admin::start(listener, others, args, beside, door);
                let failed = |error| Failure::bad(format!("cannot start a thread: {error}"));
                self.state = State::Open(opened.map_err(failed)?);
            }
            other => self.state = other,
        }
        Ok(())
    }

    /// What everything waits for, in words.
    pub(super) fn awaited(&self) -> &Arc<Awaited> {
        &self.awaited
    }

    /// What is known before everything is there.
    pub(super) fn door(&self) -> &Door {
        &self.door
    }

    /// This is waited for from now on, which is told, and where to ask how far it is.
    pub(super) fn wait_for(&self, what: &str, fault: Fault) {
        self.awaited.set(what, fault);
        let asked = self.asked.iter();
        let asked = asked.map(|(who, addr)| (who.option().trim_start_matches('-'), addr));
        let places: String = asked.map(|(who, addr)| format!(" {who} {addr},")).collect();
        let admin = &self.admin;
        match self.state {
            State::Held(..) => {
                info!(target: "main", "waiting for {what}, while another process serves");
            }
            State::Open(_) | State::Gone => {
                info!(target: "main", "waiting for {what};{places} admin {admin} answer, and no traffic is taken");
            }
        }
    }

    /// Everything is there: it is answered from from now on, by this process.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(super) fn begin(&mut self, args: &AdminArgs, sources: Sources) -> Result<(), Failure> {
        self.door.begin(sources);
        self.answer(args)
    }

    /// What is listened to for as long as this lives, if it is.
    pub(super) fn take(&mut self) -> Option<Open> {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Open(open) => Some(open),
            State::Held(..) | State::Gone => None,
        }
    }

    /// Nothing came of it: files of sockets are gone when this returns.
    pub(super) fn close(mut self) {
        if let Some(open) = self.take() {
            open.close_now();
        }
    }
}
