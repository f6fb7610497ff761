//! The demo's mesh: services, each instance behind a sidecar of its own, and sidecars for the visitors.
//!
//! Each sidecar is started as `run` starts it, with its own workers, listeners and snapshot; only ports are picked by the
//! system. New rules reach the sidecars by publishing a new snapshot, as on every reload.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Inbound, Workload, compile};
use outrigger_core::config::mesh::MeshConfig;
use outrigger_core::config::{self, Resources, Severity};
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::worker::{Signatures, WorkerSettings};
use outrigger_jwt::check_signature;
use outrigger_runtime::{Listen, Running};
use outrigger_telemetry::{Settings, Telemetry};
use outrigger_tls::{Identities, LONGEST_HELLO, Proofs};
use tokio::net::TcpSocket;

use super::certificates::{Certificates, spiffe_id};
use super::client::Client;
use super::counted::Counted;
use super::services::{Instance, Tier, serve};
use super::steps::{self, DEAD_PORT, EXAMPLE_PORTS, SERVICES, Through, Trouble};
use super::stories::Stories;
use crate::runtime::Start;

/// The namespace of everything.
const NAMESPACE: &str = "default";

/// Everything that runs.
pub(super) struct Mesh {
    visitor: Sidecar,
    tester: Sidecar,
    stranger: Sidecar,
    customer: Sidecar,
    preference: Sidecar,
    recommendation: [Sidecar; 3],
    instances: [Arc<Instance>; 3],
    /// Has a port of its own and does not listen on it.
    nobody: TcpSocket,
}

/// A sidecar and the state of its endpoints.
struct Sidecar {
    /// What runs beside it: the service account, and what its label `app` says.
    account: &'static str,
    /// Who it is by its certificate, once it has one.
    spiffe_id: Option<Box<str>>,
    identities: Arc<Identities>,
    running: Running,
    registry: Registry,
    /// Where its application listens; the visitors have none.
    application: Option<SocketAddr>,
}

impl Mesh {
    /// Starts services and sidecars. No rule is in place, and no service is known. Sidecars tell stories if asked to.
    pub(super) async fn start(start: Start, stories: Option<&Stories>) -> Result<Self, String> {
        let sidecar = |account| Sidecar::start(account, start, stories);
        let recommendation = || sidecar("recommendation");
        let mut mesh = Self {
            visitor: sidecar("visitor")?,
            tester: sidecar("tester")?,
            stranger: sidecar("stranger")?,
            customer: sidecar("customer")?,
            preference: sidecar("preference")?,
            recommendation: [recommendation()?, recommendation()?, recommendation()?],
            instances: ["v1", "v2", "v2"].map(|version| Arc::new(Instance::new(version))),
            nobody: TcpSocket::new_v4().map_err(|error| error.to_string())?,
        };
        mesh.start_services()
            .await
            .map_err(|error| format!("cannot start a service: {error}"))?;
        Ok(mesh)
    }

    async fn start_services(&mut self) -> std::io::Result<()> {
        self.nobody.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let caller = Client::new(self.customer.outbound());
        self.customer.application = Some(serve(Tier::Customer(caller)).await?);
        let caller = Client::new(self.preference.outbound());
        self.preference.application = Some(serve(Tier::Preference(caller)).await?);
        for (sidecar, instance) in self.recommendation.iter_mut().zip(&self.instances) {
            let service = Tier::Recommendation(Arc::clone(instance));
            sidecar.application = Some(serve(service).await?);
        }
        Ok(())
    }

    /// Where visitors of this kind send their requests.
    pub(super) fn entrance(&self, through: Through) -> SocketAddr {
        let sidecar = match through {
            Through::Visitor => &self.visitor,
            Through::Tester => &self.tester,
            Through::Stranger => &self.stranger,
        };
        sidecar.outbound()
    }

    /// Gives everybody but the stranger a certificate, unless they have one.
    pub(super) fn certify(&mut self, wanted: steps::Certificates) -> Result<(), String> {
        if wanted == steps::Certificates::None || self.visitor.spiffe_id.is_some() {
            return Ok(());
        }
        let certificates = Certificates::new()?;
        let Self {
            visitor,
            tester,
            customer,
            preference,
            recommendation,
            stranger: _,
            instances: _,
            nobody: _,
        } = self;
        let known = [visitor, tester, customer, preference];
        for sidecar in known.into_iter().chain(recommendation) {
            sidecar.certify(&certificates)?;
        }
        Ok(())
    }

    /// Lets instances of recommendation be slow or fail; all others are well.
    pub(super) fn trouble(&self, trouble: Trouble) {
        let well = (Duration::ZERO, false);
        let fails = (Duration::ZERO, true);
        let how = match trouble {
            Trouble::None => [well; 3],
            Trouble::SlowV2(time) => [well, (time, false), well],
            Trouble::Slow(time) => [(time, false); 3],
            Trouble::V1Fails => [fails, well, well],
            Trouble::SecondV2Fails => [well, well, fails],
            Trouble::AllFail => [fails; 3],
        };
        for (instance, (time, fails)) in self.instances.iter().zip(how) {
            instance.think(time);
            instance.fail(fails);
        }
    }

    /// What instances and sidecars have counted so far, as far as the rules in place know.
    pub(super) fn counted(&self) -> Counted {
        let snapshot = self.preference.running.handle().snapshot();
        let clusters = snapshot.clusters.iter();
        Counted {
            asked: self.instances.each_ref().map(|instance| instance.asked()),
            ejections: clusters.map(|c| c.state.tally().enforced_total()).sum(),
        }
    }

    /// The number of the snapshots in use, which is the same in every sidecar.
    pub(super) fn revision(&self) -> u64 {
        self.visitor.running.handle().snapshot().revision
    }

    /// Puts rules in place of those before, in every sidecar, and waits until they are in effect.
    pub(super) async fn apply(&mut self, name: &str, rules: &str) -> Result<(), String> {
        let [services, rules] = [
            self.with_real_ports(SERVICES)?,
            self.with_real_ports(rules)?,
        ];
        let sources =
            [("services", &services), (name, &rules)].map(|(name, text)| config::Source {
                name,
                bytes: text.as_bytes(),
            });
        let loaded = config::load(&sources, NAMESPACE);
        if let Some(error) = loaded
            .findings
            .iter()
            .find(|f| f.severity == Severity::Error)
        {
            return Err(format!("a rule of the demo is not accepted: {error}"));
        }
        for sidecar in self.sidecars() {
            sidecar.reload(&loaded.resources);
        }
        while self.sidecars().any(|sidecar| !sidecar.is_up_to_date()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    fn sidecars(&mut self) -> impl Iterator<Item = &mut Sidecar> {
        let one = [
            &mut self.visitor,
            &mut self.tester,
            &mut self.stranger,
            &mut self.customer,
            &mut self.preference,
        ];
        one.into_iter().chain(&mut self.recommendation)
    }

    /// The example's text with the ports that the sidecars listen on.
    fn with_real_ports(&self, text: &str) -> Result<String, String> {
        let nobody = self
            .nobody
            .local_addr()
            .map_err(|error| error.to_string())?;
        let [v1, v2, second] = &self.recommendation;
        let sidecars = [&self.customer, &self.preference, v1, v2, second];
        let ports = sidecars.map(|sidecar| sidecar.inbound().port());
        let ports = EXAMPLE_PORTS.into_iter().zip(ports);
        let ports = ports.chain([(DEAD_PORT, nobody.port())]);
        Ok(ports.fold(text.to_owned(), |text, (example, port)| {
            text.replace(example, &port.to_string())
        }))
    }
}

impl Sidecar {
    fn start(
        account: &'static str,
        start: Start,
        stories: Option<&Stories>,
    ) -> Result<Self, String> {
        let listen = |kind| Listen::direct(kind, (Ipv4Addr::LOCALHOST, 0).into());
        let telemetry = Telemetry::start(Settings {
            hears: stories.map(Stories::hears),
            ..Settings::default()
        });
        let config = outrigger_runtime::Config {
            listeners: vec![
                listen(ListenerKind::Outbound),
                listen(ListenerKind::Inbound(0)),
            ],
            // One is plenty for a demo, and eight sidecars share this machine.
            workers: NonZeroUsize::MIN,
            settings: WorkerSettings {
                signatures: Signatures(Some(check_signature)),
                ..WorkerSettings::default()
            },
            seed: None,
            busy_poll: Duration::ZERO,
            own_addrs: Vec::new(),
            handover: Default::default(),
            names: None,
            snapshot: Arc::new(Snapshot::default()),
            recorder: None,
            sinks: telemetry.sinks(),
            notices: Arc::new(|notice| anstream::eprintln!("warning: {notice}")),
        };
        let identities = Arc::new(Identities::new(Proofs::default()));
        let running = start(config, Arc::clone(&identities), LONGEST_HELLO);
        Ok(Self {
            account,
            spiffe_id: None,
            identities,
            running: running.map_err(|error| error.to_string())?,
            registry: Registry::default(),
            application: None,
        })
    }

    fn outbound(&self) -> SocketAddr {
        self.running.handle().local_addrs()[0]
    }

    fn inbound(&self) -> SocketAddr {
        self.running.handle().local_addrs()[1]
    }

    /// From the next handshake on it can prove who it is.
    fn certify(&mut self, certificates: &Certificates) -> Result<(), String> {
        self.identities
            .swap(certificates.issue(NAMESPACE, self.account)?);
        self.spiffe_id = Some(spiffe_id(NAMESPACE, self.account));
        Ok(())
    }

    /// What it runs beside. All stand in one zone; where instances are is for rules to say.
    fn workload(&self) -> Workload {
        let place = [
            ("topology.kubernetes.io/region", "eu"),
            ("topology.kubernetes.io/zone", "eu-a"),
            ("app", self.account),
        ];
        let labels = place.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Workload {
            namespace: NAMESPACE.into(),
            labels: labels.into(),
            spiffe_id: self.spiffe_id.clone(),
            ..Workload::default()
        }
    }

    fn reload(&mut self, resources: &Resources) {
        let inbound = self.application.map(|application| Inbound {
            listen: self.inbound(),
            application,
        });
        let handle = self.running.handle();
        let compiled = compile(
            resources,
            &self.workload(),
            &MeshConfig::default(),
            inbound.as_slice(),
            &Answers::new(),
            &mut self.registry,
            handle.snapshot().revision,
        );
        handle.publish(Arc::new(compiled.snapshot));
    }

    /// Whether all workers give new requests the snapshot published last.
    fn is_up_to_date(&self) -> bool {
        let handle = self.running.handle();
        handle.stats().revision == handle.snapshot().revision
    }
}
