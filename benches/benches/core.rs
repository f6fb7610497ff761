//! Instructions of one request and of one compilation.

#![allow(
    missing_docs,
    unused_qualifications,
    reason = "the macros of the bench harness make such items"
)]

use std::hint::black_box;
use std::sync::Arc;

use gungraun::{library_benchmark, library_benchmark_group, main};
use outrigger_benches::scenario::{
    Client, choose_chains, guarded, many_chains, many_rules, many_services, one_service, snapshot,
};
use outrigger_core::snapshot::Snapshot;

fn client(text: String) -> Client {
    Client::warm(snapshot(&text))
}

fn counted(text: String) -> Client {
    Client::counted(snapshot(&text))
}

#[library_benchmark]
#[bench::one_service(args = (one_service()), setup = client)]
#[bench::counted(args = (one_service()), setup = counted)]
#[bench::a_thousand_services(args = (many_services(1000)), setup = client)]
#[bench::five_thousand_rules(args = (many_rules(5000)), setup = client)]
fn request(mut client: Client) -> (u16, Client) {
    let status = black_box(&mut client).request();
    (status, client)
}

fn behind(policies: usize) -> Client {
    Client::warm(guarded(policies))
}

#[library_benchmark]
#[bench::no_policy(args = (0), setup = behind)]
#[bench::ten_policies(args = (10), setup = behind)]
#[bench::a_thousand_policies(args = (1000), setup = behind)]
fn authorized(mut client: Client) -> (u16, Client) {
    let status = black_box(&mut client).request();
    (status, client)
}

fn chains(services: usize) -> Arc<Snapshot> {
    snapshot(&many_chains(services))
}

#[library_benchmark]
#[bench::ten_services(args = (10), setup = chains)]
#[bench::five_thousand_services(args = (5000), setup = chains)]
fn chain(snapshot: Arc<Snapshot>) -> (usize, Arc<Snapshot>) {
    let found = choose_chains(black_box(&snapshot));
    (found, snapshot)
}

#[library_benchmark]
#[bench::a_thousand_services(many_services(1000))]
fn compile(text: String) -> usize {
    snapshot(black_box(&text)).clusters.len()
}

library_benchmark_group!(
    name = core,
    benchmarks = [request, authorized, chain, compile]
);
main!(library_benchmark_groups = core);
