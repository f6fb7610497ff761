//! Reloads under load: endpoints that come and go, routes that change, and not a request that fails, on every runtime.
//!
//! `OUTRIGGER_RELOADS=1000 cargo test -p outrigger --test reloads -- --nocapture` plays so many, and tells what they cost.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/load.rs"]
mod load;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use load::{Load, answer};
use proxy::{Folder, Proxy, has_glommio};
use support::PATIENCE;

/// So many reloads, unless somebody says otherwise.
const RELOADS: usize = 50;

/// A service that stops when it is told: not before its last client has gone.
struct Service {
    addr: SocketAddr,
    /// Connections that are open.
    open: Arc<AtomicUsize>,
    stops: Arc<AtomicBool>,
    accepts: JoinHandle<()>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (open, stops) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (of_thread, stops_thread) = (Arc::clone(&open), Arc::clone(&stops));
        let accepts = thread::spawn(move || {
            for stream in listener.incoming() {
                if stops_thread.load(Ordering::SeqCst) {
                    return;
                }
                let open = Arc::clone(&of_thread);
                open.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    let _ = answer(stream.unwrap());
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            addr,
            open,
            stops,
            accepts,
        }
    }

    /// Nobody is to be sent here any more: waits until the proxy has closed its connections, and is gone.
    fn stop(self) {
        let begun = Instant::now();
        while self.open.load(Ordering::SeqCst) > 0 {
            assert!(
                begun.elapsed() < PATIENCE,
                "the proxy keeps its connections"
            );
            thread::yield_now();
        }
        self.stops.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.addr));
        // Its socket goes with it; whoever has the port next is somebody else's business.
        self.accepts.join().unwrap();
    }
}

/// The configuration of a round. Nothing is tried again, so that nothing hides what was lost.
fn rules(round: usize, services: &VecDeque<Service>) -> String {
    let endpoints = services.iter().enumerate().map(|(at, service)| {
        let (ip, port) = (service.addr.ip(), service.addr.port());
        let subset = ["a", "b"][at % 2];
        format!("{{address: {ip}, ports: {{http: {port}}}, labels: {{subset: {subset}}}}}")
    });
    let endpoints: Vec<_> = endpoints.collect();
    let route = match round % 4 {
        0 => "route: [{destination: {host: shop.example}}]".to_owned(),
        1 => format!(
            "headers: {{response: {{set: {{x-round: '{round}'}}}}}}, route: [{{destination: {{host: shop.example}}}}]"
        ),
        2 => "timeout: 30s, route: [{destination: {host: shop.example, subset: a}, weight: 40}, \
              {destination: {host: shop.example, subset: b}, weight: 60}]"
            .to_owned(),
        _ => "rewrite: {uri: /elsewhere}, route: [{destination: {host: shop.example, subset: b}}]"
            .to_owned(),
    };
    let balancer = ["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"][round % 3];
    format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop}}
spec:
  hosts: [shop.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop}}
spec: {{hosts: [shop.example], http: [{{retries: {{attempts: 0}}, {route}}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop}}
spec:
  host: shop.example
  trafficPolicy: {{loadBalancer: {{simple: {balancer}}}}}
  subsets: [{{name: a, labels: {{subset: a}}}}, {{name: b, labels: {{subset: b}}}}]
",
        endpoints.join(", ")
    )
}

/// What is resident, in KiB.
fn resident(proxy: &Proxy) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse().unwrap()
}

fn reloads_lose_nothing(runtime: &str) {
    let count = std::env::var("OUTRIGGER_RELOADS").map_or(RELOADS, |count| count.parse().unwrap());
    let folder = Folder::new(&format!("reloads-{runtime}"));
    let mut services: VecDeque<_> = (0..4).map(|_| Service::start()).collect();
    folder.write("shop.yaml", &rules(0, &services));
    let proxy = Proxy::start(&folder.0, &["--runtime", runtime, "--workers", "2"]);
    let mut load = Load::begin(proxy.addr("outbound"), "shop.example", (6, 2));
    for _ in 0..20 {
        load.goes_on();
    }
    let before = resident(&proxy);
    load.mark();
    for round in 1..=count {
        // One comes, and the one that has been there longest goes; now and then two more come, and go.
        services.push_back(Service::start());
        if round % 5 == 0 {
            services.push_back(Service::start());
        }
        let leaving = if round % 5 == 1 && round > 1 { 2 } else { 1 };
        let gone: Vec<_> = services.drain(..leaving).collect();
        folder.write("shop.yaml", &rules(round, &services));
        let revision = format!("outrigger.config_revision_in_use: {}\n", round + 1);
        proxy.page("/stats?filter=config_revision_in_use", &revision);
        gone.into_iter().for_each(Service::stop);
    }
    load.goes_on();
    let after = resident(&proxy);
    let mut counted = load.end();
    let [still, reloading] = counted.p99();
    println!(
        "{runtime}: {count} reloads, {} requests, {} failed; p99 {still} us before, {reloading} us during; {before} KiB resident before, \
         {after} KiB after",
        counted.asked,
        counted.failed.len()
    );
    counted.expect_nothing_lost();
    assert_eq!(proxy.end().0, Some(0));
}

#[test]
fn reloads_under_load_lose_nothing_on_tokio() {
    reloads_lose_nothing("tokio");
}

#[test]
fn reloads_under_load_lose_nothing_on_glommio() {
    match has_glommio() {
        true => reloads_lose_nothing("glommio"),
        false => eprintln!("glommio is not tried: this machine does not let us"),
    }
}
