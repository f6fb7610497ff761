#!/usr/bin/env python3
"""What grows with hosts, rules, endpoints, connections and services, and what does not: the program, measured as in measure.py.

  scale.py                                       a look, some 6 minutes
  scale.py --rounds 5 --page docs/scale.md       the tables of that page
  scale.py --only services,reload --runtime glommio

Each figure is the small one and the large one of the same thing, one after the other in a round; ratios are medians over rounds.
"""
import argparse
import json
import os
import shutil
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median

from measure import (HTTP, LOAD_CPU, PROXY_CPU, Workload, about, answers, cpu_time, enter_namespace, family, load_words, memory, prepare,
                     put_into_page, rest, serve, start, stop, wait_until)
from proxies import HOST, ORIGIN_PORT, PROXY, REPOSITORY, program
from report import about_text

ADMIN = "127.0.0.1:9200"
ENTRY = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
ENDPOINT_NETWORK = "127.1"  # all of 127/8 is this machine, and the origin listens on all of it


# ---- configurations -------------------------------------------------------------------------------------------------------------

def origin(rules=1, endpoints=1):
    """The service that is asked: behind so many rules, of which the last one matches, with so many endpoints."""
    at = [HOST] if endpoints == 1 else [f"{ENDPOINT_NETWORK}.{n // 250}.{n % 250 + 1}" for n in range(endpoints)]
    listed = "\n".join(f"  - {{address: {address}, ports: {{http: {ORIGIN_PORT}}}}}" for address in at)
    others = "\n".join(f"  - {{match: [{{uri: {{{'exact' if n % 2 else 'prefix'}: /p{n}/}}}}], route: [{{destination: {{host: origin.example}}}}]}}"
                       for n in range(rules - 1))
    return f"""{ENTRY}metadata: {{name: origin}}
spec:
  hosts: [origin.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints:
{listed}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: origin}}
spec:
  host: origin.example
  trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: 20000}}, http: {{http1MaxPendingRequests: 20000}}}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: origin}}
spec:
  hosts: [origin.example]
  http:
{others}
  - route: [{{destination: {{host: origin.example}}}}]
    timeout: 15s
"""


def service(number):
    """A service that nobody asks, with three endpoints and what a DestinationRule usually says."""
    of = f"10.{number // 250}.{number % 250}"
    return f"""---
{ENTRY}metadata: {{name: s{number}}}
spec:
  hosts: [s{number}.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: {of}.1}}, {{address: {of}.2}}, {{address: {of}.3}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: s{number}}}
spec: {{host: s{number}.example, trafficPolicy: {{outlierDetection: {{consecutive5xxErrors: 5}}}}}}
"""


def services(count):
    return "".join(map(service, range(count)))


SCOPE = """---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default}
spec: {egress: [{hosts: [./origin.example]}]}
"""


def envoy_clusters(count):
    """As many clusters for Envoy, by file, and a listener, so that it is seen to be ready."""
    def cluster(number):
        ends = ", ".join(f"{{endpoint: {{address: {{socket_address: {{address: 10.{number // 250}.{number % 250}.{n}, port_value: 80}}}}}}}}"
                         for n in (1, 2, 3))
        return f"""  - name: s{number}
    type: STATIC
    outlier_detection: {{consecutive_5xx: 5}}
    load_assignment: {{cluster_name: s{number}, endpoints: [{{lb_endpoints: [{ends}]}}]}}
"""
    port = PROXY.split(":")[1]
    return f"""static_resources:
  listeners:
  - name: clients
    address: {{socket_address: {{address: {HOST}, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: tcp
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: tcp
          cluster: s0
  clusters:
{"".join(map(cluster, range(count)))}"""


# ---- one process ----------------------------------------------------------------------------------------------------------------

class Proxy:
    """A process that listens, and is stopped with this."""

    def __init__(self, words, log, cpu=PROXY_CPU, most=60):
        wait_until("its port is free", lambda: not answers(PROXY))
        self.process = start(words, cpu, stdin=-3, stdout=log, stderr=log)
        wait_until("it listens", lambda: answers(PROXY), self.process, most)
        time.sleep(0.5)

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        stop(self.process)


class Scale:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.log = open(folder / "scale.log", "w+")
        self.rules = folder / "rules"

    def outrigger(self, text, workers=1, cpu=PROXY_CPU):
        shutil.rmtree(self.rules, ignore_errors=True)
        self.rules.mkdir()
        (self.rules / "rules.yaml").write_text(text)
        path = program("OUTRIGGER", str(REPOSITORY / "target/release/outrigger"), "outrigger")
        if path is None:
            raise SystemExit("error: no program: cargo build --release, or OUTRIGGER=PATH")
        words = [path, "run", "--runtime", self.arguments.runtime, "--workers", workers, "--config", self.rules, "--outbound", PROXY,
                 "--admin", ADMIN]
        return Proxy(words, self.log, cpu)

    def load(self, asked):
        words = load_words(Workload("", HTTP, asked), self.folder, self.arguments.warm, self.arguments.seconds)
        return start(words, LOAD_CPU, stdin=-1, stdout=-1, stderr=self.log, text=True)

    def asked(self, proxy, asked=""):
        """What `serve` of measure.py tells of a load."""
        load = self.load(asked)
        try:
            row = serve(proxy, load)
        finally:
            stop(load)
        if row["errors"] or row["bad"]:
            raise RuntimeError(f"{row['errors']} errors and {row['bad']} wrong answers ({self.log.name})")
        return row

    def pair(self, small, large):
        """Ratios of the CPU of a request, a round each: the large one to the small one. Each is a way to start, and a load."""
        ratios, rows = [], []
        for _ in range(self.arguments.rounds):
            both = []
            for proxy, asked in (small, large):
                with proxy() as running:
                    both.append(self.asked(running, asked))
            ratios.append(both[1]["cpu_us"] / both[0]["cpu_us"])
            rows.append(both)
        others = max(row["others"] for both in rows for row in both)
        return f"{median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} | {others:.2f}"

    def told(self):
        """The stats of the program, by name."""
        with urllib.request.urlopen(f"http://{ADMIN}/stats", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return {name: value for name, _, value in (line.partition(": ") for line in lines)}


# ---- what is measured -----------------------------------------------------------------------------------------------------------

def requests(scale):
    """The CPU of a request, among few and many of something."""
    def started(text, **more):
        return lambda: scale.outrigger(text, **more)
    alone, held = origin(), "--connections 5000"
    both = f"{PROXY_CPU},{LOAD_CPU}"
    things = [
        ("hosts", "10", "10,000", (started(alone + services(9)), ""), (started(alone + services(9_999)), "")),
        ("rules before the one that matches", "9", "9,999", (started(origin(rules=10)), ""), (started(origin(rules=10_000)), "")),
        ("endpoints of the service that is asked", "3", "10,000", (started(origin(endpoints=3)), "--origin 0.0.0.0:9100"),
         (started(origin(endpoints=10_000)), "--origin 0.0.0.0:9100")),
        ("connections that ask at once", "64", "5,000", (started(alone), ""), (started(alone), held)),
        ("workers, on two CPUs of which the load has one", "1", "2", (started(alone, cpu=both), ""), (started(alone, workers=2, cpu=both), "")),
    ]
    yield "| of these | few | many | CPU of a request, many to few | lowest to highest | others |\n|---|---|---|---|---|---|"
    for what, few, many, small, large in things:
        yield f"| {what} | {few} | {many} | {scale.pair(small, large)} |"


def connections(scale):
    """What 5,000 connections that rest hold, and what they cost those that ask."""
    with scale.outrigger(origin()) as proxy:
        load = start(load_words(Workload("", HTTP, "", idle=5000), scale.folder, 0, 0), LOAD_CPU, stdin=-1, stdout=-1, stderr=scale.log, text=True)
        try:
            row = rest(proxy, load)
        finally:
            stop(load)
    yield "| connections that rest | KiB of each | MiB of the process before | with them |\n|---|---|---|---|"
    yield f"| {row['opened']:,} | {row['kib']} | {row['empty_kib'] / 1024:.1f} | {row['held_kib'] / 1024:.1f} |"


def sizes(scale):
    """Memory, and CPU until it listens, by services; Envoy beside it, where it is found."""
    envoy = program("ENVOY", "envoy")
    yield "| services | KiB of YAML | Outrigger: MiB | KiB a service | CPU until ready, s | Envoy: MiB | KiB a cluster |\n|---|---|---|---|---|---|---|"
    none = None
    for count, scope in ((0, ""), (10, ""), (1000, ""), (5000, ""), (5000, SCOPE)):
        text = origin() + services(count) + scope
        with scale.outrigger(text) as proxy:
            ours, spent = memory(family(proxy.pid)), cpu_time(family(proxy.pid))
        theirs = None
        if envoy and not scope:
            (scale.folder / "clusters.yaml").write_text(envoy_clusters(max(count, 1)))
            with Proxy([envoy, "--concurrency", "1", "--disable-hot-restart", "-l", "error", "-c", scale.folder / "clusters.yaml"], scale.log) as proxy:
                theirs = memory(family(proxy.pid))
        none = none or (ours, theirs)
        of_them = f"{count:,}" + (", and a Sidecar resource lets one be seen" if scope else "")
        each = f"{(ours - none[0]) / count:.1f}" if count else ""
        each_of_theirs = f"{(theirs - none[1]) / count:.1f}" if count and theirs else ""
        yield (f"| {of_them} | {len(text) / 1024:,.0f} | {ours / 1024:.1f} | {each} | {spent:.2f} "
               f"| {f'{theirs / 1024:.1f}' if theirs else '' if envoy else 'not found'} | {each_of_theirs} |")


def peak(pids):
    return sum(int(line.split()[1]) for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))


def reload(scale):
    """Latencies while a thousand services are compiled again and again, beside those before; what two snapshots hold."""
    rate, text = "--rate 1000", origin() + services(1000)
    rounds = []
    for _ in range(scale.arguments.rounds):
        with scale.outrigger(text) as proxy:
            pids = family(proxy.pid)
            before, held = scale.asked(proxy, rate), memory(pids)
            revision, load = scale.told().get("outrigger.config_reload_success", "0"), scale.load(rate)
            end = time.monotonic() + scale.arguments.warm + scale.arguments.seconds
            number = 0
            while time.monotonic() < end - 0.5:
                # One service is another; the whole configuration is read and compiled for it.
                number += 1
                new = scale.folder / "rules.new"
                new.write_text(text + service(2000 + number))
                new.rename(scale.rules / "rules.yaml")
                time.sleep(0.4)
            told, _ = load.communicate(timeout=60)
            during = json.loads(told.splitlines()[-1])
            done = int(scale.told().get("outrigger.config_reload_success", "0")) - int(revision)
            rounds.append((before, during, done, held, peak(pids), memory(pids)))
            if during["errors"] or during["bad"]:
                raise RuntimeError(f"answers were lost over a reload ({scale.log.name})")
    def ratio(name):
        of = [during[name] / before[name] for before, during, *_ in rounds]
        return f"{median(of):.2f} | {min(of):.2f} to {max(of):.2f}"
    def middle(at):
        return median(row[at] for row in rounds)
    late = max(max(before["late_us"], during["late_us"]) for before, during, *_ in rounds)
    yield "| 1,000 requests a second among 1,000 services | while reloading, to before | lowest to highest |\n|---|---|---|"
    yield f"| p50 | {ratio('p50_us')} |\n| p99 | {ratio('p99_us')} |"
    yield (f"\n{middle(2):.0f} reloads of {len(text) / 1024:,.0f} KiB in {scale.arguments.seconds + scale.arguments.warm:.1f} s, compiled on the CPU that "
           f"also answers; the load was at most {late:.0f} µs late (99th percentile).")
    yield (f"Memory in MiB: {middle(3) / 1024:.1f} before, {middle(4) / 1024:.1f} at most while two snapshots and the text were there, "
           f"{middle(5) / 1024:.1f} after. No request failed.")


PARTS = {"requests": ("Requests", requests), "connections": ("Connections", connections), "services": ("Services", sizes),
         "reload": ("Reload", reload)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--runtime", default="tokio", choices=("tokio", "glommio"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="what is measured of each in a round")
    parser.add_argument("--warm", type=float, default=1.5, help="before that")
    parser.add_argument("--page", type=Path, help="write the tables into this page, between its lines for that")
    arguments = parser.parse_args()
    unknown = [part for part in arguments.only.split(",") if part not in PARTS]
    if unknown:
        parser.error(f"no part `{unknown[0]}`; there are {', '.join(PARTS)}")
    enter_namespace()
    folder = Path(tempfile.mkdtemp(prefix="scale."))
    parts = [about_text(about(arguments, "scale.py"))]
    try:
        prepare(folder)
        scale = Scale(arguments, folder)
        for part in arguments.only.split(","):
            title, measure = PARTS[part]
            parts.append(f"### {title}\n\n" + "\n".join(measure(scale)))
            print(parts[-1], flush=True)
    finally:
        shutil.rmtree(folder)
    if arguments.page:
        put_into_page(arguments.page, "\n\n".join(parts), [])


if __name__ == "__main__":
    main()
