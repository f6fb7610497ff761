#!/usr/bin/env python3
"""A mesh in somebody else's Kubernetes API (kmock), told as it goes: a canary, identities that are renewed, and a drain.

    cargo build --release -p outrigger
    python3 -m pip install kmock==0.8
    conformance/peers/kubernetes/transcript.py [--outrigger PROGRAM] [--page docs/kubernetes.md]

`outrigger control --kubernetes` watches the cluster; a sidecar stands beside a caller and one beside each of two versions of a service. Clients ask all
the time. A VirtualService shifts them from one version to the other; the identities are good for 20 seconds and are renewed meanwhile; then the pod of the
old version drains and leaves. No request may fail. What is printed is what was asked and answered; `--page` puts it into a page, between its marks.

Exit code 0: so it went; 1: not so.
"""

import argparse
import asyncio
import collections
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import kmock
from kmock._internal import parsing

PATIENCE = 60
LIFETIME = 20
NETWORKING, SECURITY, GATEWAY_API = "networking.istio.io", "security.istio.io", "gateway.networking.k8s.io"
# Group, version, kind, plural, and whether its objects are in namespaces.
RESOURCES = [("", "v1", "Namespace", "namespaces", False), ("", "v1", "Node", "nodes", False)] + [
    (group, version, kind, plural, True) for group, version, kind, plural in [
        ("", "v1", "Service", "services"), ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"), ("", "v1", "Pod", "pods"),
        ("", "v1", "Secret", "secrets"), ("", "v1", "ConfigMap", "configmaps"), ("", "v1", "Event", "events"),
        (NETWORKING, "v1", "DestinationRule", "destinationrules"), (NETWORKING, "v1", "Gateway", "gateways"),
        (NETWORKING, "v1", "ServiceEntry", "serviceentries"), (NETWORKING, "v1", "Sidecar", "sidecars"),
        (NETWORKING, "v1", "VirtualService", "virtualservices"), (NETWORKING, "v1", "WorkloadEntry", "workloadentries"),
        (NETWORKING, "v1alpha3", "EnvoyFilter", "envoyfilters"), (SECURITY, "v1", "AuthorizationPolicy", "authorizationpolicies"),
        (SECURITY, "v1", "PeerAuthentication", "peerauthentications"), (SECURITY, "v1", "RequestAuthentication", "requestauthentications"),
        ("telemetry.istio.io", "v1", "Telemetry", "telemetries"), (GATEWAY_API, "v1", "Gateway", "gateways"),
        (GATEWAY_API, "v1", "HTTPRoute", "httproutes"), (GATEWAY_API, "v1", "GRPCRoute", "grpcroutes"),
        (GATEWAY_API, "v1alpha2", "TCPRoute", "tcproutes"), (GATEWAY_API, "v1", "TLSRoute", "tlsroutes"),
        (GATEWAY_API, "v1beta1", "ReferenceGrant", "referencegrants"), (GATEWAY_API, "v1", "BackendTLSPolicy", "backendtlspolicies")]
] + [(GATEWAY_API, "v1", "GatewayClass", "gatewayclasses", False)]
PODS = {"web": ("127.0.0.10", "v1"), "reviews-v1": ("127.0.0.11", "v1"), "reviews-v2": ("127.0.0.12", "v2")}


def namespaces_too(parse=parsing.parse_path):
    """kmock 0.8 takes `/api/v1/namespaces` for the beginning of a longer path, and fails."""
    def parse_path(path):
        parts = path.strip("/").split("/")
        if parts[:3] == ["api", "v1", "namespaces"] and len(parts) < 5:
            return parsing.ParsedPath("", "v1", "namespaces", None, parts[3] if len(parts) == 4 else None)
        return parse(path)
    parsing.parse_path = parse_path


def free_ports(count):
    import socket
    kept = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in kept]
    for one in kept:
        one.close()
    return ports


def account(pod):
    return pod.split("-")[0]


def token(who):
    return f"{who}-" + 40 * "x"


def document(api_version, kind, name, **more):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "shop", **more.pop("metadata", {})}, **more}


def weights(*of):
    """A VirtualService that gives each version its share."""
    return document(f"{NETWORKING}/v1", "VirtualService", "reviews", spec={"hosts": ["reviews"], "http": [
        {"route": [{"destination": {"host": "reviews", "subset": f"v{at + 1}"}, "weight": weight} for at, weight in enumerate(of)]}]})


def slice_of(pods, port):
    """Who stands behind the service."""
    return document("discovery.k8s.io/v1", "EndpointSlice", "reviews-1", metadata={"labels": {"kubernetes.io/service-name": "reviews"}}, addressType="IPv4",
                    ports=[{"name": "http", "port": port, "protocol": "TCP"}], endpoints=[
                        {"addresses": [PODS[pod][0]], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": pod, "namespace": "shop"}}
                        for pod in pods])


def mesh(port):
    """What is in the cluster before anybody runs."""
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    yield document("v1", "Service", "reviews", spec={"clusterIP": "127.0.0.9", "selector": {"app": "reviews"}, "ports": [
        {"name": "http", "port": 9080, "targetPort": port}]})
    for name, (address, version) in PODS.items():
        labels = {"app": account(name), "version": version, "security.istio.io/tlsMode": "istio"}
        yield document("v1", "Pod", name, metadata={"labels": labels}, spec={"serviceAccountName": account(name)},
                       status={"podIP": address, "podIPs": [{"ip": address}], "phase": "Running"})
    yield slice_of(["reviews-v1", "reviews-v2"], port)
    yield document(f"{NETWORKING}/v1", "DestinationRule", "reviews", spec={"host": "reviews", "subsets": [
        {"name": version, "labels": {"version": version}} for version in ("v1", "v2")]})
    yield document(f"{SECURITY}/v1", "PeerAuthentication", "strict", spec={"mtls": {"mode": "STRICT"}})
    yield document(f"{SECURITY}/v1", "AuthorizationPolicy", "reviews", spec={
        "selector": {"matchLabels": {"app": "reviews"}}, "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/web"]}}]}]})
    yield weights(100, 0)


class Cluster:
    """Objects through the API."""

    def __init__(self, url, session):
        self.url, self.session = url, session

    def path(self, told):
        group, _, version = told["apiVersion"].rpartition("/")
        (plural, namespaced), = [(row[3], row[4]) for row in RESOURCES if row[0] == group and row[2] == told["kind"]]
        within = f"/namespaces/{told['metadata']['namespace']}" if namespaced else ""
        return f"{self.url}/{f'apis/{group}' if group else 'api'}/{version}{within}/{plural}"

    async def make(self, told):
        async with self.session.post(self.path(told), json=told) as answer:
            if answer.status >= 300:
                sys.exit(f"the cluster answers {answer.status}: {await answer.text()}")

    async def change(self, told):
        body = {key: told[key] for key in told if key not in ("apiVersion", "kind", "metadata")}
        merge = {"content-type": "application/merge-patch+json"}
        async with self.session.patch(f"{self.path(told)}/{told['metadata']['name']}", data=json.dumps(body), headers=merge) as answer:
            if answer.status >= 300:
                sys.exit(f"the cluster answers {answer.status}: {await answer.text()}")


    async def delete(self, told):
        async with self.session.delete(f"{self.path(told)}/{told['metadata']['name']}") as answer:
            if answer.status >= 300:
                sys.exit(f"the cluster answers {answer.status}: {await answer.text()}")


async def application(pod):
    """Says which pod it is."""
    answer = f"HTTP/1.1 200 OK\r\ncontent-length: {len(pod)}\r\n\r\n{pod}".encode()

    async def serve(reader, writer):
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                await writer.drain()
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    return server, server.sockets[0].getsockname()[1]


class Transcript:
    """What is printed, and kept for a page."""

    def __init__(self):
        self.lines = []

    def say(self, line=""):
        print(line, flush=True)
        self.lines.append(line)

    def asked(self, command, answer):
        self.say(f"$ {command}")
        for line in answer.rstrip("\n").split("\n"):
            self.say(line)
        self.say()


class Stage:
    """The processes, and who asks them."""

    def __init__(self, program, folder, cluster, transcript):
        self.program, self.folder, self.cluster, self.transcript = program, folder, cluster, transcript
        self.log = open(folder / "log", "w")
        self.processes, self.admin, self.outbound = {}, {}, None
        self.told, self.last = collections.Counter(), collections.deque(maxlen=200)
        tokens = folder / "tokens"
        lines = [f"{hashlib.sha256(token(who).encode()).hexdigest()} shop/{who}" for who in sorted({account(pod) for pod in PODS})]
        tokens.write_text("\n".join(lines) + "\n")
        for who in {account(pod) for pod in PODS}:
            (folder / f"{who}.token").write_text(token(who))

    async def start(self, name, *arguments):
        self.processes[name] = await asyncio.create_subprocess_exec(self.program, *map(str, arguments), stderr=self.log, stdout=subprocess.DEVNULL)

    async def control(self):
        self.secure, self.admin["control"] = free_ports(2)
        await self.start("control", "control", f"--kubernetes={self.cluster.url}", "--plain", "127.0.0.1:0", "--listen", f"127.0.0.1:{self.secure}",
                         "--service", "localhost", "--ca", self.folder / "ca", "--tokens", self.folder / "tokens",
                         "--admin", f"127.0.0.1:{self.admin['control']}")
        await self.until("control has the mesh", lambda: self.ask("control", "/ready"), "200 OK")

    async def sidecar(self, pod, inbound):
        port, self.admin[pod] = free_ports(2)
        if not inbound:
            self.outbound = port
        at = f"localhost:{self.secure}"
        _, version = PODS[pod]
        await self.start(pod, "run", "--workers", "1", "--workload-name", pod, "--namespace", "shop", "--service-account", account(pod),
                         "--label", f"app={account(pod)}", "--label", f"version={version}", "--xds", at, "--ca", at, "--ca-roots", self.folder / "ca/root-cert.pem",
                         "--token", self.folder / f"{account(pod)}.token", "--certificate-lifetime", f"{LIFETIME}s", "--outbound", f"127.0.0.1:{port}",
                         "--admin", f"127.0.0.1:{self.admin[pod]}", *inbound)
        await self.until(f"{pod} is ready", lambda: self.ask(pod, "/ready"), "200 OK")

    async def ask(self, who, path):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.admin[who])
        writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        whole = await reader.read()
        writer.close()
        return whole.decode(errors="replace")

    async def until(self, what, told, wanted):
        """Until what is told has this in it, or is so."""
        is_so = wanted if callable(wanted) else lambda page: wanted in page
        until = time.monotonic() + PATIENCE
        page = ""
        while time.monotonic() < until:
            try:
                page = await told()
                if is_so(page):
                    return page
            except OSError:
                pass
            await asyncio.sleep(0.05)
        print((self.folder / "log").read_text()[-4000:], file=sys.stderr)
        sys.exit(f"it did not come to this: {what}; last told: {page}")

    async def visitor(self):
        """Asks for the service, one request after the other, until it is cancelled."""
        reader = writer = None
        while True:
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.outbound)
                writer.write(b"GET /0 HTTP/1.1\r\nhost: reviews:9080\r\n\r\n")
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
                body = (await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))).decode()
                answer = body if b" 200 " in head.split(b"\r\n")[0] else f"{head.split(b' ', 2)[1].decode()} {body}"
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
                answer, writer = type(error).__name__, None
            self.told[answer] += 1
            self.last.append(answer)
            await asyncio.sleep(0.01)

    async def shares(self, wanted):
        """Until the last 200 requests are as the weights say, within what chance does, and who answered them."""
        async def told():
            return collections.Counter(self.last)
        self.last.clear()
        return await self.until(f"shares of {wanted}", told, lambda count: len(self.last) == 200 and all(
            abs(count[pod] - 200 * share) <= 25 * (0 < share < 1) for pod, share in wanted.items()))

    def end(self):
        for process in self.processes.values():
            if process.returncode is None:
                process.kill()
        self.log.close()


def by(count):
    return ", ".join(f"{name} {number}" for name, number in sorted(count.items()))


async def certificate(stage, pod):
    """The serial number and the end of what it shows."""
    page = json.loads((await stage.ask(pod, "/certs")).split("\r\n\r\n", 1)[1])
    chain = page["certificates"][0]["cert_chain"][0]
    return chain["serial_number"], chain["expiration_time"]


def weights_in(page):
    """The weight of each version in the caller's only rule."""
    hosts = json.loads(page.split("\r\n\r\n", 1)[1])["virtual_hosts"]
    return {to["cluster"].split("|")[2]: to["weight"] for host in hosts for rule in host["rules"] for to in rule["action"]["forward"]["destinations"]}


async def canary(stage):
    say = stage.transcript.say
    for name, rule, wanted in [("all to v1", None, {"reviews-v1": 1, "reviews-v2": 0}),
                               ("a canary", weights(80, 20), {"reviews-v1": 0.8, "reviews-v2": 0.2}),
                               ("all to v2", weights(0, 100), {"reviews-v1": 0, "reviews-v2": 1})]:
        if rule:
            shares = [route["weight"] for route in rule["spec"]["http"][0]["route"]]
            say(f"# VirtualService reviews: v1 {shares[0]}, v2 {shares[1]}")
            begun = time.monotonic()
            await stage.cluster.change(rule)
            wanted_weights = {f"v{at + 1}": weight for at, weight in enumerate(shares) if weight}
            await stage.until("the rule is there", lambda: stage.ask("web", "/config_dump"), lambda page: weights_in(page) == wanted_weights)
            say(f"# the caller's sidecar had it after {1000 * (time.monotonic() - begun):.0f} ms")
        stage.transcript.asked(f"200 requests to http://reviews:9080/0  # {name}", by(await stage.shares(wanted)))


async def rotation(stage):
    say = stage.transcript.say
    before = {pod: await certificate(stage, pod) for pod in PODS}
    say(f"# identities are good for {LIFETIME} s; each is renewed at half of that")
    for pod, (serial, end) in before.items():
        say(f"{pod:11} {serial[-12:]} until {end}")
    for pod, (serial, _) in before.items():
        async def told(pod=pod):
            return await certificate(stage, pod)
        now = await stage.until(f"{pod} has another certificate", told, lambda one, serial=serial: one[0] != serial)
        say(f"{pod:11} {now[0][-12:]} until {now[1]}  # renewed")
    # Longer than the first ones were good for: whoever still showed one would be refused.
    until = time.monotonic() + LIFETIME
    while time.monotonic() < until:
        await asyncio.sleep(0.2)
    say(f"# and {LIFETIME} s later: {sum(stage.told.values())} requests so far, by {by(stage.told)}")
    say()


async def drain(stage, port):
    """As Kubernetes ends a pod: it leaves the service while its preStop hook runs, then it gets SIGTERM."""
    stage.transcript.say("# the VirtualService is deleted")
    await stage.cluster.delete(weights())
    stage.transcript.asked("200 requests to http://reviews:9080/0  # whoever is there", by(await stage.shares({"reviews-v1": 0.5, "reviews-v2": 0.5})))
    stage.transcript.say("# the pod of v1 ends: it leaves the EndpointSlice while its preStop hook drains it, as Kubernetes does both at once")
    await stage.cluster.change(slice_of(["reviews-v2"], port))
    process = await asyncio.create_subprocess_exec(stage.program, "drain", "--admin", f"127.0.0.1:{stage.admin['reviews-v1']}", stdout=subprocess.PIPE,
                                                   stderr=subprocess.STDOUT)
    told, _ = await process.communicate()
    stage.transcript.asked("outrigger drain", f"{told.decode().strip()}\nexit code {process.returncode}".strip())
    stage.processes["reviews-v1"].terminate()
    code = await asyncio.wait_for(stage.processes["reviews-v1"].wait(), PATIENCE)
    stage.transcript.say(f"# SIGTERM: it ended with {code}")
    stage.transcript.asked("200 requests to http://reviews:9080/0", by(await stage.shares({"reviews-v1": 0, "reviews-v2": 1})))
    return process.returncode == 0 and code == 0


async def play(program, folder, transcript):
    handler = kmock.KubernetesEmulator()
    for group, version, kind, plural, namespaced in RESOURCES:
        handler.resources[kmock.resource(group, version, plural)] = {
            "kind": kind, "singular": kind.lower(), "namespaced": namespaced, "verbs": ["list", "watch", "get", "create", "patch", "delete"],
            "subresources": ["status"], "shortnames": [], "categories": []}
    port, = free_ports(1)
    async with kmock.Server(handler) as server, aiohttp.ClientSession() as session:
        cluster = Cluster(str(server.url).rstrip("/"), session)
        for told in mesh(port):
            await cluster.make(told)
        stage = Stage(program, folder, cluster, transcript)
        visitors = []
        try:
            await stage.control()
            transcript.say("$ outrigger control --kubernetes=… --listen … --ca ca --tokens tokens   # watches kmock")
            for pod in PODS:
                serving = [] if pod == "web" else ["--inbound", f"{PODS[pod][0]}:{port}=127.0.0.1:{(await application(pod))[1]}"]
                await stage.sidecar(pod, serving)
                transcript.say(f"$ outrigger run --xds … --ca … --namespace shop --service-account {account(pod)}   # beside {pod}")
            transcript.say()
            page = await stage.until("control knows three", lambda: stage.ask("control", "/clients"), lambda page: all(pod in page for pod in PODS))
            clients = json.loads(page.split("\r\n\r\n", 1)[1])
            transcript.asked("curl 127.0.0.1:15014/clients   # in short", "\n".join(sorted(json.dumps(client) for client in clients["clients"])))
            visitors = [asyncio.create_task(stage.visitor()) for _ in range(8)]
            await canary(stage)
            await rotation(stage)
            well = await drain(stage, port)
            failed = {answer: count for answer, count in stage.told.items() if answer not in PODS}
            transcript.say(f"# {sum(stage.told.values())} requests in all, by {by(stage.told)}; failed: {sum(failed.values()) or 'none'}")
            return well and not failed
        finally:
            for visitor in visitors:
                visitor.cancel()
            stage.end()


def main():
    root = Path(__file__).resolve().parents[3]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outrigger", default=str(root / "target/release/outrigger"))
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    namespaces_too()
    folder, transcript = Path(tempfile.mkdtemp(prefix="outrigger-transcript-")), Transcript()
    try:
        well = asyncio.run(play(arguments.outrigger, folder, transcript))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if well and arguments.page:
        begin, end = "<!-- transcript: by conformance/peers/kubernetes/transcript.py -->", "<!-- transcript: end -->"
        text = arguments.page.read_text()
        before, rest = text.split(begin)
        arguments.page.write_text(before + begin + "\n\n```console\n" + "\n".join(transcript.lines).rstrip() + "\n```\n\n" + end + rest.split(end)[1])
    sys.exit(0 if well else 1)


main()
