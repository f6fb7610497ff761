//! The client's side of an exchange: reading heads, answering, ending a connection in good manners.

use core::mem;

use bytes::Bytes;

use super::call::{RequestBody, Response};
use super::replay::RETRY_LIMIT;
use super::{Ambient, Exchange, ListenerKind, Output, Phase, Side};
use crate::connection::ToClient;
use crate::decision::Refused;
use crate::request::{self, Context, Verdict};
use crate::stream::{Begins, BodyLength, Part};
use crate::worker::Worker;

/// The client's side.
#[derive(Debug)]
pub(super) struct Downstream {
    pub(super) connection: ToClient,
    /// The client will send nothing more.
    pub(super) eof: bool,
}

impl Exchange {
    /// Tries to read the head of the next request. Says whether something came of it.
    pub(super) fn read_head(&mut self, ambient: Ambient, worker: &mut Worker) -> bool {
        if self.down.connection.inbox.is_empty() {
            return false;
        }
        if let Phase::Head {
            since: since @ None,
            ..
        } = &mut self.phase
        {
            *since = Some(ambient.now);
            self.set_ended_aside();
            let entropy = ambient.entropy.of_request(self.begun);
            self.begun += 1;
            self.record.restart(ambient.now, entropy);
        }
        match self.down.connection.head(&mut self.record.request) {
            Ok(None) => false,
            Ok(Some(begins)) => {
                self.call.restart(begins);
                self.phase = Phase::Call;
                self.begin_call(ambient, worker);
                true
            }
            Err(refused) => {
                self.refuse(&refused, ambient, worker);
                true
            }
        }
    }

    /// A pipelined request begins in the input that ended the one before, whose story nobody has read yet.
    fn set_ended_aside(&mut self) {
        if self.outputs.contains(&Output::Ended) {
            let ended = (mem::take(&mut self.record), mem::take(&mut self.response));
            self.ended = Some(Box::new(ended));
        }
    }

    /// A head is complete: ask the request machine what to do with it.
    fn begin_call(&mut self, ambient: Ambient, worker: &mut Worker) {
        self.record.view = Some(worker.view().clone());
        self.up.request_sent = false;
        if self.call.begins.body == BodyLength::None {
            self.call.request_complete = Some(ambient.now);
        } else {
            self.call.request_body = RequestBody::Streaming;
        }
        let too_long = match (self.call.begins.body, self.settings.max_request_body) {
            (BodyLength::Known(length), Some(max)) => length > max,
            _ => false,
        };
        let verdict = if too_long {
            request::refuse(&request::TOO_LARGE, &mut self.record, &mut self.response)
        } else {
            let context = Context {
                peer: &self.peer,
                upgrade: self.call.begins.upgrade.as_deref(),
                own_bucket: &self.own_bucket,
                now: ambient.now,
                complete_since: self.call.request_complete,
            };
            request::begin(&context, &mut self.record, &mut self.response)
        };
        self.arm_route();
        self.arm_stream(ambient);
        if request::may_retry(&self.record) || request::has_mirrors(&self.record) {
            self.call.replay.begin(RETRY_LIMIT);
        }
        self.obey(verdict, ambient, worker);
    }

    /// The injected delay is over.
    pub(super) fn on_delay_over(&mut self, ambient: Ambient, worker: &mut Worker) {
        self.call.delayed_until = None;
        // A delay counts against no timeout (Envoy: the fault filter stands before the router).
        if self.call.request_complete.is_some() {
            self.call.request_complete = Some(ambient.now);
        }
        let context = Context {
            peer: &self.peer,
            upgrade: self.call.begins.upgrade.as_deref(),
            own_bucket: &self.own_bucket,
            now: ambient.now,
            complete_since: self.call.request_complete,
        };
        let verdict = request::after_delay(&context, &mut self.record, &mut self.response);
        self.arm_route();
        self.obey(verdict, ambient, worker);
    }

    /// The whole request's time runs from its end.
    pub(super) fn arm_route(&mut self) {
        let complete = self.call.request_complete;
        let whole = self.record.timeouts.whole;
        self.call.route_deadline = complete.zip(whole).map(|(at, whole)| at + whole);
    }

    /// Does what the request machine decided.
    pub(super) fn obey(&mut self, verdict: Verdict, ambient: Ambient, worker: &mut Worker) {
        match verdict {
            Verdict::Delay(wait) => {
                self.call.route_deadline = None;
                self.call.delayed_until = Some(ambient.now + wait);
            }
            Verdict::Retry(wait) => self.back_off(wait, ambient),
            Verdict::Attempt(target) => {
                let is_complete = self.call.request_body == RequestBody::Complete;
                self.begin_attempt(target, ambient, worker);
                // After the request itself, which goes first where both wait for the same connections.
                if is_complete {
                    self.send_mirrors(ambient, worker);
                }
            }
            Verdict::Reply(text) => self.reply(text, ambient, worker),
        }
    }

    /// Answers with the head the request machine made, and this text.
    pub(super) fn reply(&mut self, text: Bytes, ambient: Ambient, worker: &mut Worker) {
        self.drop_upstream();
        self.skip_buffered_body(ambient);
        let wish = self.can_keep_alive() && !self.says_close(worker);
        self.tell_rate_limit(ambient);
        let body = request::complete_local(text, &self.record, &mut self.response, worker.date());
        self.record.status = self.response.status.as_u16();
        let client = &mut self.down.connection;
        let length = BodyLength::Known(body.len() as u64);
        client.respond(&self.response, length, wish, worker);
        if self.record.request.method != http::Method::HEAD {
            self.record.bytes_sent = body.len() as u64;
        }
        client.data(body, worker);
        client.end(None, worker);
        let keep_alive = client.persists();
        self.phase = Phase::Flush { keep_alive };
    }

    /// The body of a request that is answered by ourselves: what has already arrived is thrown away, so that a client
    /// that sent it along with the head can go on using the connection.
    fn skip_buffered_body(&mut self, ambient: Ambient) {
        while self.call.request_body == RequestBody::Streaming {
            match self.down.connection.body() {
                Ok(Part::Data(data)) => self.record.bytes_received += data.len() as u64,
                Ok(Part::End | Part::Trailers(_)) => {
                    self.call.request_body = RequestBody::Complete;
                    self.call.request_complete = Some(ambient.now);
                }
                Ok(Part::NeedMore) | Err(_) => return,
            }
        }
    }

    /// Whether the connection can carry another request after this response.
    pub(super) fn can_keep_alive(&self) -> bool {
        self.down.connection.persists()
            && self.call.request_body == RequestBody::Complete
            && !self.down.eof
    }

    /// Whether the worker or this connection drains. Clients of outbound listeners are the application's own: they are told
    /// only when their connection is to end, because they need the proxy for as long as the application finishes.
    pub(super) const fn says_close(&self, worker: &Worker) -> bool {
        self.is_ending
            || worker.is_draining() && matches!(self.peer.listener, ListenerKind::Inbound(_))
    }

    /// Tells the client what a rate limit left it.
    pub(super) fn tell_rate_limit(&mut self, ambient: Ambient) {
        request::tell_rate_limit(
            &self.own_bucket,
            ambient.now,
            &self.record,
            &mut self.response,
        );
    }

    /// A head or a body that broke the rules: answer once and close.
    pub(super) fn refuse(&mut self, refused: &Refused, ambient: Ambient, worker: &mut Worker) {
        // The framing of what follows is unknown, so nothing after this is read as a request.
        self.down.connection.end_turns();
        self.call.request_body = RequestBody::Complete;
        if self.call.response != Response::Awaited {
            self.cut(ambient);
            return;
        }
        // An attempt that was under way ends with the request, not without an end.
        self.up.cancel(&mut self.record);
        let verdict = request::refuse(refused, &mut self.record, &mut self.response);
        self.obey(verdict, ambient, worker);
        // Whatever the client still sends is thrown away rather than met with a reset.
        self.call.request_body = RequestBody::Streaming;
    }

    /// The head did not arrive in time.
    pub(super) fn refuse_slow_head(&mut self, ambient: Ambient, worker: &mut Worker) {
        self.down.connection.give_up_head();
        self.call.restart(Begins::default());
        self.refuse(&request::SLOW_HEAD, ambient, worker);
        self.advance(ambient, worker);
    }

    /// The response has left: on to the next request, or close.
    pub(super) fn finish(&mut self, keep_alive: bool, ambient: Ambient) -> bool {
        self.end_record(ambient);
        if keep_alive && !self.down.eof {
            self.phase = Phase::Head {
                since: None,
                idle_since: ambient.now,
            };
            self.call.restart(Begins::default());
            return true;
        }
        let client_is_done = self.call.request_body == RequestBody::Complete
            && self.down.connection.inbox.is_empty();
        if client_is_done || self.down.eof {
            self.close();
        } else {
            // Closing now would make the kernel answer unread bytes with a reset, which can overtake the response.
            self.drop_upstream();
            self.outputs
                .push_back(Output::ShutdownWrite(Side::Downstream));
            self.phase = Phase::Linger {
                until: ambient.now + self.settings.linger,
            };
        }
        true
    }

    /// The response had begun and cannot be completed: end so that the client can tell.
    pub(super) fn cut(&mut self, ambient: Ambient) {
        self.drop_upstream();
        if self.down.connection.would_seem_whole() {
            self.end_record(ambient);
            self.down.connection.outbox.clear();
            self.outputs.push_back(Output::Reset);
            self.phase = Phase::Closed;
        } else {
            self.phase = Phase::Flush { keep_alive: false };
        }
    }
}
