"""Markdown from rows: medians over rounds, and ratios inside a round."""
from statistics import median


def report(rows, workloads):
    parts = [part for key in workloads if (part := table(key, workloads[key], [row for row in rows if row["workload"] == key]))]
    parts += [both_legs(rows)] if any(row["workload"] == "H-client" for row in rows) else []
    odd = [f"- {row['workload']}, {row['peer']}: {row.get('failed') or row.get('left_out')}"
           for row in rows if "failed" in row or "left_out" in row]
    odd = list(dict.fromkeys(odd))
    parts += ["### Without figures\n\n" + "\n".join(odd)] if odd else []
    return "\n\n".join(parts)


def table(key, workload, rows):
    rows = [row for row in rows if "failed" not in row and "left_out" not in row]
    if not rows:
        return ""
    peers = list(dict.fromkeys(peer for peer in workload.peers.split(",") if any(row["peer"] == peer for row in rows)))
    head = f"### {key}: {workload.what}\n\n"
    if workload.idle:
        lines = ["| peer | connections | KiB of each | MiB before | MiB with them | wrong |", "|---|---|---|---|---|---|"]
        for peer in peers:
            of = [row for row in rows if row["peer"] == peer]
            lines.append(f"| {peer} | {middle(of, 'opened'):,.0f} | {middle(of, 'kib'):.2f} | {middle(of, 'empty_kib') / 1024:.1f} "
                         f"| {middle(of, 'held_kib') / 1024:.1f} | {wrong(of)} |")
        return head + "\n".join(lines)
    base = workload.base
    lines = [f"| peer | CPU µs | of {base} | lowest to highest | in user mode | a second | proxy busy | load idle | others | wrong |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for peer in peers:
        of = [row for row in rows if row["peer"] == peer]
        ratios = in_rounds(rows, peer, base, lambda row: row["cpu_us"])
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else ""
        ratio = f"{median(ratios):.2f}" if ratios else ""
        a_second = median(row["exchanges"] / row["seconds"] for row in of)
        lines.append(f"| {peer} | {middle(of, 'cpu_us'):.1f} | {ratio} | {spread} | {middle(of, 'user_share'):.2f} | {a_second:,.0f} "
                     f"| {middle(of, 'busy'):.2f} | {middle(of, 'idle'):.2f} | {middle(of, 'others'):.2f} | {wrong(of)} |")
    return head + "\n".join(lines) + f"\n\n{len({row['round'] for row in rows})} rounds."


def both_legs(rows):
    """A request in a mesh crosses both: it leaves one sidecar in TLS and comes in TLS to another."""
    legs = {}
    for row in rows:
        if row["workload"].startswith("H-") and "cpu_us" in row:
            legs.setdefault((row["round"], row["peer"]), {})[row["workload"]] = row["cpu_us"]
    sums = [{"round": number, "peer": peer, "cpu_us": sum(of.values())} for (number, peer), of in legs.items() if len(of) == 2]
    lines = ["### H: both sides, the sum of its two legs", "", "| peer | CPU µs | of nginx | lowest to highest |", "|---|---|---|---|"]
    for peer in dict.fromkeys(row["peer"] for row in sums):
        ratios = in_rounds(sums, peer, "nginx", lambda row: row["cpu_us"])
        if ratios:
            cpu = median(row["cpu_us"] for row in sums if row["peer"] == peer)
            lines.append(f"| {peer} | {cpu:.1f} | {median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |")
    return "\n".join(lines)


def in_rounds(rows, peer, base, value):
    of_base = {row["round"]: value(row) for row in rows if row["peer"] == base}
    return [value(row) / of_base[row["round"]] for row in rows if row["peer"] == peer and row["round"] in of_base]


def middle(rows, name):
    return median(row[name] for row in rows)


def wrong(rows):
    return sum(row["errors"] + row["bad"] for row in rows)
