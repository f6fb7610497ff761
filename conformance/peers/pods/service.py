"""A service that knows of no proxy: answers with its name, and with what those say whom it asks by name.

service.py NAME PORT [URL]...

What a visitor's browser is, and who is signed in, is handed on as the tutorial's services and bookinfo do it.
"""

import socketserver
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler

NAME, PORT, OTHERS = sys.argv[1], int(sys.argv[2]), sys.argv[3:]


def ask(url, given):
    """What is said at a URL, or why nothing is."""
    request = urllib.request.Request(url)
    request.add_header("baggage-user-agent", given.get("baggage-user-agent") or given.get("user-agent") or "")
    if given.get("end-user"):
        request.add_header("end-user", given["end-user"])
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return f"({error.code})"
    except OSError as error:
        return f"({error})"


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        said = [ask(url, self.headers) for url in OTHERS]
        body = " ".join([NAME] + [f"[{one}]" for one in said]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


Server(("0.0.0.0", PORT), Service).serve_forever()
