//! For tests: a sidecar with one outbound listener that is configured with Istio resources, for what takes more than one
//! cluster and one rule.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{self, Workload, compile};
use outrigger_core::config::mesh::MeshConfig;
use outrigger_core::config::{Source, load};
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::worker::WorkerSettings;
use outrigger_runtime::{Config, Ended, Listen, Running};
use outrigger_telemetry::metrics::{Collected, MetricsSettings};
use outrigger_telemetry::{Hears, Settings, Telemetry};

use super::support::Client;
use crate::start;

/// A service `app.test` with these endpoints, a rule with these fields, and a policy with these.
pub(crate) fn service(endpoints: &[SocketAddr], rule: &str, policy: &str) -> String {
    let endpoint = |addr: &SocketAddr| {
        let (ip, port) = (addr.ip(), addr.port());
        format!("{{address: {ip}, ports: {{http: {port}}}}}")
    };
    let endpoints: Vec<_> = endpoints.iter().map(endpoint).collect();
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: app}}
spec:
  hosts: [app.test]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: app}}
spec: {{hosts: [app.test], http: [{{{rule} route: [{{destination: {{host: app.test}}}}]}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: app}}
spec: {{host: app.test, trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN}}, {policy}}}}}
",
        endpoints.join(", ")
    )
}

/// How it is started.
pub(crate) struct Setup {
    pub(crate) workers: usize,
    pub(crate) settings: WorkerSettings,
    /// Called by a worker when a request ends.
    pub(crate) format: Option<fn(&Ended<'_>)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            workers: 1,
            settings: WorkerSettings::default(),
            format: None,
        }
    }
}

pub(crate) struct Sidecar {
    pub(crate) running: Running,
    pub(crate) telemetry: Telemetry,
    pub(crate) addr: SocketAddr,
}

impl Sidecar {
    pub(crate) fn of(yaml: &str) -> Self {
        Setup::default().start(yaml)
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.addr)
    }

    pub(crate) fn counted(&self) -> Collected {
        self.telemetry.collect(&self.snapshot())
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.running.handle().snapshot()
    }
}

impl Setup {
    pub(crate) fn start(self, yaml: &str) -> Sidecar {
        let telemetry = Telemetry::start(Settings {
            metrics: Some(MetricsSettings::default()),
            hears: self.format.map(|format| Arc::new(format) as Hears),
            ..Settings::default()
        });
        let running = start(Config {
            own_addrs: Vec::new(),
            handover: Default::default(),
            names: None,
            listeners: vec![Listen::direct(
                ListenerKind::Outbound,
                "127.0.0.1:0".parse().unwrap(),
            )],
            workers: NonZeroUsize::new(self.workers).unwrap(),
            settings: self.settings,
            seed: None,
            busy_poll: Duration::ZERO,
            snapshot: compiled(yaml),
            recorder: None,
            sinks: telemetry.sinks(),
            notices: Arc::new(|_| {}),
        })
        .unwrap();
        let addr = running.handle().local_addrs()[0];
        Sidecar {
            running,
            telemetry,
            addr,
        }
    }
}

pub(crate) fn compiled(yaml: &str) -> Arc<Snapshot> {
    let source = Source {
        name: "config.yaml",
        bytes: yaml.as_bytes(),
    };
    let (workload, mesh) = (Workload::default(), MeshConfig::default());
    let loaded = load(&[source], &workload.namespace);
    let registry = &mut Registry::default();
    let compiled = compile(
        &loaded.resources,
        &workload,
        &mesh,
        &[],
        &compile::Answers::new(),
        registry,
        0,
    );
    let findings: Vec<_> = loaded.findings.iter().chain(&compiled.findings).collect();
    assert!(findings.is_empty(), "{findings:?}");
    Arc::new(compiled.snapshot)
}
