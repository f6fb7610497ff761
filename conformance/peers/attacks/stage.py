"""What attacks have in common: a service, a sidecar before it, somebody ordinary who asks meanwhile, and the row that tells of it."""

import collections
import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

CONNECTIONS = 8
MOST_MIB = 32
# The counters that are told, by what they are called here.
COUNTED = re.compile(r"outrigger\.http[12]\.(?:down|up)stream\.(?!streams_active)(.+)"
                     r"|\.((?:downstream_cx_proxy_proto|downstream_cx_transport_socket|downstream_cx_idle|tls_inspector|ssl\.connection_error"
                     r"|downstream_rq_(?:too_large|header_timeout|idle_timeout|refused)|upstream_cx_protocol_error).*)")


def until_listens(process, port):
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None:
                sys.exit(f"{' '.join(process.args)} ended at once")
            time.sleep(0.05)


def resident(process):
    """MiB."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


class Service:
    """Answers 16 KiB to everything, on threads of its own."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        body = b"x" * 16_384
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        buffer = b""
        try:
            while data := connection.recv(65536):
                buffer += data
                while b"\r\n\r\n" in buffer:
                    buffer = buffer.split(b"\r\n\r\n", 1)[1]
                    connection.sendall(answer)
        except OSError:
            pass
        connection.close()


def shop(port, host="shop.test"):
    """A service of one endpoint."""
    return f"""---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: {host.split(".")[0]} }}
spec:
  hosts: [{host}]
  ports: [{{ number: 80, name: http, protocol: HTTP }}]
  resolution: STATIC
  endpoints: [{{ address: 127.0.0.1, ports: {{ http: {port} }} }}]
"""


class Sidecar:
    """One with one worker. `host` is what its visitors ask for, at its port; `visit` what they say first."""

    host, visit = "shop.test", b""

    def __init__(self, program, runtime, service, folder, rules="", flags=()):
        path = Path(folder) / "rules.yaml"
        path.write_text(rules or shop(service.port))
        self.port, self.admin = free_port(), free_port()
        place = [] if "--gateway" in flags or "--outbound" in flags else ["--outbound", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(
            [program, "run", "--runtime", runtime, "--workers", "1", "--config", str(path), *place,
             "--admin", f"127.0.0.1:{self.admin}", *(flag.replace("PORT", str(self.port)) for flag in flags)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_listens(self.process, self.port)

    def connect(self):
        """As a visitor does."""
        one = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        one.connect()
        one.sock.sendall(self.visit)
        return one

    def resident(self):
        return resident(self.process)

    def counters(self):
        """What is counted of limits and faults, by the last of its name."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/stats?format=json") as page:
            found = collections.Counter()
            for one in json.load(page)["stats"]:
                if what := COUNTED.search(one.get("name", "")):
                    found[what[1] or what[2]] += one["value"]
            return found

    def end(self):
        """Whether it was still there."""
        lives = self.process.poll() is None
        self.process.kill()
        self.process.wait()
        return lives


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Visitor(threading.Thread):
    """Asks for something ordinary, on a connection of its own each time."""

    def __init__(self, sidecar):
        super().__init__(daemon=True)
        self.sidecar = sidecar
        self.served, self.failed, self.until = 0, 0, threading.Event()

    def run(self):
        while not self.until.wait(0.02):
            try:
                one = self.sidecar.connect()
                one.request("GET", "/", headers={"host": self.sidecar.host})
                answer = one.getresponse()
                whole = len(answer.read()) == 16_384
                self.served += answer.status == 200 and whole
                self.failed += not (answer.status == 200 and whole)
                one.close()
            except (OSError, http.client.HTTPException):
                self.failed += 1


def table(of):
    print(f"\n{of}\n\n| attack | answer | counters | MiB before | at most | after | others that failed |")
    print("|---|---|---|---|---|---|---|")


def play(sidecar, name, must, act, seconds):
    """Has eight attackers act at once, `act(until, heard)`, while somebody else asks for something ordinary. Whether all was well."""
    visitor = Visitor(sidecar)
    visitor.start()
    before, counted, heard = sidecar.resident(), sidecar.counters(), collections.Counter()
    until = time.monotonic() + seconds
    attackers = [threading.Thread(target=act, args=(until, heard), daemon=True) for _ in range(CONNECTIONS)]
    for one in attackers:
        one.start()
    most = before
    while any(one.is_alive() for one in attackers):
        most = max(most, sidecar.resident())
        time.sleep(0.02)
    time.sleep(min(seconds, 1))
    # On a busy machine it may not have had its first answer yet.
    patience = time.monotonic() + 10
    while not visitor.served + visitor.failed and time.monotonic() < patience:
        time.sleep(0.02)
    visitor.until.set()
    visitor.join()
    after = sidecar.resident()
    moved = {key: value - counted.get(key, 0) for key, value in sidecar.counters().items()
             if value != counted.get(key, 0)}
    connections = heard.pop("connections", 0)
    wanted = must.split("|") if must else []
    is_answered = not wanted or any(heard[word] for word in wanted)
    good = is_answered and visitor.failed == 0 and visitor.served > 0 and most - before <= MOST_MIB
    answer = next((f"{word} on {heard[word]} of {connections}" for word in wanted if heard[word]), None)
    answer = answer or ("no answer is due" if not wanted else f"NOT {must}: {dict(heard)}")
    told = ", ".join(f"{key} {value}" for key, value in sorted(moved.items()))
    print(f"| {name} | {answer} | {told or 'none'} | {before:.1f} | {most:.1f} | {after:.1f} "
          f"| {visitor.failed} of {visitor.served + visitor.failed} |{'' if good else ' FAILED'}", flush=True)
    return good
