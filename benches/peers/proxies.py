"""The proxies that are compared: how each is started for a shape of connections, with a configuration that asks of each the same.

Whoever is not installed is left out, and named. A variable of the same name (OUTRIGGER, NGINX, HAPROXY, ENVOY) says where one is.
"""
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PROXY, ORIGIN = "127.0.0.1:9000", "127.0.0.1:9100"
HOST, ORIGIN_PORT = ORIGIN.split(":")
NGINX_MODULES = Path("/usr/lib/nginx/modules")


@dataclass(frozen=True)
class Shape:
    """What the proxy stands between."""
    tcp: bool = False
    client_tls: bool = False
    endpoint_tls: bool = False
    http2: bool = False  # of clients, in clear text; the origin speaks HTTP/1.1
    log: bool = False  # a line of each request into a file, in each one's own words


def program(variable, *places):
    """The path of a program, or None."""
    named = os.environ.get(variable)
    found = [shutil.which(place) or "" for place in ([named] if named else places)]
    return next((Path(place).resolve() for place in found if place), None)


def outrigger(runtime, policies=0):
    """With so many AuthorizationPolicies, of which the first allows what is asked for."""
    def command(shape, folder):
        path = program("OUTRIGGER", str(REPOSITORY / "target/release/outrigger"), "outrigger")
        if path is None:
            return None
        rules = folder / "outrigger" / "rules"  # both are watched, so nothing else is written there
        rules.mkdir(exist_ok=True, parents=True)
        (rules / "rules.yaml").write_text(outrigger_rules(shape, folder) + "".join(map(policy, range(policies))))
        words = [path, "run", "--runtime", runtime, "--workers", "1", "--config", rules, "--admin", "127.0.0.1:0",
                 "--label", "app=origin"]
        if shape.client_tls or shape.tcp:
            words += ["--outbound", "127.0.0.1:0", "--inbound", f"{PROXY}={ORIGIN}"]
        else:
            words += ["--outbound", PROXY]
        if shape.log:
            words += ["--access-log", "text", "--access-log-file", folder / "outrigger.access.log"]
        return words + (["--identity", folder / "identity"] if shape.client_tls or shape.endpoint_tls else [])
    return command


def policy(number):
    """Those that allow and those that deny in turn, by path and method, or by the client's namespace."""
    allows = number % 2 == 0
    path = "/some/*" if number == 0 else f"/p{number}/*"
    return f"""---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: p{number}, namespace: default}}
spec:
  action: {"ALLOW" if allows else "DENY"}
  rules:
  - to: [{{operation: {{paths: ["{path}"], methods: [GET, HEAD]}}}}]
  - from: [{{source: {{namespaces: [n{number}]}}}}]
"""


def outrigger_rules(shape, folder):
    """Towards an application, its port and who may come; else a service with the policies that one has in a mesh."""
    if shape.client_tls or shape.tcp:
        return f"""
apiVersion: v1
kind: Service
metadata: {{name: origin, namespace: default}}
spec: {{selector: {{app: origin}}, ports: [{{name: {"tcp" if shape.tcp else "http"}, port: {ORIGIN_PORT}}}]}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: default}}
spec: {{mtls: {{mode: {"STRICT" if shape.client_tls else "DISABLE"}}}}}
"""
    identity = folder / "identity"
    tls = f"""
    tls:
      mode: MUTUAL
      clientCertificate: {identity}/cert-chain.pem
      privateKey: {identity}/key.pem
      caCertificates: {identity}/root-cert.pem
      sni: origin.example
      subjectAltNames: [origin.example]""" if shape.endpoint_tls else ""
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: origin, namespace: default}}
spec:
  hosts: [origin.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: {HOST}, ports: {{http: {ORIGIN_PORT}}}, labels: {{version: v1}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: origin, namespace: default}}
spec:
  host: origin.example
  subsets: [{{name: v1, labels: {{version: v1}}}}]
  trafficPolicy:
    loadBalancer: {{simple: LEAST_REQUEST}}
    outlierDetection: {{consecutive5xxErrors: 5}}
    connectionPool: {{tcp: {{maxConnections: 20000}}, http: {{http1MaxPendingRequests: 20000}}}}{tls}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: origin, namespace: default}}
spec:
  hosts: [origin.example]
  http:
  - route: [{{destination: {{host: origin.example, subset: v1}}}}]
    retries: {{attempts: 2, retryOn: "connect-failure,refused-stream,503"}}
    timeout: 15s
"""


def nginx(shape, folder):
    path = program("NGINX", "nginx", "/usr/sbin/nginx")
    module = NGINX_MODULES / "ngx_stream_module.so"
    if path is None or shape.tcp and not module.exists():
        return None
    identity = folder / "identity"
    load = f"load_module {module};" if shape.tcp else ""
    listen_tls = f"""
    ssl_protocols TLSv1.3; ssl_ecdh_curve X25519; ssl_verify_client on; ssl_client_certificate {identity}/root-cert.pem;
    ssl_certificate {identity}/cert-chain.pem; ssl_certificate_key {identity}/key.pem;""" if shape.client_tls else ""
    origin_tls = f"""
    proxy_ssl_protocols TLSv1.3; proxy_ssl_verify on; proxy_ssl_trusted_certificate {identity}/root-cert.pem;
    proxy_ssl_certificate {identity}/cert-chain.pem; proxy_ssl_certificate_key {identity}/key.pem;
    proxy_ssl_name origin.example; proxy_ssl_server_name on;""" if shape.endpoint_tls else ""
    listen = f"listen {PROXY}{' ssl' if shape.client_tls else ''}{' http2' if shape.http2 else ''} backlog=4096;{listen_tls}{origin_tls}"
    served = f"""stream {{
  server {{ {listen} proxy_timeout 1h; proxy_pass {ORIGIN}; }}
}}""" if shape.tcp else f"""http {{
  access_log {f"{folder}/nginx.access.log" if shape.log else "off"}; keepalive_requests 1000000000; keepalive_timeout 1h; client_body_buffer_size 32k;
  proxy_buffer_size 16k; proxy_buffers 16 16k; proxy_busy_buffers_size 64k; proxy_max_temp_file_size 0;
  upstream origin {{ server {ORIGIN}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    {listen}
    location / {{
      proxy_pass http{'s' if shape.endpoint_tls else ''}://origin; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $http_host;
    }}
  }}
}}"""
    (folder / "nginx.conf").write_text(f"""{load}
daemon off; worker_processes 1; worker_rlimit_nofile 65536; error_log stderr crit; pid {folder}/nginx.pid;
events {{ worker_connections 32768; }}
{served}
""")
    return [path, "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"]


def haproxy(shape, folder):
    path = program("HAPROXY", "haproxy", "/usr/sbin/haproxy")
    if path is None:
        return None
    identity = folder / "identity"
    both = identity / "both.pem"
    if shape.client_tls or shape.endpoint_tls:
        both.write_text((identity / "cert-chain.pem").read_text() + (identity / "key.pem").read_text())
        both.chmod(0o600)
    trust = f"ssl crt {both} ca-file {identity}/root-cert.pem verify required ssl-min-ver TLSv1.3"
    bind_tls = f" {trust} curves X25519" if shape.client_tls else ""
    server_tls = f" {trust} verifyhost origin.example sni str(origin.example)" if shape.endpoint_tls else ""
    http = "" if shape.tcp else "timeout http-keep-alive 1h\n  http-reuse always"
    http += "\n  option httplog" if shape.log else ""
    log = "log stdout format raw local0" if shape.log else ""
    (folder / "haproxy.cfg").write_text(f"""global
  {log}
  nbthread 1
  maxconn 9700
  ssl-server-verify required
defaults
  mode {'tcp' if shape.tcp else 'http'}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  {"log global" if shape.log else ""}
  {http}
frontend clients
  bind {PROXY} backlog 4096{bind_tls}{" proto h2" if shape.http2 else ""}
  default_backend origin
backend origin
  server origin {ORIGIN}{server_tls}
""")
    return [path, "-q", "-db", "-f", folder / "haproxy.cfg"]


def envoy_tls(kind, identity, more):
    return f"""
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{kind}TlsContext
          {more}
          common_tls_context:
            tls_params: {{tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3, ecdh_curves: [X25519]}}
            tls_certificates:
            - certificate_chain: {{filename: {identity}/cert-chain.pem}}
              private_key: {{filename: {identity}/key.pem}}
            validation_context: {{trusted_ca: {{filename: {identity}/root-cert.pem}}}}"""


def envoy(shape, folder):
    path = program("ENVOY", "envoy")
    if path is None:
        return None
    identity, network = folder / "identity", "type.googleapis.com/envoy.extensions.filters.network"
    downstream = "transport_socket:" + envoy_tls("Downstream", identity, "require_client_certificate: true") if shape.client_tls else ""
    upstream = "transport_socket:" + envoy_tls("Upstream", identity, "sni: origin.example") if shape.endpoint_tls else ""
    access_log = f"""
          access_log:
          - name: file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: {folder}/envoy.access.log""" if shape.log else ""
    filters = f"""
      - name: tcp
        typed_config: {{"@type": {network}.tcp_proxy.v3.TcpProxy, stat_prefix: tcp, cluster: origin}}""" if shape.tcp else f"""
      - name: http
        typed_config:
          "@type": {network}.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          stream_idle_timeout: 0s{access_log}
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: origin, timeout: 15s}}}}]}}"""
    (folder / "envoy.yaml").write_text(f"""static_resources:
  listeners:
  - name: clients
    address: {{socket_address: {{address: {HOST}, port_value: {PROXY.split(":")[1]}}}}}
    tcp_backlog_size: 4096
    filter_chains:
    - filters:{filters}
      {downstream}
  clusters:
  - name: origin
    type: STATIC
    circuit_breakers: {{thresholds: [{{max_connections: 20000, max_pending_requests: 20000, max_requests: 20000}}]}}
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: {HOST}, port_value: {ORIGIN_PORT}}}}}}}}}]
    {upstream.replace(chr(10) + "    ", chr(10))}
""")
    return [path, "--concurrency", "1", "--disable-hot-restart", "-l", "error", "-c", folder / "envoy.yaml"]


def version(name):
    """What a peer says of itself, or None where it is not installed."""
    variable, flag, *places = VERSIONS[name]
    path = program(variable, *places)
    if path is None:
        return None
    told = subprocess.run([path, flag], capture_output=True, text=True)
    lines = [line for line in (told.stdout + told.stderr).splitlines() if line.strip()]
    return lines[0].replace(str(path), "").strip() if lines else "unknown"


VERSIONS = {
    "outrigger": ("OUTRIGGER", "--version", str(REPOSITORY / "target/release/outrigger"), "outrigger"),
    "nginx": ("NGINX", "-v", "nginx", "/usr/sbin/nginx"),
    "haproxy": ("HAPROXY", "-v", "haproxy", "/usr/sbin/haproxy"),
    "envoy": ("ENVOY", "--version", "envoy"),
}


def relay(_shape, folder):
    """Copies bytes whatever they are; of TLS it knows nothing."""
    return [folder / "relay", PROXY, ORIGIN]


PEERS = {
    "relay": relay,
    "haproxy": haproxy,
    "nginx": nginx,
    "envoy": envoy,
    "tokio": outrigger("tokio"),
    "glommio": outrigger("glommio"),
    "tokio-10": outrigger("tokio", policies=10),
    "glommio-10": outrigger("glommio", policies=10),
}
