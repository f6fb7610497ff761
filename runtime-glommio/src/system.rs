//! What lies beneath a worker: glommio's executor for tasks, the ring for sockets and time, and a few threads for names.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use outrigger_runtime::{Launch, System};
use tokio::runtime::{Builder, Handle};

use crate::executor;
use crate::ring::{self, Accepting, Ring, Stream, Timer};

/// How long the end of a worker waits for bytes that clients are slow to take.
const FLUSH: Duration = Duration::from_secs(1);

/// Makes each worker's executor and ring.
#[derive(Clone, Debug)]
pub(crate) struct Glommio {
    /// The CPU of each worker, if it has one of its own.
    pub(crate) places: Arc<[Option<usize>]>,
}

/// One worker's.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    ring: Rc<Ring>,
    names: Handle,
}

impl Launch for Glommio {
    type System = Worker;

    fn run<F: Future<Output = usize>>(
        self,
        worker: usize,
        body: impl FnOnce(Worker) -> F,
    ) -> io::Result<usize> {
        // Nothing runs on it but the threads on which names are resolved, and those start when they are needed.
        let names = Builder::new_current_thread()
            .thread_name("resolver")
            .build()?;
        let ring = Ring::new()?;
        let system = Worker {
            ring: Rc::clone(&ring),
            names: names.handle().clone(),
        };
        let place = self.places.get(worker).copied().flatten();
        let outcome = executor::run(place, async move {
            executor::spawn(Rc::clone(&ring).drive(executor::polls));
            let outcome = body(system).await;
            ring.flushed(Instant::now() + FLUSH).await;
            outcome
        });
        // A name that is still being resolved is not worth waiting for.
        names.shutdown_background();
        outcome
    }
}

impl System for Worker {
    type Stream = Stream;
    type Listener = Accepting;
    type Timer = Timer;

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        executor::spawn(task);
    }

    fn timer(&self, at: Instant) -> Timer {
        self.ring.timer(at)
    }

    fn listen(&self, listener: TcpListener) -> io::Result<Accepting> {
        self.ring.listen(listener.into())
    }

    fn listen_unix(&self, listener: UnixListener) -> io::Result<Accepting> {
        self.ring.listen(listener.into())
    }

    async fn connect(&self, addr: SocketAddr, from: Option<IpAddr>) -> io::Result<Stream> {
        ring::connect(&self.ring, addr, from).await
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<Stream> {
        ring::connect_unix(&self.ring, path).await
    }

    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let name = name.to_owned();
        let lookup = move || (&*name, port).to_socket_addrs().map(Iterator::collect);
        let looked_up = self.names.spawn_blocking(lookup);
        self.ring.told(looked_up).await.map_err(io::Error::other)?
    }

    fn looked(&self) -> impl Future<Output = ()> + use<> + 'static {
        let ring = Rc::clone(&self.ring);
        async move { ring.turn(false) }
    }

    async fn told<F: Future>(&self, future: F) -> F::Output {
        self.ring.told(future).await
    }
}
