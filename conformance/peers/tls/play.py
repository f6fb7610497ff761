#!/usr/bin/env python3
"""Scanners that nobody here wrote look at the inbound port of a sidecar: openssl, sslyze, testssl.sh.

    conformance/peers/tls/play.py [--runtime tokio|glommio] [--if-installed] [openssl|sslyze|testssl]...

Each expectation is checked: versions and suites as Istio's defaults, no renegotiation, no compression, no early data, tickets
that are taken up again, nobody without a certificate. OUTRIGGER names the program. Exit code 0: all as expected; 1: something
was not; 2: a scanner is not installed (with --if-installed it is left out).
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUTRIGGER = os.environ.get("OUTRIGGER", str(HERE / "../../../target/debug/outrigger"))

# What a certificate with a key on P-256 can be used with: of Istio's default list, those of ECDSA with forward secrecy.
TLS12 = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"}
TLS13 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}

POLICY = """apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
"""


class Application(BaseHTTPRequestHandler):
    """Answers everything."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "3")
        self.end_headers()
        self.wfile.write(b"hi\n")

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


class Stage:
    """A sidecar that is STRICT, before an application, and a client's certificate."""

    def __init__(self, runtime, folder):
        self.folder = Path(folder)
        self.application = ThreadingHTTPServer(("127.0.0.1", 0), Application)
        threading.Thread(target=self.application.serve_forever, daemon=True).start()
        self.ca("init", self.at("ca"))
        for who in ("server", "client"):
            self.ca("issue", self.at("ca"), "--service-account", who, "--out", self.at(who))
        (self.folder / "rules").mkdir()
        (self.folder / "rules/policy.yaml").write_text(POLICY)
        app = self.application.server_address[1]
        command = [OUTRIGGER, "run", "--runtime", runtime, "--workers", "1", "--config", self.at("rules")]
        command += ["--identity", self.at("server"), "--inbound", f"127.0.0.1:0=127.0.0.1:{app}"]
        command += ["--outbound", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        self.sidecar = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        greeting = ""
        for line in self.sidecar.stderr:
            greeting += line
            if found := re.search(r" inbound (127\.0\.0\.1:\d+)", line):
                self.address = found[1]
                break
        else:
            sys.exit(f"the sidecar does not start:\n{greeting}")
        # What it says from now on is of no interest, and must not stop it.
        threading.Thread(target=self.sidecar.stderr.read, daemon=True).start()

    def at(self, name):
        return str(self.folder / name)

    def ca(self, *args):
        subprocess.run([OUTRIGGER, "ca", *args], check=True, stdout=subprocess.DEVNULL)

    def end(self):
        self.sidecar.terminate()
        self.sidecar.wait()
        self.application.shutdown()


class Verdict:
    """What was as expected, and what was not."""

    def __init__(self, scanner):
        self.scanner, self.passed, self.failed = scanner, 0, 0

    def expect(self, what, is_so, seen):
        if is_so:
            self.passed += 1
        else:
            self.failed += 1
            print(f"    failed: {what}: {str(seen).strip()[-400:]}")

    def row(self, runtime):
        print(f"{self.scanner:10} {runtime:10} {self.passed:8} {self.failed:8}", flush=True)


class OpenSsl:
    """Asks by `openssl s_client`."""

    needs = "apt-get install openssl"

    def __init__(self, stage):
        self.stage = stage

    def ask(self, *args, says="GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", shows=True):
        command = ["openssl", "s_client", "-connect", self.stage.address, "-ign_eof", *args]
        if shows:
            client = self.stage.at("client")
            command += ["-cert", f"{client}/cert-chain.pem", "-key", f"{client}/key.pem"]
        done = subprocess.run(command, input=says.encode(), capture_output=True, timeout=60)
        return (done.stdout + done.stderr).decode(errors="replace")

    def play(self, verdict):
        expect = verdict.expect
        for version, suites in (("1_2", TLS12), ("1_3", TLS13)):
            said = self.ask(f"-tls{version}")
            expect(f"TLS {version} is spoken", "HTTP/1.1 200 OK" in said, said)
            expect(f"TLS {version} compresses nothing", "Compression: NONE" in said, said)
            said = self.ask(f"-tls{version}", shows=False)
            expect(f"TLS {version} asks for a certificate", "HTTP/1.1" not in said, said)
            known = subprocess.run(
                ["openssl", "ciphers", "-s", f"-tls{version}", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
                capture_output=True, text=True, check=True,
            ).stdout.strip().split(":")
            option = "-cipher" if version == "1_2" else "-ciphersuites"
            weak = ":@SECLEVEL=0" if version == "1_2" else ""
            for suite in known:
                if suite.startswith("TLS_") != (version == "1_3"):
                    continue
                said = self.ask(f"-tls{version}", option, suite + weak)
                expect(f"{suite}", ("HTTP/1.1 200" in said) == (suite in suites), said)
        for version in ("1", "1_1"):
            said = self.ask(f"-tls{version}", "-cipher", "ALL:@SECLEVEL=0")
            expect(f"TLS {version} is not spoken", "HTTP/1.1" not in said and "Cipher is (NONE)" in said, said)
        self.renegotiation(expect)
        self.sessions(expect)

    def renegotiation(self, expect):
        command = ["openssl", "s_client", "-connect", self.stage.address, "-tls1_2"]
        client = self.stage.at("client")
        command += ["-cert", f"{client}/cert-chain.pem", "-key", f"{client}/key.pem"]
        asking = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        # A line that begins with R asks for a new handshake.
        said, _ = asking.communicate(b"R\n", timeout=60)
        said = said.decode(errors="replace")
        expect("a handshake on a connection is refused", "RENEGOTIATING" in said and "no renegotiation" in said, said)
        expect("renegotiation is the one of RFC 5746", "Secure Renegotiation IS supported" in said, said)

    def sessions(self, expect):
        for version in ("1_2", "1_3"):
            file = self.stage.at(f"session{version}")
            said = self.ask(f"-tls{version}", "-sess_out", file)
            expect(f"TLS {version} gives a ticket", Path(file).is_file() and "TLS session ticket" in said, said)
            if version == "1_3":
                expect("early data is not taken", "Max Early Data: 0" in said, said)
            said = self.ask(f"-tls{version}", "-sess_in", file)
            expect(f"TLS {version} takes a session up", "Reused, TLS" in said and "200 OK" in said, said)


class SslYze:
    """Asks by `sslyze`, whose findings are a document."""

    needs = "pip install sslyze"

    COMMANDS = (
        "sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3", "compression", "early_data", "heartbleed", "openssl_ccs",
        "reneg", "ems", "robot", "resum", "elliptic_curves",
    )

    def __init__(self, stage):
        self.stage = stage

    def play(self, verdict):
        client, out = self.stage.at("client"), self.stage.at("sslyze.json")
        command = [sslyze(), "--json_out", out, "--cert", f"{client}/cert-chain.pem", "--key", f"{client}/key.pem"]
        command += [f"--{name}" for name in self.COMMANDS] + [self.stage.address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if not Path(out).is_file():
            return verdict.expect("it scans", False, done.stdout + done.stderr)
        [server] = json.loads(Path(out).read_text())["server_scan_results"]
        expect = verdict.expect
        expect("it connects", server["connectivity_status"] == "COMPLETED", server["connectivity_error_trace"])
        if not server["scan_result"]:
            return None
        results = server["scan_result"]

        def result(name):
            return results[name]["result"] or {}

        for name in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
            seen = result(f"{name}_cipher_suites").get("accepted_cipher_suites")
            expect(f"{name} is not spoken", seen == [], seen)
        for name, want in (("tls_1_2", TLS12), ("tls_1_3", TLS13)):
            accepted = result(f"{name}_cipher_suites").get("accepted_cipher_suites", [])
            seen = {suite["cipher_suite"]["openssl_name"] for suite in accepted}
            expect(f"suites of {name}", seen == want, seen)
        for name, key, want in (
            ("tls_compression", "supports_compression", False),
            ("tls_1_3_early_data", "supports_early_data", False),
            ("heartbleed", "is_vulnerable_to_heartbleed", False),
            ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection", False),
            ("session_renegotiation", "supports_secure_renegotiation", True),
            ("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos", False),
            ("tls_extended_master_secret", "supports_ems_extension", True),
        ):
            seen = result(name).get(key)
            expect(f"{name}: {key}", seen == want, results[name].get("error_reason") or seen)
        robot = result("robot").get("robot_result")
        expect("robot", robot == "NOT_VULNERABLE_RSA_NOT_SUPPORTED", robot)
        # Of tickets it believes only those that stay the same; ours are new with each connection, and openssl takes them up.
        by_id = result("session_resumption").get("session_id_resumption_result")
        expect("no session is kept here", by_id == "NOT_SUPPORTED", by_id)
        curves = result("elliptic_curves").get("supported_curves") or []
        seen = {curve["name"] for curve in curves}
        expect("groups", seen == {"X25519", "secp256r1", "secp384r1"}, seen)
        return None


class TestSsl:
    """Asks by `testssl.sh`, byte by byte where OpenSSL is too new for what is old."""

    needs = "apt-get install testssl.sh"

    # What it says of each, and what that must be.
    WANTED = {
        "SSLv2": r"not offered", "SSLv3": r"not offered", "TLS1": r"not offered", "TLS1_1": r"not offered",
        "TLS1_2": r"offered", "TLS1_3": r"offered",
        "cipherlist_NULL": r"not offered", "cipherlist_aNULL": r"not offered", "cipherlist_EXPORT": r"not offered",
        "cipherlist_3DES_IDEA": r"not offered", "cipherlist_LOW": r"not offered", "cipherlist_AVERAGE": r"not offered", "cipherlist_STRONG": r"offered",
        "heartbleed": r"not vulnerable", "CCS": r"not vulnerable", "ticketbleed": r"not (vulnerable|applicable)", "ROBOT": r"not vulnerable",
        "secure_renego": r"supported", "secure_client_renego": r"not vulnerable", "CRIME_TLS": r"not vulnerable",
        "POODLE_SSL": r"not vulnerable", "SWEET32": r"not vulnerable", "FREAK": r"not vulnerable", "DROWN": r"not vulnerable",
        "LOGJAM": r"not vulnerable", "BEAST": r"not vulnerable", "LUCKY13": r"not vulnerable", "RC4": r"not vulnerable",
    }

    def __init__(self, stage):
        self.stage = stage

    def play(self, verdict):
        out = self.stage.at("testssl.json")
        program = shutil.which("testssl") or "testssl.sh"
        command = [program, "--jsonfile", out, "--quiet", "--color", "0", "--warnings", "batch", "--ip", "one"]
        command += ["--protocols", "--std", "--fs", "--vulnerable", self.stage.address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL)
        if not Path(out).is_file():
            return verdict.expect("it scans", False, done.stdout + done.stderr)
        said = {}
        for finding in json.loads(Path(out).read_text()):
            said.setdefault(finding["id"], finding["finding"])
        for name, want in self.WANTED.items():
            seen = said.get(name) or f"nothing is said, but of {', '.join(said)}"
            verdict.expect(name, re.match(want, seen, re.IGNORECASE) is not None, seen)
        return None


SCANNERS = {"openssl": OpenSsl, "sslyze": SslYze, "testssl": TestSsl}


def sslyze():
    """Where Python puts it."""
    return shutil.which("sslyze") or str(Path(sys.executable).parent / "sslyze")


def is_here(name):
    return {
        "openssl": lambda: shutil.which("openssl"),
        "sslyze": lambda: Path(sslyze()).is_file(),
        "testssl": lambda: shutil.which("testssl") or shutil.which("testssl.sh"),
    }[name]()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scanners", nargs="*", metavar="SCANNER", choices=[[], *SCANNERS], help=", ".join(SCANNERS))
    parser.add_argument("--runtime", action="append", choices=["tokio", "glommio"])
    parser.add_argument("--if-installed", action="store_true")
    args = parser.parse_args()
    wanted = []
    for name in args.scanners or SCANNERS:
        if is_here(name):
            wanted.append(name)
        elif args.if_installed:
            print(f"left out: {name}")
        else:
            print(f"{name} is not installed: {SCANNERS[name].needs}", file=sys.stderr)
            return 2
    failed = 0
    print(f"{'scanner':10} {'runtime':10} {'passed':>8} {'failed':>8}")
    for runtime in args.runtime or ["tokio", "glommio"]:
        for name in wanted:
            with tempfile.TemporaryDirectory() as folder:
                stage = Stage(runtime, folder)
                verdict = Verdict(name)
                try:
                    SCANNERS[name](stage).play(verdict)
                finally:
                    stage.end()
            verdict.row(runtime)
            failed += verdict.failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
