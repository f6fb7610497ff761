"""Talks to an echo over websockets, by HTTP/2 (RFC 8441) or HTTP/1.1: one line each, `ok NAME` or what was wrong."""

import base64
import os
import socket
import sys

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

CONNECT_PROTOCOL = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL


class Upgraded:
    """A websocket that has a connection of HTTP/1.1 to itself."""

    def __init__(self, port):
        self.peer = socket.create_connection(("127.0.0.1", port), timeout=20)
        key = base64.b64encode(os.urandom(16)).decode()
        self.peer.sendall(
            f"GET /chat HTTP/1.1\r\nhost: shop.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.peer.recv(1) or exit("the connection ended before an answer")
        assert head.startswith(b"HTTP/1.1 101 "), head

    def send(self, data):
        self.peer.sendall(data)

    def receive(self):
        return self.peer.recv(65536)


class Multiplexed:
    """A connection of HTTP/2 with websockets as its streams."""

    def __init__(self, port):
        self.peer = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.connection.initiate_connection()
        self.flush()
        self.received, self.answers, self.ended = {}, {}, set()
        while not self.connection.remote_settings.get(CONNECT_PROTOCOL):
            self.read()

    def flush(self):
        self.peer.sendall(self.connection.data_to_send())

    def read(self):
        data = self.peer.recv(65536)
        assert data, "the connection ended"
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                self.answers[event.stream_id] = dict(event.headers)[":status"]
            elif isinstance(event, h2.events.DataReceived):
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.received[event.stream_id] = self.received.get(event.stream_id, b"") + event.data
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                self.ended.add(event.stream_id)
        self.flush()


class Stream:
    """A websocket that is a stream of a connection of HTTP/2."""

    def __init__(self, port, of=None):
        self.of = of or Multiplexed(port)
        self.id = self.of.connection.get_next_available_stream_id()
        fields = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":path", "/chat"),
            (":authority", "shop.test"),
            ("sec-websocket-version", "13"),
        ]
        self.of.connection.send_headers(self.id, fields)
        self.of.flush()
        while self.id not in self.of.answers:
            assert self.id not in self.of.ended, "the stream was reset"
            self.of.read()
        assert self.of.answers[self.id] == "200", self.of.answers[self.id]

    def send(self, data):
        while data:
            room = min(self.of.connection.local_flow_control_window(self.id), 16384)
            if room > 0:
                self.of.connection.send_data(self.id, data[:room])
                data = data[room:]
                self.of.flush()
            else:
                self.of.read()

    def receive(self):
        while not self.of.received.get(self.id):
            if self.id in self.of.ended:
                return b""
            self.of.read()
        return self.of.received.pop(self.id)


class Websocket:
    """Messages on either."""

    def __init__(self, carrier):
        self.carrier, self.frames, self.events = carrier, Connection(ConnectionType.CLIENT), []

    def send(self, event):
        self.carrier.send(self.frames.send(event))

    def next(self):
        while not self.events:
            data = self.carrier.receive()
            self.frames.receive_data(data or None)
            self.events = list(self.frames.events())
        return self.events.pop(0)

    def message(self, kind):
        """A whole message, however it was cut."""
        pieces = []
        while True:
            event = self.next()
            assert isinstance(event, kind), event
            pieces.append(event.data)
            if event.message_finished:
                return pieces[0][:0].join(pieces)

    def close(self):
        self.send(CloseConnection(code=1000))
        event = self.next()
        assert isinstance(event, CloseConnection) and event.code == 1000, event


def text(open_one):
    one = Websocket(open_one())
    for words in ["a", "ä" * 1000]:
        one.send(TextMessage(data=words))
        assert one.message(TextMessage) == words
    one.close()


def large(open_one):
    one, data = Websocket(open_one()), os.urandom(1 << 20)
    # A piece at a time, or both ends would wait to be read.
    for at in range(0, len(data), 32768):
        one.send(BytesMessage(data=data[at : at + 32768]))
        assert one.message(BytesMessage) == data[at : at + 32768]
    one.close()


def ping(open_one):
    one = Websocket(open_one())
    one.send(Ping(payload=b"there?"))
    event = one.next()
    assert isinstance(event, Pong) and event.payload == b"there?", event
    one.close()


def many(open_one):
    all_of = [Websocket(open_one()) for _ in range(20)]
    for number, one in enumerate(all_of):
        one.send(TextMessage(data=str(number)))
    for number, one in reversed(list(enumerate(all_of))):
        assert one.message(TextMessage) == str(number)
    for one in all_of:
        one.close()


def main(version, port):
    for case in (text, large, ping, many):
        name = f"{version} {case.__name__}"
        try:
            shared = Multiplexed(port) if version == "http2" else None
            case(lambda: Stream(port, shared) if shared else Upgraded(port))
            print("ok", name, flush=True)
        except (AssertionError, OSError, h2.exceptions.ProtocolError) as error:
            print(f"{name}: {type(error).__name__} {error}", flush=True)


main(sys.argv[1], int(sys.argv[2]))
