"""Two lines over time as SVG."""
from html import escape

WIDE, HIGH, LEFT, TOP, GAP = 640, 130, 60, 40, 50
COLOURS = ["#c8553d", "#3c7a3c", "#5b7fb5", "#a0558e"]


def lines(title, minutes, panels):
    """`panels`: what is told, and by name a figure for each moment; all moments are as far from each other."""
    parts, top = [], TOP
    for what, by_name in panels.items():
        most = max(max(values) for values in by_name.values()) * 1.1 or 1
        parts.append(f'<text x="8" y="{top - 8}" font-weight="bold">{escape(what)}</text>')
        for share in (0, 0.5, 1):
            y = top + HIGH - share * HIGH
            parts.append(f'<line x1="{LEFT}" x2="{WIDE - 10}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>'
                         f'<text x="{LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{most * share:,.0f}</text>')
        for at, (name, values) in enumerate(by_name.items()):
            step = (WIDE - 10 - LEFT) / max(1, len(values) - 1)
            points = " ".join(f"{LEFT + n * step:.1f},{top + HIGH - value / most * HIGH:.1f}" for n, value in enumerate(values))
            parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[at]}"/>'
                         f'<text x="{WIDE - 10 - 60 * (len(by_name) - at)}" y="{top - 8}" fill="{COLOURS[at]}">{escape(name)}</text>')
        parts.append(f'<text x="{LEFT}" y="{top + HIGH + 15}">0</text>'
                     f'<text x="{WIDE - 10}" y="{top + HIGH + 15}" text-anchor="end">{minutes:.0f} minutes</text>')
        top += HIGH + GAP
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDE}" height="{top - 20}" viewBox="0 0 {WIDE} {top - 20}" role="img" '
            f'font-family="sans-serif" font-size="11">\n<title>{escape(title)}</title>\n<rect width="{WIDE}" height="{top - 20}" fill="white"/>\n'
            + "\n".join(parts) + "\n</svg>\n")
