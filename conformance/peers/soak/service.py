"""Services behind the sidecars: one that keeps its word, and one that breaks it in every way that it is asked for."""

import collections
import os
import socket
import struct
import threading
import time

RESET = struct.pack("ii", 1, 0)
# How a body of any length looks, so that whoever gets it can tell whether it is the one that he asked for.
PATTERN = bytes(range(97, 123)) * 4096
REMEMBERED = 4096


def body_of(length):
    return PATTERN[:length]


class Reader:
    """What a peer says, piece by piece."""

    def __init__(self, stream):
        self.stream, self.buffer = stream, b""

    def more(self):
        piece = self.stream.recv(65536)
        if not piece:
            raise EOFError
        self.buffer += piece

    def until(self, mark):
        while mark not in self.buffer:
            self.more()
        said, self.buffer = self.buffer.split(mark, 1)
        return said

    def exactly(self, length):
        while len(self.buffer) < length:
            self.more()
        said, self.buffer = self.buffer[:length], self.buffer[length:]
        return said

    def message(self):
        """The first line, the fields, and the body."""
        line, *lines = self.until(b"\r\n\r\n").split(b"\r\n")
        fields = {name.lower(): value.strip() for name, value in (one.split(b":", 1) for one in lines)}
        if fields.get(b"transfer-encoding") == b"chunked":
            body = b""
            while length := int(self.until(b"\r\n").split(b";")[0], 16):
                body += self.exactly(length + 2)[:-2]
            while self.until(b"\r\n"):
                pass
            return line, fields, body
        return line, fields, self.exactly(int(fields.get(b"content-length", b"0")))


class Good:
    """`/bytes/N` gives N bytes, with their length said or in chunks; a POST comes back; `/flaky/ID` fails once; an upgrade echoes."""

    def __init__(self):
        self.failed, self.lock = collections.OrderedDict(), threading.Lock()

    def fails(self, key):
        with self.lock:
            if self.failed.pop(key, None):
                return False
            self.failed[key] = True
            if len(self.failed) > REMEMBERED:
                self.failed.popitem(last=False)
            return True

    def answer(self, stream):
        reader = Reader(stream)
        while True:
            line, fields, body = reader.message()
            path = line.split()[1]
            if fields.get(b"upgrade"):
                stream.sendall(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n" + reader.buffer)
                while piece := stream.recv(65536):
                    stream.sendall(piece)
                return
            if path.startswith(b"/flaky/") and self.fails(path):
                stream.sendall(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
                continue
            if path.startswith(b"/bytes/"):
                body = body_of(int(path.rsplit(b"/", 1)[1]))
            if path.startswith(b"/bytes/chunked/"):
                pieces = [body[at:at + 5000] for at in range(0, len(body), 5000)]
                chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
                stream.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\nx-check: whole\r\n\r\n")
            else:
                stream.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"


def pour(stream, piece):
    while True:
        stream.sendall(piece)


def drip(stream, text):
    for at in range(len(text)):
        stream.sendall(text[at:at + 1])
        time.sleep(0.05)


def reset(stream):
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


# What an endpoint does when it is asked for `/NAME`, instead of an answer.
BREAKS = {
    "reset": reset,
    "close": lambda stream: None,
    "head": lambda stream: stream.sendall(HEAD[:20]),
    "body": lambda stream: stream.sendall(HEAD + b"x" * 999),
    "cut": lambda stream: (stream.sendall(HEAD + b"x" * 999), reset(stream)),
    "garbage": lambda stream: stream.sendall(os.urandom(4000)),
    "stall": lambda stream: stream.recv(1),
    "half": lambda stream: (stream.sendall(HEAD + b"x" * 999), stream.recv(1)),
    "drip": lambda stream: drip(stream, HEAD),
    "interim": lambda stream: pour(stream, b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 100),
    "fields": lambda stream: (stream.sendall(HEAD[:-2]), pour(stream, b"x: y\r\n" * 1000)),
    "field": lambda stream: (stream.sendall(HEAD[:-2] + b"x: "), pour(stream, b"y" * 8192)),
    "extensions": lambda stream: (stream.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"), pour(stream, b"1;a=b\r\nx\r\n" * 500)),
    "trailers": lambda stream: (stream.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"), pour(stream, b"x: y\r\n" * 500)),
    "twice": lambda stream: stream.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" * 2),
}


class Broken:
    @staticmethod
    def answer(stream):
        line, _, _ = Reader(stream).message()
        BREAKS[line.split()[1].decode().strip("/")](stream)


def serve(listener, service):
    """Until this process ends."""
    def one(stream):
        try:
            service.answer(stream)
        except (OSError, EOFError, LookupError, ValueError):
            pass
        finally:
            stream.close()

    while True:
        stream, _ = listener.accept()
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=one, args=(stream,), daemon=True).start()
