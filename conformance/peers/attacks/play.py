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
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from frames import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, SETTINGS,  # noqa: E402
                    Peer, field, frame, get, integer, reset, settings, update)
from stage import Service, Sidecar, play, table  # noqa: E402

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
            table(runtime)
            for name, must, rounds, opening, reads in ATTACKS:
                if not args.word or any(word in name for word in args.word):
                    def act(until, heard, one=(rounds, opening, reads)):
                        attack(sidecar.port, *one, until, heard)
                    good &= play(sidecar, name, must, act, args.seconds)
            good &= sidecar.end()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
