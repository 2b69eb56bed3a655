#!/usr/bin/env python3
"""Holds prepared sets to other programs: webdataset and timm read what `alexnet data prepare` made.

usage: check_data.py [--alexnet bin/alexnet] [--data DIR]

DIR is what is prepared; without it pictures that the program draws. The set is read by webdataset, and by timm as it
reads ImageNet's shards: the same keys, labels and bytes, and as many pictures, as the program itself lists and as the
tars hold. Each check is a function, and says what it found. Ends with 1 where anything differs. `make check-data`
installs what it needs.
"""
import argparse
import glob
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import prepared

PARTS = {"train": "train", "validation": "val", "test": "test"}


def listed(alexnet, out, part):
    """What the program lists of a part: class by name."""
    split = [alexnet, "data", "split", out, "--part", part, "--set", "data.val_share=0", "--json"]
    pictures = json.loads(subprocess.run(split, check=True, capture_output=True).stdout)["pictures"]
    return {p["name"]: p["class"] for p in pictures}


def in_tars(out, part):
    """What the tars of a part hold: key -> (label, picture, path in the source)."""
    return {key: (int(f["cls"]), f["jpg"], json.loads(f["json"])["path"])
            for key, f in prepared.samples(out, part).items()}


def check_tars(alexnet, out):
    """The tars hold what the program lists, with the labels of classes.json."""
    classes = json.loads(pathlib.Path(out, "classes.json").read_text())
    for part, own in PARTS.items():
        want = listed(alexnet, out, own)
        got = {path: classes[label] for label, _, path in in_tars(out, part).values()}
        assert got == want, f"{part}: {len(got)} pictures in tars, {len(want)} listed"
    print(f"tars: the pictures and classes that alexnet lists, {len(classes)} classes")


def check_webdataset(_alexnet, out):
    import webdataset

    for part in PARTS:
        names = sorted(glob.glob(f"{out}/{part}-*.tar"))
        if not names:
            continue
        got = {}
        for sample in webdataset.WebDataset(names, shardshuffle=False, empty_check=False):
            assert sample["__key__"] not in got, f"{sample['__key__']} twice"
            got[sample["__key__"]] = (int(sample["cls"]), sample["jpg"], json.loads(sample["json"])["path"])
        assert got == in_tars(out, part), f"{part}: webdataset reads other samples"
        print(f"webdataset {webdataset.__version__}: {part}: {len(got)} samples, the same keys, labels and bytes")


def check_timm(_alexnet, out):
    import timm
    from PIL import Image

    info = json.loads(pathlib.Path(out, "_info.json").read_text())["splits"]
    for part in PARTS:
        want = in_tars(out, part)
        if not want:
            continue
        assert info[part]["num_samples"] == len(want) == sum(info[part]["shard_lengths"])
        data = timm.data.create_dataset("wds/set", root=out, split=part, is_training=False, batch_size=1)
        got = sorted((label, picture.convert("RGB").tobytes()) for picture, label in data)
        same = sorted((label, Image.open(io.BytesIO(jpg)).convert("RGB").tobytes()) for label, jpg, _ in want.values())
        assert len(data) == len(want) and got == same, f"{part}: timm reads {len(got)} other samples"
        print(f"timm {timm.__version__}: {part}: {len(got)} samples, the same labels and pixels")


CHECKS = [check_tars, check_webdataset, check_timm]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--alexnet", default="bin/alexnet")
    options.add_argument("--data")
    given = options.parse_args()
    alexnet = os.path.abspath(given.alexnet)
    with tempfile.TemporaryDirectory() as work:
        source, out = given.data, os.path.join(work, "set")
        if source is None:
            source = os.path.join(work, "shapes")
            subprocess.run([alexnet, "data", "demo", "--out", source, "--train", "20", "--val", "5"], check=True)
        prepare = [alexnet, "data", "prepare", os.path.abspath(source), out, "--resize", "24", "--shards", "3"]
        subprocess.run(prepare, check=True)
        failed = 0
        for check in CHECKS:
            try:
                check(alexnet, out)
            except AssertionError as e:
                print(f"{check.__name__}: {e}")
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
