#!/usr/bin/env python3
"""Writes small files of weights, as PyTorch and NumPy make them, to internal/pth/testdata and internal/npy/testdata,
and what is in them.

usage: weights.py [--check]     --check writes nothing, and holds the committed files and what is known of them to
                                PyTorch, NumPy and the wheel of lpips again

want.json has, of each file, the tensors by name: type, shape, and the bits of their values as float32, as PyTorch and
NumPy themselves read them back; and of files that are to be refused, why. lpips-*.pth are files of 2018 from the wheel
of lpips, with their licence beside them. encoded.npz is our own (go test ./internal/npy -run TestEncodeArchive
-update), read by NumPy. `make check-weights` installs what is needed (torch==2.15.0, numpy==2.4.6; pip fetches
lpips==0.1.4). PyTorch and zips have ids and dates in them, so files that are written anew differ.
"""
import argparse
import copy
import io
import json
import pickle
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
PTH, NPY = ROOT / "internal" / "pth" / "testdata", ROOT / "internal" / "npy" / "testdata"
DTYPES = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
want = {}
checking = False  # nothing is written


class Net(nn.Module):
    """A net of a few numbers, called as torchvision's AlexNet calls its layers."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 2), nn.ReLU(), nn.BatchNorm2d(4))
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(4, 5))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def bits(a):
    """The values as float32, as the numbers that these bits make; of many the CRC-32 of the bytes."""
    with np.errstate(over="ignore"):
        flat = np.ascontiguousarray(a, np.float32).reshape(-1)
    return {"bits": flat.view(np.uint32).tolist()} if flat.size <= 2000 else {"crc": zlib.crc32(flat.tobytes())}


def leaves(x, path=()):
    if isinstance(x, dict):
        for k, v in x.items():
            yield from leaves(v, (*path, str(k)))
    elif isinstance(x, (list, tuple)):
        for i, v in enumerate(x):
            yield from leaves(v, (*path, str(i)))
    else:
        yield ".".join(path), x


def pth(name, obj=None, refused=None, form="zip", unchecked=False, **how):
    """Saves an object, and takes down what torch.load makes of the file."""
    path = PTH / name
    if obj is not None and not checking:
        torch.save(obj, path, _use_new_zipfile_serialization=form == "zip", **how)
    if refused:
        want[name] = {"refused": refused}
        return
    tensors, scalars = [], {}
    for key, x in leaves(torch.load(path, map_location="cpu", weights_only=False)):  # made a line ago
        if isinstance(x, torch.Tensor):
            t = {"name": key, "dtype": DTYPES[x.dtype], "shape": list(x.shape)}
            if x.is_floating_point():
                t |= bits(x.detach().to(torch.float32).numpy())
            tensors.append(t)
        else:
            scalars[key] = str(x).removesuffix(".0")
    want[name] = {"form": form, "unchecked": unchecked, "tensors": tensors, "scalars": scalars}


def state(dtype=torch.float32):
    torch.manual_seed(18)
    return Net().to(dtype).state_dict()


def trained():
    """A net after two steps of SGD, so that momentum is there."""
    torch.manual_seed(19)
    net = nn.DataParallel(Net())
    net.module.features = nn.DataParallel(net.module.features)
    learner = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    for _ in range(2):
        learner.zero_grad()
        net(torch.randn(8, 3, 2, 2)).square().mean().backward()
        learner.step()
    return {
        "epoch": 90,
        "arch": "alexnet",
        "state_dict": net.state_dict(),
        "best_acc1": torch.tensor(56.5),
        "optimizer": learner.state_dict(),
        "lr": 0.1,
        "done": True,
        "note": None,
        "seed": 2**70,
    }


def views():
    base = torch.arange(60, dtype=torch.float32).mul(0.37)
    cube = base.view(3, 4, 5)
    return {
        "whole": cube,
        "transposed": cube.permute(2, 0, 1),
        "column": cube[:, 1:3, 2],
        "row": cube[1],
        "thin": cube[:, ::2, ::3],
        "scalar": cube[2, 3, 4],
        "empty": cube[:0],
        "spread": torch.tensor([2.5]).expand(3, 4),
        "half": base.half().view(6, 10).t(),
        "large": torch.arange(20000, dtype=torch.float32).mul(0.5).bfloat16().view(100, 200).t()[3:5],
    }


def torches():
    from torch.serialization import set_crc32_options

    torch.manual_seed(17)
    net = Net()
    pth("zip.pth", state())
    pth("legacy.pth", state(), form="legacy")
    pth("half.pth", state(torch.float16))
    pth("bf16.pth", state(torch.bfloat16))
    pth("bf16-legacy.pth", state(torch.bfloat16), form="legacy")
    pth("double.pth", state(torch.float64))
    pth("ints.pth", {str(t): torch.arange(3).to(t) for t in DTYPES})
    pth("views.pth", views())
    pth("views-legacy.pth", views(), form="legacy")
    pth("parallel.pth", nn.DataParallel(net).state_dict())
    pth("checkpoint.pth.tar", trained())
    pth("checkpoint-legacy.pth.tar", trained(), form="legacy")
    pth(
        "parameters.pth",
        {"w": nn.Parameter(torch.tensor([1.5, -2])), "list": [torch.tensor(3.0), (torch.tensor([4.0]), 7)]},
    )
    pth("tensor.pth", torch.tensor([[1.0, 2.5]]))
    pth("protocol4.pth", state(), pickle_protocol=4)
    pth("protocol4-legacy.pth", state(), form="legacy", pickle_protocol=4)
    special = torch.tensor([float("inf"), float("-inf"), float("nan"), -0.0, 1e-45, 3.4e38])
    pth("special.pth", {"f32": special, "f16": special.half(), "f64": special.double() * 1e300})
    set_crc32_options(False)
    pth("crc0.pth", state(), unchecked=True)
    set_crc32_options(True)
    pth("model.pth", net, {"kind": "model", "name": "__main__.Net"})
    pth("model-legacy.pth", net, {"kind": "model", "name": "__main__.Net"}, form="legacy")
    pth(
        "sequential-in-dict.pth",
        {"epoch": 3, "model": net.features},
        {"kind": "model", "name": "torch.nn.modules.container.Sequential"},
    )
    pth(
        "namespace.pth",
        {"args": argparse.Namespace(lr=0.1), "state_dict": state()},
        {"kind": "global", "name": "argparse.Namespace"},
    )
    pth("dtype.pth", {"dtype": torch.float16}, {"kind": "global", "name": "torch.float16"})
    pth(
        "float8.pth",
        {"w": torch.ones(4).to(torch.float8_e4m3fn)},
        {"kind": "global", "name": "torch._utils._rebuild_tensor_v3"},
    )
    if not checking:
        torch.jit.save(torch.jit.script(net), PTH / "script.pt")
    pth("script.pt", refused={"kind": "torchscript", "name": ""})
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "lpips==0.1.4", "-d", folder], check=True
        )
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            kept = {
                "lpips-v0.0-alex.pth": "lpips/weights/v0.0/alex.pth",
                "lpips-v0.1-alex.pth": "lpips/weights/v0.1/alex.pth",
                "lpips-LICENSE": next(n for n in wheel.namelist() if n.endswith("LICENSE")),
            }
            for name, inside in kept.items():
                if not checking:
                    (PTH / name).write_bytes(wheel.read(inside))
                elif (PTH / name).read_bytes() != wheel.read(inside):
                    sys.exit(f"{name} is not that of lpips 0.1.4")
    for version in "v0.0", "v0.1":
        pth(f"lpips-{version}-alex.pth", form="legacy")


def npy(name, array=None, refused=None, make=None, names=None, dict_=False, **how):
    """Saves arrays, and takes down what numpy.load makes of the file."""
    path = NPY / name
    if make and not checking:
        make(path)
    elif not checking:
        np.save(path, array, **how)
    if refused:
        want[name] = {"refused": refused}
        return
    loaded = np.load(path, allow_pickle=True, encoding="latin1")
    if dict_:
        found = ((names(k) if names else k, v) for k, v in leaves(loaded.item()))
    elif path.suffix == ".npz":
        found = ((k, loaded[k]) for k in loaded.files if k != "metadata.json")
    else:
        found = [("", loaded)]
    kinds = {"f": "F", "i": "I", "u": "U", "b": "BOOL"}
    want[name] = {
        "dict": dict_,
        "tensors": [
            {
                "name": k,
                "shape": list(v.shape),
                "dtype": "BOOL" if v.dtype.kind == "b" else kinds[v.dtype.kind] + str(8 * v.dtype.itemsize),
            }
            | (bits(v) if v.dtype.kind == "f" else {})
            for k, v in found
        ],
    }


class Python2(pickle._Pickler):
    """Writes text and bytes as Python 2 wrote its one kind of strings."""

    dispatch = copy.copy(pickle._Pickler.dispatch)

    def save_string(self, obj):
        b = obj.encode("latin1") if isinstance(obj, str) else obj
        self.write(b"U" + bytes([len(b)]) + b if len(b) < 256 else b"T" + len(b).to_bytes(4, "little") + b)
        self.memoize(obj)

    dispatch[str] = dispatch[bytes] = save_string


def kaffe(named=False):
    """A net as bvlc_alexnet.npy has it: conv in (height, width, in, out), fc in (in, out)."""
    rng = np.random.default_rng(20)

    def layer(*shape):
        w, b = rng.standard_normal(shape).astype(np.float32), rng.standard_normal(shape[-1]).astype(np.float32)
        return {"weights": w, "biases": b} if named else [w, b]

    return {"conv1": layer(2, 2, 3, 4), "fc6": layer(60, 25), "fc8": layer(4, 5)}


def pickled(protocol=None, how=pickle.Pickler, **kind):
    """Makes np.save's file of an object, with a pickle of another protocol in it."""

    def make(path):
        object_ = np.array(kaffe(**kind), dtype=object)
        with open(path, "wb") as f:
            np.lib.format.write_array_header_1_0(f, np.lib.format.header_data_from_array_1_0(object_))
            b = io.BytesIO()
            how(b, protocol).dump(object_)
            # before NumPy 2 the module was called so
            f.write(
                b.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
                if protocol == 2
                else b.getvalue()
            )

    return make


def short(key):
    layer, part = key.rsplit(".", 1)
    return f"{layer}.{ {'0': 'weight', '1': 'bias', 'weights': 'weight', 'biases': 'bias'}[part] }"


def versioned(array, version):
    def make(path):
        with open(path, "wb") as f:
            np.lib.format.write_array(f, array, version=version)

    return make


def numpies():
    a = np.random.default_rng(21).standard_normal((3, 4, 5))
    f4 = a.astype("<f4")
    npy("f4.npy", f4)
    npy("f8.npy", a)
    npy("f2.npy", a.astype("<f2"))
    npy("fortran.npy", np.asfortranarray(f4))
    npy("scalar.npy", np.float32(2.5))
    npy("vector.npy", f4[0, 0])
    npy("empty.npy", f4[:0])
    npy("int.npy", np.arange(6, dtype="<i8").reshape(2, 3))
    npy("bool.npy", np.array([True, False]))
    npy("version2.npy", make=versioned(f4, (2, 0)))
    npy("version3.npy", make=versioned(f4, (3, 0)))
    npy("big.npy", a.astype(">f4"), refused="big-endian")
    npy("complex.npy", a.astype("<c8"), refused="'<c8'")
    npy("record.npy", np.zeros(2, [("a", "<f4"), ("b", "<i4")]), refused="names no type")
    arrays = {"conv1.weight": f4, "conv1.bias": np.asfortranarray(a[0].astype("<f2")), "steps": np.arange(3)}
    npy("stored.npz", make=lambda path: np.savez(path, **arrays))
    npy(
        "deflated.npz",
        make=lambda path: np.savez_compressed(path, **arrays, large=np.arange(30000, dtype="<f4").reshape(200, 150).T),
    )
    npy("kaffe.npy", np.array(kaffe(), dtype=object), dict_=True, names=short)
    npy("kaffe-named.npy", np.array(kaffe(named=True), dtype=object), dict_=True, names=short)
    npy("kaffe-protocol2.npy", make=pickled(2), dict_=True, names=short)
    npy("kaffe-python2.npy", make=pickled(2, Python2, named=True), dict_=True, names=short)
    npy("encoded.npz", make=lambda path: None)
    npy("namespace.npy", np.array({"a": argparse.Namespace(b=1)}, dtype=object), refused="argparse.Namespace")


def main():
    global checking
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    checking = parser.parse_args().check
    for folder, write in (PTH, torches), (NPY, numpies):
        want.clear()
        folder.mkdir(parents=True, exist_ok=True)
        for f in folder.iterdir():
            if f.is_file() and f.name != "encoded.npz" and not checking:
                f.unlink()
        write()
        text = "{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(want.items())) + "\n}\n"
        if not checking:
            (folder / "want.json").write_text(text)
        elif (folder / "want.json").read_text() != text:
            was = json.loads((folder / "want.json").read_text())
            sys.exit(
                f"{folder.relative_to(ROOT)}: not what want.json says: "
                f"{[k for k in was | want if was.get(k) != want.get(k)]}"
            )
        size = sum(f.stat().st_size for f in folder.iterdir() if f.is_file())
        print(f"{folder.relative_to(ROOT)}: {len(want)} files, {size:,} bytes")


if __name__ == "__main__":
    main()
