//! The program before the endpoints of all rows of `docs/faults.md`, and what it says when a row has been played: gauges, counters,
//! lines of its access log.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use socket2::{Domain, Socket, Type};

use super::certificates::Certificates;
use super::endpoints::Endpoint;
use super::page::{Kind, Outcome, Row};
use super::peer::{Peer, Role, Signals};
use super::proxy::{Folder, Proxy, ask};
use super::support::PATIENCE;

const HEAD: &str = "apiVersion: networking.istio.io/v1\n";
pub(crate) const LOG: &str = "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%";
/// The port of Gateways where TLS is spoken, and the first of those of rows in TCP.
const TLS_PORT: usize = 443;
const TCP_PORTS: usize = 20_000;

/// Counters of a cluster that a row may move, and what the page calls them.
const COUNTERS: [(&str, &str); 11] = [
    ("upstream_cx_connect_fail", "connect_fail"),
    ("upstream_cx_connect_timeout", "connect_timeout"),
    ("upstream_cx_protocol_error", "protocol_error"),
    (
        "upstream_cx_destroy_with_active_rq",
        "destroy_with_active_rq",
    ),
    ("upstream_rq_rx_reset", "rx_reset"),
    ("upstream_rq_tx_reset", "tx_reset"),
    ("upstream_rq_timeout", "timeout"),
    ("upstream_rq_per_try_timeout", "per_try_timeout"),
    ("upstream_rq_cancelled", "cancelled"),
    ("upstream_rq_retry", "retry"),
    (
        "outlier_detection.ejections_detected_consecutive_5xx",
        "against_endpoint",
    ),
];

/// Numbers that are back where they were when nothing is under way.
pub(crate) type Gauges = BTreeMap<String, u64>;

pub(crate) struct Stage {
    proxy: Proxy,
    folder: Folder,
    pub(crate) sides: Sides,
}

/// Both sides of all rows.
pub(crate) struct Sides {
    certificates: Certificates,
    /// By the line of a row.
    endpoints: BTreeMap<usize, Endpoint>,
    entrances: BTreeMap<usize, SocketAddr>,
    outbound: SocketAddr,
}

impl Stage {
    /// The program on a runtime, before the endpoints of these rows.
    pub(crate) fn new(runtime: &str, rows: &[Row], test: &str) -> Self {
        let folder = Folder::new(&format!("faults-{test}-{runtime}"));
        std::fs::create_dir(folder.0.join("config")).unwrap();
        let certificates =
            Certificates::new(&folder.0, rows.iter().map(|row| row.host.clone()).collect());
        let endpoints: BTreeMap<usize, Endpoint> = rows
            .iter()
            .map(|row| (row.line, Endpoint::of(row)))
            .collect();
        let text = configuration(rows, &endpoints, &folder.0.display().to_string());
        folder.write("config/faults.yaml", &text);
        let log = folder.0.join("access.log");
        let log = log.to_str().unwrap();
        let more = [
            "--runtime",
            runtime,
            "--gateway",
            "127.0.0.1:0",
            "--minimum-drain-time",
            "0",
        ];
        let times = [
            "--request-head-timeout",
            "1s",
            "--stream-idle-timeout",
            "2s",
            "--tls-handshake-timeout",
            "1s",
        ];
        let logged = ["--access-log-format", LOG, "--access-log-file", log];
        let proxy = Proxy::start(
            &folder.0.join("config"),
            &[&more[..], &times, &logged].concat(),
        );
        let outbound = proxy.addr("outbound");
        let entrances = rows
            .iter()
            .map(|row| (row.line, entrance(&proxy, row)))
            .collect();
        Self {
            proxy,
            folder,
            sides: Sides {
                certificates,
                endpoints,
                entrances,
                outbound,
            },
        }
    }

    /// The gauges of a proxy that has served somebody, and has opened all files that it opens then.
    pub(crate) fn warm(&self) -> (Gauges, u64) {
        let begun = Instant::now();
        self.proxy.get("nobody.test");
        let log = self.folder.0.join("access.log");
        while std::fs::metadata(&log).map_or(0, |log| log.len()) == 0 {
            assert!(begun.elapsed() < PATIENCE, "nothing is logged");
            thread::yield_now();
        }
        self.gauges()
    }

    /// The gauges as they are now, and how many clients have come.
    fn gauges(&self) -> (Gauges, u64) {
        let ends = [
            "_active",
            "_open",
            "_idle",
            "_waiting",
            ".buffered_bytes",
            ".open_fds",
            ".remaining_cx",
            ".remaining_pending",
            ".remaining_rq",
            ".remaining_retries",
        ];
        let came = ".downstream_cx_total";
        let filter = [&ends[..], &[came]].concat().join("|");
        let stats = self.proxy.admin(&format!("GET /stats?filter={filter}"));
        let (mut gauges, mut clients) = (Gauges::new(), 0);
        for line in stats.lines() {
            let Some((name, value)) = line.rsplit_once(": ") else {
                continue;
            };
            let value = value.parse().unwrap_or(0);
            if name.starts_with("listener.") && name.ends_with(came) {
                clients += value;
            } else if ends.iter().any(|end| name.ends_with(end))
                && !name.ends_with("admin_cx_active")
            {
                gauges.insert(name.to_owned(), value);
            }
        }
        (gauges, clients)
    }

    /// Waits until as many clients as this have come and all gauges are what they were. How many came.
    ///
    /// # Errors
    /// Those that are not, when patience is over.
    pub(crate) fn rests(&self, at: &Gauges, clients: u64) -> Result<u64, String> {
        let begun = Instant::now();
        loop {
            let (now, came) = self.gauges();
            let before = |name| at.get(name).copied().unwrap_or(0);
            let moved = now.iter().filter(|(name, value)| before(*name) != **value);
            let moved: Vec<String> = moved
                .map(|(name, value)| format!("{name} {} → {value}", before(name)))
                .collect();
            if moved.is_empty() && came >= clients {
                return Ok(came);
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{came} of {clients} clients came, and {moved:?}"));
            }
            thread::yield_now();
        }
    }

    /// Bytes of memory that the process has.
    pub(crate) fn resident(&self) -> u64 {
        let path = format!("/proc/{}/statm", self.proxy.child.id());
        let statm = std::fs::read_to_string(path).unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    /// What was counted for the cluster of a row.
    pub(crate) fn counted(&self, row: &Row) -> String {
        let stats = self.proxy.admin(&format!("GET /stats?filter={}", row.host));
        let value = |name: &str| {
            let end = format!("{}.{name}", row.host);
            let mut lines = stats.lines().filter_map(|line| line.rsplit_once(": "));
            let (_, value) = lines.find(|(line, _)| line.ends_with(&end))?;
            value.parse::<u64>().ok()
        };
        let moved = COUNTERS
            .iter()
            .filter_map(|(name, short)| Some((*short, value(name)?)));
        let moved = moved.filter(|(_, value)| *value > 0);
        moved
            .map(|(short, value)| format!("{short} {value}"))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Ends the program, and gives each outcome the lines of the log that are about its client.
    pub(crate) fn logged(self, found: &mut [(Row, Outcome)]) {
        let path: PathBuf = self.folder.0.join("access.log");
        assert_eq!(self.proxy.end().0, Some(0));
        let log = std::fs::read_to_string(path).unwrap_or_default();
        for (row, outcome) in found {
            outcome.log = lines_of(&log, row);
        }
    }
}

/// The lines of a log that are about a row's client.
pub(crate) fn lines_of(log: &str, row: &Row) -> String {
    let start = format!("{} ", own_address(row));
    let lines = log.lines().filter_map(|line| line.strip_prefix(&start));
    lines.collect::<Vec<_>>().join("; ")
}

/// The address of a row's client, by which its lines in the log are known.
fn own_address(row: &Row) -> Ipv4Addr {
    let [.., high, low] = row.line.to_be_bytes();
    Ipv4Addr::new(127, 9, high, low)
}

fn connected(from: Ipv4Addr, to: SocketAddr) -> Result<TcpStream, String> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = SocketAddr::new(from.into(), 0);
    let connected = socket
        .bind(&from.into())
        .and_then(|()| socket.connect(&to.into()));
    connected.map_err(|why| why.to_string())?;
    Ok(socket.into())
}

/// Where the client of a row connects to.
fn entrance(proxy: &Proxy, row: &Row) -> SocketAddr {
    match row.kind {
        Kind::Http | Kind::Http2 | Kind::TlsEndpoint => proxy.addr("outbound"),
        Kind::TlsClient => proxy.addr(&format!("gateway {TLS_PORT} at")),
        Kind::Tcp => proxy.addr(&format!("gateway {} at", TCP_PORTS + row.line)),
    }
}

impl Sides {
    /// Both sides of rows that meet at somebody else's listener.
    pub(crate) fn before(
        certificates: Certificates,
        endpoints: BTreeMap<usize, Endpoint>,
        outbound: SocketAddr,
    ) -> Self {
        let entrances = endpoints.keys().map(|line| (*line, outbound)).collect();
        Self {
            certificates,
            endpoints,
            entrances,
            outbound,
        }
    }

    /// Plays both sides of a row. What the client saw.
    pub(crate) fn play(&self, row: &Row) -> Result<String, String> {
        let (signals, endpoint) = (Signals::default(), &self.endpoints[&row.line]);
        thread::scope(|scope| {
            let service = scope.spawn(|| endpoint.play(row, &signals, &self.certificates));
            let stream = connected(own_address(row), self.entrances[&row.line])?;
            let client = Peer::new(Role::Client, stream, &self.certificates, &row.host);
            let sees = client.play(&row.client, &signals);
            let served = service.join().expect("scripts do not panic");
            match (sees, served) {
                (Ok(sees), Ok(())) => Ok(sees.join(", ")),
                (sees, served) => Err(format!("the client saw {sees:?}, the endpoint {served:?}")),
            }
        })
    }

    /// Whether somebody who means well is answered.
    pub(crate) fn answers(&self) -> bool {
        let request = "GET / HTTP/1.1\r\nhost: nobody.test\r\nconnection: close\r\n\r\n";
        ask(self.outbound, request).starts_with("HTTP/1.1 ")
    }

    /// A connection to the endpoint of a row that none of its scripts waits for.
    pub(crate) fn has_more(&self, row: &Row) -> bool {
        self.endpoints[&row.line].unasked().is_some()
    }
}

/// What all rows need: a service and its policy each, and the ports of Gateways where clients come in.
fn configuration(rows: &[Row], endpoints: &BTreeMap<usize, Endpoint>, folder: &str) -> String {
    let mut text = format!(
        "{HEAD}kind: Gateway\nmetadata: {{name: front}}\nspec:\n  selector: {{}}\n  servers:\n  \
         - {{port: {{number: {TLS_PORT}, name: https, protocol: HTTPS}}, hosts: ['*.test'], \
         tls: {{mode: SIMPLE, serverCertificate: {folder}/chain.pem, privateKey: {folder}/key.pem}}}}\n"
    );
    for row in rows.iter().filter(|row| row.kind == Kind::Tcp) {
        let number = TCP_PORTS + row.line;
        writeln!(
            text,
            "  - {{port: {{number: {number}, name: tcp-{number}, protocol: TCP}}, hosts: ['*']}}"
        )
        .unwrap();
    }
    for row in rows {
        text += &service(row, endpoints[&row.line].addr().port(), folder);
    }
    text
}

pub(crate) fn service(row: &Row, port: u16, folder: &str) -> String {
    let (line, host) = (row.line, &row.host);
    let protocol = match row.kind {
        Kind::Http2 => "HTTP2",
        Kind::Tcp => "TCP",
        Kind::Http | Kind::TlsEndpoint | Kind::TlsClient => "HTTP",
    };
    let tls = match row.kind {
        Kind::TlsEndpoint => {
            format!(", tls: {{mode: SIMPLE, sni: {host}, caCertificates: {folder}/roots.pem}}")
        }
        _ => String::new(),
    };
    let route = format!("route: [{{destination: {{host: {host}}}}}]");
    let bound = match row.kind {
        Kind::Tcp => format!(
            "hosts: ['*'], gateways: [front], tcp: [{{match: [{{port: {}}}], {route}}}]",
            TCP_PORTS + line
        ),
        _ => format!(
            "hosts: [{host}], gateways: [mesh, front], http: [{{{route}{}}}]",
            rule(row)
        ),
    };
    let spec = |kind: &str, spec: &str| {
        format!("---\n{HEAD}kind: {kind}\nmetadata: {{name: f{line}}}\nspec: {{{spec}}}\n")
    };
    spec(
        "ServiceEntry",
        &format!(
            "hosts: [{host}], resolution: STATIC, ports: [{{number: 80, name: port, protocol: {protocol}, targetPort: {port}}}], \
             endpoints: [{{address: 127.0.0.1}}]"
        ),
    ) + &spec(
        "DestinationRule",
        &format!(
            "host: {host}, trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: 100, connectTimeout: 1s}}, \
             http: {{http1MaxPendingRequests: 100, http2MaxRequests: 100, maxRetries: 100}}}}, \
             outlierDetection: {{consecutive5xxErrors: 1, baseEjectionTime: 1s}}{tls}}}"
        ),
    ) + &spec("VirtualService", &bound)
}

/// What the words of a row's rule mean in its route: `timeout 1s`, `retry ON`, `default`.
fn rule(row: &Row) -> String {
    let mut retries = ", retries: {attempts: 0}".to_owned();
    let mut more = String::new();
    for word in &row.rule {
        match word.split_once(' ') {
            Some(("timeout", time)) => write!(more, ", timeout: {time}").unwrap(),
            Some(("retry", on)) => {
                retries = format!(", retries: {{attempts: 1, retryOn: '{on}', backoff: 1ms}}");
            }
            Some(("try", time)) => {
                retries = format!(
                    ", retries: {{attempts: 1, perTryTimeout: {time}, retryOn: '5xx', backoff: 1ms}}"
                );
            }
            _ if word == "default" => retries = String::new(),
            _ => panic!("docs/faults.md:{}: `{word}` is no rule", row.line),
        }
    }
    retries + &more
}
