//! What happens when a time is up that a request waits for.

use super::State;
use crate::cluster::ejection::Outcome;
use crate::decision::{AttemptEnd, Details, ResetReason};
use crate::exchange::Turn;
use crate::exchange::attempts::Attempts;
use crate::exchange::body::Arrival;
use crate::exchange::call::Call;
use crate::exchange::client_stream::Parting;
use crate::exchange::timers::Timer;
use crate::request::{self, StreamTimeout};

impl State {
    /// One of the times is up that it waits for.
    pub(in crate::exchange) fn on_time_up(
        &mut self,
        timer: Timer,
        call: &mut Call,
        turn: &mut Turn<'_>,
    ) {
        match timer {
            Timer::Connect | Timer::PerTry | Timer::Backoff => {
                self.have_tried(call, turn, Attempts::on_time_up);
            }
            Timer::Fault => {
                if let Arrival::Whole(since) = &mut call.body.arrival {
                    *since = turn.now;
                }
                let Self::Delayed { later, .. } = *self else {
                    return;
                };
                let verdict = call.ask(
                    |context, record, response| {
                        request::after_delay(later, context, record, response)
                    },
                    turn,
                );
                call.arm_route();
                self.obey(verdict, call, turn);
            }
            Timer::Route => self.on_route_timeout(call, turn),
            Timer::StreamIdle => self.on_stream_timeout(StreamTimeout::Idle, call, turn),
            Timer::Duration => self.on_stream_timeout(StreamTimeout::Duration, call, turn),
        }
    }

    /// The route's timeout ran out.
    fn on_route_timeout(&mut self, call: &mut Call, turn: &mut Turn<'_>) {
        call.clocks.route = None;
        let newest = match self {
            Self::Trying(attempts) => {
                attempts.lose_older(ResetReason::LocalReset, call, turn);
                attempts.newest.get_mut()
            }
            Self::Relaying(relay) => {
                relay.attempt.held.fail();
                call.ledger.record.details = Details::ResponseTimeout;
                return self.cut(call, turn);
            }
            Self::Asking(_)
            | Self::Delayed { .. }
            | Self::Tunnel(_)
            | Self::Flush { .. }
            | Self::Over => None,
        };
        if let Some(newest) = newest {
            newest.held.fail();
            let end = AttemptEnd::Reset(ResetReason::LocalReset);
            call.ledger.end_attempt(newest.at, end, turn.now);
            // As Envoy: before there is a connection, nobody is to blame.
            if newest.is_attached() && !newest.time.is_over() {
                call.ledger.report_failure(Outcome::Timeout, turn.now);
                newest.report_adaptive(&call.ledger, turn.now);
            }
        }
        self.close_attempts(turn);
        let verdict = call.ask(request::on_route_timeout, turn);
        self.obey(verdict, call, turn);
    }

    /// A time is up that holds for the request as a whole.
    fn on_stream_timeout(&mut self, of: StreamTimeout, call: &mut Call, turn: &mut Turn<'_>) {
        // What is still to be written goes to the client, if it takes it.
        call.clocks.moved_at = turn.now;
        match self {
            // Nobody is answered, and what has been written still leaves.
            Self::Tunnel(_) if call.ledger.is_connection() => {
                call.ledger.record.details = request::connection_timed_out(of);
                self.end(Parting::Close, call, turn);
            }
            Self::Asking(_) | Self::Delayed { .. } | Self::Trying(_) => {
                let end = AttemptEnd::Reset(ResetReason::LocalReset);
                self.end_attempts(end, call, turn);
                let is_complete = call.body.is_complete();
                let (record, response) = (&mut call.ledger.record, &mut call.ledger.response);
                let verdict = request::stream_timed_out(of, is_complete, record, response);
                self.obey(verdict, call, turn);
            }
            Self::Relaying(_) => {
                request::on_stream_cut(of, &mut call.ledger.record);
                self.cut(call, turn);
            }
            // The client takes nothing: an ordinary close would wait for it, too.
            Self::Flush { .. } | Self::Tunnel(_) => {
                request::on_stream_cut(of, &mut call.ledger.record);
                self.end(Parting::Reset, call, turn);
            }
            Self::Over => {}
        }
    }
}
