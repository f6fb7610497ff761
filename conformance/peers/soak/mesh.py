"""Two sidecars with mutual TLS between them, what they are configured with from one moment to the next, and what they hold."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "attacks"))
from stage import free_port, resident  # noqa: E402

# Short, so that whatever is hostile is over within the run and connections that rest do not hide what stays.
TIMES = ["--request-head-timeout", "3s", "--stream-idle-timeout", "20s", "--idle-timeout", "10s", "--tls-handshake-timeout", "3s",
         "--log-level", "error"]
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Sidecar:
    def __init__(self, name, program, runtime, folder, words):
        self.name, self.admin = name, free_port()
        self.process = subprocess.Popen(
            [program, "run", "--runtime", runtime, "--workers", "2", "--config", folder / "rules", "--identity", folder / name,
             "--admin", f"127.0.0.1:{self.admin}", *TIMES, *words], **QUIET)

    def page(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=20) as page:
            return page.read()

    def until_ready(self):
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                return self.page("/healthz/ready")
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        sys.exit(f"the sidecar {self.name} is not ready")

    def resident(self):
        return resident(self.process)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def gauges(self):
        """What is under way, by name: all that is not nothing."""
        stats = json.loads(self.page("/stats?format=json"))["stats"]
        named = {one["name"]: one["value"] for one in stats if "name" in one}
        return {name: value for name, value in named.items()
                if value and name.endswith("_active") and not name.startswith(("listener_manager.", "overload.")) and "admin" not in name}


class Mesh:
    """`web` stands beside the clients, `cart` beside the service."""

    def __init__(self, program, runtime, folder, store, shop, cart, stall, broken):
        """The ports of services: of `store.test`, two; of `shop.test`, where the hostile go; of `cart`'s applications, an
        ordinary one and one where the hostile go; of what breaks."""
        self.folder, self.store, self.shop, self.broken, self.turn = folder, store, shop, broken, 0
        (folder / "rules").mkdir()
        ca = folder / "ca"
        for words in (["init", ca], ["issue", ca, "--service-account", "web", "--out", folder / "web"],
                      ["issue", ca, "--service-account", "cart", "--out", folder / "cart"]):
            subprocess.run([program, "ca", *words], check=True, stdout=subprocess.DEVNULL)
        self.outbound, self.inbound, self.gate = free_port(), free_port(), free_port()
        self.write()
        self.web = Sidecar("web", program, runtime, folder, ["--outbound", f"127.0.0.1:{self.outbound}"])
        self.cart = Sidecar("cart", program, runtime, folder,
                            ["--outbound", "127.0.0.1:0", "--inbound", f"127.0.0.1:{self.inbound}=127.0.0.1:{cart}",
                             "--inbound", f"127.0.0.1:{self.gate}=127.0.0.1:{stall}"])
        for one in self.sidecars():
            one.until_ready()

    def sidecars(self):
        return [self.web, self.cart]

    def write(self):
        """The next configuration: endpoints come and go, and rules change with them."""
        self.turn += 1
        ports = self.store if self.turn % 2 else self.store[:1]
        endpoints = "\n".join(f"  - {{address: 127.0.0.1, ports: {{http: {port}}}}}" for port in ports)
        text = f"""apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: store}}
spec:
  hosts: [store.test]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints:
{endpoints}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: cart}}
spec:
  hosts: [cart.test]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{http: {self.inbound}}}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop}}
spec:
  hosts: [shop.test]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{http: {self.shop}}}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: broken}}
spec:
  hosts: [broken.test]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{http: {self.broken}}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: store}}
spec:
  hosts: [store.test]
  http:
  - match: [{{uri: {{prefix: /flaky/}}}}]
    retries: {{attempts: 3, retryOn: 5xx}}
    route: [{{destination: {{host: store.test}}}}]
  - headers: {{request: {{set: {{x-turn: "{self.turn}"}}}}}}
    mirror: {{host: store.test}}
    mirrorPercentage: {{value: 5}}
    route: [{{destination: {{host: store.test}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: store}}
spec:
  host: store.test
  trafficPolicy:
    loadBalancer: {{simple: {["LEAST_REQUEST", "ROUND_ROBIN", "RANDOM"][self.turn % 3]}}}
    connectionPool: {{http: {{idleTimeout: 5s}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop}}
spec:
  host: shop.test
  trafficPolicy:
    connectionPool: {{http: {{idleTimeout: 5s}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: broken}}
spec:
  host: broken.test
  trafficPolicy:
    connectionPool: {{http: {{idleTimeout: 5s}}}}
    outlierDetection: {{consecutive5xxErrors: 5, interval: 1s, baseEjectionTime: 1s, maxEjectionPercent: 100}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: cart}}
spec:
  host: cart.test
  trafficPolicy:
    tls: {{mode: ISTIO_MUTUAL}}
    connectionPool: {{http: {{idleTimeout: 5s}}}}
"""
        new = self.folder / "shop.new"
        new.write_text(text)
        new.rename(self.folder / "rules" / "shop.yaml")

    def end(self):
        for one in self.sidecars():
            one.process.kill()
            one.process.wait()
