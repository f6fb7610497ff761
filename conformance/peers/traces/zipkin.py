"""Spans in Zipkin's JSON, judged by Zipkin's own description of what it takes (OpenZipkin's `zipkin2-api.yaml`).

    pip install jsonschema pyyaml
    zipkin.py OUTRIGGER zipkin2-api.yaml

A sidecar is asked for what goes well, what fails on every attempt, what nobody has a route for and what comes from the mesh
with a trace of its own. Whatever it posts must be what the description says, and no key may be there that it does not know.
Exit code 0: all of it is; 1: something is not, and is said.
"""

import http.server
import json
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

import jsonschema
import yaml

OUTRIGGER, SPECIFICATION = sys.argv[1:3]
PATIENCE = 30
RULES = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop}}
spec:
  hosts: [shop.example]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop}}
spec:
  hosts: [shop.example]
  http:
  - match: [{{uri: {{prefix: /routed}}}}]
    retries: {{attempts: 1, retryOn: 5xx}}
    route: [{{destination: {{host: shop.example}}}}]
"""


def strict(definitions):
    """What is not named may not be there; tags are texts under any name."""
    for name, definition in definitions.items():
        if name != "Tags" and definition.get("type") == "object":
            definition["additionalProperties"] = False
    return definitions


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), type("Handler", (http.server.BaseHTTPRequestHandler,), {
            "protocol_version": "HTTP/1.1", "do_GET": answer, "do_POST": answer, "log_message": lambda *_: None}))
        threading.Thread(target=self.serve_forever, daemon=True).start()


def answer_with(handler, status):
    handler.send_response(status)
    handler.send_header("content-length", "0")
    handler.end_headers()


def main():
    document = yaml.safe_load(Path(SPECIFICATION).read_text())
    schema = {"$ref": "#/definitions/ListOfSpans", "definitions": strict(document["definitions"])}
    judge = jsonschema.Draft4Validator(schema, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)
    spans, faults, news = [], [], threading.Condition()

    def collect(handler):
        body = handler.rfile.read(int(handler.headers["content-length"]))
        posted = json.loads(body)
        with news:
            if (handler.path, handler.headers["content-type"]) != ("/api/v2/spans", "application/json"):
                faults.append(f"{handler.path} as {handler.headers['content-type']}")
            faults.extend(f"{'/'.join(map(str, fault.absolute_path))}: {fault.message}" for fault in judge.iter_errors(posted))
            spans.extend(posted)
            news.notify_all()
        answer_with(handler, 202)

    service = Server(lambda handler: answer_with(handler, 503 if "fails" in handler.path else 200))
    collector = Server(collect)
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.yaml"
        rules.write_text(RULES.format(port=service.server_address[1]))
        proxy = subprocess.Popen(
            [OUTRIGGER, "run", "--config", rules, "--workers", "1", "--outbound", "127.0.0.1:0", "--admin", "127.0.0.1:0",
             "--inbound", f"127.0.0.1:0=127.0.0.1:{service.server_address[1]}", "--trace-sampling", "100",
             "--trace-collector", f"http://127.0.0.1:{collector.server_address[1]}/api/v2/spans"],
            stderr=subprocess.PIPE, text=True)
        line = next(line for line in proxy.stderr if " admin " in line)
        outbound, inbound = (line.split(f" {word} ")[1].split()[0].strip(",") for word in ("outbound", "inbound"))
        b3 = {"x-b3-traceid": "463ac35c9f6413ad48485a3953bb6124", "x-b3-spanid": "a2fb4a1d1a96d312", "x-b3-sampled": "1"}
        # One span for each request, and one for each attempt.
        asked = [(outbound, "/routed", {}), (outbound, "/routed/fails", {}), (outbound, "/lost", {}), (inbound, "/", b3)]
        for address, path, headers in asked:
            request = urllib.request.Request(f"http://{address}{path}", headers={"host": "shop.example", **headers})
            try:
                urllib.request.urlopen(request, timeout=PATIENCE).read()
            except urllib.error.HTTPError:
                pass
        wanted = 2 + 3 + 1 + 2
        with news:
            news.wait_for(lambda: len(spans) >= wanted, PATIENCE)
        proxy.terminate()
        proxy.wait()
    traces = {span["traceId"] for span in spans}
    for what, is_so, seen in [
        ("every span is what Zipkin's description says", not faults, faults),
        (f"there are {wanted} spans", len(spans) == wanted, len(spans)),
        ("each request is a trace", len(traces) == len(asked), traces),
        ("a caller's trace goes on", b3["x-b3-traceid"] in traces, traces),
        ("ids are each one's own, but where a caller's span is shared", len({(s["id"], s.get("kind")) for s in spans}) == len(spans), spans),
        ("what failed says so", sum("error" in span["tags"] for span in spans) == 3, [span["tags"] for span in spans]),
    ]:
        print(("ok      " if is_so else "FAILED  ") + what)
        if not is_so:
            print(f"        {seen}")
            faults.append(what)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
