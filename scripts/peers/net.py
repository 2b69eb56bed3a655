"""The net that a configuration describes, resolved for other frameworks: shapes, padding on each side, groups, rates. From `alexnet config --json`."""


def nested(document):
    """The keys of `alexnet config --json`, model.conv1.init.std and so on, as dictionaries; layers stay in the page's order."""
    tree = {}
    for entry in document["keys"]:
        *path, last = entry["key"].split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = entry["value"]
    return tree


def window(layer, size):
    """Output size and zeros before and after of a convolution or pooling over `size` pixels. Rounded up, the last window may pass the edge."""
    span, stride, pad = layer["size"], layer["stride"], layer["pad"]
    steps = size + 2 * pad - span
    out = (-(-steps // stride) if layer["round"] == "up" else steps // stride) + 1
    return out, pad, max(pad, (out - 1) * stride + span - size - pad)


def plan(document, classes=None):
    """What a worker builds: {"input": (C, H, W), "std", "momentum", "layers": [...]}.

    Each layer has its kind, act and output's shape; those with weights also inputs, groups and rates: a pair (lr, decay) of the weight and one of
    the bias, as v = momentum v - lr decay w - lr gradient has them.
    """
    page = nested(document)
    model, train = page["model"], page["train"]
    classes = classes or model["classes"] or model["default_classes"]
    channels, size = model["input"]["channels"], model["input"]["size"]
    columns, layers = model["columns"], []
    for name, layer in model.items():
        if not isinstance(layer, dict) or "kind" not in layer or layer["kind"] == "softmax":
            continue
        kind = layer["kind"]
        p = {"name": name, "kind": kind, "act": layer.get("act", "none"), "inputs": channels * size * size}
        if kind in ("conv", "pool"):
            out, before, after = window(layer, size)
            p |= {"size": layer["size"], "stride": layer["stride"], "before": before, "after": after}
        if kind == "conv":
            p["groups"] = layer["groups"]
            if layers and layer["inputs"] == "own":  # the first layer has no columns before it: all of it sees the picture
                p["groups"] *= columns
            p |= {"inputs": channels, "outputs": layer["kernels"]}
            channels, size = layer["kernels"], out
        elif kind == "pool":
            p["average"] = layer["pool"] == "avg"
            size = out
        elif kind == "lrn":
            p |= {"columns": columns} | {k: layer[k] for k in ("size", "alpha", "beta", "k")}
        elif kind == "fc":
            if columns > 1 and layer["inputs"] == "own":
                raise ValueError(f"{name}: a fully connected layer that reads its own column alone is not known here")
            p["outputs"] = layer["units"] or classes
            channels, size = p["outputs"], 1
        elif kind == "dropout":
            p["rate"] = layer["rate"] if train["dropout"] else 0
        elif kind != "activation":
            raise ValueError(f"{name}: kind {kind} is not known here")
        if kind in ("conv", "fc"):
            p["rates"] = [[train["lr"] * layer["lr"], layer["weight_decay"]], [train["lr"] * layer["bias_lr"], train["bias_decay"]]]
        p["shape"] = [channels, size, size]
        layers.append(p)
    side = model["input"]["size"]
    return {"input": [model["input"]["channels"], side, side], "std": page["data"]["std"] or [1], "classes": classes,
            "momentum": train["momentum"], "layers": layers}


def weight_shape(layer):
    """(O, I/groups, H, W) of a convolution, (O, I) of a fully connected layer."""
    if layer["kind"] == "conv":
        return [layer["outputs"], layer["inputs"] // layer["groups"], layer["size"], layer["size"]]
    return [layer["outputs"], layer["inputs"]]


def parameters(plan):
    total = 0
    for layer in plan["layers"]:
        if layer["kind"] in ("conv", "fc"):
            n = layer["outputs"]
            for d in weight_shape(layer)[1:]:
                n *= d
            total += n + layer["outputs"]
    return total
