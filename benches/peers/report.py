"""Markdown from rows: medians over the rounds that count, and ratios inside a round."""
from statistics import median

# What others may use of the two CPUs, and how late the load itself may be (99th percentile), before a row does not count.
MOST_OTHERS, MOST_LATE_US = 0.25, 100.0
SHORT = {"F-http": "KiB for each connection that rests, HTTP", "F-tls": "the same in mutual TLS", "F-tcp": "the same of TCP"}


def report(rows, workloads):
    about = next((row["about"] for row in rows if "about" in row), None)
    rows = [row for row in rows if "about" not in row]
    parts = [about_text(about)] if about else []
    parts += [summary(rows, workloads), NOTES]
    parts += [part for key in workloads if (part := table(key, workloads[key], [row for row in rows if row["workload"] == key]))]
    parts += [both_legs(rows)] if any(row["workload"] == "H-client" for row in rows) else []
    odd = [f"- {row['workload']}, {row['peer']}: {row.get('failed') or row.get('left_out')}"
           for row in rows if "failed" in row or "left_out" in row]
    odd = list(dict.fromkeys(odd))
    parts += ["### Without figures\n\n" + "\n".join(odd)] if odd else []
    return "\n\n".join(part for part in parts if part)


NOTES = f"""A row of a round counts when every answer was what it was to be, others used at most {MOST_OTHERS} of the two CPUs, and, in E, the load
itself was at most {MOST_LATE_US:.0f} µs late; `rounds` says how many of them did. Where none did, all are told, with a star, and are worth little. A ratio
is taken between two rows of one round, and the table has the median of the ratios."""


def about_text(about):
    lines = [f"| {name} | {value} |" for name, value in about.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def has_figures(row):
    return "failed" not in row and "left_out" not in row


def counts(row):
    is_right = row.get("errors", 0) + row.get("bad", 0) == 0
    return is_right and row.get("others", 0) <= MOST_OTHERS and row.get("late_us", 0) <= MOST_LATE_US


def counting(rows):
    """Those that count, or all of them, and whether it is the latter."""
    good = [row for row in rows if counts(row)]
    return (good, False) if good else (rows, True)


def peers_of(workload, rows):
    return list(dict.fromkeys(peer for peer in workload.peers.split(",") if any(row["peer"] == peer for row in rows)))


# ---- all at a glance ------------------------------------------------------------------------------------------------------------

def figures(rows, workloads):
    """By workload: what is told, and the figure of each peer."""
    found = {}
    for key, workload in workloads.items():
        of = [row for row in rows if row["workload"] == key and has_figures(row)]
        peers = peers_of(workload, of)
        if workload.idle:
            found[SHORT[key]] = {peer: middle([row for row in of if row["peer"] == peer], "kib") for peer in peers}
            if key == "F-http":
                resident = {peer: middle([row for row in of if row["peer"] == peer], "empty_kib") / 1024 for peer in peers}
                found["MiB resident with no connection"] = resident
        elif workload.is_open:
            for name in ("p50_us", "p99_us"):
                values = {peer: middle(counting([row for row in of if row["peer"] == peer])[0], name) for peer in peers}
                found[f"{key}: {name[:3]}, µs"] = values
        else:
            ratios = {peer: in_rounds(of, peer, workload.base, "cpu_us") for peer in peers}
            found[f"{key}: {workload.what}, CPU of {workload.base}"] = {peer: median(of) for peer, of in ratios.items() if of}
    return {what: values for what, values in found.items() if values}


def summary(rows, workloads):
    found = figures(rows, workloads)
    peers = list(dict.fromkeys(peer for values in found.values() for peer in values))
    if not peers:
        return ""
    counted = {(row["workload"], row["peer"]) for row in rows if has_figures(row) and counts(row)}
    lines = ["| | " + " | ".join(peers) + " |", "|---" * (len(peers) + 1) + "|"]
    for what, values in found.items():
        key = what.split(":")[0]
        told = {peer: f"{value:,.0f}" if value >= 50 else f"{value:.2f}" for peer, value in values.items()}
        stars = {peer: "*" for peer in values if key in workloads and (key, peer) not in counted}
        cells = [told.get(peer, "") + stars.get(peer, "") for peer in peers]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


# ---- one workload ---------------------------------------------------------------------------------------------------------------

def table(key, workload, rows):
    rows = [row for row in rows if has_figures(row)]
    if not rows:
        return ""
    head = f"### {key}: {workload.what}\n\n"
    peers = peers_of(workload, rows)
    make = at_rest if workload.idle else latencies if workload.is_open else costs
    return head + "\n".join(make(workload, peers, rows))


def at_rest(_workload, peers, rows):
    lines = ["| peer | connections | KiB of each | MiB before | MiB with them | wrong |", "|---|---|---|---|---|---|"]
    for peer in peers:
        of = [row for row in rows if row["peer"] == peer]
        lines.append(f"| {peer} | {middle(of, 'opened'):,.0f} | {middle(of, 'kib'):.2f} | {middle(of, 'empty_kib') / 1024:.1f} "
                     f"| {middle(of, 'held_kib') / 1024:.1f} | {wrong(of)} |")
    return lines


def latencies(workload, peers, rows):
    base = workload.base
    lines = [f"| peer | p50 µs | of {base} | p99 µs | best p99 | of {base} | p99.9 µs | CPU µs | late µs | others | wrong | rounds |",
             "|---|---|---|---|---|---|---|---|---|---|---|---|"]
    for peer in peers:
        of, star, told = rows_of(rows, peer)
        p50, p99 = (in_rounds(rows, peer, base, name) for name in ("p50_us", "p99_us"))
        best = min(row["p99_us"] for row in of)
        lines.append(f"| {peer}{star} | {middle(of, 'p50_us'):.0f} | {ratio(p50)} | {middle(of, 'p99_us'):.0f} | {best:.0f} | {ratio(p99)} "
                     f"| {middle(of, 'p999_us'):.0f} | {middle(of, 'cpu_us'):.1f} | {middle(of, 'late_us'):.1f} "
                     f"| {middle(of, 'others'):.2f} | {wrong(of)} | {told} |")
    return lines


def costs(workload, peers, rows):
    base = workload.base
    lines = [f"| peer | CPU µs | of {base} | lowest to highest | in user mode | a second | proxy busy | load idle | others | wrong | rounds |",
             "|---|---|---|---|---|---|---|---|---|---|---|"]
    for peer in peers:
        of, star, told = rows_of(rows, peer)
        ratios = in_rounds(rows, peer, base, "cpu_us")
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else ""
        a_second = median(row["exchanges"] / row["seconds"] for row in of)
        lines.append(f"| {peer}{star} | {middle(of, 'cpu_us'):.1f} | {ratio(ratios)} | {spread} | {middle(of, 'user_share'):.2f} | {a_second:,.0f} "
                     f"| {middle(of, 'busy'):.2f} | {middle(of, 'idle'):.2f} | {middle(of, 'others'):.2f} | {wrong(of)} | {told} |")
    return lines


def rows_of(rows, peer):
    """Those of a peer that count, a star if none does, and how many that are."""
    all_of = [row for row in rows if row["peer"] == peer]
    of, is_all = counting(all_of)
    return of, "*" if is_all else "", f"{0 if is_all else len(of)} of {len(all_of)}"


def both_legs(rows):
    """A request in a mesh crosses both: it leaves one sidecar in TLS and comes in TLS to another."""
    legs = {}
    for row in rows:
        if row["workload"].startswith("H-") and "cpu_us" in row:
            legs.setdefault((row["round"], row["peer"]), {})[row["workload"]] = row
    sums = [{"round": number, "peer": peer, "cpu_us": sum(row["cpu_us"] for row in of.values()),
             "others": max(row["others"] for row in of.values())} for (number, peer), of in legs.items() if len(of) == 2]
    lines = ["### H: both sides, the sum of its two legs", "", "| peer | CPU µs | of nginx | lowest to highest |", "|---|---|---|---|"]
    for peer in dict.fromkeys(row["peer"] for row in sums):
        ratios = in_rounds(sums, peer, "nginx", "cpu_us")
        if ratios:
            cpu = median(row["cpu_us"] for row in sums if row["peer"] == peer)
            lines.append(f"| {peer} | {cpu:.1f} | {median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |")
    return "\n".join(lines)


def in_rounds(rows, peer, base, name):
    """Ratios of the rounds in which both count, or of all of them where there is no such round."""
    of_base = {row["round"]: row for row in rows if row["peer"] == base}
    pairs = [(row, of_base[row["round"]]) for row in rows if row["peer"] == peer and row["round"] in of_base]
    good = [pair for pair in pairs if all(map(counts, pair))]
    return [row[name] / other[name] for row, other in good or pairs if other[name]]


def ratio(ratios):
    return f"{median(ratios):.2f}" if ratios else ""


def middle(rows, name):
    return median(row[name] for row in rows)


def wrong(rows):
    return sum(row["errors"] + row["bad"] for row in rows)
