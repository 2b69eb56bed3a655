"""One or more epochs of PyTorch from a tar of JPEG files, as a script of a user would have them; an answer after each.

The job's loader is "memory" (all decoded at the start, batches are slices of one tensor), or "DataLoader N" with N worker processes (each picture decoded
whenever it is its turn). A 20th is held out, and tested after each epoch. The mean is subtracted: in memory the mean image, with DataLoader a constant,
which saves it a pass over the data.
"""
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import torch
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.io import decode_jpeg

import peer_torch
import worker

MEAN = (125.3, 123.0, 113.9)  # of CIFAR-10's channels


class Tar(Dataset):
    """The files of a tar, read whole when opened."""

    def __init__(self, path):
        files, labels = worker.read_tar(path)
        self.files = [torch.frombuffer(bytearray(f), dtype=torch.uint8) for f in files]
        self.labels = torch.from_numpy(labels)
        self.mean = torch.tensor(MEAN).view(3, 1, 1)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        return decode_jpeg(self.files[i]) - self.mean, self.labels[i]


class Memory:
    """All pictures decoded, the mean image subtracted from each batch."""

    def __init__(self, tar, chosen, job, shuffle, mean=None):
        with ThreadPoolExecutor(job["threads"]) as pool:
            parts = pool.map(lambda part: torch.stack([decode_jpeg(tar.files[i]) for i in part]), chosen.chunk(job["threads"]))
        self.x, self.y = torch.cat(list(parts)), tar.labels[chosen]
        self.mean = self.x.float().mean(0) if mean is None else mean
        self.batch, self.shuffle = job["batch"], shuffle

    def __iter__(self):
        order = torch.randperm(len(self.x)) if self.shuffle else torch.arange(len(self.x))
        for chosen in order.split(self.batch):
            yield self.x[chosen] - self.mean, self.y[chosen]


def loaders(job):
    tar = Tar(job["data"])
    order = torch.randperm(len(tar))
    held, rest = order[:len(tar) // 20], order[len(tar) // 20:]
    if job["loader"] == "memory":
        train = Memory(tar, rest, job, True)
        return train, Memory(tar, held, job, False, train.mean)
    workers = int(job["loader"].split()[1])
    return tuple(DataLoader(Subset(tar, chosen.tolist()), job["batch"], shuffle=shuffle, num_workers=workers, persistent_workers=workers > 0)
                 for chosen, shuffle in ((rest, True), (held, False)))


def test(t, held):
    """The share of pictures held out that are named wrongly."""
    t.forward.eval()
    wrong = total = 0
    with torch.inference_mode():
        for x, y in held:
            wrong += (t.forward(x.contiguous(memory_format=t.format)).argmax(1) != y).sum().item()
            total += len(y)
    t.forward.train()
    return wrong / total


def main():
    out = worker.channel()
    job = json.loads(sys.stdin.readline())
    torch.set_num_threads(job["threads"])
    torch.manual_seed(1)
    weights = worker.read_safetensors(job["weights"])  # PyTorch's own initial weights are for pictures of another scale
    t = peer_torch.Train(job, weights, None, None)
    train, held = loaders(job)
    for epoch in range(job["epochs"]):
        losses = [t.learn(x.contiguous(memory_format=t.format), y) for x, y in train]
        out.write(json.dumps({"epoch": epoch + 1, "loss": sum(losses) / len(losses), "wrong": test(t, held)}) + "\n")
    sys.stdin.read()  # until the driver has what it wants


if __name__ == "__main__":
    main()
