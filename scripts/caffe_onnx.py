#!/usr/bin/env python3
"""Writes the small nets of Caffe and ONNX that tests read, and what other programs compute with them.

usage: caffe_onnx.py [--out DIR]     DIR: where internal/ is; the repository

    internal/caffe/testdata   .caffemodel files as Caffe wrote them (V1 with old dimensions, V1 and V2 with shapes, with
                              diffs), in both orders of layers, written by the few lines of protobuf below; and the
                              logits that OpenCV computes, which reads the same files with a prototxt
    internal/interop/testdata state dicts as PyTorch saves them, and the dict of arrays that kaffe makes of Caffe's
                              alexnet-v1-old; and the logits that PyTorch computes
    internal/onnx/testdata    .onnx files as the model zoo has them, by onnx, and as torch.onnx exports them; and the
                              logits that onnxruntime computes

All nets are AlexNet's 8 layers in small, with random weights: they are there to be read, not to know anything. Pictures
are of a formula that tests know too: see pictures(). `make foreign-nets` installs what this needs and runs it.
"""
import argparse
import copy
import json
import logging
import math
import pathlib
import re
import struct
from typing import NamedTuple

import cv2
import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLASSES = 10


def pictures(count, size):
    """(count, 3, size, size) whole numbers from -110 to 145."""
    n = np.arange(count * 3 * size * size, dtype=np.int64)
    return ((n * 7919 + 13) % 256 - 110).astype(np.float32).reshape(count, 3, size, size)


def weights(seed):
    """conv1 .. fc8 as (kernels, inputs / groups, height, width) and (out, in), with biases."""
    random = np.random.default_rng(seed)
    shapes = {
        "conv1": (6, 3, 5, 5), "conv2": (12, 3, 5, 5), "conv3": (12, 12, 3, 3), "conv4": (12, 6, 3, 3),
        "conv5": (8, 6, 3, 3), "fc6": (16, 8 * 3 * 3), "fc7": (16, 16), "fc8": (CLASSES, 16),
    }
    all = {}
    for name, shape in shapes.items():
        std = math.sqrt(2 / math.prod(shape[1:])) / (60 if name == "conv1" else 1)  # pixels are of 60 or so
        all[name] = (random.normal(0, std, shape).astype(np.float32),
                     random.normal(0, 0.2, shape[0]).astype(np.float32))
    return all


# Protobuf.

def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def number(field, n):
    return varint(field << 3) + varint(n)


def real(field, x):
    return varint(field << 3 | 5) + struct.pack("<f", x)


def message(field, *parts):
    content = b"".join(p.encode() if isinstance(p, str) else p for p in parts)
    return varint(field << 3 | 2) + varint(len(content)) + content


# Caffe. Numbers are caffe.proto's (https://github.com/BVLC/caffe, src/caffe/proto/caffe.proto).

TYPES = {  # V2's word: V1's, its number, V1's field of the parameters, V2's, their name
    "Convolution": ("CONVOLUTION", 4, 10, 106, "convolution_param"), "Data": ("DATA", 5, 36, 100, "transform_param"),
    "Dropout": ("DROPOUT", 6, 12, 108, "dropout_param"),
    "InnerProduct": ("INNER_PRODUCT", 14, 17, 117, "inner_product_param"),
    "LRN": ("LRN", 15, 18, 118, "lrn_param"), "Pooling": ("POOLING", 17, 19, 121, "pooling_param"),
    "ReLU": ("RELU", 18, 30, 123, "relu_param"), "Softmax": ("SOFTMAX", 20, 39, 125, "softmax_param"),
}


class Sizes(NamedTuple):
    """What AlexNet's 8 layers leave open."""

    kernels: tuple  # of conv1 .. conv5
    first: tuple  # kernel and stride of conv1
    units: tuple  # of fc6 .. fc8
    alpha: float  # of normalisation


SMALL = Sizes((6, 12, 12, 12, 8), (5, 2), (16, 16, CLASSES), 0.5)
FULL = Sizes((96, 256, 384, 384, 256), (11, 4), (4096, 4096, 1000), 0.0001)


def layers(order, sizes):
    """(name, type, bottom, top, parameters): a parameter is its field, its name and its value."""
    all, top = [], "data"

    def add(name, kind, *params, inplace=False):
        nonlocal top
        bottom, top = top, top if inplace else name
        all.append((name, kind, bottom, top, params))

    def conv(n, kernel, stride=1, pad=0, group=1):
        add(f"conv{n}", "Convolution", (1, "num_output", sizes.kernels[n - 1]), (3, "pad", pad),
            (4, "kernel_size", kernel), (5, "group", group), (6, "stride", stride))
        add(f"relu{n}", "ReLU", inplace=True)

    def norm(n):
        add(f"norm{n}", "LRN", (1, "local_size", 5), (2, "alpha", sizes.alpha), (3, "beta", 0.75))

    def pool(n):
        add(f"pool{n}", "Pooling", (1, "pool", 0), (2, "kernel_size", 3), (3, "stride", 2))

    def inner(n):
        add(f"fc{n}", "InnerProduct", (1, "num_output", sizes.units[n - 6]))

    first, second = (norm, pool) if order == "alexnet" else (pool, norm)
    conv(1, sizes.first[0], stride=sizes.first[1]), first(1), second(1)
    conv(2, 5, pad=2, group=2), first(2), second(2)
    conv(3, 3, pad=1), conv(4, 3, pad=1, group=2), conv(5, 3, pad=1, group=2), pool(5)
    for n in 6, 7:
        inner(n)
        add(f"relu{n}", "ReLU", inplace=True)
        add(f"drop{n}", "Dropout", (1, "dropout_ratio", 0.5), inplace=True)
    inner(8)
    add("prob", "Softmax")
    return all


def blob(values, old, diff, packed=True):
    if old:  # four dimensions, with leading ones
        dims = (1,) * (4 - values.ndim) + values.shape
        shape = b"".join(number(i + 1, d) for i, d in enumerate(dims))
    else:
        shape = message(7, message(1, *(varint(d) for d in values.shape)))
    flat = values.ravel()
    data = message(5, flat.tobytes()) if packed else b"".join(real(5, x) for x in flat)
    return (shape if old else b"") + data + (message(6, (flat * 7).tobytes()) if diff else b"") + \
        (b"" if old else shape)


def parameters(params):
    return b"".join(real(f, v) if isinstance(v, float) else number(f, v) for f, _, v in params)


def caffemodel(order, values, v1, old, diff, trained, sizes=SMALL):
    out = message(1, "AlexNet" if order == "alexnet" else "CaffeNet")
    every = layers(order, sizes)
    if trained:  # a snapshot of training begins with the data
        every = [("data", "Data", None, "data", [(3, "crop_size", 65), (1, "scale", 1.0)])] + every
    for n, (name, kind, bottom, top, params) in enumerate(every):
        _, enum, v1_param, v2_param, _ = TYPES[kind]
        param = [message(v1_param if v1 else v2_param, parameters(params))] if params else []
        packed = n % 2 == 0 or sizes is FULL  # 61 million numbers one by one would take minutes
        kept = [blob(b, old, diff, packed) for b in values.get(name, [])]
        if v1:  # bottom, top, name, type, blobs
            fields = [message(2, bottom)] if bottom else []
            fields += [message(3, top), message(4, name), number(5, enum)] + [message(6, b) for b in kept]
            out += message(2, *fields, *param)
        else:  # name, type, bottom, top, blobs
            fields = [message(1, name), message(2, kind)] + ([message(3, bottom)] if bottom else [])
            fields += [message(4, top)] + [message(7, b) for b in kept]
            out += message(100, *fields, *param)
    return out


def prototxt(order, v1, size, sizes=SMALL):
    text = 'name: "net"\ninput: "data"\n' + "".join(f"input_dim: {d}\n" for d in (2, 3, size, size))
    for name, kind, bottom, top, params in layers(order, sizes):
        word, _, _, _, param = TYPES[kind]
        text += ("layers" if v1 else "layer") + f' {{ name: "{name}" type: ' + (word if v1 else f'"{kind}"')
        text += f' bottom: "{bottom}" top: "{top}" {param} {{ '
        text += " ".join(f"{n}: {'MAX' if n == 'pool' else v}" for _, n, v in params) + " } }\n"
    return text


CAFFE = {  # file: order of layers, V1, old dimensions, diffs, a snapshot of training, size of the pictures
    "alexnet-v1-old": ("alexnet", True, True, True, True, 65),
    "caffenet-v1": ("caffenet", True, False, False, False, 65),
    "alexnet-v2": ("alexnet", False, False, False, False, 65),
    "caffenet-v2-diffs": ("caffenet", False, False, True, False, 63),  # pooling rounds up: 30, 15
}


def write_caffe(to):
    to.mkdir(parents=True, exist_ok=True)
    expected = {}
    for seed, (name, (order, v1, old, diff, trained, size)) in enumerate(CAFFE.items()):
        values = weights(seed)
        content = caffemodel(order, values, v1, old, diff, trained)
        (to / f"{name}.caffemodel").write_bytes(content)
        net = cv2.dnn.readNetFromCaffe(np.frombuffer(prototxt(order, v1, size).encode(), np.uint8),
                                       np.frombuffer(content, np.uint8))
        net.setInput(pictures(2, size))
        logits = net.forward("fc8").reshape(2, CLASSES)
        expected[name] = {"size": size, "order": order, "v1": v1, "logits": logits.tolist(),
                          "sums": {f"{k}.{w}": float(b.astype(np.float64).sum()) for k, v in values.items()
                                   for w, b in zip(("weight", "bias"), v)}}
        print(f"{name}: {len(content)} bytes, logits {logits.min():.2f} to {logits.max():.2f}")
    mean = (np.arange(3 * 8 * 8, dtype=np.float32) / 2).reshape(1, 3, 8, 8)
    (to / "mean.binaryproto").write_bytes(blob(mean, True, False))
    (to / "colour.binaryproto").write_bytes(blob(np.float32([104, 117, 123]).reshape(1, 3, 1, 1), False, False))
    (to / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


# ONNX.

def zoo(values, size):
    """As bvlcalexnet-9.onnx of the model zoo: IR 3, weights among the inputs, no padding but at the end of pool5."""
    nodes, init, n = [], [], 0

    def add(op, inputs, **attributes):
        nonlocal n
        outputs = [f"r{n}"] + ([f"r{n + 1}"] if op == "Dropout" else [])
        nodes.append(helper.make_node(op, [f"r{n - 1}" if n else "data_0", *inputs], outputs, name=f"n{len(nodes)}",
                                      **attributes))
        if op == "Dropout":  # r16, r17: what follows reads the first
            nodes[-1].output[:] = [f"r{n}", f"mask{n}"]
        n += 1

    def layer(op, name, **attributes):
        for suffix, v in zip("wb", values[name]):
            init.append(numpy_helper.from_array(v, f"{name}_{suffix}_0"))
        add(op, [f"{name}_w_0", f"{name}_b_0"], **attributes)

    def conv(i, kernel, stride=1, pad=0, group=1):
        layer("Conv", f"conv{i}", kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4,
              **({"group": group} if group > 1 else {}))
        add("Relu", [])

    def norm():
        add("LRN", [], size=5, alpha=0.5, beta=0.75, bias=1.0)

    def pool(end):
        add("MaxPool", [], kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, end, end])

    conv(1, 5, stride=2), norm(), pool(0), conv(2, 5, pad=2, group=2), norm(), pool(0)
    conv(3, 3, pad=1), conv(4, 3, pad=1, group=2), conv(5, 3, pad=1, group=2), pool(1)
    init.append(numpy_helper.from_array(np.array([2, 72], np.int64), "OC2_DUMMY_1"))
    add("Reshape", ["OC2_DUMMY_1"])
    for name in "fc6", "fc7":
        layer("Gemm", name, transB=1)
        add("Relu", [])
        add("Dropout", [], ratio=0.5)
    layer("Gemm", "fc8", transB=1)
    logits = nodes[-1].output[0]
    add("Softmax", [])
    nodes[-1].output[0] = "prob_1"
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "bvlc_alexnet", [value("data_0", TensorProto.FLOAT, [2, 3, size, size])] +
        [value(t.name, t.data_type, t.dims) for t in init], [value("prob_1", TensorProto.FLOAT, [2, CLASSES])], init)
    opset = [helper.make_opsetid("", 9)]
    return helper.make_model(graph, opset_imports=opset, ir_version=3, producer_name="onnx-caffe2"), logits


def odds():
    """A net of the other ways to say the same: constants, a matrix product and a sum, other kinds of numbers."""
    random = np.random.default_rng(9)
    w, b = random.normal(0, 0.1, (4, 3, 3, 3)).astype(np.float32), random.normal(0, 1, 4).astype(np.float32)
    m = random.normal(0, 0.3, (16, CLASSES)).astype(np.float32)
    tensor, node = helper.make_tensor, helper.make_node
    half = random.normal(0, 1, CLASSES).astype(np.float16)
    init = [
        tensor("conv.w", TensorProto.FLOAT, w.shape, w.ravel().tolist()),  # float_data
        tensor("double", TensorProto.DOUBLE, m.shape, m.ravel().tolist()),
        tensor("half", TensorProto.FLOAT16, half.shape, half.tolist()),  # the bits of each, as int32_data
        tensor("shape", TensorProto.INT64, [2], [0, -1]),
        tensor("ten", TensorProto.INT64, [1], [CLASSES]),
    ]
    nodes = [
        node("Constant", [], ["conv.b"], value=tensor("b", TensorProto.FLOAT, b.shape, b.ravel().tolist())),
        node("ConstantOfShape", ["ten"], ["tenth"], value=tensor("v", TensorProto.FLOAT, [1], [0.1])),
        node("Identity", ["conv.w"], ["conv.again"]),
        node("Cast", ["double"], ["m"], to=TensorProto.FLOAT), node("Cast", ["half"], ["h"], to=TensorProto.FLOAT),
        node("Conv", ["x", "conv.again", "conv.b"], ["c"], auto_pad="SAME_UPPER", strides=[1, 1]),
        node("Relu", ["c"], ["r"]), node("AveragePool", ["r"], ["a"], kernel_shape=[1, 1]),
        node("MaxPool", ["a"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["p", "shape"], ["f"]), node("MatMul", ["f", "m"], ["y"]),
        node("Add", ["y", "h"], ["z"]), node("Add", ["z", "tenth"], ["logits"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "odds", [value("x", TensorProto.FLOAT, ["N", 3, 4, 4])],
                              [value("logits", TensorProto.FLOAT, ["N", CLASSES])], init)
    opset = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="odds")
    helper.set_model_props(model, {"classes": "one\ntwo", "licence": "none"})
    return model


class TorchVision(nn.Module):
    """torchvision.models.alexnet in small: 95 where it has 224."""

    def __init__(self):
        super().__init__()
        relu, pool = lambda: nn.ReLU(inplace=True), lambda: nn.MaxPool2d(3, 2)
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 11, 4, 2), relu(), pool(), nn.Conv2d(6, 12, 5, padding=2), relu(), pool(),
            nn.Conv2d(12, 12, 3, padding=1), relu(), nn.Conv2d(12, 8, 3, padding=1), relu(),
            nn.Conv2d(8, 8, 3, padding=1), relu(), pool())
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(32, 16), relu(), nn.Dropout(), nn.Linear(16, 16), relu(), nn.Linear(16, CLASSES))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def torch_exports(to):
    torch.manual_seed(3)
    net = TorchVision().eval()
    with torch.no_grad():
        net.features[0].weight /= 20
    x = torch.from_numpy(pictures(2, 95))
    batch = {"x": {0: torch.export.Dim("batch")}}
    for name, beside in ("torch", False), ("torch-beside", True):
        torch.onnx.export(net, (x,), to / f"{name}.onnx", dynamo=True, dynamic_shapes=batch, external_data=beside,
                          input_names=["x"], output_names=["logits"], verbose=False)
        without_paths(to / f"{name}.onnx")
    try:
        torch.onnx.export(net, (x,), to / "torch-script.onnx", dynamo=False, opset_version=13, input_names=["x"],
                          output_names=["logits"], dynamic_axes={"x": {0: "batch"}})
    except Exception as e:  # the older exporter may be gone
        print("no torch-script.onnx:", e)


def without_paths(path):
    """Takes out of an export where on this machine the lines of Python are that its nodes came from."""
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        for p in node.metadata_props:
            p.value = re.sub(r'File "[^"]*/', 'File "', p.value)
    onnx.save(model, path)


def run(path, size, output=None):
    """The logits that onnxruntime computes; of an output that the file does not give, where it is named."""
    model = onnx.load(path)
    if output:
        model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, [2, CLASSES]))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([output or "logits"], {session.get_inputs()[0].name: pictures(2, size)})[0]


def write_onnx(to):
    to.mkdir(parents=True, exist_ok=True)
    model, logits = zoo(weights(7), 64)
    onnx.save(model, to / "zoo.onnx")
    onnx.save(odds(), to / "odds.onnx")
    torch_exports(to)
    expected = {}
    for path in sorted(to.glob("*.onnx")):
        onnx.checker.check_model(path, full_check=True)
        size = {"zoo": 64, "odds": 4}.get(path.stem, 95)
        got = run(path, size, logits if path.stem == "zoo" else None)
        output = logits if path.stem == "zoo" else "logits"
        expected[path.stem] = {"size": size, "output": output, "logits": got.tolist()}
        print(f"{path.stem}: {path.stat().st_size} bytes, logits {got.min():.2f} to {got.max():.2f}")
    (to / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


# State dicts and kaffe's arrays.

def write_interop(to):
    to.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(3)
    net = TorchVision().eval()
    with torch.no_grad():
        net.features[0].weight /= 20
    x, expected = torch.from_numpy(pictures(2, 95)), {}

    def write(name, what, like, **more):
        torch.save(what, to / name, **more)
        with torch.no_grad():
            expected[name] = {"size": 95, "logits": like(x).tolist()}

    write("zip.pth", net.state_dict(), net)
    parallel = copy.deepcopy(net)
    parallel.features = nn.DataParallel(parallel.features)
    optimizer = torch.optim.SGD(parallel.parameters(), 0.01, momentum=0.9)
    checkpoint = {"epoch": 90, "arch": "alexnet", "state_dict": parallel.state_dict(), "best_acc1": torch.tensor(56.5),
                  "optimizer": optimizer.state_dict()}
    write("model_best.pth.tar", checkpoint, net, _use_new_zipfile_serialization=False)
    for kind in torch.float16, torch.bfloat16:
        rounded = copy.deepcopy(net).to(kind)
        write(str(kind).split(".")[1] + ".pth", rounded.state_dict(), copy.deepcopy(rounded).float())
    kaffe = {name: {"weights": w.transpose(2, 3, 1, 0) if w.ndim == 4 else w.T, "biases": b}
             for name, (w, b) in weights(0).items()}  # those of alexnet-v1-old
    fc6 = weights(0)["fc6"][0].reshape(16, 8, 3, 3)
    kaffe["fc6"]["weights"] = np.ascontiguousarray(fc6.transpose(2, 3, 1, 0).reshape(72, 16))
    np.save(
        to / "kaffe.npy",
        np.array({k: {n: np.ascontiguousarray(v) for n, v in d.items()} for k, d in kaffe.items()}),
        allow_pickle=True,
    )
    for path in sorted(to.iterdir()):
        print(f"{path.name}: {path.stat().st_size} bytes")
    (to / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT)
    out = parser.parse_args().out
    logging.disable(logging.WARNING)
    write_caffe(out / "internal/caffe/testdata")
    write_onnx(out / "internal/onnx/testdata")
    write_interop(out / "internal/interop/testdata")


if __name__ == "__main__":
    main()
