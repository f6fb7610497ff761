"""Bars as SVG: one group for each figure, one bar for each peer."""
from html import escape

COLOURS = {"relay": "#9aa0a6", "nginx": "#3c7a3c", "haproxy": "#5b7fb5", "envoy": "#a0558e", "tokio": "#c8553d", "glommio": "#e09f3e"}
LEFT, WIDE, BAR, GAP, HEAD = 90, 560, 15, 30, 44


def bars(title, groups):
    """`groups`: what is told, and the figure of each peer. Bars of a group are as long as its largest figure allows."""
    parts, y = [], HEAD
    for what, values in groups.items():
        parts.append(f'<text x="8" y="{y}" font-weight="bold">{escape(what)}</text>')
        y += 7
        longest = max(values.values()) or 1
        for peer, value in values.items():
            length = max(value / longest * (WIDE - LEFT - 70), 1)
            told = f"{value:,.0f}" if value >= 50 else f"{value:.2f}"
            parts.append(f'<text x="{LEFT - 6}" y="{y + BAR - 4}" text-anchor="end">{escape(peer)}</text>'
                         f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 3}" fill="{COLOURS.get(peer, "#666")}"/>'
                         f'<text x="{LEFT + length + 5:.1f}" y="{y + BAR - 4}">{told}</text>')
            y += BAR
        y += GAP
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDE}" height="{y}" viewBox="0 0 {WIDE} {y}" role="img" '
            f'font-family="sans-serif" font-size="11">\n<title>{escape(title)}</title>\n'
            f'<rect width="{WIDE}" height="{y}" fill="white"/>\n<text x="8" y="20" font-size="14">{escape(title)}</text>\n'
            + "\n".join(parts) + "\n</svg>\n")


def pictures(figures):
    """By name of file: what costs CPU, what takes time, what takes memory. `figures` are those of the report."""
    of_cpu = {what: values for what, values in figures.items() if ", CPU of " in what}
    of_time = {what: values for what, values in figures.items() if what.endswith(", µs")}
    of_memory = {what: values for what, values in figures.items() if what not in of_cpu and what not in of_time}
    titles = (("cpu.svg", "CPU of an exchange, as a ratio: less is better", of_cpu),
              ("latency.svg", "How long a request takes at a fixed rate: less is better", of_time),
              ("memory.svg", "Memory: less is better", of_memory))
    return {name: bars(title, of) for name, title, of in titles if of}
