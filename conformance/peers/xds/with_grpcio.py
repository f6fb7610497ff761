#!/usr/bin/env python3
"""grpcio without a proxy as a client of `outrigger control`: `xds:///cart.mesh:80` finds its listener, routes, clusters and endpoints there.

    pip install grpcio
    conformance/peers/xds/with_grpcio.py [--outrigger PROGRAM] [--if-installed]

Calls reach all endpoints; one goes and comes; a canary gets its share, and who asks for it by a header gets it always; timeouts and faults hold; a rule
that gRPC cannot follow fails calls instead of going wrong, and the control plane says so; calls go on while there is no control plane. Nothing may be
refused by the client. Exit code 0: so it was; 1: not so; 2: there is no grpcio.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from mesh import Mesh, document, service, until

HERE = Path(__file__).resolve().parent
CALL = "/echo.Echo/Say"
HOST = "cart.mesh"


class Server:
    """Answers with its name, and late where it is asked to."""

    def __init__(self, grpc, name):
        self.name = name
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        handler = grpc.unary_unary_rpc_method_handler(self.say)
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("echo.Echo", {"Say": handler})])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def say(self, request, _):
        if request == b"slowly":
            time.sleep(5)
        return self.name.encode()

    def endpoint(self):
        return {"address": "127.0.0.1", "ports": {"grpc": self.port}, "labels": {"version": self.name[:2]}, "locality": "eu/a"}


def bootstrap(mesh):
    """Where grpcio finds its control plane, and who it is."""
    at = mesh.folder / "bootstrap.json"
    at.write_text(json.dumps({
        "xds_servers": [{"server_uri": f"127.0.0.1:{mesh.port}", "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
        "node": {"id": "sidecar~10.0.0.1~client.mesh~mesh.svc.cluster.local", "metadata": {"GENERATOR": "grpc", "NAMESPACE": "mesh"}}}))
    return str(at)


class Client:
    def __init__(self, grpc):
        self.grpc = grpc
        self.channel = grpc.insecure_channel(f"xds:///{HOST}:80")
        self.call = self.channel.unary_unary(CALL)

    def say(self, text=b"", headers=(), patience=10):
        """Who answered, or which code there was instead."""
        try:
            return self.call(text, metadata=headers, timeout=patience).decode()
        except self.grpc.RpcError as error:
            return error.code().name

    def many(self, count, headers=()):
        return collections.Counter(self.say(headers=headers) for _ in range(count))


def write_endpoints(mesh, servers, balancer="LEAST_REQUEST"):
    mesh.write("cart", service(HOST, [server.endpoint() for server in servers], "GRPC"),
               document("DestinationRule", "cart", {"host": HOST, "trafficPolicy": {"loadBalancer": {"simple": balancer}}, "subsets": [
                   {"name": version, "labels": {"version": version}} for version in ("v1", "v2")]}))


def write_rule(mesh, *http):
    mesh.write("rule", document("VirtualService", "cart", {"hosts": [HOST], "http": list(http)}))


def to(subset=None, weight=None):
    destination = {"host": HOST, **({"subset": subset} if subset else {})}
    return {"destination": destination, **({"weight": weight} if weight else {})}


def endpoints(mesh, client, servers):
    one, other, canary = servers
    until("calls reach all endpoints", lambda: set(client.many(12)), {"v1-one", "v1-other", "v2"})
    write_endpoints(mesh, [one, canary])
    until("an endpoint goes", lambda: set(client.many(12)), {"v1-one", "v2"})
    write_endpoints(mesh, servers, "ROUND_ROBIN")
    until("and comes back", lambda: set(client.many(12)), {"v1-one", "v1-other", "v2"})
    spread = client.many(300)
    if min(spread.values()) < 60:
        sys.exit(f"endpoints have no turns: {spread}")


def canary(mesh, client):
    write_rule(mesh,
               {"match": [{"headers": {"x-canary": {"exact": "yes"}}}], "route": [to("v2")]},
               {"route": [to("v1", 90), to("v2", 10)]})
    until("who asks for the canary gets it", lambda: set(client.many(20, [("x-canary", "yes")])), {"v2"})
    told = client.many(1000)
    share = told.pop("v2", 0)
    if set(told) != {"v1-one", "v1-other"} or not 50 <= share <= 160:
        sys.exit(f"of 1,000 calls a canary of 10 % had {share}, others {told}")
    print(f"of 1,000 calls a canary of 10 % had {share}", flush=True)


def others(mesh, client):
    write_rule(mesh, {"route": [to("v2")], "timeout": "0.3s"})
    until("a timeout holds", lambda: client.say(b"slowly"), "DEADLINE_EXCEEDED")
    fault = {"abort": {"grpcStatus": "PERMISSION_DENIED", "percentage": {"value": 100}}}
    write_rule(mesh, {"match": [{"uri": {"prefix": "/echo.Echo/"}}], "fault": fault, "route": [to()]})
    until("a fault is injected", lambda: client.say(), "PERMISSION_DENIED")
    write_rule(mesh, {"match": [{"uri": {"prefix": "/other.Service/"}}], "route": [to("v2")]}, {"rewrite": {"uri": "/elsewhere"}, "route": [to()]})
    until("what cannot be followed fails", lambda: client.say(), "UNAVAILABLE")
    until("and is told", lambda: "gRPC does not know rewrites" in mesh.said())
    write_rule(mesh, {"route": [to("v3")]})
    until("a subset that is not there fails", lambda: client.say(patience=3) in ("UNAVAILABLE", "DEADLINE_EXCEEDED"))
    mesh.remove("rule")
    until("without the rule all are asked again", lambda: set(client.many(12)), {"v1-one", "v1-other", "v2"})


def play(grpc, arguments, folder):
    mesh = Mesh(arguments.outrigger, folder)
    os.environ["GRPC_XDS_BOOTSTRAP"] = bootstrap(mesh)
    # What it says of a control plane that is killed is as it should be.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    servers = [Server(grpc, name) for name in ("v1-one", "v1-other", "v2")]
    write_endpoints(mesh, servers)
    mesh.start()
    try:
        client = Client(grpc)
        endpoints(mesh, client, servers)
        canary(mesh, client)
        others(mesh, client)
        mesh.kill()
        if set(client.many(60)) != {"v1-one", "v1-other", "v2"}:
            sys.exit("without a control plane calls do not go on")
        mesh.start()
        write_endpoints(mesh, servers[2:])
        until("with a control plane again, changes are followed", lambda: set(client.many(12)), {"v2"}, patience=60)
        if " refused " in mesh.said():
            sys.exit(f"the client refused something:\n{mesh.said()}")
        print("grpcio follows what the files say", flush=True)
    finally:
        client.channel.close()
        for server in servers:
            server.server.stop(None)
        mesh.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outrigger", default=str(HERE / "../../../target/debug/outrigger"))
    parser.add_argument("--if-installed", action="store_true", help="where there is no grpcio, say so and be content")
    arguments = parser.parse_args()
    try:
        import grpc
    except ImportError:
        print("there is no grpcio, left out; pip install grpcio")
        sys.exit(0 if arguments.if_installed else 2)
    with tempfile.TemporaryDirectory(prefix="outrigger-xds-") as folder:
        play(grpc, arguments, folder)


main()
