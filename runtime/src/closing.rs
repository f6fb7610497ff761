//! What a worker makes of places that are opened and closed while it runs.
//!
//! Connections of a closed place end as soon as nothing is in flight on them, and those that have not in time are cut off. Which
//! places there are is in `places`; accepting is in `acceptor`.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use outrigger_core::peer::{ClientId, ConnId};
use outrigger_core::worker::Input;

use crate::listen::Listening;
use crate::notice::Notice;
use crate::places::Places;
use crate::shared::{Local, Shared};
use crate::sockets::Client;
use crate::system::{System, Timer};
use crate::traffic::Turn;

/// A place that is to be listened at from now on.
pub(crate) struct Opened {
    /// Its number.
    pub(crate) at: usize,
    pub(crate) addr: SocketAddr,
    /// How often it was opened.
    pub(crate) opened: u32,
    pub(crate) listening: Listening,
}

impl<S: System> Shared<S> {
    /// Takes note of what was opened and closed, and returns what is to be listened at.
    pub(crate) fn look_at_places(self: &Rc<Self>, places: &Places) -> Vec<Opened> {
        let (mut all, mut ours) = (Vec::new(), Vec::new());
        let mut closes_some = false;
        for (at, news) in places.look(self.worker()).into_iter().enumerate() {
            let closed = self.note(at, || Local::new(news.counters), (news.closed, news.rests));
            if let Some(until) = news.until.filter(|_| closed) {
                closes_some = true;
                let cut_off = cut_off_at(Rc::clone(self), (at, news.closed), until, news.addr);
                self.system.spawn(cut_off);
            }
            ours.extend(news.is_ours.then_some(news.addr));
            all.extend(news.listening.into_iter().map(|listening| Opened {
                at,
                addr: news.addr,
                opened: news.opened,
                listening,
            }));
        }
        self.reach.listening.replace(ours);
        if closes_some {
            self.look_at_clients();
        }
        all
    }

    /// Ends what is left of the connections of a place that was closed, up to an opening. Returns how many.
    fn cut_off(self: &Rc<Self>, (at, closed): (usize, u32)) -> usize {
        let is_left = |client: &Client| client.listener == at && client.opened <= closed;
        let now = self.wake();
        let mut count = 0;
        self.turn(now, |turn| {
            let left: Vec<ClientId> = (turn.sockets.clients.iter())
                .filter(|(_, (client, _))| is_left(client))
                .map(|(id, _)| id)
                .collect();
            count = left.len();
            left.into_iter().for_each(|id| turn.cut_off(id.into()));
        });
        count
    }
}

/// Waits until it is time for what is left of the connections of a place.
async fn cut_off_at<S: System>(
    shared: Rc<Shared<S>>,
    whose: (usize, u32),
    until: Instant,
    listener: SocketAddr,
) {
    let mut timer = shared.system.timer(until);
    poll_fn(|cx| timer.poll(cx)).await;
    let connections = shared.cut_off(whose);
    shared.has_closed();
    if connections > 0 {
        (shared.notices)(Notice::CutOff {
            listener,
            connections,
        });
    }
}

impl<S: System> Turn<'_, S> {
    /// To core it is as if the connection had broken.
    fn cut_off(&mut self, id: ConnId) {
        self.contain(Some(id), |turn| {
            let joint = &turn.shared.joint;
            joint.handle_input(id, Input::Broken, turn.now);
            turn.perform();
        });
    }
}
