#!/usr/bin/env python3
"""Looks at the admin page of a real sidecar under traffic and faults with a headless Chromium.

    conformance/peers/chromium                     # installs it, once
    cargo build -p outrigger
    conformance/peers/page/play.py [--pictures FOLDER]

OUTRIGGER names the program (default: target/debug/outrigger). Exit code 0: all is there; 1: something is not, and is said; 2: no
browser is installed.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True

from browser import Browser
from scene import HOSTILE, HOSTILE_PATH, MANY, Scene

ROOT = Path(__file__).resolve().parents[3]
TAB, ENTER, SPACE = "\ue004", "\ue007", " "
PATIENCE = 40

failed = []


def check(what, is_so, seen=""):
    print(("ok      " if is_so else "FAILED  ") + what)
    if not is_so:
        failed.append(what)
        print(f"        {str(seen)[:1500]}")


def until(what, look):
    """Waits for what must come; the last thing seen is told when it does not."""
    end, seen = time.monotonic() + PATIENCE, None
    while time.monotonic() < end:
        seen = look()
        if seen:
            break
        time.sleep(.1)
    check(what, bool(seen), seen)
    return seen


def text(browser, selector="body"):
    return browser.run("return document.querySelector(arguments[0]).innerText", selector)


def has(browser, selector, *words):
    """Waits until all these words stand there."""
    return until(f"{selector} says {', '.join(words)}",
                 lambda: all(word in text(browser, selector) for word in words) and text(browser, selector))


def traffic(browser, scene):
    has(browser, "#picture", "preference", "recommendation v1", "recommendation v2", "callers to port")
    check("it is well at first", "ejected" not in text(browser, "#picture"), text(browser, "#picture"))
    for name in ("v2", "second v2"):
        scene.services[name].fails = True
    has(browser, "#picture", "✕ 1 of 2 ejected", "% failed", "▲", "p99 ")
    scene.get(scene.outbound, "recomendation", HOSTILE_PATH)
    has(browser, "#failed-list", "503", "recommendation/", "recomendation/")
    check("a label is text", HOSTILE in text(browser, "#about"), text(browser, "#about"))


def opened(browser):
    browser.run("document.querySelectorAll('#service-list details').forEach((line) => {"
                " line.open = line.innerText.includes('recommendation v2') })")
    has(browser, "#service-list", "✕ ejected, back in", "consecutive_5xx: 5 in a row", "pending requests", "of 16")
    browser.run("document.querySelectorAll('#failed-list details').forEach((line) => {"
                " line.open = line.innerText.includes('recomendation') })")
    has(browser, "#failed-list", "Nearest known name: recommendation", "<b>" if "<b>" in text(browser, "#failed-list") else "%3Cb%3E")


def reloads(browser, scene):
    scene.config.write_text(scene.rules.replace("weight: 60", "weight: -60"))
    has(browser, "#alert", "was refused", "revision 1", "negative")
    has(browser, "#finding-list", "✕ error", "rules.yaml")
    scene.config.write_text(scene.rules.replace("weight: 60", "weight: 50").replace("weight: 40", "weight: 50"))
    has(browser, "#reload-list", "✓ taken", "✕ refused", "revision 2", "For users: ")
    until("the alarm is over", lambda: not browser.run("return document.querySelector('#alert').checkVisibility()"))


def by_keyboard(browser):
    focus = lambda: browser.run("const e = document.activeElement; return [e.tagName, e.id, e.innerText || '']")
    browser.run("window.scrollTo(0, 0); document.activeElement.blur()")
    reached = []
    for _ in range(60):
        browser.keys(TAB)
        reached.append(focus())
        if reached[-1][1] == "ask-line":
            break
    names = [tag for tag, _, _ in reached]
    check("Tab leads over links, a button, fields and services to the form",
          {"A", "BUTTON", "INPUT", "SUMMARY"} <= set(names) and reached[-1][1] == "ask-line", reached)
    browser.keys(*"GET http://recommendation/", ENTER)
    has(browser, "#told", "recommendation")
    check("an explanation says where", "v2" in text(browser, "#told"), text(browser, "#told"))
    browser.run("document.querySelector('#service-list summary').focus()")
    was = browser.run("return document.querySelector('#service-list details').open")
    browser.keys(SPACE)
    check("Space opens and closes a service", browser.run("return document.querySelector('#service-list details').open") != was)


def to_readers(browser):
    nodes = browser.accessibility()
    names = lambda *roles: [name for role, name in nodes if role in roles]
    picture = " ".join(names("image", "img"))
    check("the graph has words", "to recommendation v2" in picture and "ejected" in picture, picture)
    check("gauges are meters", "pending requests" in names("meter"), names("meter"))
    check("parts have headings", {"Services", "Findings", "Explain a request"} <= set(names("heading")), names("heading"))
    nameless = [role for role, name in nodes
                if role in ("button", "textbox", "searchbox", "checkbox", "link", "meter", "DisclosureTriangle") and not name.strip()]
    check("nothing that can be used is without a name", not nameless, nameless)


OVERLAPS = """
const labels = [...document.querySelectorAll('#picture svg > text')].map((text) => text.getBBox());
const things = [...document.querySelectorAll('#picture rect')].map((box) => box.getBBox()).concat(labels);
const meet = (a, b) => a !== b && a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
return labels.some((label) => things.some((thing) => meet(label, thing)));
"""

CONTRAST = """
const style = getComputedStyle(document.documentElement);
const light = (name) => {
  const hex = style.getPropertyValue(name).trim().slice(1);
  const part = (at) => { const c = parseInt(hex.slice(at, at + 2), 16) / 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; };
  return .2126 * part(0) + .7152 * part(2) + .0722 * part(4);
};
const grounds = ["--card", "--ground"], inks = ["--ink", "--quiet", "--well", "--hurt"], out = {};
for (const ground of grounds) for (const ink of inks) {
  const [a, b] = [light(ground), light(ink)].sort((a, b) => b - a);
  out[ink + " on " + ground] = (a + .05) / (b + .05);
}
return out;
"""


def at_all_sizes(browser, pictures):
    for width in (1180, 1000, 768, 390, 320):
        for scheme in ("light", "dark"):
            browser.look_like(width, 900, scheme)
            browser.run("document.activeElement.blur()")
            until(f"nothing sticks out at {width} {scheme}", lambda: browser.run(
                "return document.documentElement.scrollWidth <= innerWidth"))
            until(f"no word of the graph lies on another thing at {width} {scheme}", lambda: not browser.run(OVERLAPS))
            worst = min(browser.run(CONTRAST).items(), key=lambda pair: pair[1])
            check(f"words can be read in {scheme} (WCAG 1.4.3: 4.5)", worst[1] >= 4.5, worst)
            if pictures:
                browser.run("window.scrollTo(0, 0)")
                time.sleep(.3)
                browser.picture(pictures / f"page-{width}-{scheme}.png", 840)
    browser.look_like(1180, 900, "light")


def many(browser):
    """All endpoints are shown, and looking again changes only what has changed."""
    browser.run("const f = document.querySelector('#find'); f.value = 'fleet'; f.dispatchEvent(new Event('input'))")
    until("a service is found", lambda: browser.run("return document.querySelectorAll('#service-list details').length") == 1)
    browser.run("document.querySelector('#service-list details').open = true")
    until("a hundred at first", lambda: browser.run("return document.querySelectorAll('#service-list tbody tr').length") == 100)
    browser.run("[...document.querySelectorAll('#service-list button')].at(-1).click()")
    rows = browser.run("return document.querySelectorAll('#service-list tbody tr').length")
    check(f"all {MANY} endpoints are shown", rows == MANY, rows)
    size = browser.run("return fetch('/page.json').then((answer) => answer.text()).then((text) => text.length)")
    check("what nobody has open is not sent", size < 60_000, size)
    seen = browser.run("""
        document.querySelector('#pause').click();
        const changes = new MutationObserver(() => {});
        draw();
        changes.observe(document.querySelector('#service-list'), { subtree: true, childList: true, characterData: true });
        const began = performance.now();
        for (let n = 0; n < 10; n++) draw();
        const took = (performance.now() - began) / 10;
        const seen = changes.takeRecords().length;
        document.querySelector('#pause').click();
        return [seen, took];
    """)
    check("the same again changes nothing in 500 rows", seen[0] == 0, seen)
    print(f"        drawing {MANY} endpoints took {seen[1]:.1f} ms")
    browser.run("const f = document.querySelector('#find'); f.value = ''; f.dispatchEvent(new Event('input'))")


def main():
    pictures = Path(sys.argv[2]) if sys.argv[1:2] == ["--pictures"] else None
    if not shutil.which("chromedriver"):
        print("no browser: conformance/peers/chromium installs one", file=sys.stderr)
        return 2
    program = os.environ.get("OUTRIGGER", str(ROOT / "target/debug/outrigger"))
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(program, folder)
        browser = Browser()
        try:
            browser.look_like(1180, 900, "light")
            browser.open(f"http://{scene.admin}/")
            traffic(browser, scene)
            opened(browser)
            by_keyboard(browser)
            to_readers(browser)
            at_all_sizes(browser, pictures)
            reloads(browser, scene)
            many(browser)
            check("nothing hostile ran", browser.run("return window.hurt") is None)
            check("the browser has nothing to complain of", not browser.complaints(), browser.complaints())
            scene.end()
            has(browser, "#state", "no answer")
        finally:
            browser.end()
            scene.end()
    print(f"{len(failed)} failed" if failed else "all is there")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
