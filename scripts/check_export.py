#!/usr/bin/env python3
"""Holds exported weights to PyTorch: the same pictures through alexnet and through a module that loaded the export strictly, logits compared.

usage: check_export.py [--alexnet bin/alexnet] [--net NAME]...

torchvision goes into torchvision.models.alexnet, the other nets into modules written here by hand. alexnet's side is `alexnet features` on the
checkpoint: --layer input gives the very array that PyTorch gets, --layer fc8 (the last layer with weights) the logits. alexnet and torchvision
start from `alexnet weights init`, with initial weights that make the logits as large as a trained net's; cifar10 is the
net built into the program, and demo is trained for some steps; these have a mean image, and from it and the metadata the input is made anew
and compared too.
Ends with 1 where logits differ by more than 1e-5 of their norm. `make check-export` installs what it needs.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from torchvision.models import alexnet as torchvision_alexnet

GATE = 1e-5  # fp32 of the whole net forward


def lrn(x):
    """Normalises each half of the channels alone: columns do not see each other."""
    return torch.cat([F.local_response_norm(half, 5, 1e-4, 0.75, 2.0) for half in x.chunk(2, 1)], 1)


class Paper(nn.Module):
    """configs/alexnet.yaml"""

    def __init__(self, classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, 4)
        self.conv2 = nn.Conv2d(96, 256, 5, 1, 2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, 1, 1)
        self.conv4 = nn.Conv2d(384, 384, 3, 1, 1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, 1, 1, groups=2)
        self.fc6, self.fc7, self.fc8 = nn.Linear(9216, 4096), nn.Linear(4096, 4096), nn.Linear(4096, classes)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):  # (B, 3, 224, 224)
        pool = lambda x: F.max_pool2d(x, 3, 2)
        x = F.pad(x, (0, 3, 0, 3))  # 227: the size of conv1's maps is rounded up, to 55
        x = pool(lrn(F.relu(self.conv1(x))))  # (B, 96, 27, 27)
        x = pool(lrn(F.relu(self.conv2(x))))  # (B, 256, 13, 13)
        x = pool(F.relu(self.conv5(F.relu(self.conv4(F.relu(self.conv3(x)))))))  # (B, 256, 6, 6)
        x = self.drop(F.relu(self.fc6(x.flatten(1))))
        return self.fc8(self.drop(F.relu(self.fc7(x))))


class Cifar10(nn.Module):
    """configs/cifar10.yaml"""

    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 5, 1, 2)
        self.conv2 = nn.Conv2d(64, 128, 3, 1, 1, groups=2)
        self.conv3 = nn.Conv2d(128, 128, 3, 1, 1)
        self.conv4 = nn.Conv2d(128, 128, 3, 1, 1, groups=2)
        self.conv5 = nn.Conv2d(128, 96, 3, 1, 1, groups=2)
        self.fc6, self.fc7, self.fc8 = nn.Linear(864, 128), nn.Linear(128, 128), nn.Linear(128, classes)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):  # (B, 3, 28, 28)
        pool = lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True)
        x = pool(lrn(F.relu(self.conv1(x))))  # (B, 64, 14, 14)
        x = pool(lrn(F.relu(self.conv2(x))))  # (B, 128, 7, 7)
        x = F.relu(self.conv5(F.relu(self.conv4(F.relu(self.conv3(x))))))
        x = F.max_pool2d(x, 3, 2)  # (B, 96, 3, 3)
        x = self.drop(F.relu(self.fc6(x.flatten(1))))
        return self.fc8(self.drop(F.relu(self.fc7(x))))


class Demo(nn.Module):
    """configs/demo.yaml"""

    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 5, 1, 2)
        self.conv2 = nn.Conv2d(16, 32, 3, 1, 1)
        self.conv3 = nn.Conv2d(32, 64, 3, 1, 1, groups=2)
        self.fc4, self.fc5 = nn.Linear(576, 128), nn.Linear(128, classes)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):  # (B, 3, 28, 28)
        pool = lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True)
        x = pool(lrn(F.relu(self.conv1(x))))  # (B, 16, 14, 14)
        x = pool(F.relu(self.conv2(x)))  # (B, 32, 7, 7)
        x = F.max_pool2d(F.relu(self.conv3(x)), 3, 2)  # (B, 64, 3, 3)
        return self.fc5(self.drop(F.relu(self.fc4(x.flatten(1)))))


def sets(**values):
    """init=..., bias=... as --set of each layer: a map's size is kept by weights of std sqrt(2 / inputs), and biases of 0.1 show theirs."""
    return [arg for layer, std in values.items() for arg in ("--set", f"model.{layer}.init.std={std}", "--set", f"model.{layer}.init.bias=0.1")]


NETS = {  # module, form, logits' layer, side of the pictures, how the checkpoint is made
    # behind dropout twice the std, for outputs are halved
    "torchvision": (torchvision_alexnet, "torchvision", "fc8", 256, ["weights", "init", *sets(
        conv1=.074, conv2=.035, conv3=.034, conv4=.024, conv5=.029, fc6=.029, fc7=.044, fc8=.022)]),
    "alexnet": (Paper, "plain", "fc8", 256, ["weights", "init", *sets(
        conv1=.001, conv2=.041, conv3=.029, conv4=.034, conv5=.034, fc6=.0147, fc7=.044, fc8=.044)]),  # pixels of 0..255 as they are
    "cifar10": (Cifar10, "plain", "fc8", 32, ["builtin"]),
    "demo": (Demo, "plain", "fc5", 32, ["train", "--steps", "400"]),
}


def prepared(pictures, pre, folder):
    """What the metadata say of the input, done to pictures that have its size already."""
    x = np.stack([np.asarray(Image.open(p).convert("RGB"), np.float32).transpose(2, 0, 1) for p in pictures])
    x -= np.load(folder / pre["mean_image"]) if "mean_image" in pre else np.float32(pre["mean"])[:, None, None]
    at = (x.shape[2] - pre["crop"]) // 2
    return x[:, :, at:at + pre["crop"], at:at + pre["crop"]] / np.float32(pre["std"])[:, None, None]


def off(got, want):
    got, want = got.astype(np.float64), want.astype(np.float64)
    return np.linalg.norm(got - want) / np.linalg.norm(want), np.abs(got - want).max()


def check(name, alexnet, folder):
    module, form, logits, side, make = NETS[name]

    def run(*args):
        done = subprocess.run([alexnet, *map(str, args)], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"alexnet {' '.join(map(str, args))}: exit code {done.returncode}\n{done.stderr}")

    run("data", "demo", "--out", "shapes", "--train", 1, "--val", 1, "--size", side)
    pictures = sorted((folder / "shapes").rglob("*.png"))
    start = {"weights": "start.safetensors", "train": "run", "builtin": "builtin"}[make[0]]
    if start != "builtin":
        run(*make, "--config", name, "--out", start)
    run("weights", "export", start, "--to", form, "--out", "net.safetensors")
    for layer in "input", logits:
        run("features", *pictures, "--weights", start, "--layer", layer, "--out", layer + ".npy")
    x, want = np.load(folder / "input.npy"), np.load(folder / (logits + ".npy"))

    net = module()
    net.load_state_dict(load_file(folder / "net.safetensors"), strict=True)
    with torch.no_grad():
        got = net.eval()(torch.from_numpy(x)).numpy()
    with safe_open(folder / "net.safetensors", "pt") as f:
        pre = json.loads(f.metadata()["preprocess"])
    relative, largest = off(got, want)
    again, _ = off(prepared(pictures, pre, folder), x)
    print(f"{name:12} {sum(p.numel() for p in net.parameters()):11,} parameters  {len(pictures)} pictures  logits' std {want.std():6.2f}  "
          f"off by {relative:.1e} of their norm, {largest:.1e} at most  input from metadata {again:.1e}", flush=True)
    return relative <= GATE and again <= GATE and want.std() > 0.1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--alexnet", default="bin/alexnet", type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--net", action="append", choices=list(NETS), help="only this one")
    o = parser.parse_args()
    good = True
    for name in o.net or NETS:
        with tempfile.TemporaryDirectory() as folder:
            good &= check(name, o.alexnet, pathlib.Path(folder))
    print("every export is the same net" if good else f"an export is another net: more than {GATE} of the norm, or logits too small to tell")
    sys.exit(not good)


if __name__ == "__main__":
    main()
