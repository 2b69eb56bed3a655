#!/usr/bin/env python3
"""Writes the golden files that the tests compare every backend with: the truth according to PyTorch.

    python3 -m venv venv
    venv/bin/pip install torch==2.15.0 numpy==2.4.6 safetensors==0.8.0
    venv/bin/python scripts/golden.py            # all of them; or some: philox ops paper steps explain softgpu
    venv/bin/python scripts/golden.py choose     # searches the pictures' names anew, see "Kinks"

It runs on the CPU, in about a minute and 4 GB, and writes into the checkout it lies in:

    internal/philox/testdata/vectors.json                      words and normal numbers of this script's own Philox
    internal/device/devicetest/testdata/ops.safetensors        each op alone, forward and gradients
    internal/model/modeltest/testdata/paper.safetensors        the paper's net on 4 pictures: logits, every gradient
    internal/model/modeltest/testdata/steps.safetensors        ten SGD steps of a small two-column net with dropout
    internal/infer/testdata/explain.safetensors                occlusion, saliency and Grad-CAM of that net
    test/softgpu/check/testdata/libraries.safetensors          convolutions and matrix products, for the emulated cuDNN and cuBLAS

Rules:

- PyTorch computes in float64; results are stored as float32. What is compared is float32 arithmetic with gates of 1e-5 and 1e-4, so
  the truth is 300 times finer than the gate (rounding to float32 costs 3e-8 in relative norm).
- Inputs and weights are not stored: both sides draw them from the project's Philox streams (internal/philox), which this script
  implements once more in numpy and checks against the known answers of the Random123 distribution. Uniform inputs are multiples of
  2^-23, pictures are integers: equal on both sides to the bit. Normal weights go through log and cos, whose last bit may differ
  between libraries: at most one float32 in some ten million is rounded the other way.
- Columns are computed as the paper does, as two tensors that are joined where the layer reads both: the project's grouped convolutions
  and split normalisations on one device, and its exchange on two, are compared with something that has neither.
- Files are safetensors with float32 tensors alone; what else belongs to a case is JSON in the metadata.

Large tensors are stored as a count-sketch: element i, times a random sign, is added to one of 1024 buckets; sign and bucket are bit 31 and
the low ten bits of word i of the stream "sketch.NAME". Sketching is linear, so the difference of two sketches is the sketch of the
difference d, and its squared norm estimates |d|^2 without bias, with a relative standard deviation of at most sqrt(2/1024) = 4.4%
(2.2% of the norm). 256 elements, drawn by the stream "sample.NAME", are stored beside it: they say where a deviation lies.

bf16 has no truth to be within a gate of: rounding decides ReLUs and maxima otherwise at every layer. What is stored is how far PyTorch's own bf16
(autocast) is from the float64 truth, tensor by tensor, and the project's may be 1.25 times as far. These numbers depend on PyTorch's kernels, and so a
little on the processor.

Kinks. Where a ReLU's input is near 0, or a max pool's two largest are nearly equal, float32 may decide otherwise than float64, and one of the
paper's net's 400,000 decisions per picture moves conv1's gradient by about .3%: thirty times the gate, through nobody's fault. The
pictures are therefore chosen, by "choose", among some hundreds such that no decision is closer than KINK times the rms of the layer's values:
ten times the error of float32 at the deepest layer. The script prints the distance, how far PyTorch's own float32 is from the float64 truth,
and how far the truth moves when every layer's output is given a relative noise of 1e-6.
"""

import json
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save

ROOT = pathlib.Path(__file__).resolve().parent.parent
PHILOX = ROOT / "internal/philox/testdata/vectors.json"
OPS = ROOT / "internal/device/devicetest/testdata/ops.safetensors"
PAPER = ROOT / "internal/model/modeltest/testdata/paper.safetensors"
STEPS = ROOT / "internal/model/modeltest/testdata/steps.safetensors"
EXPLAIN = ROOT / "internal/infer/testdata/explain.safetensors"
SOFTGPU = ROOT / "test/softgpu/check/testdata/libraries.safetensors"

VERSIONS = f"torch {torch.__version__.split('+')[0]}, numpy {np.__version__}"

# ---------------------------------------------------------------------------------------------------------------------------------
# Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011), vectorised. The streams are those of internal/philox.

DROPOUT, INIT, TEST, NOISE = 1, 2, 7, 11  # purposes


def block(key, counter):
    """Four words for each counter: counter is a list of four uint32 arrays (or numbers), key a pair of numbers."""
    low = np.uint64(0xFFFFFFFF)
    c = [np.asarray(w, dtype=np.uint64) for w in counter]
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    m0, m1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
    shift = np.uint64(32)
    for _ in range(10):
        p0, p1 = m0 * c[0], m1 * c[2]  # 32 x 32 bits: no overflow
        c = [(p1 >> shift) ^ c[1] ^ k0, p1 & low, (p0 >> shift) ^ c[3] ^ k1, p0 & low]
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    return np.stack(np.broadcast_arrays(*c), axis=-1).astype(np.uint32)


def key(seed, purpose):
    return seed & 0xFFFFFFFF, (seed >> 32) ^ (purpose << 24)


def stream(name):
    """FNV-1a of the name."""
    h = 2166136261
    for b in name.encode():
        h = ((h ^ b) * 16777619) & 0xFFFFFFFF
    return h


def check_known_answers():
    """kat_vectors of Random123, philox4x32 with 10 rounds."""
    ones = 0xFFFFFFFF
    for k, c, want in [
        ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ones, ones), (ones,) * 4, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        ((0xA4093822, 0x299F31D0), (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ]:
        got = tuple(int(w) for w in block(k, c))
        if got != want:
            sys.exit(f"philox: {got} instead of {want}")


def words(purpose, seed, name, n, first=0):
    """Words first..first+n of a stream: word i is word i%4 of the block with counter (i/4, stream, 0, 0). first is a multiple of 4."""
    blocks = np.arange(first // 4, (first + n + 3) // 4)
    return block(key(seed, purpose), [blocks, stream(name), 0, 0]).reshape(-1)[:n]


SEED = 2012  # of every golden


def uniform(name, *shape):
    """Multiples of 2^-23 in [-1, 1): exact in float32."""
    w = words(TEST, SEED, name, math.prod(shape))
    return ((w >> 8).astype(np.float64) * 2.0**-23 - 1).reshape(shape)


def coarse(name, *shape):
    """Multiples of 1/2 in [-2, 2): plenty of zeros and of ties."""
    w = words(TEST, SEED, name, math.prod(shape))
    return (((w >> 29).astype(np.float64) - 4) / 2).reshape(shape)


def eighths(name, *shape):
    """Multiples of 2^-7 in [-1, 1): exact in bf16 and TF32, and so are all sums of some hundred products of two of them in float32."""
    w = words(TEST, SEED, name, math.prod(shape))
    return ((w >> 24).astype(np.float64) * 2.0**-7 - 1).reshape(shape)


def normal_of_words(w):
    """Box-Muller on pairs of words, as philox.Normals."""
    w = w.reshape(-1, 2)
    radius = np.sqrt(-2 * np.log((w[:, 0] + 0.5) / 2.0**32))
    angle = 2 * np.pi * (w[:, 1] / 2.0**32)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).reshape(-1)


def initial(name, shape, std):
    """The model's rule: element i of the whole net's tensor is std times normal i%4 of the block with counter (i/4, 0, stream of the name, 0)."""
    n = math.prod(shape)
    out = np.empty(n, dtype=np.float32)
    step = 1 << 22
    for at in range(0, n, step):
        m = min(step, n - at)
        four = block(key(SEED, INIT), [np.arange(at // 4, (at + m + 3) // 4), 0, stream(name), 0])
        out[at : at + m] = normal_of_words(four)[:m] * std
    return out.reshape(shape)


def dropout_keeps(rate, seed, step, layer, first, rows, units, first_unit=0):
    """1 where a unit stays: the word of (seed, step, layer, sample, unit) is not below rate * 2^32."""
    unit = np.arange(first_unit, first_unit + units, dtype=np.uint64)[None, :]
    sample = np.arange(first, first + rows, dtype=np.uint64)[:, None]
    four = block(key(seed, DROPOUT), [unit >> np.uint64(2), stream(layer), sample, step])  # (rows, units, 4)
    word = np.take_along_axis(four, np.broadcast_to((unit & np.uint64(3)).astype(int)[..., None], four.shape[:2] + (1,)), axis=2)[..., 0]
    return (word >= np.uint32(int(np.float32(rate).astype(np.float64) * 2.0**32))).astype(np.float64)


# ---------------------------------------------------------------------------------------------------------------------------------
# Pictures


def picture(name, height, width, size):
    """(height, width, 3) of 0..255: coloured squares of the given size and a quarter of noise, so that neighbours resemble each other."""
    rows, cols = -(-height // size), -(-width // size)
    squares = (words(TEST, SEED, name + ".squares", rows * cols * 3) >> 24).reshape(rows, cols, 3).astype(int)
    noise = (words(TEST, SEED, name + ".noise", height * width * 3) >> 24).reshape(height, width, 3).astype(int)
    big = np.repeat(np.repeat(squares, size, axis=0), size, axis=1)[:height, :width]
    return (3 * big + noise) // 4


def stage(pixels, crop, size, flip, color, mean, scale):
    """What a device makes of a staged picture: x[c,i,j] = (pixel - mean + color[c]) * scale[c], the mean taken where the pixel is."""
    x = pixels.transpose(2, 0, 1).astype(np.float64) - mean + np.asarray(color, dtype=np.float32).astype(np.float64)[:, None, None]
    x = x[:, crop[0] : crop[0] + size, crop[1] : crop[1] + size]
    if flip:
        x = x[:, :, ::-1]
    return x * scale


# ---------------------------------------------------------------------------------------------------------------------------------
# Sketches and files

BUCKETS, SAMPLES = 1024, 256
FULL = 40_000  # tensors of up to so many elements are stored whole


def sketch(name, x):
    x = x.reshape(-1)
    out = np.zeros(BUCKETS)
    step = 1 << 22
    for at in range(0, x.size, step):
        w = words(TEST, SEED, "sketch." + name, min(step, x.size - at), at)
        sign = 1.0 - 2.0 * (w >> 31)
        out += np.bincount(w & (BUCKETS - 1), weights=sign * x[at : at + step], minlength=BUCKETS)
    return out


def samples(name, x):
    x = x.reshape(-1)
    index = (words(TEST, SEED, "sample." + name, SAMPLES).astype(np.uint64) * np.uint64(x.size)) >> np.uint64(32)
    return x[index.astype(np.int64)]


def put(tensors, name, x, full=FULL):
    """Stores x whole, or sketched."""
    x = np.asarray(x)
    if x.size <= full:
        tensors[name] = x
        return
    tensors[name + "#sketch"] = sketch(name, x)
    tensors[name + "#samples"] = samples(name, x)
    tensors[name + "#norm"] = np.array([np.linalg.norm(x.reshape(-1)), x.size])


def sorted_header(data):
    """The file with its header's keys in order: the library's order changes from run to run, and the files are under version control."""
    n = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:n]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[n:]


def write(path, tensors, **meta):
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = {k: v if isinstance(v, str) else json.dumps(v) for k, v in meta.items()}
    meta["versions"] = VERSIONS
    data = save({k: np.ascontiguousarray(v, dtype=np.float32) for k, v in tensors.items()}, metadata=meta)
    path.write_bytes(sorted_header(data))
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes, {len(tensors)} tensors")


KINK = 1e-5  # the nearest that a decision may come, see "Kinks"


def deviation(got, want):
    return float(np.linalg.norm((got - want).reshape(-1)) / max(np.linalg.norm(want.reshape(-1)), 1e-300))


# ---------------------------------------------------------------------------------------------------------------------------------
# philox


def golden_philox():
    """Vectors for internal/philox: it and this script were written from the paper and the streams' definition alone."""
    seeds = [1, 2012, 0xFEDCBA9876543210]
    out = {"streams": {n: stream(n) for n in ["", "conv1.weight", "drop6", "fc8.bias"]}, "dropout": [], "normals": [], "words": []}
    for seed in seeds:
        for step, layer, sample, unit in [(0, "drop6", 0, 0), (9, "drop7", 127, 4095), (70000, "drop6", 1200000, 2049), (3, "d", 5, 6)]:
            four = block(key(seed, DROPOUT), [unit >> 2, stream(layer), sample, step])
            out["dropout"].append({"seed": str(seed), "step": step, "layer": layer, "sample": sample, "unit": unit, "word": int(four[unit & 3])})
        w = words(TEST, seed, "conv1.weight", 16)
        out["words"].append({"seed": str(seed), "purpose": TEST, "name": "conv1.weight", "words": [int(v) for v in w]})
        out["normals"].append({"words": [int(v) for v in w], "normals": [float(v) for v in normal_of_words(w)]})
    corners = np.array([0, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0], dtype=np.uint32)
    out["normals"].append({"words": [int(v) for v in corners], "normals": [float(v) for v in normal_of_words(corners)]})
    PHILOX.parent.mkdir(parents=True, exist_ok=True)
    PHILOX.write_text(json.dumps(out, indent=1) + "\n")
    print(f"{PHILOX.relative_to(ROOT)}: {PHILOX.stat().st_size} bytes")


# ---------------------------------------------------------------------------------------------------------------------------------
# ops: one op, its inputs drawn, its output y and, for a drawn gradient of y, those of its inputs

ACT = {"linear": lambda x: x, "relu": torch.relu, "tanh": torch.tanh}

CASES = [
    # Kernel 11, stride 4 and no padding, rounded up: (24-11)/4 = 3.25 as (224-11)/4 = 53.25 is. Missing pixels are zero.
    dict(name="conv_k11_s4_up", op="conv", rows=2, input=[3, 24, 24], kernels=10, kernel=11, stride=4, pad=0, groups=1, up=True, act="relu"),
    dict(name="conv_k11_s4_up_oblong", op="conv", rows=2, input=[3, 25, 23], kernels=16, kernel=11, stride=4, pad=0, groups=1, up=True, act="linear"),
    dict(name="conv_k11_s4_down", op="conv", rows=2, input=[3, 24, 24], kernels=8, kernel=11, stride=4, pad=0, groups=1, up=False, act="linear"),
    dict(name="conv_k5_p2_g2", op="conv", rows=2, input=[12, 9, 9], kernels=20, kernel=5, stride=1, pad=2, groups=2, up=False, act="relu"),
    dict(name="conv_k5_p2_g2_wide", op="conv", rows=1, input=[32, 5, 5], kernels=32, kernel=5, stride=1, pad=2, groups=2, up=False, act="linear"),
    dict(name="conv_k3_p1", op="conv", rows=3, input=[16, 7, 7], kernels=24, kernel=3, stride=1, pad=1, groups=1, up=False, act="relu"),
    dict(name="conv_k3_p1_g2", op="conv", rows=2, input=[48, 6, 6], kernels=32, kernel=3, stride=1, pad=1, groups=2, up=False, act="relu"),
    dict(name="conv_k3_p1_g3_tanh", op="conv", rows=2, input=[6, 5, 8], kernels=9, kernel=3, stride=1, pad=1, groups=3, up=False, act="tanh"),
    dict(name="conv_k3_s2_p1_up", op="conv", rows=2, input=[5, 8, 9], kernels=7, kernel=3, stride=2, pad=1, groups=1, up=True, act="linear"),
    dict(name="conv_k1", op="conv", rows=2, input=[7, 4, 3], kernels=5, kernel=1, stride=1, pad=0, groups=1, up=False, act="relu"),
    dict(name="fc_linear", op="fc", rows=4, input=[19, 1, 1], units=10, act="linear"),
    dict(name="fc_relu_chw", op="fc", rows=5, input=[6, 3, 4], units=33, act="relu"),
    dict(name="fc_tanh", op="fc", rows=1, input=[64, 1, 1], units=16, act="tanh"),
    dict(name="relu", op="activate", rows=3, input=[5, 4, 3], act="relu"),
    dict(name="relu_zeros", op="activate", rows=2, input=[16, 3, 3], act="relu", draw="coarse"),  # the gradient at 0 is 0
    dict(name="tanh", op="activate", rows=3, input=[5, 4, 3], act="tanh"),
    # alpha / size: the 2012 code's convention, and PyTorch's.
    dict(name="lrn_paper", op="lrn", rows=2, input=[16, 4, 5], size=5, alpha=1e-4, beta=0.75, k=2.0, groups=1, times=128),
    dict(name="lrn_columns", op="lrn", rows=2, input=[16, 4, 4], size=5, alpha=1e-4, beta=0.75, k=2.0, groups=2, times=128),
    dict(name="lrn_columns_48", op="lrn", rows=1, input=[96, 3, 3], size=5, alpha=0.5, beta=0.75, k=2.0, groups=2, times=4),
    dict(name="lrn_narrow_columns", op="lrn", rows=2, input=[6, 2, 3], size=5, alpha=0.5, beta=0.75, k=2.0, groups=3, times=4),
    dict(name="lrn_caffe", op="lrn", rows=2, input=[10, 3, 3], size=5, alpha=1.0, beta=0.75, k=1.0, groups=1, times=4),
    dict(name="lrn_3_half", op="lrn", rows=2, input=[9, 3, 2], size=3, alpha=0.3, beta=0.5, k=1.5, groups=1, times=4),
    dict(name="max_3_2_floor", op="pool", rows=2, input=[5, 8, 8], kind="max", window=3, stride=2, pad=0, up=False),
    dict(name="max_3_2_ceil", op="pool", rows=2, input=[5, 8, 8], kind="max", window=3, stride=2, pad=0, up=True),
    dict(name="max_3_2_13", op="pool", rows=1, input=[20, 13, 13], kind="max", window=3, stride=2, pad=0, up=False),
    dict(name="max_3_2_ties", op="pool", rows=3, input=[16, 9, 7], kind="max", window=3, stride=2, pad=0, up=False, draw="coarse"),
    dict(name="max_3_2_pad", op="pool", rows=2, input=[4, 7, 8], kind="max", window=3, stride=2, pad=1, up=True),
    dict(name="max_2_2_floor", op="pool", rows=2, input=[3, 7, 6], kind="max", window=2, stride=2, pad=0, up=False),
    dict(name="max_2_2_ceil", op="pool", rows=2, input=[3, 7, 6], kind="max", window=2, stride=2, pad=0, up=True),
    dict(name="max_2_3_dropped", op="pool", rows=2, input=[3, 6, 7], kind="max", window=2, stride=3, pad=1, up=True),  # last window outside
    dict(name="avg_3_2_ceil", op="pool", rows=2, input=[5, 8, 8], kind="avg", window=3, stride=2, pad=0, up=True),
    dict(name="avg_3_2_floor", op="pool", rows=2, input=[5, 9, 8], kind="avg", window=3, stride=2, pad=0, up=False),
    dict(name="avg_3_2_pad", op="pool", rows=2, input=[17, 7, 6], kind="avg", window=3, stride=2, pad=1, up=True),
    dict(name="dropout_half", op="dropout", rows=3, input=[40, 1, 1], rate=0.5, layer="drop6", seed=2012, step=7, first=1000, unit=0),
    dict(name="dropout_column_1", op="dropout", rows=3, input=[6, 3, 3], rate=0.3, layer="drop7", seed=0xFEDCBA9876543210, step=70000,
         first=1199998, unit=54),
    dict(name="dropout_infer", op="dropout", rows=2, input=[33, 1, 1], rate=0.3, layer="drop6", seed=1, step=0, first=0, unit=0, infer=True),
    dict(name="softmax_10", op="softmax", rows=6, input=[10, 1, 1], labels=[0, 9, 3, -1, 3, 7], divisor=6, times=4),
    dict(name="softmax_1000", op="softmax", rows=2, input=[1000, 1, 1], labels=[999, 17], divisor=128, times=8),
    dict(name="softmax_3_large", op="softmax", rows=4, input=[3, 1, 1], labels=[2, 0, 1, 1], divisor=4, times=256),
    dict(name="softmax_no_labels", op="softmax", rows=2, input=[7, 1, 1], labels=[-1, -1], divisor=2, times=2),
]


def conv(x, w, b, stride, pad, groups, up):
    """Convolution whose output size is rounded up: what is missing at the right and bottom is added as zeros, as explicit padding."""
    if up:
        extra = []
        for n in (x.shape[3], x.shape[2]):  # F.pad counts from the last dimension
            n += 2 * pad
            out = math.ceil((n - w.shape[2]) / stride) + 1
            extra += [0, max(0, (out - 1) * stride + w.shape[2] - n)]
        x = F.pad(x, extra)
    return F.conv2d(x, w, b, stride=stride, padding=pad, groups=groups)


def lrn_columns(x, columns, size, alpha, beta, k):
    """Each column normalised by itself."""
    return torch.cat([F.local_response_norm(part, size, alpha, beta, k) for part in x.chunk(columns, dim=1)], dim=1)


def pool(x, kind, window, stride, pad, up):
    if kind == "max":
        return F.max_pool2d(x, window, stride, pad, ceil_mode=up)
    return F.avg_pool2d(x, window, stride, pad, ceil_mode=up, count_include_pad=False)


def forward_case(c, x, w, b):
    op = c["op"]
    if op == "conv":
        return ACT[c["act"]](conv(x, w, b, c["stride"], c["pad"], c["groups"], c["up"]))
    if op == "fc":
        return ACT[c["act"]](F.linear(x.flatten(1), w, b))
    if op == "activate":
        return ACT[c["act"]](x)
    if op == "lrn":
        # The project's constants are float32.
        alpha, beta, k = (float(np.float32(c[n])) for n in ("alpha", "beta", "k"))
        return lrn_columns(x, c["groups"], c["size"], alpha, beta, k)
    if op == "pool":
        return pool(x, c["kind"], c["window"], c["stride"], c["pad"], c["up"])
    if op == "dropout":
        if c.get("infer"):
            return x * (1 - float(np.float32(c["rate"])))
        keep = dropout_keeps(c["rate"], c["seed"], c["step"], c["layer"], c["first"], c["rows"], math.prod(c["input"]), c["unit"])
        return x * torch.from_numpy(keep).reshape(x.shape)
    raise ValueError(op)


def param_shapes(c):
    if c["op"] == "conv":
        return (c["kernels"], c["input"][0] // c["groups"], c["kernel"], c["kernel"]), (c["kernels"],)
    if c["op"] == "fc":
        return (c["units"], math.prod(c["input"])), (c["units"],)
    return None


def tensor(x):
    return torch.from_numpy(np.ascontiguousarray(x)).double().requires_grad_()


def run_case(c, tensors):
    """Draws the case's tensors from streams c["stream"].x and so on, under the first name that keeps a fused ReLU away from its kink."""
    name = c["name"]
    for salt in range(1000):
        c["stream"] = f"{name}.{salt}"
        x, w, b = draw_case(c)
        if c["op"] not in ("conv", "fc") or c["act"] != "relu":
            break
        with torch.no_grad():
            if relu_distance([forward_case({**c, "act": "linear"}, x, w, b)], None).min() > KINK:
                break
    else:
        sys.exit(f"{name}: no draw stays away from kinks")
    if c["op"] == "softmax":
        return run_softmax(c, x, tensors)
    y = forward_case(c, x, w, b)
    tensors[name + "/y"] = y.detach().numpy()
    if c.get("infer"):
        return
    y.backward(torch.from_numpy(uniform(c["stream"] + ".dy", *y.shape)))
    tensors[name + "/dx"] = x.grad.numpy()
    if w is not None:
        tensors[name + "/dw"], tensors[name + "/db"] = w.grad.numpy(), b.grad.numpy()


def draw_case(c):
    draw = coarse if c.get("draw") == "coarse" else uniform
    x = tensor(draw(c["stream"] + ".x", c["rows"], *c["input"]) * c.get("times", 1))
    if not param_shapes(c):
        return x, None, None
    return x, *(tensor(uniform(f"{c['stream']}.{n}", *s)) for n, s in zip("wb", param_shapes(c)))


def run_softmax(c, x, tensors):
    name, labels = c["name"], torch.tensor(c["labels"])
    logits = x.flatten(1)
    losses = F.cross_entropy(logits, labels, ignore_index=-1, reduction="none")
    (losses.sum() / c["divisor"]).backward()
    stats = np.zeros((c["rows"], 3))
    stats[:, 0] = losses.detach().numpy()
    for r, label in enumerate(c["labels"]):
        if label >= 0:
            rank = int((logits[r] > logits[r, label]).sum())
            stats[r, 1:] = rank >= 1, rank >= 5
    tensors[name + "/y"] = F.softmax(logits, dim=1).detach().numpy()
    tensors[name + "/dx"] = x.grad.numpy()
    tensors[name + "/stats"] = stats


def golden_ops():
    tensors = {}
    for c in CASES:
        run_case(c, tensors)
        if "seed" in c:
            c["seed"] = str(c["seed"])  # JSON numbers end at 2^53
    write(OPS, tensors, cases=CASES, seed=str(SEED))


# ---------------------------------------------------------------------------------------------------------------------------------
# Two-column nets. A layer here is (name, kind, options); the state between layers is a list of one tensor per column.


class Net:
    """A net of columns in plain PyTorch functions, with the paper's names. Parameters are the whole net's; columns are cut from them."""

    def __init__(self, columns, layers, dtype):
        self.columns, self.layers, self.dtype = columns, layers, dtype
        self.params = {}
        self.noise = 0.0  # relative, on each layer's output
        self.parts = {}  # every layer's output in the last forward, by column
        self.watch = None  # a list: forward appends (layer, distance to the nearest kink by row)

    def add(self, name, shape, std, bias):
        self.params[name + ".weight"] = torch.from_numpy(initial(name + ".weight", shape, std)).to(self.dtype).requires_grad_()
        self.params[name + ".bias"] = torch.full((shape[0],), bias, dtype=self.dtype, requires_grad=True)

    def part(self, name, column):
        """Column's share of a parameter: its kernels, or its units."""
        return self.params[name].chunk(self.columns, dim=0)[column]

    def forward(self, x, mask=None):
        """Logits of x (N, C, H, W), and every layer's output, columns joined. mask(layer, rate, units) gives a dropout layer's mask."""
        state, values = [x], {"input": x}
        for name, kind, o in self.layers:
            if self.watch is not None and kind == "maxpool":
                self.watch.append((name, pool_distance(state, **o)))
            state = getattr(self, kind)(name, state, mask, **o)
            if self.noise:
                state = [s * (1 + self.noise * torch.randn_like(s)) for s in state]
            self.parts[name] = state
            values[name] = state[0] if len(state) == 1 else torch.cat(state, dim=1)
        return values[self.layers[-1][0]], values

    def sources(self, state, both):
        """What each column reads: the picture, or what is joined of both columns, or its own."""
        if len(state) == 1:
            return state * self.columns
        return [torch.cat(state, dim=1)] * self.columns if both else state

    def activate(self, name, act, pre):
        if self.watch is not None and act == "relu":
            at = [n for n, _, _ in self.layers].index(name) + 1
            behind = [layer for layer in self.layers[at : at + 2] if layer[1] != "lrn"][0]
            self.watch.append((name, relu_distance(pre, behind[2] if behind[1] == "maxpool" else None)))
        return [ACT[act](p) for p in pre]

    def conv(self, name, state, _, act="relu", both=False, stride=1, pad=0, up=False):
        return self.activate(name, act, [
            conv(s, self.part(name + ".weight", i), self.part(name + ".bias", i), stride, pad, 1, up)
            for i, s in enumerate(self.sources(state, both))
        ])

    def fc(self, name, state, _, act="relu", both=True, whole=False):
        """Reads both columns, joined and then flattened C, H, W, or its own. The last layer is not split into columns."""
        inputs = [s.flatten(1) for s in self.sources(state, both)]
        if whole:
            return [F.linear(inputs[0], self.params[name + ".weight"], self.params[name + ".bias"])]
        return self.activate(name, act, [
            F.linear(s, self.part(name + ".weight", i), self.part(name + ".bias", i)) for i, s in enumerate(inputs)
        ])

    def lrn(self, _, state, __, size, alpha, beta, k):
        alpha, beta, k = (float(np.float32(v)) for v in (alpha, beta, k))
        return [F.local_response_norm(s, size, alpha, beta, k) for s in state]

    def maxpool(self, _, state, __, up=False):
        return [pool(s, "max", 3, 2, 0, up) for s in state]

    def avgpool(self, _, state, __, up=False):
        return [pool(s, "avg", 3, 2, 0, up) for s in state]

    def dropout(self, name, state, mask, rate):
        if mask is None:
            return state
        units = [s[0].numel() for s in state]
        keep = torch.from_numpy(mask(name, rate, sum(units))).to(self.dtype)
        return [s * m.reshape(s.shape) for s, m in zip(state, keep.split(units, dim=1))]


def rms(x):
    """By row."""
    return x.flatten(1).square().mean(dim=1).sqrt()


def relu_distance(pre, pooled):
    """How close to 0 a ReLU's input comes, by row, in units of its rms. Before a max pool (its options) only the largest of a window decides."""
    pre = torch.cat(pre, dim=1).detach()
    deciding = pre if pooled is None else pool(pre, "max", 3, 2, 0, **{"up": False, **pooled})
    return deciding.abs().flatten(1).min(dim=1).values / rms(pre)


def pool_distance(state, up=False):
    """How close the two largest of a 3/2 max pool's window come, by row, in units of the rms; windows of zeros alone do not count."""
    x = torch.cat(state, dim=1).detach()
    edge = [(n - 3) % 2 if up else 0 for n in (x.shape[3], x.shape[2])]
    windows = F.pad(x, (0, edge[0], 0, edge[1]), value=-torch.inf).unfold(2, 3, 2).unfold(3, 3, 2).flatten(4)  # (N, C, H, W, 9)
    top = windows.topk(2, dim=4).values
    gap = torch.where(top[..., 0] > 0, top[..., 0] - top[..., 1], torch.inf)
    return gap.flatten(1).min(dim=1).values / rms(x)


def nearest(watch):
    """The smallest distance of all layers, by row."""
    return torch.stack([d for _, d in watch]).min(dim=0).values.numpy()


PAPER_LRN = dict(size=5, alpha=1e-4, beta=0.75, k=2.0)


def paper_net(dtype):
    """configs/alexnet.yaml: the paper's two columns, the geometry of the 2012 code. Without dropout."""
    net = Net(2, [
        ("conv1", "conv", dict(stride=4, up=True)),  # 96x55x55, 55 = ceil((224-11)/4) + 1
        ("lrn1", "lrn", PAPER_LRN),
        ("pool1", "maxpool", {}),  # 96x27x27
        ("conv2", "conv", dict(pad=2)),  # 256x27x27
        ("lrn2", "lrn", PAPER_LRN),
        ("pool2", "maxpool", {}),  # 256x13x13
        ("conv3", "conv", dict(pad=1, both=True)),  # 384x13x13
        ("conv4", "conv", dict(pad=1)),  # 384x13x13
        ("conv5", "conv", dict(pad=1)),  # 256x13x13
        ("pool5", "maxpool", {}),  # 256x6x6
        ("fc6", "fc", {}),  # 4096
        ("fc7", "fc", {}),  # 4096
        ("fc8", "fc", dict(whole=True)),  # 1000
    ], dtype)
    # conv3..5 as in the 2012 code (.03): with the paper's .01 the logits of different pictures differ by 1% of their size (the biases of 1
    # outweigh the pictures), with .03 by 11%.
    for name, shape, std, bias in [
        ("conv1", (96, 3, 11, 11), 0.01, 0), ("conv2", (256, 48, 5, 5), 0.01, 1), ("conv3", (384, 256, 3, 3), 0.03, 0),
        ("conv4", (384, 192, 3, 3), 0.03, 1), ("conv5", (256, 192, 3, 3), 0.03, 1),
        ("fc6", (4096, 9216), 0.01, 1), ("fc7", (4096, 4096), 0.01, 1), ("fc8", (1000, 4096), 0.01, 0),
    ]:
        net.add(name, shape, std, bias)
    return net


PAPER_LABELS = [3, 999, 0, 500]
PAPER_SQUARES = [8, 16, 32, 64]  # sizes of the pictures' squares
PAPER_PICTURES = ["picture8.86", "picture16.164", "picture32.147", "picture64.69"]
PAPER_MEAN = [124.0, 117.0, 104.0]


def paper_input(pictures, squares):
    mean = np.array(PAPER_MEAN)[:, None, None]
    return np.stack([stage(picture(n, 224, 224, s), (0, 0), 224, False, (0, 0, 0), mean, 1.0) for n, s in zip(pictures, squares)])


def choose_paper(tries):
    net = paper_net(torch.float64)
    for s in PAPER_SQUARES:
        best = (0, "")
        for at in range(0, tries, 8):
            names = [f"picture{s}.{n}" for n in range(at, at + 8)]
            net.watch = []
            with torch.no_grad():
                net.forward(torch.from_numpy(paper_input(names, [s] * 8)))
            best = max(best, *zip(nearest(net.watch), names))
        print(f"squares of {s}: {best[1]}, nearest kink {best[0]:.2g}")


def paper_pass(dtype, noise=0.0, half=False):
    """Forward and backward: logits, loss, values, gradients by parameter and of the input. half: as PyTorch trains in bf16, under autocast."""
    net = paper_net(dtype)
    net.noise = noise
    net.watch = [] if dtype == torch.float64 and not noise else None
    x = torch.from_numpy(paper_input(PAPER_PICTURES, PAPER_SQUARES)).to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        logits, values = net.forward(x)
        loss = F.cross_entropy(logits, torch.tensor(PAPER_LABELS))
    if net.watch:
        print("  nearest kinks", ", ".join(f"{n} {d.min():.1e}" for n, d in net.watch))
    loss.backward()
    grads = {n: p.grad.numpy() for n, p in net.params.items()}
    grads["input"] = x.grad.numpy()
    plain = lambda t: t.detach().to(dtype).numpy()  # numpy has no bf16
    return plain(logits), float(loss.detach()), {n: plain(v) for n, v in values.items()}, grads


def golden_paper():
    logits, loss, values, grads = paper_pass(torch.float64)
    print(f"paper: loss {loss:.6f}, logits {logits.std():.3g} of which between pictures {(logits - logits.mean(0)).std():.3g}")
    for n, v in values.items():
        print(f"  {n:6} rms {np.sqrt((v**2).mean()):.3g}, zeros {np.mean(v == 0):.2f}")
    tensors = {"logits": logits, "loss": np.array([loss])}
    for n, v in values.items():
        put(tensors, "value." + n, v, 0)
    for n, g in grads.items():
        put(tensors, "grad." + n, g)
    half = paper_pass(torch.float32, half=True)
    bf16 = {"logits": deviation(half[0], logits)} | {"grad." + n: deviation(half[3][n], g) for n, g in grads.items()}
    write(PAPER, tensors, seed=str(SEED), classes=1000, labels=PAPER_LABELS, pictures=PAPER_PICTURES, squares=PAPER_SQUARES, mean=PAPER_MEAN,
          bf16={n: float(f"{d:.4g}") for n, d in bf16.items()})
    for title, other in [("float32", paper_pass(torch.float32)), ("bf16", half), ("float64 with noise of 1e-6", paper_pass(torch.float64, 1e-6))]:
        print(f"  {title}: logits off by {deviation(other[0], logits):.2g}; gradients by", end="")
        print(", ".join(f" {n} {deviation(other[3][n], g):.2g}" for n, g in grads.items()))


# ---------------------------------------------------------------------------------------------------------------------------------
# steps: ten steps of SGD with torch.optim.SGD. It keeps lr outside of the buffer; with a constant lr that is the paper's update, v = -lr buf.

STEPS_N, STEPS_BATCH, STEPS_CLASSES = 10, 8, 10
STEPS_LR, STEPS_MOMENTUM, STEPS_DECAY, STEPS_BIAS_LR = 0.02, 0.9, 0.0005, 2
STEPS_POOL = 24  # pictures, taken in turn
STEPS_PICTURES = "small47"  # their names begin so
STEPS_HEIGHT, STEPS_WIDTH, STEPS_CROP = 38, 40, 34
STEPS_SCALE = 1 / 64
STEPS_LRN = dict(size=5, alpha=0.5, beta=0.75, k=2.0)  # strong, so that it matters in a small net


def steps_net(dtype):
    """modeltest/testdata/small.yaml."""
    net = Net(2, [
        ("conv1", "conv", dict(stride=2, up=True)),  # 16x16x16, 16 = ceil((34-5)/2) + 1
        ("lrn1", "lrn", STEPS_LRN),
        ("pool1", "maxpool", dict(up=True)),  # 16x8x8, 8 = ceil((16-3)/2) + 1
        ("conv2", "conv", dict(pad=1)),  # 24x8x8
        ("lrn2", "lrn", STEPS_LRN),
        ("pool2", "avgpool", dict(up=True)),  # 24x4x4; at the edge windows of 2
        ("conv3", "conv", dict(pad=1, both=True)),  # 20x4x4
        ("fc4", "fc", {}),  # 36
        ("drop4", "dropout", dict(rate=0.5)),
        ("fc5", "fc", dict(act="tanh", both=False)),  # 28
        ("drop5", "dropout", dict(rate=0.25)),
        ("fc6", "fc", dict(whole=True)),  # 10
    ], dtype)
    for name, shape, std, bias in [
        ("conv1", (16, 3, 5, 5), 0.1, 0), ("conv2", (24, 8, 3, 3), 0.15, 0.5), ("conv3", (20, 24, 3, 3), 0.1, 0),
        ("fc4", (36, 320), 0.08, 0.5), ("fc5", (28, 18), 0.3, 0), ("fc6", (10, 28), 0.3, 0),
    ]:
        net.add(name, shape, std, bias)
    return net


def steps_mean():
    c, h, w = np.ogrid[:3, :STEPS_HEIGHT, :STEPS_WIDTH]
    return 100 + 10 * c + h / 4 + w / 8  # a mean image, exact in float32


def steps_rows(pictures):
    """The staged rows of all pictures, augmented by draws of their own: crop, flip and colour."""
    mean, rows = steps_mean(), []
    for n in range(STEPS_POOL):
        draw = words(TEST, SEED, f"{pictures}.{n}.augment", 8)
        crop = int(draw[0] % (STEPS_HEIGHT - STEPS_CROP + 1)), int(draw[1] % (STEPS_WIDTH - STEPS_CROP + 1))
        color = [float(int(v) % 65 - 32) / 4 for v in draw[3:6]]
        rows.append(stage(picture(f"{pictures}.{n}", STEPS_HEIGHT, STEPS_WIDTH, 6), crop, STEPS_CROP, bool(draw[2] & 1), color, mean, STEPS_SCALE))
    labels = words(TEST, SEED, pictures + ".labels", STEPS_POOL) % STEPS_CLASSES
    return np.stack(rows), labels.astype(np.int64)


def steps_run(dtype, names=STEPS_PICTURES):
    net = steps_net(dtype)
    net.watch = []
    start = {n: p.detach().numpy().copy() for n, p in net.params.items()}
    pictures, labels = steps_rows(names)
    optimizer = torch.optim.SGD([
        {"params": [p for n, p in net.params.items() if n.endswith("weight")], "lr": STEPS_LR, "weight_decay": STEPS_DECAY},
        {"params": [p for n, p in net.params.items() if n.endswith("bias")], "lr": STEPS_LR * STEPS_BIAS_LR, "weight_decay": 0},
    ], momentum=STEPS_MOMENTUM)
    losses = []
    for step in range(STEPS_N):
        first = step * STEPS_BATCH
        rows = np.arange(first, first + STEPS_BATCH) % STEPS_POOL

        def mask(layer, rate, units):
            return dropout_keeps(rate, SEED, step, layer, first, STEPS_BATCH, units)

        logits, _ = net.forward(torch.from_numpy(pictures[rows]).to(dtype), mask)
        loss = F.cross_entropy(logits, torch.from_numpy(labels[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    out = {"losses": np.array(losses), "kink": nearest(net.watch).min()}
    for group in optimizer.param_groups:
        for p in group["params"]:
            name = next(n for n, q in net.params.items() if q is p)
            out["change." + name] = p.detach().numpy() - start[name]
            out["momentum." + name] = -group["lr"] * optimizer.state[p]["momentum_buffer"].numpy()
    return out


def golden_steps():
    want = steps_run(torch.float64)
    kink = want.pop("kink")
    meta = dict(
        seed=str(SEED), steps=STEPS_N, batch=STEPS_BATCH, classes=STEPS_CLASSES, lr=STEPS_LR, momentum=STEPS_MOMENTUM, decay=STEPS_DECAY,
        bias_lr=STEPS_BIAS_LR, pictures=STEPS_PICTURES, pool=STEPS_POOL, height=STEPS_HEIGHT, width=STEPS_WIDTH, crop=STEPS_CROP, scale=STEPS_SCALE,
    )
    write(STEPS, want, **meta)
    print(f"  nearest kink {kink:.1e}")
    print("  losses", " ".join(f"{v:.4f}" for v in want["losses"]))
    got = steps_run(torch.float32)
    print("  float32: losses off by", " ".join(f"{abs(g / w - 1):.1e}" for g, w in zip(got["losses"], want["losses"])))
    print("  " + ", ".join(f"{n} {deviation(got[n].astype(np.float64), w):.1e}" for n, w in want.items() if n != "losses"))


def choose_steps(tries):
    best = max((steps_run(torch.float64, name)["kink"], name) for name in (f"small{n}" for n in range(tries)))
    print(f"{best[1]}, nearest kink {best[0]:.2g}")


# ---------------------------------------------------------------------------------------------------------------------------------
# explain: what speaks for a class in a picture, by the net of the steps with its first weights, used and not trained

EXPLAIN_PICTURE, EXPLAIN_CLASS, EXPLAIN_COPIES = "explain59", 3, 5
EXPLAIN_CAMS = ["lrn1", "conv2", "conv3"]


def explain_picture(name):
    """The picture before mean and scale, (H, W, 3), and where its centre crop is."""
    crop = (STEPS_HEIGHT - STEPS_CROP) // 2, (STEPS_WIDTH - STEPS_CROP) // 2
    return picture(name, STEPS_HEIGHT, STEPS_WIDTH, 6), crop


def explain_input(pixels, crop):
    return stage(pixels, crop, STEPS_CROP, False, (0, 0, 0), steps_mean(), STEPS_SCALE)


def explain_forward(net, x):
    """Logits and values of a net in use: dropout multiplies by 1 - rate."""
    return net.forward(x, lambda _, rate, units: np.full((len(x), units), 1 - float(np.float32(rate))))


def gradient_of(net, x, of):
    """The class's logit's gradient by x ("input") or a layer's output, columns joined, and these themselves."""
    logits, _ = explain_forward(net, x)
    parts = [x] if of == "input" else net.parts[of]
    return torch.cat(torch.autograd.grad(logits[:, EXPLAIN_CLASS].sum(), parts), dim=1), torch.cat(parts, dim=1)


def saliency(net, x):
    """By row, |d logit / d pixel|, of three colours the largest; a pixel is a level, STEPS_SCALE of the input."""
    return gradient_of(net, x, "input")[0].abs().amax(dim=1) * STEPS_SCALE


def noisy_copies(x, sigma):
    """Normal i%4 of the block (i/4, 0, 0, copy) at element i."""
    n, rows = x.size, []
    for copy in range(EXPLAIN_COPIES):
        four = block(key(SEED, NOISE), [np.arange((n + 3) // 4), 0, 0, copy])
        rows.append(x + sigma * STEPS_SCALE * normal_of_words(four)[:n].reshape(x.shape))
    return np.stack(rows)


def occluded(pixels, crop):
    """The picture with a square of the mean colour, a seventh of the side, at 13 x 13 places."""
    side = round(STEPS_CROP / 7)
    at = [i * (STEPS_CROP - side) // 12 for i in range(13)]
    color = np.rint(steps_mean().mean(axis=(1, 2))).astype(int)
    rows = []
    for y in at:
        for x in at:
            covered = pixels.copy()
            covered[crop[0] + y : crop[0] + y + side, crop[1] + x : crop[1] + x + side] = color
            rows.append(explain_input(covered, crop))
    return np.stack(rows), side, at


def explain_run(dtype, name=EXPLAIN_PICTURE):
    net = steps_net(dtype)
    net.watch = []
    tensor = lambda v: torch.from_numpy(v).to(dtype).requires_grad_()
    pixels, crop = explain_picture(name)
    x = explain_input(pixels, crop)
    seen = pixels[crop[0] : crop[0] + STEPS_CROP, crop[1] : crop[1] + STEPS_CROP]
    sigma = 0.15 * (int(seen.max()) - int(seen.min()))
    one = tensor(x[None])
    out = {"prob": F.softmax(explain_forward(net, one)[0], dim=1)[0], "saliency": saliency(net, one)[0]}
    for layer in EXPLAIN_CAMS:
        grad, maps = gradient_of(net, one, layer)
        weights = grad.mean(dim=(2, 3), keepdim=True)
        out["cam." + layer] = F.relu((weights * maps).sum(dim=1))[0]
    out["smooth"] = saliency(net, tensor(noisy_copies(x, sigma))).mean(dim=0)
    kink = min(d.min().item() for _, d in net.watch)
    covered, side, at = occluded(pixels, crop)
    with torch.no_grad():
        there = F.softmax(explain_forward(net, tensor(covered))[0], dim=1)
    out["occlusion"], out["winners"] = there[:, EXPLAIN_CLASS], there.argmax(dim=1)
    return {n: v.detach().numpy() for n, v in out.items()}, kink, dict(sigma=sigma, square=side, at=at)


def golden_explain():
    want, kink, meta = explain_run(torch.float64)
    write(EXPLAIN, want, seed=str(SEED), picture=EXPLAIN_PICTURE, height=STEPS_HEIGHT, width=STEPS_WIDTH, crop=STEPS_CROP,
          scale=STEPS_SCALE, **{"class": EXPLAIN_CLASS}, copies=EXPLAIN_COPIES, cams=EXPLAIN_CAMS, **meta)
    print(f"  nearest kink {kink:.1e}; sigma {meta['sigma']}; winners {sorted(set(want['winners']))}")
    print("  prob", " ".join(f"{p:.3f}" for p in want["prob"]))
    got = explain_run(torch.float32)[0]
    print("  float32: " + ", ".join(f"{n} {deviation(got[n].astype(np.float64), w):.1e}" for n, w in want.items()))


def choose_explain(tries):
    best = (0, "")
    for name in (f"explain{n}" for n in range(tries)):
        run, kink, _ = explain_run(torch.float64, name)
        if len(set(run["winners"])) > 1:
            best = max(best, (kink, name))
    print(f"{best[1]}, nearest kink {best[0]:.2g}")


# ---------------------------------------------------------------------------------------------------------------------------------
# softgpu: what cuDNN's convolutions and cuBLAS's products must give. Where inputs are "eighths" the truth is exact in float32, and an emulation that accumulates in
# float32 must equal it to the bit, whatever its order; where they are "uniform" it may be off by rounding.

SOFTGPU_CONVS = [
    dict(name="conv_plain", x=[2, 3, 8, 9], w=[4, 3, 3, 3], pad=[0, 0], stride=[1, 1], groups=1),
    dict(name="conv_pad", x=[2, 4, 7, 6], w=[5, 4, 3, 3], pad=[1, 1], stride=[1, 1], groups=1),
    dict(name="conv_conv1", x=[2, 3, 31, 27], w=[6, 3, 11, 11], pad=[0, 0], stride=[4, 4], groups=1),
    dict(name="conv_5x5_groups", x=[2, 4, 9, 9], w=[6, 2, 5, 5], pad=[2, 2], stride=[1, 1], groups=2),
    dict(name="conv_oblong", x=[3, 6, 10, 7], w=[9, 2, 4, 2], pad=[1, 0], stride=[3, 2], groups=3),
    dict(name="conv_left_over", x=[1, 2, 8, 10], w=[3, 2, 3, 3], pad=[1, 1], stride=[2, 3], groups=1),  # stride does not divide: pixels that no tap reaches
    dict(name="conv_1x1", x=[2, 8, 4, 5], w=[10, 8, 1, 1], pad=[0, 0], stride=[1, 1], groups=1),
    dict(name="conv_depthwise", x=[2, 5, 6, 6], w=[5, 1, 3, 3], pad=[1, 1], stride=[1, 1], groups=5),
    dict(name="conv_dilated", x=[2, 2, 11, 12], w=[3, 2, 3, 3], pad=[2, 1], stride=[1, 2], groups=1, dilation=[2, 3]),
    dict(name="conv_deep", x=[1, 40, 6, 6], w=[8, 40, 3, 3], pad=[1, 1], stride=[1, 1], groups=1),  # 360 taps: more than a block of the emulator's product
    dict(name="conv_rounding", x=[2, 6, 9, 9], w=[8, 3, 3, 3], pad=[1, 1], stride=[1, 1], groups=2, draw="uniform"),
]

# a (m, k), b (k, n); c = alpha a b + beta c
SOFTGPU_PRODUCTS = [
    dict(name="product", m=5, n=7, k=3, alpha=1, beta=0),
    dict(name="product_blend", m=17, n=6, k=33, alpha=2, beta=-0.5),
    dict(name="product_tall", m=130, n=5, k=12, alpha=1, beta=1),
    dict(name="product_wide", m=3, n=101, k=20, alpha=1, beta=0),
    dict(name="product_deep", m=4, n=4, k=700, alpha=1, beta=0),
    dict(name="product_row", m=1, n=19, k=40, alpha=1, beta=0),
    dict(name="product_batch", m=6, n=5, k=9, alpha=1, beta=0.5, count=3),
    dict(name="product_rounding", m=12, n=10, k=64, alpha=1, beta=0, draw="uniform"),
]


def golden_softgpu():
    draws, tensors = {"eighths": eighths, "uniform": uniform}, {}
    for c in SOFTGPU_CONVS:
        draw, n = draws[c.setdefault("draw", "eighths")], c["name"]
        x = torch.from_numpy(draw(n + ".x", *c["x"])).requires_grad_()
        w = torch.from_numpy(draw(n + ".w", *c["w"])).requires_grad_()
        y = F.conv2d(x, w, padding=c["pad"], stride=c["stride"], groups=c["groups"], dilation=c.setdefault("dilation", [1, 1]))
        y.backward(torch.from_numpy(draw(n + ".dy", *y.shape)))
        c["y"] = list(y.shape)
        for part, v in [("y", y), ("dx", x.grad), ("dw", w.grad)]:
            tensors[f"{n}.{part}"] = v.detach().numpy()
    for p in SOFTGPU_PRODUCTS:
        draw, n, count = draws[p.setdefault("draw", "eighths")], p["name"], p.setdefault("count", 1)
        a, b, c = draw(n + ".a", count, p["m"], p["k"]), draw(n + ".b", count, p["k"], p["n"]), draw(n + ".c", count, p["m"], p["n"])
        tensors[n + ".c"] = torch.baddbmm(torch.from_numpy(c), torch.from_numpy(a), torch.from_numpy(b), alpha=p["alpha"], beta=p["beta"]).numpy()
    for n, v in tensors.items():
        if "rounding" not in n and not np.array_equal(v, v.astype(np.float32)):
            sys.exit(f"softgpu: {n} is not exact in float32")
    write(SOFTGPU, tensors, convs=SOFTGPU_CONVS, products=SOFTGPU_PRODUCTS, seed=str(SEED))


GOLDENS = {"philox": golden_philox, "ops": golden_ops, "paper": golden_paper, "steps": golden_steps, "explain": golden_explain, "softgpu": golden_softgpu}


def main():
    check_known_answers()
    if sys.argv[1:] == ["choose"]:
        choose_paper(300)
        choose_steps(150)
        return choose_explain(60)
    names = sys.argv[1:] or list(GOLDENS)
    for n in names:
        if n not in GOLDENS:
            sys.exit(f"no golden {n}; there are {', '.join(GOLDENS)}")
    for n in names:
        GOLDENS[n]()


if __name__ == "__main__":
    main()
