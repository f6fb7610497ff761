//! Whole ways to collectors over real sockets: those that take spans in each form, and those that are away, slow, or say no.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use outrigger_core::message::FieldName;
use outrigger_core::snapshot::{
    Address, Alpn, ClientTls, Collector, CollectorHeader, CollectorProtocol, HeaderSource, Sni,
    Spoken, TlsParameters, Trust,
};
use outrigger_core::worker::Handshake;

use super::*;
use crate::spans::fixture::{collector, policy, told};

/// Nothing takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a collector answers.
#[derive(Clone, Debug)]
enum Answer {
    Status(u16, &'static [u8]),
    /// 200, an empty message of gRPC and this status in the trailers.
    Call(&'static str),
    /// Never.
    Silence,
}

/// What a collector was sent: `METHOD PATH`, headers, body.
type Came = (String, HeaderMap, Bytes);

/// A collector that answers so, one answer after the other, and with the last one from then on.
fn serve(listener: TcpListener, answers: Vec<Answer>) -> Receiver<Came> {
    let (sender, came) = channel();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let answers = Arc::new(Mutex::new(answers));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (sender, answers) = (sender.clone(), Arc::clone(&answers));
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let (sender, answers) = (sender.clone(), Arc::clone(&answers));
                        async move { answer(request, &sender, &answers).await }
                    });
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
    });
    came
}

async fn answer(
    request: Request<Incoming>,
    sender: &Sender<Came>,
    answers: &Mutex<Vec<Answer>>,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let line = format!("{} {}", head.method, head.uri.path());
    let _ = sender.send((line, head.headers, body));
    let answer = {
        let mut answers = answers.lock().unwrap();
        match answers.len() {
            1 => answers[0].clone(),
            _ => answers.remove(0),
        }
    };
    Ok(match answer {
        Answer::Status(status, body) => {
            let response = Response::builder().status(status);
            response.body(Full::from(body).boxed_unsync()).unwrap()
        }
        Answer::Call(status) => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.parse().unwrap());
            let body = Full::from(&[0; 5][..]);
            let body = body.with_trailers(async move { Some(Ok(trailers)) });
            let response = Response::builder().header("content-type", "application/grpc");
            response.body(body.boxed_unsync()).unwrap()
        }
        Answer::Silence => std::future::pending().await,
    })
}

/// Protects nothing, and notes what it was asked for.
struct Noted(Mutex<Sender<Handshake>>);

impl Protect for Noted {
    fn protect(&self, wire: Box<dyn Wire>, handshake: Handshake) -> Protecting {
        let _ = self.0.lock().unwrap().send(handshake);
        Box::pin(async { Ok(wire) })
    }
}

/// A thread that sends, what it tells, what it wants protected, and a worker's end.
struct Stage {
    spans: Arc<Spans>,
    buffer: SpanBuffer,
    notices: Receiver<SpanNotice>,
    handshakes: Receiver<Handshake>,
}

impl Stage {
    fn new(room: u64) -> Self {
        let (sender, notices) = channel();
        let sender = Mutex::new(sender);
        let (noted, handshakes) = channel();
        let settings = SpanSettings {
            namespace: "shop".into(),
            room,
            tell: Arc::new(move |notice| {
                let _ = sender.lock().unwrap().send(notice);
            }),
            protect: Arc::new(Noted(Mutex::new(noted))),
        };
        let spans = Arc::new(Spans::new(settings, &Arc::default()));
        let outbound = policy(
            "cart.shop",
            collector(otlp_http(), Address::Unix("/".into())),
        );
        spans.prepare(&Tracing {
            outbound: Some(outbound),
            inbound: None,
        });
        Self {
            buffer: SpanBuffer::new(&spans),
            spans,
            notices,
            handshakes,
        }
    }

    /// Tells two spans of one request.
    fn tell(&mut self, collector: &Collector) {
        if self.spans.counts.admit(2, self.spans.settings.room) {
            self.buffer
                .put(told(policy("cart.shop", collector.clone())));
        }
        self.buffer.flush();
    }

    /// Ends, and says what became of spans: exported, dropped, failed.
    fn end(self) -> [u64; 3] {
        drop(self.buffer);
        self.spans.finish();
        let SpanCounts {
            exported,
            dropped,
            failed,
            ..
        } = self.spans.counts();
        [exported, dropped, failed]
    }

    fn notice(&self) -> SpanNotice {
        self.notices.recv_timeout(PATIENCE).unwrap()
    }
}

fn listen() -> (TcpListener, Address) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, Address::Socket(addr))
}

fn otlp_http() -> CollectorProtocol {
    CollectorProtocol::OtlpHttp {
        path: "/v1/traces".into(),
    }
}

#[test]
fn what_lies_beneath_is_asked_for_where_a_collector_wants_it() {
    let tls = Arc::new(ClientTls {
        identity: None,
        trust: Trust::Nothing,
        sni: Sni::Host,
        alpn: Alpn::Plain,
        parameters: TlsParameters::default(),
    });
    for (protocol, answer, want) in [
        (
            CollectorProtocol::OtlpGrpc,
            Answer::Call("0"),
            Spoken::Http2,
        ),
        (otlp_http(), Answer::Status(200, b""), Spoken::Http1),
    ] {
        let (listener, address) = listen();
        let _came = serve(listener, vec![answer]);
        let mut collector = collector(protocol, address);
        let mut stage = Stage::new(100);
        stage.tell(&collector);
        collector.addresses[0].tls = Some(Arc::clone(&tls));
        stage.tell(&collector);
        stage.spans.finish();
        let asked: Vec<_> = stage.handshakes.try_iter().collect();
        assert_eq!(asked, [Handshake::new(&tls, "collector.test", want)]);
    }
}

#[test]
fn each_form_is_sent_whole() {
    let zipkin = CollectorProtocol::Zipkin {
        path: "/api/v2/spans".into(),
    };
    for (protocol, answer, line, content_type) in [
        (
            CollectorProtocol::OtlpGrpc,
            Answer::Call("0"),
            "POST /opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "application/grpc",
        ),
        (
            otlp_http(),
            Answer::Status(200, b""),
            "POST /v1/traces",
            "application/x-protobuf",
        ),
        (
            zipkin,
            Answer::Status(202, b""),
            "POST /api/v2/spans",
            "application/json",
        ),
    ] {
        let (listener, address) = listen();
        let came = serve(listener, vec![answer]);
        let mut collector = collector(protocol, address);
        collector.headers = Box::new([CollectorHeader {
            name: FieldName::new("x-key").unwrap(),
            value: HeaderSource::Literal("secret".into()),
        }]);
        let mut stage = Stage::new(100);
        stage.tell(&collector);
        stage.tell(&collector);
        assert_eq!(stage.end(), [4, 0, 0], "{line}");
        let (said, headers, body) = came.recv_timeout(PATIENCE).unwrap();
        assert_eq!(
            (&*said, &headers["content-type"]),
            (line, &content_type.parse().unwrap())
        );
        assert_eq!(headers["x-key"], "secret");
        let batch = [(); 2].map(|()| told(policy("cart.shop", collector.clone())));
        let identity = Identity::new("shop", &Place::default());
        match collector.protocol {
            CollectorProtocol::OtlpGrpc => {
                let message = otlp::encode(&batch, &identity);
                assert_eq!(
                    body[..5],
                    [&[0][..], &(message.len() as u32).to_be_bytes()].concat()
                );
                assert_eq!(body[5..], message);
            }
            CollectorProtocol::OtlpHttp { .. } => assert_eq!(body, otlp::encode(&batch, &identity)),
            CollectorProtocol::Zipkin { .. } => assert_eq!(body, zipkin::encode(&batch, &identity)),
        }
        assert!(came.try_recv().is_err(), "one batch");
    }
}

#[test]
fn what_a_collector_will_never_take_is_not_tried_again() {
    for (protocol, answer, want) in [
        (otlp_http(), Answer::Status(400, b"no"), [0, 0, 2]),
        (CollectorProtocol::OtlpGrpc, Answer::Call("3"), [0, 0, 2]),
        // ExportTraceServiceResponse { partial_success { rejected_spans: 1 } }
        (
            otlp_http(),
            Answer::Status(200, b"\x0a\x02\x08\x01"),
            [1, 0, 1],
        ),
    ] {
        let (listener, address) = listen();
        let came = serve(listener, vec![answer.clone()]);
        let mut stage = Stage::new(100);
        stage.tell(&collector(protocol, address));
        came.recv_timeout(PATIENCE).unwrap();
        assert_eq!(stage.end(), want, "{answer:?}");
        assert!(came.try_recv().is_err(), "{answer:?}: once");
    }
}

#[test]
fn what_a_collector_may_take_later_is_tried_again() {
    for (protocol, answers) in [
        (
            otlp_http(),
            [Answer::Status(503, b""), Answer::Status(200, b"")],
        ),
        (
            CollectorProtocol::OtlpGrpc,
            [Answer::Call("14"), Answer::Call("0")],
        ),
    ] {
        let (listener, address) = listen();
        let came = serve(listener, answers.to_vec());
        let mut stage = Stage::new(100);
        stage.tell(&collector(protocol, address));
        let (first, second) = (
            came.recv_timeout(PATIENCE).unwrap(),
            came.recv_timeout(PATIENCE).unwrap(),
        );
        assert_eq!(first.2, second.2);
        let collector = "test".to_owned();
        assert!(matches!(stage.notice(), SpanNotice::NotTaken { .. }));
        assert_eq!(stage.notice(), SpanNotice::Taken { collector });
        assert_eq!(stage.end(), [2, 0, 0]);
    }
}

#[test]
fn a_collector_that_is_away_costs_what_finds_no_room_and_is_told_once() {
    let (listener, address) = listen();
    let Address::Socket(addr) = address else {
        unreachable!("it is one")
    };
    drop(listener);
    let mut stage = Stage::new(6);
    let away = collector(otlp_http(), address);
    for _ in 0..5 {
        stage.tell(&away);
    }
    let SpanNotice::NotTaken { collector, reason } = stage.notice() else {
        panic!("it takes nothing");
    };
    assert_eq!(collector, "test");
    assert!(reason.contains(&addr.to_string()), "{reason}");
    let notices = stage.notices;
    let stage = Stage {
        notices: channel().1,
        ..stage
    };
    assert_eq!(stage.end(), [0, 4, 6]);
    assert_eq!(notices.try_iter().count(), 0, "once");
}

#[test]
fn a_collector_that_comes_back_gets_what_waited() {
    let (listener, address) = listen();
    let Address::Socket(addr) = address else {
        unreachable!("it is one")
    };
    drop(listener);
    let mut stage = Stage::new(100);
    stage.tell(&collector(otlp_http(), address));
    assert!(matches!(stage.notice(), SpanNotice::NotTaken { .. }));
    let came = serve(rebind(addr), vec![Answer::Status(200, b"")]);
    came.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(stage.notice(), SpanNotice::Taken { .. }));
    assert_eq!(stage.end(), [2, 0, 0]);
}

fn rebind(addr: SocketAddr) -> TcpListener {
    TcpListener::bind(addr).unwrap()
}

#[test]
fn a_collector_that_never_answers_keeps_nobody() {
    let (listener, address) = listen();
    let came = serve(listener, vec![Answer::Silence]);
    let mut stage = Stage::new(100);
    let mut silent = collector(otlp_http(), address);
    silent.timeout = Duration::from_secs(3600);
    stage.tell(&silent);
    came.recv_timeout(PATIENCE).unwrap();
    let began = Instant::now();
    stage.end();
    assert!(
        began.elapsed() < PATIENCE,
        "the end waits for a bounded time"
    );
}

#[test]
fn a_collector_has_so_much_time_for_an_answer() {
    let (listener, address) = listen();
    let came = serve(listener, vec![Answer::Silence]);
    let mut stage = Stage::new(100);
    let mut silent = collector(otlp_http(), address);
    silent.timeout = Duration::from_millis(20);
    stage.tell(&silent);
    came.recv_timeout(PATIENCE).unwrap();
    let SpanNotice::NotTaken { reason, .. } = stage.notice() else {
        panic!("it takes nothing");
    };
    assert_eq!(reason, "no answer within 20 ms");
    assert_eq!(stage.end(), [0, 0, 2]);
}
