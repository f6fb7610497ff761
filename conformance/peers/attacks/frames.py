"""HTTP/2 by hand: frames that keep to no rule, and what a peer says to them."""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
CODES = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
         "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"]
# The entries of the static table (RFC 7541, appendix A) that answers of small services use for `:status`.
STATUS = {8: "200", 9: "204", 10: "206", 11: "304", 12: "400", 13: "404", 14: "500"}


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def integer(value, bits, first=0):
    """RFC 7541 §5.1."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = [first | most], value - most
    while value > 127:
        out.append(128 | value & 127)
        value >>= 7
    return bytes(out + [value])


def field(name, value):
    """A literal that nobody remembers, without Huffman."""
    return b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value


def get(authority, path=b"/", method=b"GET"):
    return b"".join(field(*pair) for pair in (
        (b":method", method), (b":scheme", b"http"), (b":authority", authority), (b":path", path)))


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def update(stream, credit):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", credit))


def reset(stream, code=8):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def split(buffer):
    """The whole frames in a buffer: kind, flags, stream, payload; and what is left."""
    frames, at = [], 0
    while len(buffer) - at >= 9:
        length = int.from_bytes(buffer[at:at + 3], "big")
        if len(buffer) - at < 9 + length:
            break
        kind, flags, stream = buffer[at + 3], buffer[at + 4], int.from_bytes(buffer[at + 5:at + 9], "big")
        frames.append((kind, flags, stream & 0x7FFFFFFF, buffer[at + 9:at + 9 + length]))
        at += 9 + length
    return frames, buffer[at:]


def name(kind, flags, payload):
    """What is worth telling of a frame: `GOAWAY ENHANCE_YOUR_CALM`, `RST_STREAM CANCEL`, `200`."""
    if kind in (GOAWAY, RST_STREAM):
        code = int.from_bytes(payload[4:8] if kind == GOAWAY else payload[:4], "big")
        return f"{'GOAWAY' if kind == GOAWAY else 'RST_STREAM'} {CODES[code] if code < len(CODES) else code}"
    if kind == HEADERS and payload and payload[0] & 0x80:
        return STATUS.get(payload[0] & 0x7F)
    if kind == HEADERS and len(payload) > 5 and payload[0] & 0x0F == 8:
        # `:status` by the name of an entry and a value of its own, Huffman or not.
        return "another status"
    return None


class Peer:
    """One connection of an attacker."""

    def __init__(self, port, opening=(), reads=True):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.reads, self.buffer, self.said, self.is_over = reads, b"", [], False
        if not reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.send(PREFACE + settings(*opening))

    def send(self, data):
        """Whether all of it could be sent; a peer that takes no more for half a second is let be."""
        try:
            self.socket.settimeout(0.5)
            self.socket.sendall(data)
            return True
        except TimeoutError:
            return False
        except OSError:
            self.drain(0.2)
            self.is_over = True
            return False

    def drain(self, seconds=0.0):
        """Takes what has come."""
        try:
            self.socket.settimeout(seconds or 0.000001)
            while data := self.socket.recv(65536):
                frames, self.buffer = split(self.buffer + data)
                for kind, flags, _, payload in frames:
                    if (told := name(kind, flags, payload)) is not None:
                        self.said.append(told)
                    if kind == SETTINGS and not flags & ACK:
                        self.socket.sendall(frame(SETTINGS, ACK, 0))
            self.is_over = True
        except (TimeoutError, BlockingIOError):
            pass
        except OSError:
            self.is_over = True

    def close(self):
        self.drain(0.1)
        self.socket.close()
