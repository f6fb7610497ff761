//! Random Istio YAML: one service or two, their endpoints, and policies for them.

use std::fmt::Write as _;

use outrigger_sim::Dice;

/// Which services there are.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    /// How many instances each service has.
    pub(crate) services: Vec<u64>,
    /// Their endpoints prove who they are, and ask who comes.
    pub(crate) is_secured: bool,
}

impl Topology {
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let services = (0..dice.between(1, 2)).map(|_| dice.between(1, 4));
        Self {
            services: services.collect(),
            is_secured: false,
        }
    }

    /// The name of a service.
    pub(crate) fn host(service: usize) -> &'static str {
        ["a", "b"][service]
    }

    pub(crate) fn address(service: usize, instance: u64) -> String {
        format!("10.0.{service}.{}:8080", instance + 1)
    }

    /// Every instance: its service and its address.
    pub(crate) fn instances(&self) -> impl Iterator<Item = (usize, String)> {
        let services = self.services.iter().enumerate();
        services.flat_map(|(s, count)| (0..*count).map(move |i| (s, Self::address(s, i))))
    }

    /// Rules for these services. Some endpoints may be left out, as when pods come and go.
    pub(crate) fn rules(&self, dice: &mut Dice) -> String {
        let mut text = String::new();
        for (service, count) in self.services.iter().enumerate() {
            let named = dice.between(1, *count);
            entry(service, named, dice, &mut text);
            // A subset without endpoints answers everything by itself, so it is seldom.
            let subsets = dice.coin() && (named > 1 || dice.below(8) == 0);
            destination_rule(service, subsets, self.is_secured, dice, &mut text);
            if dice.below(4) > 0 {
                virtual_service(service, subsets, dice, &mut text);
            }
        }
        text
    }
}

fn begin(kind: &str, service: usize, annotations: &[&str], text: &mut String) {
    let name = Topology::host(service);
    let annotations = annotations.join(", ");
    let _ = write!(
        text,
        "---\napiVersion: networking.istio.io/v1\nkind: {kind}\n\
         metadata: {{name: {name}, annotations: {{{annotations}}}}}\nspec:\n"
    );
}

/// Each of these with a chance of one in so many.
fn seldom<'a>(dice: &mut Dice, one_in: u64, all: &[&'a str]) -> Vec<&'a str> {
    let all = all.iter().filter(|_| dice.below(one_in) == 0);
    all.copied().collect()
}

fn one_of<'a>(dice: &mut Dice, all: &[&'a str]) -> &'a str {
    all[dice.below(all.len() as u64) as usize]
}

fn entry(service: usize, count: u64, dice: &mut Dice, text: &mut String) {
    begin("ServiceEntry", service, &[], text);
    let host = Topology::host(service);
    let _ = write!(
        text,
        "  hosts: [{host}.default.svc.cluster.local]\n  location: MESH_INTERNAL\n  resolution: STATIC\n  \
         ports: [{{number: 8080, name: http, protocol: HTTP}}]\n  endpoints:\n"
    );
    for instance in 0..count {
        let version = 1 + instance % 2;
        let weight = dice.between(1, 3);
        let address = Topology::address(service, instance).replace(":8080", "");
        let locality = one_of(dice, &["", "", "r1/z1", "r1/z2", "r2/z1"]);
        let _ = writeln!(
            text,
            "  - {{address: {address}, weight: {weight}, locality: \"{locality}\", labels: {{version: v{version}}}}}"
        );
    }
}

/// Of one service in so many.
const ON_DESTINATIONS: &[&str] = &[
    "outrigger.dev/retry-budget: \"ratio=0.2, min=1, ttl=5s\"",
    "outrigger.dev/success-rate-ejection: \"minimum_hosts=2, request_volume=5, stdev_factor=500\"",
    "outrigger.dev/failure-percentage-ejection: \"threshold=30, minimum_hosts=2, request_volume=5\"",
    "outrigger.dev/always-eject-one-host: \"true\"",
    "outrigger.dev/adaptive-concurrency: \"min=1, max=50, window=5, interval=1s\"",
    "outrigger.dev/load-balancer: PEAK_EWMA",
    "outrigger.dev/hash-balance-factor: \"125\"",
];

fn destination_rule(
    service: usize,
    subsets: bool,
    is_secured: bool,
    dice: &mut Dice,
    text: &mut String,
) {
    let annotations = seldom(dice, 6, ON_DESTINATIONS);
    begin("DestinationRule", service, &annotations, text);
    let host = Topology::host(service);
    let _ = write!(text, "  host: {host}\n  trafficPolicy:\n");
    if is_secured {
        text.push_str("    tls: {mode: ISTIO_MUTUAL}\n");
    }
    balancer(dice, text);
    if dice.coin() {
        pool(dice, text);
    }
    if dice.coin() || annotations.iter().any(|text| text.contains("eject")) {
        detection(dice, text);
    }
    if dice.below(8) == 0 {
        let percent = dice.between(0, 50);
        let _ = writeln!(
            text,
            "    retryBudget: {{percent: {percent}, minRetryConcurrency: 1}}"
        );
    }
    if subsets {
        text.push_str(
            "  subsets:\n  - {name: v1, labels: {version: v1}}\n  - {name: v2, labels: {version: v2}}\n",
        );
    }
}

fn balancer(dice: &mut Dice, text: &mut String) {
    let mut fields = Vec::new();
    let key = one_of(
        dice,
        &[
            "httpHeaderName: x-request-id",
            "httpCookie: {name: sid, ttl: 60s}",
        ],
    );
    match dice.below(6) {
        0 => fields.push(format!(
            "consistentHash: {{{key}, ringHash: {{minimumRingSize: 16}}}}"
        )),
        1 => fields.push(format!(
            "consistentHash: {{{key}, maglev: {{tableSize: 101}}}}"
        )),
        2 => fields.push("simple: RANDOM".to_owned()),
        _ => {
            let simple = one_of(dice, &["LEAST_REQUEST", "ROUND_ROBIN"]);
            fields.push(format!("simple: {simple}"));
            if dice.below(4) == 0 {
                fields.push("warmup: {duration: 10s}".to_owned());
            }
        }
    }
    if dice.below(4) == 0 {
        let to = "{r1/z1/*: 70, r1/z2/*: 30}";
        let distribute = format!("distribute: [{{from: r1/z1/*, to: {to}}}]");
        let settings = [
            "enabled: false",
            "failover: [{from: r1, to: r2}]",
            &distribute,
        ];
        fields.push(format!(
            "localityLbSetting: {{{}}}",
            one_of(dice, &settings)
        ));
    }
    let _ = writeln!(text, "    loadBalancer: {{{}}}", fields.join(", "));
}

/// Each setting with a chance of one half, any of some values.
fn some(dice: &mut Dice, settings: &[(&str, &[u64])]) -> String {
    let mut fields = Vec::new();
    for (name, values) in settings {
        if dice.coin() {
            let value = values[dice.below(values.len() as u64) as usize];
            fields.push(format!("{name}: {value}"));
        }
    }
    fields.join(", ")
}

fn pool(dice: &mut Dice, text: &mut String) {
    let tcp = some(dice, &[("maxConnections", &[1, 2, 5])]);
    let http = some(
        dice,
        &[
            ("http1MaxPendingRequests", &[1, 2, 5]),
            ("http2MaxRequests", &[1, 2, 5]),
            ("maxRetries", &[1, 3]),
            ("maxRequestsPerConnection", &[1, 2, 50]),
        ],
    );
    let _ = write!(
        text,
        "    connectionPool:\n      tcp: {{connectTimeout: 1s, {tcp}}}\n      http: {{idleTimeout: 60s, {http}}}\n"
    );
}

fn detection(dice: &mut Dice, text: &mut String) {
    let numbers = some(
        dice,
        &[
            ("consecutive5xxErrors", &[1, 2, 3]),
            ("consecutiveGatewayErrors", &[1, 3]),
            ("minHealthPercent", &[30, 60]),
        ],
    );
    let interval = dice.between(1, 10);
    let base = dice.between(1, 10);
    let most = [10, 50, 50, 100][dice.below(4) as usize];
    let _ = writeln!(
        text,
        "    outlierDetection: {{interval: {interval}s, baseEjectionTime: {base}s, maxEjectionPercent: {most}, {numbers}}}"
    );
}

/// Of one service in so many.
const ON_ROUTES: &[&str] = &[
    "outrigger.dev/idle-timeout: 200ms",
    "outrigger.dev/retry-after: 5s",
    "outrigger.dev/hedge-on-per-try-timeout: \"true\"",
    "outrigger.dev/local-rate-limit: \"200/s, burst=20\"",
];

fn virtual_service(service: usize, subsets: bool, dice: &mut Dice, text: &mut String) {
    begin("VirtualService", service, &seldom(dice, 8, ON_ROUTES), text);
    let host = Topology::host(service);
    let _ = write!(text, "  hosts: [{host}]\n  http:\n  - route:\n");
    if subsets {
        let share = dice.between(1, 99);
        let _ = write!(
            text,
            "    - destination: {{host: {host}, subset: v1}}\n      weight: {share}\n    \
             - destination: {{host: {host}, subset: v2}}\n      weight: {}\n",
            100 - share
        );
    } else {
        let _ = writeln!(text, "    - destination: {{host: {host}}}");
    }
    if dice.coin() {
        let _ = writeln!(
            text,
            "    timeout: {}ms",
            [50, 1000, 10_000][dice.below(3) as usize]
        );
    }
    if dice.below(4) > 0 {
        retries(dice, text);
    }
    if dice.below(4) == 0 {
        // The other service, which may not exist.
        let _ = write!(
            text,
            "    mirror: {{host: {}}}\n    mirrorPercentage: {{value: {}}}\n",
            Topology::host(1 - service),
            [10, 100][dice.below(2) as usize]
        );
    }
    if dice.below(4) == 0 {
        let _ = write!(
            text,
            "    fault:\n      delay: {{fixedDelay: {}ms, percentage: {{value: 3}}}}\n      \
             abort: {{httpStatus: 555, percentage: {{value: 3}}}}\n",
            dice.between(1, 100)
        );
    }
}

fn retries(dice: &mut Dice, text: &mut String) {
    let attempts = dice.below(5);
    let _ = write!(text, "    retries:\n      attempts: {attempts}\n");
    if attempts == 0 {
        return;
    }
    let on = [
        "5xx",
        "gateway-error,connect-failure",
        "reset,503",
        "connect-failure",
    ];
    let _ = writeln!(text, "      retryOn: \"{}\"", on[dice.below(4) as usize]);
    if dice.coin() {
        let _ = writeln!(
            text,
            "      perTryTimeout: {}ms",
            [20, 500][dice.below(2) as usize]
        );
    }
}
