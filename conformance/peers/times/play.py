#!/usr/bin/env python3
"""Time that stands still and time that jumps: what either costs clients.

    cargo build --release -p outrigger
    conformance/peers/times/play.py [--outrigger PROGRAM] [--runtime tokio|glommio]... [--only stopped|jumps]

Stopped: clients ask without pause while the process is stopped (SIGSTOP) for ten seconds and goes on. A route has 4 s, and its endpoint would be
ejected by the first failure. What came in time is in time; who was not even asked yet when it stopped may get a 504, one for each client at
most, and nobody is blamed for it.
Jumps: the calendar of the process goes forward by a day, back by two, and forward to where it was, by a library that is preloaded (clock.c, which
`cc` compiles), while clients ask, one waits for an answer that takes 2 s of the route's 4, and one keeps a connection without asking. Nobody
may fail, nothing may be over, and the access log must have seen the jumps. Exit code 0: so it was; 1: not so.
"""

import argparse
import collections
import datetime
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "restart"))
from play import ANSWER, ASK, Load, answers, free_port, service, until  # noqa: E402

DAY = 86_400
JUMPS = [DAY, -DAY, 0]


def slow_service():
    """Answers after 2 s."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(stream):
        while stream.recv(65536):
            time.sleep(2)
            stream.sendall(ANSWER)

    def accept():
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=answer, args=(stream,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


class Proxy:
    def __init__(self, folder, program, runtime, ports):
        self.port, self.admin, self.log, self.jump = free_port(), free_port(), folder / "access.log", folder / "jump"
        rules = folder / "rules"
        rules.mkdir()
        (rules / "all.yaml").write_text("---".join(f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec: {{hosts: [{name}.example], resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}],
  endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec: {{hosts: [{name}.example], http: [{{timeout: 4s, retries: {{attempts: 0}}, route: [{{destination: {{host: {name}.example}}}}]}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}}}
spec: {{host: {name}.example, trafficPolicy: {{outlierDetection: {{consecutive5xxErrors: 1, baseEjectionTime: 60s, maxEjectionPercent: 100}}}}}}
""" for name, port in ports.items()))
        self.is_at(0)
        library = folder / "clock.so"
        environment = os.environ | {"JUMP": str(self.jump)}
        if shutil.which("cc"):
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, Path(__file__).parent / "clock.c"], check=True)
            environment["LD_PRELOAD"] = str(library)
        self.process = subprocess.Popen(
            [program, "run", "--runtime", runtime, "--workers", "2", "--config", rules, "--outbound", f"127.0.0.1:{self.port}",
             "--admin", f"127.0.0.1:{self.admin}", "--access-log", "json", "--access-log-file", self.log, "--log-level", "error"],
            env=environment)
        until(lambda: answers(self.port), "Outrigger is waited for")

    def is_at(self, seconds):
        """From here on its calendar is so far from ours."""
        with open(self.jump, "r+b" if self.jump.exists() else "wb") as file:
            file.write(struct.pack("l", seconds))

    def ejected(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/stats?format=json&filter=ejections_enforced_total") as page:
            return sum(one["value"] for one in json.load(page)["stats"] if "name" in one)

    def days(self):
        """The days on which requests began, as the access log has it."""
        lines = self.log.read_text().splitlines()
        return collections.Counter(json.loads(line)["start_time"][:10] for line in lines)

    def end(self):
        self.process.terminate()
        return self.process.wait()


def ask(port, host):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as stream:
        stream.sendall(ASK.replace(b"shop.example", host))
        return stream.recv(65536)[9:12].decode()


def stopped(proxy):
    clients = [Load(proxy.port, 8, pause, fresh, False, 30) for pause, fresh in ((0, False), (0.02, False), (0, True))]
    time.sleep(1)
    proxy.process.send_signal(signal.SIGSTOP)
    time.sleep(10)
    proxy.process.send_signal(signal.SIGCONT)
    time.sleep(1)
    counted = sum((one.end() for one in clients), collections.Counter())
    late = counted.pop("504", 0)
    print(f"{late} were not asked before it stopped: 504", flush=True)
    return counted, [f"{late} got 504"] if late > 24 else []


def jumps(proxy):
    kept = socket.create_connection(("127.0.0.1", proxy.port), timeout=20)
    kept.sendall(ASK)
    kept.recv(65536)
    clients = [Load(proxy.port, 4, 0.005, fresh, False) for fresh in (False, True)]
    faults = []
    for days in JUMPS:
        waits = []
        slow = threading.Thread(target=lambda: waits.append(ask(proxy.port, b"slow.example")))
        slow.start()
        time.sleep(0.7)
        proxy.is_at(days)
        slow.join()
        faults += [f"who waits for an answer gets {waits[0]} when it jumps"] if waits != ["200"] else []
    kept.sendall(ASK)
    faults += [] if kept.recv(65536)[9:12] == b"200" else ["the connection that was kept is over"]
    return sum((one.end() for one in clients), collections.Counter()), faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outrigger", default="target/release/outrigger")
    parser.add_argument("--runtime", action="append", choices=["tokio", "glommio"])
    parser.add_argument("--only", choices=["stopped", "jumps"])
    options = parser.parse_args()
    ports, is_good = {"shop": service(), "slow": slow_service()}, True
    for runtime in options.runtime or ["tokio", "glommio"]:
        for what in [options.only] if options.only else ["stopped", "jumps"]:
            if what == "jumps" and not shutil.which("cc"):
                print("jumps are left out: there is no `cc` to compile clock.c with", flush=True)
                continue
            with tempfile.TemporaryDirectory() as folder:
                proxy = Proxy(Path(folder), options.outrigger, runtime, ports)
                counted, faults = (stopped if what == "stopped" else jumps)(proxy)
                asked = counted.pop("requests", 0)
                faults += [f"{count} {why}" for why, count in counted.items() if why != "refused"]
                faults += [f"{count} ejections" for count in [proxy.ejected()] if count]
                code = proxy.end()
                faults += [f"ended with {code}"] if code else []
                days = proxy.days()
                if what == "jumps":
                    today = datetime.datetime.now(datetime.timezone.utc).date()
                    faults += [f"nothing in the log of {day}" for day in {str(today + datetime.timedelta(seconds=one)) for one in JUMPS} - set(days)]
            is_good &= not faults
            print(f"{runtime}, {what}: {asked:,} requests, {'; '.join(faults) or 'none failed'}", flush=True)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
