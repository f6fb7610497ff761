"""A mesh of files, a control plane that serves it, and what both peers do alike."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path


def free_ports(count):
    kept = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in kept]
    for one in kept:
        one.close()
    return ports


def document(kind, name, spec):
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": name, "namespace": "mesh"}, "spec": spec}


def service(host, endpoints, protocol="HTTP"):
    """Endpoints as ServiceEntries have them."""
    return document("ServiceEntry", host.replace(".", "-"), {
        "hosts": [host], "location": "MESH_INTERNAL", "resolution": "STATIC",
        "ports": [{"number": 80, "name": protocol.lower(), "protocol": protocol}], "endpoints": endpoints})


class Mesh:
    """A folder, and `outrigger control` that reads it."""

    def __init__(self, program, folder):
        self.program, self.folder = program, Path(folder)
        self.port, self.admin = free_ports(2)
        self.files = self.folder / "mesh"
        self.files.mkdir()
        self.log = open(self.folder / "control.log", "w")
        self.control = None

    def start(self):
        self.control = subprocess.Popen([self.program, "control", "--config", self.files, "--plain", f"127.0.0.1:{self.port}",
                                         "--admin", f"127.0.0.1:{self.admin}"], stderr=self.log)
        until("the control plane listens", lambda: socket.create_connection(("127.0.0.1", self.port)).close() is None)

    def kill(self):
        self.control.kill()
        self.control.wait()

    def write(self, name, *documents):
        new = self.files / f".{name}"
        new.write_text("\n---\n".join(json.dumps(one) for one in documents))
        new.rename(self.files / f"{name}.json")

    def remove(self, name):
        (self.files / f"{name}.json").unlink()

    def said(self):
        """What the control plane has written so far."""
        return (self.folder / "control.log").read_text()

    def end(self):
        if self.control:
            self.kill()


def until(what, look, want=None, patience=30):
    """Looks until that is true, or what is wanted; says what was seen last where it never is."""
    begun, seen = time.monotonic(), None
    while time.monotonic() - begun < patience:
        try:
            seen = look()
        except OSError as error:
            seen = error
        if seen == want if want is not None else seen is True:
            return
        time.sleep(0.02)
    sys.exit(f"it did not come to this: {what}; seen last: {seen}; wanted: {want}")
