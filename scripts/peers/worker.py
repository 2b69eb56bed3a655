"""One peer in a process of its own, spoken to in lines of JSON: the part that all frameworks share.

The first line is the job; the answer comes when the first step is done. Then {"steps": n, "warmup": w} is answered with the seconds of n steps,
and {"check": ...} with losses or logits on given pictures. The process ends with its input.
"""
import ctypes
import json
import os
import signal
import sys
import tarfile
import time
import traceback

import numpy as np


PR_SET_PDEATHSIG = 1  # linux/prctl.h


def channel():
    """Standard output for answers alone: what libraries print goes to standard error. The process ends with its driver, even while it is stopped."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return out


def read_safetensors(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        data = f.read()
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data, "<f4", (t["data_offsets"][1] - t["data_offsets"][0]) // 4, t["data_offsets"][0]).reshape(t["shape"])
            for name, t in header.items()}


def read_tar(path):
    """JPEG files in class folders, as bytes, and their labels."""
    with tarfile.open(path) as tar:
        members = [m for m in tar if m.isfile()]
        files = [tar.extractfile(m).read() for m in members]
    names = [m.name.split("/")[-2] for m in members]
    classes = {name: i for i, name in enumerate(sorted(set(names)))}
    return files, np.array([classes[n] for n in names])


def pictures(job):
    """Noise as `alexnet bench` has it, on the scale of pixels with the mean subtracted, (B, C, H, W), and labels."""
    draw, plan = np.random.default_rng(1), job["plan"]
    x = draw.random((job["batch"], *plan["input"]), dtype=np.float32)
    x = (x * 255 - 128) / np.float32(plan["std"]).reshape(-1, 1, 1)
    return x, draw.integers(0, plan["classes"], job["batch"])


def deviation(got, want):
    """Relative norm."""
    got, want = got.astype(np.float64), want.astype(np.float64)
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))


def check(net, ask):
    """`steps` losses on the same pictures, one after the other, or how far logits are from those in a file."""
    if "logits" in ask:
        return {"deviation": deviation(net.logits(), np.load(ask["logits"]))}
    return {"losses": [float(net.step()) for _ in range(ask["steps"])]}


def answer(net, ask):
    if "check" in ask:
        return check(net, ask["check"])
    for _ in range(ask["warmup"]):
        net.step()
    batches, seconds = getattr(net, "batches", 1), []  # that a step has
    for _ in range(-(-ask["steps"] // batches)):
        start = time.perf_counter()
        net.step()
        seconds.append((time.perf_counter() - start) / batches)
    return {"seconds": seconds}


def serve(build, versions):
    """build(job, weights or None, x, labels) makes an object with step(), one step done to its end, and logits() where the job infers."""
    out = channel()

    def say(document):
        out.write(json.dumps(document) + "\n")

    try:
        job = json.loads(sys.stdin.readline())
        if "input" in job:
            x, labels = np.load(job["input"]), np.array(job["labels"])
        else:
            x, labels = pictures(job)
        net = build(job, read_safetensors(job["weights"]) if "weights" in job else None, x, labels)
        del x, labels  # may be the second copy
        if "input" not in job:  # a check counts its steps from the first
            net.step()
        say({"versions": versions})
        for line in sys.stdin:
            say(answer(net, json.loads(line)))
    except Exception as e:
        traceback.print_exc()
        say({"error": f"{type(e).__name__}: {e}"})
        sys.exit(1)
