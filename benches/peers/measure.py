#!/usr/bin/env python3
"""Outrigger beside other proxies: what a request, a byte and a connection costs each of them.

  measure.py                                    a look at everything, some 12 minutes
  measure.py --workloads H,T,I,F --minutes 12   as many rounds as there is time for
  measure.py --workloads H --peers nginx,tokio --rounds 3 --out rounds.jsonl
  measure.py --all --rounds 7 --out rows.jsonl --page docs/performance.md --svg docs/pictures/performance

One proxy runs at a time, alone on a CPU; clients and origin are one thread on another. The proxies take turns in each round, and a
ratio is taken inside a round: its median says more than absolute times. README.md says what the columns are.
"""
import argparse
import json
import os
import platform
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from picture import pictures
from proxies import ORIGIN, PEERS, PROXY, REPOSITORY, VERSIONS, Shape, version
from report import figures, report

HERE = Path(__file__).resolve().parent
PROXY_CPU, LOAD_CPU = "0", "1"
IN_NAMESPACE = "OUTRIGGER_PEERS_IN_NAMESPACE"
FILES = 65536
# What stands between these lines of a page is what was measured last.
PAGE_BEGINS, PAGE_ENDS = "<!-- measured: the command above writes what follows -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Workload:
    """`base`: whom ratios are to. `load`: what the generator is asked for."""
    what: str
    shape: Shape
    load: str
    base: str = "nginx"
    peers: str = "haproxy,nginx,envoy,tokio,glommio"
    idle: int = 0

    @property
    def is_open(self):
        """Requests come when they come, and what is told is how long they take."""
        return "--rate" in self.load


HTTP, TCP = Shape(), Shape(tcp=True)
FROM_CLIENT, TO_ENDPOINT = Shape(client_tls=True), Shape(endpoint_tls=True)
ALL = "relay,haproxy,nginx,envoy,tokio,glommio"

WORKLOADS = {
    "A": Workload("GET, 1 KiB back, 64 kept connections", HTTP, "", peers=ALL),
    "A-log": Workload("A with an access log", Shape(log=True), ""),
    "B": Workload("GET, 1 KiB back, one connection", HTTP, "--connections 1", peers=ALL),
    "C": Workload("POST of 16 KiB, 16 KiB back, 64 kept connections", HTTP, "--ask 16384 --answer 16384", peers=ALL),
    "D": Workload("GET, 1 MiB back, 16 kept connections", HTTP, "--answer 1048576 --connections 16", peers=ALL),
    "E": Workload("3,500 GETs a second whatever is answered, 64 connections", HTTP, "--rate 3500", peers=ALL),
    "G": Workload("GET, 1 KiB back, clients speak HTTP/2: 10 connections with 10 streams", Shape(http2=True), "--connections 10 --streams 10"),
    "F-http": Workload("5,000 connections that rest, HTTP", HTTP, "", idle=5000, peers=ALL),
    "F-tls": Workload("5,000 connections that rest, mutual TLS from the client", FROM_CLIENT, "", idle=5000),
    "F-tcp": Workload("10,000 connections that rest, TCP", TCP, "--ask 1024", idle=10000, peers=ALL),
    "H-client": Workload("A with mutual TLS from the client", FROM_CLIENT, ""),
    "H-endpoint": Workload("A with mutual TLS to the endpoint", TO_ENDPOINT, ""),
    "P-tokio": Workload("H-client past ten AuthorizationPolicies, of what it costs past none", FROM_CLIENT, "", base="tokio",
                        peers="tokio,tokio-10"),
    "P-glommio": Workload("the same with glommio", FROM_CLIENT, "", base="glommio", peers="glommio,glommio-10"),
    "I-plain": Workload("A, a new connection for each request", HTTP, "--fresh"),
    "I-tls": Workload("A, a new connection with a full handshake of mutual TLS for each request", FROM_CLIENT, "--fresh --connections 16"),
    "T-echo": Workload("TCP, 1 KiB there and back, 64 connections", TCP, "--ask 1024", base="relay", peers=ALL),
    "T-bulk": Workload("TCP, 1 KiB there and 1 MiB back, 16 connections", TCP, "--ask 1024 --answer 1048576 --connections 16",
                       base="relay", peers=ALL),
}


# ---- processes ------------------------------------------------------------------------------------------------------------------

def family(root):
    """A process and those that came of it."""
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def cpu_time(pids):
    """Seconds that all their threads were on a CPU, to the nanosecond where the kernel tells; else in ticks."""
    exact, ticks = 0, 0
    for pid in pids:
        try:
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
            exact += sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())
        except OSError:
            pass
    return exact / 1e9 if exact else ticks / os.sysconf("SC_CLK_TCK")


def user_share(pids):
    """Ticks in user mode and in all."""
    fields = []
    for pid in pids:
        try:
            fields.append(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split())
        except OSError:
            pass
    user = sum(int(f[11]) for f in fields)
    return user, user + sum(int(f[12]) for f in fields)


def busy_time():
    """Seconds for which the CPUs of the measurement were not idle."""
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name in (f"cpu{PROXY_CPU}", f"cpu{LOAD_CPU}"):
            total += sum(int(ticks[at]) for at in (0, 1, 2, 5, 6))
    return total / os.sysconf("SC_CLK_TCK")


def memory(pids):
    """KiB that they hold: what they share with others counts in parts."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def start(words, cpu, **pipes):
    return subprocess.Popen(["taskset", "-c", cpu, *map(str, words)], **pipes)


def stop(process):
    pids = family(process.pid)
    for how in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            try:
                os.kill(pid, how)
            except ProcessLookupError:
                pass
        try:
            process.wait(3)
            break
        except subprocess.TimeoutExpired:
            continue


def answers(at):
    host, port = at.split(":")
    try:
        socket.create_connection((host, int(port)), 0.5).close()
        return True
    except OSError:
        return False


def wait_until(what, is_so, process=None, most=20):
    end = time.monotonic() + most
    while not is_so():
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode} before {what}")
        if time.monotonic() > end:
            raise RuntimeError(f"not after {most} seconds: {what}")
        time.sleep(0.05)


# ---- one measurement ------------------------------------------------------------------------------------------------------------

def load_words(workload, folder, warm, seconds):
    words = [folder / "load", "--to", PROXY, "--origin", ORIGIN, "--warm", warm, "--seconds", seconds, *workload.load.split()]
    words += ["--tcp"] if workload.shape.tcp else []
    words += ["--client-tls", folder / "identity"] if workload.shape.client_tls else []
    words += ["--origin-tls", folder / "identity"] if workload.shape.endpoint_tls else []
    # Of a connection that passes through, the proxy has two files, and so has the load, which is both of its ends.
    most = (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500) // 2
    return words + (["--idle", "--connections", min(workload.idle, most)] if workload.idle else [])


def measure(name, key, folder, warm, seconds):
    """A row; one with `left_out` or `failed` says why there are no figures."""
    workload = WORKLOADS[key]
    row = {"workload": key, "peer": name}
    words = PEERS[name](workload.shape, folder)
    if words is None:
        return row | {"left_out": "not installed"}
    processes = []
    with open(folder / f"{key}.{name}.log", "w") as log:
        try:
            wait_until("its port is free", lambda: not answers(PROXY))
            proxy = start(words, PROXY_CPU, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            processes.append(proxy)
            wait_until("it listens", lambda: answers(PROXY), proxy)
            time.sleep(0.4)
            load = start(load_words(workload, folder, warm, seconds), LOAD_CPU, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=log, text=True)
            processes.append(load)
            watch = rest if workload.idle else serve
            return row | watch(proxy, load)
        except (RuntimeError, OSError, ValueError) as why:
            return row | {"failed": f"{why} ({log.name})"}
        finally:
            for process in reversed(processes):
                stop(process)


def rest(proxy, load):
    before = memory(family(proxy.pid))
    line = load.stdout.readline()
    if not line:
        raise RuntimeError("the connections were not all opened")
    time.sleep(1.5)
    after = memory(family(proxy.pid))
    load.communicate()
    told = json.loads(line)
    return told | {"empty_kib": before, "held_kib": after, "kib": round((after - before) / told["opened"], 2)}


def serve(proxy, load):
    if load.stdout.readline() != "BEGIN\n":
        raise RuntimeError("the load did not begin")
    ours = family(proxy.pid)
    everyone = ours + family(load.pid)
    before, of_all, busy, user = cpu_time(ours), cpu_time(everyone), busy_time(), user_share(ours)
    began = time.monotonic()
    # The load tells before it ends, and a process that has ended has no times.
    line = load.stdout.readline()
    spent, all_spent, others = cpu_time(ours) - before, cpu_time(everyone) - of_all, busy_time() - busy
    lasted, user = time.monotonic() - began, [b - a for a, b in zip(user, user_share(ours))]
    if not line:
        raise RuntimeError("the load failed")
    told = json.loads(line)
    if told["exchanges"] == 0:
        raise RuntimeError("nothing was answered")
    return told | {
        "cpu_us": round(spent / told["exchanges"] * 1e6, 3),
        "user_share": round(user[0] / max(user[1], 1), 3),
        "busy": round(spent / lasted, 3),
        "others": round(max(others - all_spent, 0) / lasted, 3),
    }


# ---- before ---------------------------------------------------------------------------------------------------------------------

def enter_namespace():
    """A network namespace of its own, so that ports are free and nobody listens in. Without root it goes without."""
    if os.geteuid() != 0 or os.environ.get(IN_NAMESPACE) or not shutil.which("unshare"):
        return
    os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv], os.environ | {IN_NAMESPACE: "yes"})


def prepare(folder):
    if os.environ.get(IN_NAMESPACE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for name, value in (("ip_local_port_range", "10000 65000"), ("tcp_congestion_control", "reno")):
            Path("/proc/sys/net/ipv4", name).write_text(value)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for most in (max(FILES, hard), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            break
        except (OSError, ValueError):  # only who may raise it can
            pass
    try:
        os.nice(-10)
    except OSError:
        pass
    for name, libraries in (("load", ["-lssl", "-lcrypto", "-lm"]), ("relay", [])):
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", folder / name, HERE / f"{name}.c", *libraries], check=True)
    make_identity(folder / "identity")


def make_identity(folder):
    """One certificate for everybody, of an authority that is thrown away."""
    folder.mkdir()
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    (folder / "names").write_text("subjectAltName=URI:spiffe://cluster.local/ns/default/sa/origin,DNS:origin.example\n"
                                  "extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n")
    for words in (
        ["req", "-x509", *new, "-keyout", "root-key.pem", "-out", "root-cert.pem", "-subj", "/O=peers",
         "-addext", "keyUsage=critical,keyCertSign,cRLSign"],
        ["req", *new[:-2], "-keyout", "key.pem", "-out", "request.pem", "-subj", "/O=origin"],
        ["x509", "-req", "-in", "request.pem", "-CA", "root-cert.pem", "-CAkey", "root-key.pem", "-CAcreateserial", "-days", "30",
         "-extfile", "names", "-out", "cert-chain.pem"],
    ):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    (folder / "key.pem").chmod(0o600)


def chosen(text, known, what):
    """Names, or beginnings of names before a dash."""
    names = [name for word in text.split(",") for name in known if name == word or name.startswith(f"{word}-")]
    unknown = [word for word in text.split(",") if not any(name == word or name.startswith(f"{word}-") for name in known)]
    if unknown:
        sys.exit(f"error: no {what} `{unknown[0]}`; there are {', '.join(known)}")
    return names


def about(arguments, program="measure.py"):
    """Where, when and with what."""
    model = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    commit = subprocess.run(["git", "-C", REPOSITORY, "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    told = {"date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC", "command": " ".join([f"benches/peers/{program}", *sys.argv[1:]]),
            "machine": f"{model[0] if model else platform.machine()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}",
            "commit": commit or "unknown"}
    told |= {name: found for name in VERSIONS if (found := version(name))}
    return told | {"measured": f"{arguments.seconds} s of each proxy in a round, after {arguments.warm} s"}


def put_into_page(page, text, svg):
    """Replaces what a page has between its two lines; pictures are named relative to it."""
    before, rest = page.read_text().split(PAGE_BEGINS)
    after = rest.split(PAGE_ENDS)[1]
    named = [f"![{path.stem}]({os.path.relpath(path, page.parent)})" for path in svg]
    page.write_text(before + PAGE_BEGINS + "\n\n" + "\n".join([*named, *[""] * bool(named), text]) + "\n\n" + PAGE_ENDS + after)


def tell(rows, arguments):
    text, svg = report(rows, WORKLOADS), []
    if arguments.svg:
        arguments.svg.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures(figures([row for row in rows if "about" not in row], WORKLOADS)).items():
            svg.append(arguments.svg / name)
            svg[-1].write_text(picture)
    if arguments.page:
        put_into_page(arguments.page, text, svg)
    print(text)


def rounds(arguments, folder):
    """Rows, one after the other. What rests is measured once: it hardly differs."""
    end = time.monotonic() + arguments.minutes * 60 if arguments.minutes else None
    keys = list(WORKLOADS) if arguments.all else chosen(arguments.workloads, WORKLOADS, "workload")
    wanted = list(PEERS) if arguments.all else chosen(arguments.peers, PEERS, "peer")
    number, longest = 0, 0
    yield {"about": about(arguments)}
    while number < arguments.rounds if end is None else time.monotonic() + longest < end:
        began = time.monotonic()
        for key in keys:
            peers = [peer for peer in WORKLOADS[key].peers.split(",") if peer in wanted]
            if WORKLOADS[key].idle and number > 0:
                continue
            for at in range(len(peers)):
                peer = peers[(at + number) % len(peers)]
                yield {"round": number} | measure(peer, key, folder, arguments.warm, arguments.seconds)
        number += 1
        # The first round is longer, for what rests; that it was so costs at most a round.
        longest = time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", default="H,T,I,F,A", help=f"of {', '.join(WORKLOADS)}; H is both of H")
    parser.add_argument("--peers", default="relay,haproxy,nginx,tokio,glommio,tokio-10,glommio-10", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--all", action="store_true", help="all workloads and all peers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, help="instead of --rounds: begin no round that would end later")
    parser.add_argument("--seconds", type=float, default=2.5, help="what is measured of each proxy in a round")
    parser.add_argument("--warm", type=float, default=0.7, help="before that")
    parser.add_argument("--out", type=Path, help="add the rows to this file, as JSON")
    parser.add_argument("--read", type=Path, help="measure nothing; make the report of the rows in this file")
    parser.add_argument("--svg", type=Path, help="draw pictures into this folder")
    parser.add_argument("--page", type=Path, help="write the report into this page, between its lines for that")
    parser.add_argument("--keep", type=Path, help="work in this new folder and leave it: configurations and logs")
    arguments = parser.parse_args()
    if arguments.read:
        tell([json.loads(line) for line in arguments.read.read_text().splitlines()], arguments)
        return
    enter_namespace()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="peers."))
    folder.mkdir(exist_ok=True, parents=True)
    rows = []
    try:
        prepare(folder)
        for row in rounds(arguments, folder):
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
            if arguments.out:
                with arguments.out.open("a") as out:
                    out.write(json.dumps(row) + "\n")
    except KeyboardInterrupt:
        pass
    finally:
        if not arguments.keep:
            shutil.rmtree(folder)
    tell(rows, arguments)


if __name__ == "__main__":
    main()
