#!/usr/bin/env python3
"""Hold the Python of docs/export.md that prepares a picture to what a net of ours is given.

    pip install numpy pillow opencv-python-headless==4.14.0.94
    python3 scripts/check_recipe.py [--alexnet bin/alexnet]

For each way to make a picture square and to resize it, a net is trained for one step on pictures that are not square,
and exported. The lines of the page, as they stand there, then prepare each picture by the file's metadata. They must
give what `alexnet features --layer input` gives, to a little more than one level of 255, which is what rounding
costs.
"""
import argparse
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "export.md"
GATE = 1.01  # levels
NETS = [  # --set of each
    ["data.fit=crop", "data.mean=image"],
    ["data.fit=squash", "data.mean=channel", "data.std=[50, 60, 70]"],
    ["data.fit=crop", "data.interpolation=linear", "data.mean=image"],
    ["data.fit=squash", "data.interpolation=linear", "data.mean=channel"],
    ["data.resize=0", "data.mean=image"],
    ["model.input.channels=1", "data.fit=squash", "data.mean=image"],
]


def draw(folder):
    """Pictures, not square, smooth in places and torn in others."""
    paths = []
    for k in range(12):
        y, x, c = np.mgrid[0:90, 0:130, 0:3]
        values = (x * x * (c + 3) + y * y * (k + 5) + x * y * 7 + 31 * c) >> 5 & 255
        path = folder / "pictures" / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint8)).save(path)
        paths.append(path)
    return paths


def recipe():
    """The lines of the page that come before the net."""
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S):
        if "Image.open" in block:
            return block[: block.index("print(")]
    sys.exit(f"{PAGE} prepares no picture")


def check(alexnet, folder, number, sets, pictures):
    def run(*args):
        done = subprocess.run([alexnet, *map(str, args)], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"alexnet {' '.join(map(str, args))}: exit code {done.returncode}\n{done.stderr}")

    start, file = f"run{number}", folder / f"net{number}.safetensors"
    typed = [word for s in sets for word in ("--set", s)]
    run(
        "train",
        "--config",
        "demo",
        "--data",
        "pictures",
        "--device",
        "cpu",
        "--steps",
        1,
        "--batch",
        4,
        *typed,
        "--out",
        start,
    )
    run("weights", "export", start, "--to", "plain", "--out", file)
    run("features", *pictures, "--weights", start, "--layer", "input", "--out", f"input{number}.npy")
    with open(file, "rb") as f:
        pre = json.loads(json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))["__metadata__"]["preprocess"])
    if "mean_image" in pre:
        pre["mean_image"] = str(folder / pre["mean_image"])
    worst = 0
    for path, want in zip(pictures, np.load(folder / f"input{number}.npy")):
        names = {"pre": pre}
        exec(recipe().replace('"cat.jpg"', repr(str(path))), names)
        if names["x"].shape != want.shape:
            sys.exit(f"{sets}: {names['x'].shape} by the page, {want.shape} here")
        worst = max(worst, np.abs((names["x"] - want) * np.float32(pre["std"])[:, None, None]).max())
    print(f"off by {worst:.3f} levels at most: {', '.join(sets)}", flush=True)
    return worst <= GATE


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--alexnet", default="bin/alexnet", type=lambda p: str(pathlib.Path(p).resolve()))
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        pictures = draw(folder)
        good = [check(o.alexnet, folder, i, sets, pictures) for i, sets in enumerate(NETS)]
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
