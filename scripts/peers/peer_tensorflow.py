"""TensorFlow: a tf.function as a graph (its ops one after the other, or two at once: inter_op), or compiled by XLA; channels last, as its kernels on
processors want it."""
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np  # noqa: E402: TensorFlow reads the environment when it is loaded
import tensorflow as tf  # noqa: E402

import worker  # noqa: E402


def arrange(layer, shape, weight):
    """A weight as TensorFlow wants it: (H, W, I, O), one for each group, which CPUs cannot train as one; the first FC's inputs by row, column and channel."""
    if layer["kind"] == "conv":
        return [np.ascontiguousarray(part.transpose(2, 3, 1, 0)) for part in np.split(weight, layer["groups"])]
    if shape[1] > 1:
        weight = weight.reshape(-1, *shape).transpose(0, 2, 3, 1).reshape(weight.shape)
    return [np.ascontiguousarray(weight.T)]


def windows(layer):
    """Padding's argument for one place: all that the nets here have is none, or one more at the end, which SAME gives."""
    if layer["before"] == 0 and layer["after"] <= 1:
        return "SAME" if layer["after"] else "VALID"
    raise ValueError(f"{layer['name']}: pooling with padding {layer['before']}, {layer['after']} is not known here")


class Net:
    def __init__(self, job, weights, x, labels):
        self.plan, self.train = job["plan"], job["task"] == "train"
        self.type = tf.bfloat16 if job["precision"] == "bf16" else tf.float32
        if x is not None:
            self.x = tf.constant(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))  # (B, H, W, C)
            self.labels = tf.constant(labels, tf.int32)
        self.weights, self.biases, self.slots = {}, {}, []
        shape = self.plan["input"]
        for layer in self.plan["layers"]:
            if "rates" in layer:
                arrays = arrange(layer, shape, weights[layer["name"] + ".weight"])
                self.weights[layer["name"]] = [self.parameter(a, layer["rates"][0]) for a in arrays]
                self.biases[layer["name"]] = self.parameter(weights[layer["name"] + ".bias"], layer["rates"][1])
            shape = layer["shape"]
        self.run = tf.function(self.learn if self.train else self.forward, jit_compile="XLA" in job["mode"].split())

    def parameter(self, array, rates):
        if not self.train:
            return array  # a constant of the graph: it may be packed once
        v = tf.Variable(array)
        self.slots.append((v, tf.Variable(tf.zeros_like(v)), rates))
        return v

    def cast(self, value):
        return tf.cast(value, self.type)

    def conv(self, layer, x):
        pad, stride = [layer["before"], layer["after"]], layer["stride"]
        weights = [self.cast(w) for w in self.weights[layer["name"]]]
        parts = [tf.nn.conv2d(part, w, stride, [[0, 0], pad, pad, [0, 0]]) for part, w in zip(tf.split(x, len(weights), -1), weights)]
        return tf.nn.bias_add(parts[0] if len(parts) == 1 else tf.concat(parts, -1), self.cast(self.biases[layer["name"]]))

    def lrn(self, layer, x):  # (B, H, W, C); columns as if beside each other, which moves nothing
        b, h, w, c = x.shape
        n = layer["columns"]
        y = tf.reshape(tf.cast(x, tf.float32), (b, h, w * n, c // n))
        y = tf.nn.local_response_normalization(y, layer["size"] // 2, layer["k"], layer["alpha"] / layer["size"], layer["beta"])
        return self.cast(tf.reshape(y, (b, h, w, c)))

    def layer(self, layer, x):
        kind = layer["kind"]
        if kind == "conv":
            x = self.conv(layer, x)
        elif kind == "fc":
            if len(x.shape) > 2:
                x = tf.reshape(x, (x.shape[0], -1))
            x = tf.nn.bias_add(tf.matmul(x, self.cast(self.weights[layer["name"]][0])), self.cast(self.biases[layer["name"]]))
        elif kind == "pool":
            f = tf.nn.avg_pool2d if layer["average"] else tf.nn.max_pool2d
            x = f(x, layer["size"], layer["stride"], windows(layer))
        elif kind == "lrn":
            x = self.lrn(layer, x)
        elif kind == "dropout" and self.train and layer["rate"]:
            x = tf.nn.dropout(x, layer["rate"])
        return {"none": tf.identity, "relu": tf.nn.relu, "tanh": tf.tanh}[layer["act"]](x)

    def forward(self, x):
        x = self.cast(x)
        for layer in self.plan["layers"]:
            x = self.layer(layer, x)
        return tf.cast(x, tf.float32)

    def learn(self, x, labels):
        variables = [v for v, _, _ in self.slots]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, self.forward(x)))
        for gradient, (v, momentum, (lr, decay)) in zip(tape.gradient(loss, variables), self.slots):
            if decay:
                gradient += decay * v
            tf.raw_ops.ResourceApplyKerasMomentum(var=v.handle, accum=momentum.handle, lr=lr, grad=gradient, momentum=self.plan["momentum"])
        return loss

    def step(self):
        return (self.run(self.x, self.labels) if self.train else self.run(self.x)).numpy()

    logits = step


def build(job, weights, x, labels):
    tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(2 if "inter_op" in job["mode"] else 1)
    tf.random.set_seed(1)
    return Net(job, weights, x, labels)


if __name__ == "__main__":
    sys.exit(worker.serve(build, {"TensorFlow": tf.__version__}))
