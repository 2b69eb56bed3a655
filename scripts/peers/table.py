"""The results as Markdown, and their place in docs/results.md."""
import os
import pathlib
import statistics
import subprocess

import rows

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = ("cmd", "internal", "configs", "go.mod", "go.sum")  # what alexnet is made of

BEGIN, END = "<!-- bench-peers: written by `make bench-peers` -->", "<!-- bench-peers: end -->"


def number(v):
    return f"{v:,.0f}" if v >= 1000 else f"{v:.3g}" if v < 100 else f"{v:.0f}"


def commit():
    """The commit, with a mark where what alexnet is made of differs from it."""
    git = lambda *a: subprocess.run(["git", *a], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    changed = git("status", "--porcelain", "--", *PROGRAM)
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("-dirty" if changed else "")


def machine(cores):
    with open("/proc/cpuinfo") as f:
        cpu = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in f)}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    special = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in cpu.get("flags", "").split()]
    return f"{cores} cores of {cpu.get('model name', 'an unknown processor')} ({', '.join(special)}), {memory:.0f} GiB, {os.uname().sysname}"


def ratios(rounds, pick, peers, less):
    """alexnet's to the best peer's of each round."""
    choose = min if less else max
    return [pick(r["alexnet"]) / choose(pick(r[p]) for p in peers) for r in rounds]


def line(label, row, entry, less, pick=lambda v: v, scale=1):
    """A row: medians of both sides, the ratios' median, least and most, and how that is beside what was promised."""
    rounds = entry["rounds"]
    peers = [p for p in rounds[0] if p != "alexnet"]
    median = {n: statistics.median(pick(r[n]) for r in rounds) for n in rounds[0]}
    top = (min if less else max)(peers, key=median.get)
    r = ratios(rounds, pick, peers, less)
    middle = statistics.median(r)
    promise = verdict = ""
    if row.gate is not None:
        promise = f"{'at most' if less else 'at least'} {row.gate}"
        verdict = "met" if (middle <= row.gate if less else middle >= row.gate) else "**missed**"
    if entry.get("failed"):
        verdict += f" **(modes that failed: {len(entry['failed'])})**"
    aim = "" if row.aim is None else row.aim
    return (f"| {label} | {number(median['alexnet'] / scale)} | {number(median[top] / scale)} | {top} | {middle:.2f} | {min(r):.2f} to {max(r):.2f} ({len(r)}) "
            f"| {promise} | {aim} | {verdict} | {entry['commit']} |")


def compared(results):
    for row in rows.rows():
        entry = results["rows"].get(row.name, {})
        if not entry.get("rounds") or not entry.get("done"):
            continue
        label = f"{row.config}, {row.task} {row.batch}, {row.precision}{', int8 weights' * row.int8}"
        if row.kind == "speed":
            yield line(f"{label}: images/s", row, entry, False)
        elif row.kind == "memory":
            alone = number(entry["import"] / (1 << 20))
            yield line(f"{label}: peak memory, MiB (`import torch` alone: {alone})", row, entry, True, scale=1 << 20)
        elif row.kind == "start":
            yield line(f"{label}: start to first step, s, against eager (`import torch` alone: {number(entry['import'])})", row, entry, True)
        elif row.kind == "epoch":
            yield line(f"{label}: start to end of the first epoch, s", row, entry, True, lambda v: v[0])
            yield line(f"{label}: the epoch after, s", row, entry, True, lambda v: v[1])


def tried(results):
    """What each mode reached when it was tried."""
    for row in rows.rows():
        entry = results["rows"].get(row.name)
        if entry and row.kind != "equal":
            scale = 1 << 20 if row.kind == "memory" else 1
            cells = [f"{n} {reached(v, scale)}" for n, v in entry["modes"].items()]
            yield f"- {row.name}: {'; '.join(cells)}"


def reached(value, scale):
    if value is None:
        return "failed"
    return " and ".join(number(v / scale) for v in (value if isinstance(value, list) else [value]))


def failures(results):
    for name, entry in results["rows"].items():
        for mode, why in (entry.get("failed", {}) | entry.get("logits", {}).get("failed", {})).items():
            yield f"- {name}: {mode} failed: {why}"


def equal(results):
    """One line a net and precision: the farthest mode."""
    for row in rows.rows():
        entry = results["rows"].get(row.name)
        if row.kind != "equal" or "equal" not in (entry or {}):
            continue
        cells, failed = [], 0
        for part in (entry, entry.get("logits", {"modes": {}})):
            ran = {n: v for n, v in part["modes"].items() if v is not None}
            worst = max(ran, key=ran.get, default=None)
            cells.append(f"{ran[worst]:.1e}, {worst} (of {len(ran)})" if worst else "")
            failed += len(part.get("failed", {}))
        losses = ", ".join(f"{v:.4f}" for v in entry["losses"])
        verdict = ("met" if entry["equal"] else "**missed**") + (f" **(modes that failed: {failed})**" if failed else "")
        yield f"| {row.config}, {row.precision}, batch {row.batch} | {losses} | {' | '.join(cells)} | {rows.EQUAL[row.precision]:.0e} | {verdict} |"


def markdown(results):
    entries = results["rows"].values()
    commits, dates = sorted({e["commit"] for e in entries}), sorted({e["date"] for e in entries if "date" in e})
    versions = ", ".join(f"{k} {v}" for k, v in sorted(results["versions"].items()))
    when = " to ".join(dict.fromkeys(dates[:1] + dates[-1:]))
    out = [f"`make bench-peers` on {results['machine']}. alexnet of commit {', '.join(commits)} with {results['backend']}; {versions}. {when}.", "",
           "| | alexnet | best peer | which | ratio | least to most (rounds) | promised | aim | | commit |", "|---|---|---|---|---|---|---|---|---|---|",
           *compared(results), "",
           "Equal work: losses of four steps and how far the peers' are, relative; logits of the first weights, relative norm. The farthest mode of each.", "",
           "| | alexnet's losses | losses off by | logits off by | allowed | |", "|---|---|---|---|---|---|", *equal(results), "",
           "Every mode as it was tried, images/s (memory: MiB; start: seconds; epoch: seconds of the first from the start, and of the one after):", "",
           *tried(results), *failures(results)]
    return "\n".join(out)


def write(path, text):
    page = path.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path}: want the lines {BEGIN} and {END} around the table")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
