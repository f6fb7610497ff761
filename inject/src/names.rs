//! The words of Istio that injection reads and writes: labels, annotations, names of containers and volumes.

/// The label, or annotation, of a pod that wants a sidecar or wants none.
pub(crate) const INJECT: &str = "sidecar.istio.io/inject";
/// The label of a namespace whose pods get one.
pub(crate) const NAMESPACE_INJECTION: &str = "istio-injection";
/// The label of a namespace or pod that says which control plane injects.
pub(crate) const REVISION: &str = "istio.io/rev";
/// What injection has put in, as JSON.
pub(crate) const STATUS: &str = "sidecar.istio.io/status";
/// Which templates are put in.
pub(crate) const TEMPLATES: &str = "inject.istio.io/templates";
/// A ProxyConfig as YAML.
pub(crate) const PROXY_CONFIG: &str = "proxy.istio.io/config";
/// The roots of the mesh in PEM, which the pod's sidecar reads by the downward API.
pub(crate) const ROOTS: &str = "outrigger.dev/root-cert";

/// The label by which endpoints say that they speak TLS of the mesh.
pub(crate) const TLS_MODE: &str = "security.istio.io/tlsMode";
/// The label by which telemetry names a service.
pub(crate) const CANONICAL_NAME: &str = "service.istio.io/canonical-name";
/// The label by which telemetry names a version.
pub(crate) const CANONICAL_REVISION: &str = "service.istio.io/canonical-revision";
/// The container that `kubectl exec` and `kubectl logs` mean where none is named.
pub(crate) const DEFAULT_CONTAINER: &[&str] = &[
    "kubectl.kubernetes.io/default-container",
    "kubectl.kubernetes.io/default-logs-container",
];

/// The sidecar, as tools look for it.
pub(crate) const PROXY: &str = "istio-proxy";
/// What captures connections.
pub(crate) const INIT: &str = "istio-init";

/// Who a sidecar runs as; its connections are not captured.
pub(crate) const PROXY_ID: u32 = 1337;

/// Where `/healthz/ready` is answered.
pub(crate) const READY_PORT: u16 = 15021;
/// Where the agent answers, probes of the application among it.
pub(crate) const AGENT_PORT: u16 = 15020;
/// Where metrics are.
pub(crate) const METRICS_PORT: u16 = 15090;

/// The variable that holds the application's own probes.
pub(crate) const APP_PROBERS: &str = "ISTIO_KUBE_APP_PROBERS";

/// The variable that says where the application's own metrics are.
pub(crate) const APP_METRICS: &str = "ISTIO_PROMETHEUS_ANNOTATIONS";
