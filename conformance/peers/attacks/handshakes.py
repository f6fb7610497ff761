#!/usr/bin/env python3
"""Handshakes of TLS that break off at every byte, a thousand a second: what they make a sidecar hold, and whether others are served.

    cargo build --release -p outrigger
    conformance/peers/attacks/handshakes.py [--outrigger PROGRAM] [--runtime tokio|glommio]... [--seconds N] [--rate N]

A sidecar with one worker and mutual TLS (STRICT) stands before a service of HTTP/1.1. Handshakes are begun at a fixed rate (--rate, 1000)
and cut at a byte, one after the other: within the ClientHello, between both flights, and within the second one (certificate, signature,
end), by an end or by a reset in turn. Meanwhile another client with a good certificate makes a connection for each of its requests, and
one asks on a connection that it keeps. Told are the rate that was reached, resident memory and descriptors before, at most and after, the
processor's time for each handshake, how many requests of the good clients failed, and how long the slowest took. Exit code 0: none
failed, memory stayed within 32 MiB of before and all descriptors were closed; 1: not so. Needs nothing but Python.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from stage import Service, free_port, resident, until_listens  # noqa: E402

MOST_MIB = 32
ATTACKERS = 4
RESET = struct.pack("ii", 1, 0)
# Everything of a sidecar stays with its parent but what is needed to connect.
FORK = multiprocessing.get_context("fork")


class Sidecar:
    FLAGS = []

    def __init__(self, program, runtime, service, folder):
        folder = Path(folder)
        rules = folder / "rules"
        rules.mkdir(exist_ok=True)
        (rules / "strict.yaml").write_text(
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: strict}\nspec: {mtls: {mode: STRICT}}\n")
        ca = str(folder / "ca")
        for command in (["init", ca], ["issue", ca, "--service-account", "cart", "--out", str(folder / "cart")],
                        ["issue", ca, "--service-account", "web", "--out", str(folder / "web")]):
            subprocess.run([program, "ca", *command], check=True, stdout=subprocess.DEVNULL)
        self.web = folder / "web"
        self.port, self.admin = free_port(), free_port()
        self.process = subprocess.Popen(
            [program, "run", "--runtime", runtime, "--workers", "1", "--config", str(rules), "--identity", str(folder / "cart"),
             "--inbound", f"127.0.0.1:{self.port}=127.0.0.1:{service.port}", "--outbound", "127.0.0.1:0",
             "--admin", f"127.0.0.1:{self.admin}", *self.FLAGS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_listens(self.process, self.port)

    def resident(self):
        return resident(self.process)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def seconds(self):
        """Of the processor."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def handshakes(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/stats?format=json&filter=ssl.connection_error") as page:
            return sum(one["value"] for one in json.load(page)["stats"] if "name" in one)

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(self.web / "cert-chain.pem", self.web / "key.pem")
        context.set_alpn_protocols(["istio"])
        return context


class Attacker(FORK.Process):
    """Begins handshakes at a rate, and cuts each at the next byte. A process, because one thread of Python is too slow for it."""

    def __init__(self, sidecar, rate, first, step):
        super().__init__(daemon=True)
        self.sidecar, self.rate, self.at, self.step = sidecar, rate, first, step
        self.done, self.until, self.context = FORK.Value("L", 0), FORK.Event(), sidecar.context()
        self.length = self.whole()

    def whole(self):
        """How many bytes a client says in a handshake."""
        return sum(len(flight) for flight in self.shake(1 << 20))

    def shake(self, most):
        """Says so many bytes of a handshake. The flights that were said."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing, server_hostname="cart.test")
        flights = []
        with socket.create_connection(("127.0.0.1", self.sidecar.port), timeout=10) as one:
            while most > 0:
                over = True
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    over = False
                said = outgoing.read()[:most]
                most -= len(said)
                flights.append(said)
                one.sendall(said)
                if over or most <= 0:
                    break
                incoming.write(one.recv(65536))
            if self.at % 2:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        return flights

    def run(self):
        began = time.monotonic()
        while not self.until.is_set():
            try:
                self.shake(self.at % self.length)
            except OSError:
                pass
            self.at += self.step
            self.done.value += 1
            ahead = began + self.done.value / self.rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)


class Visitor(threading.Thread):
    """Asks for something ordinary with a good certificate."""

    def __init__(self, sidecar, keeps):
        super().__init__(daemon=True)
        self.sidecar, self.keeps = sidecar, keeps
        self.served, self.failed, self.slowest, self.until = 0, 0, 0.0, threading.Event()

    def run(self):
        one, context = None, self.sidecar.context()
        while not self.until.wait(0.02):
            began = time.monotonic()
            try:
                one = one or http.client.HTTPSConnection("127.0.0.1", self.sidecar.port, timeout=10, context=context)
                one.request("GET", "/", headers={"host": "cart.test"})
                answer = one.getresponse()
                whole = len(answer.read()) == 16_384 and answer.status == 200
                self.served += whole
                self.failed += not whole
            except OSError:
                self.failed += 1
                one = None
            self.slowest = max(self.slowest, time.monotonic() - began)
            if one and not self.keeps:
                one.close()
                one = None


def ended(threads):
    for thread in threads:
        thread.until.set()
    for thread in threads:
        thread.join(timeout=20)


def play(args, runtime, folder):
    sidecar = Sidecar(args.outrigger, runtime, Service(), folder)
    try:
        attackers = [Attacker(sidecar, args.rate / ATTACKERS, n, ATTACKERS) for n in range(ATTACKERS)]
        visitors = [Visitor(sidecar, keeps) for keeps in (False, True)]
        for one in visitors:
            one.start()
        time.sleep(0.5)
        memory, descriptors, spent = sidecar.resident(), sidecar.descriptors(), sidecar.seconds()
        most, widest, began = memory, descriptors, time.monotonic()
        for one in attackers:
            one.start()
        while time.monotonic() < began + args.seconds:
            time.sleep(0.05)
            most, widest = max(most, sidecar.resident()), max(widest, sidecar.descriptors())
        took = time.monotonic() - began
        ended(attackers)
        spent = sidecar.seconds() - spent
        done = sum(one.done.value for one in attackers)
        after = time.monotonic() + 10
        while sidecar.descriptors() > descriptors + 1 and time.monotonic() < after:
            time.sleep(0.05)
        ended(visitors)
        left, at_rest = sidecar.descriptors(), sidecar.resident()
        failed = sum(one.failed for one in visitors)
        good = not failed and most - memory <= MOST_MIB and left <= descriptors + 1 and sidecar.process.poll() is None
        print(f"{runtime}: {done} handshakes cut in {took:.1f} s ({done / took:.0f} a second, at each of {attackers[0].length} bytes), "
              f"{sidecar.handshakes()} counted as errors, {spent / done * 1e6:.0f} us of the processor each; "
              f"memory {memory:.1f} MiB, at most {most:.1f}, after {at_rest:.1f}; descriptors {descriptors}, at most {widest}, after {left}; "
              f"good clients: {sum(one.served for one in visitors)} served, {failed} failed, slowest "
              f"{max(one.slowest for one in visitors) * 1e3:.0f} ms{'' if good else '  <-- FAILED'}", flush=True)
        return good
    finally:
        sidecar.process.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outrigger", default="target/release/outrigger")
    parser.add_argument("--runtime", action="append", choices=["tokio", "glommio"])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=1000)
    args = parser.parse_args()
    good = True
    for runtime in args.runtime or ["tokio", "glommio"]:
        with tempfile.TemporaryDirectory() as folder:
            good &= play(args, runtime, folder)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
