"""Echoes websockets: by an upgrade of HTTP/1.1, or by extended CONNECT of HTTP/2 (RFC 8441)."""

import base64
import hashlib
import socket
import sys
import threading

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import wsproto
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Echo:
    """What is said on one websocket."""

    def __init__(self):
        self.frames = Connection(ConnectionType.SERVER)

    def answer(self, data):
        """What goes back, and whether that was the end."""
        self.frames.receive_data(data)
        out, is_over = [], False
        for event in self.frames.events():
            if isinstance(event, (TextMessage, BytesMessage)):
                kind = type(event)
                out.append(self.frames.send(kind(data=event.data, message_finished=event.message_finished)))
            elif isinstance(event, (Ping, CloseConnection)):
                out.append(self.frames.send(event.response()))
                is_over = isinstance(event, CloseConnection)
        return b"".join(out), is_over


def http1(peer):
    head = b""
    while b"\r\n\r\n" not in head:
        head += peer.recv(65536)
    head, rest = head.split(b"\r\n\r\n", 1)
    fields = dict((name.lower(), value) for name, value in (line.split(b":", 1) for line in head.split(b"\r\n")[1:]))
    if not (key := fields.get(b"sec-websocket-key", b"").strip()):
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        return
    accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest())
    peer.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: " + accept + b"\r\n\r\n"
    )
    echo, is_over = Echo(), False
    while not is_over:
        data = rest or peer.recv(65536)
        rest = b""
        if not data:
            return
        out, is_over = echo.answer(data)
        peer.sendall(out)


def http2(peer):
    config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
    connection = h2.connection.H2Connection(config)
    connection.initiate_connection()
    connection.update_settings({h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
    peer.sendall(connection.data_to_send())
    echoes, waiting, over = {}, {}, set()

    def send(stream):
        """As much of what waits as there is credit for."""
        while waiting[stream] and (room := min(connection.local_flow_control_window(stream), 16384)) > 0:
            connection.send_data(stream, waiting[stream][:room])
            waiting[stream] = waiting[stream][room:]
        if not waiting[stream] and stream in over:
            connection.end_stream(stream)
            del waiting[stream], echoes[stream]

    while data := peer.recv(65536):
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                fields = dict(event.headers)
                if (fields[":method"], fields.get(":protocol")) == ("CONNECT", "websocket"):
                    echoes[event.stream_id], waiting[event.stream_id] = Echo(), b""
                    connection.send_headers(event.stream_id, [(":status", "200")])
                else:
                    connection.send_headers(event.stream_id, [(":status", "404")], end_stream=True)
            elif isinstance(event, h2.events.DataReceived) and event.stream_id in echoes:
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                out, is_over = echoes[event.stream_id].answer(event.data)
                waiting[event.stream_id] += out
                if is_over:
                    over.add(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                echoes.pop(event.stream_id, None)
                waiting.pop(event.stream_id, None)
        for stream in list(waiting):
            send(stream)
        peer.sendall(connection.data_to_send())


def serve(talk, peer):
    try:
        talk(peer)
    except (OSError, wsproto.utilities.ProtocolError) as error:
        print(error, flush=True)
    finally:
        peer.close()


listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
while True:
    accepted, _ = listener.accept()
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=serve, args=({"http1": http1, "http2": http2}[sys.argv[1]], accepted), daemon=True).start()
