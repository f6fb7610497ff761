#!/usr/bin/env python3
"""What an end and a restart cost clients that go on asking, beside Envoy and nginx.

    cargo build --release -p outrigger
    conformance/peers/restart/play.py [--outrigger PROGRAM] [--rounds N] [--subject NAME]... [--clients N] [--only end|restart]

Subjects: tokio and glommio (`outrigger run`), nginx (NGINX names the program), envoy (ENVOY does); those that are not there are left out.
A service of HTTP/1.1 stands behind each, and clients ask it from one end of a round to the other: some never pause, some pause for 20 ms,
some make a connection for each request.

End: SIGTERM; nginx SIGQUIT; Envoy `/drain_listeners?graceful` (its listeners drain for 2 s), then `/quitquitquit`. A client whose connection
is not taken any more is done; every request that was written and got no answer of 200 is a failure.
Restart: `--takeover`; nginx SIGUSR2 to the old master, then SIGQUIT; Envoy `--restart-epoch`, its parent shut down after 3 s. A connection
that is refused is a failure, too.

Told are requests, and failures by reason: `reset` and `closed` on a connection that had answered before, `first reset` and `first closed` on a
fresh one, `refused`, or a status. Exit code 0: Outrigger failed nobody; 1: it did.
"""

import argparse
import collections
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ASK = b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def service():
    """Answers everything, on kept connections. In a process of its own, which ends with this one."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    if os.fork():
        return listener.getsockname()[1]

    def answer(stream):
        heard = b""
        try:
            while piece := stream.recv(65536):
                heard += piece
                while b"\r\n\r\n" in heard:
                    heard = heard.split(b"\r\n\r\n", 1)[1]
                    stream.sendall(ANSWER)
        except OSError:
            pass
        stream.close()

    parent = os.getppid()
    listener.settimeout(0.5)
    while os.getppid() == parent:
        try:
            stream, _ = listener.accept()
        except TimeoutError:
            continue
        stream.settimeout(None)
        threading.Thread(target=answer, args=(stream,), daemon=True).start()
    os._exit(0)


class Load:
    """Clients that ask until they are stopped, or nobody takes their connections any more."""

    def __init__(self, port, clients, pause, fresh, ends, patience=10):
        self.port, self.pause, self.fresh, self.ends, self.patience = port, pause, fresh, ends, patience
        self.counted, self.lock, self.stopped = collections.Counter(), threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.client) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def client(self):
        counted = collections.Counter()
        while not self.stopped.is_set():
            try:
                stream = socket.create_connection(("127.0.0.1", self.port), timeout=self.patience)
            except OSError:
                if self.ends:
                    break
                counted["refused"] += 1
                time.sleep(0.01)
                continue
            self.talk(stream, counted)
            stream.close()
        with self.lock:
            self.counted += counted

    def talk(self, stream, counted):
        is_first = True
        while True:
            counted["requests"] += 1
            kind = "first " if is_first else ""
            try:
                stream.sendall(ASK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n") if self.fresh else ASK)
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = stream.recv(65536)
                    if not piece:
                        counted[kind + "closed"] += 1
                        return
                    head += piece
            except OSError as error:
                reason = "reset" if isinstance(error, (ConnectionResetError, BrokenPipeError)) else type(error).__name__
                counted[kind + reason] += 1
                return
            head = head.lower()
            if not head.startswith(b"http/1.1 200"):
                counted[head[9:12].decode()] += 1
                return
            if self.fresh or b"connection: close" in head or self.stopped.is_set():
                return
            is_first = False
            time.sleep(self.pause)

    def end(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        return self.counted


def until(condition, what, patience=20):
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"{what} in vain")
        time.sleep(0.02)


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as stream:
            stream.sendall(ASK)
            return stream.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False


class Outrigger:
    def __init__(self, folder, program, runtime, behind):
        self.folder, self.port, self.admin = folder, free_port(), free_port()
        rules = folder / "rules"
        rules.mkdir()
        (rules / "shop.yaml").write_text(f"""apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop}}
spec: {{hosts: [shop.example], resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}],
  endpoints: [{{address: 127.0.0.1, ports: {{http: {behind}}}}}]}}
""")
        self.command = [program, "run", "--runtime", runtime, "--workers", "2", "--config", rules, "--outbound", f"127.0.0.1:{self.port}",
                        "--admin", f"127.0.0.1:{self.admin}", "--takeover", folder / "door", "--log-level", "warning"]
        self.process = subprocess.Popen(self.command)
        until(lambda: answers(self.port), "Outrigger is waited for")

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def restart(self):
        old, self.process = self.process, subprocess.Popen(self.command)
        old.wait()


def read(path):
    """What a file says, of which there may be none for a moment."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


class Nginx:
    def __init__(self, folder, program, _runtime, behind):
        self.folder, self.port = folder, free_port()
        (folder / "nginx.conf").write_text(f"""worker_processes 2; error_log stderr crit; pid {folder}/pid;
events {{ worker_connections 4096; }}
http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s; keepalive_requests 1000000000;
  upstream service {{ server 127.0.0.1:{behind}; keepalive 64; }}
  server {{ listen 127.0.0.1:{self.port} reuseport backlog=1024;
    location / {{ proxy_pass http://service; proxy_http_version 1.1; proxy_set_header connection ""; }} }} }}
""")
        # Only one that has left its parent takes SIGUSR2.
        subprocess.run([program, "-p", folder, "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL, check=True)
        until(lambda: answers(self.port), "nginx is waited for")
        self.pid = int((folder / "pid").read_text())

    @staticmethod
    def alive(pid):
        stat = Path(f"/proc/{pid}/stat")
        return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"

    def end(self):
        os.kill(self.pid, signal.SIGQUIT)
        until(lambda: not self.alive(self.pid), "nginx is to end", 60)

    def restart(self):
        pid, old = self.folder / "pid", self.pid
        os.kill(old, signal.SIGUSR2)
        until(lambda: read(pid).strip() not in ("", str(old)), "the new nginx is waited for")
        self.pid = int(read(pid))
        time.sleep(0.2)
        os.kill(old, signal.SIGQUIT)
        until(lambda: not self.alive(old), "the old nginx is to end", 60)


class Envoy:
    base = 0

    def __init__(self, folder, program, _runtime, behind):
        self.folder, self.port, self.admin, self.epoch = folder, free_port(), free_port(), 0
        Envoy.base += 1
        (folder / "envoy.yaml").write_text(f"""admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {self.admin}}}}}}}
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {self.port}}}}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: service}}}}]}}]}}
          http_filters: [{{name: router, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}]
  clusters:
  - name: service
    load_assignment: {{cluster_name: service, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address:
      {{address: 127.0.0.1, port_value: {behind}}}}}}}}}]}}]}}
""")
        self.command = [program, "--concurrency", "2", "-l", "off", "-c", folder / "envoy.yaml", "--drain-time-s", "2", "--drain-strategy", "gradual",
                        "--parent-shutdown-time-s", "3", "--base-id", str(os.getpid() % 10000 * 100 + Envoy.base)]
        self.process = subprocess.Popen([*self.command, "--restart-epoch", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: answers(self.port), "Envoy is waited for")

    def post(self, path):
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin}{path}", method="POST")
        urllib.request.urlopen(request, timeout=5).read()

    def end(self):
        self.post("/drain_listeners?graceful")
        time.sleep(2.5)
        self.post("/quitquitquit")
        self.process.wait()

    def restart(self):
        self.epoch += 1
        old = self.process
        self.process = subprocess.Popen([*self.command, "--restart-epoch", str(self.epoch)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        old.wait()


LOADS = [("never pause", 0, False), ("pause for 20 ms", 0.02, False), ("a connection each", 0, True)]


def play(make, what, load, options):
    _, pause, fresh = load
    counted = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        subject = make(Path(folder)) if what == "restart" else None
        for round in range(options.rounds):
            if what == "end":
                place = Path(folder) / str(round)
                place.mkdir()
                subject = make(place)
            clients = Load(subject.port, options.clients, pause, fresh, what == "end")
            time.sleep(0.5)
            subject.end() if what == "end" else subject.restart()
            time.sleep(0.2)
            counted += clients.end()
        if what == "restart":
            subject.end()
    return counted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outrigger", default="target/release/outrigger")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--only", choices=["end", "restart"])
    parser.add_argument("--subject", action="append", choices=["tokio", "glommio", "nginx", "envoy"])
    options = parser.parse_args()
    programs = {
        "tokio": (Outrigger, options.outrigger),
        "glommio": (Outrigger, options.outrigger),
        "nginx": (Nginx, os.environ.get("NGINX") or shutil.which("nginx") or "/usr/sbin/nginx"),
        "envoy": (Envoy, os.environ.get("ENVOY") or shutil.which("envoy") or ""),
    }
    behind, lost = service(), 0
    print(f"{options.rounds} rounds, {options.clients} clients\n\n| | clients | subject | requests | failures |\n|---|---|---|---|---|", flush=True)
    for what in [options.only] if options.only else ["end", "restart"]:
        for load in LOADS:
            for name in options.subject or programs:
                kind, program = programs[name]
                if not Path(program).exists():
                    continue
                counted = play(lambda folder: kind(folder, program, name, behind), what, load, options)
                asked = counted.pop("requests", 0)
                told = ", ".join(f"{count} {reason}" for reason, count in sorted(counted.items())) or "none"
                print(f"| {what} | {load[0]} | {name} | {asked:,} | {told} |", flush=True)
                lost += sum(counted.values()) if kind is Outrigger else 0
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
