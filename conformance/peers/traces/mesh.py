"""Three services, a sidecar beside each, and a collector: whether one trace arrives whole.

customer calls preference, which calls recommendation, as in Istio's tutorial; each application passes the headers of a
trace on, and knows nothing else of it. Each check prints a line that begins with `ok`, or what is wrong; a tree of a trace
follows, indented.

    mesh.py OUTRIGGER RUNTIME FOLDER
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import rotel

OUTRIGGER, RUNTIME, FOLDER = sys.argv[1:4]
# What applications pass on (https://istio.io/latest/docs/tasks/observability/distributed-tracing/overview/).
PASSED_ON = ["x-request-id", "traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"]
SERVICES = ["customer", "preference", "recommendation"]
DOMAIN = "tutorial.svc.cluster.local"
PATIENCE = 60


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def wait_for(port):
    until = time.time() + PATIENCE
    while time.time() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nobody listens at port {port}")


def application(name, port, asks):
    """Answers with its name, after it has asked the next one through its own sidecar."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            status, said = 200, name
            if asks:
                outbound, host = asks
                headers = {key: self.headers[key] for key in PASSED_ON if self.headers[key]}
                status, answer = get(outbound, self.path, {**headers, "host": f"{host}:8080"})
                said = f"{name} => {answer}"
            elif self.path == "/fails":
                status, said = 503, "failed"
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    # A sidecar that tries again may leave a response unread.
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()


def get(port, path, headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Collector:
    """Somebody who takes spans and prints them: what is printed is read back."""

    def __init__(self):
        self.spans, self.news = {}, threading.Condition()

    def run(self, command, port):
        self.running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self.listen, daemon=True).start()
        wait_for(port)

    def add(self, spans):
        with self.news:
            self.spans.update({span["id"]: span for span in spans})
            self.news.notify_all()

    def trace(self, number, count):
        """The spans of a trace, once there are so many; what there is after a while otherwise."""
        of = lambda: [span for span in self.spans.values() if span["trace"] == number]
        with self.news:
            self.news.wait_for(lambda: len(of()) >= count, PATIENCE)
            return of()

    def end(self):
        self.running.kill()
        self.running.wait()


class OtelTap(Collector):
    """OTLP over HTTP; prints a JSON document for each span."""

    def __init__(self):
        super().__init__()
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}/v1/traces"
        self.run([sys.executable, "-u", "-m", "oteltap", "--port", str(port)], port)

    def listen(self):
        for line in self.running.stdout:
            if line.startswith("{"):
                self.add(self.spans_of(json.loads(line)))

    def spans_of(self, document):
        if isinstance(document, list):
            for one in document:
                yield from self.spans_of(one)
        elif isinstance(document, dict) and "spanId" not in document:
            yield from self.spans_of(list(document.values()))
        elif isinstance(document, dict):
            kind = document["kind"]
            yield {
                "trace": document["traceId"],
                "id": document["spanId"],
                "parent": document.get("parentSpanId", ""),
                "name": document["name"],
                "kind": kind.removeprefix("SPAN_KIND_") if isinstance(kind, str) else {2: "SERVER", 3: "CLIENT"}[kind],
                "began": int(document["startTimeUnixNano"]),
                "ended": int(document["endTimeUnixNano"]),
                "tags": {one["key"]: one["value"].get("stringValue") for one in document["attributes"]},
            }


class Rotel(Collector):
    """OTLP over gRPC; its log for debugging has a paragraph for each span."""

    def __init__(self):
        super().__init__()
        grpc, http = free_ports(2)
        self.url = f"http://127.0.0.1:{grpc}"
        agent = os.path.join(os.path.dirname(rotel.__file__), "rotel-agent")
        options = ["--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--otlp-http-endpoint", f"127.0.0.1:{http}", "--exporter", "blackhole"]
        self.run([agent, "start", *options, "--debug-log", "traces", "--debug-log-verbosity", "detailed"], grpc)

    FIELDS = {"Trace ID": "trace", "Parent ID": "parent", "ID": "id", "Name": "name", "Kind": "kind", "Start time": "began", "End time": "ended"}

    def listen(self):
        span = {}
        for line in self.running.stdout:
            name, _, value = (part.strip() for part in line.partition(":"))
            if name.startswith("Span #"):
                span = {"tags": {}}
            elif name in self.FIELDS and span:
                span[self.FIELDS[name]] = {"Start time": int, "End time": int}.get(name, lambda text: text.removeprefix("SPAN_KIND_"))(value)
            elif name.startswith("-> ") and span:
                key, _, value = line.strip().removeprefix("-> ").rpartition(": Str(")
                span["tags"][key] = value.removesuffix(")")
                # The last tag of each span of ours.
                if key in ("istio.namespace", "error") or key == "outrigger.connection_reused":
                    self.add([span])


class Sidecars:
    def __init__(self, collector, sampling):
        apps, inbound, outbound = free_ports(3), free_ports(3), free_ports(3)
        self.inbound, self.running = inbound, []
        for at, name in enumerate(SERVICES):
            following = (outbound[at], f"{SERVICES[at + 1]}.{DOMAIN}") if at < 2 else None
            application(name, apps[at], following)
        config = os.path.join(FOLDER, "mesh.yaml")
        with open(config, "w") as file:
            for at, name in enumerate(SERVICES):
                file.write(SERVICE.format(name=name, port=inbound[at]))
        for at, name in enumerate(SERVICES):
            arguments = ["--runtime", RUNTIME, "--workers", "1", "--config", config, "--label", f"app={name}", "--label", "version=v1"]
            arguments += ["--outbound", f"127.0.0.1:{outbound[at]}", "--inbound", f"127.0.0.1:{inbound[at]}=127.0.0.1:{apps[at]}"]
            arguments += ["--admin", "127.0.0.1:0", "--namespace", "tutorial"]
            arguments += ["--trace-collector", collector.url, "--trace-sampling", str(sampling)]
            log = open(os.path.join(FOLDER, f"{name}.log"), "w")
            self.running.append(subprocess.Popen([OUTRIGGER, "run"] + arguments, stdout=log, stderr=log))
        for port in inbound + outbound:
            wait_for(port)

    def ask(self, path, headers):
        return get(self.inbound[0], path, {**headers, "host": "customer:8080"})

    def end(self):
        for one in self.running:
            one.terminate()
        for one in self.running:
            one.wait()


SERVICE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: {name}, namespace: tutorial }}
spec:
  hosts: [{name}.tutorial.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{ number: 8080, name: http, protocol: HTTP }}]
  endpoints: [{{ address: 127.0.0.1, ports: {{ http: {port} }} }}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: {name}, namespace: tutorial }}
spec:
  hosts: [{name}.tutorial.svc.cluster.local]
  http: [{{ route: [{{ destination: {{ host: {name}.tutorial.svc.cluster.local }} }}], retries: {{ attempts: 1, retryOn: 5xx, backoff: 1ms }} }}]
---
"""


def check(what, found, wanted):
    print(f"ok {what}" if found == wanted else f"{what}: {found!r}, and not {wanted!r}", flush=True)


def tree(spans, parent, indent=1):
    lines = []
    for span in sorted((span for span in spans if span["parent"] == parent), key=lambda span: span["began"]):
        took, tags = (span["ended"] - span["began"]) / 1e6, span["tags"]
        why = tags.get("outrigger.end") or tags.get("response_code_details")
        error = f"  error: {why}" if tags.get("error") == "true" else ""
        lines.append(f"{'  ' * indent}{span['kind']:<6} {span['name']:<{84 - 2 * indent}} {tags['http.status_code']} {took:7.2f} ms{error}")
        lines += tree(spans, span["id"], indent + 1)
    return lines


# Five sidecars' sides (one of the first, two of the others), each with a span of the request and one of its attempt.
WHOLE = 10


def judge(protocol, collector):
    mesh = Sidecars(collector, 100)
    came, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    status, said = mesh.ask("/", {"traceparent": f"00-{came}-{caller}-01", "tracestate": "peer=1"})
    check(f"{protocol}: the services answer", (status, said), (200, "customer => preference => recommendation"))
    spans = collector.trace(came, WHOLE)
    check(f"{protocol}: a trace arrives whole", len(spans), WHOLE)
    names = {span["id"] for span in spans}
    outside = [span["parent"] for span in spans if span["parent"] not in names]
    check(f"{protocol}: one span has the caller as its parent, every other one of the trace", outside, [caller])
    drawn = tree(spans, caller)
    check(f"{protocol}: no span stands alone", len(drawn), WHOLE)
    found = next((span["tags"] for span in spans if span["parent"] == caller), {})
    for name, value in {
        "component": "proxy",
        "http.method": "GET",
        "http.status_code": "200",
        "http.protocol": "HTTP/1.1",
        "http.url": "http://customer:8080/",
        "peer.address": "127.0.0.1",
        "response_flags": "-",
        "istio.canonical_service": "customer",
        "istio.canonical_revision": "v1",
        "istio.namespace": "tutorial",
    }.items():
        check(f"{protocol}: {name}", found.get(name), value)
    print("\n".join(drawn), flush=True)

    # A trace that begins at the first sidecar, of B3, and a service that fails: each attempt is seen.
    begun = "a3ce929d0e0e47364bf92f3577b34da6"
    status, _ = mesh.ask("/fails", {"b3": f"{begun}-{caller}-1"})
    check(f"{protocol}: the failure is passed on", status, 503)
    # 3 at customer, of which 2 are attempts that preference hears of; for each of those 3 and, beside them, 2 of which
    # recommendation hears, with 2 for each.
    spans = collector.trace(begun, 23)
    failed = [span for span in spans if span["tags"].get("error") == "true"]
    check(f"{protocol}: every attempt is seen", (len(spans), len(failed)), (23, 23))
    drawn = tree(spans, caller)
    print("\n".join(drawn), flush=True)

    mesh.ask("/", {"traceparent": f"00-{came[::-1]}-{caller}-00"})
    # What is told afterwards arrives, so that what is not told would have arrived.
    mesh.ask("/", {"traceparent": f"00-{begun[::-1]}-{caller}-01"})
    check(f"{protocol}: what comes after arrives", len(collector.trace(begun[::-1], WHOLE)), WHOLE)
    check(f"{protocol}: what its caller has not sampled does not", len(collector.trace(came[::-1], 0)), 0)
    mesh.end()
    collector.end()


judge("otlp-http", OtelTap())
judge("otlp-grpc", Rotel())
