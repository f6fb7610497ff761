"""A service in HTTP/1.1: GET gives files of a folder, POST and PUT give the body back, or the file if there is none."""

import http.server
import pathlib
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One write for a head and a small body.
    wbufsize = -1

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        return b"".join(pieces)

    def answer(self, status, body, with_body=True):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self):
        self.body()
        self.file()

    def file(self):
        name = self.path.split("?")[0].lstrip("/") or "index.html"
        file = FILES / name
        found = file.is_file() and file.resolve().parent == FILES.resolve()
        self.answer(200 if found else 404, file.read_bytes() if found else b"", self.command != "HEAD")

    do_HEAD = do_GET

    def do_POST(self):
        body = self.body()
        if body:
            self.answer(200, body)
        else:
            self.file()

    do_PUT = do_POST
    do_OPTIONS = do_POST

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024


FILES = pathlib.Path(sys.argv[2])
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
