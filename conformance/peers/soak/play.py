#!/usr/bin/env python3
"""Ordinary and hostile load, side by side and for long: does anything grow, and does anybody notice?

    cargo build --release -p outrigger
    conformance/peers/soak/play.py [--outrigger PROGRAM] [--runtime tokio|glommio]... [--minutes N]

Two sidecars with mutual TLS between them, two workers each. Ordinary clients ask by HTTP/1.1 and HTTP/2, on connections that are kept and on
fresh ones, send bodies, upgrade, are tried again, and check every byte that comes back; what is not as it should be is a failure. Beside
them hostile clients do all that `attacks` knows, cut handshakes, are slow, silent and greedy, and ask endpoints that reset, stall, pour and talk
nonsense. The configuration changes every three seconds: endpoints come and go, rules and balancers change.

Each second it is written down what the sidecars hold. It is flat when memory at the end of the run (median of its last fifth) is at most
5 % and 4 MiB above what it was early on (median of the second fifth; judged from five minutes on), and when afterwards all gauges are zero
and all descriptors closed but those of kept connections. Exit code 0: flat, and nobody failed; 1: not so. An hour by default; --minutes 10
tells most of it.
"""

import argparse
import datetime
import multiprocessing
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from clients import Hostile, Ordinary  # noqa: E402
from mesh import Mesh  # noqa: E402
from picture import lines  # noqa: E402
from service import Broken, Good, serve  # noqa: E402

FORK = multiprocessing.get_context("fork")
EVERY_RELOAD = 3
# So long things may take to end once nobody asks any more: longer than all time-outs of the sidecars.
REST = 60
# So many minutes tables and buffers may take to get as large as the load makes them.
WARM = 5
BEGINS, ENDS = "<!-- soaked: the command above writes what follows -->", "<!-- soaked: end -->"


def in_process(what, *args):
    process = FORK.Process(target=what, args=args, daemon=True)
    process.start()
    return process


def begin_service(service, count):
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(count)]

    def go():
        threads = [threading.Thread(target=serve, args=(one, service), daemon=True) for one in listeners]
        for one in threads:
            one.start()
        threads[0].join()

    process = in_process(go)
    ports = [one.getsockname()[1] for one in listeners]
    for one in listeners:
        one.close()
    return process, ports


def crowd(kind, mesh, count, until, pause, told):
    """So many of a kind, in this process; what they have counted is put into `told`."""
    clients = [kind(mesh) for _ in range(count)]
    threads = [threading.Thread(target=one.go, args=(until, pause)) for one in clients]
    for at, one in enumerate(threads):
        clients[at].dice.seed(os.getpid() * 100 + at)
        one.start()
    for one in threads:
        one.join()
    told.put((kind.__name__, sum((one.counted for one in clients), type(clients[0].counted)())))


class Samples:
    def __init__(self, mesh):
        self.mesh, self.memory, self.descriptors = mesh, {}, {}

    def take(self):
        for one in self.mesh.sidecars():
            self.memory.setdefault(one.name, []).append(one.resident())
            self.descriptors.setdefault(one.name, []).append(one.descriptors())


def at_rest(sidecar, base):
    """What is still there when all have gone: gauges that are not zero, and descriptors too many."""
    until = time.monotonic() + REST
    while True:
        gauges = sidecar.gauges()
        kept = sum(value for name, value in gauges.items() if name.startswith("cluster.") and name.endswith("upstream_cx_active"))
        left = {name: value for name, value in gauges.items() if "upstream_cx" not in name and "cx_http" not in name}
        more = sidecar.descriptors() - base - kept
        if (not left and more <= 1) or time.monotonic() > until:
            return left, more
        time.sleep(0.5)


def progress(runtime, left, samples):
    """In one line of a terminal, and not at all in a file."""
    if sys.stderr.isatty():
        held = ", ".join(f"{name} {values[-1]:.1f} MiB" for name, values in samples.memory.items())
        print(f"\r{runtime}: {left / 60:.1f} minutes left, {held}   ", end="" if left > EVERY_RELOAD else "\r", file=sys.stderr, flush=True)


def soak(options, runtime, folder):
    services = [begin_service(kind, count) for kind, count in ((Good(), 2), (Good(), 1), (Good(), 1), (Good(), 1), (Broken(), 1))]
    store, (shop,), (cart,), (stall,), (broken,) = (ports for _, ports in services)
    mesh = Mesh(options.outrigger, runtime, folder, store, shop, cart, stall, broken)
    bases = {one.name: one.descriptors() for one in mesh.sidecars()}
    until, told, samples = time.monotonic() + options.minutes * 60, FORK.SimpleQueue(), Samples(mesh)
    crowds = [in_process(crowd, Ordinary, mesh, options.ordinary, until, 0.05, told),
              in_process(crowd, Hostile, mesh, options.hostile, until, 0.02, told)]
    reload_at = time.monotonic() + EVERY_RELOAD
    while (now := time.monotonic()) < until:
        samples.take()
        if now >= reload_at:
            mesh.write()
            reload_at = now + EVERY_RELOAD
            progress(runtime, until - now, samples)
        time.sleep(max(0.0, now + 1 - time.monotonic()))
    counted = dict(told.get() for _ in crowds)
    for one in crowds:
        one.join()
    left = {one.name: at_rest(one, bases[one.name]) for one in mesh.sidecars()}
    is_alive = all(one.process.poll() is None for one in mesh.sidecars())
    mesh.end()
    for process, _ in services:
        process.kill()
    return samples, counted, bases, left, is_alive, mesh.turn - 1


def judged(runtime, minutes, result):
    """Rows of the table, and what is wrong."""
    samples, counted, bases, left, is_alive, reloads = result
    ordinary, hostile = counted["Ordinary"], counted["Hostile"]
    faults = [f"{runtime}: {count} × {what}" for what, count in ordinary.items() if what != "right"]
    faults += [] if is_alive else [f"{runtime}: a sidecar ended"]
    rows = []
    for name, values in samples.memory.items():
        fifth = max(1, len(values) // 5)
        early, late = statistics.median(values[fifth:2 * fifth] or values), statistics.median(values[-fifth:])
        gauges, more = left[name]
        if minutes >= WARM and late > early * 1.05 + 4:
            faults.append(f"{runtime}: memory of {name} grows from {early:.1f} to {late:.1f} MiB")
        if gauges or more > 1:
            faults.append(f"{runtime}: {name} is left with {gauges} and {more} descriptors more")
        rows.append(f"| {runtime}, `{name}` | {ordinary['right']:,} | {sum(ordinary.values()) - ordinary['right']} | {hostile['connections']:,} | {reloads} "
                    f"| {early:.1f} | {late:.1f} | {max(values):.1f} | {bases[name]}, {max(samples.descriptors[name])} | {len(gauges)}, {max(0, more)} |")
    return rows, faults


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--outrigger", default="target/release/outrigger")
    words.add_argument("--runtime", action="append", choices=["tokio", "glommio"])
    words.add_argument("--minutes", type=float, default=60, help="on each runtime (60)")
    words.add_argument("--ordinary", type=int, default=6, help="ordinary clients at a time (6)")
    words.add_argument("--hostile", type=int, default=16, help="hostile clients at a time (16)")
    words.add_argument("--page", type=Path, help="write the table into this page, between its two comments")
    words.add_argument("--pictures", type=Path, help="write what was held over time into this folder, as SVG")
    options = words.parse_args()
    rows, faults = [], []
    for runtime in options.runtime or ["tokio", "glommio"]:
        with tempfile.TemporaryDirectory() as folder:
            result = soak(options, runtime, Path(folder))
        more, wrong = judged(runtime, options.minutes, result)
        rows, faults = rows + more, faults + wrong
        if options.pictures:
            panels = {"memory, MiB": result[0].memory, "descriptors": result[0].descriptors}
            title = f"What two sidecars hold under ordinary and hostile load: {runtime}"
            (options.pictures / f"{runtime}.svg").write_text(lines(title, options.minutes, panels))
    version = subprocess.run([options.outrigger, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    table = "\n".join([
        "| | answers that were right | failed | hostile connections | reloads | MiB, second fifth | last fifth | at most | descriptors before, at most "
        "| left: gauges, descriptors |", "|---|---|---|---|---|---|---|---|---|---|", *rows, "",
        f"{datetime.date.today()}, {version}, {platform.machine()}, {os.cpu_count()} CPUs: {options.minutes:g} minutes on each runtime."])
    print(table)
    if options.page:
        before, _, rest = options.page.read_text().partition(BEGINS)
        _, _, after = rest.partition(ENDS)
        options.page.write_text(f"{before}{BEGINS}\n\n{table}\n\n{ENDS}{after}")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
