#!/usr/bin/env python3
"""Who is asked about requests is grpcio: an ext_authz server and a rate limit server, with the sidecar in front of an application.

    pip install grpcio grpcio-tools
    conformance/peers/asked/play.py target/debug/outrigger [tokio|glommio]...
"""

import concurrent.futures
import http.client
import http.server
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

import grpc
from grpc_tools import protoc

HERE = pathlib.Path(__file__).parent
CHECK = "/envoy.service.auth.v3.Authorization/Check"
LIMIT = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
CALLS = 200

generated = tempfile.mkdtemp()
assert protoc.main(["", f"-I{HERE}", f"--python_out={generated}", str(HERE / "asked.proto")]) == 0
sys.path.insert(0, generated)
import asked_pb2 as pb  # noqa: E402


class App(http.server.BaseHTTPRequestHandler):
    """Answers with the fields and the body that it was sent."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        told = "".join(f"{name.lower()}: {value}\n" for name, value in self.headers.items()).encode() + b"\n" + body
        self.send_response(200)
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_POST = do_GET

    def log_message(self, *_):
        pass


def option(key, value):
    return pb.HeaderValueOption(header=pb.HeaderValue(key=key, value=value))


class Asked:
    """Both services; what they were asked is kept."""

    def __init__(self):
        self.checks, self.limits, self.left = [], [], {}
        self.lock = threading.Lock()

    def check(self, request, context):
        self.checks.append(request)
        http_request = request.attributes.request.http
        if http_request.path == "/abort":
            context.abort(grpc.StatusCode.INTERNAL, "no")
        if "x-user" not in http_request.headers:
            refused = pb.DeniedHttpResponse(status=pb.HttpStatus(code=401), body="who", headers=[option("x-why", "nobody")])
            return pb.CheckResponse(status=pb.Status(code=16), denied_response=refused)
        allowed = pb.OkHttpResponse(
            headers=[option("x-checked", http_request.headers["x-user"])],
            headers_to_remove=["x-secret"],
            response_headers_to_add=[option("x-told", "yes")],
        )
        return pb.CheckResponse(status=pb.Status(), ok_response=allowed)

    def limit(self, request, context):
        self.limits.append(request)
        values = [entry.value for descriptor in request.descriptors for entry in descriptor.entries]
        if "/slow" in values:
            time.sleep(3)
        user = values[0]
        with self.lock:
            left = self.left[user] = self.left.get(user, 3) - 1
        status = pb.RateLimitResponse.DescriptorStatus(
            current_limit=pb.RateLimitResponse.RateLimit(requests_per_unit=3, unit="MINUTE", name="users"),
            limit_remaining=max(left, 0),
            duration_until_reset=pb.Duration(seconds=30),
        )
        if left < 0 and user != "everybody":
            return pb.RateLimitResponse(overall_code="OVER_LIMIT", statuses=[status], raw_body=b"slow down")
        added = [pb.HeaderValue(key="x-tier", value="gold")]
        return pb.RateLimitResponse(overall_code="OK", statuses=[status], request_headers_to_add=added)

    def serve(self):
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
        for service, method, call, asks, says in (
            (*CHECK[1:].split("/"), self.check, pb.CheckRequest, pb.CheckResponse),
            (*LIMIT[1:].split("/"), self.limit, pb.RateLimitRequest, pb.RateLimitResponse),
        ):
            handler = grpc.unary_unary_rpc_method_handler(call, asks.FromString, says.SerializeToString)
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        return server, port


RULES = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: asked}}
spec:
  hosts: [asked.example]
  resolution: STATIC
  ports: [{{number: 9001, name: grpc, protocol: GRPC, targetPort: {port}}}]
  endpoints: [{{address: 127.0.0.1}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: ask}}
spec: {{action: CUSTOM, provider: {{name: authz}}, rules: [{{}}]}}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: limits}}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      context: SIDECAR_INBOUND
      listener: {{filterChain: {{filter: {{name: envoy.filters.network.http_connection_manager, subFilter: {{name: envoy.filters.http.router}}}}}}}}
    patch:
      operation: INSERT_BEFORE
      value:
        name: envoy.filters.http.ratelimit
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit
          domain: peers
          timeout: 1s
          failure_mode_deny: true
          enable_x_ratelimit_headers: DRAFT_VERSION_03
          rate_limit_service: {{transport_api_version: V3, grpc_service: {{envoy_grpc: {{cluster_name: 'outbound|9001||asked.example'}}}}}}
  - applyTo: VIRTUAL_HOST
    match: {{context: SIDECAR_INBOUND}}
    patch:
      operation: MERGE
      value:
        rate_limits:
        - hits_addend: {{number: 1}}
          actions:
          - {{request_headers: {{header_name: x-user, descriptor_key: user}}}}
          - {{request_headers: {{header_name: ':path', descriptor_key: path}}}}
"""
MESH = """
extensionProviders:
- name: authz
  envoyExtAuthzGrpc: {service: asked.example, port: 9001, timeout: 5s, includeRequestBodyInCheck: {maxRequestBytes: 1000, allowPartialMessage: true}}
"""


def ask(port, path="/", body=None, **fields):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    connection.request("POST" if body else "GET", path, body, {"host": "app.example", **headers})
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()


def play(outrigger, runtime):
    failures = []

    def holds(what, is_so, seen=""):
        print(("ok " if is_so else "FAILED ") + f"{runtime}: {what}" + ("" if is_so else f" {seen}"))
        failures.extend([what] * (not is_so))

    app = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
    threading.Thread(target=app.serve_forever, daemon=True).start()
    asked = Asked()
    server, port = asked.serve()
    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "config").mkdir()
    (folder / "config" / "rules.yaml").write_text(RULES.format(port=port))
    (folder / "mesh.yaml").write_text(MESH)
    inbound = f"127.0.0.1:0=127.0.0.1:{app.server_address[1]}"
    command = [outrigger, "run", "--runtime", runtime, "--workers", "1", "--config", folder / "config", "--mesh-config", folder / "mesh.yaml"]
    command += ["--outbound", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--inbound", inbound]
    program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    greeting = next(line for line in program.stderr if " inbound " in line)
    threading.Thread(target=lambda: [None for _ in program.stderr], daemon=True).start()
    to = int(re.search(r" inbound 127\.0\.0\.1:(\d+)", greeting).group(1))
    try:
        status, headers, body = ask(to, "/a?b=c", x_user="max", x_secret="s")
        holds("both let a request pass", status == 200, (status, body))
        holds("fields are set and taken away", "x-checked: max" in body and "x-tier: gold" in body and "x-secret" not in body, body)
        holds("a client is told", headers.get("x-told") == "yes", headers)
        holds("limits are told", headers.get("x-ratelimit-limit") == '3, 3;w=60;name="users"', headers)
        seen = asked.checks[-1].attributes.request.http
        holds("a provider sees the request", (seen.method, seen.path, seen.host, seen.headers["x-user"]) == ("GET", "/a?b=c", "app.example", "max"), seen)
        limit = asked.limits[-1]
        entries = [(entry.key, entry.value) for entry in limit.descriptors[0].entries]
        is_told = limit.domain == "peers" and entries == [("user", "max"), ("path", "/a?b=c")]
        holds("a service is told what a request is", is_told and limit.descriptors[0].hits_addend.value == 1, limit)
        status, headers, body = ask(to)
        holds("a refusal has its words", (status, headers.get("x-why"), body) == (401, "nobody", "who"), (status, headers, body))
        status, headers, body = ask(to, "/abort", x_user="max")
        holds("a call that fails refuses", status == 403, status)
        status, headers, body = ask(to, body="x" * 5000, x_user="ann")
        shown = asked.checks[-1].attributes.request.http
        holds("the beginning of a body is shown", shown.body == "x" * 1000 and shown.headers["x-envoy-auth-partial-body"] == "true", len(shown.body))
        holds("all of it goes on", status == 200 and body.endswith("\n\n" + "x" * 5000), status)
        answers = [ask(to, x_user="jo") for _ in range(5)]
        holds("three of five pass", [answer[0] for answer in answers] == [200, 200, 200, 429, 429], answers)
        last = answers[-1]
        holds("a limited client is told", last[1].get("x-envoy-ratelimited") == "true" and last[1].get("x-ratelimit-remaining") == "0" and last[2] == "slow down", last)
        status, headers, body = ask(to, "/slow", x_user="tim")
        holds("who takes too long is no answer", status == 500, status)
        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            many = list(pool.map(lambda _: ask(to, x_user="everybody")[0], range(CALLS)))
        holds(f"{CALLS} requests at once", many == [200] * CALLS, many)
        server.stop(0).wait()
        status, headers, body = ask(to, x_user="max")
        holds("nobody who is gone lets pass", status == 403, status)
    finally:
        program.terminate()
        program.wait()
        server.stop(0)
        app.shutdown()
    return len(failures)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(min(1, sum(play(sys.argv[1], runtime) for runtime in sys.argv[2:] or ["tokio", "glommio"])))
