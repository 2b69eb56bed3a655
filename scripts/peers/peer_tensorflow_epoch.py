"""One or more epochs of TensorFlow from a tar of JPEG files by tf.data, as a script of a user would have them; an answer after each.

Pictures are decoded in the first epoch and kept (cache), the mean of each channel is subtracted in the pipeline. A 20th is held out, and tested after each
epoch.
"""
import json
import sys

import numpy as np
import peer_tensorflow  # first: it quietens TensorFlow
import tensorflow as tf

import worker

MEAN = (125.3, 123.0, 113.9)  # of CIFAR-10's channels


def dataset(files, labels, plan, batch, shuffle):
    channels, *size = plan["input"]
    d = tf.data.Dataset.from_tensor_slices((files, labels))
    d = d.map(lambda f, y: (tf.ensure_shape(tf.io.decode_jpeg(f, channels), (*size, channels)), y), tf.data.AUTOTUNE).cache()
    if shuffle:
        d = d.shuffle(len(files))
    return d.batch(batch).map(lambda x, y: (tf.cast(x, tf.float32) - MEAN, y), tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def datasets(job):
    files, labels = worker.read_tar(job["data"])
    order = np.random.default_rng(1).permutation(len(files))
    held, rest = order[:len(files) // 20], order[len(files) // 20:]
    files, labels = np.array(files, object), labels.astype(np.int32)
    return [dataset(files[chosen], labels[chosen], job["plan"], job["batch"], shuffle) for chosen, shuffle in ((rest, True), (held, False))]


def main():
    out = worker.channel()
    job = json.loads(sys.stdin.readline())
    net = peer_tensorflow.build(job, worker.read_safetensors(job["weights"]), None, None)
    predict = tf.function(net.forward, jit_compile="XLA" in job["mode"])
    train, held = datasets(job)
    for epoch in range(job["epochs"]):
        losses = [net.run(x, y) for x, y in train]
        wrong = np.concatenate([predict(x).numpy().argmax(1) != y.numpy() for x, y in held]).mean()
        out.write(json.dumps({"epoch": epoch + 1, "loss": float(np.mean(losses)), "wrong": float(wrong)}) + "\n")
    sys.stdin.read()  # until the driver has what it wants


if __name__ == "__main__":
    main()
