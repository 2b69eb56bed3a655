"""What is measured: the rows, their modes, and what the project promises of them."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Pace:
    seconds: float  # that a side is measured for in a round, with at least so many
    steps: int
    row: float  # seconds that the rounds of a row last together, with at least and at most so many
    least: int
    most: int


FULL = Pace(seconds=4, steps=3, row=70, least=3, most=5)
QUICK = Pace(seconds=1, steps=1, row=1, least=1, most=1)
EQUAL = {"fp32": 1e-5, "bf16": 2e-2}  # how far apart losses (relative) and logits (relative norm) of the same work may be


@dataclasses.dataclass(frozen=True)
class Row:
    kind: str  # speed, memory, start, epoch, equal
    config: str
    task: str  # train or infer
    batch: int
    precision: str
    gate: float | None = None  # speed: ours over theirs at least; memory and times: at most

    @property
    def name(self):
        if self.kind == "epoch":
            return f"{self.config} epoch"
        if self.kind == "equal":
            return f"{self.config} equal {self.precision}"
        middle = "" if self.kind == "speed" else f" {self.kind}"
        return f"{self.config} {self.task} {self.batch}{middle} {self.precision}"


def speed_rows():
    gates = {("alexnet", "train", 128): (1.5, 2.1), ("alexnet", "train", 32): (1.5, 1.6), ("alexnet", "infer", 1): (1.3, 1.8), ("alexnet", "infer", 128): (1.4, 1.9),
             ("torchvision", "train", 128): (1.15, 1.15), ("fig1", "train", 128): (1.2, 1.2)}
    for config in ("alexnet", "torchvision"):
        for task, batches in (("train", (128, 32)), ("infer", (1, 128))):
            for batch in batches:
                yield config, task, batch, gates.get((config, task, batch), (None, None))
    for config in ("fig1", "cifar10"):
        yield config, "train", 128, gates.get((config, "train", 128), (None, None))


def rows():
    for config, precisions in (("alexnet", ("fp32", "bf16")), ("torchvision", ("fp32", "bf16")), ("fig1", ("fp32",)), ("cifar10", ("fp32",)), ("cifar10-quick", ("fp32",))):
        for precision in precisions:
            yield Row("equal", config, "train", 10, precision)
    for config, task, batch, gates in speed_rows():
        for precision, gate in zip(("fp32", "bf16"), gates):
            yield Row("speed", config, task, batch, precision, gate)
    for precision in ("fp32", "bf16"):
        yield Row("memory", "alexnet", "train", 128, precision, 0.8)
    yield Row("start", "alexnet", "train", 128, "fp32", 0.3)
    yield Row("epoch", "cifar10-quick", "train", 128, "fp32")


def modes(task, precision):
    """(framework, mode) of every peer. Whoever predicts in bf16 with PyTorch may choose autocast or turn the whole net into bf16."""
    variants = ["", " autocast"] if (task, precision) == ("infer", "bf16") else [""]
    for form in ("contiguous", "channels_last"):
        for how in ("eager", "compiled"):
            for variant in variants:
                yield "PyTorch", f"{how} {form}{variant}"
    yield "TensorFlow", "graph"
    yield "TensorFlow", "XLA"
    if task == "infer":
        if precision == "fp32":  # ONNX Runtime has no bf16 kernels for x86
            yield "ONNX Runtime", "CPU"
        yield "OpenVINO", "CPU"
