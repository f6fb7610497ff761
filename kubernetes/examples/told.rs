//! Prints what a cluster's watch tells, a line for each change: `cargo run -p outrigger-kubernetes --example told -- http://127.0.0.1:8001`.

use std::process::ExitCode;

use outrigger_kubernetes::{Selection, connect, watch};
use outrigger_xds::{Change, Key, Object};
use tokio::sync::mpsc::channel;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let url = std::env::args().nth(1);
    let client = match connect(url.as_deref()).await {
        Ok(client) => client,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let (sender, mut changes) = channel(64);
    tokio::spawn(watch(
        client,
        Selection::of("istio-system"),
        Default::default(),
        sender,
    ));
    while let Some(change) = changes.recv().await {
        match change {
            Change::Is(object) => is(&object),
            Change::Gone(key) => println!("gone {}", name(&key)),
            Change::All(kind, objects) => {
                println!("all {} {}", kind.type_url(), objects.len());
                for object in objects {
                    is(&object);
                }
            }
        }
    }
    ExitCode::SUCCESS
}

/// What stands in secrets is shown to nobody.
fn is(object: &Object) {
    let mut json = object.json.clone();
    if object.key.kind.kind == "Secret" {
        json["data"].take();
    }
    println!("is {} {json}", name(&object.key));
}

fn name(key: &Key) -> String {
    format!("{} {}/{}", key.kind.type_url(), key.namespace, key.name)
}
