#!/usr/bin/env python3
"""Writes small WebDatasets to internal/data/testdata/webdataset with webdataset's own ShardWriter, and to want.json
there the name, class and CRC-32 that the program is to find of each picture.

TestWebDataset reads them. Needs webdataset 1.0.2 and Pillow (13.0 drew what is committed):

    pip install webdataset==1.0.2 pillow

imagenet has pictures of three of ILSVRC2012's classes, labelled as timm's imagenet-1k-wds: places in the order of
WNIDs, which the pictures' names prove. own has classes of another set, which only the samples' notes name.
"""
import io
import json
import shutil
import zlib
from pathlib import Path

import webdataset
from PIL import Image

OUT = Path(__file__).resolve().parent.parent / "internal/data/testdata/webdataset"
PLACES = {"n01440764": 0, "n01751748": 65, "n09193705": 970}
VALIDATION = {1: "n01751748", 2: "n09193705"}


def picture(value, form):
    im = Image.new("RGB", (16, 12), (value, 255 - value, 40))
    out = io.BytesIO()
    im.save(out, form)
    return out.getvalue()


def write(name, split, samples, maxcount=4):
    """Shards NAME/SPLIT-0000.tar and so on, of (key, extension, bytes, label, notes)."""
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    pattern = str(folder / (split + "-%04d.tar"))
    with webdataset.ShardWriter(pattern, maxcount=maxcount, verbose=0, mtime=0) as sink:
        for key, ext, raw, label, notes in samples:
            sink.write({"__key__": key, ext: raw, "cls": label, "json": notes})


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    want = {"imagenet": [], "own": []}
    train, val = [], []
    for n, (wnid, place) in enumerate(PLACES.items()):
        for i in range(3):
            key, raw = f"{wnid}_{10 * i + n}", picture(20 * n + i, "JPEG")
            train.append((key, "jpg", raw, place, {"filename": key + ".JPEG"}))
            want["imagenet"].append([f"train/{wnid}/{key}.jpg", wnid, zlib.crc32(raw)])
    for n, wnid in VALIDATION.items():
        key, raw = f"ILSVRC2012_val_{n:08d}", picture(100 + n, "JPEG")
        val.append((key, "jpg", raw, PLACES[wnid], {"filename": key + ".JPEG"}))
        want["imagenet"].append([f"val/{wnid}/{key}.jpg", wnid, zlib.crc32(raw)])
    write("imagenet", "imagenet1k-train", train[::2] + train[1::2])
    write("imagenet", "imagenet1k-validation", val)
    own = []
    for n, (label, name) in enumerate([(11, "crane bird"), (2, "crane"), (100, "x")]):
        for i, (ext, form) in enumerate([("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")]):
            key, raw = f"some/{n}{i}", picture(50 * n + i, form)
            own.append((key, ext, raw, label, {"class_name": name}))
            want["own"].append([f"{name}/{key}.{ext}", name, zlib.crc32(raw)])
    write("own", "all", own)
    (OUT / "want.json").write_text(json.dumps(want, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
