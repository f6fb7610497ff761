#!/usr/bin/env python3
"""A control plane and the sidecars that run by it, while the endpoints of a mesh come and go: nobody may fail.

    cargo build --release -p outrigger
    conformance/peers/mesh/play.py [--outrigger PROGRAM] [--sidecars 100] [--services 20] [--minutes 1] [--changes 1000] [--rate 300]

Every service has six endpoints, all of which answer all the time, and files say that some of them are there: so many times a minute, those of one service
become others, never none. Clients ask every sidecar for every service meanwhile. What a configuration that stays as it is would have served must be
served. In the middle the control plane is killed and started again; sidecars go on by what they have and come back. At the end every sidecar must
have the endpoints that the files name, by its own `/clusters`, and the control plane no response that was not answered.

Exit code 0: so it was; 1: not so.
"""

import argparse
import asyncio
import collections
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENDPOINTS = 6
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def free_ports(count):
    import socket
    kept = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in kept]
    for one in kept:
        one.close()
    return ports


def addresses(service):
    return [f"127.{10 + service // 200}.{service % 200 + 1}.{at + 1}" for at in range(ENDPOINTS)]


def entry(service, endpoints, port):
    """A service whose endpoints are these."""
    return json.dumps({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": f"svc-{service}", "namespace": "mesh"},
        "spec": {"hosts": [f"svc-{service}.mesh"], "location": "MESH_INTERNAL", "resolution": "STATIC",
                 "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}],
                 "endpoints": [{"address": address} for address in endpoints]}})


def write(folder, service, endpoints, port):
    path = folder / f"svc-{service}.json"
    new = folder / f".svc-{service}"
    new.write_text(entry(service, endpoints, port))
    new.rename(path)


async def application():
    """Answers everybody, at every address of this machine."""
    async def serve(reader, writer):
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(ANSWER)
                await writer.drain()
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "0.0.0.0", 0, backlog=4096)
    return server, server.sockets[0].getsockname()[1]


class Client:
    """One connection to one sidecar, which asks for one service after the other."""

    def __init__(self, port, services, told):
        self.port, self.services, self.told = port, services, told

    async def run(self, pause, until):
        reader = writer = None
        service = random.randrange(self.services)
        while time.monotonic() < until:
            service = (service + 1) % self.services
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(f"GET / HTTP/1.1\r\nhost: svc-{service}.mesh\r\n\r\n".encode())
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
                status = head.split(b" ", 2)[1].decode()
                length = int(re.search(rb"content-length: (\d+)", head)[1])
                body = await reader.readexactly(length)
                self.told[status if status == "200" else f"{status} {body[:60].decode()}"] += 1
                if b"connection: close" in head.lower():
                    writer.close()
                    writer = None
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
                self.told[type(error).__name__] += 1
                writer = None
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))


async def ask(port, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    whole = await reader.read()
    writer.close()
    return whole.decode(errors="replace")


class Mesh:
    def __init__(self, arguments, folder):
        self.arguments, self.folder, self.program = arguments, folder, arguments.outrigger
        self.plain, self.control_admin, *ports = free_ports(2 + 2 * arguments.sidecars)
        self.sidecars = list(zip(ports[::2], ports[1::2]))
        self.processes, self.log = [], open(folder / "log", "w")
        self.control = None
        (folder / "mesh").mkdir()

    def start_control(self):
        self.control = subprocess.Popen([self.program, "control", "--config", self.folder / "mesh", "--plain", f"127.0.0.1:{self.plain}",
                                         "--admin", f"127.0.0.1:{self.control_admin}"], stderr=self.log)

    def start_sidecar(self, number):
        outbound, admin = self.sidecars[number]
        runtime = self.arguments.runtime
        self.processes.append(subprocess.Popen(
            [self.program, "run", "--xds", f"http://127.0.0.1:{self.plain}", "--namespace", "mesh", "--workload-name", f"pod-{number}", "--workers", "1",
             "--outbound", f"127.0.0.1:{outbound}", "--admin", f"127.0.0.1:{admin}", "--runtime", runtime], stdout=subprocess.DEVNULL, stderr=self.log))

    async def until(self, what, is_so, patience=120):
        begun = time.monotonic()
        while True:
            try:
                if await is_so():
                    return time.monotonic() - begun
            except OSError:
                pass
            if time.monotonic() - begun > patience:
                sys.exit(f"it did not come to this: {what}")
            await asyncio.sleep(0.05)

    async def all_ready(self):
        for _, admin in self.sidecars:
            if "200 OK" not in await ask(admin, "/ready"):
                return False
        return True

    async def settled(self):
        page = await ask(self.control_admin, "/stats/prometheus")
        return f"outrigger_control_clients {len(self.sidecars)}\n" in page and "outrigger_control_unanswered 0\n" in page

    async def as_written(self, written, port):
        """Whether every sidecar has the endpoints that the files name."""
        want = {(f"svc-{service}.mesh", f"{address}:{port}") for service, endpoints in written.items() for address in endpoints}
        for _, admin in self.sidecars:
            page = await ask(admin, "/clusters")
            has = set(re.findall(r"outbound\|80\|\|(svc-\d+\.mesh)::([\d.]+:\d+)::cx_active", page))
            if has != want:
                return False
        return True

    def end(self):
        for process in self.processes + [self.control]:
            process.terminate()
        for process in self.processes + [self.control]:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def cpu(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) / 1024


async def churn(mesh, written, port, minutes, changes):
    """Changes of endpoints, evenly; in the middle the control plane is killed and started again."""
    made, until, killed = 0, time.monotonic() + minutes * 60, False
    begun = time.monotonic()
    while time.monotonic() < until:
        if not killed and time.monotonic() - begun > minutes * 30:
            mesh.control.send_signal(signal.SIGKILL)
            mesh.control.wait()
            mesh.start_control()
            killed = True
        service = random.randrange(len(written))
        written[service] = random.sample(addresses(service), random.randint(1, ENDPOINTS))
        write(mesh.folder / "mesh", service, written[service], port)
        made += 1
        await asyncio.sleep(max(0, begun + made * 60 / changes - time.monotonic()))
    return made


async def play(arguments, folder):
    server, port = await application()
    mesh = Mesh(arguments, folder)
    written = {service: addresses(service)[:3] for service in range(arguments.services)}
    for service, endpoints in written.items():
        write(folder / "mesh", service, endpoints, port)
    mesh.start_control()
    try:
        for number in range(arguments.sidecars):
            mesh.start_sidecar(number)
        took = await mesh.until("all sidecars are ready", mesh.all_ready)
        print(f"{arguments.sidecars} sidecars were ready after {took:.1f} s", flush=True)
        told, used = collections.Counter(), sum(cpu(process) for process in mesh.processes)
        until = time.monotonic() + arguments.minutes * 60 + 2
        pause = arguments.sidecars / arguments.rate
        clients = [asyncio.create_task(Client(outbound, arguments.services, told).run(pause, until)) for outbound, _ in mesh.sidecars]
        made = await churn(mesh, written, port, arguments.minutes, arguments.changes)
        await asyncio.gather(*clients)
        used = sum(cpu(process) for process in mesh.processes) - used
        took = await mesh.until("every sidecar has what the files name", lambda: mesh.as_written(written, port))
        await mesh.until("the control plane waits for no answer", mesh.settled)
        sizes = sorted(memory(process) for process in mesh.processes)
        print(f"{made} changes of endpoints, and a control plane that was killed: {told['200']:,} requests were served, others: "
              f"{ {what: count for what, count in told.items() if what != '200'} or 'none'}")
        print(f"all had what the files name {took:.1f} s after the last change; {used / made * 1000 / arguments.sidecars:.2f} ms of CPU a change and sidecar; "
              f"sidecars {sizes[0]:.1f} to {sizes[-1]:.1f} MiB, control plane {memory(mesh.control):.1f} MiB, {cpu(mesh.control):.1f} s of CPU since it was started again")
        return set(told) == {"200"}
    finally:
        mesh.end()
        server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outrigger", default="target/release/outrigger")
    parser.add_argument("--runtime", default="tokio")
    parser.add_argument("--sidecars", type=int, default=100)
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--changes", type=int, default=1000, help="a minute")
    parser.add_argument("--rate", type=float, default=300, help="requests a second, of all clients")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder = Path(tempfile.mkdtemp(prefix="outrigger-mesh-"))
    try:
        well = asyncio.run(play(arguments, folder))
    finally:
        if os.environ.get("MESH_KEEP"):
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if well else 1)


main()
