#!/usr/bin/env python3
"""Trains the paper's net on a GPU with PyTorch and with alexnet, in turn, and prints images a second: a line for each precision.

usage: bench_gpu.py [--batch 128] [--steps 50] [--rounds 3] [--alone] [--alexnet bin/alexnet]

The net and the update are those of scripts/peers. PyTorch runs eager and compiled; in channels_last where tensor cores compute (tf32, bf16), bf16 by autocast, fp32 with
TF32 switched off. alexnet runs `alexnet bench`, whose step has upload, augmentation and finite checks in it; with two GPUs also a column on each. PyTorch for
CUDA must be there, unless --alone leaves it out. tf32 and bf16 are left out on GPUs before compute capability 8.0, which have neither.
"""
import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))


def alexnet(binary, gpus, batch, steps, precision):
    command = [binary, "bench", "--config", "alexnet", "--gpus", gpus, "--batch", str(batch), "--steps", str(steps), "--precision", precision, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)["images_per_second"]


def stepper(plan, batch, precision, compiled):
    import peer_torch
    import torch
    from torch.nn import functional as F

    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True
    net = peer_torch.build_net(plan, None).cuda().train()
    x, y = torch.randn(batch, *plan["input"]).cuda(), torch.randint(0, plan["classes"], (batch,)).cuda()
    if precision != "fp32":
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    sgd = peer_torch.optimizer(net, plan)
    f = torch.compile(net) if compiled else net

    def step():
        sgd.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
            loss = F.cross_entropy(f(x), y)
        loss.backward()
        sgd.step()

    return step


def torch_speed(step, batch, steps):
    import torch

    for _ in range(5):
        step()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    torch.cuda.synchronize()
    return batch * steps / (time.perf_counter() - start)


def with_torch(binary):
    """The paper's net as scripts/peers reads it, once PyTorch is there."""
    instead = "make gpu-check fetches PyTorch; make gpu-check ALONE=1 measures alexnet alone"
    try:
        import torch
    except ImportError as missing:
        raise SystemExit(f"{missing}: {instead}")
    if not torch.cuda.is_available():
        raise SystemExit(f"PyTorch {torch.__version__} sees no GPU: {instead}")
    import net

    page = subprocess.run([binary, "config", "--config", "alexnet", "--json"], capture_output=True, text=True, check=True).stdout
    print(f"PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {torch.cuda.get_device_name()}")
    return net.plan(json.loads(page))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--steps", type=int, default=50)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--alone", action="store_true", help="without PyTorch")
    p.add_argument("--alexnet", default="bin/alexnet")
    a = p.parse_args()
    plan = None if a.alone else with_torch(a.alexnet)
    doctor = json.loads(subprocess.run([a.alexnet, "doctor", "--device", "reference", "--json"], capture_output=True, text=True).stdout)
    gpus = doctor["gpus"]["gpus"]
    precisions = ["fp32", "tf32", "bf16"]
    if any(float(g["compute_capability"]) < 8 for g in gpus[:2]):
        precisions = ["fp32"]
    print(f"paper's net, batch {a.batch}, medians of {a.rounds} rounds in turn of {a.steps} steps, images a second, on {gpus[0]['name']}")
    for precision in precisions:
        runs = {"alexnet": lambda: alexnet(a.alexnet, "0", a.batch, a.steps, precision)}
        if len(gpus) > 1:
            runs["alexnet on 0,1"] = lambda: alexnet(a.alexnet, "0,1", a.batch, a.steps, precision)
        if plan:
            for name, compiled in [("PyTorch eager", False), ("PyTorch compiled", True)]:
                step = stepper(plan, a.batch, precision, compiled)
                runs[name] = lambda step=step: torch_speed(step, a.batch, a.steps)
        seen = {name: [] for name in runs}
        for _ in range(a.rounds):
            for name, run in runs.items():
                seen[name].append(run())
        print(f"{precision}: " + ", ".join(f"{name} {statistics.median(v):.0f}" for name, v in seen.items()), flush=True)


if __name__ == "__main__":
    main()
