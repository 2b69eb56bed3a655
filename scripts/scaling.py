#!/usr/bin/env python3
"""Measures whether cost is linear: images a second and memory by batch, one device against two (cpu,cpu) in turn. Prints Markdown.

usage: scaling.py [--alexnet bin/alexnet] [--config alexnet] [--batch 16 64 256 1024] [--precision fp32 bf16] [--rounds 3] [--images 256] [--least 3]

Each number is the median over the rounds of `alexnet bench` (train's own step on pictures in memory), which itself takes the median over steps. In every round the two
devices follow the one, so that both see the same machine. A batch that `alexnet summary` says would not fit is left out, and a line says so.
Memory is the largest that the process had (VmHWM, of one device); an image's share is what it grew by since the batch before, over the images more. The plan's
is the same from what `alexnet summary` foretells.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))
import table

MIB = 1 << 20


def run(command):
    """Returns the command's JSON and the most memory it had, in bytes."""
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"{' '.join(command)} failed with {child.returncode}")
        out.seek(0)
        return json.load(out), usage.ru_maxrss * 1024  # Linux counts in KiB


def available():
    with open("/proc/meminfo") as f:
        for line in f:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def planned(args, batch, precision, device):
    net, _ = run([args.alexnet, "summary", "--config", args.config, "--batch", str(batch), "--set", f"train.precision={precision}", "--device", device, "--json"])
    return sum(d["memory_total"] for d in net["devices"])


def bench(args, batch, precision, device):
    steps = max(args.least, args.images // batch)
    r, peak = run([args.alexnet, "bench", "--config", args.config, "--batch", str(batch), "--precision", precision, "--device", device,
                   "--steps", str(steps), "--warmup", str(min(2, steps)), "--json"])
    return r["images_per_second"], peak


def row(args, batch, precision):
    """Measures one batch; None where it would not fit."""
    plan = {d: planned(args, batch, precision, d) for d in ("cpu", "cpu,cpu")}
    if max(plan.values()) > .9 * available():
        return plan["cpu"], None
    speed, ratios, peaks = {"cpu": [], "cpu,cpu": []}, [], []
    for _ in range(args.rounds):
        for device in speed:
            images, peak = bench(args, batch, precision, device)
            speed[device].append(images)
            if device == "cpu":
                peaks.append(peak)
        ratios.append(speed["cpu,cpu"][-1] / speed["cpu"][-1])
    one, two = (statistics.median(speed[d]) for d in ("cpu", "cpu,cpu"))
    return plan["cpu"], (one, two, statistics.median(ratios), min(ratios), max(ratios), max(peaks))


def slope(now, before, images):
    return f"{(now - before) / images / MIB:.2f}" if before is not None else ""


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--alexnet", default="bin/alexnet")
    p.add_argument("--config", default="alexnet")
    p.add_argument("--batch", type=int, nargs="+", default=[16, 64, 256, 1024])
    p.add_argument("--precision", nargs="+", default=["fp32", "bf16"])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--images", type=int, default=256, help="steps take so many images together ..")
    p.add_argument("--least", type=int, default=3, help=".. but there are so many at least")
    args = p.parse_args()
    version, _ = run([args.alexnet, "version", "--json"])
    print(f"{args.config}, training, {args.rounds} rounds, {os.cpu_count()} cores, {version['backends'][0]}, commit {table.commit()}\n")
    print("| precision | batch | images/s, one device | two devices | ratio (least to most) | peak memory, MiB | MiB an image more | planned, MiB | MiB an image more |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for precision in args.precision:
        last = (None, None, 0)
        for batch in sorted(args.batch):
            plan, r = row(args, batch, precision)
            more = batch - last[2]
            if r is None:
                print(f"| {precision} | {batch} | not measured: {plan / MIB:.0f} MiB wanted, {available() / MIB:.0f} MiB available | | | | | {plan / MIB:.0f} | {slope(plan, last[1], more)} |")
                continue
            one, two, ratio, least, most, peak = r
            print(f"| {precision} | {batch} | {one:.1f} | {two:.1f} | {ratio:.2f} ({least:.2f} to {most:.2f}) | {peak / MIB:.0f} | {slope(peak, last[0], more)} "
                  f"| {plan / MIB:.0f} | {slope(plan, last[1], more)} |", flush=True)
            last = (peak, plan, batch)


if __name__ == "__main__":
    main()
