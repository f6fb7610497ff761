//! Moving messages: the request towards the endpoint and the response towards the client, with backpressure.

use bytes::Bytes;

use super::call::{Call, RequestBody, Response};
use super::{Exchange, Phase, Turn};
use crate::cluster::{ActiveRequest, Ending};
use crate::decision::{AttemptEnd, Details, ResetReason};
use crate::message::Headers;
use crate::request::{self, Judged};
use crate::stream::{Answer, BodyLength, Part};

impl Exchange {
    /// Moves what can be moved in both directions. Says whether the phase changed.
    pub(super) fn advance_call(&mut self, turn: &mut Turn<'_>) -> bool {
        self.pump_request(turn);
        if matches!(self.phase, Phase::Call) {
            self.pump_response(turn);
        }
        if matches!(self.phase, Phase::Call) && self.aside.is_some() {
            self.pump_aside(turn);
        }
        !matches!(self.phase, Phase::Call)
    }

    /// Whether more is read from the client, of whom this much waits in memory.
    pub(super) fn wants_request_bytes(&self, is_endpoint_slow: bool, waiting: usize) -> bool {
        // Once the request is complete we read on a little: to see the client leave, and to have the next head early.
        let flowing = self.call.request_body == RequestBody::Streaming
            && self.up.is_attached()
            && !self.up.is_deaf();
        if flowing {
            !is_endpoint_slow
        } else {
            waiting < self.inbox_limit()
        }
    }

    fn is_endpoint_slow(&self, turn: &Turn<'_>) -> bool {
        let endpoint = turn.sockets.look_at(self.up.conn);
        endpoint.is_some_and(|endpoint| endpoint.outbox.is_above(self.charge.high_water()))
    }

    fn wants_response_bytes(&self, turn: &Turn<'_>) -> bool {
        let mark = self.charge.high_water();
        self.up.is_attached() && !self.down.is_slow(mark, turn)
    }

    fn pump_request(&mut self, turn: &mut Turn<'_>) {
        if self.up.is_deaf() || self.up.is_attached() && !self.send_again(turn) {
            return;
        }
        // An upgrade is a question: the bytes after it belong to the answer, 101 or not.
        while self.call.request_body == RequestBody::Streaming && self.takes_request_body(turn) {
            match self.down.body(turn) {
                None | Some(Ok(Part::NeedMore)) => return,
                Some(Ok(Part::Data(data))) => {
                    self.record.bytes_received += data.len() as u64;
                    let most = turn.local.settings().max_request_body;
                    if most.is_some_and(|most| self.record.bytes_received > most) {
                        self.refuse(&request::TOO_LARGE, turn);
                        return;
                    }
                    self.keep_for_repeats(&data);
                    if self.up.is_attached()
                        && let Some((endpoint, local)) = turn.endpoint(self.up.conn)
                    {
                        endpoint.data(data, local);
                    }
                }
                Some(Ok(Part::Trailers(trailers))) => self.call.request_trailers = Some(trailers),
                Some(Ok(Part::End)) => {
                    self.complete_request(turn);
                    if self.up.is_attached() {
                        let trailers = self.call.request_trailers.as_ref();
                        self.up.end_request_body(trailers, turn);
                    }
                    self.send_mirrors(turn);
                }
                Some(Err(refused)) => {
                    self.refuse(&refused, turn);
                    return;
                }
            }
        }
    }

    /// Before there is a connection, a body that can be kept is read nevertheless: the route's timeout runs from its end,
    /// and must not wait for an endpoint that does not answer.
    fn takes_request_body(&self, turn: &Turn<'_>) -> bool {
        if self.up.is_attached() {
            return !self.is_endpoint_slow(turn);
        }
        let count = self.down.waiting(turn);
        self.call.replay.has_room(count, self.replay_limit())
    }

    /// A request that finds no memory for its body is not sent again, rather than refused.
    fn keep_for_repeats(&mut self, data: &Bytes) {
        let limit = self.replay_limit();
        let replay = &mut self.call.replay;
        if replay.has_room(data.len(), usize::MAX) && !replay.has_room(data.len(), limit) {
            self.charge.count_abandoned();
        }
        replay.push(data, limit);
    }

    fn send_again(&mut self, turn: &mut Turn<'_>) -> bool {
        let Call {
            replay,
            request_body,
            request_trailers,
            ..
        } = &mut self.call;
        let is_complete = *request_body == RequestBody::Complete;
        let mark = self.charge.high_water();
        self.up
            .send_again(replay, is_complete, request_trailers.as_ref(), mark, turn)
    }

    fn complete_request(&mut self, turn: &mut Turn<'_>) {
        self.call.request_body = RequestBody::Complete;
        self.call.request_complete = Some(turn.now);
        self.arm_route();
        self.arm_per_try(turn);
    }

    /// Moves as much of the response as the client takes.
    pub(super) fn pump_response(&mut self, turn: &mut Turn<'_>) {
        // Interim heads count too: an endpoint may send any number of them.
        while matches!(self.phase, Phase::Call) && self.wants_response_bytes(turn) {
            match self.call.response {
                Response::Awaited => {
                    let Some((endpoint, _)) = turn.endpoint(self.up.conn) else {
                        return;
                    };
                    match endpoint.head(&mut self.response) {
                        Ok(None) => return,
                        Ok(Some(answer)) => self.on_response_head(answer, turn),
                        Err(_refused) => self.fail_attempt(ResetReason::ProtocolError, turn),
                    }
                }
                Response::Streaming => {
                    if !self.pump_response_body(turn) {
                        return;
                    }
                }
            }
        }
    }

    /// Moves one part of the response's body. Says whether there may be more.
    fn pump_response_body(&mut self, turn: &mut Turn<'_>) -> bool {
        let Some((endpoint, _)) = turn.endpoint(self.up.conn) else {
            return false;
        };
        match endpoint.body() {
            Ok(Part::NeedMore) => false,
            Ok(Part::Data(data)) => {
                self.record.bytes_sent += data.len() as u64;
                self.down.data(data, turn);
                true
            }
            Ok(Part::Trailers(trailers)) => {
                self.call.trailers = Some(trailers);
                true
            }
            Ok(Part::End) => {
                let trailers = self.call.trailers.take();
                self.down.end(trailers.as_ref(), turn);
                self.complete_response(trailers.as_ref(), turn);
                false
            }
            Err(_refused) => {
                self.cut_response(ResetReason::ProtocolError, turn);
                false
            }
        }
    }

    fn on_response_head(&mut self, answer: Answer, turn: &mut Turn<'_>) {
        match answer {
            Answer::Switched(protocol) => self.begin_upgrade_tunnel(protocol, turn),
            Answer::Interim => {
                self.give_up_aside(AttemptEnd::Overtaken, turn);
                self.pass_on_interim(turn);
            }
            Answer::Final(body) => self.on_final_head(body, turn),
        }
    }

    fn on_final_head(&mut self, body: BodyLength, turn: &mut Turn<'_>) {
        self.up.on_head(body, &mut self.record, &self.response);
        if !self.up.is_judged {
            self.report_response(turn);
        }
        let (was_hedged, can_repeat) = (self.up.was_hedged, self.can_repeat());
        let judged = self.ask(
            |context, record, response| {
                request::after_response(was_hedged, can_repeat, context, record, response)
            },
            turn,
        );
        match judged {
            Judged::Retry(later) => {
                self.discard_response(turn);
                self.back_off(later, turn);
                return;
            }
            Judged::Bad if self.aside.is_some() => {
                self.discard_response(turn);
                self.take_back(turn);
                return;
            }
            Judged::Good | Judged::Bad => {}
        }
        self.give_up_aside(AttemptEnd::Overtaken, turn);
        self.pass_on(body, turn);
    }

    fn report_response(&mut self, turn: &mut Turn<'_>) {
        let outcome = request::outcome::of_response(&self.record, &self.response);
        self.report(outcome, turn.now);
        request::response_time::on_response(
            outcome,
            &self.view.snapshot,
            &self.record,
            &self.response,
            turn.now,
        );
    }

    /// The response has ended so, in case its head did not say.
    fn report_end(&mut self, ending: Ending, turn: &Turn<'_>) {
        let active = self.up.active.as_mut();
        if active.and_then(|active| active.on_end(ending)) == Some(Ending::Bad) {
            request::response_time::on_failure(&self.view.snapshot, &self.record, turn.now);
        }
    }

    /// An interim response is the client's, of whichever attempt it is.
    pub(super) fn pass_on_interim(&mut self, turn: &mut Turn<'_>) {
        self.call.interim_sent = true;
        self.down.inform(&self.response, turn);
    }

    /// The response is the client's, of whichever attempt it is.
    pub(super) fn pass_on(&mut self, body: BodyLength, turn: &mut Turn<'_>) {
        let status = self.response.status.as_u16();
        self.record.retry_slot = None;
        if !self.owes_mirrors() {
            self.call.replay.end_repeats();
        }
        self.up.per_try_deadline = None;
        self.record.status = status;
        self.record.details = Details::ViaUpstream;
        let service_time = self.call.request_complete.map(|at| turn.now.since(at));
        self.finish_response_head(service_time, turn);
        let is_there = self.down.get(turn).is_some_and(|client| !client.eof);
        let wish = is_there && !self.says_close(turn);
        self.down.respond(&self.response, body, wish, turn);
        self.call.response = Response::Streaming;
    }

    /// The endpoint closed while its response was on the way.
    pub(super) fn end_response_at_eof(&mut self, turn: &mut Turn<'_>) {
        let cut = turn
            .endpoint(self.up.conn)
            .map(|(endpoint, _)| endpoint.on_eof());
        if matches!(cut, Some(Err(_))) {
            self.cut_response(ResetReason::ProtocolError, turn);
            return;
        }
        self.down.end(None, turn);
        self.complete_response(None, turn);
    }

    fn complete_response(&mut self, trailers: Option<&Headers>, turn: &mut Turn<'_>) {
        self.report_end(request::outcome::on_trailers(trailers), turn);
        // A service that fails is quick about it.
        let ending = self.up.active.as_ref().map(ActiveRequest::ending);
        if ending != Some(Ending::Bad) {
            self.report_adaptive(turn);
        }
        self.release_upstream(true, turn);
        // What the head said holds, unless the response overtook its request. A client that was not told is never cut off:
        // the next response says close if we drain.
        let keep_alive = self.can_keep_alive(turn);
        self.phase = Phase::Flush { keep_alive };
    }

    /// The response cannot be completed.
    pub(super) fn cut_response(&mut self, reason: ResetReason, turn: &mut Turn<'_>) {
        if let Some(active) = &mut self.up.active {
            active.on_end(Ending::Bad);
        }
        self.report_reset(reason, turn);
        request::on_response_cut(reason, &mut self.record);
        self.cut(turn);
    }
}
