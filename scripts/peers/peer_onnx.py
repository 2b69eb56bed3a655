"""ONNX Runtime and OpenVINO predict with one and the same ONNX model, which is made here. With int8, fully connected layers have int8 weights and a scale a unit: by
ONNX Runtime's dynamic quantisation, which rounds their inputs to 8 bits as well; for OpenVINO the graph dequantises them, which it does as it multiplies."""
import pathlib
import sys
import tempfile
from importlib.metadata import version

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import worker

OPSET = 17


def window(layer):
    before, after = layer["before"], layer["after"]
    return {"kernel_shape": [layer["size"]] * 2, "strides": [layer["stride"]] * 2, "pads": [before, before, after, after]}


class Model:
    """An ONNX graph, built layer by layer."""

    def __init__(self, plan, weights, batch, int8=False):
        self.nodes, self.constants, self.last, self.int8 = [], [], "x", int8
        shape = plan["input"]
        for layer in plan["layers"]:
            self.layer(layer, [batch, *shape], weights)
            shape = layer["shape"]
        graph = helper.make_graph(self.nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *plan["input"]])],
                                  [helper.make_tensor_value_info(self.last, TensorProto.FLOAT, [batch, plan["classes"]])], self.constants)
        self.bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8).SerializeToString()

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def dequantized(self, name, weight):
        scale = (np.abs(weight).max(1) / 127).astype(np.float32)
        inputs = [self.constant(name + ".int8", np.rint(weight / scale[:, None]).astype(np.int8)), self.constant(name + ".scale", scale)]
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [name], axis=0))
        return name

    def node(self, kind, name, *more, **attributes):
        self.nodes.append(helper.make_node(kind, [self.last, *more], [name], name=name, **attributes))
        self.last = name

    def layer(self, layer, shape, weights):
        name, kind = layer["name"], layer["kind"]
        if "rates" in layer:
            put = self.dequantized if self.int8 and kind == "fc" else self.constant
            inputs = [put(name + ".weight", weights[name + ".weight"]), self.constant(name + ".bias", weights[name + ".bias"])]
        if kind == "conv":
            self.node("Conv", name, *inputs, group=layer["groups"], **window(layer))
        elif kind == "fc":
            if shape[2] > 1:
                self.node("Flatten", name + "_flat")
            self.node("Gemm", name, *inputs, transB=1)
        elif kind == "pool":
            self.node("AveragePool" if layer["average"] else "MaxPool", name, **window(layer))
        elif kind == "lrn":
            self.lrn(layer, shape)
        if layer["act"] != "none":
            self.node({"relu": "Relu", "tanh": "Tanh"}[layer["act"]], f"{name}_{layer['act']}")

    def lrn(self, layer, shape):  # (B, C, H, W) -> (columns B, C/columns, H, W) and back, which moves nothing
        name, n = layer["name"], layer["columns"]
        if n > 1:
            apart = [shape[0] * n, shape[1] // n, *shape[2:]]
            self.node("Reshape", name + "_apart", self.constant(name + ".apart", np.array(apart, np.int64)))
        self.node("LRN", name, size=layer["size"], alpha=layer["alpha"], beta=layer["beta"], bias=float(layer["k"]))
        if n > 1:
            self.node("Reshape", name + "_together", self.constant(name + ".together", np.array(shape, np.int64)))


def quantized(model):
    from onnxruntime.quantization import quantize_dynamic
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "net.onnx"
        quantize_dynamic(onnx.load_from_string(model), path, op_types_to_quantize=["MatMul"], per_channel=True)  # every Gemm is made one before
        return path.read_bytes()


class Runtime:
    def __init__(self, job, model, x):
        import onnxruntime
        o = onnxruntime.SessionOptions()
        o.intra_op_num_threads = job["threads"]
        self.session, self.x = onnxruntime.InferenceSession(model, o, providers=["CPUExecutionProvider"]), x

    def step(self):
        return self.session.run(None, {"x": self.x})[0]

    logits = step


def compile_model(job, model):
    import openvino
    core = openvino.Core()
    hints = {"INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[job["precision"]],
             "INFERENCE_NUM_THREADS": job["threads"], "PERFORMANCE_HINT": job["mode"].split()[0]}
    return core.compile_model(core.read_model(model), "CPU", hints)


class Latency:
    """OpenVINO, one batch after the other."""

    def __init__(self, job, model, x):
        self.request, self.x = compile_model(job, model).create_infer_request(), x

    def step(self):
        return self.request.infer({0: self.x}, share_inputs=True, share_outputs=True)[0]

    logits = step


class Throughput:
    """OpenVINO, several batches at once: as many as it finds best, and two at least."""

    def __init__(self, job, model, x):
        import openvino
        net = compile_model(job, model)
        at_once = max(2, net.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.queue, self.x, self.batches = openvino.AsyncInferQueue(net, at_once), x, 3 * at_once  # a step: the wait at its end costs little of so many

    def step(self):
        for _ in range(self.batches):
            self.queue.start_async({0: self.x}, share_inputs=True)
        self.queue.wait_all()

    def logits(self):
        self.step()
        return self.queue[0].get_output_tensor().data


def build(job, weights, x, _):
    kind, *int8 = job["mode"].split()
    model = Model(job["plan"], weights, job["batch"], bool(int8) and kind != "CPU").bytes
    if int8 and kind == "CPU":
        model = quantized(model)
    return {"CPU": Runtime, "LATENCY": Latency, "THROUGHPUT": Throughput}[kind](job, model, x)


if __name__ == "__main__":
    sys.exit(worker.serve(build, {"ONNX Runtime": version("onnxruntime"), "OpenVINO": version("openvino"), "ONNX": version("onnx")}))
