//! One request and its response, apart from where it stands: whose it is, what has arrived of it, what is written of it,
//! what it may hold and how long it may take; and how it is answered.
//!
//! What happens when is decided by its `state`.

use std::rc::Rc;

use bytes::Bytes;

use super::Turn;
use super::answer::Asker;
use super::body::{Arrival, Body};
use super::client_stream::ClientStream;
use super::ledger::Ledger;
use super::replay::RETRY_LIMIT;
use super::timers::Clocks;
use super::web::Web;
use crate::cluster::Bucket;
use crate::connection::Who;
use crate::decision::{GrpcMessages, Http1Limit, MirrorFate, Record};
use crate::io::Output;
use crate::local::{Charge, Local, MirrorPlace};
use crate::message::{Headers, Known, ResponseHead};
use crate::overload::Action;
use crate::peer::ExchangeId;
use crate::policy::grpc_frames::Frames;
use crate::policy::grpc_status;
use crate::request::{self, Context, Question, Verdict};
use crate::stream::{Answer, Begins, BodyLength};
use crate::time::Duration;

/// One request and its response.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: ExchangeId,
    /// Where it comes from; from nobody when it is a copy for a mirror.
    pub(super) client: ClientStream,
    pub(super) ledger: Ledger,
    pub(super) body: Body,
    /// It is gRPC-Web, and goes on as gRPC.
    pub(super) web: Option<Box<Web>>,
    /// It is a gRPC call: the messages that answer it.
    frames: Option<Frames>,
    pub(super) clocks: Clocks,
    /// How many 1xx were sent to the client; Envoy gives up retrying after one.
    informed: u32,
    /// How often it was sent again because an endpoint had not looked at it.
    pub(super) repeats: u32,
    /// What it holds in memory, in the account of its worker.
    pub(super) charge: Charge,
    /// Who waits for its response, where it is a question.
    pub(super) asker: Option<Box<Asker>>,
    /// What it takes of its worker while it is a copy.
    pub(super) place: Option<MirrorPlace>,
}

impl Call {
    pub(super) fn new(who: &Rc<Who>, local: &Local) -> Self {
        Self {
            id: ExchangeId::default(),
            client: ClientStream::default(),
            ledger: Ledger::new(who, local.view()),
            body: Body::default(),
            web: None,
            frames: None,
            clocks: Clocks::default(),
            informed: 0,
            repeats: 0,
            charge: local.charge(),
            asker: None,
            place: None,
        }
    }

    /// There is no head to serve: it broke the rules, or did not come in time.
    pub(super) fn restart(&mut self, begins: Begins, turn: &Turn<'_>) {
        self.body.restart(begins, turn.now);
        (self.web, self.frames) = (None, None);
        self.clocks = Clocks {
            moved_at: turn.now,
            ..Clocks::default()
        };
        self.owe_nothing(turn);
        (self.informed, self.repeats) = (0, 0);
    }

    /// A head is complete: asks the request machine what to do with it.
    pub(super) fn begin(&mut self, begins: Begins, turn: &Turn<'_>) -> Verdict {
        self.restart(begins, turn);
        self.ledger.look_at(turn.local.view());
        self.ledger.record.revision = Some(self.ledger.snapshot().revision);
        let settings = turn.local.settings();
        let Ledger {
            record, response, ..
        } = &mut self.ledger;
        let verdict = if turn.local.relief.does(Action::StopAcceptingRequests) {
            turn.local.relief.count(|shed| shed.requests += 1);
            request::shed(record, response)
        } else if self.body.is_longer_than(settings.max_request_body) {
            request::refuse(&request::TOO_LARGE, record, response)
        } else {
            self.ask(request::begin, turn)
        };
        if let Some(of) = self.ledger.record.grpc_web {
            self.web = Some(Box::new(Web::of(of)));
            let length = &mut self.body.begins.body;
            *length = Web::request_length(*length);
        }
        let is_grpc = request::is_grpc(&self.ledger.record.request);
        self.frames = is_grpc.then(Frames::default);
        self.body.frames = self.frames;
        self.arm_route();
        let (record, snapshot) = (&self.ledger.record, self.ledger.snapshot());
        self.clocks.idle =
            request::stream_idle_timeout(record, snapshot, settings.stream_idle_timeout);
        if self.body.arrival == Arrival::Coming {
            let begins = &self.body.begins;
            let most = settings.request_body_timeout;
            let owed = request::body_timeout(record, snapshot, begins, most);
            self.clocks.is_owed = owed.is_some();
            self.clocks.client = owed.into_iter().chain(self.clocks.client).min();
        }
        let duration = request::max_duration(&self.ledger.who.peer, record);
        self.clocks.duration = duration.map(|most| record.began + most);
        if let Verdict::Ask(Question { most_shown, .. }) = verdict
            && most_shown > 0
        {
            // More than is shown, so that it is seen that there is more.
            self.body.replay.begin(RETRY_LIMIT + most_shown);
        } else if request::may_retry(record, snapshot) || request::has_mirrors(record, snapshot) {
            self.body.replay.begin(RETRY_LIMIT);
        }
        verdict
    }

    /// Asks the request machine.
    pub(super) fn ask<T>(
        &mut self,
        question: impl FnOnce(&Context<'_>, &mut Record, &mut ResponseHead) -> T,
        turn: &Turn<'_>,
    ) -> T {
        let nobodys = Bucket::default();
        let Ledger {
            who,
            view,
            record,
            response,
            ..
        } = &mut self.ledger;
        let context = Context {
            view,
            peer: &who.peer,
            tls: who.tls.as_ref(),
            said: &who.said,
            upgrade: self.body.begins.upgrade.as_deref(),
            own_bucket: self.client.own_bucket(turn).unwrap_or(&nobodys),
            now: turn.now,
            complete_since: self.body.complete_since(),
        };
        question(&context, record, response)
    }

    /// All of the request is here, or none is wanted: the client is to take its response, and no more.
    pub(super) fn owe_nothing(&mut self, turn: &Turn<'_>) {
        // Streams that share a connection have windows, and a time for them.
        let unread = turn.local.settings().unread_timeout;
        self.clocks.client = unread.filter(|_| !self.client.is_shared(turn));
        self.clocks.is_owed = false;
    }

    /// The whole request's time runs from its end.
    pub(super) fn arm_route(&mut self) {
        let complete = self.body.complete_since();
        let whole = self.ledger.record.timeouts.whole;
        self.clocks.route = complete.zip(whole).map(|(at, whole)| at + whole);
    }

    /// Whether the request can be sent again from its first byte, and nothing has reached the client that forbids it, as long
    /// as no response has begun.
    pub(super) const fn can_repeat(&self) -> bool {
        self.body.replay.is_whole() && self.informed == 0
    }

    /// Whether so much waits to be written to the client that no more should come.
    pub(super) fn is_client_slow(&self, turn: &Turn<'_>) -> bool {
        self.client.is_slow(self.charge.high_water(), turn)
    }

    /// Whether the connection can carry another request after this response.
    pub(super) fn can_keep_alive(&self, turn: &Turn<'_>) -> bool {
        self.body.is_complete() && self.client.persists(turn)
    }

    /// Whether another request is welcome as far as the worker goes.
    fn welcomes_more(&self, turn: &mut Turn<'_>) -> bool {
        let says_close = turn.local.drain.says_close(self.ledger.who.peer.listener);
        let is_full = turn.local.relief.does(Action::DisableKeepAlive);
        if is_full && !says_close {
            turn.local.relief.count(|shed| shed.keep_alives += 1);
        }
        if says_close || is_full {
            self.client.close_soon(turn);
        }
        !says_close && !is_full
    }

    /// Passes an interim head on.
    pub(super) fn inform(&mut self, turn: &mut Turn<'_>) {
        self.informed += 1;
        self.client.inform(&self.ledger.response, turn);
    }

    /// How much follows a head after which nothing does but so much data: one on a stream ends that if there is none.
    pub(super) fn length_of(&self, body: BodyLength, turn: &Turn<'_>) -> BodyLength {
        match body {
            BodyLength::Known(0) if self.client.is_shared(turn) => BodyLength::None,
            BodyLength::Known(_) | BodyLength::None | BodyLength::Unknown => body,
        }
    }

    /// Whether the head that has just come must not be passed on: it is one interim head too many, or a success that the client
    /// would take for consent to another protocol, which it is not (on a stream that is any, RFC 8441 §5).
    pub(super) fn refuses(&self, answer: &Answer, turn: &mut Turn<'_>) -> bool {
        match answer {
            Answer::Interim if self.informed >= turn.local.settings().max_interim_responses => {
                let http1 = &mut turn.local.http1;
                http1.on_endpoint(Some(Http1Limit::InterimResponses));
                true
            }
            Answer::Interim => false,
            Answer::Final(_) => {
                self.body.begins.upgrade.is_some()
                    && self.ledger.response.status.is_success()
                    && self.client.is_shared(turn)
            }
            Answer::Switched(_) => false,
        }
    }

    /// The response that has just begun is the client's.
    pub(super) fn pass_on(&mut self, body: BodyLength, turn: &mut Turn<'_>) {
        self.ledger.record.retry_slot = None;
        self.ledger.answer(self.ledger.response.status.as_u16());
        let complete = self.body.complete_since();
        if self.asker.is_none() {
            self.finish_response_head(complete.map(|at| turn.now.since(at)), turn);
        }
        let wish = self.welcomes_more(turn);
        let response = &mut self.ledger.response;
        let body = match &mut self.web {
            None => Some(body),
            Some(web) => web.begin_response(response, body, wish),
        };
        if let Some(body) = body {
            self.client.respond(response, body, wish, turn);
        }
    }

    /// A piece of the response's body, as its endpoint sent it.
    pub(super) fn send(&mut self, mut data: Bytes, turn: &mut Turn<'_>) {
        if let Some(asker) = &mut self.asker {
            return asker.take(&data);
        }
        if let Some(frames) = &mut self.frames {
            frames.push(&data);
        }
        if let Some(web) = &mut self.web {
            data = web.on_response(data);
            if data.is_empty() {
                return;
            }
        }
        self.ledger.record.bytes_sent += data.len() as u64;
        self.client.data(data, turn);
    }

    /// The response has ended, as its endpoint sent it.
    pub(super) fn send_end(&mut self, trailers: Option<&Headers>, turn: &mut Turn<'_>) {
        if let Some(asker) = &mut self.asker {
            return asker.end(trailers);
        }
        self.ledger.record.grpc_status = trailers.and_then(grpc_status::of);
        let Some(web) = &mut self.web else {
            self.client.end(trailers, turn);
            return;
        };
        let response = &mut self.ledger.response;
        let last = web.end_response(trailers, response);
        if let Some(wish) = last.head {
            (self.client).respond(response, BodyLength::Known(0), wish, turn);
        }
        if !last.data.is_empty() {
            self.ledger.record.bytes_sent += last.data.len() as u64;
            self.client.data(last.data, turn);
        }
        self.client.end(None, turn);
    }

    /// Makes the head of an endpoint's response what the client is to see.
    pub(super) fn finish_response_head(&mut self, service_time: Option<Duration>, turn: &Turn<'_>) {
        let date = turn.local.date();
        self.ledger.record.answered = Some(turn.now);
        self.ask(
            |context, record, response| {
                request::on_response_head(context, service_time, record, response, date);
            },
            turn,
        );
        self.tell_decision(turn);
    }

    /// Adds what was decided to the response, for those who may see it.
    fn tell_decision(&mut self, turn: &Turn<'_>) {
        let told = &turn.local.settings().told_clients;
        if !told.is_empty() && told.has(self.ledger.who.peer.remote.ip()) {
            let Ledger {
                record,
                response,
                view,
                ..
            } = &mut self.ledger;
            request::tell_decision(record, &view.snapshot, response);
        }
    }

    /// Answers with the head that the request machine made, and this text. Whether the client's connection can carry another
    /// request afterwards.
    pub(super) fn reply(&mut self, text: Bytes, turn: &mut Turn<'_>) -> bool {
        (self.body).skip(self.client, &mut self.ledger.record, turn);
        // However long it took to come to this: from here on the client has time to take it.
        self.clocks.moved_at = turn.now;
        let wish = self.welcomes_more(turn) && self.can_keep_alive(turn);
        let date = turn.local.date();
        let mut body = self.ask(
            |context, record, response| {
                request::complete_local(text, context, record, response, date)
            },
            turn,
        );
        self.tell_decision(turn);
        let Ledger {
            record, response, ..
        } = &mut self.ledger;
        if let Some(web) = &mut self.web {
            body = web.reply(response, body);
        }
        record.status = response.status.as_u16();
        if record.request.method != http::Method::HEAD {
            record.bytes_sent = body.len() as u64;
        }
        let length = self.length_of(BodyLength::Known(body.len() as u64), turn);
        let response = &mut self.ledger.response;
        if length == BodyLength::None {
            response.headers.set(Known::ContentLength, b"0");
        }
        self.client.respond(response, length, wish, turn);
        self.client.data(body, turn);
        self.client.end(None, turn);
        self.client.persists(turn)
    }

    /// Whether the request's body must be kept for copies that are still to be made.
    pub(super) fn owes_mirrors(&self) -> bool {
        let mut mirrors = self.ledger.record.mirrors.iter();
        mirrors.any(|mirrored| mirrored.fate == MirrorFate::Incomplete)
    }

    /// The record is complete.
    pub(super) fn end_record(&mut self, turn: &mut Turn<'_>) {
        self.ledger.record.ended = turn.now;
        self.ledger.record.received = self.body.complete_since();
        let frames = self.body.frames.zip(self.frames);
        self.ledger.record.grpc_messages = frames.map(|(request, response)| GrpcMessages {
            request: request.messages(),
            response: response.messages(),
        });
        self.ledger.record.retry_slot = None;
        match self.asker.take() {
            None => turn.say(Output::Ended(self.id)),
            Some(asker) => {
                let (record, response) = (&self.ledger.record, &mut self.ledger.response);
                turn.answers.push(asker.answer(self.id, record, response));
            }
        }
    }

    /// Nothing is held any more.
    pub(super) fn let_go(&mut self) {
        self.body.replay.forget();
        self.place = None;
        self.charge.set(0);
    }
}
