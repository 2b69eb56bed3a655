#!/usr/bin/env python3
"""Has TensorBoard read the event files of a run: every tag, number and pixel.

usage: check_events.py [--alexnet bin/alexnet]

Trains the demo net for two epochs and, resumed, for a third, so that there are two files. What TensorBoard's own reader and the data provider of
its page give is held to metrics.jsonl (scalars), and to the last checkpoint (histograms of the weights, and the picture of conv1's kernels, pixel
by pixel as internal/figure draws them). Ends with 1 where anything differs. `make check-events` installs what it needs.
"""
import argparse
import io
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.data import provider
from tensorboard.context import RequestContext
from tensorboard.util import tensor_util

SCALARS = {
    "loss": "train/loss", "top1_error": "train/top1_error", "top5_error": "train/top5_error", "lr": "train/lr", "train_loss": "train/epoch_loss",
    "val_loss": "val/loss", "val_top1_error": "val/top1_error", "val_top5_error": "val/top5_error",
    "images_per_second": "speed/images_per_second", "data_stall": "speed/data_stall",
}


def tensors(path):
    """A safetensors file's fp32 tensors by name."""
    b = path.read_bytes()
    n = int.from_bytes(b[:8], "little")
    return {
        name: np.frombuffer(b[8 + n + t["data_offsets"][0]:8 + n + t["data_offsets"][1]], np.float32).reshape(t["shape"])
        for name, t in json.loads(b[8:8 + n]).items() if name != "__metadata__" and t["dtype"] == "F32"
    }


def mosaic(w, columns):
    """conv1's kernels (N, 3, S, S) as figure.Kernels draws them: 16 a row, column under column, one scale, zero in its middle."""
    n, _, size, _ = w.shape
    zoom = max(44 // size, 1)
    side, gap, each = size * zoom, max(zoom, 4), n // columns
    across, rows = min(each, 16), -(-each // 16)
    high = rows * (side + gap) - gap
    out = np.full((columns * (high + 3 * gap) - 3 * gap, across * (side + gap) - gap, 3), 255, np.uint8)
    most = float(np.abs(w).max())
    colors = np.floor(255 * (w.astype(np.float64) + most) / (2 * most) + .5).astype(np.uint8)
    for i in range(n):
        y = i // each * (high + 3 * gap) + i % each // 16 * (side + gap)
        x = i % each % 16 * (side + gap)
        out[y:y + side, x:x + side] = colors[i].transpose(1, 2, 0).repeat(zoom, 0).repeat(zoom, 1)
    return out


class Check:
    failed = 0

    def same(self, what, got, want):
        if got != want:
            self.failed += 1
            print(f"{what}: {got!r:.300}, want {want!r:.300}")


def scalars(check, events, run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for key, tag in SCALARS.items():
        want = [(m["step"], np.float32(m[key])) for m in lines if key in m]
        check.same(tag, [(e.step, np.float32(e.tensor_proto.float_val[0])) for e in events.Tensors(tag)], want)
    return sorted({m["step"] for m in lines if "val_loss" in m})


def shown(check, events, run, ends):
    weights = tensors(run / "checkpoints" / "last.safetensors")
    names = [name for name in weights if name.endswith((".weight", ".bias")) and not name.startswith("optim.")]
    check.same("tags", sorted(events.Tags()["tensors"]),
               sorted([*SCALARS.values(), "filters/conv1", *(f"{part}/{name}" for part in ("weights", "gradients") for name in names)]))
    for name in names:
        for part in ("weights", "gradients"):
            tag = f"{part}/{name}"
            all_ = events.Tensors(tag)
            check.same(f"steps of {tag}", [e.step for e in all_], ends)
            buckets = tensor_util.make_ndarray(all_[-1].tensor_proto)  # (B, 3): from, to, count; in fp32
            check.same(f"numbers of {tag}", buckets[:, 2].sum(), weights[name].size)
            if part == "weights":
                w = weights[name].astype(np.float64)
                check.same(f"ends of {tag}", (buckets[0, 0], buckets[-1, 1]), (w.min(), w.max()))
                for to in buckets[:-1, 1]:
                    check.same(f"{tag} below {to}", buckets[buckets[:, 1] <= to, 2].sum(), (w.reshape(-1) < to).sum())
    pictures = events.Tensors("filters/conv1")
    check.same("steps of the pictures", [e.step for e in pictures], ends)
    width, height, png = pictures[-1].tensor_proto.string_val
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    want = mosaic(weights["conv1.weight"], 2)
    check.same("the picture's size", (int(height), int(width), 3), want.shape)
    check.same("pixels that differ", int((pixels != want).sum()), 0)


def page(check, multiplexer, ends):
    """What the page itself asks for."""
    p = data_provider.MultiplexerDataProvider(multiplexer, "")
    few = provider.RunTagFilter(runs=["run"], tags=["filters/conv1", "gradients/conv1.weight"])
    for plugin, tag, kind in (("images", "filters/conv1", p.list_blob_sequences), ("histograms", "gradients/conv1.weight", p.list_tensors)):
        got = kind(RequestContext(), experiment_id="", plugin_name=plugin, run_tag_filter=few)
        check.same(f"the last step of {tag} in the page", got["run"][tag].max_step, ends[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alexnet", default="bin/alexnet")
    options = parser.parse_args()
    check = Check()
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        train = [options.alexnet, "train", "--json", "--set", "train.batch=100"]
        subprocess.run([*train, "--epochs", "2", "--out", run], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run([options.alexnet, "train", "--json", "--resume", run, "--epochs", "3"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        multiplexer = plugin_event_multiplexer.EventMultiplexer(size_guidance={"tensors": 0}, tensor_size_guidance={
            "scalars": 0, "images": 0, "histograms": 0})
        multiplexer.AddRunsFromDirectory(folder)
        multiplexer.Reload()
        events = multiplexer.GetAccumulator("run")
        ends = scalars(check, events, run)
        shown(check, events, run, ends)
        page(check, multiplexer, ends)
        check.same("event files", len(list(run.glob("events.out.tfevents.*"))), 2)
    print(f"check-events: {check.failed} differences" if check.failed else "check-events: TensorBoard reads what was written")
    sys.exit(check.failed > 0)


if __name__ == "__main__":
    main()
