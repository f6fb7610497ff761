"""Who asks: ordinary clients, which check each byte of their answers, and hostile ones, of whom some are as patient as they are rude."""

import collections
import os
import random
import socket
import ssl
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "attacks"))
from frames import DATA, END_HEADERS, END_STREAM, HEADERS, Peer, frame, get, split, update  # noqa: E402
from play import ATTACKS, attack  # noqa: E402
from service import BREAKS, Reader, body_of  # noqa: E402

PATIENCE = 20
RESET = struct.pack("ii", 1, 0)


def connect(port):
    stream = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


def ask(stream, reader, host, path, body=b"", method=b"GET", fields=b""):
    """The status, whether the connection goes on, and the body of the answer."""
    length = b"content-length: %d\r\n" % len(body) if method == b"POST" else b""
    stream.sendall(b"%s %s HTTP/1.1\r\nhost: %s\r\n%s%s\r\n" % (method, path, host, length, fields) + body)
    line, told, answer = reader.message()
    return line.split()[1], told.get(b"connection") != b"close", answer


class Ordinary:
    """One client of each kind; `counted` says how many answers were right, and what was not."""

    def __init__(self, mesh):
        self.port, self.counted, self.dice = mesh.outbound, collections.Counter(), random.Random(os.getpid())

    def right(self, is_right, what):
        self.counted["right" if is_right else f"wrong: {what}"] += 1

    def kept(self, host):
        """A hundred requests on one connection: lengths of all kinds, in chunks and not, and bodies that come back."""
        stream = connect(self.port)
        reader = Reader(stream)
        for _ in range(100):
            length = self.dice.choice([0, 1, 999, 16_384, 70_000])
            if self.dice.random() < 0.3:
                status, goes_on, answer = ask(stream, reader, host, b"/", body_of(length), b"POST")
            else:
                chunked = b"chunked/" if self.dice.random() < 0.5 else b""
                status, goes_on, answer = ask(stream, reader, host, b"/bytes/%s%d" % (chunked, length))
            self.right(status == b"200" and answer == body_of(length), f"{status.decode()} of {host.decode()}, {len(answer)} of {length}")
            if not goes_on:
                break
        stream.close()

    def fresh(self, host):
        for _ in range(10):
            stream = connect(self.port)
            status, _, answer = ask(stream, Reader(stream), host, b"/bytes/999", fields=b"connection: close\r\n")
            self.right(status == b"200" and answer == body_of(999), f"{status.decode()} on a fresh connection to {host.decode()}")
            stream.close()

    def flaky(self, _):
        """Fails once, and is tried again."""
        stream = connect(self.port)
        reader = Reader(stream)
        for _ in range(20):
            status, goes_on, _ = ask(stream, reader, b"store.test", b"/flaky/%d" % self.dice.getrandbits(60))
            self.right(status == b"200", f"{status.decode()} where it is tried again")
            if not goes_on:
                break
        stream.close()

    def upgraded(self, _):
        stream = connect(self.port)
        stream.sendall(b"GET / HTTP/1.1\r\nhost: store.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        reader = Reader(stream)
        status = reader.until(b"\r\n\r\n").split()[1]
        for length in (1, 5000, 70_000):
            if status != b"101":
                break
            stream.sendall(body_of(length))
            if reader.exactly(length) != body_of(length):
                status = b"an echo"
        self.right(status == b"101", f"{status.decode()} where it is upgraded")
        stream.close()

    def streams(self, host):
        """Fifty streams of HTTP/2, five at a time."""
        peer = Peer(self.port)
        peer.socket.settimeout(PATIENCE)
        for batch in range(10):
            numbers = [1 + 2 * (5 * batch + n) for n in range(5)]
            peer.socket.sendall(b"".join(frame(HEADERS, END_HEADERS | END_STREAM, n, get(host, b"/bytes/9999")) for n in numbers))
            bodies, open_ones = collections.defaultdict(bytes), set(numbers)
            while open_ones:
                piece = peer.socket.recv(65536)
                if not piece:
                    raise EOFError
                frames, peer.buffer = split(peer.buffer + piece)
                for kind, flags, stream, payload in frames:
                    if kind == DATA and payload:
                        bodies[stream] += payload
                        peer.socket.sendall(update(0, len(payload)))
                    if kind in (HEADERS, DATA) and flags & END_STREAM:
                        open_ones.discard(stream)
                    if kind == 3:
                        open_ones.discard(stream)
            for n in numbers:
                self.right(bodies[n] == body_of(9999), f"a stream of {host.decode()}, {len(bodies[n])} bytes")
        peer.socket.close()

    def go(self, until, pause):
        kinds = [(self.kept, b"store.test"), (self.kept, b"cart.test"), (self.fresh, b"store.test"), (self.fresh, b"cart.test"),
                 (self.flaky, None), (self.upgraded, None), (self.streams, b"store.test"), (self.streams, b"cart.test")]
        while time.monotonic() < until:
            kind, host = self.dice.choice(kinds)
            try:
                kind(host)
            except (OSError, EOFError, ValueError) as error:
                self.counted[f"wrong: {kind.__name__} {host and host.decode()}: {type(error).__name__}"] += 1
            time.sleep(pause)


def words(*pieces, pause=0.0, waits=True):
    """Somebody who says this, piece by piece, and then waits for the end of it."""
    def rude(port, until):
        stream = connect(port)
        try:
            stream.settimeout(max(0.1, min(8, until - time.monotonic())))
            for piece in pieces:
                stream.sendall(piece)
                time.sleep(pause)
            while waits and stream.recv(65536):
                pass
        finally:
            stream.close()
    return rude


def endless(first, piece, reads=True):
    def rude(port, until):
        stream = connect(port)
        try:
            stream.settimeout(0.5)
            stream.sendall(first)
            last = min(until, time.monotonic() + 5)
            while time.monotonic() < last:
                stream.sendall(piece)
        finally:
            if reads:
                stream.close()
            else:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                stream.close()
    return rude


HEAD = b"GET /bytes/70000 HTTP/1.1\r\nhost: shop.test\r\n"
POST = b"POST / HTTP/1.1\r\nhost: shop.test\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
# Over HTTP/1.1, or in no language at all. Those of HTTP/2 are in `attacks`.
RUDE = {
    "says nothing": words(),
    "half a head": words(HEAD),
    "a head a byte at a time": words(*(HEAD[at:at + 1] for at in range(len(HEAD))), pause=0.1),
    "a head without end": endless(HEAD + b"x: ", b"y" * 8192),
    "fields without end": endless(HEAD, b"x: y\r\n" * 500),
    "half a body": words(POST + b"content-length: 99999\r\n\r\nabc"),
    "a body a byte at a time": words(POST + b"content-length: 50\r\n\r\n", *[b"x"] * 50, pause=0.1),
    "tiny chunks": endless(CHUNKED, b"1\r\nx\r\n" * 1000),
    "extensions without end": endless(CHUNKED, b"1;a=b\r\nx\r\n" * 1000),
    "one extension without end": endless(CHUNKED + b"1;a=", b"b" * 8192),
    "trailers without end": endless(CHUNKED + b"0\r\n", b"x: y\r\n" * 500),
    "pipelines and reads nothing": endless(b"", (HEAD + b"\r\n") * 50, reads=False),
    "asks and goes": words(HEAD + b"\r\n", waits=False),
    "asks and closes its half": words(HEAD + b"connection: close\r\n\r\n"),
    "two lengths": words(POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!"),
    "a length and chunks": words(POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    "noise": lambda port, until: words(os.urandom(4000))(port, until),
}


def hello(mesh):
    """A handshake that breaks off somewhere."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(mesh.folder / "web" / "cert-chain.pem", mesh.folder / "web" / "key.pem")
    context.set_alpn_protocols(["istio"])

    def rude(port, _):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing)
        left = random.randrange(1, 4000)
        with connect(port) as stream:
            while left > 0:
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    pass
                said = outgoing.read()[:left]
                left -= len(said)
                if not said:
                    break
                stream.sendall(said)
                if left > 0:
                    incoming.write(stream.recv(65536))
            if random.random() < 0.5:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    return rude


class Hostile:
    def __init__(self, mesh):
        self.mesh, self.counted, self.dice = mesh, collections.Counter(), random.Random(os.getpid())

    def broken(self, _port, _until):
        """Asks an endpoint for what it does worst."""
        name = self.dice.choice(list(BREAKS))
        with connect(self.mesh.outbound) as stream:
            stream.settimeout(8)
            stream.sendall(b"GET /%s HTTP/1.1\r\nhost: broken.test\r\nconnection: close\r\n\r\n" % name.encode())
            while stream.recv(65536):
                pass

    def frames(self, port, until):
        _, _, rounds, opening, reads = self.dice.choice(ATTACKS)
        attack(port, rounds, opening, reads, min(until, time.monotonic() + 1), self.counted)

    def go(self, until, pause):
        ports, shake = [self.mesh.outbound, self.mesh.gate], hello(self.mesh)
        while time.monotonic() < until:
            kind = self.dice.choices([self.frames, self.broken, shake, None], [3, 4, 4, 9])[0] or self.dice.choice(list(RUDE.values()))
            try:
                kind(self.mesh.gate if kind is shake else self.dice.choice(ports), until)
            except (OSError, EOFError, ssl.SSLError):
                pass
            self.counted["connections"] += 1
            time.sleep(pause)
