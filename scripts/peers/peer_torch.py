"""PyTorch: eager or compiled, contiguous or channels_last; bf16 by autocast, and for inference as a whole net in bf16 too; with int8 its dynamic quantisation of
fully connected layers, whose inputs are rounded to 8 bits as well."""
import sys
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

import worker


class LRN(nn.Module):
    """Normalisation of each column's channels alone. PyTorch has none in bf16: autocast turns to fp32, a whole net in bf16 (half) must."""

    def __init__(self, layer, half):
        super().__init__()
        self.columns, self.half = layer["columns"], half
        self.args = layer["size"], layer["alpha"], layer["beta"], layer["k"]  # PyTorch divides alpha by size too

    def forward(self, x):  # (B, C, H, W); columns as more pictures, or beside each other where channels are last: views, which move nothing
        b, c, h, w = x.shape
        n = self.columns
        y = x.float() if self.half else x
        if x.is_contiguous():
            y = F.local_response_norm(y.reshape(b * n, c // n, h, w), *self.args).reshape(b, c, h, w)
        else:
            y = F.local_response_norm(y.permute(0, 2, 3, 1).reshape(b, h, w * n, c // n).permute(0, 3, 1, 2), *self.args)
            y = y.permute(0, 2, 3, 1).reshape(b, h, w, c).permute(0, 3, 1, 2)
        return y.bfloat16() if self.half else y


def conv(layer):
    """A convolution, and zeros before it where there are more after than before."""
    before, after = layer["before"], layer["after"]
    uneven = before != after
    c = nn.Conv2d(layer["inputs"], layer["outputs"], layer["size"], layer["stride"], 0 if uneven else before, groups=layer["groups"])
    return [(layer["name"] + "_pad", nn.ZeroPad2d((before, after, before, after)))] * uneven + [(layer["name"], c)]


def pool(layer):
    ceil = layer["after"] > layer["before"]
    kind = nn.AvgPool2d if layer["average"] else nn.MaxPool2d
    return kind(layer["size"], layer["stride"], layer["before"], ceil_mode=ceil)


def modules(plan, half):
    flat = False
    for layer in plan["layers"]:
        name, kind = layer["name"], layer["kind"]
        if kind == "conv":
            yield from conv(layer)
        elif kind == "pool":
            yield name, pool(layer)
        elif kind == "lrn":
            yield name, LRN(layer, half)
        elif kind == "dropout":
            yield name, nn.Dropout(layer["rate"])
        elif kind == "fc":
            if not flat:
                flat = True
                yield "flatten", nn.Flatten()
            yield name, nn.Linear(layer["inputs"], layer["outputs"])
        if layer["act"] != "none":
            yield name + "_" + layer["act"], {"relu": lambda: nn.ReLU(inplace=True), "tanh": nn.Tanh}[layer["act"]]()


def build_net(plan, weights, half=False):
    net = nn.Sequential(OrderedDict(modules(plan, half)))
    if weights is not None:
        net.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in weights.items()}, strict=True)
    return net


class Float(nn.Module):
    def forward(self, x):
        return x.float()


def quantized(net):
    """Two nets: the layers before the first fully connected one, and those from it on with int8 weights, which take floats."""
    from torch.ao import quantization
    first = list(dict(net.named_children())).index("flatten")
    back = quantization.quantize_dynamic(net[first:], {nn.Linear: quantization.per_channel_dynamic_qconfig})
    return net[:first], nn.Sequential(Float(), back)


def padded(net, x):
    """The net without the zeros before its first layer, and pictures that have them, as an input pipeline may deliver them."""
    return (net[1:], net[0](x)) if isinstance(net[0], nn.ZeroPad2d) else (net, x)


def optimizer(net, plan):
    """SGD with a group for each pair of rate and decay."""
    groups = {}
    for layer in plan["layers"]:
        if "rates" in layer:
            module = getattr(net, layer["name"])
            for rates, p in zip(layer["rates"], (module.weight, module.bias)):
                groups.setdefault(tuple(rates), []).append(p)
    return torch.optim.SGD([{"params": p, "lr": lr, "weight_decay": decay} for (lr, decay), p in groups.items()],
                           lr=0.0, momentum=plan["momentum"], fused=True)


class Train:
    def __init__(self, job, weights, x, labels):
        mode, plan = job["mode"].split(), job["plan"]
        self.half = job["precision"] == "bf16"
        self.format = torch.channels_last if "channels_last" in mode else torch.contiguous_format
        self.net = build_net(plan, weights).train().to(memory_format=self.format)
        if x is not None:
            self.net, x = padded(self.net, torch.from_numpy(x))
            self.x, self.labels = x.contiguous(memory_format=self.format), torch.from_numpy(labels)
        self.optimizer = optimizer(self.net, plan)
        self.forward = torch.compile(self.net) if "compiled" in mode else self.net

    def step(self):
        return self.learn(self.x, self.labels)

    def learn(self, x, labels):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            loss = F.cross_entropy(self.forward(x), labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Infer:
    def __init__(self, job, weights, x, _):
        mode = job["mode"].split()
        self.autocast = "autocast" in mode
        dtype = torch.bfloat16 if job["precision"] == "bf16" and not self.autocast else torch.float32
        form = torch.channels_last if "channels_last" in mode else torch.contiguous_format
        net, back = build_net(job["plan"], weights, dtype == torch.bfloat16).eval(), nn.Identity()
        if "int8" in mode:
            net, back = quantized(net)
        net = net.to(dtype=dtype, memory_format=form)
        net, x = padded(net, torch.from_numpy(x).to(dtype))
        self.x = x.contiguous(memory_format=form)
        if "compiled" in mode:
            from torch._inductor import config
            config.freezing = True  # weights are constants, packed once
            net = torch.compile(net)
        self.net, self.back = net, back

    def step(self):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            return self.back(self.net(self.x))

    def logits(self):
        return self.step().float().numpy()


def build(job, weights, x, labels):
    torch.set_num_threads(job["threads"])
    torch.manual_seed(1)
    return (Train if job["task"] == "train" else Infer)(job, weights, x, labels)


if __name__ == "__main__":
    sys.exit(worker.serve(build, {"PyTorch": torch.__version__.split("+")[0]}))
