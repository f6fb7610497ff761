#!/usr/bin/env python3
"""Somebody else's reading of Kubernetes' API (kmock, https://kmock.readthedocs.io) against our watch of it.

    cargo build -p outrigger-kubernetes --example told
    python3 -m pip install kmock==0.8
    conformance/peers/kubernetes/play.py [--told PROGRAM]

A cluster has a kind in another version than ours, others not at all, and objects before anybody listens. They are told; then objects are made, changed and
deleted through the API, and each change has to be told. kmock answers 500, and shows where it came from, for a group that it has not; those kinds are
asked for again and again meanwhile.

Exit code 0: all was told; 1: not so.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

import aiohttp
import kmock

PATIENCE = 20

RESOURCES = [
    ("", "v1", "Namespace", "namespaces", False),
    ("", "v1", "Service", "services", True),
    ("", "v1", "Pod", "pods", True),
    ("networking.istio.io", "v1beta1", "VirtualService", "virtualservices", True),
    ("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", True),
]


def rule(name, host):
    return {"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService",
            "metadata": {"name": name, "namespace": "shop"}, "spec": {"hosts": [host]}}


class Told:
    """What the program prints."""

    def __init__(self, process):
        self.process = process
        self.lines = []

    async def until(self, what, is_it):
        async def read():
            while not any(is_it(line) for line in self.lines):
                line = await self.process.stdout.readline()
                if not line:
                    raise SystemExit(f"the program ended before: {what}")
                self.lines.append(line.decode())
        try:
            await asyncio.wait_for(read(), PATIENCE)
        except asyncio.TimeoutError:
            print("".join(self.lines), file=sys.stderr)
            raise SystemExit(f"never told: {what}") from None
        print(f"told: {what}")


async def asked(request):
    async with request as answer:
        if answer.status >= 300:
            raise SystemExit(f"the cluster answers {answer.status}: {await answer.text()}")


async def play(program):
    handler = kmock.KubernetesEmulator()
    for group, version, kind, plural, namespaced in RESOURCES:
        handler.resources[kmock.resource(group, version, plural)] = {
            "kind": kind, "singular": kind.lower(), "namespaced": namespaced,
            "verbs": ["list", "watch", "get", "create", "patch", "delete"], "subresources": [], "shortnames": [], "categories": []}
    async with kmock.Server(handler) as server, aiohttp.ClientSession() as session:
        url = str(server.url).rstrip("/")
        base = f"{url}/apis/networking.istio.io/v1beta1/namespaces/shop/virtualservices"
        await asked(session.post(base, json=rule("before", "a")))
        process = await asyncio.create_subprocess_exec(program, url, stdout=asyncio.subprocess.PIPE, limit=1 << 24)
        told = Told(process)
        of = "networking.istio.io/v1/VirtualService shop"
        try:
            await told.until("what was there, in the version of the cluster", lambda line: f"is {of}/before" in line and "istio.io/v1beta1\"" in line)
            await told.until("that the cluster has none of a kind", lambda line: line == "all networking.istio.io/v1/Sidecar 0\n")
            await asked(session.post(base, json=rule("later", "b")))
            await told.until("one that is new", lambda line: f"is {of}/later" in line and '"hosts":["b"]' in line)
            merge = {"content-type": "application/merge-patch+json"}
            await asked(session.patch(f"{base}/later", data=json.dumps({"spec": {"hosts": ["c"]}}), headers=merge))
            await told.until("one that is another", lambda line: f"is {of}/later" in line and '"hosts":["c"]' in line)
            await asked(session.delete(f"{base}/later"))
            await told.until("one that is gone", lambda line: line == f"gone {of}/later\n")
        finally:
            process.kill()
            await process.wait()


def main():
    root = Path(__file__).resolve().parents[3]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--told", default=str(root / "target/debug/examples/told"))
    asyncio.run(play(parser.parse_args().told))


main()
