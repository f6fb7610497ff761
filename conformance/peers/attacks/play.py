#!/usr/bin/env python3
"""Hostile clients against a real sidecar: what answers them, what they make it hold, and whether others are served meanwhile.

    cargo build --release -p outrigger
    conformance/peers/attacks/play.py [--outrigger PROGRAM] [--runtime tokio|glommio]... [--seconds N] [WORD]...

Each attack comes on eight connections at once, again and again, for two seconds (--seconds), to a sidecar with one worker before a
service of HTTP/1.1. Another client asks for something ordinary all the time. Told are the answer that most of the attackers'
connections ended with, the resident memory before, at most and a second after, and how many of the ordinary requests failed.
Exit code 0: each attack was answered as it says, nobody else noticed, and memory stayed within 32 MiB of before; 1: not so.
"""

import argparse
import collections
import http.client
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from frames import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, SETTINGS,  # noqa: E402
                    Peer, field, frame, get, integer, reset, settings, update)

CONNECTIONS = 8
MOST_MIB = 32
HOST = b"shop.test"
GET = get(HOST)


def nth(n):
    return 1 + 2 * n


def opened(n):
    """A request whose body is still to come."""
    return frame(HEADERS, END_HEADERS, nth(n), get(HOST, method=b"POST"))


def asked(n, block=GET):
    return frame(HEADERS, END_HEADERS | END_STREAM, nth(n), block)


def bomb(n):
    """One field of 3,900 bytes in the table, then a byte for each time that it is meant."""
    block = GET + b"\x40\x01x" + integer(3900, 7) + b"v" * 3900
    return asked(n, block + b"\xbe" * (16_000 - len(block)))


def crumbs(n):
    block = GET + field(b"cookie", b"a=b") * 1500
    return asked(n, block[:16_000 - (16_000 - len(GET)) % len(field(b"cookie", b"a=b"))])


CALM = "GOAWAY ENHANCE_YOUR_CALM"
PROTOCOL = "GOAWAY PROTOCOL_ERROR"
# What it is called; what must be said to it; what is sent, round by round; how the client opens; whether it reads.
ATTACKS = [
    ("rapid reset (CVE-2023-44487)", CALM, lambda n: opened(n) + reset(nth(n)), (), True),
    ("made to reset by an empty update (CVE-2025-8671)", CALM, lambda n: opened(n) + update(nth(n), 0), (), True),
    ("made to reset by an overflow", CALM, lambda n: opened(n) + update(nth(n), 0x7FFFFFFF), (), True),
    ("made to reset by a malformed head", CALM, lambda n: asked(n, GET + field(b"UPPER", b"1")), (), True),
    ("CONTINUATION flood (CVE-2024-27919)", CALM,
     lambda n: frame(CONTINUATION, 0, 1, field(b"x", b"y")) if n else frame(HEADERS, 0, 1, GET), (), True),
    ("CONTINUATION flood of large frames (CVE-2024-30255)", CALM,
     lambda n: frame(CONTINUATION if n else HEADERS, 0, 1, b"\0" * 16_384), (), True),
    ("HPACK bomb (CVE-2016-6581)", "RST_STREAM INTERNAL_ERROR", bomb, (), True),
    ("bomb of cookie crumbs (CVE-2026-47774)", "RST_STREAM INTERNAL_ERROR", crumbs, (), True),
    ("fields without a name (CVE-2019-9516)", "RST_STREAM PROTOCOL_ERROR",
     lambda n: asked(n, GET + field(b"", b"")), (), True),
    ("PING flood, answers unread (CVE-2019-9512)", CALM, lambda n: frame(PING, 0, 0, b"12345678") * 64, (), False),
    ("SETTINGS flood, answers unread (CVE-2019-9515)", CALM, lambda n: settings((4, n)) * 64, (), False),
    ("resets that are to be told, unread (CVE-2019-9514)", CALM,
     lambda n: asked(n, GET + field(b"UPPER", b"1")) * 1, (), False),
    ("empty DATA (CVE-2019-9518)", CALM, lambda n: frame(DATA, 0, 1) if n else opened(0), (), True),
    ("nothing but padding", CALM, lambda n: frame(DATA, 8, 1, b"\x01\0") if n else opened(0), (), True),
    ("responses unread, window of a byte (CVE-2019-9511)", None, lambda n: asked(n), ((4, 1),), True),
    ("window updates for nothing", CALM, lambda n: update(0, 1), (), True),
    ("priorities shuffled (CVE-2019-9513)", CALM, lambda n: frame(PRIORITY, 0, nth(n), b"\0\0\0\0\x07"), (), True),
    ("streams left open, then all reset at once (CVE-2021-32778)", None,
     lambda n: opened(n) if n % 100 else b"".join(reset(nth(m)) for m in range(max(0, n - 99), n)) + opened(n), (), True),
    ("frames behind a reset (CVE-2026-26311)", None,
     lambda n: opened(n) + reset(nth(n)) + frame(DATA, 0, nth(n), b"late") if n < 500 else b"", (), True),
    ("resets behind a GOAWAY (CVE-2023-35945)", None,
     lambda n: frame(GOAWAY, 0, 0, b"\0" * 8) if n == 50 else opened(n) + reset(nth(n)) if n < 500 else b"", (), True),
    ("a window that overflows", "GOAWAY FLOW_CONTROL_ERROR", lambda n: update(0, 0x7FFFFFFF), (), True),
    ("stream numbers that go back", "GOAWAY STREAM_CLOSED|GOAWAY PROTOCOL_ERROR",
     lambda n: asked(5 - n) if n < 6 else b"", (), True),
    ("a line break in a value (CVE-2023-27493)", "RST_STREAM PROTOCOL_ERROR",
     lambda n: asked(n, GET + field(b"x", b"a\r\nevil: 1")) if n < 500 else b"", (), True),
    ("transfer-encoding in a stream", "RST_STREAM PROTOCOL_ERROR",
     lambda n: asked(n, GET + field(b"transfer-encoding", b"chunked")) if n < 500 else b"", (), True),
    ("a length unlike the body", "RST_STREAM PROTOCOL_ERROR",
     lambda n: frame(HEADERS, END_HEADERS, nth(n), get(HOST, method=b"POST") + field(b"content-length", b"9"))
     + frame(DATA, END_STREAM, nth(n), b"short") if n < 500 else b"", (), True),
]


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

    @staticmethod
    def answer(connection):
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


class Sidecar:
    def __init__(self, program, runtime, service, folder):
        rules = Path(folder) / "shop.yaml"
        rules.write_text(f"""apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: shop }}
spec:
  hosts: [shop.test]
  ports: [{{ number: 80, name: http, protocol: HTTP }}]
  resolution: STATIC
  endpoints: [{{ address: 127.0.0.1, ports: {{ http: {service.port} }} }}]
""")
        self.port, self.admin = free_port(), free_port()
        self.process = subprocess.Popen(
            [program, "run", "--runtime", runtime, "--workers", "1", "--config", str(rules), "--outbound",
             f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_listens(self.process, self.port)

    def resident(self):
        return resident(self.process)

    def counters(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/stats?format=json&filter=outrigger.http2.downstream") as page:
            return {one["name"].rsplit(".", 1)[1]: one["value"] for one in json.load(page)["stats"] if "name" in one}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Visitor(threading.Thread):
    """Asks for something ordinary, on a connection of its own each time."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.served, self.failed, self.until = port, 0, 0, threading.Event()

    def run(self):
        while not self.until.wait(0.02):
            try:
                one = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                one.request("GET", "/", headers={"host": "shop.test"})
                answer = one.getresponse()
                whole = len(answer.read()) == 16_384
                self.served += answer.status == 200 and whole
                self.failed += not (answer.status == 200 and whole)
                one.close()
            except OSError:
                self.failed += 1


def attack(port, rounds, opening, reads, until, heard):
    """Connections of one attacker, until time is up."""
    while time.monotonic() < until:
        try:
            peer = Peer(port, opening, reads)
        except OSError:
            heard["not connected"] += 1
            time.sleep(0.05)
            continue
        n, waited = 0, 0
        while not peer.is_over and time.monotonic() < until and waited < 4:
            batch = b"".join(rounds(at) for at in range(n, n + 20))
            n += 20
            waited += 0 if peer.send(batch) and batch else 1
            if reads:
                peer.drain(0.0 if batch else 0.1)
        if not reads:
            peer.drain(0.5)
        peer.close()
        for said in set(peer.said):
            heard[said] += 1
        heard["connections"] += 1


def play(sidecar, name, must, rounds, opening, reads, seconds):
    visitor = Visitor(sidecar.port)
    visitor.start()
    before, counted, heard = sidecar.resident(), sidecar.counters(), collections.Counter()
    until = time.monotonic() + seconds
    attackers = [threading.Thread(target=attack, args=(sidecar.port, rounds, opening, reads, until, heard), daemon=True)
                 for _ in range(CONNECTIONS)]
    for one in attackers:
        one.start()
    most = before
    while any(one.is_alive() for one in attackers):
        most = max(most, sidecar.resident())
        time.sleep(0.02)
    time.sleep(1)
    visitor.until.set()
    visitor.join()
    after = sidecar.resident()
    moved = {key: value - counted.get(key, 0) for key, value in sidecar.counters().items()
             if value != counted.get(key, 0) and not key.startswith("streams")}
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


def main():
    words = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    words.add_argument("--outrigger", default=str(Path(__file__).parents[3] / "target/release/outrigger"))
    words.add_argument("--runtime", action="append")
    words.add_argument("--seconds", type=float, default=2.0)
    words.add_argument("word", nargs="*", help="only attacks with one of these words")
    args = words.parse_args()
    good = True
    for runtime in args.runtime or ["tokio", "glommio"]:
        with tempfile.TemporaryDirectory() as folder:
            sidecar = Sidecar(args.outrigger, runtime, Service(), folder)
            print(f"\n{runtime}\n\n| attack | answer | counters | MiB before | at most | after | others that failed |")
            print("|---|---|---|---|---|---|---|")
            for one in ATTACKS:
                if not args.word or any(word in one[0] for word in args.word):
                    good &= play(sidecar, *one, args.seconds)
            good &= sidecar.process.poll() is None
            sidecar.process.kill()
            sidecar.process.wait()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
