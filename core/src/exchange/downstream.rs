//! The client's side of an exchange: taking up a request, answering, ending in good manners.

use bytes::Bytes;

use super::call::{RequestBody, Response};
use super::replay::RETRY_LIMIT;
use super::{Exchange, Phase, Turn};
use crate::cluster::Bucket;
use crate::decision::{Record, Refused};
use crate::message::ResponseHead;
use crate::peer::ListenerKind;
use crate::request::{self, Context, Verdict};
use crate::stream::{Begins, BodyLength, Part};
use crate::time::Duration;

impl Exchange {
    /// A head is complete: ask the request machine what to do with it.
    pub(crate) fn begin(&mut self, begins: Begins, turn: &mut Turn<'_>) {
        self.call.restart(begins);
        self.look_at(turn.local.view());
        self.record.revision = Some(self.view.snapshot.revision);
        if self.call.begins.body == BodyLength::None {
            self.call.request_complete = Some(turn.now);
        } else {
            self.call.request_body = RequestBody::Streaming;
        }
        let too_long = match (
            self.call.begins.body,
            turn.local.settings().max_request_body,
        ) {
            (BodyLength::Known(length), Some(max)) => length > max,
            _ => false,
        };
        let verdict = if too_long {
            request::refuse(&request::TOO_LARGE, &mut self.record, &mut self.response)
        } else {
            self.ask(request::begin, turn)
        };
        self.arm_route();
        self.arm_stream(turn);
        let snapshot = &self.view.snapshot;
        if request::may_retry(&self.record, snapshot)
            || request::has_mirrors(&self.record, snapshot)
        {
            self.call.replay.begin(RETRY_LIMIT);
        }
        self.obey(verdict, turn);
        self.advance(turn);
    }

    /// There is no head to serve: it broke the rules, or did not come in time.
    pub(crate) fn begin_refused(&mut self, refused: &Refused, turn: &mut Turn<'_>) {
        self.call.restart(Begins::default());
        self.moved_at = turn.now;
        self.refuse(refused, turn);
        self.advance(turn);
    }

    /// Asks the request machine.
    pub(super) fn ask<T>(
        &mut self,
        question: impl FnOnce(&Context<'_>, &mut Record, &mut ResponseHead) -> T,
        turn: &Turn<'_>,
    ) -> T {
        let nobodys = Bucket::default();
        let client = self.down.get(turn);
        let context = Context {
            view: &self.view,
            peer: &self.peer,
            upgrade: self.call.begins.upgrade.as_deref(),
            own_bucket: client.map_or(&nobodys, |client| &client.own_bucket),
            now: turn.now,
            complete_since: self.call.request_complete,
        };
        question(&context, &mut self.record, &mut self.response)
    }

    /// The injected delay is over.
    pub(super) fn on_delay_over(&mut self, turn: &mut Turn<'_>) {
        let Some((_, later)) = self.call.delayed.take() else {
            return;
        };
        // A delay counts against no timeout (Envoy: the fault filter stands before the router).
        if self.call.request_complete.is_some() {
            self.call.request_complete = Some(turn.now);
        }
        let verdict = self.ask(
            |context, record, response| request::after_delay(later, context, record, response),
            turn,
        );
        self.arm_route();
        self.obey(verdict, turn);
    }

    /// The whole request's time runs from its end.
    pub(super) fn arm_route(&mut self) {
        let complete = self.call.request_complete;
        let whole = self.record.timeouts.whole;
        self.call.route_deadline = complete.zip(whole).map(|(at, whole)| at + whole);
    }

    /// Does what the request machine decided.
    pub(super) fn obey(&mut self, verdict: Verdict, turn: &mut Turn<'_>) {
        match verdict {
            Verdict::Delay(later) => {
                self.call.route_deadline = None;
                self.call.delayed = Some((turn.now + later.wait, later));
            }
            Verdict::Retry(later) => self.back_off(later, turn),
            Verdict::Attempt(target) => {
                let is_complete = self.call.request_body == RequestBody::Complete;
                self.begin_attempt(target, turn);
                // After the request itself, which goes first where both wait for the same connections.
                if is_complete {
                    self.send_mirrors(turn);
                }
            }
            Verdict::Reply(text) => self.reply(text, turn),
        }
    }

    /// Answers with the head the request machine made, and this text.
    pub(super) fn reply(&mut self, text: Bytes, turn: &mut Turn<'_>) {
        self.drop_upstream(turn);
        self.skip_buffered_body(turn);
        let wish = self.can_keep_alive(turn) && !self.says_close(turn);
        let date = turn.local.date();
        let body = self.ask(
            |context, record, response| {
                request::complete_local(text, context, record, response, date)
            },
            turn,
        );
        self.record.status = self.response.status.as_u16();
        if self.record.request.method != http::Method::HEAD {
            self.record.bytes_sent = body.len() as u64;
        }
        let length = BodyLength::Known(body.len() as u64);
        self.down.respond(&self.response, length, wish, turn);
        self.down.data(body, turn);
        self.down.end(None, turn);
        let client = self.down.get(turn);
        let keep_alive = client.is_some_and(|client| client.connection.persists());
        self.phase = Phase::Flush { keep_alive };
    }

    /// The body of a request that is answered by ourselves: what has already arrived is thrown away, so that a client
    /// that sent it along with the head can go on using the connection.
    fn skip_buffered_body(&mut self, turn: &mut Turn<'_>) {
        while self.call.request_body == RequestBody::Streaming {
            match self.down.body(turn) {
                Some(Ok(Part::Data(data))) => self.record.bytes_received += data.len() as u64,
                Some(Ok(Part::End | Part::Trailers(_))) => {
                    self.call.request_body = RequestBody::Complete;
                    self.call.request_complete = Some(turn.now);
                }
                Some(Ok(Part::NeedMore) | Err(_)) | None => return,
            }
        }
    }

    /// Whether the connection can carry another request after this response.
    pub(super) fn can_keep_alive(&self, turn: &Turn<'_>) -> bool {
        self.call.request_body == RequestBody::Complete && self.down.persists(turn)
    }

    /// Whether the worker or this connection drains. Clients of outbound listeners are the application's own: they are told
    /// only when their connection is to end, because they need the proxy for as long as the application finishes.
    pub(super) fn says_close(&self, turn: &Turn<'_>) -> bool {
        let is_inbound = matches!(self.peer.listener, ListenerKind::Inbound(_));
        let is_ending = self.down.get(turn).is_some_and(|client| client.is_ending);
        is_ending || turn.local.is_draining() && is_inbound
    }

    /// Makes the head of an endpoint's response what the client is to see.
    pub(super) fn finish_response_head(&mut self, service_time: Option<Duration>, turn: &Turn<'_>) {
        let date = turn.local.date();
        self.ask(
            |context, record, response| {
                request::on_response_head(context, service_time, record, response, date);
            },
            turn,
        );
    }

    /// A head or a body that broke the rules: answer once and close.
    pub(super) fn refuse(&mut self, refused: &Refused, turn: &mut Turn<'_>) {
        // The framing of what follows is unknown, so nothing after this is read as a request.
        self.down.end_turns(turn);
        self.call.request_body = RequestBody::Complete;
        if self.call.response != Response::Awaited {
            self.cut(turn);
            return;
        }
        // An attempt that was under way ends with the request, not without an end.
        self.up.cancel(&mut self.record);
        let verdict = request::refuse(refused, &mut self.record, &mut self.response);
        self.obey(verdict, turn);
        // Whatever the client still sends is thrown away rather than met with a reset.
        self.call.request_body = RequestBody::Streaming;
    }

    /// The response has left: its client may ask again, or its connection ends.
    pub(super) fn finish(&mut self, keep_alive: bool, turn: &mut Turn<'_>) -> bool {
        self.end_record(turn);
        self.let_go(turn);
        let is_complete = self.call.request_body == RequestBody::Complete;
        self.down.finish(keep_alive, is_complete, turn);
        true
    }

    /// The response had begun and cannot be completed: end so that the client can tell.
    pub(super) fn cut(&mut self, turn: &mut Turn<'_>) {
        self.drop_upstream(turn);
        if self.down.would_seem_whole(turn) {
            self.reset(turn);
        } else {
            self.phase = Phase::Flush { keep_alive: false };
        }
    }

    /// The record ends here, and its client's connection with a reset.
    pub(super) fn reset(&mut self, turn: &mut Turn<'_>) {
        self.end_record(turn);
        self.let_go(turn);
        self.down.reset(turn);
    }
}
