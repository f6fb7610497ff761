#!/usr/bin/env python3
"""Hostile peers of HTTP/1.1 and of what stands before it: clients that send too much, too little or two things at once, PROXY headers,
ClientHellos, and endpoints that never end. What they hear, what they make a sidecar hold, and whether others are served meanwhile.

    cargo build --release -p outrigger
    conformance/peers/attacks/http1.py [--outrigger PROGRAM] [--runtime tokio|glommio]... [--seconds N] [WORD]...

As play.py: each comes on eight connections at once, again and again. Times of the sidecar are a second here, so that an attack that
waits for one ends. An attacker that the kernel tells of a reset before it has read its answer counts as `closed`.
Exit code 0: each was answered as it says, nobody else noticed, and memory stayed within 32 MiB of before; 1: not so.
"""

import argparse
import http.client
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import handshakes  # noqa: E402
from stage import Service, Sidecar, play, shop, table  # noqa: E402

GET = b"GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: patient.test\r\ncontent-length: 1000\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: patient.test\r\ntransfer-encoding: chunked\r\n\r\n"
OPEN = b"GET / HTTP/1.1\r\nhost: shop.test\r\n"
TIMES = ["--request-head-timeout", "1s", "--tls-handshake-timeout", "1s", "--idle-timeout", "1s", "--request-body-timeout", "1s",
         "--unread-timeout", "1s"]
# How long anybody is waited for.
PATIENCE = 5


def heard_of(data):
    """`431`, or `closed` without a word."""
    return data[9:12].decode("ascii", "replace") if data.startswith(b"HTTP/1.") else "an alert" if data[:1] == b"\x15" else "closed"


class Pour:
    """Sends this, and that again and again; `step` at a time with a pause behind each; `reads` before it has sent all, or after."""

    def __init__(self, first, again=b"", pause=0.0, reads=True, shuts=False, times=1 << 30):
        self.first, self.again, self.pause = first, again, pause
        self.reads, self.shuts, self.times = reads, shuts, times

    def __call__(self, port, until):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as one:
            if not self.reads:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            got = b""
            last = time.monotonic() + PATIENCE
            try:
                one.sendall(self.first)
                for _ in range(self.times if self.again else 0):
                    if time.monotonic() > (last if self.pause else until):
                        break
                    one.settimeout(0.5)
                    one.sendall(self.again)
                    if self.reads:
                        one.settimeout(self.pause or 0.000001)
                        try:
                            got += one.recv(65536)
                            if got:
                                break
                        except (TimeoutError, BlockingIOError):
                            pass
                    elif self.pause:
                        time.sleep(self.pause)
                if self.shuts:
                    one.shutdown(socket.SHUT_WR)
            except TimeoutError:
                # Nobody takes more.
                pass
            except OSError:
                return heard_of(got or self.late(one))
            one.settimeout(PATIENCE)
            if not self.reads:
                return self.unread(one)
            return heard_of(got or self.late(one))

    @staticmethod
    def late(one):
        try:
            return one.recv(65536)
        except TimeoutError:
            return b"HTTP/1.1 waited"
        except OSError:
            return b""

    @staticmethod
    def unread(one):
        """Reads nothing: it hears that it is over by a reset, or goes by itself."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return "closed"
            time.sleep(0.05)
        return "held back"


def sip(port, _until):
    """Takes an answer a byte at a time, for a second."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as one:
        one.sendall(GET * 50)
        got = b""
        for _ in range(100):
            got += one.recv(1)
            time.sleep(0.01)
        return heard_of(got)


def churn(port, until):
    """Opens and closes as fast as it can."""
    while time.monotonic() < until:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    return "closed"


def smuggled(head, body=b"0\r\n\r\nGET /admin HTTP/1.1\r\nhost: shop.test\r\n\r\n"):
    return Pour(b"POST / HTTP/1.1\r\nhost: shop.test\r\n" + head + b"\r\n" + body)


TIMED = 0.05
CLIENTS = [
    ("never speaks", "closed", Pour(b"")),
    ("half a head", "408", Pour(OPEN)),
    ("half of HTTP/2's preface", "408", Pour(b"PRI * HTTP/2.0\r\n")),
    ("half a head, then half-closed", "closed", Pour(OPEN, shuts=True)),
    ("a head a byte at a time", "408", Pour(b"GET /", b"a", TIMED)),
    ("a body that stops", "408", Pour(POST + b"a")),
    ("chunks that stop", "408", Pour(CHUNKED + b"5\r\nab")),
    ("a body a byte at a time, that stops", "408", Pour(POST, b"a", TIMED, times=30)),
    ("a body that stops, half-closed", "400|closed", Pour(POST + b"a", shuts=True)),
    ("asks and half-closes", "200|closed", Pour(GET, shuts=True)),
    ("answers unread, thousands asked at once", "closed|held back", Pour(GET, GET * 100, reads=False)),
    ("answers read a byte at a time", "200", sip),
    ("opened and closed", "closed", churn),
    ("a head without an end", "431", Pour(OPEN + b"x: ", b"a" * 1000)),
    ("a request line without an end", "431", Pour(b"GET /", b"a" * 1000)),
    ("fields without an end", "431", Pour(OPEN, b"x: y\r\n" * 100)),
    ("a head of 101 fields", "431", Pour(OPEN + b"x: y\r\n" * 100 + b"\r\n")),
    ("a chunk line without an end", "400", Pour(CHUNKED + b"1;", b"a" * 1000)),
    ("chunk extensions without an end", "400", Pour(CHUNKED, b"1;abc\r\nx\r\n" * 100)),
    ("trailers without an end", "431", Pour(CHUNKED + b"0\r\n", b"x: y\r\n" * 100)),
    # Paced, so that a build that is not optimised on a busy machine keeps up.
    ("chunks of a byte each", None, Pour(CHUNKED, b"1\r\nx\r\n" * 50, 0.01)),
    ("a length and chunks (CL.TE)", "400", smuggled(b"content-length: 4\r\ntransfer-encoding: chunked\r\n")),
    ("chunks and a length (TE.CL)", "400", smuggled(b"transfer-encoding: chunked\r\ncontent-length: 4\r\n")),
    ("two lengths", "400", smuggled(b"content-length: 4\r\ncontent-length: 5\r\n")),
    ("two lengths in one field", "400", smuggled(b"content-length: 4, 5\r\n")),
    ("another coding (TE.TE)", "501", smuggled(b"transfer-encoding: xchunked\r\n")),
    ("a coding behind a tab", "400|501", smuggled(b"transfer-encoding:\x0bchunked\r\n")),
    ("a blank before the colon", "400", smuggled(b"content-length : 4\r\n")),
    ("a folded field", "400", smuggled(b"transfer-encoding:\r\n chunked\r\n")),
    ("lines that end with LF alone", "400", Pour(b"POST / HTTP/1.1\nhost: shop.test\ncontent-length: 4\n\nabcd")),
    ("a chunk size of 2^64", "400", smuggled(b"transfer-encoding: chunked\r\n", b"10000000000000000\r\n")),
    ("a chunk size with 0x", "400", smuggled(b"transfer-encoding: chunked\r\n", b"0x5\r\nabcde\r\n0\r\n\r\n")),
    ("a chunk longer than it says", "400", smuggled(b"transfer-encoding: chunked\r\n", b"3\r\nabcdef\r\n0\r\n\r\n")),
    ("NUL in a field", "400", Pour(OPEN + b"x: a\0b\r\n\r\n")),
    ("garbage", "400|closed", Pour(bytes(range(255, 0, -1)) * 100)),
    ("a ClientHello to clear text", "400|closed", Pour(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 500)),
]

V2 = b"\r\n\r\n\0\r\nQUIT\n"
PROXIES = [
    ("no PROXY header comes", "closed", Pour(b"")),
    ("half a PROXY header", "closed", Pour(b"PROXY TCP4 192.0.2.1 198.")),
    ("a PROXY line without an end", "closed", Pour(b"PROXY ", b"A" * 50)),
    ("a PROXY header that says 64 KiB", "closed", Pour(V2 + b"\x21\x11\xff\xff", b"a" * 1000)),
    ("a PROXY header too short for its addresses", "closed", Pour(V2 + b"\x21\x11\x00\x04abcd")),
    ("a PROXY header of another version", "closed", Pour(V2 + b"\x31\x11\x00\x0cabcdefghijkl")),
    ("a request without a PROXY header", "closed", Pour(GET)),
    ("a good PROXY header, then half a head", "408", Pour(b"PROXY UNKNOWN\r\n" + OPEN)),
]

RECORD = b"\x16\x03\x01"
HELLOS = [
    ("a TLS port that nobody speaks to", "closed", Pour(b"")),
    ("half a ClientHello", "closed|an alert", Pour(RECORD + b"\x02\x00\x01\x00\x01\xfc\x03\x03")),
    ("a ClientHello a byte at a time", "closed|an alert", Pour(RECORD + b"\x02\x00\x01\x00\x01\xfc", b"\x03", TIMED)),
    ("a ClientHello without an end", "closed|an alert", Pour(RECORD + b"\x40\x00\x01\x00\xff\xff" + b"a" * 0x3FFC, RECORD + b"\x40\x00" + b"a" * 0x4000)),
    ("a record of 64 KiB", "closed|an alert", Pour(RECORD + b"\xff\xff\x01", b"a" * 1000)),
    ("empty records", "closed|an alert", Pour(RECORD + b"\x00\x00", RECORD + b"\x00\x00")),
    ("clear text to STRICT", "closed|an alert", Pour(GET)),
]


class Hostile(Service):
    """An endpoint that does this with each connection once it has been asked."""

    def __init__(self, act):
        self.act = act
        super().__init__()

    def answer(self, connection):
        try:
            connection.settimeout(PATIENCE)
            connection.recv(65536)
            self.act(connection)
        except OSError:
            pass
        connection.close()


def pours(first, again, pause=0.0):
    def act(connection):
        connection.sendall(first)
        while True:
            connection.sendall(again)
            if pause:
                time.sleep(pause)
    return Hostile(act)


def says(*words):
    return Hostile(lambda connection: [connection.sendall(one) for one in words])


# Reads all that comes, and says nothing.
PATIENT = Hostile(lambda connection: all(iter(lambda: connection.recv(65536), b"")))
BODY = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
ENDPOINTS = [
    ("an endpoint's head without an end", "502", pours(b"HTTP/1.1 200 OK\r\nx: ", b"a" * 1000)),
    ("an endpoint's fields without an end", "502", pours(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 100)),
    ("interim responses without an end", "103|502", pours(b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 10)),
    ("an endpoint's chunk line without an end", "200|502", pours(BODY + b"1;", b"a" * 1000)),
    ("an endpoint's extensions without an end", "200|502", pours(BODY, b"1;abc\r\nx\r\n" * 100)),
    ("an endpoint's trailers without an end", "200|502", pours(BODY + b"0\r\n", b"x: y\r\n" * 100)),
    ("an endpoint's body without an end", "200", pours(BODY, b"400\r\n" + b"a" * 1024 + b"\r\n")),
    ("an endpoint's answer a byte at a time", "504", pours(b"HTTP/1.1 200 OK\r\nx: ", b"a", TIMED)),
    ("an endpoint that is silent", "504", Hostile(lambda connection: connection.recv(1))),
    ("an endpoint's garbage", "502", says(bytes(range(255, 0, -1)) * 100)),
    ("two answers", "200", says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")),
    ("a length and chunks in an answer", "502", says(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
    ("101 that nobody asked for", "502", says(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")),
]


def asking(host):
    """Asks it, and takes what comes for a second at most."""
    def act(port, _until):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as one:
            one.sendall(b"GET / HTTP/1.1\r\nhost: " + host.encode() + b"\r\nconnection: close\r\n\r\n")
            got, until = one.recv(65536), time.monotonic() + 1
            while time.monotonic() < until and one.recv(65536):
                pass
            return heard_of(got)
    return act


def attacker(act, port):
    """Again and again until time is up."""
    def attack(until, heard):
        while True:
            try:
                heard[act(port, until)] += 1
            except OSError:
                heard["closed"] += 1
            heard["connections"] += 1
            if time.monotonic() >= until:
                return
    return attack


class Gateway(Sidecar):
    """Which another proxy stands before."""

    host, visit = "shop.test", b"PROXY UNKNOWN\r\n"
    RULES = """---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: public }
spec:
  selector: { istio: ingressgateway }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop }
spec:
  hosts: ['*']
  gateways: [public]
  http: [{ route: [{ destination: { host: shop.test } }] }]
"""

    def __init__(self, program, runtime, service, folder):
        mesh = Path(folder) / "mesh"
        mesh.write_text("defaultConfig: { gatewayTopology: { proxyProtocol: {} } }\n")
        super().__init__(program, runtime, service, folder, shop(service.port) + self.RULES,
                         ["--gateway", "80=127.0.0.1:PORT", "--label", "istio=ingressgateway", "--mesh-config", str(mesh),
                          "--outbound", "127.0.0.1:0", *TIMES])


class Strict(handshakes.Sidecar):
    """Which takes nothing but mutual TLS."""

    host, FLAGS = "cart.test", TIMES
    counters, end = Sidecar.counters, Sidecar.end

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=self.context())


def slow_route(host):
    return f"""---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: {host.split(".")[0]} }}
spec:
  hosts: [{host}]
  http: [{{ timeout: 1s, retries: {{ attempts: 0 }}, route: [{{ destination: {{ host: {host} }} }}] }}]
"""


def played(args, runtime, what, make, attacks):
    """One table. `attacks`: names, answers, and what is done at which port."""
    attacks = [one for one in attacks if not args.word or any(word in one[0] for word in args.word)]
    if not attacks:
        return True
    with tempfile.TemporaryDirectory() as folder:
        sidecar = make(folder)
        table(f"{runtime}, {what}")
        good = True
        for name, must, act in attacks:
            good &= play(sidecar, name, must, attacker(act, sidecar.port), args.seconds)
        return good & sidecar.end()


def main():
    words = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    words.add_argument("--outrigger", default=str(Path(__file__).parents[3] / "target/release/outrigger"))
    words.add_argument("--runtime", action="append")
    words.add_argument("--seconds", type=float, default=2.0)
    words.add_argument("word", nargs="*", help="only attacks with one of these words")
    args = words.parse_args()
    service, good = Service(), True
    hosts = [f"hostile{at}.test" for at in range(len(ENDPOINTS))]
    rules = shop(service.port) + shop(PATIENT.port, "patient.test") + "".join(shop(endpoint.port, host) + slow_route(host)
                                         for host, (_, _, endpoint) in zip(hosts, ENDPOINTS))
    asked = [(name, must, asking(host)) for host, (name, must, _) in zip(hosts, ENDPOINTS)]
    for runtime in args.runtime or ["tokio", "glommio"]:
        plain = lambda folder: Sidecar(args.outrigger, runtime, service, folder, rules, TIMES)  # noqa: E731
        good &= played(args, runtime, "clients", plain, CLIENTS)
        good &= played(args, runtime, "endpoints", plain, asked)
        good &= played(args, runtime, "PROXY headers", lambda folder: Gateway(args.outrigger, runtime, service, folder), PROXIES)
        good &= played(args, runtime, "ClientHellos", lambda folder: Strict(args.outrigger, runtime, service, folder), HELLOS)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
