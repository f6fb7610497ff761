"""What the page is shown of: the tutorial's services behind a real sidecar, one of which fails, and visitors.

Owns services, rules and traffic. What must be seen is in `play.py`.
"""

import http.server
import socket
import subprocess
import threading
import time
from pathlib import Path

# As a label a name may be anything; on the page it must stay text.
HOSTILE = "<img src=x onerror=window.hurt=1>"
HOSTILE_PATH = "/%3Cscript%3Ewindow.hurt=2%3C/script%3E/<b>\"'&amp;"


class Service(http.server.ThreadingHTTPServer):
    """Answers with its name, late, or fails."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name, late=0.004, address="127.0.0.1"):
        self.name, self.late, self.fails = name, late, False
        super().__init__((address, 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        time.sleep(self.server.late)
        body = f"{self.server.name}\n".encode()
        self.send_response(503 if self.server.fails else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def entry(name, endpoints):
    listed = "".join(f"  - {{address: 127.0.0.1, ports: {{http: {port}}}, labels: {{version: {version}}}}}\n"
                     for port, version in endpoints)
    return f"""apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{name}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints:
{listed}---
"""


RULES = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: recommendation}
spec:
  hosts: [recommendation]
  http:
  - route:
    - {destination: {host: recommendation, subset: v1}, weight: 60}
    - {destination: {host: recommendation, subset: v2}, weight: 40}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: recommendation}
spec:
  host: recommendation
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 100}, http: {http1MaxPendingRequests: 16, http2MaxRequests: 100}}
    outlierDetection: {consecutive5xxErrors: 5, interval: 5s, baseEjectionTime: 40s, maxEjectionPercent: 60}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
"""

MANY = 500


class Scene:
    """A sidecar with all of it around it."""

    def __init__(self, program, folder):
        self.config = Path(folder) / "rules.yaml"
        self.services = {name: Service(name, late) for name, late in [
            ("customer", .003), ("preference", .008), ("v1", .004), ("v2", .02), ("second v2", .02)]}
        self.fleet = Service("fleet", address="0.0.0.0")
        port = {name: service.port for name, service in self.services.items()}
        # Loopback has as many addresses as are needed, and one listener answers for all of them.
        fleet = "".join(f"  - {{address: 127.1.{n // 250}.{n % 250 + 1}, ports: {{http: {self.fleet.port}}}}}\n" for n in range(MANY))
        self.rules = (
            entry("customer", [(port["customer"], "v1")]) + entry("preference", [(port["preference"], "v1")])
            + entry("recommendation", [(port["v1"], "v1"), (port["v2"], "v2"), (port["second v2"], "v2")])
            + entry("fleet", []).replace("  endpoints:\n", "  endpoints:\n" + fleet) + RULES)
        self.config.write_text(self.rules)
        command = [program, "run", "--config", str(self.config), "--workers", "1", "--outbound", "127.0.0.1:0",
                   "--admin", "127.0.0.1:0", "--inbound", f"127.0.0.1:0=127.0.0.1:{port['customer']}",
                   "--label", "app=customer", "--label", "version=v1", "--label", f"note={HOSTILE}"]
        self.proxy = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.told = []
        for line in self.proxy.stderr:
            self.told.append(line)
            if " outbound " in line and " admin " in line:
                break
        else:
            raise RuntimeError("".join(self.told))
        threading.Thread(target=lambda: self.told.extend(self.proxy.stderr), daemon=True).start()
        where = lambda word: line.split(f" {word} ")[1].split()[0].strip(",;")
        self.outbound, self.inbound, self.admin = where("outbound"), where("inbound"), where("admin")
        self.is_over = threading.Event()
        for address, host, pause in [
            (self.inbound, "customer", .03), (self.outbound, "preference", .04), (self.outbound, "recommendation", .02),
            (self.outbound, "recommendation", .02), (self.outbound, "fleet", 5)]:
            threading.Thread(target=self.visit, args=(address, host, pause), daemon=True).start()

    def visit(self, address, host, pause):
        while not self.is_over.wait(pause):
            try:
                self.get(address, host, "/")
            except OSError:
                pass

    @staticmethod
    def get(address, host, path):
        """As raw as it is said."""
        ip, port = address.rsplit(":", 1)
        with socket.create_connection((ip, int(port)), timeout=10) as stream:
            stream.sendall(f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
            answer = b""
            while more := stream.recv(65536):
                answer += more
        return answer.decode(errors="replace")

    def end(self):
        self.is_over.set()
        self.proxy.terminate()
        self.proxy.wait()
