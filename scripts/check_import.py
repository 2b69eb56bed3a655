#!/usr/bin/env python3
"""Holds imported and exported nets of full size to PyTorch, OpenCV and ONNX Runtime: the same pixels through both,
logits compared.

usage: check_import.py [--alexnet bin/alexnet] [--photos photos.tar] [--only PART]...

torch   torchvision's AlexNet with random weights, saved as zip, legacy, half, bf16, DataParallel, training checkpoint
        and safetensors
caffe   bvlc_alexnet and CaffeNet with random weights as .caffemodel, V1 and V2, with a mean image, against OpenCV and
        a prototxt; and as the dict of arrays that kaffe makes
zoo     light_bvlc_alexnet.onnx of the onnx wheel, the model zoo's graph, filled with random weights
onnx    alexnet weights export --to onnx of five nets: onnx's checker, and ONNX Runtime with and without
        --with-preprocess

alexnet's side is `alexnet weights import` and then `alexnet features`, on eight photos cut to 256x256, so that no
program resizes. Here the pixels are made from the photos themselves: crop, mean, scale, order of colours. Ends with 1
where logits differ by more than 1e-4 of their norm, or where a net that is another one, in each part, is within a
hundred times that. `make check-import` installs what it needs.
"""
import argparse
import io
import json
import pathlib
import resource
import subprocess
import sys
import tarfile
import tempfile

import cv2
import numpy as np
import onnx
import onnxruntime

onnxruntime.set_default_logger_severity(3)
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.models import alexnet as torchvision_alexnet

import caffe_onnx
from check_export import sets

GATE = 1e-4
COUNT = 8
bad = 0


class Program:
    """The program, in a folder with pictures in it."""

    def __init__(self, path, folder, photos):
        self.path, self.folder = path, folder
        self.pictures = []
        with tarfile.open(photos) as tar:
            members = [m for m in tar.getmembers() if m.isfile() and m.name.lower().endswith((".jpg", ".jpeg"))]
            for m in members[:: max(1, len(members) // COUNT)][:COUNT]:
                p = Image.open(io.BytesIO(tar.extractfile(m).read())).convert("RGB").resize((256, 256))
                self.pictures.append(folder / f"photo{len(self.pictures)}.png")
                p.save(self.pictures[-1])
        assert len(self.pictures) == COUNT
        self.pixels = np.stack([np.asarray(Image.open(p), np.float32).transpose(2, 0, 1) for p in self.pictures])  # RGB

    def run(self, *args):
        done = subprocess.run([self.path, *map(str, args)], cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"alexnet {' '.join(map(str, args))}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout

    def logits(self, weights, layer="fc8", pictures=None):
        self.run(
            "features",
            *(pictures or self.pictures),
            "--weights",
            weights,
            "--layer",
            layer,
            "--out",
            "out.npy",
            "--force",
        )
        return np.load(self.folder / "out.npy")

    def imported(self, file, *more):
        out = self.run("weights", "import", file, "--out", "imported.safetensors", "--force", "--json", *more)
        return json.loads(out)

    def crop(self, side, size=256):
        at = (size - side) // 2
        return self.pixels[:, :, at : at + side, at : at + side]


def report(name, got, want, note=""):
    global bad
    got, want = got.astype(np.float64).reshape(len(want), -1), want.astype(np.float64).reshape(len(want), -1)
    off = np.linalg.norm(got - want) / np.linalg.norm(want)
    good = off <= GATE and want.std() > 0.1
    bad += not good
    print(
        f"{name:44} logits' std {want.std():7.2f}  off by {off:.1e} of their norm  {note}{'' if good else '  TOO FAR'}",
        flush=True,
    )


def apart(name, other, want):
    """Holds another net's logits to be seen as such."""
    global bad
    off = np.linalg.norm(other.astype(np.float64) - want) / np.linalg.norm(want.astype(np.float64))
    bad += not off > 100 * GATE
    print(f"{name:44} {'':20}  apart by {off:.1e}{'' if off > 100 * GATE else '  NOT TO BE TOLD APART'}", flush=True)


def spread(net):
    """Weights that keep the size of maps, and biases that show theirs."""
    for m in net.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(m.weight, std=(2 / m.weight[0].numel()) ** 0.5)
            nn.init.normal_(m.bias, std=0.1)
    return net


def check_torch(program, folder):
    torch.manual_seed(1)
    net = spread(torchvision_alexnet()).eval()
    mean, std = np.float32([0.485, 0.456, 0.406])[:, None, None], np.float32([0.229, 0.224, 0.225])[:, None, None]
    x = torch.from_numpy((program.crop(224) / 255 - mean) / std)

    def logits(net):
        with torch.no_grad():
            return net(x).numpy()

    want, state = logits(net), net.state_dict()
    x, whole = x * torch.from_numpy(std), x
    apart("torch: not divided by the deviation", logits(net), want)
    x = whole
    parallel = nn.DataParallel(net).state_dict()
    features = torchvision_alexnet()
    features.load_state_dict(state)
    features.features = nn.DataParallel(features.features)
    optimizer = torch.optim.SGD(features.parameters(), 0.01, momentum=0.9)
    features(torch.zeros(2, 3, 224, 224)).sum().backward()
    torch.nn.utils.clip_grad_norm_(features.parameters(), 1e-30)
    optimizer.step()  # gives it momentum, and changes nothing that shows
    files = {
        "zip": lambda p: torch.save(state, p),
        "legacy": lambda p: torch.save(state, p, _use_new_zipfile_serialization=False),
        "DataParallel": lambda p: torch.save(parallel, p),
        "training checkpoint": lambda p: torch.save(
            {
                "epoch": 90,
                "arch": "alexnet",
                "state_dict": features.state_dict(),
                "best_acc1": torch.tensor(56.5),
                "optimizer": optimizer.state_dict(),
            },
            p,
        ),
        "safetensors": lambda p: save_file(state, p),
    }
    for name, save in files.items():
        save(folder / "file")
        r = program.imported("file")
        report(
            f"torch: {name}",
            program.logits("imported.safetensors"),
            want,
            f"{r['form']}, {r['net']}, {r['recognised']}",
        )
    for kind in torch.float16, torch.bfloat16:
        rounded = torchvision_alexnet().to(kind)
        rounded.load_state_dict(state)
        torch.save(rounded.state_dict(), folder / "file")
        program.imported("file")
        report(
            f"torch: {kind}",
            program.logits("imported.safetensors"),
            logits(rounded.float().eval()),
            "of the rounded weights",
        )


SHAPES = {
    "conv1": (96, 3, 11, 11),
    "conv2": (256, 48, 5, 5),
    "conv3": (384, 256, 3, 3),
    "conv4": (384, 192, 3, 3),
    "conv5": (256, 192, 3, 3),
    "fc6": (4096, 9216),
    "fc7": (4096, 4096),
    "fc8": (1000, 4096),
}


def random_weights(seed):
    """Maps up to conv3 are as large as the pixels, so that normalisation does something, and from there on about 1."""
    random = np.random.default_rng(seed)
    return {
        name: (
            random.standard_normal(shape, np.float32)
            * np.float32((2 / np.prod(shape[1:])) ** 0.5 / (60 if name == "conv3" else 1)),
            random.standard_normal(shape[0], np.float32) * np.float32(0.1),
        )
        for name, shape in SHAPES.items()
    }


def check_caffe(program, folder):
    values = random_weights(3)
    mean = np.random.default_rng(4).uniform(90, 140, (3, 256, 256)).astype(np.float32)  # BGR
    (folder / "mean.binaryproto").write_bytes(caffe_onnx.blob(mean[None], True, False))
    np.save(folder / "mean.npy", mean.astype(np.float64))
    x = program.pixels[:, ::-1] - mean
    x = np.ascontiguousarray(x[:, :, 14 : 14 + 227, 14 : 14 + 227])
    wants = {}
    for order, v1, old, diff in (
        ("alexnet", True, True, False),
        ("alexnet", False, False, False),
        ("caffenet", True, False, True),
        ("caffenet", False, False, False),
    ):
        content = caffe_onnx.caffemodel(order, values, v1, old, diff, False, caffe_onnx.FULL)
        (folder / "file").write_bytes(content)
        text = caffe_onnx.prototxt(order, v1, 227, caffe_onnx.FULL)
        net = cv2.dnn.readNetFromCaffe(
            np.frombuffer(text.replace("input_dim: 2", f"input_dim: {COUNT}").encode(), np.uint8),
            np.frombuffer(content, np.uint8),
        )
        del content
        net.setInput(x)
        wants[order] = net.forward("fc8")
        r = program.imported("file", "--mean", "mean.binaryproto" if v1 else "mean.npy")
        report(
            f"caffe: {order} {'V1' if v1 else 'V2'}{' old dimensions' if old else ''}{' diffs' if diff else ''}",
            program.logits("imported.safetensors"),
            wants[order],
            f"{r['net']}, {r['recognised']}",
        )
    apart("caffe: the other order of layers", wants["alexnet"], wants["caffenet"])
    kaffe = {
        name: [np.ascontiguousarray(w.transpose(2, 3, 1, 0) if w.ndim == 4 else w.T), b]
        for name, (w, b) in values.items()
    }
    fc6 = values["fc6"][0].reshape(4096, 256, 6, 6)
    kaffe["fc6"][0] = np.ascontiguousarray(fc6.transpose(2, 3, 1, 0).reshape(9216, 4096))
    np.save(folder / "kaffe.npy", np.array(kaffe), allow_pickle=True)
    for net, order in ("bvlc-alexnet", "alexnet"), ("caffenet", "caffenet"):
        program.imported("kaffe.npy", "--config", net, "--mean", "mean.npy")
        report(f"kaffe's .npy as {net}", program.logits("imported.safetensors"), wants[order])


def run_onnx(model, x, output):
    if all(o.name != output for o in model.graph.output):
        model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0].name
    fixed = session.get_inputs()[0].shape[0] == 1
    batches = np.split(x, len(x)) if fixed else [x]
    return np.concatenate([session.run([output], {given: b})[0] for b in batches])


def check_zoo(program, folder):
    at = pathlib.Path(onnx.__file__).parent / "backend/test/data/light/light_bvlc_alexnet.onnx"
    model, random = onnx.load(at), np.random.default_rng(5)
    kept = []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        shape = numpy_helper.to_array(next(i for i in model.graph.initializer if i.name == node.input[0])).astype(int)
        std = (2 / max(np.prod(shape[1:]), 1)) ** 0.5 if len(shape) > 1 else 0.1
        if list(shape) == [384, 256, 3, 3]:  # conv3: see random_weights
            std /= 60
        values = (random.standard_normal(shape) * std).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    onnx.save(model, folder / "file")
    logits = next(n.input[0] for n in model.graph.node if n.op_type == "Softmax")
    mean = np.float32([104.0069879317889, 116.66876762, 122.67891434])[:, None, None]
    want = run_onnx(model, np.ascontiguousarray(program.crop(224)[:, ::-1] - mean), logits)
    other = onnx.ModelProto()
    other.CopyFrom(model)
    for node in other.graph.node:
        if node.op_type == "LRN":
            next(a for a in node.attribute if a.name == "size").i = 3
    apart(
        "zoo: normalised over 3 maps, not 5",
        run_onnx(other, np.ascontiguousarray(program.crop(224)[:, ::-1] - mean), logits),
        want,
    )
    del other
    r = program.imported("file")
    report(
        "zoo: light_bvlc_alexnet.onnx, filled",
        program.logits("imported.safetensors"),
        want,
        f"{r['net']} with {', '.join(r['changed'])}",
    )


LARGE = sets(
    conv1=0.074, conv2=0.041, conv3=0.0005, conv4=0.034, conv5=0.034, fc6=0.0147, fc7=0.044, fc8=0.044
)  # as random_weights
# Normalisation so strong that it shows whether it is within a column or over both.
STRONG = sets(conv1=0.074, conv2=0.041, conv3=0.029, conv4=0.034, conv5=0.034, fc6=0.0147, fc7=0.044, fc8=0.044) + [
    "--set",
    "model.lrn1.alpha=.5",
    "--set",
    "model.lrn2.alpha=.5",
]
PAGES = {
    "torchvision": (
        "fc8",
        sets(conv1=0.074, conv2=0.035, conv3=0.034, conv4=0.024, conv5=0.029, fc6=0.029, fc7=0.044, fc8=0.022),
    ),
    "alexnet": ("fc8", STRONG),
    "bvlc-alexnet": ("fc8", LARGE),
    "caffenet": ("fc8", LARGE),
    "cifar10": ("fc8", None),
}


def merged(model):
    """The net whose normalisation does not look at columns: Reshape, LRN, Reshape becomes LRN."""
    nodes, gone = model.graph.node, []
    for lrn in [n for n in nodes if n.op_type == "LRN"]:
        before = next(n for n in nodes if lrn.input[0] in n.output)
        after = next(n for n in nodes if lrn.output[0] in n.input)
        assert before.op_type == after.op_type == "Reshape", (before.op_type, after.op_type)
        lrn.input[0], lrn.output[0] = before.input[0], after.output[0]
        gone += before, after
    assert gone
    for node in gone:
        nodes.remove(node)
    return model


def check_onnx(program, folder):
    for name, (layer, init) in PAGES.items():
        start, pictures = "start.safetensors", program.pictures
        if init is None:
            start, pictures = "builtin", []
            for n, p in enumerate(program.pictures):
                pictures.append(folder / f"small{n}.png")
                Image.open(p).resize((32, 32)).save(pictures[-1])
        else:
            program.run("weights", "init", "--config", name, "--out", start, "--force", *init)
            # from nothing it has no mean; an imported one is given some, which is no two colours' or places' alike
            program.run("weights", "export", start, "--to", "onnx", "--out", "net.onnx", "--force")
            np.save(folder / "some.npy", np.random.default_rng(6).uniform(90, 140, (3, 256, 256)).astype(np.float32))
            program.run("weights", "import", "net.onnx", "--out", "meant.safetensors", "--force", "--mean", "some.npy")
            start = "meant.safetensors"
        want = program.logits(start, layer, pictures)
        x = program.logits(start, "input", pictures)
        for more in [], ["--with-preprocess"]:
            program.run("weights", "export", start, "--to", "onnx", "--out", "net.onnx", "--force", *more)
            onnx.checker.check_model(folder / "net.onnx", full_check=True)
            if more:
                side = x.shape[2]
                whole = np.stack([np.asarray(Image.open(p), np.float32).transpose(2, 0, 1) for p in pictures])
                at = (whole.shape[2] - side) // 2
                x = np.ascontiguousarray(whole[:, :, at : at + side, at : at + side])
            model = onnx.load(folder / "net.onnx")
            report(f"onnx: {' '.join([name, *more])}", run_onnx(model, x, layer), want)
            if name == "alexnet":
                apart(f"onnx: {' '.join([name, *more])}, columns merged", run_onnx(merged(model), x, layer), want)
            program.run(
                "weights",
                "import",
                "net.onnx",
                "--out",
                "back.safetensors",
                "--force",
                *([] if more else ["--mean", "net.mean.npy"]),
            )
            report(
                f"onnx: {' '.join([name, *more])} and back", program.logits("back.safetensors", layer, pictures), want
            )


PARTS = {"torch": check_torch, "caffe": check_caffe, "zoo": check_zoo, "onnx": check_onnx}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--alexnet", default="bin/alexnet", type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--photos", default="../shared/data/photos.tar", type=pathlib.Path)
    parser.add_argument("--net", action="append", choices=list(PAGES), help="of onnx: only this one")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="only this part")
    o = parser.parse_args()
    for name in set(PAGES) - set(o.net or PAGES):
        del PAGES[name]
    for part in o.only or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[part](Program(o.alexnet, pathlib.Path(folder), o.photos), pathlib.Path(folder))
    print(f"peak memory of the program: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10} MiB")
    print(
        "every net is the same there and here"
        if not bad
        else f"{bad} of them are other nets: more than {GATE} of the norm"
    )
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
