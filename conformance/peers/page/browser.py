"""A headless Chromium, driven by chromedriver's plain HTTP (W3C WebDriver), with nothing but Python's own library.

Owns how the browser is started and asked. What it is asked is in `play.py`.
"""

import base64
import json
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]


class Browser:
    """One session. Everything of it is gone at the end."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="outrigger-page-")
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.driver.stdout:
            if "started successfully on port" in line:
                self.base = "http://127.0.0.1:" + line.split("on port ")[1].strip(" .\n")
                break
        options = {"args": FLAGS + [f"--user-data-dir={self.profile}"]}
        wanted = {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}}
        self.session = self.ask("POST", "/session", wanted)["sessionId"]

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from error

    def of_session(self, path, body):
        return self.ask("POST", f"/session/{self.session}{path}", body)

    def open(self, url):
        self.of_session("/url", {"url": url})

    def run(self, script, *arguments):
        """What a function body in the page returns; it may return a promise."""
        return self.of_session("/execute/sync", {"script": script, "args": list(arguments)})

    def devtools(self, command, **parameters):
        return self.of_session("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def keys(self, *keys):
        """Presses keys one after the other; names are those of WebDriver's code points."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.of_session("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def look_like(self, width, height, scheme):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=width < 600)
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"}])

    def picture(self, path, height=None):
        """The page from its top, as PNG."""
        size = self.run("return [innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": min(size[1], height or size[1]), "scale": 1}
        png = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        with open(path, "wb") as file:
            file.write(base64.b64decode(png["data"]))

    def accessibility(self):
        """Role and name of everything that is not ignored."""
        nodes = self.devtools("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]

    def complaints(self):
        """What stands in the console."""
        return [entry["message"] for entry in self.of_session("/se/log", {"type": "browser"})]

    def end(self):
        try:
            self.ask("DELETE", f"/session/{self.session}")
        finally:
            self.driver.terminate()
            self.driver.wait()
            shutil.rmtree(self.profile, ignore_errors=True)
