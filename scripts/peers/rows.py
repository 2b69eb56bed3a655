"""What is measured: the rows, their modes, and what the project promises of them."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Pace:
    trial: float  # seconds that a mode is tried for
    seconds: float  # that a side is measured for in a round, with at least so many steps
    steps: int
    row: float  # seconds that the rounds of a row last together, with at least and at most so many
    least: int
    most: int


FULL = Pace(trial=1.5, seconds=3, steps=2, row=40, least=3, most=5)
QUICK = Pace(trial=1, seconds=1, steps=1, row=1, least=1, most=1)
WORTH = 0.7  # of the fastest eager mode's speed: what an eager mode must reach for its compiled twin to be tried
EQUAL = {"fp32": 1e-5, "bf16": 2e-2, "int8": 3e-2}  # (int8: modes with int8 weights, some of which round inputs too) how far apart losses (relative) and logits (relative norm) of the same work may be


@dataclasses.dataclass(frozen=True)
class Row:
    kind: str  # speed, memory, start, epoch, equal
    config: str
    task: str  # train or infer
    batch: int
    precision: str
    gate: float | None = None  # speed: ours over theirs at least; memory and times: at most
    aim: float | str | None = None
    int8: bool = False  # weights of fully connected layers, of alexnet; peers may as well

    @property
    def name(self):
        if self.kind == "epoch":
            return f"{self.config} epoch"
        if self.kind == "equal":
            return f"{self.config} equal {self.precision}"
        middle = "" if self.kind == "speed" else f" {self.kind}"
        return f"{self.config} {self.task} {self.batch}{middle} {self.precision}{' int8' * self.int8}"


# (config, task, batch): gate and aim in fp32, gate and aim in bf16
SPEED = {
    ("alexnet", "train", 128): (1.5, 2, 2.1, 3),
    ("alexnet", "train", 32): (1.5, 2, 1.6, 2.5),
    ("alexnet", "infer", 1): (1.3, "bandwidth", 1.8, "bandwidth"),
    ("alexnet", "infer", 128): (1.4, 1.8, 1.9, 2.5),
    ("torchvision", "train", 128): (1.15, 1.5, 1.15, 1.5),
    ("torchvision", "train", 32): (None,) * 4,
    ("torchvision", "infer", 1): (None,) * 4,
    ("torchvision", "infer", 128): (None,) * 4,
    ("fig1", "train", 128): (1.2, 2, 1.2, 2),
    ("cifar10", "train", 128): (None,) * 4,
}


def rows():
    for config in ("alexnet", "torchvision", "fig1", "cifar10", "cifar10-quick"):
        yield Row("equal", config, "train", 10, "fp32")
        if config != "cifar10-quick":  # which is timed in fp32 alone
            # of large nets enough pictures for Winograd's algorithm, which is what is timed
            yield Row("equal", config, "train", 40 if config in ("alexnet", "torchvision") else 10, "bf16")
    for (config, task, batch), promised in SPEED.items():
        yield Row("speed", config, task, batch, "fp32", *promised[:2])
        yield Row("speed", config, task, batch, "bf16", *promised[2:])
        if (config, task, batch) == ("alexnet", "infer", 1):
            yield Row("speed", config, task, batch, "bf16", int8=True)
    for precision in ("fp32", "bf16"):
        yield Row("memory", "alexnet", "train", 128, precision, 0.8, 0.5)
    yield Row("start", "alexnet", "train", 128, "fp32", 0.3, 0.1)
    yield Row("epoch", "cifar10-quick", "train", 128, "fp32")


def modes(row):
    """Names of what is tried of every peer: framework and mode."""
    forms, hows = ("contiguous", "channels_last"), ("eager", "compiled")
    if row.kind == "epoch":
        return [f"PyTorch {how} {form}, memory" for form in forms for how in hows] + [f"TensorFlow {how}, tf.data" for how in ("graph", "XLA")]
    if row.kind == "start":
        return [f"PyTorch eager {form}" for form in forms]
    if row.kind == "equal":
        forms = ("channels_last",)  # the order of values in memory changes no sum
    # whoever predicts in bf16 with PyTorch may choose autocast or turn the whole net into bf16
    variants = ("", " autocast") if (row.task, row.precision) == ("infer", "bf16") else ("",)
    names = [f"PyTorch {how} {form}{variant}" for form in forms for how in hows for variant in variants]
    names += ["TensorFlow graph", "TensorFlow XLA"] + ["TensorFlow graph inter_op"] * (row.kind == "speed")
    if row.task == "infer":
        names += ["ONNX Runtime CPU"] * (row.precision == "fp32")  # it has no bf16 kernels for x86
        names += ["OpenVINO LATENCY"] + ["OpenVINO THROUGHPUT"] * (row.batch > 1)
    if row.int8:
        names += [f"PyTorch {how} {form}{variant} int8" for form in forms for how in hows for variant in variants]
        names += ["ONNX Runtime CPU int8", "OpenVINO LATENCY int8"]
    return names
