//! Where a request stands, and what moves it on.
//!
//! Each state owns what it is about. What holds for the request in all of them is the `call`'s. What happens when a time is up
//! is in `overdue`; who is asked about it, in `asking`; how a side goes away, and how a request ends, in `ending`.

mod asking;
mod ending;
mod overdue;

use core::mem;

use super::Turn;
use super::attempt::Attempt;
use super::attempts::{self, Attempts, Newest, Tried};
use super::body::{Arrival, Pumped};
use super::call::Call;
use super::client_stream::Parting;
use super::endpoint_stream::EndpointStream;
use super::inquiry::Asking;
use super::relay::{self, Relay, Relayed};
use super::timers::Timer;
use super::tunnel::{Passing, Tunnel};
use crate::cluster::Ending;
use crate::decision::{AttemptEnd, Refused};
use crate::request::{self, Later, Verdict};
use crate::time::Instant;
pub(super) use ending::left_by;

/// Where a request stands.
#[derive(Debug, Default)]
pub(super) enum State {
    /// Somebody is asked whether it may pass.
    Asking(Asking),
    /// An injected delay holds it until then.
    Delayed { until: Instant, later: Later },
    /// No response is the client's yet.
    Trying(Attempts),
    /// One is on its way to the client.
    Relaying(Relay),
    /// Bytes pass both ways, uninterpreted.
    Tunnel(Tunnel),
    /// The response is complete, and its last bytes are being written.
    Flush { keep_alive: bool },
    /// It has not begun, or is over: nothing is held.
    #[default]
    Over,
}

impl State {
    /// Whether the client waits for a response, or for the rest of one.
    const fn is_served(&self) -> bool {
        match self {
            Self::Asking(_) | Self::Delayed { .. } | Self::Trying(_) | Self::Relaying(_) => true,
            Self::Tunnel(_) | Self::Flush { .. } | Self::Over => false,
        }
    }

    /// The attempt that gets what the client sends: the newest, or the one that was answered.
    pub(super) const fn attempt(&self) -> Option<&Attempt> {
        match self {
            Self::Trying(attempts) => attempts.newest.get(),
            Self::Relaying(relay) => Some(&relay.attempt),
            Self::Tunnel(tunnel) => Some(&tunnel.attempt),
            Self::Asking(_) | Self::Delayed { .. } | Self::Flush { .. } | Self::Over => None,
        }
    }

    /// The attempt on a stream, or the one that gets what the client sends.
    pub(super) fn attempt_on(&mut self, stream: EndpointStream) -> Option<&mut Attempt> {
        match self {
            Self::Trying(attempts) => attempts.on(stream),
            Self::Relaying(relay) => Some(&mut relay.attempt),
            Self::Tunnel(tunnel) => Some(&mut tunnel.attempt),
            Self::Asking(_) | Self::Delayed { .. } | Self::Flush { .. } | Self::Over => None,
        }
    }

    /// An older attempt, while there is a newer one beside it.
    pub(super) fn older(&self) -> Option<&Attempt> {
        match self {
            Self::Trying(attempts) => attempts.older.as_deref(),
            Self::Asking(_)
            | Self::Delayed { .. }
            | Self::Relaying(_)
            | Self::Tunnel(_)
            | Self::Flush { .. }
            | Self::Over => None,
        }
    }

    /// When its time is up, and for what.
    pub(super) fn deadline(&self, call: &Call) -> Option<(Instant, Timer)> {
        let own = match self {
            Self::Delayed { until, .. } => Some((*until, Timer::Fault)),
            Self::Trying(attempts) => attempts.deadline(),
            Self::Asking(_) | Self::Relaying(_) => None,
            Self::Tunnel(_) => return call.clocks.last(),
            Self::Flush { .. } => return call.clocks.flush(),
            Self::Over => return None,
        };
        call.clocks.first(own)
    }

    /// Does what the request machine decided.
    pub(super) fn obey(&mut self, verdict: Verdict, call: &mut Call, turn: &mut Turn<'_>) {
        match verdict {
            // A delay counts against no timeout (Envoy: the fault filter stands before the router).
            Verdict::Delay(later) => {
                call.clocks.route = None;
                let until = turn.now + later.wait;
                *self = Self::Delayed { until, later };
            }
            Verdict::Ask(question) => {
                call.clocks.route = None;
                *self = Self::Asking(Asking::new(question));
                asking::ask(self, call, turn);
            }
            Verdict::Retry(later) => *self = Self::Trying(Attempts::later(later, turn.now)),
            Verdict::Attempt(target) => {
                let is_complete = call.body.is_complete();
                match Attempt::begin(call.id, target, &call.ledger, turn) {
                    Ok(attempt) => {
                        *self = Self::Trying(Attempts::of(attempt));
                        self.have_tried(call, turn, Attempts::attach);
                    }
                    Err(reason) => {
                        let verdict = attempts::refused(reason, call, turn);
                        self.obey(verdict, call, turn);
                    }
                }
                // After the request itself, which goes first where both wait for the same connections.
                if is_complete {
                    self.send_mirrors(call, turn);
                }
            }
            // With the head that the request machine made.
            Verdict::Close => self.end(Parting::Close, call, turn),
            Verdict::Reply(text) => {
                self.close_attempts(turn);
                let keep_alive = call.reply(text, turn);
                *self = Self::Flush { keep_alive };
            }
        }
    }

    /// Goes on with what came of the attempts.
    fn follow(&mut self, tried: Tried, call: &mut Call, turn: &mut Turn<'_>) {
        match tried {
            Tried::Waits => {}
            Tried::Failed(_) if call.ledger.is_connection() => {
                self.obey(Verdict::Close, call, turn);
            }
            Tried::Failed(text) => self.obey(Verdict::Reply(text), call, turn),
            Tried::Answered(body) => {
                if let Self::Trying(attempts) = self
                    && let Some(attempt) = attempts.newest.get_mut()
                {
                    relay::begin(attempt, body, call, turn);
                }
                self.go_on(|attempt| Self::Relaying(Relay::of(attempt)));
                self.pump_response(call, turn);
            }
            Tried::Switched(protocol) => {
                let protocol = protocol.as_deref();
                self.go_on(|attempt| Self::Tunnel(Tunnel::upgrade(attempt, protocol, call, turn)));
            }
            Tried::Connected if call.ledger.is_connection() => {
                self.go_on(|attempt| Self::Tunnel(Tunnel::relay(attempt, call, turn)));
            }
            Tried::Connected => {
                self.go_on(|attempt| Self::Tunnel(Tunnel::connect(attempt, call, turn)));
            }
        }
    }

    /// The newest attempt is the last one, and goes on as something else.
    #[inline]
    fn go_on(&mut self, to: impl FnOnce(Attempt) -> Self) {
        *self = match mem::take(self) {
            Self::Trying(Attempts {
                newest: Newest::UnderWay(attempt),
                ..
            }) => to(attempt),
            Self::Asking(_)
            | Self::Delayed { .. }
            | Self::Trying(_)
            | Self::Relaying(_)
            | Self::Tunnel(_)
            | Self::Flush { .. }
            | Self::Over => return,
        };
    }

    /// Has the attempts do something, if the request is at that.
    pub(super) fn have_tried(
        &mut self,
        call: &mut Call,
        turn: &mut Turn<'_>,
        act: impl FnOnce(&mut Attempts, &mut Call, &mut Turn<'_>) -> Tried,
    ) {
        if let Self::Trying(attempts) = self {
            let tried = act(attempts, call, turn);
            self.follow(tried, call, turn);
        }
    }

    /// Makes the copies that are still to be made. The request is complete.
    fn send_mirrors(&self, call: &mut Call, turn: &mut Turn<'_>) {
        call.send_mirrors(turn);
        if let Self::Relaying(relay) = self {
            call.body.replay.end_repeats(relay.attempt.upload.cursor);
        }
    }

    /// Does everything that can be done without waiting.
    pub(super) fn advance(&mut self, call: &mut Call, turn: &mut Turn<'_>) {
        loop {
            match self {
                Self::Asking(_) | Self::Delayed { .. } | Self::Trying(_) | Self::Relaying(_) => {
                    let made = call.ledger.record.attempts.len();
                    self.pump_request(call, turn);
                    asking::ask(self, call, turn);
                    self.pump_response(call, turn);
                    self.have_tried(call, turn, Attempts::hear_older);
                    // An attempt that has just begun on a connection that was there is not told that it may write.
                    let is_level = call.ledger.record.attempts.len() == made;
                    if is_level && self.is_served() {
                        return;
                    }
                }
                Self::Tunnel(tunnel) => {
                    let parting = match tunnel.advance(call, turn) {
                        Passing::GoesOn => return,
                        Passing::Over => Parting::Served { keep_alive: false },
                        Passing::Broken => {
                            tunnel.abort(turn);
                            Parting::Reset
                        }
                    };
                    self.end(parting, call, turn);
                }
                Self::Flush { keep_alive } => {
                    if !call.client.has_left(turn) {
                        return;
                    }
                    let keep_alive = *keep_alive;
                    self.end(Parting::Served { keep_alive }, call, turn);
                }
                Self::Over => return,
            }
        }
    }

    fn pump_request(&mut self, call: &mut Call, turn: &mut Turn<'_>) {
        let to = match self {
            Self::Trying(attempts) => attempts.newest.get_mut(),
            Self::Relaying(relay) => Some(&mut relay.attempt),
            Self::Asking(_)
            | Self::Delayed { .. }
            | Self::Tunnel(_)
            | Self::Flush { .. }
            | Self::Over => None,
        };
        let (client, record) = (call.client, &mut call.ledger.record);
        let web = call.web.as_deref_mut();
        match call.body.pump(to, client, web, record, &call.charge, turn) {
            Pumped::Waits => {}
            Pumped::Whole => {
                call.owe_nothing(turn);
                call.arm_route();
                if let Self::Trying(attempts) = self
                    && let Some(newest) = attempts.newest.get_mut()
                {
                    newest.arm(&call.ledger, turn.now);
                }
                self.send_mirrors(call, turn);
            }
            Pumped::Refused(refused) => self.refuse(&refused, call, turn),
            Pumped::Left(broken) => self.cancel(left_by(broken), call, turn),
        }
    }

    fn pump_response(&mut self, call: &mut Call, turn: &mut Turn<'_>) {
        match self {
            Self::Trying(_) => self.have_tried(call, turn, Attempts::hear),
            Self::Relaying(relay) => {
                let relayed = relay.pump(call, turn);
                self.on_relayed(relayed, call, turn);
            }
            Self::Asking(_)
            | Self::Delayed { .. }
            | Self::Tunnel(_)
            | Self::Flush { .. }
            | Self::Over => {}
        }
    }

    fn on_relayed(&mut self, relayed: Relayed, call: &mut Call, turn: &mut Turn<'_>) {
        match (relayed, &mut *self) {
            (Relayed::Whole, Self::Relaying(relay)) => {
                let keep_alive = relay.complete(call, turn);
                *self = Self::Flush { keep_alive };
            }
            (Relayed::Cut(reason), Self::Relaying(relay)) => {
                if let Some(active) = &mut relay.attempt.held.active {
                    active.on_end(Ending::Bad);
                }
                call.ledger.report_reset(reason, turn.now);
                request::on_response_cut(reason, &mut call.ledger.record);
                self.cut(call, turn);
            }
            (Relayed::Waits | Relayed::Whole | Relayed::Cut(_), _) => {}
        }
    }

    /// A head or a body that broke the rules: answers once and closes.
    pub(super) fn refuse(&mut self, refused: &Refused, call: &mut Call, turn: &mut Turn<'_>) {
        // The framing of what follows is unknown, so nothing after this is read as a request.
        call.client.end_turns(turn);
        if matches!(self, Self::Relaying(_)) {
            call.body.arrival = Arrival::Whole(turn.now);
            self.cut(call, turn);
            return;
        }
        // An attempt that was under way ends with the request, not without an end.
        self.end_attempts(AttemptEnd::Cancelled, call, turn);
        // Whatever the client still sends is thrown away rather than met with a reset.
        call.body.arrival = Arrival::Refused;
        let (record, response) = (&mut call.ledger.record, &mut call.ledger.response);
        let verdict = request::refuse(refused, record, response);
        self.obey(verdict, call, turn);
    }
}
