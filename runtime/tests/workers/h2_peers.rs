//! Peers that nobody here wrote: clients and services of the `h2` crate over sockets. A service answers nothing by itself; a
//! test takes each request as it comes, from whichever connection.

use std::future::poll_fn;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::support::PATIENCE;

/// Has both ends do what they do.
pub(crate) fn play(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let played = runtime.unwrap().block_on(async {
        // Never reached when everything happens that must.
        timeout(2 * PATIENCE, test).await
    });
    played.unwrap();
}

/// A service.
pub(crate) struct Service {
    pub(crate) addr: SocketAddr,
    asked: UnboundedReceiver<Asked>,
    /// Tells its connections, in the order in which they were made, to end.
    leave: UnboundedReceiver<UnboundedSender<()>>,
    /// The numbers of connections that it has closed.
    closed: UnboundedReceiver<usize>,
}

/// A request that a service has.
pub(crate) struct Asked {
    /// The number of the connection that it came by.
    pub(crate) connection: usize,
    pub(crate) request: Request<Option<RecvStream>>,
    respond: SendResponse<Bytes>,
}

impl Service {
    pub(crate) async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, asked) = unbounded_channel();
        let (made, leave) = unbounded_channel();
        let (close, closed) = unbounded_channel();
        tokio::spawn(async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (leave, told) = unbounded_channel();
                let _ = made.send(leave);
                let (tell, close) = (tell.clone(), close.clone());
                tokio::spawn(async move {
                    serve(stream, number, tell, told).await;
                    let _ = close.send(number);
                });
            }
        });
        Self {
            addr,
            asked,
            leave,
            closed,
        }
    }

    /// The next request.
    pub(crate) async fn asked(&mut self) -> Asked {
        self.asked.recv().await.unwrap()
    }

    /// So many requests.
    pub(crate) async fn all_asked(&mut self, count: usize) -> Vec<Asked> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(self.asked().await);
        }
        all
    }

    /// Until it has closed one of its connections; its number.
    pub(crate) async fn closed(&mut self) -> usize {
        self.closed.recv().await.unwrap()
    }

    /// Whether no request waits to be taken.
    pub(crate) fn is_quiet(&self) -> bool {
        self.asked.is_empty()
    }

    /// The first connection that was not told yet takes no other stream, and says so.
    pub(crate) async fn leave(&mut self) {
        self.leave.recv().await.unwrap().send(()).unwrap();
    }
}

async fn serve(
    stream: TcpStream,
    number: usize,
    tell: UnboundedSender<Asked>,
    mut leave: UnboundedReceiver<()>,
) {
    let mut builder = h2::server::Builder::new();
    builder.initial_connection_window_size(8 << 20);
    builder.enable_connect_protocol();
    let Ok(mut connection) = builder.handshake(stream).await else {
        return;
    };
    let mut is_told = false;
    loop {
        let next = poll_fn(|cx| {
            if !is_told && leave.poll_recv(cx).is_ready() {
                is_told = true;
                connection.graceful_shutdown();
            }
            connection.poll_accept(cx)
        });
        let Some(Ok((request, respond))) = next.await else {
            return;
        };
        let asked = Asked {
            connection: number,
            request: request.map(Some),
            respond,
        };
        let _ = tell.send(asked);
    }
}

impl Asked {
    pub(crate) fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// Answers 200 with this body.
    pub(crate) fn answer(self, body: impl Into<Bytes>) {
        let mut stream = self.begin();
        stream.send_data(body.into(), true).unwrap();
    }

    /// Answers 200; a body follows.
    pub(crate) fn begin(mut self) -> SendStream<Bytes> {
        self.respond
            .send_response(Response::new(()), false)
            .unwrap()
    }

    /// Answers as a gRPC service does.
    pub(crate) fn answer_call(self, message: &'static [u8], status: &str) {
        let mut stream = self.begin();
        stream.send_data(message.into(), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse().unwrap());
        stream.send_trailers(trailers).unwrap();
    }

    /// The request's body, to be read beside the answer.
    pub(crate) fn take_body(&mut self) -> RecvStream {
        let taken = core::mem::replace(&mut self.request, Request::new(None));
        let (head, body) = taken.into_parts();
        self.request = Request::from_parts(head, None);
        body.unwrap()
    }

    /// All of the request's body.
    pub(crate) async fn body(&mut self) -> Vec<u8> {
        read(&mut self.take_body()).await.unwrap()
    }

    /// Until its client has given it up; the code that is said.
    pub(crate) async fn given_up(mut self) -> h2::Reason {
        poll_fn(|cx| self.respond.poll_reset(cx)).await.unwrap()
    }
}

/// The rest of a body.
pub(crate) async fn read(body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        let _ = body.flow_control().release_capacity(data.len());
        all.extend_from_slice(&data);
    }
    Ok(all)
}

/// A client with one connection.
pub(crate) struct H2Client {
    send: SendRequest<Bytes>,
    /// Ends with the connection.
    pub(crate) connection: JoinHandle<Result<(), h2::Error>>,
}

impl H2Client {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        let mut builder = h2::client::Builder::new();
        // A stream that is not read has its own window used up, and not that of all.
        builder.initial_connection_window_size(8 << 20);
        let (send, connection) = builder.handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        Self { send, connection }
    }

    /// Begins a request without a body.
    pub(crate) async fn get(&mut self, path: &str) -> ResponseFuture {
        self.ask("GET", path, true).await.0
    }

    /// Begins a request with this body.
    pub(crate) async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> ResponseFuture {
        let (response, mut stream) = self.ask("POST", path, false).await;
        stream.send_data(body.into(), true).unwrap();
        response
    }

    /// Asks for a websocket.
    pub(crate) async fn upgrade(&mut self, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
        // RFC 8441 §3: not before the other side has said that it knows of that.
        while !self.send.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        let uri = format!("http://app.test{path}");
        let request = Request::builder().method("CONNECT").uri(uri);
        let request = request.extension(Protocol::from_static("websocket"));
        self.begin(request.body(()).unwrap(), false).await
    }

    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let uri = format!("http://app.test{path}");
        let request = Request::builder().method(method).uri(uri);
        self.begin(request.body(()).unwrap(), ends).await
    }

    async fn begin(
        &mut self,
        request: Request<()>,
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        poll_fn(|cx| self.send.poll_ready(cx)).await.unwrap();
        self.send.send_request(request, ends).unwrap()
    }
}

/// A response with all of its body.
pub(crate) async fn whole(response: ResponseFuture) -> Response<Vec<u8>> {
    let (head, mut body) = response.await.unwrap().into_parts();
    let body = read(&mut body).await.unwrap();
    Response::from_parts(head, body)
}
