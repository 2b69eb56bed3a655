#!/usr/bin/env python3
"""Trains the paper's net with PyTorch and with alexnet on the same cores, in turn, and prints images a second and the ratio.

usage: bench_torch.py [--precision fp32|bf16] [--batch 128] [--rounds 3] [--steps 3] [--alexnet bin/alexnet]

Both sides: the two-column net at 224 rounded up to 55, LRN within columns, dropout, cross-entropy, SGD with momentum and decay, in fp32 or bf16
(PyTorch: autocast), one batch of fixed pictures. alexnet's side is `alexnet bench`, which takes train's own step (augmentation, finite checks and update included). PyTorch's
modes are tried once; the fastest goes against alexnet, round by round, for the machine's speed drifts. Needs torch (measured with 2.15.0).
PyTorch is much faster on virtual machines with MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=34359738368 MALLOC_TOP_PAD_=268435456
GLIBC_TUNABLES=glibc.malloc.hugetlb=1 (page faults are dear there); `make bench-torch` sets these.
"""
import argparse
import json
import os
import statistics
import subprocess
import time

import torch
from torch import nn
from torch.nn import functional as F


class Columns(nn.Module):
    """LRN of each half of the channels: it stops at the column's border."""

    def forward(self, x):  # (B, 2C, H, W)
        return torch.cat([F.local_response_norm(half, 5, 1e-4, 0.75, 2.0) for half in x.chunk(2, 1)], 1)


def net():
    conv = lambda i, o, k, s=1, p=0, g=1: [nn.Conv2d(i, o, k, s, p, groups=g), nn.ReLU(inplace=True)]
    pool = lambda: nn.MaxPool2d(3, 2)
    fc = lambda i, o: [nn.Linear(i, o), nn.ReLU(inplace=True), nn.Dropout(0.5)]
    return nn.Sequential(
        nn.ZeroPad2d((0, 3, 0, 3)),  # 227: 224 rounded up
        *conv(3, 96, 11, 4), Columns(), pool(), *conv(96, 256, 5, 1, 2, 2), Columns(), pool(),
        *conv(256, 384, 3, 1, 1), *conv(384, 384, 3, 1, 1, 2), *conv(384, 256, 3, 1, 1, 2), pool(),
        nn.Flatten(), *fc(9216, 4096), *fc(4096, 4096), nn.Linear(4096, 1000))


def stepper(batch, channels_last, compiled, half):
    torch.manual_seed(0)
    m, x, y = net().train(), torch.randn(batch, 3, 224, 224), torch.randint(0, 1000, (batch,))
    if channels_last:
        m, x = m.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    weights = [p for p in m.parameters() if p.dim() > 1]
    biases = [p for p in m.parameters() if p.dim() == 1]
    sgd = torch.optim.SGD([{"params": weights, "weight_decay": 5e-4}, {"params": biases, "lr": 2e-3}], lr=1e-3, momentum=0.9)
    f = torch.compile(m) if compiled else m

    def step():
        sgd.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = F.cross_entropy(f(x), y)
        loss.backward()
        sgd.step()
        return loss.item()

    return step


def torch_speed(step, batch, steps):
    step()
    times = []
    for _ in range(steps):
        t = time.perf_counter()
        step()
        times.append(time.perf_counter() - t)
    return batch / statistics.median(times)


def alexnet_speed(binary, batch, steps, precision):
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    out = subprocess.run([binary, "bench", "--config", "alexnet", "--batch", str(batch), "--steps", str(steps), "--precision", precision, "--json"],
                         check=True, capture_output=True, env=plain)
    return json.loads(out.stdout)["images_per_second"]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    a.add_argument("--batch", type=int, default=128)
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--steps", type=int, default=3)
    a.add_argument("--alexnet", default="bin/alexnet")
    o = a.parse_args()
    modes = {}
    for channels_last in (False, True):
        for compiled in (False, True):
            name = ("channels_last" if channels_last else "contiguous") + (" compiled" if compiled else " eager")
            step = stepper(o.batch, channels_last, compiled, o.precision == "bf16")
            step()
            modes[name] = (torch_speed(step, o.batch, o.steps), step)
            print(f"PyTorch {torch.__version__}, {o.precision}, {name:24} {modes[name][0]:7.1f} images/s", flush=True)
    best = max(modes, key=lambda k: modes[k][0])
    step = modes[best][1]
    modes.clear()
    ratios = []
    for r in range(o.rounds):
        ours = alexnet_speed(o.alexnet, o.batch, o.steps, o.precision)
        theirs = torch_speed(step, o.batch, o.steps)
        ratios.append(ours / theirs)
        print(f"round {r + 1}: alexnet {ours:.1f}, PyTorch {best} {theirs:.1f} images/s, ratio {ours / theirs:.2f}", flush=True)
    print(f"ratio: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
