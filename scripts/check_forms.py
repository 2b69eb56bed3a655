#!/usr/bin/env python3
"""Writes one set of pictures in every form that people have ImageNet in, by the programs that write them, and holds the
program to the same pictures, labels and order from all of them.

usage: check_forms.py [--photos photos.tar] [--alexnet bin/alexnet]

photos.tar has pictures in folders of WNIDs. Each is copied under the numbers that it could have in ILSVRC2012: to train
on as WNID_10026.JPEG and WNID_9.JPEG, for validation under a number whose built-in label is its class. The programs are
datasets (parquet in four codings), webdataset (shards) and Python's own (tar, gzip, zip). Each form is prepared with
--keep, which must give the same bytes under the same classes; three steps of training on each, and on what needs no
preparing, must give the same losses to the last digit: the same pixels in the same order. Ends with 1 where anything
differs. `make check-data` installs what it needs.
"""

import argparse
import io
import json
import os
import pathlib
import random
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib

import datasets
import pyarrow
import pyarrow.parquet
import webdataset

import prepared

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT_IN = ROOT / "internal" / "imagenet"


def photos(path):
    """Bytes by WNID."""
    out = {}
    with tarfile.open(path) as t:
        for m in t:
            if m.isfile():
                out[m.name.split("/")[-2]] = t.extractfile(m).read()
    return out


def validation_numbers():
    """The last validation number of each WNID, by the files that scripts/imagenet.py makes."""
    wnids = [line.split("\t")[0] for line in (BUILT_IN / "classes.tsv").read_text().splitlines()]
    bits = int.from_bytes((BUILT_IN / "validation.bin").read_bytes(), "little")
    return {wnids[bits >> 10 * (n - 1) & 1023]: n for n in range(1, 50_001)}


def add(t, name, raw):
    info = tarfile.TarInfo(name)
    info.size = len(raw)
    t.addfile(info, io.BytesIO(raw))


def tar_of(files, mode="w"):
    out = io.BytesIO()
    names = sorted(files)
    random.Random(1).shuffle(names)  # the official ones are not sorted
    with tarfile.open(fileobj=out, mode=mode) as t:
        for name in names:
            add(t, name, files[name])
    return out.getvalue()


def write(path, raw):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)


def official(root, train, val):
    inner = {}
    for (wnid, base), raw in train.items():
        inner.setdefault(wnid, {})[base] = raw
    write(root / "ILSVRC2012_img_train.tar", tar_of({w + ".tar": tar_of(f) for w, f in inner.items()}))
    write(root / "ILSVRC2012_img_val.tar", tar_of({base: raw for (_, base), raw in val.items()}))
    return [root]


def tree(train, val):
    return {f"{part}/{wnid}/{base}": raw for part, files in (("train", train), ("val", val))
            for (wnid, base), raw in files.items()}


def folders(root, train, val):
    for name, raw in tree(train, val).items():
        write(root / name, raw)
    return [root]


def kaggle(root, train, val):
    for (wnid, base), raw in train.items():
        write(root / "ILSVRC/Data/CLS-LOC/train" / wnid / base, raw)
    for (_, base), raw in val.items():
        write(root / "ILSVRC/Data/CLS-LOC/val" / base, raw)
    return [root]


def kaggle_zip(root, train, val):
    files = {f"ILSVRC/Data/CLS-LOC/train/{w}/{b}": raw for (w, b), raw in train.items()}
    files |= {f"ILSVRC/Data/CLS-LOC/val/{b}": raw for (_, b), raw in val.items()}
    path = root / "imagenet-object-localization-challenge.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("imagenet_object_localization_patched2019.tar.gz", tar_of(files, "w:gz"))
        z.writestr("LOC_synset_mapping.txt", "".join(f"{w} x\n" for w in sorted({w for w, _ in train})))
    return [path]


def tar_gz(root, train, val):
    write(root / "set.tar.gz", tar_of(tree(train, val), "w:gz"))
    return [root / "set.tar.gz"]


def zipped(root, train, val):
    path = root / "set.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, raw in tree(train, val).items():
            z.writestr(name, raw)
    return [path]


def hugging_tars(root, train, val):
    def flat(files):
        return {f"{base[:-5]}_{wnid}.JPEG": raw for (wnid, base), raw in files.items()}

    keys = sorted(train)
    for k in range(3):
        write(root / f"train_images_{k}.tar.gz", tar_of(flat({key: train[key] for key in keys[k::3]}), "w:gz"))
    write(root / "val_images.tar.gz", tar_of(flat(val), "w:gz"))
    return [root]


def parquet(how):
    def form(root, train, val):
        wnids = sorted({w for w, _ in train})
        kind = datasets.Features({
            "image": datasets.Image(), "label": datasets.ClassLabel(names=[f"class of {w}" for w in wnids]),
        })
        (root / "data").mkdir(parents=True)
        for split, files in (("train", train), ("validation", val)):
            keys = sorted(files)
            random.Random(2).shuffle(keys)
            rows = datasets.Dataset.from_dict({
                "image": [{"bytes": files[w, b], "path": f"{b[:-5]}_{w}.JPEG"} for w, b in keys],
                "label": [wnids.index(w) for w, _ in keys],
            }, features=kind)
            path = root / "data" / f"{split}-00000-of-00001.parquet"
            if how == "hub":  # what push_to_hub writes: row groups of about a hundred
                rows.to_parquet(str(path), batch_size=100)
            elif how == "default":
                rows.to_parquet(str(path))
            else:
                pyarrow.parquet.write_table(rows.data.table, path, compression=how)
        return [root]

    return form


def shards(root, train, val):
    wnids = sorted({w for w, _ in train})
    root.mkdir(parents=True)
    for split, files in (("train", train), ("val", val)):
        with webdataset.ShardWriter(str(root / f"{split}-%06d.tar"), maxcount=50, verbose=0) as w:
            for wnid, base in sorted(files, key=lambda k: zlib.crc32(k[1].encode())):
                w.write({"__key__": f"{wnid}/{base[:-5]}", "cls": wnids.index(wnid), "jpg": files[wnid, base]})
    (root / "classes.txt").write_text("".join(w + "\n" for w in wnids))
    return [root]


FORMS = {
    "folders": folders, "official tars": official, "Kaggle's tree": kaggle, "Kaggle's zip": kaggle_zip,
    "tar.gz": tar_gz, "zip": zipped, "Hugging Face's tar.gz": hugging_tars, "parquet of push_to_hub": parquet("hub"),
    "parquet of to_parquet": parquet("default"), "parquet, snappy": parquet("snappy"),
    "parquet, zstd": parquet("zstd"), "webdataset's shards": shards,
}


def pictures(out):
    """(part, WNID, CRC-32 of the picture) of everything in a prepared set, sorted; and nothing of its order."""
    classes = json.loads((out / "classes.json").read_text())
    return sorted((part, classes[int(files["cls"])], zlib.crc32(files["jpg"]))
                  for part in ("train", "validation", "test") for files in prepared.samples(out, part).values())


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    beside = pathlib.Path(os.environ.get("ALEXNET_TEST_DATA", ROOT.parent / "shared" / "data"))
    options.add_argument("--photos", default=beside / "photos.tar")
    options.add_argument("--alexnet", default=ROOT / "bin" / "alexnet")
    given = options.parse_args()
    source, alexnet = given.photos, os.path.abspath(given.alexnet)
    if not pathlib.Path(source).exists():
        print(f"skipped: {source} is not there")
        return
    datasets.disable_progress_bars()
    pictured, numbers = photos(source), validation_numbers()
    val = {(w, f"ILSVRC2012_val_{numbers[w]:08d}.JPEG"): raw for w, raw in pictured.items()}
    train = {(w, f"{w}_{n}.JPEG"): raw for w, raw in pictured.items() for n in (10026, 9)}
    want = sorted([("train", w, zlib.crc32(raw)) for (w, _), raw in train.items()]
                  + [("validation", w, zlib.crc32(raw)) for (w, _), raw in val.items()])
    losses, failed = {}, 0
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        for name, form in FORMS.items():
            root, out = tmp / "src" / name.replace(" ", "-"), tmp / "out" / name.replace(" ", "-")
            out.parent.mkdir(exist_ok=True)
            paths = [str(p) for p in form(root, train, val)]
            run = subprocess.run([alexnet, "data", "prepare", *paths, str(out), "--keep"], capture_output=True,
                                 text=True)
            if run.returncode:
                print(f"{name}: {run.stderr.strip()}")
                failed += 1
                continue
            got = pictures(out)
            losses[name] = loss(alexnet, [str(out)], tmp)
            print(f"{name}: {len(got)} pictures, {'the same' if got == want else 'OTHERS'}, losses {losses[name]}")
            failed += got != want
        for name in ("folders", "official tars", "Kaggle's tree", "webdataset's shards"):
            direct = loss(alexnet, [str(tmp / "src" / name.replace(" ", "-"))], tmp)
            losses[name + ", directly"] = direct
            print(f"{name}, directly: losses {direct}")
    if len(set(map(tuple, losses.values()))) != 1:
        print("the losses differ: other pixels, or another order")
        failed += 1
    sys.exit(failed > 0)


def loss(alexnet, data, tmp):
    """Losses of three steps: a figure of the very pixels in their order."""
    run = tmp / "run"
    subprocess.run(["rm", "-rf", str(run)], check=True)
    flags = [f for d in data for f in ("--data", d)]
    done = subprocess.run([alexnet, "train", *flags, "--config", "demo", "--steps", "3", "--out", str(run), "--device",
                           "cpu"], capture_output=True, text=True)
    if done.returncode:
        return [done.stderr.strip()[-300:]]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


if __name__ == "__main__":
    main()
