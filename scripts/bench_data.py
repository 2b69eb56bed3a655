#!/usr/bin/env python3
"""Reading pictures: alexnet beside torchvision's DataLoader and libjpeg-turbo alone, on the same cores and in turn.

usage: bench_data.py [--photos photos.tar] [--pictures 3000] [--rounds 7] [--steps 100] [--alexnet bin/alexnet]
                     [--write]

Photographs (a tar of class folders) are cut at random places, made 256x256 and written as JPEGs of quality 95, 4:2:0.
Then, round after round, each side reads them in batches of 128: alexnet from a tar and from the folder (`bench --mode
data`, which in turn with the loader lets libjpeg-turbo decode the same bytes from memory), torchvision from the folder
(ImageFolder, RandomCrop 224, flip, ToTensor, Normalize; as many workers as cores). alexnet's loader decodes, and draws
crop, flip and colour noise; that these are applied is the device's work, in the step, and not measured here.
`make bench-data` installs what it needs and writes the table into docs/results.md.
"""
import argparse
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts" / "peers"))
BEGIN, END = "<!-- bench-data: written by `make bench-data` -->", "<!-- bench-data: end -->"
BATCH, SIZE, CROP = 128, 256, 224
FIRST = 10  # batches that are not measured: those that workers prepare ahead are faster


def make_pictures(photos, folder, count):
    from PIL import Image

    draw, pictures = random.Random(1), []
    with tarfile.open(photos) as tar:
        for m in sorted((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.name):
            photo = Image.open(io.BytesIO(tar.extractfile(m).read())).convert("RGB")
            pictures.append((Path(m.name).parent.name, photo))
    for i in range(count):
        label, photo = pictures[i % len(pictures)]
        side = int(min(photo.size) * draw.uniform(0.6, 1))
        x, y = draw.randrange(photo.width - side + 1), draw.randrange(photo.height - side + 1)
        path = folder / "train" / label / f"{i:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cut = photo.crop((x, y, x + side, y + side)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        cut.save(path, quality=95, subsampling="4:2:0")


def alexnet(binary, path, steps):
    command = [binary, "bench", "--mode", "data", "--data", str(path), "--config", "alexnet", "--batch", str(BATCH),
               "--steps", str(steps), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)


def torchvision(folder, steps, cores):
    import torch
    from torchvision import datasets, transforms

    torch.set_num_threads(1)
    how = transforms.Compose([
        transforms.RandomCrop(CROP), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
        transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
    ])
    pictures = datasets.ImageFolder(folder / "train", how)
    # no epochs: workers never wait for one to end
    order = torch.utils.data.RandomSampler(pictures, replacement=True, num_samples=(FIRST + steps) * BATCH)
    batches = iter(torch.utils.data.DataLoader(pictures, batch_size=BATCH, sampler=order, num_workers=cores))
    for _ in range(FIRST):
        next(batches)
    start, seen = time.perf_counter(), 0
    for pixels, labels in batches:
        seen += len(labels)
    return seen / (time.perf_counter() - start)


def spread(values, form="{:,.0f}"):
    low, middle, high = min(values), statistics.median(values), max(values)
    return form.format(middle) + " (" + form.format(low) + " to " + form.format(high) + ")"


def report(a, rounds, cores, size):
    import PIL
    import table
    import torch
    import torchvision as tv

    to_torch = [r["tar"]["images_per_second"] / r["torchvision"] for r in rounds]
    decoding = spread([r["tar"]["decoding"]["images_per_second"] for r in rounds])
    load = [r["load"] for r in rounds]
    lines = [
        "| of 256x256 JPEGs, quality 95, 4:2:0 | pictures a second | beside |",
        "|---|---|---|",
        f"| libjpeg-turbo alone, from memory, {cores} threads | {decoding} | |",
    ]
    for name in ("tar", "folder"):
        share = spread([100 * r[name]["decoding"]["share"] for r in rounds], "{:.1f}%")
        speed = spread([r[name]["images_per_second"] for r in rounds])
        lines.append(f"| alexnet, from a {name} | {speed} | {share} of that, in the same run |")
    speed = spread([r["torchvision"] for r in rounds])
    lines.append(f"| torchvision's DataLoader, from the folder, {cores} workers | {speed} | alexnet from the tar: "
                 f"{spread(to_torch, '{:.2f}')} times |")
    words = (
        f"Medians of {len(rounds)} rounds in turn, and least and most; a round is {a.steps} batches of {BATCH} of each "
        f"side, {a.pictures} pictures of {size / a.pictures / 1000:.1f} KB, all in the page cache. A share is itself "
        f"the median of some turns of the loader and of decoding. Commit {table.commit()}, {table.machine(cores)}; "
        f"PyTorch {torch.__version__}, torchvision {tv.__version__}, Pillow {PIL.__version__}. Load average of the "
        f"machine at the rounds' beginnings: {min(load):.0f} to {max(load):.0f}."
    )
    return "\n".join([*lines, "", *textwrap.wrap(words, 120)])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    beside = os.environ.get("ALEXNET_TEST_DATA", ROOT.parent / "shared" / "data")
    p.add_argument("--photos", default=os.path.join(beside, "photos.tar"))
    p.add_argument("--pictures", type=int, default=3000)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--steps", type=int, default=100)
    p.add_argument("--alexnet", default=str(ROOT / "bin" / "alexnet"))
    p.add_argument("--write", action="store_true", help="put the table into docs/results.md")
    a = p.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as d:
        folder, tar = Path(d) / "pictures", Path(d) / "pictures.tar"
        make_pictures(a.photos, folder, a.pictures)
        with tarfile.open(tar, "w") as t:
            t.add(folder / "train", "train")
        rounds = []
        for n in range(a.rounds):
            rounds.append({
                "load": os.getloadavg()[0], "tar": alexnet(a.alexnet, tar, a.steps),
                "torchvision": torchvision(folder, a.steps, cores), "folder": alexnet(a.alexnet, folder, a.steps),
            })
            r = rounds[-1]
            print(f"round {n + 1} of {a.rounds}: tar {r['tar']['images_per_second']:.0f} "
                  f"({100 * r['tar']['decoding']['share']:.0f}% of decoding), folder "
                  f"{r['folder']['images_per_second']:.0f}, torchvision {r['torchvision']:.0f} pictures/s", flush=True)
        text = report(a, rounds, cores, sum(f.stat().st_size for f in folder.rglob("*.jpg")))
    print(text)
    if a.write:
        page = ROOT / "docs" / "results.md"
        before, rest = page.read_text().split(BEGIN)
        page.write_text(before + BEGIN + "\n" + text + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
